//! Treatments of single values.

use std::sync::LazyLock;

use jiff::civil::Date;
use regex::Regex;
use serde_json::{Map, Value, json};

use crate::lexicon::{self, WARD};
use crate::text::tokens::tokenize;

/// First three digits of the zip codes of areas with at most 20,000 people (census of 2000, in the guidance on 45 CFR 164.514(b)).
const SMALL_AREAS: [&str; 17] = [
    "036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878", "879", "884",
    "890", "893",
];

/// Oldest age that is not an identifier (45 CFR 164.514(b)(2)(i)(C)).
const OLDEST: i16 = 89;

static DATE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})(T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?$").ok()
});

/// Moves a FHIR date, dateTime or instant back by whole days; time and offset stay. A month is moved from its middle, a year stays.
pub(super) fn shift(text: &str, days: i64) -> Option<String> {
    let parts = DATE.as_ref()?.captures(text)?;
    let (Some(month), day) = (parts.get(2), parts.get(3)) else { return Some(text.to_owned()) };
    let year: i16 = parts.get(1)?.as_str().parse().ok()?;
    let month: i8 = month.as_str().parse().ok()?;
    let whole = day.is_some();
    let day: i8 = day.map_or(Some(15), |day| day.as_str().parse().ok())?;
    let moved = crate::text::back_by(Date::new(year, month, day).ok()?, days)?;
    Some(match (whole, parts.get(4)) {
        (false, _) => format!("{:04}-{:02}", moved.year(), moved.month()),
        (true, None) => moved.to_string(),
        (true, Some(time)) => format!("{moved}{}", time.as_str()),
    })
}

/// Whether a text is a whole date, alone or with a time.
pub(super) fn is_date(text: &str) -> bool {
    let parts = DATE.as_ref().and_then(|date| date.captures(text));
    parts.is_some_and(|parts| parts.get(3).is_some())
}

/// A birth date's year, as moved with all other dates so that ages keep; none when the person may be over 89.
pub(super) fn birth_year(text: &str, days: i64, as_of: Option<Date>) -> Option<String> {
    let year: i16 = text.get(..4)?.parse().ok()?;
    let as_of = as_of?;
    let born =
        text.get(..10).and_then(|day| day.parse::<Date>().ok()).or_else(|| Date::new(year, 1, 1).ok())?;
    let had_birthday = (as_of.month(), as_of.day()) >= (born.month(), born.day());
    let age = as_of.year() - born.year() - i16::from(!had_birthday);
    if age > OLDEST {
        return None;
    }
    let moved = shift(text, days)?;
    moved.get(..4).map(str::to_owned)
}

/// The latest date anywhere in a bundle that is no date of birth.
pub(super) fn latest_date(value: &Value) -> Option<Date> {
    match value {
        Value::Array(items) => items.iter().filter_map(latest_date).max(),
        Value::Object(object) => object
            .iter()
            .filter(|(name, _)| name.as_str() != "birthDate")
            .filter_map(|(name, child)| match child.as_str() {
                Some(text) if is_date_element(name) => text.get(..10).and_then(|day| day.parse().ok()),
                Some(_) => None,
                None => latest_date(child),
            })
            .max(),
        _ => None,
    }
}

/// Future dates, such as the end of a coverage, would make everybody old.
fn is_date_element(name: &str) -> bool {
    matches!(
        name,
        "timestamp"
            | "start"
            | "authoredOn"
            | "date"
            | "issued"
            | "effectiveDateTime"
            | "recorded"
            | "occurredDateTime"
            | "recordedDate"
            | "created"
            | "receivedTime"
            | "deceasedDateTime"
            | "performedDateTime"
            | "occurrenceDateTime"
            | "lastUpdated"
    )
}

/// Three digits of a zip code; none for what is not one of the USA.
pub(super) fn zip(text: &str) -> Option<String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if !matches!(text.len(), 5 | 9 | 10) || digits < 5 {
        return None;
    }
    let area = text.get(..3)?;
    Some(if SMALL_AREAS.contains(&area) { "000".to_owned() } else { area.to_owned() })
}

/// Whether an address's state is one of the USA, by name or postal abbreviation.
pub(super) fn is_state(text: &str) -> bool {
    const TERRITORIES: [&str; 8] = ["AS", "GU", "MP", "VI", "FM", "MH", "PW", "UM"];
    let (lower, upper) = (text.trim().to_lowercase(), text.trim().to_uppercase());
    TERRITORIES.contains(&upper.as_str())
        || lexicon::states().any(|(name, abbreviation)| name == lower || abbreviation == upper)
}

/// Whether an address's country is a code of ISO 3166-1, by its form.
pub(super) fn is_country_code(text: &str) -> bool {
    matches!(text.len(), 2 | 3) && text.bytes().all(|b| b.is_ascii_alphabetic())
}

/// Whether a location's name is made of words for kinds of wards only; its numbers then go.
pub(super) fn ward(text: &str) -> Option<String> {
    let words = tokenize(text);
    if words.is_empty()
        || !words
            .iter()
            .all(|word| word.is(WARD) && lexicon::flags(&word.text(text).to_lowercase()) & WARD != 0)
    {
        return None;
    }
    Some(words.iter().map(|word| word.text(text)).collect::<Vec<_>>().join(" "))
}

