//! What is right although it looks unusual: no row may have an error.

use super::*;

/// Example, JSON Pointer, new value.
type Change = (&'static str, &'static str, Value);

fn accept(rows: Vec<Change>) {
    let mut wrong = Vec::new();
    for (name, pointer, to) in rows {
        let mut resource = example(name);
        change(&mut resource, pointer, &to);
        let outcome = Validator::r4().validate(resource.to_string().as_bytes());
        wrong.extend(outcome.errors().map(|issue| format!("{name} {pointer} {to}: {issue}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn formats() {
    accept(vec![
        ("Patient", "/birthDate", json!("1974")),
        ("Patient", "/birthDate", json!("1974-12")),
        ("Patient", "/birthDate", json!("2024-02-29")),
        ("Patient", "/birthDate", json!("1850-01-01")),
        ("Patient", "/id", json!("A-1.b")),
        ("Patient", "/id", json!("x".repeat(64))),
        ("Patient", "/meta/lastUpdated", json!("2024-05-01T10:30:00.123456789+14:00")),
        ("Patient", "/name/0/family", json!("O'Neil-Søndergård 王")),
        ("Patient", "/name/0/family", json!(" van Dam ")),
        ("Patient", "/name/0/family", json!("a\tb\nc")),
        ("Patient", "/identifier/0/system", json!("urn:uuid:c757873d-ec9a-4326-a141-556f43239520")),
        ("Patient", "/identifier/0/system", json!("urn:oid:2.16.840.1.113883.4.1")),
        ("Patient", "/identifier/0/system", json!("mailto:x")),
        ("Patient", "/identifier/0/value", json!("A 1/2 #3")),
        ("Patient", "/multipleBirthInteger", json!(0)),
        ("Patient", "/multipleBirthInteger", json!(-1)),
        ("Encounter", "/period/start", json!("2024")),
        ("Encounter", "/period/start", json!("2024-05-01T07:00:00-05:00")),
        ("Encounter", "/period/end", json!("2024-12-31T23:59:60Z")),
        ("Observation", "/valueQuantity/value", json!(0)),
        ("Observation", "/valueQuantity/value", serde_json::from_str("1.50e-3").unwrap()),
        ("Observation", "/valueQuantity/value", serde_json::from_str("-0.0").unwrap()),
        ("Observation", "/valueQuantity/value", serde_json::from_str("3.14159265358979323846").unwrap()),
        ("Patient", "/photo/0/data", json!("QUJD\nQUJD")),
        ("Patient", "/meta/profile/0", json!("http://example.org/p|1.0.0")),
        ("Patient", "/meta/profile/0", json!("urn:uuid:c757873d-ec9a-4326-a141-556f43239520")),
    ]);
}

#[test]
fn codes_and_units() {
    let unit =
        |code: &str| json!({"value": 1, "unit": "x", "system": "http://unitsofmeasure.org", "code": code});
    accept(vec![
        ("Observation", "/valueQuantity", unit("10*3/uL")),
        ("Observation", "/valueQuantity", unit("mm[Hg]")),
        ("Observation", "/valueQuantity", unit("{score}")),
        ("Observation", "/valueQuantity", unit("m[IU]/mL")),
        ("Observation", "/valueQuantity", json!({"value": 1, "unit": "beats per minute"})),
        ("Observation", "/valueQuantity", json!({"value": 1, "system": "http://example.org", "code": "a b"})),
        ("Observation", "/category/0", json!({"text": "laboratory"})),
        (
            "Observation",
            "/interpretation",
            json!([{"coding": [{"system": "http://example.org", "code": "HH!"}]}]),
        ),
        ("Patient", "/maritalStatus", json!({"text": "lives with a partner"})),
        ("Patient", "/maritalStatus", json!({"coding": [{"display": "married"}]})),
        (
            "Patient",
            "/maritalStatus/coding/0",
            json!({"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M", "display": "verheiratet"}),
        ),
        ("Patient", "/language", json!("de-CH-1996")),
        (
            "Patient",
            "/communication/0/language",
            json!({"coding": [{"system": "urn:ietf:bcp:47", "code": "gsw"}]}),
        ),
        ("Patient", "/gender", json!("unknown")),
        ("Patient", "/_gender", json!({"extension": [{"url": "http://example.org/g", "valueCode": "x"}]})),
        ("Patient", "/photo/0/contentType", json!("image/svg+xml; charset=utf-8")),
        (
            "Observation",
            "/code",
            json!({"coding": [{"system": "http://snomed.info/sct", "code": "38341003"}]}),
        ),
        ("Observation", "/note", json!([{"text": "# *markdown* <b>too</b>\n\n- a"}])),
    ]);
}

#[test]
fn structure_and_references() {
    let hl7 = |name: &str| format!("http://hl7.org/fhir/StructureDefinition/{name}");
    let absent = json!({"extension": [{"url": hl7("data-absent-reason"), "valueCode": "unknown"}]});
    accept(vec![
        ("Patient", "/birthDate", Value::Null),
        ("Patient", "/name/0/_family", absent.clone()),
        ("Patient", "/managingOrganization", json!({"display": "a clinic"})),
        ("Patient", "/managingOrganization", json!({"identifier": {"value": "7"}, "type": "Organization"})),
        ("Patient", "/managingOrganization", json!({"reference": "Organization/1/_history/2"})),
        ("Patient", "/managingOrganization", json!({"reference": "https://example.org/r4/Organization/1"})),
        ("Patient", "/managingOrganization", json!({"reference": "urn:oid:1.2.3"})),
        ("Patient", "/managingOrganization", json!({"reference": "http://example.org/other?x=1"})),
        ("Patient", "/extension/-", json!({"url": hl7("patient-birthPlace"), "valueAddress": {"city": "x"}})),
        (
            "Patient",
            "/extension/-",
            json!({"url": "http://example.org/x", "valueMoney": {"value": 1, "currency": "CHF"}}),
        ),
        (
            "Patient",
            "/extension/-",
            json!({"url": hl7("patient-nationality"), "extension": [{"url": "code", "valueCodeableConcept": {"text": "x"}}]}),
        ),
        (
            "Patient",
            "/extension/-",
            json!({"url": hl7("patient-sexParameterForClinicalUse"), "valueString": "published after R4"}),
        ),
        (
            "Patient",
            "/address",
            json!([{"line": ["x"], "_line": [{"extension": [{"url": hl7("iso21090-ADXP-streetName"), "valueString": "x"}]}]}]),
        ),
        (
            "Patient",
            "/name",
            json!([{"given": ["A", null], "_given": [null, {"extension": [{"url": hl7("data-absent-reason"), "valueCode": "masked"}]}]}]),
        ),
        ("Observation", "/extension", json!([{"url": hl7("data-absent-reason"), "valueCode": "masked"}])),
        (
            "Bundle",
            "/entry/1/resource/extension",
            json!([{"url": hl7("patient-birthPlace"), "valueAddress": {"city": "x"}}]),
        ),
        ("Bundle", "/entry/2/resource/subject", json!({"reference": "http://elsewhere.org/fhir/Patient/7"})),
        ("Transaction", "/entry/0/fullUrl", json!("urn:uuid:00000000-0000-4000-8000-000000000001")),
        ("Task", "/lastModified", Value::Null),
        (
            "Patient",
            "/text/div",
            json!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>a<br/>&#160;&copy; b</p></div>"),
        ),
        (
            "Patient",
            "/text/div",
            json!("<div xmlns='http://www.w3.org/1999/xhtml' lang='de'><img src='#a' alt='x'/></div>"),
        ),
        ("Coverage", "/costToBeneficiary/0/valueMoney/currency", json!("EUR")),
    ]);
}
