//! Keeps one open segment per assigned partition and writes what is due: the audit consumer without Kafka.
//!
//! The consumer calls [`Auditor::assign`] and seeks to the offset it returns, pushes records, and calls
//! [`Auditor::flush_due`] now and then. It commits an offset only when an [`Event::Written`] names it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt as _;

use crate::error::Error;
use crate::log::{self, Written};
use crate::manifest::Manifest;
use crate::merkle::Hash;
use crate::record::Record;
use crate::segment::{Context, Limits, Sealed, SegmentBuilder};
use crate::store::{Store, blocking};

/// Segments written at the same time: enough to hide the store's latency when many partitions fall due together.
const CONCURRENT_WRITES: usize = 8;

/// Settings of an [`Auditor`].
#[derive(Clone, Debug)]
pub struct AuditorConfig {
    /// When a segment is full.
    pub limits: Limits,
    /// Bytes that all open and unwritten segments may hold together; beyond it the largest are written early. Default 96 MiB.
    pub max_memory_bytes: usize,
    /// How long objects stay locked, in seconds from the time they are closed. Default seven years of 365.25 days.
    pub retention_seconds: i64,
    /// Version of the program, for the manifests; at most 128 bytes.
    pub writer_version: String,
}

impl Default for AuditorConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_memory_bytes: 96 << 20,
            retention_seconds: 7 * 31_557_600,
            writer_version: concat!("wardstream/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the open segment.
    Taken,
    /// Its offset is in the log already, or the consumer has yet to seek; nothing was done.
    Ignored,
}

/// What a flush brought about.
#[derive(Debug)]
pub enum Event {
    /// A segment is durable. `next_offset` can be committed.
    Written {
        /// Kafka topic.
        topic: String,
        /// Kafka partition.
        partition: i32,
        /// Offset to commit.
        next_offset: i64,
        /// The segment's manifest.
        manifest: Box<Manifest>,
        /// SHA-256 of the manifest.
        manifest_sha256: Hash,
    },
    /// Another writer was first. Seek to `next_offset`, then call [`Auditor::seek_done`]; until then records are ignored.
    Adopted {
        /// Kafka topic.
        topic: String,
        /// Kafka partition.
        partition: i32,
        /// Offset to seek to; it can be committed too.
        next_offset: i64,
    },
    /// The store cannot take the segment now. It is kept and written at a later flush.
    Unavailable {
        /// Kafka topic.
        topic: String,
        /// Kafka partition.
        partition: i32,
        /// What the store reported.
        error: Error,
    },
    /// The segment cannot be written, now or later. The partition takes no more records until it is assigned anew.
    Failed {
        /// Kafka topic.
        topic: String,
        /// Kafka partition.
        partition: i32,
        /// Why.
        error: Error,
    },
}

type Partition = (String, i32);

#[derive(Debug)]
enum State {
    /// Taking records.
    Open(Box<SegmentBuilder>),
    /// The consumer has yet to seek here.
    Seeking(i64),
    /// An error stopped it.
    Failed,
}

#[derive(Debug)]
struct Assigned {
    state: State,
    /// Closed and not yet written. Its successor is built meanwhile but closed only after it.
    unwritten: Option<Sealed>,
    predecessor: Option<Hash>,
}

impl Assigned {
    fn memory_bytes(&self) -> usize {
        let open = match &self.state {
            State::Open(builder) => builder.memory_bytes(),
            _ => 0,
        };
        open + self.unwritten.as_ref().map_or(0, |sealed| sealed.segment.len())
    }
}

/// Writes the records of several partitions to a store.
#[derive(Debug)]
pub struct Auditor<S> {
    store: S,
    config: AuditorConfig,
    partitions: BTreeMap<Partition, Assigned>,
}

