use std::path::PathBuf;

use fhir::{Demand, Validator};
use serde_json::json;

use crate::input;
use crate::output::{Outcome, line, usage};

/// What `validate` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files with a FHIR R4 resource each; `-` or none reads standard input.
    files: Vec<PathBuf>,
    /// URL of a profile that each resource has to meet, beyond those it claims in meta.profile; of a Bundle, each entry
    /// of the profile's type. Can be given several times.
    #[arg(long, value_name = "URL")]
    profile: Vec<String>,
    /// Folder with an unpacked FHIR R4 package: profiles, value sets and code systems beyond US Core and R4 itself.
    /// Can be given several times.
    #[arg(long, value_name = "FOLDER")]
    package_folder: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let validator = match Validator::with_packages(&args.package_folder) {
        Ok(validator) => validator,
        Err(error) => return usage(service::chain(&error)),
    };
    if let Some(unknown) = args.profile.iter().find(|url| !validator.has_profile(url)) {
        return usage(format_args!(
            "no profile {unknown} with a snapshot; --package-folder names the package that defines it"
        ));
    }
    let inputs = match input::read(&args.files) {
        Ok(inputs) => inputs,
        Err(outcome) => return outcome,
    };
    let profiles: Vec<&str> = args.profile.iter().map(String::as_str).collect();
    let now = jiff::Timestamp::now().to_string();
    let demand = Demand { profiles: &profiles, now: Some(&now) };
    let mut result = Outcome::Good;
    for input in inputs {
        let outcome = validator.validate_for(&input.bytes, &demand);
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
