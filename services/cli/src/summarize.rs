use inference::Budget;

use crate::models::{self, each_document};
use crate::output::Outcome;

/// What `summarize` takes.
pub(crate) type Args = models::Args;

pub(crate) fn run(args: &Args) -> Outcome {
    each_document(args, |models, document| {
        let summary = models
            .summarize(document, Budget::default())
            .map_err(|error| format!("{}: {error}", error.code()))?;
        serde_json::to_value(summary).map_err(|error| error.to_string())
    })
}
