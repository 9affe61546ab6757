//! The bytes of a segment object, before they are records.

use std::io::{BufReader, Read};

use sha2::{Digest, Sha256};

use super::{CODEC, HEADER_KEY, MAGIC, MAX_HEADER_FIELD_BYTES, RECORD_SCHEMA, marker};
use crate::error::Error;
use crate::keys::SegmentId;
use crate::manifest::SegmentHeader;
use crate::merkle::Hash;
use crate::record::unzigzag;

/// Hashes and counts what passes.
#[derive(Debug)]
pub(super) struct Hashing<R> {
    source: R,
    hasher: Sha256,
    bytes: u64,
}

impl<R> Hashing<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, hasher: Sha256::new(), bytes: 0 }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        self.bytes += read as u64;
        Ok(read)
    }
}

/// A source with the position in the object, for errors.
pub(super) struct Input<R> {
    pub(super) source: R,
    pub(super) position: u64,
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
    pub(super) fn first_long(&mut self) -> Result<Option<i64>, Error> {
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

    pub(super) fn long(&mut self) -> Result<i64, Error> {
        self.first_long()?.ok_or_else(|| self.malformed("a long"))
    }

    /// Exactly `length` bytes. Memory grows with what is really there, not with what a length claims.
    pub(super) fn bytes(&mut self, length: i64, limit: u64, out: &mut Vec<u8>) -> Result<(), Error> {
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

    pub(super) fn header(&mut self) -> Result<(SegmentHeader, SegmentId, [u8; 16]), Error> {
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

/// Reads to the end and gives hash and length of all that passed.
pub(super) fn drain<R: Read>(mut source: BufReader<Hashing<R>>) -> Result<(Hash, u64), Error> {
    std::io::copy(&mut source, &mut std::io::sink()).map_err(|source| Error::Read { source })?;
    let hashing = source.into_inner();
    Ok((hashing.hasher.finalize().into(), hashing.bytes))
}
