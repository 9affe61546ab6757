//! `audit`: every record of every topic to the WORM store, exactly once.
//!
//! It parses no payload. The store decides where each partition goes on; Kafka's committed offset is a hint.

mod archive;
mod config;

pub use config::{Config, StoreKind, Worm};

use service::{Failure, Process};

/// Name of the service.
pub const NAME: &str = "audit";

/// Runs until the shutdown, then seals what is open.
///
/// # Errors
/// A store that cannot hold a WORM log, for instance a bucket without Object Lock; the text names what is wrong.
pub fn run(config: Config, process: &Process) -> Result<(), Failure> {
    archive::Archive::open(&config, process)?.run(&process.shutdown)
}
