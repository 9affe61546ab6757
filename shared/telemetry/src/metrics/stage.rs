//! The metrics of one stage.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::histogram::Histogram;
use super::labels::{
    Fate, Stage, StageDependency, StageEnd, StageFate, StagePartition, StageTopic, TransactionEnd,
};
use super::registry::Families;
use super::snapshot::{DependencyState, FateCount, PartitionLag, StageSnapshot};

/// The metrics of one stage; clones share them. Every method is cheap enough for each record: counters and
/// histograms are found once and then atomic.
#[derive(Clone)]
pub struct StageMetrics(Arc<Inner>);

struct Inner {
    stage: Arc<str>,
    records_in: ByTopic,
    records_out: ByTopic,
    fates: Family<StageFate, Counter>,
    known_fates: RwLock<BTreeMap<Fate, HashMap<String, Counter>>>,
    duplicates: Counter,
    process: Histogram,
    end_to_end: Histogram,
    lag: Family<StagePartition, Gauge>,
    known_lag: Mutex<BTreeMap<(String, i32), Gauge>>,
    in_flight: Gauge,
    committed: Counter,
    aborted: Counter,
    unknown: Counter,
    dependency_up: Family<StageDependency, Gauge>,
    known_dependencies: Mutex<BTreeMap<String, Gauge>>,
}

/// Counters by topic, found by a borrowed name.
struct ByTopic {
    stage: Arc<str>,
    family: Family<StageTopic, Counter>,
    known: RwLock<HashMap<String, Counter>>,
}

impl ByTopic {
    fn add(&self, topic: &str, count: u64) {
        if let Some(counter) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(topic) {
            counter.inc_by(count);
            return;
        }
        let labels = StageTopic { stage: Arc::clone(&self.stage), topic: topic.to_owned() };
        let counter = self.family.get_or_create_owned(&labels);
        counter.inc_by(count);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), counter);
    }

    fn total(&self) -> u64 {
        self.known.read().unwrap_or_else(PoisonError::into_inner).values().map(Counter::get).sum()
    }
}

impl fmt::Debug for StageMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StageMetrics").field(&self.snapshot(&self.0.stage)).finish()
    }
}

impl StageMetrics {
    pub(crate) fn new(name: &str, families: &Families) -> Self {
        let stage: Arc<str> = name.into();
        let labels = Stage { stage: Arc::clone(&stage) };
        let by_topic = |family: &Family<StageTopic, Counter>| ByTopic {
            stage: Arc::clone(&stage),
            family: family.clone(),
            known: RwLock::default(),
        };
        let ended =
            |end| families.transactions.get_or_create_owned(&StageEnd { stage: Arc::clone(&stage), end });
        Self(Arc::new(Inner {
            records_in: by_topic(&families.records_in),
            records_out: by_topic(&families.records_out),
            fates: families.fates.clone(),
            known_fates: RwLock::default(),
            duplicates: families.duplicates.get_or_create_owned(&labels),
            process: families.process.get_or_create_owned(&labels),
            end_to_end: families.end_to_end.get_or_create_owned(&labels),
            lag: families.lag.clone(),
            known_lag: Mutex::default(),
            in_flight: families.in_flight.get_or_create_owned(&labels),
            committed: ended("committed"),
            aborted: ended("aborted"),
            unknown: ended("unknown"),
            dependency_up: families.dependency_up.clone(),
            known_dependencies: Mutex::default(),
            stage,
        }))
    }

    /// Counts records read from a topic.
    pub fn received(&self, topic: &str, count: u64) {
        self.0.records_in.add(topic, count);
    }

    /// Counts records written to a topic.
    pub fn sent(&self, topic: &str, count: u64) {
        self.0.records_out.add(topic, count);
    }

    /// Counts the fate of one input. `reason` is a stable code such as `HL7-101`, or empty where the fate needs
    /// none.
    pub fn fate(&self, fate: Fate, reason: &str) {
        self.fates(fate, reason, 1);
    }

    /// Counts the same fate of several inputs.
    pub fn fates(&self, fate: Fate, reason: &str, count: u64) {
        let inner = &self.0;
        let known = inner.known_fates.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = known.get(&fate).and_then(|reasons| reasons.get(reason)) {
            counter.inc_by(count);
            return;
        }
        drop(known);
        let labels =
            StageFate { stage: Arc::clone(&inner.stage), fate: fate.as_str(), reason: reason.to_owned() };
        let counter = inner.fates.get_or_create_owned(&labels);
        counter.inc_by(count);
        let mut known = inner.known_fates.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(fate).or_default().insert(reason.to_owned(), counter);
    }

