//! Capitals for text that has none or nothing else: names are told from words by the lists, not by how they are written.

use super::tokens::{Shape, Token};
use super::vocabulary;
use crate::lexicon::{self, AMBIGUOUS, CREDENTIAL, EPONYM, GIVEN, PLACE, PROPER, STOP, SURNAME, TITLE, WORD};

/// Letters a text must have to be called one without capitals; a code or a phrase says too little.
const LETTERS: usize = 40;

/// The text with names in capitals and small letters as usual, of the same length; `None` when it is written as usual already.
pub(super) fn of(text: &str, tokens: &[Token]) -> Option<String> {
    let small = tokens.iter().all(|token| token.shape == Shape::Lower)
        && tokens.iter().map(|token| token.end - token.start).sum::<usize>() >= LETTERS;
    let mut recased: Option<Vec<u8>> = None;
    let mut from = 0;
    while from < tokens.len() {
        let mut to = from + 1;
        while !small && to < tokens.len() && !text[tokens[to - 1].end..tokens[to].start].contains('\n') {
            to += 1;
        }
        if small {
            to = tokens.len();
        }
        let line = &tokens[from..to];
        if small || is_upper(line) {
            let bytes = recased.get_or_insert_with(|| text.as_bytes().to_vec());
            write(text, line, bytes);
        }
        from = to;
    }
    recased.and_then(|bytes| String::from_utf8(bytes).ok())
}

/// A line in capitals: more than a heading of one word, and hardly a small letter.
fn is_upper(line: &[Token]) -> bool {
    let count = |shape: Shape| line.iter().filter(|token| token.shape == shape).count();
    let upper = count(Shape::Upper);
    upper >= 2 && (count(Shape::Lower) + count(Shape::Title)) * 8 <= upper
}

