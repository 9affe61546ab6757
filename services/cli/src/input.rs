//! What a one-shot command reads.

use std::io::{self, BufRead, Read};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::output::{Outcome, complain, line, usage};

/// One input: its name for messages and `id`, and its bytes.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// Reads the files, or standard input when there are none or one is `-`.
///
/// # Errors
/// Says which file cannot be read, before anything is written.
pub(crate) fn read(files: &[PathBuf]) -> Result<Vec<Input>, Outcome> {
    let standard = [PathBuf::from("-")];
    let files = if files.is_empty() { &standard[..] } else { files };
    files
        .iter()
        .map(|path| {
            let name = path.display().to_string();
            let bytes = if name == "-" {
                let mut bytes = Vec::new();
                io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
            } else {
                std::fs::read(path)
            };
            match bytes {
                Ok(bytes) => Ok(Input { name, bytes }),
                Err(error) => Err(usage(format_args!("cannot read {name}: {error}"))),
            }
        })
        .collect()
}

/// Answers each line `{"id": …, "text": …}` of the inputs with a line. A line that is not of that form is answered
/// with `{"id": …, "error": …}`, and the others go on.
pub(crate) fn ndjson(files: &[PathBuf], answer: impl Fn(&str) -> Result<Value, String>) -> Outcome {
    let mut outcome = Outcome::Good;
    let mut each = |number: usize, text: &str| {
        if text.trim().is_empty() {
            return;
        }
        let (id, result) = match serde_json::from_str::<Value>(text) {
            Ok(record) => {
                let id = record.get("id").cloned().unwrap_or(Value::Null);
                match record.get("text").and_then(Value::as_str) {
                    Some(text) => (id, answer(text)),
                    None => (id, Err("the line has no member `text` that is a string".to_owned())),
                }
            }
            Err(error) => (Value::Null, Err(format!("line {number} is not JSON: column {}", error.column()))),
        };
        let mut record = json!({ "id": id });
        match result {
            Ok(Value::Object(members)) => members.into_iter().for_each(|(name, value)| record[name] = value),
            Ok(value) => record["value"] = value,
            Err(reason) => {
                outcome = Outcome::Rejected;
                record["error"] = Value::String(reason);
            }
        }
        line(record);
    };
    if files.is_empty() || files == [PathBuf::from("-")] {
        // As a filter in a pipe: an answer a line, at once.
        for (number, text) in io::stdin().lock().lines().enumerate() {
            match text {
                Ok(text) => each(number + 1, &text),
                Err(error) => {
                    complain(format_args!("standard input: {error}"));
                    return Outcome::Rejected;
                }
            }
        }
        return outcome;
    }
    let inputs = match read(files) {
        Ok(inputs) => inputs,
        Err(outcome) => return outcome,
    };
    for input in inputs {
        for (number, text) in String::from_utf8_lossy(&input.bytes).lines().enumerate() {
            each(number + 1, text);
        }
    }
    outcome
}

/// The kind of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum From {
    /// Plain text, UTF-8.
    Text,
    /// A FHIR R4 resource or bundle, JSON.
    Fhir,
    /// HL7 v2, one message or a batch.
    Hl7,
}
