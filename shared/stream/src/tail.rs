use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use telemetry::Heartbeat;

use crate::broker::Trouble;
use crate::client::{Assignments, GroupContext, KAFKA, done_for};
use crate::{Config, Error, Incoming, Observer, Unavailable, orphans};

/// A group member that only reads, for a consumer whose outputs lie outside Kafka and who decides itself where each
/// partition begins.
pub struct Tail {
    consumer: BaseConsumer<GroupContext<Events>>,
    topics: HashMap<String, Arc<str>>,
    observer: Observer,
    heartbeat: Heartbeat,
    _orphans: Option<orphans::Watch>,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail").finish_non_exhaustive()
    }
}

/// What happened.
#[derive(Debug)]
pub enum TailEvent {
    /// Partitions came. Seek each before the next poll to begin elsewhere than at its committed offset.
    Assigned(Vec<(String, i32)>),
    /// Partitions went.
    Revoked(Vec<(String, i32)>),
    /// A record.
    Record(Incoming),
}

#[derive(Default)]
struct Events(VecDeque<TailEvent>);

fn list(partitions: &TopicPartitionList) -> Vec<(String, i32)> {
    partitions.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect()
}

impl Assignments for Events {
    fn assigned(&mut self, partitions: &TopicPartitionList) {
        self.0.push_back(TailEvent::Assigned(list(partitions)));
    }

    fn revoked(&mut self, _consumer: &BaseConsumer<GroupContext<Self>>, partitions: &TopicPartitionList) {
        self.0.push_back(TailEvent::Revoked(list(partitions)));
    }

    fn lost(&mut self, partitions: &TopicPartitionList) {
        self.0.push_back(TailEvent::Revoked(list(partitions)));
    }
}

const CALL: Duration = Duration::from_secs(10);

impl Tail {
    /// Joins the group and subscribes to `topics` without those that match a pattern of `exclude`; a name that begins
    /// with `^` is a pattern.
    ///
    /// # Errors
    /// [`Error::Client`] when a property is wrong.
    pub fn new(
        name: &str,
        topics: &[&str],
        exclude: &[String],
        config: &Config,
        observer: &Observer,
    ) -> Result<Self, Error> {
        let mut client = config.consumer(name);
        if !exclude.is_empty() {
            client.set("topic.blacklist", exclude.join(","));
        }
        let context = GroupContext::new(Events::default(), observer.clone());
        let consumer: BaseConsumer<GroupContext<Events>> =
            client.create_with_context(context).map_err(Error::Client)?;
        consumer.subscribe(topics).map_err(|source| Error::Kafka { context: "subscribe", source })?;
        Ok(Self {
            _orphans: orphans::Watch::start(name, topics, exclude, config)?,
            consumer,
            topics: HashMap::new(),
            observer: observer.clone(),
            heartbeat: observer.heartbeat(CALL),
        })
    }

    /// The next event, or none after `timeout`.
    ///
    /// # Errors
    /// [`Error::Refused`] when this member is done for: fenced by another of its name, or not authorised.
    pub fn poll(&mut self, timeout: Duration) -> Result<Option<TailEvent>, Error> {
        self.heartbeat.beat();
        if let Some(event) = self.consumer.context().state().0.pop_front() {
            return Ok(Some(event));
        }
        if let Some(Trouble { detail, .. }) = done_for(&self.consumer) {
            return Err(Error::Refused { context: "consume", detail });
        }
        let message = match self.consumer.poll(timeout) {
            Some(Ok(message)) => message,
            Some(Err(error)) => {
                let Trouble { detail, refused } = Trouble::from(error);
                tracing::warn!(target: "kafka", detail, "consumer reports");
                if refused {
                    return Err(Error::Refused { context: "consume", detail });
                }
                self.observer.waiting(KAFKA, &detail);
                return Ok(self.consumer.context().state().0.pop_front());
            }
            None => return Ok(self.consumer.context().state().0.pop_front()),
        };
        let topic = match self.topics.get(message.topic()) {
            Some(topic) => topic.clone(),
            None => {
                let topic: Arc<str> = Arc::from(message.topic());
                self.topics.insert(message.topic().to_owned(), topic.clone());
                topic
            }
        };
        let record = TailEvent::Record(Incoming::copy(&message, topic));
        let mut events = self.consumer.context().state();
        // A rebalance that ran inside the poll came before the record.
        events.0.push_back(record);
        Ok(events.0.pop_front())
    }

    /// Goes on at `offset`; what was fetched and not polled is thrown away.
    ///
    /// # Errors
    /// [`Unavailable`] when the consumer cannot seek now.
    pub fn seek(&self, topic: &str, partition: i32, offset: i64) -> Result<(), Unavailable> {
        self.consumer
            .seek(topic, partition, Offset::Offset(offset), CALL)
            .map_err(|error| Unavailable { dependency: KAFKA, detail: error.to_string() })
    }

    /// Commits the next offset of a partition: for lag and for the next instance, not for correctness.
    ///
    /// # Errors
    /// [`Unavailable`] when the group does not take it now.
    pub fn commit(&self, topic: &str, partition: i32, next_offset: i64) -> Result<(), Unavailable> {
        let down =
            |error: rdkafka::error::KafkaError| Unavailable { dependency: KAFKA, detail: error.to_string() };
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, partition, Offset::Offset(next_offset)).map_err(down)?;
        self.consumer.commit(&offsets, CommitMode::Sync).map_err(down)
    }

    /// The committed offset of a partition, if there is one.
    ///
    /// # Errors
    /// [`Unavailable`] when the group's coordinator does not answer.
    pub fn committed(&self, topic: &str, partition: i32) -> Result<Option<i64>, Unavailable> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, partition);
        let committed = self
            .consumer
            .committed_offsets(asked, CALL)
            .map_err(|error| Unavailable { dependency: KAFKA, detail: error.to_string() })?;
        Ok(committed.find_partition(topic, partition).and_then(|element| match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }))
    }

    /// Stops or resumes fetching of everything assigned.
    ///
    /// # Errors
    /// [`Unavailable`] when the consumer cannot do so now.
    pub fn pause(&self, pause: bool) -> Result<(), Unavailable> {
        self.consumer
            .assignment()
            .and_then(|assignment| {
                if pause { self.consumer.pause(&assignment) } else { self.consumer.resume(&assignment) }
            })
            .map_err(|error| Unavailable { dependency: KAFKA, detail: error.to_string() })
    }

    /// First offset kept and one past the last, of a partition.
    ///
    /// # Errors
    /// [`Unavailable`] when the broker does not answer.
    pub fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), Unavailable> {
        self.consumer
            .fetch_watermarks(topic, partition, CALL)
            .map_err(|error| Unavailable { dependency: KAFKA, detail: error.to_string() })
    }
}
