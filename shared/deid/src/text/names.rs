//! Names of people: by title, credential, relation, role, verb and list.

use super::tokens::{Shape, Token};
use super::{Candidate, Layer};
use crate::Kind;
use crate::lexicon::{
    ACTION, AMBIGUOUS, CREDENTIAL, EPONYM, EPONYM_FOLLOW, GIVEN, PARTICLE, PERSON_VERB, PROPER, RELATION,
    SPEECH, STOP, SURNAME, TITLE, WORD,
};

/// The longest name, in words.
const LONGEST: usize = 5;

/// A text with its words.
pub(crate) struct Words<'t> {
    pub(crate) text: &'t str,
    pub(crate) tokens: &'t [Token],
}

impl Words<'_> {
    pub(crate) fn at(&self, index: usize) -> Option<&Token> {
        self.tokens.get(index)
    }

    /// The text between a word and the one before it; from the start of the text for the first.
    pub(crate) fn gap_before(&self, index: usize) -> &str {
        let from = index.checked_sub(1).and_then(|i| self.at(i)).map_or(0, |token| token.end);
        self.at(index).and_then(|token| self.text.get(from..token.start)).unwrap_or("")
    }

    pub(crate) fn lower(&self, index: usize) -> String {
        self.at(index).map(|token| token.text(self.text).to_lowercase()).unwrap_or_default()
    }

    /// The first word of a sentence, line or cell.
    pub(crate) fn opens(&self, index: usize) -> bool {
        index == 0
            || self.gap_before(index).contains(['.', '\n', ':', '!', '?', ';', '•', '|', '\r', '"', '(', '*'])
    }

    /// A surname used as the name of a disease, sign or instrument: "Parkinson's", "Graves disease", "Hodgkin lymphoma".
    pub(crate) fn is_eponym(&self, index: usize) -> bool {
        let Some(token) = self.at(index) else { return false };
        let follow = |i: usize| {
            self.at(i).is_some_and(|next| next.is(EPONYM_FOLLOW))
                && matches!(self.gap_before(i), " " | "'s " | "’s " | "' " | "-")
        };
        if follow(index + 1) {
            return true;
        }
        if token.is(EPONYM) && token.text(self.text).contains('-') {
            return true;
        }
        // "Lou Gehrig's disease", "Roux-en-Y".
        if self.at(index + 1).is_some_and(|next| next.is(EPONYM) && next.possessive) && follow(index + 2)
            || token.text(self.text).contains('-')
                && token.text(self.text).split('-').any(|part| {
                    crate::lexicon::flags(&part.to_lowercase()) & (EPONYM | GIVEN | SURNAME) == EPONYM
                })
                && !token.is(GIVEN | SURNAME)
                && index.checked_sub(1).is_none_or(|before| !self.tokens[before].is(TITLE | GIVEN))
        {
            return true;
        }
        // Two surnames or an adjective in between: "Wolff-Parkinson-White syndrome", "Graves' eye disease".
        token.is(EPONYM)
            && (token.possessive
                || (self.at(index + 1).is_some_and(|next| next.is(EPONYM) || next.shape == Shape::Lower)
                    && follow(index + 2))
                || self.gap_before(index + 1).starts_with(['\'', '’']))
    }

    /// Written and placed as a name may be.
    pub(crate) fn namelike(&self, index: usize) -> bool {
        self.at(index).is_some_and(|token| {
            (token.capitalised()
                && (!token.is(STOP | CREDENTIAL | TITLE | WORD | PROPER)
                    || token.is(GIVEN | SURNAME | AMBIGUOUS)))
                || token.shape == Shape::Initial
        })
    }

    /// The index behind a run of name words that starts at `start`; `start` when there is none.
    pub(crate) fn run(&self, start: usize, comma: bool) -> usize {
        let mut end = start;
        let mut commas = usize::from(!comma);
        while end < start + LONGEST && self.at(end).is_some() {
            if end > start {
                let before = &self.tokens[end - 1];
                let joined = match self.gap_before(end) {
                    " " | "-" => true,
                    ". " | "." => before.shape == Shape::Initial || before.text(self.text) == "St",
                    ", " | "," if commas == 0 => {
                        commas += 1;
                        true
                    }
                    _ => false,
                };
                // "Deanna Payne IP address": capitals behind a name are no name unless a list says so.
                let shouted = before.shape == Shape::Title
                    && self.tokens[end].shape == Shape::Upper
                    && !self.tokens[end].is(GIVEN | SURNAME);
                if !joined || shouted {
                    break;
                }
            }
            if self.namelike(end) {
                end += 1;
                continue;
            }
            // Particles belong to a name only when a name word follows: "Ludwig van der Berg".
            let mut after = end;
            while after < end + 3 && self.at(after).is_some_and(|token| token.is(PARTICLE)) {
                after += 1;
            }
            if after > end && self.namelike(after) && self.gap_before(after) == " " {
                end = after + 1;
                continue;
            }
            break;
        }
        // A lone trailing initial without a period is the article or a grade: "Smith A".
        while end > start + 1
            && self.tokens[end - 1].shape == Shape::Initial
            && !self.text[self.tokens[end - 1].end..].starts_with('.')
            && !comma
        {
            end -= 1;
        }
        end
    }

    /// The index of the first of the lower-case particles before a name word: of "de" in "states de la Rosa".
    pub(crate) fn with_particles(&self, from: usize) -> usize {
        let mut left = from;
        while left > 0
            && from - left < 3
            && self.gap_before(left) == " "
            && self.tokens[left - 1].is(PARTICLE)
            && self.tokens[left - 1].shape == Shape::Lower
            && self.tokens[left - 1].end - self.tokens[left - 1].start > 1
        {
            left -= 1;
        }
        left
    }

    pub(crate) fn any(&self, from: usize, to: usize, flag: u32) -> bool {
        self.tokens.get(from..to).is_some_and(|tokens| tokens.iter().any(|token| token.is(flag)))
    }

    pub(crate) fn push(
        &self,
        out: &mut Vec<Candidate>,
        mut from: usize,
        to: usize,
        layer: Layer,
        score: f32,
    ) {
        // "Ilse de la Rosa" from Rosa on.
        let left = self.with_particles(from);
        let particles = left < from;
        from = left;
        while particles
            && from > 0
            && left - from < 2
            && self.namelike(from - 1)
            && (self.gap_before(from) == " "
                || self.gap_before(from) == ". " && self.tokens[from - 1].shape == Shape::Initial)
        {
            from -= 1;
        }
        if let (Some(first), Some(last)) = (self.at(from), to.checked_sub(1).and_then(|last| self.at(last))) {
            let mut end = last.end;
            if last.shape == Shape::Initial && self.text[end..].starts_with('.') && to > from + 1 {
                end += 1;
            }
            out.push(Candidate { start: first.start, end, kind: Kind::Name, layer, score });
        }
    }
}

