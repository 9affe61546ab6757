//! Identifiers by where they stand, however they are written: columns of a table, values of a key, entries behind a date, the lines of an
//! address. It reads the text as it came, so that names in capitals only, or in none, count as well.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::names::Words;
use super::patterns::{Contains, built_in};
use super::places::STATE_NAMES;
use super::tokens::Shape;
use super::{Candidate, Layer, vocabulary};
use crate::Kind;
use crate::lexicon::{AMBIGUOUS, CREDENTIAL, GIVEN, PROPER, RELATION, STOP, SURNAME, TITLE, WORD};

/// Finds them.
pub(crate) fn find(words: &Words<'_>, contains: Contains, out: &mut Vec<Candidate>) {
    initials_between(words, out);
    families(words, out);
    labelled(words, out);
    writers(words, out);
    organisations(words, out);
    wrapped(words, out);
    if !contains.has_digit() {
        return;
    }
    columns(words, out);
    values(words, out);
    beside_numbers(words, out);
    entries(words, out);
    addresses(words.text, out);
}

fn push(out: &mut Vec<Candidate>, start: usize, end: usize, kind: Kind, score: f32) {
    out.push(Candidate { start, end, kind, layer: Layer::Pattern, score });
}

/// Words that may be a name's for all the lists know: names, or words that they know nothing of.
fn strange(words: &Words<'_>, index: usize) -> bool {
    words.at(index).is_some_and(|token| {
        let listed = token.is(GIVEN | SURNAME);
        token.shape != Shape::Initial
            && token.end - token.start > 1
            && !words.is_eponym(index)
            && if listed {
                !token.is(STOP) || token.is(AMBIGUOUS)
            } else {
                !token.is(STOP | WORD | PROPER | TITLE | CREDENTIAL | RELATION)
                    && !vocabulary::is_clinical(&words.lower(index))
            }
    })
}

/// "jackson j. perry", "H.H. HARDY": initials with periods before a surname are nobody's but a person's.
fn initials_between(words: &Words<'_>, out: &mut Vec<Candidate>) {
    let initial = |index: usize| {
        words.at(index).is_some_and(|token| token.shape == Shape::Initial || token.end - token.start == 1)
    };
    for index in 0..words.tokens.len() {
        if !initial(index) || !matches!(words.gap_before(index + 1), ". " | ".") {
            continue;
        }
        // An abbreviation of small letters: "p.o.", "q.h.s.".
        let dose = matches!(words.lower(index).as_str(), "p" | "q" | "o" | "b" | "t")
            && index.checked_sub(1).is_none_or(|before| !strange(words, before));
        if dose {
            continue;
        }
        let mut last = index + 1;
        if initial(last) && matches!(words.gap_before(last + 1), ". " | ".") && words.gap_before(last) == "."
        {
            last += 1;
        } else if !index.checked_sub(1).is_some_and(|before| {
            strange(words, before)
                && words.gap_before(index) == " "
                && words.tokens[before].is_upper(words.text) == words.tokens[index].is_upper(words.text)
        }) {
            continue;
        }
        let surname = words.gap_before(last) == ". " && strange(words, last);
        // With a name of the lists on one side or the other.
        let known = words.any(last, last + 1, GIVEN | SURNAME)
            || last == index + 1 && words.any(index - 1, index, GIVEN | SURNAME);
        // In ordinary writing a surname has a capital, and a sentence that begins behind an initial has no surname before it.
        let written = words.at(last).is_some_and(|token| token.capitalised())
            == words.tokens[index].is_upper(words.text);
        if surname && known && written {
            let first = if last == index + 1 { index - 1 } else { index };
            push(out, words.tokens[first].start, words.tokens[last].end, Kind::Name, 0.7);
        }
    }
}

