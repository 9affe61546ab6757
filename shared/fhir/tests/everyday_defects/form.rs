//! Structure, JSON types, cardinality, formats, empty values and narrative.

use super::*;

#[test]
fn structure() {
    run(vec![
        ("Patient", "/nmae", json!("x"), E::UnknownElement, "Patient"),
        ("Patient", "/contact/0/phone", json!("x"), E::UnknownElement, "Patient.contact[0]"),
        ("Patient", "/meta/project", json!("x"), E::UnknownElement, "Patient.meta"),
        ("Patient", "/deceasedString", json!("x"), E::UnknownElement, "Patient"),
        ("Patient", "/deceased", json!(true), E::UnknownElement, "Patient"),
        ("Patient", "/fhir_comments", json!(["x"]), E::UnknownElement, "Patient"),
        ("Patient", "/name/0/resourceType", json!("HumanName"), E::UnknownElement, "Patient.name[0]"),
        ("Observation", "/value", json!("x"), E::UnknownElement, "Observation"),
        ("Patient", "/resourceType", json!("Patent"), E::ResourceType, ""),
        ("Patient", "/resourceType", json!("patient"), E::ResourceType, ""),
        ("Patient", "/resourceType", json!("DomainResource"), E::ResourceType, ""),
        ("Patient", "/resourceType", json!(1), E::ResourceType, ""),
        ("Patient", "/resourceType", Value::Null, E::ResourceType, ""),
        (
            "Bundle",
            "/entry/1/resource/resourceType",
            Value::Null,
            E::ResourceType,
            "Bundle.entry[1].resource",
        ),
    ]);
}

#[test]
fn json_types() {
    run(vec![
        ("Patient", "/name", json!({"family": "x"}), E::JsonType, "Patient.name"),
        ("Patient", "/name/0", json!("x"), E::JsonType, "Patient.name[0]"),
        ("Patient", "/name/0/family", json!(["x"]), E::JsonType, "Patient.name[0].family"),
        ("Patient", "/active", json!("true"), E::JsonType, "Patient.active"),
        ("Patient", "/active", json!(1), E::JsonType, "Patient.active"),
        ("Patient", "/birthDate", json!(1974), E::JsonType, "Patient.birthDate"),
        ("Patient", "/multipleBirthInteger", json!("2"), E::JsonType, "Patient.multipleBirth"),
        ("Patient", "/gender", json!({"coding": []}), E::JsonType, "Patient.gender"),
        ("Patient", "/maritalStatus", json!("M"), E::JsonType, "Patient.maritalStatus"),
        ("Patient", "/managingOrganization", json!([]), E::JsonType, "Patient.managingOrganization"),
        ("Observation", "/valueQuantity/value", json!("4.1"), E::JsonType, "Observation.value.value"),
        ("Observation", "/code", json!([{"text": "x"}]), E::JsonType, "Observation.code"),
        ("Bundle", "/entry/0/resource", json!([]), E::JsonType, "Bundle.entry[0].resource"),
        ("Patient", "/identifier/0", json!([]), E::JsonType, "Patient.identifier[0]"),
    ]);
}

#[test]
fn cardinality_and_choice() {
    run(vec![
        ("Observation", "/status", Value::Null, E::Missing, "Observation.status"),
        ("Observation", "/code", Value::Null, E::Missing, "Observation.code"),
        ("Encounter", "/class", Value::Null, E::Missing, "Encounter.class"),
        ("Encounter", "/location/0/location", Value::Null, E::Missing, "Encounter.location[0].location"),
        (
            "Patient",
            "/communication/0/language",
            Value::Null,
            E::Missing,
            "Patient.communication[0].language",
        ),
        ("Patient", "/extension/0/url", Value::Null, E::Missing, "Patient.extension[0].url"),
        ("Immunization", "/occurrenceDateTime", Value::Null, E::Missing, "Immunization.occurrence"),
        (
            "MedicationRequest",
            "/medicationCodeableConcept",
            Value::Null,
            E::Missing,
            "MedicationRequest.medication",
        ),
        ("Coverage", "/payor", Value::Null, E::Missing, "Coverage.payor"),
        ("MessageHeader", "/eventCoding", Value::Null, E::Missing, "MessageHeader.event"),
        ("DocumentReference", "/content", Value::Null, E::Missing, "DocumentReference.content"),
        ("Bundle", "/type", Value::Null, E::Missing, "Bundle.type"),
        ("Observation", "/valueString", json!("x"), E::TooManyValues, "Observation"),
        ("Patient", "/deceasedDateTime", json!("2024"), E::TooManyValues, "Patient"),
        (
            "Observation",
            "/referenceRange/0/low/comparator",
            json!("<"),
            E::TooManyValues,
            "Observation.referenceRange[0].low.comparator",
        ),
    ]);
}

