//! Converts HL7 v2 files to FHIR bundles on standard output, and what was not mapped to standard error.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line example")]

use wardstream_v2_to_fhir::{Options, convert};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        let message = hl7v2::Message::parse(&bytes)?;
        match convert(&message, &Options::default()) {
            Ok(conversion) => {
                println!("{}", serde_json::to_string_pretty(&conversion.bundle)?);
                for field in conversion.unmapped {
                    eprintln!(
                        "{path}: {}[{}] {} {:?}",
                        field.segment, field.occurrence, field.path, field.reason
                    );
                }
            }
            Err(error) => eprintln!("{path}: {} {error}", error.code()),
        }
    }
    Ok(())
}
