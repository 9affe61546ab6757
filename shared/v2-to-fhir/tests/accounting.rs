//! Every value of a message is in the bundle or listed as unmapped: shown with values that are like no other, one
//! field at a time, in every segment, so that each can be looked for.

mod messages;

use std::collections::{BTreeMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use wardstream_v2_to_fhir::{Options, convert};

use messages::MESSAGES;

/// Repetitions of components of subcomponents.
type Shape = &'static [&'static [usize]];
/// How many subcomponents each component of each repetition has.
const SHAPES: [Shape; 3] = [
    &[&[1]],
    &[&[3, 1, 1, 3, 1, 3, 1, 1, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]],
    &[&[1, 1, 1], &[1, 2, 1, 2, 1], &[1]],
];

/// The segment maps.
fn maps() -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("maps/segments");
    let files = std::fs::read_dir(folder).expect("the maps are there");
    files.map(|file| std::fs::read_to_string(file.expect("a map").path()).expect("a map is text")).collect()
}

/// Fields that the maps name, but for those that shape a message and hold nothing (`-`).
fn mapped(maps: &str) -> HashSet<&str> {
    let rows = maps.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let shaping: HashSet<&str> = rows.filter(|row| row.get(1) == Some(&"-")).map(|row| row[0]).collect();
    let words = maps.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|word| word.contains('-') && !shaping.contains(word)).collect()
}

/// All texts of a bundle, attachments decoded, in lower case.
fn texts(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => {
            out.push_str(&text.to_lowercase());
            out.push('\n');
        }
        Value::Array(list) => list.iter().for_each(|value| texts(value, out)),
        Value::Object(object) => {
            for (name, value) in object {
                let data =
                    value.as_str().filter(|_| name == "data").and_then(|text| STANDARD.decode(text).ok());
                if let Some(data) = data {
                    out.push_str(&String::from_utf8_lossy(&data).to_lowercase());
                }
                texts(value, out);
            }
        }
        _ => {}
    }
}

/// A field of that shape, and its values by place: repetition, component, subcomponent.
fn field(shape: Shape) -> (String, BTreeMap<[usize; 3], String>) {
    let (mut places, mut repetitions) = (BTreeMap::new(), Vec::new());
    for (r, components) in shape.iter().enumerate() {
        let mut written = Vec::new();
        for (c, parts) in components.iter().enumerate() {
            let parts: Vec<String> = (1..=*parts)
                .map(|s| {
                    let token = format!("zq{}x{}x{s}w", r + 1, c + 1);
                    places.insert([r + 1, c + 1, s], token.clone());
                    token
                })
                .collect();
            written.push(parts.join("&"));
        }
        repetitions.push(written.join("^"));
    }
    (repetitions.join("~"), places)
}

/// What the listing may name a value by, from the widest to itself.
fn names(name: &str, n: usize, [r, c, s]: [usize; 3], repeats: bool) -> Vec<String> {
    let repetition = if repeats { format!("[{r}]") } else { String::new() };
    let mut names = vec![name.to_owned(), format!("{name}-{n}"), format!("{name}-{n}{repetition}")];
    names.push(format!("{name}-{n}{repetition}.{c}"));
    names.push(format!("{name}-{n}{repetition}.{c}.{s}"));
    names
}

#[test]
fn every_value_is_in_the_bundle_or_listed() {
    let maps = maps();
    let mapped = mapped(&maps);
    let mut lost: BTreeMap<String, usize> = BTreeMap::new();
    let mut seen = HashSet::new();
    for message in MESSAGES {
        let lines: Vec<&str> = message.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let name = &line[..3];
            // What a field becomes hardly depends on the type of the message.
            if !seen.insert(name) {
                continue;
            }
            let first = if name == "MSH" { 3 } else { 1 };
            for n in first..=45 {
                let field_name = format!("{name}-{n}");
                // What kind of message it is, and how it is to be read.
                if !mapped.contains(field_name.as_str())
                    || matches!(field_name.as_str(), "MSH-9" | "MSH-10" | "MSH-18")
                {
                    continue;
                }
                // Alone, and behind the same segment with another value: what both would fill holds one.
                for (shape, again) in SHAPES.into_iter().flat_map(|shape| [(shape, false), (shape, true)]) {
                    if again && name == "MSH" {
                        continue;
                    }
                    let (value, places) = field(shape);
                    let mut fields: Vec<&str> = line.split('|').collect();
                    let place = if name == "MSH" { n - 1 } else { n };
                    fields.resize(fields.len().max(place + 1), "");
                    fields[place] = &value;
                    let changed = fields.join("|");
                    let (mut lines, at) = (lines.clone(), at + usize::from(again));
                    if again {
                        lines.insert(at, &changed);
                    } else {
                        lines[at] = &changed;
                    }
                    let text = lines.join("\r");
                    let message = hl7v2::Message::parse(text.as_bytes()).expect("the message parses");
                    let Ok(conversion) = convert(&message, &Options::default()) else { continue };
                    let mut held = String::new();
                    texts(&conversion.bundle, &mut held);
                    let occurrence = lines[..=at].iter().filter(|line| line.starts_with(name)).count();
                    let listed: HashSet<&str> = conversion
                        .unmapped
                        .iter()
                        .filter(|u| u.segment == name && u.occurrence == occurrence)
                        .map(|u| u.path.as_str())
                        .collect();
                    for (place, token) in places {
                        let named = names(name, n, place, shape.len() > 1);
                        if !held.contains(&token) && !named.iter().any(|name| listed.contains(name.as_str()))
                        {
                            *lost.entry(named[4].clone()).or_default() += 1;
                        }
                    }
                }
            }
        }
    }
    let shown: Vec<_> = lost.iter().map(|(place, times)| format!("{place} {times}")).collect();
    assert!(lost.is_empty(), "neither in the bundle nor listed:\n{}", shown.join("\n"));
}
