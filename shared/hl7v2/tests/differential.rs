//! Where this parser and the crate `hl7-2` both read a message, they read the same.

use std::borrow::Cow;
use std::path::Path;

use hl7_2::er7;
use proptest::prelude::*;
use wardstream_hl7v2 as hl7v2;

use hl7v2::{ErrorCode, Message};

/// Without the white space at the ends of segments, which `hl7-2` drops and this parser keeps.
fn trimmed(text: &str) -> String {
    let line = |line: &str| {
        let content = line.trim_end_matches(['\r', '\n']);
        content.trim().to_owned() + &line[content.len()..]
    };
    text.split_inclusive(['\r', '\n']).map(line).collect()
}

/// What is different between the two readings of `text`, by place; never content.
fn difference(text: &str) -> Option<String> {
    let text = &*trimmed(text);
    let theirs = hl7_2::parse(text);
    let ours = Message::parse(text.as_bytes());
    let (ours, theirs) = match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Ok(_), Err(_)) => return Some("only hl7-2 refuses it".to_owned()),
        (Err(error), Ok(_)) => {
            return (!is_stricter(error.code)).then(|| format!("only hl7-2 takes it: {error}"));
        }
        (Err(_), Err(_)) => return None,
    };
    let raw = theirs.raw();
    if ours.segment_count() != raw.segments.len() {
        return Some(format!("{} segments, {}", ours.segment_count(), raw.segments.len()));
    }
    let pairs = ours.segments().zip(&raw.segments);
    pairs.enumerate().find_map(|(index, (ours, theirs))| {
        let place = differing_place(ours, theirs, &raw.separators)?;
        Some(format!("segment {index}: {place}"))
    })
}

/// `hl7-2` takes anything with a header; this parser also wants to know what the message is.
fn is_stricter(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::HeaderTruncated
            | ErrorCode::MessageTypeMissing
            | ErrorCode::ControlIdMissing
            | ErrorCode::SegmentNameInvalid
            | ErrorCode::SegmentsMissing
            | ErrorCode::HeaderRepeated
            | ErrorCode::ControlCharacter
            | ErrorCode::DelimitersInvalid
    )
}

/// Compares every value both ways round: what theirs has, and that ours has no more.
fn differing_place(
    ours: hl7v2::Segment<'_>,
    theirs: &er7::Segment,
    with: &er7::Separators,
) -> Option<String> {
    if ours.name() != theirs.name {
        return Some("name".to_owned());
    }
    for (n, field) in (1..).zip(&theirs.fields) {
        // MSH-1 and MSH-2 are no values to either.
        if ours.name() == "MSH" && n <= 2 {
            continue;
        }
        let our_field = ours.field(n);
        for (r, repetition) in (1..).zip(&field.repetitions) {
            let our_repetition = our_field.repetition(r);
            for (c, component) in (1..).zip(&repetition.components) {
                let our_component = our_repetition.component(c);
                for (s, value) in (1..).zip(&component.subcomponents) {
                    let our_value = our_component.subcomponent(s);
                    let decoded = if value.is_null() { Cow::Borrowed("") } else { value.value(with) };
                    if our_value.raw() != value.raw.as_bytes() || our_value.text() != decoded {
                        return Some(format!("{}-{n}[{r}].{c}.{s}", ours.name()));
                    }
                }
                let counts = (our_component.subcomponent_count().max(1), component.subcomponents.len());
                if counts.0 != counts.1 {
                    return Some(format!("{}-{n}[{r}].{c}: {counts:?} subcomponents", ours.name()));
                }
            }
            let counts = (our_repetition.component_count().max(1), repetition.components.len());
            if counts.0 != counts.1 {
                return Some(format!("{}-{n}[{r}]: {counts:?} components", ours.name()));
            }
        }
        let counts = (our_field.repetition_count().max(1), field.repetitions.len().max(1));
        if counts.0 != counts.1 {
            return Some(format!("{}-{n}: {counts:?} repetitions", ours.name()));
        }
    }
    let counts = (ours.field_count(), theirs.fields.len());
    (counts.0 != counts.1).then(|| format!("{}: {counts:?} fields", ours.name()))
}

