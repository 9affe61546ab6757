//! `redact`: from `fhir.validated` to `fhir.deidentified`, with who a pseudonym is, sealed, in `identity.vault`.
//!
//! Opens no socket but Kafka's, the registry's, telemetry's and, where one is configured, the key service's; a token
//! classifier that it runs is a file. What still looks like an identifier afterwards is a dead letter, never an output.

mod config;
mod keys;
mod model;
mod stage;

pub use config::{Config, Deid, LocalFormat, Model, Unreadable};
pub use keys::{AwsKms, Keeper, KeyService, Transit};
pub use stage::Redact;

use service::{Failure, Process};
use stream::Needs;

/// Name of the service.
pub const NAME: &str = "redact";

/// Runs until the shutdown.
///
/// # Errors
/// A model that cannot be loaded, and what a wait cannot mend.
pub fn run(config: Config, process: &Process) -> Result<(), Failure> {
    let runtime = process.stage(NAME, &config.registry)?;
    let stage = Redact::new(runtime.codec.clone(), &config, process.metrics.clone(), &process.runtime)?;
    let needs =
        Needs { stage: NAME, inputs: &["fhir.validated"], outputs: &["fhir.deidentified", "identity.vault"] };
    process.wait_until_fit(&config.kafka, &needs, &runtime.observer)?;
    Ok(stream::run(stage, needs.inputs, &config.kafka, &runtime)?)
}
