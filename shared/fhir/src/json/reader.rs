//! The reader: RFC 8259 to the letter, with bounds.

use super::tape::{Kind, Node, Tape};
use super::{MAX_BYTES, MAX_DEPTH, MAX_NODES};

/// Why a text is not JSON, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) kind: FaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    Empty,
    TooLarge,
    TooDeep,
    TooMany,
    Utf8,
    Ends,
    Trailing,
    ValueExpected,
    KeyExpected,
    ColonExpected,
    CommaOrBrace,
    CommaOrBracket,
    TrailingComma,
    Comment,
    SingleQuote,
    NotFinite,
    Number,
    LeadingZero,
    Literal,
    ControlCharacter,
    Escape,
    Surrogate,
}

impl FaultKind {
    /// What is wrong, as a sentence.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Empty => "The text is empty; a FHIR resource as a JSON object is expected.",
            Self::TooLarge => {
                "The text is larger than 16 MiB; split the Bundle or move attachments out of it."
            }
            Self::TooDeep => "Objects and lists are nested more than 100 deep.",
            Self::TooMany => "The text holds more than two million keys and values; split the Bundle.",
            Self::Utf8 => "The text is not UTF-8 from here on; FHIR JSON is always UTF-8.",
            Self::Ends => "The JSON ends here although an object, a list or a text is still open.",
            Self::Trailing => "There is more text after the end of the JSON object.",
            Self::ValueExpected => {
                "A JSON value is expected here: an object, a list, a text, a number, true or false."
            }
            Self::KeyExpected => "The name of an element, in double quotes, is expected here.",
            Self::ColonExpected => "A colon is expected here, between the name of an element and its value.",
            Self::CommaOrBrace => "A comma or a closing brace } is expected here.",
            Self::CommaOrBracket => "A comma or a closing bracket ] is expected here.",
            Self::TrailingComma => "JSON does not allow a comma after the last element.",
            Self::Comment => "JSON does not allow comments.",
            Self::SingleQuote => "JSON texts and names are written in double quotes.",
            Self::NotFinite => {
                "JSON has no NaN or Infinity; leave the element out or state a dataAbsentReason."
            }
            Self::Number => "This is not a number as JSON writes them, for example 12, -3 or 4.10.",
            Self::LeadingZero => "A JSON number does not start with a plus sign, a dot or extra zeros.",
            Self::Literal => "Only true, false and null are written without quotes.",
            Self::ControlCharacter => {
                "A line break, tab or other control character in a text must be escaped, as \\n or \\t."
            }
            Self::Escape => {
                "After a backslash JSON allows only \" \\ / b f n r t and u with four hexadecimal digits."
            }
            Self::Surrogate => "A \\u escape stands for half of a character; its other half is missing.",
        }
    }

    /// Whether the text was refused for its size, not for its form.
    pub(crate) const fn is_bound(self) -> bool {
        matches!(self, Self::TooLarge | Self::TooDeep | Self::TooMany)
    }
}

/// Reads a whole JSON text; a byte order mark must have been taken off.
pub(crate) fn read(bytes: &[u8]) -> Result<Tape<'_>, Fault> {
    if bytes.len() > MAX_BYTES {
        return Err(Fault { offset: MAX_BYTES, kind: FaultKind::TooLarge });
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Fault { offset: error.valid_up_to(), kind: FaultKind::Utf8 })?;
    let nodes = Vec::with_capacity((bytes.len() / 12).clamp(16, 1 << 16));
    let mut reader = Reader { bytes, at: 0, tape: Tape { text, nodes } };
    reader.space();
    if reader.peek().is_none() {
        return Err(reader.fault(FaultKind::Empty));
    }
    reader.value(0)?;
    reader.space();
    if reader.peek().is_some() {
        return Err(reader.fault(reader.stray(FaultKind::Trailing)));
    }
    Ok(reader.tape)
}

struct Reader<'t> {
    bytes: &'t [u8],
    at: usize,
    tape: Tape<'t>,
}

// Offsets and node numbers fit: MAX_BYTES is below 2^32.
#[expect(clippy::cast_possible_truncation, reason = "MAX_BYTES and MAX_NODES are below 2^32")]
const fn narrow(number: usize) -> u32 {
    number as u32
}

