//! Acknowledgements (HL7 v2.9, 2.9.2 and 2.9.3): ACK and NAK in original and enhanced mode.

use crate::error::is_leading_noise;
use crate::{CharacterSet, Delimiters, Error, ErrorCode, Writer};

/// MSA-1 (HL7 table 0008).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AckCode {
    /// Original mode: accepted; enhanced mode: application accept.
    AA,
    /// Application error: the content is wrong, sending it again will not help.
    AE,
    /// Application reject: type, version or processing id is not handled, or the receiver failed.
    AR,
    /// Enhanced mode: accepted into safe storage.
    CA,
    /// Enhanced mode: accept error.
    CE,
    /// Enhanced mode: accept reject.
    CR,
}

impl AckCode {
    /// As written in MSA-1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AA => "AA",
            Self::AE => "AE",
            Self::AR => "AR",
            Self::CA => "CA",
            Self::CE => "CE",
            Self::CR => "CR",
        }
    }

    /// Whether it says that the message was taken.
    pub fn is_positive(self) -> bool {
        matches!(self, Self::AA | Self::CA)
    }
}

/// When a sender wants an acknowledgement (HL7 table 0155).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// `AL`: always.
    Always,
    /// `NE`: never.
    Never,
    /// `ER`: if the message was not taken.
    OnError,
    /// `SU`: if it was.
    OnSuccess,
}

impl Condition {
    /// Whether an acknowledgement is wanted for this outcome.
    pub fn wants(self, success: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::OnError => !success,
            Self::OnSuccess => success,
        }
    }

    fn read(field: &[u8]) -> Option<Self> {
        Some(match field.trim_ascii() {
            b"AL" => Self::Always,
            b"NE" => Self::Never,
            b"ER" => Self::OnError,
            b"SU" => Self::OnSuccess,
            _ => return None,
        })
    }
}

/// How a sender wants to be answered, from MSH-15 and MSH-16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Neither is valued: one application acknowledgement (AA, AE, AR), always.
    Original,
    /// At least one is valued; a missing one counts as `NE` (2.9.3.1).
    Enhanced {
        /// MSH-15: CA, CE, CR.
        accept: Condition,
        /// MSH-16: AA, AE, AR.
        application: Condition,
    },
}

impl Mode {
    /// The mode that the message's header asks for; original if there is no header.
    pub fn of(message: &[u8]) -> Self {
        let header = Header::read(message);
        match (Condition::read(header.field(15)), Condition::read(header.field(16))) {
            (None, None) => Self::Original,
            (accept, application) => Self::Enhanced {
                accept: accept.unwrap_or(Condition::Never),
                application: application.unwrap_or(Condition::Never),
            },
        }
    }

    /// What a receiver that stores and forwards answers at once: AA or AE in original mode, CA or CE in
    /// enhanced mode; `None` where the sender wants no answer to this outcome.
    pub fn accept_code(self, success: bool) -> Option<AckCode> {
        match self {
            Self::Original => Some(if success { AckCode::AA } else { AckCode::AE }),
            Self::Enhanced { accept, .. } => {
                accept.wants(success).then_some(if success { AckCode::CA } else { AckCode::CE })
            }
        }
    }
}

/// Longest field that is copied from a header that may be anything.
const MAX_COPIED: usize = 250;

/// A header read as far as it goes.
struct Header<'h> {
    delimiters: Delimiters,
    fields: Vec<&'h [u8]>,
}

impl<'h> Header<'h> {
    fn read(bytes: &'h [u8]) -> Self {
        let start = bytes.iter().take_while(|b| is_leading_noise(**b)).count();
        let bytes = &bytes[start..];
        let none = Self { delimiters: Delimiters::default(), fields: Vec::new() };
        if !bytes.starts_with(b"MSH") {
            return none;
        }
        let end = memchr::memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len());
        let Ok(delimiters) = Delimiters::read(&bytes[..end], 0) else { return none };
        // An acknowledgement without an escape character could not carry any text.
        let usable = delimiters.escape.is_some() && delimiters.repetition.is_some();
        let fields = bytes[4..end].split(|b| *b == delimiters.field).take(20).collect();
        if usable { Self { delimiters, fields } } else { none }
    }

    /// MSH-`n`; `n` from 2.
    fn field(&self, n: usize) -> &'h [u8] {
        n.checked_sub(2).and_then(|at| self.fields.get(at).copied()).unwrap_or_default()
    }

    /// MSH-`n` as text that can stand in another header.
    fn copied(&self, n: usize) -> String {
        let bytes = self.field(n);
        let bytes = bytes.get(..MAX_COPIED).unwrap_or(bytes);
        let text = String::from_utf8_lossy(bytes);
        text.chars().filter(|c| !c.is_control() && *c != char::REPLACEMENT_CHARACTER).collect()
    }
}

