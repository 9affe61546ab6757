//! Reports of a small line: what they count, and that both formats say the same.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it skipped"
)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use contracts::headers::{SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC};
use jiff::{SignedDuration, Timestamp};
use replay::Content;
use serde_json::{Value, json};
use wardstream_report::{
    Block, Cell, Checked, Checkpoint, Counts, Document, Entry, Holds, Kept, Made, Period, Signature, Source,
    Table, Verification, Witness, compile, html, in_order, pdf,
};

const HOUR_MS: i64 = 3_600_000;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn period() -> Period {
    Period {
        from: time("2026-03-03T00:00:00Z"),
        to: time("2026-03-04T00:00:00Z"),
        settle: SignedDuration::from_hours(1),
    }
}

/// A record: topic, offset, hours after the begin of the period, the input that it was made of, value.
type Row = (&'static str, i64, i64, Option<(&'static str, i64)>, Value);

fn uuid(number: u64) -> String {
    format!("00000000-0000-5000-8000-{number:012x}")
}

fn sent(event: u64, notification: u64, urgency: &str, received: i64, at: i64) -> Value {
    json!({"event_id": uuid(event), "notification_id": uuid(notification), "urgency": urgency, "channel": "email",
        "received_at": received, "sent_at": at})
}

fn rows() -> Vec<Row> {
    let classified = |urgency: &str, abstained: bool| json!({"model_id": "triage", "model_version": "3", "urgency": {"label": urgency, "p": 0.9}, "abstained": abstained});
    let open = |event: u64, step: i64, unanswered: bool| json!({"event_id": uuid(event), "step": step, "unanswered": unanswered});
    vec![
        ("hl7.raw", 0, 0, None, Value::Null),
        ("hl7.raw", 1, 1, None, Value::Null),
        ("hl7.raw", 2, 23, None, Value::Null),
        // Behind the period: no input of it.
        ("hl7.raw", 3, 24, None, Value::Null),
        (
            "fhir.received",
            0,
            0,
            Some(("hl7.raw", 0)),
            json!({"facility": "HARBOR", "message_type": "ADT^A01"}),
        ),
        // Behind the period, but the fate of an input of it.
        (
            "fhir.received",
            1,
            24,
            Some(("hl7.raw", 2)),
            json!({"facility": "HARBOR", "message_type": "ADT^A01"}),
        ),
        (
            "fhir.received",
            2,
            25,
            Some(("hl7.raw", 3)),
            json!({"facility": "HARBOR", "message_type": "ADT^A01"}),
        ),
        ("ingest.dead-letter", 0, 1, Some(("hl7.raw", 1)), json!({"code": "HL7-101", "stage": "ingest"})),
        (
            "line.dropped",
            0,
            1,
            Some(("fhir.received", 0)),
            json!({"stage": "validate", "reason": "repeated"}),
        ),
        ("fhir.deidentified", 0, 1, None, json!({"redactions": {"NAME": 1200, "DATE": 34}})),
        ("triage.classified", 0, 1, None, classified("emergent", false)),
        ("triage.classified", 1, 1, None, classified("routine", true)),
        // A digest has one id and two events; one of its letters went out twice.
        ("notification.sent", 0, 1, None, sent(1, 9, "routine", 0, 250)),
        ("notification.sent", 1, 1, None, sent(2, 9, "routine", 0, 1_500)),
        ("notification.sent", 2, 1, None, sent(2, 9, "routine", 0, 1_700)),
        ("notification.held", 0, 1, None, json!({"recipient": "ward 7"})),
        ("notification.open", 0, 1, None, open(1, 0, false)),
        ("notification.open", 1, 1, None, open(1, 0, false)),
        ("notification.open", 2, 2, None, open(1, 1, false)),
        ("notification.open", 3, 3, None, open(2, 1, true)),
        (
            "notification.acknowledged",
            0,
            2,
            None,
            json!({"event_id": uuid(1), "step": 1, "acknowledged_at": 5}),
        ),
        (
            "access.events",
            0,
            2,
            None,
            json!({"operator": "d.osei@ward.example", "kind": "replay", "purpose": "HOPERAT: <b>lost</b> & Łódź"}),
        ),
    ]
}

fn counts(rows: &[Row]) -> Counts {
    let topics: BTreeSet<String> = rows.iter().map(|(topic, ..)| (*topic).to_owned()).collect();
    let mut counts = Counts::new(period(), topics.clone());
    for topic in in_order(&topics) {
        for (_, offset, hours, source, value) in rows.iter().filter(|(of, ..)| *of == topic) {
            let headers: Vec<(String, Option<Vec<u8>>)> = source.map_or(Vec::new(), |(topic, offset)| {
                let of = [
                    (SOURCE_TOPIC, topic.to_owned()),
                    (SOURCE_PARTITION, "0".to_owned()),
                    (SOURCE_OFFSET, offset.to_string()),
                ];
                of.map(|(name, value)| (name.to_owned(), Some(value.into_bytes()))).to_vec()
            });
            let content = match value {
                Value::Null => {
                    Content::Feed(b"MSH|^~\\&|ADT|HARBOR|WARD|HARBOR|20260303140000||ADT^A01^ADT_A01|C1|P|2.5.1\rPID|1||1^^^HARBOR^MR||Carter^John\r".to_vec())
                }
                value => Content::Avro(value.clone()),
            };
            counts.take(&Entry {
                topic: &topic,
                partition: 0,
                offset: *offset,
                timestamp_ms: period().from.as_millisecond() + hours * HOUR_MS,
                bytes: 1_000,
                headers: &headers,
                content: &content,
                proved: *offset < 3,
            });
        }
    }
    counts
}

