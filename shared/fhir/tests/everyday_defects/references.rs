//! References, contained resources and Bundles.

use super::*;

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
