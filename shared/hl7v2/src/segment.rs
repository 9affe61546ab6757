//! Views into a message: segment, field, repetition, component, subcomponent.
//!
//! All numbers count from 1, as in the standard. What is absent reads as an empty view, so that a chain of
//! accesses needs no checks. The null value `""` (delete what you have) is no text: `text()` of it is empty
//! and `is_null()` is true.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memchr_iter};

use crate::tape::Tape;
use crate::{Delimiters, Message, escape};

/// A segment.
#[derive(Clone, Copy)]
pub struct Segment<'s> {
    message: &'s Message<'s>,
    index: usize,
}

impl<'s> Segment<'s> {
    pub(crate) fn new(message: &'s Message<'s>, index: usize) -> Self {
        debug_assert!(index < message.segment_count());
        Self { message, index }
    }

    fn bounds(&self) -> (usize, usize) {
        let span = self.message.tape.segments.get(self.index);
        span.map_or((0, 0), |span| (span.start as usize, span.end as usize))
    }

    fn fields(&self) -> &'s [u32] {
        let Tape { segments, fields } = &self.message.tape;
        let first = segments.get(self.index).map_or(0, |span| span.fields as usize);
        let end = segments.get(self.index + 1).map_or(fields.len(), |span| span.fields as usize);
        fields.get(first..end).unwrap_or_default()
    }

    /// Headers count their first separator as field 1.
    fn is_header(&self) -> bool {
        let span = self.message.tape.segments.get(self.index);
        span.is_some_and(|span| matches!(&span.name, b"MSH" | b"FHS" | b"BHS"))
    }

    /// The name, such as `PID`.
    pub fn name(&self) -> &'s str {
        let (start, _) = self.bounds();
        self.message.text.get(start..start + 3).unwrap_or_default()
    }

    /// Field `n`, from 1. MSH-1 is the separator and MSH-2 the encoding characters.
    pub fn field(&self, n: usize) -> Field<'s> {
        let (start, end) = self.bounds();
        let field = |start: usize, end: usize, literal| Field {
            message: self.message,
            text: self.message.text.get(start..end).unwrap_or_default(),
            start,
            literal,
        };
        let header = self.is_header();
        let Some(position) = n.checked_sub(1 + usize::from(header)) else {
            return if n == 1 { field(start + 3, start + 4, true) } else { field(end, end, true) };
        };
        let fields = self.fields();
        let Some(&from) = fields.get(position) else { return field(end, end, false) };
        let to = fields.get(position + 1).map_or(end, |next| *next as usize - 1);
        field(from as usize, to, header && n == 2)
    }

    /// The fields in their order, field 1 first.
    pub fn fields_in_order(&self) -> impl Iterator<Item = Field<'s>> + use<'s> {
        let (segment, header, fields, (_, end)) = (*self, self.is_header(), self.fields(), self.bounds());
        let separator = (header && !fields.is_empty()).then(|| segment.field(1));
        let rest = fields.iter().enumerate().map(move |(position, from)| {
            let to = fields.get(position + 1).map_or(end, |next| *next as usize - 1);
            let start = *from as usize;
            let text = segment.message.text.get(start..to).unwrap_or_default();
            Field { message: segment.message, text, start, literal: header && position == 0 }
        });
        separator.into_iter().chain(rest)
    }

    /// Number of the last field that is written, empty or not.
    pub fn field_count(&self) -> usize {
        let fields = self.fields().len();
        if fields == 0 { 0 } else { fields + usize::from(self.is_header()) }
    }

    /// Position in the message, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Byte offset of the name in the bytes that were parsed.
    pub fn offset(&self) -> usize {
        self.message.source_offset(self.bounds().0)
    }

    /// The segment as it stands, in UTF-8, without its end.
    pub fn raw(&self) -> &'s [u8] {
        let (start, end) = self.bounds();
        self.message.text.as_bytes().get(start..end).unwrap_or_default()
    }
}

/// A field: zero or more repetitions.
#[derive(Clone, Copy)]
pub struct Field<'s> {
    message: &'s Message<'s>,
    text: &'s str,
    start: usize,
    /// MSH-1 and MSH-2 are not split.
    literal: bool,
}

