//! The log over a store: where it ends, writing a segment exactly once, reading a range.

use std::ops::{ControlFlow, Range};

use bytes::Bytes;

use crate::error::Error;
use crate::keys::{SegmentId, partition_prefix, position_before};
use crate::manifest::{MAX_MANIFEST_BYTES, Manifest, parse_hash, sha256};
use crate::merkle::Hash;
use crate::record::Record;
use crate::segment::{Sealed, SegmentReader};
use crate::store::{Created, NewObject, Store, blocking, read_small};

pub(crate) const SEGMENT_TYPE: &str = "application/vnd.apache.avro";
pub(crate) const MANIFEST_TYPE: &str = "application/json";

/// The last segment of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its manifest.
    pub manifest: Manifest,
    /// SHA-256 of the manifest: what the next segment names as its predecessor.
    pub manifest_sha256: Hash,
    /// Whether a writer had died before the manifest, which was rebuilt from the segment just now.
    pub completed: bool,
}

impl Tip {
    /// The first offset that is not in the log.
    pub fn next_offset(&self) -> i64 {
        self.manifest.next_offset
    }
}

/// What came of [`write`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// Segment and manifest are in the store.
    Created,
    /// Another writer's segment has the start offset; the log goes on from its end.
    Adopted(Box<Tip>),
}

/// Finds the end of a partition's log. `None` if nothing of it is stored.
///
/// Object keys sort by offset, so the last one is found in a number of listings that grows with the logarithm of the
/// partition's length, and at once with a good `hint` (Kafka's committed offset). A segment whose writer died before the
/// manifest gets it now.
///
/// # Errors
/// Those of the store; [`Error::Conflict`] if the last manifest does not belong where it stands, [`Error::Manifest`] or
/// [`Error::Segment`] if the last segment is malformed.
pub async fn resume<S: Store>(
    store: &S,
    topic: &str,
    partition: i32,
    hint: Option<i64>,
) -> Result<Option<Tip>, Error> {
    SegmentId::new(topic, partition, 0)?;
    match floor(store, topic, partition, i64::MAX, hint).await? {
        None => Ok(None),
        Some(first_offset) => {
            complete(store, &SegmentId::new(topic, partition, first_offset)?).await.map(Some)
        }
    }
}

