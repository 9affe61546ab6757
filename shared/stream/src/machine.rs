//! The state of a stage's owner: what is assigned, what is in flight, what may commit, and how a transaction ended.
//!
//! Pure: Kafka is behind [`Broker`], the clock comes in, and what is to be done comes out as [`Effects`]. The owner
//! thread drives it with the real broker, the simulation (`simulation.rs`) with seeded faults.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::broker::{Broker, Committed, End, Key, Position, Trouble};
use crate::caution::{Caution, Rules};
use crate::lineage::Lineage;
use crate::outcome::Done;
use crate::progress::Progress;
use crate::worker::{Course, Job, News};
use crate::{Incoming, Tuning};

/// Kafka's default bound on the metadata of a committed offset (`offset.metadata.max.bytes`), with room to spare.
const METADATA_BYTES: usize = 4000;
/// Between two tries to commit.
const RETRY: Duration = Duration::from_millis(500);

/// What the state wants done, in this order.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// To be submitted to the workers.
    pub(crate) jobs: Vec<Job>,
    /// Committed: only now are they fates.
    pub(crate) settled: Vec<Done>,
    /// How transactions ended.
    pub(crate) ends: Vec<End>,
}

/// Why the stage cannot go on.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Kafka says no, and will say no again.
    Refused(&'static str, Trouble),
    /// Nothing could be committed for this long.
    Stuck(Duration),
}

pub(crate) struct Machine {
    tuning: Tuning,
    partitions: BTreeMap<Key, Partition>,
    epoch: u64,
    /// Progress of a transaction whose end is not known, to be compared with what is committed.
    unresolved: Option<Vec<(Key, i64)>>,
    retry_at: Option<Instant>,
    /// Before it a transaction would follow too closely on the one before.
    paced_until: Option<Instant>,
    /// When a transaction was first due that could not be committed.
    stuck_since: Option<Instant>,
    /// More records can be had at once: a transaction is better filled than hurried.
    pub(crate) more: bool,
    failure: Option<Failure>,
    pub(crate) effects: Effects,
}

struct Partition {
    epoch: u64,
    alive: Arc<AtomicBool>,
    /// None until its committed offset was read.
    state: Option<State>,
}

struct State {
    progress: Progress<Done>,
    caution: Caution,
    /// Read, and not begun yet.
    held: VecDeque<Incoming>,
    held_bytes: usize,
    /// The record that is alone in flight waits for a dependency.
    waits: bool,
}

/// What a transaction does to one partition, and what holds once it is committed.
struct Plan {
    key: Key,
    /// Where the partition begins then; none when it goes nowhere and only its metadata changes.
    advance: Option<i64>,
    caution: Caution,
}

impl Machine {
    pub(crate) fn new(tuning: Tuning) -> Self {
        Self {
            tuning,
            partitions: BTreeMap::new(),
            epoch: 0,
            unresolved: None,
            retry_at: None,
            paced_until: None,
            stuck_since: None,
            more: false,
            failure: None,
            effects: Effects::default(),
        }
    }

    /// Partitions came. Their records are taken once [`prepare`](Self::prepare) was told what is committed.
    pub(crate) fn assigned(&mut self, keys: impl IntoIterator<Item = Key>) {
        for key in keys {
            self.epoch += 1;
            let epoch = self.epoch;
            self.partitions.entry(key).or_insert_with(|| Partition {
                epoch,
                alive: Arc::new(AtomicBool::new(true)),
                state: None,
            });
        }
    }

    /// Whether the partition is this instance's.
    pub(crate) fn owns(&self, key: &Key) -> bool {
        self.partitions.contains_key(key)
    }

    /// Partitions of which it is not known yet what is committed.
    pub(crate) fn unprepared(&self) -> Vec<Key> {
        let open = self.partitions.iter().filter(|(_, partition)| partition.state.is_none());
        open.map(|(key, _)| key.clone()).collect()
    }

    /// Whether there are none.
    pub(crate) fn is_prepared(&self) -> bool {
        self.partitions.values().all(|partition| partition.state.is_some())
    }

