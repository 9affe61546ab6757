//! Breaking messages in known ways.

use std::fmt;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A way to break a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// Cut inside MSH, before MSH-9.
    TruncatedHeader,
    /// Cut inside the name of a segment.
    TruncatedSegment,
    /// Only MSH is left.
    HeaderOnly,
    /// MSH-2 names one delimiter twice.
    Delimiters,
    /// MSH-9 is empty.
    MissingMessageType,
    /// MSH-10 is empty.
    MissingControlId,
    /// MSH-9 is a type that HL7 does not have.
    UnknownMessageType,
    /// A segment's name is in lower case.
    SegmentName,
    /// Control characters inside a value.
    BinaryGarbage,
    /// Bytes that are not in the character set which MSH-18 declares.
    CharacterSet,
    /// PID-7 is a day that no calendar has. The line may leave the value out and say so, or reject the
    /// message; never may it pass it on.
    ImpossibleDate,
    /// Segments end in `\n`: harmless, the fields are the same.
    LineFeeds,
    /// A Z-segment nobody knows at the end: harmless, nothing else changes.
    LocalSegment,
}

impl Damage {
    /// Every way.
    pub const ALL: [Damage; 13] = [
        Damage::TruncatedHeader,
        Damage::TruncatedSegment,
        Damage::HeaderOnly,
        Damage::Delimiters,
        Damage::MissingMessageType,
        Damage::MissingControlId,
        Damage::UnknownMessageType,
        Damage::SegmentName,
        Damage::BinaryGarbage,
        Damage::CharacterSet,
        Damage::ImpossibleDate,
        Damage::LineFeeds,
        Damage::LocalSegment,
    ];

    /// Its name, such as `truncated-header`.
    pub fn name(self) -> &'static str {
        match self {
            Damage::TruncatedHeader => "truncated-header",
            Damage::TruncatedSegment => "truncated-segment",
            Damage::HeaderOnly => "header-only",
            Damage::Delimiters => "delimiters",
            Damage::MissingMessageType => "missing-message-type",
            Damage::MissingControlId => "missing-control-id",
            Damage::UnknownMessageType => "unknown-message-type",
            Damage::SegmentName => "segment-name",
            Damage::BinaryGarbage => "binary-garbage",
            Damage::CharacterSet => "character-set",
            Damage::ImpossibleDate => "impossible-date",
            Damage::LineFeeds => "line-feeds",
            Damage::LocalSegment => "local-segment",
        }
    }

    /// Whether a message broken so must end as a dead letter. Of the others the line may make an event, and
    /// what it makes must be valid and right.
    pub fn must_be_rejected(self) -> bool {
        !matches!(self, Damage::ImpossibleDate | Damage::LineFeeds | Damage::LocalSegment)
    }

    /// Whether the parser alone must refuse it; an unknown type is left to the conversion.
    pub fn is_syntax(self) -> bool {
        self.must_be_rejected() && self != Damage::UnknownMessageType
    }

    /// Breaks `message`, which must be a generated one: `\r` after each segment, `|^~\&`.
    pub(crate) fn apply(self, message: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
        let header_end = message.iter().position(|b| *b == b'\r').unwrap_or(message.len());
        match self {
            Damage::TruncatedHeader => {
                let eighth = nth(message, b'|', 8).unwrap_or(header_end);
                message[..rng.random_range(3..eighth)].to_vec()
            }
            Damage::TruncatedSegment => {
                let breaks: Vec<usize> =
                    (header_end..message.len() - 1).filter(|at| message[*at] == b'\r').collect();
                let at = breaks[rng.random_range(0..breaks.len())];
                message[..(at + rng.random_range(2..4)).min(message.len())].to_vec()
            }
            Damage::HeaderOnly => message[..=header_end.min(message.len() - 1)].to_vec(),
            Damage::Delimiters => replace(message, 4..8, b"^^\\&"),
            Damage::MissingMessageType => replace(message, field(message, 9), b""),
            Damage::MissingControlId => replace(message, field(message, 10), b""),
            Damage::UnknownMessageType => replace(message, field(message, 9), b"ZZZ^Z99^ZZZ_Z99"),
            Damage::SegmentName => {
                let at = find(message, b"\rPID|").unwrap_or(header_end) + 1;
                replace(message, at..at + 3, b"pid")
            }
            Damage::BinaryGarbage => {
                let at = find(message, b"\rPID|").unwrap_or(header_end) + 5;
                let noise: Vec<u8> = (0..rng.random_range(4..24)).map(|_| rng.random_range(0..=8)).collect();
                replace(message, at..at, &noise)
            }
            Damage::CharacterSet => {
                // An ASCII value becomes bytes of another set, under a declared UTF-8.
                let declared = replace(message, field(message, 18), b"UNICODE UTF-8");
                let at = find(&declared, b"\rPID|").unwrap_or(header_end) + 5;
                replace(&declared, at..at, b"\xE9\xFC\xDF")
            }
            Damage::ImpossibleDate => {
                let start = find(message, b"\rPID|").map_or(header_end, |at| at + 1);
                let from = nth(&message[start..], b'|', 7).map_or(start, |at| start + at + 1);
                let to = message[from..]
                    .iter()
                    .position(|b| matches!(b, b'|' | b'\r'))
                    .map_or(from, |at| from + at);
                let impossible = [&b"19990231"[..], b"19851347", b"20011301"];
                replace(message, from..to, impossible[rng.random_range(0..impossible.len())])
            }
            Damage::LineFeeds => message.iter().map(|b| if *b == b'\r' { b'\n' } else { *b }).collect(),
            Damage::LocalSegment => [message, b"ZXT|1|local extension|42\r"].concat(),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Offset of the `n`th `byte`, from 1.
fn nth(bytes: &[u8], byte: u8, n: usize) -> Option<usize> {
    bytes.iter().enumerate().filter(|(_, b)| **b == byte).map(|(at, _)| at).nth(n - 1)
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// Where MSH-`n` stands, for `n` above 2.
fn field(message: &[u8], n: usize) -> std::ops::Range<usize> {
    let header = message.iter().position(|b| *b == b'\r').unwrap_or(message.len());
    let from = nth(&message[..header], b'|', n - 1).map_or(header, |at| at + 1);
    let length = message[from..header].iter().position(|b| *b == b'|').unwrap_or(header - from);
    from..from + length
}

fn replace(message: &[u8], range: std::ops::Range<usize>, by: &[u8]) -> Vec<u8> {
    [&message[..range.start], by, &message[range.end..]].concat()
}
