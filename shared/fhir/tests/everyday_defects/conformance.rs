//! Vital signs.

use super::*;

fn worst(resource: &Value) -> Option<ErrorCode> {
    Validator::r4().validate(resource.to_string().as_bytes()).worst_code()
}

#[test]
fn an_observation_that_says_it_is_a_vital_sign_meets_its_profile() {
    let category = "http://terminology.hl7.org/CodeSystem/observation-category";
    let pulse = json!({
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": category, "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2024-05-01T10:30:00Z",
        "valueQuantity": {"value": 72, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    });
    assert_eq!(worst(&pulse), None);
    let mut with_flow = pulse.clone();
    with_flow["component"] = json!([{
        "code": {"coding": [{"system": "http://loinc.org", "code": "3151-8"}]},
        "valueQuantity": {"value": 6, "unit": "L/min", "system": "http://unitsofmeasure.org", "code": "L/min"},
    }]);
    assert_eq!(worst(&with_flow), None);
    for (pointer, to) in [
        ("/subject", Value::Null),
        ("/effectiveDateTime", Value::Null),
        ("/valueQuantity/code", json!("/s")),
        ("/valueQuantity", Value::Null),
        ("/component", json!([{"code": {"text": "x"}}])),
    ] {
        let mut wrong = pulse.clone();
        change(&mut wrong, pointer, &to);
        let outcome = Validator::r4().validate(wrong.to_string().as_bytes());
        assert!(!outcome.is_valid(), "{pointer}");
        let profile = "http://hl7.org/fhir/StructureDefinition/heartrate";
        assert!(outcome.errors().all(|issue| issue.profile.as_deref() == Some(profile)), "{pointer}");
        // The same from a laboratory, which does not say that it is one.
        change(&mut wrong, "/category", &Value::Null);
        assert_eq!(worst(&wrong), None, "{pointer}");
    }
}