/// Finds names.
pub(crate) fn find(words: &Words<'_>, out: &mut Vec<Candidate>) {
    for index in 0..words.tokens.len() {
        let token = &words.tokens[index];
        if token.is(TITLE) {
            after_title(words, index, out);
        }
        if token.is(CREDENTIAL) || token.shape == Shape::Initial {
            before_credential(words, index, out);
        }
        if token.is(RELATION) {
            after_relation(words, index, out);
        }
        if token.is(ACTION) {
            after_action(words, index, out);
        }
        if token.shape == Shape::Title || token.shape == Shape::Upper {
            as_subject(words, index, out);
            before_speech(words, index, out);
            by_list(words, index, out);
        }
    }
}

fn after_title(words: &Words<'_>, index: usize, out: &mut Vec<Candidate>) {
    let title = &words.tokens[index];
    let gap = words.gap_before(index + 1);
    if !matches!(gap, " " | ". " | "." | ".  " | "  ") {
        return;
    }
    let Some(next) = words.at(index + 1) else { return };
    // "MR brain", "MS changes", "DR angiogram": in capitals only with a period.
    if title.shape == Shape::Upper
        && !gap.starts_with('.')
        && (title.end - title.start < 3 || next.shape != Shape::Upper)
    {
        return;
    }
    let word = words.lower(index);
    // The drink.
    if matches!(word.as_str(), "dr" | "doctor") && words.lower(index + 1) == "pepper" {
        return;
    }
    let ordinary = matches!(
        word.as_str(),
        "nurse"
            | "doctor"
            | "officer"
            | "attorney"
            | "judge"
            | "captain"
            | "detective"
            | "miss"
            | "sir"
            | "professor"
            | "pastor"
            | "fr"
    );
    if next.shape == Shape::Lower && !(next.is(PARTICLE) && words.run(index + 1, false) > index + 1) {
        // Dictation without capitals.
        if next.is(GIVEN | SURNAME) && !next.is(AMBIGUOUS | STOP | PERSON_VERB) && !ordinary {
            words.push(out, index + 1, index + 2, Layer::Pattern, 0.85);
        }
        return;
    }
    let upper_name = next.is(GIVEN | SURNAME) && words.run(index + 1, false) > index + 2;
    if ordinary && (next.is(STOP) || next.shape == Shape::Upper && title.shape != Shape::Upper && !upper_name)
    {
        return;
    }
    let mut from = index + 1;
    // "Dr. and Mrs. Smith": the second title takes the name. A second title is skipped: "Prof. Dr. Smith".
    while words.at(from).is_some_and(|token| token.is(TITLE) && token.capitalised()) {
        from += 1;
    }
    let to = words.run(from, false);
    // After a title even an ordinary word is a name: "Dr. Day", "Dr. Best".
    let to = if to == from && words.at(from).is_some_and(|t| t.shape == Shape::Title && !t.is(STOP)) {
        from + 1
    } else {
        to
    };
    if to > from {
        words.push(out, from, to, Layer::Pattern, 0.95);
        // "Dr. Haddad/Okoye"
        if words.gap_before(to) == "/" {
            let end = words.run(to, false);
            if end > to {
                words.push(out, to, end, Layer::Pattern, 0.85);
            }
        }
        // "Drs. Smith and Jones", "Drs. Smith, Jones, and Lee"
        let mut next = to;
        let several = word == "drs";
        while several && next < words.tokens.len() {
            let conjunction = words.at(next).is_some_and(|_| words.lower(next) == "and");
            let start = if conjunction { next + 1 } else { next };
            if !conjunction && words.gap_before(start) != ", " {
                break;
            }
            let end = words.run(start, false);
            if end == start {
                break;
            }
            words.push(out, start, end, Layer::Pattern, 0.9);
            next = end;
        }
    }
}