static FAMILIES: LazyLock<Regex> = LazyLock::new(|| {
    // Gaelic and Dutch forms in capitals or as usual; in small letters alone only those that are no words.
    built_in(
        r"(?:^|[^\pL\d])(?P<id>(?:Ó|Ní|Uí|Ua|ó|ní|uí|[Mm]ac an|MAC AN|Mac Giolla|MAC GIOLLA|[Vv]an der|VAN DER|[Vv]an den|VAN DEN|[Vv]an de|VAN DE|[Vv]on der|VON DER|[Dd]e la|DE LA|[Tt]en|[Tt]er|[Ii]n 't) (?:(?:[Vv]an|VAN|[Dd]e|DE) )?[\pL][\pL'’-]*\pL)|(?:^|[^\pL\d])(?P<mac>Mac [\pL][\pL'’-]*\pL|M(?:a)?c\p{Lu}[\pL'’-]*\pL|MAC \p{Lu}[\p{Lu}'’-]*\p{Lu})",
    )
});

/// "Ó Muinníle", "Mac an Bhua", "van der Berg".
fn families(words: &Words<'_>, out: &mut Vec<Candidate>) {
    for found in FAMILIES.captures_iter(words.text) {
        let Some(id) = found.name("id").or(found.name("mac")) else { continue };
        let last = words.tokens.partition_point(|token| token.start < id.end()).saturating_sub(1);
        let Some(surname) = words.at(last) else { continue };
        let ordinary = surname.is(STOP | WORD | PROPER) && !surname.is(GIVEN | SURNAME);
        let sign = words.is_eponym(last) || vocabulary::is_clinical(&words.lower(last));
        // "ten days", "ter die": a number or Latin before a word in small letters.
        let small = id.as_str().starts_with(char::is_lowercase) && surname.shape == Shape::Lower;
        let number = matches!(words.lower(last.saturating_sub(1)).as_str(), "ten" | "ter" | "la" | "in")
            && (small || ordinary);
        if !(sign || number || ordinary && small) {
            push(out, id.start(), id.end(), Kind::Name, 0.75);
        }
    }
}

/// What stands over a column of names.
fn names_people(header: &str) -> bool {
    let header = header.trim().to_lowercase();
    matches!(
        header.as_str(),
        "name"
            | "patient"
            | "patient name"
            | "pt name"
            | "pt"
            | "provider"
            | "clinician"
            | "physician"
            | "doctor"
            | "nurse"
            | "attending"
            | "surgeon"
            | "staff"
            | "contact"
            | "guarantor"
            | "full name"
            | "last name"
            | "first name"
            | "surname"
            | "given name"
            | "family name"
            | "author"
            | "resident"
            | "ordering provider"
            | "consultant"
            | "next of kin"
    )
}

/// A value that may be a name: a few words and nothing else.
fn nameable(value: &str) -> bool {
    let letters = value.chars().filter(|c| c.is_alphabetic()).count();
    letters >= 2
        && value.len() <= 60
        && value.split_whitespace().count() <= 6
        && value
            .chars()
            .all(|c| c.is_alphabetic() || matches!(c, ' ' | '\n' | '\r' | '.' | ',' | '\'' | '’' | '-'))
}

/// Cells under a header such as "Provider", in tables of bars or tabulators.
fn columns(words: &Words<'_>, out: &mut Vec<Candidate>) {
    let mut header: Option<(char, Vec<bool>)> = None;
    let mut at = 0;
    for line in words.text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let Some(bar) = ['|', '\t'].into_iter().find(|bar| line.matches(*bar).count() >= 2) else {
            header = None;
            continue;
        };
        let cells: Vec<&str> = line.trim_end_matches(['\n', '\r']).split(bar).collect();
        let named: Vec<bool> = cells.iter().map(|cell| names_people(cell)).collect();
        if named.contains(&true) && !line.contains(|c: char| c.is_ascii_digit()) {
            header = Some((bar, named));
            continue;
        }
        let Some((_, columns)) =
            header.as_ref().filter(|(of, columns)| *of == bar && columns.len() == cells.len())
        else {
            continue;
        };
        let mut from = start;
        for (cell, named) in cells.iter().zip(columns) {
            let value = cell.trim();
            if *named && nameable(value) {
                let begin = from + cell.len() - cell.trim_start().len();
                push(out, begin, begin + value.len(), Kind::Name, 0.85);
            }
            from += cell.len() + bar.len_utf8();
        }
    }
}

