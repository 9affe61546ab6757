//! The runtime on real brokers: Apache Kafka, and the in-process one that `standalone` embeds.
//!
//! `WARDSTREAM_KAFKA_LIBS` names Kafka's jars (`make test` fetches them); without it each test of Apache Kafka says
//! in one line that it was skipped.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it skipped"
)]

mod harness;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use harness::{Broker, Member, read_all};
use wardstream_stream::{Context, Delivery, Fate, Incoming, Outgoing, Reject, Stage, Unavailable};

/// Copies each record, one output an input, upper case.
struct Copy;

impl Stage for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn process(&self, record: &Incoming, _context: &Context) -> Result<Fate, Unavailable> {
        let value = record.value.clone().unwrap_or_default().to_ascii_uppercase();
        Ok(Fate::Emit(vec![Outgoing::new("out", record.key.clone(), value)]))
    }
}

fn every_input_once_and_in_order(records: &[Incoming], inputs: usize) {
    let mut by_key: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
    for record in records {
        let number = std::str::from_utf8(record.value.as_deref().unwrap()).unwrap()[1..].parse().unwrap();
        by_key.entry(record.key.clone().unwrap()).or_default().push(number);
    }
    assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), inputs, "each input has one output");
    for numbers in by_key.values() {
        assert!(numbers.is_sorted_by(|a, b| a < b), "order within a key");
    }
}

fn copies_everything_across_restarts(broker: &Broker, delivery: Delivery) {
    broker.create(&[("in", 3), ("out", 3)]);
    broker.publish("in", (0..500).map(|n| (format!("k{}", n % 17), format!("v{n}"))));
    let first = Member::start(broker, Copy, &["in"], delivery);
    broker.wait_for("out", 200);
    first.stop().unwrap();
    broker.publish("in", (500..1000).map(|n| (format!("k{}", n % 17), format!("v{n}"))));
    let second = Member::start(broker, Copy, &["in"], delivery);
    broker.wait_for("out", 1000);
    second.stop().unwrap();
    every_input_once_and_in_order(&read_all(broker, "out"), 1000);
}

#[test]
fn restarts_lose_and_repeat_nothing_on_kafka() {
    let Some(broker) = Broker::kafka() else { return };
    copies_everything_across_restarts(&broker, Delivery::Transactional);
}

#[test]
fn restarts_lose_and_repeat_nothing_on_the_embedded_broker() {
    let broker = Broker::embedded();
    copies_everything_across_restarts(&broker, Delivery::LineageGuarded);
}

#[test]
fn members_share_the_partitions_and_take_over_on_kafka() {
    let Some(broker) = Broker::kafka() else { return };
    broker.create(&[("in", 4), ("out", 4)]);
    broker.publish("in", (0..2000).map(|n| (format!("k{}", n % 23), format!("v{n}"))));
    let first = Member::start(&broker, Copy, &["in"], Delivery::Transactional);
    broker.wait_for("out", 100);
    let second = Member::start(&broker, Copy, &["in"], Delivery::Transactional);
    broker.publish("in", (2000..4000).map(|n| (format!("k{}", n % 23), format!("v{n}"))));
    broker.wait_for("out", 2500);
    first.stop().unwrap();
    broker.publish("in", (4000..5000).map(|n| (format!("k{}", n % 23), format!("v{n}"))));
    broker.wait_for("out", 5000);
    second.stop().unwrap();
    every_input_once_and_in_order(&read_all(&broker, "out"), 5000);
}

/// Dead-letters what begins with `x`, drops what begins with `d`, panics on `p`, waits for a dependency on `w`.
#[derive(Clone, Default)]
struct Sort {
    waits: Arc<AtomicU32>,
    panics: Arc<AtomicU32>,
}

impl Stage for Sort {
    fn name(&self) -> &'static str {
        "ingest"
    }

    fn process(&self, record: &Incoming, _context: &Context) -> Result<Fate, Unavailable> {
        let value = record.value.clone().unwrap_or_default();
        match value.first() {
            Some(b'x') => Ok(Reject::new("TEST-1", "begins with x").at("byte 0").into()),
            Some(b'd') => Ok(Fate::Drop("begins-with-d")),
            Some(b'p') => {
                self.panics.fetch_add(1, Ordering::SeqCst);
                panic!("a defect");
            }
            Some(b'w') if self.waits.fetch_add(1, Ordering::SeqCst) < 3 => {
                Err(Unavailable { dependency: "smtp", detail: "refused".to_owned() })
            }
            _ => Ok(Fate::Emit(vec![
                Outgoing::new("out", record.key.clone(), value.clone()),
                Outgoing::new("out", record.key.clone(), value),
            ])),
        }
    }
}