/// Whether a URI names a code system, profile or extension that is public.
pub(super) fn public_system(uri: &str) -> bool {
    const PREFIXES: [&str; 22] = [
        "http://loinc.org",
        "http://snomed.info/sct",
        "http://terminology.hl7.org/",
        "http://hl7.org/fhir/",
        "http://unitsofmeasure.org",
        "http://www.nlm.nih.gov/research/umls/rxnorm",
        "http://hl7.org/",
        "http://www.ama-assn.org/go/cpt",
        "http://dicom.nema.org/resources/ontology/DCM",
        "http://www.whocc.no/atc",
        "http://fdasis.nlm.nih.gov",
        "http://nucc.org/provider-taxonomy",
        "http://www.cms.gov/",
        "https://www.cms.gov/",
        "http://ncimeta.nci.nih.gov",
        "http://ihe.net/",
        "http://www.icd10data.com/icd10pcs",
        "http://id.who.int/icd",
        "urn:iso:std:iso:3166",
        "urn:iso:std:iso:4217",
        "urn:ietf:bcp:",
        "urn:ietf:rfc:",
    ];
    // HL7's and the code systems' own arc; registered organisations lie elsewhere.
    const OIDS: [&str; 3] =
        ["urn:oid:2.16.840.1.113883.6.", "urn:oid:2.16.840.1.113883.5.", "urn:oid:2.16.840.1.113883.12."];
    PREFIXES.iter().chain(&OIDS).any(|prefix| uri.starts_with(prefix))
}

/// An age or another count of years over 89 becomes 90 (45 CFR 164.514(b)(2)(i)(C)).
pub(super) fn limit_years(quantity: &mut Map<String, Value>) -> bool {
    let years =
        ["code", "unit"].iter().filter_map(|element| quantity.get(*element)).filter_map(Value::as_str).any(
            |unit| {
                matches!(
                    unit.to_lowercase().trim(),
                    "a" | "a_j" | "a_t" | "a_g" | "year" | "years" | "yr" | "yrs" | "y" | "jahre"
                )
            },
        );
    let value = quantity.get("value").and_then(|value| value.to_string().parse::<f64>().ok());
    if !years || value.is_none_or(|value| value < f64::from(OLDEST) + 1.0) {
        return false;
    }
    quantity.insert("value".into(), json!(90));
    quantity.insert("comparator".into(), json!(">="));
    true
}

/// The extension that says why a value is not there.
pub(super) fn absent(reason: &str) -> Value {
    json!({"extension": [{
        "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
        "valueCode": reason,
    }]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_keep_precision_time_and_offset() {
        assert_eq!(shift("2020-03-01", 1).as_deref(), Some("2020-02-29"));
        assert_eq!(shift("2020-03-01T10:20:30.5+02:00", 366).as_deref(), Some("2019-03-01T10:20:30.5+02:00"));
        assert_eq!(shift("2020-03", 31).as_deref(), Some("2020-02"));
        assert_eq!(shift("2020", 31).as_deref(), Some("2020"));
        for bad in ["", "20200301", "2020-13-01", "2020-02-30", "2020-01-01 seen by X", "٢٠٢٠"] {
            assert_eq!(shift(bad, 3), None, "{bad}");
        }
    }

    #[test]
    fn birth_years_of_people_over_89_go() {
        let as_of = Date::new(2020, 6, 15).ok();
        assert_eq!(birth_year("1980-06-01", 1, as_of).as_deref(), Some("1980"));
        assert_eq!(birth_year("1980-01-01", 10, as_of).as_deref(), Some("1979"), "moved like every date");
        assert_eq!(birth_year("1930-06-16", 1, as_of).as_deref(), Some("1930"), "89");
        assert_eq!(birth_year("1930-06-15", 1, as_of), None, "90 today");
        assert_eq!(birth_year("1930", 1, as_of), None, "maybe 90");
        assert_eq!(birth_year("1980-06-01", 1, None), None, "age unknown");
    }

    #[test]
    fn zip_codes_keep_three_digits_except_in_small_areas() {
        assert_eq!(zip("50112").as_deref(), Some("501"));
        assert_eq!(zip("02139-4307").as_deref(), Some("021"));
        assert_eq!(zip("05901").as_deref(), Some("000"));
        assert_eq!(zip("89301").as_deref(), Some("000"));
        assert_eq!(zip("SW1A 1AA"), None);
        assert_eq!(SMALL_AREAS.len(), 17);
    }

    #[test]
    fn states_and_countries_are_no_cities() {
        assert!(
            is_state("WA") && is_state("wa") && is_state("Washington") && is_state("PR") && is_state("GU")
        );
        assert!(!is_state("Port Ludlow") && !is_state("Jefferson County") && !is_state(""));
        assert!(is_country_code("US") && is_country_code("USA"));
        assert!(!is_country_code("Port Ludlow") && !is_country_code("12"));
    }

    #[test]
    fn wards_keep_their_kind_without_numbers() {
        assert_eq!(ward("Intensive Care Unit 4").as_deref(), Some("Intensive Care Unit"));
        assert_eq!(ward("ICU").as_deref(), Some("ICU"));
        assert_eq!(ward("Harborview ICU"), None);
        assert_eq!(ward("12-4"), None);
    }

    #[test]
    fn only_years_are_limited() {
        let limited = |value: Value| {
            let mut quantity = value.as_object().unwrap().clone();
            limit_years(&mut quantity).then_some(Value::Object(quantity))
        };
        assert_eq!(
            limited(json!({"value": 93, "code": "a"})),
            Some(json!({"value": 90, "code": "a", "comparator": ">="}))
        );
        assert_eq!(limited(json!({"value": 89, "unit": "years"})), None);
        assert_eq!(limited(json!({"value": 140, "unit": "mmol/L"})), None);
    }
}