static VALUES: LazyLock<Regex> = LazyLock::new(|| {
    built_in(
        r#"(?i)\b(?:patient|pt|person|provider|physician|full|member|guarantor|subscriber|display)?[ _]?(?:name|patient|provider|attending|author)"?\s?(?::\s?"(?P<quoted>[^"\n]{2,60}(?:\n[^"\n]{1,40})?)"|=\s?"?(?P<plain>[^";&|\n=]{2,60})[;&|"])"#,
    )
});

/// `"patient": "…"`, `patient_name=…;`.
fn values(words: &Words<'_>, out: &mut Vec<Candidate>) {
    for found in VALUES.captures_iter(words.text) {
        if let Some(value) =
            found.name("quoted").or(found.name("plain")).filter(|value| nameable(value.as_str()))
        {
            push(out, value.start(), value.end(), Kind::Name, 0.85);
        }
    }
}

static REVERSED: LazyLock<Regex> = LazyLock::new(|| {
    built_in(
        r"(?P<id>\pL[\pL'’-]*\pL(?: \pL[\pL'’-]*\pL){0,2},\s?\pL[\pL'’-]*(?: \pL\b\.?)?) ?(?:- |\()(?P<number>(?:MRN?[ -]?)?[A-Za-z]{0,2}\d[\d-]{4,})",
    )
});
static BEFORE_NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    built_in(
        r"(?P<id>\pL[\pL'’-]*\pL (?:\pL\.? )?\pL[\pL'’-]*\pL)\s\((?:MRN?[ -]?)?[A-Za-z]{0,2}\d[\d-]{4,}\)",
    )
});

/// "DOE, JANE - 83271420 -", "Jane Q. Doe (850-36-223)": a name and its record number.
fn beside_numbers(words: &Words<'_>, out: &mut Vec<Candidate>) {
    let all_strange = |found: &Captures<'_>| {
        let id = found.name("id")?;
        let mut first = words.tokens.partition_point(|token| token.start < id.start());
        let last = words.tokens.partition_point(|token| token.end <= id.end());
        // Words of the sentence before it: "Seen with Doe, Jane".
        let fits = |index: usize| {
            strange(words, index)
                || words.at(index).is_some_and(|token| {
                    token.shape == Shape::Initial
                        || token.capitalised() && index + 2 >= last && !token.is(STOP | CREDENTIAL | TITLE)
                })
        };
        while first < last && !(first..last).all(fits) {
            first += 1;
        }
        (last.saturating_sub(first) >= 2).then(|| (words.tokens[first].start, id.end()))
    };
    for found in REVERSED.captures_iter(words.text) {
        if let Some((start, end)) = all_strange(&found) {
            push(out, start, end, Kind::Name, 0.75);
            if let Some(number) = found.name("number") {
                push(out, number.start(), number.end(), Kind::MedicalRecord, 0.75);
            }
        }
    }
    for found in BEFORE_NUMBER.captures_iter(words.text) {
        if let Some((start, end)) = all_strange(&found) {
            push(out, start, end, Kind::Name, 0.75);
        }
    }
}

static ENTRIES: LazyLock<Regex> = LazyLock::new(|| {
    built_in(
        r"(?i)(?:\d{4}|\d[/.-]\d{1,4}|\d\d(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*'?\d*|(?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.?(?: '?\d{1,4}(?:st|nd|rd|th)?)?|:\d\d)[ \t](?P<id>(?:\pL\.\s?){0,2}\pL[\pL'’-]*\pL(?: \pL[\pL'’-]*\pL)?):\s",
    )
});

/// "04.09.1974 Zorlu: BMI 31.4": who wrote an entry.
fn entries(words: &Words<'_>, out: &mut Vec<Candidate>) {
    for found in ENTRIES.captures_iter(words.text) {
        let Some(id) = found.name("id") else { continue };
        let first = words.tokens.partition_point(|token| token.start < id.start());
        let last = words.tokens.partition_point(|token| token.end <= id.end());
        let name = |index: usize| {
            strange(words, index) || words.at(index).is_some_and(|token| token.shape == Shape::Initial)
        };
        if last > first && (first..last).all(name) {
            push(out, id.start(), id.end(), Kind::Name, 0.7);
        }
    }
}

