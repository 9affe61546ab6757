//! Validates files of FHIR JSON and prints what was found.
//!
//! ```text
//! cargo run -p wardstream-fhir --example validate -- patient.json bundle.json
//! cargo run -p wardstream-fhir --example validate -- --unchecked
//! ```
//!
//! `--unchecked` lists the invariants of R4 that are not evaluated.

use std::io::Write;

use wardstream_fhir::Validator;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let validator = Validator::r4();
    let mut valid = true;
    for argument in std::env::args().skip(1) {
        if argument == "--unchecked" {
            for rule in validator.unchecked_invariants() {
                writeln!(out, "{}\t{}", rule.key, rule.expression)?;
            }
            continue;
        }
        let outcome = validator.validate(&std::fs::read(&argument)?);
        valid &= outcome.is_valid();
        writeln!(out, "{argument}: {}", if outcome.is_valid() { "valid" } else { "invalid" })?;
        for issue in &outcome.issues {
            writeln!(out, "  {issue}")?;
        }
    }
    if valid { Ok(()) } else { Err(std::io::Error::other("a resource is invalid")) }
}
