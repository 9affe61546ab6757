//! A BERT token classifier: text in, labelled spans out.

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tokenizers::Tokenizer;

use super::bert::{Bert, Processor, Scratch};
use super::folder::{Folder, Labels};
use super::matmul::Linear;
use super::simd::Cpu;
use super::{BATCH_TOKENS, EncoderOptions, MAX_TOKENS};
use crate::Error;

/// Tokens that two windows of a long text share: each gives the half that is nearer to its own middle.
const OVERLAP: usize = 32;
/// Most labels that a `config.json` may ask for.
const MAX_LABELS: usize = 1024;

/// A BERT encoder with a linear layer that gives each token a label of the IOB2 or IOBES scheme (`B-CITY`, `I-CITY`, `O`).
///
/// `Send + Sync`; one instance serves every thread.
pub struct TokenClassifier {
    model: Bert,
    cpu: Cpu,
    head: Linear,
    outputs: Vec<Output>,
    entities: Vec<String>,
    tokenizer: Tokenizer,
    /// Tokens that a text stands between, such as `[CLS]` and `[SEP]`.
    before: Vec<u32>,
    after: Vec<u32>,
    /// Tokens of a text that fit between them.
    window: usize,
    /// Memory of earlier calls, one piece for each that ran at the same time.
    scratches: Mutex<Vec<Scratch>>,
}

/// What an output of the linear layer stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Outside,
    /// An entity's first token (`B-`, `S-`, `U-`), or one behind it (`I-`, `E-`, `L-`, or no prefix).
    Entity {
        entity: usize,
        begins: bool,
    },
}

/// A stretch of text that the classifier gives a label.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledSpan {
    /// Byte offsets into the text, at the ends of words.
    pub range: Range<usize>,
    /// Index into [`TokenClassifier::entities`].
    pub entity: usize,
    /// Probability that it is an entity of whatever kind: the mean over its words.
    pub score: f32,
}

/// The outputs of the linear layer for a token.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogits {
    /// Byte offsets into the text.
    pub range: Range<usize>,
    /// A number for each label of `id2label`.
    pub logits: Vec<f32>,
}

/// What is made of a token.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Call {
    entity: usize,
    begins: bool,
    /// Probability that the token is not outside of all entities.
    score: f32,
}

/// Part of a text's tokens: those that the model sees, and those among them whose calls are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    seen: Range<usize>,
    taken: Range<usize>,
}

impl std::fmt::Debug for TokenClassifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenClassifier").field("entities", &self.entities).finish_non_exhaustive()
    }
}

impl TokenClassifier {
    /// Loads `config.json` with `id2label`, `tokenizer.json`, and `model.safetensors` or, where there is none,
    /// `onnx/model_q4.onnx` from a folder.
    ///
    /// # Errors
    /// `MODEL-501` to `MODEL-504`, see [`Error`].
    pub fn load(folder: &Path, options: EncoderOptions) -> Result<Self, Error> {
        let folder = Folder::open(folder)?;
        let (outputs, entities) = outputs(&folder.labels)?;
        let model = folder.bert(options)?;
        let hidden = folder.config.hidden_size;
        let classifier = folder.variables.pp("classifier");
        let numbers = |tensor: candle_core::Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let weight = classifier.get((outputs.len(), hidden), "weight").and_then(numbers);
        let bias = classifier.get(outputs.len(), "bias").and_then(numbers);
        let cpu = Processor::best().cpu;
        let head = Linear::pack(cpu, &weight.map_err(Error::Weights)?, &bias.map_err(Error::Weights)?);
        let specials = folder
            .tokenizer
            .encode("", true)
            .map_err(|error| Error::Tokenizer { reason: error.to_string() })?;
        let [first, last] = *specials.get_ids() else {
            return Err(Error::Tokenizer {
                reason: "it puts no token before a text and one behind it".to_owned(),
            });
        };
        let window = MAX_TOKENS.min(folder.config.max_position_embeddings) - 2;
        if window < 2 * OVERLAP {
            return Err(Error::Config { reason: "max_position_embeddings must be at least 66".to_owned() });
        }
        Ok(Self {
            model,
            cpu,
            head,
            outputs,
            entities,
            tokenizer: folder.tokenizer,
            before: vec![first],
            after: vec![last],
            window,
            scratches: Mutex::default(),
        })
    }

