//! Redaction of free text: detection by layers, union, surrogate tags.

mod dates;
mod labels;
mod model;
pub(crate) mod names;
mod normal;
pub(crate) mod patterns;
mod places;
mod recase;
mod surroundings;
mod tags;
pub(crate) mod tokens;
mod unknown_names;
mod vocabulary;

use serde::Serialize;

use crate::{Gazetteer, Kind, Withheld};

pub use model::{ModelSpan, SpanModel, SpanModelError};
pub(crate) use tags::{DateShift, Tags, back as back_by};

/// Which layer found an identifier, in order of trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// An identity of this very bundle.
    Gazetteer,
    /// A pattern with validation.
    Pattern,
    /// A list of names or places.
    List,
    /// The token classification model.
    Model,
}

impl Layer {
    /// Every layer, in order of trust.
    pub const ALL: [Layer; 4] = [Layer::Gazetteer, Layer::Pattern, Layer::List, Layer::Model];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Layer::Gazetteer => "gazetteer",
            Layer::Pattern => "pattern",
            Layer::List => "list",
            Layer::Model => "model",
        }
    }
}

/// An identifier in the input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Span {
    /// Offset of the first character, in Unicode scalar values of the input.
    pub start: usize,
    /// Offset behind the last character, in Unicode scalar values of the input.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
    /// Which layer found it.
    pub layer: Layer,
    /// How sure that layer is, 0 to 1.
    pub score: f32,
}

/// A text without identifiers.
#[derive(Clone, PartialEq, Serialize)]
pub struct RedactedText {
    /// The text, each identifier replaced by a tag such as `[NAME-1]`; the same identifier has the same number.
    pub text: String,
    /// What was replaced, in order, without overlap.
    pub spans: Vec<Span>,
    /// Why the whole text is a stub, where it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Withheld>,
}

impl std::fmt::Debug for RedactedText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedactedText").field("spans", &self.spans).finish_non_exhaustive()
    }
}

/// An identifier by byte offsets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: Kind,
    pub(crate) layer: Layer,
    pub(crate) score: f32,
}

/// What detection works with besides the text.
pub(crate) struct Detectors<'d> {
    pub(crate) gazetteer: &'d Gazetteer,
    pub(crate) local: &'d [patterns::Pattern],
    pub(crate) model: Option<&'d dyn SpanModel>,
    /// What counts; the others are as if they had found nothing.
    pub(crate) layers: &'d [Layer],
}

/// Taking an identifier out can show another one (a number that stood against a letter); so many looks at the text are taken.
const ROUNDS: usize = 8;

/// Replaces what the layers find.
pub(crate) fn redact(text: &str, detectors: &Detectors<'_>, tags: &mut Tags) -> RedactedText {
    let mut found: Vec<Candidate> = Vec::new();
    let mut masked = text.to_owned();
    // Pieces of the input that stand unchanged in the masked text: (start in masked, start in input, length).
    let mut pieces: Vec<(usize, usize, usize)> = vec![(0, 0, text.len())];
    for round in 0..ROUNDS {
        let new = detect(&masked, detectors, round == 0);
        if new.is_empty() {
            break;
        }
        for mut candidate in new {
            // A candidate lies within one piece: what is between two is a tag, which detection cuts out.
            let behind = pieces.partition_point(|(at, _, _)| *at <= candidate.start);
            if let Some((at, input, _)) =
                pieces[..behind].last().filter(|(at, _, length)| candidate.end <= at + length)
            {
                candidate.start = candidate.start - at + input;
                candidate.end = candidate.end - at + input;
                found.push(candidate);
            }
        }
        found.sort_by_key(|candidate| candidate.start);
        let mut trial = tags.clone();
        (masked, pieces) = trial.apply(text, &found);
    }
    let (masked, _) = tags.apply(text, &found);
    RedactedText { text: masked, spans: scalar_spans(text, &found), withheld: None }
}

