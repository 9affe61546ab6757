//! Many more messages than the line takes in a test, through conversion and redaction alone.

use std::collections::BTreeMap;

use deid::Redactor;
use hl7v2::Message;
use v2_to_fhir::Options;
use wardstream_load_tests::drill::deid;
use wardstream_load_tests::{Config, Feed, FeedMessage};

use crate::harness::Position;
use crate::phi::Planted;

const MESSAGES: usize = 500;

#[test]
fn no_planted_identifier_survives_redaction() {
    let settings = deid();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let vault = settings.key_service.open(&settings, runtime.handle()).unwrap();
    let redactor: Redactor = settings.redactor(Some(vault), None).unwrap();
    for seed in [1, 3, 12] {
        let config = Config { seed, patients: 300, damage_rate: 0.0, ..Config::default() };
        let feed: Vec<FeedMessage> = Feed::new(config).take(MESSAGES).collect();
        let positions: Vec<Position> = (0..)
            .map(|offset| Position { topic: "hl7.raw".to_owned(), partition: 0, offset })
            .take(feed.len())
            .collect();
        let planted = Planted::of(&feed, &positions);
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        let (mut before, mut released) = (0, 0);
        for (message, position) in feed.iter().zip(&positions) {
            let parsed = Message::parse(&message.bytes).unwrap();
            let bundle = v2_to_fhir::convert(&parsed, &Options::default()).unwrap().bundle;
            let event = position.event_id();
            let mut look = |what: &str, text: &str| {
                let count = planted.count_in(Some(&event), text.as_bytes());
                if count > 0 {
                    *found.entry(format!("{}, {what}", message.truth.kind)).or_default() += count;
                }
            };
            // What still looks like an identifier is refused; that is safe, and counted. It says where, and not what.
            let redacted = match redactor.redact_bundle(&bundle) {
                Ok(redacted) => redacted,
                Err(error) => {
                    look("error", &format!("{error} {error:?}"));
                    continue;
                }
            };
            released += 1;
            // What a service may log or count.
            look("debug", &format!("{redacted:?} {:?} {:?}", redacted.spans, redacted.report));
            for entry in &redacted.vault {
                look("vault", &format!("{entry:?}"));
                look("vault", &String::from_utf8_lossy(&entry.sealed));
            }
            before += planted.count_in(Some(&event), bundle.to_string().as_bytes());
            let count = planted.count_in(Some(&event), redacted.bundle.to_string().as_bytes())
                + planted.count_in_attachments(&event, &redacted.bundle);
            if count > 0 {
                *found.entry(message.truth.kind.to_string()).or_default() += count;
            }
        }
        assert!(before > 10 * MESSAGES, "the search finds what is there: {before}");
        assert!(found.is_empty(), "seed {seed}: identifiers by kind of message: {found:?}");
        assert!(released * 100 >= MESSAGES * 99, "seed {seed}: only {released} of {MESSAGES} were released");
    }
}
