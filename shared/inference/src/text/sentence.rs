//! Sentences of clinical text, with their place in it.

use std::ops::Range;

use super::section::{Section, heading};

/// Words before a period that do not end a sentence.
const ABBREVIATIONS: &[&str] = &[
    "dr", "mr", "mrs", "ms", "prof", "pt", "pts", "st", "vs", "approx", "e.g", "i.e", "eg", "ie", "fig",
    "no", "nos", "q.d", "b.i.d", "t.i.d", "q.i.d", "p.o", "p.r.n", "i.v", "i.m", "s.c", "a.m", "p.m", "dept",
    "hosp", "hx", "dx", "rx", "tx", "sx", "fx", "yr", "yrs", "mo", "wk", "wks", "hr", "hrs", "min", "mins",
    "tab", "tabs", "cap", "caps", "temp", "resp", "lt", "rt", "inc", "cf", "ca", "al", "etc", "jr", "sr",
    "gen", "ext", "abd", "neuro", "incl",
];

/// Longest sentence in bytes; text without any stop is cut at a space near here.
const MAX_SENTENCE: usize = 1000;

/// One sentence or list item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// Its bytes in the text, without surrounding white space, bullet or heading.
    pub span: Range<usize>,
    /// The section it stands in.
    pub section: Section,
}

/// Sentences and headings of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// In order, without overlap.
    pub sentences: Vec<Sentence>,
    /// The headings' bytes, colon included, in order.
    pub headings: Vec<Range<usize>>,
}

/// Splits a text into sentences under their sections.
#[must_use]
pub fn layout(text: &str) -> Layout {
    let mut result = Layout::default();
    let mut section = Section::Body;
    let mut pending: Option<Range<usize>> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let trimmed = line.trim();
        if trimmed.is_empty() {
            flush(text, &mut pending, section, &mut result);
            // A blank line ends history sections: prose that follows is about today again.
            if matches!(section, Section::Past | Section::Family | Section::Social | Section::Allergies) {
                section = Section::Body;
            }
            continue;
        }
        let mut body = start;
        if let Some((end, opened)) = heading(line) {
            flush(text, &mut pending, section, &mut result);
            section = opened;
            let indent = line.len() - line.trim_start().len();
            result.headings.push(start + indent..start + end);
            body = start + end;
        } else if starts_item(trimmed) {
            flush(text, &mut pending, section, &mut result);
        }
        let range = body..at;
        pending = match pending.take() {
            None => Some(range),
            Some(before) if continues(text.get(before.clone()).unwrap_or(""), trimmed) => {
                Some(before.start..at)
            }
            Some(before) => {
                pending = Some(before);
                flush(text, &mut pending, section, &mut result);
                Some(range)
            }
        };
    }
    flush(text, &mut pending, section, &mut result);
    result
}

/// Whether a line carries on the sentence of the lines before it, as wrapped text does.
fn continues(before: &str, line: &str) -> bool {
    let before = before.trim_end();
    if before.ends_with(['.', '!', '?', ':', ';']) {
        return false;
    }
    line.starts_with(|c: char| c.is_lowercase() || matches!(c, '(' | ',' | '%'))
        // Hard-wrapped prose: a long line without a stop runs on even into a capital.
        || before.rsplit('\n').next().is_some_and(|last| last.trim().len() >= 60)
}

fn starts_item(line: &str) -> bool {
    bullet(line) > 0
}

/// Bytes of a list marker at the start of a line, the space after it included.
fn bullet(line: &str) -> usize {
    let mut chars = line.chars();
    match chars.next() {
        Some(c @ ('-' | '*' | '•' | '–' | '·'))
            if chars.next().is_some_and(|next| matches!(next, ' ' | '\t')) =>
        {
            c.len_utf8() + 1
        }
        Some(c) if c.is_ascii_digit() => {
            let digits = line.bytes().take_while(u8::is_ascii_digit).count();
            let mut after = line.get(digits..).unwrap_or("").chars();
            let marked = digits <= 2 && matches!(after.next(), Some('.' | ')'));
            if marked && after.next().is_some_and(char::is_whitespace) { digits + 2 } else { 0 }
        }
        _ => 0,
    }
}

