//! One Kafka record and its Avro form (`schema/record.avsc`; Apache Avro 1.12, "Binary Encoding").
//!
//! Encoding is written out here rather than taken from an Avro library because the Merkle leaf of a record is the hash of
//! exactly these bytes, and because a reader must borrow from the block instead of building a value tree per record.
//! Tests read the result with an independent Avro implementation.

/// A Kafka record as it was consumed.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Kafka topic.
    pub topic: String,
    /// Kafka partition.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// Timestamp, milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Key, byte for byte.
    pub key: Option<Vec<u8>>,
    /// Value, byte for byte; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers in their order; a name may repeat.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Sizes instead of contents: a record holds PHI.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("timestamp_ms", &self.timestamp_ms)
            .field("key_bytes", &self.key.as_ref().map(Vec::len))
            .field("value_bytes", &self.value.as_ref().map(Vec::len))
            .field("headers", &self.headers.len())
            .finish()
    }
}

impl Record {
    /// Borrows key and value.
    pub fn view(&self) -> RecordRef<'_> {
        RecordRef {
            offset: self.offset,
            timestamp_ms: self.timestamp_ms,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: Headers::Slice(&self.headers),
        }
    }

    /// Bytes the record takes up in a segment before compression, at most.
    pub(crate) fn encoded_bound(&self) -> u64 {
        const VARINT: u64 = 10;
        let field = |bytes: Option<&Vec<u8>>| VARINT + 1 + bytes.map_or(0, |bytes| bytes.len() as u64);
        let headers: u64 =
            self.headers.iter().map(|(key, value)| VARINT + key.len() as u64 + field(value.as_ref())).sum();
        4 * VARINT + field(self.key.as_ref()) + field(self.value.as_ref()) + headers
    }

    /// Appends the Avro datum.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_long(out, self.offset);
        put_long(out, self.timestamp_ms);
        put_optional(out, self.key.as_deref());
        put_optional(out, self.value.as_deref());
        if !self.headers.is_empty() {
            put_long(out, self.headers.len() as i64);
            for (key, value) in &self.headers {
                put_bytes(out, key.as_bytes());
                put_optional(out, value.as_deref());
            }
        }
        put_long(out, 0);
    }
}

/// A record borrowed from the block it was read from.
#[derive(Clone, Copy)]
pub struct RecordRef<'a> {
    /// Offset in the partition.
    pub offset: i64,
    /// Timestamp, milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value.
    pub value: Option<&'a [u8]>,
    headers: Headers<'a>,
}

#[derive(Clone, Copy)]
enum Headers<'a> {
    Slice(&'a [(String, Option<Vec<u8>>)]),
    /// An Avro array that was walked once and found whole.
    Encoded(&'a [u8]),
}

impl RecordRef<'_> {
    /// Copies into an owned record of the given topic and partition.
    pub fn to_record(&self, topic: &str, partition: i32) -> Record {
        let headers = match self.headers {
            Headers::Slice(headers) => headers.to_vec(),
            Headers::Encoded(bytes) => {
                let mut headers = Vec::new();
                // The walk below succeeded on these bytes when the record was decoded.
                let _ = walk_headers(&mut Cursor { rest: bytes }, |key, value| {
                    headers.push((key.to_owned(), value.map(<[u8]>::to_vec)));
                });
                headers
            }
        };
        Record {
            topic: topic.to_owned(),
            partition,
            offset: self.offset,
            timestamp_ms: self.timestamp_ms,
            key: self.key.map(<[u8]>::to_vec),
            value: self.value.map(<[u8]>::to_vec),
            headers,
        }
    }
}

