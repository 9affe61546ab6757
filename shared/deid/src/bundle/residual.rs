//! The second look at a result, by other means than the first: a hit is a defect of the rules, and nothing leaves.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde_json::Value;

use super::attachment;
use crate::local::LocalFormats;
use crate::{Error, Gazetteer, Kind};

/// Shapes that are looked for in every string, codes and numbers included.
static SHAPES: LazyLock<Vec<(Kind, Regex)>> = LazyLock::new(|| {
    compiled([
        (Kind::Ssn, r"(?:^|[^0-9A-Za-z-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?:[^0-9A-Za-z-]|$)"),
        (
            Kind::Phone,
            r"(?:^|[^0-9A-Za-z.-])(?:\([0-9]{3}\) ?|[0-9]{3}-)[0-9]{3}-[0-9]{4}(?:[^0-9A-Za-z-]|$)",
        ),
        (Kind::Email, r"[A-Za-z0-9._%+-]@[A-Za-z0-9-]+\.[A-Za-z]"),
        (Kind::MedicalRecord, r"(?i)(?:^|[^a-z])mrn[ :#]{0,3}[0-9]{4}"),
    ])
});

/// Shapes that are looked for in strings of several words only: in codes and versions they mean something else.
static IN_PROSE: LazyLock<Vec<(Kind, Regex)>> = LazyLock::new(|| {
    compiled([
        (
            Kind::Ssn,
            r"(?i)\b(?:ssn|social security)[a-z ]{0,12}[:#]? {0,2}[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4}\b",
        ),
        (
            Kind::Phone,
            r"(?i)\b(?:phone|tel|fax|cell|pager)[a-z ]{0,8}[:#.]? {0,2}[(+]?[0-9][0-9().+ -]{5,}[0-9]\b",
        ),
        (Kind::Url, r"(?i)\b(?:https?://|www\.)[a-z0-9-]+\.[a-z0-9.-]+/[^\s]"),
        (Kind::IpAddress, r"(?i)\bip[a-z ]{0,8}[:#]? {0,2}[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b"),
        (Kind::Date, r"\b(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12][0-9]|3[01])/(?:19|20)[0-9]{2}\b"),
        (
            Kind::Date,
            r"\b(?:January|February|March|April|May|June|July|August|September|October|November|December) [0-3]?[0-9](?:st|nd|rd|th)?,? (?:19|20)[0-9]{2}\b",
        ),
        (Kind::Date, r"(?i)\b(?:dob|date of birth|born(?: on)?)[ :]{1,3}[0-9]"),
        (
            Kind::Account,
            r"(?i)\b(?:acct|account|member|policy|subscriber)(?: (?:no|number|id))?[.: #]{1,3}[0-9-]{5,}",
        ),
        (Kind::Other, r"\b[0-9]{12,}\b"),
    ])
});

fn compiled<const N: usize>(shapes: [(Kind, &str); N]) -> Vec<(Kind, Regex)> {
    let compile = |(kind, shape): (Kind, &str)| {
        let ascii = shape.replace(r"\b", r"(?-u:\b)");
        match Regex::new(&ascii) {
            Ok(regex) => (kind, regex),
            Err(error) => unreachable!("built-in shape: {error}"),
        }
    };
    shapes.into_iter().map(compile).collect()
}

/// What the bundle and the configuration know of identifiers.
pub(super) struct Known<'k> {
    pub(super) gazetteer: &'k Gazetteer,
    pub(super) local: &'k LocalFormats,
}

/// The pseudonyms and UUIDs that were given out for a bundle: hexadecimal digits of a MAC, in which anything may seem to occur. What only
/// looks like one of them is looked at like everything else.
#[derive(Default)]
pub(super) struct Minted(RefCell<HashSet<String>>);

impl Minted {
    /// Notes a string and gives it back.
    pub(super) fn add(&self, minted: String) -> String {
        self.0.borrow_mut().insert(minted.clone());
        minted
    }

    fn has(&self, text: &str) -> bool {
        self.0.borrow().contains(text)
    }
}

/// What a string looks like, if anything.
pub(super) fn look(text: &str, known: &Known<'_>) -> Option<Kind> {
    let shaped = text.bytes().any(|b| b.is_ascii_digit() || b == b'@');
    let of = |shapes: &[(Kind, Regex)]| {
        shapes.iter().find(|(_, shape)| shape.is_match(text)).map(|(kind, _)| *kind)
    };
    shaped
        .then(|| of(&SHAPES).or_else(|| text.contains(char::is_whitespace).then(|| of(&IN_PROSE)).flatten()))
        .flatten()
        .or_else(|| known.gazetteer.residue(text))
        .or_else(|| known.local.kind_in(text))
}

/// Looks at every string and number of a result.
pub(super) fn scan(value: &Value, known: &Known<'_>, minted: &Minted) -> Result<(), Error> {
    let path = value.get("resourceType").and_then(Value::as_str).unwrap_or("").to_owned();
    Scan { known, minted, path }.visit(value)
}

struct Scan<'s> {
    known: &'s Known<'s>,
    minted: &'s Minted,
    path: String,
}

