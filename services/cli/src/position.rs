//! Where a record lies in Kafka, and in the log.

use std::fmt;
use std::str::FromStr;

use stream::Incoming;
use worm_log::Record;

/// The place of a record: `TOPIC/PARTITION/OFFSET`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for Position {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a record is named TOPIC/PARTITION/OFFSET, for instance hl7.raw/0/17";
        let mut parts = text.rsplitn(3, '/');
        let offset = parts.next().and_then(|part| part.parse().ok()).ok_or(FORM)?;
        let partition = parts.next().and_then(|part| part.parse().ok()).ok_or(FORM)?;
        let topic = parts.next().filter(|topic| !topic.is_empty()).ok_or(FORM)?.to_owned();
        Ok(Self { topic, partition, offset })
    }
}

impl From<&Incoming> for Position {
    fn from(record: &Incoming) -> Self {
        Self { topic: record.topic.to_string(), partition: record.partition, offset: record.offset }
    }
}

impl From<&Record> for Position {
    fn from(record: &Record) -> Self {
        Self { topic: record.topic.clone(), partition: record.partition, offset: record.offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back() {
        let position: Position = "hl7.raw/3/17".parse().unwrap();
        assert_eq!((position.topic.as_str(), position.partition, position.offset), ("hl7.raw", 3, 17));
        assert_eq!(position.to_string(), "hl7.raw/3/17");
        for text in ["", "hl7.raw", "hl7.raw/1", "/1/2", "hl7.raw/x/1", "hl7.raw/1/"] {
            assert!(text.parse::<Position>().is_err(), "{text:?}");
        }
    }
}
