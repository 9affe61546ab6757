//! The metrics of a process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::histogram::{ACKNOWLEDGE, END_TO_END, Histogram, PROCESS};
use super::labels::{
    ChannelOutcome, Field, Kind, Outcome, Reason, Stage, StageDependency, StageEnd, StageFate,
    StagePartition, StageTopic, Step, StepOutcome,
};
use super::snapshot::{Snapshot, Tally};
use super::stage::StageMetrics;

/// Builds histograms of one set of bounds.
#[derive(Clone, Copy)]
pub(crate) struct Bounds(&'static [f64]);

impl MetricConstructor<Histogram> for Bounds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0)
    }
}

/// The metrics of a process; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    families: Families,
    stages: Mutex<BTreeMap<String, StageMetrics>>,
    notifications: Tallies<ChannelOutcome>,
    escalation: Escalation,
    redactions: Tallies<Kind>,
    withheld: Tallies<Reason>,
    unmapped: Tallies<Field>,
}

/// What becomes of events that somebody has to acknowledge, or that are held.
struct Escalation {
    steps: Family<StepOutcome, Counter>,
    open: Family<Step, Gauge>,
    unanswered: Counter,
    acknowledgements: Family<Outcome, Counter>,
    acknowledge: Histogram,
    held: Gauge,
    released: Family<Outcome, Counter>,
}

impl Escalation {
    fn register(r: &mut Registry) -> Self {
        let escalation = Self {
            steps: Family::default(),
            open: Family::default(),
            unanswered: Counter::default(),
            acknowledgements: Family::default(),
            acknowledge: Histogram::new(ACKNOWLEDGE),
            held: Gauge::default(),
            released: Family::default(),
        };
        r.register(
            "escalations",
            "Steps of escalations by outcome: told, refused, or passed over because no channel took it",
            escalation.steps.clone(),
        );
        r.register(
            "escalations_open",
            "Events of this instance that nobody has acknowledged, by the last step taken",
            escalation.open.clone(),
        );
        r.register(
            "unanswered",
            "Events of which every tier was told and that nobody acknowledged in time",
            escalation.unanswered.clone(),
        );
        r.register(
            "acknowledgements",
            "Uses of a link that acknowledges, by outcome",
            escalation.acknowledgements.clone(),
        );
        r.register(
            "acknowledge_seconds",
            "From the first notification of an event to its acknowledgement, in seconds",
            escalation.acknowledge.clone(),
        );
        r.register(
            "held",
            "Notifications of this instance that wait for a digest or for the end of quiet hours",
            escalation.held.clone(),
        );
        r.register(
            "released",
            "Notifications that were held and went out, by outcome",
            escalation.released.clone(),
        );
        escalation
    }
}

pub(crate) struct Families {
    pub(crate) records_in: Family<StageTopic, Counter>,
    pub(crate) records_out: Family<StageTopic, Counter>,
    pub(crate) fates: Family<StageFate, Counter>,
    pub(crate) duplicates: Family<Stage, Counter>,
    pub(crate) process: Family<Stage, Histogram, Bounds>,
    pub(crate) end_to_end: Family<Stage, Histogram, Bounds>,
    pub(crate) lag: Family<StagePartition, Gauge>,
    pub(crate) in_flight: Family<Stage, Gauge>,
    pub(crate) transactions: Family<StageEnd, Counter>,
    pub(crate) dependency_up: Family<StageDependency, Gauge>,
}

/// Counters by label set that can also be listed, which a [`Family`] cannot.
struct Tallies<L: Clone + std::hash::Hash + Eq> {
    family: Family<L, Counter>,
    known: Mutex<BTreeMap<String, Counter>>,
}

impl<L: Clone + std::hash::Hash + Eq> Tallies<L> {
    fn new() -> Self {
        Self { family: Family::default(), known: Mutex::new(BTreeMap::new()) }
    }

    fn add(&self, name: &str, count: u64, labels: impl FnOnce() -> L) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = known.get(name) {
            counter.inc_by(count);
            return;
        }
        let counter = self.family.get_or_create_owned(&labels());
        counter.inc_by(count);
        known.insert(name.to_owned(), counter);
    }

    fn list(&self) -> Vec<Tally> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|(name, counter)| Tally { name: name.clone(), count: counter.get() }).collect()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metrics").field(&self.snapshot()).finish()
    }
}