    /// The kinds of entities, by their labels without prefix, in the order of `id2label`.
    #[must_use]
    pub fn entities(&self) -> &[String] {
        &self.entities
    }

    /// The entities of each text, in order, without overlap. A word is part of one when the probability that one of its
    /// tokens is outside of all entities is at most `1 - floor`; its kind is the likeliest.
    ///
    /// Texts of any length are read, in windows of up to 254 tokens that overlap; short ones share the products. A text's
    /// result does not depend on the others.
    ///
    /// # Errors
    /// `MODEL-503` when a text cannot be tokenized, `MODEL-505` when the encoder fails.
    pub fn spans<S: AsRef<str>>(&self, texts: &[S], floor: f32) -> Result<Vec<Vec<LabelledSpan>>, Error> {
        let mut calls: Vec<Vec<Call>> = Vec::with_capacity(texts.len());
        let encodings = self.logits_of(texts, |text, logits| {
            calls.resize_with(calls.len().max(text + 1), Vec::new);
            calls[text].extend(logits.chunks_exact(self.outputs.len()).map(|logits| self.call(logits)));
        })?;
        calls.resize_with(texts.len(), Vec::new);
        Ok(encodings
            .iter()
            .zip(&calls)
            .map(|(encoding, calls)| join(encoding.get_word_ids(), encoding.get_offsets(), calls, floor))
            .collect())
    }

    /// The outputs of the linear layer for each token of a text.
    ///
    /// # Errors
    /// Those of [`spans`](Self::spans).
    pub fn logits(&self, text: &str) -> Result<Vec<TokenLogits>, Error> {
        let mut rows: Vec<Vec<f32>> = Vec::new();
        let encodings = self.logits_of(&[text], |_, logits| {
            rows.extend(logits.chunks_exact(self.outputs.len()).map(<[f32]>::to_vec));
        })?;
        let offsets = encodings.iter().flat_map(|encoding| encoding.get_offsets());
        Ok(offsets
            .zip(rows)
            .map(|((start, end), logits)| TokenLogits { range: *start..*end, logits })
            .collect())
    }

    /// Runs the model over texts; `each` gets a text's index and the outputs for its next tokens, in order.
    fn logits_of<S: AsRef<str>>(
        &self,
        texts: &[S],
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<Vec<tokenizers::Encoding>, Error> {
        let mut encodings = Vec::with_capacity(texts.len());
        let mut windows = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let encoding = self
                .tokenizer
                .encode(text.as_ref(), false)
                .map_err(|error| Error::Tokenizer { reason: error.to_string() })?;
            windows.extend(self::windows(encoding.get_word_ids(), self.window).map(|window| (index, window)));
            encodings.push(encoding);
        }
        let scratches = || self.scratches.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = scratches().pop().unwrap_or_default();
        let mut run = || {
            let (mut tokens, mut lengths, mut logits) = (Vec::new(), Vec::new(), Vec::new());
            let mut rest = &windows[..];
            while !rest.is_empty() {
                tokens.clear();
                lengths.clear();
                let mut count = 0;
                for (index, window) in rest {
                    let from = tokens.len();
                    tokens.extend_from_slice(&self.before);
                    tokens.extend_from_slice(&encodings[*index].get_ids()[window.seen.clone()]);
                    tokens.extend_from_slice(&self.after);
                    lengths.push(tokens.len() - from);
                    count += 1;
                    if tokens.len() >= BATCH_TOKENS {
                        break;
                    }
                }
                let (batch, later) = rest.split_at(count);
                let hidden = self.model.forward(&tokens, &lengths, &mut scratch).map_err(Error::Inference)?;
                logits.resize(tokens.len() * self.outputs.len(), 0.0);
                self.head.apply(self.cpu, hidden, &mut logits);
                let mut first = 0;
                for ((index, window), length) in batch.iter().zip(&lengths) {
                    let taken = first + self.before.len() + window.taken.start - window.seen.start;
                    let outputs = self.outputs.len();
                    each(*index, &logits[taken * outputs..][..window.taken.len() * outputs]);
                    first += length;
                }
                rest = later;
            }
            Ok(())
        };
        let result = run();
        scratches().push(scratch);
        result.map(|()| encodings)
    }

