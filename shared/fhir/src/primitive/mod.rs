//! Formats of FHIR's primitive types (FHIR R4, 2.24.0.1).

mod date_time;
mod number;
mod text;
mod ucum;
mod uri;

use crate::IssueType;

pub(crate) use date_time::compare;
pub(crate) use ucum::is_unit;
pub(crate) use uri::{is_absolute, is_id};

/// The primitive types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Primitive {
    Base64Binary,
    Boolean,
    Canonical,
    Code,
    Date,
    DateTime,
    Decimal,
    Id,
    Instant,
    Integer,
    Markdown,
    Oid,
    PositiveInt,
    String,
    Time,
    UnsignedInt,
    Uri,
    Url,
    Uuid,
    Xhtml,
}

/// How JSON writes a primitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Boolean,
    Number,
    Text,
}

/// What is expected of a value that does not follow its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) message: &'static str,
    pub(crate) code: IssueType,
}

impl Violation {
    const fn value(message: &'static str) -> Self {
        Self { message, code: IssueType::Value }
    }
}

/// Longest text of FHIR, in characters (FHIR R4, 2.24.0.1, string).
const MAX_STRING: usize = 1024 * 1024;

impl Primitive {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "base64Binary" => Self::Base64Binary,
            "boolean" => Self::Boolean,
            "canonical" => Self::Canonical,
            "code" => Self::Code,
            "date" => Self::Date,
            "dateTime" => Self::DateTime,
            "decimal" => Self::Decimal,
            "id" => Self::Id,
            "instant" => Self::Instant,
            "integer" => Self::Integer,
            "markdown" => Self::Markdown,
            "oid" => Self::Oid,
            "positiveInt" => Self::PositiveInt,
            "string" => Self::String,
            "time" => Self::Time,
            "unsignedInt" => Self::UnsignedInt,
            "uri" => Self::Uri,
            "url" => Self::Url,
            "uuid" => Self::Uuid,
            "xhtml" => Self::Xhtml,
            _ => return None,
        })
    }

    pub(crate) const fn shape(self) -> Shape {
        match self {
            Self::Boolean => Shape::Boolean,
            Self::Decimal | Self::Integer | Self::PositiveInt | Self::UnsignedInt => Shape::Number,
            _ => Shape::Text,
        }
    }

    /// Checks a value: the digits of a number, the decoded content of a text. XHTML is checked by its own module.
    pub(crate) fn check(self, value: &str) -> Result<(), Violation> {
        match self {
            Self::Boolean | Self::Xhtml => Ok(()),
            Self::Decimal => number::decimal(value),
            Self::Integer => number::integer(value, i64::from(i32::MIN)),
            Self::UnsignedInt => number::integer(value, 0),
            Self::PositiveInt => number::integer(value, 1),
            Self::Date => date_time::date(value),
            Self::DateTime => date_time::date_time(value),
            Self::Instant => date_time::instant(value),
            Self::Time => date_time::time(value),
            Self::String | Self::Markdown => text::string(value),
            Self::Code => text::code(value),
            Self::Base64Binary => text::base64(value),
            Self::Id => uri::id(value),
            Self::Oid => uri::oid(value),
            Self::Uuid => uri::uuid(value),
            Self::Uri | Self::Url => uri::uri(value),
            Self::Canonical => uri::canonical(value),
        }
    }
}