/// A value whose escapes both decode alike: `hl7-2` leaves formatting as it stands.
fn value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[A-Za-z0-9 .,'\u{e9}\u{142}-]{0,8}",
        1 => prop::sample::select(vec!["\\F\\", "\\S\\", "\\T\\", "\\R\\", "\\E\\", "\\X41\\", "\\XC3A9\\"])
            .prop_map(str::to_owned),
        1 => Just("\"\"".to_owned()),
    ];
    proptest::collection::vec(piece, 0..3).prop_map(|pieces| pieces.concat())
}

fn field() -> impl Strategy<Value = String> {
    let joined = |with: &'static str| move |parts: Vec<String>| parts.join(with);
    let component = proptest::collection::vec(value(), 0..3).prop_map(joined("&"));
    let repetition = proptest::collection::vec(component, 0..4).prop_map(joined("^"));
    proptest::collection::vec(repetition, 0..3).prop_map(joined("~"))
}

fn message() -> impl Strategy<Value = String> {
    let name = "[A-Z][A-Z0-9]{2}"
        .prop_filter("is no header", |name| !["MSH", "FHS", "BHS"].contains(&name.as_str()));
    let segment = (name, proptest::collection::vec(field(), 0..9))
        .prop_map(|(name, fields)| [vec![name], fields].concat().join("|"));
    let header = ("[A-Z]{3}", "[A-Z][0-9]{2}", "[0-9]{1,6}", "2\\.[1-9]")
        .prop_map(|(code, event, id, version)| format!("MSH|^~\\&|A|B|||1||{code}^{event}|{id}|P|{version}"));
    let end = prop::sample::select(vec!["\r", "\n", "\r\n"]);
    (header, proptest::collection::vec(segment, 1..6), end).prop_map(|(header, segments, end)| {
        let lines: Vec<String> = [vec![header], segments].concat();
        lines.join(end) + end
    })
}

/// The same message with other delimiters: the usual ones stand for those at their place.
fn with_delimiters(text: &str, delimiters: [char; 5]) -> String {
    let usual = ['|', '^', '~', '\\', '&'];
    let replace = |c: char| usual.iter().position(|u| *u == c).map_or(c, |at| delimiters[at]);
    text.chars().map(replace).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_messages_read_alike(
        text in message(),
        delimiters in Just(['|', '^', '~', '\\', '&', '!', '#', '$', '%', '*', '/', ':', ';', '?', '@']).prop_shuffle(),
        usual in any::<bool>(),
    ) {
        let [a, b, c, d, e, ..] = delimiters;
        let text = if usual { text } else { with_delimiters(&text, [a, b, c, d, e]) };
        prop_assert_eq!(difference(&text), None);
    }

    #[test]
    fn damaged_messages_read_alike(
        text in message(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), "[A-Z0-9|^~&#\r \"é]", 0..3_u8), 1..5),
    ) {
        let mut characters: Vec<char> = text.chars().map(|c| if c == '\\' || c == '\n' { ' ' } else { c }).collect();
        // The declaration of the delimiters stays; what makes of another is generated above.
        let keep = "MSH|^~ &|".chars().count();
        for (at, inserted, kind) in edits {
            let at = keep + at.index(characters.len() - keep);
            match kind {
                0 => characters[at] = inserted.chars().next().unwrap_or(' '),
                1 => { characters.remove(at); }
                _ => characters.insert(at, inserted.chars().next().unwrap_or(' ')),
            }
            prop_assume!(characters.len() > keep);
        }
        characters[6] = '\\';
        let text: String = characters.into_iter().collect();
        prop_assert_eq!(difference(&text), None);
    }
}

#[test]
fn the_corpus_reads_alike() -> Result<(), Box<dyn std::error::Error>> {
    let Some(root) = std::env::var_os("WARDSTREAM_CORPUS") else {
        println!("skipped: WARDSTREAM_CORPUS is not set");
        return Ok(());
    };
    let mut files = 0;
    for entry in std::fs::read_dir(Path::new(&root).join("corpus/hl7v2"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "hl7") {
            let text = std::fs::read_to_string(&path)?;
            assert_eq!(difference(&text), None, "{}", path.display());
            files += 1;
        }
    }
    assert!(files >= 60, "{files} files");
    Ok(())
}
