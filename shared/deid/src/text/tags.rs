//! Surrogate tags: `[NAME-1]`, or `[DATE 2015-03-02]` where dates are shifted.

use std::collections::HashMap;
use std::sync::LazyLock;

use jiff::civil::Date;
use regex::Regex;

use super::patterns::built_in;
use super::{Candidate, dates};
use crate::Kind;

static TAG: LazyLock<Regex> = LazyLock::new(|| {
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    built_in(&format!(
        r"\[(?:({})(?:-([0-9]{{1,9}}))?|DATE [0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})\]",
        kinds.join("|")
    ))
});

/// Digits of the greatest number that a tag in an input may have: longer ones may be identifiers in brackets, "[MRN-88301477]".
const NUMBER_DIGITS: usize = 4;

/// The tags in a text, which nothing may change. Of an `input` only those that cannot hold an identifier themselves: a date in a tag may be
/// one that nobody has moved.
pub(super) fn find(text: &str, input: bool) -> Vec<(usize, usize)> {
    if !text.contains('[') {
        return Vec::new();
    }
    TAG.captures_iter(text)
        .filter(|found| {
            let number = found.get(2).map_or("", |number| number.as_str());
            !input || (found.get(1).is_some() && number.len() <= NUMBER_DIGITS)
        })
        .filter_map(|found| found.get(0).map(|whole| (whole.start(), whole.end())))
        .collect()
}

/// What is left of a candidate outside the tags: the pieces with a letter or digit.
pub(super) fn cut(candidate: Candidate, protected: &[(usize, usize)], text: &str) -> Vec<Candidate> {
    let mut left = Vec::new();
    let mut from = candidate.start;
    let first = protected.partition_point(|(_, end)| *end <= candidate.start);
    let inside = protected[first..].iter().take_while(|(start, _)| *start < candidate.end);
    for &(start, end) in inside.chain([&(candidate.end, candidate.end)]) {
        if text.get(from..start).is_some_and(|piece| piece.contains(char::is_alphanumeric)) {
            left.push(Candidate { start: from, end: start, ..candidate });
        }
        from = from.max(end);
    }
    left
}

/// Moves dates in text by the patient's days.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DateShift {
    /// Days back.
    pub(crate) days: i64,
}

/// Gives out numbers: the same identifier of a kind has the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tags {
    numbers: HashMap<(Kind, String), u32>,
    next: HashMap<Kind, u32>,
    pub(crate) shift: Option<DateShift>,
}

impl Tags {
    /// Replaces sorted candidates; also returns the unchanged pieces as (start in the result, start in the input, length).
    pub(super) fn apply(&mut self, text: &str, found: &[Candidate]) -> (String, Vec<(usize, usize, usize)>) {
        self.reserve(text);
        let mut result = String::with_capacity(text.len() + found.len() * 4);
        let mut pieces = Vec::with_capacity(found.len() + 1);
        let mut from = 0;
        for candidate in found {
            let (Some(piece), Some(identifier)) =
                (text.get(from..candidate.start), text.get(candidate.start..candidate.end))
            else {
                continue;
            };
            pieces.push((result.len(), from, piece.len()));
            result.push_str(piece);
            self.write(candidate.kind, identifier, &mut result);
            from = candidate.end;
        }
        let rest = text.get(from..).unwrap_or("");
        pieces.push((result.len(), from, rest.len()));
        result.push_str(rest);
        (result, pieces)
    }

    /// The tag of an identifier.
    pub(crate) fn tag(&mut self, kind: Kind, identifier: &str) -> String {
        let mut tag = String::new();
        self.write(kind, identifier, &mut tag);
        tag
    }

    fn write(&mut self, kind: Kind, identifier: &str, result: &mut String) {
        if let (Kind::Date, Some(shift)) = (kind, self.shift)
            && let Some(date) = dates::parse(identifier).and_then(|date| back(date, shift.days))
        {
            result.push_str(&format!("[DATE {date}]"));
            return;
        }
        let normal: String =
            identifier.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        let next = self.next.entry(kind).or_insert(0);
        let number = *self.numbers.entry((kind, normal)).or_insert_with(|| {
            *next += 1;
            *next
        });
        result.push_str(&format!("[{kind}-{number}]"));
    }

    /// Leaves the numbers that the text already uses to what they stand for there.
    fn reserve(&mut self, text: &str) {
        if !text.contains('[') {
            return;
        }
        for found in TAG.captures_iter(text) {
            let (Some(name), Some(number)) = (found.get(1), found.get(2)) else { continue };
            let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == name.as_str());
            if let (Some(kind), Ok(number)) = (kind, number.as_str().parse::<u32>()) {
                let next = self.next.entry(kind).or_insert(0);
                *next = (*next).max(number);
            }
        }
    }
}

/// A date some days earlier.
pub(crate) fn back(date: Date, days: i64) -> Option<Date> {
    date.checked_sub(jiff::Span::new().try_days(days).ok()?).ok()
}
