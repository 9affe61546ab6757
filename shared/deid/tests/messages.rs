//! HL7 v2 messages through the conversion: what leaves is still valid FHIR R4 and names nobody.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wardstream_deid::{Config, Redactor, SecretKey};

/// Fields and components, from 1.
type Fields = [(usize, &'static [usize])];

/// What identifies, by segment.
const IDENTIFYING: &[(&str, &Fields)] = &[
    (
        "PID",
        &[
            (3, &[1]),
            (4, &[1]),
            (5, &[1, 2]),
            (6, &[1, 2]),
            (7, &[1]),
            (9, &[1, 2]),
            (11, &[1, 3]),
            (13, &[1, 4, 12]),
            (14, &[1, 12]),
            (18, &[1]),
            (19, &[1]),
            (20, &[1]),
        ],
    ),
    ("NK1", &[(2, &[1, 2]), (4, &[1, 3]), (5, &[1, 12]), (30, &[1, 2])]),
    ("GT1", &[(3, &[1, 2]), (5, &[1, 3])]),
    ("IN1", &[(16, &[1, 2]), (36, &[1]), (49, &[1])]),
    ("PV1", &[(7, &[2, 3]), (8, &[2, 3]), (9, &[2, 3]), (17, &[2, 3]), (19, &[1])]),
];

fn texts(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.to_lowercase()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
        Value::Object(object) => object.values().for_each(|child| texts(child, out)),
        _ => {}
    }
}

/// Whether a text holds a value as words of their own.
fn holds(text: &str, value: &str) -> bool {
    text.match_indices(value).any(|(at, _)| {
        !text[..at].ends_with(char::is_alphanumeric)
            && !text[at + value.len()..].starts_with(char::is_alphanumeric)
    })
}

#[test]
fn converted_messages_stay_valid_and_name_nobody() {
    let Some(corpus) = std::env::var_os("WARDSTREAM_CORPUS") else {
        println!("skipped: WARDSTREAM_CORPUS is not set");
        return;
    };
    let redactor = Redactor::new(Config::new(SecretKey::from_bytes([7u8; 32]).unwrap(), 1, "ward")).unwrap();
    let (mut released, mut valid, mut refused, mut invalid, mut leaks) =
        (0, 0, BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for entry in std::fs::read_dir(std::path::Path::new(&corpus).join("corpus/hl7v2")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "hl7") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        let Ok(message) = hl7v2::Message::parse(&bytes) else { continue };
        let Ok(conversion) = v2_to_fhir::convert(&message, &v2_to_fhir::Options::default()) else { continue };
        let before = fhir::Validator::r4().validate(conversion.bundle.to_string().as_bytes());
        let redacted = match redactor.redact_bundle(&conversion.bundle) {
            Ok(redacted) => redacted,
            Err(error) => {
                refused.insert(name, error.to_string());
                continue;
            }
        };
        released += 1;
        if before.is_valid() {
            let after = fhir::Validator::r4().validate(redacted.bundle.to_string().as_bytes());
            let issues: Vec<String> = after
                .issues
                .iter()
                .filter(|issue| matches!(format!("{:?}", issue.severity).as_str(), "Error" | "Fatal"))
                .map(|issue| format!("{}: {}", issue.expression, issue.message))
                .collect();
            valid += 1;
            if !after.is_valid() {
                invalid.insert(name.clone(), issues);
            }
        }
        let mut values = BTreeSet::new();
        for (segment, fields) in IDENTIFYING {
            for segment in message.all(segment) {
                for (field, components) in *fields {
                    for repetition in segment.field(*field).repetitions() {
                        values.extend(components.iter().map(|component| {
                            (
                                format!("{}-{field}.{component}", segment.name()),
                                repetition.component(*component).text().to_lowercase(),
                            )
                        }));
                    }
                }
            }
        }
        let mut out = Vec::new();
        texts(&redacted.bundle, &mut out);
        for (field, value) in values {
            if value.chars().count() >= 4 && out.iter().any(|text| holds(text, value.trim())) {
                leaks.entry(name.clone()).or_insert_with(Vec::new).push(field);
            }
        }
    }
    println!("released {released}, {valid} of them valid before, refused {}", refused.len());
    assert!(valid * 2 > released, "most are valid before");
    assert!(released >= 50, "most messages are released: {released}; {refused:#?}");
    assert!(refused.is_empty(), "{refused:#?}");
    assert!(invalid.is_empty(), "{invalid:#?}");
    assert!(leaks.is_empty(), "{leaks:#?}");
}
