//! Collects the identities of a bundle.

use std::collections::{HashMap, HashSet};

use aho_corasick::{AhoCorasick, MatchKind};
use jiff::civil::Date;
use serde_json::Value;

use super::Gazetteer;
use crate::Kind;
use crate::lexicon::{self, AMBIGUOUS, EPONYM, GIVEN, STOP, TITLE, WARD};
use crate::text::tokens::{Shape, fold, tokenize};

/// How far the elements of a bundle are followed.
const DEPTH: usize = 64;
/// Longest value that is taken for an identity; longer ones are prose.
const LONGEST: usize = 200;

#[derive(Default)]
pub(super) struct Builder {
    names: HashMap<String, bool>,
    initials: HashSet<String>,
    strings: HashMap<String, Kind>,
    numbers: HashMap<String, Kind>,
}

impl Builder {
    pub(super) fn build(self) -> Gazetteer {
        let automaton = |patterns: Vec<(String, Kind)>, overlapping: bool| {
            if patterns.is_empty() {
                return None;
            }
            let kind = if overlapping { MatchKind::Standard } else { MatchKind::LeftmostLongest };
            let (patterns, kinds): (Vec<String>, Vec<Kind>) = patterns.into_iter().unzip();
            let automaton =
                AhoCorasick::builder().ascii_case_insensitive(true).match_kind(kind).build(&patterns);
            automaton.ok().map(|automaton| (automaton, kinds))
        };
        Gazetteer {
            strings: automaton(self.strings.into_iter().collect(), false),
            numbers: automaton(self.numbers.into_iter().collect(), true),
            names: self.names,
            initials: self.initials,
        }
    }

    pub(super) fn walk(&mut self, value: &Value, resource: &str, element: &str, depth: usize) {
        if depth > DEPTH {
            return;
        }
        match value {
            Value::Array(items) => {
                items.iter().for_each(|item| self.walk(item, resource, element, depth + 1))
            }
            Value::Object(object) => {
                let resource = object.get("resourceType").and_then(Value::as_str).unwrap_or(resource);
                if object.contains_key("family") || object.contains_key("given") {
                    self.human_name(object);
                    return;
                }
                if is_identifier(element) {
                    self.fhir_identifier(object, resource);
                }
                for (name, child) in object {
                    if let Some(text) = child.as_str() {
                        self.string(object, resource, element, name, text);
                    } else if name == "line"
                        && let Some(lines) = child.as_array()
                    {
                        lines
                            .iter()
                            .filter_map(Value::as_str)
                            .for_each(|line| self.place(Kind::Location, line));
                    } else if name == "alias"
                        && let Some(names) = child.as_array()
                    {
                        names
                            .iter()
                            .filter_map(Value::as_str)
                            .for_each(|name| self.place(Kind::Organization, name));
                    } else {
                        self.walk(child, resource, name, depth + 1);
                    }
                }
            }
            _ => {}
        }
    }

    fn string(
        &mut self,
        object: &serde_json::Map<String, Value>,
        resource: &str,
        element: &str,
        name: &str,
        text: &str,
    ) {
        match (element, name) {
            (_, "birthDate" | "bornDate") => self.birth_date(text),
            ("telecom", "value") => {
                let fax = object.get("system").and_then(Value::as_str) == Some("fax");
                let kind = match text.contains('@') {
                    true => Kind::Email,
                    false if text.contains("://") => Kind::Url,
                    false if fax => Kind::Fax,
                    false => Kind::Phone,
                };
                self.identifier(kind, text);
            }
            ("address", "text" | "city" | "district" | "postalCode") => self.place(Kind::Location, text),
            ("name", "text") => self.name(text),
            (_, "authorString") => self.name(text),
            // A display beside a reference names a person or place; a coding's display does not.
            (_, "display")
                if object.contains_key("reference")
                    || object.contains_key("identifier")
                    || object.contains_key("type") && !object.contains_key("code") =>
            {
                let reference = object
                    .get("reference")
                    .or_else(|| object.get("type"))
                    .and_then(Value::as_str)
                    .unwrap_or("");
                self.display(reference, text);
            }
            (
                "assigner" | "individual" | "actor" | "performer" | "who" | "author" | "requester"
                | "subject" | "patient" | "party",
                "display",
            ) => {
                self.display("", text);
            }
            ("serviceProvider" | "managingOrganization" | "issuer" | "custodian", "display") => {
                self.place(Kind::Organization, text)
            }
            (_, "name") if resource == "Organization" => self.place(Kind::Organization, text),
            (_, "name") if resource == "Location" => self.place(Kind::Location, text),
            (_, "subscriberId") => self.identifier(Kind::HealthPlan, text),
            (_, "serialNumber" | "distinctIdentifier" | "deviceIdentifier" | "carrierHRF") => {
                self.identifier(Kind::Device, text)
            }
            (_, "name") if resource == "Account" => self.name(text),
            _ => {}
        }
    }