    fn call(&self, logits: &[f32]) -> Call {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (mut all, mut outside) = (0.0, 0.0);
        // Of each entity: as its beginning, and within it.
        let mut shares = [[0.0f32; 2]; 64];
        let mut more = Vec::new();
        let shares = if self.entities.len() <= shares.len() {
            &mut shares[..self.entities.len()]
        } else {
            more.resize(self.entities.len(), [0.0; 2]);
            &mut more[..]
        };
        for (logit, output) in logits.iter().zip(&self.outputs) {
            let share = (logit - largest).exp();
            all += share;
            match *output {
                Output::Outside => outside += share,
                Output::Entity { entity, begins } => shares[entity][usize::from(!begins)] += share,
            }
        }
        let (entity, best) = shares
            .iter()
            .enumerate()
            .max_by(|(_, a), (_, b)| (a[0] + a[1]).total_cmp(&(b[0] + b[1])))
            .map_or((0, [0.0; 2]), |(entity, best)| (entity, *best));
        // What is not a number is taken for an entity: better too much than an identifier.
        let score = 1.0 - outside / all;
        Call { entity, begins: best[0] > best[1], score: if score.is_nan() { 1.0 } else { score } }
    }
}

/// Reads `id2label`: outputs in order, and the entities they speak of.
fn outputs(labels: &Labels) -> Result<(Vec<Output>, Vec<String>), Error> {
    let refuse = |reason: &str| Error::Config { reason: reason.to_owned() };
    let count = labels.id2label.len();
    if !(2..=MAX_LABELS).contains(&count) {
        return Err(refuse("id2label must have 2 to 1024 labels"));
    }
    let mut entities: Vec<String> = Vec::new();
    let mut outputs = Vec::with_capacity(count);
    for id in 0..count {
        let label = labels
            .id2label
            .get(&id.to_string())
            .ok_or_else(|| refuse("id2label must number its labels from 0 without a gap"))?;
        if label == "O" {
            outputs.push(Output::Outside);
            continue;
        }
        let (begins, name) = match label.split_once('-') {
            Some(("B" | "S" | "U", name)) => (true, name),
            Some(("I" | "E" | "L", name)) => (false, name),
            _ => (false, label.as_str()),
        };
        let entity = entities.iter().position(|entity| entity == name).unwrap_or_else(|| {
            entities.push(name.to_owned());
            entities.len() - 1
        });
        outputs.push(Output::Entity { entity, begins });
    }
    if !outputs.contains(&Output::Outside) {
        return Err(refuse("id2label must have a label \"O\""));
    }
    Ok((outputs, entities))
}

/// Windows over a text's tokens: each but the first begins with a word.
fn windows(words: &[Option<u32>], budget: usize) -> impl Iterator<Item = Window> {
    let count = words.len();
    let (mut start, mut taken) = (0, 0);
    std::iter::from_fn(move || {
        if taken >= count {
            return None;
        }
        let end = count.min(start + budget);
        let from = taken;
        let seen = start..end;
        if end == count {
            taken = count;
        } else {
            taken = end - OVERLAP / 2;
            start = end - OVERLAP;
            // A word of more tokens than that is cut.
            let begins = |at: usize| words[at] != words[at - 1];
            if let Some(at) = (start..=taken).find(|at| begins(*at)) {
                start = at;
            }
        }
        Some(Window { seen, taken: from..taken })
    })
}