fn checked(whole: bool) -> Checked {
    Checked {
        verification: Verification {
            verdict: if whole { "whole" } else { "tampered" }.to_owned(),
            whole,
            topics: 3,
            partitions: 9,
            segments: 12,
            records: 3_456,
            bytes: 7_890_123,
            checkpoints: 4,
            findings: if whole {
                Vec::new()
            } else {
                vec!["tampered: segment-altered, topic hl7.raw".to_owned()]
            },
            omitted: 0,
        },
        checkpoint: Checkpoint {
            origin: "ward.example/audit".to_owned(),
            size: 12,
            root: "ab".repeat(32),
            time: time("2026-03-04T02:00:00Z"),
            note: "ward.example/audit\n12\nq6urq6s=\n\n— ward.example/audit 0zz\n".to_owned(),
            signatures: vec![Signature {
                name: "ward.example/audit".to_owned(),
                id: "0a0b0c0d".to_owned(),
                verified: true,
            }],
            kept: vec!["kept elsewhere".to_owned()],
            witness: Some(Witness { file: "w.pub".to_owned(), key: "w.example+1+x".to_owned() }),
        },
        kept: vec![Kept {
            topic: "hl7.raw".to_owned(),
            segments: 12,
            records: 3_456,
            from: time("2033-03-03T00:00:00Z"),
            to: time("2033-03-04T00:00:00Z"),
        }],
        holds: Holds::Of(1, 12),
    }
}

fn document(checked: &Checked, counts: Option<&Counts>) -> Document {
    let made = Made {
        at: time("2026-03-05T08:00:00Z"),
        operator: "a.auditor@firm.example".to_owned(),
        purpose: "HCOMPL: yearly audit".to_owned(),
        version: "wardstream 0".to_owned(),
    };
    let source = Source {
        bundle: "s3://wardstream-audit".to_owned(),
        endpoint: None,
        region: None,
        keys: "checkpoint.keys".to_owned(),
        unproven: false,
    };
    compile(&made, &source, &period(), checked, counts, |code| Some(format!("meaning of {code}")))
}

fn tables(document: &Document) -> impl Iterator<Item = &Table> {
    document.sections.iter().flat_map(|section| &section.blocks).filter_map(|block| match block {
        Block::Table(table) => Some(table),
        _ => None,
    })
}

/// The rows of the table with this caption, as they are shown.
fn shown(document: &Document, caption: &str) -> Vec<String> {
    let table = tables(document).find(|table| table.caption == caption);
    let rows = &table.unwrap_or_else(|| panic!("no table {caption}")).rows;
    rows.iter().map(|row| row.iter().map(Cell::shown).collect::<Vec<_>>().join(" | ")).collect()
}

#[test]
fn what_is_counted_is_what_is_there() {
    let document = document(&checked(true), Some(&counts(&rows())));
    let shown = |caption: &str| shown(&document, caption);
    let tiles: Vec<_> = document.tiles.iter().map(|tile| (tile.what.as_str(), tile.number)).collect();
    assert_eq!(
        tiles,
        [
            ("messages received", 3),
            ("events judged", 2),
            ("notifications sent", 3),
            ("dead letters", 1),
            ("identifiers removed", 1_234),
            ("accesses to the log", 1),
        ]
    );
    assert_eq!(
        shown("Messages received over time (UTC)"),
        ["2026-03-03 00:00 | 1", "2026-03-03 01:00 | 1", "2026-03-03 23:00 | 1"]
    );
    assert_eq!(shown("Messages received, by feed"), ["hl7.raw | ADT^A01 | 3 | 3,000"]);
    assert_eq!(shown("Bundles made of them, by facility"), ["HARBOR | ADT^A01 | 1 | 1,000"]);
    // Offset 1 is a dead letter, offset 2 was emitted behind the period.
    assert_eq!(
        shown("Inputs of each stage, and their fates"),
        [
            "ingest | 3 | 2 | 0 | 1 | 0 | 0 | 0",
            "validate | 1 | 0 | 1 | 0 | 0 | 0 | 0",
            "classify | 1 | 0 | 0 | 0 | 0 | 1 | 0",
            "summarize | 2 | 0 | 0 | 0 | 0 | 2 | 0",
        ]
    );
    assert_eq!(shown("Let go on purpose, by reason"), ["validate | repeated | 1"]);
    assert_eq!(shown("Dead letters"), ["ingest.dead-letter | HL7-101 | 1 | meaning of HL7-101"]);
    assert_eq!(shown("Identifiers removed"), ["NAME | 1,200", "DATE | 34"]);
    assert_eq!(shown("Models in use"), ["triage | 3 | 2"]);
    assert_eq!(shown("Judgements"), ["emergent | decided | 1", "routine | left to a person | 1"]);
    assert_eq!(shown("Notifications"), ["routine | email | 3"]);
    assert_eq!(shown("Repetitions"), ["sent more than once | 1"]);
    assert_eq!(
        shown("Latency in milliseconds"),
        ["routine | 3 | 1,500 | 1,700 | 1,700 | 1,700", "all | 3 | 1,500 | 1,700 | 1,700 | 1,700"]
    );
    assert_eq!(shown("Held for a digest or the end of quiet hours"), ["ward 7 | 1"]);
    assert_eq!(
        shown("Escalation and acknowledgement"),
        ["acknowledged, step 1 | 1", "told, step 0 | 1", "told, step 1 | 1", "unanswered | 1"]
    );
    assert_eq!(shown("Accesses"), ["d.osei@ward.example | replay | HOPERAT: <b>lost</b> & Łódź | 1"]);
    let all: u64 = rows().iter().filter(|(_, _, hours, ..)| *hours < 24).count() as u64;
    let by_topic = tables(&document).find(|table| table.caption.starts_with("Every record")).unwrap();
    let sum: i64 = by_topic
        .rows
        .iter()
        .filter_map(|row| if let Cell::Number(n) = row[1] { Some(n) } else { None })
        .sum();
    assert_eq!(sum.unsigned_abs(), all);
}