    fn display(&mut self, reference: &str, text: &str) {
        if reference.contains("Organization") {
            self.place(Kind::Organization, text);
        } else if reference.contains("Location") {
            self.place(Kind::Location, text);
        } else {
            let person = ["Practitioner", "Patient", "RelatedPerson", "Person"];
            let known =
                tokenize(text).iter().any(|token| token.is(GIVEN)) && text.split_whitespace().count() <= 5;
            if known || person.iter().any(|kind| reference.contains(kind)) {
                self.name(text);
            }
        }
    }

    fn human_name(&mut self, object: &serde_json::Map<String, Value>) {
        let mut initials = String::new();
        let given = object.get("given").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for part in given.iter().filter_map(Value::as_str) {
            self.name(part);
            initials.extend(part.chars().next().map(|c| c.to_ascii_uppercase()));
        }
        for element in ["family", "text"] {
            if let Some(part) = object.get(element).and_then(Value::as_str) {
                self.name(part);
                if element == "family" {
                    initials.extend(part.chars().next().map(|c| c.to_ascii_uppercase()));
                }
            }
        }
        if initials.len() > 1 {
            self.initials.extend((initials.len() > 2).then(|| {
                let mut chars = initials.chars();
                chars.next().into_iter().chain(chars.next_back()).collect()
            }));
            self.initials.insert(initials);
        }
    }

    pub(super) fn name(&mut self, text: &str) {
        if text.len() > LONGEST {
            return;
        }
        for token in tokenize(text) {
            let word = fold(token.text(text));
            if token.is(TITLE | lexicon::CREDENTIAL | lexicon::PARTICLE) || word.chars().count() < 2 {
                continue;
            }
            let sure = !token.is(AMBIGUOUS | STOP | WARD) && word.chars().count() > 2;
            for part in word.split(['-', '\'', '’']).filter(|part| part.chars().count() > 2) {
                let sure = lexicon::flags(part) & (AMBIGUOUS | STOP | WARD | lexicon::PARTICLE) == 0;
                self.names.entry(part.to_owned()).or_insert(sure);
            }
            self.names.insert(word, sure);
        }
    }

    pub(super) fn place(&mut self, kind: Kind, text: &str) {
        let text = text.trim();
        if text.len() < 3 || text.len() > LONGEST {
            return;
        }
        let words = tokenize(text);
        // "ICU", "Radiology" or "Emergency Department" are no identities.
        let generic = words.iter().all(|word| word.is(WARD | STOP) || word.shape == Shape::Initial);
        if (generic && (kind == Kind::Organization || !text.contains(|c: char| c.is_ascii_digit())))
            || (words.len() <= 1 && words.iter().all(|word| word.is(AMBIGUOUS | EPONYM | STOP)))
        {
            return;
        }
        // Countries and states are no identifiers, and stay in addresses.
        let lower = text.to_lowercase();
        let large = matches!(lower.as_str(), "usa" | "united states" | "united states of america");
        if large || lexicon::states().any(|(name, _)| name == lower) {
            return;
        }
        // Bare numbers of one to four digits are too common to search for.
        if words.is_empty() && text.len() < 5 {
            return;
        }
        self.strings.insert(text.to_owned(), kind);
        // The street without the apartment, the name without its legal form.
        if let Some((first, _)) = text.split_once(',').filter(|(first, _)| first.len() > 5) {
            self.strings.entry(first.to_owned()).or_insert(kind);
        }
    }

