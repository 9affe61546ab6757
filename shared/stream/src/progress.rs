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
    /// Slots of the finished prefix.
    ready: usize,
    /// Slots with a result, inside the prefix and beyond it.
    finished: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Slot<R> {
    offset: i64,
    bytes: usize,
    lineage: Option<Lineage>,
    result: Option<R>,
}

impl<R> Progress<R> {
    /// A partition whose committed offset carried this guard.
    pub(crate) fn new(guard: Guard) -> Self {
        Self {
            slots: VecDeque::new(),
            admitted: guard.clone(),
            committed: guard,
            ready: 0,
            finished: 0,
            bytes: 0,
        }
    }

    /// Takes a record in; false when its lineage was seen before. A duplicate takes a slot too, so that its offset
    /// commits in its turn: give it its result at once.
    pub(crate) fn admit(&mut self, offset: i64, bytes: usize, lineage: Option<Lineage>) -> bool {
        debug_assert!(self.slots.back().is_none_or(|slot| slot.offset < offset), "offsets rise");
        let new = lineage.as_ref().is_none_or(|lineage| self.admitted.admit(lineage));
        self.bytes += bytes;
        self.slots.push_back(Slot { offset, bytes, lineage, result: None });
        new
    }

    /// Notes a result, which takes `bytes` beside the record's own. One for an offset that is not here (any more) is
    /// inert.
    pub(crate) fn complete(&mut self, offset: i64, result: R, bytes: usize) {
        if let Ok(at) = self.slots.binary_search_by_key(&offset, |slot| slot.offset)
            && self.slots[at].result.replace(result).is_none()
        {
            self.slots[at].bytes += bytes;
            self.bytes += bytes;
            self.finished += 1;
            if at == self.ready {
                self.ready += self.slots.iter().skip(at).take_while(|slot| slot.result.is_some()).count();
            }
        }
    }

    /// Records admitted and not committed.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of those records and of their results.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Records still being processed.
    pub(crate) fn pending(&self) -> usize {
        self.slots.len() - self.finished
    }

    /// How many records the finished prefix has.
    pub(crate) fn ready(&self) -> usize {
        self.ready
    }

    /// The offset of the first record that is not committed.
    pub(crate) fn first_offset(&self) -> Option<i64> {
        self.slots.front().map(|slot| slot.offset)
    }

    /// The finished prefix, in the order of its offsets.
    pub(crate) fn prefix(&self) -> impl Iterator<Item = &R> {
        self.slots.iter().take(self.ready).filter_map(|slot| slot.result.as_ref())
    }

    /// The offset to commit for the finished prefix, one past its last record, and the guard as it is then.
    pub(crate) fn end_of_prefix(&self) -> Option<(i64, Guard)> {
        let last = self.slots.get(self.ready.checked_sub(1)?)?;
        let mut guard = self.committed.clone();
        for lineage in self.slots.iter().take(self.ready).filter_map(|slot| slot.lineage.as_ref()) {
            guard.admit(lineage);
        }
        Some((last.offset + 1, guard))
    }

    /// The guard as it is committed.
    pub(crate) fn guard(&self) -> &Guard {
        &self.committed
    }

    /// Lets go of everything below `next_offset`, which is committed, and gives its results in their order.
    pub(crate) fn committed(&mut self, next_offset: i64) -> Vec<R> {
        let mut results = Vec::new();
        while let Some(slot) = self.slots.pop_front_if(|slot| slot.offset < next_offset) {
            if let Some(lineage) = &slot.lineage {
                self.committed.admit(lineage);
            }
            self.bytes -= slot.bytes;
            if let Some(result) = slot.result {
                self.finished -= 1;
                self.ready -= 1;
                results.push(result);
            }
        }
        results
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
            assert!(progress.admit(offset, 10, lineage(offset)));
        }
        progress.complete(4, "four", 0);
        assert!(progress.end_of_prefix().is_none());
        progress.complete(3, "three", 5);
        assert_eq!(progress.end_of_prefix().unwrap().0, 5);
        assert_eq!(progress.prefix().collect::<Vec<_>>(), [&"three", &"four"]);
        assert_eq!((progress.len(), progress.pending(), progress.bytes()), (3, 1, 35));
        assert_eq!(progress.committed(5), ["three", "four"]);
        assert_eq!((progress.len(), progress.pending(), progress.ready(), progress.bytes()), (1, 1, 0, 10));
        progress.complete(6, "six", 0);
        progress.complete(3, "late and inert", 7);
        assert_eq!((progress.ready(), progress.first_offset()), (1, Some(6)));
    }

    #[test]
    fn the_committed_guard_lags_behind_the_admitted_one() {
        let mut progress = Progress::new(Guard::default());
        progress.admit(0, 1, lineage(0));
        progress.admit(1, 1, lineage(1));
        assert!(!progress.admit(2, 1, lineage(1)), "a duplicate");
        progress.complete(0, (), 0);
        assert_eq!(progress.end_of_prefix().unwrap().1.to_metadata(0, 4096), "g1 a:0=0.0@1");
        assert_eq!(progress.guard(), &Guard::default());
    }

    proptest! {
        /// In whatever order results arrive and commits happen, each record commits once, in order.
        #[test]
        fn every_record_commits_once_in_order(
            order in Just((0..60i64).collect::<Vec<_>>()).prop_shuffle(),
            commits in prop::collection::vec(0..60usize, 1..30),
        ) {
            let mut progress = Progress::new(Guard::default());
            for offset in 0..60 {
                progress.admit(offset, 1, None);
            }
            let mut out = Vec::new();
            let mut take = |progress: &mut Progress<i64>| {
                if let Some((next, _)) = progress.end_of_prefix() {
                    let borrowed: Vec<i64> = progress.prefix().copied().collect();
                    let taken = progress.committed(next);
                    assert_eq!(borrowed, taken);
                    out.extend(taken);
                }
            };
            for (step, offset) in order.into_iter().enumerate() {
                progress.complete(offset, offset, 3);
                if commits.contains(&step) {
                    take(&mut progress);
                }
            }
            take(&mut progress);
            prop_assert_eq!(out, (0..60).collect::<Vec<_>>());
            prop_assert_eq!((progress.len(), progress.bytes(), progress.ready()), (0, 0, 0));
        }
    }
}
