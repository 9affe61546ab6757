//! Reading records that the log vouches for.
//!
//! Proving each record by itself would read each segment once a record. What is checked is as much: the leaves are those of a
//! signed checkpoint's tree, the segment's bytes give the very manifest that is the leaf, and the records are those bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::ops::Range;

use bytes::Bytes;
use futures::StreamExt as _;

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::error::Error;
use crate::keys::{SEGMENTS, SegmentId, is_topic_name, parse_partition};
use crate::log::segments_from;
use crate::manifest::Manifest;
use crate::merkle::leaf_hash;
use crate::prove;
use crate::record::Record;
use crate::segment::{SegmentReader, examine};
use crate::signing::VerifyingKeys;
use crate::store::{Store, blocking};
use crate::tree::{Edge, TILE_WIDTH, decode_entries};

/// The leaves under the last checkpoint of a log, whose signature and whose tree were checked.
#[derive(Debug)]
pub struct Ledger {
    signed: SignedCheckpoint,
    partitions: BTreeMap<(String, i32), Vec<Planned>>,
}

/// A segment to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What it must be.
    pub manifest: Manifest,
    /// The leaf that says so; none where the store alone says so, because the segment is under no checkpoint.
    pub leaf: Option<u64>,
}

/// A segment that is what its manifest says.
#[derive(Clone, Debug)]
pub struct Attested(Bytes);

impl Attested {
    /// Its records, in the order of their offsets.
    ///
    /// # Errors
    /// None: it was read as a whole before.
    pub fn records(&self) -> Result<impl Iterator<Item = Result<Record, Error>>, Error> {
        Ok(SegmentReader::open(std::io::Cursor::new(self.0.clone()))?.records())
    }
}

impl Ledger {
    /// Reads the last checkpoint and its leaves.
    ///
    /// # Errors
    /// Those of the store; [`Error::Checkpoint`] if there is no checkpoint, none of the keys has signed it, or its entries are not
    /// those of its tree.
    pub async fn open<S: Store>(store: &S, keys: &VerifyingKeys) -> Result<Self, Error> {
        let refuse = |reason| Error::Checkpoint { reason };
        let signed = prove::checkpoint(store, None).await?.ok_or(refuse("the store has none"))?;
        if !signed.is_signed_by(keys) {
            return Err(refuse("no known key whose signatures count at its time has signed it"));
        }
        let checkpoint = signed.checkpoint().clone();
        let mut edge = Edge::new();
        let mut partitions: BTreeMap<(String, i32), Vec<Planned>> = BTreeMap::new();
        let size = checkpoint.size;
        let mut bundles = prove::bundles(store, 0..size.div_ceil(TILE_WIDTH), size);
        while let Some(bundle) = bundles.next().await {
            let (_, bytes) = bundle?;
            for entry in decode_entries(&bytes).unwrap_or_default() {
                let leaf = edge.size();
                edge.push(leaf_hash(entry));
                let manifest = Manifest::from_bytes(entry)?;
                let key = (manifest.topic.clone(), manifest.partition);
                partitions.entry(key).or_default().push(Planned { manifest, leaf: Some(leaf) });
            }
        }
        if edge.size() != size || edge.root() != checkpoint.root {
            return Err(refuse("its entries are not those of its tree"));
        }
        partitions
            .values_mut()
            .for_each(|leaves| leaves.sort_by_key(|planned| planned.manifest.first_offset));
        drop(bundles);
        Ok(Self { signed, partitions })
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        self.signed.checkpoint()
    }

    /// The checkpoint with its signatures.
    pub fn signed(&self) -> &SignedCheckpoint {
        &self.signed
    }

    /// The segments that the leaves name, by topic, partition and offset.
    pub fn segments(&self) -> impl Iterator<Item = &Planned> {
        self.partitions.values().flatten()
    }

