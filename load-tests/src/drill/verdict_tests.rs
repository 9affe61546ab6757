//! The judge finds what a drill is there to find.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// A record of a line without a fault.
#[derive(Clone, Debug)]
struct Record {
    topic: &'static str,
    partition: i32,
    offset: i64,
    key: String,
    at: i64,
    source: Option<(&'static str, i32, i64, u32, i64)>,
}

impl Record {
    fn entry(&self) -> Entry<'_> {
        Entry {
            topic: self.topic,
            partition: self.partition,
            offset: self.offset,
            key: Some(self.key.as_bytes()),
            timestamp_ms: self.at,
            source: self.source.map(|(topic, partition, offset, index, timestamp_ms)| Source {
                topic,
                partition,
                offset,
                index,
                timestamp_ms,
            }),
            error_code: None,
        }
    }
}

const HOPS: [(&str, &str); 6] = [
    ("hl7.raw", "fhir.received"),
    ("fhir.received", "fhir.validated"),
    ("fhir.validated", "fhir.deidentified"),
    ("fhir.deidentified", "triage.classified"),
    ("triage.classified", "triage.summarized"),
    ("triage.summarized", "notification.sent"),
];

/// Messages of twenty patients in two partitions, each through every stage.
fn line(messages: i64) -> Vec<Record> {
    let mut records: Vec<Record> = (0..messages)
        .map(|n| Record {
            topic: "hl7.raw",
            partition: (n % 2) as i32,
            // Control records of transactions take offsets too.
            offset: n / 2 * 3,
            key: format!("patient {}", n % 20),
            at: n * 10,
            source: None,
        })
        .collect();
    for (from, to) in HOPS {
        let inputs: Vec<Record> = records.iter().filter(|record| record.topic == from).cloned().collect();
        records.extend(inputs.into_iter().map(|input| Record {
            topic: to,
            at: input.at + 5,
            source: Some((input.topic, input.partition, input.offset, 0, input.at)),
            ..input
        }));
    }
    records
}

fn judge(records: &[Record]) -> Verdict {
    account(records).judge(&Mail::default(), &[], Vec::new())
}

fn account(records: &[Record]) -> Account {
    let mut account = Account::default();
    records.iter().for_each(|record| account.enter(&record.entry()));
    account
}

#[test]
fn a_line_without_a_fault_holds() {
    let verdict = judge(&line(100));
    assert!(verdict.holds(), "{:?}", verdict.violations);
    assert_eq!((verdict.inputs, verdict.fates), (600, 600));
    assert_eq!(verdict.to_string(), "inputs 600, fates 600, duplicates 0, out of order 0");
}

#[test]
fn reading_a_partition_again_changes_nothing() {
    let records = line(40);
    let again: Vec<Record> = records.iter().chain(&records).cloned().collect();
    assert!(judge(&again).holds());
    assert!(account(&records).knows("hl7.raw", 0, 3) && !account(&records).knows("hl7.raw", 0, 300));
}

/// One fault a run, at a place that the seed gives; each is found and its place named.
#[test]
fn every_seeded_fault_is_found() {
    for seed in 0..200 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut records = line(100);
        let made: Vec<usize> = (0..records.len()).filter(|at| records[*at].source.is_some()).collect();
        let at = *made.choose(&mut rng).unwrap();
        let place = Place::new(records[at].topic, records[at].partition, records[at].offset);
        let (topic, partition, offset, ..) = records[at].source.unwrap();
        let source = Place::new(topic, partition, offset);
        let fault = rng.random_range(0..5);
        match fault {
            // Lost.
            0 => drop(records.remove(at)),
            // There twice, later in the same partition.
            1 => {
                let twice = Record { offset: 100_000, ..records[at].clone() };
                records.push(twice);
            }
            // Two kinds of fate.
            2 => {
                let dropped = Record { topic: "line.dropped", offset: 0, ..records[at].clone() };
                records.push(dropped);
            }
            // Changed places with the next record of its partition.
            3 => {
                let next = (at + 1..records.len()).find(|next| {
                    (records[*next].topic, records[*next].partition) == (place.topic.as_str(), partition)
                });
                let Some(next) = next else { continue };
                let (one, other) = (records[at].source, records[next].source);
                (records[at].source, records[next].source) = (other, one);
            }
            // In another partition than its patient's other records.
            _ => records[at].partition += 7,
        }
        let verdict = judge(&records);
        let found = |violation: &Violation| match (fault, violation) {
            (0, Violation::NoFate { first, count: 1, .. }) => *first == source,
            (1, Violation::OutOfOrder { source_place, .. }) => *source_place == source,
            (2, Violation::Conflicts { count: 1, .. }) => true,
            (3, Violation::OutOfOrder { place, .. }) => place.topic == records[at].topic,
            (4, Violation::KeyMoved { .. }) => true,
            _ => false,
        };
        assert!(verdict.violations.iter().any(found), "seed {seed}, fault {fault}: {:?}", verdict.violations);
        assert!(!verdict.holds());
        if fault == 1 {
            assert_eq!(verdict.duplicates, 1, "seed {seed}");
        }
    }
}

