//! Collecting records until a segment is due.

use bytes::Bytes;

use super::{BLOCK_BYTES, CODEC, HEADER_KEY, MAGIC, MAX_RECORD_BYTES, RECORD_SCHEMA, ZSTD_LEVEL, marker};
use crate::error::Error;
use crate::keys::SegmentId;
use crate::manifest::{FORMAT, GapKind, Manifest, SegmentHeader, Tally, sha256};
use crate::merkle::{Hash, leaf_hash};
use crate::record::{Record, put_bytes, put_long};

/// When a segment is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of records before compression. Default 64 MiB.
    pub max_bytes: u64,
    /// Age of the first record in the segment, in milliseconds. Default 60,000.
    pub max_age_ms: i64,
    /// Records. Default 1,000,000.
    pub max_records: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_age_ms: 60_000, max_records: 1_000_000 }
    }
}

/// What a writer adds when it closes a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Version of the writing program, at most 128 bytes.
    pub writer_version: String,
    /// End of the retention lock; parts of a second are cut off.
    pub retain_until: jiff::Timestamp,
    /// SHA-256 of the predecessor's manifest, `None` for a partition's first segment.
    pub prev_manifest_sha256: Option<Hash>,
}

/// Collects the records of one segment, compressing as it goes.
#[derive(Debug)]
pub struct SegmentBuilder {
    topic: String,
    partition: i32,
    limits: Limits,
    expired_until: Option<i64>,
    opened_ms: Option<i64>,
    tally: Tally,
    marker: [u8; 16],
    /// Compressed blocks so far.
    body: Vec<u8>,
    block: Vec<u8>,
    block_records: i64,
    raw_bytes: u64,
}

impl SegmentBuilder {
    /// Starts a segment at an offset.
    ///
    /// # Errors
    /// [`Error::Topic`] or [`Error::Context`] for names and offsets that no segment can have.
    pub fn new(topic: &str, partition: i32, first_offset: i64, limits: Limits) -> Result<Self, Error> {
        let id = SegmentId::new(topic, partition, first_offset)?;
        Ok(Self {
            topic: topic.to_owned(),
            partition,
            limits,
            expired_until: None,
            opened_ms: None,
            tally: Tally::new(first_offset, None),
            marker: marker(&id),
            body: Vec::new(),
            block: Vec::new(),
            block_records: 0,
            raw_bytes: 0,
        })
    }

    /// Notes that Kafka's retention removed offsets up to `until` before they could be archived.
    ///
    /// # Errors
    /// [`Error::Context`] once the segment holds anything else: an expired range can only stand at its start.
    pub fn expire_until(&mut self, until: i64, now_ms: i64) -> Result<(), Error> {
        if !self.is_empty() {
            return Err(Error::Context { reason: "an expired range is not at the segment's start" });
        }
        if until > self.tally.first_offset() {
            self.expired_until = Some(until);
            self.tally.skip_to(until, GapKind::Expired);
            self.opened_ms = Some(now_ms);
        }
        Ok(())
    }

    /// Takes a record; offsets that were jumped over become a gap.
    ///
    /// # Errors
    /// [`Error::NotAssigned`] for a record of another partition, [`Error::OffsetBehind`] for one that is accounted for,
    /// [`Error::RecordTooLarge`]. The segment stays as it was.
    pub fn push(&mut self, record: &Record, now_ms: i64) -> Result<(), Error> {
        if record.topic != self.topic || record.partition != self.partition {
            return Err(Error::NotAssigned { topic: record.topic.clone(), partition: record.partition });
        }
        let expected = self.tally.expected();
        // i64::MAX can have no successor, so no segment can account for it.
        if record.offset < expected || record.offset == i64::MAX {
            return Err(Error::OffsetBehind {
                topic: self.topic.clone(),
                partition: self.partition,
                offset: record.offset,
                expected,
            });
        }
        if record.encoded_bound() > MAX_RECORD_BYTES {
            return Err(Error::RecordTooLarge { offset: record.offset, limit: MAX_RECORD_BYTES });
        }
        self.opened_ms.get_or_insert(now_ms);
        let start = self.block.len();
        record.encode(&mut self.block);
        let datum = self.block.get(start..).unwrap_or_default();
        self.raw_bytes += datum.len() as u64;
        self.tally.add(&record.view(), leaf_hash(datum));
        self.block_records += 1;
        if self.block.len() >= BLOCK_BYTES {
            self.close_block()?;
        }
        Ok(())
    }

    /// Notes that the consumer stands at `next_offset`: the offsets before it that brought no record never will.
    pub fn advance(&mut self, next_offset: i64, now_ms: i64) {
        if next_offset > self.tally.expected() {
            self.opened_ms.get_or_insert(now_ms);
            self.tally.skip_to(next_offset, GapKind::Undelivered);
        }
    }