static CITY_STATE_ZIP: LazyLock<Regex> = LazyLock::new(|| {
    built_in(&format!(
        r"(?i)(?:^|[\n,]|\.br\\)\s*(?P<id>\pL[\pL.'’-]*(?: [\pL.'’-]+){{0,4}},\s?(?:{STATE_NAMES}|[A-Z]{{2}}),?\s\d{{5}}(?:-\d{{4}})?)\b"
    ))
});
static BRITISH: LazyLock<Regex> = LazyLock::new(|| {
    built_in(
        r"(?i)\b(?P<id>(?:(?:flat|studio|unit|suite|apartment) \d{1,4}[a-z]?,\s)?(?:\d{1,5}[a-z]? )?\pL[\pL.'’-]*(?: [\pL.'’-]+){0,4},\s\pL[\pL.'’-]*(?: [\pL.'’-]+){0,3},\s(?:[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}))\b",
    )
});
static LINE: LazyLock<Regex> = LazyLock::new(|| {
    built_in(
        r"(?im)(?:^|\b(?:lives at|address:|home:|from|on|over on|to|c/o)\s)(?P<id>\d{2,6} \pL[\pL'’-]+(?: [\pL'’-]+){0,2} (?:centers?|manor|bend|cove|run|corners?|crossing|glen|hollow|landing|mills?|orchard|prairie|ridge|shoals?|springs?|station|trace|views?|walks?|meadows?|lodge|junction|gardens?|plaza|terrace|row|path|pike|loop|circle|court|lane|drive|route)(?: (?:apt|suite|unit)\.? ?[\dA-Z]+)?)\s*(?:[,.\n]|$| with\b)",
    )
});

/// Towns before a state and a zip code, British addresses, and streets that fill a line.
fn addresses(text: &str, out: &mut Vec<Candidate>) {
    for pattern in [&CITY_STATE_ZIP, &BRITISH, &LINE] {
        for id in pattern.captures_iter(text).filter_map(|found| found.name("id")) {
            push(out, id.start(), id.end(), Kind::Location, 0.85);
        }
    }
}

static LABELLED: LazyLock<Regex> = LazyLock::new(|| {
    built_in(
        r"(?im)\b(?:patient name|pt name|full name|name|pcp|attending|surgeon|radiologist|pathologist|anesthesiologist|subscriber|guarantor|insured|author|physician|provider|consultant|clinician|next of kin|emergency contact|reported by|verified by|signed by|dictated by|transcribed by|performed by|reviewed by|scribed by|transcriptionist|typist|scribe|re)\s?: {1,4}(?P<id>\pL[\pL'’-]*\.?(?:\pL\.)?(?:,? {1,2}\pL[\pL'’-]*\.?){0,4}?)(?: {0,2}, ?(?:m\.?d\.?|d\.?o\.?|rn|np|pa-c|pa|pharmd|phd|dds)\b\.?| {2,}(?:d\.?o\.?b\b|mrn|date|age|sex)[^\n]*| {0,2}\()?[ \t]*(?:$|\\\.br|\|)",
    )
});

/// "PCP: SENNA S. MERCHANT" to the end of the line: behind a label for people even ordinary words are a name.
fn labelled(words: &Words<'_>, out: &mut Vec<Candidate>) {
    for found in LABELLED.captures_iter(words.text) {
        let Some(id) = found.name("id") else { continue };
        let first = words.tokens.partition_point(|token| token.start < id.start());
        let last = words.tokens.partition_point(|token| token.end <= id.end());
        let single = last == first + 1;
        let says = |index: usize| {
            words.at(index).filter(|token| token.end - token.start > 1).is_some_and(|token| {
                token.is(STOP | TITLE | CREDENTIAL | RELATION)
                    && !token.is(GIVEN | SURNAME | AMBIGUOUS)
                    && !matches!(words.lower(index).as_str(), "mar" | "may" | "april" | "june" | "jan")
            })
        };
        let named = (first..last).any(|index| strange(words, index));
        let written = (first..last)
            .all(|index| !words.at(index).is_some_and(|token| token.shape == Shape::Lower))
            || (first..last).all(|index| {
                words.at(index).is_some_and(|token| matches!(token.shape, Shape::Lower | Shape::Initial))
            });
        // An initial between two words is a person's whatever the words are.
        let middle =
            last > first + 2 && words.at(first + 1).is_some_and(|token| token.end - token.start == 1);
        let enough = if single { named } else { named || middle || words.any(first, last, GIVEN | SURNAME) };
        if last > first && written && enough && (middle || !(first..last).any(says)) {
            push(out, id.start(), id.end(), Kind::Name, 0.75);
        }
    }
}

