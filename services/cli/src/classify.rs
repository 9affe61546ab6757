use serde_json::Value;

use crate::models::{self, each_document};
use crate::output::Outcome;

/// What `classify` takes.
#[derive(Debug, clap::Args)]
// The flattened struct has a group of the same name.
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    documents: models::Args,
    /// Say why, for a person to read: what each layer found, the sentences that weigh most, thresholds.
    #[arg(long, conflicts_with = "ndjson")]
    explain: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    if args.explain {
        return each_document(&args.documents, |models, document| {
            let why = models.explain(document).map_err(|error| format!("{}: {error}", error.code()))?;
            Ok(Value::String(why.to_string()))
        });
    }
    each_document(&args.documents, |models, document| {
        let judged = models.classify(document).map_err(|error| format!("{}: {error}", error.code()))?;
        serde_json::to_value(judged).map_err(|error| error.to_string())
    })
}
