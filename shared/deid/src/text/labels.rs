//! Names after a label: "Signed by:", "Patient Name:", "cc:", "Dear".

use std::sync::LazyLock;

use regex::Regex;

use super::names::Words;
use super::patterns::built_in;
use super::tokens::Shape;
use super::{Candidate, Layer};
use crate::Kind;
use crate::lexicon::{CREDENTIAL, GIVEN, PARTICLE, STOP, SURNAME, TITLE};

static LABELS: LazyLock<Regex> = LazyLock::new(|| {
    built_in(
        r"(?i)\b(?:(?P<strong>(?:patient|pt|client|full|first|last|given|family|maiden|legal|preferred|provider|physician|doctor|member|subscriber|insured|guarantor|contact|spouse|mother|father|nurse|attending|author|middle|nick)(?:'s)?[ _-]?names?|pt\.? name|name|surname|forename|fore name|christian name|alias|transcriptionist|typist|scribe|(?:electronically |digitally )?(?:signed|authenticated|approved|verified|co-?signed|dictated|transcribed|reviewed|prepared|entered|ordered|performed|interpreted|read|collected|requested|submitted|authored|witnessed|reported|completed|attested|e-signed|finalized)(?: (?:and \w+ )?(?:electronically |digitally )?by)|signature|attending(?: (?:physician|surgeon|md|provider))?|surgeons?|(?:first |co-?)?assistants?(?: surgeons?)?|provider|pcp|primary care (?:physician|provider|doctor)|(?:referring|ordering|requesting|admitting|consulting|treating|primary|supervising|family|rendering) (?:physician|provider|doctor|md|surgeon|clinician)|physicians?|an(?:a)?esthesiologists?|anesthetist|radiologists?|pathologists?|cardiologists?|technologists?|technician|author|next of kin|nok|emergency contact|contact person|guardian|interpreter|witness|case manager|social worker|care manager|resident|fellow|intern|consultants?|scribe|attn|attention|caregiver|guarantor|insured|subscriber|poa|power of attorney|health care proxy|proxy|dictating(?: (?:physician|md))?)|(?P<weak>patient|pt|client|subject|re|regarding|cc|c\.c\.|from|to|mother|father|spouse|wife|husband|son|daughter|brother|sister|contact|nurse|rn|doctor|dr|md|employee|mr|tech|by|sender|recipient|with|and))\s*(?:\([^)\n]{1,24}\)\s*)?[:=]\s{0,12}|\b(?P<line>(?:patient|pt|full|first|last|given|family|legal|provider|physician|doctor)(?:'s)? name|surname|forename)[ \t]*\r?\n[ \t]*|\b(?P<bare>(?:electronically |digitally )?(?:signed|dictated|transcribed|authenticated|cosigned|co-signed|verified|approved|attested|authored|entered|interpreted)(?: electronically| digitally)? by|dear|name is|goes by|known as|named|d/t/by|sincerely,|regards,|respectfully,|signed,|/s/)\s{1,4}",
    )
});

/// Finds names after labels.
pub(crate) fn find(words: &Words<'_>, out: &mut Vec<Candidate>) {
    for found in LABELS.captures_iter(words.text) {
        let Some(whole) = found.get(0) else { continue };
        let index = words.tokens.partition_point(|token| token.start < whole.end());
        let starts_here = words.at(index).is_some_and(|token| token.start - whole.end() <= 1);
        if !starts_here {
            continue;
        }
        name_from(
            words,
            index,
            found.name("strong").or(found.name("line")).is_some(),
            found.name("bare").is_some(),
            out,
        );
    }
}

fn name_from(words: &Words<'_>, mut index: usize, strong: bool, bare: bool, out: &mut Vec<Candidate>) {
    // The title is not part of the name.
    while words
        .at(index)
        .is_some_and(|t| t.is(TITLE) && (t.capitalised() || words.text[t.end..].starts_with('.')))
    {
        index += 1;
        if !matches!(words.gap_before(index), ". " | " " | ".") {
            return;
        }
    }
    let mut end = index;
    let mut known = false;
    let mut commas = 0;
    let mut lower = false;
    let mut foreign = true;
    while end < index + 5 {
        let Some(token) = words.at(end) else { break };
        if end > index {
            let previous = &words.tokens[end - 1];
            match words.gap_before(end) {
                " " | "-" | "  " => {}
                ". " | "." if previous.shape == Shape::Initial => {}
                ", " | ","
                    if commas == 0
                        && (end == index + 1
                            || token.is(GIVEN)
                            || words.tokens[index..end].iter().all(|word| word.shape == Shape::Upper)) =>
                {
                    commas += 1;
                }
                _ => break,
            }
        }
        let is_name = token.is(GIVEN | SURNAME);
        let fits = match token.shape {
            Shape::Title | Shape::Upper => {
                (!token.is(STOP) || is_name && !bare) && !(token.is(CREDENTIAL) && end > index)
            }
            Shape::Initial => true,
            // "name: john smith": lower case only where a name is certain, and only names of the lists or a second word.
            Shape::Lower => {
                let fits = token.is(PARTICLE)
                    && end > index
                    && words.at(end + 1).is_some_and(|next| next.capitalised())
                    || strong && is_name && !token.is(STOP) && (lower || end == index);
                lower |= fits;
                fits
            }
            Shape::Other => false,
        };
        if !fits {
            break;
        }
        known |= is_name;
        foreign &= is_name || token.shape == Shape::Initial || token.flags == 0;
        end += 1;
        // The name ends with its label's line.
        if words.gap_before(end).contains('\n') {
            break;
        }
    }
    // What follows with a colon is the next label: "Patient: Allergies: none".
    if end > index && words.text[words.tokens[end - 1].end..].starts_with(':') {
        return;
    }
    let count = end - index;
    let first_initial = words.at(index).is_some_and(|token| token.shape == Shape::Initial);
    let enough = if strong || bare {
        count >= 1 && !(first_initial && count == 1 && !strong)
    } else {
        (known || foreign && count >= 2)
            && (count >= 2 || words.at(index).is_some_and(|t| !words.is_eponym(index) && !t.is(STOP)))
    };
    if !enough || (bare && count == 1 && words.is_eponym(index)) {
        return;
    }
    if let (Some(first), Some(last)) = (words.at(index), words.at(end - 1)) {
        let score = if strong { 0.92 } else { 0.85 };
        out.push(Candidate {
            start: first.start,
            end: last.end,
            kind: Kind::Name,
            layer: Layer::Pattern,
            score,
        });
    }
}