/// One repetition of a field: components.
#[derive(Clone, Copy)]
pub struct Repetition<'s> {
    message: &'s Message<'s>,
    text: &'s str,
    literal: bool,
}

/// A component: subcomponents.
#[derive(Clone, Copy)]
pub struct Component<'s> {
    message: &'s Message<'s>,
    text: &'s str,
    literal: bool,
}

/// A subcomponent: a value.
#[derive(Clone, Copy)]
pub struct Subcomponent<'s> {
    message: &'s Message<'s>,
    text: &'s str,
    literal: bool,
}

/// What every view of a value offers.
macro_rules! value {
    ($name:ident) => {
        impl<'s> $name<'s> {
            /// Whether nothing is written, not even the null value.
            pub fn is_empty(&self) -> bool {
                self.text.is_empty()
            }

            /// Whether it is the null value `""`: the sender has deleted what was there.
            pub fn is_null(&self) -> bool {
                self.text == "\"\""
            }

            /// Whether the sender cut it off at its end, by the truncation character that MSH-2 declares
            /// (2.5.5.2); `text()` keeps that character. One that belongs to the value is escaped (`\P\`).
            pub fn is_truncated(&self) -> bool {
                let last = self.text.bytes().next_back().filter(|_| !self.literal);
                last.is_some() && last == self.message.delimiters.truncation
            }

            /// As it stands, in UTF-8, escapes and delimiters included.
            pub fn raw(&self) -> &'s [u8] {
                self.text.as_bytes()
            }

            /// All of it decoded, the delimiters inside standing for themselves: for text whose sender did
            /// not escape them.
            pub fn full_text(&self) -> Cow<'s, str> {
                decode(self.message, self.text, self.literal)
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("bytes", &self.text.len()).finish()
            }
        }
    };
}
value!(Field);
value!(Repetition);
value!(Component);
value!(Subcomponent);

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("name", &self.name()).field("index", &self.index).finish()
    }
}

fn decode<'s>(message: &'s Message<'s>, text: &'s str, literal: bool) -> Cow<'s, str> {
    if literal {
        Cow::Borrowed(text)
    } else if text == "\"\"" {
        Cow::Borrowed("")
    } else {
        escape::decode(text, message.delimiters.escape, &message.delimiters, message.character_set)
    }
}

/// `text` of a component that stands for itself: without subcomponents, escapes and form feeds, and not the null value.
fn plain<'s>(message: &Message<'s>, text: &'s str) -> Option<&'s str> {
    let Delimiters { subcomponent: Some(subcomponent), escape: Some(escape), .. } = message.delimiters else {
        return None;
    };
    let special = |byte: u8| byte == subcomponent || byte == escape || byte == 0x0C;
    let found = text.bytes().fold(false, |found, byte| found | special(byte));
    (!found && text != "\"\"").then_some(text)
}

/// Where `byte` first stands in `text`. Most values are shorter than it takes to start a vector search.
fn find(byte: u8, text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.len() < 32 { bytes.iter().position(|b| *b == byte) } else { memchr(byte, bytes) }
}

/// Part `n`, from 1, of `text`; empty where there is none.
fn part(text: &str, separator: Option<u8>, n: usize) -> &str {
    let Some(separator) = separator else { return if n == 1 { text } else { "" } };
    let Some(mut skip) = n.checked_sub(1) else { return "" };
    if text.len() < 64 {
        let mut start = 0;
        for (at, byte) in text.bytes().enumerate() {
            if byte == separator {
                if skip == 0 {
                    return text.get(start..at).unwrap_or_default();
                }
                skip -= 1;
                start = at + 1;
            }
        }
        return text.get(start..).filter(|_| skip == 0).unwrap_or_default();
    }
    let mut rest = text;
    for _ in 0..skip {
        match find(separator, rest) {
            Some(at) => rest = rest.get(at + 1..).unwrap_or_default(),
            None => return "",
        }
    }
    let end = find(separator, rest).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

fn count(text: &str, separator: Option<u8>) -> usize {
    match separator {
        _ if text.is_empty() => 0,
        Some(separator) => memchr_iter(separator, text.as_bytes()).count() + 1,
        None => 1,
    }
}

fn parts(text: &str, separator: Option<u8>) -> impl Iterator<Item = &str> + use<'_> {
    let mut rest = (!text.is_empty()).then_some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        match separator.and_then(|separator| find(separator, text)) {
            Some(at) => {
                rest = text.get(at + 1..);
                text.get(..at)
            }
            None => rest.take(),
        }
    })
}