    /// The topics of the log, those included of which nothing is under a checkpoint yet.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn topics<S: Store>(&self, store: &S) -> Result<BTreeSet<String>, Error> {
        let folders = store.children(SEGMENTS).await?.folders;
        let logged = self.partitions.keys().map(|(topic, _)| topic.clone());
        Ok(folders.into_iter().filter(|folder| is_topic_name(folder)).chain(logged).collect())
    }

    /// The partitions of a topic, those included of which nothing is under a checkpoint yet.
    ///
    /// # Errors
    /// Those of the store; [`Error::Topic`] for a name that is none.
    pub async fn partitions<S: Store>(&self, store: &S, topic: &str) -> Result<BTreeSet<i32>, Error> {
        if !is_topic_name(topic) {
            return Err(Error::Topic);
        }
        let folders = store.children(&format!("{SEGMENTS}{topic}/")).await?.folders;
        let logged =
            self.partitions.keys().filter(|(logged, _)| logged == topic).map(|(_, partition)| *partition);
        Ok(folders.iter().filter_map(|folder| parse_partition(folder)).chain(logged).collect())
    }

    /// The segments that hold these offsets, in their order.
    ///
    /// # Errors
    /// Those of the store; [`Error::Manifest`] if a manifest that no leaf names is malformed.
    pub async fn plan<S: Store>(
        &self,
        store: &S,
        topic: &str,
        partition: i32,
        offsets: Range<i64>,
    ) -> Result<Vec<Planned>, Error> {
        SegmentId::new(topic, partition, 0)?;
        let mut plan = Vec::new();
        let mut next = 0;
        for planned in self.partitions.get(&(topic.to_owned(), partition)).into_iter().flatten() {
            let Manifest { first_offset, next_offset, .. } = planned.manifest;
            if next < first_offset {
                unlogged(store, topic, partition, next..first_offset, &mut plan).await?;
            }
            next = next.max(next_offset);
            plan.push(planned.clone());
        }
        unlogged(store, topic, partition, next..i64::MAX, &mut plan).await?;
        let wanted = |planned: &Planned| {
            planned.manifest.next_offset > offsets.start && planned.manifest.first_offset < offsets.end
        };
        plan.retain(wanted);
        Ok(plan)
    }

    /// Reads a segment and holds it against what it must be.
    ///
    /// # Errors
    /// Those of the store; [`Error::Altered`] if the store has it no more, or has something else in its place.
    pub async fn read<S: Store>(&self, store: &S, planned: &Planned) -> Result<Attested, Error> {
        let manifest = &planned.manifest;
        let altered = |reason| Error::Altered {
            topic: manifest.topic.clone(),
            partition: manifest.partition,
            first_offset: manifest.first_offset,
            next_offset: manifest.next_offset,
            reason,
        };
        let source = match store.open(&manifest.id()?.segment_key()).await {
            Err(Error::NotFound { .. }) => return Err(altered("the segment is gone")),
            source => source?,
        };
        // One byte more than it must have shows that it has more.
        let limit = manifest.object_bytes.saturating_add(1);
        let (bytes, examination) = blocking(move || {
            let mut bytes = Vec::new();
            source.take(limit).read_to_end(&mut bytes).map_err(|source| Error::Read { source })?;
            let examination = examine(bytes.as_slice())?;
            Ok((Bytes::from(bytes), examination))
        })
        .await?;
        match examination.manifest {
            Ok(found) if found == *manifest => Ok(Attested(bytes)),
            Ok(_) | Err(_) => Err(altered("the segment is not the one that its manifest was made for")),
        }
    }
}

/// Segments that start in a range of offsets and that no leaf names.
async fn unlogged<S: Store>(
    store: &S,
    topic: &str,
    partition: i32,
    range: Range<i64>,
    plan: &mut Vec<Planned>,
) -> Result<(), Error> {
    let mut from = range.start;
    loop {
        let (segments, more) = segments_from(store, topic, partition, from).await?;
        for id in &segments {
            if id.first_offset() >= range.end {
                return Ok(());
            }
            // Its writer may be about to write it: what is not announced yet is not missed.
            if let Some(manifest) = prove::manifest(store, id).await? {
                plan.push(Planned { manifest, leaf: None });
            }
            from = id.first_offset().saturating_add(1);
        }
        if !more || segments.is_empty() {
            return Ok(());
        }
    }
}
