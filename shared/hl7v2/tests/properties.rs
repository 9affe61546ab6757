//! Nothing panics on any bytes, and what is written is read back.

mod exercise;

use wardstream_hl7v2 as hl7v2;

use hl7v2::{Delimiters, Message, Writer, escape, mllp};
use proptest::prelude::*;

const SEEDS: [&str; 7] = [
    include_str!("../benches/oru_r01.hl7"),
    "MSH|^~\\&|A|B|||1||ORU^R01|1|P|2.4||||||SHIFT-JIS\nPID|1||7\nOBX|1|FT|a||\\.sp3\\\\.BR\\\\X00\\\\Zx\\\\\n|F\n",
    "\x0BMSH!%/@$!A!B!!!1!!ADT%A01!1!P!2.7!!!NE!AL\rPID!1!!7$%%%N@1@ISO/8\r\x1C\r\x0BMSH|\x1C",
    "MSH|^~\\&|LAB|NORTH^2.16^ISO|EHR|WARD|20240506||ORU^R01^ORU_R01|77|P|2.5.1||||||8859/1\rPID|1||7001^^^N&1&ISO^MR~9||ROE^\\XE9\\\\.br\\\rOBX|1|TX|a||x\\T\\y\r",
    "FHS|^~\\&|A\nBHS|^~\\&|A\nMSH|^~\\&|A|B|||1||ADT^A08|1|P|2.3\nEVN|A08\nPID|1||7\nBTS|1\nFTS|1\n",
    "MSH|^~\\&#|A|B|||1||MDM^T02|1|P|2.8||||||~ISO IR87\r\nPID|1||7||\x1b$B;3ED\x1b(B\\M2442\\;3\\C2842\\\r\n",
    "MSH|^~\\&|A|B|||1||ADT^A01|1|P|2.5||||||UNICODE UTF-8\rPID|1||7||Łukasz\r",
];

fn delimiters() -> impl Strategy<Value = Delimiters> {
    let punctuation: Vec<char> = (0x21..0x7F_u8).map(char::from).filter(char::is_ascii_punctuation).collect();
    (Just(punctuation).prop_shuffle(), 1..=5_usize)
        .prop_map(|(all, count)| {
            let encoding: String = all[1..=count].iter().collect();
            Delimiters::new(all[0], &encoding)
        })
        .prop_filter_map("text can be escaped", |read| read.ok().filter(|d| d.escape.is_some()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        exercise::everything(&bytes);
    }

    #[test]
    fn mutated_messages_never_panic(
        seed in 0..SEEDS.len(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..12),
    ) {
        let mut bytes = SEEDS[seed].as_bytes().to_vec();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len().max(1));
            match kind {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => { bytes.remove(at); }
                2 => bytes.insert(at.min(bytes.len()), byte),
                _ => bytes.truncate(at),
            }
        }
        exercise::everything(&bytes);
    }

    #[test]
    fn escaping_is_undone(delimiters in delimiters(), text in "[ -~\u{a1}-\u{17f}\n]{0,60}") {
        let escaped = escape::escape(&text, &delimiters);
        prop_assert!(!escaped.bytes().any(|b| b == delimiters.field || b == delimiters.component || b == b'\n'));
        prop_assert_eq!(escape::unescape(&escaped, &delimiters).into_owned(), text.clone());
    }

    #[test]
    fn what_is_written_is_read(
        delimiters in delimiters(),
        rows in proptest::collection::vec(proptest::collection::vec("[ -~\u{a1}-\u{17f}]{0,12}", 0..6), 1..6),
    ) {
        // `""` is the null value.
        prop_assume!(!rows.iter().flatten().any(|v| v == "\"\""));
        let mut writer = Writer::message(delimiters);
        writer.text("A").text("B").skip(4).components(&["ADT", "A01"]).text("1").text("P").text("2.5");
        for row in &rows {
            writer.segment("ZZZ");
            for value in row {
                writer.text(value);
            }
        }
        let bytes = writer.finish();
        let message = Message::parse(&bytes).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let read: Vec<Vec<String>> = message
            .all("ZZZ")
            .zip(&rows)
            .map(|(segment, row)| (1..=row.len()).map(|n| segment.field(n).text().into_owned()).collect())
            .collect();
        prop_assert_eq!(read, rows.clone());
    }

    #[test]
    fn frames_survive_any_cuts(
        messages in proptest::collection::vec(proptest::collection::vec(0x20..=0x7E_u8, 1..40), 1..5),
        size in 1..30_usize,
    ) {
        prop_assume!(messages.iter().all(|m| !m.trim_ascii().is_empty()));
        let stream: Vec<u8> = messages.iter().flat_map(|m| mllp::encode(m)).collect();
        let mut decoder = mllp::Decoder::new(40);
        let mut found = Vec::new();
        for chunk in stream.chunks(size) {
            decoder.push(chunk);
            while let Some(frame) = decoder.next_frame().map_err(|e| TestCaseError::fail(e.to_string()))? {
                found.push(frame);
            }
        }
        prop_assert_eq!(found, messages);
        prop_assert!(decoder.finish().is_ok());
    }
}
