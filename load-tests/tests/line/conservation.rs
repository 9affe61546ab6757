//! Nothing is lost, nothing is there twice, nothing is out of order, and no identifier gets past `redact`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ::conservation::Books;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use contracts::headers::ERROR_CODE;
use contracts::{DeadLetter, Dropped, FhirDeidentified, NotificationSent, TriageSummarized};
use serde_json::Value;
use standalone::errors;
use stream::Outgoing;
use wardstream_load_tests::{Config, Feed, FeedMessage};
use worm_log::{S3Store, Store as _, Verdict, VerifyOptions};

use crate::harness::{Drained, Needs, Parts, Position, WARD};
use crate::log;
use crate::phi::Planted;
use crate::reader::{enter, event_id, lineage};

/// Topics behind `redact` that anybody may read.
const CLEAN: [&str; 6] = [
    "fhir.deidentified",
    "triage.classified",
    "triage.summarized",
    "notification.sent",
    "notification.ledger",
    "line.dropped",
];

/// Patients whose messages come by the ward's own topic, one in so many.
const WARD_SHARE: usize = 4;

#[test]
fn the_line_conserves_every_message() {
    let Some(parts) = Parts::start(Needs { audit: true, ..Needs::default() }) else { return };
    let config =
        Config { seed: 20, patients: 40, damage_rate: 0.05, duplicate_rate: 0.03, ..Config::default() };
    let feed: Vec<FeedMessage> = Feed::new(config).take(150).collect();
    let mut line = parts.run();
    let positions: Vec<Position> = feed
        .iter()
        .map(|message| {
            let topic = if message.truth.patient % WARD_SHARE == 0 { WARD } else { "hl7.raw" };
            line.parts.publish(&Outgoing::new(topic, Some(message.key.clone()), message.bytes.clone()))
        })
        .collect();
    line.wait_until_settled(feed.len());
    line.wait("readiness", |line| line.process.health.report().ready);
    let drained = line.drain();

    every_input_has_one_fate(&drained, feed.len());
    each_message_ends_where_it_belongs(&drained, &feed, &positions);
    each_notification_is_sent_once(&drained);
    each_patient_keeps_the_order(&drained, &positions);
    no_identifier_gets_out(&drained, &feed, &positions);
    drained.parts.runtime.block_on(the_log_is_whole_and_stays(&drained));
}

fn every_input_has_one_fate(drained: &Drained, messages: usize) {
    let mut books = Books::new();
    for record in &drained.records {
        enter(&mut books, record);
    }
    let verdict = books.verdict();
    assert_eq!(verdict.len(), contracts::STAGES.len());
    for (stage, verdict) in &verdict {
        assert!(verdict.is_conserved(), "{stage}: {verdict:?}");
        assert_eq!(
            verdict.inputs,
            verdict.emitted + verdict.dead_lettered + verdict.dropped,
            "{stage}: {verdict:?}"
        );
    }
    assert_eq!(verdict[ingest::NAME].inputs, messages as u64);
}

