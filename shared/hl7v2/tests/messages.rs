//! What is accepted, what is refused, and where the error points.

use wardstream_hl7v2 as hl7v2;

use hl7v2::{Delimiters, Error, ErrorCode, Limits, Message, Writer, mllp};

const GOOD: &str = "MSH|^~\\&|LAB|NORTH^2.16^ISO|EHR|WARD|20240506||ORU^R01^ORU_R01|77|P|2.5.1\r\
    PID|1||7001^^^NORTH^MR~9-9^^^SS||ROE^ANN||19700102|F\r\
    OBX|1|TX|1^a||one\\.br\\two|\"\"\r\
    ZPD|local|x\r";

fn error(bytes: impl AsRef<[u8]>) -> (ErrorCode, Option<String>, Option<usize>, usize) {
    let Error { code, segment, field, offset, .. } =
        Message::parse(bytes.as_ref()).expect_err("damage is refused");
    (code, segment, field, offset)
}

fn code(bytes: impl AsRef<[u8]>) -> &'static str {
    Message::parse(bytes.as_ref()).expect_err("damage is refused").code.code()
}

#[test]
fn a_message_is_read() {
    let message = Message::parse(GOOD.as_bytes()).unwrap();
    assert_eq!(message.segment_count(), 4);
    assert_eq!(message.sending_application(), "LAB");
    assert_eq!(message.sending_facility(), "NORTH");
    assert_eq!(message.message_code(), "ORU");
    assert_eq!(message.trigger_event(), "R01");
    assert_eq!(message.structure(), "ORU_R01");
    assert_eq!(message.control_id(), "77");
    assert_eq!(message.processing_id(), "P");
    assert_eq!(message.version(), "2.5.1");
    assert_eq!(message.timestamp(), "20240506");
    let pid = message.segment("PID").unwrap();
    assert_eq!((pid.index(), pid.offset(), pid.field_count()), (1, GOOD.find("PID").unwrap(), 8));
    let identifiers = pid.field(3);
    assert_eq!(identifiers.repetition_count(), 2);
    let authorities: Vec<_> = identifiers.repetitions().map(|r| r.component(4).text().into_owned()).collect();
    assert_eq!(authorities, ["NORTH", "SS"]);
    assert_eq!(identifiers.repetition(1).component_count(), 5);
    assert!(identifiers.repetition(3).is_empty() && identifiers.repetition(0).is_empty());
    assert_eq!(pid.field(5).full_text(), "ROE^ANN");
    assert!(pid.field(99).is_empty() && pid.field(0).is_empty());
    let obx = message.segment("OBX").unwrap();
    assert_eq!(obx.field(5).text(), "one\ntwo");
    assert!(obx.field(6).is_null() && !obx.field(6).is_empty());
    assert_eq!(obx.field(6).text(), "");
    assert_eq!(message.segment("ZPD").unwrap().field(1).text(), "local");
    assert_eq!(message.segment("MSH").unwrap().field(2).text(), "^~\\&");
    assert_eq!(message.raw(), GOOD.as_bytes());
}

#[test]
fn every_line_end_gives_the_same_segments() {
    for end in ["\n", "\r\n", "\r\r", "\n\n", "\r\n\r\n", " \r\n"] {
        let text = GOOD.replace('\r', end);
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(message.segment_count(), 4, "{end:?}");
        assert_eq!(message.segment("OBX").unwrap().field(5).text(), "one\ntwo");
    }
}

#[test]
fn what_surrounds_a_message_is_ignored() {
    for (before, after) in
        [("\u{FEFF}", ""), ("\r\n  ", "\n\n "), ("\x0B", "\x1C\r"), ("\u{FEFF}\r\n", ""), ("", "\x1C")]
    {
        let text = format!("{before}{GOOD}{after}");
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(message.segment_count(), 4);
        assert_eq!(message.segment("PID").unwrap().offset(), text.find("PID").unwrap());
    }
}

#[test]
fn a_line_feed_inside_a_value_is_content_where_segments_end_in_returns() {
    let text = GOOD.replace("one\\.br\\two", "one\ntwo\nPID is no segment here");
    let message = Message::parse(text.as_bytes()).unwrap();
    assert_eq!(message.segment("OBX").unwrap().field(5).text(), "one\ntwo\nPID is no segment here");
    assert_eq!(message.segment_count(), 4);
    let newlines = text.replace('\r', "\n");
    assert_eq!(code(newlines), "HL7-106");
}

