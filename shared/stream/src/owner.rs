//! The thread that owns consumer and producer, and does all Kafka I/O of a stage.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use telemetry::{Heartbeat, TransactionEnd};
use tokio_util::sync::CancellationToken;

use crate::client::{Assignments, GroupContext, KAFKA};
use crate::lineage::{Guard, Lineage};
use crate::progress::Progress;
use crate::session::{Session, TxnEnd};
use crate::worker::{Done, Finished, Job, Pool, Surroundings, now_ms};
use crate::{Codec, Config, Delivery, Error, Incoming, Observer, Stage};

/// What a stage runs in.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// Encodes dead letters and drops, and whatever the stage gives it.
    pub codec: Codec,
    /// Counts, and says what is waited for.
    pub observer: Observer,
    /// Asks for the drain.
    pub shutdown: CancellationToken,
}

/// Kafka's default bound on the metadata of a committed offset (`offset.metadata.max.bytes`), with room to spare.
const METADATA_BYTES: usize = 4000;
/// How many records are taken from the consumer's queue before results are looked at.
const POLL_BURST: usize = 200;
/// How long the owner sleeps when nothing is in flight: only a new record or the shutdown can end it.
const IDLE: Duration = Duration::from_millis(100);
/// How long it waits for a result before it looks for new records again.
const BUSY: Duration = Duration::from_millis(1);
/// Between two tries to reach a broker that is down.
const RETRY: Duration = Duration::from_millis(500);

/// Consumes `topics` (a name that begins with `^` is a pattern) with `stage` until the shutdown, then drains.
///
/// Blocks: give it a thread of its own.
///
/// # Errors
/// What a wait cannot mend: a wrong property, a refusal by Kafka, a drain that took too long.
pub fn run<S: Stage>(stage: S, topics: &[&str], config: &Config, runtime: &Runtime) -> Result<(), Error> {
    let stage = Arc::new(stage);
    let name = stage.name();
    let (results_in, results) = unbounded();
    let surroundings = Surroundings {
        codec: runtime.codec.clone(),
        tuning: config.tuning.clone(),
        observer: runtime.observer.clone(),
    };
    let pool = Pool::start(&stage, &surroundings, &results_in)?;
    let core = Core {
        name,
        config: config.clone(),
        runtime: runtime.clone(),
        transactional_id: transactional_id(name, config),
        session: None,
        partitions: HashMap::new(),
        epoch: 0,
        results,
        in_flight_bytes: 0,
        unresolved: None,
        retry_at: None,
        fatal: None,
        fresh: false,
    };
    runtime.observer.waiting(KAFKA, "connecting");
    let context = GroupContext::new(core, runtime.observer.clone());
    let consumer: BaseConsumer<GroupContext<Core>> =
        config.consumer(name).create_with_context(context).map_err(Error::Client)?;
    consumer.subscribe(topics).map_err(|source| Error::Kafka { context: "subscribe", source })?;
    let heartbeat = runtime.observer.heartbeat();
    let result =
        Owner { stage: &*stage, consumer: &consumer, pool: &pool, runtime, config, heartbeat: &heartbeat }
            .run();
    heartbeat.finish();
    // Leaving the group revokes what is left; nothing is unfinished by now, or it is for the next instance.
    consumer.unsubscribe();
    drop(consumer);
    pool.finish();
    result
}

/// An instance with a stable name fences its own predecessor; one without has a name of its own, and its
/// predecessor is fenced by the group's generation (KIP-447).
fn transactional_id(stage: &str, config: &Config) -> String {
    let instance = match config.group_instance_id.as_str() {
        "" => uuid::Uuid::new_v4().to_string(),
        instance => instance.to_owned(),
    };
    format!("wardstream.{stage}.{instance}")
}

type Key = (Arc<str>, i32);

struct Partition {
    progress: Progress<Done>,
    epoch: u64,
    alive: Arc<AtomicBool>,
    bytes: BTreeMap<i64, usize>,
}

