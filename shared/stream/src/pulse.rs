//! Whether this process has been awake all along.
//!
//! One that was frozen (SIGSTOP, a suspended machine) goes on where it was, and hears only after a moment that others have
//! had its partitions for long. What it writes in that moment Kafka refuses. What its stage does to the world outside, a mail
//! for one, nobody can refuse. So the owner leaves a mark at every turn, and a worker that finds an old mark begins nothing
//! until the owner was back for long enough to hear of its group.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// librdkafka looks at its own session once a second.
const HEARING: Duration = Duration::from_secs(2);

/// The mark, for workers.
#[derive(Debug)]
pub(crate) struct Pulse {
    origin: Instant,
    /// Microseconds from the origin to the owner's last turn.
    last: AtomicU64,
    limit: Duration,
}

impl Pulse {
    /// Whether the owner was there a moment ago.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        let last = self.origin + Duration::from_micros(self.last.load(Ordering::Acquire));
        now.saturating_duration_since(last) <= self.limit
    }
}

/// The owner's side.
#[derive(Debug)]
pub(crate) struct Turns {
    pulse: Arc<Pulse>,
    last: Instant,
    doubtful_until: Option<Instant>,
}

impl Turns {
    /// A third of a session without a turn is as long as anybody may be away.
    pub(crate) fn new(session_timeout: Duration, now: Instant) -> Self {
        let pulse = Pulse { origin: now, last: AtomicU64::new(0), limit: session_timeout / 3 };
        Self { pulse: Arc::new(pulse), last: now, doubtful_until: None }
    }

    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }

    /// Marks a turn. Gives how long the owner was away when that was too long: the mark is left again once the group could
    /// be heard.
    pub(crate) fn turn(&mut self, now: Instant) -> Option<Duration> {
        let away = now.saturating_duration_since(self.last);
        self.last = now;
        let too_long = away > self.pulse.limit;
        if too_long {
            self.doubtful_until = Some(now + HEARING);
        }
        if self.doubtful_until.is_none_or(|until| now >= until) {
            self.doubtful_until = None;
            let micros = now.saturating_duration_since(self.pulse.origin).as_micros();
            self.pulse.last.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Release);
        }
        too_long.then_some(away)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_sleep_nothing_begins_until_the_group_could_be_heard() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let mut turns = Turns::new(Duration::from_secs(6), start);
        let pulse = turns.pulse();
        assert!(pulse.is_fresh(at(2000)), "a third of the session");
        assert_eq!(turns.turn(at(1900)), None);
        assert!(pulse.is_fresh(at(3900)));
        // A worker may wake before the owner does.
        assert!(!pulse.is_fresh(at(9000)));
        assert_eq!(turns.turn(at(9000)), Some(Duration::from_millis(7100)));
        assert!(!pulse.is_fresh(at(9000)));
        assert_eq!(turns.turn(at(10_900)), None);
        assert!(!pulse.is_fresh(at(10_900)));
        assert_eq!(turns.turn(at(11_000)), None);
        assert!(pulse.is_fresh(at(11_000)));
    }
}
