//! `ingest`: from `hl7.raw` and every feed's own topic to `fhir.received`.
//!
//! | module | what it is |
//! | --- | --- |
//! | `stage` | parses HL7 v2, converts it to a FHIR bundle |
//! | `window` | recognises a retransmission |
//! | `door` | MLLP: a sender is answered AA only after Kafka has acknowledged its message |

mod config;
mod door;
mod stage;
mod window;

pub use config::{Config, Ingest as IngestConfig, Mllp};
pub use stage::Ingest;

use service::{Failure, Process};
use stream::{Publisher, Table};

/// Name of the service.
pub const NAME: &str = "ingest";

/// Runs until the shutdown: the stage on this thread, the door beside it.
///
/// # Errors
/// What a wait cannot mend.
pub fn run(config: Config, process: &Process) -> Result<(), Failure> {
    let runtime = process.stage(NAME, &config.registry)?;
    let door = match config.ingest.mllp.listen {
        None => None,
        Some(listen) => {
            let publisher = Publisher::new("mllp", &config.kafka, process.runtime.clone())?;
            let door = door::Door::open(listen, publisher, config.ingest.mllp.clone(), process)?;
            Some(process.runtime.spawn(door.serve(process.shutdown.clone())))
        }
    };
    let window = config.ingest.dedup_window.get();
    let recent = Table::new("fhir.received", Some(window), &config.kafka)?;
    let stage = Ingest::new(runtime.codec.clone(), &config.ingest, recent, process.metrics.clone())?;
    let topics: Vec<&str> = config.ingest.topics.iter().map(String::as_str).collect();
    let result = stream::run(stage, &topics, &config.kafka, &runtime);
    if let Some(door) = door {
        process.runtime.block_on(door)?;
    }
    Ok(result?)
}
