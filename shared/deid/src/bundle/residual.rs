//! The second look at a result, by other means than the first: a hit is a defect of the rules, and nothing leaves.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde_json::Value;

use crate::{Error, Gazetteer, Kind};

static SHAPES: LazyLock<Vec<(Kind, Regex)>> = LazyLock::new(|| {
    [
        (Kind::Ssn, r"(?:^|[^0-9A-Za-z-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?:[^0-9A-Za-z-]|$)"),
        (
            Kind::Phone,
            r"(?:^|[^0-9A-Za-z.-])(?:\([0-9]{3}\) ?|[0-9]{3}-)[0-9]{3}-[0-9]{4}(?:[^0-9A-Za-z-]|$)",
        ),
        (Kind::Email, r"[A-Za-z0-9._%+-]@[A-Za-z0-9-]+\.[A-Za-z]"),
        (Kind::MedicalRecord, r"(?i)(?:^|[^a-z])mrn[ :#]{0,3}[0-9]{4}"),
    ]
    .into_iter()
    .filter_map(|(kind, shape)| Some((kind, Regex::new(shape).ok()?)))
    .collect()
});

/// What a string looks like, if anything.
pub(super) fn look(text: &str, gazetteer: &Gazetteer) -> Option<Kind> {
    let shaped = text.bytes().any(|b| b.is_ascii_digit() || b == b'@');
    let shape = shaped.then(|| SHAPES.iter().find(|(_, shape)| shape.is_match(text))).flatten();
    shape.map(|(kind, _)| *kind).or_else(|| gazetteer.residue(text))
}

/// Looks at every string of a result.
pub(super) fn scan(value: &Value, gazetteer: &Gazetteer) -> Result<(), Error> {
    let mut path = value.get("resourceType").and_then(Value::as_str).unwrap_or("").to_owned();
    visit(value, gazetteer, &mut path)
}

fn visit(value: &Value, gazetteer: &Gazetteer, path: &mut String) -> Result<(), Error> {
    let length = path.len();
    match value {
        Value::Object(object) => {
            for (name, child) in object.iter().filter(|(name, _)| name.as_str() != "resourceType") {
                path.push('.');
                path.push_str(name);
                match child.as_str().filter(|_| name == "data").and_then(|data| STANDARD.decode(data).ok()) {
                    Some(bytes) => check(&String::from_utf8_lossy(&bytes), gazetteer, path)?,
                    None => visit(child, gazetteer, path)?,
                }
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                visit(item, gazetteer, path)?;
                path.truncate(length);
            }
        }
        Value::String(text) => check(text, gazetteer, path)?,
        _ => {}
    }
    Ok(())
}

fn check(text: &str, gazetteer: &Gazetteer, path: &str) -> Result<(), Error> {
    // Ours: hexadecimal digits from a MAC, in which anything may seem to occur.
    if text.starts_with("urn:uuid:") || text.starts_with("psn_v") {
        return Ok(());
    }
    match look(text, gazetteer) {
        Some(kind) => Err(Error::Residual { path: path.to_owned(), kind }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_the_path_and_not_the_content() {
        let gazetteer =
            Gazetteer::from_identities([(Kind::Name, "Zzyzx Qwertyson"), (Kind::MedicalRecord, "A77-4411")]);
        for (value, kind) in [
            (json!({"a": ["x", "call 415-555-0100"]}), Kind::Phone),
            (json!({"a": ["x", "n 123-45-6789"]}), Kind::Ssn),
            (json!({"a": ["x", "a.b@example.org"]}), Kind::Email),
            (json!({"a": ["x", "MRN: 12345"]}), Kind::MedicalRecord),
            (json!({"a": ["x", "of Qwertyson"]}), Kind::Name),
            (json!({"a": ["x", "no a77-4411"]}), Kind::MedicalRecord),
        ] {
            let error = scan(&value, &gazetteer).unwrap_err();
            assert_eq!(error, Error::Residual { path: ".a[1]".into(), kind });
        }
        assert!(
            scan(&json!({"a": "[NAME-1] 120/80 2015", "data": STANDARD.encode("x")}), &gazetteer).is_ok()
        );
        assert!(scan(&json!({"data": STANDARD.encode("Qwertyson")}), &gazetteer).is_err());
    }
}
