//! Who hears next when nobody acknowledges, and when. Pure: a clock comes in, what to do comes out.
//!
//! An event's recipients are step 0. Each tier of its ladder is a step, and so is each repetition of the last tier. A step
//! is due when the one before was taken and nobody acknowledged within the tier's time; none is taken before the one below
//! it was tried.

use crate::Recipient;

/// Who hears next, and after how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// How long those before have to acknowledge, milliseconds; more than 0.
    pub after_ms: i64,
    /// At least one.
    pub recipients: Vec<Recipient>,
}

/// The tiers of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    tiers: Vec<Tier>,
    /// How often the last tier is told again.
    repeat: u32,
}

impl Ladder {
    /// Steps at most: a step is one byte of the acknowledgement's link.
    pub const MAX_STEPS: usize = 200;

    /// Of tiers, unless there are none.
    #[must_use]
    pub fn new(tiers: Vec<Tier>, repeat: u32) -> Option<Self> {
        (!tiers.is_empty()).then_some(Self { tiers, repeat })
    }

    /// How many tiers there are.
    #[must_use]
    pub fn tiers(&self) -> u32 {
        u32::try_from(self.tiers.len()).unwrap_or(u32::MAX)
    }

    /// The last step.
    #[must_use]
    pub fn last(&self) -> u32 {
        self.tiers().saturating_add(self.repeat)
    }

    /// The tier that a step tells, from step 1; none behind the last.
    #[must_use]
    pub fn tier(&self, step: u32) -> Option<&Tier> {
        if step > self.last() {
            return None;
        }
        let index = usize::try_from(step.min(self.tiers())).ok()?.checked_sub(1)?;
        self.tiers.get(index)
    }

    /// How long those who were told in a step have, milliseconds: the next tier's time, or the last one's own.
    fn patience_ms(&self, step: u32) -> i64 {
        let tier = self.tier(step.saturating_add(1)).or(self.tiers.last());
        tier.map_or(0, |tier| tier.after_ms)
    }
}

/// How far the escalation of an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The last step that was taken.
    pub step: u32,
    /// When the event was opened, milliseconds since the epoch.
    pub opened_at: i64,
    /// When the next step is due.
    pub due_at: i64,
    /// Every step was taken, and nobody acknowledged in time.
    pub unanswered: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing before this time.
    Wait(i64),
    /// Tell those of this step.
    Tell(u32),
    /// Every step was taken: say so, and wait on.
    GiveUp,
    /// It is over.
    Close(Closing),
}

/// Why it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// Somebody acknowledged.
    Acknowledged,
    /// Nobody did for as long as it can be acknowledged.
    Expired,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody was told.
    Told,
    /// Everybody was refused for good.
    Refused,
    /// No channel takes it now.
    Waits,
}

impl Standing {
    /// Of an event whose recipients were told now, or could not be told in time.
    #[must_use]
    pub fn opened(now_ms: i64, ladder: &Ladder) -> Self {
        let due_at = now_ms.saturating_add(ladder.patience_ms(0));
        Self { step: 0, opened_at: now_ms, due_at, unanswered: false }
    }

    /// Of an event whose recipients were all refused: the next step is due at once.
    #[must_use]
    pub fn refused(now_ms: i64) -> Self {
        Self { step: 0, opened_at: now_ms, due_at: now_ms, unanswered: false }
    }

    /// Whether more was done than by the other one.
    #[must_use]
    pub fn is_beyond(&self, other: &Self) -> bool {
        (self.step, self.unanswered) > (other.step, other.unanswered)
    }

    /// What is to be done at a time. `keep_ms`: how long after its opening it can be acknowledged.
    #[must_use]
    pub fn next(&self, ladder: &Ladder, acknowledged: bool, now_ms: i64, keep_ms: i64) -> Action {
        let expires = self.opened_at.saturating_add(keep_ms);
        if acknowledged {
            Action::Close(Closing::Acknowledged)
        } else if now_ms >= expires {
            Action::Close(Closing::Expired)
        } else if self.unanswered {
            Action::Wait(expires)
        } else if now_ms < self.due_at {
            Action::Wait(self.due_at.min(expires))
        } else if self.step < ladder.last() {
            Action::Tell(self.step + 1)
        } else {
            Action::GiveUp
        }
    }

    /// After a step was tried: how far it is now, or none if that step is to be tried again.
    ///
    /// One that no channel takes is tried for as long as those it tells would have had, so that a channel that is away keeps
    /// nobody further up from hearing; the last one is tried on.
    #[must_use]
    pub fn tried(&self, outcome: Outcome, ladder: &Ladder, now_ms: i64) -> Option<Self> {
        let step = self.step.saturating_add(1);
        let patience = ladder.patience_ms(step);
        let due_at = match outcome {
            Outcome::Told => now_ms.saturating_add(patience),
            Outcome::Refused => now_ms,
            Outcome::Waits => {
                let over = step < ladder.last() && now_ms >= self.due_at.saturating_add(patience);
                return over.then_some(Self { step, due_at: now_ms, ..*self });
            }
        };
        Some(Self { step, due_at, ..*self })
    }

