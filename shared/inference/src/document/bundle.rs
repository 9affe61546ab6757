//! FHIR R4 resources into a [`Document`].

use std::collections::HashMap;

use jiff::civil::Date;
use serde_json::Value;

use super::{Code, Codes, Document, MAX_OBSERVATIONS};
use crate::critical::CriticalTable;
use crate::observation::{Abnormality, LOINC, ObservationFact};

/// Longest text result that is one value ("positive") rather than a line of a report, in bytes.
const VALUE_LENGTH: usize = 40;

pub(super) fn read(bundle: &Value) -> Document {
    let mut document = Document::default();
    let resources: Vec<&Value> = match bundle.get("entry").and_then(Value::as_array) {
        Some(entries) => entries.iter().filter_map(|entry| entry.get("resource")).collect(),
        None => vec![bundle],
    };
    let mut birth = None;
    let mut newest: Option<Date> = date(text(bundle, "timestamp"));
    let mut requests = 0usize;
    let specimens = specimens(bundle);
    for resource in resources.into_iter().filter(|resource| !is_withdrawn(resource)) {
        for key in ["effectiveDateTime", "issued", "authoredOn", "date"] {
            newest = newest.max(date(text(resource, key)));
        }
        newest = newest.max(resource.get("period").and_then(|period| date(text(period, "start"))));
        match text(resource, "resourceType") {
            "Patient" => {
                birth = date(text(resource, "birthDate"));
                document.sex = owned(text(resource, "gender"));
            }
            "MessageHeader" => {
                document.codes.event =
                    resource.get("eventCoding").and_then(|coding| owned(text(coding, "code")));
            }
            "Encounter" => encounter(resource, &mut document),
            "ServiceRequest" => {
                requests += 1;
                raise_priority(&mut document.codes, text(resource, "priority"));
                concept(resource.get("code"), &mut document.codes.topic);
                concept(resource.get("performerType"), &mut document.codes.specialty);
                reasons(resource, &mut document);
            }
            "Observation" => {
                document.pregnant |= says_pregnant(resource);
                observation(resource, specimens.get(&identity(resource)), &mut document);
            }
            "DiagnosticReport" => report(resource, &mut document),
            "DocumentReference" => reference(resource, &mut document),
            "Composition" => composition(resource, &mut document),
            "Condition" => {
                document.pregnant |= resource.get("code").is_some_and(is_of_pregnancy);
                concept(resource.get("code"), &mut document.codes.topic);
                concept_text("Diagnosis", resource.get("code"), &mut document);
                notes(resource, &mut document);
            }
            "Procedure" => {
                concept(resource.get("code"), &mut document.codes.topic);
                notes(resource, &mut document);
            }
            "PractitionerRole" => concepts(resource.get("specialty"), &mut document.codes.specialty),
            "Appointment" => {
                concepts(resource.get("specialty"), &mut document.codes.specialty);
                concepts(resource.get("serviceType"), &mut document.codes.specialty);
                reasons(resource, &mut document);
                document.push_text(text(resource, "description"));
                document.push_text(text(resource, "comment"));
            }
            "Communication" | "CommunicationRequest" => {
                raise_priority(&mut document.codes, text(resource, "priority"));
                for payload in array(resource, "payload") {
                    document.push_text(text(payload, "contentString"));
                }
            }
            _ => {}
        }
    }
    document.codes.is_request = requests > 0 && document.observations.is_empty();
    if let (Some(birth), Some(newest)) = (birth, newest) {
        document.age_days = newest.since(birth).ok().and_then(|span| u32::try_from(span.get_days()).ok());
    }
    document
}

/// Whether a resource says of itself that it does not hold: entered in error, a request taken back, a refuted condition.
fn is_withdrawn(resource: &Value) -> bool {
    let verification = resource.get("verificationStatus").unwrap_or(&Value::Null);
    text(resource, "status") == "entered-in-error"
        || text(resource, "status") == "revoked"
        || codings(verification).any(|coding| matches!(coding.code.as_str(), "refuted" | "entered-in-error"))
}

