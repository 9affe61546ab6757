//! The operator's commands on a real Apache Kafka, with a real stage beside them.
//!
//! `WARDSTREAM_KAFKA_LIBS` names the folder of Kafka's jars; without it each test says that it was skipped.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it skipped"
)]

mod kafka;
mod replay;
mod report;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use conservation::{Books, Lineage, StageVerdict};
use contracts::headers::{
    EVENT_ID, OUTPUT_INDEX, RECEIVED_AT, REPLAY_OFFSET, REPLAY_TOPIC, SOURCE_OFFSET, SOURCE_PARTITION,
    SOURCE_TOPIC,
};
use contracts::{DeadLetter, EventId, Label, NotificationSent, SpecialtyLabel, TriageSummarized};
use mail_sink::Behaviour;
use serde_json::Value;
use settings::{ByteSize, Duration};
use stream::{Incoming, Outgoing};

use kafka::Bench;

const GOOD: &str = "MSH|^~\\&|ADT|HARBOR|WARD|HARBOR|20250303140000||ADT^A01^ADT_A01|C1|P|2.5.1\r\
    EVN|A01|20250303140000\r\
    PID|1||00482913^^^HARBOR^MR||Carter^John||19700101|M\r\
    PV1|1|I|W1^101^1\r";
/// Parses, and is of a type that no map covers.
const UNMAPPED: &str = "MSH|^~\\&|LAB|HARBOR|WARD|HARBOR|20250303140000||ZZZ^Z01|C2|P|2.5.1\rPID|1\r";
/// Its second segment's name is broken.
const DAMAGED: &str =
    "MSH|^~\\&|ADT|HARBOR|WARD|HARBOR|20250303140000||ADT^A01^ADT_A01|C3|P|2.5.1\r??|Carter\r";
const KEY: &[u8] = b"HARBOR|00482913";

const SHAPE: [&str; 4] = ["--partitions", "2", "--replication", "1"];

fn message(value: impl Into<Vec<u8>>) -> Outgoing {
    let mut output = Outgoing::new("hl7.raw", Some(KEY.to_vec()), value.into());
    output.headers.push(("from".to_owned(), b"ward 7".to_vec()));
    output
}

#[test]
fn topics_are_created_compared_and_corrected() {
    let Some(bench) = Bench::start() else { return };
    let with =
        |command: &[&'static str], more: &[&'static str]| [&["topics"], command, &SHAPE[..], more].concat();

    let before = bench.run(&with(&["diff"], &["--feed", "ward7"]));
    assert_eq!(before.code, 1, "{}", before.err);
    let all = contracts::topics(2).len() + 1;
    assert_eq!(before.out.lines().filter(|line| line.ends_with("missing")).count(), all, "{}", before.out);
    assert!(before.out.lines().any(|line| line.starts_with("hl7.feed.ward7 ")), "{}", before.out);

    let applied = bench.run(&with(&["apply"], &["--feed", "ward7"]));
    assert_eq!((applied.code, applied.out.lines().count()), (0, all), "{}{}", applied.out, applied.err);
    assert!(applied.out.contains("created  identity.vault: 2 partitions, compacted\n"), "{}", applied.out);
    assert!(applied.out.contains("created  notify.parked: 2 partitions, kept for 365d\n"), "{}", applied.out);
    let same = bench.run(&with(&["diff"], &["--feed", "ward7"]));
    assert_eq!((same.code, same.out.as_str()), (0, &*format!("{all} topics are as their contracts say\n")));

    // A setting is corrected; the others, and what is no part of the contract, stay.
    let smaller = [("WARDSTREAM_KAFKA__TUNING__MAX_RECORD_BYTES", "8MiB")];
    let differs = bench.run_with(&with(&["diff", "--json"], &[]), &smaller);
    let lines = differs.lines();
    assert_eq!((differs.code, lines.len()), (1, all - 1), "{}", differs.out);
    assert!(lines.iter().all(|line| line["what"] == "max.message.bytes"), "{}", differs.out);
    assert_eq!(bench.run_with(&with(&["apply"], &[]), &smaller).code, 0);
    // A broker hears of the controller's change a moment after the controller has answered.
    let diff = with(&["diff"], &[]);
    bench.wait("what was set to be all there is, and nothing else reset", |bench| {
        bench.run_with(&diff, &smaller).code == 0
    });

    // Partitions are never added silently, and never taken away.
    let more = ["topics", "apply", "--partitions", "3", "--replication", "1"];
    let refused = bench.run_with(&more, &smaller);
    assert_eq!(refused.code, 1);
    assert!(
        refused.out.contains("left     hl7.raw: partitions 2 instead of 3; more partitions break"),
        "{}",
        refused.out
    );
    assert_eq!(bench.run_with(&with(&["diff"], &[]), &smaller).code, 0, "none was added");
    let allowed = bench.run_with(&[&more[..], &["--allow-more-partitions"]].concat(), &smaller);
    assert_eq!(allowed.code, 0, "{}", allowed.out);
    assert!(allowed.out.contains("set      hl7.raw: partitions 3, was 2\n"), "{}", allowed.out);
    let fewer = bench.run_with(&with(&["apply"], &["--allow-more-partitions"]), &smaller);
    assert_eq!(fewer.code, 1);
    assert!(
        fewer.out.contains("hl7.raw: partitions 3 instead of 2; Kafka takes no partition away"),
        "{}",
        fewer.out
    );

    let usage = bench.run(&["topics", "diff", "--replication", "1", "--min-insync-replicas", "2"]);
    assert_eq!(usage.code, 64);
}

