//! Records beside the line: dead letters, drops, the vault, notifications, access events and the audit log's manifests.

use apache_avro::serde::{bytes, bytes_opt};
use serde::{Deserialize, Serialize};

/// `identity.vault`: who a pseudonym is, sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdentityVault {
    /// The patient's keyed pseudonym; the record's key too.
    pub pseudonym: String,
    /// Version of the key that made it.
    pub key_version: i32,
    /// The identity, encrypted.
    #[serde(with = "bytes")]
    pub sealed: Vec<u8>,
}

/// `notification.sent`: a notification that the channel's server accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotificationSent {
    /// UUID of the event.
    pub event_id: String,
    /// The facility's code or pseudonym.
    pub facility: String,
    /// MSH-9 as `CODE^TRIGGER`.
    pub message_type: String,
    /// When the feed's record was written to Kafka, milliseconds since the epoch.
    pub received_at: i64,
    /// UUID of the notification, the same after a replay.
    pub notification_id: String,
    /// `email`, `webhook` or `sms`.
    pub channel: String,
    /// Message-ID of the mail; otherwise the notification's id, which goes with it.
    pub message_id: String,
    /// Names of the routes.
    pub recipients: Vec<String>,
    /// `emergent`, `urgent` or `routine`.
    pub urgency: String,
    /// Clinical specialty.
    pub specialty: String,
    /// When the server accepted it, milliseconds since the epoch.
    pub sent_at: i64,
}

/// `notification.ledger`: what was sent already, so that it is not sent twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotificationLedger {
    /// UUID of the notification; the record's key too.
    pub notification_id: String,
    /// `sent`.
    pub state: String,
    /// Milliseconds since the epoch.
    pub at: i64,
}

/// `notification.open`: an event that somebody has to acknowledge, and how far its escalation is. A tombstone closes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotificationOpen {
    /// UUID of the event; the record's key too.
    pub event_id: String,
    /// The last step that was taken: 0 for the recipients of the routes, n for the n-th tier, above the number of tiers
    /// for a repetition of the last.
    pub step: i32,
    /// When it was opened, milliseconds since the epoch.
    pub opened_at: i64,
    /// When the next step is due, unless somebody acknowledges before; milliseconds since the epoch.
    pub due_at: i64,
    /// Every step was taken and nobody acknowledged in time.
    pub unanswered: bool,
    /// The record of `triage.summarized` as it was read, in the Confluent wire format.
    #[serde(with = "bytes")]
    pub event: Vec<u8>,
}

/// `notification.acknowledged`: somebody acknowledged an event by the link of a notification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotificationAcknowledged {
    /// UUID of the event; the record's key too.
    pub event_id: String,
    /// The step whose link was used: 0 for the recipients of the routes, n for the n-th tier.
    pub step: i32,
    /// Milliseconds since the epoch.
    pub acknowledged_at: i64,
}

/// `notification.held`: a notification that waits for its recipient's digest or the end of the quiet hours. The key is the
/// recipient's address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotificationHeld {
    /// UUID of the event.
    pub event_id: String,
    /// Name of the recipient in the routing table.
    pub recipient: String,
    /// When it is to be sent, with all others of the recipient; milliseconds since the epoch.
    pub due_at: i64,
    /// The record of `triage.summarized` as it was read, in the Confluent wire format.
    #[serde(with = "bytes")]
    pub event: Vec<u8>,
}

/// `notification.digest`: how far a recipient's held notifications were sent. The key is the recipient's address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotificationDigest {
    /// Offset in `notification.held` up to which everything of the recipient was sent; -1 before the first digest.
    pub told: i64,
    /// Last offset of the digest that is being sent.
    #[serde(default)]
    pub planned: Option<i64>,
    /// When the last one was sent, milliseconds since the epoch; 0 before the first.
    pub at: i64,
}

/// A record header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Name.
    pub name: String,
    /// Value, none for a header without one.
    #[serde(default, with = "bytes_opt")]
    pub value: Option<Vec<u8>>,
}

/// `<stage>.dead-letter`: an input that a stage could not process, with its original bytes. PHI.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The stage that rejected it.
    pub stage: String,
    /// Stable error code.
    pub code: String,
    /// What is wrong, without content of the message.
    pub reason: String,
    /// Segment, field and offset, or a FHIRPath.
    #[serde(default)]
    pub location: Option<String>,
    /// OperationOutcome, JSON.
    #[serde(default)]
    pub outcome: Option<String>,
    /// UUID of the event.
    pub event_id: String,
    /// Topic of the input.
    pub source_topic: String,
    /// Partition of the input.
    pub source_partition: i32,
    /// Offset of the input.
    pub source_offset: i64,
    /// Key of the input.
    #[serde(default, with = "bytes_opt")]
    pub key: Option<Vec<u8>>,
    /// Value of the input, byte for byte. None also when it was too large to carry: then the source position is the
    /// reference.
    #[serde(default, with = "bytes_opt")]
    pub value: Option<Vec<u8>>,
    /// Headers of the input.
    pub headers: Vec<Header>,
    /// How often it was tried.
    pub attempts: i32,
    /// Milliseconds since the epoch.
    pub failed_at: i64,
}

/// `dead-letters.replayed`: a dead letter or a parked record that went back to the topic it came from. The key is
/// `<topic>/<partition>/<offset>` of the letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replayed {
    /// Topic, partition and offset of the letter, as in the key.
    pub letter: String,
    /// UUID of the event.
    pub event_id: String,
    /// When it failed, as in the letter: a topic that was made anew counts its offsets from zero again.
    pub failed_at: i64,
    /// Topic that it went back to.
    pub source_topic: String,
    /// Milliseconds since the epoch.
    pub replayed_at: i64,
}

/// `access.events`: somebody reads or counts what the line keeps, has it shown without a mask, or changes a legal hold. The key is the
/// operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessEvent {
    /// UUID of the access; those of one run of a command share it.
    pub access_id: String,
    /// Milliseconds since the epoch.
    pub recorded_at: i64,
    /// `replay`, `unmask`, `explain`, `hold`, `unhold` or `report`.
    pub kind: String,
    /// The operator's identity.
    pub operator: String,
    /// The role that allows it, where it needs one.
    #[serde(default)]
    pub role: Option<String>,
    /// A code of v3-PurposeOfUse, the operator's words, or both.
    pub purpose: String,
    /// Folder, bucket or brokers that are read.
    pub source: String,
    /// Which records.
    pub query: String,
    /// FHIR R4 AuditEvent by IHE BALP, JSON.
    pub audit_event: String,
}

/// `line.dropped`: an input that a stage let go on purpose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    /// The stage.
    pub stage: String,
    /// Why, a stable word.
    pub reason: String,
    /// UUID of the event.
    pub event_id: String,
    /// Topic of the input.
    pub source_topic: String,
    /// Partition of the input.
    pub source_partition: i32,
    /// Offset of the input.
    pub source_offset: i64,
}

/// `audit.manifests`: a segment that was sealed in the WORM store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditManifest {
    /// Topic of the records.
    pub topic: String,
    /// Partition of the records.
    pub partition: i32,
    /// First offset of the segment.
    pub first_offset: i64,
    /// One past its last offset.
    pub next_offset: i64,
    /// Object key of the manifest.
    pub manifest_key: String,
    /// SHA-256 of the manifest object, hex.
    pub manifest_sha256: String,
    /// The manifest, JSON.
    pub manifest: String,
}
