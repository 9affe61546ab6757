//! Records that wait for a dependency: each key's in a line of its own, tried again in place. Pure.
//!
//! One key that fails does not hold up the others of its worker; once several keys fail in a row the dependency
//! counts as down, and one record at a time knocks until it answers.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A record's place in the order that has to be kept: its key within its partition.
pub(crate) type Place = (Arc<str>, i32, Option<Vec<u8>>);

/// First wait between two tries; each further one doubles.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// So many keys that fail with no success in between mean that the dependency is down.
const DOWN: usize = 3;

/// When a due record is tried: earliest first, and in the order of their coming.
type Due = (Instant, u64);

#[derive(Debug)]
pub(crate) struct Waiting<J> {
    max_wait: Duration,
    /// Tries of one key that fail although the dependency answers others, before it is parked.
    park_after: u32,
    lines: HashMap<Place, Line<J>>,
    due: BTreeMap<Due, Place>,
    sequence: u64,
    /// Keys that failed since the last success.
    failing: HashSet<Place>,
    /// While the dependency counts as down: nothing is tried before.
    closed_until: Option<Instant>,
    knock: Duration,
}

#[derive(Debug)]
struct Line<J> {
    jobs: VecDeque<J>,
    wait: Duration,
    /// Failed tries between which the dependency answered others.
    alone: u32,
    /// How often the dependency had answered at the last try.
    answers: u64,
}

/// What becomes of a record that failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict<J> {
    /// It waits.
    Wait,
    /// Its key alone keeps failing.
    Park(J),
}

