//! Records into a topic, as they are: to have a stage work on them once more.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::ControlFlow;

use contracts::EventId;
use contracts::headers::{
    EVENT_ID, NOT_REPLAYED, RECEIVED_AT, REPLAY_OFFSET, REPLAY_PARTITION, REPLAY_TOPIC,
};
use stream::{Incoming, Reader, TransactionError, TransactionalWriter, Verbatim};
use worm_log::Record;

use crate::kafka::{Settings, unavailable};
use crate::output::{Outcome, complain};

/// Most records of one transaction.
const BATCH_RECORDS: usize = 500;
/// Bytes after which a transaction ends: one record may have as many by itself.
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// A topic that takes records.
pub(super) struct Into {
    topic: String,
    writer: TransactionalWriter,
    batch: Vec<Verbatim>,
    /// Most records of one transaction.
    most: usize,
    bytes: usize,
    /// The offset that each partition goes on with, of those that an earlier run began.
    next: BTreeMap<(String, i32), i64>,
}

impl Into {
    /// Takes the topic over: of two replays into one topic only the last can write. With `resume` it goes on behind what is there.
    pub(super) fn open(
        settings: &Settings,
        topic: &str,
        resume: bool,
        rate: Option<NonZeroU32>,
    ) -> Result<Self, Outcome> {
        let reader = Reader::new(&settings.kafka).map_err(|error| unavailable(&error))?;
        // Kafka may make topics that it does not know, with one partition, at the first record.
        reader.partitions(topic).map_err(|error| unavailable(&error))?;
        let id = format!("wardstream.replay.into.{topic}");
        let writer = TransactionalWriter::open(&settings.kafka, &id).map_err(|error| unavailable(&error))?;
        let mut next = BTreeMap::new();
        if resume {
            let scanned = reader.scan(topic, None, |record| {
                if let Some((place, offset)) = origin(&record) {
                    let next: &mut i64 = next.entry(place).or_default();
                    *next = (*next).max(offset + 1);
                }
                ControlFlow::Continue(())
            });
            scanned.map_err(|error| unavailable(&error))?;
        }
        // A reader sees them when the transaction ends: no more at once than may come in a second.
        let most = rate.map_or(BATCH_RECORDS, |rate| BATCH_RECORDS.min(rate.get() as usize));
        Ok(Self { topic: topic.to_owned(), writer, batch: Vec::new(), most, bytes: 0, next })
    }

    pub(super) fn begin(&self, topic: &str, partition: i32) -> i64 {
        self.next.get(&(topic.to_owned(), partition)).copied().unwrap_or(0)
    }

    pub(super) fn give(&mut self, record: &Record) -> Result<(), Outcome> {
        self.bytes += record.value.as_ref().map_or(0, Vec::len);
        self.batch.push(again(record, &self.topic));
        if self.batch.len() >= self.most || self.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> Result<(), Outcome> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        self.writer.write(&batch).map_err(|error| {
            let outcome = unavailable(&error);
            complain(match error {
                TransactionError::Fenced => "another replay into this topic took over",
                _ => "run it again with --resume: what is there is left out",
            });
            outcome
        })
    }
}

/// Where a record was replayed from.
fn origin(record: &Incoming) -> Option<((String, i32), i64)> {
    let partition = record.header(REPLAY_PARTITION)?.parse().ok()?;
    Some(((record.header(REPLAY_TOPIC)?.to_owned(), partition), record.header(REPLAY_OFFSET)?.parse().ok()?))
}

/// The record for another topic. It keeps its key, its value and its event; of a feed's record the event is that of its place.
fn again(record: &Record, topic: &str) -> Verbatim {
    let kept = record.headers.iter().filter(|(name, _)| !NOT_REPLAYED.contains(&name.as_str()));
    let mut headers: Vec<(String, Option<Vec<u8>>)> = kept.cloned().collect();
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), Some(value.into_bytes())));
    if !record.headers.iter().any(|(name, _)| name == EVENT_ID) {
        add(EVENT_ID, EventId::at(&record.topic, record.partition, record.offset).to_string());
        add(RECEIVED_AT, record.timestamp_ms.to_string());
    }
    add(REPLAY_TOPIC, record.topic.clone());
    add(REPLAY_PARTITION, record.partition.to_string());
    add(REPLAY_OFFSET, record.offset.to_string());
    Verbatim {
        topic: topic.to_owned(),
        partition: None,
        key: record.key.clone(),
        value: record.value.clone(),
        headers,
    }
}

#[cfg(test)]
mod tests {
    use contracts::headers::SOURCE_TOPIC;

    use super::*;

    #[test]
    fn a_record_keeps_its_event_and_loses_its_lineage() {
        let header = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
        let mut record = Record {
            topic: "hl7.raw".to_owned(),
            partition: 2,
            offset: 7,
            timestamp_ms: 5,
            key: Some(b"k".to_vec()),
            value: None,
            headers: vec![header("ward", "W1"), header(SOURCE_TOPIC, "x"), header(REPLAY_OFFSET, "1")],
        };
        let event = EventId::at("hl7.raw", 2, 7).to_string();
        let place =
            [header(REPLAY_TOPIC, "hl7.raw"), header(REPLAY_PARTITION, "2"), header(REPLAY_OFFSET, "7")];
        let fed = again(&record, "hl7.feed.again");
        assert_eq!((fed.topic.as_str(), &fed.key, &fed.value), ("hl7.feed.again", &record.key, &None));
        let expected = [header("ward", "W1"), header(EVENT_ID, &event), header(RECEIVED_AT, "5")];
        assert_eq!(fed.headers, [&expected[..], &place].concat());
        record.headers = vec![header(EVENT_ID, "e"), header(RECEIVED_AT, "1")];
        let made = again(&record, "fhir.received");
        assert_eq!(made.headers, [&record.headers[..], &place].concat());
    }
}
