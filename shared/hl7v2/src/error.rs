//! The one error of this crate: a stable code and a place, never content.

use std::fmt;

use crate::tape::Content;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $title:literal, $help:literal;)*) => {
        /// What is wrong with the bytes. Codes are stable: they are never renumbered or reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// Every code, in the order of their numbers: error pages are generated from it.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name,)*];

            /// The stable code, such as `HL7-101`.
            pub fn code(self) -> &'static str {
                match self { $(ErrorCode::$name => $code,)* }
            }

            /// One lowercase line saying what is wrong.
            pub fn title(self) -> &'static str {
                match self { $(ErrorCode::$name => $title,)* }
            }

            /// What it usually means and what to do next, as prose for an error page.
            pub fn help(self) -> &'static str {
                match self { $(ErrorCode::$name => $help,)* }
            }
        }
    };
}

codes! {
    /// No bytes, or white space only.
    Empty = "HL7-100", "the message is empty",
        "Nothing but white space was received. Look at the sender's interface for an export that ran \
         without data, and at whatever sits between it and this line for a step that drops the body.";
    /// The first segment is not MSH.
    HeaderMissing = "HL7-101", "the message does not start with an MSH segment",
        "Every HL7 v2 message starts with MSH. Either the start of the message was lost, or the bytes are \
         not HL7 v2 (XML-encoded HL7, a PDF, an HTTP error page). Capture one message at the sender and \
         compare its first bytes.";
    /// MSH ends before MSH-9.
    HeaderTruncated = "HL7-102", "the MSH segment is cut off",
        "MSH ends before field 9, so neither the type of the message nor its control id can be known. The \
         message was cut in transit or by a length limit at the sender: ask for a retransmission and look \
         for that limit.";
    /// The delimiters in MSH-1 and MSH-2 cannot be used.
    DelimitersInvalid = "HL7-103", "the delimiters in MSH-1 and MSH-2 are unusable",
        "MSH-1 and MSH-2 define the delimiters. They must be distinct, printable ASCII, and neither \
         letters nor digits (HL7 v2.9, 2.5.4); almost every sender uses |^~\\&. A wrong one would split \
         every field in the wrong place, so nothing is guessed. Correct the sender's encoding characters.";
    /// MSH-9 is empty.
    MessageTypeMissing = "HL7-104", "MSH-9 (message type) is missing",
        "MSH-9 says what the message is, for example ADT^A01^ADT_A01. Without it no rule can be chosen. \
         Have the sender value MSH-9.";
    /// MSH-10 is empty.
    ControlIdMissing = "HL7-105", "MSH-10 (message control id) is missing",
        "MSH-10 identifies the message and is echoed in its acknowledgement; without it a sender cannot \
         know what was accepted and a retransmission cannot be told from a new event. Have the sender \
         value MSH-10 with something unique.";
    /// A segment does not start with a name.
    SegmentNameInvalid = "HL7-106", "a segment does not start with a valid name",
        "A segment name is an upper-case letter and two upper-case letters or digits, followed by the \
         field separator. Most often a line break inside a value was not escaped as \\.br\\ and its rest \
         became a line of its own, or the message was cut in the middle of a name. The error gives the \
         position of the segment in the message and its byte offset.";
    /// A NUL or another control character.
    ControlCharacter = "HL7-107", "a control character is inside the message",
        "Only tab, form feed and line ends may occur below U+0020. A control character means binary data \
         in a text field, a damaged transfer, or two frames run together. Binary content belongs in an ED \
         value, in Base64.";
    /// Bytes that the character set does not have.
    CharacterSetMismatch = "HL7-108", "bytes do not fit the character set of MSH-18",
        "MSH-18 names a character set in which the bytes at this offset mean nothing (without MSH-18: \
         they are neither UTF-8 nor Windows-1252). Decoding anyway would corrupt names and text. Correct \
         MSH-18 at the sender, or the encoding that its interface writes.";
    /// MSH is the only segment.
    SegmentsMissing = "HL7-109", "no segment follows MSH",
        "A header alone carries no event. The message was cut after its first segment, or a segment \
         terminator was lost so that the other segments became part of MSH.";
    /// More bytes than the limit.
    TooLarge = "HL7-110", "the message is larger than the limit",
        "The message has more bytes than this line accepts. Large documents should be referred to (RP) \
         rather than embedded; where they must be embedded, raise the limit and the topic's \
         max.message.bytes together.";
    /// More segments than the limit.
    TooManySegments = "HL7-111", "the message has more segments than the limit",
        "A message of so many segments is nearly always a loop at the sender or a file that was sent as \
         one message. Split it or raise the limit.";
    /// UTF-32, or a set of MSH-18 that is known and not read.
    EncodingUnsupported = "HL7-112", "the message is in a character set that is not supported",
        "UTF-32, CNS 11643, EBCDIC and the code pages of DOS are not read, and reading them as something \
         else would corrupt names and text. Have the sender write UTF-8 and say so in MSH-18 (UNICODE UTF-8).";
    /// A second MSH in one message.
    HeaderRepeated = "HL7-113", "a second MSH segment is inside the message",
        "Two messages were run together, so two patients could be mixed up; nothing of either is used. \
         Look for a lost frame end (MLLP) or a batch that was sent as one message.";
    /// A batch or file header where a message was expected.
    BatchNotMessage = "HL7-114", "a batch was given where one message was expected",
        "The bytes start with FHS or BHS. Send batches to a door that splits them, or split them at the \
         sender.";
    /// BTS-1 differs from the number of messages.
    BatchCountMismatch = "HL7-201", "BTS-1 differs from the number of messages in the batch",
        "The trailer counts a different number of messages than were found: some were lost or duplicated \
         before the file was closed. The messages found were passed on; ask the sender to compare and to \
         send what is missing.";
    /// FTS-1 differs from the number of batches.
    FileCountMismatch = "HL7-202", "FTS-1 differs from the number of batches in the file",
        "The file's trailer counts a different number of batches than were found. The messages found were \
         passed on; ask the sender to compare.";
    /// A BHS without its BTS.
    BatchTrailerMissing = "HL7-203", "a batch has no BTS trailer",
        "A batch was opened by BHS and never closed: the file is probably cut. The messages found were \
         passed on, and the last may be incomplete.";
    /// An FHS without its FTS.
    FileTrailerMissing = "HL7-204", "a file has no FTS trailer",
        "The file was opened by FHS and never closed: it is probably cut, or was read while still being \
         written. The messages found were passed on.";
    /// A BTS or FTS without its header.
    TrailerUnexpected = "HL7-205", "a trailer closes what was never opened",
        "BTS without BHS, or FTS without FHS: the start of the batch or file is missing, and perhaps \
         messages with it.";
    /// Lines that belong to no message.
    ContentOutsideMessage = "HL7-206", "lines of the batch belong to no message",
        "Between the headers and the first MSH there are lines that belong to nothing. Usually the start \
         of a message was lost.";
    /// A frame exceeds the limit.
    FrameTooLarge = "HL7-301", "an MLLP frame is larger than the limit",
        "The frame was discarded up to its end. Raise the limit, or look for a sender that never sends \
         the end block (0x1C 0x0D).";
    /// Bytes between two frames.
    BytesOutsideFrame = "HL7-302", "bytes were received outside an MLLP frame",
        "Every message on this port starts with 0x0B and ends with 0x1C 0x0D. The sender uses raw TCP or \
         another protocol (HTTP, TLS on a plain port).";
    /// A frame without an end block.
    FrameUnterminated = "HL7-303", "an MLLP frame has no end block",
        "A new frame began, or the connection closed, before 0x1C. The message was not complete and was \
         not accepted; the sender must send it again.";
    /// A terser path that cannot be read; carried by [`crate::PathError`].
    PathInvalid = "HL7-401", "the path is not of the form SEG[n]-F[r].C.S",
        "A path names a segment, a field and optionally a repetition, component and subcomponent, all \
         counted from 1: PID-3[2].4.1, OBX[3]-5. Correct the path in the configuration or command that \
         holds it.";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What is wrong and where. Neither `Display` nor `Debug` shows content of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub code: ErrorCode,
    /// Name of the segment, when it has a valid one.
    pub segment: Option<String>,
    /// Position of the segment in the message, from 0.
    pub segment_index: Option<usize>,
    /// Number of the field, from 1 (MSH-1 is the separator).
    pub field: Option<usize>,
    /// Byte offset in the bytes that were given.
    pub offset: usize,
}