impl<J> Waiting<J> {
    pub(crate) fn new(max_wait: Duration, park_after: u32) -> Self {
        Self {
            max_wait,
            park_after,
            lines: HashMap::new(),
            due: BTreeMap::new(),
            sequence: 0,
            failing: HashSet::new(),
            closed_until: None,
            knock: FIRST_WAIT,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Takes the record if it has to wait: behind others of its key, or because the dependency is down.
    pub(crate) fn takes(&mut self, place: &Place, job: J, now: Instant) -> Option<J> {
        if let Some(line) = self.lines.get_mut(place) {
            line.jobs.push_back(job);
            return None;
        }
        let Some(until) = self.closed_until.filter(|until| now < *until) else { return Some(job) };
        let line = Line { jobs: VecDeque::from([job]), wait: FIRST_WAIT, alone: 0, answers: 0 };
        self.lines.insert(place.clone(), line);
        self.wake(place.clone(), until);
        None
    }

    /// A record failed, when the dependency had answered `answers` calls so far.
    pub(crate) fn failed(&mut self, place: &Place, job: J, answers: u64, now: Instant) -> Verdict<J> {
        let line = self.lines.entry(place.clone()).or_insert_with(|| Line {
            jobs: VecDeque::new(),
            wait: FIRST_WAIT,
            alone: 0,
            answers,
        });
        if answers > line.answers {
            line.alone += 1;
            line.answers = answers;
        }
        if line.alone >= self.park_after {
            line.alone = 0;
            return Verdict::Park(job);
        }
        line.jobs.push_front(job);
        let due = now + line.wait;
        line.wait = (line.wait * 2).min(self.max_wait);
        self.failing.insert(place.clone());
        if self.failing.len() >= DOWN {
            self.closed_until = Some(now + self.knock);
            self.knock = (self.knock * 2).min(self.max_wait);
        }
        self.wake(place.clone(), due);
        Verdict::Wait
    }

    /// A record has its fate: the next of its key is due, and nothing is down.
    pub(crate) fn succeeded(&mut self, place: &Place, now: Instant) {
        self.failing.clear();
        self.closed_until = None;
        self.knock = FIRST_WAIT;
        self.passed(place, now);
    }

    /// A record needs no fate any more, or was parked: the next of its key is due.
    pub(crate) fn passed(&mut self, place: &Place, now: Instant) {
        let Some(line) = self.lines.get_mut(place) else { return };
        if line.jobs.is_empty() {
            self.lines.remove(place);
            if self.lines.is_empty() {
                self.failing.clear();
                self.closed_until = None;
            }
        } else {
            line.wait = FIRST_WAIT;
            line.alone = 0;
            self.wake(place.clone(), now);
        }
    }

    /// The next record to try. Say what came of it before the next call.
    pub(crate) fn next(&mut self, now: Instant) -> Option<(Place, J)> {
        if self.closed_until.is_some_and(|until| now < until) {
            return None;
        }
        let (at, _) = *self.due.first_key_value()?.0;
        if now < at {
            return None;
        }
        let (_, place) = self.due.pop_first()?;
        let job = self.lines.get_mut(&place)?.jobs.pop_front()?;
        Some((place, job))
    }

    /// When there is something to try again.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let (at, _) = *self.due.first_key_value()?.0;
        Some(self.closed_until.map_or(at, |until| at.max(until)))
    }

    fn wake(&mut self, place: Place, at: Instant) {
        self.sequence += 1;
        self.due.insert((at, self.sequence), place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: u8) -> Place {
        (Arc::from("t"), 0, Some(vec![key]))
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn later_records_of_a_key_wait_behind_it_and_others_pass() {
        let now = Instant::now();
        let mut waiting = Waiting::new(ms(400), 10);
        assert_eq!(waiting.takes(&place(1), "first", now), Some("first"));
        assert_eq!(waiting.failed(&place(1), "first", 0, now), Verdict::Wait);
        assert_eq!(waiting.takes(&place(1), "second", now), None);
        assert_eq!(waiting.takes(&place(2), "other", now), Some("other"));
        assert_eq!(waiting.next(now), None);
        assert_eq!(waiting.next_at(), Some(now + ms(50)));
        assert_eq!(waiting.next(now + ms(50)), Some((place(1), "first")));
        waiting.succeeded(&place(1), now + ms(51));
        assert_eq!(waiting.next(now + ms(51)), Some((place(1), "second")));
        waiting.succeeded(&place(1), now + ms(52));
        assert!(waiting.is_empty());
    }

    #[test]
    fn waits_double_up_to_the_bound() {
        let mut now = Instant::now();
        let mut waiting = Waiting::new(ms(150), 10);
        let mut waits = Vec::new();
        let mut job = "job";
        for _ in 0..4 {
            waiting.failed(&place(1), job, 0, now);
            let at = waiting.next_at().unwrap();
            waits.push(at - now);
            now = at;
            job = waiting.next(now).unwrap().1;
        }
        assert_eq!(waits, [ms(50), ms(100), ms(150), ms(150)]);
    }

    #[test]
    fn a_dependency_that_fails_several_keys_is_knocked_at_by_one() {
        let now = Instant::now();
        let mut waiting = Waiting::new(ms(1000), 10);
        for key in 0..3 {
            waiting.failed(&place(key), key, 0, now);
        }
        assert_eq!(waiting.takes(&place(9), 9, now), None, "down: not even tried");
        let later = now + ms(50);
        let (knocking, job) = waiting.next(later).unwrap();
        waiting.failed(&knocking, job, 0, later);
        assert_eq!(waiting.next(later), None, "one knock at a time");
        let (answered, _) = waiting.next(later + ms(100)).unwrap();
        waiting.succeeded(&answered, later + ms(100));
        let rest: Vec<u8> =
            std::iter::from_fn(|| waiting.next(later + ms(100)).map(|(_, job)| job)).collect();
        assert_eq!(rest.len(), 3, "back: all are tried");
    }

    #[test]
    fn a_key_that_fails_alone_is_parked_and_a_dependency_that_is_down_parks_nobody() {
        let mut now = Instant::now();
        let mut waiting = Waiting::new(ms(50), 3);
        for answers in [0, 1, 2] {
            assert_eq!(waiting.failed(&place(1), "job", answers, now), Verdict::Wait);
            assert_eq!(waiting.takes(&place(1), "behind", now), None);
            now += ms(50);
            waiting.next(now).unwrap();
        }
        assert_eq!(waiting.failed(&place(1), "job", 3, now), Verdict::Park("job"));
        waiting.passed(&place(1), now);
        assert_eq!(waiting.next(now), Some((place(1), "behind")));
        for _ in 0..100 {
            assert_eq!(waiting.failed(&place(7), "job", 3, now), Verdict::Wait, "nobody was answered");
            now += ms(50);
            waiting.next(now).unwrap();
        }
    }
}
