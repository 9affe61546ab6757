//! The manifest of a segment: a pure function of the segment object's bytes.
//!
//! Because nothing in it comes from elsewhere, a successor can rebuild byte for byte what a crashed writer did not get to
//! write, and a verifier can compare instead of trust.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::keys::SegmentId;
use crate::merkle::{Hash, RootBuilder};
use crate::record::RecordRef;

/// Layout version that this crate writes and reads.
pub const FORMAT: u32 = 1;
/// Upper bound of a manifest's length in bytes.
pub const MAX_MANIFEST_BYTES: usize = 64 * 1024;
/// Gap entries a manifest holds at most; beyond that neighbours are joined.
pub const MAX_GAPS: usize = 256;
/// Schema ids a manifest lists at most.
pub const MAX_SCHEMA_IDS: usize = 256;
const MAX_WRITER_VERSION: usize = 128;

/// Why offsets have no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapKind {
    /// Kafka's retention had removed them before they could be archived: data is missing.
    Expired,
    /// The broker gave no record: control records, aborted transactions, compacted-away records.
    Undelivered,
}

/// A span of offsets in which some have no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// First offset without a record.
    pub first_offset: i64,
    /// Why.
    pub kind: GapKind,
    /// One past the last offset without a record.
    pub next_offset: i64,
    /// How many offsets of the span have no record: all of them, unless neighbouring gaps were joined.
    pub offsets: u64,
}

/// What the writer decides about a segment. It stands in the segment's own metadata (`wardstream.segment`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentHeader {
    /// Offsets from `first_offset` up to this one were gone from Kafka before they could be archived.
    pub expired_until: Option<i64>,
    /// First offset accounted for.
    pub first_offset: i64,
    /// Layout version, [`FORMAT`].
    pub format: u32,
    /// One past the last offset accounted for: the successor's first offset.
    pub next_offset: i64,
    /// Kafka partition.
    pub partition: i32,
    /// SHA-256 of the predecessor's manifest, hexadecimal; `None` for a partition's first segment.
    pub prev_manifest_sha256: Option<String>,
    /// End of the retention lock, RFC 3339 in UTC, whole seconds.
    pub retain_until: jiff::Timestamp,
    /// Kafka topic.
    pub topic: String,
    /// Version of the program that wrote the segment.
    pub writer_version: String,
}

/// A segment's manifest. Its canonical form is compact JSON with the fields in alphabetical order, as they stand here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// First offset accounted for.
    pub first_offset: i64,
    /// Layout version, [`FORMAT`].
    pub format: u32,
    /// Offsets without a record, ascending.
    pub gaps: Vec<Gap>,
    /// Bytes of all keys.
    pub key_bytes: u64,
    /// Latest record timestamp, milliseconds since the Unix epoch; `None` without records.
    pub max_timestamp_ms: Option<i64>,
    /// Earliest record timestamp, milliseconds since the Unix epoch; `None` without records.
    pub min_timestamp_ms: Option<i64>,
    /// One past the last offset accounted for: the successor's first offset.
    pub next_offset: i64,
    /// Length of the segment object in bytes.
    pub object_bytes: u64,
    /// SHA-256 of the segment object, hexadecimal.
    pub object_sha256: String,
    /// Kafka partition.
    pub partition: i32,
    /// SHA-256 of the predecessor's manifest, hexadecimal; `None` for a partition's first segment.
    pub prev_manifest_sha256: Option<String>,
    /// Number of records.
    pub record_count: u64,
    /// RFC 6962 root over the records' Avro encodings in offset order, hexadecimal.
    pub records_merkle_root: String,
    /// End of the retention lock, RFC 3339 in UTC, whole seconds.
    pub retain_until: jiff::Timestamp,
    /// Schema ids of values in Confluent's wire format, ascending; values are not parsed beyond their first five bytes.
    pub schema_ids: Vec<u32>,
    /// Whether `schema_ids` lists every id (else the first [`MAX_SCHEMA_IDS`] that occurred).
    pub schema_ids_complete: bool,
    /// Kafka topic.
    pub topic: String,
    /// Bytes of all values.
    pub value_bytes: u64,
    /// Version of the program that wrote the segment.
    pub writer_version: String,
}

