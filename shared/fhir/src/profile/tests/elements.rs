//! Demands on single elements.

use serde_json::{Value, json};

use super::{URL, against, errors, found, named, profile, validator};
use crate::{ErrorCode, Severity};

/// Checks resources against a profile of Patient with these elements: the places of the errors.
fn patients(elements: &[Value], cases: &[(Value, &[&str])]) {
    resources("Patient", elements, cases);
}

fn resources(type_name: &str, elements: &[Value], cases: &[(Value, &[&str])]) {
    let validator = validator(&[profile(type_name, elements)]);
    for (members, expected) in cases {
        let mut resource = members.clone();
        resource["resourceType"] = json!(type_name);
        let outcome = against(&validator, &resource);
        assert_eq!(errors(&outcome), *expected, "{resource} {:?}", found(&outcome));
    }
}

#[test]
fn counts_values() {
    let elements = [
        json!({"id": "Patient.name", "path": "Patient.name", "min": 1, "max": "2", "type": [{"code": "HumanName"}]}),
        json!({"id": "Patient.name.given", "path": "Patient.name.given", "min": 2, "max": "*", "type": [{"code": "string"}]}),
        json!({"id": "Patient.photo", "path": "Patient.photo", "min": 0, "max": "0", "type": [{"code": "Attachment"}]}),
        json!({"id": "Patient.deceased[x]", "path": "Patient.deceased[x]", "min": 1, "max": "1", "type": [{"code": "boolean"}]}),
    ];
    let name = json!({"given": ["a", "b"]});
    patients(
        &elements,
        &[
            (json!({"name": [name], "deceasedBoolean": false}), &[]),
            (json!({"active": true}), &["Patient.name", "Patient.deceased"]),
            (json!({"name": [name, name, name], "deceasedBoolean": false}), &["Patient.name"]),
            (json!({"name": [{"given": ["a"]}], "deceasedBoolean": false}), &["Patient.name[0].given"]),
            (json!({"name": [name], "deceasedDateTime": "2026"}), &["Patient.deceased"]),
            (json!({"name": [name], "photo": [{"title": "x"}], "deceasedBoolean": true}), &["Patient.photo"]),
            // A value that is only stated to be absent is present.
            (
                json!({"name": [{"_given": [{"extension": [{"url": "http://a.b/c", "valueCode": "unknown"}]}, {"extension": [
                    {"url": "http://a.b/c", "valueCode": "unknown"}]}]}], "deceasedBoolean": true}),
                &[],
            ),
        ],
    );
}

#[test]
fn compares_fixed_values_and_patterns() {
    let elements = [
        json!({"id": "Patient.active", "path": "Patient.active", "min": 0, "max": "1", "fixedBoolean": true}),
        json!({"id": "Patient.maritalStatus", "path": "Patient.maritalStatus", "min": 0, "max": "1",
            "patternCodeableConcept": {"coding": [{"system": "http://a.b/s", "code": "M"}]}}),
        json!({"id": "Patient.name", "path": "Patient.name", "min": 0, "max": "*"}),
        json!({"id": "Patient.name.family", "path": "Patient.name.family", "min": 0, "max": "1", "maxLength": 3}),
    ];
    let coding = |code: &str| json!({"coding": [{"system": "http://a.b/s", "code": code, "display": "x"}], "text": "x"});
    patients(
        &elements,
        &[
            (json!({"active": true, "maritalStatus": coding("M"), "name": [{"family": "abc"}]}), &[]),
            (json!({"active": false}), &["Patient.active"]),
            (json!({"maritalStatus": coding("S")}), &["Patient.maritalStatus"]),
            (json!({"name": [{"family": "abcd"}]}), &["Patient.name[0].family"]),
        ],
    );
}

