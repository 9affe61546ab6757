//! Names that no list has, from where they stand.

use super::names::Words;
use super::tokens::Shape;
use super::{Candidate, Layer, vocabulary};
use crate::Kind;
use crate::lexicon::{
    self, ACTION, AMBIGUOUS, CREDENTIAL, EPONYM, EPONYM_FOLLOW, GIVEN, PARTICLE, PERSON_VERB, PROPER,
    RELATION, STOP, SURNAME, TITLE, WARD, WORD,
};

/// Words before which a name of two words or more may stand.
const BEFORE: [&str; 72] = [
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
    "thanks",
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
    "when",
    "while",
    "after",
    "before",
    "since",
    "as",
    "if",
    "and",
    "but",
    "because",
    "that",
    "once",
    "until",
    "although",
    "both",
    "nurse",
    "rn",
    "lpn",
    "cna",
    "np",
    "pa",
    "interpreter",
    "witness",
    "hi",
    "hello",
    "dear",
    "attn",
    "re",
    "social",
    "exam",
    "let",
    "ask",
    "call",
    "notify",
    "contact",
    "inform",
    "tell",
    "page",
    "text",
    "email",
];

/// What only a person is or was, after "is" or "was".
const DOING: [&str; 16] = [
    "doing",
    "feeling",
    "here",
    "admitted",
    "discharged",
    "transferred",
    "alert",
    "awake",
    "resting",
    "born",
    "married",
    "retired",
    "living",
    "seen",
    "asked",
    "brought",
];

/// Finds them.
pub(crate) fn find(words: &Words<'_>, out: &mut Vec<Candidate>) {
    let mut index = 0;
    while index < words.tokens.len() {
        let end = unknown_run(words, index);
        if end > index {
            one_run(words, index, end, out);
        }
        for place in index..end.max(index + 1) {
            inside_a_sentence(words, place, out);
            by_initials(words, place, out);
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
            && matches!(words.gap_before(end + 1), ". " | " ");
        let fits = particle || initial || plain(words, end) && token.shape == first.shape;
        if !joined || !fits {
            break;
        }
        end += 1;
    }
    end
}

/// No term, brand or heading: what is left may be a name.
fn foreign(words: &Words<'_>, index: usize) -> bool {
    words.at(index).is_some_and(|token| {
        let known = STOP
            | TITLE
            | CREDENTIAL
            | RELATION
            | WARD
            | EPONYM_FOLLOW
            | PROPER
            | WORD
            | PERSON_VERB
            | ACTION;
        let word = token.text(words.text);
        token.shape == Shape::Title
            && !words.is_eponym(index)
            && (!word.contains('-')
                || word.split('-').any(|part| {
                    let flags = lexicon::flags(&part.to_lowercase());
                    flags & (WORD | STOP | PROPER) == 0 && part.len() > 2 || flags & (GIVEN | SURNAME) != 0
                }))
            && if token.is(GIVEN | SURNAME) {
                // "Gleason 3+4"
                let graded = words.text[token.end..].trim_start().starts_with(|c: char| c.is_ascii_digit());
                !(token.is(STOP | PROPER) || token.is(EPONYM) && graded)
            } else {
                !token.is(known | EPONYM) && word.len() > 2 && !vocabulary::is_clinical(&word.to_lowercase())
            }
    })
}

fn is_month_or_day(word: &str) -> bool {
    const STARTS: [&str; 19] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "mon", "tue",
        "wed", "thu", "fri", "sat", "sun",
    ];
    let lower = word.to_lowercase();
    STARTS.iter().any(|start| lower.starts_with(start))
}

/// A capital inside a sentence that no term explains: "that Dev fell", "flew in from Johnville".
fn inside_a_sentence(words: &Words<'_>, index: usize, out: &mut Vec<Candidate>) {
    let opens_place = words.at(index).is_some_and(|token| token.shape == Shape::Title)
        && vocabulary::opens_a_place(&words.lower(index))
        && foreign(words, index + 1)
        && words.gap_before(index + 1) == " ";
    // "of St. Petersburg"
    let saint = words.at(index).is_some_and(|token| token.text(words.text) == "St")
        && words.gap_before(index + 1) == ". "
        && foreign(words, index + 1);
    let opens_place = opens_place || saint;
    let Some(before) = index.checked_sub(1).and_then(|before| words.at(before)) else { return };
    // "spoke w/ Joella"
    let with = words.gap_before(index) == "/ " && words.lower(index - 1) == "w";
    let small = before.shape == Shape::Lower && before.end - before.start > 1
        || with
        || matches!(before.shape, Shape::Title | Shape::Upper)
            && BEFORE.contains(&words.lower(index - 1).as_str());
    // Not behind an address of the network or a code: "example.org Long QT".
    let small = small
        && !words.text[..before.start]
            .ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '@' | '/' | '-' | '_' | '='));
    if !small
        || !matches!(words.gap_before(index), " " | " (" | "/ ")
        || !(opens_place || foreign(words, index))
    {
        return;
    }
    // A list of names or places: "from Tulsa, Ardmore and Boise".
    let mut to = index + 1 + usize::from(opens_place);
    while to < index + 6
        && match words.gap_before(to) {
            " " | "-" | "'" | "’" => {
                foreign(words, to)
                    || words.at(to).is_some_and(|next| {
                        next.shape == Shape::Title
                            && next.end - next.start > 2
                            && (!next.is(STOP | CREDENTIAL | PROPER | TITLE)
                                || vocabulary::ends_a_name(&words.lower(to)))
                    })
                    || words.at(to).is_some_and(|next| {
                        next.shape == Shape::Initial && to + 1 < words.tokens.len() && foreign(words, to + 1)
                    })
            }
            ". " => words.tokens[to - 1].shape == Shape::Initial && foreign(words, to),
            _ => false,
        }
    {
        to += 1;
    }
    let place =
        matches!(words.lower(index - 1).as_str(), "in" | "from" | "near" | "outside" | "around" | "at");
    let kind = if place || opens_place { Kind::Location } else { Kind::Name };
    let from = words.with_particles(index);
    if let (Some(first), Some(last)) = (words.at(from), words.at(to - 1)) {
        out.push(Candidate { start: first.start, end: last.end, kind, layer: Layer::Pattern, score: 0.5 });
    }
}

