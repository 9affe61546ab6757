//! Making proofs from a store: of one record, and of one checkpoint's tree being the beginning of another's.

use std::cell::RefCell;
use std::collections::BTreeMap;

use futures::StreamExt as _;
use tlog_tiles::{HashReader, Tile};

use crate::checkpoint::{Checkpoint, MAX_CHECKPOINT_BYTES, SignedCheckpoint};
use crate::error::Error;
use crate::keys::SegmentId;
use crate::log::floor;
use crate::manifest::{MAX_MANIFEST_BYTES, Manifest};
use crate::merkle::{Hash, leaf_hash};
use crate::proof::Proof;
use crate::record::Record;
use crate::segment::SegmentReader;
use crate::sequencer::latest_checkpoint;
use crate::store::{Store, blocking, read_small};
use crate::tree::{MAX_BUNDLE_BYTES, TILE_WIDTH, TileId, decode_entries};

/// Entry bundles read at the same time while a leaf is looked for.
const READS: usize = 16;

/// The checkpoint of a size; the last one without a size. `None` if there is none.
///
/// # Errors
/// Those of the store; [`Error::Checkpoint`] if it is malformed. Its signatures are not verified.
pub async fn checkpoint<S: Store>(store: &S, size: Option<u64>) -> Result<Option<SignedCheckpoint>, Error> {
    let size = match size {
        Some(size) => size,
        None => match latest_checkpoint(store).await? {
            Some(size) => size,
            None => return Ok(None),
        },
    };
    match read_small(store, &Checkpoint::key(size), MAX_CHECKPOINT_BYTES).await {
        Ok(bytes) => SignedCheckpoint::from_bytes(&bytes).map(Some),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Proves that a record is under the last checkpoint.
///
/// # Errors
/// Those of the store; [`Error::Unproven`] if the log has no such record, or none under a checkpoint; [`Error::Proof`] if what is
/// stored does not add up to a proof: the verifier says why.
pub async fn prove<S: Store>(store: &S, topic: &str, partition: i32, offset: i64) -> Result<Proof, Error> {
    let unproven = |reason| Error::Unproven { topic: topic.to_owned(), partition, offset, reason };
    let manifest = match floor(store, topic, partition, offset, None).await? {
        Some(first) => manifest(store, &SegmentId::new(topic, partition, first)?).await?,
        None => None,
    };
    let manifest = manifest
        .filter(|manifest| offset < manifest.next_offset)
        .ok_or_else(|| unproven("no segment covers the offset"))?;
    let signed = checkpoint(store, None).await?.ok_or_else(|| unproven("the store has no checkpoint"))?;
    let size = signed.checkpoint().size;
    let leaf_index = find_leaf(store, size, &manifest)
        .await?
        .ok_or_else(|| unproven("its segment's manifest is no leaf under the last checkpoint"))?;
    let leaf_path =
        prove_with(store, size, |reader| tlog_tiles::prove_record(size, leaf_index, reader)).await?;

    let source = store.open(&manifest.id()?.segment_key()).await?;
    let (record, index, leaves) =
        blocking(move || read_leaves(SegmentReader::open(source)?.records(), offset)).await?;
    let record =
        record.ok_or_else(|| unproven("the offset has no record: a control record or an aborted one"))?;
    let record_path = tlog_tiles::prove_record(leaves.size, index, &leaves)
        .map_err(|_| Error::Proof { reason: "the segment's records make no tree" })?;
    let record_path = record_path.into_iter().map(|hash| hash.0).collect();
    Ok(Proof::new(&record, (index, record_path), &manifest, (leaf_index, leaf_path), signed))
}

/// Proves that the tree of the smaller size is the beginning of the other (RFC 6962, section 2.1.2).
///
/// # Errors
/// Those of the store; [`Error::Proof`] if the sizes are not in order or tiles are missing.
pub async fn prove_consistency<S: Store>(store: &S, smaller: u64, size: u64) -> Result<Vec<Hash>, Error> {
    prove_with(store, size, |reader| tlog_tiles::prove_tree(size, smaller, reader)).await
}

/// The leaves from one number on and before another, as far as they are manifests.
///
/// # Errors
/// Those of the store, [`Error::NotFound`] for a bundle that is gone included.
pub async fn leaves<S: Store>(store: &S, from: u64, size: u64) -> Result<Vec<Manifest>, Error> {
    let mut manifests = Vec::new();
    let mut bundles = bundles(store, from / TILE_WIDTH..size.div_ceil(TILE_WIDTH), size);
    while let Some(bundle) = bundles.next().await {
        let (index, bytes) = bundle?;
        let skip = from.saturating_sub(index * TILE_WIDTH) as usize;
        let entries = decode_entries(&bytes).unwrap_or_default();
        manifests.extend(entries.into_iter().skip(skip).filter_map(|entry| Manifest::from_bytes(entry).ok()));
    }
    Ok(manifests)
}

/// Entry bundles of a tree of this size, in order.
pub(crate) fn bundles<S: Store>(
    store: &S,
    indexes: impl Iterator<Item = u64>,
    size: u64,
) -> impl futures::Stream<Item = Result<(u64, Vec<u8>), Error>> + Unpin {
    let read = futures::stream::iter(indexes).map(move |index| async move {
        let width = (size - index * TILE_WIDTH).min(TILE_WIDTH) as u16;
        let bytes = read_small(store, &TileId::entries(index, width).key(), MAX_BUNDLE_BYTES).await?;
        Ok((index, bytes))
    });
    Box::pin(read.buffered(READS))
}

/// A stored manifest. Unlike a writer, who looks on is not to complete what a crash left: it may be evidence.
pub(crate) async fn manifest<S: Store>(store: &S, id: &SegmentId) -> Result<Option<Manifest>, Error> {
    match read_small(store, &id.manifest_key(), MAX_MANIFEST_BYTES).await {
        Ok(bytes) => Manifest::from_bytes(&bytes).map(Some),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn find_leaf<S: Store>(store: &S, size: u64, manifest: &Manifest) -> Result<Option<u64>, Error> {
    let wanted = manifest.to_bytes();
    // What is asked for is more often new than old.
    let mut bundles = bundles(store, (0..size.div_ceil(TILE_WIDTH)).rev(), size);
    while let Some(bundle) = bundles.next().await {
        let (index, bytes) = bundle?;
        let at = decode_entries(&bytes).unwrap_or_default().iter().position(|entry| *entry == wanted);
        if let Some(at) = at {
            return Ok(Some(index * TILE_WIDTH + at as u64));
        }
    }
    Ok(None)
}

type Read = Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error>;

/// Notes which hashes a proof needs: the crate asks for all of them at once, and a store is not asked from within.
#[derive(Default)]
struct Needs(RefCell<Vec<u64>>);

impl HashReader for Needs {
    fn read_hashes(&self, indexes: &[u64]) -> Read {
        self.0.borrow_mut().extend_from_slice(indexes);
        Err(tlog_tiles::Error::InvalidTile)
    }
}

/// Tiles that were read.
struct Tiles {
    size: u64,
    tiles: BTreeMap<TileId, Vec<u8>>,
}

impl HashReader for Tiles {
    fn read_hashes(&self, indexes: &[u64]) -> Read {
        let hash = |index: &u64| {
            let (id, tile): (TileId, Tile) = TileId::holding(*index, self.size);
            tile.hash_at_index(self.tiles.get(&id).map_or(&[][..], Vec::as_slice), *index)
        };
        indexes.iter().map(hash).collect()
    }
}

enum Reader<'r> {
    Needs(&'r Needs),
    Tiles(&'r Tiles),
}

impl HashReader for Reader<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Read {
        match self {
            Self::Needs(needs) => needs.read_hashes(indexes),
            Self::Tiles(tiles) => tiles.read_hashes(indexes),
        }
    }
}

async fn prove_with<S: Store>(
    store: &S,
    size: u64,
    prove: impl Fn(&Reader<'_>) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error>,
) -> Result<Vec<Hash>, Error> {
    let needed: Vec<TileId> = {
        let needs = Needs::default();
        if let Ok(proof) = prove(&Reader::Needs(&needs)) {
            return Ok(proof.into_iter().map(|hash| hash.0).collect());
        }
        needs.0.into_inner().into_iter().map(|index| TileId::holding(index, size).0).collect()
    };
    let mut tiles = Tiles { size, tiles: BTreeMap::new() };
    for id in needed {
        if let std::collections::btree_map::Entry::Vacant(entry) = tiles.tiles.entry(id) {
            entry.insert(read_small(store, &id.key(), MAX_BUNDLE_BYTES).await?);
        }
    }
    let proof = prove(&Reader::Tiles(&tiles))
        .map_err(|_| Error::Proof { reason: "the tree's tiles do not give one" })?;
    Ok(proof.into_iter().map(|hash| hash.0).collect())
}

/// All hashes of the tree over a segment's records.
struct RecordTree {
    size: u64,
    stored: Vec<tlog_tiles::Hash>,
}

impl HashReader for RecordTree {
    fn read_hashes(&self, indexes: &[u64]) -> Read {
        let hash =
            |index: &u64| usize::try_from(*index).ok().and_then(|index| self.stored.get(index)).copied();
        indexes.iter().map(|index| hash(index).ok_or(tlog_tiles::Error::InvalidTile)).collect()
    }
}

fn read_leaves(
    records: impl Iterator<Item = Result<Record, Error>>,
    offset: i64,
) -> Result<(Option<Record>, u64, RecordTree), Error> {
    let mut tree = RecordTree { size: 0, stored: Vec::new() };
    let (mut wanted, mut at) = (None, 0);
    let mut datum = Vec::new();
    for record in records {
        let record = record?;
        datum.clear();
        record.encode(&mut datum);
        let leaf = tlog_tiles::Hash(leaf_hash(&datum));
        let hashes = tlog_tiles::stored_hashes_for_record_hash(tree.size, leaf, &tree)
            .map_err(|_| Error::Proof { reason: "the segment's records make no tree" })?;
        tree.stored.extend(hashes);
        if record.offset == offset {
            (wanted, at) = (Some(record), tree.size);
        }
        tree.size += 1;
    }
    Ok((wanted, at, tree))
}
