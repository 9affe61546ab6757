//! What a log holds, by its names alone.

use super::{VerifyOptions, plan};
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::keys::SegmentId;
use crate::prove;
use crate::report::Report;
use crate::store::Store;

/// What is held of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Kafka topic.
    pub topic: String,
    /// Kafka partition.
    pub partition: i32,
    /// First offset of the log.
    pub first_offset: i64,
    /// One past the last offset, by the last manifest; `None` if it cannot be read.
    pub next_offset: Option<i64>,
    /// Segments.
    pub segments: u64,
    /// Bytes of the segments.
    pub bytes: u64,
}

/// What a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// Partitions, in order of topic and number.
    pub partitions: Vec<Held>,
    /// The last checkpoint, if there is one that can be read; its signature is not verified.
    pub checkpoint: Option<Checkpoint>,
}

/// Lists what a log holds. Nothing is verified.
///
/// # Errors
/// Those of the store.
pub async fn inventory<S: Store>(store: &S) -> Result<Inventory, Error> {
    let mut partitions = Vec::new();
    for planned in plan::plan(store, &VerifyOptions::default(), &mut Report::empty()).await? {
        let (Some((first_offset, _)), Some((last, _))) = (planned.segments.first(), planned.segments.last())
        else {
            continue;
        };
        let id = SegmentId::new(&planned.topic, planned.partition, *last)?;
        let manifest = match prove::manifest(store, &id).await {
            Err(Error::Manifest { .. }) => None,
            manifest => manifest?,
        };
        partitions.push(Held {
            first_offset: *first_offset,
            next_offset: manifest.map(|manifest| manifest.next_offset),
            segments: planned.segments.len() as u64,
            bytes: planned.segments.iter().map(|(_, bytes)| bytes).sum(),
            topic: planned.topic,
            partition: planned.partition,
        });
    }
    let checkpoint = match prove::checkpoint(store, None).await {
        Err(Error::Checkpoint { .. }) => None,
        signed => signed?.map(|signed| signed.checkpoint().clone()),
    };
    Ok(Inventory { partitions, checkpoint })
}
