use std::ops::Range;

use super::names::Words;
use super::tokens::{Shape, tokenize};
use super::{Candidate, Layer, vocabulary};
use crate::Kind;
use crate::lexicon::{
    AMBIGUOUS, CREDENTIAL, EPONYM, EPONYM_FOLLOW, GIVEN, PROPER, RELATION, STOP, SURNAME, TITLE, WARD, WORD,
};

/// Digits of the shortest number that only a model takes for an identifier: laboratory values and doses are shorter.
const DIGITS: usize = 5;
/// Probability from which on a word that is also an ordinary one counts as a name by itself.
const SURE: f32 = 0.9;
/// Bytes of passages that are read together, so that a word has its neighbours.
const PASSAGE: usize = 600;

/// An identifier a model found.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpan {
    /// Byte offsets into the passage; an offset inside a character is moved outward.
    pub range: Range<usize>,
    /// What it is.
    pub kind: Kind,
    /// Probability, 0 to 1.
    pub score: f32,
}

/// The model could not read the text; the text is then withheld as a whole.
#[derive(Debug, thiserror::Error)]
#[error("span model failed")]
pub struct SpanModelError;

/// A token classification model: the layer behind the rules.
pub trait SpanModel: Send + Sync {
    /// The identifiers in each of several passages of a text, in the order of the passages.
    ///
    /// # Errors
    /// [`SpanModelError`] when a passage cannot be read.
    fn spans(&self, passages: &[&str]) -> Result<Vec<Vec<ModelSpan>>, SpanModelError>;
}

/// Pushes what the model finds and the keep-lists leave, given what the other layers found; a failure takes the whole text
/// (fail closed).
pub(crate) fn find(model: &dyn SpanModel, text: &str, out: &mut Vec<Candidate>) {
    let layer = Layer::Model;
    let tokens = tokenize(text);
    let words = Words { text, tokens: &tokens };
    let passages = passages(&words, &Covered::by(text, out));
    if passages.is_empty() {
        return;
    }
    let texts: Vec<&str> = passages.iter().filter_map(|passage| text.get(passage.clone())).collect();
    let found = match model.spans(&texts) {
        Ok(found) if found.len() == passages.len() => found,
        Ok(_) | Err(SpanModelError) => {
            out.push(Candidate { start: 0, end: text.len(), kind: Kind::Other, layer, score: 1.0 });
            return;
        }
    };
    let mut spans = Vec::new();
    for (passage, found) in passages.iter().zip(found) {
        for span in found {
            let mut start = (passage.start + span.range.start).min(passage.end);
            let mut end = (passage.start + span.range.end).min(passage.end);
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            while !text.is_char_boundary(end) {
                end += 1;
            }
            if start < end {
                spans.push(Candidate { start, end, kind: span.kind, layer, score: span.score });
            }
        }
    }
    let (numbers, rest): (Vec<Candidate>, Vec<Candidate>) = spans.into_iter().partition(|span| {
        span.kind == Kind::Location && !text[span.start..span.end].contains(char::is_alphabetic)
    });
    out.extend(rest.into_iter().filter_map(|span| identifying(&words, span)));
    // A house number or a zip code stands beside the rest of its address.
    let near = |number: &Candidate, place: &Candidate| {
        place.kind == Kind::Location && place.start <= number.end + 2 && number.start <= place.end + 2
    };
    let beside: Vec<Candidate> =
        numbers.into_iter().filter(|number| out.iter().any(|place| near(number, place))).collect();
    out.extend(beside);
}

/// What other layers found, by byte.
struct Covered(Vec<bool>);

impl Covered {
    fn by(text: &str, found: &[Candidate]) -> Self {
        let mut bytes = vec![false; text.len()];
        for candidate in found {
            if let Some(covered) = bytes.get_mut(candidate.start..candidate.end) {
                covered.fill(true);
            }
        }
        Self(bytes)
    }

    fn at(&self, byte: usize) -> bool {
        self.0.get(byte).copied().unwrap_or(false)
    }
}

