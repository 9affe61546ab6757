//! `report` on a log with records of every kind, and every command that it names.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use contracts::headers::{EVENT_ID, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC};
use contracts::{
    ACCESS_EVENTS, AccessEvent, DeadLetter, Dropped, EventId, FhirDeidentified, FhirReceived, Label,
    NotificationAcknowledged, NotificationHeld, NotificationOpen, NotificationSent, SpecialtyLabel,
    TriageClassified,
};
use roxmltree::{Document, Node, ParsingOptions};
use worm_log::testing::{Bundle, Tampering, copy};
use worm_log::{
    Appended, Context, Limits, LocalStore, Record, SegmentBuilder, Sequencer, SequencerConfig, SigningKey,
    VerifyingKeys, Written,
};

use crate::kafka::{Bench, Ran};
use crate::{DAMAGED, GOOD, SHAPE};

const RETENTION: i64 = 3_600;
const FROM: &str = "2026-09-21T00:00:00Z";
const TO: &str = "2026-09-22T00:00:00Z";
const OPERATOR: &str = "a.auditor@firm.example";
const EVENTS: i64 = 12;

/// Topic, record's value, minutes after the begin, the input that it was made of.
struct Row(&'static str, Option<Vec<u8>>, i64, Option<(&'static str, i64)>);

fn label(at: i64) -> Label {
    Label { label: ["emergent", "urgent", "routine"][at as usize % 3].to_owned(), p: 0.75 }
}

fn id(at: i64) -> String {
    EventId::at("hl7.raw", 0, at).to_string()
}

/// A line's day. The last messages come so late that their fates are behind it, or nowhere.
fn rows(bench: &Bench) -> Vec<Row> {
    let mut rows = Vec::new();
    for at in 0..EVENTS {
        let minutes = at * 130;
        rows.push(Row(
            "hl7.raw",
            Some(if at == 3 { DAMAGED } else { GOOD }.as_bytes().to_vec()),
            minutes,
            None,
        ));
        if at == 3 {
            let letter = letter(at);
            rows.push(Row(
                "ingest.dead-letter",
                Some(bench.encoded("ingest.dead-letter", &letter)),
                minutes,
                Some(("hl7.raw", at)),
            ));
        } else if at == 10 {
            // Still on its way.
        } else {
            rows.push(Row(
                "fhir.received",
                Some(bench.encoded("fhir.received", &received(at))),
                minutes + 20,
                Some(("hl7.raw", at)),
            ));
        }
    }
    for at in 0..6 {
        rows.push(Row(
            "line.dropped",
            Some(bench.encoded("line.dropped", &dropped(at))),
            600 + at,
            Some(("fhir.received", at)),
        ));
        rows.push(Row(
            "fhir.deidentified",
            Some(bench.encoded("fhir.deidentified", &deidentified(at))),
            601 + at,
            None,
        ));
        rows.push(Row(
            "triage.classified",
            Some(bench.encoded("triage.classified", &classified(at))),
            602 + at,
            Some(("fhir.deidentified", at)),
        ));
        rows.push(Row(
            "notification.sent",
            Some(bench.encoded("notification.sent", &sent(at))),
            603 + at,
            None,
        ));
        rows.push(Row(
            "notification.open",
            Some(bench.encoded("notification.open", &open(at))),
            604 + at,
            None,
        ));
        rows.push(Row(
            "notification.held",
            Some(bench.encoded("notification.held", &held(at))),
            605 + at,
            None,
        ));
    }
    rows.push(Row("notification.open", None, 700, None));
    let acknowledged = NotificationAcknowledged { event_id: id(1), step: 1, acknowledged_at: 5 };
    rows.push(Row(
        "notification.acknowledged",
        Some(bench.encoded("notification.acknowledged", &acknowledged)),
        701,
        None,
    ));
    for at in 0..3 {
        rows.push(Row(ACCESS_EVENTS, Some(bench.encoded(ACCESS_EVENTS, &access(at))), 800 + at, None));
    }
    rows
}

fn letter(at: i64) -> DeadLetter {
    DeadLetter {
        stage: "ingest".to_owned(),
        code: "HL7-105".to_owned(),
        reason: "a segment's name is broken".to_owned(),
        location: None,
        outcome: None,
        event_id: id(at),
        source_topic: "hl7.raw".to_owned(),
        source_partition: 0,
        source_offset: at,
        key: None,
        value: Some(DAMAGED.as_bytes().to_vec()),
        headers: Vec::new(),
        attempts: 1,
        failed_at: 1,
    }
}

