//! The identities of one bundle, in every spelling a note may have them.

mod builder;

use std::collections::{HashMap, HashSet};

use aho_corasick::AhoCorasick;
use serde_json::Value;

use crate::Kind;
use crate::lexicon::{self, EPONYM, TITLE};
use crate::text::names::Words;
use crate::text::tokens::{Shape, fold, is_mark};
use crate::text::{Candidate, Layer};
use builder::Builder;

/// The identities of the patient, relatives, staff, facilities and devices in one bundle.
///
/// `Gazetteer::default()` knows nobody.
#[derive(Default)]
pub struct Gazetteer {
    /// Words of names, folded; true when the word is nothing but a name.
    names: HashMap<String, bool>,
    initials: HashSet<String>,
    strings: Option<(AhoCorasick, Vec<Kind>)>,
    numbers: Option<(AhoCorasick, Vec<Kind>)>,
}

impl std::fmt::Debug for Gazetteer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gazetteer").field("name_words", &self.names.len()).finish_non_exhaustive()
    }
}

impl Gazetteer {
    /// Collects the identities of a bundle or a single resource.
    pub fn from_bundle(bundle: &Value) -> Self {
        let mut builder = Builder::default();
        builder.walk(bundle, "", "", 0);
        builder.build()
    }

    /// Takes identities one by one: names, addresses, numbers, dates of birth (`YYYY-MM-DD`).
    pub fn from_identities<'i>(identities: impl IntoIterator<Item = (Kind, &'i str)>) -> Self {
        let mut builder = Builder::default();
        for (kind, value) in identities {
            match kind {
                Kind::Name => builder.name(value),
                Kind::Date => builder.birth_date(value),
                Kind::Location | Kind::Organization => builder.place(kind, value),
                _ => builder.identifier(kind, value),
            }
        }
        builder.build()
    }

    /// Pushes what a text has of these identities.
    pub(crate) fn find(&self, words: &Words<'_>, out: &mut Vec<Candidate>) {
        if !self.names.is_empty() {
            self.find_names(words, out);
        }
        let text = words.text;
        let layer = Layer::Gazetteer;
        if let Some((automaton, kinds)) = &self.strings {
            for found in automaton.find_iter(text) {
                if bounded(text, found.start(), found.end()) {
                    let kind = kinds.get(found.pattern().as_usize()).copied().unwrap_or(Kind::Other);
                    out.push(Candidate { start: found.start(), end: found.end(), kind, layer, score: 0.99 });
                }
            }
        }
        if let Some((automaton, kinds)) = &self.numbers {
            for (digits, offsets) in digit_runs(text) {
                for found in automaton.find_overlapping_iter(&digits) {
                    let (Some(&start), Some(&last)) =
                        (offsets.get(found.start()), offsets.get(found.end() - 1))
                    else {
                        continue;
                    };
                    if bounded(text, start, last + 1) {
                        let kind = kinds.get(found.pattern().as_usize()).copied().unwrap_or(Kind::Other);
                        out.push(Candidate { start, end: last + 1, kind, layer, score: 0.97 });
                    }
                }
            }
        }
    }

    fn find_names(&self, words: &Words<'_>, out: &mut Vec<Candidate>) {
        let known: Vec<Option<bool>> = words
            .tokens
            .iter()
            .map(|token| {
                let word = fold(token.text(words.text));
                self.names.get(&word).copied().or_else(|| {
                    // "Smith-Jones" of a patient called Smith.
                    let parts: Vec<Option<&bool>> =
                        word.split('-').map(|part| self.names.get(part)).collect();
                    (parts.len() > 1 && parts.iter().any(|part| part == &Some(&true))).then_some(true)
                })
            })
            .collect();
        for (index, token) in words.tokens.iter().enumerate() {
            let mut from = index;
            if let Some(sure) = known[index] {
                let capital = matches!(token.shape, Shape::Title | Shape::Upper);
                let near =
                    |other: Option<usize>| other.is_some_and(|i| known.get(i).is_some_and(Option::is_some));
                let beside = (near(index.checked_sub(1)) && words.gap_before(index).len() <= 2)
                    || (near(Some(index + 1)) && words.gap_before(index + 1).len() <= 2);
                let titled = index > 0
                    && words.tokens[index - 1].is(TITLE)
                    && matches!(words.gap_before(index), " " | ". " | ".");
                let taken = if sure {
                    // A disease keeps its name even when the patient bears it.
                    token.shape != Shape::Initial && (!words.is_eponym(index) || beside || titled)
                } else {
                    let sentence = words.gap_before(index) == " "
                        && token.shape == Shape::Title
                        && words.at(index + 1).is_none_or(|next| {
                            next.shape == Shape::Lower || words.gap_before(index + 1) != " "
                        })
                        && index > 0
                        && words.tokens[index - 1].shape == Shape::Lower;
                    capital && !words.is_eponym(index) && (beside || titled || sentence)
                        || (capital && (beside && titled))
                };
                if taken {
                    // "J. Smith"
                    while from > 0
                        && words.tokens[from - 1].shape == Shape::Initial
                        && matches!(words.gap_before(from), ". " | "." | " ")
                        && words.gap_before(from - 1).ends_with([' ', '.', '\n', '(', ',', ':', ';', '/'])
                        && !(words.gap_before(from) == " "
                            && matches!(words.tokens[from - 1].text(words.text), "A" | "I"))
                    {
                        from -= 1;
                    }
                    from = words.with_particles(from);
                    if let Some(first) = words.at(from) {
                        out.push(Candidate {
                            start: first.start,
                            end: token.end,
                            kind: Kind::Name,
                            layer: Layer::Gazetteer,
                            score: 0.98,
                        });
                    }
                }
            } else if token.shape == Shape::Initial && words.gap_before(index + 1) == "." {
                // "J.S.", "J.Q.S."
                let mut to = index;
                let mut letters = String::new();
                while to < words.tokens.len()
                    && words.tokens[to].shape == Shape::Initial
                    && (to == index || words.gap_before(to) == ".")
                {
                    letters.push_str(words.tokens[to].text(words.text));
                    to += 1;
                }
                let last = &words.tokens[to - 1];
                if letters.len() > 1
                    && self.initials.contains(&letters)
                    && words.text[last.end..].starts_with('.')
                {
                    out.push(Candidate {
                        start: token.start,
                        end: last.end + 1,
                        kind: Kind::Name,
                        layer: Layer::Gazetteer,
                        score: 0.8,
                    });
                }
            }
        }
    }

    /// What looks like an identity of this bundle, by other means than [`Gazetteer::find`]: for the residual scan. Names count only when
    /// they are nothing but names and are written with a capital.
    pub(crate) fn residue(&self, text: &str) -> Option<Kind> {
        let boundary = |c: char| !c.is_alphanumeric() && !is_mark(c) && !matches!(c, '\'' | '’' | '-');
        if !self.names.is_empty() && text.contains(char::is_uppercase) {
            let hit = text.split(boundary).any(|word| {
                word.starts_with(char::is_uppercase)
                    && word.chars().count() >= 4
                    && self.names.get(&fold(word)) == Some(&true)
                    && lexicon::flags(&word.to_lowercase()) & EPONYM == 0
            });
            if hit {
                return Some(Kind::Name);
            }
        }
        let (automaton, kinds) = self.strings.as_ref()?;
        automaton
            .find_iter(text)
            .find(|found| bounded(text, found.start(), found.end()))
            .map(|found| kinds.get(found.pattern().as_usize()).copied().unwrap_or(Kind::Other))
    }
}

/// Not a part of a longer word or number.
fn bounded(text: &str, start: usize, end: usize) -> bool {
    let (Some(before), Some(after)) = (text.get(..start), text.get(end..)) else { return false };
    !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
}

/// Runs of digits with separators between them: the digits, and the byte offset of each.
fn digit_runs(text: &str) -> Vec<(String, Vec<usize>)> {
    let mut runs = Vec::new();
    let mut digits = String::new();
    let mut offsets: Vec<usize> = Vec::new();
    for (offset, byte) in text.bytes().enumerate() {
        if byte.is_ascii_digit() {
            digits.push(char::from(byte));
            offsets.push(offset);
        } else if !digits.is_empty() {
            let separated = offsets.last().is_some_and(|last| offset - last <= 2);
            if !matches!(byte, b' ' | b'-' | b'.' | b'/' | b'(' | b')') || !separated {
                if digits.len() >= 6 {
                    runs.push((std::mem::take(&mut digits), std::mem::take(&mut offsets)));
                }
                digits.clear();
                offsets.clear();
            }
        }
    }
    if digits.len() >= 6 {
        runs.push((digits, offsets));
    }
    runs
}