impl Scan<'_> {
    fn visit(&mut self, value: &Value) -> Result<(), Error> {
        let length = self.path.len();
        match value {
            Value::Object(object) => {
                for (name, child) in object.iter().filter(|(name, _)| name.as_str() != "resourceType") {
                    self.path.push('.');
                    self.path.push_str(name);
                    match child
                        .as_str()
                        .filter(|_| name == "data")
                        .and_then(|data| STANDARD.decode(data).ok())
                    {
                        Some(bytes) => self.check(&String::from_utf8_lossy(&bytes))?,
                        None => self.visit(child)?,
                    }
                    self.path.truncate(length);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.path.push_str(&format!("[{index}]"));
                    self.visit(item)?;
                    self.path.truncate(length);
                }
            }
            Value::String(text) if !self.minted.has(text) => self.check(text)?,
            // A record number may stand where a quantity is expected.
            Value::Number(number) => {
                let digits = number.to_string();
                if digits.len() >= 6 {
                    self.check(&digits)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check(&self, text: &str) -> Result<(), Error> {
        // The namespace of every narrative is a web address.
        let text = text.strip_prefix(attachment::DIV).unwrap_or(text);
        // Text in Base64 stands in more elements than those for it.
        match look(text, self.known).or_else(|| look(&base64_text(text)?, self.known)) {
            Some(kind) => Err(Error::Residual { path: self.path.clone(), kind }),
            None => Ok(()),
        }
    }
}

/// The text that a string holds in Base64, if it does.
fn base64_text(text: &str) -> Option<String> {
    if text.len() < 16 || !text.len().is_multiple_of(4) {
        return None;
    }
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scan_with(gazetteer: &Gazetteer, value: &Value, minted: &Minted) -> Result<(), Error> {
        scan(value, &Known { gazetteer, local: &LocalFormats::default() }, minted)
    }

    #[test]
    fn names_the_path_and_not_the_content() {
        let gazetteer =
            Gazetteer::from_identities([(Kind::Name, "Zzyzx Qwertyson"), (Kind::MedicalRecord, "A77-4411")]);
        for (text, kind) in [
            ("call 415-555-0100", Kind::Phone),
            ("n 123-45-6789", Kind::Ssn),
            ("a.b@example.org", Kind::Email),
            ("MRN: 12345", Kind::MedicalRecord),
            ("of Qwertyson", Kind::Name),
            ("no a77-4411", Kind::MedicalRecord),
            ("SSN 123 45 6789", Kind::Ssn),
            ("fax no. 415.555.0100", Kind::Phone),
            ("see https://portal.example.org/p/17", Kind::Url),
            ("from IP address 10.1.2.3", Kind::IpAddress),
            ("seen 3/14/2015 in clinic", Kind::Date),
            ("seen March 14, 2015 in clinic", Kind::Date),
            ("DOB: 3/14", Kind::Date),
            ("Member ID: 445-11223", Kind::Account),
            ("tracking 123456789012", Kind::Other),
        ] {
            let value = json!({"a": ["x", text]});
            let error = scan_with(&gazetteer, &value, &Minted::default()).unwrap_err();
            assert_eq!(error, Error::Residual { path: ".a[1]".into(), kind }, "{text}");
        }
        let fine =
            json!({"a": "[NAME-1] 120/80 2015, ratio 1/2, 0.25 mg 2/3/6 h", "data": STANDARD.encode("x")});
        assert!(scan_with(&gazetteer, &fine, &Minted::default()).is_ok());
        let text = json!({"valueString": STANDARD.encode("call 415-555-0100")});
        assert!(scan_with(&gazetteer, &text, &Minted::default()).is_err());
        let data = json!({"data": STANDARD.encode("Qwertyson")});
        assert!(scan_with(&gazetteer, &data, &Minted::default()).is_err());
    }

    /// The form of a pseudonym or UUID is no pass: only what was given out is not looked at.
    #[test]
    fn nothing_hides_behind_the_form_of_a_pseudonym() {
        let gazetteer = Gazetteer::from_identities([(Kind::MedicalRecord, "88301477")]);
        let minted = Minted::default();
        let ours = minted.add("psn_v1_00000000-88301477-00000000".to_owned());
        assert!(scan_with(&gazetteer, &json!({ "value": ours }), &minted).is_ok());
        for hidden in [
            "psn_v1_88301477",
            "psn_v1 88301477",
            "psn_vAbernathy 415-555-0173",
            "urn:uuid:88301477",
            "urn:uuid:88301477-0000-8000-8000-000000000000",
            "urn:uuid:call 415-555-0173",
        ] {
            let hit = scan_with(&gazetteer, &json!({ "value": hidden }), &minted);
            // An underscore makes one word of a pseudonym's parts for no list, and for none of ours.
            assert!(hit.is_err(), "{hidden}");
        }
    }

    #[test]
    fn numbers_are_looked_at_too() {
        let gazetteer = Gazetteer::from_identities([(Kind::MedicalRecord, "88301477")]);
        let number = json!({"valueInteger": 88301477});
        assert!(scan_with(&gazetteer, &number, &Minted::default()).is_err());
        assert!(scan_with(&gazetteer, &json!({"valueInteger": 88301}), &Minted::default()).is_ok());
    }
}
