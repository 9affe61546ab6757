//! The owner's state against a simulated broker with seeded faults: thousands of schedules a minute.
//!
//! Instances come, die, freeze and come back; transactions abort, end unknown, and are decided later by whoever asks;
//! partitions move in order or are lost; workers finish in any order that keeps each key's. Whatever the schedule, in
//! the end every input has exactly one fate, in the order of its key.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use contracts::EventId;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use telemetry::Fate as Label;

use crate::broker::{Broker, Committed, End, Key, Position, Trouble};
use crate::lineage::Guard;
use crate::machine::Machine;
use crate::outcome::{Done, Output, Stamp};
use crate::worker::{Course, Job, News};
use crate::{Incoming, Outgoing, Tuning};

const PARTITIONS: i32 = 3;
const RECORDS: i64 = 60;
const KEYS: i64 = 4;
const INSTANCES: usize = 2;

/// A committed output: which input it is of, which of its outputs, and whether the input was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Written {
    partition: i32,
    offset: i64,
    index: u32,
    given_up: bool,
}

#[derive(Clone, Debug)]
struct Transaction {
    outputs: Vec<Written>,
    positions: Vec<Position>,
}

/// What the brokers hold.
struct World {
    rng: StdRng,
    faults: bool,
    topic: Arc<str>,
    /// Next offset and metadata.
    committed: BTreeMap<i32, (i64, String)>,
    log: Vec<Written>,
    /// Which instance the group's coordinator takes commits from.
    owner: BTreeMap<i32, usize>,
    /// A transaction whose end is decided but not known, by instance.
    limbo: BTreeMap<usize, Transaction>,
    /// Records that end the process that works on them.
    poison: BTreeSet<(i32, i64)>,
}

impl World {
    fn chance(&mut self, of: u32, among: u32) -> bool {
        self.faults && self.rng.random_ratio(of, among)
    }

    fn apply(&mut self, transaction: Transaction) {
        self.log.extend(transaction.outputs);
        for Position { key: (_, partition), next_offset, metadata } in transaction.positions {
            let (before, _) = self.committed.get(&partition).cloned().unwrap_or_default();
            assert!(next_offset >= before, "a committed offset never goes back");
            self.committed.insert(partition, (next_offset, metadata));
        }
    }

    /// The transaction coordinator comes to a decision: what it was told, or an abort.
    fn decide(&mut self, instance: usize) {
        if let Some(transaction) = self.limbo.remove(&instance)
            && self.rng.random()
        {
            self.apply(transaction);
        }
    }
}

fn trouble() -> Trouble {
    Trouble { detail: "seeded".to_owned(), refused: false }
}

/// One instance's view of the broker.
struct Simulated {
    world: Rc<RefCell<World>>,
    instance: usize,
    producer: bool,
}

impl Broker for Simulated {
    fn open(&mut self) -> Result<(), Trouble> {
        let mut world = self.world.borrow_mut();
        if self.producer {
            return Ok(());
        }
        if world.chance(1, 10) {
            return Err(trouble());
        }
        // Fences the former producer: what it left is decided before this returns.
        world.decide(self.instance);
        self.producer = true;
        Ok(())
    }

    fn commit(&mut self, outputs: &[Output<'_>], positions: &[Position]) -> End {
        assert!(self.producer);
        let mut world = self.world.borrow_mut();
        let owns = |position: &Position| world.owner.get(&position.key.1) == Some(&self.instance);
        if !positions.iter().all(owns) {
            return End::Aborted(trouble());
        }
        let outputs = outputs.iter().map(|output| Written {
            partition: output.stamp.partition,
            offset: output.stamp.offset,
            index: output.index,
            given_up: output.outgoing.topic == "dead",
        });
        let transaction = Transaction { outputs: outputs.collect(), positions: positions.to_vec() };
        if world.chance(1, 8) {
            return End::Aborted(trouble());
        }
        if world.chance(1, 8) {
            world.limbo.insert(self.instance, transaction);
            return End::Unknown(trouble());
        }
        world.apply(transaction);
        End::Committed
    }

    fn abandon(&mut self) {
        self.producer = false;
    }

    fn committed(&mut self, keys: &[Key]) -> Result<Vec<Committed>, Trouble> {
        let mut world = self.world.borrow_mut();
        if world.chance(1, 10) {
            return Err(trouble());
        }
        // Only stable offsets are told (KIP-447): whatever is undecided is decided first.
        let undecided: Vec<usize> = world.limbo.keys().copied().collect();
        for instance in undecided {
            world.decide(instance);
        }
        let one = |(_, partition): &Key| match world.committed.get(partition) {
            None => Committed::default(),
            Some((next_offset, metadata)) => {
                let (guard, deaths) = Guard::from_metadata(metadata);
                Committed { next_offset: Some(*next_offset), guard, deaths }
            }
        };
        Ok(keys.iter().map(one).collect())
    }
}

struct Instance {
    machine: Machine,
    broker: Simulated,
    /// Next offset that its consumer fetches.
    fetch: BTreeMap<i32, i64>,
    jobs: Vec<Job>,
}

struct Simulation {
    world: Rc<RefCell<World>>,
    instances: Vec<Instance>,
    now: Instant,
    deaths: usize,
}

fn tuning() -> Tuning {
    Tuning { max_in_flight: 12, batch_records: 4, max_attempts: 2, ..Tuning::default() }
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let poison = (0..rng.random_range(0..3))
            .map(|_| (rng.random_range(0..PARTITIONS), rng.random_range(0..RECORDS)))
            .collect();
        let world = World {
            rng,
            faults: true,
            topic: Arc::from("in"),
            committed: BTreeMap::new(),
            log: Vec::new(),
            owner: BTreeMap::new(),
            limbo: BTreeMap::new(),
            poison,
        };
        let world = Rc::new(RefCell::new(world));
        let instances = (0..INSTANCES).map(|instance| Self::start(&world, instance)).collect();
        let mut simulation = Self { world, instances, now: Instant::now(), deaths: 0 };
        for partition in 0..PARTITIONS {
            simulation.assign(partition, partition as usize % INSTANCES);
        }
        simulation
    }