#[test]
fn lag_is_what_is_left_to_read() {
    let Some(mut bench) = Bench::start() else { return };
    bench.apply(&SHAPE);
    for at in 0..5 {
        bench.publish(&message(GOOD.replace("|C1|", &format!("|C{at}|"))));
    }
    let lag = |bench: &Bench, more: &[&'static str]| bench.run(&[&["lag"], more].concat());
    let group = |ran: &kafka::Ran, stage: &str| -> Value {
        let groups = ran.json()["groups"].as_array().unwrap().clone();
        groups.into_iter().find(|group| group["stage"] == stage).unwrap()
    };

    let ran = lag(&bench, &["--json", "--stage", "ingest"]);
    let ingest = group(&ran, "ingest");
    assert_eq!(
        (&ingest["lag"], &ingest["state"], &ingest["members"]),
        (&5.into(), &"Dead".into(), &0.into())
    );
    assert!(ingest["age_ms"].as_u64().is_some());
    assert!(
        ingest["partitions"].as_array().unwrap().iter().all(|partition| partition["committed"].is_null())
    );
    assert_eq!(lag(&bench, &["--stage", "ingest", "--max-lag", "5"]).code, 0);
    let over = lag(&bench, &["--stage", "ingest", "--max-lag", "4"]);
    assert_eq!((over.code, over.err.as_str()), (1, "ingest: 5 records are over --max-lag\n"));
    bench.wait("a record to be old", |bench| lag(bench, &["--stage", "ingest", "--max-age", "1s"]).code == 1);
    assert_eq!(lag(&bench, &["--stage", "ingest", "--max-age", "1h"]).code, 0);

    bench.ingest(|_| {});
    bench.wait("ingest to have read everything", |bench| {
        group(&lag(bench, &["--json", "--stage", "ingest"]), "ingest")["lag"] == 0
    });
    let ran = lag(&bench, &["--json"]);
    let (ingest, validate) = (group(&ran, "ingest"), group(&ran, "validate"));
    assert_eq!((&ingest["state"], &ingest["members"]), (&"Stable".into(), &1.into()));
    // What ingest wrote in transactions: the markers of their ends occupy offsets and are no lag.
    assert_eq!(validate["lag"], 5);
    let offsets: i64 =
        validate["partitions"].as_array().unwrap().iter().map(|p| p["end"].as_i64().unwrap()).sum();
    assert!(offsets > 5, "the offsets would say {offsets}");
    assert!(validate["partitions"].as_array().unwrap().iter().all(|partition| partition["counted"] == true));
    assert_eq!(ran.json()["groups"].as_array().unwrap().len(), 7);
    assert_eq!(group(&ran, "redact")["lag"], 0, "nothing was written for it yet");
    let text = lag(&bench, &["--stage", "validate"]).out;
    assert!(text.starts_with("validate: lag 5, oldest "), "{text}");
    assert!(text.contains("(group wardstream.validate, Dead, 0 members)"), "{text}");
    bench.stop();
}

#[test]
fn dead_letters_are_listed_shown_and_replayed_once() {
    let Some(mut bench) = Bench::start() else { return };
    bench.apply(&SHAPE);
    const LIMIT: ByteSize = ByteSize::from_kib(64);
    let large = format!("{GOOD}NTE|1||{}\r", "x".repeat(2 * LIMIT.as_usize()));
    let inputs: Vec<String> =
        [UNMAPPED, DAMAGED, &large].iter().map(|text| bench.publish(&message(*text))).collect();
    bench.publish(&message(GOOD));
    bench.ingest(|config| config.kafka.tuning.max_record_bytes = LIMIT);
    let list = |bench: &Bench, more: &[&'static str]| {
        let ran = bench.run(&[&["dead-letters", "list", "--json"], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.lines()
    };
    bench.wait("three dead letters", |bench| list(bench, &[]).len() == 3);

    // What is listed and shown names the place and carries no content.
    let letters = list(&bench, &[]);
    let of = |code: &str| letters.iter().find(|letter| letter["code"] == code).unwrap();
    let codes: BTreeSet<&str> = letters.iter().map(|letter| letter["code"].as_str().unwrap()).collect();
    assert_eq!(codes, BTreeSet::from(["HL7-106", "MAP-201", "STREAM-902"]));
    assert_eq!(of("MAP-201")["source"], *inputs[0]);
    assert_eq!(list(&bench, &["--code", "map-201"]).len(), 1);
    assert_eq!(list(&bench, &["--stage", "notify"]).len(), 0);
    assert_eq!(list(&bench, &["--limit", "2"]).len(), 2);
    assert_eq!(list(&bench, &["--from", "2100-01-01T00:00:00Z"]).len(), 0);
    assert_eq!(list(&bench, &["--to", "2000-01-01T00:00:00Z"]).len(), 0);
    assert_eq!(list(&bench, &["--reason", "max_record_bytes"]).len(), 1);
    let event = of("HL7-106")["event_id"].as_str().unwrap();
    let by_event = bench.run(&["dead-letters", "list", "--event-id", event]);
    assert_eq!(by_event.out.lines().count(), 2, "{}", by_event.out);
    let shown = bench.run(&["dead-letters", "show", of("HL7-106")["letter"].as_str().unwrap()]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.contains("from: 6 bytes"), "{}", shown.out);
    for text in [&by_event.out, &shown.out] {
        assert!(!text.contains("Carter") && !text.contains("00482913") && !text.contains("ward 7"), "{text}");
    }
    content_goes_into_a_private_file(&bench, of("HL7-106"), DAMAGED);
    content_goes_into_a_private_file(&bench, of("STREAM-902"), &large);

    // Nothing goes back by accident, and a dry run writes nothing.
    let replay =
        |bench: &Bench, more: &[&'static str]| bench.run(&[&["dead-letters", "replay"], more].concat());
    assert_eq!(replay(&bench, &[]).code, 64);
    let dry = replay(&bench, &["--all", "--dry-run", "--json"]);
    assert_eq!((dry.code, dry.lines().len()), (0, 3), "{}", dry.err);
    assert_eq!(bench.read("dead-letters.replayed").len(), 0);
    assert_eq!(bench.read("hl7.raw").len(), 4);

    // One by its name; then all, which leaves that one out.
    let first = bench.run(&["dead-letters", "replay", of("MAP-201")["letter"].as_str().unwrap()]);
    assert_eq!(first.code, 0, "{}", first.err);
    bench.wait("the replay to be a dead letter again", |bench| list(bench, &[]).len() == 4);
    let unmapped = list(&bench, &["--code", "MAP-201"]);
    assert!(unmapped[0]["replayed_at"].is_string(), "{unmapped:?}");
    assert!(unmapped[1]["replayed_at"].is_null(), "the letter of the replay is another");
    assert_eq!(unmapped[0]["event_id"], unmapped[1]["event_id"]);
    bench.stop();
    let rest = replay(&bench, &["--all", "--json"]);
    assert_eq!(rest.code, 0, "{}", rest.err);
    let counts: Vec<(String, u64, u64)> = rest
        .lines()
        .iter()
        .map(|line| {
            let number = |name: &str| line[name].as_u64().unwrap();
            (line["code"].as_str().unwrap().to_owned(), number("replayed"), number("replayed_before"))
        })
        .collect();
    let count = |code: &str, now, before| (code.to_owned(), now, before);
    assert_eq!(counts, [count("HL7-106", 1, 0), count("MAP-201", 1, 1), count("STREAM-902", 1, 0)]);
    let again = replay(&bench, &["--all"]);
    assert!(again.out.ends_with("\n0 went back\n"), "{}", again.out);
    assert_eq!(bench.read("dead-letters.replayed").len(), 4);

    inputs_went_back_as_they_were(&bench, &large);

    // With room for it the large message passes; the others fail again; every input has one fate.
    bench.ingest(|_| {});
    bench.wait("every replay to have its fate", |bench| {
        bench.read("fhir.received").len() == 2 && bench.read("ingest.dead-letter").len() == 6
    });
    bench.stop();
    let verdict = verdict(&bench, "ingest");
    assert_eq!((verdict.inputs, verdict.emitted, verdict.dead_lettered, verdict.dropped), (8, 2, 6, 0));
}

fn content_goes_into_a_private_file(bench: &Bench, letter: &Value, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("content.hl7");
    let name = letter["letter"].as_str().unwrap();
    let arguments = ["dead-letters", "show", name, "--content", path.to_str().unwrap()];
    let shown = bench.run(&arguments);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.err.starts_with("warning: "), "{}", shown.err);
    assert!(fs::read(&path).unwrap() == expected.as_bytes(), "other bytes");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(bench.run(&arguments).code, 64, "a file is not overwritten");
}

fn inputs_went_back_as_they_were(bench: &Bench, large: &str) {
    let records = bench.read("hl7.raw");
    let (originals, replays): (Vec<&Incoming>, Vec<&Incoming>) =
        records.iter().partition(|record| record.header(REPLAY_TOPIC).is_none());
    assert_eq!((originals.len(), replays.len()), (4, 4));
    for expected in [UNMAPPED, DAMAGED, large] {
        let of = |records: &[&Incoming]| -> Vec<Incoming> {
            let same = |record: &&&Incoming| record.value.as_deref() == Some(expected.as_bytes());
            records.iter().filter(same).map(|record| (*record).clone()).collect()
        };
        let original = of(&originals).remove(0);
        for replay in of(&replays) {
            assert!(replay.key.as_deref() == Some(KEY) && replay.partition == original.partition);
            assert_eq!(replay.header("from"), Some("ward 7"));
            assert!(replay.header(REPLAY_OFFSET).is_some());
            assert!(lineage(&replay).is_none(), "the guard would take it for a duplicate");
            let id = contracts::EventId::at("hl7.raw", original.partition, original.offset).to_string();
            assert_eq!(replay.header(EVENT_ID), Some(&*id));
            assert_eq!(replay.header(RECEIVED_AT), Some(&*original.timestamp_ms.to_string()));
        }
    }
    for record in bench.read("ingest.dead-letter") {
        assert_eq!(bench.decoded::<DeadLetter>(&record).source_topic, "hl7.raw");
    }
}

/// What the books say of a stage: each input has one fate.
fn verdict(bench: &Bench, stage: &str) -> StageVerdict {
    let mut books = Books::new();
    for topic in contracts::topics(2) {
        for record in bench.read(&topic.name) {
            books.enter(&record.topic, record.partition, record.offset, lineage(&record).as_ref());
        }
    }
    let verdict = books.verdict().remove(stage).unwrap();
    assert!(verdict.is_conserved(), "{verdict:?}");
    verdict
}

fn lineage(record: &Incoming) -> Option<Lineage<'_>> {
    Some(Lineage {
        topic: record.header(SOURCE_TOPIC)?,
        partition: record.header(SOURCE_PARTITION)?.parse().ok()?,
        offset: record.header(SOURCE_OFFSET)?.parse().ok()?,
        index: record.header(OUTPUT_INDEX)?.parse().ok()?,
    })
}

/// An event of a patient as `summarize` hands it to `notify`, the `offset`th of its input.
fn summarized(bench: &Bench, key: &str, specialty: &str, offset: i64) -> Outgoing {
    let id = EventId::at("hl7.raw", 0, offset).to_string();
    let label = |label: &str| Label { label: label.to_owned(), p: 0.9 };
    let event = TriageSummarized {
        event_id: id.clone(),
        facility: "fac_1".to_owned(),
        message_type: "ORU^R01".to_owned(),
        received_at: 0,
        pseudonym: Some(key.to_owned()),
        urgency: label("urgent"),
        specialty: SpecialtyLabel { label: specialty.to_owned(), p: 0.9, second: None },
        document_type: label("lab-result"),
        abstained: false,
        reasons: Vec::new(),
        model_id: "model".to_owned(),
        model_version: "1".to_owned(),
        sentences: Vec::new(),
    };
    let value = bench.encoded("triage.summarized", &event);
    let mut output = Outgoing::new("triage.summarized", Some(key.into()), value);
    let source = [(SOURCE_PARTITION, "0"), (OUTPUT_INDEX, "0"), (SOURCE_TOPIC, "triage.classified")];
    let place = [(EVENT_ID, id), (SOURCE_OFFSET, offset.to_string())];
    let headers = source.map(|(name, value)| (name, value.to_owned())).into_iter().chain(place);
    output.headers = headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
    output
}

#[test]
fn parked_records_go_back_in_their_order_each_once() {
    const PATIENT: &str = "psn_1";
    let Some(mut bench) = Bench::start() else { return };
    bench.apply(&SHAPE);
    let mail = bench.mail();
    // One team's mailbox is full: its patient's events fail, and those of others do not.
    let full = Behaviour::RejectRecipient { address: "nephrology@hospital.example".to_owned(), code: 452 };
    mail.server.set_behaviour(full);
    bench.notify(&mail, |config| {
        config.kafka.tuning.park_after = 3;
        config.kafka.tuning.max_backoff = Duration::from_millis(50);
    });
    let offset = Cell::new(0);
    let send = |bench: &Bench, key: &str, specialty: &str| {
        offset.set(offset.get() + 1);
        bench.publish(&summarized(bench, key, specialty, offset.get()));
        EventId::at("hl7.raw", 0, offset.get()).to_string()
    };
    let command = |bench: &Bench, more: &[&'static str]| {
        let ran = bench.run(&[&["dead-letters"], more, &["--parked", "--stage", "notify"]].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran
    };
    let parked = |bench: &Bench| command(bench, &["list", "--json"]).lines();
    let told = |bench: &Bench| -> Vec<String> {
        let mut records = bench.read("notification.sent");
        records.retain(|record| record.key.as_deref() == Some(PATIENT.as_bytes()));
        records.iter().map(|record| bench.decoded::<NotificationSent>(record).event_id).collect()
    };
    let mut events = vec![send(&bench, PATIENT, "nephrology"), send(&bench, PATIENT, "nephrology")];
    bench.wait("the patient to be parked", |bench| {
        // Others have to be answered meanwhile: that is what tells one patient from a server that is down.
        send(bench, "psn_2", "cardiology");
        parked(bench).len() == 2
    });
    events.push(send(&bench, PATIENT, "nephrology"));
    bench.wait("what comes later to be parked too", |bench| parked(bench).len() == 3);
    let letters = parked(&bench);
    let column =
        |name: &str| -> Vec<&str> { letters.iter().map(|row| row[name].as_str().unwrap()).collect() };
    assert_eq!(column("code"), ["STREAM-905", "STREAM-906", "STREAM-906"]);
    assert_eq!(column("event_id"), events);
    assert_eq!(told(&bench), Vec::<String>::new());

    // A part of them goes back; the patient stays parked as long as something is left.
    mail.server.set_behaviour(Behaviour::Accept);
    let replay = |bench: &Bench, more: &[&'static str]| command(bench, &[&["replay"], more].concat()).out;
    let some = replay(&bench, &["--limit", "1"]);
    assert!(some.ends_with("\n1 went back\n"), "{some}");
    bench.wait("the first to be told", |bench| told(bench) == events[..1]);
    events.push(send(&bench, PATIENT, "nephrology"));
    bench.wait("the fourth to be parked", |bench| parked(bench).len() == 4);
    let dry = replay(&bench, &["--dry-run"]);
    assert!(dry.ends_with("\n3 would go back\nparked keys would be told to flow again: 1\n"), "{dry}");
    assert_eq!(bench.read("dead-letters.replayed").len(), 1);

    // The rest goes back, and the patient flows again.
    let rest = replay(&bench, &[]);
    assert!(rest.ends_with("\n3 went back\nparked keys told to flow again: 1\n"), "{rest}");
    let at_once = replay(&bench, &[]);
    assert!(at_once.contains("\n0 went back\n"), "{at_once}");
    events.push(send(&bench, PATIENT, "nephrology"));
    bench.wait("all to be told", |bench| told(bench).len() >= events.len());
    bench.stop();
    assert!(told(&bench) == events, "in another order, or not once each");
    let mails = mail.server.messages();
    let mailed = mails.iter().filter(|mail| mail.to == ["nephrology@hospital.example"]).count();
    assert_eq!((mailed, mail.server.duplicates()), (events.len(), 0));

    // Once more changes nothing at all.
    let everything = |bench: &Bench| -> Vec<usize> {
        contracts::topics(2).iter().map(|topic| bench.read(&topic.name).len()).collect()
    };
    let before = everything(&bench);
    let again = replay(&bench, &[]);
    assert!(again.ends_with("\n0 went back\n"), "{again}");
    assert_eq!(everything(&bench), before);
    assert!(parked(&bench).iter().all(|row| row["replayed_at"].is_string()), "what went back is not marked");
    let verdict = verdict(&bench, "notify");
    // Three of the first tries, the fourth, and the release of the key.
    assert_eq!((verdict.parked, verdict.dead_lettered), (5, 0), "{verdict:?}");
}
