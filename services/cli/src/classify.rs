use crate::models::{self, each_document};
use crate::output::Outcome;

/// What `classify` takes.
pub(crate) type Args = models::Args;

pub(crate) fn run(args: &Args) -> Outcome {
    each_document(args, |models, document| {
        let judged = models.classify(document).map_err(|error| format!("{}: {error}", error.code()))?;
        serde_json::to_value(judged).map_err(|error| error.to_string())
    })
}
