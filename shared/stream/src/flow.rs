//! When the consumer is polled, and when its partitions are paused. Pure.
//!
//! What librdkafka has fetched of a partition is lost when it is paused, and fetched again when it goes on, which cost
//! a busy stage half of its rate. What is not taken from it stays where it is. So a stage that is full first leaves
//! the consumer alone. But rebalances are heard only in a poll, so after [`PATIENCE`] it pauses, and polls on.

use std::time::{Duration, Instant};

/// How long a stage that is full leaves the consumer alone before it pauses the partitions.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many more records the stage may have in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// So few are in flight that reading starts again.
    Plenty,
    /// Reading goes on if it does.
    Some,
    /// The limit is reached.
    None,
    /// Records were read that cannot be taken in yet.
    Overdrawn,
}

/// What the consumer was last asked for.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// None when it is not known of every partition.
    paused: Option<bool>,
    full_since: Option<Instant>,
}

impl Flow {
    /// Whether the consumer is polled now.
    pub(crate) fn polls(&self) -> bool {
        self.full_since.is_none() || self.paused == Some(true)
    }

    /// Partitions came or went: what is new is not paused, and what was paused may be.
    pub(crate) fn forget(&mut self) {
        self.paused = None;
    }

    /// Whether to pause (true) or to resume (false) all partitions now.
    pub(crate) fn turn(&mut self, room: Room, now: Instant) -> Option<bool> {
        let full = matches!(room, Room::None | Room::Overdrawn);
        self.full_since = full.then(|| self.full_since.unwrap_or(now));
        let long = self.full_since.is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE);
        let want = match room {
            Room::Overdrawn => true,
            Room::None => long || self.paused == Some(true),
            Room::Some => self.paused == Some(true),
            Room::Plenty => false,
        };
        (self.paused.replace(want) != Some(want)).then_some(want)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A flow that was told to read.
    fn reading(now: Instant) -> Flow {
        let mut flow = Flow::default();
        assert_eq!(flow.turn(Room::Plenty, now), Some(false));
        flow
    }

    #[test]
    fn a_full_stage_leaves_the_consumer_alone_and_then_pauses() {
        let start = Instant::now();
        let mut flow = reading(start);
        assert_eq!(flow.turn(Room::None, start), None);
        assert!(!flow.polls());
        assert_eq!(flow.turn(Room::None, start + PATIENCE - Duration::from_millis(1)), None);
        assert!(!flow.polls());
        assert_eq!(flow.turn(Room::None, start + PATIENCE), Some(true));
        assert!(flow.polls(), "rebalances are heard in a poll");
        assert_eq!(flow.turn(Room::Some, start + PATIENCE), None, "it goes on at the low mark");
        assert_eq!(flow.turn(Room::Plenty, start + PATIENCE), Some(false));
        assert!(flow.polls());
    }

    #[test]
    fn a_stage_that_is_full_for_a_moment_pauses_nothing() {
        let mut now = Instant::now();
        let mut flow = reading(now);
        for _ in 0..100 {
            assert_eq!(flow.turn(Room::None, now), None);
            now += PATIENCE - Duration::from_millis(1);
            assert_eq!(flow.turn(Room::Some, now), None);
            assert!(flow.polls());
            now += Duration::from_millis(1);
        }
    }

    #[test]
    fn what_is_newly_assigned_is_paused_with_the_rest() {
        let start = Instant::now();
        let mut flow = reading(start);
        assert_eq!(flow.turn(Room::Overdrawn, start), Some(true));
        flow.forget();
        assert_eq!(flow.turn(Room::Overdrawn, start), Some(true));
        assert_eq!(flow.turn(Room::Plenty, start), Some(false));
        flow.forget();
        assert_eq!(flow.turn(Room::Some, start), Some(false));
    }

    /// Milliseconds, the longest between two turns.
    const TURN: u64 = 400;

    fn room() -> impl Strategy<Value = Room> {
        prop_oneof![Just(Room::Plenty), Just(Room::Some), Just(Room::None), Just(Room::Overdrawn)]
    }

    proptest! {
        /// Whatever comes: records that wait are never added to, no poll is further from the last than the patience
        /// and one turn, and with room for all again it reads.
        #[test]
        fn it_neither_takes_too_much_nor_stays_away(
            turns in proptest::collection::vec((room(), 0..=TURN, any::<bool>()), 1..200),
        ) {
            let mut now = Instant::now();
            let mut flow = Flow::default();
            let mut paused = false;
            let mut polled = now;
            for (room, millis, moved) in turns {
                if moved {
                    flow.forget();
                    // What came with it is not paused.
                    paused = false;
                }
                if let Some(pause) = flow.turn(room, now) {
                    paused = pause;
                }
                match room {
                    Room::Overdrawn => prop_assert!(paused),
                    Room::Plenty => prop_assert!(!paused && flow.polls()),
                    Room::None => prop_assert!(paused || !flow.polls()),
                    Room::Some => prop_assert!(flow.polls()),
                }
                if flow.polls() {
                    polled = now;
                }
                prop_assert!(now - polled < PATIENCE + Duration::from_millis(TURN));
                now += Duration::from_millis(millis);
            }
        }
    }
}
