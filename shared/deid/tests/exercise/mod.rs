//! What must hold for any text and any JSON; the property tests and the fuzz targets share it.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "each test uses its part, and stops where a value is not as expected"
)]

#[path = "../support/mod.rs"]
mod support;

use std::sync::LazyLock;

use serde_json::{Value, json};
use wardstream_deid::{Config, Error, Gazetteer, RedactedText, Redactor, SecretKey};

/// What is in another language is withheld as a whole: what must hold is of texts that are read.
pub(crate) static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| {
    let config = Config::new(SecretKey::from_bytes([1u8; 32]).unwrap(), 1, "t");
    Redactor::new(Config { any_language: true, ..config }).unwrap()
});

pub(crate) fn redact(text: &str) -> RedactedText {
    REDACTOR.redact_text(text, &Gazetteer::default())
}

/// Spans are in range, apart and in order; what is between them is unchanged; redacting twice changes nothing more.
pub(crate) fn text(text: &str) {
    let redacted = redact(text);
    let scalars: Vec<char> = text.chars().collect();
    let mut from = 0;
    let mut rest = redacted.text.as_str();
    for span in &redacted.spans {
        assert!(from <= span.start && span.start < span.end && span.end <= scalars.len());
        let between: String = scalars[from..span.start].iter().collect();
        rest = rest.strip_prefix(between.as_str()).unwrap();
        let tag = rest.find(']').unwrap() + 1;
        assert!(rest.starts_with(&format!("[{}", span.kind)));
        rest = &rest[tag..];
        from = span.end;
    }
    assert_eq!(rest, scalars[from..].iter().collect::<String>());
    let again = redact(&redacted.text);
    assert_eq!(again.text, redacted.text, "redacting twice changes nothing more");
}

/// The name of the person in [`bundle`].
pub(crate) const PERSON: &str = "Qwertyson";

/// A resource in a bundle, twice: whatever is released does not name the person, and goes through again.
pub(crate) fn bundle(resource: &Value) {
    let entry = json!({"resource": resource});
    let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": [entry, entry]});
    match REDACTOR.redact_bundle(&bundle) {
        Ok(redacted) => {
            let mut released = String::new();
            support::everything(&redacted.bundle, &mut released);
            // The name is in elements that are removed, rewritten or treated as text.
            assert!(!released.contains(PERSON));
            assert!(REDACTOR.redact_bundle(&redacted.bundle).is_ok());
        }
        Err(error) => {
            assert!(matches!(error, Error::Residual { .. } | Error::TooDeep { .. } | Error::NothingAllowed));
        }
    }
}