fn received(at: i64) -> FhirReceived {
    FhirReceived {
        event_id: id(at),
        facility: if at % 4 == 0 { "HARBOR" } else { "NORTH END" }.to_owned(),
        message_type: "ADT^A01".to_owned(),
        received_at: at,
        control_id: format!("C{at}"),
        bundle: "{}".to_owned(),
        unmapped: Vec::new(),
    }
}

fn dropped(at: i64) -> Dropped {
    Dropped {
        stage: "validate".to_owned(),
        reason: if at < 2 { "repeated message" } else { "outdated" }.to_owned(),
        event_id: id(at),
        source_topic: "fhir.received".to_owned(),
        source_partition: 0,
        source_offset: at,
    }
}

fn deidentified(at: i64) -> FhirDeidentified {
    FhirDeidentified {
        event_id: id(at),
        facility: "F-1".to_owned(),
        message_type: "ADT^A01".to_owned(),
        received_at: at,
        pseudonym: Some("p".to_owned()),
        bundle: "{}".to_owned(),
        redactions: BTreeMap::from([
            ("NAME".to_owned(), 400),
            ("DATE".to_owned(), if at > 2 { 7 } else { 1 }),
        ]),
    }
}

fn classified(at: i64) -> TriageClassified {
    TriageClassified {
        event_id: id(at),
        facility: "F-1".to_owned(),
        message_type: "ADT^A01".to_owned(),
        received_at: at,
        pseudonym: None,
        bundle: "{}".to_owned(),
        urgency: label(at),
        specialty: SpecialtyLabel { label: "cardiology".to_owned(), p: 0.5, second: None },
        document_type: label(at),
        abstained: at % 4 == 0,
        reasons: Vec::new(),
        model_id: "triage".to_owned(),
        model_version: if at < 4 { "1" } else { "2" }.to_owned(),
    }
}

fn sent(at: i64) -> NotificationSent {
    NotificationSent {
        event_id: id(at % 5),
        facility: "F-1".to_owned(),
        message_type: "ADT^A01".to_owned(),
        received_at: 1_000,
        notification_id: id(100 + at % 5 / 2),
        channel: if at == 1 { "sms" } else { "email" }.to_owned(),
        message_id: "m".to_owned(),
        recipients: vec!["ward".to_owned()],
        urgency: label(at).label,
        specialty: "cardiology".to_owned(),
        sent_at: 1_000 + at * at * 333,
    }
}

fn open(at: i64) -> NotificationOpen {
    let step = i32::from(at > 3);
    NotificationOpen {
        event_id: id(at % 3),
        step,
        opened_at: 1,
        due_at: 2,
        unanswered: at == 5,
        event: Vec::new(),
    }
}

fn held(at: i64) -> NotificationHeld {
    let recipient = if at == 0 { "desk" } else { "ward 7" }.to_owned();
    NotificationHeld { event_id: id(at), recipient, due_at: 1, event: Vec::new() }
}

fn access(at: i64) -> AccessEvent {
    AccessEvent {
        access_id: id(at),
        recorded_at: 1,
        kind: "replay".to_owned(),
        operator: "d.osei@ward.example".to_owned(),
        role: None,
        purpose: if at == 0 { "HOPERAT: <lost> & found" } else { "PATRQT" }.to_owned(),
        source: "s3://x".to_owned(),
        query: "topic=hl7.raw".to_owned(),
        audit_event: "{}".to_owned(),
    }
}

fn record(topic: &str, offset: i64, Row(_, value, minutes, source): Row) -> Record {
    let begin = FROM.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let header = |name: &str, value: String| (name.to_owned(), Some(value.into_bytes()));
    let mut headers = Vec::new();
    if let Some((of, at)) = source {
        headers = vec![
            header(EVENT_ID, id(at)),
            header(SOURCE_TOPIC, of.to_owned()),
            header(SOURCE_PARTITION, "0".to_owned()),
            header(SOURCE_OFFSET, at.to_string()),
        ];
    }
    let key = Some(b"HARBOR|00482913".to_vec());
    Record {
        topic: topic.to_owned(),
        partition: 0,
        offset,
        timestamp_ms: begin + minutes * 60_000,
        key,
        value,
        headers,
    }
}

