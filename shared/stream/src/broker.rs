//! What the owner's state asks of Kafka, so that a simulated broker can answer as well. Pure.

use std::sync::Arc;

use crate::lineage::Guard;
use crate::outcome::Output;

/// A partition of an input topic.
pub(crate) type Key = (Arc<str>, i32);

/// How a transaction ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Outputs and offsets are there.
    Committed,
    /// Neither is there. The results at hand can be committed by another transaction.
    Aborted(Trouble),
    /// Nobody knows. The producer is of no more use: a new one fences it, and the committed offsets tell.
    Unknown(Trouble),
}

/// Why something did not work.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// In Kafka's words; no content of a record.
    pub(crate) detail: String,
    /// Kafka will say no again: an authorisation is missing, the broker is too old.
    pub(crate) refused: bool,
}

/// A position to commit: the next offset to read, and what travels in its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) key: Key,
    pub(crate) next_offset: i64,
    pub(crate) metadata: String,
}

/// What a committed offset says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Committed {
    /// None where nothing was committed yet.
    pub(crate) next_offset: Option<i64>,
    pub(crate) guard: Guard,
    /// How many instances died at this offset.
    pub(crate) deaths: u32,
}

/// The calls block, for seconds at most while the broker is away.
pub(crate) trait Broker {
    /// Makes a producer that fences its predecessor, if there is none.
    fn open(&mut self) -> Result<(), Trouble>;

    /// Writes the outputs and commits the positions, all or nothing.
    fn commit(&mut self, outputs: &[Output<'_>], positions: &[Position]) -> End;

    /// Drops the producer, whose last transaction ended nobody knows how.
    fn abandon(&mut self);

    /// What is committed, in the order of `keys`.
    fn committed(&mut self, keys: &[Key]) -> Result<Vec<Committed>, Trouble>;
}
