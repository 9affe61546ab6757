//! Vital signs, conformance resources and the links of narratives.

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

#[test]
fn search_parameters_are_as_r4_defines_them() {
    let statement = |kind: &str, definition: &str| {
        json!({
            "resourceType": "CapabilityStatement", "status": "draft", "date": "2024", "kind": "requirements", "description": "x",
            "fhirVersion": "4.0.1", "format": ["json"],
            "rest": [{"mode": "server", "resource": [{
                "type": "Patient",
                "searchParam": [{"name": "birthdate", "type": kind, "definition": definition}],
            }]}],
        })
    };
    let birth_date = "http://hl7.org/fhir/SearchParameter/individual-birthdate";
    assert_eq!(worst(&statement("date", birth_date)), None);
    assert_eq!(worst(&statement("token", birth_date)), Some(E::Invariant));
    assert_eq!(worst(&statement("token", &format!("{birth_date}|4.0.1"))), Some(E::Invariant));
    assert_eq!(worst(&statement("token", "http://example.org/SearchParameter/birthdate")), None);

    let derived = |kind: &str, base: &str| {
        json!({
            "resourceType": "SearchParameter", "url": "http://example.org/SearchParameter/x", "name": "X",
            "status": "draft", "description": "x", "code": "birthdate", "base": [base], "type": kind,
            "expression": "birthDate", "derivedFrom": birth_date,
        })
    };
    assert_eq!(worst(&derived("date", "Person")), None);
    assert_eq!(worst(&derived("string", "Person")), Some(E::Invariant));
    assert_eq!(worst(&derived("date", "Practitioner")), Some(E::Invariant));
}

#[test]
fn the_expression_of_a_search_parameter_is_fhirpath() {
    let search = |expression: &str| {
        json!({
            "resourceType": "SearchParameter", "url": "http://example.org/SearchParameter/x", "name": "X",
            "status": "draft", "description": "x", "code": "x", "base": ["Patient"], "type": "string",
            "expression": expression,
        })
    };
    assert_eq!(
        worst(&search("Patient.name.where(use = 'official').family | Patient.contact.name.family")),
        None
    );
    assert_eq!(worst(&search("Patient.name.")), Some(E::Invariant));
    let mut composite = search("Patient.name");
    composite["type"] = json!("composite");
    assert_eq!(worst(&composite), Some(E::Invariant), "it has no components");
    let part = json!({"definition": "http://example.org/SearchParameter/y", "expression": "given"});
    composite["component"] = json!([part, part]);
    assert_eq!(worst(&composite), None);
    assert_eq!(worst(&search("Patient.name.where(use = 'official'")), Some(E::Invariant));
}

#[test]
fn definitions_of_extensions_have_one_url() {
    let definition = |fixed: &str, root: Value| {
        let mut elements = json!([
            {"id": "Extension", "path": "Extension"},
            {"id": "Extension.url", "path": "Extension.url", "fixedUri": fixed},
        ]);
        elements[0].as_object_mut().unwrap().extend(root.as_object().unwrap().clone());
        json!({
            "resourceType": "StructureDefinition", "url": "http://example.org/StructureDefinition/x", "name": "X",
            "status": "draft", "kind": "complex-type", "abstract": false, "type": "Extension", "derivation": "constraint",
            "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Extension",
            "context": [{"type": "element", "expression": "Patient"}],
            "differential": {"element": elements},
        })
    };
    assert_eq!(worst(&definition("http://example.org/StructureDefinition/x", json!({}))), None);
    assert_eq!(worst(&definition("http://example.org/StructureDefinition/y", json!({}))), Some(E::Invariant));
    let slicing = json!({"slicing": {"discriminator": [{"type": "value", "path": "url"}], "rules": "open"}});
    assert_eq!(worst(&definition("http://example.org/StructureDefinition/x", slicing)), Some(E::Invariant));
}

#[test]
fn code_systems_list_what_they_say() {
    let system = |content: &str, more: Value| {
        let mut system = json!({"resourceType": "CodeSystem", "status": "draft", "content": content});
        system.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        system
    };
    let concept = json!({"concept": [{"code": "a"}]});
    assert_eq!(worst(&system("complete", concept.clone())), None);
    assert_eq!(worst(&system("not-present", concept)), Some(E::Invariant));
    let property = |code: &str| json!({"code": code, "type": "string"});
    assert_eq!(worst(&system("complete", json!({"property": [property("a"), property("b")]}))), None);
    assert_eq!(
        worst(&system("complete", json!({"property": [property("a"), property("a")]}))),
        Some(E::Invariant)
    );
}

#[test]
fn value_sets_name_code_systems_by_an_absolute_uri() {
    let set = |system: &str| json!({"resourceType": "ValueSet", "status": "draft", "compose": {"include": [{"system": system}]}});
    assert_eq!(worst(&set("http://loinc.org")), None);
    assert_eq!(worst(&set("loinc")), Some(E::Format));
    assert_eq!(worst(&set("#local")), None);
}

#[test]
fn a_narrative_may_refer_to_a_contained_image() {
    let resource = |attribute: &str| {
        json!({
            "resourceType": "Basic", "code": {"text": "x"},
            "contained": [{"resourceType": "Binary", "id": "scan", "contentType": "image/png", "data": "AAAA"}],
            "text": {
                "status": "generated",
                "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><img alt=\"a\" {attribute}/></div>"),
            },
        })
    };
    assert_eq!(worst(&resource("src=\"#scan\"")), None);
    assert_eq!(worst(&resource("src = '#scan'")), None);
    assert_eq!(worst(&resource("src=\"#other\"")), Some(E::Contained));
    assert_eq!(worst(&resource("src=\"scan\"")), Some(E::Contained));
}