    /// What is committed of a partition. Gives the partition's epoch, by which its work is known from here on.
    pub(crate) fn prepare(&mut self, key: &Key, committed: Committed) -> Option<u64> {
        let rules = Rules {
            max_attempts: self.tuning.max_attempts,
            horizon: i64::try_from(self.tuning.max_in_flight).unwrap_or(i64::MAX),
        };
        let partition = self.partitions.get_mut(key)?;
        partition.state = Some(State {
            progress: Progress::new(committed.guard),
            caution: Caution::new(committed.deaths, rules),
            held: VecDeque::new(),
            held_bytes: 0,
            waits: false,
        });
        Some(partition.epoch)
    }

    /// Takes a record of a prepared partition in; one of any other is somebody else's by now.
    pub(crate) fn admit(&mut self, record: Incoming) {
        let key = (record.topic.clone(), record.partition);
        let Some(partition) = self.partitions.get_mut(&key) else { return };
        let Some(state) = &mut partition.state else { return };
        state.held_bytes += record.size();
        state.held.push_back(record);
        partition.begin_held(&mut self.effects.jobs);
    }

    /// What is read and not begun is left to the next instance.
    pub(crate) fn begin_nothing_more(&mut self) {
        for state in self.partitions.values_mut().filter_map(|partition| partition.state.as_mut()) {
            state.held.clear();
            state.held_bytes = 0;
        }
    }

    /// Notes what a worker says. Of a partition that left meanwhile it is inert.
    pub(crate) fn note(&mut self, news: News) {
        let News { topic, partition, offset, epoch, done } = news;
        let Some(entry) = self.partitions.get_mut(&(topic, partition)) else { return };
        if entry.epoch != epoch {
            return;
        }
        let Some(state) = &mut entry.state else { return };
        match done {
            Some(done) => {
                let bytes = done.size();
                state.progress.complete(offset, done, bytes);
            }
            None => state.waits = state.caution.waived().is_some(),
        }
    }

    /// Records read and not committed.
    pub(crate) fn in_flight(&self) -> usize {
        self.states().map(|state| state.progress.len() + state.held.len()).sum()
    }

    /// Of one partition.
    pub(crate) fn unfinished(&self, key: &Key) -> usize {
        let state = self.partitions.get(key).and_then(|partition| partition.state.as_ref());
        state.map_or(0, |state| state.progress.len() + state.held.len())
    }

    /// Records given to the workers and not finished.
    pub(crate) fn pending(&self) -> usize {
        self.states().map(|state| state.progress.pending()).sum()
    }

    /// Whether no more should be read.
    pub(crate) fn full(&self) -> bool {
        self.in_flight() >= self.tuning.max_in_flight
            || self.bytes() >= self.tuning.max_in_flight_bytes.as_u64()
    }

    /// Whether there is room again.
    pub(crate) fn low(&self) -> bool {
        self.in_flight() <= self.tuning.max_in_flight / 2
            && self.bytes() <= self.tuning.max_in_flight_bytes.as_u64() / 2
    }

    /// Whether there is something to commit.
    pub(crate) fn wants_commit(&self) -> bool {
        self.states().any(|state| state.wants_commit())
    }

    /// Commits if a transaction is worth its while.
    pub(crate) fn tick(&mut self, now: Instant, broker: &mut impl Broker) {
        if !self.wants_commit() {
            self.stuck_since = None;
            return;
        }
        if self.due(now) {
            self.commit(now, broker, |_| true, false);
        }
        let bound = self.tuning.commit_timeout.get();
        if self.failure.is_none()
            && self.stuck_since.is_some_and(|since| now.saturating_duration_since(since) > bound)
        {
            self.failure = Some(Failure::Stuck(bound));
        }
    }

    /// Partitions go to another member in order: what is finished is committed, the rest is the next owner's.
    pub(crate) fn revoked(&mut self, keys: &[Key], now: Instant, broker: &mut impl Broker) {
        if self.failure.is_none() {
            self.commit(now, broker, |key| keys.contains(key), true);
        }
        self.lost(keys);
    }

