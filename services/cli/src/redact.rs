use std::path::PathBuf;

use deid::{Gazetteer, RedactedBundle, Redactor};
use serde_json::{Value, json};
use settings::Secret;

use crate::convert::{Zone, each_message};
use crate::input::{self, From, Input};
use crate::output::{Outcome, complain, documents, line, usage};

/// What `redact` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files; `-` or none reads standard input.
    files: Vec<PathBuf>,
    /// What the files hold.
    #[arg(long)]
    from: From,
    /// Add what was found: kind, layer, score and place of each identifier.
    #[arg(long)]
    explain: bool,
    /// Read lines `{"id": …, "text": …}` and answer each with `{"id", "text", "spans"}`; with `--from text`.
    #[arg(long)]
    ndjson: bool,
    #[command(flatten)]
    zone: Zone,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if args.ndjson && args.from != From::Text {
        return usage("--ndjson goes with --from text");
    }
    let redactor = match redactor(args.from != From::Text) {
        Ok(redactor) => redactor,
        Err(outcome) => return outcome,
    };
    if args.ndjson {
        return input::ndjson(&args.files, |text| Ok(explained(&redactor, text)));
    }
    let inputs = match input::read(&args.files) {
        Ok(inputs) => inputs,
        Err(outcome) => return outcome,
    };
    match args.from {
        From::Text => texts(&inputs, &redactor, args.explain),
        From::Fhir => {
            let mut outcome = Outcome::Good;
            let mut out = Vec::new();
            for input in &inputs {
                let redacted = serde_json::from_slice(&input.bytes)
                    .map_err(|error| format!("not JSON: line {} column {}", error.line(), error.column()))
                    .and_then(|bundle| bundle_of(&redactor, &bundle));
                match redacted {
                    Ok(redacted) => out.push(shown(redacted, args.explain)),
                    Err(reason) => {
                        complain(format_args!("{}: {reason}", input.name));
                        outcome = Outcome::Rejected;
                    }
                }
            }
            documents(&out);
            outcome
        }
        From::Hl7 => {
            let options = match args.zone.options() {
                Ok(options) => options,
                Err(outcome) => return outcome,
            };
            let mut out = Vec::new();
            let mut rejected = Outcome::Good;
            let outcome = each_message(&inputs, &options, |name, conversion| {
                match bundle_of(&redactor, &conversion.bundle) {
                    Ok(redacted) => out.push(shown(redacted, args.explain)),
                    Err(reason) => {
                        complain(format_args!("{name}: {reason}"));
                        rejected = Outcome::Rejected;
                    }
                }
            });
            documents(&out);
            outcome.max(rejected)
        }
    }
}

/// The redactor of the service, with its settings from the environment (`WARDSTREAM_DEID__KEY` and so on). Without
/// keys it makes some: pseudonyms then hold for this run only.
pub(crate) fn redactor(pseudonyms: bool) -> Result<Redactor, Outcome> {
    let args = settings::Args {
        config: std::env::var_os("WARDSTREAM_CONFIG").map(PathBuf::from),
        ..Default::default()
    };
    let mut config: redact::Config =
        settings::load(&args).map_err(|error| usage(format_args!("[{}] {error}", error.code())))?;
    if config.deid.key.is_empty() {
        if pseudonyms {
            complain(
                "note: pseudonyms and shifted dates hold for this run only; set WARDSTREAM_DEID__KEY to keep them",
            );
        }
        config.deid.key = ephemeral();
    }
    if config.deid.vault_key.is_empty() {
        config.deid.vault_key = ephemeral();
    }
    config.deid.redactor().map_err(|error| usage(format_args!("[{}] {error}", error.code())))
}

fn ephemeral() -> Secret {
    Secret::new(format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple()))
}

/// A bundle as `redact` leaves it.
///
/// # Errors
/// Code, place and reason.
pub(crate) fn bundle_of(redactor: &Redactor, bundle: &Value) -> Result<RedactedBundle, String> {
    redactor.redact_bundle(bundle).map_err(|error| format!("{}: {error}", error.code()))
}

fn shown(redacted: RedactedBundle, explain: bool) -> Value {
    if !explain {
        return redacted.bundle;
    }
    let counts: serde_json::Map<String, Value> =
        redacted.counts.iter().map(|(kind, count)| (kind.as_str().to_owned(), json!(count))).collect();
    json!({
        "bundle": redacted.bundle,
        "pseudonym": redacted.pseudonym,
        "counts": counts,
        "spans": redacted.spans,
    })
}

fn explained(redactor: &Redactor, text: &str) -> Value {
    let redacted = redactor.redact_text(text, &Gazetteer::default());
    json!({ "text": redacted.text, "spans": redacted.spans })
}

fn texts(inputs: &[Input], redactor: &Redactor, explain: bool) -> Outcome {
    let mut outcome = Outcome::Good;
    let mut out = Vec::new();
    for input in inputs {
        let Ok(text) = std::str::from_utf8(&input.bytes) else {
            complain(format_args!("{}: not UTF-8 text; convert it first", input.name));
            outcome = Outcome::Rejected;
            continue;
        };
        if explain {
            out.push(explained(redactor, text));
        } else {
            line(redactor.redact_text(text, &Gazetteer::default()).text.trim_end_matches('\n'));
        }
    }
    if explain {
        documents(&out);
    }
    outcome
}