/// Spans from what is made of each token: words first, then words of one entity.
fn join(words: &[Option<u32>], offsets: &[(usize, usize)], calls: &[Call], floor: f32) -> Vec<LabelledSpan> {
    let mut spans: Vec<(LabelledSpan, usize)> = Vec::new();
    // Whether the word before was part of the last span.
    let mut open = false;
    let mut at = 0;
    while at < calls.len() {
        let length = words[at..].iter().take_while(|word| **word == words[at]).count().max(1);
        let tokens = at..(at + length).min(calls.len());
        let (start, end) = (offsets[at].0, offsets[tokens.end - 1].1);
        let begins = calls[at].begins;
        let best = calls[tokens.clone()].iter().max_by(|a, b| a.score.total_cmp(&b.score));
        at = tokens.end;
        let Some(call) = best.filter(|call| call.score >= floor && start < end) else {
            open = false;
            continue;
        };
        match spans.last_mut().filter(|(span, _)| open && !begins && span.entity == call.entity) {
            Some((span, count)) => {
                span.range.end = end;
                span.score += call.score;
                *count += 1;
            }
            None => {
                spans.push((LabelledSpan { range: start..end, entity: call.entity, score: call.score }, 1))
            }
        }
        open = true;
    }
    spans.into_iter().map(|(span, count)| LabelledSpan { score: span.score / count as f32, ..span }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(names: &[&str]) -> Labels {
        let named = names.iter().enumerate().map(|(id, name)| (id.to_string(), (*name).to_owned()));
        Labels { id2label: named.collect() }
    }

    #[test]
    fn reads_every_common_way_of_naming_labels() {
        let Ok((found, entities)) =
            outputs(&labels(&["O", "B-ID", "I-ID", "S-CITY", "E-CITY", "L-ID", "AGE"]))
        else {
            panic!("good labels")
        };
        assert_eq!(entities, ["ID", "CITY", "AGE"]);
        let shown: Vec<(Option<usize>, bool)> = found
            .iter()
            .map(|output| match output {
                Output::Outside => (None, false),
                Output::Entity { entity, begins } => (Some(*entity), *begins),
            })
            .collect();
        assert_eq!(
            shown,
            [
                (None, false),
                (Some(0), true),
                (Some(0), false),
                (Some(1), true),
                (Some(1), false),
                (Some(0), false),
                (Some(2), false)
            ]
        );
        for bad in [&["O"][..], &["B-ID", "I-ID"]] {
            assert_eq!(outputs(&labels(bad)).err().map(|error| error.code()), Some("MODEL-502"), "{bad:?}");
        }
        let mut gap = labels(&["O", "B-ID", "I-ID"]);
        gap.id2label.remove("1");
        assert!(outputs(&gap).is_err());
    }

    #[test]
    fn joins_tokens_to_words_and_words_to_spans() {
        // "Ann Mc Gee , Ann Roe in Ulm": the second token of a word counts for all of it.
        let words: Vec<Option<u32>> = [0, 1, 1, 2, 3, 4, 5, 6].into_iter().map(Some).collect();
        let offsets = [(0, 3), (4, 6), (6, 9), (9, 10), (11, 14), (15, 18), (19, 21), (22, 25)];
        let call = |entity, begins, score| Call { entity, begins, score };
        let calls = [
            call(0, true, 0.9),
            call(0, false, 0.2),
            call(0, false, 0.7),
            call(0, false, 0.1),
            call(0, false, 0.8),
            call(0, true, 0.6),
            call(0, false, 0.4),
            call(1, true, 0.5),
        ];
        let found: Vec<(Range<usize>, usize)> =
            join(&words, &offsets, &calls, 0.5).into_iter().map(|span| (span.range, span.entity)).collect();
        assert_eq!(found, [(0..9, 0), (11..14, 0), (15..18, 0), (22..25, 1)]);
        assert!((join(&words, &offsets, &calls, 0.5)[0].score - 0.8).abs() < 1e-6);
        assert!(join(&words, &offsets, &calls, 0.95).is_empty());
    }

    proptest! {
        #[test]
        fn windows_take_each_token_once_and_see_it_in_context(
            lengths in prop::collection::vec(1usize..9, 0..200),
            budget in 2 * OVERLAP..300,
        ) {
            let words: Vec<Option<u32>> =
                (0u32..).zip(&lengths).flat_map(|(word, length)| vec![Some(word); *length]).collect();
            let found: Vec<Window> = windows(&words, budget).collect();
            let mut at = 0;
            for window in &found {
                prop_assert_eq!(window.taken.start, at);
                prop_assert!(window.taken.end > at && window.seen.len() <= budget);
                prop_assert!(window.seen.start <= at && window.taken.end <= window.seen.end);
                prop_assert!(window.seen.start == 0 || words[window.seen.start] != words[window.seen.start - 1]);
                at = window.taken.end;
            }
            prop_assert_eq!(at, words.len());
        }

        #[test]
        fn windows_end_whatever_the_words(
            words in prop::collection::vec(prop::option::of(0u32..3), 0..600),
            budget in 2 * OVERLAP..100,
        ) {
            let taken: usize = windows(&words, budget).map(|window| window.taken.len()).sum();
            prop_assert_eq!(taken, words.len());
        }
    }
}