/// The state that the owner thread and the rebalance callbacks, on the same thread, take turns with.
struct Core {
    name: &'static str,
    config: Config,
    runtime: Runtime,
    transactional_id: String,
    session: Option<Session>,
    partitions: HashMap<Key, Partition>,
    epoch: u64,
    results: Receiver<Finished>,
    in_flight_bytes: usize,
    /// Offsets of a transaction whose end is not known, to be compared with the committed ones.
    unresolved: Option<Vec<(Key, i64)>>,
    retry_at: Option<Instant>,
    fatal: Option<Error>,
    /// Partitions came since the stage was last told.
    fresh: bool,
}

/// The finished prefixes of all partitions, as one transaction.
struct Batch {
    ends: Vec<(Key, i64)>,
    offsets: TopicPartitionList,
}

impl Core {
    fn take_results(&mut self) {
        while let Ok(finished) = self.results.try_recv() {
            self.note(finished);
        }
    }

    fn note(&mut self, finished: Finished) {
        let Finished { topic, partition, offset, epoch, done } = finished;
        if let Some(entry) = self.partitions.get_mut(&(topic, partition))
            && entry.epoch == epoch
        {
            entry.progress.complete(offset, done);
        }
    }

    fn in_flight(&self) -> usize {
        self.partitions.values().map(|partition| partition.progress.len()).sum()
    }

    fn pending(&self) -> usize {
        self.partitions.values().map(|partition| partition.progress.pending()).sum()
    }

    /// Whether a transaction is worth its while: enough is finished, or what is finished has waited, or there is
    /// nothing to wait for.
    fn due(&self) -> bool {
        let ready: usize = self.partitions.values().map(|partition| partition.progress.ready()).sum();
        if ready == 0 || self.retry_at.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        ready >= self.config.tuning.batch_records
            || self.pending() == 0
            || self.partitions.values().any(|partition| {
                let first = partition.progress.first_result();
                first.is_some_and(|done| done.finished.elapsed() >= self.config.tuning.batch_linger.get())
            })
    }

    /// Commits the finished prefixes of these partitions, or of all.
    fn commit(&mut self, consumer: &BaseConsumer<GroupContext<Self>>, only: Option<&[Key]>) {
        if !self.ready_to_commit(consumer) {
            return;
        }
        let mut batch = Batch { ends: Vec::new(), offsets: TopicPartitionList::new() };
        let mut outputs = Vec::new();
        let mut left = self.config.tuning.batch_records;
        for (key, partition) in &self.partitions {
            if only.is_some_and(|only| !only.contains(key)) {
                continue;
            }
            let Some(prefix) = partition.progress.prefix(left) else { continue };
            left -= prefix.results.len();
            outputs.extend(prefix.results.iter().flat_map(|done| &done.outputs));
            let mut element = batch.offsets.add_partition(&key.0, key.1);
            element.set_metadata(prefix.guard.to_metadata(METADATA_BYTES));
            // An offset below zero would be refused; ours never is.
            let _ = element.set_offset(Offset::Offset(prefix.next_offset));
            batch.ends.push((key.clone(), prefix.next_offset));
            if left == 0 {
                break;
            }
        }
        if batch.ends.is_empty() {
            return;
        }
        let Some(session) = &self.session else { return };
        let end = match self.config.delivery {
            Delivery::Transactional => match consumer.group_metadata() {
                Some(group) => session.commit(&outputs, &batch.offsets, &group),
                None => return,
            },
            Delivery::LineageGuarded => match session.write(&outputs) {
                Ok(()) => match consumer.commit(&batch.offsets, CommitMode::Sync) {
                    Ok(()) => TxnEnd::Committed,
                    Err(error) => TxnEnd::Aborted(error),
                },
                Err(error) => TxnEnd::Unknown(error),
            },
        };
        self.end(batch, end);
    }