impl Metrics {
    /// Metrics at zero, with the version of this build.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("wardstream");
        let families = Families {
            records_in: Family::default(),
            records_out: Family::default(),
            fates: Family::default(),
            duplicates: Family::default(),
            process: Family::new_with_constructor(Bounds(PROCESS)),
            end_to_end: Family::new_with_constructor(Bounds(END_TO_END)),
            lag: Family::default(),
            in_flight: Family::default(),
            transactions: Family::default(),
            dependency_up: Family::default(),
        };
        let (notifications, redactions) = (Tallies::new(), Tallies::new());
        let (withheld, unmapped) = (Tallies::new(), Tallies::new());
        let r = &mut registry;
        r.register("build", "The build that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        r.register("records_in", "Records read", families.records_in.clone());
        r.register("records_out", "Records written", families.records_out.clone());
        r.register("fates", "Input records by what became of them", families.fates.clone());
        r.register(
            "duplicates",
            "Input records that lineage showed to be seen before",
            families.duplicates.clone(),
        );
        r.register("process_seconds", "Work on one record, in seconds", families.process.clone());
        r.register(
            "end_to_end_seconds",
            "From the receipt at a feed to the fate in this stage, in seconds",
            families.end_to_end.clone(),
        );
        r.register("lag_records", "Records of a partition not yet read", families.lag.clone());
        r.register("in_flight", "Records being worked on", families.in_flight.clone());
        r.register("transactions", "Kafka transactions by how they ended", families.transactions.clone());
        r.register(
            "dependency_up",
            "Whether what a stage depends on answers (1) or not (0)",
            families.dependency_up.clone(),
        );
        r.register("notifications", "Notifications by channel and outcome", notifications.family.clone());
        let escalation = Escalation::register(r);
        r.register("redactions", "Identifiers removed, by kind", redactions.family.clone());
        r.register("withheld", "Texts and attachments withheld whole, by reason", withheld.family.clone());
        r.register("unmapped", "HL7 v2 fields with a value but no place in FHIR", unmapped.family.clone());
        Self(Arc::new(Inner {
            registry,
            families,
            stages: Mutex::default(),
            notifications,
            escalation,
            redactions,
            withheld,
            unmapped,
        }))
    }

    /// The metrics of a stage. Each call with the same name gives the same metrics; keep the handle.
    #[must_use]
    pub fn stage(&self, name: &str) -> StageMetrics {
        let mut stages = self.0.stages.lock().unwrap_or_else(PoisonError::into_inner);
        stages.entry(name.to_owned()).or_insert_with(|| StageMetrics::new(name, &self.0.families)).clone()
    }

    /// Counts a notification. `channel` is the configured name (`email`), `outcome` a word of the program
    /// (`accepted`, `rejected`, `deferred`).
    pub fn notification(&self, channel: &str, outcome: &str) {
        self.0.notifications.add(&format!("{channel}/{outcome}"), 1, || ChannelOutcome {
            channel: channel.to_owned(),
            outcome: outcome.to_owned(),
        });
    }

    /// Counts a step of an escalation. `outcome` is a word of the program (`told`, `refused`, `passed-over`).
    pub fn escalation(&self, step: u32, outcome: &'static str) {
        self.0.escalation.steps.get_or_create_owned(&StepOutcome { step, outcome }).inc();
    }