fn before_credential(words: &Words<'_>, index: usize, out: &mut Vec<Candidate>) {
    let token = &words.tokens[index];
    let dotted = token.shape == Shape::Initial
        && words.gap_before(index + 1) == "."
        && words.at(index + 1).is_some_and(|next| {
            let second = next.text(words.text);
            matches!(
                (token.text(words.text), second),
                ("M", "D") | ("D", "O") | ("R", "N") | ("N", "P") | ("P", "A") | ("D", "D")
            )
        });
    let plain = token.is(CREDENTIAL)
        && matches!(token.shape, Shape::Upper | Shape::Title | Shape::Other)
        && index > 0;
    if !(dotted || plain) || index == 0 {
        return;
    }
    let gap = words.gap_before(index);
    let comma = matches!(gap, ", " | "," | ",  ");
    if !comma && gap != " " {
        return;
    }
    let word = words.lower(index);
    // "II", "Jr" and the two-letter ones that are words or states otherwise need a comma or a known name.
    let weak = matches!(
        word.as_str(),
        "do" | "pa" | "ot" | "pt" | "rd" | "ii" | "iii" | "iv" | "np" | "jr" | "sr" | "md"
    ) && !dotted;
    let mut from = index;
    while from > 0 && index - from < 4 {
        let candidate = from - 1;
        let joined = from == index || matches!(words.gap_before(from), " " | ". " | "." | "-");
        if joined && words.namelike(candidate) && !words.tokens[candidate].is(CREDENTIAL) {
            from = candidate;
        } else {
            break;
        }
    }
    let count = index - from;
    let known = words.any(from, index, GIVEN | SURNAME);
    if count == 0 || (weak && !known && !(comma && count >= 2)) || (count == 1 && !known && !comma) {
        return;
    }
    if count == 1 && words.is_eponym(from) {
        return;
    }
    words.push(out, from, index, Layer::Pattern, 0.9);
}