/// How many bytes stand for themselves: up to a quote, a backslash or a control character. Eight are looked at together.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // The lowest bit set is right whatever the borrow does to those above it.
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word & HIGH;
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let special = below(word, 0x20)
            | below(word ^ (ONES * u64::from(b'"')), 1)
            | below(word ^ (ONES * u64::from(b'\\')), 1);
        if special != 0 {
            return at * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let tail = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20);
    bytes.len() - rest.len() + tail.unwrap_or(rest.len())
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    const fn fault(&self, kind: FaultKind) -> Fault {
        Fault { offset: self.at, kind }
    }

    /// A more telling fault for what stands where something else was expected.
    fn stray(&self, otherwise: FaultKind) -> FaultKind {
        match self.peek() {
            None => FaultKind::Ends,
            Some(b'/') => FaultKind::Comment,
            Some(b'\'') => FaultKind::SingleQuote,
            Some(_) => otherwise,
        }
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn push(&mut self, kind: Kind, start: usize) -> Result<usize, Fault> {
        if self.tape.nodes.len() >= MAX_NODES {
            return Err(self.fault(FaultKind::TooMany));
        }
        let at = self.tape.nodes.len();
        let start = narrow(start);
        self.tape.nodes.push(Node { start, end: start, next: narrow(at + 1), kind, escaped: false });
        Ok(at)
    }

    fn close(&mut self, node: usize) {
        let (end, next) = (narrow(self.at), narrow(self.tape.nodes.len()));
        if let Some(node) = self.tape.nodes.get_mut(node) {
            node.end = end;
            node.next = next;
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), Fault> {
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.text().map(|_| ()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'+' | b'.') => Err(self.fault(FaultKind::LeadingZero)),
            Some(b'N' | b'I') => Err(self.fault(FaultKind::NotFinite)),
            Some(byte) if byte.is_ascii_alphabetic() => self.literal(),
            _ => Err(self.fault(self.stray(FaultKind::ValueExpected))),
        }
    }

    fn literal(&mut self) -> Result<(), Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let kind = match rest.get(..length) {
            Some(b"true") => Kind::True,
            Some(b"false") => Kind::False,
            Some(b"null") => Kind::Null,
            _ => return Err(self.fault(FaultKind::Literal)),
        };
        let node = self.push(kind, self.at)?;
        self.at += length;
        self.close(node);
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.fault(FaultKind::Number)) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), Fault> {
        let node = self.push(Kind::Number, self.at)?;
        if self.peek() == Some(b'-') {
            self.at += 1;
            if self.peek() == Some(b'I') {
                return Err(self.fault(FaultKind::NotFinite));
            }
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if let Some(b'0'..=b'9') = self.peek() {
                return Err(self.fault(FaultKind::LeadingZero));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        if self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'.') {
            return Err(self.fault(FaultKind::Number));
        }
        self.close(node);
        Ok(())
    }

    fn text(&mut self) -> Result<usize, Fault> {
        let opening = self.at;
        let node = self.push(Kind::Text, self.at + 1)?;
        self.at += 1;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or(&[]);
            self.at += plain(rest);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.fault(FaultKind::ControlCharacter)),
                None => return Err(Fault { offset: opening, kind: FaultKind::Ends }),
            }
        }
        self.close(node);
        if let Some(node) = self.tape.nodes.get_mut(node) {
            node.escaped = escaped;
        }
        self.at += 1;
        Ok(node)
    }

    fn escape(&mut self) -> Result<(), Fault> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                let unit = self.unit(self.at).ok_or(self.fault(FaultKind::Escape))?;
                if (0xD800..0xDC00).contains(&unit) {
                    let low = self.unit(self.at + 6).filter(|unit| (0xDC00..0xE000).contains(unit));
                    low.ok_or(self.fault(FaultKind::Surrogate))?;
                    self.at += 12;
                } else if (0xDC00..0xE000).contains(&unit) {
                    return Err(self.fault(FaultKind::Surrogate));
                } else {
                    self.at += 6;
                }
                Ok(())
            }
            None => Err(self.fault(FaultKind::Ends)),
            Some(_) => Err(self.fault(FaultKind::Escape)),
        }
    }

    /// The UTF-16 code unit of a `\uXXXX` escape at an offset.
    fn unit(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |unit, &digit| Some(unit * 16 + char::from(digit).to_digit(16)?))
    }

    fn object(&mut self, depth: usize) -> Result<(), Fault> {
        if depth >= MAX_DEPTH {
            return Err(self.fault(FaultKind::TooDeep));
        }
        let node = self.push(Kind::Object, self.at)?;
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.close(node);
            return Ok(());
        }
        let mut first = true;
        loop {
            if self.peek() != Some(b'"') {
                let comma = !first && self.peek() == Some(b'}');
                let kind = if comma { FaultKind::TrailingComma } else { self.stray(FaultKind::KeyExpected) };
                return Err(self.fault(kind));
            }
            self.text()?;
            first = false;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.fault(self.stray(FaultKind::ColonExpected)));
            }
            self.at += 1;
            self.space();
            self.value(depth + 1)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.fault(self.stray(FaultKind::CommaOrBrace))),
            }
            self.space();
        }
        self.at += 1;
        self.close(node);
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), Fault> {
        if depth >= MAX_DEPTH {
            return Err(self.fault(FaultKind::TooDeep));
        }
        let node = self.push(Kind::Array, self.at)?;
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            self.close(node);
            return Ok(());
        }
        let mut first = true;
        loop {
            if !first && self.peek() == Some(b']') {
                return Err(self.fault(FaultKind::TrailingComma));
            }
            first = false;
            self.value(depth + 1)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.fault(self.stray(FaultKind::CommaOrBracket))),
            }
            self.space();
        }
        self.at += 1;
        self.close(node);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_does_not_stand_for_itself_is_found_wherever_it_is() {
        let usual = "a!#[]\u{7f}~ é\u{10ffff}\u{80}\u{a0}".repeat(3).into_bytes();
        assert_eq!(plain(&usual), usual.len());
        for length in 0..=usual.len() {
            for at in 0..length {
                for byte in [b'"', b'\\', 0, b'\n', 0x1F] {
                    let mut bytes = usual[..length].to_vec();
                    bytes[at] = byte;
                    // What follows it must not matter.
                    if let Some(next) = bytes.get_mut(at + 1) {
                        *next = b'"';
                    }
                    assert_eq!(plain(&bytes), at, "{byte} at {at} of {length}");
                }
            }
        }
    }
}
