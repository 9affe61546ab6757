//! The delimiters a message declares in MSH-1 and MSH-2.

use crate::{Error, ErrorCode};

/// The delimiters of a message (HL7 v2.9, 2.5.4). All are distinct ASCII punctuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiters {
    /// Between fields: MSH-1, `|` as a rule.
    pub field: u8,
    /// Between components: first of MSH-2, `^` as a rule.
    pub component: u8,
    /// Between repetitions: second of MSH-2, `~`; `None` when it is not declared and `~` is taken.
    pub repetition: Option<u8>,
    /// Begins and ends an escape: third of MSH-2, `\`; `None` when it is not declared and `\` is taken.
    pub escape: Option<u8>,
    /// Between subcomponents: fourth of MSH-2, `&`; `None` when it is not declared and `&` is taken.
    pub subcomponent: Option<u8>,
    /// Marks a truncated value: fifth of MSH-2, `#`, from v2.7 and only when declared.
    pub truncation: Option<u8>,
}

impl Default for Delimiters {
    /// `|^~\&`.
    fn default() -> Self {
        Self {
            field: b'|',
            component: b'^',
            repetition: Some(b'~'),
            escape: Some(b'\\'),
            subcomponent: Some(b'&'),
            truncation: None,
        }
    }
}

impl Delimiters {
    /// Reads the delimiters of `header`, the bytes from the segment name (MSH, FHS or BHS) on, which start at
    /// byte `offset` of what was given.
    ///
    /// # Errors
    /// [`ErrorCode::HeaderTruncated`] if they are cut off, [`ErrorCode::DelimitersInvalid`] if they are not
    /// distinct punctuation or more than five.
    pub(crate) fn read(header: &[u8], offset: usize) -> Result<Self, Error> {
        let invalid = |field, at| Error::header(ErrorCode::DelimitersInvalid, field, offset + at);
        let Some(&field) = header.get(3) else {
            return Err(Error::header(ErrorCode::HeaderTruncated, 1, offset + header.len()));
        };
        if matches!(field, b'\r' | b'\n') {
            return Err(Error::header(ErrorCode::HeaderTruncated, 1, offset + 3));
        }
        if !field.is_ascii_punctuation() {
            return Err(invalid(1, 3));
        }
        let rest = header.get(4..).unwrap_or_default();
        let Some(length) = rest.iter().position(|b| *b == field || matches!(b, b'\r' | b'\n')) else {
            // Without a second separator nothing says where MSH-2 ends.
            let code = if rest.len() > 5 { ErrorCode::DelimitersInvalid } else { ErrorCode::HeaderTruncated };
            return Err(Error::header(code, 2, offset + 4));
        };
        let declared = &rest[..length];
        if declared.is_empty() || declared.len() > 5 {
            return Err(invalid(2, 4));
        }
        for (position, byte) in declared.iter().enumerate() {
            if !byte.is_ascii_punctuation() || declared[..position].contains(byte) {
                return Err(invalid(2, 4 + position));
            }
        }
        let or_default = |position: usize, default: u8| {
            declared.get(position).copied().or_else(|| {
                let taken = default == field || declared.contains(&default);
                (!taken).then_some(default)
            })
        };
        Ok(Self {
            field,
            component: declared[0],
            repetition: or_default(1, b'~'),
            escape: or_default(2, b'\\'),
            subcomponent: or_default(3, b'&'),
            truncation: declared.get(4).copied(),
        })
    }

    /// The delimiters given as `MSH-1` and `MSH-2`, such as `'|'` and `"^~\\&"`.
    ///
    /// # Errors
    /// [`ErrorCode::DelimitersInvalid`] if they are not distinct punctuation, or none or more than five in
    /// `encoding`.
    pub fn new(field: char, encoding: &str) -> Result<Self, Error> {
        let header = format!("MSH{field}{encoding}{field}");
        Self::read(header.as_bytes(), 0)
    }

    /// The text of MSH-2 that declares them.
    pub fn encoding_characters(&self) -> String {
        let mut text = String::from(char::from(self.component));
        // A later one can only be declared after all before it.
        for delimiter in [self.repetition, self.escape, self.subcomponent, self.truncation] {
            match delimiter {
                Some(byte) => text.push(char::from(byte)),
                None => break,
            }
        }
        text
    }

    /// Whether `byte` is one of them.
    pub fn contains(&self, byte: u8) -> bool {
        byte == self.field
            || byte == self.component
            || [self.repetition, self.escape, self.subcomponent, self.truncation].contains(&Some(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Result<Delimiters, ErrorCode> {
        Delimiters::read(header.as_bytes(), 0).map_err(|e| e.code)
    }

    #[test]
    fn the_usual_ones_and_the_defaults() {
        assert_eq!(read("MSH|^~\\&|"), Ok(Delimiters::default()));
        assert_eq!(read("MSH|^~\\&#|").map(|d| d.truncation), Ok(Some(b'#')));
        assert_eq!(read("MSH|^|"), Ok(Delimiters::default()));
        assert_eq!(read("MSH|^~\\|"), Ok(Delimiters::default()));
        let odd = read("MSH$!%/@$").unwrap();
        assert_eq!(
            (odd.field, odd.component, odd.repetition, odd.escape, odd.subcomponent),
            (b'$', b'!', Some(b'%'), Some(b'/'), Some(b'@'))
        );
        assert_eq!(odd.encoding_characters(), "!%/@");
    }

    #[test]
    fn a_default_that_is_taken_stays_undeclared() {
        assert_eq!(read("MSH|&~\\|").map(|d| d.subcomponent), Ok(None));
        assert_eq!(read("MSH~^|").map(|_| ()), Err(ErrorCode::HeaderTruncated));
        assert_eq!(read("MSH~^~").map(|d| d.repetition), Ok(None));
    }

    #[test]
    fn unusable_ones_are_refused() {
        for header in
            ["MSH|^^\\&|", "MSH|||", "MSH|^~\\A|", "MSHA^~\\&A", "MSH ^~\\& ", "MSH|^~\\&#!|", "MSH|^ \\&|"]
        {
            assert_eq!(read(header), Err(ErrorCode::DelimitersInvalid), "{header}");
        }
        for header in ["MSH", "MSH|", "MSH|^~", "MSH\r"] {
            assert_eq!(read(header), Err(ErrorCode::HeaderTruncated), "{header}");
        }
    }
}
