use std::path::PathBuf;

use deid::{Gazetteer, Kind, Layer, RedactedBundle, Redactor, Report};
use serde_json::{Value, json};
use settings::Secret;

use crate::convert::{Zone, each_message};
use crate::input::{self, From, Input};
use crate::models::Folder;
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
    /// Counts by kind, what was done and layer instead of the results, for a compliance report: a table, or `--report=json`.
    #[arg(long, value_name = "FORM", num_args = 0..=1, require_equals = true, default_missing_value = "table", conflicts_with_all = ["explain", "ndjson"])]
    report: Option<Form>,
    /// Read lines `{"id": …, "text": …}` and answer each with `{"id", "text", "spans"}`; with `--from text`.
    #[arg(long)]
    ndjson: bool,
    /// Use the rules alone, without the token classifier behind them.
    #[arg(long)]
    no_model: bool,
    #[command(flatten)]
    models: Folder,
    #[command(flatten)]
    zone: Zone,
}

/// What a report looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Table,
    Json,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if args.ndjson && args.from != From::Text {
        return usage("--ndjson goes with --from text");
    }
    let models = (!args.no_model).then_some(&args.models);
    let redactor = match redactor(args.from != From::Text, models) {
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
    let mut out = Results::new(args);
    let outcome = match args.from {
        From::Text => texts(&inputs, &redactor, &mut out),
        From::Fhir => {
            let mut outcome = Outcome::Good;
            for input in &inputs {
                let redacted = serde_json::from_slice(&input.bytes)
                    .map_err(|error| format!("not JSON: line {} column {}", error.line(), error.column()))
                    .and_then(|bundle| bundle_of(&redactor, &bundle));
                outcome = outcome.max(out.bundle(&input.name, redacted));
            }
            outcome
        }
        From::Hl7 => {
            let options = match args.zone.options() {
                Ok(options) => options,
                Err(outcome) => return outcome,
            };
            let mut rejected = Outcome::Good;
            let outcome = each_message(&inputs, &options, |name, conversion| {
                let redacted = bundle_of(&redactor, &conversion.bundle);
                rejected = rejected.max(out.bundle(name, redacted));
            });
            outcome.max(rejected)
        }
    };
    out.print();
    outcome
}

/// What goes to standard output.
struct Results {
    explain: bool,
    report: Option<Form>,
    counts: Report,
    documents: Vec<Value>,
    released: u64,
    refused: u64,
}

impl Results {
    fn new(args: &Args) -> Self {
        Self {
            explain: args.explain,
            report: args.report,
            counts: Report::default(),
            documents: Vec::new(),
            released: 0,
            refused: 0,
        }
    }

    fn bundle(&mut self, name: &str, redacted: Result<RedactedBundle, String>) -> Outcome {
        match redacted {
            Ok(redacted) => {
                self.released += 1;
                self.counts.add(&redacted.report);
                if self.report.is_none() {
                    self.documents.push(shown(redacted, self.explain));
                }
                Outcome::Good
            }
            Err(reason) => self.refuse(name, &reason),
        }
    }

    fn refuse(&mut self, name: &str, reason: &str) -> Outcome {
        self.refused += 1;
        complain(format_args!("{name}: {reason}"));
        Outcome::Rejected
    }

    fn print(self) {
        match self.report {
            Some(Form::Json) => documents(&[self.as_json()]),
            Some(Form::Table) => line(self.table().trim_end()),
            None => documents(&self.documents),
        }
    }

    fn as_json(&self) -> Value {
        let lines: Vec<Value> = self
            .counts
            .lines()
            .map(|(line, count)| {
                let letter = line.kind.letter().to_string();
                json!({"kind": line.kind, "letter": letter, "action": line.action, "layer": line.layer, "count": count})
            })
            .collect();
        let withheld: serde_json::Map<String, Value> = self
            .counts
            .withheld()
            .map(|(reason, count)| (reason.as_str().to_owned(), json!(count)))
            .collect();
        json!({
            "standard": "45 CFR 164.514(b)(2)(i)",
            "released": self.released,
            "refused": self.refused,
            "identifiers": self.counts.by_kind().values().sum::<u32>(),
            "lines": lines,
            "withheld": withheld,
        })
    }

