//! Building and reading segments: an Avro object container (Apache Avro 1.12, "Object Container Files") with zstd blocks.

mod builder;
mod input;
mod reader;

pub use builder::{Context, Limits, Sealed, SegmentBuilder};
pub use reader::{Examination, Records, SegmentReader, examine};

use crate::keys::SegmentId;
use crate::manifest::sha256;

/// Schema of a record in a segment, as committed in `schema/record.avsc`.
pub const RECORD_SCHEMA: &str = include_str!("../../schema/record.avsc");

const MAGIC: &[u8] = b"Obj\x01";
const CODEC: &str = "zstandard";
const HEADER_KEY: &str = "wardstream.segment";
/// zstd's own default: on clinical JSON a higher level costs more time than it saves bytes.
const ZSTD_LEVEL: i32 = 3;
/// Uncompressed bytes after which a block is closed: large enough for zstd to find what repeats between messages, and small
/// enough that an open one for each of two hundred partitions is no matter.
const BLOCK_BYTES: usize = 256 << 10;
/// Largest record in bytes; above the largest message librdkafka sends (`message.max.bytes`, at most 1,000,000,000).
const MAX_RECORD_BYTES: u64 = 1 << 30;
/// Blocks of a mebibyte were written once, and are read.
const MAX_BLOCK_BYTES: u64 = MAX_RECORD_BYTES + (1 << 20);
const MAX_HEADER_FIELD_BYTES: u64 = 1 << 16;

/// The marker between blocks. Derived rather than random, so that the same records always make the same object.
fn marker(id: &SegmentId) -> [u8; 16] {
    let digest = sha256(id.segment_key().as_bytes());
    let mut marker = [0; 16];
    marker.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    marker
}
