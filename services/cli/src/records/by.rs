//! What records are counted by.

use replay::{Marks, is_feed};

/// What a record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum By {
    /// Topic.
    Topic,
    /// Facility, as the topic names it; masked of feeds, which may have anything there.
    Facility,
    /// Message type, CODE^TRIGGER.
    MessageType,
    /// How urgent it was judged.
    Urgency,
}

impl By {
    pub(super) fn needs_content(by: &[Self]) -> bool {
        by.iter().any(|by| *by != Self::Topic)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Facility => "facility",
            Self::MessageType => "message type",
            Self::Urgency => "urgency",
        }
    }

    /// What it is of a record; a dash where the record does not say.
    pub(super) fn of(self, topic: &str, marks: &Marks, masked: bool) -> String {
        let mark = match self {
            Self::Topic => return topic.to_owned(),
            Self::Facility if masked && marks.facility.is_some() && is_feed(topic) => {
                return "***".to_owned();
            }
            Self::Facility => &marks.facility,
            Self::MessageType => &marks.message_type,
            Self::Urgency => &marks.urgency,
        };
        mark.clone().unwrap_or_else(|| "-".to_owned())
    }
}