fn each_message_ends_where_it_belongs(drained: &Drained, feed: &[FeedMessage], positions: &[Position]) {
    let mut letters = HashMap::new();
    for stage in contracts::STAGES {
        let topic = contracts::dead_letter_topic(stage);
        for (record, letter) in drained.of(&topic).zip(drained.decoded::<DeadLetter>(&topic)) {
            assert!(errors::find(&letter.code).is_some(), "{} has no page", letter.code);
            assert_eq!(record.header(ERROR_CODE), Some(letter.code.as_str()));
            assert_eq!(letter.stage, stage);
            assert!(
                letters.insert(letter.event_id.clone(), letter).is_none(),
                "{stage}: two letters an event"
            );
        }
    }
    let drops: HashMap<String, Dropped> = drained
        .decoded::<Dropped>("line.dropped")
        .into_iter()
        .map(|dropped| (dropped.event_id.clone(), dropped))
        .collect();
    let summarized: BTreeSet<String> = drained
        .decoded::<TriageSummarized>("triage.summarized")
        .into_iter()
        .map(|event| event.event_id)
        .collect();
    let told: BTreeSet<String> = drained
        .decoded::<NotificationSent>("notification.sent")
        .into_iter()
        .map(|event| event.event_id)
        .collect();

    let (mut rejected, mut repeated, mut passed) = (0, 0, 0);
    for (at, (message, position)) in feed.iter().zip(positions).enumerate() {
        let (truth, id) = (&message.truth, position.event_id());
        let letter = letters.get(&id);
        if truth.duplicate_of.is_some() {
            repeated += 1;
            let dropped = drops.get(&id);
            assert!(
                dropped.is_some_and(
                    |dropped| dropped.reason == "retransmission" && dropped.stage == ingest::NAME
                ),
                "message {at} repeats another and is not dropped"
            );
        } else if truth.damaged.is_some_and(|damage| damage.must_be_rejected()) {
            rejected += 1;
            let Some(letter) = letter else { panic!("message {at}, {:?}, is not rejected", truth.damaged) };
            assert!(letter.value.as_deref() == Some(&message.bytes[..]), "message {at}: other bytes");
            assert!(letter.key.as_deref() == Some(&message.key[..]), "message {at}: another key");
            let source = Position {
                topic: letter.source_topic.clone(),
                partition: letter.source_partition,
                offset: letter.source_offset,
            };
            assert_eq!(source, *position);
        } else if truth.damaged.is_none() || letter.is_none() {
            passed += 1;
            assert!(
                letter.is_none(),
                "message {at}, {}, is rejected: {:?}",
                truth.kind,
                letter.map(|letter| (&letter.stage, &letter.code, &letter.reason, &letter.location))
            );
            assert!(summarized.contains(&id), "message {at}, {}, is not summarized", truth.kind);
            assert!(
                told.contains(&id) != drops.contains_key(&id),
                "message {at}: told and dropped, or neither"
            );
        }
    }
    assert!(rejected >= 3 && repeated >= 3 && passed >= 100, "{rejected} {repeated} {passed}");
}

fn each_notification_is_sent_once(drained: &Drained) {
    let mail = &drained.parts.mail.server;
    let sent = drained.decoded::<NotificationSent>("notification.sent");
    assert!(sent.len() >= 10, "{} notifications", sent.len());
    assert_eq!(
        (mail.count(), mail.unique_message_ids(), mail.duplicates()),
        (sent.len() as u64, sent.len() as u64, 0)
    );
    for event in &sent {
        assert!(mail.has(event.message_id.trim_matches(['<', '>'])), "a mail is missing");
    }
    for message in mail.messages() {
        assert!(message.encrypted && message.user.is_some(), "mail {} is not protected", message.number);
    }
}

/// Records of one key stand in one partition, in the order of their inputs, from the feed to the end.
fn each_patient_keeps_the_order(drained: &Drained, positions: &[Position]) {
    let entered: HashMap<String, &Position> =
        positions.iter().map(|position| (position.event_id(), position)).collect();
    let mut homes = HashMap::new();
    let mut by_source = HashMap::new();
    let mut by_entry = HashMap::new();
    for record in drained.records.iter().filter(|record| lineage(record).is_some()) {
        let (topic, key) = (record.topic.clone(), record.key.clone());
        let home = *homes.entry((topic.clone(), key.clone())).or_insert(record.partition);
        assert_eq!(home, record.partition, "{topic}: one key in two partitions");
        let lineage = lineage(record).unwrap();
        let source =
            (topic.clone(), record.partition, key.clone(), lineage.topic.to_owned(), lineage.partition);
        let last = by_source.insert(source, (lineage.offset, lineage.index));
        assert!(
            last < Some((lineage.offset, lineage.index)),
            "{topic}/{}/{}: its input comes before that of the record before",
            record.partition,
            record.offset
        );
        let Some(position) = entered.get(event_id(record)) else { panic!("{topic}: event of no message") };
        let entry = (topic.clone(), key, position.topic.clone(), position.partition);
        let last = by_entry.insert(entry, (position.offset, lineage.index));
        assert!(
            last < Some((position.offset, lineage.index)),
            "{topic}/{}/{}: its message came before that of the record before",
            record.partition,
            record.offset
        );
    }
    assert!(homes.len() > 100);
}