impl<'s> Field<'s> {
    fn separator(&self) -> Option<u8> {
        self.message.delimiters.repetition.filter(|_| !self.literal)
    }

    fn repetition_of(&self, text: &'s str) -> Repetition<'s> {
        Repetition { message: self.message, text, literal: self.literal }
    }

    /// The first value, decoded: repetition 1, component 1, subcomponent 1.
    pub fn text(&self) -> Cow<'s, str> {
        self.repetition(1).text()
    }

    /// The repetitions in their order; none if the field is empty.
    pub fn repetitions(&self) -> impl Iterator<Item = Repetition<'s>> + use<'s> {
        let field = *self;
        parts(self.text, self.separator()).map(move |text| field.repetition_of(text))
    }

    /// Repetition `n`, from 1.
    pub fn repetition(&self, n: usize) -> Repetition<'s> {
        self.repetition_of(part(self.text, self.separator(), n))
    }

    /// Component `n` of the first repetition, from 1.
    pub fn component(&self, n: usize) -> Component<'s> {
        self.repetition(1).component(n)
    }

    /// How many repetitions are written; 0 if the field is empty.
    pub fn repetition_count(&self) -> usize {
        count(self.text, self.separator())
    }

    /// Byte offset in the bytes that were parsed. Reads the segment up to here where the message is neither
    /// ASCII nor UTF-8.
    pub fn offset(&self) -> usize {
        self.message.source_offset(self.start)
    }
}

impl<'s> Repetition<'s> {
    fn separator(&self) -> Option<u8> {
        (!self.literal).then_some(self.message.delimiters.component)
    }

    fn component_of(&self, text: &'s str) -> Component<'s> {
        Component { message: self.message, text, literal: self.literal }
    }

    /// The first value, decoded: component 1, subcomponent 1.
    pub fn text(&self) -> Cow<'s, str> {
        self.component(1).text()
    }

    /// Component `n`, from 1.
    pub fn component(&self, n: usize) -> Component<'s> {
        self.component_of(part(self.text, self.separator(), n))
    }

    /// The components in their order; none if the repetition is empty.
    pub fn components(&self) -> impl Iterator<Item = Component<'s>> + use<'s> {
        let repetition = *self;
        parts(self.text, self.separator()).map(move |text| repetition.component_of(text))
    }

    /// How many components are written; 0 if the repetition is empty.
    pub fn component_count(&self) -> usize {
        count(self.text, self.separator())
    }
}

impl<'s> Component<'s> {
    fn separator(&self) -> Option<u8> {
        self.message.delimiters.subcomponent.filter(|_| !self.literal)
    }

    fn subcomponent_of(&self, text: &'s str) -> Subcomponent<'s> {
        Subcomponent { message: self.message, text, literal: self.literal }
    }

    /// The first subcomponent, decoded.
    pub fn text(&self) -> Cow<'s, str> {
        // Most components are one plain value, which one look at its bytes tells.
        if let Some(text) = plain(self.message, self.text) {
            return Cow::Borrowed(text);
        }
        self.subcomponent(1).text()
    }

    /// Subcomponent `n`, from 1.
    pub fn subcomponent(&self, n: usize) -> Subcomponent<'s> {
        self.subcomponent_of(part(self.text, self.separator(), n))
    }

    /// The subcomponents in their order; none if the component is empty.
    pub fn subcomponents(&self) -> impl Iterator<Item = Subcomponent<'s>> + use<'s> {
        let component = *self;
        parts(self.text, self.separator()).map(move |text| component.subcomponent_of(text))
    }

    /// How many subcomponents are written; 0 if the component is empty.
    pub fn subcomponent_count(&self) -> usize {
        count(self.text, self.separator())
    }
}

impl<'s> Subcomponent<'s> {
    /// The value, decoded.
    pub fn text(&self) -> Cow<'s, str> {
        decode(self.message, self.text, self.literal)
    }
}