/// What tells a resource of a bundle from the others.
fn identity(resource: &Value) -> *const Value {
    std::ptr::from_ref(resource)
}

/// What was examined, by result: the type of its specimen and the names of the reports that it stands in.
fn specimens(bundle: &Value) -> HashMap<*const Value, String> {
    let mut by_reference: HashMap<String, &Value> = HashMap::new();
    let entries: Vec<(&str, &Value)> = array(bundle, "entry")
        .filter_map(|entry| Some((text(entry, "fullUrl"), entry.get("resource")?)))
        .collect();
    for (url, resource) in &entries {
        by_reference.insert((*url).to_owned(), resource);
        by_reference.insert(format!("{}/{}", text(resource, "resourceType"), text(resource, "id")), resource);
    }
    let resolve = |value: &Value| by_reference.get(text(value, "reference")).copied();
    let named = |value: Option<&Value>| {
        let concept = value.unwrap_or(&Value::Null);
        let mut words = vec![text(concept, "text").to_owned()];
        words.extend(codings(concept).map(|coding| format!("{} {}", coding.code, coding.display)));
        words.join(" ")
    };
    let of_specimen = |value: Option<&Value>| {
        value.and_then(resolve).map(|specimen| named(specimen.get("type"))).unwrap_or_default()
    };
    let mut found: HashMap<*const Value, String> = HashMap::new();
    let mut add = |resource: &Value, words: String| {
        let words = words.trim();
        if !words.is_empty() {
            let slot = found.entry(identity(resource)).or_default();
            slot.push_str(words);
            slot.push(' ');
        }
    };
    for (_, resource) in &entries {
        match text(resource, "resourceType") {
            "Observation" => add(resource, of_specimen(resource.get("specimen"))),
            "DiagnosticReport" => {
                let mut words = named(resource.get("code"));
                for specimen in array(resource, "specimen") {
                    words.push(' ');
                    words.push_str(&of_specimen(Some(specimen)));
                }
                for result in array(resource, "result").filter_map(resolve) {
                    add(result, words.clone());
                }
            }
            _ => {}
        }
    }
    found
}

/// LOINC 82810-3 (pregnancy status) with the answer that the patient is pregnant.
fn says_pregnant(resource: &Value) -> bool {
    let asked = resource.get("code").is_some_and(|code| codings(code).any(|c| c.code == "82810-3"));
    let answer = resource.get("valueCodeableConcept").unwrap_or(&Value::Null);
    asked
        && text(resource, "status") != "cancelled"
        && (codings(answer).any(|c| matches!(c.code.as_str(), "77386006" | "LA15173-0"))
            || text(resource, "valueString").trim().eq_ignore_ascii_case("pregnant"))
}

