//! A stage that does nothing: what the runtime itself costs.

use service::{Failure, Process};
use stream::{Context, Fate, Incoming, Outgoing, Stage, Unavailable};

use crate::child::Options;

/// Name of the stage.
pub(crate) const NAME: &str = "pass-through";

struct PassThrough {
    output: String,
}

impl Stage for PassThrough {
    fn name(&self) -> &'static str {
        NAME
    }

    fn process(&self, record: &Incoming, _context: &Context) -> Result<Fate, Unavailable> {
        Ok(Fate::Emit(vec![Outgoing {
            topic: self.output.clone(),
            key: record.key.clone(),
            value: record.value.clone(),
            headers: Vec::new(),
        }]))
    }
}

/// Runs until the shutdown.
pub(crate) fn run(options: &Options, process: &Process) -> Result<(), Failure> {
    let registry = stream::RegistryConfig { url: options.registry.clone(), ..Default::default() };
    let runtime = process.stage(NAME, &registry)?;
    let stage = PassThrough { output: options.output.clone() };
    Ok(stream::run(stage, &[&options.input], &options.kafka(), &runtime)?)
}
