//! Topics as types: names, keys, Avro records, retention and ids.
//!
//! A service depends on the contracts of the topics it reads and writes, never on the service at the other end.
//! The Avro schemas are the files of `/schemas`, embedded here; a test holds each Rust type against its schema,
//! and another holds each schema against every version of it that was released before.

mod events;
mod ids;
mod records;
mod topics;

pub use events::{
    FhirDeidentified, FhirReceived, FhirValidated, Label, Sentence, SourceSpan, SpecialtyLabel,
    TriageClassified, TriageSummarized,
};
pub use ids::EventId;
pub use records::{
    AccessEvent, AuditManifest, DeadLetter, Dropped, Header, IdentityVault, NotificationAcknowledged,
    NotificationDigest, NotificationHeld, NotificationLedger, NotificationOpen, NotificationSent, Replayed,
};
pub use topics::{
    ACCESS_EVENTS, DEAD_LETTER_SUFFIX, PARKED_SUFFIX, REPLAYED, Record, Retention, STAGES, Topic,
    dead_letter_topic, inputs, parked_topic, subjects, topics,
};

/// Names of the record headers that the line writes. Values are ASCII and never carry an identifier.
pub mod headers {
    /// Topic of the input that a record was made from.
    pub const SOURCE_TOPIC: &str = "ws-source-topic";
    /// Partition of that input.
    pub const SOURCE_PARTITION: &str = "ws-source-partition";
    /// Offset of that input.
    pub const SOURCE_OFFSET: &str = "ws-source-offset";
    /// Timestamp of that input, milliseconds since the epoch.
    pub const SOURCE_TIMESTAMP: &str = "ws-source-timestamp";
    /// 0-based position of the record among the outputs of that input.
    pub const OUTPUT_INDEX: &str = "ws-output-index";
    /// UUID of the event.
    pub const EVENT_ID: &str = "ws-event-id";
    /// Milliseconds since the epoch at which the feed's record was written to Kafka.
    pub const RECEIVED_AT: &str = "ws-received-at";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// Error code of a dead letter.
    pub const ERROR_CODE: &str = "ws-error-code";
    /// Topic of the dead letter or parked record that a record was replayed from. Such a record has no source
    /// headers: it begins anew at the position where it was written, out of its former order.
    pub const REPLAY_TOPIC: &str = "ws-replay-topic";
    /// Partition of that letter.
    pub const REPLAY_PARTITION: &str = "ws-replay-partition";
    /// Offset of that letter.
    pub const REPLAY_OFFSET: &str = "ws-replay-offset";
    /// The key of this record is no longer parked, if as many of its records are parked as this says. It is written
    /// behind their replay; when more were parked meanwhile the stage drops it, and they have to be replayed first.
    pub const RELEASE: &str = "ws-release";
    /// What was true of a record where it lay and is not where a replay writes it: its lineage, an earlier replay, a release.
    pub const NOT_REPLAYED: [&str; 9] = [
        SOURCE_TOPIC,
        SOURCE_PARTITION,
        SOURCE_OFFSET,
        SOURCE_TIMESTAMP,
        OUTPUT_INDEX,
        REPLAY_TOPIC,
        REPLAY_PARTITION,
        REPLAY_OFFSET,
        RELEASE,
    ];
}