#[test]
fn notifications_and_mails_are_held_against_each_other() {
    let records = line(10);
    let sent: Vec<&Record> = records.iter().filter(|record| record.topic == "notification.sent").collect();
    let judge = |tell: &dyn Fn(&mut Account), mail: Mail| {
        let mut account = account(&records);
        tell(&mut account);
        account.judge(&mail, &[], Vec::new()).violations
    };
    let each = |account: &mut Account| {
        for record in &sent {
            account.notification(&record.entry(), format!("{}/{}", record.partition, record.offset), true);
        }
    };
    let ten = Mail { unique: 10, duplicates: 0, allowed: 0 };
    assert_eq!(judge(&each, ten), []);
    let twice = judge(
        &|account| (each(account), account.notification(&sent[0].entry(), "0/0".to_owned(), true)).0,
        ten,
    );
    assert!(matches!(twice[..], [Violation::NotificationTwice { .. }]), "{twice:?}");
    let untold = judge(
        &|account| (each(account), account.notification(&sent[0].entry(), "x".to_owned(), false)).0,
        ten,
    );
    assert!(matches!(untold[..], [Violation::MailMissing { .. }]), "{untold:?}");
    let stray = judge(&each, Mail { unique: 12, ..ten });
    assert_eq!(stray, [Violation::MailWithoutNotification { count: 2 }]);
    assert_eq!(judge(&each, Mail { duplicates: 3, allowed: 3, ..ten }), []);
    let beyond = judge(&each, Mail { duplicates: 4, allowed: 3, ..ten });
    assert_eq!(beyond, [Violation::MailsTwice { twice: 4, allowed: 3 }]);
}

#[test]
fn what_the_feed_was_acknowledged_and_a_panic_are_looked_for() {
    let mut account = account(&line(10));
    let letter = Record {
        topic: "ingest.dead-letter",
        partition: 0,
        offset: 0,
        key: "patient 0".to_owned(),
        at: 1,
        source: Some(("hl7.raw", 0, 999, 0, 1)),
    };
    account.enter(&Entry { error_code: Some(PANICKED), ..letter.entry() });
    let acknowledged = [("hl7.raw".to_owned(), 0, 0), ("hl7.raw".to_owned(), 1, 1)];
    let violations = account.judge(&Mail::default(), &acknowledged, Vec::new()).violations;
    let lost = Place::new("hl7.raw", 1, 1);
    assert!(violations.contains(&Violation::AcknowledgedLost { place: lost }), "{violations:?}");
    assert!(violations.iter().any(|violation| matches!(violation, Violation::Panicked { .. })));
}

#[test]
fn a_pause_is_the_wait_of_an_input_while_nothing_came_out() {
    let made = |offset: i64, input_at: i64, at: i64| Record {
        topic: "fhir.received",
        partition: 0,
        offset,
        key: "k".to_owned(),
        at,
        source: Some(("hl7.raw", 0, offset, 0, input_at)),
    };
    // The second waited since 20 behind the first at 30; the third came late and was quick.
    let verdict = judge(&[made(0, 10, 30), made(1, 20, 130), made(2, 1000, 1005)]);
    assert_eq!(verdict.pauses_ms["hl7.raw"], 100);
}