/// One look at a text: candidates of every layer, united, without those in tags.
/// The `input` alone goes to the model.
fn detect(text: &str, detectors: &Detectors<'_>, input: bool) -> Vec<Candidate> {
    let mut out = Vec::new();
    match normal::Normal::of(text) {
        None => by_rules(text, detectors, &mut out),
        Some(normal) => {
            by_rules(&normal.text, detectors, &mut out);
            out.retain_mut(|candidate| match normal.input(candidate.start, candidate.end) {
                Some((start, end)) => {
                    (candidate.start, candidate.end) = (start, end);
                    true
                }
                None => false,
            });
        }
    }
    if let (Some(model), true) = (detectors.model, input) {
        model::find(model, text, &mut out);
    }
    out.retain(|candidate| detectors.layers.contains(&candidate.layer));
    let protected = tags::find(text, input);
    if !protected.is_empty() {
        out = out.into_iter().flat_map(|candidate| tags::cut(candidate, &protected, text)).collect();
    }
    merge(text, out)
}

/// What gazetteer, patterns and lists find. In a text without capitals, or of capitals only, names and places are looked for as if it had
/// the usual ones.
fn by_rules(text: &str, detectors: &Detectors<'_>, out: &mut Vec<Candidate>) {
    let tokens = tokens::tokenize(text);
    let contains = patterns::Contains::of(text);
    detectors.gazetteer.find(&names::Words { text, tokens: &tokens }, out);
    for pattern in detectors.local {
        pattern.find(text, contains, out);
    }
    patterns::find(text, contains, out);
    dates::find(text, contains, out);
    surroundings::find(&names::Words { text, tokens: &tokens }, contains, out);
    match recase::of(text, &tokens) {
        None => by_words(&names::Words { text, tokens: &tokens }, contains, out),
        Some(recased) => {
            let contains = patterns::Contains::of(&recased);
            by_words(&names::Words { text: &recased, tokens: &tokens::tokenize(&recased) }, contains, out);
        }
    }
}

fn by_words(words: &names::Words<'_>, contains: patterns::Contains, out: &mut Vec<Candidate>) {
    places::find(words.text, contains, out);
    labels::find(words, out);
    names::find(words, out);
    unknown_names::find(words, out);
}

/// Unites overlapping candidates, and names with only a space or a comma between them. What is longest names the kind.
pub(crate) fn merge(text: &str, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.retain_mut(|candidate| trim(text, candidate));
    candidates.sort_by(|a, b| a.start.cmp(&b.start).then(b.end.cmp(&a.end)));
    let mut merged: Vec<(Candidate, usize)> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let length = candidate.end - candidate.start;
        if let Some((last, longest)) = merged.last_mut() {
            let between = text.get(last.end..candidate.start);
            let joined_names = last.kind == Kind::Name
                && candidate.kind == Kind::Name
                && between.is_some_and(|gap| matches!(gap, " " | ", " | "," | "-" | ". " | "  "));
            if candidate.start < last.end || joined_names {
                let better = length > *longest
                    || (length == *longest
                        && (candidate.layer < last.layer
                            || (candidate.layer == last.layer && candidate.score > last.score)));
                if better {
                    (last.kind, last.layer, *longest) = (candidate.kind, candidate.layer, length);
                }
                last.score = last.score.max(candidate.score);
                last.end = last.end.max(candidate.end);
                continue;
            }
        }
        merged.push((candidate, length));
    }
    merged.into_iter().map(|(candidate, _)| candidate).collect()
}

/// Takes white space and separators off the ends; false when nothing is left.
fn trim(text: &str, candidate: &mut Candidate) -> bool {
    let Some(found) = text.get(candidate.start..candidate.end) else { return false };
    let front = found.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':'));
    candidate.start = candidate.end - front.len();
    let back =
        front.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '-' | '('));
    candidate.end = candidate.start + back.len();
    // A closing bracket without its opening one belongs to the sentence.
    if back.ends_with(')') && !back.contains('(') {
        candidate.end -= 1;
    }
    candidate.start < candidate.end
}

fn scalar_spans(text: &str, candidates: &[Candidate]) -> Vec<Span> {
    let mut spans = Vec::with_capacity(candidates.len());
    let (mut at, mut scalars) = (0, 0);
    let mut advance = |to: usize| {
        scalars += text.get(at..to).map_or(0, |piece| piece.chars().count());
        at = to;
        scalars
    };
    for candidate in candidates {
        spans.push(Span {
            start: advance(candidate.start),
            end: advance(candidate.end),
            kind: candidate.kind,
            layer: candidate.layer,
            score: candidate.score,
        });
    }
    spans
}
