use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::KAFKA;
use crate::worker::now_ms;
use crate::{Config, Error, Incoming, Unavailable};

/// A topic read as state: from its beginning when it is compacted, or as far back as it matters, and caught up
/// whenever partitions change hands.
pub struct Table {
    topic: String,
    /// How far back the first reading begins; none means the beginning.
    since: Option<Duration>,
    consumer: Mutex<BaseConsumer>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("topic", &self.topic).finish_non_exhaustive()
    }
}

const CALL: Duration = Duration::from_secs(10);

impl Table {
    /// A reader of the topic, outside any group. Opens no connection yet.
    ///
    /// # Errors
    /// [`Error::Client`] when a property is wrong.
    pub fn new(topic: &str, since: Option<Duration>, config: &Config) -> Result<Self, Error> {
        let mut client = config.client(topic);
        client
            .set("group.id", format!("wardstream.table.{topic}"))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true");
        let consumer = config.overlay(client).create().map_err(Error::Client)?;
        Ok(Self { topic: topic.to_owned(), since, consumer: Mutex::new(consumer) })
    }

    /// Reads everything that was written since the last call, and gives each record to `apply`, in the
    /// order of its partition. Returns how many there were.
    ///
    /// # Errors
    /// [`Unavailable`] when the broker does not answer; what was applied stays, and the next call goes on there.
    pub fn catch_up(&self, mut apply: impl FnMut(&Incoming)) -> Result<u64, Unavailable> {
        let down = |error: KafkaError| Unavailable { dependency: KAFKA, detail: error.to_string() };
        let consumer = self.consumer.lock().unwrap_or_else(PoisonError::into_inner);
        let metadata = consumer.fetch_metadata(Some(&self.topic), CALL).map_err(down)?;
        let partitions: Vec<i32> = metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::id))
            .collect();
        if partitions.is_empty() {
            return Err(Unavailable {
                dependency: KAFKA,
                detail: format!("topic {} does not exist", self.topic),
            });
        }
        let assignment = self.assignment(&consumer, &partitions).map_err(down)?;
        if consumer.assignment().map_err(down)?.count() != partitions.len() {
            consumer.assign(&assignment).map_err(down)?;
        }
        // The end is asked for now: what is written later belongs to a later call.
        let mut behind = std::collections::HashSet::new();
        for partition in &partitions {
            let (low, high) = consumer.fetch_watermarks(&self.topic, *partition, CALL).map_err(down)?;
            let position = assignment.find_partition(&self.topic, *partition).map(|element| element.offset());
            let at = match position {
                Some(Offset::Offset(offset)) => offset,
                _ => low,
            };
            if at < high {
                behind.insert(*partition);
            }
        }
        let topic: Arc<str> = Arc::from(self.topic.as_str());
        let mut read = 0;
        while !behind.is_empty() {
            match consumer.poll(CALL) {
                Some(Ok(message)) => {
                    read += 1;
                    apply(&Incoming::copy(&message, topic.clone()));
                }
                // Reached only behind the last readable record, control records of transactions included.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    behind.remove(&partition);
                }
                Some(Err(error)) => return Err(down(error)),
                None => {
                    return Err(Unavailable { dependency: KAFKA, detail: "no answer in time".to_owned() });
                }
            }
        }
        Ok(read)
    }

    /// Where each partition is to be read on: at its position, else where the first reading begins.
    fn assignment(
        &self,
        consumer: &BaseConsumer,
        partitions: &[i32],
    ) -> Result<TopicPartitionList, KafkaError> {
        let mut start = TopicPartitionList::new();
        for partition in partitions {
            start.add_partition_offset(&self.topic, *partition, Offset::Beginning)?;
        }
        if let Some(since) = self.since {
            let from = now_ms() - i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
            start.set_all_offsets(Offset::Offset(from.max(0)))?;
            start = consumer.offsets_for_times(start, CALL)?;
        }
        let position = consumer.position()?;
        for partition in partitions {
            if let Some(known) = position.find_partition(&self.topic, *partition)
                && matches!(known.offset(), Offset::Offset(_))
                && let Some(mut element) = start.find_partition(&self.topic, *partition)
            {
                element.set_offset(known.offset())?;
            }
        }
        Ok(start)
    }
}
