//! Documents for the models, and the models.

use std::path::PathBuf;

use inference::{Document, Models};
use serde_json::{Value, json};

use crate::convert::{Zone, each_message};
use crate::input::{self, From};
use crate::output::{Outcome, complain, line, usage};
use crate::redact;

/// What the commands that run a model take.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files; `-` or none reads standard input.
    pub(crate) files: Vec<PathBuf>,
    /// What the files hold. HL7 v2 is converted and de-identified first, as in the line; text and FHIR are taken as
    /// they are.
    #[arg(long)]
    pub(crate) from: From,
    /// Read lines `{"id": …, "text": …}` and answer each with a line; with `--from text`.
    #[arg(long)]
    pub(crate) ndjson: bool,
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    zone: Zone,
}

/// Where models are.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Folder {
    /// Folder that holds the models' folders, `all-MiniLM-L6-v2` and `rampart`.
    #[arg(
        long = "models",
        value_name = "FOLDER",
        env = "WARDSTREAM_MODELS",
        default_value = ".cache/models"
    )]
    folder: PathBuf,
}

impl Folder {
    /// The encoder's folder.
    pub(crate) fn encoder(&self) -> PathBuf {
        self.folder.join("all-MiniLM-L6-v2")
    }

    /// The folder of the token classifier of `redact`.
    pub(crate) fn classifier(&self) -> PathBuf {
        self.folder.join("rampart")
    }

    pub(crate) fn load(&self) -> Result<Models, Outcome> {
        Models::load(&self.encoder())
            .map_err(|error| usage(format_args!("{}: {error}; {}", error.code(), error.help())))
    }
}

/// Answers each document with a line, `id` is the file's name or the line's `id`; or with a text, under that name.
pub(crate) fn each_document(args: &Args, answer: fn(&Models, &Document) -> Result<Value, String>) -> Outcome {
    if args.ndjson && args.from != From::Text {
        return usage("--ndjson goes with --from text");
    }
    let models = match args.folder.load() {
        Ok(models) => models,
        Err(outcome) => return outcome,
    };
    if args.ndjson {
        return input::ndjson(&args.files, |text| answer(&models, &Document::from_text(text)));
    }
    let inputs = match input::read(&args.files) {
        Ok(inputs) => inputs,
        Err(outcome) => return outcome,
    };
    let mut outcome = Outcome::Good;
    let mut give = |name: &str, document: Result<Document, String>| match document
        .and_then(|document| answer(&models, &document))
    {
        // What is for people is text; a line ahead says of what.
        Ok(Value::String(text)) => line(format_args!("{name}\n{text}\n")),
        Ok(value) => {
            let mut record = json!({ "id": name });
            if let Value::Object(members) = value {
                members.into_iter().for_each(|(name, value)| record[name] = value);
            }
            line(record);
        }
        Err(reason) => {
            complain(format_args!("{name}: {reason}"));
            outcome = Outcome::Rejected;
        }
    };
    match args.from {
        From::Text => {
            for input in &inputs {
                let text = std::str::from_utf8(&input.bytes);
                give(
                    &input.name,
                    text.map(Document::from_text).map_err(|_| "not UTF-8 text; convert it first".to_owned()),
                );
            }
        }
        From::Fhir => {
            for input in &inputs {
                let bundle = serde_json::from_slice::<Value>(&input.bytes)
                    .map_err(|error| format!("not JSON: line {} column {}", error.line(), error.column()));
                give(&input.name, bundle.map(|bundle| Document::from_bundle(&bundle)));
            }
        }
        From::Hl7 => {
            let (options, redactor) = match args
                .zone
                .options()
                .and_then(|zone| Ok((zone, redact::redactor(false, Some(&args.folder))?)))
            {
                Ok(both) => both,
                Err(outcome) => return outcome,
            };
            let rejected = each_message(&inputs, &options, |name, conversion| {
                let redacted = redact::bundle_of(&redactor, &conversion.bundle);
                give(name, redacted.map(|redacted| Document::from_bundle(&redacted.bundle)));
            });
            outcome = outcome.max(rejected);
        }
    }
    outcome
}
