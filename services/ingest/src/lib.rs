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
use stream::{Needs, Publisher, Table};

/// Name of the service.
pub const NAME: &str = "ingest";

/// Runs until the shutdown: the stage on this thread, the door beside it.
///
/// # Errors
/// What a wait cannot mend.
pub fn run(config: Config, process: &Process) -> Result<(), Failure> {
    let runtime = process.stage(NAME, &config.registry)?;
    // The door also closes when the stage cannot go on.
    let closing = process.shutdown.child_token();
    let door = match config.ingest.mllp.listen {
        None => None,
        Some(listen) => {
            let publisher = Publisher::new("mllp", &config.kafka, process.runtime.clone())?;
            let door = door::Door::open(listen, publisher, config.ingest.mllp.clone(), process)?;
            Some(process.runtime.spawn(door.serve(closing.clone())))
        }
    };
    let window = config.ingest.dedup_window.get();
    let recent = Table::new("fhir.received", Some(window), &config.kafka)?.impatient();
    let stage = Ingest::new(runtime.codec.clone(), &config.ingest, Some(recent), process.metrics.clone())?;
    let topics: Vec<&str> = config.ingest.topics.iter().map(String::as_str).collect();
    // What was received lately is read to recognise a retransmission.
    let inputs: Vec<&str> = topics.iter().copied().chain(["fhir.received"]).collect();
    let published = config.ingest.mllp.listen.map(|_| config.ingest.mllp.topic.as_str());
    let outputs: Vec<&str> = published.into_iter().chain(["fhir.received"]).collect();
    let needs = Needs { stage: NAME, inputs: &inputs, outputs: &outputs };
    let result = process
        .wait_until_fit(&config.kafka, &needs, &runtime.observer)
        .and_then(|()| Ok(stream::run(stage, &topics, &config.kafka, &runtime)?));
    closing.cancel();
    if let Some(door) = door {
        process.runtime.block_on(door)?;
    }
    result
}
