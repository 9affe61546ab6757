//! Whole texts: what a change to an example cannot show.

use super::*;

/// The class of the gravest finding of a text; None if it is valid.
fn worst(text: &str) -> Option<ErrorCode> {
    Validator::r4().validate(text.as_bytes()).worst_code()
}

const URL: &str = "urn:uuid:00000000-0000-4000-8000-00000000000";

fn bundle(kind: &str, entries: &str) -> String {
    format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entries}]}}"#)
}

fn document(entries: &str) -> String {
    format!(
        r#"{{"resourceType":"Bundle","type":"document","identifier":{{"system":"http://a.b","value":"x"}},
        "timestamp":"2024-05-01T10:00:00Z","entry":[{{"fullUrl":"{URL}1","resource":{{"resourceType":"Composition",
        "status":"final","type":{{"text":"x"}},"date":"2024","title":"x","author":[{{"display":"x"}}],
        "subject":{{"reference":"{URL}2"}}}}}}{entries}]}}"#
    )
}

const PATIENT: &str = r#""resource":{"resourceType":"Patient","id":"1","active":true}"#;

#[test]
fn bundles_by_their_type() {
    let found = |search: &str| {
        bundle("searchset", &format!(r#"{{"fullUrl":"http://a.b/Patient/1",{PATIENT}{search}}}"#))
    };
    let asked = |method: &str, url: &str, rest: &str| {
        bundle("transaction", &format!(r#"{{"request":{{"method":"{method}","url":"{url}"}}{rest}}}"#))
    };
    let patient = format!(",{PATIENT}");
    for (text, expected) in [
        (bundle("collection", &format!("{{{PATIENT}}}")), Some(E::Bundle)),
        (bundle("collection", &format!(r#"{{"fullUrl":"{URL}1",{PATIENT}}}"#)), None),
        (bundle("searchset", &format!("{{{PATIENT}}}")), Some(E::Bundle)),
        (
            bundle(
                "searchset",
                r#"{"resource":{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"processing"}]},"search":{"mode":"outcome"}}"#,
            ),
            None,
        ),
        (found(""), None),
        (found(r#","search":{"mode":"match"}"#), None),
        (found(r#","search":{"mode":"outcome"}"#), Some(E::Bundle)),
        (
            bundle("searchset", r#"{"fullUrl":"http://a.b/Patient/1","search":{"mode":"match"}}"#),
            Some(E::Bundle),
        ),
        (
            bundle(
                "collection",
                r#"{"fullUrl":"http://a.b/Patient/2","resource":{"resourceType":"Patient","id":"1","active":true}}"#,
            ),
            Some(E::Bundle),
        ),
        (
            bundle(
                "collection",
                r#"{"fullUrl":"http://a.b/Patient/2","resource":{"resourceType":"Patient","active":true}}"#,
            ),
            Some(E::Bundle),
        ),
        (asked("PUT", "Patient/1", &patient), None),
        (asked("PUT", "Patient?identifier=x", &patient), None),
        (asked("PUT", "Patient/1", ""), Some(E::Bundle)),
        (asked("PUT", "Patient", &patient), Some(E::Bundle)),
        (asked("POST", "Patient", &patient), None),
        (asked("POST", "Observation", &patient), Some(E::Bundle)),
        (asked("POST", "Patient/$match", &patient), None),
        (asked("DELETE", "Patient/1", ""), None),
        (asked("DELETE", "Patient", ""), Some(E::Bundle)),
        (asked("GET", "Patient?name=x", ""), None),
        (bundle("batch-response", r#"{"response":{"status":"201 Created"}}"#), None),
        (bundle("batch-response", r#"{"response":{"status":"Created"}}"#), Some(E::Bundle)),
        (bundle("batch-response", r#"{"response":{"status":"20"}}"#), Some(E::Bundle)),
        (
            bundle("searchset", "").replace(
                r#""entry":[]"#,
                r#""link":[{"relation":"self","url":"http://a.b"},{"relation":"next","url":"http://a.b"}]"#,
            ),
            None,
        ),
        (
            bundle("searchset", "").replace(
                r#""entry":[]"#,
                r#""link":[{"relation":"self","url":"http://a.b"},{"relation":"self","url":"http://a.b"}]"#,
            ),
            Some(E::Bundle),
        ),
        (
            bundle("collection", "")
                .replace(r#""entry":[]"#, r#""link":[{"relation":"next","url":"http://a.b"}]"#),
            Some(E::Bundle),
        ),
    ] {
        assert_eq!(worst(&text), expected, "{text}");
    }
}

#[test]
fn documents_hold_together() {
    let patient = format!(r#",{{"fullUrl":"{URL}2","resource":{{"resourceType":"Patient","active":true}}}}"#);
    let alone =
        format!(r#",{{"fullUrl":"{URL}3","resource":{{"resourceType":"Basic","code":{{"text":"x"}}}}}}"#);
    let about = alone.replace(r#""code""#, &format!(r#""subject":{{"reference":"{URL}2"}},"code""#));
    assert_eq!(worst(&document("")), Some(E::Unresolved));
    assert_eq!(worst(&document(&patient)), None);
    assert_eq!(worst(&document(&format!("{patient}{alone}"))), Some(E::Bundle));
    assert_eq!(worst(&document(&format!("{patient}{about}"))), None, "the way may lead backwards");
    let message = document(&format!("{patient}{alone}")).replace("\"document\"", "\"message\"");
    let outcome = Validator::r4().validate(message.replace("Composition", "MessageHeader").as_bytes());
    assert!(
        outcome
            .issues
            .iter()
            .any(|issue| issue.error == E::Bundle && issue.severity < wardstream_fhir::Severity::Error)
    );
}

#[test]
fn references_lead_to_entries_by_the_rules_of_full_urls() {
    let about = |reference: &str, entry: &str| {
        let patient = PATIENT.replace(r#""active""#, r#""meta":{"versionId":"2"},"active""#);
        document(&format!(",{{{entry},{patient}}}")).replace(&format!("{URL}2"), reference)
    };
    let server = r#""fullUrl":"http://a.b/fhir/Patient/1""#;
    assert_eq!(worst(&about("http://a.b/fhir/Patient/1", server)), None);
    assert_eq!(worst(&about("http://a.b/fhir/Patient/1/_history/2", server)), None);
    assert_eq!(worst(&about("http://a.b/fhir/Patient/1/_history/3", server)), Some(E::Unresolved));
    assert_eq!(worst(&about("Patient/1", server)), None);
    let urn = format!(r#""fullUrl":"{URL}9""#);
    assert_eq!(
        worst(&about("Patient/1", &urn)),
        Some(E::Unresolved),
        "a relative reference never means a urn:"
    );
}

#[test]
fn json() {
    for (text, expected) in [
        (r#"{"resourceType":"Patient"}"#, None),
        (r#"{"active":true,"resourceType":"Patient"}"#, None),
        (r#"[{"resourceType":"Patient"}]"#, Some(E::JsonType)),
        (r#""Patient""#, Some(E::JsonType)),
        ("{}", Some(E::ResourceType)),
        (r#"{"resourceType":"Patient","active":true,"active":true}"#, Some(E::DuplicateName)),
        (r#"{"resourceType":"Patient","resourceType":"Patient"}"#, Some(E::DuplicateName)),
        (r#"{"resourceType":"Patient","name":[{"family":"x","family":"y"}]}"#, Some(E::DuplicateName)),
        (r#"{"resourceType":"Patient","multipleBirthInteger":1e1}"#, Some(E::Format)),
        (r#"{"resourceType":"Patient","multipleBirthInteger":2147483648}"#, Some(E::Format)),
        (r#"{"resourceType":"Patient","birthDate":"2024-13-01"}"#, Some(E::Format)),
        (r#"{"resourceType":"Patient","birthDate":"0000"}"#, Some(E::Format)),
        (r#"{"resourceType":"Patient","deceasedDateTime":"2024-02-30T10:00:00Z"}"#, Some(E::Format)),
        (r#"{"resourceType":"Patient","deceasedDateTime":"2024-02-03T25:00:00Z"}"#, Some(E::Format)),
        (r#"{"resourceType":"Patient","name":[null]}"#, Some(E::JsonType)),
        (r#"{"resourceType":"Patient","name":[{"given":[null]}]}"#, Some(E::PrimitiveExtension)),
        (r#"{"resourceType":"Patient","name":[{"given":["a",""]}]}"#, Some(E::Empty)),
        (r#"{"resourceType":"Patient","extension":[]}"#, Some(E::Empty)),
        (r#"{"resourceType":"Patient","contained":[]}"#, Some(E::Empty)),
        (r#"{"resourceType":"Patient","text":{}}"#, Some(E::Empty)),
        (
            r#"{"resourceType":"Patient","name":[{"id":"a","text":"x"},{"id":"a","text":"y"}]}"#,
            Some(E::Format),
        ),
        (r#"{"resourceType":"Patient","name":[{"id":"a","text":"x"},{"id":"b","text":"y"}]}"#, None),
        (
            r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1e400}}"#,
            Some(E::Format),
        ),
        (r#"{"resourceType":"Observation","status":"Final","code":{"text":"x"}}"#, Some(E::RequiredBinding)),
        (r#"{"resourceType":"Observation","status":" final","code":{"text":"x"}}"#, Some(E::Format)),
        (r#"{"resourceType":"Observation","status":["final"],"code":{"text":"x"}}"#, Some(E::JsonType)),
        (r#"{"resourceType":"Observation","status":"final","code":"x"}"#, Some(E::JsonType)),
        (
            r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueBoolean":"true"}"#,
            Some(E::JsonType),
        ),
        (
            r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"value":true}"#,
            Some(E::UnknownElement),
        ),
        (
            r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueDecimal":1}"#,
            Some(E::UnknownElement),
        ),
    ] {
        assert_eq!(worst(text), expected, "{text}");
    }
}

#[test]
fn questionnaires() {
    let asked = |question: &str| {
        format!(
            r#"{{"resourceType":"Questionnaire","status":"draft","item":[{{"linkId":"1","type":"boolean"}},
            {{"linkId":"2","type":"string","enableWhen":[{{"question":"{question}","operator":"exists","answerBoolean":true}}]}}]}}"#
        )
    };
    assert_eq!(worst(&asked("1")), None);
    assert_eq!(worst(&asked("2")), Some(E::Unresolved));
    assert_eq!(worst(&asked("3")), Some(E::Unresolved));
    let within =
        asked("3").replace(r#""enableWhen""#, r#""item":[{"linkId":"3","type":"boolean"}],"enableWhen""#);
    assert_eq!(worst(&within.replace(r#""type":"string""#, r#""type":"group""#)), Some(E::Unresolved));
    let when = r#"{"question":"1","operator":"exists","answerBoolean":true}"#;
    let twice = asked("1").replace(when, &format!("{when},{when}"));
    assert_eq!(worst(&twice), Some(E::Invariant), "how the two conditions go together is not said");
    let both = twice.replace(r#""enableWhen""#, r#""enableBehavior":"any","enableWhen""#);
    assert_eq!(worst(&both), None);
}
