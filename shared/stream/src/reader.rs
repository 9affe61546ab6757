//! Records as they stand, read outside any group: for operators, who look and go.

use std::collections::HashSet;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::KAFKA;
use crate::{Config, Error, Incoming, Unavailable};

pub(crate) const CALL: Duration = Duration::from_secs(30);

pub(crate) fn down(error: KafkaError) -> Unavailable {
    Unavailable { dependency: KAFKA, detail: error.to_string() }
}

/// The default context logs the end of each partition as an error.
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", %error, reason, "reader reports");
    }
}

impl ConsumerContext for Quiet {}

/// A consumer that is in no group, and tells the end of each partition.
pub(crate) fn consumer(
    config: &Config,
    group: &str,
    isolation: &str,
) -> Result<BaseConsumer<Quiet>, KafkaError> {
    let mut client = config.client("reader");
    client
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", isolation)
        .set("enable.partition.eof", "true")
        .set("queued.max.messages.kbytes", "8192")
        // The end of a partition is told with the answer to a fetch, and somebody waits for it.
        .set("fetch.wait.max.ms", "50");
    config.overlay(client).create_with_context(Quiet)
}

/// Reads committed records. Its calls block: keep it on a plain thread.
pub struct Reader {
    consumer: BaseConsumer<Quiet>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader. Opens no connection yet.
    ///
    /// # Errors
    /// [`Error::Client`] when a property is wrong.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let consumer = consumer(config, "wardstream.reader", "read_committed").map_err(Error::Client)?;
        Ok(Self { consumer })
    }

    /// Gives each record of the topic to `visit`, in the order of its partition, until `visit` breaks off or the end
    /// of each partition is reached. `since_ms` leaves out what was written before, milliseconds since the epoch.
    ///
    /// # Errors
    /// [`Unavailable`] when the broker does not answer or the topic is not there.
    pub fn scan(
        &self,
        topic: &str,
        since_ms: Option<i64>,
        visit: impl FnMut(Incoming) -> ControlFlow<()>,
    ) -> Result<(), Unavailable> {
        let metadata = self.consumer.fetch_metadata(Some(topic), CALL).map_err(down)?;
        let mut start = TopicPartitionList::new();
        let mut open = HashSet::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            start.add_partition_offset(topic, partition.id(), Offset::Beginning).map_err(down)?;
            open.insert(partition.id());
        }
        if open.is_empty() {
            return Err(absent(topic));
        }
        if let Some(since) = since_ms {
            start.set_all_offsets(Offset::Offset(since.max(0))).map_err(down)?;
            start = self.consumer.offsets_for_times(start, CALL).map_err(down)?;
        }
        self.follow(topic, &start, open, visit)
    }

    /// The partitions of a topic, in their order.
    ///
    /// # Errors
    /// [`Unavailable`] when the broker does not answer or the topic is not there.
    pub fn partitions(&self, topic: &str) -> Result<Vec<i32>, Unavailable> {
        let metadata = self.consumer.fetch_metadata(Some(topic), CALL).map_err(down)?;
        let mut partitions: Vec<i32> = metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions())
            .map(|partition| partition.id())
            .collect();
        partitions.sort_unstable();
        if partitions.is_empty() { Err(absent(topic)) } else { Ok(partitions) }
    }

    /// The first offset of a partition that Kafka still has, and one past the last.
    ///
    /// # Errors
    /// [`Unavailable`] when the broker does not answer.
    pub fn held(&self, topic: &str, partition: i32) -> Result<Range<i64>, Unavailable> {
        let (low, high) = self.consumer.fetch_watermarks(topic, partition, CALL).map_err(down)?;
        Ok(low..high)
    }

    /// Gives each record of one partition to `visit`, from an offset on, until `visit` breaks off or the end is reached.
    /// `since_ms` leaves out what was written before, milliseconds since the epoch.
    ///
    /// # Errors
    /// [`Unavailable`] when the broker does not answer.
    pub fn scan_partition(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        since_ms: Option<i64>,
        visit: impl FnMut(Incoming) -> ControlFlow<()>,
    ) -> Result<(), Unavailable> {
        let mut from = Offset::Offset(from.max(0));
        if let Some(since) = since_ms {
            let mut times = TopicPartitionList::new();
            times.add_partition_offset(topic, partition, Offset::Offset(since.max(0))).map_err(down)?;
            let found = self.consumer.offsets_for_times(times, CALL).map_err(down)?;
            let found = found.find_partition(topic, partition).map(|element| element.offset());
            from = match (from, found) {
                (Offset::Offset(from), Some(Offset::Offset(found))) => Offset::Offset(from.max(found)),
                // Nothing was written since.
                (_, Some(other)) => other,
                (from, None) => from,
            };
        }
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(topic, partition, from).map_err(down)?;
        self.follow(topic, &start, HashSet::from([partition]), visit)
    }

    /// Reads the `open` partitions to their ends.
    fn follow(
        &self,
        topic: &str,
        start: &TopicPartitionList,
        mut open: HashSet<i32>,
        mut visit: impl FnMut(Incoming) -> ControlFlow<()>,
    ) -> Result<(), Unavailable> {
        self.consumer.assign(start).map_err(down)?;
        let name: Arc<str> = Arc::from(topic);
        let result = loop {
            if open.is_empty() {
                break Ok(());
            }
            match self.consumer.poll(CALL) {
                Some(Ok(message)) => {
                    if visit(Incoming::copy(&message, name.clone())).is_break() {
                        break Ok(());
                    }
                }
                // Behind the last readable record, control records of transactions included.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                Some(Err(error)) if is_passing(&error) => {}
                Some(Err(error)) => break Err(down(error)),
                None => break Err(no_answer()),
            }
        };
        self.consumer.unassign().map_err(down)?;
        result
    }

    /// The record at this position; none when it is no longer there, or never was.
    ///
    /// # Errors
    /// [`Unavailable`] when the broker does not answer.
    pub fn at(&self, topic: &str, partition: i32, offset: i64) -> Result<Option<Incoming>, Unavailable> {
        let metadata = self.consumer.fetch_metadata(Some(topic), CALL).map_err(down)?;
        let mut partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        if offset < 0 || !partitions.any(|there| there.id() == partition) {
            return Ok(None);
        }
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(topic, partition, Offset::Offset(offset)).map_err(down)?;
        self.consumer.assign(&start).map_err(down)?;
        let found = loop {
            match self.consumer.poll(CALL) {
                // Where the position is gone, reading begins with the first record that is left.
                Some(Ok(message)) => {
                    let record = Incoming::copy(&message, Arc::from(topic));
                    break Ok((record.offset == offset).then_some(record));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break Ok(None),
                Some(Err(error)) if is_passing(&error) => {}
                Some(Err(error)) => break Err(down(error)),
                None => break Err(no_answer()),
            }
        };
        self.consumer.unassign().map_err(down)?;
        found
    }
}

fn absent(topic: &str) -> Unavailable {
    let detail = format!("topic {topic} does not exist; `wardstream topics apply` creates it");
    Unavailable { dependency: KAFKA, detail }
}

pub(crate) fn no_answer() -> Unavailable {
    Unavailable { dependency: KAFKA, detail: "no answer in time".to_owned() }
}

/// One of several brokers may be away while the others answer.
pub(crate) fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve)
    )
}
