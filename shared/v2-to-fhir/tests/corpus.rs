//! The test material named by `WARDSTREAM_CORPUS`: every message converts to a valid bundle.

mod check;

use std::path::PathBuf;

use wardstream_v2_to_fhir::{Options, convert, convert_to_text};

fn files() -> Option<Vec<PathBuf>> {
    let root = std::env::var_os("WARDSTREAM_CORPUS")?;
    let folder = PathBuf::from(root).join("corpus/hl7v2");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder corpus/hl7v2 can be read")
        .map(|entry| entry.expect("a folder entry can be read").path())
        .filter(|path| path.extension().is_some_and(|e| e == "hl7"))
        .collect();
    files.sort();
    Some(files)
}

#[test]
fn every_message_converts_to_a_sound_bundle() {
    let Some(files) = files() else {
        println!("skipped: WARDSTREAM_CORPUS is not set");
        return;
    };
    let mut failures = Vec::new();
    for path in &files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(path).expect("a corpus file can be read");
        let message = match hl7v2::Message::parse(&bytes) {
            Ok(message) => message,
            Err(error) => {
                failures.push(format!("{name}: {error}"));
                continue;
            }
        };
        match convert(&message, &Options::default()) {
            Ok(conversion) => {
                failures
                    .extend(check::defects(&conversion.bundle).into_iter().map(|d| format!("{name}: {d}")));
                failures
                    .extend(check::invalid(&conversion.bundle).into_iter().map(|d| format!("{name}: {d}")));
                let again = convert(&message, &Options::default()).expect("it did convert");
                if again != conversion {
                    failures.push(format!("{name}: two conversions differ"));
                }
                let text = convert_to_text(&message, &Options::default()).expect("it did convert").bundle;
                if serde_json::from_str::<serde_json::Value>(&text).ok() != Some(conversion.bundle) {
                    failures.push(format!("{name}: the text is not the bundle"));
                }
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    println!("{} messages", files.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(files.len() >= 50, "only {} messages", files.len());
}