fn after_relation(words: &Words<'_>, index: usize, out: &mut Vec<Candidate>) {
    // "Child Protective Services", "Parent Training".
    if matches!(words.lower(index).as_str(), "child" | "parent")
        && words.at(index).is_some_and(|word| word.shape == Shape::Title)
        && !words.at(index + 1).is_some_and(|next| next.is(GIVEN))
    {
        return;
    }
    let mut from = index + 1;
    if words.at(from).is_some_and(|_| matches!(words.lower(from).as_str(), "named" | "is" | "called")) {
        if words.lower(from) == "is" && !words.at(from + 1).is_some_and(|t| t.is(GIVEN)) {
            return;
        }
        from += 1;
    }
    let Some(first) = words.at(from) else { return };
    if first.shape != Shape::Title || first.is(STOP | TITLE) || words.is_eponym(from) {
        return;
    }
    let direct = words.gap_before(from) == " ";
    let apposed = matches!(words.gap_before(from), ", " | " (" | ": ") && first.is(GIVEN | SURNAME);
    if !direct && !apposed {
        return;
    }
    // "Mother" at the head of a sentence in a list of headings says nothing about the next word.
    if !direct && first.is(AMBIGUOUS) {
        return;
    }
    let to = words.run(from, false).max(from + usize::from(direct));
    words.push(out, from, to, Layer::Pattern, 0.85);
}

fn after_action(words: &Words<'_>, index: usize, out: &mut Vec<Candidate>) {
    let mut from = index + 1;
    if !words.at(from).is_some_and(|_| matches!(words.lower(from).as_str(), "by" | "with" | "to")) {
        return;
    }
    from += 1;
    let Some(first) = words.at(from) else { return };
    if words.gap_before(from) != " "
        || first.is(TITLE | STOP)
        || !matches!(first.shape, Shape::Title | Shape::Initial | Shape::Upper)
    {
        return;
    }
    // "reviewed by K.P."
    let second = words.at(from + 1).is_some_and(|next| next.shape == Shape::Initial);
    if first.shape == Shape::Initial && second && words.gap_before(from + 1) == "." {
        words.push(out, from, from + 2, Layer::Pattern, 0.7);
        return;
    }
    // "reviewed by SW."
    let short = first.shape == Shape::Upper && first.end - first.start <= 3;
    if short
        && !first.is(STOP | CREDENTIAL | WORD | PROPER | crate::lexicon::WARD)
        && words.text[first.end..]
            .trim_start_matches(' ')
            .chars()
            .next()
            .is_none_or(|c| matches!(c, '.' | '\n' | ','))
        && words.lower(index + 1) == "by"
    {
        words.push(out, from, from + 1, Layer::Pattern, 0.6);
        return;
    }
    let to = words.run(from, false);
    // Departments are written in capitals as well: "discussed with NICU".
    if first.shape == Shape::Upper && to < from + 2 {
        return;
    }
    // "discussed with Krista, her husband"
    let apposed = words.gap_before(to) == ", " && matches!(words.lower(to).as_str(), "her" | "his" | "their");
    if (apposed || words.any(from, to, GIVEN | SURNAME)) && !words.is_eponym(to.saturating_sub(1)) {
        words.push(out, from, to, Layer::Pattern, 0.85);
    }
}

