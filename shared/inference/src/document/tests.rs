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
fn a_result_knows_its_specimen_and_the_report_it_stands_in() {
    let local = |id: &str| {
        json!({"resourceType": "Observation", "id": id, "status": "final",
        "code": {"text": "pH"}, "valueQuantity": {"value": 7.0}})
    };
    let report = |name: &str, id: &str| {
        json!({"resource": {"resourceType": "DiagnosticReport", "status": "final",
        "code": {"text": name}, "result": [{"reference": format!("Observation/{id}")}]}})
    };
    let of_specimen = json!({"resourceType": "Observation", "id": "k", "status": "final", "code": {"text": "Potassium"},
        "specimen": {"reference": "urn:uuid:s"}, "valueQuantity": {"value": 70, "unit": "mmol/L"}});
    let bundle = json!({"entry": [
        report("URINALYSIS", "a"), report("Blood gas", "b"),
        {"resource": local("a")}, {"resource": local("b")}, {"resource": of_specimen},
        {"fullUrl": "urn:uuid:s", "resource": {"resourceType": "Specimen", "type": {"text": "Urine, random"}}},
    ]});
    let document = Document::from_bundle(&bundle);
    let specimens: Vec<&str> = document.observations.iter().filter_map(|f| f.specimen.as_deref()).collect();
    assert_eq!(specimens, ["URINALYSIS", "Blood gas", "Urine, random"]);
    let ranks: Vec<u8> = document.result_lines.iter().map(|(_, rank)| *rank).collect();
    assert_eq!(ranks, [0, 2, 2], "only the blood's is critical: {}", document.narrative);
}

#[test]
fn pregnancy_is_read_from_results_and_conditions() {
    let asked = |answer: Value| {
        json!({"entry": [{"resource": {"resourceType": "Observation", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "82810-3"}]}, "valueCodeableConcept": answer}}]})
    };
    let condition = |code: &str| {
        json!({"entry": [{"resource": {"resourceType": "Condition",
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]}}}]})
    };
    for (bundle, expected) in [
        (asked(json!({"coding": [{"code": "LA15173-0"}]})), true),
        (asked(json!({"coding": [{"code": "LA26683-5"}]})), false),
        (condition("O14.12"), true),
        (condition("Z34.90"), true),
        (condition("O80"), false),
        (condition("I21.9"), false),
    ] {
        assert_eq!(Document::from_bundle(&bundle).pregnant, expected, "{bundle}");
    }
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

fn entries(resources: impl IntoIterator<Item = Value>) -> Document {
    let entries: Vec<Value> = resources.into_iter().map(|resource| json!({"resource": resource})).collect();
    Document::from_bundle(&json!({"entry": entries}))
}

#[test]
fn growth_is_judged_however_long_its_line() {
    for text in [
        "Methicillin-resistant Staphylococcus aureus",
        "Gram stain of the aerobic bottle\nGram-negative rods",
    ] {
        let document = entries([json!({"resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "600-7", "display": "Blood culture"}]},
            "valueString": text})]);
        let first = document.result_lines.first();
        assert_eq!(first.map(|(_, rank)| *rank), Some(0), "{text}");
        assert!(document.prose().contains(text.lines().last().unwrap_or("")));
    }
}

#[test]
fn a_critical_flag_without_a_value_counts() {
    let flagged = |value: Value| {
        let mut observation = json!({"resourceType": "Observation", "status": "final", "code": {"text": "Odd assay"},
            "interpretation": [{"coding": [{"code": "AA"}]}]});
        if let (Some(fields), Value::Object(value)) = (observation.as_object_mut(), value) {
            fields.extend(value);
        }
        entries([observation])
    };
    assert_eq!(flagged(json!({})).narrative, "Odd assay, critical");
    let titre = flagged(json!({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128}}}));
    assert_eq!(titre.narrative, "Odd assay: 1:128, critical");
    let range = flagged(json!({"valueRange": {"low": {"value": 5}, "high": {"value": 10}}}));
    assert_eq!(range.narrative, "Odd assay: 5-10, critical");
}

#[test]
fn what_was_withdrawn_is_not_read() {
    let document = entries([
        json!({"resourceType": "ServiceRequest", "status": "revoked", "priority": "stat"}),
        json!({"resourceType": "Condition", "code": {"text": "Sepsis"},
            "verificationStatus": {"coding": [{"code": "refuted"}]}}),
        json!({"resourceType": "Composition", "status": "entered-in-error",
            "section": [{"text": {"div": "<div>Shock</div>"}}]}),
    ]);
    assert_eq!(document, Document::default());
}

#[test]
fn sections_within_sections_are_read() {
    let document = entries([json!({"resourceType": "Composition", "status": "final", "section": [
        {"title": "Course", "section": [{"title": "Day 2", "text": {"div": "<div>Fever &lt; 38</div>"}}]}]})]);
    assert_eq!(document.narrative, "Day 2: Fever < 38");
}

#[test]
fn results_that_find_no_room_are_said_to_be_left_out() {
    let component = json!({"code": {"text": "Sodium"}, "valueInteger": 140});
    let panel = json!({"resourceType": "Observation", "status": "final", "code": {"text": "Panel"},
        "component": vec![component; MAX_OBSERVATIONS + 1]});
    let document = entries([panel]);
    assert!(document.truncated && document.observations.len() == MAX_OBSERVATIONS);
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
