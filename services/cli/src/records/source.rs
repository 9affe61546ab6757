//! Where records come from: the WORM log, or Kafka for as long as it keeps them.

use std::ops::ControlFlow;
use std::sync::Arc;

use replay::Selection;
use stream::{Incoming, Reader};
use tokio::runtime::Runtime;
use worm_log::{AnyStore, Ledger, Planned, Record};

use crate::audit_log::{refuse, reject};
use crate::kafka::unavailable;
use crate::output::{Outcome, complain, usage};

/// Takes a record, and the leaf that its segment was proved by.
pub(super) type Visit<'v> = &'v mut dyn FnMut(Record, Option<u64>) -> Result<(), Outcome>;

pub(super) enum Source {
    Log(Box<Log>),
    Kafka(Reader),
}

/// A log and the leaves that vouch for it.
pub(super) struct Log {
    pub(super) store: AnyStore,
    pub(super) ledger: Ledger,
    /// Whether segments are read that no leaf vouches for.
    pub(super) unproven: bool,
    pub(super) runtime: Arc<Runtime>,
}

impl Source {
    pub(super) fn partitions(&self, topic: &str) -> Result<Vec<i32>, Outcome> {
        let partitions = self.partitions_if_any(topic)?;
        if partitions.is_empty() {
            return Err(usage(format_args!("the log has nothing of topic {topic}")));
        }
        Ok(partitions)
    }

    /// The same, where a log may have nothing of the topic. Of Kafka's topics each is there.
    pub(super) fn partitions_if_any(&self, topic: &str) -> Result<Vec<i32>, Outcome> {
        match self {
            Self::Kafka(reader) => reader.partitions(topic).map_err(|error| unavailable(&error)),
            Self::Log(log) => {
                let partitions = log.runtime.block_on(log.ledger.partitions(&log.store, topic));
                Ok(partitions.map_err(|error| refuse(&error))?.into_iter().collect())
            }
        }
    }

    /// Gives the records of a partition from an offset on whose place is meant. `Rejected` where some of them are no longer here.
    pub(super) fn each(
        &self,
        topic: &str,
        partition: i32,
        selection: &Selection,
        from: i64,
        visit: Visit<'_>,
    ) -> Result<Outcome, Outcome> {
        let mut visit = |record: Record, leaf| {
            let meant = selection.holds_place(record.partition, record.offset, record.timestamp_ms);
            if record.offset >= from && meant { visit(record, leaf) } else { Ok(()) }
        };
        match self {
            Self::Log(log) => log.each(topic, partition, selection, from, &mut visit).map(|()| Outcome::Good),
            Self::Kafka(reader) => kafka(reader, topic, partition, selection, from, &mut visit),
        }
    }
}

impl Log {
    fn each(
        &self,
        topic: &str,
        partition: i32,
        selection: &Selection,
        from: i64,
        visit: Visit<'_>,
    ) -> Result<(), Outcome> {
        let offsets = selection.offsets().start.max(from)..selection.offsets().end;
        let plan = self.runtime.block_on(self.ledger.plan(&self.store, topic, partition, offsets.clone()));
        for planned in plan.map_err(|error| reject(&error))? {
            let manifest = &planned.manifest;
            let times = manifest.min_timestamp_ms.zip(manifest.max_timestamp_ms);
            if !times.is_some_and(|(min, max)| selection.overlaps(min, max)) {
                continue;
            }
            if planned.leaf.is_none() && !self.unproven {
                return Err(reject(&worm_log::Error::Unproven {
                    topic: topic.to_owned(),
                    partition,
                    offset: manifest.first_offset.max(offsets.start),
                    reason: "its segment is under no checkpoint yet; --unproven reads it all the same",
                }));
            }
            self.segment(&planned, visit)?;
        }
        Ok(())
    }

    fn segment(&self, planned: &Planned, visit: Visit<'_>) -> Result<(), Outcome> {
        let proven =
            self.runtime.block_on(self.ledger.read(&self.store, planned)).map_err(|error| reject(&error))?;
        for record in proven.records().map_err(|error| reject(&error))? {
            visit(record.map_err(|error| reject(&error))?, planned.leaf)?;
        }
        Ok(())
    }
}

fn kafka(
    reader: &Reader,
    topic: &str,
    partition: i32,
    selection: &Selection,
    from: i64,
    visit: Visit<'_>,
) -> Result<Outcome, Outcome> {
    let held = reader.held(topic, partition).map_err(|error| unavailable(&error))?;
    let wanted = selection.offsets().start.max(from)..selection.offsets().end.min(held.end);
    let mut outcome = Outcome::Good;
    // Who names a first offset, or resumes, means that one.
    if (selection.first_offset.is_some() || from > 0) && wanted.start < held.start.min(wanted.end) {
        complain(format_args!(
            "{topic}/{partition}: kafka no longer has the offsets {} to {}; --bundle reads them from the WORM log",
            wanted.start,
            held.start.min(wanted.end) - 1
        ));
        outcome = Outcome::Rejected;
    }
    let start = wanted.start.max(held.start);
    if start >= wanted.end {
        return Ok(outcome);
    }
    let mut failed = None;
    let since = selection.from.map(jiff::Timestamp::as_millisecond);
    let visit = |record: Incoming| {
        // What is written meanwhile is another replay's.
        if record.offset >= wanted.end {
            return ControlFlow::Break(());
        }
        let last = record.offset + 1 == wanted.end;
        match visit(record_of(record), None) {
            Ok(()) if last => ControlFlow::Break(()),
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    reader.scan_partition(topic, partition, start, since, visit).map_err(|error| unavailable(&error))?;
    failed.map_or(Ok(outcome), Err)
}

fn record_of(record: Incoming) -> Record {
    let Incoming { topic, partition, offset, timestamp_ms, key, value, headers } = record;
    Record { topic: topic.to_string(), partition, offset, timestamp_ms, key, value, headers }
}