/// The segment that starts at this offset, `None` if none does. Like [`resume`] it completes one whose writer died.
///
/// # Errors
/// Those of [`resume`].
pub async fn segment_at<S: Store>(
    store: &S,
    topic: &str,
    partition: i32,
    first_offset: i64,
) -> Result<Option<Tip>, Error> {
    match complete(store, &SegmentId::new(topic, partition, first_offset)?).await {
        Ok(tip) => Ok(Some(tip)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a segment, then its manifest, both create-only.
///
/// Writing the same [`Sealed`] again after an error is always right: what the earlier attempt got done is recognised.
///
/// # Errors
/// Those of the store; [`Error::Conflict`] if a manifest is in place that belongs to other bytes.
pub async fn write<S: Store>(store: &S, sealed: &Sealed) -> Result<Written, Error> {
    let retain_until = sealed.manifest.retain_until;
    let segment = NewObject {
        key: sealed.segment_key.clone(),
        body: sealed.segment.clone(),
        sha256: sealed.segment_sha256,
        retain_until,
        content_type: SEGMENT_TYPE,
    };
    if store.create(segment).await? == Created::AlreadyExists {
        let tip = complete(store, &sealed.id).await?;
        return Ok(if tip.manifest_sha256 == sealed.manifest_sha256 {
            Written::Created
        } else {
            Written::Adopted(Box::new(tip))
        });
    }
    create_manifest(store, &sealed.id, &sealed.manifest, &sealed.manifest_bytes).await?;
    Ok(Written::Created)
}

/// Reads a segment's manifest, or rebuilds and writes it if its writer died before.
async fn complete<S: Store>(store: &S, id: &SegmentId) -> Result<Tip, Error> {
    let key = id.manifest_key();
    match read_small(store, &key, MAX_MANIFEST_BYTES).await {
        Ok(bytes) => {
            let manifest = Manifest::from_bytes(&bytes)?;
            if manifest.id()? != *id || manifest.next_offset <= manifest.first_offset {
                return Err(Error::Conflict { key, reason: "the manifest names another segment" });
            }
            Ok(Tip { manifest_sha256: sha256(&bytes), manifest, completed: false })
        }
        Err(Error::NotFound { .. }) => {
            let source = store.open(&id.segment_key()).await?;
            let manifest = blocking(move || SegmentReader::open(source)?.into_manifest()).await?;
            if manifest.id()? != *id {
                return Err(Error::Conflict {
                    key: id.segment_key(),
                    reason: "the segment is another one's copy",
                });
            }
            let bytes = Bytes::from(manifest.to_bytes());
            create_manifest(store, id, &manifest, &bytes).await?;
            Ok(Tip { manifest_sha256: sha256(&bytes), manifest, completed: true })
        }
        Err(error) => Err(error),
    }
}

async fn create_manifest<S: Store>(
    store: &S,
    id: &SegmentId,
    manifest: &Manifest,
    bytes: &Bytes,
) -> Result<(), Error> {
    let key = id.manifest_key();
    let object = NewObject {
        key: key.clone(),
        body: bytes.clone(),
        sha256: sha256(bytes),
        retain_until: manifest.retain_until,
        content_type: MANIFEST_TYPE,
    };
    if store.create(object).await? == Created::AlreadyExists
        && read_small(store, &key, MAX_MANIFEST_BYTES).await? != *bytes
    {
        return Err(Error::Conflict { key, reason: "the manifest belongs to other bytes than the segment" });
    }
    Ok(())
}

/// First offset of the last segment that starts at or before `at`.
pub(crate) async fn floor<S: Store>(
    store: &S,
    topic: &str,
    partition: i32,
    at: i64,
    hint: Option<i64>,
) -> Result<Option<i64>, Error> {
    // Offsets in [low, high) are still in question; `low` itself starts a segment.
    let mut high = at.saturating_add(1);
    let mut low = None;
    let mut step = 1_i64;
    let hinted = hint.filter(|hint| (1..=at).contains(hint));
    for from in hinted.into_iter().chain([0]) {
        match probe(store, topic, partition, from, at).await? {
            Probe::Floor(offset) => return Ok(Some(offset)),
            Probe::AtLeast { offset, span } => {
                low = Some(offset);
                step = span;
                break;
            }
            Probe::Nothing => high = high.min(from),
        }
    }
    let Some(mut low) = low else { return Ok(None) };
    let mut galloping = true;
    while low.saturating_add(1) < high {
        let middle = low + (high - low) / 2;
        let from =
            if galloping { low.saturating_add(step).clamp(low + 1, middle.max(low + 1)) } else { middle };
        match probe(store, topic, partition, from, at).await? {
            Probe::Floor(offset) => return Ok(Some(offset)),
            Probe::AtLeast { offset, .. } => {
                low = offset;
                step = step.saturating_mul(2);
            }
            Probe::Nothing => {
                high = from;
                galloping = false;
            }
        }
    }
    Ok(Some(low))
}

enum Probe {
    /// The segment in question.
    Floor(i64),
    /// A segment at or before the offset in question, perhaps not the last; `span` offsets came with the page.
    AtLeast { offset: i64, span: i64 },
    /// No segment between the position and the offset in question.
    Nothing,
}

async fn probe<S: Store>(store: &S, topic: &str, partition: i32, from: i64, at: i64) -> Result<Probe, Error> {
    let (segments, more) = segments_from(store, topic, partition, from).await?;
    let offsets = || segments.iter().map(SegmentId::first_offset);
    let Some(offset) = offsets().take_while(|offset| *offset <= at).last() else {
        return Ok(Probe::Nothing);
    };
    if !more || offsets().next_back().is_some_and(|last| last > at) {
        return Ok(Probe::Floor(offset));
    }
    Ok(Probe::AtLeast { offset, span: offset.saturating_sub(from).max(1) })
}

/// The first segments that start at `from` or later, each once, and whether more objects follow. None only at the log's end.
///
/// A page may hold nothing but objects that the log would not write; were that taken for the end, whoever can write to the
/// bucket could hide the rest of the log from its readers.
pub(crate) async fn segments_from<S: Store>(
    store: &S,
    topic: &str,
    partition: i32,
    from: i64,
) -> Result<(Vec<SegmentId>, bool), Error> {
    let prefix = partition_prefix(topic, partition);
    let mut after = position_before(topic, partition, from);
    loop {
        let page = store.list(&prefix, Some(&after)).await?;
        let mut segments: Vec<SegmentId> = page
            .objects
            .iter()
            .filter_map(|object| SegmentId::parse(&object.key))
            .map(|(id, _)| id)
            .collect();
        segments.dedup();
        match page.objects.into_iter().next_back() {
            Some(last) if segments.is_empty() && page.more => after = last.key,
            _ => return Ok((segments, page.more)),
        }
    }
}

/// Reads the records of an offset range in order, a block in memory at a time, until the range or the log ends or the sink breaks.
///
/// The sink runs on a thread that may block and comes back with the number of records it was given. Nothing is verified here
/// beyond the container's form: run the verifier for that.
///
/// # Errors
/// Those of the store; [`Error::Segment`] for malformed segments.
pub async fn read_range<S, F>(
    store: &S,
    topic: &str,
    partition: i32,
    offsets: Range<i64>,
    sink: F,
) -> Result<(F, u64), Error>
where
    S: Store,
    F: FnMut(Record) -> ControlFlow<()> + Send + 'static,
{
    SegmentId::new(topic, partition, 0)?;
    let mut sink = sink;
    let mut count = 0;
    let start = offsets.start.max(0);
    let mut first = floor(store, topic, partition, start, None).await?.unwrap_or(start);
    loop {
        let (segments, more) = segments_from(store, topic, partition, first).await?;
        if segments.is_empty() {
            return Ok((sink, count));
        }
        for id in segments {
            if id.first_offset() >= offsets.end {
                return Ok((sink, count));
            }
            let source = store.open(&id.segment_key()).await?;
            let (given, range) = (sink, offsets.clone());
            let (returned, read, ended) = blocking(move || read_segment(source, &range, given)).await?;
            sink = returned;
            count += read;
            if ended {
                return Ok((sink, count));
            }
            first = id.first_offset().saturating_add(1);
        }
        if !more {
            return Ok((sink, count));
        }
    }
}

fn read_segment<F>(
    source: Box<dyn std::io::Read + Send>,
    range: &Range<i64>,
    mut sink: F,
) -> Result<(F, u64, bool), Error>
where
    F: FnMut(Record) -> ControlFlow<()>,
{
    let mut count = 0;
    for record in SegmentReader::open(source)?.records() {
        let record = record?;
        if record.offset >= range.end {
            return Ok((sink, count, true));
        }
        if record.offset >= range.start {
            count += 1;
            if sink(record).is_break() {
                return Ok((sink, count, true));
            }
        }
    }
    Ok((sink, count, false))
}

/// The predecessor's hash as a manifest states it.
pub(crate) fn stated_predecessor(manifest: &Manifest) -> Option<Hash> {
    manifest.prev_manifest_sha256.as_deref().and_then(parse_hash)
}