static WRITERS: LazyLock<Regex> = LazyLock::new(|| {
    built_in(
        r"(?i)\b(?:transcriptionist|typist|scribe|(?:dictated|transcribed|reviewed|typed|scribed|entered|keyed) {1,2}by)\s?:? {1,2}(?P<id>\pL\.?\pL\.?\pL?\.?|\pL[\pL'’-]+ \pL\.)(?:[\s,;/]|\.?$|\. )",
    )
});

/// "Transcriptionist: cc", "reviewed by A.N.".
fn writers(words: &Words<'_>, out: &mut Vec<Candidate>) {
    for id in WRITERS.captures_iter(words.text).filter_map(|found| found.name("id")) {
        let first = words.tokens.partition_point(|token| token.start < id.start());
        let word = words.lower(first);
        let short = id.as_str().chars().filter(|c| c.is_alphabetic()).count() <= 3;
        let ordinary = !id.as_str().contains('.')
            && matches!(
                word.as_str(),
                "me" | "my"
                    | "us"
                    | "our"
                    | "pt"
                    | "ot"
                    | "icu"
                    | "ed"
                    | "er"
                    | "id"
                    | "the"
                    | "him"
                    | "her"
                    | "or"
                    | "rn"
                    | "md"
                    | "np"
                    | "pa"
                    | "an"
                    | "a"
                    | "it"
            );
        if !ordinary
            && (short
                && !words.at(first).is_some_and(|token| {
                    token.is(WORD) && token.shape != Shape::Initial && !token.is(GIVEN | SURNAME)
                })
                || strange(words, first))
        {
            push(out, id.start(), id.end(), Kind::Name, 0.7);
        }
    }
}

static ORGANISATIONS: LazyLock<Regex> = LazyLock::new(|| {
    built_in(
        r"(?i)\b(?:attends|inpatient at|(?:sent|seen|referred) (?:here )?(?:by|to|from|at)(?: [\pL.'’-]+){0,4}? at|sent here by|transferred (?:from|to)|admitted (?:to|at)|followed at|graduated from|teaches at|studies at|coaches at|placed to \pL+ at|phoned|records from|insurance:|copied to: [\pL .']{3,40},)\s(?P<id>(?:[\pL\d'’.&/-]+ {1,2}){1,6}?(?:university|college|school|academy|hospital|clinic|cent(?:er|re)|pharmacy|infirmary|hospice|care home|nursing home|rehab|medical group|surgical associates|health system))\b",
    )
});
static EMPLOYERS: LazyLock<Regex> = LazyLock::new(|| {
    built_in(
        r"(?im)\b(?:employed by|retired from|employer\s?:)\s(?P<id>[\pL\d'’&.-]*[\pL\d](?: [\pL\d'’&-]+){0,4}?)(?: (?:last|this|in|since|as|where|for|at|after|and|he|she|it|his|her|the|they|we|i|pt|patient|mr|mrs|ms|dr|no|who|on|with)\b|[,;]|\.(?:\s|$)|\n|$)",
    )
});
static PARTNERS: LazyLock<Regex> = LazyLock::new(|| {
    built_in(
        r"(?i)\b(?:from|for|by|at|employer:|insurance:|company:)\s(?P<id>\pL[\pL'’-]+,\s{1,2}\pL[\pL'’-]+,? and \pL[\pL'’-]+)",
    )
});
const OCCUPATIONS: &[&str] = &[
    "the",
    "his",
    "her",
    "their",
    "a",
    "an",
    "our",
    "work",
    "job",
    "full",
    "part",
    "full-time",
    "part-time",
    "teaching",
    "nursing",
    "practice",
    "military",
    "army",
    "navy",
    "police",
    "government",
    "federal",
    "state",
    "city",
    "county",
    "self",
    "farming",
    "construction",
    "law",
    "being",
    "working",
    "active",
    "driving",
    "mining",
    "public",
    "private",
    "local",
    "no",
    "none",
    "unknown",
    "disabled",
    "retired",
    "n",
    "office",
    "factory",
    "sales",
];

