//! Escape sequences (HL7 v2.9, 2.7): values to plain text and back.

use std::borrow::Cow;
use std::fmt::Write as _;

use memchr::{memchr, memchr2};

use crate::{CharacterSet, Delimiters, iso_2022};

/// Longest run of blank lines or spaces that one formatting command can make.
const MAX_REPEAT: usize = 100;

/// The plain text of the escaped `text`, as of a message in UTF-8.
///
/// Delimiter escapes become the delimiters, `\X..\` its bytes, `\.br\`, `\.sp\` and `\.ce\` line feeds,
/// `\.sk\` spaces; highlighting, indentation, word-wrap and locally defined (`\Z..\`) escapes are dropped;
/// what is no escape stays as it is.
pub fn unescape<'t>(text: &'t str, delimiters: &Delimiters) -> Cow<'t, str> {
    decode(text, delimiters.escape, delimiters, CharacterSet::declared(std::iter::empty()))
}

pub(crate) fn decode<'t>(
    text: &'t str,
    escape: Option<u8>,
    delimiters: &Delimiters,
    character_set: CharacterSet,
) -> Cow<'t, str> {
    // A form feed is the field's page break; further on it would be no valid FHIR string.
    let Some(escape) = escape else {
        return match memchr(0x0C, text.as_bytes()) {
            Some(_) => Cow::Owned(text.replace('\x0C', "\n")),
            None => Cow::Borrowed(text),
        };
    };
    let bytes = text.as_bytes();
    let plain = if bytes.len() < 32 {
        !bytes.iter().any(|b| *b == escape || *b == 0x0C)
    } else {
        memchr2(escape, 0x0C, bytes).is_none()
    };
    if plain {
        return Cow::Borrowed(text);
    }
    let mut decoder =
        Decoder { out: String::with_capacity(text.len()), set: None, delimiters, character_set };
    let mut rest = text;
    while let Some(at) = memchr(escape, rest.as_bytes()) {
        let (before, from) = rest.split_at(at);
        decoder.run(before);
        let inside = &from[1..];
        let sequence = memchr(escape, inside.as_bytes()).map(|end| inside.split_at(end));
        match sequence {
            Some((body, after)) if decoder.sequence(body) => rest = &after[1..],
            _ => {
                decoder.out.push(char::from(escape));
                rest = inside;
            }
        }
    }
    decoder.run(rest);
    Cow::Owned(decoder.out)
}

struct Decoder<'d> {
    out: String,
    /// What a `\C..\` or `\M..\` escape switched to.
    set: Option<iso_2022::Set>,
    delimiters: &'d Delimiters,
    character_set: CharacterSet,
}

impl Decoder<'_> {
    fn run(&mut self, text: &str) {
        let Some(set) = self.set.filter(|_| text.is_ascii()) else {
            self.out.extend(text.chars().map(|c| if c == '\x0C' { '\n' } else { c }));
            return;
        };
        let before = self.out.len();
        if !iso_2022::decode_run(text.as_bytes(), set, &mut self.out) {
            self.out.truncate(before);
            self.out.push(char::REPLACEMENT_CHARACTER);
        }
    }

    /// Applies the escape `body`; false if it is none.
    fn sequence(&mut self, body: &str) -> bool {
        let delimiter = match body {
            "F" => Some(self.delimiters.field),
            "S" => Some(self.delimiters.component),
            "T" => self.delimiters.subcomponent,
            "R" => self.delimiters.repetition,
            "E" => self.delimiters.escape,
            "P" => Some(self.delimiters.truncation.unwrap_or(b'#')),
            "H" | "N" => return true,
            _ => return self.long_sequence(body),
        };
        match delimiter {
            Some(byte) => self.out.push(char::from(byte)),
            None => return false,
        }
        true
    }

    fn long_sequence(&mut self, body: &str) -> bool {
        if let Some(command) = body.strip_prefix('.') {
            return self.format(command);
        }
        let Some(kind) = body.chars().next() else { return false };
        let argument = &body[kind.len_utf8()..];
        match kind {
            'X' => match hex(argument) {
                Some(bytes) => {
                    let text = self.character_set.decode_escaped(&bytes).replace("\r\n", "\n");
                    self.out.extend(text.chars().map(|c| match c {
                        '\r' | '\x0C' => '\n',
                        '\n' | '\t' => c,
                        c if c.is_control() => char::REPLACEMENT_CHARACTER,
                        c => c,
                    }));
                    true
                }
                None => false,
            },
            'C' | 'M' => match hex(argument) {
                Some(bytes) => {
                    // Latin sets say what their upper half means; it is text already.
                    self.set = iso_2022::designated(&bytes).filter(|set| *set != iso_2022::Set::Ascii);
                    true
                }
                None => false,
            },
            // 2.7.7: meaning agreed between sites; unknown here, and no text.
            'Z' => argument.bytes().all(|b| b.is_ascii_alphanumeric()),
            _ => false,
        }
    }

    fn format(&mut self, command: &str) -> bool {
        let (name, argument) = command.split_at_checked(2).unwrap_or((command, ""));
        let number = argument.trim();
        let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return false;
        }
        let repeat = || number.parse().unwrap_or(1).clamp(1, MAX_REPEAT);
        // Some senders write commands in capitals.
        match name.as_bytes() {
            [b'b' | b'B', b'r' | b'R'] | [b'c' | b'C', b'e' | b'E'] => self.out.push('\n'),
            [b's' | b'S', b'p' | b'P'] => self.out.extend(std::iter::repeat_n('\n', repeat())),
            [b's' | b'S', b'k' | b'K'] => self.out.extend(std::iter::repeat_n(' ', repeat())),
            b"in" | b"ti" | b"fi" | b"nf" | b"IN" | b"TI" | b"FI" | b"NF" => {}
            _ => return false,
        }
        true
    }
}