impl SegmentHeader {
    /// Checks what the types cannot say.
    pub(crate) fn check(&self) -> Result<SegmentId, Error> {
        let invalid = |reason| Err(Error::Context { reason });
        if self.format != FORMAT {
            return invalid("the layout version is not 1");
        }
        if self.next_offset <= self.first_offset {
            return invalid("the segment accounts for no offset");
        }
        if self.expired_until.is_some_and(|until| until <= self.first_offset || until > self.next_offset) {
            return invalid("the expired range lies outside the segment");
        }
        if self.writer_version.len() > MAX_WRITER_VERSION || self.writer_version.chars().any(char::is_control)
        {
            return invalid("the writer version is longer than 128 bytes or holds control characters");
        }
        if self.retain_until.subsec_nanosecond() != 0 {
            return invalid("retain_until is not in whole seconds");
        }
        if self.prev_manifest_sha256.as_deref().is_some_and(|hash| parse_hash(hash).is_none()) {
            return invalid("prev_manifest_sha256 is not 64 lower-case hexadecimal digits");
        }
        SegmentId::new(&self.topic, self.partition, self.first_offset)
    }
}

impl Manifest {
    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings, integers and derived maps only: nothing here that JSON cannot express.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`Error::Manifest`] for anything that [`Self::to_bytes`] would not write, other spellings of the same content included.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() >= MAX_MANIFEST_BYTES {
            return Err(Error::Manifest { reason: "64 KiB or longer" });
        }
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|_| Error::Manifest { reason: "not the JSON of a manifest" })?;
        if manifest.format != FORMAT {
            return Err(Error::Manifest { reason: "the layout version is not 1" });
        }
        if manifest.to_bytes() != bytes {
            return Err(Error::Manifest { reason: "not in canonical form" });
        }
        Ok(manifest)
    }

    /// Name of the segment.
    ///
    /// # Errors
    /// [`Error::Topic`] or [`Error::Context`] if the manifest names none.
    pub fn id(&self) -> Result<SegmentId, Error> {
        SegmentId::new(&self.topic, self.partition, self.first_offset)
    }

    /// Whether `next − first = record_count + Σ gaps`.
    pub fn accounts_for_every_offset(&self) -> bool {
        let gaps: u128 = self.gaps.iter().map(|gap| u128::from(gap.offsets)).sum();
        i128::from(self.next_offset) - i128::from(self.first_offset)
            == i128::try_from(u128::from(self.record_count) + gaps).unwrap_or(i128::MAX)
    }
}

/// SHA-256 of bytes.
pub fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// Reads 64 lower-case hexadecimal digits.
pub(crate) fn parse_hash(text: &str) -> Option<Hash> {
    let hash: Hash = hex::decode(text).ok()?.try_into().ok()?;
    (hex::encode(hash) == text).then_some(hash)
}

/// What a segment's records add up to; shared by the writer and every reader so that both reckon alike.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    first_offset: i64,
    /// Lowest offset that is not yet accounted for.
    expected: i64,
    gaps: Vec<Gap>,
    merkle: RootBuilder,
    key_bytes: u64,
    value_bytes: u64,
    min_timestamp_ms: Option<i64>,
    max_timestamp_ms: Option<i64>,
    schema_ids: BTreeSet<u32>,
    schema_ids_complete: bool,
}

impl Tally {
    pub(crate) fn new(first_offset: i64, expired_until: Option<i64>) -> Self {
        let mut tally = Self {
            first_offset,
            expected: first_offset,
            gaps: Vec::new(),
            merkle: RootBuilder::new(),
            key_bytes: 0,
            value_bytes: 0,
            min_timestamp_ms: None,
            max_timestamp_ms: None,
            schema_ids: BTreeSet::new(),
            schema_ids_complete: true,
        };
        if let Some(until) = expired_until {
            tally.skip_to(until, GapKind::Expired);
        }
        tally
    }

    pub(crate) fn first_offset(&self) -> i64 {
        self.first_offset
    }

    pub(crate) fn expected(&self) -> i64 {
        self.expected
    }

    pub(crate) fn record_count(&self) -> u64 {
        self.merkle.size()
    }

