//! Value sets and the strength with which elements are bound to them.

use std::collections::HashSet;

use super::{NameHasher, TableMap};
use std::hash::BuildHasherDefault;

/// How strictly an element is bound to a value set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strength {
    /// Only codes of the set.
    Required,
    /// Codes of the set where one fits.
    Extensible,
    /// The outer limit of a weaker binding (`elementdefinition-maxValueSet`).
    Max,
}

pub(crate) type Codes = HashSet<&'static str, BuildHasherDefault<NameHasher>>;

/// The codes of one value set.
#[derive(Debug)]
pub(crate) struct ValueSet {
    pub(crate) url: &'static str,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// All codes, by code system.
    Codes { all: Codes, systems: Vec<(&'static str, Codes)>, listing: Vec<&'static str> },
    /// BCP 47 language tags: checked by form.
    Language,
    /// Media types of BCP 13: checked by form.
    MediaType,
    /// ISO 4217: checked by form.
    Currency,
    /// Needs a terminology server.
    Unknown,
}

/// All codes of one code system with their names.
#[derive(Debug)]
pub(crate) struct CodeSystem {
    names: TableMap<&'static str, &'static str>,
    /// For a system whose case does not count: the codes in lower case.
    folded: TableMap<String, &'static str>,
}

impl CodeSystem {
    pub(crate) fn new(names: TableMap<&'static str, &'static str>, case_sensitive: bool) -> Self {
        let folded = if case_sensitive {
            TableMap::default()
        } else {
            names.iter().map(|(code, name)| (code.to_ascii_lowercase(), *name)).collect()
        };
        Self { names, folded }
    }

    /// The name of a code (empty where it has none); None if the system has no such code.
    pub(crate) fn name_of(&self, code: &str) -> Option<&'static str> {
        let folded = || self.folded.get(code.to_ascii_lowercase().as_str());
        self.names.get(code).or_else(folded).copied()
    }

    /// The code that differs from a wrong one in its case only.
    pub(crate) fn in_another_case(&self, code: &str) -> Option<&'static str> {
        self.names.keys().find(|known| known.eq_ignore_ascii_case(code)).copied()
    }
}

impl ValueSet {
    /// Its last part, as a name for messages.
    pub(crate) fn short_name(&self) -> &'static str {
        self.url.rsplit('/').next().unwrap_or(self.url)
    }

    /// Whether a code alone, without its system, is in the set; None where that cannot be known here.
    pub(crate) fn has_code(&self, code: &str) -> Option<bool> {
        match &self.content {
            Content::Codes { all, .. } => Some(all.contains(code)),
            Content::Language => is_language(code).then_some(true).or(Some(false)),
            Content::MediaType => Some(is_media_type(code)),
            Content::Currency => Some(code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())),
            Content::Unknown => None,
        }
    }

    /// Whether a code of a code system is in the set; None where that cannot be known here.
    pub(crate) fn has_coding(&self, system: &str, code: &str) -> Option<bool> {
        match &self.content {
            Content::Codes { systems, .. } => {
                Some(systems.iter().any(|(known, codes)| *known == system && codes.contains(code)))
            }
            Content::Language => Some(system == "urn:ietf:bcp:47" && is_language(code)),
            Content::MediaType => Some(system == "urn:ietf:bcp:13" && is_media_type(code)),
            Content::Currency => Some(system == "urn:iso:std:iso:4217" && self.has_code(code) == Some(true)),
            Content::Unknown => None,
        }
    }

    /// What is allowed, for messages: the codes where they are few.
    pub(crate) fn described(&self) -> String {
        match &self.content {
            Content::Codes { listing, .. } if listing.len() <= 16 => {
                format!("one of: {}", listing.join(", "))
            }
            Content::Codes { listing, .. } => {
                format!("one of the {} codes of the value set {}", listing.len(), self.short_name())
            }
            Content::Language => "a language tag such as en or de-CH (BCP 47)".to_owned(),
            Content::MediaType => "a media type such as text/plain or application/pdf (BCP 13)".to_owned(),
            Content::Currency => "a currency of ISO 4217 such as EUR or USD".to_owned(),
            Content::Unknown => format!("a code of the value set {}", self.short_name()),
        }
    }
}

/// The form of RFC 5646: subtags of one to eight letters or digits, the first of letters.
fn is_language(code: &str) -> bool {
    let mut subtags = code.split('-');
    let first = subtags.next().unwrap_or("");
    let single = matches!(first, "i" | "x" | "I" | "X") && code.len() > 2;
    let primary = (2..=8).contains(&first.len()) && first.bytes().all(|byte| byte.is_ascii_alphabetic());
    (primary || single)
        && subtags
            .all(|tag| (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The form of RFC 6838: `type/subtype`, with parameters after a semicolon.
fn is_media_type(code: &str) -> bool {
    let name = code.split(';').next().unwrap_or("").trim_end();
    let token = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    name.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Definitions;

    #[test]
    fn checks_what_has_no_list_by_its_form() {
        assert!(["en", "de-CH", "zh-Hant-TW", "x-klingon"].iter().all(|code| is_language(code)));
        assert!(["", "e", "en_US", "english language", "-en", "en-"].iter().all(|code| !is_language(code)));
        assert!(
            ["text/plain", "application/fhir+json; charset=utf-8"].iter().all(|code| is_media_type(code))
        );
        assert!(["", "pdf", "text/", "/plain", "text plain/x"].iter().all(|code| !is_media_type(code)));
    }

    #[test]
    fn knows_codes_with_and_without_their_system() {
        let sets = &Definitions::r4().value_sets;
        let gender = sets.iter().find(|set| set.short_name() == "administrative-gender").unwrap();
        assert_eq!(gender.has_code("female"), Some(true));
        assert_eq!(gender.has_code("Female"), Some(false));
        assert_eq!(gender.has_coding("http://hl7.org/fhir/administrative-gender", "other"), Some(true));
        assert_eq!(gender.has_coding("http://example.org", "other"), Some(false));
        assert_eq!(gender.described(), "one of: female, male, other, unknown");
    }
}
