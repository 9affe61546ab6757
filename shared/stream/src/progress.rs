//! Which offsets of a partition are finished. Pure: no Kafka, no clock.

use std::collections::VecDeque;

use crate::lineage::{Guard, Lineage};

/// The records of one assigned partition that were admitted and not committed yet, in the order of their offsets.
///
/// Results arrive in any order; only the finished prefix may commit.
#[derive(Debug)]
pub(crate) struct Progress<R> {
    slots: VecDeque<Slot<R>>,
    /// Everything admitted so far, to recognise a duplicate.
    admitted: Guard,
    /// Everything committed so far, to travel with the committed offset.
    committed: Guard,
    finished: usize,
}

#[derive(Debug)]
struct Slot<R> {
    offset: i64,
    lineage: Option<Lineage>,
    result: Option<R>,
}

/// A finished prefix, as borrowed for one transaction.
#[derive(Debug)]
pub(crate) struct Prefix<'a, R> {
    /// The offset to commit: one past the last finished record.
    pub(crate) next_offset: i64,
    /// The guard as it is once the prefix is committed.
    pub(crate) guard: Guard,
    /// The results, in the order of their offsets.
    pub(crate) results: Vec<&'a R>,
}

impl<R> Progress<R> {
    /// A partition whose committed offset carried this guard.
    pub(crate) fn new(guard: Guard) -> Self {
        Self { slots: VecDeque::new(), admitted: guard.clone(), committed: guard, finished: 0 }
    }

    /// Takes a record in; false when its lineage was seen before. A duplicate takes a slot too, so that its offset
    /// commits in its turn: give it its result at once.
    pub(crate) fn admit(&mut self, offset: i64, lineage: Option<Lineage>) -> bool {
        debug_assert!(self.slots.back().is_none_or(|slot| slot.offset < offset), "offsets rise");
        let new = lineage.as_ref().is_none_or(|lineage| self.admitted.admit(lineage));
        self.slots.push_back(Slot { offset, lineage, result: None });
        new
    }

    /// Notes a result. One for an offset that is not here (any more) is inert.
    pub(crate) fn complete(&mut self, offset: i64, result: R) {
        if let Ok(at) = self.slots.binary_search_by_key(&offset, |slot| slot.offset)
            && self.slots[at].result.replace(result).is_none()
        {
            self.finished += 1;
        }
    }

    /// Records admitted and not committed.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Records still being processed.
    pub(crate) fn pending(&self) -> usize {
        self.slots.len() - self.finished
    }

    /// How many records the finished prefix has.
    pub(crate) fn ready(&self) -> usize {
        self.slots.iter().take_while(|slot| slot.result.is_some()).count()
    }

    /// The result of the first record that is not committed, once it has one.
    pub(crate) fn first_result(&self) -> Option<&R> {
        self.slots.front().and_then(|slot| slot.result.as_ref())
    }

    /// The results below an offset that a transaction has committed.
    pub(crate) fn results_below(&self, next_offset: i64) -> impl Iterator<Item = &R> {
        self.slots
            .iter()
            .take_while(move |slot| slot.offset < next_offset)
            .filter_map(|slot| slot.result.as_ref())
    }

    /// The finished prefix, at most `limit` records of it.
    pub(crate) fn prefix(&self, limit: usize) -> Option<Prefix<'_, R>> {
        let mut guard = self.committed.clone();
        let mut results = Vec::new();
        let mut next_offset = None;
        for slot in self.slots.iter().take(limit) {
            let Some(result) = &slot.result else { break };
            if let Some(lineage) = &slot.lineage {
                guard.admit(lineage);
            }
            results.push(result);
            next_offset = Some(slot.offset + 1);
        }
        Some(Prefix { next_offset: next_offset?, guard, results })
    }

    /// Lets go of everything below `next_offset`, which is committed.
    pub(crate) fn committed(&mut self, next_offset: i64) {
        while let Some(slot) = self.slots.pop_front_if(|slot| slot.offset < next_offset) {
            if let Some(lineage) = &slot.lineage {
                self.committed.admit(lineage);
            }
            if slot.result.is_some() {
                self.finished -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lineage(offset: i64) -> Option<Lineage> {
        Some(Lineage { topic: "a".to_owned(), partition: 0, offset, index: 0, timestamp: 1 })
    }

    #[test]
    fn only_the_finished_prefix_commits() {
        let mut progress = Progress::new(Guard::default());
        for offset in [3, 4, 6] {
            assert!(progress.admit(offset, lineage(offset)));
        }
        progress.complete(4, "four");
        assert!(progress.prefix(10).is_none());
        progress.complete(3, "three");
        let prefix = progress.prefix(10).unwrap();
        assert_eq!((prefix.next_offset, prefix.results), (5, vec![&"three", &"four"]));
        assert_eq!(progress.prefix(1).unwrap().next_offset, 4);
        progress.committed(5);
        assert_eq!((progress.len(), progress.pending(), progress.first_result()), (1, 1, None));
        progress.complete(6, "six");
        progress.complete(3, "late and inert");
        assert_eq!(progress.ready(), 1);
    }

    #[test]
    fn the_committed_guard_lags_behind_the_admitted_one() {
        let mut progress = Progress::new(Guard::default());
        progress.admit(0, lineage(0));
        progress.admit(1, lineage(1));
        assert!(!progress.admit(2, lineage(1)), "a duplicate");
        progress.complete(0, ());
        let text = progress.prefix(10).unwrap().guard.to_metadata(4096);
        assert_eq!(text, "g1 a:0=0.0@1");
    }

    proptest! {
        /// In whatever order results arrive and commits happen, each record commits once, in order.
        #[test]
        fn every_record_commits_once_in_order(
            order in Just((0..60i64).collect::<Vec<_>>()).prop_shuffle(),
            commits in prop::collection::vec((0..60usize, 1..20usize), 1..30),
        ) {
            let mut progress = Progress::new(Guard::default());
            for offset in 0..60 {
                progress.admit(offset, None);
            }
            let mut out = Vec::new();
            let mut take = |progress: &mut Progress<i64>, limit| {
                if let Some(prefix) = progress.prefix(limit) {
                    out.extend(prefix.results.iter().map(|result| **result));
                    let next = prefix.next_offset;
                    progress.committed(next);
                }
            };
            for (step, offset) in order.into_iter().enumerate() {
                progress.complete(offset, offset);
                for (_, limit) in commits.iter().filter(|(at, _)| *at == step) {
                    take(&mut progress, *limit);
                }
            }
            take(&mut progress, usize::MAX);
            prop_assert_eq!(out, (0..60).collect::<Vec<_>>());
            prop_assert_eq!(progress.len(), 0);
        }
    }
}