    /// Accounts for offsets without a record up to `next_offset`; does nothing for one that is accounted for already.
    pub(crate) fn skip_to(&mut self, next_offset: i64, kind: GapKind) {
        if next_offset <= self.expected {
            return;
        }
        let first_offset = self.expected;
        self.expected = next_offset;
        if let Some(last) = self.gaps.last_mut()
            && last.next_offset == first_offset
            && last.kind == kind
        {
            last.offsets += next_offset.abs_diff(first_offset);
            last.next_offset = next_offset;
            return;
        }
        if self.gaps.len() == MAX_GAPS {
            self.join_gaps();
        }
        let offsets = next_offset.abs_diff(first_offset);
        self.gaps.push(Gap { first_offset, kind, next_offset, offsets });
    }

    /// Halves the list. What matters for reading it back is only that the same records always give the same list.
    fn join_gaps(&mut self) {
        let mut joined: Vec<Gap> = Vec::with_capacity(MAX_GAPS);
        let mut open = false;
        for gap in self.gaps.drain(..) {
            match joined.last_mut() {
                Some(last) if open && last.kind == gap.kind => {
                    last.next_offset = gap.next_offset;
                    last.offsets += gap.offsets;
                    open = false;
                }
                _ => {
                    joined.push(gap);
                    open = true;
                }
            }
        }
        self.gaps = joined;
    }

    /// Accounts for a record. The caller has checked that its offset is not behind [`Self::expected`].
    pub(crate) fn add(&mut self, record: &RecordRef<'_>, leaf: Hash) {
        debug_assert!(record.offset >= self.expected, "the caller checks the order");
        self.skip_to(record.offset, GapKind::Undelivered);
        self.expected = record.offset.saturating_add(1);
        self.merkle.push(leaf);
        self.key_bytes += record.key.map_or(0, |key| key.len() as u64);
        self.value_bytes += record.value.map_or(0, |value| value.len() as u64);
        let timestamp = record.timestamp_ms;
        self.min_timestamp_ms = Some(self.min_timestamp_ms.map_or(timestamp, |min| min.min(timestamp)));
        self.max_timestamp_ms = Some(self.max_timestamp_ms.map_or(timestamp, |max| max.max(timestamp)));
        if let Some(id) = record.value.and_then(schema_id)
            && !self.schema_ids.contains(&id)
        {
            if self.schema_ids.len() < MAX_SCHEMA_IDS {
                self.schema_ids.insert(id);
            } else {
                self.schema_ids_complete = false;
            }
        }
    }

    pub(crate) fn into_manifest(
        mut self,
        header: &SegmentHeader,
        object_sha256: &Hash,
        object_bytes: u64,
    ) -> Manifest {
        self.skip_to(header.next_offset, GapKind::Undelivered);
        Manifest {
            first_offset: header.first_offset,
            format: header.format,
            gaps: self.gaps,
            key_bytes: self.key_bytes,
            max_timestamp_ms: self.max_timestamp_ms,
            min_timestamp_ms: self.min_timestamp_ms,
            next_offset: header.next_offset,
            object_bytes,
            object_sha256: hex::encode(object_sha256),
            partition: header.partition,
            prev_manifest_sha256: header.prev_manifest_sha256.clone(),
            record_count: self.merkle.size(),
            records_merkle_root: hex::encode(self.merkle.root()),
            retain_until: header.retain_until,
            schema_ids: self.schema_ids.into_iter().collect(),
            schema_ids_complete: self.schema_ids_complete,
            topic: header.topic.clone(),
            value_bytes: self.value_bytes,
            writer_version: header.writer_version.clone(),
        }
    }
}