    fn end(&mut self, batch: Batch, end: TxnEnd) {
        let name = self.name;
        match end {
            TxnEnd::Committed => {
                self.runtime.observer.metrics().transaction(TransactionEnd::Committed);
                self.retry_at = None;
                for (key, next_offset) in batch.ends {
                    self.committed(&key, next_offset);
                }
            }
            TxnEnd::Aborted(error) => {
                self.runtime.observer.metrics().transaction(TransactionEnd::Aborted);
                tracing::warn!(target: "kafka", stage = name, %error, "transaction aborted, it will be run again");
                self.retry_at = Some(Instant::now() + RETRY);
            }
            TxnEnd::Unknown(error) => {
                self.runtime.observer.metrics().transaction(TransactionEnd::Unknown);
                tracing::warn!(target: "kafka", stage = name, %error, "outcome of the transaction is unknown");
                if is_refusal(&error) {
                    self.fatal = Some(Error::Kafka { context: "transaction", source: error });
                }
                self.session = None;
                self.unresolved = Some(batch.ends);
                self.retry_at = Some(Instant::now() + RETRY);
            }
        }
    }

    /// A producer, and no doubt about the last transaction.
    fn ready_to_commit(&mut self, consumer: &BaseConsumer<GroupContext<Self>>) -> bool {
        if self.session.is_none() {
            match Session::open(&self.config, self.name, &self.transactional_id) {
                Ok(Ok(session)) => self.session = Some(session),
                Ok(Err(error)) => {
                    tracing::warn!(target: "kafka", stage = self.name, %error, "producer is not ready, waiting");
                    if is_refusal(&error) {
                        self.fatal = Some(Error::Kafka { context: "init_transactions", source: error });
                    }
                    self.retry_at = Some(Instant::now() + RETRY);
                    return false;
                }
                Err(error) => {
                    self.fatal = Some(error);
                    return false;
                }
            }
        }
        let Some(ends) = self.unresolved.take() else { return true };
        // The new producer fenced the old one, so what is committed now is how it ended.
        let mut asked = TopicPartitionList::new();
        for ((topic, partition), _) in &ends {
            asked.add_partition(topic, *partition);
        }
        match consumer.committed_offsets(asked, Duration::from_secs(10)) {
            Ok(committed) => {
                for (key, end) in ends {
                    let offset = committed.find_partition(&key.0, key.1).map(|element| element.offset());
                    if matches!(offset, Some(Offset::Offset(offset)) if offset >= end) {
                        self.committed(&key, end);
                    }
                }
                true
            }
            Err(error) => {
                tracing::warn!(target: "kafka", stage = self.name, %error, "committed offsets cannot be read, waiting");
                self.unresolved = Some(ends);
                self.retry_at = Some(Instant::now() + RETRY);
                false
            }
        }
    }

    /// Lets go of what is committed, and counts it: only now is it a fate.
    fn committed(&mut self, key: &Key, next_offset: i64) {
        let Some(partition) = self.partitions.get_mut(key) else { return };
        let now = now_ms();
        let metrics = self.runtime.observer.metrics();
        for done in partition.progress.results_below(next_offset) {
            let Some(fate) = done.fate else {
                metrics.duplicates(1);
                continue;
            };
            metrics.fate(fate, &done.reason);
            metrics.end_to_end(Duration::from_millis((now - done.received_at_ms).max(0).unsigned_abs()));
            for output in &done.outputs {
                metrics.sent(&output.topic, 1);
            }
        }
        partition.progress.committed(next_offset);
        let kept = partition.bytes.split_off(&next_offset);
        let freed: usize = std::mem::replace(&mut partition.bytes, kept).into_values().sum();
        self.in_flight_bytes -= freed;
    }

    fn release(&mut self, partitions: &TopicPartitionList) {
        for element in partitions.elements() {
            let key = (Arc::from(element.topic()), element.partition());
            if let Some(partition) = self.partitions.remove(&key) {
                partition.alive.store(false, Ordering::Release);
                self.in_flight_bytes -= partition.bytes.values().sum::<usize>();
                self.runtime.observer.metrics().forget_lag(&key.0, key.1);
            }
        }
    }
}

