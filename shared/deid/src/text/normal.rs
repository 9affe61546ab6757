//! A text as a reader sees it: without characters that have no width, with plain spaces, HL7 v2 escape sequences resolved.

use super::tokens::is_invisible;

/// The text and, for each of its bytes, where the character stands in the input.
pub(super) struct Normal {
    pub(super) text: String,
    starts: Vec<usize>,
    ends: Vec<usize>,
}

impl Normal {
    /// The normal form of a text; `None` when it is the text itself.
    pub(super) fn of(text: &str) -> Option<Self> {
        let plain = text.is_ascii() || !text.contains(|c| is_invisible(c) || is_odd_space(c));
        if plain && !text.contains('\\') {
            return None;
        }
        let mut normal = Normal {
            text: String::with_capacity(text.len()),
            starts: Vec::with_capacity(text.len()),
            ends: Vec::with_capacity(text.len()),
        };
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let (seen, length) = match c {
                '\\' => escape(&text[at..]).unwrap_or((Some(c), 1)),
                c if is_invisible(c) => (None, c.len_utf8()),
                c if is_odd_space(c) => (Some(' '), c.len_utf8()),
                c => (Some(c), c.len_utf8()),
            };
            if let Some(seen) = seen {
                normal.push(seen, at, at + length);
            }
            at += length;
        }
        (normal.text != text).then_some(normal)
    }

    fn push(&mut self, seen: char, start: usize, end: usize) {
        self.text.push(seen);
        self.starts.resize(self.text.len(), start);
        self.ends.resize(self.text.len(), end);
    }

    /// Byte offsets of a piece in the input.
    pub(super) fn input(&self, start: usize, end: usize) -> Option<(usize, usize)> {
        Some((*self.starts.get(start)?, *self.ends.get(end.checked_sub(1)?)?))
    }
}

/// A space that is not U+0020, U+0009 or a line end.
fn is_odd_space(c: char) -> bool {
    !c.is_ascii() && c.is_whitespace()
}

/// The escape sequence at the head of a text (HL7 v2.5.1 section 2.7) and its length.
fn escape(text: &str) -> Option<(Option<char>, usize)> {
    const SEQUENCES: [(&str, Option<char>); 14] = [
        (r"\.br\", Some('\n')),
        (r"\.sp\", Some('\n')),
        (r"\.ce\", Some('\n')),
        (r"\F\", Some('|')),
        (r"\S\", Some('^')),
        (r"\T\", Some('&')),
        (r"\R\", Some('~')),
        (r"\E\", Some('\\')),
        (r"\H\", None),
        (r"\N\", None),
        (r"\X0D\", Some('\n')),
        (r"\X0A\", Some('\n')),
        (r"\X0D0A\", Some('\n')),
        (r"\X09\", Some('\t')),
    ];
    SEQUENCES
        .iter()
        .find(|(sequence, _)| text.starts_with(sequence))
        .map(|(sequence, seen)| (*seen, sequence.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_escapes_and_drops_what_has_no_width() {
        let text = "a\u{200b}b\u{a0}c\\.br\\d\\T\\e\\x";
        let normal = Normal::of(text).unwrap();
        assert_eq!(normal.text, "ab c\nd&e\\x");
        assert_eq!(normal.input(0, 2).map(|(start, end)| &text[start..end]), Some("a\u{200b}b"));
        assert_eq!(normal.input(2, 4).map(|(start, end)| &text[start..end]), Some("\u{a0}c"));
        assert_eq!(normal.input(6, 7).map(|(start, end)| &text[start..end]), Some("\\T\\"));
        assert!(Normal::of("plain text").is_none());
        assert!(Normal::of("C:\\temp").is_none());
    }
}