    /// How many events of this instance nobody has acknowledged, by the last step taken or `unanswered`. What is not
    /// listed is none.
    pub fn set_escalations_open<'s>(&self, counts: impl IntoIterator<Item = (&'s str, i64)>) {
        let open = &self.0.escalation.open;
        open.clear();
        for (step, count) in counts {
            open.get_or_create_owned(&Step { step: step.to_owned() }).set(count);
        }
    }

    /// Counts an event of which every tier was told and that nobody acknowledged in time.
    pub fn unanswered(&self) {
        self.0.escalation.unanswered.inc();
    }

    /// Counts a use of a link that acknowledges. `outcome` is a word of the program (`recorded`, `expired`, `forged`, `failed`).
    pub fn acknowledgement(&self, outcome: &'static str) {
        self.0.escalation.acknowledgements.get_or_create_owned(&Outcome { outcome }).inc();
    }

    /// How long an event waited for its acknowledgement.
    pub fn acknowledged_after(&self, waited: Duration) {
        self.0.escalation.acknowledge.observe(waited);
    }

    /// How many notifications of this instance wait for a digest or for the end of quiet hours.
    pub fn set_held(&self, count: i64) {
        self.0.escalation.held.set(count);
    }

    /// Counts notifications that were held and went out. `outcome` is a word of the program (`told`, `refused`).
    pub fn released(&self, outcome: &'static str, count: u64) {
        self.0.escalation.released.get_or_create_owned(&Outcome { outcome }).inc_by(count);
    }

    /// Counts identifiers removed. `kind` is a category such as `name`, never the identifier.
    pub fn redactions(&self, kind: &str, count: u64) {
        self.0.redactions.add(kind, count, || Kind { kind: kind.to_owned() });
    }

    /// Counts texts and attachments that were withheld because they cannot be read. `reason` is a word of the program (`language`, `media`).
    pub fn withheld(&self, reason: &str, count: u64) {
        self.0.withheld.add(reason, count, || Reason { reason: reason.to_owned() });
    }

    /// Counts a field without a place in FHIR. `field` is its name (`PID-22`), never what it holds.
    pub fn unmapped(&self, field: &str, count: u64) {
        self.0.unmapped.add(field, count, || Field { field: field.to_owned() });
    }

    /// The metrics in the OpenMetrics text format 1.0.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut page = String::new();
        // Writing to a `String` cannot fail, and nothing else here can.
        let written = text::encode(&mut page, &self.0.registry);
        debug_assert!(written.is_ok(), "metrics encode");
        page
    }

    /// The metrics at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let stages = self.0.stages.lock().unwrap_or_else(PoisonError::into_inner);
        Snapshot {
            stages: stages.iter().map(|(name, stage)| stage.snapshot(name)).collect(),
            notifications: self.0.notifications.list(),
            redactions: self.0.redactions.list(),
            withheld: self.0.withheld.list(),
            unmapped: self.0.unmapped.list(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Fate, TransactionEnd};

    #[test]
    fn what_is_counted_is_encoded_and_can_be_read() {
        let metrics = Metrics::new();
        let stage = metrics.stage("ingest");
        stage.received("hl7.raw", 3);
        stage.sent("fhir.received", 2);
        stage.fate(Fate::Emitted, "");
        stage.fate(Fate::DeadLettered, "HL7-101");
        stage.duplicates(1);
        stage.process(Duration::from_millis(3));
        stage.end_to_end(Duration::from_millis(30));
        stage.set_lag("hl7.raw", 0, 7);
        stage.set_in_flight(4);
        stage.transaction(TransactionEnd::Committed);
        stage.dependency("kafka", true);
        metrics.notification("email", "accepted");
        metrics.escalation(1, "told");
        metrics.set_escalations_open([("0", 9), ("1", 2)]);
        metrics.set_escalations_open([("1", 3)]);
        metrics.unanswered();
        metrics.acknowledgement("recorded");
        metrics.acknowledged_after(Duration::from_secs(90));
        metrics.set_held(4);
        metrics.released("told", 6);
        metrics.redactions("name", 5);
        metrics.withheld("media", 2);
        metrics.unmapped("PID-22", 1);

        let page = metrics.encode();
        for line in [
            "wardstream_build_info{version=",
            "wardstream_records_in_total{stage=\"ingest\",topic=\"hl7.raw\"} 3",
            "wardstream_records_out_total{stage=\"ingest\",topic=\"fhir.received\"} 2",
            "wardstream_fates_total{stage=\"ingest\",fate=\"dead_lettered\",reason=\"HL7-101\"} 1",
            "wardstream_duplicates_total{stage=\"ingest\"} 1",
            "wardstream_process_seconds_bucket{le=\"0.005\",stage=\"ingest\"} 1",
            "wardstream_process_seconds_count{stage=\"ingest\"} 1",
            "wardstream_end_to_end_seconds_sum{stage=\"ingest\"} 0.03",
            "wardstream_lag_records{stage=\"ingest\",topic=\"hl7.raw\",partition=\"0\"} 7",
            "wardstream_in_flight{stage=\"ingest\"} 4",
            "wardstream_transactions_total{stage=\"ingest\",end=\"committed\"} 1",
            "wardstream_dependency_up{stage=\"ingest\",dependency=\"kafka\"} 1",
            "wardstream_notifications_total{channel=\"email\",outcome=\"accepted\"} 1",
            "wardstream_escalations_total{step=\"1\",outcome=\"told\"} 1",
            "wardstream_escalations_open{step=\"1\"} 3",
            "wardstream_unanswered_total 1",
            "wardstream_acknowledgements_total{outcome=\"recorded\"} 1",
            "wardstream_acknowledge_seconds_bucket{le=\"120.0\"} 1",
            "wardstream_held 4",
            "wardstream_released_total{outcome=\"told\"} 6",
            "wardstream_redactions_total{kind=\"name\"} 5",
            "wardstream_withheld_total{reason=\"media\"} 2",
            "wardstream_unmapped_total{field=\"PID-22\"} 1",
            "# EOF",
        ] {
            assert!(page.contains(line), "missing: {line}\n{page}");
        }
        assert!(!page.contains("wardstream_escalations_open{step=\"0\"}"), "it is none");

        let snapshot = metrics.snapshot();
        let ingest = &snapshot.stages[0];
        assert_eq!(
            (ingest.records_in, ingest.records_out, ingest.emitted, ingest.dead_lettered),
            (3, 2, 1, 1)
        );
        assert_eq!((ingest.total_lag(), ingest.in_flight, ingest.committed), (7, 4, 1));
        assert_eq!(ingest.process.count, 1);
        assert!(ingest.dependencies[0].up);
        assert_eq!(snapshot.redactions, [Tally { name: "name".into(), count: 5 }]);
    }

    #[test]
    fn the_same_stage_is_the_same_metrics() {
        let metrics = Metrics::new();
        metrics.stage("redact").received("fhir.validated", 1);
        metrics.clone().stage("redact").received("fhir.validated", 1);
        assert_eq!(metrics.snapshot().stages[0].records_in, 2);
    }

    #[test]
    fn a_partition_that_left_is_forgotten() {
        let metrics = Metrics::new();
        let stage = metrics.stage("redact");
        stage.set_lag("fhir.validated", 0, 10);
        stage.set_lag("fhir.validated", 1, 20);
        stage.forget_lag("fhir.validated", 0);
        assert_eq!(metrics.snapshot().stages[0].total_lag(), 20);
        assert!(!metrics.encode().contains("partition=\"0\""));
    }
}