impl Assignments for Core {
    fn assigned(&mut self, partitions: &TopicPartitionList) {
        tracing::info!(target: "kafka", stage = self.name, partitions = partitions.count(), "partitions assigned");
        self.fresh = true;
    }

    fn revoked(&mut self, consumer: &BaseConsumer<GroupContext<Self>>, partitions: &TopicPartitionList) {
        tracing::info!(target: "kafka", stage = self.name, partitions = partitions.count(), "partitions revoked");
        self.take_results();
        let keys: Vec<Key> = partitions
            .elements()
            .iter()
            .map(|element| (Arc::from(element.topic()), element.partition()))
            .collect();
        // One transaction for what is finished; what is not is the next owner's.
        self.commit(consumer, Some(&keys));
        self.release(partitions);
    }

    fn unfinished(&self, topic: &str, partition: i32) -> usize {
        let key = (Arc::from(topic), partition);
        self.partitions.get(&key).map_or(0, |partition| partition.progress.len())
    }

    fn lost(&mut self, partitions: &TopicPartitionList) {
        tracing::warn!(target: "kafka", stage = self.name, partitions = partitions.count(), "partitions lost");
        self.release(partitions);
    }
}

/// Kafka said no, and will say no again.
fn is_refusal(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        ClusterAuthorizationFailed, GroupAuthorizationFailed, TopicAuthorizationFailed,
        TransactionalIdAuthorizationFailed, UnsupportedVersion,
    };
    matches!(
        error.rdkafka_error_code(),
        Some(
            ClusterAuthorizationFailed
                | GroupAuthorizationFailed
                | TopicAuthorizationFailed
                | TransactionalIdAuthorizationFailed
                | UnsupportedVersion
        )
    )
}

struct Owner<'a, S> {
    stage: &'a S,
    consumer: &'a BaseConsumer<GroupContext<Core>>,
    pool: &'a Pool,
    runtime: &'a Runtime,
    config: &'a Config,
    heartbeat: &'a Heartbeat,
}