    /// Counts inputs that lineage showed to be seen before.
    pub fn duplicates(&self, count: u64) {
        self.0.duplicates.inc_by(count);
    }

    /// Observes the work on one record.
    pub fn process(&self, duration: Duration) {
        self.0.process.observe(duration);
    }

    /// Observes the way of one event from its receipt at a feed to its fate in this stage.
    pub fn end_to_end(&self, duration: Duration) {
        self.0.end_to_end.observe(duration);
    }

    /// Sets how many records of a partition are not yet read.
    pub fn set_lag(&self, topic: &str, partition: i32, records: i64) {
        let mut known = self.0.known_lag.lock().unwrap_or_else(PoisonError::into_inner);
        let gauge = known
            .entry((topic.to_owned(), partition))
            .or_insert_with(|| self.0.lag.get_or_create_owned(&self.partition(topic, partition)));
        gauge.set(records);
    }

    /// Forgets the lag of a partition that this member no longer owns; its new owner reports it.
    pub fn forget_lag(&self, topic: &str, partition: i32) {
        let mut known = self.0.known_lag.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&(topic.to_owned(), partition));
        self.0.lag.remove(&self.partition(topic, partition));
    }

    fn partition(&self, topic: &str, partition: i32) -> StagePartition {
        StagePartition { stage: Arc::clone(&self.0.stage), topic: topic.to_owned(), partition }
    }

    /// Sets how many records are being worked on.
    pub fn set_in_flight(&self, records: i64) {
        self.0.in_flight.set(records);
    }

    /// Counts the end of a transaction.
    pub fn transaction(&self, end: TransactionEnd) {
        match end {
            TransactionEnd::Committed => &self.0.committed,
            TransactionEnd::Aborted => &self.0.aborted,
            TransactionEnd::Unknown => &self.0.unknown,
        }
        .inc();
    }

    /// Says whether something this stage depends on answers.
    pub fn dependency(&self, dependency: &str, up: bool) {
        let mut known = self.0.known_dependencies.lock().unwrap_or_else(PoisonError::into_inner);
        let gauge = known.entry(dependency.to_owned()).or_insert_with(|| {
            self.0.dependency_up.get_or_create_owned(&StageDependency {
                stage: Arc::clone(&self.0.stage),
                dependency: dependency.to_owned(),
            })
        });
        gauge.set(i64::from(up));
    }

    pub(crate) fn snapshot(&self, name: &str) -> StageSnapshot {
        let inner = &self.0;
        let mut fates: Vec<FateCount> = Vec::new();
        for (fate, reasons) in inner.known_fates.read().unwrap_or_else(PoisonError::into_inner).iter() {
            fates.extend(reasons.iter().map(|(reason, counter)| FateCount {
                fate: fate.as_str(),
                reason: reason.clone(),
                count: counter.get(),
            }));
        }
        fates.sort_by(|left, right| (left.fate, &left.reason).cmp(&(right.fate, &right.reason)));
        let total = |fate: Fate| -> u64 {
            fates.iter().filter(|row| row.fate == fate.as_str()).map(|row| row.count).sum()
        };
        let lag = inner.known_lag.lock().unwrap_or_else(PoisonError::into_inner);
        let dependencies = inner.known_dependencies.lock().unwrap_or_else(PoisonError::into_inner);
        StageSnapshot {
            stage: name.to_owned(),
            records_in: inner.records_in.total(),
            records_out: inner.records_out.total(),
            emitted: total(Fate::Emitted),
            dead_lettered: total(Fate::DeadLettered),
            parked: total(Fate::Parked),
            dropped: total(Fate::Dropped),
            fates,
            duplicates: inner.duplicates.get(),
            in_flight: inner.in_flight.get(),
            lag: lag
                .iter()
                .map(|((topic, partition), gauge)| PartitionLag {
                    topic: topic.clone(),
                    partition: *partition,
                    records: gauge.get(),
                })
                .collect(),
            committed: inner.committed.get(),
            aborted: inner.aborted.get(),
            unknown: inner.unknown.get(),
            dependencies: dependencies
                .iter()
                .map(|(name, gauge)| DependencyState { dependency: name.clone(), up: gauge.get() == 1 })
                .collect(),
            process: inner.process.summary(),
            end_to_end: inner.end_to_end.summary(),
        }
    }
}
