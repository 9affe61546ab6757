//! Bundles: every treatment, validity of what is left, pseudonyms, vault, failing closed.

#![expect(clippy::unwrap_used, reason = "a test stops where a value is not as expected")]

mod support;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wardstream_deid::{
    Config, Error, FileKeyEncryption, Gazetteer, Kind, LocalFormat, ModelSpan, PSEUDONYM_SYSTEM,
    RedactedBundle, Redactor, SecretKey, SpanModel, SpanModelError, TextDates, open_vault_entry,
};

use support::everything;

fn config(byte: u8, tenant: &str) -> Config {
    Config::new(SecretKey::from_bytes([byte; 32]).unwrap(), 1, tenant)
}

fn redact(bundle: &Value) -> RedactedBundle {
    Redactor::new(config(7, "ward")).unwrap().redact_bundle(bundle).unwrap()
}

fn bundle_of(resources: Vec<Value>) -> Value {
    let entries: Vec<Value> = resources
        .into_iter()
        .enumerate()
        .map(|(index, resource)| json!({"fullUrl": format!("urn:uuid:00000000-0000-4000-8000-{index:012}"), "resource": resource}))
        .collect();
    json!({"resourceType": "Bundle", "type": "message", "timestamp": "2020-05-04T10:00:00Z", "entry": entries})
}

fn patient() -> Value {
    json!({
        "resourceType": "Patient",
        "id": "p1",
        "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">Quintessa Abernathy-Voss</div>"},
        "extension": [
            {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "Wrigglesworth"},
            {"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex", "valueCode": "F"}
        ],
        "identifier": [
            {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
             "system": "urn:oid:1.2.3.4", "value": "88301477", "assigner": {"display": "Zephyr Bay Hospital"}},
            {"type": {"coding": [{"code": "SS"}]}, "value": "219-09-9999"}
        ],
        "name": [{"family": "Abernathy-Voss", "given": ["Quintessa", "Maud"], "prefix": ["Ms."]}],
        "telecom": [{"system": "phone", "value": "(415) 555-0173"}, {"system": "email", "value": "quintessa@zephyrbay.example"}],
        "gender": "female",
        "birthDate": "1961-07-09",
        "_birthDate": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime", "valueDateTime": "1961-07-09T03:02:01Z"}]},
        "address": [{"use": "home", "line": ["4410 Wisteria Lane"], "city": "Port Ludlow", "district": "Jefferson", "state": "WA", "postalCode": "98365", "country": "US"}],
        "contact": [{"name": {"family": "Voss", "given": ["Thaddeus"]}, "telecom": [{"value": "415-555-0174"}]}],
        "photo": [{"contentType": "image/jpeg", "data": "AAAA"}],
        "multipleBirthBoolean": false
    })
}

fn empties(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty() || items.iter().any(empties),
        Value::Object(object) => object.is_empty() || object.values().any(empties),
        _ => false,
    }
}