    fn table(&self) -> String {
        let mut rows = vec![["letter", "kind", "what was done", "found by", "count"].map(str::to_owned)];
        for (line, count) in self.counts.lines() {
            let found = line.layer.map_or("policy", Layer::as_str);
            rows.push([
                format!("({})", line.kind.letter()),
                line.kind.as_str().to_owned(),
                line.action.as_str().to_owned(),
                found.to_owned(),
                count.to_string(),
            ]);
        }
        let mut table = format!(
            "Identifiers by the list of 45 CFR 164.514(b)(2)(i): {} in {} released, {} refused\n\n",
            self.counts.by_kind().values().sum::<u32>(),
            self.released,
            self.refused
        );
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2), width(3), width(4)];
        for [letter, kind, action, found, count] in &rows {
            let [a, b, c, d, e] = widths;
            table.push_str(&format!("{letter:a$}  {kind:b$}  {action:c$}  {found:d$}  {count:>e$}\n"));
        }
        for (reason, count) in self.counts.withheld() {
            table.push_str(&format!("\nwithheld, {reason}: {count}"));
        }
        table
    }
}

/// The redactor of the service, with its settings from the environment (`WARDSTREAM_DEID__KEY` and so on). Without
/// keys it makes some: pseudonyms then hold for this run only. `models` has the token classifier's folder where no setting
/// names one; without it, or where the classifier is not there, the rules are alone.
pub(crate) fn redactor(pseudonyms: bool, models: Option<&Folder>) -> Result<Redactor, Outcome> {
    let file = std::env::var_os("WARDSTREAM_CONFIG").map(PathBuf::from);
    // The variable of `--models`, which would else be taken for the section of that name.
    let environment = std::env::vars_os().filter(|(name, _)| name != "WARDSTREAM_MODELS");
    let mut config: redact::Config = settings::load_from(file.as_deref(), environment)
        .map_err(|error| usage(format_args!("[{}] {error}", error.code())))?;
    if config.deid.key.is_empty() {
        if pseudonyms {
            complain(
                "note: pseudonyms and shifted dates hold for this run only; set WARDSTREAM_DEID__KEY to keep them",
            );
        }
        config.deid.key = ephemeral();
    }
    if config.models.folder == redact::Model::default().folder
        && let Some(models) = models
    {
        config.models.folder = models.classifier();
    }
    if models.is_none() {
        config.models.enabled = false;
    } else if config.models.enabled && !config.models.is_there() {
        complain(format_args!(
            "note: rules alone, without the token classifier: {} is not complete; deploy/local/models/fetch.sh fetches it",
            config.models.folder.display()
        ));
        config.models.enabled = false;
    }
    let refuse = |error: settings::Error| usage(format_args!("[{}] {error}", error.code()));
    let model = config.models.load().map_err(refuse)?;
    // What a pseudonym stands for is not kept here.
    config.deid.redactor(None, model).map_err(refuse)
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

fn texts(inputs: &[Input], redactor: &Redactor, out: &mut Results) -> Outcome {
    let mut outcome = Outcome::Good;
    for input in inputs {
        let Ok(text) = std::str::from_utf8(&input.bytes) else {
            outcome = out.refuse(&input.name, "not UTF-8 text; convert it first");
            continue;
        };
        out.released += 1;
        if out.explain {
            out.documents.push(explained(redactor, text));
            continue;
        }
        let redacted = redactor.redact_text(text, &Gazetteer::default());
        match (out.report, redacted.withheld) {
            (None, _) => line(redacted.text.trim_end_matches('\n')),
            (Some(_), Some(reason)) => out.counts.withhold(Kind::Other, reason),
            (Some(_), None) => redacted.spans.iter().for_each(|span| out.counts.span(span.kind, span.layer)),
        }
    }
    outcome
}