    fn start(world: &Rc<RefCell<World>>, instance: usize) -> Instance {
        Instance {
            machine: Machine::new(tuning()),
            broker: Simulated { world: world.clone(), instance, producer: false },
            fetch: BTreeMap::new(),
            jobs: Vec::new(),
        }
    }

    fn key(&self, partition: i32) -> Key {
        (self.world.borrow().topic.clone(), partition)
    }

    fn assign(&mut self, partition: i32, to: usize) {
        self.world.borrow_mut().owner.insert(partition, to);
        let key = self.key(partition);
        let machine = &mut self.instances[to].machine;
        if machine.owns(&key) {
            // A member that comes back hears of what it lost before it hears of what it got.
            machine.lost(std::slice::from_ref(&key));
        }
        machine.assigned([key]);
    }

    fn random(&mut self, below: usize) -> usize {
        self.world.borrow_mut().rng.random_range(0..below)
    }

    /// One step of a random instance, or a fault.
    fn step(&mut self) {
        let elapsed = self.random(30) as u64;
        self.now += Duration::from_millis(elapsed);
        let instance = self.random(INSTANCES);
        match self.random(100) {
            0..25 => self.poll(instance),
            25..60 => self.work(instance),
            60..92 => self.tick(instance),
            _ if !self.world.borrow().faults => {}
            92..94 => self.kill(instance),
            94..96 => self.hand_over(instance),
            96 => self.roll(instance),
            _ => self.lose(instance),
        }
        self.collect(instance);
    }

    fn collect(&mut self, instance: usize) {
        let Instance { machine, jobs, .. } = &mut self.instances[instance];
        let effects = std::mem::take(&mut machine.effects);
        jobs.extend(effects.jobs);
        for (before, after) in effects.settled.iter().zip(effects.settled.iter().skip(1)) {
            let position = |done: &Done| done.stamp.as_ref().map(|stamp| (stamp.partition, stamp.offset));
            let (before, after) = (position(before), position(after));
            assert!(
                before.is_none()
                    || after.is_none()
                    || before < after
                    || before.map(|b| b.0) != after.map(|a| a.0)
            );
        }
    }

    fn poll(&mut self, instance: usize) {
        let Instance { machine, broker, fetch, .. } = &mut self.instances[instance];
        if machine.full() {
            return;
        }
        let open = machine.unprepared();
        if !open.is_empty() {
            let Ok(committed) = broker.committed(&open) else { return };
            for (key, committed) in open.iter().zip(committed) {
                fetch.insert(key.1, committed.next_offset.unwrap_or(0));
                machine.prepare(key, committed);
            }
        }
        for key in machine.keys() {
            let next = fetch.get_mut(&key.1).expect("prepared");
            let take = self.world.borrow_mut().rng.random_range(0..5);
            for offset in (*next..RECORDS).take(take) {
                machine.admit(record(&key, offset));
                *next = offset + 1;
            }
        }
    }

