//! Building and reading segments: an Avro object container (Apache Avro 1.12, "Object Container Files") with zstd blocks.

use std::io::{BufReader, Read};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::keys::SegmentId;
use crate::manifest::{FORMAT, GapKind, Manifest, SegmentHeader, Tally, sha256};
use crate::merkle::{Hash, leaf_hash};
use crate::record::{self, Record, RecordRef, put_bytes, put_long, unzigzag};

/// Schema of a record in a segment, as committed in `schema/record.avsc`.
pub const RECORD_SCHEMA: &str = include_str!("../schema/record.avsc");

const MAGIC: &[u8] = b"Obj\x01";
const CODEC: &str = "zstandard";
const HEADER_KEY: &str = "wardstream.segment";
/// zstd's own default: on clinical JSON a higher level costs more time than it saves bytes.
const ZSTD_LEVEL: i32 = 3;
/// Uncompressed bytes after which a block is closed; large enough for zstd to find what repeats between messages.
const BLOCK_BYTES: usize = 1 << 20;
/// Largest record in bytes; Kafka's own largest possible message is below it.
const MAX_RECORD_BYTES: u64 = 1 << 30;
const MAX_BLOCK_BYTES: u64 = MAX_RECORD_BYTES + BLOCK_BYTES as u64;
const MAX_HEADER_FIELD_BYTES: u64 = 1 << 16;

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

    /// Bytes held in memory.
    pub fn memory_bytes(&self) -> usize {
        self.body.len() + self.block.len()
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

/// The marker between blocks. Derived rather than random, so that the same records always make the same object.
fn marker(id: &SegmentId) -> [u8; 16] {
    let digest = sha256(id.segment_key().as_bytes());
    let mut marker = [0; 16];
    marker.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    marker
}

/// Hashes and counts what passes.
#[derive(Debug)]
struct Hashing<R> {
    source: R,
    hasher: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Reads a segment, one block in memory at a time. Blocking: use it on a thread that may block.
#[derive(Debug)]
pub struct SegmentReader<R: Read> {
    source: BufReader<Hashing<R>>,
    /// Where the next byte to be taken stands in the object.
    position: u64,
    header: SegmentHeader,
    id: SegmentId,
    marker: [u8; 16],
    compressed: Vec<u8>,
    block: Vec<u8>,
    block_start: u64,
    /// Where the next record starts in `block`.
    at: usize,
    remaining: i64,
    tally: Tally,
}

impl<R: Read> SegmentReader<R> {
    /// Reads the container's header.
    ///
    /// # Errors
    /// [`Error::Segment`] for bytes that this crate did not write, [`Error::Read`] if reading itself fails.
    pub fn open(source: R) -> Result<Self, Error> {
        Self::try_open(source).map_err(|(error, _)| error)
    }

    /// Like [`Self::open`], but gives length and hash of the whole object even if it is malformed.
    fn try_open(source: R) -> Result<Self, (Error, Option<(Hash, u64)>)> {
        let hashing = Hashing { source, hasher: Sha256::new(), bytes: 0 };
        let mut input = Input { source: BufReader::with_capacity(256 << 10, hashing), position: 0 };
        match input.header() {
            Ok((header, id, marker)) => Ok(Self {
                tally: Tally::new(header.first_offset, header.expired_until),
                source: input.source,
                position: input.position,
                header,
                id,
                marker,
                compressed: Vec::new(),
                block: Vec::new(),
                block_start: 0,
                at: 0,
                remaining: 0,
            }),
            Err(error @ Error::Read { .. }) => Err((error, None)),
            Err(error) => Err((error, drain(input.source).ok())),
        }
    }

    /// What the writer noted about the segment.
    pub fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// Name of the segment.
    pub fn id(&self) -> &SegmentId {
        &self.id
    }

    /// Next record, or `None` after the last.
    ///
    /// # Errors
    /// [`Error::Segment`] for malformed bytes, offsets out of order or outside the segment; [`Error::Read`] if reading fails.
    pub fn next_record(&mut self) -> Result<Option<RecordRef<'_>>, Error> {
        while self.remaining == 0 {
            if self.at != self.block.len() {
                return Err(self.malformed("a block that ends with its last record"));
            }
            if !self.next_block()? {
                return Ok(None);
            }
        }
        let bytes = self.block.get(self.at..).unwrap_or_default();
        let malformed = |reason| Error::Segment { position: self.block_start, reason };
        let (record, length) = record::decode(bytes).map_err(malformed)?;
        if record.offset < self.tally.expected() {
            return Err(malformed("offsets in ascending order, each once"));
        }
        if record.offset >= self.header.next_offset {
            return Err(malformed("offsets below the segment's next offset"));
        }
        let leaf = leaf_hash(bytes.get(..length).unwrap_or_default());
        self.tally.add(&record, leaf);
        self.at += length;
        self.remaining -= 1;
        Ok(Some(record))
    }

    /// Iterates over owned records.
    pub fn records(self) -> Records<R> {
        Records { reader: self, ended: false }
    }

    /// Reads what is left and computes the manifest that belongs to the bytes.
    ///
    /// # Errors
    /// Those of [`Self::next_record`].
    pub fn into_manifest(mut self) -> Result<Manifest, Error> {
        while self.next_record()?.is_some() {}
        let (hash, bytes) = drain(self.source)?;
        Ok(self.tally.into_manifest(&self.header, &hash, bytes))
    }

    fn malformed(&self, reason: &'static str) -> Error {
        Error::Segment { position: self.block_start, reason }
    }

    fn next_block(&mut self) -> Result<bool, Error> {
        self.block_start = self.position;
        let mut input = Input { source: &mut self.source, position: self.position };
        let Some(count) = input.first_long()? else { return Ok(false) };
        if count <= 0 {
            return Err(self.malformed("a block with at least one record"));
        }
        let size = input.long()?;
        input.bytes(size, MAX_BLOCK_BYTES, &mut self.compressed)?;
        let mut marker = Vec::with_capacity(16);
        input.bytes(16, 16, &mut marker)?;
        self.position = input.position;
        if marker != self.marker {
            return Err(self.malformed("the file's marker after a block"));
        }
        let content = zstd::zstd_safe::get_frame_content_size(&self.compressed).ok().flatten();
        let Some(content) = content.filter(|size| *size <= MAX_BLOCK_BYTES) else {
            return Err(self.malformed("a zstd frame that states its size"));
        };
        self.block.clear();
        self.block.reserve(content as usize);
        let decompressed = zstd::bulk::Decompressor::new()
            .and_then(|mut zstd| zstd.decompress_to_buffer(&self.compressed, &mut self.block));
        if decompressed.ok().map(|bytes| bytes as u64) != Some(content) {
            return Err(self.malformed("a whole zstd frame"));
        }
        self.at = 0;
        self.remaining = count;
        Ok(true)
    }
}

/// What [`examine`] found in one object.
#[derive(Debug)]
pub struct Examination {
    /// SHA-256 of the whole object.
    pub sha256: Hash,
    /// Length of the whole object.
    pub bytes: u64,
    /// The manifest that belongs to these bytes, or why there is none.
    pub manifest: Result<Manifest, Error>,
}

/// Reads a whole object once, hashing it and recomputing its manifest. Blocking.
///
/// # Errors
/// [`Error::Read`] if reading itself fails; malformed bytes are a result, not an error.
pub fn examine<R: Read>(source: R) -> Result<Examination, Error> {
    let mut reader = match SegmentReader::try_open(source) {
        Ok(reader) => reader,
        Err((error, Some((sha256, bytes)))) => {
            return Ok(Examination { sha256, bytes, manifest: Err(error) });
        }
        Err((error, None)) => return Err(error),
    };
    let outcome = loop {
        match reader.next_record() {
            Ok(Some(_)) => {}
            Ok(None) => break Ok(()),
            Err(error @ Error::Read { .. }) => return Err(error),
            Err(error) => break Err(error),
        }
    };
    let (sha256, bytes) = drain(reader.source)?;
    let manifest = outcome.map(|()| reader.tally.into_manifest(&reader.header, &sha256, bytes));
    Ok(Examination { sha256, bytes, manifest })
}

fn drain<R: Read>(mut source: BufReader<Hashing<R>>) -> Result<(Hash, u64), Error> {
    std::io::copy(&mut source, &mut std::io::sink()).map_err(|source| Error::Read { source })?;
    let hashing = source.into_inner();
    Ok((hashing.hasher.finalize().into(), hashing.bytes))
}

/// Owned records of a segment, in offset order. Ends after the first error.
#[derive(Debug)]
pub struct Records<R: Read> {
    reader: SegmentReader<R>,
    ended: bool,
}

impl<R: Read> Iterator for Records<R> {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let (topic, partition) = (self.reader.header.topic.clone(), self.reader.header.partition);
        match self.reader.next_record() {
            Ok(Some(record)) => Some(Ok(record.to_record(&topic, partition))),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

/// A source with the position in the object, for errors.
struct Input<R> {
    source: R,
    position: u64,
}

impl<R: Read> Input<R> {
    fn malformed(&self, reason: &'static str) -> Error {
        Error::Segment { position: self.position, reason }
    }

    /// One byte, or `None` at the end.
    fn byte(&mut self) -> Result<Option<u8>, Error> {
        let mut byte = [0];
        loop {
            match self.source.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Read { source }),
            }
        }
        self.position += 1;
        Ok(Some(byte[0]))
    }

    /// A `long`, or `None` at the end.
    fn first_long(&mut self) -> Result<Option<i64>, Error> {
        let mut bits = 0_u64;
        for index in 0..10_u32 {
            let byte = match self.byte()? {
                Some(byte) => byte,
                None if index == 0 => return Ok(None),
                None => return Err(self.malformed("more bytes of a long")),
            };
            bits |= u64::from(byte & 0x7f).checked_shl(7 * index).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(Some(unzigzag(bits)));
            }
        }
        Err(self.malformed("a long of at most ten bytes"))
    }

    fn long(&mut self) -> Result<i64, Error> {
        self.first_long()?.ok_or_else(|| self.malformed("a long"))
    }

    /// Exactly `length` bytes. Memory grows with what is really there, not with what a length claims.
    fn bytes(&mut self, length: i64, limit: u64, out: &mut Vec<u8>) -> Result<(), Error> {
        let Some(length) = u64::try_from(length).ok().filter(|length| *length <= limit) else {
            return Err(self.malformed("a length within bounds"));
        };
        out.clear();
        self.source.by_ref().take(length).read_to_end(out).map_err(|source| Error::Read { source })?;
        if out.len() as u64 != length {
            return Err(self.malformed("as many bytes as the length says"));
        }
        self.position += length;
        Ok(())
    }

    fn field(&mut self) -> Result<Vec<u8>, Error> {
        let length = self.long()?;
        let mut bytes = Vec::new();
        self.bytes(length, MAX_HEADER_FIELD_BYTES, &mut bytes)?;
        Ok(bytes)
    }

    fn header(&mut self) -> Result<(SegmentHeader, SegmentId, [u8; 16]), Error> {
        let mut magic = Vec::new();
        self.bytes(MAGIC.len() as i64, MAGIC.len() as u64, &mut magic)?;
        if magic != MAGIC {
            return Err(self.malformed("the magic of an avro object container"));
        }
        if self.long()? != 3 {
            return Err(self.malformed("three metadata entries"));
        }
        for (name, value) in [(&b"avro.codec"[..], CODEC), (b"avro.schema", RECORD_SCHEMA)] {
            if self.field()? != name || self.field()? != value.as_bytes() {
                return Err(self.malformed("the codec and schema of a segment"));
            }
        }
        if self.field()? != HEADER_KEY.as_bytes() {
            return Err(self.malformed("the metadata of a segment"));
        }
        let json = self.field()?;
        let header: SegmentHeader =
            serde_json::from_slice(&json).map_err(|_| self.malformed("the JSON of a segment's metadata"))?;
        let id = header.check().map_err(|_| self.malformed("metadata within bounds"))?;
        if self.long()? != 0 {
            return Err(self.malformed("the end of the metadata"));
        }
        let mut bytes = Vec::new();
        self.bytes(16, 16, &mut bytes)?;
        let marker = marker(&id);
        if bytes != marker {
            return Err(self.malformed("the marker of this segment"));
        }
        Ok((header, id, marker))
    }
}