#[test]
fn damage_is_refused_where_it_is() {
    assert_eq!(error("").0.code(), "HL7-100");
    assert_eq!(error("\r\n \n").0.code(), "HL7-100");
    assert_eq!(error("PID|1").0.code(), "HL7-101");
    assert_eq!(error("<xml/>").0.code(), "HL7-101");
    assert_eq!(error("MS").0.code(), "HL7-102");
    assert_eq!(error("MSH|^~\\&|LAB|NORTH").0.code(), "HL7-102");
    assert_eq!(error("MSH|^~\\&|LAB|NORTH\rPID|1\r").0.code(), "HL7-102");
    let first_line = GOOD.split('\r').next().unwrap();
    assert_eq!(code(first_line), "HL7-109");
    assert_eq!(code(GOOD.replace("^~\\&", "^^\\&")), "HL7-103");
    assert_eq!(code(GOOD.replace("^~\\&", "^A\\&")), "HL7-103");
    assert_eq!(code(GOOD.replace("^~\\&", "")), "HL7-103");
    assert_eq!(code(GOOD.replace('|', "1")), "HL7-103");

    let (found, segment, field, offset) = error(GOOD.replace("ORU^R01^ORU_R01", ""));
    assert_eq!((found.code(), segment.as_deref(), field), ("HL7-104", Some("MSH"), Some(9)));
    assert_eq!(&GOOD[offset..offset + 3], "ORU");
    assert_eq!(code(GOOD.replace("ORU^R01^ORU_R01", "^R01")), "HL7-104");
    let (found, segment, field, offset) = error(GOOD.replace("|77|", "||"));
    assert_eq!((found.code(), segment.as_deref(), field), ("HL7-105", Some("MSH"), Some(10)));
    assert_eq!(offset, GOOD.find("77").unwrap());

    for bad in ["pid|1", "PI|1", "P", "PIDX|1", "1ID|1", "Smith^John"] {
        let text = GOOD.replace("ZPD|local|x", bad);
        let (found, segment, _, offset) = error(&text);
        assert_eq!((found.code(), segment), ("HL7-106", None), "{bad}");
        assert_eq!(offset, text.rfind(bad).unwrap());
    }
    for bad in ["\0", "\x01", "\x1b", "\x7f", "\x0b"] {
        let text = GOOD.replace("ROE", &format!("RO{bad}E"));
        let (found, segment, field, offset) = error(&text);
        assert_eq!((found.code(), segment.as_deref(), field), ("HL7-107", Some("PID"), Some(5)));
        assert_eq!(offset, text.find(bad).unwrap());
    }
    assert_eq!(code(GOOD.repeat(2)), "HL7-113");
    assert_eq!(code(format!("BHS|^~\\&\r{GOOD}BTS|1\r")), "HL7-114");
    assert_eq!(code(b"\xFF\xFE\0\0M\0\0\0"), "HL7-112");
}

#[test]
fn limits_are_kept() {
    let limits = Limits { bytes: GOOD.len() - 1, segments: 100 };
    let error = Message::parse_with(GOOD.as_bytes(), &limits).unwrap_err();
    assert_eq!((error.code, error.offset), (ErrorCode::TooLarge, GOOD.len() - 1));
    let limits = Limits { segments: 3, ..Limits::default() };
    let error = Message::parse_with(GOOD.as_bytes(), &limits).unwrap_err();
    assert_eq!((error.code, error.segment_index), (ErrorCode::TooManySegments, Some(3)));
    let limits = Limits { segments: 4, ..Limits::default() };
    assert!(Message::parse_with(GOOD.as_bytes(), &limits).is_ok());
}

fn with_set(set: &str, name: &[u8]) -> Vec<u8> {
    let mut bytes = format!("MSH|^~\\&|A|B|||1||ADT^A01|1|P|2.5||||||{set}\rPID|1||7||").into_bytes();
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(b"|x|y\r");
    bytes
}