/// Decodes one datum from the front of `bytes` and returns it with its encoded length.
///
/// # Errors
/// What was expected, for bytes that are no such datum.
pub(crate) fn decode(bytes: &[u8]) -> Result<(RecordRef<'_>, usize), &'static str> {
    let mut cursor = Cursor { rest: bytes };
    let offset = cursor.long()?;
    let timestamp_ms = cursor.long()?;
    let key = cursor.optional()?;
    let value = cursor.optional()?;
    let headers = cursor.rest;
    walk_headers(&mut cursor, |_, _| {})?;
    let record = RecordRef { offset, timestamp_ms, key, value, headers: Headers::Encoded(headers) };
    Ok((record, bytes.len() - cursor.rest.len()))
}

fn walk_headers<'a>(
    cursor: &mut Cursor<'a>,
    mut visit: impl FnMut(&'a str, Option<&'a [u8]>),
) -> Result<(), &'static str> {
    loop {
        match cursor.long()? {
            0 => return Ok(()),
            count if count < 0 => return Err("an array block with a count above zero"),
            count => {
                for _ in 0..count {
                    let key = std::str::from_utf8(cursor.bytes()?).map_err(|_| "a header name in utf-8")?;
                    visit(key, cursor.optional()?);
                }
            }
        }
    }
}

/// Appends a `long`: zig-zag, then base 128 with the least significant group first.
pub(crate) fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut bits = ((value << 1) ^ (value >> 63)) as u64;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

/// Appends `bytes` or a `string`: length, then the bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

/// Appends a `["null", "bytes"]` union.
fn put_optional(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_long(out, 0),
        Some(bytes) => {
            put_long(out, 1);
            put_bytes(out, bytes);
        }
    }
}

/// Undoes the zig-zag of [`put_long`].
pub(crate) fn unzigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn long(&mut self) -> Result<i64, &'static str> {
        let mut bits = 0_u64;
        for (index, byte) in self.rest.iter().enumerate().take(10) {
            bits |= u64::from(byte & 0x7f).checked_shl(7 * index as u32).unwrap_or(0);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(index + 1..).unwrap_or_default();
                return Ok(unzigzag(bits));
            }
        }
        Err("a long of at most ten bytes")
    }

    fn bytes(&mut self) -> Result<&'a [u8], &'static str> {
        let length = usize::try_from(self.long()?).map_err(|_| "a length of zero or more")?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or("as many bytes as the length says")?;
        self.rest = rest;
        Ok(bytes)
    }

    fn optional(&mut self) -> Result<Option<&'a [u8]>, &'static str> {
        match self.long()? {
            0 => Ok(None),
            1 => self.bytes().map(Some),
            _ => Err("a union branch of 0 or 1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::arbitrary::record;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn records_read_back(record in record("t", 0, 0..i64::MAX)) {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            prop_assert!(bytes.len() as u64 <= record.encoded_bound());
            bytes.push(0xff);
            let (read, length) = decode(&bytes).unwrap();
            prop_assert_eq!(length, bytes.len() - 1);
            prop_assert!(read.to_record("t", 0) == record);
            prop_assert!(record.view().to_record("t", 0) == record);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn longs_follow_the_specification(value in any::<i64>()) {
            let mut bytes = Vec::new();
            put_long(&mut bytes, value);
            prop_assert_eq!(Cursor { rest: &bytes }.long(), Ok(value));
        }
    }

    /// The table in Apache Avro 1.12, "Binary Encoding", primitive types.
    #[test]
    fn longs_of_the_specification() {
        for (value, encoded) in
            [(0, vec![0x00]), (-1, vec![0x01]), (1, vec![0x02]), (-64, vec![0x7f]), (64, vec![0x80, 0x01])]
        {
            let mut bytes = Vec::new();
            put_long(&mut bytes, value);
            assert_eq!(bytes, encoded);
        }
    }

    #[test]
    fn debug_shows_no_content() {
        let record = Record {
            topic: "t".to_owned(),
            partition: 0,
            offset: 1,
            timestamp_ms: 2,
            key: Some(b"SECRETKEY".to_vec()),
            value: Some(b"SECRETVALUE".to_vec()),
            headers: vec![("name".to_owned(), Some(b"SECRETHEADER".to_vec()))],
        };
        assert!(!format!("{record:?}").contains("SECRET"));
    }
}