    /// Partitions went to another member already: nothing can be committed.
    pub(crate) fn lost(&mut self, keys: &[Key]) {
        for key in keys {
            if let Some(partition) = self.partitions.remove(key) {
                partition.alive.store(false, Ordering::Release);
            }
        }
        if let Some(advances) = &mut self.unresolved {
            advances.retain(|(key, _)| !keys.contains(key));
        }
    }

    /// Kafka refused the consumer.
    pub(crate) fn refused(&mut self, context: &'static str, trouble: Trouble) {
        self.failure = Some(Failure::Refused(context, trouble));
    }

    /// Why the stage cannot go on. Nothing is committed any more.
    pub(crate) fn failed(&self) -> Option<Failure> {
        self.failure.clone()
    }

    /// Everything that is assigned.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.partitions.keys().cloned().collect()
    }

    fn states(&self) -> impl Iterator<Item = &State> {
        self.partitions.values().filter_map(|partition| partition.state.as_ref())
    }

    fn bytes(&self) -> u64 {
        self.states().map(|state| (state.progress.bytes() + state.held_bytes) as u64).sum()
    }

    /// How long a transaction that is wanted has to wait for no other reason than the one before it.
    pub(crate) fn pace(&self, now: Instant) -> Duration {
        self.paced_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Enough is finished, or what is finished has waited, or there is nothing to wait for.
    fn due(&self, now: Instant) -> bool {
        if self.retry_at.is_some_and(|at| now < at) {
            return false;
        }
        let ready: usize = self.states().map(|state| state.progress.ready()).sum();
        if self.states().any(|state| state.wants_mark() || state.waits) || ready >= self.tuning.batch_records
        {
            return true;
        }
        if !self.pace(now).is_zero() {
            return false;
        }
        let linger = self.tuning.batch_linger.get();
        (self.pending() == 0 && !self.more)
            || self.states().any(|state| {
                let first = state.progress.prefix().next();
                first.is_some_and(|done| now.saturating_duration_since(done.finished) >= linger)
            })
    }

    /// One transaction over the partitions that `takes` names. `closing` ones are given up after it.
    fn commit(
        &mut self,
        now: Instant,
        broker: &mut impl Broker,
        takes: impl Fn(&Key) -> bool,
        closing: bool,
    ) {
        if let Err(()) = self.ready_to_commit(now, broker) {
            return;
        }
        let mut plans = Vec::new();
        let mut positions = Vec::new();
        let mut outputs = Vec::new();
        for (key, partition) in &self.partitions {
            let Some(state) = partition.state.as_ref().filter(|_| takes(key)) else { continue };
            let Some((position, plan)) = state.plan(key, closing) else { continue };
            if plan.advance.is_some() {
                outputs.extend(state.progress.prefix().flat_map(Done::outputs));
            }
            positions.push(position);
            plans.push(plan);
        }
        if positions.is_empty() {
            return;
        }
        self.paced_until = Some(now + self.tuning.batch_interval.get());
        let end = broker.commit(&outputs, &positions);
        match &end {
            End::Committed => {
                self.retry_at = None;
                self.stuck_since = None;
                for plan in plans {
                    self.committed(plan);
                }
            }
            End::Aborted(_) => self.try_again(now),
            End::Unknown(trouble) => {
                if trouble.refused {
                    self.failure = Some(Failure::Refused("transaction", trouble.clone()));
                }
                broker.abandon();
                let advances = plans.into_iter().filter_map(|plan| Some((plan.key, plan.advance?)));
                self.unresolved = Some(advances.collect());
                self.try_again(now);
            }
        }
        self.effects.ends.push(end);
    }

    /// A producer, and no doubt about the last transaction.
    fn ready_to_commit(&mut self, now: Instant, broker: &mut impl Broker) -> Result<(), ()> {
        if let Err(trouble) = broker.open() {
            tracing::warn!(target: "kafka", detail = trouble.detail, "producer is not ready, waiting");
            if trouble.refused {
                self.failure = Some(Failure::Refused("init_transactions", trouble));
            }
            self.try_again(now);
            return Err(());
        }
        let Some(advances) = self.unresolved.take() else { return Ok(()) };
        // The new producer fenced the old one, so what is committed now is how it ended.
        let keys: Vec<Key> = advances.iter().map(|(key, _)| key.clone()).collect();
        match broker.committed(&keys) {
            Ok(committed) => {
                for ((key, next_offset), committed) in advances.into_iter().zip(committed) {
                    if committed.next_offset.is_some_and(|offset| offset >= next_offset) {
                        self.resolved(&key, next_offset);
                    }
                }
                Ok(())
            }
            Err(trouble) => {
                tracing::warn!(target: "kafka", detail = trouble.detail, "committed offsets cannot be read, waiting");
                self.unresolved = Some(advances);
                self.try_again(now);
                Err(())
            }
        }
    }

    fn try_again(&mut self, now: Instant) {
        self.retry_at = Some(now + RETRY);
        self.stuck_since.get_or_insert(now);
    }

    /// A transaction turned out to have been committed.
    fn resolved(&mut self, key: &Key, next_offset: i64) {
        let state = self.partitions.get(key).and_then(|partition| partition.state.as_ref());
        let Some(state) = state else { return };
        let (_, caution) = state.caution.advanced(next_offset, false);
        self.committed(Plan { key: key.clone(), advance: Some(next_offset), caution });
    }

    fn committed(&mut self, plan: Plan) {
        let Some(partition) = self.partitions.get_mut(&plan.key) else { return };
        let Some(state) = &mut partition.state else { return };
        if let Some(next_offset) = plan.advance {
            self.effects.settled.extend(state.progress.committed(next_offset));
        }
        state.caution = plan.caution;
        state.waits = false;
        partition.begin_held(&mut self.effects.jobs);
    }
}