/// The acknowledgement of `original`, which need not be parsable: what can be read of its header is used, and
/// nothing else of it.
///
/// `error` becomes an ERR segment with its place: ERR-2 (ERL) from v2.5; before, ERR-1 (ELD), and MSA-3 for the
/// place in bytes. `text` is for people (otherwise MSA-3 before v2.7, ERR-8) and must hold no content of the
/// message. `control_id` is the acknowledgement's own MSH-10 and `timestamp` its MSH-7 (`YYYYMMDDHHMMSS+ZZZZ`).
pub fn reply(
    original: &[u8],
    code: AckCode,
    error: Option<&Error>,
    text: Option<&str>,
    control_id: &str,
    timestamp: &str,
) -> Vec<u8> {
    let header = Header::read(original);
    let version = Some(header.copied(12)).filter(|v| v.starts_with("2.")).unwrap_or_else(|| "2.5".to_owned());
    let number = version_number(&version, &header.delimiters);
    let component = char::from(header.delimiters.component);
    let event = header.copied(9).split(component).nth(1).unwrap_or_default().to_owned();
    let processing = Some(header.copied(11)).filter(|p| !p.is_empty()).unwrap_or_else(|| "P".to_owned());

    let mut writer = Writer::message(header.delimiters);
    for field in [5, 6, 3, 4] {
        writer.raw(&header.copied(field));
    }
    writer.text(timestamp).skip(1);
    let structure = if number >= 23 { "ACK" } else { "" };
    match event.as_str() {
        "" => writer.raw("ACK"),
        event => writer.raw(&format!("ACK{component}{event}{}", suffix(structure, component))),
    };
    writer.text(control_id).raw(&processing).raw(&version);
    // Only ASCII is written unless a copied field has more, which is then UTF-8; that must be said.
    let declared = header.copied(18);
    let ascii = (3..=12).all(|n| header.field(n).is_ascii()) && text.is_none_or(str::is_ascii);
    if !ascii {
        writer.skip(5).raw("UNICODE UTF-8");
    } else if !declared.is_empty() && is_ascii_compatible(&declared) {
        writer.skip(5).raw(&declared);
    }

    writer.segment("MSA").text(code.as_str()).raw(&header.copied(10));
    // Before v2.5 nothing else has room for the place in bytes, and MSA-3 holds 80 characters.
    match error {
        Some(error) if number < 25 => {
            writer.text(&format!("{} at byte {}: {}", error.code.code(), error.offset, error.code.title()));
        }
        _ if number < 27 => {
            writer.text(text.unwrap_or_default());
        }
        _ => {}
    }
    if let Some(error) = error {
        let sequence = sequence_of(error, original);
        write_error(&mut writer, &header.delimiters, number, error, &sequence, text);
    } else if let Some(text) = text.filter(|_| !code.is_positive() && number >= 25) {
        writer.segment("ERR").skip(2).components(&["207", "Application internal error", "HL70357"]);
        writer.raw("E").skip(3).text(text);
    }
    writer.finish()
}

fn suffix(structure: &str, component: char) -> String {
    if structure.is_empty() { String::new() } else { format!("{component}{structure}") }
}

fn is_ascii_compatible(declared: &str) -> bool {
    CharacterSet::declared([declared.as_bytes()].into_iter()).name() != "ISO-2022-JP"
}

/// `2.5.1` as 25.
fn version_number(version: &str, delimiters: &Delimiters) -> u32 {
    let version = version.split(char::from(delimiters.component)).next().unwrap_or_default();
    let minor = version.split('.').nth(1).and_then(|minor| minor.trim().parse::<u32>().ok());
    20 + minor.unwrap_or(5).min(79)
}

/// ERL-2: which of the segments of that name it is, from 1.
fn sequence_of(error: &Error, original: &[u8]) -> String {
    let (Some(name), Some(index)) = (&error.segment, error.segment_index) else { return String::new() };
    let lines = original.split(|b| matches!(b, b'\r' | b'\n')).filter(|line| !line.trim_ascii().is_empty());
    let named = lines.take(index + 1).skip(1).filter(|line| line.starts_with(name.as_bytes())).count();
    // The first line may have bytes before its name.
    (named + usize::from(name == "MSH")).max(1).to_string()
}

fn write_error(
    writer: &mut Writer,
    delimiters: &Delimiters,
    version: u32,
    error: &Error,
    sequence: &str,
    text: Option<&str>,
) {
    let segment = error.segment.as_deref().unwrap_or_default();
    let field = error.field.map_or(String::new(), |field| field.to_string());
    let (condition, meaning) = condition(error.code);
    writer.segment("ERR");
    if version < 25 {
        let subcomponent = char::from(delimiters.subcomponent.unwrap_or(b' '));
        let coded = format!("{condition}{subcomponent}{meaning}{subcomponent}HL70357");
        let component = char::from(delimiters.component);
        writer.raw(&format!("{segment}{component}{sequence}{component}{field}{component}{coded}"));
        return;
    }
    writer.skip(1).components(&[segment, sequence, &field]);
    writer.components(&[condition, meaning, "HL70357"]).raw("E");
    writer.components(&[error.code.code(), error.code.title(), "L"]).skip(1);
    // ERR-7 is diagnostic information: the place in bytes, which ERL cannot say.
    writer.text(&format!("byte {}", error.offset));
    writer.text(text.unwrap_or(error.code.title()));
}

