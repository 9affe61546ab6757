//! Where the segments and fields of a text are, found in one pass.

use memchr::{memchr2, memrchr};

use crate::ErrorCode;
use crate::error::is_segment_name;

/// Where a message's segments and fields start and end.
#[derive(Default)]
pub(crate) struct Tape {
    pub(crate) segments: Vec<SegmentSpan>,
    /// Offset at which each field starts, segment after segment; MSH-1 has no entry.
    pub(crate) fields: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentSpan {
    pub(crate) name: [u8; 3],
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Index of the first field in [`Tape::fields`]; the next segment's is the end.
    pub(crate) fields: u32,
}

/// What is wrong with the line or the byte at `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: ErrorCode,
    pub(crate) at: usize,
}

impl Tape {
    /// Reads `bytes` from `start` on.
    ///
    /// # Errors
    /// The first control character, line that is no segment, second header, or segment over `limit`.
    pub(crate) fn read(bytes: &[u8], start: usize, separator: u8, limit: usize) -> Result<Self, Fault> {
        let content = Content::of(bytes, start, separator);
        let bytes = content.bytes;
        // Enough for most messages; a large one grows its vectors a few times.
        let expected = bytes.len().min(1 << 14);
        let mut tape =
            Self { segments: Vec::with_capacity(16), fields: Vec::with_capacity(expected / 6 + 16) };
        let mut line = start;
        let mut first_field = 0;
        let (blocks, tail) = bytes.get(start..).unwrap_or_default().as_chunks::<64>();
        let mut last = [b' '; 64];
        last[..tail.len()].copy_from_slice(tail);
        for (index, block) in blocks.iter().chain([&last]).enumerate() {
            let mut marks = marks(block, separator);
            while marks != 0 {
                let place = marks.trailing_zeros() as usize;
                marks &= marks - 1;
                let at = start + index * 64 + place;
                match block[place] {
                    byte if byte == separator => tape.fields.push(offset32(at + 1)),
                    b'\r' | b'\n' if content.ends_segment(line, at) => {
                        tape.close(bytes, line, at, first_field, separator, limit)?;
                        line = at + 1;
                        first_field = tape.fields.len();
                    }
                    b'\r' | b'\n' | b'\t' | 0x0C => {}
                    _ => return Err(Fault { code: ErrorCode::ControlCharacter, at }),
                }
            }
        }
        tape.close(bytes, line, bytes.len(), first_field, separator, limit)?;
        Ok(tape)
    }

    /// Ends the segment that is the line from `start` to `end`.
    fn close(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: usize,
        first_field: usize,
        separator: u8,
        limit: usize,
    ) -> Result<(), Fault> {
        let line = bytes.get(start..end).unwrap_or_default();
        let fault = |code| Err(Fault { code, at: start });
        let name = match line {
            [a, b, c, rest @ ..] if rest.first().is_none_or(|next| *next == separator) => [*a, *b, *c],
            _ => [0; 3],
        };
        if !is_segment_name(&name) {
            if line.trim_ascii().is_empty() {
                return Ok(());
            }
            let full = self.segments.len() >= limit;
            return fault(if full { ErrorCode::TooManySegments } else { ErrorCode::SegmentNameInvalid });
        }
        if self.segments.len() >= limit {
            return fault(ErrorCode::TooManySegments);
        }
        if name == *b"MSH" && !self.segments.is_empty() {
            return fault(ErrorCode::HeaderRepeated);
        }
        self.segments.push(SegmentSpan {
            name,
            start: offset32(start),
            end: offset32(end),
            fields: offset32(first_field),
        });
        Ok(())
    }
}

/// A bit for each byte of `block` that is the separator or a control character. Without a branch for each byte, so
/// that the compiler makes a vector loop of it; with a search for every next separator, starting the searches was
/// most of the work.
fn marks(block: &[u8; 64], separator: u8) -> u64 {
    let found =
        block.map(|byte| u8::from(byte == separator) | u8::from(byte < 0x20) | u8::from(byte == 0x7F));
    let words = found.as_chunks::<8>().0.iter().enumerate();
    // The product gathers the lowest bit of each byte in the highest byte.
    words.fold(0, |marks, (index, word)| {
        let bits = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        marks | bits << (index * 8)
    })
}

/// The bytes up to the last segment's end, and what ends a segment in them.
#[derive(Clone, Copy)]
pub(crate) struct Content<'b> {
    bytes: &'b [u8],
    separator: u8,
    /// Segments end in `\r`.
    returns: bool,
}

impl<'b> Content<'b> {
    /// What `bytes` hold from `start` on.
    pub(crate) fn of(bytes: &'b [u8], start: usize, separator: u8) -> Self {
        let bytes = &bytes[..end_of_content(bytes, start)];
        let returns = memrchr(b'\r', bytes.get(start..).unwrap_or_default()).is_some();
        Self { bytes, separator, returns }
    }