fn flush(text: &str, pending: &mut Option<Range<usize>>, section: Section, result: &mut Layout) {
    let Some(range) = pending.take() else { return };
    let Some(block) = text.get(range.clone()) else { return };
    let mut start = 0;
    for stop in stops(block) {
        push(text, range.start + start..range.start + stop, section, result);
        start = stop;
    }
    push(text, range.start + start..range.end, section, result);
}

fn push(text: &str, range: Range<usize>, section: Section, result: &mut Layout) {
    let Some(raw) = text.get(range.clone()) else { return };
    let lead = raw.len() - raw.trim_start().len();
    let trimmed = raw.trim();
    let mark = bullet(trimmed);
    let mark = mark + trimmed.get(mark..).map_or(0, |rest| rest.len() - rest.trim_start().len());
    let (start, end) = (range.start + lead + mark, range.start + lead + trimmed.len());
    if mark > 0 {
        result.headings.push(range.start + lead..start);
    }
    if start < end {
        result.sentences.push(Sentence { span: start..end, section });
    }
}

/// Byte offsets at which a block of prose is cut.
fn stops(block: &str) -> Vec<usize> {
    let mut stops = Vec::new();
    let mut last = 0;
    let mut last_space = 0;
    for (at, c) in block.char_indices() {
        let end = at + c.len_utf8();
        if end <= last {
            // Closing marks that went with the sentence before.
            continue;
        }
        if c.is_whitespace() {
            last_space = end;
            if end - last > MAX_SENTENCE {
                stops.push(end);
                last = end;
            }
            continue;
        }
        if end - last > 2 * MAX_SENTENCE {
            let cut = if last_space > last { last_space } else { end };
            stops.push(cut);
            last = cut;
            continue;
        }
        if !matches!(c, '.' | '!' | '?') {
            continue;
        }
        let rest = block.get(end..).unwrap_or("");
        let closing = rest.len() - rest.trim_start_matches(['"', '\'', ')', ']', '”']).len();
        let after = rest.get(closing..).unwrap_or("");
        let next = after.trim_start();
        if next.is_empty() || after.len() == next.len() {
            continue;
        }
        let starts_new = next.chars().next().is_some_and(|c| {
            c.is_uppercase() || c.is_ascii_digit() || matches!(c, '"' | '[' | '(' | '-' | '*' | '“')
        });
        let abbreviated = c == '.'
            && ends_with_abbreviation(
                block.get(last..at).unwrap_or(""),
                next.starts_with(char::is_lowercase),
            );
        // "B.p. 2.5 mg": a number after a short abbreviation belongs to it; triage text is rarely capitalised, so
        // after an ordinary word a lower-case letter starts a sentence too.
        let lower_start = c != '.' || next.chars().next().is_some_and(char::is_lowercase);
        if !abbreviated && (starts_new || lower_start) {
            let cut = end + closing;
            stops.push(cut);
            last = cut;
        }
    }
    stops
}

fn ends_with_abbreviation(before: &str, next_is_lower: bool) -> bool {
    let chunk = before.rsplit(char::is_whitespace).next().unwrap_or("").trim_start_matches('(');
    let word = chunk.rsplit([',', '/']).next().unwrap_or("");
    let folded = word.to_lowercase();
    if matches!(folded.as_str(), "a.m" | "p.m" | "etc" | "hr" | "hrs" | "min" | "mins" | "no" | "nos") {
        // These end a sentence as often as not: a capital or a number decides, save for "No. 3".
        return next_is_lower || folded == "no" && !before.trim_start().eq_ignore_ascii_case("no");
    }
    if ABBREVIATIONS.contains(&folded.as_str()) {
        return true;
    }
    // An initial; the unit of "7.1 mmol/L." is none. The number of a list item stays with the item.
    let initial = chunk.chars().count() == 1 && chunk.chars().all(char::is_uppercase);
    let item = before.trim().len() <= 2 && before.trim().bytes().all(|b| b.is_ascii_digit());
    initial || item
}

