//! How a partition is approached at whose position instances died. Pure.
//!
//! A record that kills the process (an abort, a stack that overflows, memory that runs out) leaves no trace of
//! itself, so the position remembers: before the first record of a newly owned partition is worked on, the metadata
//! of the committed offset says how many instances began here and did not come back. Any progress clears it, and so
//! does an orderly end. After [`max_attempts`](crate::Tuning::max_attempts) deaths at one position its records are
//! worked on one by one, each announced in the metadata first; after as many further deaths with one record alone in
//! flight, that record is dead-lettered without being worked on again.

/// What is known of the deaths at a partition's position, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caution {
    rules: Rules,
    /// As the committed offset told, without the announcement of this instance.
    deaths: u32,
    mark: Mark,
    /// Records below this offset are worked on one by one.
    alone_until: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Deaths at one position before its records are worked on alone, and deaths alone before one is given up.
    pub(crate) max_attempts: u32,
    /// How many offsets can have been in flight when an instance died.
    pub(crate) horizon: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// Nothing may be begun before it is announced.
    Missing,
    /// Announced, and no progress since.
    Set,
    /// Announced and taken back: the record waits for a dependency, so it does not kill.
    Waived,
    /// There was progress.
    Cleared,
}

impl Caution {
    pub(crate) fn new(deaths: u32, rules: Rules) -> Self {
        Self { rules, deaths, mark: Mark::Missing, alone_until: None }
    }

    /// Whether a record has to wait while `in_flight` others of its partition are worked on.
    pub(crate) fn holds(&self, in_flight: usize) -> bool {
        self.needs_mark() || (self.alone_until.is_some() && in_flight > 0)
    }

    /// Whether the next record has to be announced.
    pub(crate) fn needs_mark(&self) -> bool {
        self.mark == Mark::Missing
    }

    /// Whether the next record is given up.
    pub(crate) fn condemns(&self) -> bool {
        self.deaths >= self.rules.max_attempts.saturating_mul(2)
    }

    /// The deaths to write before the record at `offset` is begun, and the caution once they are committed.
    pub(crate) fn announced(&self, offset: i64) -> (u32, Self) {
        let alone = self.deaths >= self.rules.max_attempts;
        let horizon = offset.saturating_add(self.rules.horizon);
        let alone_until = self.alone_until.or(alone.then_some(horizon));
        (self.deaths.saturating_add(1), Self { mark: Mark::Set, alone_until, ..self.clone() })
    }

    /// The deaths to write with the progress to `next_offset`, and the caution once it is committed. `more` says that
    /// another record waits, which is announced in the same breath.
    pub(crate) fn advanced(&self, next_offset: i64, more: bool) -> (u32, Self) {
        let alone = self.alone_until.filter(|until| next_offset < *until && !self.condemns());
        if alone.is_none() {
            return (0, Self { deaths: 0, mark: Mark::Cleared, alone_until: None, ..self.clone() });
        }
        let next = Self { deaths: self.rules.max_attempts, mark: Mark::Missing, ..self.clone() };
        if more { next.announced(next_offset) } else { (next.deaths, next) }
    }

    /// The deaths to write once the record that is alone in flight waits for a dependency, if that changes them.
    pub(crate) fn waived(&self) -> Option<(u32, Self)> {
        (self.mark == Mark::Set && self.alone_until.is_some())
            .then(|| (self.rules.max_attempts, Self { mark: Mark::Waived, ..self.clone() }))
    }

    /// The deaths to write when the partition is given up in order and without progress, if that changes them.
    pub(crate) fn taken_back(&self) -> Option<u32> {
        (self.mark == Mark::Set).then_some(self.deaths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { max_attempts: 3, horizon: 100 };

    /// Begins at offset 7 and dies; what the next instance reads.
    fn die(deaths: u32) -> u32 {
        let caution = Caution::new(deaths, RULES);
        assert!(caution.holds(0), "nothing begins unannounced");
        caution.announced(7).0
    }

    #[test]
    fn three_deaths_at_a_position_and_three_alone_condemn_a_record() {
        let mut deaths = 0;
        for expected in 1..=6 {
            let (_, caution) = Caution::new(deaths, RULES).announced(7);
            assert!(!Caution::new(deaths, RULES).condemns());
            assert_eq!(caution.holds(1), deaths >= 3, "alone from the third death on");
            deaths = die(deaths);
            assert_eq!(deaths, expected);
        }
        let caution = Caution::new(deaths, RULES);
        assert!(caution.condemns());
        let (written, after) = caution.announced(7).1.advanced(8, true);
        assert_eq!((written, after.holds(5)), (0, false), "the culprit is found, the rest flows");
    }

    #[test]
    fn progress_clears_the_count() {
        let (_, marked) = Caution::new(2, RULES).announced(7);
        let (deaths, clear) = marked.advanced(9, true);
        assert_eq!((deaths, clear.needs_mark(), clear.holds(500)), (0, false, false));
        assert_eq!(clear.advanced(10, false).0, 0);
        assert_eq!(clear.taken_back(), None);
    }

    #[test]
    fn alone_each_record_is_announced_with_the_progress_of_the_last() {
        let (deaths, marked) = Caution::new(3, RULES).announced(7);
        assert_eq!(deaths, 4);
        let (deaths, next) = marked.advanced(8, true);
        assert_eq!((deaths, next.holds(0), next.holds(1)), (4, false, true));
        let (deaths, idle) = next.advanced(9, false);
        assert_eq!((deaths, idle.needs_mark()), (3, true));
        let (deaths, over) = idle.announced(9).1.advanced(107, true);
        assert_eq!((deaths, over.holds(9)), (0, false), "beyond what was in flight nothing is suspect");
    }

    #[test]
    fn an_orderly_end_is_no_death_and_neither_is_a_wait() {
        let caution = Caution::new(2, RULES);
        assert_eq!(caution.taken_back(), None, "nothing was announced");
        assert_eq!(caution.announced(7).1.taken_back(), Some(2));
        assert_eq!(
            caution.announced(7).1.waived(),
            None,
            "only a record alone is known to be the one that waits"
        );
        let (deaths, waived) = Caution::new(5, RULES).announced(7).1.waived().unwrap();
        assert_eq!((deaths, waived.waived(), waived.taken_back()), (3, None, None));
        assert!(waived.holds(1));
    }
}