#[test]
fn no_identifier_of_a_rich_bundle_is_left() {
    let note = "Ms. Abernathy-Voss (DOB 07/09/1961, MRN 88301477) of 4410 Wisteria Lane, Port Ludlow was seen by Dr. Octavian Brunswick \
                at Zephyr Bay Hospital. Maud called from 415.555.0173. SSN 219 09 9999. BP 120/80, K 4.1, GCS 15.";
    let bundle = bundle_of(vec![
        json!({"resourceType": "MessageHeader", "id": "h", "eventCoding": {"system": "http://terminology.hl7.org/CodeSystem/v2-0003", "code": "A01"},
               "source": {"name": "Zephyr ADT", "endpoint": "https://zephyrbay.example/fhir"}, "sender": {"display": "Zephyr Bay Hospital"},
               "destination": [{"name": "x", "endpoint": "urn:x"}], "focus": [{"reference": "Patient/p1"}]}),
        patient(),
        json!({"resourceType": "Practitioner", "id": "d", "name": [{"family": "Brunswick", "given": ["Octavian"]}],
               "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}]}),
        json!({"resourceType": "Organization", "id": "o", "name": "Zephyr Bay Hospital", "telecom": [{"value": "415-555-0100"}]}),
        json!({"resourceType": "Location", "id": "l", "name": "4 East room 136", "physicalType": {"coding": [{"code": "ro"}]}}),
        json!({"resourceType": "Encounter", "id": "e", "status": "in-progress", "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
               "subject": {"reference": "Patient/p1", "display": "Quintessa Abernathy-Voss"}, "identifier": [{"system": "urn:oid:1.2.3.5", "value": "V774411"}],
               "period": {"start": "2020-05-01T08:00:00+02:00", "end": "2020-05-04"},
               "participant": [{"individual": {"display": "Brunswick, Octavian"}}]}),
        json!({"resourceType": "Observation", "id": "ob", "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "34109-9", "display": "Note"}], "text": "Note on Abernathy-Voss"},
               "subject": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"}, "effectiveDateTime": "2020-05-03",
               "valueString": note, "note": [{"authorString": "Octavian Brunswick", "time": "2020-05-03T01:02:03Z", "text": note}]}),
        json!({"resourceType": "DiagnosticReport", "id": "dr", "status": "final", "code": {"text": "CBC"}, "conclusion": note,
               "presentedForm": [{"contentType": "text/plain", "data": STANDARD.encode(note), "hash": "AAAA", "title": "Report on Maud Abernathy-Voss"},
                                  {"contentType": "application/pdf", "data": STANDARD.encode(note)}]}),
        json!({"resourceType": "Coverage", "id": "c", "status": "active", "beneficiary": {"reference": "Patient/p1"},
               "subscriberId": "XJW77281", "payor": [{"display": "Humongous Insurance"}]}),
        json!({"resourceType": "Provenance", "id": "pv", "target": [{"reference": "Observation/ob"}], "recorded": "2020-05-03T01:02:03Z",
               "agent": [{"who": {"display": "Octavian Brunswick"}}]}),
        json!({"resourceType": "Composition", "id": "co", "status": "final", "type": {"text": "Discharge"}, "date": "2020-05-04", "author": [{"reference": "Practitioner/d"}],
               "title": "Discharge of Quintessa Abernathy-Voss", "section": [{"title": "Course", "text": {"status": "generated", "div": format!("<div><p>{note}</p></div>")}}]}),
        json!({"resourceType": "Claim", "id": "cl", "status": "active", "patient": {"display": "Quintessa"}}),
    ]);
    let redacted = redact(&bundle);
    let mut all = String::new();
    everything(&redacted.bundle, &mut all);
    let lower = all.to_lowercase();
    for identifier in [
        "abernathy",
        "voss",
        "quintessa",
        "maud",
        "thaddeus",
        "wrigglesworth",
        "88301477",
        "219",
        "555-01",
        "555.01",
        "zephyr",
        "1961-",
        "07/09",
        "wisteria",
        "ludlow",
        "jefferson",
        "98365",
        "brunswick",
        "octavian",
        "1234567893",
        "136",
        "v774411",
        "humongous",
        "xjw77281",
        "2020-05",
    ] {
        assert!(!lower.contains(identifier), "an identifier of {} letters is left", identifier.len());
    }
    for clinical in ["120/80", "K 4.1", "GCS 15", "34109-9", "CBC", "A01", "IMP"] {
        assert!(all.contains(clinical), "{clinical}");
    }
    assert!(!empties(&redacted.bundle));
    let resource = |name: &str| {
        let entries = redacted.bundle["entry"].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry["resource"].clone())
            .find(|resource| resource["resourceType"] == name)
    };
    assert!(resource("Claim").is_none(), "a type without a section is removed");
    // Required elements are there (R4 cardinalities).
    assert_eq!(resource("Observation").unwrap()["status"], "final");
    assert!(resource("Coverage").unwrap()["payor"][0]["display"].is_string());
    assert!(resource("Provenance").unwrap()["agent"][0]["who"].is_object());
    assert!(
        resource("MessageHeader").unwrap()["source"]["endpoint"].as_str().unwrap().starts_with("urn:uuid:")
    );
    assert!(resource("Organization").unwrap()["name"].as_str().unwrap().starts_with("[ORGANIZATION-"));
    // References still resolve: by id and by fullUrl.
    let entries = redacted.bundle["entry"].as_array().unwrap();
    let patient_url =
        entries.iter().find(|entry| entry["resource"]["resourceType"] == "Patient").unwrap()["fullUrl"]
            .clone();
    assert_eq!(resource("Encounter").unwrap()["subject"]["reference"], patient_url);
    assert_eq!(resource("Observation").unwrap()["subject"]["reference"], patient_url);
    assert_eq!(
        patient_url.as_str().unwrap().strip_prefix("urn:uuid:"),
        resource("Patient").unwrap()["id"].as_str()
    );
    // The patient.
    let patient = resource("Patient").unwrap();
    assert_eq!(patient["identifier"].as_array().unwrap().len(), 1);
    assert_eq!(patient["identifier"][0]["system"], PSEUDONYM_SYSTEM);
    assert_eq!(patient["identifier"][0]["value"].as_str(), redacted.pseudonym.as_deref());
    assert_eq!(
        patient["address"][0],
        json!({"use": "home", "state": "WA", "postalCode": "983", "country": "US"})
    );
    assert_eq!(patient["birthDate"].as_str().unwrap().len(), 4);
    assert_eq!(patient["extension"].as_array().unwrap().len(), 1);
    assert!(patient.get("_birthDate").is_none() && patient.get("photo").is_none());
    // The other attachment says why it is not there.
    let forms = resource("DiagnosticReport").unwrap()["presentedForm"].clone();
    assert!(forms[1].get("data").is_none());
    assert_eq!(forms[1]["_data"]["extension"][0]["valueCode"], "masked");
    assert!(redacted.counts[&Kind::Name] > 5 && redacted.counts[&Kind::Ssn] > 1);
    assert!(redacted.spans.iter().any(|found| found.path == "Bundle.entry[6].resource.note[0].text"));
}

#[test]
fn dates_keep_their_intervals() {
    let redacted = redact(&bundle_of(vec![
        patient(),
        json!({"resourceType": "Encounter", "status": "finished", "class": {"code": "IMP"}, "period": {"start": "2020-02-20T08:15:00+02:00", "end": "2020-03-01"}}),
    ]));
    let period = &redacted.bundle["entry"][1]["resource"]["period"];
    let start = period["start"].as_str().unwrap();
    assert!(start.ends_with("T08:15:00+02:00"));
    let day = |text: &str| text[..10].parse::<jiff::civil::Date>().unwrap();
    let length = day(start).until(day(period["end"].as_str().unwrap())).unwrap().get_days();
    assert_eq!(length, 10);
    let back = day(start).until(jiff::civil::date(2020, 2, 20)).unwrap().get_days();
    assert!((1..=365).contains(&back));
}

#[test]
fn people_over_89_lose_their_birth_year() {
    let mut old = patient();
    old["birthDate"] = json!("1929-01-02");
    let observation = json!({"resourceType": "Observation", "status": "final", "code": {"text": "Age"}, "valueQuantity": {"value": 91, "unit": "years"}});
    let redacted = redact(&bundle_of(vec![old, observation]));
    let patient = &redacted.bundle["entry"][0]["resource"];
    assert!(patient.get("birthDate").is_none());
    assert_eq!(patient["_birthDate"]["extension"][0]["valueCode"], "masked");
    assert_eq!(redacted.bundle["entry"][1]["resource"]["valueQuantity"]["value"], 90);
}

#[test]
fn pseudonyms_follow_patient_tenant_and_key_version() {
    let bundle = bundle_of(vec![patient()]);
    let pseudonym =
        |config: Config| Redactor::new(config).unwrap().redact_bundle(&bundle).unwrap().pseudonym.unwrap();
    let first = pseudonym(config(7, "a"));
    assert_eq!(first, pseudonym(config(7, "a")), "deterministic");
    assert_eq!(first.len(), "psn_v1_".len() + 32);
    assert_ne!(first, pseudonym(config(7, "b")), "tenants are apart");
    assert_ne!(first, pseudonym(config(8, "a")), "keys are apart");
    assert!(pseudonym(Config { key_version: 2, ..config(7, "a") }).starts_with("psn_v2_"));
    assert_eq!(first, Redactor::new(config(7, "a")).unwrap().pseudonym("urn:oid:1.2.3.4", "88301477"));
}

#[test]
fn the_vault_opens_to_the_identity() {
    let keys = Arc::new(FileKeyEncryption::new(SecretKey::from_bytes([3u8; 32]).unwrap(), || [9u8; 32]));
    let redactor = Redactor::new(Config { vault: Some(keys.clone()), ..config(7, "a") }).unwrap();
    let redacted = redactor.redact_bundle(&bundle_of(vec![patient()])).unwrap();
    let entry = &redacted.vault[0];
    assert_eq!(Some(&entry.pseudonym), redacted.pseudonym.as_ref());
    let opened = open_vault_entry(keys.as_ref(), entry).unwrap();
    assert_eq!(opened["birthDate"], "1961-07-09");
    assert_eq!(
        redactor.redact_bundle(&bundle_of(vec![patient()])).unwrap().vault,
        redacted.vault,
        "a replay gives the same bytes"
    );
}

#[test]
fn contained_resources_resolve() {
    let redacted = redact(&json!({
        "resourceType": "MedicationRequest", "status": "active", "intent": "order",
        "contained": [{"resourceType": "Medication", "id": "m1", "code": {"text": "aspirin"}}],
        "medicationReference": {"reference": "#m1"}, "subject": {"reference": "Patient/p1"}
    }));
    let target = redacted.bundle["medicationReference"]["reference"].as_str().unwrap().to_owned();
    assert_eq!(target.strip_prefix('#'), redacted.bundle["contained"][0]["id"].as_str());
}

#[test]
fn what_is_not_fhir_is_refused() {
    let redactor = Redactor::new(config(7, "a")).unwrap();
    for (value, code) in [
        (json!([]), "DEID-201"),
        (json!({}), "DEID-201"),
        (json!({"resourceType": "Nonsense"}), "DEID-202"),
        (json!({"resourceType": "Coding", "code": "x"}), "DEID-202"),
        (json!({"resourceType": "Resource", "id": "x"}), "DEID-202"),
    ] {
        assert_eq!(redactor.redact_bundle(&value).unwrap_err().code(), code);
    }
    let mut deep = json!({"title": "x"});
    for _ in 0..60 {
        deep = json!({"section": [deep]});
    }
    deep["resourceType"] = json!("Composition");
    assert!(matches!(redactor.redact_bundle(&deep), Err(Error::TooDeep { .. })));
}

#[test]
fn lost_required_elements_take_their_parent_along() {
    let redacted = redact(&bundle_of(vec![
        patient(),
        json!({"resourceType": "Task", "status": "ready", "intent": "order", "input": [
            {"type": {"text": "a"}, "valueHumanName": {"family": "Abernathy-Voss"}},
            {"type": {"text": "b"}, "valueString": "two"}
        ]}),
    ]));
    let input = redacted.bundle["entry"][1]["resource"]["input"].as_array().unwrap().clone();
    assert_eq!(input, [json!({"type": {"text": "b"}, "valueString": "two"})]);
}

#[test]
fn a_resource_of_a_type_without_a_section_leaves_no_empty_entry() {
    let study = json!({"resourceType": "ResearchStudy", "id": "s", "status": "active"});
    let bundle = redact(&bundle_of(vec![patient(), study])).bundle;
    let entries = bundle["entry"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["resource"]["resourceType"], "Patient");
}

#[test]
fn dates_in_text_can_be_shifted() {
    let redactor = Redactor::new(Config { text_dates: TextDates::Shift, ..config(7, "a") }).unwrap();
    let bundle = bundle_of(vec![
        patient(),
        json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "effectiveDateTime": "2020-03-05", "valueString": "since 3/5/2020 and March 5, 2020, worse on 3/6"}),
    ]);
    let redacted = redactor.redact_bundle(&bundle).unwrap();
    let observation = &redacted.bundle["entry"][1]["resource"];
    let moved = observation["effectiveDateTime"].as_str().unwrap();
    assert_eq!(
        observation["valueString"].as_str().unwrap(),
        format!("since [DATE {moved}] and [DATE {moved}], worse on [DATE-1]")
    );
}