/// Schema id of a value in Confluent's wire format: a zero byte, then the id in four bytes, big-endian.
fn schema_id(value: &[u8]) -> Option<u32> {
    match value {
        [0, a, b, c, d, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64, value: &[u8]) -> RecordRef<'static> {
        let value: &'static [u8] = value.to_vec().leak();
        let mut bytes = Vec::new();
        crate::Record {
            topic: "t".to_owned(),
            partition: 0,
            offset,
            timestamp_ms: 1_000 - offset % 7,
            key: None,
            value: Some(value.to_vec()),
            headers: Vec::new(),
        }
        .encode(&mut bytes);
        crate::record::decode(bytes.leak()).unwrap().0
    }

    fn header(next_offset: i64) -> SegmentHeader {
        SegmentHeader {
            expired_until: None,
            first_offset: 0,
            format: FORMAT,
            next_offset,
            partition: 0,
            prev_manifest_sha256: None,
            retain_until: jiff::Timestamp::from_second(2_000_000_000).unwrap(),
            topic: "t".to_owned(),
            writer_version: "test".to_owned(),
        }
    }

    #[test]
    fn a_record_per_transaction_stays_within_the_bounds() {
        let mut tally = Tally::new(0, None);
        for index in 0..50_000_i64 {
            // Every second offset is a commit marker, and every value names a schema of its own.
            let mut value = vec![0];
            value.extend_from_slice(&(index as u32).to_be_bytes());
            tally.add(&record(1_000_000_000_000 + 2 * index, &value), [0; 32]);
        }
        let manifest = tally.into_manifest(&header(1_000_000_100_000), &[0; 32], 1);
        assert!(manifest.gaps.len() <= MAX_GAPS);
        assert!(manifest.accounts_for_every_offset());
        assert_eq!(manifest.schema_ids.len(), MAX_SCHEMA_IDS);
        assert!(!manifest.schema_ids_complete);
        let bytes = manifest.to_bytes();
        assert!(bytes.len() < MAX_MANIFEST_BYTES);
        assert_eq!(Manifest::from_bytes(&bytes).unwrap(), manifest);
    }

    #[test]
    fn the_largest_manifest_is_within_its_bound() {
        let gap = Gap {
            first_offset: i64::MAX,
            kind: GapKind::Undelivered,
            next_offset: i64::MAX,
            offsets: u64::MAX,
        };
        let mut header = header(1);
        header.topic = "a".repeat(249);
        header.writer_version = "é".repeat(MAX_WRITER_VERSION / 2);
        header.prev_manifest_sha256 = Some("a".repeat(64));
        let mut manifest = Tally::new(0, None).into_manifest(&header, &[0xff; 32], u64::MAX);
        manifest.gaps = vec![gap; MAX_GAPS];
        manifest.schema_ids = vec![u32::MAX; MAX_SCHEMA_IDS];
        let bytes = manifest.to_bytes();
        assert!(bytes.len() < MAX_MANIFEST_BYTES, "{}", bytes.len());
    }

    #[test]
    fn adjacent_gaps_join_and_expired_ones_stay_apart() {
        let mut tally = Tally::new(10, Some(20));
        tally.skip_to(25, GapKind::Undelivered);
        tally.skip_to(30, GapKind::Undelivered);
        tally.skip_to(30, GapKind::Undelivered);
        assert_eq!(
            tally.gaps,
            [
                Gap { first_offset: 10, kind: GapKind::Expired, next_offset: 20, offsets: 10 },
                Gap { first_offset: 20, kind: GapKind::Undelivered, next_offset: 30, offsets: 10 },
            ]
        );
    }

    #[test]
    fn only_canonical_bytes_are_a_manifest() {
        let manifest = Tally::new(0, None).into_manifest(&header(5), &[0; 32], 1);
        let bytes = manifest.to_bytes();
        assert_eq!(Manifest::from_bytes(&bytes).unwrap(), manifest);
        let keys: Vec<String> = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes)
            .unwrap()
            .keys()
            .cloned()
            .collect();
        assert!(keys.is_sorted(), "{keys:?}");
        let mut spaced = bytes.clone();
        spaced.push(b'\n');
        assert!(Manifest::from_bytes(&spaced).is_err());
        let upper = String::from_utf8(bytes).unwrap().replace("\"format\":1", "\"format\":2");
        assert!(Manifest::from_bytes(upper.as_bytes()).is_err());
        assert!(Manifest::from_bytes(b"{}").is_err());
        assert!(Manifest::from_bytes(&vec![b' '; MAX_MANIFEST_BYTES]).is_err());
    }

    #[test]
    fn headers_that_cannot_be_are_refused() {
        assert!(header(5).check().is_ok());
        let refused: [fn(&mut SegmentHeader); 6] = [
            |header| header.next_offset = 0,
            |header| header.format = 2,
            |header| header.expired_until = Some(6),
            |header| header.writer_version = "x".repeat(129),
            |header| header.prev_manifest_sha256 = Some("AB".repeat(32)),
            |header| header.topic = "a/b".to_owned(),
        ];
        for change in refused {
            let mut changed = header(5);
            change(&mut changed);
            assert!(changed.check().is_err());
        }
    }
}
