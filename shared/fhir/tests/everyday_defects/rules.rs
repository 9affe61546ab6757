//! Value sets, code systems, units, invariants and extensions.

use super::*;

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

#[test]
fn code_systems_and_units() {
    let at = "Observation.value.code";
    let units = ["mmHg", "beats/min", "mcg", "IU/L", "x10^3/uL", "mEq/L", "mg//dL", "K per uL"];
    run(units
        .map(|unit| ("Observation", "/valueQuantity/code", json!(unit), E::RequiredBinding, at))
        .to_vec());
    run(vec![
        (
            "Observation",
            "/category/0",
            json!({"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "Laboratory"}]}),
            E::RequiredBinding,
            "Observation.category[0].coding[0].code",
        ),
        (
            "Observation",
            "/code/coding/0",
            json!({"system": "http://hl7.org/fhir/observation-status", "code": "done"}),
            E::RequiredBinding,
            "Observation.code.coding[0].code",
        ),
    ]);
}

#[test]
fn doubtful_values_are_warnings() {
    for (name, pointer, to, place) in [
        ("Patient", "/name/0/family", json!(" x"), "Patient.name[0].family"),
        ("Patient", "/birthDate", json!("0974-12-25"), "Patient.birthDate"),
        ("Patient", "/managingOrganization", json!({"type": "Organization"}), "Patient.managingOrganization"),
        (
            "Patient",
            "/maritalStatus/coding/0",
            json!({"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M", "display": "Divorced"}),
            "Patient.maritalStatus.coding[0].display",
        ),
        (
            "Observation",
            "/valueQuantity/value",
            serde_json::from_str("1.2345678901234567890").unwrap(),
            "Observation.value.value",
        ),
    ] {
        let mut resource = example(name);
        change(&mut resource, pointer, &to);
        let outcome = Validator::r4().validate(resource.to_string().as_bytes());
        let errors: Vec<_> = outcome.errors().map(ToString::to_string).collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert!(
            outcome.issues.iter().any(|issue| issue.expression == place),
            "{place}: {:?}",
            outcome.issues
        );
    }
}
