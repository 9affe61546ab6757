//! What the classifier said of short passages: names of tests, units, headings and stock phrases come with every message.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use deid::{ModelSpan, SpanModel, SpanModelError};

/// Bytes of the longest passage that is remembered: prose hardly repeats.
const LONGEST: usize = 200;
/// Passages of a generation. Two are held: some 10 MB at most.
const GENERATION: usize = 50_000;

/// A model in front of which answers are remembered. No passage is held, only hashes of 128 bits under keys of this process.
pub(super) struct Remembered<M> {
    model: M,
    keys: [RandomState; 2],
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    young: HashMap<[u64; 2], Vec<ModelSpan>>,
    old: HashMap<[u64; 2], Vec<ModelSpan>>,
}

impl Held {
    fn get(&mut self, key: [u64; 2]) -> Option<Vec<ModelSpan>> {
        if let Some(spans) = self.young.get(&key) {
            return Some(spans.clone());
        }
        let spans = self.old.remove(&key)?;
        self.put(key, spans.clone());
        Some(spans)
    }

    /// What was not asked for during a whole generation is forgotten.
    fn put(&mut self, key: [u64; 2], spans: Vec<ModelSpan>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, spans);
    }
}

impl<M> Remembered<M> {
    pub(super) fn new(model: M) -> Self {
        Self { model, keys: [RandomState::new(), RandomState::new()], held: Mutex::default() }
    }

    fn key(&self, passage: &str) -> Option<[u64; 2]> {
        (passage.len() <= LONGEST).then(|| self.keys.each_ref().map(|key| key.hash_one(passage)))
    }
}

impl<M: SpanModel> SpanModel for Remembered<M> {
    fn spans(&self, passages: &[&str]) -> Result<Vec<Vec<ModelSpan>>, SpanModelError> {
        let keys: Vec<_> = passages.iter().map(|passage| self.key(passage)).collect();
        let mut answers: Vec<Option<Vec<ModelSpan>>> = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            keys.iter().map(|key| held.get((*key)?)).collect()
        };
        let new: Vec<&str> = passages
            .iter()
            .zip(&answers)
            .filter(|(_, known)| known.is_none())
            .map(|(text, _)| *text)
            .collect();
        if !new.is_empty() {
            let mut found = self.model.spans(&new)?.into_iter();
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            for (answer, key) in answers.iter_mut().zip(&keys).filter(|(answer, _)| answer.is_none()) {
                let spans = found.next().ok_or(SpanModelError)?;
                if let Some(key) = key {
                    held.put(*key, spans.clone());
                }
                *answer = Some(spans);
            }
        }
        Ok(answers.into_iter().map(Option::unwrap_or_default).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use deid::Kind;

    use super::*;

    /// Takes the first byte of each passage for a name, and counts what it reads.
    #[derive(Default)]
    struct First(AtomicUsize);

    impl SpanModel for First {
        fn spans(&self, passages: &[&str]) -> Result<Vec<Vec<ModelSpan>>, SpanModelError> {
            self.0.fetch_add(passages.len(), Ordering::Relaxed);
            if passages.contains(&"broken") {
                return Err(SpanModelError);
            }
            let score = |passage: &&str| f32::from(*passage.as_bytes().first().unwrap_or(&0));
            let span = |passage: &&str| ModelSpan { range: 0..1, kind: Kind::Name, score: score(passage) };
            Ok(passages.iter().map(|passage| vec![span(passage)]).collect())
        }
    }

    #[test]
    fn short_passages_are_read_once_and_answered_in_their_order() {
        let model = Remembered::new(First::default());
        let long = "z".repeat(LONGEST + 1);
        let ask = |passages: &[&str]| {
            let spans = model.spans(passages).unwrap();
            let scores: Vec<f32> = spans.iter().map(|spans| spans[0].score).collect();
            (scores, model.model.0.load(Ordering::Relaxed))
        };
        let (a, b, z) = (f32::from(b'a'), f32::from(b'b'), f32::from(b'z'));
        assert_eq!(ask(&["a", &long]), (vec![a, z], 2));
        assert_eq!(ask(&["b", "a", &long, "b"]), (vec![b, a, z, b], 5), "b twice, since it was new");
        assert_eq!(ask(&["a", "b"]), (vec![a, b], 5));
        assert_eq!(ask(&[]), (vec![], 5));
        assert!(model.spans(&["a", "broken"]).is_err());
        assert!(model.spans(&["broken"]).is_err(), "a failure is not remembered");
    }

    #[test]
    fn what_is_not_asked_for_is_forgotten_and_what_is_stays() {
        let mut held = Held::default();
        held.put([0, 0], Vec::new());
        held.put([0, 1], Vec::new());
        for round in 1..=3u64 {
            for number in 0..GENERATION as u64 {
                held.put([round, number], Vec::new());
            }
            assert!(held.get([0, 0]).is_some(), "round {round}");
        }
        assert!(held.get([0, 1]).is_none());
        assert!(held.young.len() + held.old.len() <= 2 * GENERATION);
    }
}
