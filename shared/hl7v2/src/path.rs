//! Terser paths: `PID-3[2].4.1`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::Message;
use crate::error::is_segment_name;

/// A place in a message: segment (and which of that name), field, repetition, component, subcomponent.
///
/// Written `SEG[i]-F[r].C.S`; all numbers count from 1, and what is left out is 1. `PID-5.1`, `OBX[3]-5`,
/// `PID-3[2].4.2`. A hyphen may stand for a full stop (`PID-5-1`) and parentheses for brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path {
    segment: String,
    occurrence: usize,
    field: usize,
    repetition: usize,
    component: usize,
    subcomponent: usize,
}

/// A path that cannot be read: code `HL7-401`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("HL7-401: path is not of the form SEG[n]-F[r].C.S at character {position}")]
pub struct PathError {
    /// Position, from 0, of the character that does not fit.
    pub position: usize,
}

impl PathError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        crate::ErrorCode::PathInvalid.code()
    }
}

impl Path {
    /// The decoded value there; `None` where nothing is valued.
    pub fn find<'s>(&self, message: &'s Message<'_>) -> Option<Cow<'s, str>> {
        let segment = message.all(&self.segment).nth(self.occurrence - 1)?;
        let value = segment
            .field(self.field)
            .repetition(self.repetition)
            .component(self.component)
            .subcomponent(self.subcomponent);
        Some(value.text()).filter(|text| !text.is_empty())
    }

    /// Name of the segment.
    pub fn segment(&self) -> &str {
        &self.segment
    }

    /// Number of the field.
    pub fn field(&self) -> usize {
        self.field
    }
}

struct Reader<'p> {
    path: &'p [u8],
    at: usize,
}

impl Reader<'_> {
    fn next_is(&mut self, any: &[u8]) -> bool {
        let found = self.path.get(self.at).is_some_and(|b| any.contains(b));
        self.at += usize::from(found);
        found
    }

    fn number(&mut self) -> Result<usize, PathError> {
        let start = self.at;
        let mut number = 0_usize;
        while let Some(digit) = self.path.get(self.at).filter(|b| b.is_ascii_digit()) {
            number = number.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
            self.at += 1;
        }
        if number == 0 { Err(PathError { position: start }) } else { Ok(number) }
    }

    fn bracketed(&mut self) -> Result<usize, PathError> {
        if !self.next_is(b"[(") {
            return Ok(1);
        }
        let number = self.number()?;
        if self.next_is(b"])") { Ok(number) } else { Err(PathError { position: self.at }) }
    }

    fn dotted(&mut self) -> Result<usize, PathError> {
        if self.next_is(b".-") { self.number() } else { Ok(1) }
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(path: &str) -> Result<Self, PathError> {
        let name = path.get(..3).filter(|name| is_segment_name(name.as_bytes()));
        let segment = name.ok_or(PathError { position: 0 })?.to_owned();
        let mut reader = Reader { path: path.as_bytes(), at: 3 };
        let occurrence = reader.bracketed()?;
        if !reader.next_is(b"-.") {
            return Err(PathError { position: reader.at });
        }
        let field = reader.number()?;
        let repetition = reader.bracketed()?;
        let component = reader.dotted()?;
        let subcomponent = reader.dotted()?;
        if reader.at < path.len() {
            return Err(PathError { position: reader.at });
        }
        Ok(Self { segment, occurrence, field, repetition, component, subcomponent })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment, occurrence, field, repetition, component, subcomponent } = self;
        write!(f, "{segment}[{occurrence}]-{field}[{repetition}].{component}.{subcomponent}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] = b"MSH|^~\\&|A|B|||1||ADT^A01|1|P|2.5\r\
        PID|1||7001^^^NORTH&2.16.1&ISO^MR~9-9^^^SS||ROE^ANN\rOBX|1\rOBX|2||x\\T\\y|\"\"\r";

    #[test]
    fn paths_find_values() {
        let message = Message::parse(BYTES).unwrap();
        let at = |path: &str| message.query(path).unwrap();
        assert_eq!(at("PID-3").as_deref(), Some("7001"));
        assert_eq!(at("PID-3[1].4.2").as_deref(), Some("2.16.1"));
        assert_eq!(at("PID-3(2)-4").as_deref(), Some("SS"));
        assert_eq!(at("PID-5-2").as_deref(), Some("ANN"));
        assert_eq!(at("OBX[2]-3").as_deref(), Some("x&y"));
        assert_eq!(at("OBX[2]-4"), None);
        assert_eq!(at("OBX[3]-3"), None);
        assert_eq!(at("MSH-1").as_deref(), Some("|"));
        assert_eq!(at("MSH-2").as_deref(), Some("^~\\&"));
        assert_eq!(at("MSH-9.2").as_deref(), Some("A01"));
    }

    #[test]
    fn what_is_no_path_is_refused_where_it_fails() {
        let position = |path: &str| path.parse::<Path>().map(|_| ()).unwrap_err().position;
        assert_eq!(position(""), 0);
        assert_eq!(position("pid-3"), 0);
        assert_eq!(position("PID"), 3);
        assert_eq!(position("PID-0"), 4);
        assert_eq!(position("PID-3[0]"), 6);
        assert_eq!(position("PID-3[1"), 7);
        assert_eq!(position("PID-3.1.2.3"), 9);
        assert_eq!(position("PéD-3"), 0);
    }

    #[test]
    fn a_path_is_written_as_it_is_read() {
        let path: Path = "OBX[2]-5[3].4.2".parse().unwrap();
        assert_eq!(path.to_string().parse(), Ok(path));
    }
}
