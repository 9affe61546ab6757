//! Objects of PDF (ISO 32000-1, section 7.2 and 7.3).

use std::collections::BTreeMap;

use super::budget::Budget;

/// Nesting of arrays and dictionaries; real files have five levels.
const DEPTH: usize = 32;
/// Objects within one object. A page tree of ten thousand pages has fewer.
const MEMBERS: usize = 100_000;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object {
    Null,
    Number(f64),
    Name(Vec<u8>),
    Text(Vec<u8>),
    Array(Vec<Object>),
    Dictionary(Dictionary),
    Reference(u32),
    /// An operator, `true`, or what belongs in no place.
    Word(Vec<u8>),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Dictionary(BTreeMap<Vec<u8>, Object>);

impl Dictionary {
    pub(super) fn get(&self, name: &str) -> Option<&Object> {
        self.0.get(name.as_bytes())
    }

    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.get(name).and_then(Object::name) == Some(value.as_bytes())
    }
}

impl Object {
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A number that counts or names something.
    pub(super) fn count(&self) -> Option<usize> {
        let number = self.number().filter(|n| n.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(n))?;
        format!("{number}").parse().ok()
    }

    pub(super) fn name(&self) -> Option<&[u8]> {
        match self {
            Self::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// Reads objects from bytes, each at a cost.
pub(super) struct Lexer<'d> {
    data: &'d [u8],
    pub(super) at: usize,
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

impl<'d> Lexer<'d> {
    pub(super) fn new(data: &'d [u8], at: usize) -> Self {
        Self { data, at: at.min(data.len()) }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.data.get(self.at + ahead).copied()
    }

    pub(super) fn rest(&self) -> &'d [u8] {
        self.data.get(self.at..).unwrap_or_default()
    }

    pub(super) fn skip_space(&mut self) {
        while let Some(byte) = self.peek(0) {
            if byte == b'%' {
                self.at += self.rest().iter().take_while(|b| !matches!(b, b'\r' | b'\n')).count();
            } else if is_space(byte) {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    /// The next object; `None` at the end, where it makes no sense, and where the budget is spent.
    pub(super) fn object(&mut self, budget: &mut Budget) -> Option<Object> {
        let mut members = MEMBERS;
        self.nested(budget, DEPTH, &mut members)
    }

    fn nested(&mut self, budget: &mut Budget, depth: usize, members: &mut usize) -> Option<Object> {
        *members = members.checked_sub(1)?;
        let began = self.at;
        self.skip_space();
        let begins = self.peek(0);
        let many = match begins {
            Some(b'<') if self.peek(1) == Some(b'<') => 2,
            Some(b'[') => 1,
            _ => 0,
        };
        // What is no object has been looked at all the same.
        let one = if many == 0 { begins.and_then(|byte| self.one(byte)) } else { None };
        self.at += many;
        budget.work(self.at - began)?;
        match many {
            1 => self.array(budget, depth.checked_sub(1)?, members).map(Object::Array),
            2 => self.dictionary(budget, depth.checked_sub(1)?, members).map(Object::Dictionary),
            _ => one,
        }
    }

    /// An object without others within, by its first byte.
    fn one(&mut self, byte: u8) -> Option<Object> {
        Some(match byte {
            b'/' => {
                self.at += 1;
                Object::Name(self.name())
            }
            b'(' => Object::Text(self.literal()?),
            b'<' => Object::Text(self.hexadecimal()?),
            b'0'..=b'9' | b'+' | b'-' | b'.' => self.number_or_reference(),
            byte if is_delimiter(byte) => {
                // A bracket that closes nothing, or a procedure of a font.
                self.at += 1;
                Object::Word(vec![byte])
            }
            _ => match self.word() {
                b"null" => Object::Null,
                word => Object::Word(word.to_vec()),
            },
        })
    }

    fn word(&mut self) -> &'d [u8] {
        let word = self.rest();
        let length = word.iter().take_while(|b| !is_space(**b) && !is_delimiter(**b)).count();
        self.at += length;
        word.get(..length).unwrap_or_default()
    }

    fn name(&mut self) -> Vec<u8> {
        let written = self.word();
        if !written.contains(&b'#') {
            return written.to_vec();
        }
        let mut name = Vec::with_capacity(written.len());
        let mut at = 0;
        while let Some(&byte) = written.get(at) {
            let code =
                written.get(at + 1..at + 3).and_then(|hex| Some(nibble(hex[0])? << 4 | nibble(hex[1])?));
            match code {
                Some(code) if byte == b'#' => {
                    name.push(code);
                    at += 3;
                }
                _ => {
                    name.push(byte);
                    at += 1;
                }
            }
        }
        name
    }

    fn number_or_reference(&mut self) -> Object {
        let number = self.numeral();
        // `12 0 R`, without looking far: an object number and a generation of a few digits.
        let ahead = self.rest().get(..16).unwrap_or(self.rest());
        let mut words = ahead.split(|b| is_space(*b) || is_delimiter(*b)).filter(|word| !word.is_empty());
        let generation = |word: &[u8]| word.len() <= 5 && word.iter().all(u8::is_ascii_digit);
        if ahead.first().is_some_and(|b| is_space(*b))
            && words.next().is_some_and(generation)
            && words.next() == Some(b"R")
            && let Some(id) = Object::Number(number).count().and_then(|id| u32::try_from(id).ok())
            && let Some(end) = ahead.iter().position(|b| *b == b'R')
        {
            self.at += end + 1;
            return Object::Reference(id);
        }
        Object::Number(number)
    }

    fn numeral(&mut self) -> f64 {
        let rest = self.rest();
        let length =
            rest.iter().take_while(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.')).count();
        self.at += length.max(1);
        let text = rest.get(..length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default();
        text.parse().unwrap_or(0.0)
    }

    /// `(text \(with\) escapes)`
    fn literal(&mut self) -> Option<Vec<u8>> {
        self.at += 1;
        let (mut out, mut open) = (Vec::new(), 1_usize);
        loop {
            let byte = self.peek(0)?;
            self.at += 1;
            match byte {
                b'(' => open += 1,
                b')' => {
                    open -= 1;
                    if open == 0 {
                        return Some(out);
                    }
                }
                b'\\' => {
                    let escaped = self.peek(0)?;
                    self.at += 1;
                    match escaped {
                        b'n' => out.push(b'\n'),
                        b'r' => out.push(b'\r'),
                        b't' => out.push(b'\t'),
                        b'b' => out.push(8),
                        b'f' => out.push(12),
                        b'\r' => self.at += usize::from(self.peek(0) == Some(b'\n')),
                        b'\n' => {}
                        b'0'..=b'7' => {
                            let more = self.rest().iter().take(2).take_while(|b| matches!(b, b'0'..=b'7'));
                            let digits: Vec<u8> = std::iter::once(escaped).chain(more.copied()).collect();
                            self.at += digits.len() - 1;
                            let code = digits.iter().fold(0_u16, |code, d| code * 8 + u16::from(d - b'0'));
                            out.push(code.to_be_bytes()[1]);
                        }
                        other => out.push(other),
                    }
                    continue;
                }
                _ => {}
            }
            out.push(byte);
        }
    }

    /// `<48656C6C6F>`
    fn hexadecimal(&mut self) -> Option<Vec<u8>> {
        let written = self.rest().get(1..)?;
        let Some(length) = written.iter().position(|b| *b == b'>') else {
            self.at = self.data.len();
            return None;
        };
        self.at += length + 2;
        let digits: Vec<u8> = written.get(..length)?.iter().filter_map(|b| nibble(*b)).collect();
        Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect())
    }

    fn array(&mut self, budget: &mut Budget, depth: usize, members: &mut usize) -> Option<Vec<Object>> {
        let mut list = Vec::new();
        loop {
            match self.nested(budget, depth, members)? {
                Object::Word(word) if word == b"]" => return Some(list),
                Object::Word(word) if matches!(word.as_slice(), b"endobj" | b"obj" | b"endstream") => {
                    return None;
                }
                object => list.push(object),
            }
        }
    }

    fn dictionary(&mut self, budget: &mut Budget, depth: usize, members: &mut usize) -> Option<Dictionary> {
        let mut entries = BTreeMap::new();
        loop {
            let began = self.at;
            self.skip_space();
            budget.work(self.at - began)?;
            if self.rest().starts_with(b">>") {
                self.at += 2;
                return Some(Dictionary(entries));
            }
            match self.nested(budget, depth, members)? {
                Object::Name(name) => {
                    // A name without a value.
                    let value = match self.rest().trim_ascii_start().starts_with(b">>") {
                        true => Object::Null,
                        false => self.nested(budget, depth, members)?,
                    };
                    entries.insert(name, value);
                }
                Object::Word(word) if matches!(word.as_slice(), b"endobj" | b"obj" | b"endstream") => {
                    return None;
                }
                _ => {}
            }
        }
    }
}

pub(super) fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Object> {
        Lexer::new(text.as_bytes(), 0).object(&mut Budget::default())
    }

    fn name(name: &str) -> Object {
        Object::Name(name.into())
    }

    #[test]
    fn objects_are_read() {
        assert_eq!(read(" % a comment\n -1.50 "), Some(Object::Number(-1.5)));
        assert_eq!(read("12 0 R"), Some(Object::Reference(12)));
        assert_eq!(read("12 0 RG"), Some(Object::Number(12.0)));
        assert_eq!(read("/A#20B(x)"), Some(name("A B")));
        assert_eq!(
            read(
                r"(a\(b\)(c)\101\n\
d)"
            ),
            Some(Object::Text(b"a(b)(c)A\nd".into()))
        );
        assert_eq!(read("<48 65 6>"), Some(Object::Text(b"He`".into())));
        let wanted = vec![name("A"), Object::Null, Object::Array(vec![]), Object::Reference(3)];
        assert_eq!(read("[/A null[]3 0 R]"), Some(Object::Array(wanted)));
        let Some(Object::Dictionary(found)) = read("<</Type/Page/Kids[1 0 R]/Empty>>") else { panic!() };
        assert!(found.is("Type", "Page") && found.get("Empty") == Some(&Object::Null));
    }

    #[test]
    fn what_does_not_end_is_no_object() {
        for text in ["(", "<48", "[1 2", "<</A", "[1 endobj 2]", "", "\\"] {
            let found = read(text);
            assert!(matches!(found, None | Some(Object::Word(_))), "{text}: {found:?}");
        }
        assert_eq!(read(&"[".repeat(100_000)), None);
        assert_eq!(read(&"<</A".repeat(100_000)), None);
        assert_eq!(read(&format!("[{}]", "0 ".repeat(MEMBERS + 1))), None);
    }
}
