//! The metrics of a process at one moment, for its status page.

use serde::Serialize;

/// All metrics of a process at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// Each stage, by name.
    pub stages: Vec<StageSnapshot>,
    /// Notifications by channel and outcome, `email/accepted`.
    pub notifications: Vec<Tally>,
    /// Identifiers removed, by kind.
    pub redactions: Vec<Tally>,
    /// Texts and attachments withheld whole, by reason.
    pub withheld: Vec<Tally>,
    /// HL7 v2 fields that carried a value for which the conversion has no place.
    pub unmapped: Vec<Tally>,
}

/// A name and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// The label values, joined by `/`.
    pub name: String,
    /// Since the process began.
    pub count: u64,
}

/// One stage at one moment. Counts are since the process began.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageSnapshot {
    /// Name of the stage.
    pub stage: String,
    /// Records read.
    pub records_in: u64,
    /// Records written.
    pub records_out: u64,
    /// Inputs whose results were written.
    pub emitted: u64,
    /// Inputs sent to the dead-letter topic.
    pub dead_lettered: u64,
    /// Inputs set aside.
    pub parked: u64,
    /// Inputs that need no result.
    pub dropped: u64,
    /// The same by fate and reason.
    pub fates: Vec<FateCount>,
    /// Inputs that lineage showed to be seen before.
    pub duplicates: u64,
    /// Records being worked on.
    pub in_flight: i64,
    /// Records not yet read, per partition.
    pub lag: Vec<PartitionLag>,
    /// Transactions committed.
    pub committed: u64,
    /// Transactions aborted.
    pub aborted: u64,
    /// Transactions of which the broker did not say.
    pub unknown: u64,
    /// What the stage depends on.
    pub dependencies: Vec<DependencyState>,
    /// Work on one record.
    pub process: Durations,
    /// From the feed to the fate in this stage.
    pub end_to_end: Durations,
}

impl StageSnapshot {
    /// Records not yet read, all partitions together.
    #[must_use]
    pub fn total_lag(&self) -> i64 {
        self.lag.iter().map(|partition| partition.records.max(0)).sum()
    }
}

/// Inputs of one fate for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FateCount {
    /// The fate.
    pub fate: &'static str,
    /// The reason's code; empty where a fate needs none.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// The lag of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionLag {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Records not yet read.
    pub records: i64,
}

/// Whether something a stage depends on answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DependencyState {
    /// Its name.
    pub dependency: String,
    /// Whether it answers.
    pub up: bool,
}

/// How long something took, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Durations {
    /// Observations.
    pub count: u64,
    /// Their sum in seconds.
    pub sum_seconds: f64,
    /// Estimated median in seconds; none without observations.
    pub p50: Option<f64>,
    /// Estimated 95th percentile in seconds.
    pub p95: Option<f64>,
    /// Estimated 99th percentile in seconds.
    pub p99: Option<f64>,
}
