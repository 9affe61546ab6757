//! The event as it passes along the line. Each struct is the record of the topic that its documentation names.

use serde::{Deserialize, Serialize};

/// `fhir.received`: a feed's message as a FHIR R4 Bundle. PHI.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FhirReceived {
    /// UUID of the event.
    pub event_id: String,
    /// Sending facility, MSH-4.
    pub facility: String,
    /// MSH-9 as `CODE^TRIGGER`.
    pub message_type: String,
    /// When the feed's record was written to Kafka, milliseconds since the epoch.
    pub received_at: i64,
    /// MSH-10.
    pub control_id: String,
    /// FHIR R4 Bundle, JSON.
    pub bundle: String,
    /// Paths of the fields that had a value and no place in the bundle.
    pub unmapped: Vec<String>,
}

/// `fhir.validated`: a Bundle that is valid FHIR R4. PHI.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FhirValidated {
    /// UUID of the event.
    pub event_id: String,
    /// Sending facility, MSH-4.
    pub facility: String,
    /// MSH-9 as `CODE^TRIGGER`.
    pub message_type: String,
    /// When the feed's record was written to Kafka, milliseconds since the epoch.
    pub received_at: i64,
    /// MSH-10.
    pub control_id: String,
    /// FHIR R4 Bundle, JSON.
    pub bundle: String,
    /// OperationOutcome, JSON, when there were warnings.
    #[serde(default)]
    pub outcome: Option<String>,
}

/// `fhir.deidentified`: a Bundle without identifiers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FhirDeidentified {
    /// UUID of the event.
    pub event_id: String,
    /// The facility's code or pseudonym.
    pub facility: String,
    /// MSH-9 as `CODE^TRIGGER`.
    pub message_type: String,
    /// When the feed's record was written to Kafka, milliseconds since the epoch.
    pub received_at: i64,
    /// The patient's keyed pseudonym, none when the event names no patient.
    #[serde(default)]
    pub pseudonym: Option<String>,
    /// FHIR R4 Bundle, JSON.
    pub bundle: String,
    /// How many identifiers were removed, by kind.
    pub redactions: std::collections::BTreeMap<String, i32>,
}

/// A label with its calibrated probability, 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// The label.
    pub label: String,
    /// Its probability.
    pub p: f64,
}

/// A specialty, with the runner-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpecialtyLabel {
    /// The label.
    pub label: String,
    /// Its probability.
    pub p: f64,
    /// The next most likely label.
    #[serde(default)]
    pub second: Option<String>,
}

/// `triage.classified`: how urgent, and whose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriageClassified {
    /// UUID of the event.
    pub event_id: String,
    /// The facility's code or pseudonym.
    pub facility: String,
    /// MSH-9 as `CODE^TRIGGER`.
    pub message_type: String,
    /// When the feed's record was written to Kafka, milliseconds since the epoch.
    pub received_at: i64,
    /// The patient's keyed pseudonym.
    #[serde(default)]
    pub pseudonym: Option<String>,
    /// FHIR R4 Bundle without identifiers, JSON.
    pub bundle: String,
    /// `emergent`, `urgent` or `routine`.
    pub urgency: Label,
    /// Clinical specialty.
    pub specialty: SpecialtyLabel,
    /// Kind of document.
    pub document_type: Label,
    /// No label was sure enough: a person decides.
    pub abstained: bool,
    /// Why, in words.
    pub reasons: Vec<String>,
    /// The model that scored.
    pub model_id: String,
    /// Its version.
    pub model_version: String,
}

/// Where a sentence comes from: Unicode scalar offsets into the event's narrative, `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSpan {
    /// First character.
    pub start: i32,
    /// One past the last.
    pub end: i32,
}

/// One sentence of a summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sentence {
    /// The sentence.
    pub text: String,
    /// Its sources.
    pub sources: Vec<SourceSpan>,
}

/// `triage.summarized`: what the clinician reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriageSummarized {
    /// UUID of the event.
    pub event_id: String,
    /// The facility's code or pseudonym.
    pub facility: String,
    /// MSH-9 as `CODE^TRIGGER`.
    pub message_type: String,
    /// When the feed's record was written to Kafka, milliseconds since the epoch.
    pub received_at: i64,
    /// The patient's keyed pseudonym.
    #[serde(default)]
    pub pseudonym: Option<String>,
    /// `emergent`, `urgent` or `routine`.
    pub urgency: Label,
    /// Clinical specialty.
    pub specialty: SpecialtyLabel,
    /// Kind of document.
    pub document_type: Label,
    /// No label was sure enough: a person decides.
    pub abstained: bool,
    /// Why, in words.
    pub reasons: Vec<String>,
    /// The model that scored.
    pub model_id: String,
    /// Its version.
    pub model_version: String,
    /// The summary.
    pub sentences: Vec<Sentence>,
}