#[test]
fn character_sets_are_decoded() {
    for (set, name, expected) in [
        ("8859/1", &b"M\xFCller^J\xF6rg"[..], "Müller"),
        ("", b"M\xFCller", "Müller"),
        ("", b"M\xC3\xBCller", "Müller"),
        ("UNICODE UTF-8", b"M\xC3\xBCller", "Müller"),
        ("8859/2", b"\xA3ukasz", "Łukasz"),
        ("8859/5", b"\xB8\xD2\xD0\xDD", "Иван"),
        ("8859/15", b"\xBCuvre", "Œuvre"),
        ("GB 18030-2000", b"\xCD\xF5", "王"),
        // 0x5C and 0x7C as second bytes are no delimiters.
        ("SHIFT-JIS", b"\x94\x5C\x83\x7C", "能ポ"),
        ("~ISO IR87", b"\x1b$B;3ED\x1b(B^x", "山田"),
        ("KS X 1001", b"\xB1\xE8", "김"),
        ("BIG-5", b"\xA4\xFD", "王"),
        ("CNS 11643-1992", b"Wang", "Wang"),
        ("CP850", "Müller".as_bytes(), "Müller"),
    ] {
        let bytes = with_set(set, name);
        let message = Message::parse(&bytes).unwrap_or_else(|e| panic!("{set}: {e}"));
        let pid = message.segment("PID").unwrap();
        assert_eq!(pid.field(5).text(), expected, "{set}");
        assert_eq!(pid.field(7).text(), "y", "{set}");
        assert_eq!(pid.field(7).offset(), bytes.len() - 2, "{set}: offsets are those of the bytes given");
    }
}

#[test]
fn bytes_outside_their_character_set_are_refused_where_they_are() {
    for (set, name) in [
        ("UNICODE UTF-8", &b"M\xFCller"[..]),
        ("ASCII", b"M\xFCller"),
        ("8859/3", b"M\xA5ller"),
        ("GB 18030-2000", b"M\xFFller"),
        ("~ISO IR87", b"M\x1b$Bx\x1b(B"),
        ("", b"M\x81ller\xE9"),
    ] {
        let bytes = with_set(set, name);
        let (found, segment, field, _) = error(&bytes);
        assert_eq!((found.code(), segment.as_deref(), field), ("HL7-108", Some("PID"), Some(5)), "{set}");
    }
}

#[test]
fn sets_that_are_not_read_are_refused_before_they_corrupt_a_name() {
    for set in ["CNS 11643-1992", "CP850", "IBM437", "EBCDIC"] {
        let (found, segment, field, _) = error(with_set(set, b"M\x81ller"));
        assert_eq!((found.code(), segment.as_deref(), field), ("HL7-112", Some("PID"), Some(5)), "{set}");
    }
}

#[test]
fn hexadecimal_escapes_are_in_the_messages_character_set() {
    let text = |set: &str, name: &[u8]| {
        Message::parse(&with_set(set, name)).unwrap().query("PID-5").unwrap().unwrap()
    };
    assert_eq!(text("8859/2", b"\\XA3\\ukasz"), "Łukasz");
    assert_eq!(text("UNICODE UTF-8", b"\\XC581\\ukasz"), "Łukasz");
    assert_eq!(text("", b"M\\XFC\\ller"), "Müller");
}

#[test]
fn utf_16_is_read_with_and_without_a_mark() {
    let units: Vec<u16> = GOOD.replace("ANN", "ÄNN").encode_utf16().collect();
    let little: Vec<u8> = units.iter().flat_map(|u| u.to_le_bytes()).collect();
    let big: Vec<u8> = [0xFE, 0xFF].into_iter().chain(units.iter().flat_map(|u| u.to_be_bytes())).collect();
    for bytes in [little, big] {
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.query("PID-5.2").unwrap().as_deref(), Some("ÄNN"));
        let mark = bytes.len() - units.len() * 2;
        let expected = mark + 2 * GOOD.find("ZPD").unwrap();
        assert_eq!(message.segment("ZPD").unwrap().offset(), expected);
    }
}

