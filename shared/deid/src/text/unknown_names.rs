//! Names that no list has, from where they stand.

use super::names::Words;
use super::tokens::Shape;
use super::{Candidate, Layer};
use crate::lexicon::{
    CREDENTIAL, EPONYM_FOLLOW, GIVEN, PARTICLE, PERSON_VERB, RELATION, STOP, SURNAME, TITLE, WARD,
};

/// Words before which a name of two words or more may stand.
const BEFORE: [&str; 31] = [
    "see",
    "saw",
    "seeing",
    "met",
    "meet",
    "evaluate",
    "evaluated",
    "evaluating",
    "examine",
    "refer",
    "referring",
    "contacted",
    "called",
    "asked",
    "told",
    "informed",
    "notified",
    "paged",
    "consulted",
    "thank",
    "per",
    "patient",
    "pt",
    "pts",
    "client",
    "of",
    "with",
    "by",
    "for",
    "to",
    "from",
];

/// Finds them.
pub(crate) fn find(words: &Words<'_>, out: &mut Vec<Candidate>) {
    let mut index = 0;
    while index < words.tokens.len() {
        let end = unknown_run(words, index);
        if end > index {
            one_run(words, index, end, out);
        }
        index = end.max(index + 1);
    }
}

/// The end of a run of capitalised words that may be a name.
fn unknown_run(words: &Words<'_>, start: usize) -> usize {
    let Some(first) = words.at(start) else { return start };
    if !plain(words, start) || first.shape == Shape::Initial {
        return start;
    }
    let mut end = start + 1;
    while end < start + 5 {
        let Some(token) = words.at(end) else { break };
        let previous = &words.tokens[end - 1];
        let gap = words.gap_before(end);
        let joined = gap == " " || gap == "-" || gap == ". " && previous.shape == Shape::Initial;
        let particle = token.is(PARTICLE)
            && (token.shape == Shape::Lower || first.shape == Shape::Upper)
            && words.at(end + 1).is_some_and(|next| next.shape == first.shape || next.is(PARTICLE));
        let initial = token.shape == Shape::Initial
            && words.at(end + 1).is_some_and(|next| next.shape == first.shape)
            && words.gap_before(end + 1) == ". ";
        let fits = particle || initial || plain(words, end) && token.shape == first.shape;
        if !joined || !fits {
            break;
        }
        end += 1;
    }
    end
}

fn plain(words: &Words<'_>, index: usize) -> bool {
    words.at(index).is_some_and(|token| {
        let flags = STOP | TITLE | CREDENTIAL | RELATION | WARD | EPONYM_FOLLOW;
        let word = token.text(words.text);
        let named = token.is(GIVEN | SURNAME);
        token.capitalised()
            && (!token.is(flags) || named && !token.is(STOP))
            && (token.shape != Shape::Upper || word.len() > 2)
            && ![
                "osis", "itis", "emia", "ectomy", "oscopy", "ology", "graphy", "pathy", "plasty", "otomy",
                "therapy", "ing", "ally",
            ]
            .iter()
            .any(|end| word.to_lowercase().ends_with(end))
    })
}

fn one_run(words: &Words<'_>, start: usize, end: usize, out: &mut Vec<Candidate>) {
    if (start..end).any(|index| words.is_eponym(index)) {
        return;
    }
    let Some(first) = words.at(start) else { return };
    let after = words.text.get(words.tokens[end - 1].end..).unwrap_or("");
    let full = words.tokens[start..end].iter().filter(|token| token.capitalised()).count() > 1;

    // "Tomasz, his son", "Gwyneth (her sister)"
    let adverb = first.text(words.text).ends_with("ly");
    let apposed = !adverb
        && (after.starts_with(", ") || after.starts_with(" ("))
        && matches!(words.lower(end).as_str(), "his" | "her" | "their" | "my")
        && (1..=3).any(|step| words.at(end + step).is_some_and(|token| token.is(RELATION)));
    // "Casimir Mbeki, DOB", "Casimir Mbeki (MRN"
    let record = full
        && end < words.tokens.len()
        && words.gap_before(end).len() <= 3
        && matches!(words.lower(end).as_str(), "dob" | "mrn" | "ssn" | "dod" | "born" | "aged" | "mr");
    // "Casimir Mbeki was admitted"
    let subject = full
        && words.opens(start)
        && words.gap_before(end) == " "
        && words.at(end).is_some_and(|next| next.shape == Shape::Lower && next.is(PERSON_VERB));
    let introduced = full
        && start > 0
        && words.gap_before(start) == " "
        && BEFORE.contains(&words.lower(start - 1).as_str())
        && (first.shape == Shape::Title
            || words.tokens[start..end].iter().all(|token| token.is(GIVEN | SURNAME))
            || matches!(
                words.lower(start - 1).as_str(),
                "see" | "patient" | "pt" | "client" | "of" | "with"
            ));
    if apposed || record || subject || introduced {
        words.push(out, start, end, Layer::Pattern, if introduced { 0.55 } else { 0.75 });
    }
}