/// HL7 table 0357 for a code.
fn condition(code: ErrorCode) -> (&'static str, &'static str) {
    match code {
        ErrorCode::MessageTypeMissing | ErrorCode::ControlIdMissing | ErrorCode::HeaderTruncated => {
            ("101", "Required field missing")
        }
        ErrorCode::ControlCharacter
        | ErrorCode::CharacterSetMismatch
        | ErrorCode::EncodingUnsupported
        | ErrorCode::DelimitersInvalid => ("102", "Data type error"),
        ErrorCode::TooLarge | ErrorCode::TooManySegments | ErrorCode::FrameTooLarge => {
            ("207", "Application internal error")
        }
        _ => ("100", "Segment sequence error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    const ORIGINAL: &str =
        "MSH|^~\\&|LAB|NORTH^2.16^ISO|EHR|WARD|20240506||ORU^R01^ORU_R01|77|T|2.5.1|||AL|ER\rPID|1||SECRET\r";

    fn lines(bytes: &[u8]) -> Vec<String> {
        String::from_utf8_lossy(bytes).split_terminator('\r').map(str::to_owned).collect()
    }

    #[test]
    fn an_ack_swaps_sender_and_receiver() {
        let ack = reply(ORIGINAL.as_bytes(), AckCode::AA, None, None, "A1", "20240506120000+0000");
        assert_eq!(
            lines(&ack),
            [
                "MSH|^~\\&|EHR|WARD|LAB|NORTH^2.16^ISO|20240506120000+0000||ACK^R01^ACK|A1|T|2.5.1",
                "MSA|AA|77"
            ]
        );
        assert_eq!(Message::parse(&ack).unwrap().structure(), "ACK");
    }

    #[test]
    fn a_nak_places_the_error() {
        let bad = ORIGINAL.replace("|77|", "||");
        let error = Message::parse(bad.as_bytes()).unwrap_err();
        let nak = reply(bad.as_bytes(), AckCode::AE, Some(&error), Some("ask|again"), "A2", "2024");
        assert_eq!(
            lines(&nak)[1..],
            [
                "MSA|AE||ask\\F\\again".to_owned(),
                "ERR||MSH^1^10|101^Required field missing^HL70357|E|HL7-105^MSH-10 (message control id) is missing^L||byte 63|ask\\F\\again"
                    .to_owned()
            ]
        );
        let old = bad.replace("2.5.1", "2.3");
        let nak = reply(old.as_bytes(), AckCode::AE, Some(&error), None, "A2", "2024");
        assert_eq!(
            lines(&nak)[1..],
            [
                "MSA|AE||HL7-105 at byte 63: MSH-10 (message control id) is missing",
                "ERR|MSH^1^10^101&Required field missing&HL70357"
            ]
        );
    }

    #[test]
    fn the_error_is_placed_in_the_right_one_of_several_segments() {
        let bad = format!("{ORIGINAL}OBX|1\r\nOBX|2|\x01\r");
        let error = Message::parse(bad.as_bytes()).unwrap_err();
        let nak = reply(bad.as_bytes(), AckCode::AE, Some(&error), None, "A2", "2024");
        assert!(lines(&nak)[2].starts_with("ERR||OBX^2^2|102^"), "{}", lines(&nak)[2]);
    }

    #[test]
    fn anything_is_answered_with_something_that_parses() {
        for original in [
            &b""[..],
            b"\xff\xfe\x00",
            b"GET / HTTP/1.1",
            b"MSH",
            b"MSH|^^^^|",
            b"MSH|^~\\&|\x00\x01|\xff\xff",
            b"MSH$%",
        ] {
            let error = Message::parse(original).unwrap_err();
            let nak = reply(original, AckCode::AR, Some(&error), Some("unreadable"), "A3", "2024");
            let parsed = Message::parse(&nak).unwrap();
            assert_eq!(parsed.query("MSA-1").unwrap().as_deref(), Some("AR"));
            assert_eq!(parsed.query("ERR-5").unwrap().as_deref(), Some(error.code.code()));
        }
    }

    #[test]
    fn the_mode_follows_the_header() {
        let mode = Mode::of(ORIGINAL.as_bytes());
        assert_eq!(mode, Mode::Enhanced { accept: Condition::Always, application: Condition::OnError });
        assert_eq!(mode.accept_code(true), Some(AckCode::CA));
        assert_eq!(mode.accept_code(false), Some(AckCode::CE));
        let original = ORIGINAL.replace("|||AL|ER", "");
        assert_eq!(Mode::of(original.as_bytes()).accept_code(false), Some(AckCode::AE));
        let never = ORIGINAL.replace("AL|ER", "NE|NE");
        assert_eq!(Mode::of(never.as_bytes()).accept_code(true), None);
    }
}