/// "Brian White is a 58-year-old", "Jane Roe, a 45 year old", "Alma, 71,".
fn as_subject(words: &Words<'_>, index: usize, out: &mut Vec<Candidate>) {
    if !words.opens(index) || !words.namelike(index) || words.tokens[index].is(STOP) {
        return;
    }
    let to = words.run(index, false);
    if to == index {
        return;
    }
    let last = &words.tokens[to - 1];
    // "Pleasant 94 y/o lady"
    if to == index + 1 && last.is(WORD) {
        return;
    }
    // "C-Section", "Briefly, a 16-year-old".
    let known = words.any(index, to, GIVEN | SURNAME);
    let word = last.text(words.text);
    if !known && (word.contains('-') || word.ends_with("ly") || to == index + 1 && last.shape == Shape::Upper)
    {
        return;
    }
    let rest = &words.text[last.end..];
    let rest = rest.strip_prefix(',').unwrap_or(rest);
    let rest = [" is ", " was ", " "].iter().find_map(|verb| rest.strip_prefix(verb)).unwrap_or(rest);
    let rest = ["a ", "an ", "the "].iter().find_map(|article| rest.strip_prefix(article)).unwrap_or(rest);
    let rest =
        ["pleasant ", "very pleasant "].iter().find_map(|word| rest.strip_prefix(word)).unwrap_or(rest);
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let age = rest.get(digits..).unwrap_or("").trim_start_matches(['-', ' ']);
    let aged = ["year", "yr", "month", "week", "day"].iter().any(|unit| age.starts_with(unit))
        && age.char_indices().nth(12).map_or(age, |(end, _)| &age[..end]).contains("old");
    let brief = ["y.o", "y/o", "yo ", "yo,", "yo."].iter().any(|unit| age.starts_with(unit));
    if (1..=3).contains(&digits) && (aged || brief) {
        words.push(out, index, to, Layer::Pattern, 0.85);
    }
}

/// An unknown word with a known one: "Qwerty, James was", "Briana Q. Smith".
fn before_known(words: &Words<'_>, index: usize, out: &mut Vec<Candidate>) {
    let token = &words.tokens[index];
    if token.is(STOP | TITLE | CREDENTIAL | RELATION) || token.end - token.start < 3 {
        return;
    }
    let like = |i: usize| {
        words.at(i).filter(|next| next.shape == token.shape && !next.is(STOP) && !words.is_eponym(i))
    };
    let gap = words.gap_before(index + 1);
    // "HANSCOM, Sharleen", "Linna,Riikka" at the head of a line or sentence.
    let strange = |i: usize| {
        words.at(i).is_some_and(|word| {
            word.capitalised()
                && word.end - word.start > 1
                && !words.is_eponym(i)
                && if word.is(GIVEN | SURNAME) {
                    !word.is(STOP | PROPER) || word.is(AMBIGUOUS) && word.shape == Shape::Upper
                } else {
                    !word.is(STOP | PROPER | WORD | TITLE | CREDENTIAL | RELATION)
                        && !super::vocabulary::is_clinical(&word.text(words.text).to_lowercase())
                }
        })
    };
    let headed = matches!(gap, ", " | ",")
        && words.opens(index)
        && strange(index)
        && strange(index + 1)
        && words.at(index + 1).is_some_and(|next| next.shape == token.shape || token.shape == Shape::Upper)
        && !matches!(words.gap_before(index + 2), ", " | ",")
        && words.lower(index + 2) != "and";
    if headed {
        words.push(out, index, words.run(index + 1, false).max(index + 2), Layer::Pattern, 0.65);
        return;
    }
    let reversed = gap == ", "
        && like(index + 1).is_some_and(|next| next.is(GIVEN) && !next.is(AMBIGUOUS))
        && (words.opens(index) || words.gap_before(index) == " ")
        && words.gap_before(index + 2) != ", ";
    if reversed {
        words.push(out, index, words.run(index + 1, false), Layer::List, 0.7);
        return;
    }
    let initial = gap == " "
        && words.at(index + 1).is_some_and(|next| next.shape == Shape::Initial)
        && words.gap_before(index + 2) == ". "
        && like(index + 2).is_some_and(|next| next.is(SURNAME));
    if initial {
        words.push(out, index, index + 3, Layer::List, 0.75);
    } else if gap == " "
        && token.shape == Shape::Title
        && like(index + 1).is_some_and(|next| next.is(SURNAME) && !next.is(AMBIGUOUS | EPONYM | GIVEN))
        && !words.text[token.start..].starts_with("New ")
    {
        // "Briana Hernandez"
        words.push(out, index, index + 2, Layer::List, 0.6);
    }
}

