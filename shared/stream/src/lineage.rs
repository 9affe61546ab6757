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
}

/// The last lineage seen in one input partition, per source partition.
///
/// A producer stage writes the outputs of one source partition in order, so within one input partition their
/// lineage only rises; one at or below the last seen was seen before. Unless it is younger than everything seen:
/// then the source topic was deleted and made anew, its offsets began again, and dropping it would lose an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guard {
    seen: BTreeMap<String, BTreeMap<i32, Last>>,
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
/// Begins the word that counts deaths.
const DEATHS: &str = "deaths=";

impl Guard {
    /// Notes the lineage; false when it was seen before.
    pub(crate) fn admit(&mut self, lineage: &Lineage) -> bool {
        let Lineage { offset, index, timestamp, .. } = *lineage;
        let new = Last { offset, index, timestamp };
        let Some(partitions) = self.seen.get_mut(&lineage.topic) else {
            self.seen.insert(lineage.topic.clone(), BTreeMap::from([(lineage.partition, new)]));
            return true;
        };
        match partitions.get_mut(&lineage.partition) {
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
                partitions.insert(lineage.partition, new);
                true
            }
        }
    }

    /// The text that travels in the metadata of the committed offset:
    /// `g1 topic:0=17.0@1700000000000,2=5.1@1700000000001`, and `g1 deaths=2 topic:…` when instances died at that
    /// offset.
    ///
    /// Kafka bounds it (`offset.metadata.max.bytes`, 4096 by default). What does not fit is left out, the oldest
    /// first: the guard then knows less, and lets a duplicate through rather than lose a record.
    pub(crate) fn to_metadata(&self, deaths: u32, max_bytes: usize) -> String {
        let mut entries: Vec<Entry<'_>> = self
            .seen
            .iter()
            .flat_map(|(topic, partitions)| {
                partitions.iter().map(move |(partition, last)| (topic.as_str(), *partition, *last))
            })
            .collect();
        loop {
            let text = render(deaths, &entries);
            if text.len() <= max_bytes || entries.is_empty() {
                return text;
            }
            let oldest =
                entries.iter().enumerate().min_by_key(|(_, (_, _, last))| last.timestamp).map(|(at, _)| at);
            if let Some(at) = oldest {
                entries.remove(at);
            }
        }
    }

    /// Reads the text form: the guard, and how many instances died at that offset. Anything else gives an empty
    /// guard and no deaths.
    pub(crate) fn from_metadata(text: &str) -> (Self, u32) {
        let mut guard = Self::default();
        let mut deaths = 0;
        let mut words = text.split(' ');
        if words.next() != Some(VERSION) {
            return (guard, deaths);
        }
        for word in words {
            if let Some(count) = word.strip_prefix(DEATHS) {
                deaths = count.parse().unwrap_or(0);
                continue;
            }
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
                    guard.seen.entry(topic.to_owned()).or_default().insert(partition, last);
                }
            }
        }
        (guard, deaths)
    }
}

type Entry<'a> = (&'a str, i32, Last);

fn render(deaths: u32, entries: &[Entry<'_>]) -> String {
    let mut text = String::from(VERSION);
    // Writing to a String cannot fail.
    if deaths > 0 {
        let _ = write!(text, " {DEATHS}{deaths}");
    }
    let mut topic = None;
    for (name, partition, last) in entries {
        if topic == Some(name) {
            text.push(',');
        } else {
            let _ = write!(text, " {name}:");
            topic = Some(name);
        }
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
        for text in [
            "",
            "g0 deaths=3 a:0=1.0",
            "anything",
            "g1 a",
            "g1 a:x=y,0=1",
            "g1 :",
            "g1 a:0=1.0",
            "g1 deaths=x",
        ] {
            let (guard, deaths) = Guard::from_metadata(text);
            assert!(guard.seen.values().all(BTreeMap::is_empty), "{text:?}");
            assert_eq!(deaths, 0, "{text:?}");
        }
    }

    #[test]
    fn metadata_is_bounded() {
        let mut guard = Guard::default();
        for partition in 0..1000 {
            guard.admit(&lineage("a.topic.with.a.name", partition, i64::from(partition), 0));
        }
        let text = guard.to_metadata(3, 4096);
        assert!(text.len() <= 4096);
        let (read, deaths) = Guard::from_metadata(&text);
        assert_eq!(deaths, 3);
        assert!(read.seen["a.topic.with.a.name"].contains_key(&999), "the newest stays");
    }

    proptest! {
        #[test]
        fn metadata_round_trips(
            entries in prop::collection::vec(
                ("[a-zA-Z0-9._-]{1,12}", 0..200i32, 0..i64::MAX, 0..9u32, 0..i64::MAX), 0..20
            ),
            deaths in any::<u32>(),
        ) {
            let mut guard = Guard::default();
            for (topic, partition, offset, index, timestamp) in entries {
                guard.admit(&Lineage { topic, partition, offset, index, timestamp });
            }
            prop_assert_eq!(Guard::from_metadata(&guard.to_metadata(deaths, usize::MAX)), (guard, deaths));
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
