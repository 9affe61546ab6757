//! However large or twisted a resource is, its profiles are checked within bounds.

use serde_json::{Value, json};

use super::{URL, against, errors, found, named, profile, validator};
use crate::ErrorCode;

#[test]
fn a_rule_that_never_ends_is_a_warning() {
    let mut definition = profile("Patient", &[]);
    definition["snapshot"]["element"][0]["constraint"] = json!([{
        "key": "p-1", "severity": "error", "human": "x",
        "expression": "descendants().where(%resource.descendants().where(%resource.descendants().count() = 1).exists()).empty()"
    }]);
    let validator = validator(&[definition]);
    let names: Vec<Value> = (0..500).map(|number| json!({"family": number.to_string()})).collect();
    let outcome = against(&validator, &json!({"resourceType": "Patient", "name": names}));
    assert!(outcome.is_valid(), "{:?}", found(&outcome));
    let warnings = outcome.issues.iter().filter(|issue| issue.error == ErrorCode::TooCostly);
    assert_eq!(warnings.count(), 1, "{:?}", found(&outcome));
}

#[test]
fn references_in_a_circle_and_in_a_long_row_end() {
    let link = json!({"id": "Patient.link", "path": "Patient.link", "min": 0, "max": "*"});
    let other = json!({"id": "Patient.link.other", "path": "Patient.link.other", "min": 1, "max": "1",
        "type": [{"code": "Reference", "targetProfile": [URL]}]});
    let validator = validator(&[named(URL, "Patient", &[link, other])]);
    let url = |number: usize| format!("urn:uuid:00000000-0000-4000-8000-{number:012}");
    let count = 3000;
    let entries: Vec<Value> = (0..count)
        .map(|number| {
            let next = url((number + 1) % count);
            json!({"fullUrl": url(number), "resource": {"resourceType": "Patient", "meta": {"profile": [URL]},
                "link": [{"type": "seealso", "other": {"reference": next}}]}})
        })
        .collect();
    let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": entries}).to_string();
    let outcome = validator.validate(bundle.as_bytes());
    assert!(outcome.is_valid(), "{:?}", found(&outcome).first());
}

#[test]
fn many_warnings_hide_no_error() {
    let elements = [
        json!({"id": "Patient.name", "path": "Patient.name", "min": 0, "max": "*"}),
        json!({"id": "Patient.name.use", "path": "Patient.name.use", "min": 1, "max": "1",
            "binding": {"strength": "required", "valueSet": "http://example.org/none"}}),
    ];
    let validator = validator(&[profile("Patient", &elements)]);
    let mut names = vec![json!({"use": "usual", "text": "x"}); 300];
    names.push(json!({"text": "x"}));
    let outcome = against(&validator, &json!({"resourceType": "Patient", "name": names}));
    assert_eq!(errors(&outcome), ["Patient.name[300].use"]);
}
