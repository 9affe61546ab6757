//! Where a record came from, and the guard that stops a record from being processed twice.
//!
//! On a transactional broker the guard is defence in depth. On one without transactions it is what gives the
//! exactly-once effect: a producer that died between writing its outputs and committing its offset writes the same
//! outputs again, and the guard of the next stage lets each through once.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use contracts::headers::{OUTPUT_INDEX, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TIMESTAMP, SOURCE_TOPIC};

use crate::Incoming;

/// Position of the input that a record was made from, and the record's place among that input's outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lineage {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) index: u32,
    /// Of the input, milliseconds since the epoch.
    pub(crate) timestamp: i64,
}

impl Lineage {
    /// The lineage of a record that a stage wrote; none for a feed's own.
    pub(crate) fn of(record: &Incoming) -> Option<Self> {
        Some(Self {
            topic: record.header(SOURCE_TOPIC)?.to_owned(),
            partition: record.header(SOURCE_PARTITION)?.parse().ok()?,
            offset: record.header(SOURCE_OFFSET)?.parse().ok()?,
            index: record.header(OUTPUT_INDEX)?.parse().ok()?,
            timestamp: record.header(SOURCE_TIMESTAMP)?.parse().ok()?,
        })
    }

    /// Headers for the outputs of `record`.
    pub(crate) fn headers(record: &Incoming, index: u32) -> [(&'static str, String); 5] {
        [
            (SOURCE_TOPIC, record.topic.to_string()),
            (SOURCE_PARTITION, record.partition.to_string()),
            (SOURCE_OFFSET, record.offset.to_string()),
            (OUTPUT_INDEX, index.to_string()),
            (SOURCE_TIMESTAMP, record.timestamp_ms.to_string()),
        ]
    }
}

/// The last lineage seen in one input partition, per source partition.
///
/// A producer stage writes the outputs of one source partition in order, so within one input partition their
/// lineage only rises; one at or below the last seen was seen before. Unless it is younger than everything seen:
/// then the source topic was deleted and made anew, its offsets began again, and dropping it would lose an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guard {
    seen: BTreeMap<(String, i32), Last>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    offset: i64,
    index: u32,
    /// The latest timestamp seen, not the last one's: feeds do not write in the order of their clocks.
    timestamp: i64,
}

/// Version of the text form, so that a later one can tell.
const VERSION: &str = "g1";

impl Guard {
    /// Notes the lineage; false when it was seen before.
    pub(crate) fn admit(&mut self, lineage: &Lineage) -> bool {
        let Lineage { offset, index, timestamp, .. } = *lineage;
        let new = Last { offset, index, timestamp };
        match self.seen.get_mut(&(lineage.topic.clone(), lineage.partition)) {
            Some(last) if (last.offset, last.index) < (offset, index) => {
                *last = Last { timestamp: timestamp.max(last.timestamp), ..new };
                true
            }
            Some(last) if timestamp > last.timestamp => {
                *last = new;
                true
            }
            Some(_) => false,
            None => {
                self.seen.insert((lineage.topic.clone(), lineage.partition), new);
                true
            }
        }
    }

    /// The text that travels in the metadata of the committed offset: `g1 topic:0=17.0@1700000000000,2=5.1@1700000000001`.
    ///
    /// Kafka bounds it (`offset.metadata.max.bytes`, 4096 by default). What does not fit is left out, the oldest first: the guard then knows less, and lets a duplicate through rather than lose a record.
    pub(crate) fn to_metadata(&self, max_bytes: usize) -> String {
        let mut entries: Vec<_> = self.seen.iter().collect();
        loop {
            let text = render(&entries);
            if text.len() <= max_bytes || entries.is_empty() {
                return text;
            }
            let oldest =
                entries.iter().enumerate().min_by_key(|(_, (_, last))| last.timestamp).map(|(at, _)| at);
            if let Some(at) = oldest {
                entries.remove(at);
            }
        }
    }

    /// Reads the text form. Anything else gives an empty guard.
    pub(crate) fn from_metadata(text: &str) -> Self {
        let mut guard = Self::default();
        let mut words = text.split(' ');
        if words.next() != Some(VERSION) {
            return guard;
        }
        for word in words {
            let Some((topic, partitions)) = word.split_once(':') else { continue };
            for entry in partitions.split(',') {
                let parsed = entry.split_once('=').and_then(|(partition, position)| {
                    let (position, timestamp) = position.split_once('@')?;
                    let (offset, index) = position.split_once('.')?;
                    let last = Last {
                        offset: offset.parse().ok()?,
                        index: index.parse().ok()?,
                        timestamp: timestamp.parse().ok()?,
                    };
                    Some((partition.parse().ok()?, last))
                });
                if let Some((partition, last)) = parsed {
                    guard.seen.insert((topic.to_owned(), partition), last);
                }
            }
        }
        guard
    }
}