impl<S: Stage> Owner<'_, S> {
    fn run(&self) -> Result<(), Error> {
        let mut paused = false;
        let mut draining: Option<Instant> = None;
        let mut topics: HashMap<String, Arc<str>> = HashMap::new();
        loop {
            self.heartbeat.beat();
            if draining.is_none() && self.runtime.shutdown.is_cancelled() {
                self.runtime.observer.draining();
                draining = Some(Instant::now() + self.config.tuning.drain_timeout.get());
                self.pause_all(true);
                paused = true;
            }
            self.poll(&mut topics, draining.is_some());
            let mut core = self.consumer.context().state();
            if core.in_flight() > 0
                && let Ok(finished) = core.results.clone().recv_timeout(BUSY)
            {
                core.note(finished);
                core.take_results();
            }
            if core.due() {
                core.commit(self.consumer, None);
            }
            if let Some(error) = core.fatal.take() {
                return Err(error);
            }
            let in_flight = core.in_flight();
            self.runtime.observer.metrics().set_in_flight(in_flight as i64);
            let full = in_flight >= self.config.tuning.max_in_flight
                || core.in_flight_bytes as u64 >= self.config.tuning.max_in_flight_bytes.as_u64();
            let low = in_flight <= self.config.tuning.max_in_flight / 2
                && core.in_flight_bytes as u64 <= self.config.tuning.max_in_flight_bytes.as_u64() / 2;
            drop(core);
            match draining {
                None if full && !paused => {
                    self.pause_all(true);
                    paused = true;
                }
                None if low && paused => {
                    self.pause_all(false);
                    paused = false;
                }
                Some(_) if in_flight == 0 => return Ok(()),
                Some(deadline) if Instant::now() > deadline => {
                    return Err(Error::Drain { pending: in_flight });
                }
                _ => {}
            }
        }
    }

    /// Takes what the consumer has. Rebalance callbacks run in here.
    fn poll(&self, topics: &mut HashMap<String, Arc<str>>, draining: bool) {
        let idle = self.consumer.context().state().in_flight() == 0;
        let mut timeout = if idle { IDLE } else { Duration::ZERO };
        for _ in 0..POLL_BURST {
            match self.consumer.poll(timeout) {
                None => return,
                Some(Ok(message)) => {
                    let topic = match topics.get(message.topic()) {
                        Some(topic) => topic.clone(),
                        None => {
                            let topic: Arc<str> = Arc::from(message.topic());
                            topics.insert(message.topic().to_owned(), topic.clone());
                            topic
                        }
                    };
                    // A drain takes nothing on any more: what is read now is read again by the next instance.
                    if !draining {
                        self.admit(Incoming::copy(&message, topic));
                    }
                }
                Some(Err(error)) => {
                    tracing::warn!(target: "kafka", stage = self.stage.name(), %error, "consumer reports");
                    if is_refusal(&error) {
                        self.consumer.context().state().fatal =
                            Some(Error::Kafka { context: "consume", source: error });
                    } else {
                        self.runtime.observer.waiting(KAFKA, &error.to_string());
                    }
                    return;
                }
            }
            timeout = Duration::ZERO;
        }
    }

    fn admit(&self, record: Incoming) {
        self.prepare(&record);
        self.runtime.observer.metrics().received(&record.topic, 1);
        let mut core = self.consumer.context().state();
        let key = (record.topic.clone(), record.partition);
        let size = record.size();
        let Some(partition) = core.partitions.get_mut(&key) else { return };
        partition.bytes.insert(record.offset, size);
        let lineage = Lineage::of(&record);
        if partition.progress.admit(record.offset, lineage) {
            let job = Job { epoch: partition.epoch, alive: partition.alive.clone(), record };
            core.in_flight_bytes += size;
            drop(core);
            self.pool.submit(job);
        } else {
            partition.progress.complete(record.offset, Done::duplicate());
            core.in_flight_bytes += size;
        }
    }

    /// Before the first record of a partition: what its committed offset says of the past, and the stage's own state.
    fn prepare(&self, record: &Incoming) {
        let key = (record.topic.clone(), record.partition);
        loop {
            let fresh = {
                let core = self.consumer.context().state();
                if core.partitions.contains_key(&key) || self.runtime.shutdown.is_cancelled() {
                    return;
                }
                core.fresh
            };
            self.heartbeat.beat();
            if fresh {
                if let Err(unavailable) = self.stage.assigned() {
                    self.runtime.observer.waiting(unavailable.dependency, &unavailable.detail);
                    std::thread::sleep(RETRY);
                    continue;
                }
                self.consumer.context().state().fresh = false;
            }
            let mut asked = TopicPartitionList::new();
            asked.add_partition(&key.0, key.1);
            match self.consumer.committed_offsets(asked, Duration::from_secs(10)) {
                Ok(committed) => {
                    let guard = committed
                        .find_partition(&key.0, key.1)
                        .map_or_else(Guard::default, |element| Guard::from_metadata(element.metadata()));
                    let mut core = self.consumer.context().state();
                    core.epoch += 1;
                    let partition = Partition {
                        progress: Progress::new(guard),
                        epoch: core.epoch,
                        alive: Arc::new(AtomicBool::new(true)),
                        bytes: BTreeMap::new(),
                    };
                    core.partitions.insert(key, partition);
                    return;
                }
                Err(error) => {
                    tracing::warn!(target: "kafka", stage = self.stage.name(), %error, "committed offsets cannot be read");
                    self.runtime.observer.waiting(KAFKA, &error.to_string());
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    fn pause_all(&self, pause: bool) {
        let result = self.consumer.assignment().and_then(|assignment| {
            if pause { self.consumer.pause(&assignment) } else { self.consumer.resume(&assignment) }
        });
        if let Err(error) = result {
            tracing::warn!(target: "kafka", stage = self.stage.name(), %error, pause, "flow control failed");
        }
    }
}