    /// First offset of the segment.
    pub fn first_offset(&self) -> i64 {
        self.tally.first_offset()
    }

    /// Lowest offset that is not accounted for yet.
    pub fn next_offset(&self) -> i64 {
        self.tally.expected()
    }

    /// Whether no offset is accounted for yet.
    pub fn is_empty(&self) -> bool {
        self.tally.expected() == self.tally.first_offset()
    }

    /// Records so far.
    pub fn record_count(&self) -> u64 {
        self.tally.record_count()
    }

    /// Bytes held in memory: what is allocated, which is more than what is used.
    pub fn memory_bytes(&self) -> usize {
        self.body.capacity() + self.block.capacity()
    }

    /// Whether the segment has reached a size limit.
    pub fn is_full(&self) -> bool {
        self.raw_bytes >= self.limits.max_bytes || self.tally.record_count() >= self.limits.max_records
    }

    /// Whether the segment should be closed at this time (milliseconds of any one clock).
    pub fn is_due(&self, now_ms: i64) -> bool {
        self.is_full()
            || self.opened_ms.is_some_and(|opened| now_ms.saturating_sub(opened) >= self.limits.max_age_ms)
    }

    fn close_block(&mut self) -> Result<(), Error> {
        if self.block_records == 0 {
            return Ok(());
        }
        let compressed =
            zstd::bulk::compress(&self.block, ZSTD_LEVEL).map_err(|source| Error::Read { source })?;
        put_long(&mut self.body, self.block_records);
        put_bytes(&mut self.body, &compressed);
        self.body.extend_from_slice(&self.marker);
        self.block.clear();
        self.block_records = 0;
        Ok(())
    }

    /// Closes the segment so that it accounts for all offsets before `next_offset` (or before [`Self::next_offset`], if higher).
    ///
    /// # Errors
    /// [`Error::Context`] if the segment accounts for no offset or the context cannot be written.
    pub fn finish(mut self, next_offset: i64, context: &Context) -> Result<Sealed, Error> {
        self.close_block()?;
        let retain_until = jiff::Timestamp::from_second(context.retain_until.as_second())
            .map_err(|_| Error::Context { reason: "retain_until is out of range" })?;
        let header = SegmentHeader {
            expired_until: self.expired_until,
            first_offset: self.tally.first_offset(),
            format: FORMAT,
            next_offset: next_offset.max(self.tally.expected()),
            partition: self.partition,
            prev_manifest_sha256: context.prev_manifest_sha256.map(hex::encode),
            retain_until,
            topic: self.topic,
            writer_version: context.writer_version.clone(),
        };
        let id = header.check()?;
        let mut segment = Vec::with_capacity(self.body.len() + 2 * RECORD_SCHEMA.len());
        segment.extend_from_slice(MAGIC);
        put_long(&mut segment, 3);
        put_bytes(&mut segment, b"avro.codec");
        put_bytes(&mut segment, CODEC.as_bytes());
        put_bytes(&mut segment, b"avro.schema");
        put_bytes(&mut segment, RECORD_SCHEMA.as_bytes());
        put_bytes(&mut segment, HEADER_KEY.as_bytes());
        put_bytes(&mut segment, &serde_json::to_vec(&header).unwrap_or_default());
        put_long(&mut segment, 0);
        segment.extend_from_slice(&self.marker);
        segment.append(&mut self.body);

        let segment_sha256 = sha256(&segment);
        let manifest = self.tally.into_manifest(&header, &segment_sha256, segment.len() as u64);
        Ok(Sealed::new(id, Bytes::from(segment), segment_sha256, manifest))
    }
}

/// A closed segment with its manifest, ready to be written.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Name of the segment.
    pub id: SegmentId,
    /// Key of the segment object.
    pub segment_key: String,
    /// The segment object.
    pub segment: Bytes,
    /// SHA-256 of the segment object.
    pub segment_sha256: Hash,
    /// Key of the manifest.
    pub manifest_key: String,
    /// The manifest.
    pub manifest: Manifest,
    /// The manifest in canonical form.
    pub manifest_bytes: Bytes,
    /// SHA-256 of the canonical form: the successor's `prev_manifest_sha256`.
    pub manifest_sha256: Hash,
}

impl Sealed {
    fn new(id: SegmentId, segment: Bytes, segment_sha256: Hash, manifest: Manifest) -> Self {
        let manifest_bytes = Bytes::from(manifest.to_bytes());
        Self {
            segment_key: id.segment_key(),
            manifest_key: id.manifest_key(),
            id,
            segment,
            segment_sha256,
            manifest,
            manifest_sha256: sha256(&manifest_bytes),
            manifest_bytes,
        }
    }
}