/// "attends clayton state university", "RETIRED FROM OMNI SOURCE LAST YEAR", "from ford, wright and snyder".
fn organisations(words: &Words<'_>, out: &mut Vec<Candidate>) {
    let range = |start: usize, end: usize| {
        let first = words.tokens.partition_point(|token| token.start < start);
        first..words.tokens.partition_point(|token| token.end <= end)
    };
    let own = |index: usize| strange(words, index) || words.any(index, index + 1, crate::lexicon::PLACE);
    for id in ORGANISATIONS.captures_iter(words.text).filter_map(|found| found.name("id")) {
        // "the urology clinic", "our hospital" have no name of their own.
        let named = range(id.start(), id.end());
        let general = matches!(
            words.lower(named.start).as_str(),
            "the" | "a" | "an" | "our" | "my" | "this" | "his" | "her" | "their" | "outside" | "another"
        );
        if !general && named.clone().any(own) {
            push(out, id.start(), id.end(), Kind::Organization, 0.75);
        }
    }
    for id in EMPLOYERS.captures_iter(words.text).filter_map(|found| found.name("id")) {
        let named = range(id.start(), id.end());
        let proper = words.at(named.start + 1).is_some_and(|next| next.shape == Shape::Title)
            && words.at(named.start).is_some_and(|the| the.shape == Shape::Title);
        if named.is_empty() || OCCUPATIONS.contains(&words.lower(named.start).as_str()) && !proper {
            continue;
        }
        if named.len() > 1 || named.clone().any(own) || id.as_str().contains(|c: char| c.is_ascii_digit()) {
            push(out, id.start(), id.end(), Kind::Organization, 0.7);
        }
    }
    for id in PARTNERS.captures_iter(words.text).filter_map(|found| found.name("id")) {
        let named = range(id.start(), id.end());
        let and = |index: usize| words.lower(index) == "and";
        if named
            .clone()
            .all(|index| and(index) || words.any(index, index + 1, SURNAME) || strange(words, index))
        {
            push(out, id.start(), id.end(), Kind::Organization, 0.7);
        }
    }
}