#[test]
fn tightens_bindings() {
    let elements = [
        json!({"id": "Patient.gender", "path": "Patient.gender", "min": 0, "max": "1",
            "binding": {"strength": "required", "valueSet": "http://example.org/vs|2"}}),
        json!({"id": "Patient.maritalStatus", "path": "Patient.maritalStatus", "min": 0, "max": "1",
            "binding": {"strength": "required", "valueSet": "http://example.org/none"}}),
        json!({"id": "Patient.language", "path": "Patient.language", "min": 0, "max": "1",
            "binding": {"strength": "extensible", "valueSet": "http://hl7.org/fhir/ValueSet/observation-category"}}),
    ];
    let set = json!({"resourceType": "ValueSet", "url": "http://example.org/vs", "compose": {"include": [
        {"system": "http://hl7.org/fhir/administrative-gender", "concept": [{"code": "male"}, {"code": "female"}]}]}});
    let validator = validator(&[profile("Patient", &elements), set]);
    let outcome = against(
        &validator,
        &json!({"resourceType": "Patient", "gender": "other", "language": "en",
        "maritalStatus": {"coding": [{"system": "http://a.b/s", "code": "M"}]}}),
    );
    let text = found(&outcome);
    assert_eq!(errors(&outcome), ["Patient.gender"], "{text:?}");
    assert!(text[0].ends_with("expected is one of: female, male."), "{text:?}");
    assert!(
        text.iter().any(|line| line.starts_with("warning Patient.language: The code in language is none of")),
        "{text:?}"
    );
    let unchecked = |line: &&String| {
        line.contains("warning Patient.maritalStatus: The code in maritalStatus was not checked")
    };
    assert_eq!(text.iter().filter(unchecked).count(), 1, "{text:?}");
}

#[test]
fn follows_references_to_their_profiles() {
    let other = "http://example.org/StructureDefinition/organization";
    let link = json!({"id": "Patient.managingOrganization", "path": "Patient.managingOrganization", "min": 0, "max": "1",
        "type": [{"code": "Reference", "targetProfile": [other]}]});
    let general = json!({"id": "Patient.generalPractitioner", "path": "Patient.generalPractitioner", "min": 0, "max": "*",
        "type": [{"code": "Reference", "targetProfile": ["http://hl7.org/fhir/StructureDefinition/Practitioner"]}]});
    let target = named(
        other,
        "Organization",
        &[json!({"id": "Organization.name", "path": "Organization.name", "min": 1, "max": "1"})],
    );
    let validator = validator(&[profile("Patient", &[general, link]), target]);
    let patient = |organization: Value| json!({"resourceType": "Patient", "contained": [organization], "managingOrganization": {"reference": "#o"}});
    let good = patient(json!({"resourceType": "Organization", "id": "o", "name": "x"}));
    assert_eq!(errors(&against(&validator, &good)), Vec::<&str>::new());
    let bad = patient(json!({"resourceType": "Organization", "id": "o", "identifier": [{"value": "1"}]}));
    let outcome = against(&validator, &bad);
    assert_eq!(errors(&outcome), ["Patient.managingOrganization"]);
    assert_eq!(outcome.worst_code(), Some(ErrorCode::Reference));
    let kind = json!({"resourceType": "Patient", "generalPractitioner": [
        {"reference": "Practitioner/1"}, {"reference": "Organization/1"}, {"identifier": {"value": "x"}}]});
    assert_eq!(errors(&against(&validator, &kind)), ["Patient.generalPractitioner[1]"]);
}

#[test]
fn evaluates_rules() {
    let rule = |key: &str, severity: &str, expression: &str| json!({"key": key, "severity": severity, "human": format!("Rule {key}."), "expression": expression});
    let mut definition = profile("Patient", &[]);
    definition["snapshot"]["element"][0]["constraint"] = json!([
        rule("p-1", "error", "name.exists() implies name.all(family.exists())"),
        rule("p-2", "warning", "telecom.exists()"),
        rule("p-3", "error", "birthDate <= today()"),
        rule("p-4", "error", "gender.memberOf('http://example.org/none')"),
        rule("p-5", "error", "name.sort().exists()"),
    ]);
    let validator = validator(&[definition]);
    let resource = json!({"resourceType": "Patient", "name": [{"text": "x"}], "gender": "other", "birthDate": "2030-01-01"});
    let outcome = against(&validator, &resource);
    let lines = found(&outcome);
    assert_eq!(
        lines,
        [
            "error Patient: Rule p-1 (rule p-1).",
            "warning Patient: Rule p-2 (rule p-2).",
            "warning Patient: The rule p-3 of the profile 'Probe' was not checked: it depends on the current time.",
            "warning Patient: The rule p-4 of the profile 'Probe' was not checked: it needs a terminology server.",
            "warning Patient: The rule p-5 of the profile 'Probe' was not checked: its expression cannot be evaluated here.",
        ]
    );
    assert_eq!(outcome.issues[0].profile.as_deref(), Some(URL));
    let demand = crate::Demand { profiles: &[URL], now: Some("2026-11-23T04:39:49Z") };
    let outcome = validator.validate_for(resource.to_string().as_bytes(), &demand);
    let broken: Vec<_> = outcome.issues.iter().filter(|issue| issue.severity == Severity::Error).collect();
    assert_eq!(
        broken.iter().filter_map(|issue| issue.profile_rule.as_deref()).collect::<Vec<_>>(),
        ["p-1", "p-3"]
    );
}
