//! What a stage needs goes away and comes back: readiness names it, nothing is lost, nothing is there twice.

use ::conservation::Books;
use contracts::NotificationSent;
use mail_sink::{Behaviour, Step};
use stream::Outgoing;
use wardstream_load_tests::{Config, Feed, FeedMessage, Kind};
use worm_log::{S3Store, Verdict, VerifyOptions};

use crate::harness::{Line, Needs, Parts};
use crate::reader::enter;

/// Messages published at a time.
const WAVE: usize = 12;

fn publish(line: &Line, feed: &mut dyn Iterator<Item = FeedMessage>) -> usize {
    let wave: Vec<FeedMessage> = feed.take(WAVE).collect();
    for message in &wave {
        line.parts.publish(&Outgoing::new("hl7.raw", Some(message.key.clone()), message.bytes.clone()));
    }
    wave.len()
}

#[test]
fn dependencies_that_go_away_are_waited_for() {
    let Some(parts) = Parts::start(Needs { audit: true, ..Needs::default() }) else { return };
    let config = Config { seed: 3, patients: 20, damage_rate: 0.0, ..Config::default() };
    // What is about results and notes is what somebody is told of.
    let mut feed = Feed::new(config)
        .filter(|message| matches!(message.truth.kind, Kind::LabResult | Kind::Note | Kind::RadiologyReport));

    // Registry and store are down before the services start.
    parts.registry.shut();
    parts.store.as_ref().unwrap().1.shut();
    let mut line = parts.run();
    let mut sent = publish(&line, &mut feed);
    line.wait_until_waiting(ingest::NAME, "schema-registry");
    line.wait_until_waiting(audit::NAME, "worm-store");
    assert_eq!(line.parts.mail.server.count(), 0);

    // The registry comes back, and the mail server defers everything.
    line.parts.mail.server.set_behaviour(Behaviour::Reply { step: Step::Rcpt, code: 451 });
    line.parts.registry.open();
    line.wait_until_back(ingest::NAME, "schema-registry");
    line.wait_until_waiting(notify::NAME, "smtp");
    // Then it refuses connections.
    line.parts.runtime.block_on(line.parts.mail.server.pause());
    line.parts.mail.server.set_behaviour(Behaviour::Accept);
    sent += publish(&line, &mut feed);
    line.wait_until_waiting(notify::NAME, "smtp");
    assert_eq!(line.parts.mail.server.count(), 0);
    line.parts.runtime.block_on(line.parts.mail.server.resume()).unwrap();
    line.wait_until_settled(sent);
    line.wait_until_back(notify::NAME, "smtp");
    assert!(line.parts.mail.server.count() > 0, "nobody was told of anything");

    // The store comes back, goes away under way, and comes back.
    line.parts.store.as_ref().unwrap().1.open();
    line.wait_until_back(audit::NAME, "worm-store");
    line.wait("readiness", |line| line.process.health.report().ready);
    line.parts.store.as_ref().unwrap().1.shut();
    sent += publish(&line, &mut feed);
    line.wait_until_waiting(audit::NAME, "worm-store");
    line.wait_until_settled(sent);
    line.parts.store.as_ref().unwrap().1.open();
    line.wait_until_back(audit::NAME, "worm-store");

    // The broker dies and comes back on its log.
    line.parts.kafka.kill();
    for stage in contracts::STAGES.into_iter().chain([audit::NAME]) {
        line.wait_until_waiting(stage, "kafka");
    }
    line.parts.kafka.resume().unwrap();
    sent += publish(&line, &mut feed);
    line.wait_until_settled(sent);
    line.wait("readiness", |line| line.process.health.report().ready);
    let drained = line.drain();

    let mut books = Books::new();
    drained.records.iter().for_each(|record| enter(&mut books, record));
    for (stage, verdict) in books.verdict() {
        assert!(verdict.is_conserved(), "{stage}: {verdict:?}");
        assert_eq!(verdict.dead_lettered, 0, "{stage}: nothing is given up because something is down");
        if stage != notify::NAME {
            assert_eq!(verdict.inputs, sent as u64, "{stage}");
        }
    }
    let told = drained.decoded::<NotificationSent>("notification.sent").len() as u64;
    let mail = &drained.parts.mail.server;
    assert_eq!((mail.count(), mail.duplicates()), (told, 0), "each is told once");
    drained.parts.runtime.block_on(async {
        let store = S3Store::connect(drained.parts.bucket()).await.unwrap();
        let report = worm_log::verify(&store, &VerifyOptions::default(), |_| {}).await.unwrap();
        assert_eq!(report.verdict, Verdict::Whole, "{report}");
        let written = drained.records.iter().filter(|record| &*record.topic != "audit.manifests").count();
        assert_eq!(report.records, written as u64);
    });
}
