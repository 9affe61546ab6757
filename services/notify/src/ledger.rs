//! Which notifications went out: the compacted topic `notification.ledger` as a map.
//!
//! The service reads the topic before it sends, and writes each notification to it as soon as the mail server took it,
//! outside the transaction that commits the input. What remains is one duplicate, with the same Message-ID, when the
//! process dies between the mail server's 250 and that write.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::NotificationId;

/// What became of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// The mail server took it.
    Sent,
    /// The mail server refused it for good; it is a dead letter.
    Rejected,
}

impl State {
    /// The state as it stands in the topic.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Rejected => "rejected",
        }
    }

    /// The state written in the topic, if it is known.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "sent" => Some(Self::Sent),
            "rejected" => Some(Self::Rejected),
            _ => None,
        }
    }
}

/// A notification's last state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What became of it.
    pub state: State,
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
}

/// The map, bounded by the retention window and by a number of entries.
///
/// An entry older than the window cannot be met again: the input topics keep their records for less. Set the window
/// to at least their retention.
#[derive(Debug, Clone)]
pub struct Ledger {
    entries: HashMap<NotificationId, Entry>,
    by_age: BTreeSet<(i64, NotificationId)>,
    retention_ms: i64,
    max_entries: usize,
    evicted: u64,
}

impl Ledger {
    /// Entries kept at most unless told otherwise; about 150 bytes each.
    pub const MAX_ENTRIES: usize = 2_000_000;

    /// An empty ledger that forgets what is older than `retention`.
    #[must_use]
    pub fn new(retention: Duration) -> Self {
        Self {
            entries: HashMap::new(),
            by_age: BTreeSet::new(),
            retention_ms: i64::try_from(retention.as_millis()).unwrap_or(i64::MAX),
            max_entries: Self::MAX_ENTRIES,
            evicted: 0,
        }
    }

    /// Keeps at most `max` entries; beyond it the oldest go first and are counted in [`Ledger::evicted`].
    #[must_use]
    pub fn with_max_entries(mut self, max: usize) -> Self {
        self.max_entries = max.max(1);
        self
    }

    /// Takes over a record of the topic, or of a notification just sent. A later record of an id replaces the
    /// earlier one, as compaction does.
    pub fn apply(&mut self, id: NotificationId, entry: Entry) {
        if let Some(before) = self.entries.insert(id, entry) {
            self.by_age.remove(&(before.at_ms, id));
        }
        self.by_age.insert((entry.at_ms, id));
        while self.entries.len() > self.max_entries {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            self.entries.remove(&oldest);
            self.evicted += 1;
        }
    }

    /// Takes over a tombstone of the topic.
    pub fn forget(&mut self, id: NotificationId) {
        if let Some(before) = self.entries.remove(&id) {
            self.by_age.remove(&(before.at_ms, id));
        }
    }

    /// Whether this notification was accepted by the mail server before.
    #[must_use]
    pub fn sent(&self, id: NotificationId) -> bool {
        self.get(id).is_some_and(|entry| entry.state == State::Sent)
    }

    /// The last state of a notification.
    #[must_use]
    pub fn get(&self, id: NotificationId) -> Option<Entry> {
        self.entries.get(&id).copied()
    }

    /// Forgets what is older than the window at `now_ms` (milliseconds since the epoch), at most `limit` entries a
    /// call, and returns their ids: the caller writes a tombstone for each.
    pub fn expire(&mut self, now_ms: i64, limit: usize) -> Vec<NotificationId> {
        let before = now_ms.saturating_sub(self.retention_ms);
        let mut gone = Vec::new();
        while gone.len() < limit {
            match self.by_age.first() {
                Some((at, id)) if *at < before => {
                    let (at, id) = (*at, *id);
                    self.by_age.remove(&(at, id));
                    self.entries.remove(&id);
                    gone.push(id);
                }
                _ => break,
            }
        }
        gone
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many entries inside the window went because of the limit on their number. Anything but 0 means that the
    /// limit is too low for the traffic: a replay of what was evicted would be sent again.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: i64) -> NotificationId {
        NotificationId::at("t", 0, n, "x")
    }

    fn sent(at_ms: i64) -> Entry {
        Entry { state: State::Sent, at_ms }
    }

    #[test]
    fn remembers_within_the_window() {
        let mut ledger = Ledger::new(Duration::from_millis(100));
        ledger.apply(id(1), sent(1_000));
        ledger.apply(id(2), sent(1_050));
        ledger.apply(id(3), Entry { state: State::Rejected, at_ms: 1_060 });
        assert!(ledger.sent(id(1)) && ledger.sent(id(2)) && !ledger.sent(id(3)) && !ledger.sent(id(4)));
        assert_eq!(ledger.expire(1_100, 10), []);
        assert_eq!(ledger.expire(1_101, 10), [id(1)]);
        assert!(!ledger.sent(id(1)));
        ledger.apply(id(2), sent(2_000));
        assert_eq!(ledger.expire(1_500, 10), [id(3)]);
        ledger.forget(id(2));
        ledger.forget(id(2));
        assert!(ledger.is_empty());
    }

    #[test]
    fn number_of_entries_is_bounded_and_evictions_are_counted() {
        let mut ledger = Ledger::new(Duration::MAX).with_max_entries(3);
        for n in 0..10 {
            ledger.apply(id(n), sent(n));
        }
        assert_eq!((ledger.len(), ledger.evicted()), (3, 7));
        assert!(ledger.sent(id(9)) && ledger.sent(id(7)) && !ledger.sent(id(6)));
        assert_eq!(ledger.expire(i64::MAX, 2), []);
    }

    #[test]
    fn states_round_trip() {
        for state in [State::Sent, State::Rejected] {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("later"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against the plain map that compaction keeps.
        #[test]
        fn agrees_with_a_map(operations in prop::collection::vec((0i64..8, 0i64..100, 0u8..4), 0..60)) {
            let mut ledger = Ledger::new(Duration::from_millis(50));
            let mut model: HashMap<NotificationId, Entry> = HashMap::new();
            for (n, at, what) in operations {
                match what {
                    0 => { ledger.forget(id(n)); model.remove(&id(n)); }
                    1 => {
                        let gone: BTreeSet<_> = ledger.expire(at, usize::MAX).into_iter().collect();
                        let expected: BTreeSet<_> =
                            model.iter().filter(|(_, e)| e.at_ms < at - 50).map(|(id, _)| *id).collect();
                        model.retain(|id, _| !expected.contains(id));
                        prop_assert_eq!(gone, expected);
                    }
                    _ => { ledger.apply(id(n), sent(at)); model.insert(id(n), sent(at)); }
                }
                prop_assert_eq!(ledger.len(), model.len());
                prop_assert_eq!(ledger.by_age.len(), model.len());
            }
            for n in 0..8 {
                prop_assert_eq!(ledger.get(id(n)), model.get(&id(n)).copied());
            }
        }
    }
}
