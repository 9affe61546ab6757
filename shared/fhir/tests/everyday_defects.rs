//! The defects that feeds make every day: each row changes one thing in a valid example and says what must be found.

#![expect(clippy::unwrap_used, reason = "a broken row should stop the test")]

#[path = "examples/mod.rs"]
mod examples;

use serde_json::{Value, json};
use wardstream_fhir::{ErrorCode, ErrorCode as E, Validator};

/// Example, JSON Pointer, new value (null removes the member), class and place of the first error.
type Row = (&'static str, &'static str, Value, ErrorCode, &'static str);

fn example(name: &str) -> Value {
    let text = examples::ALL.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    serde_json::from_str(text.unwrap()).unwrap()
}

/// Sets or removes what a pointer names; the last segment may be new.
fn change(resource: &mut Value, pointer: &str, to: &Value) {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let parent = resource.pointer_mut(parent).unwrap();
    match parent {
        Value::Object(members) if to.is_null() => assert!(members.shift_remove(last).is_some(), "{pointer}"),
        Value::Object(members) => {
            members.insert(last.to_owned(), to.clone());
        }
        Value::Array(items) if last == "-" => items.push(to.clone()),
        Value::Array(items) if to.is_null() => {
            items.remove(last.parse::<usize>().unwrap());
        }
        Value::Array(items) => items[last.parse::<usize>().unwrap()] = to.clone(),
        _ => panic!("{pointer}"),
    }
}

fn run(rows: Vec<Row>) {
    let mut wrong = Vec::new();
    for (name, pointer, to, code, place) in rows {
        let mut resource = example(name);
        change(&mut resource, pointer, &to);
        let outcome = Validator::r4().validate(resource.to_string().as_bytes());
        let met = outcome.errors().any(|issue| issue.error == code && issue.expression == place);
        if !met || outcome.worst_code().is_none() {
            let found: Vec<String> = outcome.issues.iter().map(ToString::to_string).collect();
            wrong.push(format!("{name} {pointer}: {code} at {place} expected, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

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
fn bindings() {
    run(vec![
        ("Patient", "/gender", json!("F"), E::RequiredBinding, "Patient.gender"),
        ("Patient", "/gender", json!("Female"), E::RequiredBinding, "Patient.gender"),
        ("Patient", "/language", json!("english language"), E::RequiredBinding, "Patient.language"),
        ("Patient", "/telecom/0/system", json!("mobile"), E::RequiredBinding, "Patient.telecom[0].system"),
        ("Patient", "/name/0/use", json!("legal"), E::RequiredBinding, "Patient.name[0].use"),
        ("Patient", "/photo/0/contentType", json!("gif"), E::RequiredBinding, "Patient.photo[0].contentType"),
        (
            "Patient",
            "/communication/0/language/coding/0/code",
            json!("Swiss German"),
            E::RequiredBinding,
            "Patient.communication[0].language",
        ),
        ("Observation", "/status", json!("F"), E::RequiredBinding, "Observation.status"),
        (
            "Observation",
            "/valueQuantity/comparator",
            json!("="),
            E::RequiredBinding,
            "Observation.value.comparator",
        ),
        ("Encounter", "/status", json!("discharged"), E::RequiredBinding, "Encounter.status"),
        (
            "Condition",
            "/clinicalStatus/coding/0/code",
            json!("current"),
            E::RequiredBinding,
            "Condition.clinicalStatus",
        ),
        (
            "Condition",
            "/clinicalStatus",
            json!({"text": "resolved"}),
            E::RequiredBinding,
            "Condition.clinicalStatus",
        ),
        (
            "AllergyIntolerance",
            "/category/0",
            json!("pollen"),
            E::RequiredBinding,
            "AllergyIntolerance.category[0]",
        ),
        (
            "Coverage",
            "/costToBeneficiary/0/valueMoney/currency",
            json!("Dollar"),
            E::RequiredBinding,
            "Coverage.costToBeneficiary[0].value.currency",
        ),
        ("ServiceRequest", "/priority", json!("S"), E::RequiredBinding, "ServiceRequest.priority"),
        (
            "ServiceRequest",
            "/occurrenceTiming/repeat/periodUnit",
            json!("day"),
            E::RequiredBinding,
            "ServiceRequest.occurrence.repeat.periodUnit",
        ),
        ("Bundle", "/type", json!("messages"), E::RequiredBinding, "Bundle.type"),
    ]);
}

#[test]
fn invariants() {
    run(vec![
        ("Observation", "/dataAbsentReason", json!({"text": "x"}), E::Invariant, "Observation"),
        (
            "Observation",
            "/component/0/code",
            json!({"coding": [{"system": "http://loinc.org", "code": "2160-0"}],
            "text": "other"}),
            E::Invariant,
            "Observation",
        ),
        (
            "Observation",
            "/referenceRange/0",
            json!({"appliesTo": [{"text": "x"}]}),
            E::Invariant,
            "Observation.referenceRange[0]",
        ),
        (
            "Observation",
            "/effectivePeriod/end",
            json!("2024-05-01T07:00:00+02:00"),
            E::Invariant,
            "Observation.effective",
        ),
        ("Observation", "/valueQuantity/system", Value::Null, E::Invariant, "Observation.value"),
        (
            "Observation",
            "/referenceRange/0/age",
            json!({"low": {"value": 9}, "high": {"value": 1}}),
            E::Invariant,
            "Observation.referenceRange[0].age",
        ),
        ("Patient", "/telecom/0/system", Value::Null, E::Invariant, "Patient.telecom[0]"),
        ("Patient", "/contact/0", json!({"gender": "male"}), E::Invariant, "Patient.contact[0]"),
        ("Patient", "/photo/0/contentType", Value::Null, E::Invariant, "Patient.photo[0]"),
        ("Organization", "/telecom/0/use", json!("home"), E::Invariant, "Organization.telecom[0]"),
        ("Organization", "/address/0/use", json!("home"), E::Invariant, "Organization.address[0]"),
        ("Medication", "/amount/denominator", Value::Null, E::Invariant, "Medication.amount"),
        ("AllergyIntolerance", "/clinicalStatus", Value::Null, E::Invariant, "AllergyIntolerance"),
        (
            "AllergyIntolerance",
            "/verificationStatus/coding/0/code",
            json!("entered-in-error"),
            E::Invariant,
            "AllergyIntolerance",
        ),
        ("Condition", "/clinicalStatus/coding/0/code", json!("active"), E::Invariant, "Condition"),
        ("Condition", "/stage/0", json!({"type": {"text": "x"}}), E::Invariant, "Condition.stage[0]"),
        (
            "Condition",
            "/evidence/0",
            json!({"id": "a", "extension":
            [{"url": "http://a.b", "valueCode": "c"}]}),
            E::Invariant,
            "Condition.evidence[0]",
        ),
        ("Appointment", "/end", Value::Null, E::Invariant, "Appointment"),
        ("Appointment", "/cancelationReason", json!({"text": "x"}), E::Invariant, "Appointment"),
        ("Appointment", "/participant/0/actor", Value::Null, E::Invariant, "Appointment.participant[0]"),
        ("Immunization", "/education/0/documentType", Value::Null, E::Invariant, "Immunization.education[0]"),
        ("ServiceRequest", "/code", Value::Null, E::Invariant, "ServiceRequest"),
        (
            "ServiceRequest",
            "/occurrenceTiming/repeat/periodUnit",
            Value::Null,
            E::Invariant,
            "ServiceRequest.occurrence.repeat",
        ),
        (
            "ServiceRequest",
            "/occurrenceTiming/repeat/when",
            json!(["AC"]),
            E::Invariant,
            "ServiceRequest.occurrence.repeat",
        ),
        ("Encounter", "/length", json!({"value": 2, "code": "d"}), E::Invariant, "Encounter.length"),
        (
            "MedicationDispense",
            "/whenPrepared",
            json!("2024-05-01T10:00:00Z"),
            E::Invariant,
            "MedicationDispense",
        ),
        (
            "MedicationAdministration",
            "/dosage/dose",
            Value::Null,
            E::Invariant,
            "MedicationAdministration.dosage",
        ),
        ("Task", "/lastModified", json!("2024-04-01T10:00:00Z"), E::Invariant, "Task"),
        ("Parameters", "/parameter/0/valueString", Value::Null, E::Invariant, "Parameters.parameter[0]"),
        (
            "Composition",
            "/section/0/section/0/text",
            Value::Null,
            E::Invariant,
            "Composition.section[0].section[0]",
        ),
        ("Patient", "/extension/0/valueString", json!("x"), E::Extension, "Patient.extension[0]"),
        ("Patient", "/extension/0/extension", Value::Null, E::Extension, "Patient.extension[0]"),
        (
            "Patient",
            "/_birthDate/extension/0",
            json!({"url":
            "http://hl7.org/fhir/StructureDefinition/patient-birthTime", "valueString": "10:00"}),
            E::Extension,
            "Patient.birthDate.extension[0]",
        ),
        ("Patient", "/extension/0/url", json!("race"), E::Extension, "Patient.extension[0].url"),
    ]);
}

#[test]
fn extensions_of_hl7() {
    let hl7 = |name: &str| format!("http://hl7.org/fhir/StructureDefinition/{name}");
    let nationality = |part: Value| json!({"url": hl7("patient-nationality"), "extension": [part]});
    let at = "Patient.extension[0]";
    run(vec![
        // Another place than the definition names.
        (
            "Patient",
            "/name/0/extension",
            json!([{"url": hl7("patient-birthPlace"), "valueAddress": {"city": "x"}}]),
            E::Extension,
            "Patient.name[0].extension[0]",
        ),
        (
            "Observation",
            "/extension",
            json!([{"url": hl7("patient-birthTime"), "valueDateTime": "2024"}]),
            E::Extension,
            "Observation.extension[0]",
        ),
        (
            "Patient",
            "/_gender",
            json!({"extension": [{"url": hl7("patient-birthTime"), "valueDateTime": "2024"}]}),
            E::Extension,
            "Patient.gender.extension[0]",
        ),
        (
            "Bundle",
            "/entry/1/resource/extension",
            json!([{"url": hl7("condition-outcome"), "valueCodeableConcept": {"text": "x"}}]),
            E::Extension,
            "Bundle.entry[1].resource.extension[0]",
        ),
        // Another value, a code outside the value set, parts.
        (
            "Patient",
            "/extension/0",
            json!({"url": hl7("patient-birthPlace"), "valueString": "x"}),
            E::Extension,
            at,
        ),
        (
            "Patient",
            "/extension/0",
            nationality(json!({"url": "since", "valueDate": "2024"})),
            E::Extension,
            at_part(),
        ),
        (
            "Patient",
            "/extension/0",
            nationality(json!({"url": "code", "valueCode": "CH"})),
            E::Extension,
            at_part(),
        ),
        (
            "Patient",
            "/_birthDate/extension/0",
            json!({"url": hl7("data-absent-reason"), "valueCode": "lost"}),
            E::RequiredBinding,
            "Patient.birthDate.extension[0].value",
        ),
        (
            "Patient",
            "/extension/0",
            json!({"url": hl7("patient-birthPlce"), "valueAddress": {"city": "x"}}),
            E::Extension,
            "Patient.extension[0].url",
        ),
        (
            "Patient",
            "/modifierExtension",
            json!([{"url": hl7("patient-birthPlace"), "valueAddress": {"city": "x"}}]),
            E::Extension,
            "Patient.modifierExtension[0]",
        ),
    ]);
}

const fn at_part() -> &'static str {
    "Patient.extension[0].extension[0]"
}

#[test]
fn references_and_contained_resources() {
    run(vec![
        (
            "Patient",
            "/managingOrganization/reference",
            json!("1"),
            E::Reference,
            "Patient.managingOrganization.reference",
        ),
        (
            "Patient",
            "/managingOrganization/reference",
            json!("Organisation/1"),
            E::Reference,
            "Patient.managingOrganization.reference",
        ),
        (
            "Patient",
            "/managingOrganization/reference",
            json!("Organization/"),
            E::Reference,
            "Patient.managingOrganization.reference",
        ),
        (
            "Patient",
            "/managingOrganization/reference",
            json!("urn:uuid:1"),
            E::Reference,
            "Patient.managingOrganization.reference",
        ),
        (
            "Patient",
            "/managingOrganization",
            json!({"reference": "Patient/1"}),
            E::Reference,
            "Patient.managingOrganization.reference",
        ),
        (
            "Patient",
            "/managingOrganization/type",
            json!("Location"),
            E::Reference,
            "Patient.managingOrganization.type",
        ),
        (
            "Encounter",
            "/subject/reference",
            json!("http://a.b/fhir/Practitioner/1"),
            E::Reference,
            "Encounter.subject.reference",
        ),
        (
            "Encounter",
            "/subject/reference",
            json!("Patient?identifier=1"),
            E::Reference,
            "Encounter.subject.reference",
        ),
        (
            "Patient",
            "/generalPractitioner/0/reference",
            json!("#other"),
            E::Unresolved,
            "Patient.generalPractitioner[0].reference",
        ),
        ("Patient", "/generalPractitioner", Value::Null, E::Contained, "Patient.contained[0]"),
        ("Patient", "/contained/0/id", Value::Null, E::Contained, "Patient.contained[0]"),
        (
            "Patient",
            "/contained/0/meta",
            json!({"versionId": "1"}),
            E::Contained,
            "Patient.contained[0].meta",
        ),
        (
            "Patient",
            "/contained/0/meta",
            json!({"security": [{"system": "http://a.b", "code": "c"}]}),
            E::Contained,
            "Patient.contained[0].meta",
        ),
        (
            "Patient",
            "/contained/0/contained",
            json!([{"resourceType": "Basic", "id": "x", "code": {"text": "x"}}]),
            E::Contained,
            "Patient.contained[0].contained",
        ),
        ("Patient", "/contained/0/gender", json!("F"), E::RequiredBinding, "Patient.contained[0].gender"),
    ]);
}

#[test]
fn bundles() {
    let third = "Bundle.entry[2].resource.subject.reference";
    run(vec![
        (
            "Bundle",
            "/entry/2/resource/subject/reference",
            json!("urn:uuid:00000000-0000-4000-8000-000000000077"),
            E::Unresolved,
            third,
        ),
        (
            "Bundle",
            "/entry/2/resource/subject/reference",
            json!("urn:uuid:00000000-0000-4000-8000-000000000005"),
            E::Reference,
            third,
        ),
        ("Bundle", "/entry/0", Value::Null, E::Invariant, "Bundle"),
        (
            "Bundle",
            "/entry/0/resource/focus/0/reference",
            json!("Observation/1"),
            E::Unresolved,
            "Bundle.entry[0].resource.focus[0].reference",
        ),
        (
            "Bundle",
            "/entry/2/fullUrl",
            json!("urn:uuid:00000000-0000-4000-8000-000000000002"),
            E::Bundle,
            "Bundle.entry[2].fullUrl",
        ),
        ("Bundle", "/entry/2/fullUrl", json!("Observation/1"), E::Bundle, "Bundle.entry[2].fullUrl"),
        (
            "Bundle",
            "/entry/3/fullUrl",
            json!("http://example.org/fhir/Encounter/e2"),
            E::Bundle,
            "Bundle.entry[3].fullUrl",
        ),
        (
            "Bundle",
            "/entry/3/fullUrl",
            json!("http://a.b/Encounter/e1/_history/1"),
            E::Bundle,
            "Bundle.entry[3].fullUrl",
        ),
        ("Bundle", "/entry/1/fullUrl", Value::Null, E::Bundle, "Bundle.entry[1].fullUrl"),
        (
            "Bundle",
            "/entry/1/request",
            json!({"method": "POST", "url": "Patient"}),
            E::Bundle,
            "Bundle.entry[1].request",
        ),
        (
            "Bundle",
            "/entry/1",
            json!({"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000002"}),
            E::Bundle,
            "Bundle.entry[1]",
        ),
        ("Bundle", "/total", json!(5), E::Invariant, "Bundle"),
        ("Bundle", "/entry/1/search", json!({"mode": "match"}), E::Invariant, "Bundle"),
        ("Bundle", "/type", json!("document"), E::Invariant, "Bundle"),
        (
            "Bundle",
            "/entry/1/resource/gender",
            json!("F"),
            E::RequiredBinding,
            "Bundle.entry[1].resource.gender",
        ),
        ("Transaction", "/entry/0/request", Value::Null, E::Bundle, "Bundle.entry[0]"),
        (
            "Transaction",
            "/entry/0/request/method",
            json!("post"),
            E::RequiredBinding,
            "Bundle.entry[0].request.method",
        ),
        ("Transaction", "/entry/0/response", json!({"status": "201"}), E::Bundle, "Bundle.entry[0].response"),
    ]);
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

#[test]
fn terminology_that_is_only_advised_is_a_warning() {
    for (name, pointer, to, place) in [
        ("Patient", "/maritalStatus/coding/0/code", json!("ZZ"), "Patient.maritalStatus.coding[0].code"),
        ("Patient", "/maritalStatus/coding/0/system", Value::Null, "Patient.maritalStatus.coding[0]"),
        ("Encounter", "/class/code", json!("INPATIENT"), "Encounter.class"),
        ("Observation", "/code/coding/0/code", json!("2160-1"), "Observation.code.coding[0].code"),
        (
            "Patient",
            "/extension/-",
            json!({"url": "http://hl7.org/fhir/StructureDefinition/x", "valueString": "x"}),
            "Patient.extension[1].url",
        ),
        (
            "Patient",
            "/modifierExtension",
            json!([{"url": "http://a.b/c", "valueString": "x"}]),
            "Patient.modifierExtension[0]",
        ),
    ] {
        let mut resource = example(name);
        change(&mut resource, pointer, &to);
        let outcome = Validator::r4().validate(resource.to_string().as_bytes());
        assert!(outcome.is_valid() && outcome.worst_code().is_none(), "{name} {pointer}");
        assert!(
            outcome.issues.iter().any(|issue| issue.expression == place),
            "{pointer}: {:?}",
            outcome.issues
        );
    }
}
