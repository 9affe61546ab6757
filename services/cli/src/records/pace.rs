//! How fast records are given. Pure: the time comes in.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// So many records a second at most. What was not used up before is not made up for: who asks for a rate protects what comes behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    between: Duration,
    next: Option<Instant>,
}

impl Pace {
    pub(super) fn new(a_second: NonZeroU32) -> Self {
        Self { between: Duration::from_secs(1) / a_second.get(), next: None }
    }

    /// How long the next record has to wait, which takes its place.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        let place = self.next.unwrap_or(now).max(now);
        self.next = Some(place + self.between);
        place - now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pause_is_not_made_up_for() {
        let mut pace = Pace::new(NonZeroU32::new(10).unwrap());
        let start = Instant::now();
        let tenth = Duration::from_millis(100);
        assert_eq!(
            [pace.wait(start), pace.wait(start), pace.wait(start)],
            [Duration::ZERO, tenth, 2 * tenth]
        );
        let later = start + Duration::from_secs(60);
        assert_eq!([pace.wait(later), pace.wait(later)], [Duration::ZERO, tenth]);
    }

    proptest! {
        /// However long the work on each takes: within any second no more come than may.
        #[test]
        fn no_second_has_more_than_it_may(rate in 1_u32..200, works in proptest::collection::vec(0_u64..300, 1..300)) {
            let mut pace = Pace::new(NonZeroU32::new(rate).unwrap());
            let mut now = Instant::now();
            let mut times = Vec::new();
            for work in works {
                now += pace.wait(now);
                times.push(now);
                now += Duration::from_millis(work);
            }
            for pair in times.windows(rate as usize + 1) {
                // The time between two is a fraction of a second that is rounded down to nanoseconds.
                prop_assert!(pair[rate as usize] - pair[0] >= Duration::from_secs(1) - Duration::from_nanos(u64::from(rate)));
            }
        }
    }
}