struct Model(bool);

impl SpanModel for Model {
    fn spans(&self, passages: &[&str]) -> Result<Vec<Vec<ModelSpan>>, SpanModelError> {
        if !self.0 {
            return Err(SpanModelError);
        }
        let zorp = |text: &&str| {
            text.find("zorp").map(|at| ModelSpan { range: at..at + 4, kind: Kind::Name, score: 0.9 })
        };
        Ok(passages.iter().map(|text| zorp(text).into_iter().collect()).collect())
    }
}

#[test]
fn a_model_adds_spans_and_its_failure_withholds_the_text() {
    let with =
        |works| Redactor::new(Config { model: Some(Arc::new(Model(works))), ..config(7, "a") }).unwrap();
    assert_eq!(with(true).redact_text("seen zorp today", &Gazetteer::default()).text, "seen [NAME-1] today");
    assert_eq!(with(false).redact_text("seen zorp today", &Gazetteer::default()).text, "[ID-1]");
}

#[test]
fn a_local_format_is_one_line() {
    let local = |regex: &str| Config {
        local_formats: vec![LocalFormat {
            name: "sample".into(),
            kind: Kind::Other,
            regex: regex.into(),
            checksum: None,
        }],
        ..config(7, "a")
    };
    let redactor = Redactor::new(local(r"\bward-(?P<id>[a-z]{3}/\d{2})\b")).unwrap();
    assert_eq!(
        redactor.redact_text("sample ward-abc/12 kept", &Gazetteer::default()).text,
        "sample ward-[ID-1] kept"
    );
    assert_eq!(Redactor::new(local("(")).unwrap_err().code(), "DEID-103");
}

#[test]
fn a_patient_with_an_ordinary_word_or_an_eponym_for_a_name() {
    for (family, text, wanted) in [
        (
            "Long",
            "Mr. Long has long QT. Long acting insulin.",
            "Mr. [NAME-1] has long QT. Long acting insulin.",
        ),
        ("Parkinson", "Mrs. Parkinson has Parkinson's disease.", "Mrs. [NAME-1] has Parkinson's disease."),
        (
            "Graves",
            "We saw Graves in clinic for Graves disease.",
            "We saw [NAME-1] in clinic for Graves disease.",
        ),
        ("Kowalski", "kowalski called; KOWALSKI, T.", "[NAME-1] called; [NAME-1], T."),
    ] {
        let mut subject = patient();
        subject["name"] = json!([{"family": family, "given": ["Theodora"]}]);
        let redactor = Redactor::new(config(7, "a")).unwrap();
        let identities = Gazetteer::from_bundle(&bundle_of(vec![subject.clone()]));
        assert_eq!(redactor.redact_text(text, &identities).text, wanted);
        let observation = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueString": text});
        assert!(redactor.redact_bundle(&bundle_of(vec![subject, observation])).is_ok());
    }
}