/// Turns ascending byte offsets into offsets in Unicode scalar values.
#[must_use]
pub fn scalar_offsets(text: &str, bytes: &[usize]) -> Vec<usize> {
    let mut result = Vec::with_capacity(bytes.len());
    let (mut at, mut count) = (0, 0);
    for &byte in bytes {
        if byte < at {
            (at, count) = (0, 0);
        }
        count += text.get(at..byte).map_or(0, |part| part.chars().count());
        at = byte;
        result.push(count);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> Vec<&str> {
        layout(text).sentences.iter().filter_map(|s| text.get(s.span.clone())).collect()
    }

    #[test]
    fn keeps_decimals_abbreviations_and_initials() {
        assert_eq!(
            split("Seen by Dr. J. Doe at 3 p.m. in bay 2. K was 7.1 mmol/L. Given i.v. calcium."),
            ["Seen by Dr. J. Doe at 3 p.m. in bay 2.", "K was 7.1 mmol/L.", "Given i.v. calcium."]
        );
        assert_eq!(
            split("ST elevation in V2-V4. Pain 8/10. No fever."),
            ["ST elevation in V2-V4.", "Pain 8/10.", "No fever."]
        );
    }

    #[test]
    fn closing_marks_go_with_their_sentence() {
        assert_eq!(split("Well (again!)) Then home?"), ["Well (again!))", "Then home?"]);
        assert_eq!(split("?)) ?"), ["?))", "?"]);
    }

    #[test]
    fn lists_headings_and_wrapped_lines() {
        let text = "IMPRESSION:\n1. Acute appendicitis\n2. No abscess\nPLAN: surgery tonight\nand keep\nnil by mouth";
        assert_eq!(
            split(text),
            ["Acute appendicitis", "No abscess", "surgery tonight\nand keep\nnil by mouth"]
        );
        let sections: Vec<Section> = layout(text).sentences.iter().map(|s| s.section).collect();
        assert_eq!(sections, [Section::Impression, Section::Impression, Section::Plan]);
    }

    #[test]
    fn very_long_text_is_cut() {
        let text = "word ".repeat(2000);
        assert!(layout(&text).sentences.iter().all(|s| s.span.len() <= 2 * MAX_SENTENCE + 8));
        assert!(layout(&"x".repeat(9000)).sentences.len() > 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn sentences_and_headings_cover_everything_but_space(
            text in "([A-Za-zµé0-9.:!?()/%*-]{1,9}[ \n.]{0,2}|IMPRESSION: |Plan:\n|\n\n|- |1\\. |\\PC){0,40}"
        ) {
            let layout = layout(&text);
            let mut covered = vec![false; text.len()];
            let mut previous = 0;
            for sentence in &layout.sentences {
                prop_assert!(sentence.span.start >= previous);
                previous = sentence.span.end;
                let slice = text.get(sentence.span.clone());
                prop_assert!(slice.is_some_and(|s| !s.is_empty() && s.trim() == s));
            }
            for span in layout.sentences.iter().map(|s| &s.span).chain(&layout.headings) {
                covered[span.clone()].fill(true);
            }
            for (at, c) in text.char_indices() {
                prop_assert!(c.is_whitespace() || covered[at], "not covered at {}", at);
            }
        }

        #[test]
        fn scalar_offsets_agree_with_counting(text in "\\PC{0,40}") {
            let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let expected: Vec<usize> = (0..bytes.len()).collect();
            prop_assert_eq!(scalar_offsets(&text, &bytes), expected);
        }
    }
}