/// The stretches of a text that may hold an identifier: whole sentences and lines with a word in capitals that is not
/// known for another, or with a long number, that no other layer has found. Reading the others would cost as much and find
/// next to nothing.
fn passages(words: &Words<'_>, covered: &Covered) -> Vec<Range<usize>> {
    let text = words.text;
    // Where nothing is in capitals, a name is not either.
    let lower = !words.tokens.iter().any(|token| token.capitalised());
    let mut passages: Vec<Range<usize>> = Vec::new();
    let (mut start, mut word) = (0, 0);
    while start < text.len() {
        let (end, next) = sentence(words, start, word);
        let suspicious = (word..next).any(|index| unknown(words, index, covered, lower))
            || long_number(text, start..end, covered);
        if suspicious {
            match passages.last_mut() {
                Some(last) if last.end == start && end - last.start <= PASSAGE => last.end = end,
                _ => passages.push(start..end),
            }
        }
        (start, word) = (end, next);
    }
    passages
}

/// The end of the sentence or line that begins at `start` with the word `first`, and the word behind it.
fn sentence(words: &Words<'_>, start: usize, first: usize) -> (usize, usize) {
    let text = words.text;
    for index in first..words.tokens.len() {
        let from =
            index.checked_sub(1).and_then(|last| words.at(last)).map_or(start, |last| last.end).max(start);
        let token = &words.tokens[index];
        let gap = text.get(from..token.start).unwrap_or("");
        if let Some(line) = gap.rfind('\n').filter(|_| index > first) {
            return (from + line + 1, index);
        }
        // A title or an initial before a period ends nothing: "Dr. Roe", "J. Roe".
        let ends = gap.contains(['.', '!', '?']) && gap.ends_with(char::is_whitespace);
        let abbreviated = |last: usize| {
            words.at(last).is_some_and(|last| last.is(TITLE | CREDENTIAL) || last.shape == Shape::Initial)
        };
        if index > first && ends && token.shape != Shape::Lower && !abbreviated(index - 1) {
            return (token.start, index);
        }
    }
    (text.len(), words.tokens.len())
}

/// A word in capitals that the lists do not know for anything but a name; in a text without capitals, any such word.
fn unknown(words: &Words<'_>, index: usize, covered: &Covered, lower: bool) -> bool {
    let Some(token) = words.at(index) else { return false };
    let ordinary = STOP | WORD | PROPER | TITLE | CREDENTIAL | RELATION | WARD | EPONYM_FOLLOW;
    (token.shape != Shape::Lower || lower)
        && token.shape != Shape::Initial
        && (!token.is(ordinary) || token.is(GIVEN | SURNAME))
        && !covered.at(token.start)
        && !words.is_eponym(index)
}

/// A number long enough for an identifier, however it is grouped.
fn long_number(text: &str, within: Range<usize>, covered: &Covered) -> bool {
    let mut digits = 0;
    for (at, c) in text[within.clone()].char_indices() {
        if covered.at(within.start + at) {
            digits = 0;
        } else if c.is_ascii_digit() {
            digits += 1;
            if digits >= DIGITS {
                return true;
            }
        } else if !matches!(c, '-' | '.' | ' ' | '(' | ')' | '/') {
            digits = 0;
        }
    }
    false
}

/// What of a span the keep-lists of the rules leave: eponyms, drugs, parts of the body, values and doses stay in the text.
fn identifying(words: &Words<'_>, span: Candidate) -> Option<Candidate> {
    let piece = words.text.get(span.start..span.end)?;
    let digits = piece.chars().filter(char::is_ascii_digit).count();
    match span.kind {
        Kind::Name | Kind::Organization | Kind::Location => named(words, span),
        Kind::Email => piece.contains('@').then_some(span),
        Kind::Url => piece.contains('.').then_some(span),
        // (C): ages over 89, and dates but for the year.
        Kind::Age => {
            let numbers = piece.split(|c: char| !c.is_ascii_digit());
            numbers.filter_map(|number| number.parse::<u32>().ok()).any(|age| age > 89).then_some(span)
        }
        Kind::Date => (!(digits == 4 && piece.len() == 4)).then_some(span),
        Kind::Biometric | Kind::Photo => Some(span),
        _ => (digits >= DIGITS).then_some(span),
    }
}