/// Writes the log to a folder: each topic in segments of five records, all under checkpoints.
async fn write(folder: &Path, key: &SigningKey, rows: Vec<Row>) {
    let store = LocalStore::open(folder).unwrap();
    let config =
        SequencerConfig { key: key.clone(), keys: VerifyingKeys::default(), retention_seconds: RETENTION };
    let mut sequencer = Sequencer::open(store.clone(), config).await.unwrap();
    let now = jiff::Timestamp::now();
    let mut topics: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    rows.into_iter().for_each(|row| topics.entry(row.0).or_default().push(row));
    let mut segments = 0;
    for (topic, rows) in topics {
        let mut previous = None;
        let records: Vec<_> = (0..).zip(rows).map(|(offset, row)| record(topic, offset, row)).collect();
        for part in records.chunks(5) {
            let mut builder = SegmentBuilder::new(topic, 0, part[0].offset, Limits::default()).unwrap();
            part.iter().for_each(|record| builder.push(record, 0).unwrap());
            let context = Context {
                writer_version: "test".to_owned(),
                retain_until: jiff::Timestamp::from_second(now.as_second() + RETENTION).unwrap(),
                prev_manifest_sha256: previous,
            };
            let sealed = builder.finish(part[0].offset + part.len() as i64, &context).unwrap();
            assert_eq!(worm_log::write(&store, &sealed).await.unwrap(), Written::Created);
            previous = Some(sealed.manifest_sha256);
            assert_eq!(sequencer.append(&sealed.manifest).await.unwrap(), Appended::Taken);
            segments += 1;
            sequencer.checkpoint(now.as_millisecond(), segments).await.unwrap();
        }
    }
}

fn report(bench: &Bench, here: &Path, bundle: &str, more: &[&str]) -> Ran {
    let words = [
        "report",
        "--bundle",
        bundle,
        "--keys",
        "log.keys",
        "--from",
        FROM,
        "--to",
        TO,
        "--operator",
        OPERATOR,
    ];
    let words = [&words[..], more].concat();
    bench.shell(&format!("wardstream {}", words.join(" ")), here, &[])
}

