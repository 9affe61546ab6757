use proptest::prelude::*;
use serde_json::json;

use super::*;

fn result(value: Value, status: &str) -> Value {
    json!({"resource": {"resourceType": "Observation", "status": status,
        "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3", "display": "Potassium"}]},
        "valueQuantity": {"value": value, "unit": "mmol/L"},
        "referenceRange": [{"text": "3.5-5.1"}], "effectiveDateTime": "2024-05-02T08:00:00Z"}})
}

#[test]
fn a_laboratory_bundle_becomes_results_and_lines() {
    let value: Value = serde_json::from_str("7.10").unwrap_or_default();
    let bundle = json!({"resourceType": "Bundle", "entry": [
        {"resource": {"resourceType": "MessageHeader", "eventCoding": {"code": "R01"}}},
        {"resource": {"resourceType": "Patient", "birthDate": "1950", "gender": "female"}},
        result(value, "final"), result(json!(9.9), "entered-in-error"),
    ]});
    let document = Document::from_bundle(&bundle);
    assert_eq!(document.narrative, "Potassium 7.10 mmol/L (3.5-5.1), critical high");
    assert_eq!((document.prose, document.result_lines.len(), document.observations.len()), (0, 1, 1));
    assert_eq!(document.age_days.map(|days| days / 365), Some(74));
    assert_eq!(document.codes.event.as_deref(), Some("R01"));
}

#[test]
fn attachments_and_report_lines_become_narrative() {
    let bundle = json!({"entry": [
        {"resource": {"resourceType": "DocumentReference", "status": "current",
            "type": {"coding": [{"system": "http://loinc.org", "code": "18842-5"}]},
            "content": [{"attachment": {"contentType": "text/plain", "data": "V2VsbCB0b2RheS4="}}]}},
        {"resource": {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "Chest x-ray"},
            "conclusion": "No acute disease"}},
        {"resource": {"resourceType": "ServiceRequest", "priority": "stat", "reasonCode": [{"text": "Chest pain"}]}},
    ]});
    let document = Document::from_bundle(&bundle);
    assert_eq!(document.narrative, "Well today.\nConclusion: No acute disease\nReason: Chest pain");
    assert_eq!(document.codes.priority.as_deref(), Some("stat"));
    assert!(document.codes.is_request);
}

#[test]
fn numbers_sent_as_strings_are_numbers() {
    let bundle = json!({"entry": [{"resource": {"resourceType": "Observation", "status": "final",
        "code": {"coding": [{"code": "TROP", "display": "Troponin I"}]}, "valueString": "<0.01"}}]});
    let document = Document::from_bundle(&bundle);
    let fact = document.observations.first();
    assert_eq!(fact.and_then(|f| f.value.as_deref()), Some("0.01"));
    assert_eq!(fact.and_then(|f| f.comparator.as_deref()), Some("<"));
}

#[test]
fn huge_text_is_cut_at_a_character() {
    let document = Document::from_text(&"é".repeat(MAX_NARRATIVE));
    assert!(document.truncated && document.narrative.len() <= MAX_NARRATIVE);
}

fn arbitrary() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop_oneof!["\\PC{0,12}", "Observation|Patient|Encounter|final|2024-13-45|2024|9999-12-31"]
            .prop_map(Value::from),
    ];
    let key = "resource|entry|resourceType|code|coding|valueQuantity|value|referenceRange|text|class|content|attachment|data|birthDate|component|valueString";
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_json_is_read_without_panic(value in arbitrary()) {
        let document = Document::from_bundle(&value);
        for (span, _) in &document.result_lines {
            prop_assert!(document.narrative.get(span.clone()).is_some());
        }
        prop_assert!(document.prose <= document.narrative.len());
    }
}
