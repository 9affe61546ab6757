use contracts::EventId;

use crate::{Incoming, Outgoing};

/// What becomes of an input. Each has exactly one, and it commits together with the input's offset.
#[derive(Clone, Debug)]
pub enum Fate {
    /// These records, in this order.
    Emit(Vec<Outgoing>),
    /// The input cannot be processed, now or ever: it goes to `<stage>.dead-letter` with its original bytes.
    DeadLetter(Reject),
    /// The input's key keeps failing: it goes to `<stage>.parked` with its original bytes, and so does every later
    /// record of that key in its partition until the key is released. The other keys flow on.
    Park(Reject),
    /// The input needs no further processing, for this reason (a stable word, a metric label). A record of
    /// `line.dropped` keeps the fact.
    Drop(&'static str),
}

/// Why an input was rejected. Carries no content of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Stable error code, a page of `docs/errors`.
    pub code: String,
    /// What is wrong and what to do, in words.
    pub reason: String,
    /// Segment, field and offset, or a FHIRPath.
    pub location: Option<String>,
    /// OperationOutcome, JSON.
    pub outcome: Option<String>,
}

impl Reject {
    /// A reject with a code and a reason.
    #[must_use]
    pub fn new(code: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { code: code.into(), reason: reason.into(), location: None, outcome: None }
    }

    /// With the place in the input.
    #[must_use]
    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }
}

impl From<Reject> for Fate {
    fn from(reject: Reject) -> Self {
        Self::DeadLetter(reject)
    }
}

/// A dependency is down. The record is tried again in place, with backoff, until it is back: nothing is lost, the
/// order is kept, and lag shows.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{dependency} is unavailable: {detail}")]
pub struct Unavailable {
    /// The dependency, a metric label: `schema-registry`, `smtp`.
    pub dependency: &'static str,
    /// What happened, without content of a record.
    pub detail: String,
}

/// What the runtime knows about the input beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The event.
    pub event_id: EventId,
    /// When the feed's record was written to Kafka, milliseconds since the epoch.
    pub received_at_ms: i64,
    /// The wall clock when processing began, milliseconds since the epoch.
    pub now_ms: i64,
    /// How often this record was tried before.
    pub attempt: u32,
}

/// One stage of the line: from a record to its fate.
///
/// `process` runs on a worker thread, in parallel across keys and in order within a key. It must give the same fate
/// for the same record, since a transaction that fails is run again with the results at hand, and a record that was
/// not committed is read again by another instance.
pub trait Stage: Send + Sync + 'static {
    /// Name of the stage: its consumer group, its metric label, its dead-letter topic.
    fn name(&self) -> &'static str;

    /// Decides the input's fate.
    ///
    /// # Errors
    /// [`Unavailable`] when something the stage needs is down; the record is tried again.
    fn process(&self, record: &Incoming, context: &Context) -> Result<Fate, Unavailable>;

    /// Called before the first record of newly assigned partitions, so that state kept in a topic can be caught up.
    ///
    /// # Errors
    /// [`Unavailable`] when that state cannot be read now; it is tried again.
    fn assigned(&self) -> Result<(), Unavailable> {
        Ok(())
    }
}
