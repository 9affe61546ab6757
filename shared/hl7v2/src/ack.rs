//! Acknowledgements (HL7 v2.9, 2.9.2 and 2.9.3): ACK and NAK in original and enhanced mode.

use crate::error::is_leading_noise;
use crate::tape::Content;
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

    fn read(field: &str) -> Option<Self> {
        Some(match field.trim() {
            "AL" => Self::Always,
            "NE" => Self::Never,
            "ER" => Self::OnError,
            "SU" => Self::OnSuccess,
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
    /// enhanced mode, and AA or AE to a sender in enhanced mode that waits for an application acknowledgement
    /// alone, because storing is all that this application does; `None` where the sender wants no answer to
    /// this outcome.
    pub fn accept_code(self, success: bool) -> Option<AckCode> {
        let application = if success { AckCode::AA } else { AckCode::AE };
        match self {
            Self::Original => Some(application),
            Self::Enhanced { accept, .. } if accept.wants(success) => {
                Some(if success { AckCode::CA } else { AckCode::CE })
            }
            Self::Enhanced { accept: Condition::Never, application: wanted } => {
                wanted.wants(success).then_some(application)
            }
            Self::Enhanced { .. } => None,
        }
    }
}

/// Longest field that is copied from a header that may be anything.
const MAX_COPIED: usize = 250;
/// Bytes of a message that are read for its header where its line ends are not known.
const MAX_HEADER: usize = 8192;

/// A header read as far as it goes.
struct Header {
    delimiters: Delimiters,
    /// Where MSH stands in the bytes.
    start: usize,
    fields: Vec<String>,
}

impl Header {
    fn read(bytes: &[u8]) -> Self {
        Self::find(bytes)
            // An acknowledgement without an escape character could not carry any text.
            .filter(|header| header.delimiters.escape.is_some() && header.delimiters.repetition.is_some())
            .unwrap_or_else(|| Self { delimiters: Delimiters::default(), start: 0, fields: Vec::new() })
    }

    fn find(bytes: &[u8]) -> Option<Self> {
        if let Some((set, mark)) = CharacterSet::utf16(bytes) {
            let text = set.header_text(bytes.get(mark..(mark + MAX_HEADER).min(bytes.len()))?);
            return Self::of_line(text.trim_start().lines().next()?, mark);
        }
        let start = bytes.iter().take_while(|b| is_leading_noise(**b)).count();
        let bytes = &bytes[start..];
        let line = &bytes[..memchr::memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len())];
        let delimiters = Delimiters::read(line, 0).ok()?;
        Self::of_line(&CharacterSet::of_header(line, &delimiters).header_text(line), start)
    }

    fn of_line(line: &str, start: usize) -> Option<Self> {
        let line = line.split('\r').next().filter(|line| line.starts_with("MSH"))?;
        let delimiters = Delimiters::read(line.as_bytes(), 0).ok()?;
        let fields = line[4..].split(char::from(delimiters.field)).take(20);
        Some(Self { delimiters, start, fields: fields.map(str::to_owned).collect() })
    }

    /// MSH-`n`; `n` from 2.
    fn field(&self, n: usize) -> &str {
        n.checked_sub(2).and_then(|at| self.fields.get(at)).map_or("", String::as_str)
    }

    /// MSH-`n` as text that can stand in another header.
    fn copied(&self, n: usize) -> String {
        let printable = |c: &char| !c.is_control() && *c != char::REPLACEMENT_CHARACTER;
        self.field(n).chars().take(MAX_COPIED).filter(printable).collect()
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
    let release = release(&version, &header.delimiters);
    let component = char::from(header.delimiters.component);
    let event = header.copied(9).split(component).nth(1).unwrap_or_default().to_owned();
    let processing = Some(header.copied(11)).filter(|p| !p.is_empty()).unwrap_or_else(|| "P".to_owned());

    let mut writer = Writer::message(header.delimiters);
    for field in [5, 6, 3, 4] {
        writer.raw(&header.copied(field));
    }
    writer.text(timestamp).skip(1);
    // MSH-9.3 came with 2.3.1.
    let structure = if release >= (3, 1) { "ACK" } else { "" };
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
    } else if !declared.is_empty() && declared.is_ascii() && is_ascii_compatible(&declared) {
        writer.skip(5).raw(&declared);
    }

    writer.segment("MSA").text(code.as_str()).raw(&header.copied(10));
    // Before v2.5 nothing else has room for the place in bytes, and MSA-3 holds 80 characters.
    match error {
        Some(error) if release < (5, 0) => {
            writer.text(&format!("{} at byte {}: {}", error.code.code(), error.offset, error.code.title()));
        }
        _ if release < (7, 0) => {
            writer.text(text.unwrap_or_default());
        }
        _ => {}
    }
    if let Some(error) = error {
        let sequence = sequence_of(error, original, &header);
        write_error(&mut writer, &header.delimiters, release, error, &sequence, text);
    } else if let Some(text) = text.filter(|_| !code.is_positive() && release >= (5, 0)) {
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

/// `2.5.1` as (5, 1); what is no version counts as 2.5.
fn release(version: &str, delimiters: &Delimiters) -> (u32, u32) {
    let version = version.split(char::from(delimiters.component)).next().unwrap_or_default();
    let mut numbers = version.split('.').skip(1).map(|number| number.trim().parse::<u32>().ok());
    let minor = numbers.next().flatten();
    (minor.unwrap_or(5), numbers.next().flatten().unwrap_or(0))
}

/// ERL-2: which of the segments of that name it is, from 1.
fn sequence_of(error: &Error, original: &[u8], header: &Header) -> String {
    let (Some(name), Some(index)) = (&error.segment, error.segment_index) else { return String::new() };
    let lines = Content::of(original, header.start, header.delimiters.field).lines(header.start);
    let named = lines.take(index + 1).filter(|(start, _)| original[*start..].starts_with(name.as_bytes()));
    named.count().max(1).to_string()
}

fn write_error(
    writer: &mut Writer,
    delimiters: &Delimiters,
    release: (u32, u32),
    error: &Error,
    sequence: &str,
    text: Option<&str>,
) {
    let segment = error.segment.as_deref().unwrap_or_default();
    let field = error.field.map_or(String::new(), |field| field.to_string());
    let (condition, meaning) = condition(error.code);
    writer.segment("ERR");
    if release < (5, 0) {
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
    fn segments_are_counted_as_the_parser_counts_them() {
        let bad = ORIGINAL.replace("PID|1||SECRET", "OBX|1|TX|a||one\nOBX is no segment\nPID\rOBX|2|\x01");
        let error = Message::parse(bad.as_bytes()).unwrap_err();
        let nak = reply(bad.as_bytes(), AckCode::AE, Some(&error), None, "A2", "2024");
        assert!(lines(&nak)[2].starts_with("ERR||OBX^2^2|102^"), "{}", lines(&nak)[2]);
        let padded = format!("\r\n\x0B{ORIGINAL}MSH|x\r");
        let error = Message::parse(padded.as_bytes()).unwrap_err();
        let nak = reply(padded.as_bytes(), AckCode::AE, Some(&error), None, "A2", "2024");
        assert!(lines(&nak)[2].starts_with("ERR||MSH^2|100^"), "{}", lines(&nak)[2]);
    }

    #[test]
    fn each_version_is_answered_in_its_own_shape() {
        let bad = |version: &str| {
            ORIGINAL.replace("|77|", "||").replace("2.5.1|||AL|ER", version).replace("R01^ORU_R01", "R01")
        };
        for (version, kind, text, error) in [
            ("2.1", "ACK^R01", true, "ERR|MSH^1^10^101&"),
            ("2.2", "ACK^R01", true, "ERR|MSH^1^10^101&"),
            ("2.3", "ACK^R01", true, "ERR|MSH^1^10^101&"),
            ("2.3.1", "ACK^R01^ACK", true, "ERR|MSH^1^10^101&"),
            ("2.4", "ACK^R01^ACK", true, "ERR|MSH^1^10^101&"),
            ("2.5", "ACK^R01^ACK", true, "ERR||MSH^1^10|101^"),
            ("2.5.1^DEU", "ACK^R01^ACK", true, "ERR||MSH^1^10|101^"),
            ("2.6", "ACK^R01^ACK", true, "ERR||MSH^1^10|101^"),
            ("2.7", "ACK^R01^ACK", false, "ERR||MSH^1^10|101^"),
            ("2.8.2", "ACK^R01^ACK", false, "ERR||MSH^1^10|101^"),
            ("2.9", "ACK^R01^ACK", false, "ERR||MSH^1^10|101^"),
        ] {
            let bad = bad(version);
            let error_found = Message::parse(bad.as_bytes()).unwrap_err();
            let nak = reply(bad.as_bytes(), AckCode::AE, Some(&error_found), Some("why"), "A2", "2024");
            let lines = lines(&nak);
            assert!(lines[0].ends_with(&format!("|{kind}|A2|T|{version}")), "{version}: {}", lines[0]);
            assert_eq!(lines[1].split('|').nth(3).is_some(), text, "{version}: {}", lines[1]);
            assert!(lines[2].starts_with(error), "{version}: {}", lines[2]);
        }
    }

    #[test]
    fn names_outside_ascii_come_back_whatever_set_they_came_in() {
        let original = ORIGINAL.replace("NORTH", "KÖLN").replace("AL|ER", "||||UNICODE UTF-8");
        let latin = original.replace("UNICODE UTF-8", "8859/1");
        let latin: Vec<u8> = latin.chars().filter_map(|c| u8::try_from(c).ok()).collect();
        let utf16: Vec<u8> = original.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for original in [original.into_bytes(), latin, utf16] {
            let ack = reply(&original, AckCode::AA, None, None, "A1", "2024");
            let ack = Message::parse(&ack).unwrap();
            let at = |path: &str| ack.query(path).unwrap().unwrap_or_default();
            assert_eq!([at("MSH-6"), at("MSH-18"), at("MSA-2")], ["KÖLN", "UNICODE UTF-8", "77"]);
        }
    }

    #[test]
    fn a_name_of_a_character_set_that_is_none_is_not_copied() {
        let original = ORIGINAL.replace("AL|ER", "||||8859/1 \u{142}");
        let ack = reply(original.as_bytes(), AckCode::AA, None, None, "A1", "2024");
        assert_eq!(Message::parse(&ack).unwrap().query("MSH-18").unwrap(), None);
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
        let answers = |modes: &str| {
            let mode = Mode::of(ORIGINAL.replace("AL|ER", modes).as_bytes());
            [true, false].map(|success| mode.accept_code(success).map(AckCode::as_str))
        };
        assert_eq!(answers("NE|NE"), [None, None]);
        assert_eq!(answers("ER|AL"), [None, Some("CE")]);
        assert_eq!(answers("SU|"), [Some("CA"), None]);
        // Nothing else would ever come to one who waits for the application alone.
        assert_eq!(answers("NE|AL"), [Some("AA"), Some("AE")]);
        assert_eq!(answers("|ER"), [None, Some("AE")]);
    }
}
