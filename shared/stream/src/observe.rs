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
    components: Mutex<HashMap<&'static str, Component>>,
}

/// A call to Kafka may take this long before the process counts as hung.
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
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        self.0.health.heartbeat(self.0.stage, HUNG)
    }

    /// A dependency does not answer. `reason` carries no content of a record.
    pub fn waiting(&self, dependency: &'static str, reason: &str) {
        self.component(dependency).waiting(reason.to_owned());
        self.0.metrics.dependency(dependency, false);
    }

    /// A dependency answers.
    pub fn ready(&self, dependency: &'static str) {
        self.component(dependency).ready();
        self.0.metrics.dependency(dependency, true);
    }

    /// The stage finishes what it began.
    pub(crate) fn draining(&self) {
        self.component("stage").draining();
    }

    fn component(&self, dependency: &'static str) -> Component {
        let mut components = self.0.components.lock().unwrap_or_else(PoisonError::into_inner);
        components
            .entry(dependency)
            .or_insert_with(|| self.0.health.component(format!("{}: {dependency}", self.0.stage)))
            .clone()
    }
}