impl<S: Store> Auditor<S> {
    /// An auditor without partitions.
    pub fn new(store: S, config: AuditorConfig) -> Self {
        Self { store, config, partitions: BTreeMap::new() }
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Takes over a partition and returns the offset to consume from.
    ///
    /// `low_watermark` is the broker's first available offset. If the log ends before it, Kafka's retention removed records
    /// that were never archived; the next segment says so, and the verifier will. `hint` is Kafka's committed offset.
    ///
    /// # Errors
    /// Those of [`log::resume`].
    pub async fn assign(
        &mut self,
        topic: &str,
        partition: i32,
        low_watermark: i64,
        hint: Option<i64>,
        now_ms: i64,
    ) -> Result<i64, Error> {
        let tip = log::resume(&self.store, topic, partition, hint).await?;
        let low_watermark = low_watermark.max(0);
        // An empty log starts with what the broker still has: what was before this product was set up is not its loss.
        let first_offset = tip.as_ref().map_or(low_watermark, log::Tip::next_offset);
        let mut builder = SegmentBuilder::new(topic, partition, first_offset, self.config.limits)?;
        builder.expire_until(low_watermark, now_ms)?;
        let next_offset = builder.next_offset();
        let assigned = Assigned {
            state: State::Open(Box::new(builder)),
            unwritten: None,
            predecessor: tip.map(|tip| tip.manifest_sha256),
        };
        self.partitions.insert((topic.to_owned(), partition), assigned);
        Ok(next_offset)
    }

    /// Gives a partition up. What was not written is dropped: its offsets were not committed, so the next owner reads them again.
    pub fn revoke(&mut self, topic: &str, partition: i32) {
        self.partitions.remove(&(topic.to_owned(), partition));
    }

    /// Assigned partitions, in order.
    pub fn partitions(&self) -> impl Iterator<Item = (&str, i32)> {
        self.partitions.keys().map(|(topic, partition)| (topic.as_str(), *partition))
    }

    /// Takes a record. Compresses as it goes: about a millisecond for each megabyte.
    ///
    /// # Errors
    /// [`Error::NotAssigned`], [`Error::RecordTooLarge`].
    pub fn push(&mut self, record: &Record, now_ms: i64) -> Result<Pushed, Error> {
        let assigned = self.assigned(&record.topic, record.partition)?;
        match &mut assigned.state {
            // Redelivery, or what was fetched before a seek took effect.
            State::Open(builder) if record.offset < builder.next_offset() => Ok(Pushed::Ignored),
            State::Open(builder) => builder.push(record, now_ms).map(|()| Pushed::Taken),
            // A record from beyond the seek's target would look like a gap before it.
            State::Seeking(_) | State::Failed => Ok(Pushed::Ignored),
        }
    }

    /// Notes where the consumer stands after the last record (Kafka's position at the partition's end), so that control records
    /// and aborted transactions there are accounted for too.
    ///
    /// # Errors
    /// [`Error::NotAssigned`].
    pub fn advance(&mut self, topic: &str, partition: i32, position: i64, now_ms: i64) -> Result<(), Error> {
        if let State::Open(builder) = &mut self.assigned(topic, partition)?.state {
            builder.advance(position, now_ms);
        }
        Ok(())
    }

    /// Takes records again after the consumer has sought to the offset of [`Event::Adopted`].
    ///
    /// # Errors
    /// [`Error::NotAssigned`].
    pub fn seek_done(&mut self, topic: &str, partition: i32) -> Result<(), Error> {
        let limits = self.config.limits;
        let assigned = self.assigned(topic, partition)?;
        if let State::Seeking(next_offset) = assigned.state {
            assigned.state =
                State::Open(Box::new(SegmentBuilder::new(topic, partition, next_offset, limits)?));
        }
        Ok(())
    }

    fn assigned(&mut self, topic: &str, partition: i32) -> Result<&mut Assigned, Error> {
        self.partitions
            .get_mut(&(topic.to_owned(), partition))
            .ok_or_else(|| Error::NotAssigned { topic: topic.to_owned(), partition })
    }

    /// Bytes that open and unwritten segments hold.
    pub fn memory_bytes(&self) -> usize {
        self.partitions.values().map(Assigned::memory_bytes).sum()
    }

    /// Whether more records may be pushed. While this is false the consumer should pause, so that lag grows and memory does not.
    pub fn has_room(&self) -> bool {
        self.memory_bytes() < self.config.max_memory_bytes
    }

    /// Whether a flush would write something now.
    pub fn is_due(&self, now_ms: i64) -> bool {
        !self.has_room()
            || self.partitions.values().any(|assigned| {
                assigned.unwritten.is_some()
                    || matches!(&assigned.state, State::Open(builder) if !builder.is_empty() && builder.is_due(now_ms))
            })
    }

    /// Writes the segments that are full or old enough, those kept from earlier, and the largest if memory is short.
    ///
    /// Dropping the future is safe: nothing is skipped, but a partition may then take no more records until assigned anew.
    pub async fn flush_due(&mut self, now_ms: i64) -> Vec<Event> {
        let mut due: Vec<Partition> = self
            .partitions
            .iter()
            .filter(|(_, assigned)| {
                assigned.unwritten.is_some()
                    || matches!(&assigned.state, State::Open(builder) if !builder.is_empty() && builder.is_due(now_ms))
            })
            .map(|(partition, _)| partition.clone())
            .collect();
        let held: usize =
            due.iter().filter_map(|key| self.partitions.get(key)).map(Assigned::memory_bytes).sum();
        let mut remaining = self.memory_bytes().saturating_sub(held);
        // Down to half of the bound, or the next record would bring on the next early segment.
        if remaining + held >= self.config.max_memory_bytes {
            let mut others: Vec<(usize, Partition)> = self
                .partitions
                .iter()
                .filter(|(partition, assigned)| assigned.memory_bytes() > 0 && !due.contains(partition))
                .map(|(partition, assigned)| (assigned.memory_bytes(), partition.clone()))
                .collect();
            others.sort_unstable_by(|left, right| right.cmp(left));
            for (bytes, partition) in others {
                if remaining < self.config.max_memory_bytes / 2 {
                    break;
                }
                remaining -= bytes;
                due.push(partition);
            }
        }
        self.flush(due, now_ms).await
    }

    /// Writes everything, for a drain or before partitions are given up.
    pub async fn flush_all(&mut self, now_ms: i64) -> Vec<Event> {
        // A partition with a segment kept from earlier has a second one to write after it.
        let mut events = Vec::new();
        for _ in 0..2 {
            let due = self
                .partitions
                .iter()
                .filter(|(_, assigned)| {
                    assigned.unwritten.is_some()
                        || matches!(&assigned.state, State::Open(builder) if !builder.is_empty())
                })
                .map(|(partition, _)| partition.clone())
                .collect();
            let round = self.flush(due, now_ms).await;
            let stop = round.iter().any(|event| matches!(event, Event::Unavailable { .. }));
            events.extend(round);
            if stop {
                break;
            }
        }
        events
    }

    async fn flush(&mut self, due: Vec<Partition>, now_ms: i64) -> Vec<Event> {
        let mut events = Vec::new();
        let mut sealed = Vec::new();
        for partition in due {
            match self.seal(&partition, now_ms).await {
                Ok(Some(segment)) => sealed.push((partition, segment)),
                Ok(None) => {}
                Err(error) => {
                    if let Some(assigned) = self.partitions.get_mut(&partition) {
                        assigned.state = State::Failed;
                    }
                    events.push(Event::Failed { topic: partition.0, partition: partition.1, error });
                }
            }
        }
        let store = &self.store;
        // Once the store is found away the rest waits for the next flush, or each write would wait out its own time limit.
        let away = AtomicBool::new(false);
        let away = &away;
        let written: Vec<_> = futures::stream::iter(sealed)
            .map(|(partition, sealed)| async move {
                if away.load(Ordering::Relaxed) {
                    return None;
                }
                let result = log::write(store, &sealed).await;
                if matches!(&result, Err(error) if error.is_retryable()) {
                    away.store(true, Ordering::Relaxed);
                }
                Some((partition, sealed, result))
            })
            .buffer_unordered(CONCURRENT_WRITES)
            .filter_map(std::future::ready)
            .collect()
            .await;
        for (partition, sealed, result) in written {
            events.push(self.settle(partition, sealed, result));
        }
        events
    }

    /// Closes a partition's segment unless an earlier one waits to be written; returns the one to write now.
    async fn seal(&mut self, partition: &Partition, now_ms: i64) -> Result<Option<Sealed>, Error> {
        let limits = self.config.limits;
        let Some(assigned) = self.partitions.get_mut(partition) else { return Ok(None) };
        if let Some(sealed) = &assigned.unwritten {
            return Ok(Some(sealed.clone()));
        }
        let State::Open(builder) = &mut assigned.state else { return Ok(None) };
        if builder.is_empty() {
            return Ok(None);
        }
        let retain_until = jiff::Timestamp::from_second(
            now_ms.div_euclid(1_000).saturating_add(self.config.retention_seconds),
        )
        .map_err(|_| Error::Context { reason: "retain_until is out of range" })?;
        let context = Context {
            writer_version: self.config.writer_version.clone(),
            retain_until,
            prev_manifest_sha256: assigned.predecessor,
        };
        let next_offset = builder.next_offset();
        let next = Box::new(SegmentBuilder::new(&partition.0, partition.1, next_offset, limits)?);
        // Failed until the segment is back: were this future dropped half way, going on would leave a hole.
        let State::Open(full) = std::mem::replace(&mut assigned.state, State::Failed) else {
            return Ok(None);
        };
        let sealed = blocking(move || full.finish(next_offset, &context)).await?;
        let Some(assigned) = self.partitions.get_mut(partition) else { return Ok(None) };
        assigned.state = State::Open(next);
        assigned.unwritten = Some(sealed.clone());
        Ok(Some(sealed))
    }

    fn settle(
        &mut self,
        (topic, partition): Partition,
        sealed: Sealed,
        result: Result<Written, Error>,
    ) -> Event {
        let Some(assigned) = self.partitions.get_mut(&(topic.clone(), partition)) else {
            return Event::Failed {
                error: Error::NotAssigned { topic: topic.clone(), partition },
                topic,
                partition,
            };
        };
        match result {
            Ok(Written::Created) => {
                assigned.unwritten = None;
                assigned.predecessor = Some(sealed.manifest_sha256);
                Event::Written {
                    topic,
                    partition,
                    next_offset: sealed.manifest.next_offset,
                    manifest: Box::new(sealed.manifest),
                    manifest_sha256: sealed.manifest_sha256,
                }
            }
            Ok(Written::Adopted(tip)) => {
                assigned.unwritten = None;
                assigned.predecessor = Some(tip.manifest_sha256);
                assigned.state = State::Seeking(tip.next_offset());
                Event::Adopted { topic, partition, next_offset: tip.next_offset() }
            }
            Err(error) if error.is_retryable() => Event::Unavailable { topic, partition, error },
            Err(error) => {
                assigned.state = State::Failed;
                assigned.unwritten = None;
                Event::Failed { topic, partition, error }
            }
        }
    }
}
