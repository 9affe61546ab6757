//! The identities of one bundle, in every spelling a note may have them.

use std::collections::{HashMap, HashSet};

use aho_corasick::{AhoCorasick, MatchKind};
use jiff::civil::Date;
use serde_json::Value;

use crate::Kind;
use crate::lexicon::{self, AMBIGUOUS, EPONYM, GIVEN, STOP, TITLE, WARD};
use crate::text::names::Words;
use crate::text::tokens::{Shape, tokenize};
use crate::text::{Candidate, Layer};

/// How far the elements of a bundle are followed.
const DEPTH: usize = 64;
/// Longest value that is taken for an identity; longer ones are prose.
const LONGEST: usize = 200;

/// The identities of the patient, relatives, staff, facilities and devices in one bundle.
///
/// `Gazetteer::default()` knows nobody.
#[derive(Default)]
pub struct Gazetteer {
    /// Words of names, lower-case; true when the word is nothing but a name.
    names: HashMap<String, bool>,
    initials: HashSet<String>,
    strings: Option<(AhoCorasick, Vec<Kind>)>,
    numbers: Option<(AhoCorasick, Vec<Kind>)>,
}

impl std::fmt::Debug for Gazetteer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gazetteer").field("name_words", &self.names.len()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Builder {
    names: HashMap<String, bool>,
    initials: HashSet<String>,
    strings: HashMap<String, Kind>,
    numbers: HashMap<String, Kind>,
}

impl Gazetteer {
    /// Collects the identities of a bundle or a single resource.
    pub fn from_bundle(bundle: &Value) -> Self {
        let mut builder = Builder::default();
        builder.walk(bundle, "", "", 0);
        builder.build()
    }

    /// Takes identities one by one: names, addresses, numbers, dates of birth (`YYYY-MM-DD`).
    pub fn from_identities<'i>(identities: impl IntoIterator<Item = (Kind, &'i str)>) -> Self {
        let mut builder = Builder::default();
        for (kind, value) in identities {
            match kind {
                Kind::Name => builder.name(value),
                Kind::Date => builder.birth_date(value),
                Kind::Location | Kind::Organization => builder.place(kind, value),
                _ => builder.identifier(kind, value),
            }
        }
        builder.build()
    }

    /// Pushes what a text has of these identities.
    pub(crate) fn find(&self, words: &Words<'_>, out: &mut Vec<Candidate>) {
        if !self.names.is_empty() {
            self.find_names(words, out);
        }
        let text = words.text;
        let layer = Layer::Gazetteer;
        if let Some((automaton, kinds)) = &self.strings {
            for found in automaton.find_iter(text) {
                if bounded(text, found.start(), found.end()) {
                    let kind = kinds.get(found.pattern().as_usize()).copied().unwrap_or(Kind::Other);
                    out.push(Candidate { start: found.start(), end: found.end(), kind, layer, score: 0.99 });
                }
            }
        }
        if let Some((automaton, kinds)) = &self.numbers {
            for (digits, offsets) in digit_runs(text) {
                for found in automaton.find_overlapping_iter(&digits) {
                    let (Some(&start), Some(&last)) =
                        (offsets.get(found.start()), offsets.get(found.end() - 1))
                    else {
                        continue;
                    };
                    if bounded(text, start, last + 1) {
                        let kind = kinds.get(found.pattern().as_usize()).copied().unwrap_or(Kind::Other);
                        out.push(Candidate { start, end: last + 1, kind, layer, score: 0.97 });
                    }
                }
            }
        }
    }

    fn find_names(&self, words: &Words<'_>, out: &mut Vec<Candidate>) {
        let known: Vec<Option<bool>> = words
            .tokens
            .iter()
            .map(|token| {
                let word = token.text(words.text).to_lowercase();
                self.names.get(&word).copied().or_else(|| {
                    // "Smith-Jones" of a patient called Smith.
                    let parts: Vec<Option<&bool>> =
                        word.split('-').map(|part| self.names.get(part)).collect();
                    (parts.len() > 1 && parts.iter().any(|part| part == &Some(&true))).then_some(true)
                })
            })
            .collect();
        for (index, token) in words.tokens.iter().enumerate() {
            let mut from = index;
            if let Some(sure) = known[index] {
                let capital = matches!(token.shape, Shape::Title | Shape::Upper);
                let near =
                    |other: Option<usize>| other.is_some_and(|i| known.get(i).is_some_and(Option::is_some));
                let beside = (near(index.checked_sub(1)) && words.gap_before(index).len() <= 2)
                    || (near(Some(index + 1)) && words.gap_before(index + 1).len() <= 2);
                let titled = index > 0
                    && words.tokens[index - 1].is(TITLE)
                    && matches!(words.gap_before(index), " " | ". " | ".");
                let taken = if sure {
                    // A disease keeps its name even when the patient bears it.
                    token.shape != Shape::Initial && (!words.is_eponym(index) || beside || titled)
                } else {
                    let sentence = words.gap_before(index) == " "
                        && token.shape == Shape::Title
                        && words.at(index + 1).is_none_or(|next| {
                            next.shape == Shape::Lower || words.gap_before(index + 1) != " "
                        })
                        && index > 0
                        && words.tokens[index - 1].shape == Shape::Lower;
                    capital && !words.is_eponym(index) && (beside || titled || sentence)
                        || (capital && (beside && titled))
                };
                if taken {
                    // "J. Smith"
                    while from > 0
                        && words.tokens[from - 1].shape == Shape::Initial
                        && matches!(words.gap_before(from), ". " | "." | " ")
                        && words.gap_before(from - 1).ends_with([' ', '.', '\n', '(', ',', ':', ';', '/'])
                        && !(words.gap_before(from) == " "
                            && matches!(words.tokens[from - 1].text(words.text), "A" | "I"))
                    {
                        from -= 1;
                    }
                    from = words.with_particles(from);
                    if let Some(first) = words.at(from) {
                        out.push(Candidate {
                            start: first.start,
                            end: token.end,
                            kind: Kind::Name,
                            layer: Layer::Gazetteer,
                            score: 0.98,
                        });
                    }
                }
            } else if token.shape == Shape::Initial && words.gap_before(index + 1) == "." {
                // "J.S.", "J.Q.S."
                let mut to = index;
                let mut letters = String::new();
                while to < words.tokens.len()
                    && words.tokens[to].shape == Shape::Initial
                    && (to == index || words.gap_before(to) == ".")
                {
                    letters.push_str(words.tokens[to].text(words.text));
                    to += 1;
                }
                let last = &words.tokens[to - 1];
                if letters.len() > 1
                    && self.initials.contains(&letters)
                    && words.text[last.end..].starts_with('.')
                {
                    out.push(Candidate {
                        start: token.start,
                        end: last.end + 1,
                        kind: Kind::Name,
                        layer: Layer::Gazetteer,
                        score: 0.8,
                    });
                }
            }
        }
    }

    /// What looks like an identity of this bundle, by other means than [`Gazetteer::find`]: for the residual scan. Names count only when
    /// they are nothing but names and are written with a capital.
    pub(crate) fn residue(&self, text: &str) -> Option<Kind> {
        let boundary = |c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '’' | '-');
        if !self.names.is_empty() && text.contains(char::is_uppercase) {
            let hit = text.split(boundary).any(|word| {
                word.starts_with(char::is_uppercase)
                    && word.chars().count() >= 4
                    && self.names.get(&word.to_lowercase()) == Some(&true)
                    && lexicon::flags(&word.to_lowercase()) & EPONYM == 0
            });
            if hit {
                return Some(Kind::Name);
            }
        }
        let (automaton, kinds) = self.strings.as_ref()?;
        automaton
            .find_iter(text)
            .find(|found| bounded(text, found.start(), found.end()))
            .map(|found| kinds.get(found.pattern().as_usize()).copied().unwrap_or(Kind::Other))
    }
}

