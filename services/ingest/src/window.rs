//! Which messages were seen lately. Pure: time and position come in.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// Identity of a message: its sender, its control id and its bytes, as one digest. A control id that a sender uses
/// again for another message (some do, after a restart) is no retransmission, and must not be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 16]);

impl Fingerprint {
    pub(crate) fn of(facility: &str, control_id: &str, bytes: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for part in [facility.as_bytes(), control_id.as_bytes(), bytes] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash.finalize()[..16]);
        Self(digest)
    }

    /// Lower-case hex, for a header.
    pub(crate) fn to_hex(self) -> String {
        let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let mut digest = [0; 16];
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        for (at, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Self(digest))
    }
}

/// Where a message was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// A [`Position`] as it is kept: half its size, and there are hundreds of thousands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// Index into the window's topics.
    topic: u32,
    partition: i32,
    offset: i64,
}

/// The messages of the last `span_ms`, at most `capacity` of them.
#[derive(Debug)]
pub(crate) struct Window {
    span_ms: i64,
    capacity: usize,
    /// Every topic that was read so far; a stage reads few.
    topics: Vec<Arc<str>>,
    seen: HashMap<Fingerprint, Place>,
    order: VecDeque<(i64, Fingerprint)>,
}

impl Window {
    pub(crate) fn new(span_ms: i64, capacity: usize) -> Self {
        Self { span_ms, capacity, topics: Vec::new(), seen: HashMap::new(), order: VecDeque::new() }
    }

    /// Notes a message; false when the same one was read at another position before.
    ///
    /// The same position again is the same record, read again after a rebalance or a failed transaction.
    pub(crate) fn admit(&mut self, fingerprint: Fingerprint, position: Position, now_ms: i64) -> bool {
        let place = self.place(position);
        while self.order.len() >= self.capacity
            || self.order.front().is_some_and(|(at, _)| *at < now_ms.saturating_sub(self.span_ms))
        {
            let Some((_, oldest)) = self.order.pop_front() else { break };
            self.seen.remove(&oldest);
        }
        match self.seen.get(&fingerprint) {
            Some(first) => *first == place,
            None => {
                self.seen.insert(fingerprint, place);
                self.order.push_back((now_ms, fingerprint));
                true
            }
        }
    }

    fn place(&mut self, Position { topic, partition, offset }: Position) -> Place {
        let known = self.topics.iter().position(|known| *known == topic).unwrap_or_else(|| {
            self.topics.push(topic);
            self.topics.len() - 1
        });
        Place { topic: u32::try_from(known).unwrap_or(u32::MAX), partition, offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64) -> Position {
        Position { topic: Arc::from("hl7.raw"), partition: 0, offset }
    }

    #[test]
    fn a_retransmission_is_recognised_and_a_reread_is_not_one() {
        let mut window = Window::new(1000, 10);
        let message = Fingerprint::of("GHH", "1", b"MSH|...");
        assert!(window.admit(message, at(1), 0));
        assert!(!window.admit(message, at(2), 500));
        assert!(window.admit(message, at(1), 600), "the record itself, read again");
        assert!(
            window.admit(Fingerprint::of("GHH", "1", b"MSH|other"), at(3), 700),
            "a control id used again"
        );
        let elsewhere = Position { topic: Arc::from("hl7.feed.ward7"), ..at(1) };
        assert!(!window.admit(message, elsewhere, 800), "the same offset of another topic is another record");
        assert!(window.admit(message, at(4), 1001 + 1), "the window has passed");
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut window = Window::new(i64::MAX, 2);
        let message = |n: u8| Fingerprint::of("GHH", "1", &[n]);
        for n in 0..3 {
            assert!(window.admit(message(n), at(i64::from(n)), 0));
        }
        assert!(!window.admit(message(2), at(9), 0));
        assert!(window.admit(message(0), at(10), 0));
        assert!(window.seen.len() <= 2 && window.order.len() <= 2);
    }

    #[test]
    fn a_fingerprint_keeps_its_parts_apart_and_round_trips() {
        assert_ne!(Fingerprint::of("a", "bc", b""), Fingerprint::of("ab", "c", b""));
        let fingerprint = Fingerprint::of("a", "b", b"c");
        assert_eq!(Fingerprint::from_hex(&fingerprint.to_hex()), Some(fingerprint));
        for text in ["", "zz", "é0000000000000000000000000000000", &"0".repeat(33)] {
            assert_eq!(Fingerprint::from_hex(text), None);
        }
    }
}