    /// A worker finishes one record, keeping each key's order, or dies of it.
    fn work(&mut self, instance: usize) {
        let jobs = &self.instances[instance].jobs;
        if jobs.is_empty() {
            return;
        }
        let from = self.random(self.instances[instance].jobs.len());
        let jobs = &self.instances[instance].jobs;
        let place = |job: &Job| (job.record.partition, job.record.key.clone());
        let at = jobs.iter().position(|job| place(job) == place(&jobs[from])).expect("itself at least");
        let job = self.instances[instance].jobs.remove(at);
        if !job.alive.load(Ordering::Acquire) && self.random(2) == 0 {
            return;
        }
        let Job { record, epoch, course, waited_for, .. } = job;
        let poisoned = self.world.borrow().poison.contains(&(record.partition, record.offset));
        if poisoned && course == Course::Process {
            self.kill(instance);
            return;
        }
        if self.world.borrow_mut().chance(1, 20) {
            // It waits for a dependency, and is tried again.
            let job = Job { record: record.clone(), epoch, course, waited_for, alive: job.alive };
            self.instances[instance].jobs.insert(0, job);
            self.instances[instance].machine.note(news(&record, epoch, None));
            return;
        }
        let done = done(&record, course, self.now);
        self.instances[instance].machine.note(news(&record, epoch, Some(done)));
    }

    fn tick(&mut self, instance: usize) {
        let Instance { machine, broker, .. } = &mut self.instances[instance];
        machine.tick(self.now, broker);
    }

    /// The process ends without a word, and comes back; the group gives its partitions to whom it likes.
    fn kill(&mut self, instance: usize) {
        self.deaths += 1;
        let owned: Vec<i32> = {
            let world = self.world.borrow();
            world
                .owner
                .iter()
                .filter(|(_, owner)| **owner == instance)
                .map(|(partition, _)| *partition)
                .collect()
        };
        self.instances[instance] = Self::start(&self.world, instance);
        // Without a stable name the new process has another transactional id, and the coordinator ends what the old
        // one left, in its own time; with one it is ended by `open`. Both are in the schedules.
        for partition in owned {
            let to = self.random(INSTANCES);
            self.assign(partition, to);
        }
    }

    fn hand_over(&mut self, from: usize) {
        let Some(partition) = self.owned(from) else { return };
        let key = self.key(partition);
        let Instance { machine, broker, .. } = &mut self.instances[from];
        machine.revoked(&[key], self.now, broker);
        let to = self.random(INSTANCES);
        self.assign(partition, to);
    }

    /// An orderly end: what is finished is committed, and a new process begins.
    fn roll(&mut self, instance: usize) {
        self.instances[instance].machine.begin_nothing_more();
        for _ in 0..self.random(20) {
            self.work(instance);
            self.tick(instance);
        }
        let Instance { machine, broker, .. } = &mut self.instances[instance];
        let keys = machine.keys();
        machine.revoked(&keys, self.now, broker);
        self.instances[instance] = Self::start(&self.world, instance);
        let owned: Vec<i32> = {
            let world = self.world.borrow();
            let of = |(partition, owner): (&i32, &usize)| (*owner == instance).then_some(*partition);
            world.owner.iter().filter_map(of).collect()
        };
        for partition in owned {
            let to = self.random(INSTANCES);
            self.assign(partition, to);
        }
    }

    /// The group gives a partition away, and its owner hears of it at once or goes on as a zombie for a while.
    fn lose(&mut self, from: usize) {
        let Some(partition) = self.owned(from) else { return };
        let key = self.key(partition);
        if self.random(2) == 0 {
            self.instances[from].machine.lost(&[key]);
        }
        let to = (from + 1) % INSTANCES;
        self.assign(partition, to);
        // Zombies are told in the end.
        for zombie in 0..INSTANCES {
            if zombie != to && self.random(3) == 0 {
                let key = self.key(partition);
                self.instances[zombie].machine.lost(&[key]);
            }
        }
    }

    fn owned(&self, instance: usize) -> Option<i32> {
        let world = self.world.borrow();
        world.owner.iter().find(|(_, owner)| **owner == instance).map(|(partition, _)| *partition)
    }

    /// No more faults, but poison stays: everything has to come to its end.
    fn settle(&mut self) {
        self.world.borrow_mut().faults = false;
        for partition in 0..PARTITIONS {
            let owner = self.world.borrow().owner[&partition];
            let key = self.key(partition);
            for instance in (0..INSTANCES).filter(|instance| *instance != owner) {
                self.instances[instance].machine.lost(std::slice::from_ref(&key));
            }
        }
        for _ in 0..200_000 {
            self.step();
            let done = {
                let world = self.world.borrow();
                (0..PARTITIONS).all(|partition| {
                    world.committed.get(&partition).is_some_and(|(next_offset, _)| *next_offset == RECORDS)
                })
            };
            if done {
                return;
            }
        }
        panic!("the line did not come to rest");
    }

