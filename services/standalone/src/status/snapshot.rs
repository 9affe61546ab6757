//! What the page is told. Counters are totals since the start; the page makes rates of them.

use serde::Serialize;

/// Where the page gets its numbers. Every call is from a runtime thread and must not wait for I/O.
pub trait StatusSource: Send + Sync + 'static {
    /// The state of the line now.
    fn snapshot(&self) -> Snapshot;
    /// The latest notifications, newest first, at most `limit`.
    fn notifications(&self, limit: usize) -> Vec<NotificationView>;
    /// The latest dead letters, newest first, at most `limit`.
    fn dead_letters(&self, limit: usize) -> Vec<DeadLetterView>;
}

/// How far the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Parts are coming up.
    #[default]
    Starting,
    /// The line runs.
    Running,
    /// No new input is taken; what is in the line is finished.
    Draining,
    /// All is done; the page shows the last state.
    Finished,
}

/// How a stage or a dependency is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Works.
    Up,
    /// Not there yet, or waited for with backoff; nothing is lost meanwhile.
    #[default]
    Waiting,
    /// Failed.
    Down,
}

/// The whole line at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Snapshot {
    /// When it was taken, milliseconds since the epoch.
    pub taken_at_ms: i64,
    /// When the process started, milliseconds since the epoch.
    pub started_at_ms: i64,
    /// How far the process is.
    pub phase: Phase,
    /// One sentence when there is something to wait for or to know: "waiting for the broker at 127.0.0.1:9092".
    pub note: Option<String>,
    /// Conservation: where all the messages went.
    pub totals: Totals,
    /// From feed to notification.
    pub end_to_end: Option<Latency>,
    /// The stages in the order of the line; `audit` last.
    pub stages: Vec<StageSnapshot>,
    /// Broker, registry, mail server, object store, models.
    pub dependencies: Vec<Dependency>,
    /// The WORM log.
    pub worm: Option<WormSnapshot>,
    /// All dead letters by stage and code, most frequent first.
    pub dead_letter_counts: Vec<DeadLetterCount>,
}

/// Where all the messages went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Messages the feeds published.
    pub messages_in: u64,
    /// Events of which somebody was notified.
    pub notified: u64,
    /// Events of which nobody needed to know, and repeats that were recognised; each with a reason.
    pub dropped: u64,
    /// Messages in a dead-letter topic or parked.
    pub dead_lettered: u64,
    /// Messages between feed and fate.
    pub in_flight: u64,
    /// Messages without a fate that should have one. Anything but 0 is a fault.
    pub lost: u64,
    /// Notifications sent more than once. Anything but 0 is a fault.
    pub duplicated: u64,
}

/// A latency distribution.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Latency {
    /// Median, milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, milliseconds.
    pub p99_ms: f64,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct StageSnapshot {
    /// `ingest`, `validate` and so on.
    pub name: String,
    /// How it is.
    pub health: Health,
    /// One sentence when it is not up.
    pub detail: Option<String>,
    /// Records read.
    pub records_in: u64,
    /// Records passed on to the next stage (by notify: mails sent; by audit: records sealed).
    pub records_out: u64,
    /// Records dropped with a reason.
    pub dropped: u64,
    /// Records parked behind a failing key.
    pub parked: u64,
    /// Records dead-lettered.
    pub dead_lettered: u64,
    /// Records still to be read; `None` until the broker told.
    pub lag: Option<u64>,
    /// Time in the stage, from read to committed; `None` before the first record.
    pub latency: Option<Latency>,
}

/// Something the line needs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Dependency {
    /// "Kafka broker", "schema registry" and so on.
    pub name: String,
    /// How it is.
    pub health: Health,
    /// Address or kind, and why it is not up: "embedded, 127.0.0.1:9092".
    pub detail: String,
}

/// The WORM log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WormSnapshot {
    /// Where it is kept.
    pub store: String,
    /// True under S3 Object Lock in COMPLIANCE mode; a folder is tamper-evident only.
    pub tamper_proof: bool,
    /// Segments sealed.
    pub segments: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of the segments.
    pub bytes: u64,
    /// When the last segment was sealed, milliseconds since the epoch.
    pub last_sealed_at_ms: Option<i64>,
    /// The last verification.
    pub verification: Option<Verification>,
}

/// A run of the verifier.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Verification {
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
    /// Whether every segment is there and unchanged.
    pub ok: bool,
    /// One sentence.
    pub summary: String,
}

/// How many dead letters share a stage and a code.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DeadLetterCount {
    /// The stage that rejected them.
    pub stage: String,
    /// Stable error code.
    pub code: String,
    /// What the code means, one line.
    pub title: String,
    /// How many.
    pub count: u64,
}

/// A notification as its recipients got it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct NotificationView {
    /// UUID of the notification.
    pub id: String,
    /// UUID of the event.
    pub event_id: String,
    /// When the mail server accepted it, milliseconds since the epoch.
    pub sent_at_ms: i64,
    /// From the feed's record to the mail server's acceptance, milliseconds.
    pub latency_ms: Option<u64>,
    /// `emergent`, `urgent` or `routine`.
    pub urgency: String,
    /// True when it went to the triage queue.
    pub triage: bool,
    /// Clinical specialty.
    pub specialty: String,
    /// Sender.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
    /// Subject.
    pub subject: String,
    /// Message-ID.
    pub message_id: String,
    /// HTML part.
    pub html: String,
    /// Text part.
    pub text: String,
}

/// A dead letter, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DeadLetterView {
    /// When it was given up, milliseconds since the epoch.
    pub at_ms: i64,
    /// The stage that rejected it.
    pub stage: String,
    /// Stable error code.
    pub code: String,
    /// What is wrong, without content of the message.
    pub reason: String,
    /// Segment, field and offset, or a FHIRPath.
    pub location: Option<String>,
    /// UUID of the event, when it had one.
    pub event_id: Option<String>,
    /// Topic, partition and offset of the input: "hl7.raw/2/1841".
    pub source: String,
}
