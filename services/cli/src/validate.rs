use std::path::PathBuf;

use fhir::Validator;
use serde_json::json;

use crate::input;
use crate::output::{Outcome, line};

/// What `validate` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files with a FHIR R4 resource each; `-` or none reads standard input.
    files: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let inputs = match input::read(&args.files) {
        Ok(inputs) => inputs,
        Err(outcome) => return outcome,
    };
    let mut result = Outcome::Good;
    for input in inputs {
        let outcome = Validator::r4().validate(&input.bytes);
        if !outcome.is_valid() {
            result = Outcome::Rejected;
        }
        line(json!({
            "file": input.name,
            "valid": outcome.is_valid(),
            "outcome": outcome.to_operation_outcome(),
        }));
    }
    result
}