#[test]
fn other_delimiters_work() {
    let text = "MSH$!%/@$A$B$$$1$$ADT!A01$1$P$2.5\rPID$1$$7!!!N@1.2@ISO%8$$R/F/OE!ANN\r";
    let message = Message::parse(text.as_bytes()).unwrap();
    assert_eq!(message.query("PID-3.4.2").unwrap().as_deref(), Some("1.2"));
    assert_eq!(message.query("PID-3[2]").unwrap().as_deref(), Some("8"));
    assert_eq!(message.query("PID-5").unwrap().as_deref(), Some("R$OE"));
    assert_eq!(message.structure(), "ADT_A01");
}

#[test]
fn a_truncated_value_says_so() {
    let text = "MSH|^~\\&#|A|B|||1||ADT^A01|1|P|2.7\rPID|1||7^x#&y^#~8#||Roe#^Ann\\P\\^#1|#\r";
    let message = Message::parse(text.as_bytes()).unwrap();
    let pid = message.segment("PID").unwrap();
    let first = pid.field(3).repetition(1);
    assert!(!first.component(1).is_truncated() && !first.component(2).is_truncated());
    assert!(first.component(2).subcomponent(1).is_truncated() && first.component(3).is_truncated());
    assert!(pid.field(3).repetition(2).is_truncated() && pid.field(3).is_truncated());
    assert_eq!(pid.field(5).text(), "Roe#");
    assert!(pid.field(5).component(1).is_truncated());
    // Escaped, or not at the end, it is a character like others.
    assert_eq!(pid.field(5).component(2).text(), "Ann#");
    assert!(!pid.field(5).component(2).is_truncated() && !pid.field(5).component(3).is_truncated());
    assert!(pid.field(6).is_truncated() && !pid.field(9).is_truncated());
    assert!(!message.segment("MSH").unwrap().field(2).is_truncated());
    let undeclared = text.replace("&#|", "&|");
    let message = Message::parse(undeclared.as_bytes()).unwrap();
    assert!(!message.segment("PID").unwrap().field(5).component(1).is_truncated());
}

#[test]
fn every_version_is_read() {
    for version in [
        "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.2", "2.9", "",
    ] {
        let text = GOOD.replace("|2.5.1", &format!("|{version}")).replace("|TX|", "|ST|");
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!((message.version(), message.control_id()), (version.into(), "77".into()));
        assert_eq!(message.query("PID-3[2].4").unwrap().as_deref(), Some("SS"), "{version}");
    }
    // As 2.1 wrote it: no event in MSH-9, no version that was asked for.
    let old = "MSH|^~\\&|REG|A|||8703111104||ADT|1|P\rEVN|A04|8703111104\rPID|||7\r";
    let message = Message::parse(old.as_bytes()).unwrap();
    assert_eq!(
        (message.structure(), message.trigger_event(), message.version()),
        ("ADT".into(), "".into(), "".into())
    );
}

#[test]
fn padding_around_a_message_is_ignored() {
    for (before, after) in [("", "\x1A"), ("\0\0", "\0\0"), ("", "\r\n\x1A"), ("", "\0\x1C\r")] {
        let text = format!("{before}{GOOD}{after}");
        assert_eq!(Message::parse(text.as_bytes()).unwrap().segment_count(), 4, "{after:?}");
    }
    assert_eq!(code(GOOD.replace("ROE", "R\x1AOE")), "HL7-107");
}

#[test]
fn debug_and_display_show_no_content() {
    let message = Message::parse(GOOD.as_bytes()).unwrap();
    let pid = message.segment("PID").unwrap();
    let mut writer = Writer::message(Delimiters::default());
    writer.segment("PID").text("ROE");
    let mut decoder = mllp::Decoder::new(100);
    decoder.push(&mllp::encode(b"ROE"));
    decoder.push(b"\x0BROE");
    for shown in [
        format!("{message:?}"),
        format!("{pid:?} {:?} {:?}", pid.field(5), pid.field(5).component(1)),
        format!("{writer:?}"),
        format!("{decoder:?}"),
    ] {
        // The last is how a derived `Debug` would show bytes.
        for content in ["ROE", "7001", "82, 79, 69"] {
            assert!(!shown.contains(content), "{shown}");
        }
    }
    for bad in [GOOD.replace("|77|", "||"), GOOD.replace("\rPID", "\rROE ANN"), GOOD.replace("ROE", "R\0E")] {
        let error = Message::parse(bad.as_bytes()).expect_err("damage is refused");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("ANN") && !shown.contains("ROE"), "{shown}");
    }
}
