//! Whether this process has been awake, and the member of its group that it was, all along.
//!
//! One that was frozen (SIGSTOP, a suspended machine) goes on where it was, and hears only after a moment that others have
//! had its partitions for long. What it writes in that moment Kafka refuses. What its stage does to the world outside, a mail
//! for one, nobody can refuse. So the owner leaves a mark at every turn, and a worker that finds an old mark begins nothing
//! until the owner was back for long enough to hear of its group.
//!
//! A static member that the coordinator forgot keeps its partitions while it joins as another one, and others have them
//! meanwhile: for as long as the group needs to share out anew. Nothing begins then either.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// librdkafka looks at its own session once a second.
const HEARING: Duration = Duration::from_secs(2);
/// Between two questions, each of which waits for a thread of librdkafka. No group shares out anew in less.
const ASKING: Duration = Duration::from_millis(100);

/// The mark, for workers.
#[derive(Debug)]
pub(crate) struct Pulse {
    origin: Instant,
    /// Microseconds from the origin to the owner's last turn.
    last: AtomicU64,
    limit: Duration,
    /// Whether the consumer is still the member that was given its partitions.
    same_member: AtomicBool,
}

impl Pulse {
    /// Whether the owner was there a moment ago, as the member that was given the partitions.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        if !self.same_member.load(Ordering::Acquire) {
            return false;
        }
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
    /// When to ask again who this member is.
    ask_at: Instant,
}

impl Turns {
    /// A third of a session without a turn is as long as anybody may be away.
    pub(crate) fn new(session_timeout: Duration, now: Instant) -> Self {
        let pulse = Pulse {
            origin: now,
            last: AtomicU64::new(0),
            limit: session_timeout / 3,
            same_member: AtomicBool::new(true),
        };
        Self { pulse: Arc::new(pulse), last: now, doubtful_until: None, ask_at: now }
    }

    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }

    /// Asks, now and then, whether the consumer is still the member that it was. True when it no longer is, once.
    pub(crate) fn ask(&mut self, now: Instant, is_same_member: impl FnOnce() -> bool) -> bool {
        if now < self.ask_at {
            return false;
        }
        self.ask_at = now + ASKING;
        let same = is_same_member();
        self.pulse.same_member.swap(same, Ordering::AcqRel) && !same
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

    #[test]
    fn nothing_begins_while_it_is_another_member() {
        let start = Instant::now();
        let mut turns = Turns::new(Duration::from_secs(6), start);
        let pulse = turns.pulse();
        assert!(!turns.ask(start, || true) && pulse.is_fresh(start));
        assert!(!turns.ask(start, || false), "asked a moment ago");
        let forgotten = start + ASKING;
        assert!(turns.ask(forgotten, || false) && !pulse.is_fresh(forgotten));
        let later = forgotten + ASKING;
        assert!(!turns.ask(later, || false), "that is known");
        assert_eq!(turns.turn(later), None);
        assert!(!pulse.is_fresh(later));
        let joined = later + ASKING;
        assert!(!turns.ask(joined, || true) && pulse.is_fresh(joined));
    }
}