    /// After the last step, when nobody acknowledged.
    #[must_use]
    pub fn given_up(&self) -> Self {
        Self { unanswered: true, ..*self }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Address;

    /// A ladder of tiers with these times, in milliseconds.
    pub(crate) fn ladder(after_ms: &[i64], repeat: u32) -> Ladder {
        let tier = |after_ms: &i64| Tier {
            after_ms: *after_ms,
            recipients: vec![Recipient { name: "x".into(), address: Address::Webhook("x".into()) }],
        };
        Ladder::new(after_ms.iter().map(tier).collect(), repeat).unwrap()
    }

    const KEEP: i64 = 1_000_000;

    /// The steps that are told, each with its time, if nobody ever acknowledges and every channel works.
    fn told(ladder: &Ladder, keep_ms: i64) -> (Vec<(u32, i64)>, i64) {
        let (mut now, mut standing, mut told) = (0, Standing::opened(0, ladder), Vec::new());
        loop {
            match standing.next(ladder, false, now, keep_ms) {
                Action::Wait(until) => now = until,
                Action::Tell(step) => {
                    told.push((step, now));
                    standing = standing.tried(Outcome::Told, ladder, now).unwrap();
                }
                Action::GiveUp => standing = standing.given_up(),
                Action::Close(closing) => {
                    assert_eq!(closing, Closing::Expired);
                    return (told, now);
                }
            }
        }
    }

    #[test]
    fn each_tier_hears_after_its_time_and_the_last_again() {
        assert_eq!(told(&ladder(&[100, 50], 2), KEEP), (vec![(1, 100), (2, 150), (3, 200), (4, 250)], KEEP));
        assert_eq!(told(&ladder(&[100], 0), KEEP), (vec![(1, 100)], KEEP));
        assert_eq!(told(&ladder(&[100, 50], 0), 120), (vec![(1, 100)], 120), "it expires");
    }

    #[test]
    fn the_last_tier_is_the_one_that_is_repeated() {
        let ladder = ladder(&[7, 9], 1);
        let after = |step| ladder.tier(step).map(|tier| tier.after_ms);
        assert_eq!(
            [after(0), after(1), after(2), after(3), after(4)],
            [None, Some(7), Some(9), Some(9), None]
        );
        assert_eq!((ladder.tiers(), ladder.last()), (2, 3));
        assert_eq!(Ladder::new(vec![], 3), None);
    }

    #[test]
    fn a_channel_that_is_away_keeps_nobody_further_up_from_hearing() {
        let ladder = ladder(&[100, 50], 0);
        let opened = Standing::opened(0, &ladder);
        assert_eq!(opened.tried(Outcome::Waits, &ladder, 149), None, "tried again");
        let over = opened.tried(Outcome::Waits, &ladder, 150).unwrap();
        assert_eq!((over.step, over.next(&ladder, false, 150, KEEP)), (1, Action::Tell(2)));
        assert_eq!(over.tried(Outcome::Waits, &ladder, 10_000), None, "the last tier is tried on");
        let refused = opened.tried(Outcome::Refused, &ladder, 100).unwrap();
        assert_eq!(refused.next(&ladder, false, 100, KEEP), Action::Tell(2));
        assert_eq!(Standing::refused(5).next(&ladder, false, 5, KEEP), Action::Tell(1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Whatever becomes of the steps and however late the clock is looked at, steps are tried in their order, none
        /// before its time, and none once it is acknowledged.
        #[test]
        fn steps_are_tried_in_order(
            after in prop::collection::vec(1i64..50, 1..4), repeat in 0u32..3,
            turns in prop::collection::vec((0i64..80, 0u8..3), 0..60), acknowledged_at in 0i64..600,
        ) {
            let ladder = ladder(&after, repeat);
            let (mut now, mut standing) = (0, Standing::opened(0, &ladder));
            let mut last_try = 0;
            for (passed, outcome) in turns {
                now += passed;
                match standing.next(&ladder, now >= acknowledged_at, now, KEEP) {
                    Action::Wait(until) => prop_assert!(until > now),
                    Action::Tell(step) => {
                        prop_assert!(now < acknowledged_at && now >= standing.due_at);
                        prop_assert!(step == last_try || step == last_try + 1, "{step} after {last_try}");
                        prop_assert!(ladder.tier(step).is_some());
                        last_try = step;
                        let outcome = [Outcome::Told, Outcome::Refused, Outcome::Waits][usize::from(outcome)];
                        if let Some(next) = standing.tried(outcome, &ladder, now) {
                            prop_assert_eq!(next.step, step);
                            if outcome == Outcome::Told {
                                prop_assert!(next.due_at > now);
                            }
                            standing = next;
                        }
                    }
                    Action::GiveUp => {
                        prop_assert_eq!(standing.step, ladder.last());
                        standing = standing.given_up();
                    }
                    Action::Close(closing) => {
                        prop_assert!(now >= acknowledged_at);
                        prop_assert_eq!(closing, Closing::Acknowledged);
                    }
                }
            }
        }
    }
}