fn write(text: &str, line: &[Token], bytes: &mut [u8]) {
    let mut named = false;
    let mut labelled = false;
    // Words left of a street's name.
    let mut street = 0_usize;
    for (index, token) in line.iter().enumerate() {
        let word = token.text(text);
        if token.shape == Shape::Initial {
            continue;
        }
        let lower = word.to_lowercase();
        // "OH 44101", "oh 44101"
        let zip = word.len() == 2
            && is_state(&lower)
            && text[token.end..]
                .strip_prefix(' ')
                .is_some_and(|rest| rest.bytes().take_while(u8::is_ascii_digit).count() == 5);
        let initial = word.len() == 1
            && !text[..token.start].ends_with(|c: char| c.is_ascii_digit())
            && (text[token.end..].starts_with('.')
                || named
                    && word != "a"
                    && line.get(index + 1).is_some_and(|next| {
                        text.get(token.end..next.start) == Some(" ")
                            && is_name(&next.text(text).to_lowercase(), next)
                    }));
        if zip || initial {
            bytes[token.start..token.end].make_ascii_uppercase();
            continue;
        }
        let introduced_before = index > 0
            && text.get(line[index - 1].end..token.start) == Some(" ")
            && vocabulary::introduces(&line[index - 1].text(text).to_lowercase());
        if token.shape == Shape::Upper
            && (token.is(CREDENTIAL) && word.len() <= 4
                || word.len() <= 3 && token.flags == 0 && !introduced_before && !labelled)
        {
            named = false;
            continue;
        }
        let titled = index > 0
            && line[index - 1].is(TITLE)
            && line[index - 1].end + 2 >= token.start
            && (!token.is(STOP | TITLE) || token.is(AMBIGUOUS) && !token.is(TITLE));
        let follows = index > 0
            && named
            && text
                .get(line[index - 1].end..token.start)
                .is_some_and(|gap| matches!(gap, " " | " & " | "-" | ", "));
        let gap = |from: usize, to: usize| text.get(line[from].end..line[to].start).unwrap_or("");
        let near = |other: usize, gap: &str| {
            matches!(gap, " " | ", " | "," | "-" | " and ")
                && is_name(&line[other].text(text).to_lowercase(), &line[other])
        };
        // "GREEN, MARY", "white medical center", "name: young"
        let beside = token.is(GIVEN | SURNAME)
            && (!token.is(STOP) || token.is(AMBIGUOUS))
            && (index > 0 && near(index - 1, gap(index - 1, index))
                // "CATHERINE C. LONG"
                || index > 1
                    && line[index - 1].shape == Shape::Initial
                    && matches!(gap(index - 1, index), ". " | " ")
                    && near(index - 2, gap(index - 2, index - 1))
                || index + 1 < line.len() && near(index + 1, gap(index, index + 1))
                || line.get(index + 1).is_some_and(|next| {
                    gap(index, index + 1) == " "
                        && vocabulary::ends_a_facility(&next.text(text).to_lowercase())
                        && (index == 0 || !line[index - 1].is(TITLE))
                })
                || text[..token.start].trim_end_matches(' ').ends_with(':') && !token.is(WORD));
        // "per marshall", "told grace"
        let introduced = introduced_before
            && !token.is(STOP | WORD)
            && (token.is(GIVEN | SURNAME) || token.flags == 0 && !vocabulary::is_ordinary(&lower));
        // "ATTENDING: FAYIZE F. AKCA"
        let behind_label = text[..token.start].trim_end_matches(' ').ends_with(':');
        let goes_on =
            index > 0 && labelled && matches!(gap(index - 1, index), " " | ". " | "." | "-" | ", " | ",");
        labelled = (behind_label || goes_on) && !token.is(STOP | WORD | PROPER | CREDENTIAL);
        // "BEAVERS, DANIEL" at the head of a line
        let headed = (index == 0 || text[..token.start].trim_end_matches(' ').ends_with(['.', '\n']))
            && !token.is(STOP)
            && line.get(index + 1).is_some_and(|next| {
                matches!(gap(index, index + 1), ", " | ",")
                    && next.is(GIVEN)
                    && is_name(&next.text(text).to_lowercase(), next)
            });
        // "957 TEMPLE BEND"
        if street == 0
            && text[..token.start].ends_with(' ')
            && text[..token.start - 1].ends_with(|c: char| c.is_ascii_digit())
        {
            street = (0..4)
                .find(|step| {
                    line.get(index + step).is_some_and(|last| {
                        *step > 0
                            && vocabulary::ends_a_name(&last.text(text).to_lowercase())
                            && (vocabulary::ends_a_street(&last.text(text).to_lowercase())
                                || text[last.end..].starts_with([',', '\n']))
                    }) && (0..*step).all(|i| gap(index + i, index + i + 1) == " ")
                })
                .map_or(0, |step| step + 1);
        }
        let in_street = street > 0;
        street = street.saturating_sub(1);
        // "WHITE-BRIGHT" behind a name
        let double = lower.contains('-')
            && lower.split('-').any(|part| {
                let flags = lexicon::flags(part);
                flags & (GIVEN | SURNAME) != 0 && flags & (WORD | STOP) == 0
            });
        let ambiguous_double = named
            && lower.contains('-')
            && lower.split('-').all(|part| lexicon::flags(part) & (GIVEN | SURNAME) != 0);
        let state = |first: &str, second: &str| {
            matches!(first, "new" | "north" | "south" | "west" | "rhode")
                && matches!(
                    second,
                    "mexico"
                        | "hampshire"
                        | "jersey"
                        | "york"
                        | "carolina"
                        | "dakota"
                        | "virginia"
                        | "island"
                )
        };
        let of_state = line.get(index + 1).is_some_and(|next| state(&lower, &next.text(text).to_lowercase()))
            || index > 0 && state(&line[index - 1].text(text).to_lowercase(), &lower);
        named = titled
            || introduced
            || labelled
            || double
            || ambiguous_double
            || of_state
            || headed
            || in_street
            || beside
            || token.is(TITLE)
            || is_name(&lower, token)
            || (follows && (vocabulary::ends_a_name(&lower) || token.is(GIVEN | SURNAME) && !token.is(STOP)))
            || vocabulary::opens_a_place(&lower)
                && line.get(index + 1).is_some_and(|next| is_name(&next.text(text).to_lowercase(), next))
            || matches!(lower.as_str(), "flat" | "studio" | "apt" | "suite" | "unit")
                && text[token.end..].trim_start_matches(['.', ' ']).starts_with(|c: char| c.is_ascii_digit());
        let place = bytes.get_mut(token.start..token.end);
        if let Some(place) = place {
            let mut at = 0;
            let mut first = true;
            for c in word.chars() {
                let length = c.len_utf8();
                let title = first && named;
                let written: Option<char> = if title { one(c.to_uppercase()) } else { one(c.to_lowercase()) };
                if let Some(written) = written.filter(|w| w.len_utf8() == length) {
                    written.encode_utf8(&mut place[at..at + length]);
                }
                at += length;
                first = matches!(c, '-' | '\'' | '’') && named;
            }
        }
    }
}

fn is_state(lower: &str) -> bool {
    lexicon::states().any(|(_, abbreviation)| abbreviation.eq_ignore_ascii_case(lower))
}

fn one(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}

fn is_name(lower: &str, token: &Token) -> bool {
    if token.is(WORD | STOP | PROPER | AMBIGUOUS) {
        return token.is(PLACE) && !token.is(WORD | STOP);
    }
    token.is(GIVEN | SURNAME | PLACE)
        || token.flags == 0
            && lower.chars().count() > 3
            && !vocabulary::is_ordinary(lower)
            && (!lower.contains('-')
                || lower.split('-').all(|part| {
                    lexicon::flags(part) & (WORD | STOP | PROPER | EPONYM) == 0 && part.len() > 2
                }))
}