#[test]
fn a_report_is_what_its_commands_print() {
    let Some(bench) = Bench::start() else { return };
    bench.apply(&SHAPE);
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let key = SigningKey::parse(&SigningKey::generate("ward.example/audit").unwrap()).unwrap();
    fs::write(here.join("log.keys"), key.verifying_key()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(write(&here.join("log"), &key, rows(&bench)));

    what_is_missing_is_told_before_anything_is_read(&bench, here);
    let ran = report(&bench, here, "log", &["--purpose", "HCOMPL", "--out", "day"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.starts_with("day.html and day.pdf: The log is whole"), "{}", ran.out);
    let [access] = &accesses(&bench)[..] else { panic!("{:?}", accesses(&bench)) };
    assert_eq!(
        (access.kind.as_str(), access.operator.as_str(), access.purpose.as_str()),
        ("report", OPERATOR, "HCOMPL")
    );
    assert_eq!(access.query, "from=2026-09-21T00%3A00%3A00Z&to=2026-09-22T00%3A00%3A00Z");
    assert!(fs::read(here.join("day.pdf")).unwrap().starts_with(b"%PDF-1."));
    let page = fs::read_to_string(here.join("day.html")).unwrap();
    for name in ["Carter", "00482913"] {
        assert!(!page.contains(name), "a name is in the report");
    }
    each_command_prints_its_numbers(&bench, here, &page);
    a_log_that_is_not_whole_is_not_counted(&bench, here, &key);
}

fn accesses(bench: &Bench) -> Vec<AccessEvent> {
    bench.read(ACCESS_EVENTS).iter().map(|record| bench.decoded(record)).collect()
}

fn what_is_missing_is_told_before_anything_is_read(bench: &Bench, here: &Path) {
    let refused = |more: &[&str], what: &str| {
        let ran = report(bench, here, "log", more);
        assert_eq!((ran.code, ran.err.contains(what)), (64, true), "{more:?}: {}", ran.err);
    };
    refused(&["--out", "day"], "--purpose");
    refused(&["--purpose", "HCOMPL"], "--out");
    fs::write(here.join("there.pdf"), "").unwrap();
    refused(&["--purpose", "HCOMPL", "--out", "there"], "there.pdf is there already");
    refused(&["--purpose", "HCOMPL", "--out", "no/folder"], "no is no folder");
    refused(&["--purpose", "HCOMPL", "--out", "day", "--witness", "w"], "--checkpoint");
    let reversed = [
        "wardstream report --bundle log --keys log.keys --operator o --purpose p --out day --from",
        TO,
        "--to",
        FROM,
    ];
    let ran = bench.shell(&reversed.join(" "), here, &[]);
    assert_eq!((ran.code, ran.err.contains("--from must be before --to")), (64, true), "{}", ran.err);
    let away = "WARDSTREAM_REGISTRY__URL=http://127.0.0.1:1 wardstream report --bundle log --keys log.keys --operator o --purpose p";
    let ran = bench.shell(&format!("{away} --from {FROM} --to {TO} --out day"), here, &[]);
    assert_eq!(ran.code, 69, "{}", ran.err);
    assert_eq!(accesses(bench), []);
    assert!(!here.join("day.html").exists());
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

fn with_class<'d>(node: Node<'d, 'd>, class: &str) -> Vec<Node<'d, 'd>> {
    node.descendants().filter(|node| node.attribute("class") == Some(class)).collect()
}

/// Words in any order, since `uniq -c` has the number before.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    words.sort();
    words
}

fn each_command_prints_its_numbers(bench: &Bench, here: &Path, page: &str) {
    if bench.shell("jq --version", here, &[]).code != 0 {
        println!("skipped: jq is not installed, so the report's commands did not run");
        return;
    }
    let document =
        Document::parse_with_options(page, ParsingOptions { allow_dtd: true, ..ParsingOptions::default() })
            .unwrap();
    let root = document.root_element();
    let setup = text(root.descendants().rfind(|node| node.has_tag_name("pre")).unwrap());
    let who = [("OPERATOR", OPERATOR), ("PURPOSE", "HCOMPL")];
    let run = |command: &str| {
        let ran = bench.shell(&format!("{setup}\n{command}"), here, &who);
        assert_eq!(ran.code, 0, "{command}\n{}{}", ran.out, ran.err);
        ran.out
    };
    let number = |text: &str| text.replace(',', "");
    let tiles = with_class(root, "tile");
    assert_eq!(tiles.len(), 6);
    for tile in tiles {
        let shown = number(&text(tile.children().find(|node| node.has_tag_name("b")).unwrap()));
        let command = text(with_class(tile, "command")[0]);
        assert_eq!(run(&command).trim(), shown, "{command}");
    }
    let mut compared = 0;
    for wide in with_class(root, "wide") {
        let caption = text(wide.descendants().find(|node| node.has_tag_name("caption")).unwrap());
        let columns: Vec<String> =
            wide.descendants().filter(|node| node.has_tag_name("th")).map(text).collect();
        let body = wide.descendants().find(|node| node.has_tag_name("tbody")).unwrap();
        let rows: Vec<Vec<Node<'_, '_>>> = body
            .children()
            .filter(Node::is_element)
            .map(|row| {
                row.children()
                    .filter(|cell| cell.is_element() && cell.attribute("class") != Some("remark"))
                    .collect()
            })
            .collect();
        let shown = |cell: &Node<'_, '_>| {
            if cell.attribute("class") == Some("n") { number(&text(*cell)) } else { text(*cell) }
        };
        let commands: Vec<String> = with_class(wide, "command").into_iter().map(text).collect();
        match &commands[..] {
            [] => assert_eq!(caption, "Its signatures"),
            [command] if columns[0] != "stage" || caption.starts_with("Let go") => {
                let rows: Vec<Vec<String>> = rows
                    .iter()
                    .filter(|row| !row.is_empty())
                    .map(|row| words(&row.iter().map(&shown).collect::<Vec<_>>().join(" ")))
                    .collect();
                // A table of the program has headings.
                let mut printed: Vec<Vec<String>> = run(command).lines().map(words).collect();
                if command.contains("--by ") {
                    printed.remove(0);
                }
                assert_eq!(printed.len(), rows.len(), "{caption}: {command}\n{printed:?}\n{rows:?}");
                for row in rows {
                    assert!(printed.contains(&row), "{caption}: {row:?} is not in {printed:?}");
                }
            }
            commands => {
                assert_eq!(commands.len(), rows.len(), "{caption}: a command a row");
                for (row, command) in rows.iter().zip(commands) {
                    let printed: Vec<Vec<String>> = run(command).lines().map(words).collect();
                    for (column, cell) in columns.iter().zip(row).skip(1) {
                        let there = printed.contains(&words(&format!("{column} {}", shown(cell))));
                        let none = shown(cell) == "0" && !printed.iter().any(|line| line.contains(column));
                        assert!(there || none, "{caption}: {column} {} is not in {printed:?}", shown(cell));
                    }
                }
            }
        }
        compared += commands.len();
    }
    assert!(compared > 20, "{compared}");
    // The latest message found its fate behind the period, and one found none.
    assert!(
        page.contains("<td>ingest</td><td class=\"n\">12</td><td class=\"n\">10</td>"),
        "fates behind the period count"
    );
}

fn a_log_that_is_not_whole_is_not_counted(bench: &Bench, here: &Path, key: &SigningKey) {
    copy(&here.join("log"), &here.join("altered")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bundle = Bundle::open(here.join("altered")).unwrap();
    runtime.block_on(bundle.tamper(Tampering::FlipByte, key, &mut |of| of - 1)).unwrap();
    let ran = report(bench, here, "altered", &["--purpose", "HCOMPL", "--out", "altered-day"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("The log is tampered. Nothing was counted"), "{}", ran.out);
    let page = fs::read_to_string(here.join("altered-day.html")).unwrap();
    assert!(page.contains("segment-altered") && !page.contains("messages received"));
}
