//! A record that a stage cannot process is set aside with its bytes, and the next one is processed.

use ::conservation::Books;
use contracts::headers::ERROR_CODE;
use contracts::{DeadLetter, Dropped, FhirDeidentified, FhirReceived, FhirValidated, TriageClassified};
use contracts::{Label, SpecialtyLabel, dead_letter_topic};
use settings::ByteSize;
use standalone::errors;
use stream::Outgoing;
use wardstream_load_tests::{Config, Feed};

use crate::harness::{Needs, Parts, Position};
use crate::reader::{enter, event_id};

const LIMIT: ByteSize = ByteSize::from_kib(64);

/// A bad record, and what must become of it.
struct Bad {
    what: &'static str,
    topic: &'static str,
    value: Option<Vec<u8>>,
    stage: &'static str,
    code: &'static str,
    /// Whether the letter carries the bytes; a record that is too large is referred to.
    carried: bool,
}

fn bad(
    what: &'static str,
    topic: &'static str,
    value: impl Into<Option<Vec<u8>>>,
    stage: &'static str,
    code: &'static str,
) -> Bad {
    Bad { what, topic, value: value.into(), stage, code, carried: true }
}

/// The topics that stages read Avro from.
const AVRO: [(&str, &str); 5] = [
    ("fhir.received", "validate"),
    ("fhir.validated", "redact"),
    ("fhir.deidentified", "classify"),
    ("triage.classified", "summarize"),
    ("triage.summarized", "notify"),
];

#[test]
fn bad_records_become_dead_letters_and_the_line_goes_on() {
    let needs = Needs { max_record_bytes: Some(LIMIT), ..Needs::default() };
    let Some(parts) = Parts::start(needs) else { return };
    let quiet = Config { seed: 7, patients: 10, damage_rate: 0.0, ..Config::default() };
    let good: Vec<_> = Feed::new(quiet).take(6).collect();
    let bad = bad_records(&parts, &good[0].bytes, &good[1].bytes);
    let mut line = parts.run();
    let publish = |topic: &str, key: Option<Vec<u8>>, value: Option<Vec<u8>>| {
        let headers = vec![("from".to_owned(), b"test".to_vec())];
        line.parts.publish(&Outgoing { topic: topic.to_owned(), key, value, headers })
    };
    // All of one key, so that the good ones stand behind the bad ones in the same partitions.
    let key = Some(good[2].key.clone());
    let placed: Vec<Position> =
        bad.iter().map(|bad| publish(bad.topic, key.clone(), bad.value.clone())).collect();
    let passed: Vec<Position> = good[2..]
        .iter()
        .map(|message| publish("hl7.raw", key.clone(), Some(message.bytes.clone())))
        .collect();
    let inputs = bad.iter().filter(|bad| bad.topic == "hl7.raw").count() + passed.len();
    let strays: Vec<(usize, &str)> = AVRO
        .iter()
        .map(|(topic, stage)| (bad.iter().filter(|bad| bad.topic == *topic).count(), *stage))
        .collect();
    line.wait_until_settled(inputs);
    line.wait("every stray record to be read", |line| {
        strays
            .iter()
            .all(|(count, stage)| line.verdict().get(stage).is_some_and(|v| v.inputs >= *count as u64))
    });
    line.wait_until_settled(inputs);
    let drained = line.drain();

    for (bad, position) in bad.iter().zip(&placed) {
        let what = bad.what;
        let topic = dead_letter_topic(bad.stage);
        let records: Vec<_> = drained.of(&topic).collect();
        let letters = drained.decoded::<DeadLetter>(&topic);
        let mut at = letters.iter().enumerate().filter(|(_, letter)| {
            (&letter.source_topic, letter.source_partition, letter.source_offset)
                == (&position.topic, position.partition, position.offset)
        });
        let (index, letter) = at.next().unwrap_or_else(|| panic!("{what}: no dead letter in {topic}"));
        assert!(at.next().is_none(), "{what}: two dead letters");
        assert_eq!(letter.code, bad.code, "{what}");
        assert!(errors::find(&letter.code).is_some(), "{what}: {} has no page", letter.code);
        assert_eq!(records[index].header(ERROR_CODE), Some(bad.code), "{what}");
        assert_eq!(
            (letter.stage.as_str(), letter.event_id.as_str()),
            (bad.stage, &*position.event_id()),
            "{what}"
        );
        assert!(letter.key == key, "{what}: another key");
        assert!(!letter.reason.is_empty() && letter.attempts == 1, "{what}");
        assert!(letter.headers.iter().any(|header| header.name == "from"), "{what}: headers are lost");
        let expected = bad.value.clone().filter(|_| bad.carried);
        assert!(letter.value == expected, "{what}: other bytes");
    }
    let letters: usize =
        contracts::STAGES.iter().map(|stage| drained.of(&dead_letter_topic(stage)).count()).sum();
    assert_eq!(letters, bad.len(), "each bad record has one letter and no good one has any");

    let ends: Vec<&str> =
        drained.of("notification.sent").chain(drained.of("line.dropped")).map(event_id).collect();
    for (at, position) in passed.iter().enumerate() {
        let id = position.event_id();
        assert!(drained.of("triage.summarized").any(|record| event_id(record) == id), "good message {at}");
        assert_eq!(ends.iter().filter(|end| **end == id).count(), 1, "good message {at}");
    }
    let dropped = drained.decoded::<Dropped>("line.dropped");
    assert!(dropped.iter().all(|dropped| dropped.stage == notify::NAME), "only notify drops here");
    let mut books = Books::new();
    drained.records.iter().for_each(|record| enter(&mut books, record));
    for (stage, verdict) in books.verdict() {
        assert!(verdict.is_conserved(), "{stage}: {verdict:?}");
    }
}

