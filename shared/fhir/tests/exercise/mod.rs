//! What must hold for any bytes; the property tests and the fuzz target share it.

use wardstream_fhir::{Outcome, Validator};

/// Validates, and checks that the findings are bounded, have their places in the text, and make a valid resource.
pub(crate) fn validate(text: &[u8]) -> Outcome {
    let outcome = Validator::r4().validate(text);
    assert!(outcome.issues.len() <= 402);
    for issue in &outcome.issues {
        assert!(issue.offset <= text.len() && issue.line >= Some(1) && issue.column >= Some(1));
        assert!(!issue.message.is_empty());
    }
    let resource = outcome.to_operation_outcome().to_string();
    let own = Validator::r4().validate(resource.as_bytes());
    assert!(own.issues.is_empty(), "the OperationOutcome is not valid: {:?}", own.issues);
    outcome
}
