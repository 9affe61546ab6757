//! The thread that owns consumer and producer, and does all Kafka I/O of a stage.
//!
//! Consuming, then draining, then complete: each phase is a type, and offers only what it may do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::headers::{SOURCE_PARTITION, SOURCE_TOPIC};
use contracts::parked_topic;
use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::TopicPartitionList;
use telemetry::{Heartbeat, TransactionEnd};
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, End, Key, Trouble};
use crate::client::{Assignments, GroupContext, KAFKA, done_for};
use crate::flow::{Flow, Room};
use crate::link::{Link, Sessions};
use crate::machine::Machine;
use crate::orphans;
use crate::parked::Parked;
use crate::pulse::Turns;
use crate::worker::{Job, News, Pool, Surroundings, now_ms};
use crate::{Codec, Config, Error, Incoming, Observer, Stage, Table, Unavailable};

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

/// How many records are taken from the consumer's queue before results are looked at.
const POLL_BURST: usize = 500;
/// How long the owner sleeps when nothing is in flight: only a new record or the shutdown can end it.
const IDLE: Duration = Duration::from_millis(100);
/// How long it waits for a result before it looks for new records again.
const BUSY: Duration = Duration::from_millis(1);
/// Between two tries to learn what is committed.
const RETRY: Duration = Duration::from_millis(500);
/// What `/readyz` calls the commits, which can fail while the broker answers.
const TRANSACTIONS: &str = "kafka transactions";

/// Consumes `topics` (a name that begins with `^` is a pattern) with `stage` until the shutdown, then drains.
///
/// Blocks: give it a thread of its own.
///
/// # Errors
/// What a wait cannot mend: a wrong property, a refusal by Kafka, a transaction that could not commit for
/// [`commit_timeout`](crate::Tuning::commit_timeout), a drain that took too long. The partitions are given back
/// before it returns.
pub fn run<S: Stage>(stage: S, topics: &[&str], config: &Config, runtime: &Runtime) -> Result<(), Error> {
    let stage = Arc::new(stage);
    let name = stage.name();
    let parked = Arc::new(Parked::default());
    let (news_in, news) = unbounded();
    let turns = Turns::new(config.tuning.session_timeout.get(), Instant::now());
    let surroundings = Surroundings {
        codec: runtime.codec.clone(),
        tuning: config.tuning.clone(),
        observer: runtime.observer.clone(),
        parked: parked.clone(),
        pulse: turns.pulse(),
    };
    let pool = Pool::start(&stage, &surroundings, &news_in)?;
    // Only workers hold it now: when the last ends, the channel does.
    drop(news_in);
    let core = Core {
        name,
        observer: runtime.observer.clone(),
        machine: Machine::new(config.tuning.clone()),
        sessions: Sessions::new(name, config),
        parked,
        news,
        arrivals: Vec::new(),
        changed: false,
        troubled: false,
    };
    let context = GroupContext::new(core, runtime.observer.clone());
    let consumer: BaseConsumer<GroupContext<Core>> =
        config.consumer(name).create_with_context(context).map_err(Error::Client)?;
    consumer.subscribe(topics).map_err(|source| Error::Kafka { context: "subscribe", source })?;
    let _orphans = orphans::Watch::start(name, topics, &[], config)?;
    // Two calls that each take as long as a commit may.
    let heartbeat = runtime.observer.heartbeat(2 * config.tuning.commit_timeout.get());
    let line = Line {
        stage: &*stage,
        consumer: &consumer,
        pool,
        runtime,
        config,
        heartbeat: &heartbeat,
        turns,
        parked: Table::new(&parked_topic(name), None, config)?.impatient(),
        topics: HashMap::new(),
        prepare_at: None,
    };
    let owner = Owner { line, phase: Consuming { flow: Flow::default() } };
    let complete = match owner.consume() {
        Next::Drain(draining) => draining.drain(),
        Next::Leave(complete) => complete,
    };
    let (pool, result) = complete.leave();
    heartbeat.finish();
    drop(consumer);
    pool.finish();
    result
}

/// The state that the owner thread and the rebalance callbacks, on the same thread, take turns with.
struct Core {
    name: &'static str,
    observer: Observer,
    machine: Machine,
    sessions: Sessions,
    parked: Arc<Parked>,
    news: Receiver<News>,
    /// Read, of partitions that are this instance's, and not admitted yet.
    arrivals: Vec<Incoming>,
    /// Partitions came or went since the owner last looked.
    changed: bool,
    /// The last transaction did not commit.
    troubled: bool,
}

fn keys(partitions: &TopicPartitionList) -> Vec<Key> {
    partitions.elements().iter().map(|element| (Arc::from(element.topic()), element.partition())).collect()
}

impl Core {
    fn take_news(&mut self) {
        while let Ok(news) = self.news.try_recv() {
            self.machine.note(news);
        }
    }

