use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Namespace of every name-based UUID the line makes, itself `uuid5(NAMESPACE_DNS, "wardstream.io")`.
const NAMESPACE: Uuid = Uuid::from_u128(0x2d1f_5f0e_6d0e_5a3b_9c55_6a0c_9c1e_73f1);

/// Identity of an event, the same in every topic.
///
/// It is UUIDv5 of the position at which the event entered the line, so a second run over the same log gives the
/// same ids, and it says nothing about the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// The id of the event that entered at this position.
    #[must_use]
    pub fn at(topic: &str, partition: i32, offset: i64) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, format!("{topic}/{partition}/{offset}").as_bytes()))
    }

    /// The id written in a header, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn uuid(&self) -> &Uuid {
        &self.0
    }

    /// A further id that follows from this one and a name, for instance of a notification.
    #[must_use]
    pub fn derive(&self, name: &str) -> Uuid {
        Uuid::new_v5(&self.0, name.as_bytes())
    }
}

impl From<Uuid> for EventId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_follows_from_the_position_alone() {
        assert_eq!(EventId::at("hl7.raw", 3, 17), EventId::at("hl7.raw", 3, 17));
        assert_ne!(EventId::at("hl7.raw", 3, 17), EventId::at("hl7.raw", 31, 7));
        let id = EventId::at("hl7.raw", 3, 17);
        assert_eq!(EventId::parse(&id.to_string()), Some(id));
        assert_eq!(EventId::parse("not an id"), None);
    }
}