/// SNOMED CT's pregnancy, or ICD-10-CM's chapter of pregnancy, its supervision or its incidental state.
fn is_of_pregnancy(concept: &Value) -> bool {
    codings(concept).any(|coding| {
        let code = coding.code.to_ascii_uppercase();
        let icd = coding.system.contains("icd-10")
            && (code.starts_with('O') && !code.starts_with("O8") && !code.starts_with("O9")
                || code.starts_with("Z33")
                || code.starts_with("Z34"));
        code == "77386006" || icd
    })
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

fn owned(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn array<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// A FHIR date or dateTime, to the day; a year or month alone is its first day (section 2.24.0.1).
fn date(text: &str) -> Option<Date> {
    let part = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<i8>().ok());
    let year: i16 = text.get(..4)?.parse().ok()?;
    Date::new(year, part(5..7).unwrap_or(1), part(8..10).unwrap_or(1)).ok()
}

fn codings(concept: &Value) -> impl Iterator<Item = Code> {
    let label = text(concept, "text");
    array(concept, "coding").map(move |coding| Code {
        system: text(coding, "system").to_owned(),
        code: text(coding, "code").to_owned(),
        display: match text(coding, "display") {
            "" => label.to_owned(),
            display => display.to_owned(),
        },
    })
}

fn concept(value: Option<&Value>, into: &mut Vec<Code>) {
    let Some(value) = value else { return };
    let before = into.len();
    into.extend(codings(value));
    if into.len() == before
        && let Some(display) = owned(text(value, "text"))
    {
        into.push(Code { display, ..Code::default() });
    }
}

fn concepts(value: Option<&Value>, into: &mut Vec<Code>) {
    for item in value.and_then(Value::as_array).into_iter().flatten() {
        concept(Some(item), into);
    }
}

fn concept_text(heading: &str, value: Option<&Value>, document: &mut Document) {
    let Some(value) = value else { return };
    let label = match text(value, "text") {
        "" => codings(value).map(|code| code.display).find(|display| !display.is_empty()).unwrap_or_default(),
        label => label.to_owned(),
    };
    if !label.is_empty() {
        document.push_text(&format!("{heading}: {label}"));
    }
}

fn reasons(resource: &Value, document: &mut Document) {
    for reason in array(resource, "reasonCode") {
        concept_text("Reason", Some(reason), document);
    }
    notes(resource, document);
}

fn notes(resource: &Value, document: &mut Document) {
    for note in array(resource, "note") {
        document.push_text(text(note, "text"));
    }
}

fn raise_priority(codes: &mut Codes, priority: &str) {
    let folded = match priority.to_ascii_lowercase().as_str() {
        "stat" | "s" | "em" | "emergency" => "stat",
        "asap" | "a" => "asap",
        "urgent" | "ur" | "t" => "urgent",
        "routine" | "r" | "el" => "routine",
        _ => return,
    };
    let rank = |priority: &str| ["routine", "urgent", "asap", "stat"].iter().position(|p| *p == priority);
    if codes.priority.as_deref().and_then(rank) < rank(folded) {
        codes.priority = Some(folded.to_owned());
    }
}

fn encounter(resource: &Value, document: &mut Document) {
    document.codes.encounter_class = resource.get("class").and_then(|class| owned(text(class, "code")));
    for coding in array(resource.get("priority").unwrap_or(&Value::Null), "coding") {
        raise_priority(&mut document.codes, text(coding, "code"));
    }
    concept(resource.get("serviceType"), &mut document.codes.specialty);
    concepts(resource.get("type"), &mut document.codes.specialty);
    for reason in array(resource, "reasonCode") {
        concept_text("Reason", Some(reason), document);
    }
}

fn attachment(value: &Value, document: &mut Document) {
    let kind = text(value, "contentType");
    if !kind.is_empty() && !kind.starts_with("text/plain") {
        return;
    }
    if let Some(bytes) = decode(text(value, "data")) {
        document.push_text(&String::from_utf8_lossy(&bytes));
    }
}

fn decode(data: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    let compact: String = data.chars().filter(|c| !c.is_whitespace()).collect();
    (!compact.is_empty()).then(|| base64::engine::general_purpose::STANDARD.decode(compact).ok()).flatten()
}

fn report(resource: &Value, document: &mut Document) {
    if text(resource, "status") == "cancelled" {
        return;
    }
    concept(resource.get("code"), &mut document.codes.document);
    concepts(resource.get("category"), &mut document.codes.document);
    for form in array(resource, "presentedForm") {
        attachment(form, document);
    }
    if let Some(conclusion) = owned(text(resource, "conclusion")) {
        document.push_text(&format!("Conclusion: {conclusion}"));
    }
}

fn reference(resource: &Value, document: &mut Document) {
    concept(resource.get("type"), &mut document.codes.document);
    concepts(resource.get("category"), &mut document.codes.document);
    for content in array(resource, "content") {
        if let Some(value) = content.get("attachment") {
            attachment(value, document);
        }
    }
    document.push_text(text(resource, "description"));
}

fn composition(resource: &Value, document: &mut Document) {
    concept(resource.get("type"), &mut document.codes.document);
    sections(resource, document);
}

fn sections(parent: &Value, document: &mut Document) {
    for section in array(parent, "section") {
        let title = text(section, "title");
        let body = section.get("text").map(|narrative| plain(text(narrative, "div"))).unwrap_or_default();
        if !body.trim().is_empty() {
            let head = if title.is_empty() { String::new() } else { format!("{title}: ") };
            document.push_text(&format!("{head}{}", body.trim()));
        }
        sections(section, document);
    }
}

/// XHTML narrative (FHIR R4, section 2.7) without its markup.
fn plain(div: &str) -> String {
    let mut result = String::with_capacity(div.len());
    let mut in_tag = false;
    for c in div.chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                result.push(' ');
            }
            _ if in_tag => {}
            _ => result.push(c),
        }
    }
    for (entity, character) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")]
    {
        result = result.replace(entity, character);
    }
    result
}