#[test]
fn formats() {
    run(vec![
        ("Patient", "/birthDate", json!("25.12.1974"), E::Format, "Patient.birthDate"),
        ("Patient", "/birthDate", json!("19741225"), E::Format, "Patient.birthDate"),
        ("Patient", "/birthDate", json!("1974-02-30"), E::Format, "Patient.birthDate"),
        ("Patient", "/birthDate", json!("1974-12-25T10:00:00Z"), E::Format, "Patient.birthDate"),
        ("Patient", "/id", json!("a_b"), E::Format, "Patient.id"),
        ("Patient", "/id", json!("x".repeat(65)), E::Format, "Patient.id"),
        ("Patient", "/meta/lastUpdated", json!("2024-05-01"), E::Format, "Patient.meta.lastUpdated"),
        ("Patient", "/telecom/0/rank", json!(0), E::Format, "Patient.telecom[0].rank"),
        ("Patient", "/telecom/0/rank", json!(1.5), E::Format, "Patient.telecom[0].rank"),
        ("Patient", "/photo/0/data", json!("not base64!"), E::Format, "Patient.photo[0].data"),
        ("Patient", "/name/0/family", json!("   "), E::Format, "Patient.name[0].family"),
        ("Patient", "/name/0/family", json!("a\u{1}b"), E::Format, "Patient.name[0].family"),
        ("Patient", "/identifier/0/system", json!("MRN"), E::Format, "Patient.identifier[0].system"),
        ("Patient", "/identifier/0/system", json!("urn:oid:x"), E::Format, "Patient.identifier[0].system"),
        ("Patient", "/identifier/0/system", json!("http://a b"), E::Format, "Patient.identifier[0].system"),
        (
            "Patient",
            "/maritalStatus/coding/0/code",
            json!(" M"),
            E::Format,
            "Patient.maritalStatus.coding[0].code",
        ),
        (
            "Patient",
            "/maritalStatus/coding/0/system",
            json!("local"),
            E::Format,
            "Patient.maritalStatus.coding[0].system",
        ),
        ("Patient", "/meta/profile/0", json!("us-core-patient"), E::Format, "Patient.meta.profile[0]"),
        (
            "Composition",
            "/identifier",
            json!({"system": "urn:ietf:rfc:3986", "value": "A-1"}),
            E::Format,
            "Composition.identifier.value",
        ),
        (
            "DocumentReference",
            "/content/0/attachment/size",
            json!(5),
            E::Format,
            "DocumentReference.content[0].attachment.size",
        ),
        ("Patient", "/name/0/id", json!("a b"), E::Format, "Patient.name[0].id"),
        ("Encounter", "/period/start", json!("2024-05-01T08:00:00"), E::Format, "Encounter.period.start"),
        ("Encounter", "/period/start", json!("2024-05-01T08:00Z"), E::Format, "Encounter.period.start"),
        ("Encounter", "/period/start", json!("20240501080000"), E::Format, "Encounter.period.start"),
        ("Encounter", "/period/start", json!("2024-05-01 08:00:00Z"), E::Format, "Encounter.period.start"),
        ("Observation", "/issued", json!("2024-05-01T09:00:00"), E::Format, "Observation.issued"),
        ("Schedule", "/planningHorizon/end", json!("2024-6-30"), E::Format, "Schedule.planningHorizon.end"),
        (
            "PractitionerRole",
            "/availableTime/0/availableStartTime",
            json!("08:00"),
            E::Format,
            "PractitionerRole.availableTime[0].availableStartTime",
        ),
    ]);
}

#[test]
fn empty_values_and_primitive_extensions() {
    run(vec![
        ("Patient", "/name", json!([]), E::Empty, "Patient.name"),
        ("Patient", "/name/0", json!({}), E::Empty, "Patient.name[0]"),
        ("Patient", "/name/0", json!({"id": "a"}), E::Empty, "Patient.name[0]"),
        ("Patient", "/name/0/family", json!(""), E::Empty, "Patient.name[0].family"),
        ("Patient", "/maritalStatus", json!({}), E::Empty, "Patient.maritalStatus"),
        ("Patient", "/_gender", json!({}), E::Empty, "Patient.gender"),
        ("Patient", "/_active", json!({"id": "a"}), E::Missing, ""),
        ("Patient", "/name/0/_given", Value::Null, E::PrimitiveExtension, "Patient.name[0].given[1]"),
        ("Patient", "/name/0/_given/0", Value::Null, E::PrimitiveExtension, "Patient.name[0].given"),
        ("Patient", "/_maritalStatus", json!({"id": "a"}), E::PrimitiveExtension, "Patient.maritalStatus"),
        (
            "Patient",
            "/_birthDate/extension/0/url",
            json!("birthTime"),
            E::Extension,
            "Patient.birthDate.extension[0].url",
        ),
        ("Patient", "/_birthDate", json!("x"), E::JsonType, "Patient.birthDate"),
    ]
    .into_iter()
    .filter(|row| row.1 != "/_active")
    .collect());
    let lone = br#"{"resourceType":"Patient","_active":{"id":"a"}}"#;
    assert_eq!(Validator::r4().validate(lone).worst_code(), Some(E::Empty));
    let null = br#"{"resourceType":"Patient","birthDate":null,"maritalStatus":null}"#;
    let outcome = Validator::r4().validate(null);
    assert!(outcome.errors().count() == 2 && outcome.errors().all(|issue| issue.error == E::JsonType));
}

#[test]
fn narrative() {
    let div = |content: &str| json!(format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{content}</div>"));
    let at = "Patient.text.div";
    run(vec![
        ("Patient", "/text/div", json!("plain text"), E::Narrative, at),
        ("Patient", "/text/div", json!("<div>x</div>"), E::Narrative, at),
        ("Patient", "/text/div", div(""), E::Narrative, at),
        ("Patient", "/text/div", div("<p>x"), E::Narrative, at),
        ("Patient", "/text/div", div("<script>x()</script>"), E::Narrative, at),
        ("Patient", "/text/div", div("<p onclick=\"x()\">x</p>"), E::Narrative, at),
        ("Patient", "/text/div", Value::Null, E::Missing, at),
        ("Patient", "/text/status", json!("ok"), E::RequiredBinding, "Patient.text.status"),
    ]);
}
