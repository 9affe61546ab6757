//! Every message of the corpus is read, with each kind of line end. The corpus is not part of the tree:
//! `WARDSTREAM_CORPUS` names its folder.

use std::error::Error;
use std::fs;
use std::path::Path;

use wardstream_hl7v2 as hl7v2;

#[test]
fn the_corpus_is_read() -> Result<(), Box<dyn Error>> {
    let Some(root) = std::env::var_os("WARDSTREAM_CORPUS") else {
        println!("skipped: WARDSTREAM_CORPUS is not set");
        return Ok(());
    };
    let mut files = 0;
    for entry in fs::read_dir(Path::new(&root).join("corpus/hl7v2"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|e| e != "hl7") {
            continue;
        }
        files += 1;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = String::from_utf8(fs::read(&path)?)?.replace("\r\n", "\n").replace('\r', "\n");
        let expected: Vec<&str> = text
            .trim_start_matches('\u{FEFF}')
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| line.split('|').next().unwrap_or_default())
            .collect();
        for end in ["\n", "\r", "\r\n"] {
            let bytes = text.replace('\n', end);
            let found: Vec<_> = hl7v2::batch::messages(bytes.as_bytes()).collect();
            assert_eq!(found.len(), 1, "{name}");
            let message = hl7v2::Message::parse(bytes.as_bytes()).map_err(|e| format!("{name}: {e}"))?;
            let names: Vec<_> = message.segments().map(|s| s.name()).collect();
            assert_eq!(names, expected, "{name}");
            // Fields are those that a plain split finds.
            for segment in message.segments() {
                let line = String::from_utf8_lossy(segment.raw()).into_owned();
                for (position, expected) in line.split('|').enumerate().skip(1) {
                    let n = if segment.name() == "MSH" { position + 1 } else { position };
                    assert_eq!(segment.field(n).raw(), expected.as_bytes(), "{name}: {}-{n}", segment.name());
                }
            }
            assert!(!message.message_code().is_empty() && !message.control_id().is_empty(), "{name}");
        }
    }
    assert!(files >= 60, "{files} files");
    Ok(())
}
