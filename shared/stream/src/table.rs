use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::KAFKA;
use crate::reader::{self, Quiet, down, is_passing};
use crate::worker::now_ms;
use crate::{Config, Error, Incoming, Unavailable};

/// A topic read as state: from its beginning when it is compacted, or as far back as it matters, and caught up
/// whenever partitions change hands.
pub struct Table {
    topic: String,
    /// How far back the first reading begins; none means the beginning.
    since: Option<Duration>,
    /// How long a transaction can be open whose instance died.
    open_transactions: Duration,
    reader: Mutex<Reader>,
}

struct Reader {
    consumer: BaseConsumer<Quiet>,
    /// Sees what is written and not committed yet: only to know that it is there.
    marks: BaseConsumer<Quiet>,
    /// The next offset of each partition that was read.
    next: HashMap<i32, i64>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("topic", &self.topic).finish_non_exhaustive()
    }
}

const CALL: Duration = Duration::from_secs(10);
/// How long somebody waits who has other things to do.
const SOON: Duration = Duration::from_millis(200);
/// Between two looks at a transaction that is open.
const AGAIN: Duration = Duration::from_millis(10);

/// An event of a connection, which is no answer to what was asked. Unlike a [`Reader`](crate::Reader), whose user
/// wants to know at once that no broker answers, a table waits for one.
fn may_pass(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, OperationTimedOut};
    is_passing(error) || matches!(error.rdkafka_error_code(), Some(AllBrokersDown | OperationTimedOut))
}

impl Table {
    /// A reader of the topic, outside any group. Opens no connection yet.
    ///
    /// # Errors
    /// [`Error::Client`] when a property is wrong.
    pub fn new(topic: &str, since: Option<Duration>, config: &Config) -> Result<Self, Error> {
        let group = format!("wardstream.table.{topic}");
        let consumer = reader::consumer(config, &group, "read_committed").map_err(Error::Client)?;
        let marks = reader::consumer(config, &group, "read_uncommitted").map_err(Error::Client)?;
        let reader = Reader { consumer, marks, next: HashMap::new() };
        let open_transactions = config.tuning.transaction_timeout.get() + CALL;
        Ok(Self { topic: topic.to_owned(), since, open_transactions, reader: Mutex::new(reader) })
    }

    /// The same, but a transaction that is still open makes [`catch_up`](Self::catch_up) fail soon: for somebody who
    /// has other things to do meanwhile, and tries again.
    #[must_use]
    pub fn impatient(self) -> Self {
        Self { open_transactions: SOON, ..self }
    }

    /// Reads everything that was written since the last call, and gives each record to `apply`, in the order of its
    /// partition. Returns how many there were.
    ///
    /// What is committed can lie behind a transaction that is still open, perhaps of an instance that died, and is not
    /// readable before that one is decided: this waits for it, `transaction.timeout.ms` at most.
    ///
    /// # Errors
    /// [`Unavailable`] when the broker does not answer, or such a transaction is not decided in time; what was applied
    /// stays, and the next call goes on there.
    pub fn catch_up(&self, apply: impl FnMut(&Incoming)) -> Result<u64, Unavailable> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.read(&mut reader, apply);
        // Between two calls nothing is fetched; and a new assignment tells the end of each partition anew.
        reader.consumer.unassign().map_err(down)?;
        result
    }

    fn read(&self, reader: &mut Reader, mut apply: impl FnMut(&Incoming)) -> Result<u64, Unavailable> {
        let metadata = reader.consumer.fetch_metadata(Some(&self.topic), CALL).map_err(down)?;
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
        self.wait_for_open_transactions(reader, &partitions)?;
        let assignment = self.assignment(reader, &partitions).map_err(down)?;
        reader.consumer.assign(&assignment).map_err(down)?;
        let topic: Arc<str> = Arc::from(self.topic.as_str());
        let mut open: HashSet<i32> = partitions.into_iter().collect();
        let mut read = 0;
        let mut deadline = Instant::now() + CALL;
        let mut trouble = "no answer in time".to_owned();
        while !open.is_empty() {
            match reader.consumer.poll(deadline.saturating_duration_since(Instant::now())) {
                Some(Ok(message)) => {
                    let record = Incoming::copy(&message, topic.clone());
                    reader.next.insert(record.partition, record.offset + 1);
                    read += 1;
                    apply(&record);
                    deadline = Instant::now() + CALL;
                }
                // Behind the last readable record, control records of transactions included.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                // Often said while the broker was away, each heard only now; librdkafka connects again by itself.
                Some(Err(error)) if may_pass(&error) => trouble = error.to_string(),
                Some(Err(error)) => return Err(down(error)),
                None => {}
            }
            if Instant::now() >= deadline && !open.is_empty() {
                return Err(Unavailable { dependency: KAFKA, detail: trouble });
            }
        }
        Ok(read)
    }

    /// Until everything that is there now is readable: the last stable offset, which a reader of committed records is
    /// told as the end, has passed the end of now.
    fn wait_for_open_transactions(&self, reader: &Reader, partitions: &[i32]) -> Result<(), Unavailable> {
        let deadline = Instant::now() + self.open_transactions;
        // Asked anew: a client keeps for minutes that a partition had no leader while its broker was away.
        reader.marks.fetch_metadata(Some(&self.topic), CALL).map_err(down)?;
        for partition in partitions {
            let (_, end) = reader.marks.fetch_watermarks(&self.topic, *partition, CALL).map_err(down)?;
            loop {
                let (_, stable) =
                    reader.consumer.fetch_watermarks(&self.topic, *partition, CALL).map_err(down)?;
                if stable >= end {
                    break;
                }
                if Instant::now() >= deadline {
                    let detail = format!("a transaction on {} is still open", self.topic);
                    return Err(Unavailable { dependency: KAFKA, detail });
                }
                std::thread::sleep(AGAIN);
            }
        }
        Ok(())
    }

    /// Where each partition is to be read on: behind what was read, else where the first reading begins.
    fn assignment(&self, reader: &Reader, partitions: &[i32]) -> Result<TopicPartitionList, KafkaError> {
        let mut start = TopicPartitionList::new();
        for partition in partitions {
            start.add_partition_offset(&self.topic, *partition, Offset::Beginning)?;
        }
        if let Some(since) = self.since {
            let from = now_ms() - i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
            start.set_all_offsets(Offset::Offset(from.max(0)))?;
            start = reader.consumer.offsets_for_times(start, CALL)?;
        }
        for (partition, next) in &reader.next {
            if let Some(mut element) = start.find_partition(&self.topic, *partition) {
                element.set_offset(Offset::Offset(*next))?;
            }
        }
        Ok(start)
    }
}
