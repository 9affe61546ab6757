//! Reading records back.

use std::io::{BufReader, Read};

use super::MAX_BLOCK_BYTES;
use super::input::{Hashing, Input, drain};
use crate::error::Error;
use crate::keys::SegmentId;
use crate::manifest::{Manifest, SegmentHeader, Tally};
use crate::merkle::{Hash, leaf_hash};
use crate::record::{self, Record, RecordRef};

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
        let mut input =
            Input { source: BufReader::with_capacity(256 << 10, Hashing::new(source)), position: 0 };
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