/// Not a part of a longer word or number.
fn bounded(text: &str, start: usize, end: usize) -> bool {
    let (Some(before), Some(after)) = (text.get(..start), text.get(end..)) else { return false };
    !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
}

/// Runs of digits with separators between them: the digits, and the byte offset of each.
fn digit_runs(text: &str) -> Vec<(String, Vec<usize>)> {
    let mut runs = Vec::new();
    let mut digits = String::new();
    let mut offsets: Vec<usize> = Vec::new();
    for (offset, byte) in text.bytes().enumerate() {
        if byte.is_ascii_digit() {
            digits.push(char::from(byte));
            offsets.push(offset);
        } else if !digits.is_empty() {
            let separated = offsets.last().is_some_and(|last| offset - last <= 2);
            if !matches!(byte, b' ' | b'-' | b'.' | b'/' | b'(' | b')') || !separated {
                if digits.len() >= 6 {
                    runs.push((std::mem::take(&mut digits), std::mem::take(&mut offsets)));
                }
                digits.clear();
                offsets.clear();
            }
        }
    }
    if digits.len() >= 6 {
        runs.push((digits, offsets));
    }
    runs
}

impl Builder {
    fn build(self) -> Gazetteer {
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

    fn walk(&mut self, value: &Value, resource: &str, element: &str, depth: usize) {
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

    fn name(&mut self, text: &str) {
        if text.len() > LONGEST {
            return;
        }
        for token in tokenize(text) {
            let word = token.text(text).to_lowercase();
            if token.is(TITLE | lexicon::CREDENTIAL | lexicon::PARTICLE) || word.chars().count() < 2 {
                continue;
            }
            let sure = !token.is(AMBIGUOUS | STOP | WARD) && word.chars().count() > 2;
            let plain = unaccented(&word);
            for part in word.split(['-', '\'', '’']).filter(|part| part.chars().count() > 2) {
                let sure = lexicon::flags(part) & (AMBIGUOUS | STOP | WARD | lexicon::PARTICLE) == 0;
                self.names.entry(part.to_owned()).or_insert(sure);
            }
            if plain != word {
                self.names.insert(plain, sure);
            }
            self.names.insert(word, sure);
        }
    }

    fn place(&mut self, kind: Kind, text: &str) {
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

    fn identifier(&mut self, kind: Kind, value: &str) {
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
    fn birth_date(&mut self, text: &str) {
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

/// Latin letters without their accents.
fn unaccented(word: &str) -> String {
    word.chars()
        .map(|c| match c {
            'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
            'ç' | 'ć' | 'č' => 'c',
            'è'..='ë' | 'ē' | 'ę' | 'ě' => 'e',
            'ì'..='ï' | 'ī' => 'i',
            'ñ' | 'ń' | 'ň' => 'n',
            'ò'..='ö' | 'ø' | 'ō' | 'ő' => 'o',
            'ù'..='ü' | 'ū' | 'ű' => 'u',
            'ý' | 'ÿ' => 'y',
            'š' | 'ś' => 's',
            'ž' | 'ź' | 'ż' => 'z',
            'ł' => 'l',
            other => other,
        })
        .collect()
}