fn fates(broker: &Broker, delivery: Delivery) {
    broker.create(&[("in", 1), ("out", 1), ("ingest.dead-letter", 1), ("line.dropped", 1)]);
    let values = ["v1", "x1", "d1", "p1", "w1", "v2"];
    broker.publish("in", values.iter().map(|value| ("k".to_owned(), (*value).to_owned())));
    let stage = Sort::default();
    let member = Member::start(broker, stage.clone(), &["in"], delivery);
    broker.wait_for("out", 6);
    let letters = broker.wait_for("ingest.dead-letter", 2);
    let dropped = broker.wait_for("line.dropped", 1);
    let codec = member.codec();
    member.stop().unwrap();
    let letters: Vec<contracts::DeadLetter> =
        letters.iter().map(|letter| codec.decode(letter.value.as_deref()).unwrap()).collect();
    assert_eq!(
        letters.iter().map(|letter| (letter.code.as_str(), letter.source_offset)).collect::<Vec<_>>(),
        [("TEST-1", 1), ("STREAM-901", 3)]
    );
    assert_eq!(letters[0].value.as_deref(), Some(b"x1".as_slice()), "the original bytes");
    assert_eq!(letters[0].location.as_deref(), Some("byte 0"));
    assert_eq!(stage.panics.load(Ordering::SeqCst), 3, "tried as often as configured");
    assert_eq!(stage.waits.load(Ordering::SeqCst), 4, "waited in place, not given up");
    let dropped: contracts::Dropped = codec.decode(dropped[0].value.as_deref()).unwrap();
    assert_eq!((dropped.reason.as_str(), dropped.source_offset), ("begins-with-d", 2));
    let out = read_all(broker, "out");
    let lineage: Vec<_> = out
        .iter()
        .map(|record| {
            (
                record.header("ws-source-offset").unwrap().to_owned(),
                record.header("ws-output-index").unwrap().to_owned(),
            )
        })
        .collect();
    let expected: Vec<_> = [0, 4, 5]
        .iter()
        .flat_map(|offset| [(offset.to_string(), "0".to_owned()), (offset.to_string(), "1".to_owned())])
        .collect();
    assert_eq!(lineage, expected, "outputs in the order of the inputs, a wait included");
}

#[test]
fn each_input_has_its_fate_on_kafka() {
    let Some(broker) = Broker::kafka() else { return };
    fates(&broker, Delivery::Transactional);
}

#[test]
fn each_input_has_its_fate_on_the_embedded_broker() {
    fates(&Broker::embedded(), Delivery::LineageGuarded);
}

#[test]
fn a_broker_that_is_killed_and_comes_back_costs_nothing() {
    let Some(mut broker) = Broker::kafka() else { return };
    broker.create(&[("in", 2), ("out", 2)]);
    broker.publish("in", (0..500).map(|n| (format!("k{}", n % 5), format!("v{n}"))));
    let member = Member::start(&broker, Copy, &["in"], Delivery::Transactional);
    broker.wait_for("out", 100);
    broker.kill_and_resume();
    broker.publish("in", (500..1000).map(|n| (format!("k{}", n % 5), format!("v{n}"))));
    broker.wait_for("out", 1000);
    member.stop().unwrap();
    every_input_once_and_in_order(&read_all(&broker, "out"), 1000);
}

/// Reading a topic as state ends at its end, control records of transactions or not, and goes on there.
fn reads_to_the_end_again_and_again(broker: &Broker, delivery: Delivery) {
    broker.create(&[("in", 1), ("out", 3)]);
    let table = wardstream_stream::Table::new("out", None, &broker.config(delivery)).unwrap();
    assert_eq!(table.catch_up(|_| panic!("it is empty")).unwrap(), 0);
    let member = Member::start(broker, Copy, &["in"], delivery);
    let mut seen = 0;
    for round in 1..=3 {
        broker.publish("in", (0..50).map(|n| (format!("k{}", n % 7), format!("v{n}"))));
        broker.wait_for("out", 50 * round);
        seen += table.catch_up(|_| ()).unwrap();
        assert_eq!(seen, 50 * round as u64);
        assert_eq!(table.catch_up(|_| panic!("nothing is new")).unwrap(), 0);
    }
    member.stop().unwrap();
}

#[test]
fn a_table_ends_at_the_end_on_kafka() {
    let Some(broker) = Broker::kafka() else { return };
    reads_to_the_end_again_and_again(&broker, Delivery::Transactional);
}

#[test]
fn a_table_ends_at_the_end_on_the_embedded_broker() {
    reads_to_the_end_again_and_again(&Broker::embedded(), Delivery::LineageGuarded);
}

/// Copies from one topic to the next.
struct Hop {
    name: &'static str,
    to: &'static str,
}

impl Stage for Hop {
    fn name(&self) -> &'static str {
        self.name
    }

    fn process(&self, record: &Incoming, _context: &Context) -> Result<Fate, Unavailable> {
        Ok(Fate::Emit(vec![Outgoing::new(
            self.to,
            record.key.clone(),
            record.value.clone().unwrap_or_default(),
        )]))
    }
}

#[test]
fn one_trace_and_one_event_id_follow_a_record_through_the_stages() {
    let broker = Broker::embedded();
    broker.create(&[("in", 2), ("middle", 2), ("out", 2)]);
    let first =
        Member::start(&broker, Hop { name: "first", to: "middle" }, &["in"], Delivery::LineageGuarded);
    let second =
        Member::start(&broker, Hop { name: "second", to: "out" }, &["middle"], Delivery::LineageGuarded);
    broker.publish("in", (0..20).map(|n| (format!("k{n}"), format!("v{n}"))));
    broker.wait_for("out", 20);
    first.stop().unwrap();
    second.stop().unwrap();
    let identity = |record: &Incoming| {
        let trace = record.header("traceparent").unwrap().split('-').nth(1).unwrap().to_owned();
        let received = record.header("ws-received-at").unwrap().to_owned();
        (record.value.clone(), (trace, record.header("ws-event-id").unwrap().to_owned(), received))
    };
    let middle: BTreeMap<_, _> = read_all(&broker, "middle").iter().map(identity).collect();
    let out: BTreeMap<_, _> = read_all(&broker, "out").iter().map(identity).collect();
    assert_eq!(middle, out);
    let traces: std::collections::BTreeSet<_> = out.values().map(|(trace, _, _)| trace).collect();
    assert_eq!(traces.len(), 20, "each record has a trace of its own");
}