    /// Counts what was committed, and gives what is to be submitted.
    fn observe(&mut self) -> Vec<Job> {
        let effects = std::mem::take(&mut self.machine.effects);
        let metrics = self.observer.metrics();
        for end in effects.ends {
            match end {
                End::Committed => {
                    self.troubled = false;
                    metrics.transaction(TransactionEnd::Committed);
                    self.observer.ready(TRANSACTIONS);
                }
                End::Aborted(Trouble { detail, .. }) => {
                    self.troubled = true;
                    metrics.transaction(TransactionEnd::Aborted);
                    self.observer.waiting(TRANSACTIONS, &detail);
                    tracing::warn!(target: "kafka", stage = self.name, detail, "transaction aborted, it will be run again");
                }
                End::Unknown(Trouble { detail, .. }) => {
                    self.troubled = true;
                    metrics.transaction(TransactionEnd::Unknown);
                    self.observer.waiting(TRANSACTIONS, &detail);
                    tracing::warn!(target: "kafka", stage = self.name, detail, "outcome of the transaction is unknown");
                }
            }
        }
        if self.troubled && !self.machine.wants_commit() {
            // What it could not commit is another instance's.
            self.troubled = false;
            self.observer.relieved(TRANSACTIONS);
        }
        let now = now_ms();
        for done in &effects.settled {
            match &done.stamp {
                Some(stamp) => {
                    let age = (now - stamp.received_at_ms).max(0).unsigned_abs();
                    metrics.end_to_end(Duration::from_millis(age));
                }
                None => metrics.duplicates(1),
            }
        }
        // Counters are looked up by their labels, so neighbours that share them are counted together.
        let fates = effects.settled.iter().filter(|done| done.stamp.is_some());
        for (count, done) in runs(fates, |one, other| (one.fate, &one.reason) == (other.fate, &other.reason))
        {
            metrics.fates(done.fate, &done.reason, count);
        }
        let outputs = effects.settled.iter().flat_map(|done| &done.outputs);
        for (count, output) in runs(outputs, |one, other| one.topic == other.topic) {
            metrics.sent(&output.topic, count);
        }
        effects.jobs
    }

    fn left(&mut self, gone: &[Key]) {
        self.changed = true;
        let Self { machine, parked, arrivals, observer, .. } = self;
        arrivals.retain(|record| machine.owns(&(record.topic.clone(), record.partition)));
        parked.retain(|key| machine.owns(key));
        for (topic, partition) in gone {
            observer.metrics().forget_lag(topic, *partition);
        }
    }
}

impl Assignments for Core {
    fn assigned(&mut self, partitions: &TopicPartitionList) {
        tracing::info!(target: "kafka", stage = self.name, partitions = partitions.count(), "partitions assigned");
        self.machine.assigned(keys(partitions));
        self.changed = true;
    }

    fn revoked(&mut self, consumer: &BaseConsumer<GroupContext<Self>>, partitions: &TopicPartitionList) {
        tracing::info!(target: "kafka", stage = self.name, partitions = partitions.count(), "partitions revoked");
        self.take_news();
        let keys = keys(partitions);
        let mut link = Link { consumer, sessions: &mut self.sessions };
        self.machine.revoked(&keys, Instant::now(), &mut link);
        // What would be submitted is of partitions that are gone.
        self.observe();
        self.left(&keys);
    }

    fn lost(&mut self, partitions: &TopicPartitionList) {
        tracing::warn!(target: "kafka", stage = self.name, partitions = partitions.count(), "partitions lost");
        let keys = keys(partitions);
        self.machine.lost(&keys);
        self.left(&keys);
    }

    fn is_settled(&self) -> bool {
        self.machine.is_prepared()
    }

    fn unfinished(&self, topic: &str, partition: i32) -> usize {
        self.machine.unfinished(&(Arc::from(topic), partition))
    }
}

/// Neighbours that are alike: how many, and the first.
fn runs<'a, T: 'a>(
    mut items: impl Iterator<Item = &'a T>,
    alike: impl Fn(&T, &T) -> bool,
) -> impl Iterator<Item = (u64, &'a T)> {
    let mut next = items.next();
    std::iter::from_fn(move || {
        let first = next.take()?;
        let mut count = 1;
        for item in items.by_ref() {
            if !alike(first, item) {
                next = Some(item);
                break;
            }
            count += 1;
        }
        Some((count, first))
    })
}

/// What every phase works with.
struct Line<'a, S> {
    stage: &'a S,
    consumer: &'a BaseConsumer<GroupContext<Core>>,
    pool: Pool,
    runtime: &'a Runtime,
    config: &'a Config,
    heartbeat: &'a Heartbeat,
    turns: Turns,
    /// `<stage>.parked`.
    parked: Table,
    topics: HashMap<String, Arc<str>>,
    /// When to ask again what is committed.
    prepare_at: Option<Instant>,
}