    fn verdict(&self) -> Result<(), TestCaseError> {
        let world = self.world.borrow();
        for partition in 0..PARTITIONS {
            let mut expected = Vec::new();
            let written: Vec<&Written> =
                world.log.iter().filter(|written| written.partition == partition).collect();
            for offset in 0..RECORDS {
                let given_up = written.iter().any(|written| written.offset == offset && written.given_up);
                let poisoned = world.poison.contains(&(partition, offset));
                prop_assert!(given_up || !poisoned, "{partition}/{offset} cannot have been processed");
                let outputs = if given_up { 1 } else { outputs(offset) };
                expected.extend((0..outputs).map(|index| (offset, index)));
            }
            let found: Vec<(i64, u32)> =
                written.iter().map(|written| (written.offset, written.index)).collect();
            prop_assert_eq!(found, expected, "partition {}: each fate once and in order", partition);
        }
        Ok(())
    }
}

fn record(key: &Key, offset: i64) -> Incoming {
    Incoming {
        topic: key.0.clone(),
        partition: key.1,
        offset,
        timestamp_ms: offset,
        key: Some(vec![(offset % KEYS) as u8]),
        value: Some(vec![0; 10]),
        headers: Vec::new(),
    }
}

/// None, one or several outputs an input.
fn outputs(offset: i64) -> u32 {
    (offset % 3) as u32
}

fn done(record: &Incoming, course: Course, now: Instant) -> Done {
    let (count, topic) = match course {
        Course::Process | Course::Park => (outputs(record.offset), "out"),
        Course::GiveUp => (1, "dead"),
    };
    Done {
        outputs: (0..count).map(|_| Outgoing::new(topic, None, Vec::new())).collect(),
        stamp: Some(Stamp {
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            event_id: EventId::at(&record.topic, record.partition, record.offset),
            received_at_ms: 0,
            traceparent: String::new(),
        }),
        fate: Label::Emitted,
        reason: String::new(),
        finished: now,
    }
}

fn news(record: &Incoming, epoch: u64, done: Option<Done>) -> News {
    News { topic: record.topic.clone(), partition: record.partition, offset: record.offset, epoch, done }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_input_has_one_fate_whatever_happens(seed in any::<u64>(), steps in 0..2000usize) {
        let mut simulation = Simulation::new(seed);
        for _ in 0..steps {
            simulation.step();
        }
        simulation.settle();
        simulation.verdict()?;
    }
}

/// The schedules reach what they are for.
#[test]
fn schedules_hold_deaths_and_condemned_records() {
    let mut deaths = 0;
    let mut given_up = 0;
    for seed in 0..40 {
        let mut simulation = Simulation::new(seed);
        for _ in 0..1000 {
            simulation.step();
        }
        simulation.settle();
        deaths += simulation.deaths;
        given_up += simulation.world.borrow().log.iter().filter(|written| written.given_up).count();
    }
    assert!(deaths > 100 && given_up > 10, "{deaths} deaths, {given_up} given up");
}

/// What is finished soon after a transaction began shares the next one, unless it fills one.
#[test]
fn transactions_keep_their_distance() {
    let simulation = Simulation::new(0);
    let world = simulation.world.clone();
    {
        let mut world = world.borrow_mut();
        world.faults = false;
        world.owner.insert(0, 0);
    }
    let key = simulation.key(0);
    let Instance { mut machine, mut broker, .. } = Simulation::start(&world, 0);
    let open = std::slice::from_ref(&key);
    machine.assigned([key.clone()]);
    broker.open().expect("no faults");
    for committed in broker.committed(open).expect("no faults") {
        machine.prepare(&key, committed);
    }
    let interval = tuning().batch_interval.get();
    // The first record of a new partition is announced, in a transaction of its own.
    machine.admit(record(&key, 0));
    machine.tick(simulation.now, &mut broker);
    let begin = simulation.now + interval;
    let mut tick = |offsets: std::ops::Range<i64>, now: Instant| {
        for offset in offsets {
            if offset > 0 {
                machine.admit(record(&key, offset));
            }
            let Job { record, epoch, course, .. } = machine.effects.jobs.pop().expect("it begins at once");
            machine.note(news(&record, epoch, Some(done(&record, course, now))));
        }
        machine.tick(now, &mut broker);
        world.borrow().committed.get(&0).map_or(0, |(next_offset, _)| *next_offset)
    };
    assert_eq!(tick(0..1, begin), 1, "the first need not wait");
    assert_eq!(tick(1..3, begin + interval / 2), 1);
    assert_eq!(tick(3..3, begin + interval), 3, "two records, one transaction");
    let soon = begin + interval + Duration::from_millis(1);
    assert_eq!(tick(3..7, soon), 7, "as many as `batch_records` do not wait");
}
