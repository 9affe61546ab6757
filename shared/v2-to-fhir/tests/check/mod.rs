//! What is true of every bundle.

use std::collections::HashSet;

use serde_json::Value;

/// Broken, dangling or duplicate references, ids and entries; empty elements; a header that is not first.
pub(crate) fn defects(bundle: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    if entries.first().map(|e| e["resource"]["resourceType"].clone()) != Some(Value::from("MessageHeader")) {
        out.push("MessageHeader is not first".into());
    }
    let mut urls = HashSet::new();
    for entry in &entries {
        let url = entry["fullUrl"].as_str().unwrap_or_default();
        if !urls.insert(url) {
            out.push(format!("{url} twice"));
        }
        if url != format!("urn:uuid:{}", entry["resource"]["id"].as_str().unwrap_or_default()) {
            out.push(format!("{url} is not the id of its resource"));
        }
        if entry["resource"].as_object().is_none_or(|r| r.len() < 3) {
            out.push(format!("{url} is an empty shell"));
        }
    }
    for entry in &entries {
        walk(
            &entry["resource"],
            entry["resource"]["resourceType"].as_str().unwrap_or_default(),
            &urls,
            &mut out,
        );
    }
    out
}

fn walk(value: &Value, path: &str, urls: &HashSet<&str>, out: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if object.is_empty() {
                out.push(format!("{path} is empty"));
            }
            for (name, value) in object {
                if name == "reference" && !value.as_str().is_some_and(|url| urls.contains(url)) {
                    out.push(format!("{path}.reference does not resolve"));
                }
                walk(value, &format!("{path}.{name}"), urls, out);
            }
        }
        Value::Array(list) => {
            if list.is_empty() {
                out.push(format!("{path} is empty"));
            }
            for (n, value) in list.iter().enumerate() {
                if list.iter().skip(n + 1).any(|other| other == value) {
                    out.push(format!("{path}[{n}] twice"));
                }
                walk(value, &format!("{path}[{n}]"), urls, out);
            }
        }
        Value::String(text) if text.trim().is_empty() => out.push(format!("{path} is blank")),
        Value::Null => out.push(format!("{path} is null")),
        _ => {}
    }
}

/// Errors of the FHIR R4 validator.
pub(crate) fn invalid(bundle: &Value) -> Vec<String> {
    let outcome = fhir::Validator::r4().validate(bundle.to_string().as_bytes());
    if outcome.is_valid() {
        return Vec::new();
    }
    let wrong =
        |issue: &&fhir::Issue| matches!(issue.severity, fhir::Severity::Error | fhir::Severity::Fatal);
    outcome
        .issues
        .iter()
        .filter(wrong)
        .map(|issue| format!("{}: {}", issue.expression, issue.message))
        .collect()
}
