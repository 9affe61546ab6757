//! What is said of resources that meet a profile and of those that do not.

mod bounds;
mod elements;
mod packages;
mod slices;
mod us_core;

use serde_json::{Value, json};

use crate::{Demand, Outcome, Severity, Validator};

/// URL of the profile that [`profile`] makes.
const URL: &str = "http://example.org/StructureDefinition/probe";

/// A validator with these definitions, read from a folder as a package is.
fn validator(definitions: &[Value]) -> Validator {
    let folder = tempfile::tempdir().unwrap();
    for (place, definition) in definitions.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{place}.json")), definition.to_string()).unwrap();
    }
    Validator::with_packages(&[folder.path()]).unwrap()
}

/// A profile of a type, with the elements of its snapshot after the first.
fn profile(type_name: &str, elements: &[Value]) -> Value {
    named(URL, type_name, elements)
}

fn named(url: &str, type_name: &str, elements: &[Value]) -> Value {
    let mut all = vec![json!({"id": type_name, "path": type_name, "min": 0, "max": "*"})];
    all.extend(elements.iter().cloned());
    json!({
        "resourceType": "StructureDefinition", "url": url, "name": "Probe", "title": "Probe", "status": "active",
        "version": "1.0.0", "fhirVersion": "4.0.1", "kind": "resource", "abstract": false, "type": type_name,
        "derivation": "constraint", "snapshot": {"element": all}
    })
}

fn against(validator: &Validator, resource: &Value) -> Outcome {
    validator.validate_for(resource.to_string().as_bytes(), &Demand { profiles: &[URL], now: None })
}

/// Severity, place and message of each finding.
fn found(outcome: &Outcome) -> Vec<String> {
    let one =
        |issue: &crate::Issue| format!("{} {}: {}", issue.severity.code(), issue.expression, issue.message);
    outcome.issues.iter().map(one).collect()
}

/// The places of the errors.
fn errors(outcome: &Outcome) -> Vec<&str> {
    let errors = outcome.issues.iter().filter(|issue| issue.severity >= Severity::Error);
    errors.map(|issue| issue.expression.as_str()).collect()
}
