//! Data keys that are held for a while, so that a patient's second message needs no call.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use deid::{DataKey, Error, KeyEncryption};

/// A keeper behind a bounded cache. What it forgets it wipes (`DataKey`).
pub(crate) struct Cached<K> {
    keeper: K,
    most: usize,
    age: Duration,
    clock: fn() -> Instant,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// By pseudonym: the key that seals.
    sealing: HashMap<String, (Instant, DataKey, Vec<u8>)>,
}

impl<K: KeyEncryption> Cached<K> {
    /// Holds at most `most` keys, none longer than `age`.
    pub(crate) fn new(keeper: K, most: usize, age: Duration) -> Self {
        Self { keeper, most, age, clock: Instant::now, held: Mutex::default() }
    }
}

impl Held {
    fn make_room(&mut self, most: usize, age: Duration, now: Instant) {
        if self.sealing.len() < most {
            return;
        }
        self.sealing.retain(|_, (since, ..)| now.duration_since(*since) < age);
        // Still full of young ones: the oldest goes.
        while self.sealing.len() >= most {
            let oldest = self.sealing.iter().min_by_key(|(_, (since, ..))| *since);
            let Some(oldest) = oldest.map(|(context, _)| context.clone()) else { return };
            self.sealing.remove(&oldest);
        }
    }
}

impl<K: KeyEncryption> KeyEncryption for Cached<K> {
    fn data_key(&self, context: &str) -> Result<(DataKey, Vec<u8>), Error> {
        let now = (self.clock)();
        {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let young = held.sealing.get(context).filter(|(since, ..)| now.duration_since(*since) < self.age);
            if let Some((_, key, wrapped)) = young {
                return Ok((key.clone(), wrapped.clone()));
            }
        }
        // Not under the lock: other patients' keys need not wait for this call.
        let (key, wrapped) = self.keeper.data_key(context)?;
        if self.most > 0 {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.make_room(self.most, self.age, now);
            held.sealing.insert(context.to_owned(), (now, key.clone(), wrapped.clone()));
        }
        Ok((key, wrapped))
    }

    /// Opening is rare, and asks each time: whoever lost the right to open must not go on.
    fn unwrap(&self, context: &str, wrapped: &[u8]) -> Result<DataKey, Error> {
        self.keeper.unwrap(context, wrapped)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

    use super::*;

    /// Gives a new key at each call, and none while it is down.
    struct Keeper(AtomicU8);

    impl KeyEncryption for Keeper {
        fn data_key(&self, context: &str) -> Result<(DataKey, Vec<u8>), Error> {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            if context == "down" {
                return Err(Error::KeyService { detail: "down".into() });
            }
            Ok((DataKey::from_bytes([number; 32]), vec![number]))
        }

        fn unwrap(&self, _: &str, wrapped: &[u8]) -> Result<DataKey, Error> {
            Ok(DataKey::from_bytes([wrapped[0]; 32]))
        }
    }

    static SECONDS: AtomicU64 = AtomicU64::new(0);

    fn clock() -> Instant {
        static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        *START + Duration::from_secs(SECONDS.load(Ordering::Relaxed))
    }

    #[test]
    fn holds_so_many_keys_for_so_long() {
        let cache = Cached { clock, ..Cached::new(Keeper(AtomicU8::new(0)), 2, Duration::from_secs(60)) };
        let number = |context: &str| cache.data_key(context).unwrap().1[0];
        assert_eq!((number("a"), number("a")), (0, 0));
        SECONDS.store(1, Ordering::Relaxed);
        assert_eq!((number("b"), number("a")), (1, 0));
        SECONDS.store(2, Ordering::Relaxed);
        // The third takes the place of the oldest.
        assert_eq!((number("c"), number("b"), number("a")), (2, 1, 3));
        assert_eq!(cache.held.lock().unwrap().sealing.len(), 2);
        SECONDS.store(120, Ordering::Relaxed);
        assert_eq!(number("a"), 4, "too old");
        assert_eq!(cache.data_key("down").unwrap_err().code(), "DEID-302");
    }

    #[test]
    fn a_cache_of_none_asks_each_time() {
        let cache = Cached::new(Keeper(AtomicU8::new(0)), 0, Duration::from_secs(60));
        assert_ne!(cache.data_key("a").unwrap().1, cache.data_key("a").unwrap().1);
    }
}
