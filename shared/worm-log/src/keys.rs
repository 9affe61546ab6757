//! Object keys of the log.

use crate::error::Error;

/// Everything that segments and manifests live under.
pub const SEGMENTS: &str = "seg/";

const OFFSET_DIGITS: usize = 20;
const SEGMENT_SUFFIX: &str = ".avro";
const MANIFEST_SUFFIX: &str = ".manifest.json";

/// Which of a segment's two objects a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// The records, an Avro object container.
    Segment,
    /// The manifest, JSON.
    Manifest,
}

/// Names a segment: topic, partition and the first offset it accounts for.
///
/// The end offset is left out on purpose: whoever writes first at a start offset wins it, whatever its length, so that two
/// writers can neither overlap nor leave a hole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    topic: String,
    partition: i32,
    first_offset: i64,
}

/// Whether Kafka would allow the topic name (`org.apache.kafka.common.internals.Topic.validate`).
///
/// It also makes the name safe as one part of an object key or a path.
pub fn is_topic_name(topic: &str) -> bool {
    !topic.is_empty()
        && topic.len() <= 249
        && topic != "."
        && topic != ".."
        && topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

impl SegmentId {
    /// Checks the parts and builds the name.
    ///
    /// # Errors
    /// [`Error::Topic`] for a name that Kafka does not allow or a negative partition, [`Error::Context`] for a negative offset.
    pub fn new(topic: &str, partition: i32, first_offset: i64) -> Result<Self, Error> {
        if !is_topic_name(topic) || partition < 0 {
            return Err(Error::Topic);
        }
        if first_offset < 0 {
            return Err(Error::Context { reason: "an offset is negative" });
        }
        Ok(Self { topic: topic.to_owned(), partition, first_offset })
    }

    /// Kafka topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Kafka partition.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// First offset the segment accounts for.
    pub fn first_offset(&self) -> i64 {
        self.first_offset
    }

    /// Key of the records object, `seg/<topic>/<partition>/<first_offset:020>.avro`.
    pub fn segment_key(&self) -> String {
        self.key(SEGMENT_SUFFIX)
    }

    /// Key of the manifest, `seg/<topic>/<partition>/<first_offset:020>.manifest.json`.
    pub fn manifest_key(&self) -> String {
        self.key(MANIFEST_SUFFIX)
    }

    fn key(&self, suffix: &str) -> String {
        format!("{}{:020}{suffix}", partition_prefix(&self.topic, self.partition), self.first_offset)
    }

    /// Reads a key back. `None` for anything that [`Self::segment_key`] and [`Self::manifest_key`] would not write.
    pub fn parse(key: &str) -> Option<(Self, ObjectKind)> {
        let rest = key.strip_prefix(SEGMENTS)?;
        let (topic, rest) = rest.split_once('/')?;
        let (partition, name) = rest.split_once('/')?;
        let (digits, kind) = match name.strip_suffix(MANIFEST_SUFFIX) {
            Some(digits) => (digits, ObjectKind::Manifest),
            None => (name.strip_suffix(SEGMENT_SUFFIX)?, ObjectKind::Segment),
        };
        if digits.len() != OFFSET_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let id = Self::new(topic, parse_partition(partition)?, digits.parse().ok()?).ok()?;
        Some((id, kind))
    }
}

/// Prefix of all objects of a partition, `seg/<topic>/<partition>/`.
pub fn partition_prefix(topic: &str, partition: i32) -> String {
    format!("{SEGMENTS}{topic}/{partition}/")
}

/// A position for listing: it sorts after every key with a lower first offset and before both keys of this one.
pub(crate) fn position_before(topic: &str, partition: i32, first_offset: i64) -> String {
    format!("{}{:020}", partition_prefix(topic, partition), first_offset.max(0))
}

/// A partition number in its only spelling: no sign, no leading zero.
pub(crate) fn parse_partition(text: &str) -> Option<i32> {
    let partition: i32 = text.parse().ok()?;
    (partition >= 0 && partition.to_string() == text).then_some(partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_design_and_read_back() {
        let id = SegmentId::new("hl7.raw", 3, 1_234).unwrap();
        assert_eq!(id.segment_key(), "seg/hl7.raw/3/00000000000000001234.avro");
        assert_eq!(id.manifest_key(), "seg/hl7.raw/3/00000000000000001234.manifest.json");
        assert_eq!(SegmentId::parse(&id.segment_key()), Some((id.clone(), ObjectKind::Segment)));
        assert_eq!(SegmentId::parse(&id.manifest_key()), Some((id.clone(), ObjectKind::Manifest)));
        let position = position_before("hl7.raw", 3, 1_234);
        assert!(position < id.segment_key() && position < id.manifest_key());
        assert!(position > SegmentId::new("hl7.raw", 3, 1_233).unwrap().manifest_key());
        assert!(id.segment_key() < id.manifest_key());
    }

    #[test]
    fn only_the_one_spelling_is_a_key() {
        for key in [
            "seg/a/0/1.avro",
            "seg/a/00/00000000000000000001.avro",
            "seg/a/+1/00000000000000000001.avro",
            "seg/a/-1/00000000000000000001.avro",
            "seg/../0/00000000000000000001.avro",
            "seg/a/0/00000000000000000001.avro.bak",
            "seg/a/0/99999999999999999999.avro",
            "seg/a/0/x/00000000000000000001.avro",
            "seg/a b/0/00000000000000000001.avro",
            "log/tile/0/0",
        ] {
            assert_eq!(SegmentId::parse(key), None, "{key}");
        }
        assert!(SegmentId::new("..", 0, 0).is_err());
        assert!(SegmentId::new(&"a".repeat(250), 0, 0).is_err());
        assert!(SegmentId::new("a", -1, 0).is_err());
        assert!(SegmentId::new("a", 0, -1).is_err());
    }
}