/// A name that a line end parts: "WASHINGTON,⏎CYNTHIA". Two lines at a time are read as one.
fn wrapped(words: &Words<'_>, out: &mut Vec<Candidate>) {
    let text = words.text;
    for index in 1..words.tokens.len() {
        let (before, token) = (&words.tokens[index - 1], &words.tokens[index]);
        let gap = words.gap_before(index);
        if !matches!(gap, "\n" | " \n" | "\n " | ",\n" | ", \n" | ".\n" | ". \n") {
            continue;
        }
        let person = |at: usize| words.any(at, at + 1, GIVEN | SURNAME) && strange(words, at);
        let initial = before.shape == Shape::Initial && gap.starts_with('.');
        let written = token.shape != Shape::Lower && (before.shape != Shape::Lower || gap.starts_with('.'));
        let end = text[token.end..].starts_with(':') || before.end - before.start < 2 && !initial;
        if !written || end || gap.starts_with('.') && !initial {
            continue;
        }
        // Both sides are known for names, and the second for nothing else: a new line begins with a capital anyhow.
        let first = person(index - 1) || initial;
        if !first || !person(index) || token.is(AMBIGUOUS | TITLE | RELATION | STOP | WORD | CREDENTIAL) {
            continue;
        }
        // Given name and surname, in whatever order; two names below one another are two, and both go.
        let mut start = before.start;
        if initial && index > 1 && words.gap_before(index - 1) == " " && strange(words, index - 2) {
            start = words.tokens[index - 2].start;
        }
        push(out, start, before.end, Kind::Name, 0.6);
        push(out, token.start, token.end, Kind::Name, 0.6);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokenize;
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let tokens = tokenize(text);
        let mut out = Vec::new();
        find(&Words { text, tokens: &tokens }, Contains::of(text), &mut out);
        super::super::merge(text, out).into_iter().map(|at| text[at.start..at.end].to_owned()).collect()
    }

    #[test]
    fn finds_names_and_addresses_by_where_they_stand() {
        for (text, identifier) in [
            ("| Provider | Seen | Phone |\n| spring fielder | 4/5/2020 | none |", "spring fielder"),
            ("Shift\tNurse\tBed\n07\tClay Potter\t4", "Clay Potter"),
            (r#"{"patient": "APRIL SUMMERS", "n": 1}"#, "APRIL SUMMERS"),
            ("patient_name=Mar Luz; n=12", "Mar Luz"),
            ("BACKER,MARLA - E174427319 - seen", "BACKER,MARLA"),
            ("hani h. namaga (165-23-272) is here", "hani h. namaga"),
            ("NOTED. CARLA C. NAMAGA WAS SEEN", "CARLA C. NAMAGA"),
            ("known to R.R. HAYS today", "R.R. HAYS"),
            ("04.09.1974 Zorlu: BMI 31.4", "Zorlu"),
            ("Thelma Ó hAithchir was seen", "Ó hAithchir"),
            ("PER Ó MULÁIN, CONTINUE", "Ó MULÁIN"),
            ("signed p. mac an bhua, md", "mac an bhua"),
            ("by Omobo van der Ojua today", "van der Ojua"),
            ("12 Main St\nKING OF PRUSSIA, ARIZONA 91226", "KING OF PRUSSIA, ARIZONA 91226"),
            (
                "lives at flat 8, antony trail, east stanley, cf8 2hf.",
                "flat 8, antony trail, east stanley, cf8 2hf",
            ),
            ("PCP: SENNA S. MERCHANT\nSeen", "SENNA S. MERCHANT"),
            ("reported by: charles a yoshida\nverified", "charles a yoshida"),
            ("Subscriber: Mar Herrero\n", "Mar Herrero"),
            ("Transcriptionist: cc\nnone", "cc"),
            ("Case reviewed by A.N. today", "A.N."),
            ("attends clayton state university. there", "clayton state university"),
            ("RETIRED FROM OMNI SOURCE LAST YEAR.", "OMNI SOURCE"),
            ("employed by gateway computers. he", "gateway computers"),
            ("elizabeth from ford, wright and snyder by phone", "ford, wright and snyder"),
            ("seen with Abdul\nWashington today", "Washington"),
            ("CLINIC\n1076 CROSSOVER BEND\nX", "1076 CROSSOVER BEND"),
        ] {
            let found = found(text);
            assert!(found.iter().any(|piece| piece == identifier), "{text}: {found:?}");
        }
    }

    #[test]
    fn keeps_what_stands_there_and_names_nobody() {
        for text in [
            "| Test | Result | Unit |\n| sodium | 138 | mmol |",
            "hepatitis b. recommended 2 doses; vitamin d. take 1000",
            "metoprolol 25 mg p.o. b.i.d. continued",
            "2024 Labs: sodium 138. 10/12 Assessment: stable",
            "for ten days, 3 ten tablets",
            "MCV 88, asked to see T. Hendrix, McBurney's point, 2 McMurray tests",
            "Dose (12345-678)",
            "PCP: none\nAttending: same as above\nName: see chart\nPhysician: Follow Up Visit\nRE: Chest Pain\n",
            "reviewed by me, dictated by: the resident",
            "attends school, transferred to the medical center, seen in our clinic, admitted to the hospital",
            "retired from nursing, employed by the county, retired from full time work",
            "for nausea, vomiting and diarrhea",
            "Chest pain\nBack pain\nAllergies\nPenicillin",
            "I.V. fluids at 100, O.D. 20/40",
        ] {
            assert_eq!(found(text), Vec::<String>::new(), "{text}");
        }
    }
}