impl Error {
    pub(crate) fn new(code: ErrorCode, offset: usize) -> Self {
        Self { code, segment: None, segment_index: None, field: None, offset }
    }

    pub(crate) fn header(code: ErrorCode, field: usize, offset: usize) -> Self {
        Self { code, segment: Some("MSH".to_owned()), segment_index: Some(0), field: Some(field), offset }
    }

    /// The error at `offset`, with segment and field found by reading `bytes` from `start` up to there.
    pub(crate) fn located(code: ErrorCode, bytes: &[u8], start: usize, separator: u8, offset: usize) -> Self {
        let lines = Content::of(bytes, start, separator).lines(start);
        let before = lines.take_while(|(line, _)| *line <= offset).enumerate();
        let (index, line) = before.last().map_or((0, start), |(index, (line, _))| (index, line));
        let line = bytes.get(line..).unwrap_or_default();
        let name = line.get(..3).filter(|name| is_segment_name(name));
        let read = offset.saturating_sub(bytes.len() - line.len());
        let separators = line.iter().take(read).filter(|byte| **byte == separator).count();
        let header = name.is_some_and(|name| matches!(name, b"MSH" | b"FHS" | b"BHS"));
        Self {
            code,
            segment: name.map(|name| String::from_utf8_lossy(name).into_owned()),
            segment_index: Some(index),
            field: (separators > 0).then_some(separators + usize::from(header)),
            offset,
        }
    }
}