/// "J.J. Mabhena", "K. Oderwald": a surname after initials.
fn by_initials(words: &Words<'_>, index: usize, out: &mut Vec<Candidate>) {
    let is_initial = |i: usize| words.at(i).is_some_and(|token| token.shape == Shape::Initial);
    if !is_initial(index) || index > 0 && is_initial(index - 1) && words.gap_before(index).starts_with('.') {
        return;
    }
    let mut last = index;
    while last < index + 2 && is_initial(last + 1) && matches!(words.gap_before(last + 1), "." | ". ") {
        last += 1;
    }
    let gap = words.gap_before(last + 1);
    let mut name = last + 1;
    while name < last + 4
        && words.at(name).is_some_and(|token| token.is(PARTICLE) && token.shape == Shape::Lower)
    {
        name += 1;
    }
    let written = gap == ". " || gap == "." && (last > index || foreign(words, name));
    let open = last > index || words.opens(index) || !words.gap_before(index).is_empty();
    let known = words
        .at(name)
        .is_some_and(|token| token.shape == Shape::Title && !token.is(STOP | PROPER | TITLE | CREDENTIAL));
    if written && open && (foreign(words, name) || known && last > index) {
        let to = words.run(name, false).max(name + 1);
        words.push(out, index, to, Layer::Pattern, 0.7);
    }
}

fn plain(words: &Words<'_>, index: usize) -> bool {
    words.at(index).is_some_and(|token| {
        let flags = STOP | TITLE | CREDENTIAL | RELATION | WARD | EPONYM_FOLLOW;
        let word = token.text(words.text);
        let named = token.is(GIVEN | SURNAME);
        token.capitalised()
            && (!token.is(flags | WORD | PROPER) || named && !token.is(STOP))
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
    // "Interpreter Laila Löf", "To: Margareta Björkman", a cell of a table.
    let strange = full
        && end - start <= 4
        && (start..end).all(|index| {
            foreign(words, index)
                || words.at(index).is_some_and(|token| token.shape == Shape::Initial || token.is(PARTICLE))
        })
        && words.tokens[start..end].iter().any(|token| !token.is(AMBIGUOUS) && token.shape == Shape::Title);
    // "Halimah's mother", "Mzamo tolerated"
    let owner = !full
        && foreign(words, start)
        && (first.possessive && words.at(end).is_some_and(|next| next.is(RELATION))
            || words.gap_before(end) == " "
                && words.at(end).is_some_and(|next| {
                    next.shape == Shape::Lower
                        && next.is(PERSON_VERB)
                        && (!matches!(
                            words.lower(end).as_str(),
                            "is" | "was" | "has" | "had" | "can" | "will" | "did" | "does"
                        ) || DOING.contains(&words.lower(end + 1).as_str()))
                }));
    // "2/16 Hoffman: stable"
    let line = words.text[..first.start].rfind('\n').map_or(0, |end| end + 1);
    let entry = end - start <= 2
        && words.gap_before(end).starts_with(':')
        && first.start - line < 40
        && !first.is(WARD | EPONYM_FOLLOW)
        && (first.is(GIVEN | SURNAME) || foreign(words, start))
        && {
            let before = &words.text[line..first.start];
            before.ends_with(' ')
                && before.bytes().filter(u8::is_ascii_digit).count() > 0
                && (before.contains(['/', '-']) || before.bytes().any(|b| b.is_ascii_alphabetic()))
                && before.split(|c: char| !c.is_ascii_alphabetic()).all(|word| {
                    matches!(word, "" | "of" | "the" | "st" | "nd" | "rd" | "th" | "T")
                        || is_month_or_day(word)
                        || first.is(PARTICLE)
                        || lexicon::flags(&word.to_lowercase()) & PARTICLE != 0
                })
        };
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
    if apposed || record || subject || introduced || strange || owner || entry {
        words.push(out, start, end, Layer::Pattern, if introduced { 0.55 } else { 0.75 });
    }
}
