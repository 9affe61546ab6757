//! `audit`: every record of every topic to the WORM store, exactly once.
//!
//! It parses no payload. The store decides where each partition goes on; Kafka's committed offset is a hint. Each sealed
//! segment is announced in `audit.manifests`, and the instance that holds that topic's partition puts the manifests in a Merkle
//! log under signed checkpoints.

mod archive;
mod checkpoints;
mod config;

pub use config::{Config, MerkleLog, StoreKind, Worm};

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