#[test]
fn each_number_has_the_command_that_gives_it() {
    let document = document(&checked(true), Some(&counts(&rows())));
    for tile in &document.tiles {
        assert!(tile.command.starts_with("log --topic "), "{}: {}", tile.what, tile.command);
    }
    for table in tables(&document) {
        let has_numbers = table.rows.iter().flatten().any(|cell| matches!(cell, Cell::Number(_)));
        assert!(!has_numbers || !table.commands.is_empty(), "{} has no command", table.caption);
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{}", table.caption);
    }
}

#[test]
fn nothing_is_counted_of_a_log_that_is_not_whole() {
    let document = document(&checked(false), None);
    assert!(!document.verdict.1 && document.verdict.0.contains("tampered"), "{:?}", document.verdict);
    assert!(document.tiles.is_empty() && shown(&document, "Findings")[0].contains("segment-altered"));
    assert!(!tables(&document).any(|table| table.caption.starts_with("Messages received")));
    assert!(html::render(&document).contains("verdict bad"));
}

#[test]
fn an_empty_period_makes_a_report_too() {
    let document = document(&checked(true), Some(&counts(&[])));
    assert!(document.tiles.iter().all(|tile| tile.number == 0));
    let page = html::render(&document);
    assert!(!page.contains("<figure>"), "a chart of nothing");
    assert!(pdf::render(&document).starts_with(b"%PDF-"));
}

/// All text, without what is only layout.
fn words(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn both_formats_have_every_cell() {
    let document = document(&checked(true), Some(&counts(&rows())));
    let page = html::render(&document);
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() };
    let parsed = roxmltree::Document::parse_with_options(&page, options).unwrap();
    assert!(page.contains("HOPERAT: &lt;b&gt;lost&lt;/b&gt; &amp; Łódź") && !page.contains("<b>lost"));
    let ids: Vec<&str> = parsed.descendants().filter_map(|node| node.attribute("id")).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "ids are unique: {ids:?}");
    for link in parsed.descendants().filter_map(|node| node.attribute("href")) {
        assert!(ids.contains(&link.trim_start_matches('#')), "{link} leads nowhere");
    }
    assert!(!page.contains("src=") && !page.contains("@import"), "the page needs nothing else");
    let text: String =
        parsed.descendants().filter_map(|node| node.text().filter(|_| node.is_text())).collect();
    let mut texts = vec![words(&text)];
    texts.extend(pdf_text(&pdf::render(&document)).map(|text| words(&text)));
    for (at, text) in texts.iter().enumerate() {
        // A block of lines is lines in both.
        for line in ["records() {", "ward.example/audit", "q6urq6s="] {
            assert!(text.contains(&words(line)) && !text.contains("U+000A"), "format {at}: {line}");
        }
        for table in tables(&document) {
            assert!(text.contains(&words(&table.caption)), "format {at}: {}", table.caption);
            for cell in table.rows.iter().flatten().filter(|cell| !cell.shown().is_empty()) {
                // A cell of several lines is read across the row, so each word is looked for by itself; the PDF's fonts lack some letters.
                let shown = cell.shown().replace("Łódź", if at == 0 { "Łódź" } else { "U+0141ódU+017A" });
                for word in shown.split_whitespace().filter(|word| word.len() < 30) {
                    assert!(text.contains(word), "format {at}: {word} of {shown}");
                }
            }
        }
    }
}

/// What Poppler reads of a PDF; nothing where it is not installed.
fn pdf_text(pdf: &[u8]) -> Option<String> {
    let child = Command::new("pdftotext")
        .args(["-layout", "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("skipped: pdftotext is not installed, so no other program read the PDF");
        return None;
    };
    child.stdin.take().unwrap().write_all(pdf).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}
