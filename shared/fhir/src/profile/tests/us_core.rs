//! The embedded profiles.

use serde_json::{Value, json};

use super::{errors, found};
use crate::definitions::Definitions;
use crate::profile::{Found, Library, Packages};
use crate::{Demand, ErrorCode, Outcome, Severity, Validator};

const PATIENT: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient";
const PRESSURE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-blood-pressure";

fn validate(resource: &Value) -> Outcome {
    Validator::r4().validate(resource.to_string().as_bytes())
}

fn patient() -> Value {
    json!({
        "resourceType": "Patient", "meta": {"profile": [PATIENT]},
        "identifier": [{"system": "http://example.org/mrn", "value": "1"}],
        "name": [{"family": "Invented", "given": ["Anna"]}], "gender": "female",
        "extension": [{
            "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
            "extension": [
                {"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3"}},
                {"url": "text", "valueString": "White"}
            ]
        }]
    })
}

fn pressure() -> Value {
    let component = |code: &str, value: u32| {
        json!({
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "valueQuantity": {"value": value, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
        })
    };
    json!({
        "resourceType": "Observation", "meta": {"profile": [PRESSURE]}, "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
        "subject": {"reference": "Patient/1"}, "effectiveDateTime": "2026-11-23",
        "component": [component("8480-6", 107), component("8462-4", 60)]
    })
}

#[test]
fn every_embedded_profile_compiles() {
    let library = Library { definitions: Definitions::r4(), packages: &Packages::default() };
    let embedded = Packages::embedded();
    assert_eq!(embedded.entries.len(), 53);
    for url in embedded.profiles.keys() {
        let Some(Found::Profile(profile)) = library.find(url) else { panic!("{url} is not usable") };
        let unreadable = unreadable_rules(&profile.root);
        assert!(unreadable.is_empty(), "{url}: {unreadable:?}");
    }
}

fn unreadable_rules(rule: &crate::profile::rule::Rule) -> Vec<String> {
    let own = rule.constraints.iter().filter(|constraint| constraint.expression.is_none());
    let below = rule.children.iter().chain(rule.slices.iter().map(|slice| &slice.rule));
    own.map(|constraint| constraint.key.to_string()).chain(below.flat_map(unreadable_rules)).collect()
}

#[test]
fn what_meets_its_profile_is_valid() {
    for resource in [patient(), pressure()] {
        let outcome = validate(&resource);
        assert!(outcome.is_valid(), "{:?}", found(&outcome));
    }
}

#[test]
fn says_what_us_core_demands() {
    let mut lacking = patient();
    lacking.as_object_mut().unwrap().remove("identifier");
    lacking["name"] = json!([{"text": "Anna"}]);
    let outcome = validate(&lacking);
    assert_eq!(errors(&outcome), ["Patient.identifier", "Patient"], "{:?}", found(&outcome));
    assert_eq!(outcome.issues[0].message, "identifier is required by the profile 'US Core Patient Profile'.");
    assert_eq!(outcome.issues[0].error, ErrorCode::Missing);
    assert_eq!(outcome.issues[0].profile.as_deref(), Some(PATIENT));
    let rule = outcome.issues.iter().find(|issue| issue.profile_rule.is_some()).unwrap();
    assert_eq!(rule.profile_rule.as_deref(), Some("us-core-6"));
}

#[test]
fn looks_into_extensions_by_their_definition() {
    let mut wrong = patient();
    wrong["extension"][0]["extension"][1]["url"] = json!("words");
    let outcome = validate(&wrong);
    let expected = "error Patient.extension[0].extension: extension 'text' (url: 'text') is required by the profile \
                    'US Core Race Extension'.";
    assert!(found(&outcome).iter().any(|line| line == expected), "{:?}", found(&outcome));
}

#[test]
fn tells_components_apart() {
    let mut lacking = pressure();
    lacking["component"].as_array_mut().unwrap().pop();
    let outcome = validate(&lacking);
    let expected = "error Observation.component: component 'diastolic' (code: '8462-4' of http://loinc.org) is \
                    required by the profile 'US Core Blood Pressure Profile'.";
    assert!(found(&outcome).iter().any(|line| line == expected), "{:?}", found(&outcome));

    let mut unit = pressure();
    unit["component"][0]["valueQuantity"]["code"] = json!("kPa");
    // R4's own profile of blood pressure demands the same of it.
    let outcome = validate(&unit);
    let mut places = errors(&outcome);
    places.dedup();
    assert_eq!(places, ["Observation.component[0].value.code"]);
}

#[test]
fn what_needs_a_terminology_server_is_said() {
    let outcome = validate(&patient());
    let warning = outcome.issues.iter().find(|issue| issue.message.contains("terminology server")).unwrap();
    assert_eq!((warning.severity, warning.error), (Severity::Warning, ErrorCode::Terminology));
}

#[test]
fn an_unknown_claim_is_a_warning_and_an_unknown_demand_an_error() {
    let claim = json!({"resourceType": "Patient", "meta": {"profile": ["http://example.org/none"]}});
    let outcome = validate(&claim);
    assert_eq!(outcome.issues.len(), 1);
    let issue = &outcome.issues[0];
    assert_eq!((issue.severity, issue.error), (Severity::Warning, ErrorCode::UnknownProfile));
    assert_eq!(issue.expression, "Patient.meta.profile[0]");
    assert!(!issue.message.contains("example.org"), "repeats content of the resource");

    let demand = Demand { profiles: &["http://example.org/none"], now: None };
    let outcome = Validator::r4().validate_for(br#"{"resourceType":"Patient","active":true}"#, &demand);
    assert_eq!(outcome.worst_code(), Some(ErrorCode::UnknownProfile));
    assert!(!Validator::r4().has_profile("http://example.org/none") && Validator::r4().has_profile(PRESSURE));
    assert!(Validator::r4().has_profile(&format!("{PATIENT}|5.0.1")));
    assert!(!Validator::r4().has_profile(&format!("{PATIENT}|3.1.1")));
}

#[test]
fn a_demand_on_a_bundle_is_one_on_its_entries() {
    let demand = Demand { profiles: &[PATIENT], now: None };
    let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": [
        {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001", "resource": {"resourceType": "Patient", "active": true}},
        {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000002", "resource": {"resourceType": "Basic", "code": {"text": "x"}}}
    ]});
    let outcome = Validator::r4().validate_for(bundle.to_string().as_bytes(), &demand);
    let all = [".identifier", ".name", ".gender", ""].map(|name| format!("Bundle.entry[0].resource{name}"));
    assert_eq!(errors(&outcome), all.each_ref().map(String::as_str), "{:?}", found(&outcome));

    let other = Validator::r4().validate_for(br#"{"resourceType":"Basic","code":{"text":"x"}}"#, &demand);
    assert_eq!(other.worst_code(), Some(ErrorCode::Profile));
}