    /// Whether what stands at `end` ends the line from `start` on. Where segments end in `\r`, a `\n` that no
    /// segment follows is content.
    fn ends_segment(self, start: usize, end: usize) -> bool {
        match self.bytes[end] {
            b'\r' => true,
            b'\n' if self.returns && end > start => {
                let next = self.bytes.get(end + 1..end + 5).or_else(|| self.bytes.get(end + 1..));
                next.is_none_or(|next| match next {
                    [] | [b'\r' | b'\n', ..] => true,
                    _ => {
                        next.get(..3).is_some_and(is_segment_name)
                            && next.get(3).is_none_or(|byte| *byte == self.separator)
                    }
                })
            }
            byte => byte == b'\n',
        }
    }

    /// The lines from `start` on that are not blank, as start and end: the segments of a message that parses.
    pub(crate) fn lines(self, start: usize) -> impl Iterator<Item = (usize, usize)> + use<'b> {
        let mut at = start;
        std::iter::from_fn(move || {
            let line = at;
            let mut from = at;
            loop {
                let rest = self.bytes.get(from..)?;
                match memchr2(b'\r', b'\n', rest).map(|found| from + found) {
                    Some(end) if !self.ends_segment(line, end) => from = end + 1,
                    found => {
                        let end = found.unwrap_or(self.bytes.len());
                        at = end + 1;
                        return Some((line, end));
                    }
                }
            }
        })
        .filter(move |(start, end)| !self.bytes[*start..*end].trim_ascii().is_empty())
    }
}

/// What is after it: line ends, the end of a frame, and the NUL and SUB (Ctrl-Z) that pad old files.
fn end_of_content(bytes: &[u8], start: usize) -> usize {
    let padding = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0x1C | 0x00 | 0x1A);
    bytes.iter().rposition(|byte| !padding(byte)).map_or(start, |at| (at + 1).max(start))
}

/// Offsets fit: the message has at most 1 GiB, and its text at most three times that.
fn offset32(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Segments as name, text and fields, found the slow way.
    fn expected(content: Content<'_>) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
        content
            .lines(0)
            .map(|(start, end)| {
                let line = &content.bytes[start..end];
                let fields = line.split(|byte| *byte == content.separator).skip(1).map(<[u8]>::to_vec);
                (line.to_vec(), fields.collect())
            })
            .collect()
    }

    fn found(tape: &Tape, bytes: &[u8]) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
        let ends = tape.segments.iter().skip(1).map(|next| next.fields as usize).chain([tape.fields.len()]);
        let segment = |(span, end): (&SegmentSpan, usize)| {
            let line = &bytes[span.start as usize..span.end as usize];
            let starts = &tape.fields[span.fields as usize..end];
            let ends = starts.iter().skip(1).map(|next| next - 1).chain([span.end]);
            let fields =
                starts.iter().zip(ends).map(|(start, end)| bytes[*start as usize..end as usize].to_vec());
            (line.to_vec(), fields.collect())
        };
        tape.segments.iter().zip(ends).map(segment).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_tape_is_what_a_plain_reading_finds(
            lines in proptest::collection::vec(
                ("[A-Z][A-Z0-9]{2}(\\|[ -~\t\u{e9}]{0,40}){0,3}", prop::sample::select(vec!["\r", "\n", "\r\n", "\r \r", "\n\n", "\ntext"])),
                1..20,
            ),
            separator in prop::sample::select(vec![b'|', b'!', b'~', b'\\']),
        ) {
            let text: String = lines.iter().flat_map(|(line, end)| [line.as_str(), end]).collect();
            let bytes: Vec<u8> = text.bytes().map(|b| if b == b'|' { separator } else { b }).collect();
            let content = Content::of(&bytes, 0, separator);
            match Tape::read(&bytes, 0, separator, 1000) {
                Ok(tape) => prop_assert_eq!(found(&tape, &bytes), expected(content)),
                // The line it points to is one, and the first that is no segment or a second header.
                Err(fault) => {
                    let bad = |line: &[u8]| {
                        !line.get(..3).is_some_and(is_segment_name)
                            || line.get(3).is_some_and(|byte| *byte != separator)
                            || line.starts_with(b"MSH")
                    };
                    let mut lines = content.lines(0).map(|(start, end)| (start, &bytes[start..end]));
                    let first = lines.find(|(start, line)| bad(line) && (*start > 0 || !line.starts_with(b"MSH")));
                    prop_assert_eq!(first.map(|(start, _)| start), Some(fault.at));
                }
            }
        }
    }

    #[test]
    fn marks_are_the_separator_and_control_characters() {
        for byte in 0..=u8::MAX {
            for place in [0, 7, 8, 63] {
                let mut block = [b'x'; 64];
                block[place] = byte;
                let expected = u64::from(byte == b'|' || byte.is_ascii_control()) << place;
                assert_eq!(marks(&block, b'|'), expected, "{byte:#x} at {place}");
            }
        }
        assert_eq!(marks(&[0; 64], b'|'), u64::MAX);
        assert_eq!(marks(&[0xFF; 64], b'|'), 0);
    }
}
