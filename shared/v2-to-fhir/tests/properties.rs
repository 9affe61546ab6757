//! What holds for any message: no panic, sound and valid bundles, the same bundle again.

mod check;
mod messages;

use proptest::prelude::*;
use wardstream_v2_to_fhir::{Options, convert, patient_identity};

use messages::MESSAGES;

/// What feeds are seen to send where it does not belong.
const ODD: [&str; 24] = [
    "",
    "\"\"",
    "^^^",
    "~",
    "~~x",
    "&",
    "X",
    "20240230",
    "99999999999999",
    "2024",
    "-1",
    "1e9",
    "<5",
    ">=x",
    "  ",
    "\\X0D\\",
    "\\.br\\",
    "a^b^c^d^e^f^g^h",
    "é",
    "Y",
    "N",
    "I^^HL70004",
    "^^^^^",
    "1.5.^2..3&ISO",
];

#[derive(Debug, Clone)]
enum Edit {
    /// Another value in a field.
    Field { line: usize, field: usize, value: usize },
    /// A segment twice.
    Repeat(usize),
    /// A segment less.
    Drop(usize),
    /// A segment elsewhere.
    Move(usize, usize),
    /// A segment of another message.
    Graft { from: usize, line: usize, at: usize },
    /// A byte changed.
    Byte(usize, u8),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        8 => (any::<usize>(), 1..60_usize, 0..ODD.len()).prop_map(|(line, field, value)| Edit::Field { line, field, value }),
        1 => any::<usize>().prop_map(Edit::Repeat),
        1 => any::<usize>().prop_map(Edit::Drop),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Edit::Move(a, b)),
        2 => (0..MESSAGES.len(), any::<usize>(), any::<usize>()).prop_map(|(from, line, at)| Edit::Graft { from, line, at }),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
    ]
}

fn apply(message: &str, edits: &[Edit]) -> Vec<u8> {
    let mut lines: Vec<String> = message.lines().map(str::to_owned).collect();
    let mut bytes = Vec::new();
    for edit in edits {
        let count = lines.len().max(1);
        match edit {
            Edit::Field { line, field, value } => {
                let Some(line) = lines.get_mut(line % count) else { continue };
                let mut fields: Vec<&str> = line.split('|').collect();
                let at = field % 60;
                // MSH-1 and MSH-2 make a message what it is.
                if at < 2 && fields.first() == Some(&"MSH") {
                    continue;
                }
                while fields.len() <= at {
                    fields.push("");
                }
                fields[at] = ODD[*value];
                *line = fields.join("|");
            }
            Edit::Repeat(line) => lines.push(lines[line % count].clone()),
            Edit::Drop(line) if count > 2 && line % count != 0 => drop(lines.remove(line % count)),
            Edit::Move(from, to) if from % count != 0 && to % count != 0 => {
                lines.swap(from % count, to % count)
            }
            Edit::Graft { from, line, at } => {
                let other: Vec<_> = MESSAGES[*from].lines().skip(1).collect();
                lines.insert(1 + at % count, other[line % other.len()].to_owned());
            }
            Edit::Byte(at, byte) => bytes.push((*at, *byte)),
            _ => {}
        }
    }
    let mut text = lines.join("\r").into_bytes();
    for (at, byte) in bytes {
        let length = text.len();
        text[at % length] = byte;
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_message_makes_a_sound_bundle_or_an_error(base in 0..MESSAGES.len(), edits in prop::collection::vec(edit(), 0..12)) {
        let bytes = apply(MESSAGES[base], &edits);
        let Ok(message) = hl7v2::Message::parse(&bytes) else { return Ok(()) };
        let _ = patient_identity(&message);
        match convert(&message, &Options::default()) {
            Ok(conversion) => {
                prop_assert_eq!(check::defects(&conversion.bundle), Vec::<String>::new());
                prop_assert_eq!(check::invalid(&conversion.bundle), Vec::<String>::new());
                prop_assert_eq!(&convert(&message, &Options::default()).expect("it did convert"), &conversion);
            }
            Err(error) => prop_assert!(error.code().starts_with("MAP-2")),
        }
    }
}
