//! `validate`: from `fhir.received` to `fhir.validated`, or to `validate.dead-letter` with the OperationOutcome.

mod config;
mod stage;

pub use config::{Config, Profiles};
pub use stage::Validate;

use service::{Failure, Process};
use stream::Needs;

/// Name of the service.
pub const NAME: &str = "validate";

/// Runs until the shutdown.
///
/// # Errors
/// What a wait cannot mend.
pub fn run(config: Config, process: &Process) -> Result<(), Failure> {
    let runtime = process.stage(NAME, &config.registry)?;
    let stage = Validate::new(runtime.codec.clone(), config.validate)?;
    let needs = Needs { stage: NAME, inputs: &["fhir.received"], outputs: &["fhir.validated"] };
    process.wait_until_fit(&config.kafka, &needs, &runtime.observer)?;
    Ok(stream::run(stage, needs.inputs, &config.kafka, &runtime)?)
}