/// A name or a place by its words: without the ordinary ones at its ends, unless it is an eponym.
fn named(words: &Words<'_>, mut span: Candidate) -> Option<Candidate> {
    let first = words.tokens.partition_point(|token| token.end <= span.start);
    let last = words.tokens.partition_point(|token| token.start < span.end);
    if (first..last).any(|index| words.is_eponym(index)) {
        return None;
    }
    let lower = !words.tokens.iter().any(|token| token.capitalised());
    let (mut from, mut to) = (first, last);
    while from < to && ordinary(words, from, lower) {
        from += 1;
    }
    while from < to && ordinary(words, to - 1, lower) {
        to -= 1;
    }
    // "Brown sputum", but also "Brown tolerated it".
    let doubtful = to == from + 1
        && span.score < SURE
        && words.at(from).is_some_and(|token| {
            token.is(AMBIGUOUS | EPONYM)
                || !token.is(GIVEN | SURNAME) && vocabulary::is_clinical(&words.lower(from))
        });
    // "ED", "RR 18": an abbreviation is no place; a state's stands before a zip code, which the rules know.
    let short = span.kind == Kind::Location
        && words.tokens[from..to]
            .iter()
            .all(|token| token.shape != Shape::Lower && token.end - token.start < 4);
    if from == to || doubtful || short {
        return None;
    }
    // Streets and firms have ordinary words in their names.
    if span.kind != Kind::Name {
        return Some(span);
    }
    if from > first {
        span.start = words.tokens[from].start;
    }
    if to < last {
        span.end = words.tokens[to - 1].end;
    }
    Some(span)
}

/// A word that is no part of a name or a place by itself. `lower`: the text has no capitals.
fn ordinary(words: &Words<'_>, index: usize, lower: bool) -> bool {
    words.at(index).is_none_or(|token| {
        let listed = token.is(GIVEN | SURNAME);
        let written = token.capitalised() || lower || listed && !token.is(AMBIGUOUS);
        let roman = token.text(words.text).chars().all(|c| matches!(c, 'I' | 'V' | 'X' | '-'));
        !written
            || roman
            || token.is(STOP | WORD | PROPER | TITLE | CREDENTIAL | RELATION | EPONYM_FOLLOW) && !listed
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes each of these words for a name or a place, and counts what it reads.
    struct Sure(&'static [&'static str], Kind);

    impl SpanModel for Sure {
        fn spans(&self, passages: &[&str]) -> Result<Vec<Vec<ModelSpan>>, SpanModelError> {
            let Sure(words, kind) = self;
            let span = |(start, found): (usize, &str)| ModelSpan {
                range: start..start + found.len(),
                kind: *kind,
                score: 0.6,
            };
            let found =
                |text: &&str| words.iter().flat_map(|word| text.match_indices(word)).map(span).collect();
            Ok(passages.iter().map(found).collect())
        }
    }

    fn kept(text: &str, words: &'static [&'static str], kind: Kind) -> Vec<String> {
        let mut out = Vec::new();
        find(&Sure(words, kind), text, &mut out);
        out.iter().filter_map(|span| text.get(span.start..span.end)).map(str::to_owned).collect()
    }

    #[test]
    fn keeps_what_the_lists_know_for_something_else() {
        let names: &[&str] = &["Graves", "Brown", "Tylenol", "III", "Szczerba"];
        let text = "Graves disease, Brown sputum, Tylenol, NYHA III; Szczerba agreed.";
        assert_eq!(kept(text, names, Kind::Name), ["Szczerba"]);
        assert_eq!(
            kept("Seen in ED at Szczyrk, RR 18", &["ED", "Szczyrk", "RR 18"], Kind::Location),
            ["Szczyrk"]
        );
        let address = "Lives at 42 Wybickiego; weight 82";
        assert_eq!(kept(address, &["42", "82", "Wybickiego"], Kind::Location), ["Wybickiego", "42"]);
        assert_eq!(kept("Ext 4471, Ref 88301477", &["4471", "88301477"], Kind::Account), ["88301477"]);
    }

    #[test]
    fn reads_only_sentences_that_may_hold_an_identifier() {
        let text = "No fever. No cough at all.\nSeen by Szczerba today. Potassium was normal.";
        let tokens = tokenize(text);
        let words = Words { text, tokens: &tokens };
        let read: Vec<&str> =
            passages(&words, &Covered::by(text, &[])).into_iter().map(|at| &text[at]).collect();
        assert!(read.iter().any(|passage| passage.contains("Szczerba")), "{read:?}");
        assert!(!read.iter().any(|passage| passage.contains("fever")), "{read:?}");
        let at = text.find("Szczerba").unwrap_or_default();
        let known = Candidate { start: at, end: at + 8, kind: Kind::Name, layer: Layer::List, score: 1.0 };
        let read = passages(&words, &Covered::by(text, &[known]));
        assert!(!read.iter().any(|passage| text[passage.clone()].contains("Szczerba")));
    }
}