struct Owner<'a, S, P> {
    line: Line<'a, S>,
    phase: P,
}

/// Takes records on.
struct Consuming {
    flow: Flow,
}

/// What follows consuming.
enum Next<'a, S> {
    /// The shutdown was asked for.
    Drain(Owner<'a, S, Draining>),
    /// There is no going on.
    Leave(Owner<'a, S, Complete>),
}

/// Finishes what was begun.
struct Draining {
    deadline: Instant,
}

/// Commits nothing any more but an orderly end.
struct Complete {
    result: Result<(), Error>,
}

impl<'a, S: Stage> Owner<'a, S, Consuming> {
    fn consume(mut self) -> Next<'a, S> {
        while !self.line.runtime.shutdown.is_cancelled() {
            self.line.beat();
            let reads = self.phase.flow.polls();
            if reads {
                self.line.poll(true);
            }
            self.line.admit();
            if !reads || self.line.consumer.context().state().machine.pending() > 0 {
                self.line.hear();
            }
            if let Err(error) = self.line.work() {
                return Next::Leave(Owner { line: self.line, phase: Complete { result: Err(error) } });
            }
            self.flow();
        }
        self.line.runtime.observer.draining();
        self.line.pause(true);
        self.line.consumer.context().state().machine.begin_nothing_more();
        self.line.pool.stop();
        let deadline = Instant::now() + self.line.config.tuning.drain_timeout.get();
        Next::Drain(Owner { line: self.line, phase: Draining { deadline } })
    }

    /// Stops and starts the reading as the room for records says.
    fn flow(&mut self) {
        let asked = {
            let mut core = self.line.consumer.context().state();
            if std::mem::take(&mut core.changed) {
                self.phase.flow.forget();
            }
            let room = if !core.arrivals.is_empty() {
                Room::Overdrawn
            } else if core.machine.full() {
                Room::None
            } else if core.machine.low() {
                Room::Plenty
            } else {
                Room::Some
            };
            self.phase.flow.turn(room, Instant::now())
        };
        if let Some(pause) = asked {
            self.line.pause(pause);
        }
    }
}

impl<'a, S: Stage> Owner<'a, S, Draining> {
    /// Waits for the workers, each of which finishes the record that it is at.
    fn drain(mut self) -> Owner<'a, S, Complete> {
        let result = loop {
            self.line.beat();
            self.line.poll(false);
            let ended = self.line.hear();
            if let Err(error) = self.line.work() {
                break Err(error);
            }
            if ended {
                break Ok(());
            }
            if Instant::now() > self.phase.deadline {
                break Err(Error::Drain);
            }
        };
        Owner { line: self.line, phase: Complete { result } }
    }
}

impl<S: Stage> Owner<'_, S, Complete> {
    /// Commits what is finished and gives the partitions back.
    fn leave(self) -> (Pool, Result<(), Error>) {
        let consumer = self.line.consumer;
        {
            let mut core = consumer.context().state();
            core.take_news();
            let Core { machine, sessions, .. } = &mut *core;
            let keys = machine.keys();
            machine.revoked(&keys, Instant::now(), &mut Link { consumer, sessions });
            core.observe();
            core.left(&keys);
        }
        consumer.unsubscribe();
        (self.line.pool, self.phase.result)
    }
}

