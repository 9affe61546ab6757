//! A message: where its segments and fields are.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr2;

use crate::character_set::Decoded;
use crate::error::is_leading_noise;
use crate::structure::structure_of;
use crate::tape::{Fault, Tape};
use crate::{CharacterSet, Delimiters, Error, ErrorCode, Path, PathError, Segment};

/// Bounds on what is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message; 16 MiB by default, 1 GiB at most.
    pub bytes: usize,
    /// Segments of a message; 100,000 by default.
    pub segments: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 16 << 20, segments: 100_000 }
    }
}

/// A parsed message over the bytes it was parsed from.
///
/// Parsing finds the segments and fields; repetitions, components and escapes are looked at only when asked
/// for. The text is borrowed when the bytes are ASCII or UTF-8, and decoded once as a whole when they are
/// not. `Debug` shows sizes, no content.
pub struct Message<'a> {
    raw: &'a [u8],
    pub(crate) text: Cow<'a, str>,
    source: Source,
    pub(crate) delimiters: Delimiters,
    pub(crate) character_set: CharacterSet,
    pub(crate) tape: Tape,
}

/// Where the text stands in the bytes that were given.
struct Source {
    /// What was skipped before the text.
    base: usize,
    /// Lines of a decoded text: (offset in the text, offset in the bytes after `base`). Empty if the text is
    /// borrowed.
    lines: Vec<(usize, usize)>,
}

