//! Full examples of the resource types the line makes: none has an error, and a look at each warning is recorded here.

#[path = "examples/mod.rs"]
mod examples;

use wardstream_fhir::{Severity, Validator};

#[test]
fn every_example_is_valid() {
    let mut faults = Vec::new();
    for (name, text) in examples::ALL {
        let outcome = Validator::r4().validate(text.as_bytes());
        faults.extend(outcome.errors().map(|issue| format!("{name}: {issue}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn warnings_are_few_and_deliberate() {
    let mut warnings = Vec::new();
    for (name, text) in examples::ALL {
        let outcome = Validator::r4().validate(text.as_bytes());
        let found = outcome.issues.iter().filter(|issue| issue.severity == Severity::Warning);
        warnings.extend(found.map(|issue| format!("{name} {}", issue.expression)));
    }
    // It claims a profile that exists nowhere.
    assert_eq!(warnings, ["Patient Patient.meta.profile[0]"]);
}
