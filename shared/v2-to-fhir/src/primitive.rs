//! HL7 v2 text to FHIR primitive types.

use crate::value::{Text, Value};

use crate::number;
use crate::time::{Stamp, Zones, time_of_day};
use crate::unmapped::Reason;

/// A FHIR primitive type that a row names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Primitive {
    String,
    Markdown,
    Code,
    Uri,
    Date,
    DateTime,
    Instant,
    Time,
    Boolean,
    Decimal,
    Integer,
    PositiveInt,
    UnsignedInt,
}

impl Primitive {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::String,
            "markdown" => Self::Markdown,
            "code" => Self::Code,
            "uri" => Self::Uri,
            "date" => Self::Date,
            "dateTime" => Self::DateTime,
            "instant" => Self::Instant,
            "time" => Self::Time,
            "boolean" => Self::Boolean,
            "decimal" => Self::Decimal,
            "integer" => Self::Integer,
            "positiveInt" => Self::PositiveInt,
            "unsignedInt" => Self::UnsignedInt,
            _ => return None,
        })
    }

    /// The FHIR value, or why there is none.
    pub(crate) fn value(self, text: &str, zones: &mut Zones) -> Result<Value, Reason> {
        let date = || Stamp::parse(text).ok_or(Reason::InvalidDate);
        match self {
            Self::String | Self::Markdown => string(text).map(Value::from).ok_or(Reason::InvalidValue),
            Self::Code => code(text).map(Value::from).ok_or(Reason::InvalidCode),
            Self::Uri => uri(text).map(Value::from).ok_or(Reason::InvalidValue),
            Self::Date => Ok(Value::from(date()?.date())),
            Self::DateTime => Ok(Value::from(date()?.date_time(zones))),
            Self::Instant => date()?.instant(zones).map(Value::from).ok_or(Reason::InvalidDate),
            Self::Time => time_of_day(text).map(Value::from).ok_or(Reason::InvalidDate),
            Self::Boolean => match text.trim() {
                "Y" | "y" | "YES" => Ok(Value::Bool(true)),
                "N" | "n" | "NO" => Ok(Value::Bool(false)),
                _ => Err(Reason::InvalidCode),
            },
            Self::Decimal => number::decimal(text).ok_or(Reason::InvalidNumber),
            Self::Integer => number::integer(text, i32::MIN).ok_or(Reason::InvalidNumber),
            Self::PositiveInt => number::integer(text, 1).ok_or(Reason::InvalidNumber),
            Self::UnsignedInt => number::integer(text, 0).ok_or(Reason::InvalidNumber),
        }
    }
}

/// `text` without white space at its ends, which few values have.
pub(crate) fn trim(text: &str) -> &str {
    let plain = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_graphic);
    if plain(text.as_bytes().first()) && plain(text.as_bytes().last()) { text } else { text.trim() }
}

/// Bytes of the longest FHIR `string` (FHIR 4.0.1, section 2.24.0.1).
const MAX_BYTES: usize = 1024 * 1024;

/// `text` with line feeds for carriage returns and without other control characters but tabs.
fn printable(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter_map(|c| match c {
        '\r' => Some('\n'),
        '\t' | '\n' => Some(c),
        c if c.is_control() => None,
        c => Some(c),
    })
}

/// FHIR `string`: something other than white space, no control characters but tab and line ends, at most 1 MiB.
pub(crate) fn string(text: &str) -> Option<Text> {
    let plain = text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'));
    let clean = if plain {
        Text::new(text.trim_ascii())
    } else {
        let clean: String = printable(text).collect();
        Text::new(clean.trim())
    };
    (!clean.is_empty() && clean.len() <= MAX_BYTES).then_some(clean)
}

/// Adds a line to a FHIR `string` without reading what it holds again; false if it would be too long.
pub(crate) fn add_line(held: &mut Text, line: &str) -> bool {
    let before = held.len();
    held.push('\n');
    held.extend(printable(line));
    let end = held.trim_end().len();
    held.truncate(if end <= MAX_BYTES { end } else { before });
    end <= MAX_BYTES
}

/// FHIR `code`: no white space at the ends, single spaces within.
pub(crate) fn code(text: &str) -> Option<Text> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(Text::new(text));
    }
    let mut code = Text::default();
    for word in text.split_whitespace() {
        if !code.is_empty() {
            code.push(' ');
        }
        code.push_str(word);
    }
    (!code.is_empty() && !code.chars().any(char::is_control)).then_some(code)
}

/// FHIR `uri`: no white space.
pub(crate) fn uri(text: &str) -> Option<Text> {
    let text = text.trim();
    (!text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control())).then(|| Text::new(text))
}

/// Base64 that decodes, line breaks taken out.
pub(crate) fn base64(text: &str) -> Option<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    (!packed.is_empty() && STANDARD.decode(&packed).is_ok()).then_some(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cleaned_not_changed() {
        assert_eq!(string(" a\u{1}b \r\nc ").as_deref(), Some("ab \n\nc"));
        assert_eq!(string(" \t "), None);
        let mut held = Text::new("one");
        for line in ["", "  two \u{1}", " "] {
            assert!(add_line(&mut held, line));
        }
        assert_eq!(held, "one\n  two");
        assert!(!add_line(&mut held, &"x".repeat(MAX_BYTES)));
        assert_eq!(held, "one\n  two");
        assert_eq!(code("  chest   xr ").as_deref(), Some("chest xr"));
        assert_eq!(uri("a b"), None);
        assert_eq!(base64("QUJD\r\nREVG").as_deref(), Some("QUJDREVG"));
        assert_eq!(base64("not base64!"), None);
    }
}