impl<'a> Message<'a> {
    /// Parses one message with the default [`Limits`].
    ///
    /// Accepted although unusual: `\n` or `\r\n` between segments, blank lines, white space, a byte order
    /// mark or MLLP's frame bytes around the message, line feeds inside a value when segments end in `\r`,
    /// missing encoding characters after the first, an unknown or absent MSH-18 (UTF-8 if the bytes are, else
    /// Windows-1252), an absent MSH-12, NUL or Ctrl-Z after the last segment, and any Z-segment.
    ///
    /// # Errors
    /// [`Error`] with one of the codes `HL7-100` to `HL7-114`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::parse_with(bytes, &Limits::default())
    }

    /// Parses one message within `limits`.
    ///
    /// # Errors
    /// As [`Message::parse`].
    pub fn parse_with(bytes: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        let limit = limits.bytes.min(1 << 30);
        if bytes.len() > limit {
            return Err(Error::new(ErrorCode::TooLarge, limit));
        }
        if matches!(bytes, [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..]) {
            return Err(Error::new(ErrorCode::EncodingUnsupported, 0));
        }
        if let Some((character_set, mark)) = CharacterSet::utf16(bytes) {
            return Self::parse_utf16(bytes, character_set, mark, limits);
        }
        let start = bytes.iter().take_while(|b| is_leading_noise(**b)).count();
        let header = header(&bytes[start..], start)?;
        let delimiters = Delimiters::read(header, start)?;
        let character_set = CharacterSet::of_header(header, &delimiters);
        let undecodable = if character_set.is_supported() {
            ErrorCode::CharacterSetMismatch
        } else {
            ErrorCode::EncodingUnsupported
        };
        let (decoded, character_set) = character_set
            .decode(&bytes[start..])
            .map_err(|at| Error::located(undecodable, bytes, start, delimiters.field, start + at))?;
        let (text, lines) = match decoded {
            Decoded::Borrowed(text) => (Cow::Borrowed(text), Vec::new()),
            Decoded::Owned { text, lines } => (Cow::Owned(text), lines),
        };
        let source = Source { base: start, lines };
        Self::read(bytes, text, source, 0, delimiters, character_set, limits)
    }

    fn parse_utf16(
        bytes: &'a [u8],
        character_set: CharacterSet,
        mark: usize,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let mismatch = |at| Error::new(ErrorCode::CharacterSetMismatch, mark + at);
        let text = match character_set.decode(&bytes[mark..]).map_err(mismatch)?.0 {
            Decoded::Borrowed(text) => text.to_owned(),
            Decoded::Owned { text, .. } => text,
        };
        let start = text.bytes().take_while(|b| is_leading_noise(*b)).count();
        // Every error below is placed in the text; its offset is that of the same character in the bytes.
        let in_source = |error: Error| Error {
            offset: mark + character_set.source_length(&bytes[mark..], error.offset),
            ..error
        };
        let delimiters = header(&text.as_bytes()[start..], start)
            .and_then(|header| Delimiters::read(header, start))
            .map_err(in_source)?;
        let source = Source { base: mark, lines: vec![(0, 0)] };
        Self::read(bytes, Cow::Owned(text), source, start, delimiters, character_set, limits)
    }

    /// Finds the segments and fields of `text` from `start` on.
    fn read(
        raw: &'a [u8],
        text: Cow<'a, str>,
        source: Source,
        start: usize,
        delimiters: Delimiters,
        character_set: CharacterSet,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let mut message = Self { raw, text, source, delimiters, character_set, tape: Tape::default() };
        match Tape::read(message.text.as_bytes(), start, delimiters.field, limits.segments) {
            Ok(tape) => message.tape = tape,
            Err(fault) => return Err(message.misplaced(fault, start)),
        }
        message.check_header()?;
        Ok(message)
    }

    /// The error for a line or byte that cannot stand where it stands.
    fn misplaced(&self, fault: Fault, start: usize) -> Error {
        let text = self.text.as_bytes();
        let error = Error::located(fault.code, text, start, self.delimiters.field, fault.at);
        let segment = error.segment.filter(|_| fault.code != ErrorCode::SegmentNameInvalid);
        Error { segment, offset: self.source_offset(fault.at), ..error }
    }

    fn check_header(&self) -> Result<(), Error> {
        let Some(header) = self.segment_at(0) else {
            return Err(Error::new(ErrorCode::Empty, 0));
        };
        let error = |code, field: usize| Error::header(code, field, header.field(field).offset());
        if header.field_count() < 9 {
            return Err(error(ErrorCode::HeaderTruncated, header.field_count()));
        }
        if header.field(9).repetition(1).component(1).text().trim().is_empty() {
            return Err(error(ErrorCode::MessageTypeMissing, 9));
        }
        if header.field(10).text().trim().is_empty() {
            return Err(error(ErrorCode::ControlIdMissing, 10));
        }
        if self.segment_count() < 2 {
            return Err(Error {
                segment_index: Some(0),
                segment: Some("MSH".to_owned()),
                ..Error::new(
                    ErrorCode::SegmentsMissing,
                    self.source_offset(self.tape.segments[0].end as usize),
                )
            });
        }
        Ok(())
    }

    /// The offset in the given bytes of the text at `position`.
    pub(crate) fn source_offset(&self, position: usize) -> usize {
        let Source { base, lines } = &self.source;
        let line = lines.partition_point(|(text, _)| *text <= position).saturating_sub(1);
        let Some(&(text, start)) = lines.get(line) else { return base + position };
        let bytes = self.raw.get(*base..).unwrap_or_default();
        let end = lines.get(line + 1).map_or(bytes.len(), |next| next.1);
        let bytes = bytes.get(start..end).unwrap_or_default();
        base + start + self.character_set.source_length(bytes, position - text)
    }

    /// The segments in their order, MSH first.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = Segment<'_>> + DoubleEndedIterator {
        (0..self.tape.segments.len()).map(|index| Segment::new(self, index))
    }

    /// How many segments there are; at least two.
    pub fn segment_count(&self) -> usize {
        self.tape.segments.len()
    }

    /// The segment at `index`, from 0.
    pub fn segment_at(&self, index: usize) -> Option<Segment<'_>> {
        (index < self.tape.segments.len()).then(|| Segment::new(self, index))
    }

    /// The first segment of that name.
    pub fn segment(&self, name: &str) -> Option<Segment<'_>> {
        self.all(name).next()
    }

    /// All segments of that name, in their order.
    pub fn all<'s>(&'s self, name: &str) -> impl Iterator<Item = Segment<'s>> + use<'s> {
        let name = <[u8; 3]>::try_from(name.as_bytes()).unwrap_or_default();
        let spans = self.tape.segments.iter().enumerate().filter(move |(_, span)| span.name == name);
        spans.map(|(index, _)| Segment::new(self, index))
    }

    fn header_text(&self, field: usize, component: usize) -> Cow<'_, str> {
        let text = Segment::new(self, 0).field(field).repetition(1).component(component).text();
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        }
    }

    /// MSH-3.1, the sending application; empty if absent.
    pub fn sending_application(&self) -> Cow<'_, str> {
        self.header_text(3, 1)
    }

    /// MSH-4.1, the sending facility; empty if absent.
    pub fn sending_facility(&self) -> Cow<'_, str> {
        self.header_text(4, 1)
    }

    /// MSH-7.1, when the message was made, as written; empty if absent.
    pub fn timestamp(&self) -> Cow<'_, str> {
        self.header_text(7, 1)
    }

    /// MSH-9.1, such as `ADT`; never empty.
    pub fn message_code(&self) -> Cow<'_, str> {
        self.header_text(9, 1)
    }

    /// MSH-9.2, such as `A01`; empty if absent.
    pub fn trigger_event(&self) -> Cow<'_, str> {
        self.header_text(9, 2)
    }

    /// MSH-9.3, such as `ADT_A01`, or what HL7 table 0354 gives for the code and event when it is absent.
    pub fn structure(&self) -> Cow<'_, str> {
        let declared = self.header_text(9, 3);
        if !declared.is_empty() {
            return declared;
        }
        let (code, event) = (self.message_code(), self.trigger_event());
        match structure_of(&code, &event) {
            Some(structure) => Cow::Borrowed(structure),
            None if event.is_empty() => Cow::Owned(code.into_owned()),
            None => Cow::Owned(format!("{code}_{event}")),
        }
    }

    /// MSH-10, the message control id; never empty.
    pub fn control_id(&self) -> Cow<'_, str> {
        self.header_text(10, 1)
    }

    /// MSH-11.1: `P` production, `T` training, `D` debugging; empty if absent.
    pub fn processing_id(&self) -> Cow<'_, str> {
        self.header_text(11, 1)
    }

    /// MSH-12.1, such as `2.5.1`; empty if absent.
    pub fn version(&self) -> Cow<'_, str> {
        self.header_text(12, 1)
    }

    /// The bytes the message was parsed from.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The delimiters of MSH-1 and MSH-2.
    pub fn delimiters(&self) -> &Delimiters {
        &self.delimiters
    }

    /// The character set the bytes were read in.
    pub fn character_set(&self) -> CharacterSet {
        self.character_set
    }

    /// The decoded value at a terser `path` such as `PID-3[2].4.1`; `None` where nothing is valued.
    ///
    /// # Errors
    /// [`PathError`] if `path` is not one.
    pub fn query(&self, path: &str) -> Result<Option<String>, PathError> {
        Ok(path.parse::<Path>()?.find(self).map(Cow::into_owned))
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("segments", &self.tape.segments.len())
            .field("bytes", &self.raw.len())
            .finish()
    }
}

/// The line that MSH is on, or why it is none.
fn header(bytes: &[u8], offset: usize) -> Result<&[u8], Error> {
    if bytes.is_empty() {
        return Err(Error::new(ErrorCode::Empty, 0));
    }
    let end = memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len());
    let line = &bytes[..end];
    if line.starts_with(b"MSH") {
        return Ok(line);
    }
    let batch = (line.starts_with(b"FHS") || line.starts_with(b"BHS"))
        && line.get(3).is_some_and(u8::is_ascii_punctuation);
    let code = if batch {
        ErrorCode::BatchNotMessage
    } else if end == bytes.len() && b"MSH".starts_with(line) {
        ErrorCode::HeaderTruncated
    } else {
        ErrorCode::HeaderMissing
    };
    Err(Error::new(code, offset))
}
