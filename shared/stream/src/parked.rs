//! Which keys are parked. Shared by the workers; kept in `<stage>.parked`, which a new owner reads. Pure.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::broker::Key;

/// A record's key; records without one are in the order of their partition, so they are parked together.
type RecordKey = Option<Vec<u8>>;

/// How many records of each key are parked.
type Keys = HashMap<RecordKey, u64>;

#[derive(Debug, Default)]
pub(crate) struct Parked {
    /// Whether any key of an owned partition is parked: most of the time none is, and nobody needs to look.
    any: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By partition, as the topic tells.
    stored: HashMap<Key, Keys>,
    /// By partition and epoch, with what is decided and not committed yet.
    owned: HashMap<(Key, u64), Keys>,
}

impl Parked {
    /// The topic says that a record of this key was parked, or that the key was released.
    pub(crate) fn stored(&self, partition: Key, key: RecordKey, parked: bool) {
        let mut inner = self.lock();
        let keys = inner.stored.entry(partition).or_default();
        if parked {
            *keys.entry(key).or_default() += 1;
        } else {
            keys.remove(&key);
        }
    }

    /// The partition is this instance's from here on.
    pub(crate) fn own(&self, partition: &Key, epoch: u64) {
        let mut inner = self.lock();
        let keys = inner.stored.get(partition).cloned().unwrap_or_default();
        inner.owned.insert((partition.clone(), epoch), keys);
        self.refresh(&inner);
    }

    /// The partitions that are still owned; what was decided for others is somebody else's to decide again.
    pub(crate) fn retain(&self, owns: impl Fn(&Key) -> bool) {
        let mut inner = self.lock();
        inner.owned.retain(|(partition, _), _| owns(partition));
        self.refresh(&inner);
    }

    /// How many records of this key are parked; none when it is not.
    pub(crate) fn count(&self, partition: &Key, epoch: u64, key: &RecordKey) -> Option<u64> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.lock().owned.get(&(partition.clone(), epoch))?.get(key).copied()
    }

    /// A record of this key is to be parked.
    pub(crate) fn park(&self, partition: &Key, epoch: u64, key: &RecordKey) {
        let mut inner = self.lock();
        if let Some(keys) = inner.owned.get_mut(&(partition.clone(), epoch)) {
            *keys.entry(key.clone()).or_default() += 1;
        }
        self.refresh(&inner);
    }

    /// The key flows again.
    pub(crate) fn release(&self, partition: &Key, epoch: u64, key: &RecordKey) {
        let mut inner = self.lock();
        if let Some(keys) = inner.owned.get_mut(&(partition.clone(), epoch)) {
            keys.remove(key);
        }
        self.refresh(&inner);
    }

    fn refresh(&self, inner: &Inner) {
        self.any.store(inner.owned.values().any(|keys| !keys.is_empty()), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_owner_knows_what_is_stored_and_forgets_what_was_not_committed() {
        let parked = Parked::default();
        let partition: Key = ("t".into(), 0);
        let (a, b) = (Some(vec![1]), None);
        parked.stored(partition.clone(), a.clone(), true);
        parked.stored(partition.clone(), a.clone(), true);
        assert_eq!(parked.count(&partition, 1, &a), None, "not owned");
        parked.own(&partition, 1);
        parked.park(&partition, 1, &b);
        assert_eq!((parked.count(&partition, 1, &a), parked.count(&partition, 1, &b)), (Some(2), Some(1)));
        assert_eq!(parked.count(&partition, 2, &a), None, "another epoch");
        parked.retain(|_| false);
        parked.stored(partition.clone(), a.clone(), false);
        parked.own(&partition, 2);
        assert_eq!((parked.count(&partition, 2, &a), parked.count(&partition, 2, &b)), (None, None));
        parked.park(&partition, 1, &a);
        assert_eq!(parked.count(&partition, 2, &a), None, "a late worker is inert");
        parked.park(&partition, 2, &a);
        parked.release(&partition, 2, &a);
        assert_eq!(parked.count(&partition, 2, &a), None);
    }
}
