//! What notify knows of an event, and the identity of a notification.

use std::fmt;

use contracts::EventId;
use uuid::Uuid;

/// One triaged and summarised event, without identifiers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Triage {
    /// UUID of the event.
    pub event_id: String,
    /// The patient's keyed pseudonym; empty when the event names no patient.
    pub pseudonym: String,
    /// Code of the sending facility.
    pub facility: String,
    /// MSH-9 as `CODE^TRIGGER`.
    pub message_type: String,
    /// `emergent`, `urgent` or `routine`.
    pub urgency: String,
    /// Calibrated probability of the urgency, 0 to 1.
    pub urgency_p: f64,
    /// Clinical specialty.
    pub specialty: String,
    /// Kind of document.
    pub document_type: String,
    /// True when the model was not sure enough and a person decides.
    pub abstained: bool,
    /// Why it was judged so.
    pub reasons: Vec<String>,
    /// The summary.
    pub sentences: Vec<String>,
    /// When the feed's record was written to Kafka, milliseconds since the epoch.
    pub received_at_ms: i64,
    /// The model that scored.
    pub model_id: String,
    /// Its version.
    pub model_version: String,
}

impl Triage {
    /// Whether there is a summary a person could read.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.sentences.iter().any(|sentence| !sentence.trim().is_empty())
    }
}

/// Identity of a notification: UUIDv5 of the position at which the event entered the line, and of the template.
///
/// It is the ledger's key and the left side of the Message-ID, so a replay finds what was sent before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NotificationId(Uuid);

impl NotificationId {
    /// For the event that entered the line at a position.
    #[must_use]
    pub fn at(topic: &str, partition: i32, offset: i64, template: &str) -> Self {
        Self::of(&EventId::at(topic, partition, offset), template)
    }

    /// For an event by its id.
    #[must_use]
    pub fn of(event: &EventId, template: &str) -> Self {
        Self(event.derive(template))
    }

    /// The id as written in the ledger topic, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for NotificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_depends_on_position_and_template_only() {
        let id = NotificationId::at("hl7.raw", 3, 42, "triage/1");
        assert_eq!(id, NotificationId::at("hl7.raw", 3, 42, "triage/1"));
        assert_eq!(id, NotificationId::of(&EventId::at("hl7.raw", 3, 42), "triage/1"));
        assert_ne!(id, NotificationId::at("hl7.raw", 3, 43, "triage/1"));
        assert_ne!(id, NotificationId::at("hl7.raw", 3, 42, "triage/2"));
        assert_eq!(NotificationId::parse(&id.to_string()), Some(id));
        assert_eq!(NotificationId::parse("x"), None);
    }
}