fn no_identifier_gets_out(drained: &Drained, feed: &[FeedMessage], positions: &[Position]) {
    let planted = Planted::of(feed, positions);
    assert!(planted.len() > 300);
    // The search finds what is there.
    let raw: usize = feed.iter().map(|message| planted.count_in(None, &message.bytes)).sum();
    assert!(raw > 1000);

    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let mut note = |place: &str, count: usize| {
        if count > 0 {
            *found.entry(place.to_owned()).or_default() += count;
        }
    };
    for topic in CLEAN {
        assert!(drained.of(topic).count() > 0, "{topic} is empty");
        for record in drained.of(topic) {
            let event = Some(event_id(record));
            note(
                &format!("{topic} value"),
                planted.count_in(event, record.value.as_deref().unwrap_or_default()),
            );
            note(&format!("{topic} key"), planted.count_in(event, record.key.as_deref().unwrap_or_default()));
        }
    }
    let mut attachments = 0;
    for event in drained.decoded::<FhirDeidentified>("fhir.deidentified") {
        let bundle: Value = serde_json::from_str(&event.bundle).unwrap();
        attachments += usize::from(event.bundle.contains("\"data\":"));
        note("attachment", planted.count_in_attachments(&event.event_id, &bundle));
    }
    assert!(attachments >= 5, "{attachments} attachments were looked into");
    // Headers, and what a letter says beside the input itself, are for everybody.
    for record in drained.records.iter().filter(|record| lineage(record).is_some()) {
        for (name, value) in &record.headers {
            let count = planted.count_in(None, value.as_deref().unwrap_or_default());
            note(&format!("{} header {name}", record.topic), count);
        }
    }
    for stage in contracts::STAGES {
        for letter in drained.decoded::<DeadLetter>(&contracts::dead_letter_topic(stage)) {
            for text in [Some(letter.reason), letter.location, letter.outcome].into_iter().flatten() {
                note("dead letter", planted.count_in(None, text.as_bytes()));
            }
        }
    }
    for mail in drained.parts.mail.server.messages() {
        let event = mail.header("X-Wardstream-Event");
        assert!(event.is_some());
        for part in [&mail.subject, mail.text.as_ref().unwrap(), mail.html.as_ref().unwrap()] {
            note("mail", planted.count_in(event.as_deref(), part.as_bytes()));
        }
        note("mail", planted.count_in(event.as_deref(), &mail.raw));
    }
    // Names that an operator's tools show.
    for record in &drained.records {
        note("topic", planted.count_in(None, record.topic.as_bytes()));
    }
    let store = drained.parts.runtime.block_on(S3Store::connect(drained.parts.bucket())).unwrap();
    let listing = drained.parts.runtime.block_on(store.list("seg/", None)).unwrap();
    assert!(!listing.objects.is_empty());
    for object in listing.objects {
        note("object name", planted.count_in(None, object.key.as_bytes()));
    }
    for record in drained.of("audit.manifests") {
        note("manifest", planted.count_in(None, record.value.as_deref().unwrap_or_default()));
    }
    note("readiness", planted.count_in(None, format!("{:?}", drained.process.health.report()).as_bytes()));
    note("metrics", planted.count_in(None, drained.process.metrics.encode().as_bytes()));
    note("log", planted.count_in(None, &log::text()));
    assert!(found.is_empty(), "identifiers by place: {found:#?}");
}

async fn the_log_is_whole_and_stays(drained: &Drained) {
    let config = drained.parts.bucket();
    let store = S3Store::connect(config.clone()).await.unwrap();
    let report = worm_log::verify(&store, &VerifyOptions::default(), |_| {}).await.unwrap();
    assert_eq!(report.verdict, Verdict::Whole, "{report}");
    let mut written: BTreeMap<(&str, i32), u64> = BTreeMap::new();
    for record in drained.records.iter().filter(|record| &*record.topic != "audit.manifests") {
        *written.entry((&record.topic, record.partition)).or_default() += 1;
    }
    let kept: BTreeMap<(&str, i32), u64> = report
        .partitions
        .iter()
        .filter(|partition| partition.records > 0)
        .map(|partition| ((partition.topic.as_str(), partition.partition), partition.records))
        .collect();
    assert_eq!(kept, written);

    let key = config.access_key.unwrap();
    let sdk = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(config.endpoint.unwrap())
        .force_path_style(true)
        .credentials_provider(Credentials::new(key.id, key.secret, None, None, "test"))
        .build();
    let client = aws_sdk_s3::Client::from_conf(sdk);
    let segment = &store.list("seg/", None).await.unwrap().objects[0].key;
    let head = client.head_object().bucket(&config.bucket).key(segment).send().await.unwrap();
    assert!(head.object_lock_retain_until_date().is_some());
    for version in [None, Some(head.version_id().unwrap().to_owned())] {
        let delete = client.delete_object().bucket(&config.bucket).key(segment).set_version_id(version);
        let refusal = delete.send().await.expect_err("a segment can be deleted");
        assert_eq!(refusal.raw_response().unwrap().status().as_u16(), 403);
    }
    let again = worm_log::verify(&store, &VerifyOptions::default(), |_| {}).await.unwrap();
    assert_eq!(again.records, report.records);
}