fn quantity_text(value: Option<&Value>) -> Option<String> {
    match value?.get("value")? {
        // The number's own digits: 4.10 stays 4.10.
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn observation(resource: &Value, specimen: Option<&String>, document: &mut Document) {
    let mut parent = fact(resource);
    parent.specimen = specimen.map(|words| words.trim().to_owned());
    let status = parent.status.clone();
    if parent.counts() {
        let line = parent.text.as_deref().unwrap_or("");
        // Reports sent as lines of OBX with type TX or FT are prose, not results.
        let prose = parent.value.is_none()
            && (line.len() > VALUE_LENGTH || line.contains('\n') || narrative_code(&parent));
        if prose {
            document.push_text(line);
        }
        if !prose || must_be_judged(&parent) {
            push_result(parent, document);
        }
        notes(resource, document);
    }
    for component in array(resource, "component") {
        let mut part = fact(component);
        part.status.clone_from(&status);
        part.specimen = specimen.map(|words| words.trim().to_owned());
        if part.counts() {
            push_result(part, document);
        }
    }
}

/// Whether a result may be critical although it is written as prose: an organism's name can be a line.
fn must_be_judged(fact: &ObservationFact) -> bool {
    fact.abnormality() == Abnormality::Critical || CriticalTable::default_table().lists(fact)
}

/// Keeps a result: one with an answer, or with a critical flag in place of one.
fn push_result(fact: ObservationFact, document: &mut Document) {
    if fact.value.is_none() && fact.text.is_none() && fact.abnormality() != Abnormality::Critical {
        return;
    }
    if document.observations.len() < MAX_OBSERVATIONS {
        document.observations.push(fact);
    } else {
        document.truncated = true;
    }
}

/// LOINC codes under which feeds send the lines of a report.
fn narrative_code(fact: &ObservationFact) -> bool {
    const CODES: &[&str] =
        &["18782-3", "19005-8", "59776-5", "22634-0", "22637-3", "22636-5", "51969-4", "8251-1", "48767-8"];
    let display = fact.display.to_lowercase();
    CODES.contains(&fact.code.as_str())
        || [
            "impression",
            "findings",
            "report",
            "narrative",
            "comment",
            "clinical history",
            "conclusion",
            "body",
        ]
        .iter()
        .any(|word| display.contains(word))
}

fn fact(resource: &Value) -> ObservationFact {
    let code = resource.get("code").unwrap_or(&Value::Null);
    let all: Vec<Code> = codings(code).collect();
    let chosen = all.iter().find(|c| c.system == LOINC).or_else(|| all.first()).cloned().unwrap_or_default();
    let display = match text(code, "text") {
        "" if chosen.display.is_empty() => {
            all.iter().map(|c| c.display.as_str()).find(|d| !d.is_empty()).unwrap_or("").to_owned()
        }
        "" => chosen.display.clone(),
        label => label.to_owned(),
    };
    let quantity = resource.get("valueQuantity");
    let unit = quantity.map_or("", |quantity| {
        let ucum = text(quantity, "system") == "http://unitsofmeasure.org";
        match (text(quantity, "code"), text(quantity, "unit")) {
            (code, unit) if (ucum || unit.is_empty()) && !code.is_empty() => code,
            (_, unit) => unit,
        }
    });
    let range = array(resource, "referenceRange").next();
    let (mut low, mut high) =
        (range.and_then(|r| quantity_text(r.get("low"))), range.and_then(|r| quantity_text(r.get("high"))));
    if low.is_none() && high.is_none() {
        (low, high) = range.map_or((None, None), |range| split_range(text(range, "text")));
    }
    let (mut value, mut comparator) =
        (quantity_text(quantity), quantity.and_then(|q| owned(text(q, "comparator"))));
    let mut answer = match text(resource, "valueString") {
        "" => resource.get("valueCodeableConcept").and_then(|concept| {
            owned(text(concept, "text"))
                .or_else(|| codings(concept).map(|c| c.display).find(|d| !d.is_empty()))
        }),
        string => Some(string.to_owned()),
    };
    // Titres ("1:128") and ranges, which feeds send as OBX-2 = SN or NR.
    let pair = |element: &str, first: &str, second: &str, between: &str| {
        let element = resource.get(element)?;
        let (first, second) = (quantity_text(element.get(first)), quantity_text(element.get(second)));
        (first.is_some() || second.is_some())
            .then(|| format!("{}{between}{}", first.unwrap_or_default(), second.unwrap_or_default()))
    };
    answer = answer
        .or_else(|| pair("valueRatio", "numerator", "denominator", ":"))
        .or_else(|| pair("valueRange", "low", "high", "-"));
    if value.is_none()
        && let Some(integer) = resource.get("valueInteger").and_then(Value::as_i64)
    {
        value = Some(integer.to_string());
    }
    // Feeds send numbers as strings (OBX-2 = ST): "<0.01", "7.1".
    if value.is_none()
        && let Some(string) = answer.as_deref().map(str::trim)
    {
        let digits = string.trim_start_matches(['<', '>', '=']).trim_start();
        if crate::observation::number(digits).is_some() {
            comparator = owned(string.get(..string.len() - digits.len()).unwrap_or("").trim());
            value = Some(digits.to_owned());
            answer = None;
        }
    }
    ObservationFact {
        code: chosen.code,
        system: chosen.system,
        display,
        value,
        comparator,
        text: answer,
        unit: unit.to_owned(),
        low,
        high,
        flags: array(resource, "interpretation")
            .flat_map(|c| array(c, "coding"))
            .map(|c| text(c, "code").to_owned())
            .collect(),
        status: text(resource, "status").to_owned(),
        specimen: None,
        effective: owned(text(resource, "effectiveDateTime")),
    }
}

/// "3.5-5.1", "3.5 - 5.1 mmol/L", "<0.04" and ">60" as a low and a high limit.
fn split_range(text: &str) -> (Option<String>, Option<String>) {
    let text = text.trim();
    let leading = |text: &str| {
        let digits: String =
            text.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        crate::observation::number(&digits).map(|_| digits)
    };
    if let Some(rest) = text.strip_prefix(['<', '≤']) {
        return (None, leading(rest.trim_start_matches('=')));
    }
    if let Some(rest) = text.strip_prefix(['>', '≥']) {
        return (leading(rest.trim_start_matches('=')), None);
    }
    match text.split_once(['-', '–']) {
        Some((low, high)) => match (leading(low), leading(high)) {
            (Some(low), Some(high)) => (Some(low), Some(high)),
            _ => (None, None),
        },
        None => (None, None),
    }
}
