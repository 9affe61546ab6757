//! Folders with packages.

use std::path::Path;

use serde_json::json;

use super::{URL, against, found, profile, validator};
use crate::{Demand, ErrorCode, PackageError, Validator};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn refused(path: &Path) -> String {
    Validator::with_packages(&[path]).unwrap_err().to_string()
}

#[test]
fn reads_an_unpacked_package() {
    let definition =
        profile("Patient", &[json!({"id": "Patient.name", "path": "Patient.name", "min": 1, "max": "*"})]);
    let text = definition.to_string();
    let manifest = r#"{"name":"example","fhirVersions":["4.0.1"]}"#;
    let folder = folder(&[
        ("package/package.json", manifest),
        ("package/StructureDefinition-probe.json", &text),
        ("package/example/Patient-x.json", "not read"),
        ("package/readme.txt", "not read"),
    ]);
    let validator = Validator::with_packages(&[folder.path()]).unwrap();
    assert!(validator.has_profile(URL) && validator.has_profile(&format!("{URL}|1.0.0")));
    let claim = json!({"resourceType": "Patient", "meta": {"profile": [URL]}});
    assert_eq!(validator.validate(claim.to_string().as_bytes()).worst_code(), Some(ErrorCode::Missing));
}

#[test]
fn says_what_is_wrong_with_a_folder() {
    let empty = folder(&[("package.json", "{}")]);
    assert!(matches!(Validator::with_packages(&[empty.path()]), Err(PackageError::Empty { .. })));
    let text = folder(&[("a.json", "{")]);
    assert!(refused(text.path()).ends_with("a.json is not JSON"));
    let mut later = profile("Patient", &[]);
    later["fhirVersion"] = json!("5.0.0");
    let later = folder(&[("a.json", &later.to_string())]);
    assert!(refused(later.path()).contains("is for FHIR 5.0.0; packages for FHIR R4 (4.0.1) are expected"));
    assert!(matches!(Validator::with_packages(&[Path::new("/nowhere")]), Err(PackageError::Io { .. })));
}

#[test]
fn a_definition_without_snapshot_is_no_silent_pass() {
    let mut definition = profile("Patient", &[]);
    definition.as_object_mut().unwrap().remove("snapshot");
    let validator = validator(&[definition]);
    assert!(!validator.has_profile(URL));
    let outcome = against(&validator, &json!({"resourceType": "Patient", "active": true}));
    assert_eq!(outcome.worst_code(), Some(ErrorCode::UnknownProfile));
    assert!(found(&outcome)[0].ends_with("its definition has no snapshot."), "{:?}", found(&outcome));
}

#[test]
fn an_extension_of_a_package_is_checked_wherever_it_stands() {
    let url = "http://example.org/StructureDefinition/mark";
    let mut definition = super::named(
        url,
        "Extension",
        &[
            json!({"id": "Extension.url", "path": "Extension.url", "min": 1, "max": "1", "fixedUri": url}),
            json!({"id": "Extension.value[x]", "path": "Extension.value[x]", "min": 1, "max": "1", "type": [{"code": "boolean"}]}),
        ],
    );
    definition["kind"] = json!("complex-type");
    let validator = validator(&[definition]);
    let patient = |value: serde_json::Value| {
        let mut extension = value;
        extension["url"] = json!(url);
        json!({"resourceType": "Patient", "birthDate": "2000-01-01", "_birthDate": {"extension": [extension]}}).to_string()
    };
    assert!(validator.validate(patient(json!({"valueBoolean": true})).as_bytes()).is_valid());
    let outcome = validator.validate_for(patient(json!({"valueString": "x"})).as_bytes(), &Demand::default());
    assert_eq!(outcome.worst_code(), Some(ErrorCode::Profile), "{:?}", found(&outcome));
}