fn render(entries: &[(&(String, i32), &Last)]) -> String {
    let mut text = String::from(VERSION);
    let mut topic = None;
    for ((name, partition), last) in entries {
        let separator = if topic == Some(name) { "," } else { " " };
        text.push_str(separator);
        if topic != Some(name) {
            text.push_str(name);
            text.push(':');
            topic = Some(name);
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{partition}={}.{}@{}", last.offset, last.index, last.timestamp);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lineage(topic: &str, partition: i32, offset: i64, index: u32) -> Lineage {
        Lineage { topic: topic.to_owned(), partition, offset, index, timestamp: 100 }
    }

    #[test]
    fn a_second_output_of_one_input_passes_and_a_repeat_does_not() {
        let mut guard = Guard::default();
        assert!(guard.admit(&lineage("a", 0, 7, 0)));
        assert!(guard.admit(&lineage("a", 0, 7, 1)));
        assert!(!guard.admit(&lineage("a", 0, 7, 0)));
        assert!(!guard.admit(&lineage("a", 0, 6, 0)));
        assert!(guard.admit(&lineage("a", 1, 0, 0)));
        assert!(guard.admit(&lineage("b", 0, 0, 0)));
        assert!(guard.admit(&lineage("a", 0, 9, 0)));
    }

    #[test]
    fn a_topic_made_anew_is_no_repetition() {
        let mut guard = Guard::default();
        assert!(guard.admit(&lineage("a", 0, 7, 0)));
        let younger = Lineage { timestamp: 101, ..lineage("a", 0, 0, 0) };
        assert!(guard.admit(&younger), "offsets began again");
        assert!(!guard.admit(&younger));
        assert!(guard.admit(&Lineage { timestamp: 99, ..lineage("a", 0, 1, 0) }), "clocks of feeds differ");
        assert!(!guard.admit(&younger), "the latest timestamp counts, not the last");
    }

    #[test]
    fn foreign_metadata_gives_an_empty_guard() {
        for text in ["", "g0 a:0=1.0", "anything", "g1 a", "g1 a:x=y,0=1", "g1 :", "g1 a:0=1.0"] {
            assert_eq!(Guard::from_metadata(text), Guard::default(), "{text:?}");
        }
    }

    #[test]
    fn metadata_is_bounded() {
        let mut guard = Guard::default();
        for partition in 0..1000 {
            guard.admit(&lineage("a.topic.with.a.name", partition, i64::from(partition), 0));
        }
        let text = guard.to_metadata(4096);
        assert!(text.len() <= 4096);
        let read = Guard::from_metadata(&text);
        assert!(read.seen.contains_key(&("a.topic.with.a.name".to_owned(), 999)), "the newest stays");
    }

    proptest! {
        #[test]
        fn metadata_round_trips(
            entries in prop::collection::vec(
                ("[a-zA-Z0-9._-]{1,12}", 0..200i32, 0..i64::MAX, 0..9u32, 0..i64::MAX), 0..20
            )
        ) {
            let mut guard = Guard::default();
            for (topic, partition, offset, index, timestamp) in entries {
                guard.admit(&Lineage { topic, partition, offset, index, timestamp });
            }
            prop_assert_eq!(Guard::from_metadata(&guard.to_metadata(usize::MAX)), guard);
        }

        /// Whatever a producer repeats after a crash, each record passes once and in order.
        #[test]
        fn each_record_passes_once_whatever_is_repeated(cuts in prop::collection::vec((0..40usize, 1..10usize), 0..12)) {
            let records: Vec<_> = (0..40).map(|at| lineage("a", 0, at / 2, (at % 2) as u32)).collect();
            let mut stream = Vec::new();
            let mut next = 0;
            for (back, forward) in cuts {
                // A new owner begins at an earlier offset, and repeats from there.
                let from = next - back.min(next);
                let to = (from + forward).max(next).min(records.len());
                stream.extend_from_slice(&records[from..to]);
                next = to;
            }
            stream.extend_from_slice(&records[next..]);
            let mut guard = Guard::default();
            let passed: Vec<_> = stream.into_iter().filter(|record| guard.admit(record)).collect();
            prop_assert_eq!(passed, records);
        }
    }
}