impl Partition {
    /// Gives to the workers what caution lets go.
    fn begin_held(&mut self, jobs: &mut Vec<Job>) {
        let Some(state) = &mut self.state else { return };
        while !state.caution.holds(state.progress.len())
            && let Some(record) = state.held.pop_front()
        {
            let size = record.size();
            state.held_bytes -= size;
            let course = if state.caution.condemns() { Course::GiveUp } else { Course::Process };
            if state.progress.admit(record.offset, size, Lineage::of(&record)) {
                jobs.push(Job {
                    epoch: self.epoch,
                    alive: self.alive.clone(),
                    record,
                    course,
                    waited_for: None,
                });
            } else {
                state.progress.complete(record.offset, Done::duplicate(), 0);
            }
        }
    }
}

impl State {
    fn wants_mark(&self) -> bool {
        self.caution.needs_mark() && !self.held.is_empty() && self.progress.len() == 0
    }

    fn wants_commit(&self) -> bool {
        self.progress.ready() > 0 || self.waits || self.wants_mark()
    }

    /// What a transaction can do for this partition, if anything.
    fn plan(&self, key: &Key, closing: bool) -> Option<(Position, Plan)> {
        let next_held = self.held.front().map(|record| record.offset);
        let (next_offset, guard, deaths, advance, caution) = match self.progress.end_of_prefix() {
            Some((next_offset, guard)) => {
                let more = next_held.is_some() && !closing;
                let (deaths, caution) = self.caution.advanced(next_offset, more);
                (next_offset, guard, deaths, Some(next_offset), caution)
            }
            None => {
                let guard = self.progress.guard().clone();
                let (offset, deaths, caution) = if closing {
                    (self.progress.first_offset()?, self.caution.taken_back()?, self.caution.clone())
                } else if self.waits {
                    let (deaths, caution) = self.caution.waived()?;
                    (self.progress.first_offset()?, deaths, caution)
                } else if self.wants_mark() {
                    let (deaths, caution) = self.caution.announced(next_held?);
                    (next_held?, deaths, caution)
                } else {
                    return None;
                };
                (offset, guard, deaths, None, caution)
            }
        };
        let metadata = guard.to_metadata(deaths, METADATA_BYTES);
        let position = Position { key: key.clone(), next_offset, metadata };
        Some((position, Plan { key: key.clone(), advance, caution }))
    }
}