fn bad_records(parts: &Parts, one: &[u8], other: &[u8]) -> Vec<Bad> {
    let header_end = one.iter().position(|byte| *byte == b'\r').unwrap();
    let truncated = one[..header_end / 3].to_vec();
    let batch = [b"FHS|^~\\&|\rBHS|^~\\&|\r", one, other, b"BTS|2\rFTS|1\r"].concat();
    let garbage: Vec<u8> = (0..=255).rev().cycle().take(3000).collect();
    let mut all = vec![
        bad("tombstone", "hl7.raw", None, "ingest", "INGEST-101"),
        bad("empty value", "hl7.raw", Vec::new(), "ingest", "INGEST-101"),
        bad("batch", "hl7.raw", batch, "ingest", "INGEST-102"),
        bad("two messages", "hl7.raw", [one, other].concat(), "ingest", "INGEST-102"),
        bad("binary", "hl7.raw", garbage.clone(), "ingest", "HL7-108"),
        bad("cut header", "hl7.raw", truncated, "ingest", "HL7-102"),
        Bad {
            carried: false,
            ..bad("too large", "hl7.raw", vec![b'x'; 3 * LIMIT.as_usize()], "ingest", "STREAM-902")
        },
    ];
    // A schema id that the registry does not have, and a record of another type.
    let unknown = [&[0, 0x7F, 0, 0, 0][..], b"datum"].concat();
    let other_type = Dropped {
        stage: "test".to_owned(),
        reason: "test".to_owned(),
        event_id: "test".to_owned(),
        source_topic: "test".to_owned(),
        source_partition: 0,
        source_offset: 0,
    };
    let other_type = parts.codec.encode("line.dropped", &other_type).unwrap();
    for (topic, stage) in AVRO {
        all.push(bad("no Avro", topic, garbage.clone(), stage, "AVRO-401"));
        all.push(bad("unknown schema", topic, unknown.clone(), stage, "AVRO-402"));
        all.push(bad("a record of another type", topic, other_type.clone(), stage, "AVRO-401"));
        all.push(bad("cut datum", topic, other_type[..8].to_vec(), stage, "AVRO-401"));
        all.push(bad("Avro tombstone", topic, None, stage, "AVRO-401"));
        let large = vec![0; 2 * LIMIT.as_usize()];
        all.push(Bad { carried: false, ..bad("large Avro", topic, large, stage, "STREAM-902") });
    }
    all.extend(wrong_content(parts));
    all
}

/// Records that are Avro of the right type, with bundles that are wrong.
fn wrong_content(parts: &Parts) -> Vec<Bad> {
    let text = || "test".to_owned();
    let received = |bundle: &str| {
        let value = FhirReceived {
            event_id: text(),
            facility: text(),
            message_type: "ADT^A01".to_owned(),
            received_at: 0,
            control_id: text(),
            bundle: bundle.to_owned(),
            unmapped: Vec::new(),
        };
        parts.codec.encode("fhir.received", &value).unwrap()
    };
    let validated = FhirValidated {
        event_id: text(),
        facility: text(),
        message_type: text(),
        received_at: 0,
        control_id: text(),
        bundle: "no JSON".to_owned(),
        outcome: None,
    };
    let deidentified = FhirDeidentified {
        event_id: text(),
        facility: text(),
        message_type: text(),
        received_at: 0,
        pseudonym: None,
        bundle: "no JSON".to_owned(),
        redactions: Default::default(),
    };
    let label = Label { label: "routine".to_owned(), p: 1.0 };
    let classified = TriageClassified {
        event_id: text(),
        facility: text(),
        message_type: text(),
        received_at: 0,
        pseudonym: None,
        bundle: "no JSON".to_owned(),
        urgency: label.clone(),
        specialty: SpecialtyLabel { label: text(), p: 1.0, second: None },
        document_type: label,
        abstained: false,
        reasons: Vec::new(),
        model_id: text(),
        model_version: text(),
    };
    let codec = &parts.codec;
    vec![
        bad("no JSON", "fhir.received", received("no JSON"), "validate", "FHIR-301"),
        bad(
            "not FHIR",
            "fhir.received",
            received(r#"{"resourceType":"Bundle","type":"collection","surprise":true}"#),
            "validate",
            "FHIR-304",
        ),
        bad(
            "no JSON",
            "fhir.validated",
            codec.encode("fhir.validated", &validated).unwrap(),
            "redact",
            "DEID-201",
        ),
        bad(
            "no JSON",
            "fhir.deidentified",
            codec.encode("fhir.deidentified", &deidentified).unwrap(),
            "classify",
            "CLASSIFY-101",
        ),
        bad(
            "no JSON",
            "triage.classified",
            codec.encode("triage.classified", &classified).unwrap(),
            "summarize",
            "SUMMARIZE-101",
        ),
    ]
}