/// The bytes of pairs of hexadecimal digits; `None` if they are none.
fn hex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    if digits.is_empty() || digits.len() % 2 == 1 {
        return None;
    }
    digits
        .chunks_exact(2)
        .map(|pair| {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            u8::try_from(high * 16 + low).ok()
        })
        .collect()
}

/// `text` with delimiters, line ends and control characters escaped, so that it can stand as a value.
///
/// [`unescape`] gives it back, with every line end as `\n`. A message without an escape character loses the
/// delimiters to spaces.
pub fn escape<'t>(text: &'t str, delimiters: &Delimiters) -> Cow<'t, str> {
    let plain = |c: char| match u8::try_from(c) {
        Ok(byte) => !delimiters.contains(byte) && (byte >= 0x20 && byte != 0x7F || byte == b'\t'),
        Err(_) => true,
    };
    if text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if plain(c) {
            out.push(c);
            continue;
        }
        let Some(e) = delimiters.escape.map(char::from) else {
            out.push(' ');
            continue;
        };
        let byte = u8::try_from(c).unwrap_or_default();
        let is = |delimiter: Option<u8>| delimiter == Some(byte);
        let body = if byte == delimiters.field {
            "F"
        } else if byte == delimiters.component {
            "S"
        } else if is(delimiters.subcomponent) {
            "T"
        } else if is(delimiters.repetition) {
            "R"
        } else if is(delimiters.escape) {
            "E"
        } else if is(delimiters.truncation) {
            "P"
        } else if matches!(c, '\r' | '\n') {
            if c == '\r' {
                characters.next_if_eq(&'\n');
            }
            // A full stop may be a delimiter.
            if delimiters.contains(b'.') { "X0A" } else { ".br" }
        } else {
            let _ = write!(out, "{e}X{byte:02X}{e}");
            continue;
        };
        out.push(e);
        out.push_str(body);
        out.push(e);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        unescape(text, &Delimiters::default()).into_owned()
    }

    #[test]
    fn delimiters_hex_and_formatting() {
        assert_eq!(plain(r"a\F\b\S\c\T\d\R\e\E\f\P\g"), r"a|b^c&d~e\f#g");
        assert_eq!(plain(r"one\.br\two\.sp\three\.sp2\four"), "one\ntwo\nthree\n\nfour");
        assert_eq!(plain(r"\.in+4\\.ti-2\a\.sk3\b\.fi\\.nf\\.ce\c"), "a   b\nc");
        assert_eq!(plain(r"one\.BR\two"), "one\ntwo");
        assert_eq!(plain(r"\H\bold\N\ and \Zab1\local"), "bold and local");
        assert_eq!(plain(r"a\X0D0A\b\X0d\c\XC3A9\\XE9\"), "a\nb\ncéé");
        assert_eq!(plain(r"nul\X00\"), "nul\u{FFFD}");
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in [r"C:\temp\file", r"\", r"a\b", r"\\", r"\X0\", r"\XZZ\", r"\.zz\", r"\Q\", r"50\ml"] {
            assert_eq!(plain(text), text);
        }
        assert_eq!(plain(r"C:\temp\F\x"), r"C:\temp|x");
    }

    #[test]
    fn character_set_escapes_switch_and_switch_back() {
        assert_eq!(plain("x\\M2442\\;3ED\\C2842\\y"), "x山田y");
        assert_eq!(plain("\\C2849\\1"), "ｱ");
        assert_eq!(plain("\\C2D41\\abc"), "abc");
        assert_eq!(plain("\\M2442\\;"), "\u{FFFD}");
    }

    #[test]
    fn a_huge_count_is_bounded() {
        assert_eq!(plain(r"\.sp99999999999999999999999\").len(), 1);
        assert_eq!(plain(r"\.sp9999\").len(), MAX_REPEAT);
    }

    #[test]
    fn escaped_text_comes_back() {
        let text = "a|b^c&d~e\\f\r\ng\rh\n100% #1\x7F";
        let escaped = escape(text, &Delimiters::default());
        assert_eq!(plain(&escaped), "a|b^c&d~e\\f\ng\nh\n100% #1\u{FFFD}");
        assert!(matches!(escape("nothing to do", &Delimiters::default()), Cow::Borrowed(_)));
    }
}
