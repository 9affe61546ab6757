//! Whether a process lives, and whether it is ready.
//!
//! *Live* means that restarting would not help: every owner loop beats within its deadline. *Ready* means that
//! work flows: every component is ready. A dependency that is down makes a process unready, never dead.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// Where a component is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// Not yet ready for the first time.
    Starting,
    /// At work.
    Ready,
    /// Held up by something that is expected to mend.
    Waiting {
        /// What it waits for: a name or a code, never clinical data.
        reason: Cow<'static, str>,
    },
    /// Finishing what was begun; takes nothing new.
    Draining,
}

/// The health of a process; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    components: BTreeMap<String, State>,
    beats: BTreeMap<String, Beat>,
}

#[derive(Clone, Copy, Debug)]
enum Beat {
    Due {
        last: Instant,
        deadline: Duration,
    },
    /// Dropped without [`Heartbeat::finish`]: the loop panicked or returned unasked.
    Lost,
}

/// What `/healthz` and `/readyz` answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether every heartbeat is within its deadline.
    pub live: bool,
    /// Whether the process is live and every component ready; a process without components is not.
    pub ready: bool,
    /// Heartbeats that are late or lost.
    pub stalled: Vec<String>,
    /// Every component by name.
    pub components: Vec<ComponentReport>,
}

impl Report {
    /// The components that are not ready.
    pub fn not_ready(&self) -> impl Iterator<Item = &ComponentReport> {
        self.components.iter().filter(|component| component.state != "ready")
    }
}

/// One component in a [`Report`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComponentReport {
    /// Its name.
    pub component: String,
    /// `starting`, `ready`, `waiting` or `draining`.
    pub state: &'static str,
    /// What it waits for, if it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'static, str>>,
}

impl Health {
    /// Health without components: live, not ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a component, starting. A second call with the same name gives a second handle on the same component.
    #[must_use]
    pub fn component(&self, name: impl Into<String>) -> Component {
        let name = name.into();
        self.lock().components.entry(name.clone()).or_insert(State::Starting);
        Component { health: self.clone(), name }
    }

    /// Adds a loop that must [`beat`](Heartbeat::beat) at least once per `deadline` for the process to be live.
    /// The first deadline begins now.
    #[must_use = "a heartbeat that is dropped counts as lost"]
    pub fn heartbeat(&self, name: impl Into<String>, deadline: Duration) -> Heartbeat {
        let name = name.into();
        self.lock().beats.insert(name.clone(), Beat::Due { last: Instant::now(), deadline });
        Heartbeat { health: self.clone(), name, deadline, finished: false }
    }

    /// The health at this moment.
    #[must_use]
    pub fn report(&self) -> Report {
        self.report_at(Instant::now())
    }

    /// The health as it is seen at a given moment.
    #[must_use]
    pub fn report_at(&self, now: Instant) -> Report {
        let inner = self.lock();
        let stalled: Vec<String> = inner
            .beats
            .iter()
            .filter(|(_, beat)| match beat {
                Beat::Due { last, deadline } => now.saturating_duration_since(*last) > *deadline,
                Beat::Lost => true,
            })
            .map(|(name, _)| name.clone())
            .collect();
        let components: Vec<ComponentReport> = inner
            .components
            .iter()
            .map(|(name, state)| {
                let (state, reason) = match state {
                    State::Starting => ("starting", None),
                    State::Ready => ("ready", None),
                    State::Waiting { reason } => ("waiting", Some(reason.clone())),
                    State::Draining => ("draining", None),
                };
                ComponentReport { component: name.clone(), state, reason }
            })
            .collect();
        let live = stalled.is_empty();
        let ready = live && !components.is_empty() && components.iter().all(|part| part.state == "ready");
        Report { live, ready, stalled, components }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle on one component.
#[derive(Clone, Debug)]
pub struct Component {
    health: Health,
    name: String,
}

impl Component {
    /// Sets the state.
    pub fn set(&self, state: State) {
        let previous = self.health.lock().components.insert(self.name.clone(), state.clone());
        if previous.as_ref() != Some(&state) {
            match &state {
                State::Waiting { reason } => {
                    tracing::warn!(component = self.name, reason = reason.as_ref(), "waiting");
                }
                state => tracing::info!(component = self.name, state = ?state, "state changed"),
            }
        }
    }

    /// At work.
    pub fn ready(&self) {
        self.set(State::Ready);
    }

    /// Held up. `reason` is a name or a code, never clinical data.
    pub fn waiting(&self, reason: impl Into<Cow<'static, str>>) {
        self.set(State::Waiting { reason: reason.into() });
    }

    /// Finishing what was begun.
    pub fn draining(&self) {
        self.set(State::Draining);
    }
}

/// The beat of one owner loop. Dropping it without [`finish`](Self::finish), as a panic does, makes the process
/// dead.
#[derive(Debug)]
pub struct Heartbeat {
    health: Health,
    name: String,
    deadline: Duration,
    finished: bool,
}

impl Heartbeat {
    /// Says that the loop goes round.
    pub fn beat(&self) {
        let beat = Beat::Due { last: Instant::now(), deadline: self.deadline };
        if let Some(slot) = self.health.lock().beats.get_mut(&self.name) {
            *slot = beat;
        }
    }

    /// Ends the beat of a loop that ended as it should.
    pub fn finish(mut self) {
        self.finished = true;
        self.health.lock().beats.remove(&self.name);
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        if !self.finished {
            self.health.lock().beats.insert(self.name.clone(), Beat::Lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_components_is_live_and_not_ready() {
        let report = Health::new().report();
        assert!(report.live && !report.ready);
    }

    #[test]
    fn readiness_needs_every_component_and_names_the_others() {
        let health = Health::new();
        let (kafka, models) = (health.component("kafka"), health.component("models"));
        kafka.ready();
        assert!(!health.report().ready);
        models.waiting("no models folder");
        let report = health.report();
        let waiting: Vec<_> = report.not_ready().collect();
        assert_eq!(waiting.len(), 1);
        assert_eq!((waiting[0].component.as_str(), waiting[0].state), ("models", "waiting"));
        assert_eq!(waiting[0].reason.as_deref(), Some("no models folder"));
        models.ready();
        assert!(health.report().ready);
        kafka.draining();
        assert!(!health.report().ready && health.report().live);
    }

    #[test]
    fn a_late_heartbeat_is_death() {
        let health = Health::new();
        let beat = health.heartbeat("owner", Duration::from_secs(30));
        let now = Instant::now();
        assert!(health.report_at(now + Duration::from_secs(29)).live);
        let late = health.report_at(now + Duration::from_secs(31));
        assert_eq!(
            (late.live, late.ready, late.stalled.as_slice()),
            (false, false, &["owner".to_owned()][..])
        );
        beat.beat();
        assert!(health.report().live);
        beat.finish();
        assert!(health.report_at(now + Duration::from_secs(3600)).live);
    }

    #[test]
    fn a_loop_that_panics_takes_its_process_with_it() {
        let health = Health::new();
        let beat = health.heartbeat("owner", Duration::from_secs(30));
        let ended = std::thread::spawn(move || {
            let _beat = beat;
            panic!("deliberate, to see the heartbeat lost");
        })
        .join();
        assert!(ended.is_err());
        assert_eq!(health.report().stalled, ["owner"]);
    }
}
