//! `classify`: from `fhir.deidentified` to `triage.classified`: how urgent an event is, and whose.
//!
//! Opens no socket but Kafka's, the registry's and telemetry's. The model sees no identifier.

mod config;
mod stage;

use std::sync::Arc;

pub use config::Config;
use inference::Models;
use service::{Failure, Process};
pub use stage::Classify;
use stream::Needs;

/// Name of the service.
pub const NAME: &str = "classify";

/// Runs until the shutdown.
///
/// # Errors
/// A model that cannot be loaded, and what a wait cannot mend.
pub fn run(config: Config, process: &Process) -> Result<(), Failure> {
    let models = Arc::new(config.models.load()?);
    run_with(config, models, process)
}

/// Runs until the shutdown, with models that are loaded already.
///
/// # Errors
/// What a wait cannot mend.
pub fn run_with(config: Config, models: Arc<Models>, process: &Process) -> Result<(), Failure> {
    let runtime = process.stage(NAME, &config.registry)?;
    let stage = Classify::new(runtime.codec.clone(), models);
    let needs = Needs { stage: NAME, inputs: &["fhir.deidentified"], outputs: &["triage.classified"] };
    process.wait_until_fit(&config.kafka, &needs, &runtime.observer)?;
    Ok(stream::run(stage, needs.inputs, &config.kafka, &runtime)?)
}
