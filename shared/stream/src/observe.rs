//! What a stage says of itself: counts, and what it waits for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use telemetry::{Component, Health, Heartbeat, StageMetrics};

/// A stage's metrics and its part of the process's health. Clones share it.
#[derive(Clone, Debug)]
pub struct Observer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    stage: &'static str,
    metrics: StageMetrics,
    health: Health,
    /// One a dependency that was ever waited for.
    components: Mutex<HashMap<&'static str, Dependency>>,
}

#[derive(Debug)]
struct Dependency {
    component: Component,
    answers: u64,
}

/// Calls to Kafka may take this long before the process counts as hung, and longer where the configuration says so.
const HUNG: Duration = Duration::from_secs(300);

impl Observer {
    /// An observer of one stage.
    #[must_use]
    pub fn new(stage: &'static str, metrics: StageMetrics, health: Health) -> Self {
        Self(Arc::new(Inner { stage, metrics, health, components: Mutex::default() }))
    }

    /// The stage's counters.
    #[must_use]
    pub fn metrics(&self) -> &StageMetrics {
        &self.0.metrics
    }

    /// The beat of the stage's owner loop.
    pub(crate) fn heartbeat(&self, calls: Duration) -> Heartbeat {
        self.0.health.heartbeat(self.0.stage, HUNG.max(calls))
    }

    /// A dependency does not answer. `reason` carries no content of a record.
    pub fn waiting(&self, dependency: &'static str, reason: &str) {
        self.with(dependency, |dependency| dependency.component.waiting(reason.to_owned()));
        self.0.metrics.dependency(dependency, false);
    }

    /// A dependency answers. Counted: a key for which it keeps failing meanwhile is parked.
    pub fn ready(&self, dependency: &'static str) {
        self.with(dependency, |dependency| {
            dependency.answers += 1;
            dependency.component.ready();
        });
        self.0.metrics.dependency(dependency, true);
    }

    /// Nothing waits for the dependency any more: what did is another instance's. That is no answer of it, but no reason
    /// to be unready either.
    pub fn relieved(&self, dependency: &'static str) {
        let components = self.0.components.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held_up) = components.get(dependency) {
            held_up.component.ready();
            self.0.metrics.dependency(dependency, true);
        }
    }

    /// How often the dependency answered so far.
    pub(crate) fn answers(&self, dependency: &'static str) -> u64 {
        self.with(dependency, |dependency| dependency.answers)
    }

    /// The stage finishes what it began.
    pub(crate) fn draining(&self) {
        self.with("stage", |stage| stage.component.draining());
    }

    fn with<T>(&self, dependency: &'static str, then: impl FnOnce(&mut Dependency) -> T) -> T {
        let mut components = self.0.components.lock().unwrap_or_else(PoisonError::into_inner);
        then(components.entry(dependency).or_insert_with(|| Dependency {
            component: self.0.health.component(format!("{}: {dependency}", self.0.stage)),
            answers: 0,
        }))
    }
}
