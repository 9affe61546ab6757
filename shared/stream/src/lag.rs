//! What a consumer group has yet to read, told by reading and not by subtracting.
//!
//! On a topic that is written in transactions the markers of their ends occupy offsets, so "end less committed" never
//! reaches zero (librdkafka 3917, keda 5675). Where the difference is small, what is between is read and counted;
//! where it is large, it is what the offsets say, which is at most that.

use std::collections::{BTreeMap, HashMap};

use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::reader::{CALL, Quiet, down, is_passing, no_answer};
use crate::{Config, Unavailable, ffi, reader};

/// What a group has yet to read of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionLag {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The next offset to be read; none when the group has committed none, and begins with the first record.
    pub committed: Option<i64>,
    /// One past the last offset that a reader of committed records may read (the last stable offset).
    pub end: i64,
    /// Offsets behind that: records of a transaction that is open, and what was written after its begin.
    pub held_back: i64,
    /// Records that are not committed.
    pub records: i64,
    /// Whether the records were counted; else their number is at most this.
    pub counted: bool,
    /// Timestamp of the oldest of them, milliseconds since the epoch.
    pub oldest_ms: Option<i64>,
}

/// A consumer group, and what it has yet to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLag {
    /// Name of the group.
    pub group: String,
    /// As its coordinator says: `Stable`, `Empty`, `PreparingRebalance` and so on; `Dead` when there is no such group.
    pub state: String,
    /// How many members it has.
    pub members: usize,
    /// In the order of topics and partitions.
    pub partitions: Vec<PartitionLag>,
}

/// Offsets that are read one by one; beyond that the first tells the age and the offsets tell the number.
const COUNTED_OFFSETS: i64 = 1_000;
/// Bytes of one partition after which counting ends as well.
const COUNTED_BYTES: usize = 16 * 1024 * 1024;

/// Lag of a group over the topics that it has committed offsets of, and those that `is_input` names. Blocks.
///
/// # Errors
/// [`Unavailable`] when the broker or the group's coordinator does not answer.
pub fn lag(config: &Config, group: &str, is_input: impl Fn(&str) -> bool) -> Result<GroupLag, Unavailable> {
    // A reader of committed offsets would wait for open transactions of the group to end.
    let offsets = reader::consumer(config, group, "read_uncommitted").map_err(down)?;
    let records = reader::consumer(config, group, "read_committed").map_err(down)?;
    let described = ffi::describe_groups(offsets.client(), &[group], CALL).map_err(down)?;
    let (state, members) = match described.into_iter().next() {
        Some((_, Ok(found))) => (found.state, found.members),
        Some((_, Err(RDKafkaErrorCode::GroupIdNotFound))) | None => ("Dead".to_owned(), 0),
        Some((_, Err(code))) => return Err(down(KafkaError::AdminOp(code))),
    };
    let mut partitions = positions(&offsets, &records, is_input).map_err(down)?;
    count(&records, &mut partitions)?;
    Ok(GroupLag { group: group.to_owned(), state, members, partitions: partitions.into_values().collect() })
}

type Partitions = BTreeMap<(String, i32), PartitionLag>;

/// Where the group stands in each partition, and where each ends. The records in between are not counted yet.
fn positions(
    offsets: &BaseConsumer<Quiet>,
    records: &BaseConsumer<Quiet>,
    is_input: impl Fn(&str) -> bool,
) -> Result<Partitions, KafkaError> {
    let metadata = offsets.fetch_metadata(None, CALL)?;
    let mut all = TopicPartitionList::new();
    for topic in metadata.topics().iter().filter(|topic| !topic.name().starts_with("__")) {
        for partition in topic.partitions() {
            all.add_partition(topic.name(), partition.id());
        }
    }
    let mut partitions = BTreeMap::new();
    for element in offsets.committed_offsets(all, CALL)?.elements() {
        let (topic, partition) = (element.topic(), element.partition());
        let committed = match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        if committed.is_none() && !is_input(topic) {
            continue;
        }
        let (low, high) = offsets.fetch_watermarks(topic, partition, CALL)?;
        // Of a reader of committed records, so this is the last stable offset.
        let (_, end) = records.fetch_watermarks(topic, partition, CALL)?;
        // What was deleted by age before it was read is not there to be read.
        let next = committed.unwrap_or(low).max(low);
        let lag = PartitionLag {
            topic: topic.to_owned(),
            partition,
            committed,
            end,
            held_back: (high - end).max(0),
            records: (end - next).max(0),
            counted: end <= next,
            oldest_ms: None,
        };
        partitions.insert((topic.to_owned(), partition), lag);
    }
    Ok(partitions)
}

/// Reads from each committed offset: to the end where it is near, else the first record. One topic after the other,
/// because rust-rdkafka tells the end of a partition without its topic.
fn count(consumer: &BaseConsumer<Quiet>, partitions: &mut Partitions) -> Result<(), Unavailable> {
    let mut topics: BTreeMap<String, Vec<&mut PartitionLag>> = BTreeMap::new();
    for lag in partitions.values_mut().filter(|lag| lag.records > 0) {
        topics.entry(lag.topic.clone()).or_default().push(lag);
    }
    for (topic, partitions) in topics {
        count_topic(consumer, &topic, partitions)?;
        consumer.unassign().map_err(down)?;
    }
    Ok(())
}

fn count_topic(
    consumer: &BaseConsumer<Quiet>,
    topic: &str,
    partitions: Vec<&mut PartitionLag>,
) -> Result<(), Unavailable> {
    let mut start = TopicPartitionList::new();
    let mut open: HashMap<i32, Counting<'_>> = HashMap::new();
    for lag in partitions {
        let next = lag.end - lag.records;
        start.add_partition_offset(topic, lag.partition, Offset::Offset(next)).map_err(down)?;
        let one_by_one = lag.records <= COUNTED_OFFSETS;
        open.insert(lag.partition, Counting { lag, one_by_one, records: 0, bytes: 0 });
    }
    consumer.assign(&start).map_err(down)?;
    while !open.is_empty() {
        match consumer.poll(CALL) {
            Some(Ok(message)) => {
                let partition = message.partition();
                if open.get_mut(&partition).is_some_and(|counting| counting.take(&message)) {
                    open.remove(&partition);
                    let mut done = TopicPartitionList::new();
                    done.add_partition(topic, partition);
                    consumer.pause(&done).map_err(down)?;
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                if let Some(counting) = open.remove(&partition) {
                    counting.lag.records = counting.records;
                    counting.lag.counted = true;
                }
            }
            Some(Err(error)) if is_passing(&error) => {}
            Some(Err(error)) => return Err(down(error)),
            None => return Err(no_answer()),
        }
    }
    Ok(())
}

/// A partition that is being counted.
struct Counting<'l> {
    lag: &'l mut PartitionLag,
    one_by_one: bool,
    records: i64,
    bytes: usize,
}

impl Counting<'_> {
    /// Counts a record; true when the lag is known.
    fn take(&mut self, message: &impl Message) -> bool {
        let left = self.lag.end - message.offset() - 1;
        if left >= 0 {
            self.records += 1;
            self.bytes += message.payload().map_or(0, <[u8]>::len);
            if self.lag.oldest_ms.is_none() {
                self.lag.oldest_ms = message.timestamp().to_millis();
            }
        }
        self.lag.counted = left <= 0;
        self.lag.records = self.records + left.max(0);
        left <= 0 || !self.one_by_one || self.bytes > COUNTED_BYTES
    }
}