/// Bytes that may stand before a segment: a byte order mark, white space, MLLP's start and end blocks, and the
/// NUL and SUB (Ctrl-Z) that pad old files.
pub(crate) fn is_leading_noise(byte: u8) -> bool {
    matches!(byte, 0xEF | 0xBB | 0xBF | 0x0B | 0x1C | 0x00 | 0x1A) || byte.is_ascii_whitespace()
}

/// HL7 v2.9, 2.5.2: an upper-case letter, then two upper-case letters or digits.
pub(crate) fn is_segment_name(name: &[u8]) -> bool {
    matches!(name, [a, b, c] if a.is_ascii_uppercase()
        && (b.is_ascii_uppercase() || b.is_ascii_digit())
        && (c.is_ascii_uppercase() || c.is_ascii_digit()))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.code(), self.code.title())?;
        match (&self.segment, self.field) {
            (Some(segment), Some(field)) => write!(f, " at {segment}-{field}")?,
            (Some(segment), None) => write!(f, " at {segment}")?,
            (None, _) => {}
        }
        if let Some(index) = self.segment_index {
            write!(f, ", segment {}", index + 1)?;
        }
        write!(f, ", byte {}", self.offset)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_sorted_and_explained() {
        let codes: Vec<_> = ErrorCode::ALL.iter().map(|c| c.code()).collect();
        let unique: BTreeSet<_> = codes.iter().copied().collect();
        assert_eq!(unique.into_iter().collect::<Vec<_>>(), codes);
        for code in ErrorCode::ALL {
            assert!(!code.title().ends_with('.') && code.title().chars().all(|c| c != '\n'), "{code}");
            assert!(code.help().len() > 60 && code.help().ends_with('.'), "{code}");
            assert!(!code.help().contains("  "), "{code}: the text has a hole from a line break");
        }
    }

    #[test]
    fn the_place_is_found() {
        let bytes = b"MSH|^~\\&|A|B\r\nPID|1||x\r\rNTE|1|one\ntwo|y\rPV1|a|b|c";
        let at = |needle: &[u8]| {
            let offset = bytes.windows(needle.len()).position(|w| w == needle).unwrap();
            let e = Error::located(ErrorCode::ControlCharacter, bytes, 0, b'|', offset);
            (e.segment.unwrap(), e.segment_index.unwrap(), e.field)
        };
        assert_eq!(at(b"A|B"), ("MSH".into(), 0, Some(3)));
        assert_eq!(at(b"x\r"), ("PID".into(), 1, Some(3)));
        // A line feed inside a value ends no segment.
        assert_eq!(at(b"wo|y"), ("NTE".into(), 2, Some(2)));
        assert_eq!(at(b"y\r"), ("NTE".into(), 2, Some(3)));
        assert_eq!(at(b"c"), ("PV1".into(), 3, Some(3)));
        assert_eq!(at(b"PV1"), ("PV1".into(), 3, None));
    }

    #[test]
    fn display_names_place_and_code_only() {
        let error = Error::header(ErrorCode::ControlIdMissing, 10, 41);
        assert_eq!(
            error.to_string(),
            "HL7-105: MSH-10 (message control id) is missing at MSH-10, segment 1, byte 41"
        );
    }
}