    fn fhir_identifier(&mut self, object: &serde_json::Map<String, Value>, resource: &str) {
        let Some(value) = object.get("value").and_then(Value::as_str) else { return };
        let code = object
            .get("type")
            .and_then(|kind| kind.pointer("/coding/0/code"))
            .and_then(Value::as_str)
            .unwrap_or("");
        let kind = match code {
            "SS" | "SB" => Kind::Ssn,
            "DL" | "PPN" | "LN" | "MD" | "NPI" | "DEA" | "UPIN" => Kind::License,
            "AN" | "ANC" | "ANON" => Kind::Account,
            "MB" | "NH" | "MC" | "MA" | "SN" => Kind::HealthPlan,
            "SNO" | "UDI" => Kind::Device,
            "MR" | "PI" | "PT" => Kind::MedicalRecord,
            _ if resource == "Patient" => Kind::MedicalRecord,
            _ if resource == "Coverage" => Kind::HealthPlan,
            _ if resource == "Device" => Kind::Device,
            _ => Kind::Other,
        };
        self.identifier(kind, value);
    }

    pub(super) fn identifier(&mut self, kind: Kind, value: &str) {
        let value = value.trim();
        if value.len() > LONGEST {
            return;
        }
        let digits: String = value.chars().filter(char::is_ascii_digit).collect();
        let letters = value.chars().any(char::is_alphabetic);
        // Short numbers occur everywhere: they are found next to their label only.
        if value.chars().filter(|c| c.is_alphanumeric()).count() >= 5 && !digits.is_empty()
            || kind == Kind::Email
            || kind == Kind::Url
        {
            self.strings.insert(value.to_owned(), kind);
            let compact: String = value.chars().filter(|c| c.is_alphanumeric()).collect();
            if letters && compact.len() >= 5 && kind != Kind::Email && kind != Kind::Url {
                self.strings.entry(compact).or_insert(kind);
            }
        }
        if !letters && digits.len() >= 6 || matches!(kind, Kind::Phone | Kind::Fax) && digits.len() >= 7 {
            if digits.len() > 10 && matches!(kind, Kind::Phone | Kind::Fax) {
                self.numbers.insert(digits[digits.len() - 10..].to_owned(), kind);
            }
            if digits.len() == 10 && matches!(kind, Kind::Phone | Kind::Fax) {
                self.numbers.insert(digits[3..].to_owned(), kind);
            }
            let bare = digits.trim_start_matches('0');
            if bare.len() >= 6 {
                self.numbers.insert(bare.to_owned(), kind);
            }
            self.numbers.insert(digits, kind);
        }
    }

    /// Forms that the date patterns do not know: without separators, day first, in words.
    pub(super) fn birth_date(&mut self, text: &str) {
        let Some(date) = text.get(..10).and_then(|day| day.parse::<Date>().ok()) else { return };
        let (y, m, d) = (date.year(), date.month(), date.day());
        let short = y.rem_euclid(100);
        let month = date.strftime("%B").to_string();
        let brief = date.strftime("%b").to_string();
        for form in [
            format!("{y:04}{m:02}{d:02}"),
            format!("{m:02}{d:02}{y:04}"),
            format!("{m:02}{d:02}{short:02}"),
            format!("{m:02} {d:02} {y:04}"),
            format!("{m}/{d}/{short:02}"),
            format!("{m}/{d}/{y}"),
            format!("{m}-{d}-{y}"),
            format!("{d}/{m}/{y}"),
            format!("{d:02}.{m:02}.{y}"),
            format!("{d}{brief}{y}"),
            format!("{d:02}{brief}{short:02}"),
            format!("{d:02}-{brief}-{short:02}"),
            format!("{month} {d}, {y}"),
            format!("{month} {d} {y}"),
            format!("{brief} {d}, {y}"),
            format!("{d} {month} {y}"),
        ] {
            self.strings.insert(form, Kind::Date);
        }
    }
}

fn is_identifier(element: &str) -> bool {
    matches!(
        element,
        "identifier"
            | "masterIdentifier"
            | "accessionIdentifier"
            | "preAdmissionIdentifier"
            | "groupIdentifier"
            | "requisition"
            | "targetIdentifier"
    )
}