impl<S: Stage> Line<'_, S> {
    /// Says that this thread goes on, as the member that it was.
    fn beat(&mut self) {
        self.heartbeat.beat();
        let now = Instant::now();
        if self.turns.ask(now, || self.consumer.context().is_same_member(self.consumer)) {
            tracing::warn!(
                stage = self.stage.name(),
                "the group has forgotten this instance; nothing begins until it has joined anew"
            );
        }
        if let Some(away) = self.turns.turn(now) {
            let seconds = away.as_secs();
            tracing::warn!(
                stage = self.stage.name(),
                seconds,
                "was held up; nothing begins until the group was heard"
            );
        }
    }

    /// Reads what the consumer has. Rebalance callbacks run in here. A drain takes nothing on any more: what is read
    /// then is read again by the next instance.
    fn poll(&mut self, takes: bool) {
        let mut timeout = {
            let machine = &self.consumer.context().state().machine;
            match (machine.in_flight(), machine.pending()) {
                (0, _) => IDLE,
                // Nobody works, so nothing but a record or the time for a transaction can come.
                (_, 0) => BUSY.max(machine.pace(Instant::now())),
                _ => Duration::ZERO,
            }
        };
        let mut read = 0;
        while read < POLL_BURST {
            match self.consumer.poll(timeout) {
                None => break,
                Some(Ok(message)) => {
                    read += 1;
                    let topic = match self.topics.get(message.topic()) {
                        Some(topic) => topic.clone(),
                        None => {
                            let topic: Arc<str> = Arc::from(message.topic());
                            self.topics.insert(message.topic().to_owned(), topic.clone());
                            topic
                        }
                    };
                    if takes {
                        let record = Incoming::copy(&message, topic);
                        self.consumer.context().state().arrivals.push(record);
                    }
                }
                Some(Err(error)) => {
                    let trouble = Trouble::from(error);
                    tracing::warn!(target: "kafka", stage = self.stage.name(), detail = trouble.detail, "consumer reports");
                    self.runtime.observer.waiting(KAFKA, &trouble.detail);
                    if trouble.refused {
                        self.consumer.context().state().machine.refused("consume", trouble);
                    }
                    break;
                }
            }
            timeout = Duration::ZERO;
        }
        self.consumer.context().state().machine.more = read == POLL_BURST;
    }

    /// Makes ready for new partitions, and takes in what was read of those that are.
    fn admit(&mut self) {
        {
            let core = self.consumer.context().state();
            let idle = core.arrivals.is_empty() && core.is_settled();
            if idle || self.prepare_at.is_some_and(|at| Instant::now() < at) {
                return;
            }
        }
        self.prepare_at = None;
        if let Err(Unavailable { dependency, detail }) = self.prepare() {
            tracing::warn!(stage = self.stage.name(), dependency, detail, "new partitions have to wait");
            self.runtime.observer.waiting(dependency, &detail);
            self.prepare_at = Some(Instant::now() + RETRY);
            return;
        }
        let mut core = self.consumer.context().state();
        let arrivals = std::mem::take(&mut core.arrivals);
        for (count, record) in runs(arrivals.iter(), |one, other| one.topic == other.topic) {
            self.runtime.observer.metrics().received(&record.topic, count);
        }
        for record in arrivals {
            core.machine.admit(record);
        }
    }

    /// Before the first record of new partitions: the stage's own state, which keys are parked, and what the
    /// committed offsets say of the past.
    fn prepare(&self) -> Result<(), Unavailable> {
        let open = self.consumer.context().state().machine.unprepared();
        if open.is_empty() {
            return Ok(());
        }
        self.stage.assigned()?;
        let parked = self.consumer.context().state().parked.clone();
        self.parked.catch_up(|record| {
            let source = record.header(SOURCE_TOPIC).zip(record.header(SOURCE_PARTITION));
            if let Some((topic, partition)) = source
                && let Ok(partition) = partition.parse()
            {
                parked.stored((Arc::from(topic), partition), record.key.clone(), record.value.is_some());
            }
        })?;
        let mut core = self.consumer.context().state();
        let Core { machine, sessions, .. } = &mut *core;
        let mut link = Link { consumer: self.consumer, sessions };
        // So that the first record need not wait for it. What fails here fails again with the first transaction, which
        // knows what to make of it.
        let _ = link.open();
        let committed = link
            .committed(&open)
            .map_err(|trouble| Unavailable { dependency: KAFKA, detail: trouble.detail })?;
        for (key, committed) in open.iter().zip(committed) {
            if let Some(epoch) = machine.prepare(key, committed) {
                parked.own(key, epoch);
            }
        }
        drop(core);
        self.consumer.context().reachable();
        Ok(())
    }

    /// Hears the workers, for a moment at most. Whether the last of them has ended.
    fn hear(&self) -> bool {
        let mut core = self.consumer.context().state();
        match core.news.clone().recv_timeout(BUSY) {
            Ok(news) => core.machine.note(news),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return true,
        }
        core.take_news();
        false
    }

    /// Commits what is due and hands out what may begin.
    fn work(&mut self) -> Result<(), Error> {
        let mut core = self.consumer.context().state();
        let jobs = core.observe();
        self.pool.submit(jobs);
        if let Some(trouble) = done_for(self.consumer) {
            core.machine.refused("consume", trouble);
        }
        if let Some(failure) = core.machine.failed() {
            return Err(failure.into());
        }
        let Core { machine, sessions, .. } = &mut *core;
        machine.tick(Instant::now(), &mut Link { consumer: self.consumer, sessions });
        let jobs = core.observe();
        self.pool.submit(jobs);
        if let Some(failure) = core.machine.failed() {
            return Err(failure.into());
        }
        let in_flight = i64::try_from(core.machine.in_flight()).unwrap_or(i64::MAX);
        self.runtime.observer.metrics().set_in_flight(in_flight);
        Ok(())
    }

    fn pause(&self, pause: bool) {
        let result = self.consumer.assignment().and_then(|assignment| {
            if pause { self.consumer.pause(&assignment) } else { self.consumer.resume(&assignment) }
        });
        if let Err(error) = result {
            tracing::warn!(target: "kafka", stage = self.stage.name(), %error, pause, "flow control failed");
        }
    }
}