/// "Ashlee denies pain", "Miller reports that": whoever gives an account is a person.
fn before_speech(words: &Words<'_>, index: usize, out: &mut Vec<Candidate>) {
    let token = &words.tokens[index];
    let speaks = words.gap_before(index + 1) == " "
        && words.at(index + 1).is_some_and(|next| next.shape == Shape::Lower && next.is(SPEECH));
    let person = token.shape == Shape::Title
        && !token.is(RELATION | TITLE | CREDENTIAL)
        && (!token.is(STOP) || token.is(AMBIGUOUS))
        && (token.end - token.start > 2 || token.is(SURNAME));
    let word = token.text(words.text);
    if speaks && person && !word.contains('-') && !word.ends_with("ly") {
        words.push(out, index, index + 1, Layer::Pattern, 0.7);
    }
}

fn by_list(words: &Words<'_>, index: usize, out: &mut Vec<Candidate>) {
    let token = &words.tokens[index];
    let next_upper = token.shape == Shape::Upper
        && words.at(index + 1).is_some_and(|next| next.shape == Shape::Title)
        && matches!(words.gap_before(index + 1), ", " | ",");
    if !token.is(GIVEN | SURNAME) || next_upper || words.gap_before(index + 1).starts_with(',') {
        before_known(words, index, out);
        if !token.is(GIVEN | SURNAME) {
            return;
        }
    }
    if (token.is(STOP) && !token.is(AMBIGUOUS)) || words.is_eponym(index) {
        return;
    }
    let upper = token.shape == Shape::Upper;
    let next = words.at(index + 1);
    let gap = words.gap_before(index + 1);
    let same_case = |other: &Token| other.shape == token.shape || other.shape == Shape::Initial;

    // "Mary Smith", "Mary A. Smith", "Mary Okonjo"
    if token.is(GIVEN) {
        let to = words.run(index, false);
        let surname = to > index + 1 && {
            let last = &words.tokens[to - 1];
            let known = words.any(index + 1, to, SURNAME | GIVEN);
            last.shape == token.shape
                && !words.is_eponym(to - 1)
                && if token.is(AMBIGUOUS) || upper {
                    known && !(upper && token.is(AMBIGUOUS) && words.any(index + 1, to, AMBIGUOUS))
                } else {
                    !last.is(STOP) || last.is(AMBIGUOUS)
                }
        };
        if surname {
            words.push(out, index, to, Layer::List, 0.8);
            return;
        }
    }
    // "Smith, Mary", "SMITH, MARY A"
    if matches!(gap, ", " | ",") && next.is_some_and(|n| same_case(n) && n.is(GIVEN)) {
        let ambiguous = token.is(AMBIGUOUS) && next.is_some_and(|n| n.is(AMBIGUOUS));
        if !ambiguous {
            let mut to = words.run(index + 1, false).max(index + 2);
            to = to.min(index + 4);
            words.push(out, index, to, Layer::List, 0.8);
            return;
        }
    }
    // "J. Smith", "J.R. Smith"
    let mut from = index;
    while from > 0
        && index - from < 2
        && words.tokens[from - 1].shape == Shape::Initial
        && matches!(words.gap_before(from), ". " | ".")
    {
        from -= 1;
    }
    if from < index && token.is(SURNAME) && (!token.is(AMBIGUOUS) || words.gap_before(index) == ".") {
        let vitamin = from > 0 && words.lower(from - 1) == "vitamin";
        if !vitamin {
            words.push(out, from, index + 1, Layer::List, 0.75);
            return;
        }
    }
    if upper || token.end - token.start < 3 {
        return;
    }
    if token.is(AMBIGUOUS | EPONYM | STOP) {
        // "Grace reports", "When Rose was": a person's verb after it and no sentence or heading word before.
        let person = token.is(GIVEN)
            && !token.is(STOP)
            && gap == " "
            && next.is_some_and(|n| n.shape == Shape::Lower && n.is(PERSON_VERB));
        if person {
            words.push(out, index, index + 1, Layer::List, 0.55);
        }
        return;
    }
    // A word next to another capitalised one that is no name is a title or a brand: "Jordan Hall", "Tyler Street" are for the places.
    words.push(out, index, index + 1, Layer::List, 0.6);
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokenize;
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let tokens = tokenize(text);
        let mut out = Vec::new();
        find(&Words { text, tokens: &tokens }, &mut out);
        let mut found: Vec<String> = super::super::merge(text, out)
            .into_iter()
            .map(|candidate| text[candidate.start..candidate.end].to_owned())
            .collect();
        found.dedup();
        found
    }

    #[test]
    fn finds_names_by_context() {
        for (text, name) in [
            ("seen by Dr. Kowalczyk today", "Kowalczyk"),
            ("DR. OYELARAN WAS PAGED", "OYELARAN WAS PAGED"),
            ("Mr. Xu denies pain", "Xu"),
            ("Ms. van der Berg called", "van der Berg"),
            ("signed, Jane Q. Zzyzx, M.D.", "Jane Q. Zzyzx"),
            ("Adaeze Umeh, RN, at bedside", "Adaeze Umeh"),
            ("her daughter Xiomara helps", "Xiomara"),
            ("Caller: her parent Jedediah, on behalf of", "Jedediah"),
            ("lives with his adult child Zuleika", "Zuleika"),
            ("reared by her grandparent Xochitl", "Xochitl"),
            ("Brian White is a 58-year-old male", "Brian White"),
            ("Zuri, a 71 year old woman", "Zuri"),
            ("she spoke with Okafor about it", "Okafor"),
            ("record of SMITH, JOHN A reviewed", "SMITH, JOHN"),
            ("Mary Okonjo was seen", "Mary Okonjo"),
            ("as J. Rodriguez noted", "J. Rodriguez"),
            ("Dr. Long saw her", "Long"),
        ] {
            let found = names(text);
            assert!(
                found
                    .iter()
                    .any(|f| f == name
                        || (name.contains(' ') && f.starts_with(name.split(' ').next().unwrap()))),
                "{text}"
            );
        }
    }

    #[test]
    fn keeps_eponyms_and_ordinary_words() {
        for text in [
            "Parkinson's disease and Graves disease",
            "Hodgkin lymphoma, Crohn's, Bell's palsy",
            "Wolff-Parkinson-White syndrome",
            "Foley catheter placed, Babinski sign negative",
            "Long QT, Young adult, White count 12",
            "Will follow up in May",
            "MR brain and MS changes",
            "Mark the site. Grant access.",
            "Glasgow Coma Scale 15, Wells score 3",
            "The patient is a 58-year-old male",
            "mother Denies pain",
            "referred to Child Protective Services",
            "Chest x-ray. Heart regular. Vitamin D. Brown sputum",
        ] {
            assert_eq!(names(text), Vec::<String>::new(), "{text}");
        }
    }
}
