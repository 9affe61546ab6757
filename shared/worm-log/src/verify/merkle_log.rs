//! The Merkle log against itself, against its checkpoints, and against the segments.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;

use super::check::retrying;
use super::leaves::Leaves;
use super::{VerifyOptions, plan};
use crate::checkpoint::{Checkpoint, MAX_CHECKPOINT_BYTES, SignedCheckpoint};
use crate::error::Error;
use crate::merkle::{Hash, leaf_hash};
use crate::report::{Finding, FindingKind, MerkleLogSummary, Report};
use crate::store::{Store, read_small};
use crate::tree::{Edge, LOG, MAX_BUNDLE_BYTES, TILE_WIDTH, TileId, decode_entries};

/// Small objects read at the same time: what bounds them is the store's latency.
const READS: usize = 16;
const HASH_BYTES: usize = 32;

/// A finding about an object of the Merkle log.
fn finding(kind: FindingKind, key: impl Into<String>, detail: impl Into<String>) -> Finding {
    Finding::of_object(kind, Some(key.into()), detail)
}

/// What a checkpoint says, as far as others are held against it.
struct Stated {
    root: Hash,
    text_sha256: Hash,
    checkpoint: Checkpoint,
}

/// Verifies the Merkle log that was [listed](list); nothing but a note in the report if there is none and none is expected.
pub(super) async fn check<S: Store>(
    store: &S,
    options: &VerifyOptions,
    (sizes, tiles): Listed,
    mut leaves: Leaves,
    report: &mut Report,
) -> Result<(), Error> {
    plan::anomalies(store, LOG, report).await?;
    if sizes.is_empty() && tiles.is_empty() {
        if !options.keys.is_empty() || !options.known.is_empty() {
            let detail = "keys or a checkpoint are known, and the store has no merkle log";
            report.add(finding(FindingKind::LogMissing, LOG, detail));
        }
        return Ok(());
    }
    let checkpoints = read_checkpoints(store, &sizes, options, report).await?;
    follow(&sizes, &checkpoints, report);
    let present: BTreeSet<TileId> = tiles.iter().copied().collect();
    miss_tiles(&checkpoints, &present, report);

    let mut groups: BTreeMap<u64, Vec<TileId>> = BTreeMap::new();
    for (tile, size) in tiles.into_iter().filter_map(|tile| Some((tile, tile.tree_size()?))) {
        groups.entry((size - 1) / TILE_WIDTH).or_default().push(tile);
    }
    let mut walk = Walk { edge: Edge::new(), checkpoints: &checkpoints, options, forked: false };
    let mut read = futures::stream::iter(groups)
        .map(|(index, tiles)| async move { Ok::<_, Error>((index, read_tiles(store, tiles).await?)) })
        .buffered(4);
    while let Some(group) = read.next().await {
        let (index, tiles) = group?;
        if walk.edge.size() != index * TILE_WIDTH || !walk.take(index, &tiles, &mut leaves, report) {
            // The tiles that would tell the leaves from here on are gone, which is a finding each.
            break;
        }
    }
    let size = walk.edge.size();
    let last = checkpoints.values().next_back();
    let under = last.map_or(0, |last| last.checkpoint.size);
    if size > under {
        let detail = format!(
            "leaves {under} to {} are under no checkpoint: it was taken away, or its writer died",
            size - 1
        );
        report.add(finding(FindingKind::CheckpointMissing, Checkpoint::key(size), detail));
    }
    for known in options.known.iter().filter(|known| known.size > under) {
        let detail =
            format!("a checkpoint of size {} is known, the last one here has size {under}", known.size);
        report.add(finding(FindingKind::RolledBack, Checkpoint::key(known.size), detail));
    }
    let (unlogged, chained) = leaves.end(report);
    report.merkle_log = last.map(|last| MerkleLogSummary {
        origin: last.checkpoint.origin.clone(),
        size: under,
        root: hex::encode(last.root),
        time: last.checkpoint.time,
        checkpoints: checkpoints.len() as u64,
        signatures_checked: !options.keys.is_empty(),
        segments_pending: unlogged,
        segments_chained: chained,
    });
    Ok(())
}

/// Sizes of all checkpoints and names of all tiles.
pub(super) type Listed = (BTreeSet<u64>, Vec<TileId>);

/// Lists the Merkle log; what is neither checkpoint nor tile is a finding.
pub(super) async fn list<S: Store>(store: &S, report: &mut Report) -> Result<Listed, Error> {
    let (mut sizes, mut tiles) = (BTreeSet::new(), Vec::new());
    let mut after: Option<String> = None;
    loop {
        let page = store.list(LOG, after.as_deref()).await?;
        after = page.objects.last().map(|object| object.key.clone());
        for object in page.objects {
            if let Some(size) = Checkpoint::parse_key(&object.key) {
                sizes.insert(size);
            } else if let Some(tile) = TileId::parse(&object.key) {
                tiles.push(tile);
            } else {
                plan::unknown([object.key], report);
            }
        }
        if !page.more || after.is_none() {
            return Ok((sizes, tiles));
        }
    }
}

async fn read_checkpoints<S: Store>(
    store: &S,
    sizes: &BTreeSet<u64>,
    options: &VerifyOptions,
    report: &mut Report,
) -> Result<BTreeMap<u64, Stated>, Error> {
    let mut checkpoints: BTreeMap<u64, Stated> = BTreeMap::new();
    let mut origin: Option<String> = None;
    let mut read = futures::stream::iter(sizes)
        .map(|size| async move {
            let key = Checkpoint::key(*size);
            let bytes = retrying(|| read_small(store, &key, MAX_CHECKPOINT_BYTES)).await?;
            Ok::<_, Error>((*size, key.clone(), bytes))
        })
        .buffered(READS);
    while let Some(read) = read.next().await {
        let (size, key, bytes) = read?;
        // Taken away since it was listed; its successor will miss it.
        let Some(bytes) = bytes else { continue };
        let signed = match SignedCheckpoint::from_bytes(&bytes) {
            Ok(signed) => signed,
            Err(error) => {
                report.add(finding(FindingKind::CheckpointMalformed, key, error.to_string()));
                continue;
            }
        };
        let checkpoint = signed.checkpoint();
        if checkpoint.size != size {
            let detail = format!("it is the checkpoint of size {}", checkpoint.size);
            report.add(finding(FindingKind::CheckpointMisplaced, key, detail));
            continue;
        }
        if !options.keys.is_empty() && !signed.is_signed_by(&options.keys) {
            let detail = format!(
                "no signature by a known key of {} that counts at {}",
                checkpoint.origin.escape_debug(),
                checkpoint.time
            );
            report.add(finding(FindingKind::CheckpointUnsigned, key.clone(), detail));
        }
        if origin.get_or_insert_with(|| checkpoint.origin.clone()) != &checkpoint.origin {
            let detail = "it names another log than the first checkpoint";
            report.add(finding(FindingKind::CheckpointContradicted, key, detail));
        }
        let stated = Stated {
            root: checkpoint.root,
            text_sha256: signed.text_sha256(),
            checkpoint: checkpoint.clone(),
        };
        checkpoints.insert(size, stated);
    }
    Ok(checkpoints)
}

/// Each checkpoint names the one before it: one that is gone is missed, and so are several in a row.
fn follow(sizes: &BTreeSet<u64>, checkpoints: &BTreeMap<u64, Stated>, report: &mut Report) {
    let mut before: Option<&Stated> = None;
    for (size, stated) in checkpoints {
        let key = Checkpoint::key(*size);
        match stated.checkpoint.previous {
            Some((previous, hash)) if previous < *size => match checkpoints.get(&previous) {
                Some(named) if named.text_sha256 != hash => {
                    let detail =
                        format!("it names another checkpoint of size {previous} than the one that is here");
                    report.add(finding(FindingKind::CheckpointContradicted, key.clone(), detail));
                }
                // Of that one alone: a checkpointer that was held up signs a smaller tree later than another a larger one.
                Some(named) if named.checkpoint.time > stated.checkpoint.time => {
                    let detail =
                        format!("it is older than the checkpoint of size {previous}, which it names");
                    report.add(finding(FindingKind::CheckpointContradicted, key.clone(), detail));
                }
                Some(_) => {}
                // It is there and no checkpoint, which is a finding already.
                None if sizes.contains(&previous) => {}
                None => {
                    let last = before.map_or(0, |before| before.checkpoint.size);
                    let detail = format!(
                        "the checkpoint of size {size} names it; nothing is left between the sizes {last} and {size}"
                    );
                    report.add(finding(FindingKind::CheckpointMissing, Checkpoint::key(previous), detail));
                }
            },
            Some(_) => {
                let detail = "it names a predecessor that is no smaller";
                report.add(finding(FindingKind::CheckpointContradicted, key.clone(), detail));
            }
            None if before.is_some() => {
                let detail = "it says that it is the first, and is not";
                report.add(finding(FindingKind::CheckpointContradicted, key.clone(), detail));
            }
            None => {}
        }
        before = Some(stated);
    }
}

/// Tiles that the trees of the checkpoints have and the store has not.
fn miss_tiles(checkpoints: &BTreeMap<u64, Stated>, present: &BTreeSet<TileId>, report: &mut Report) {
    let mut miss = |id: TileId| {
        if !present.contains(&id) {
            let detail = format!("the tree of size {} has it", id.tree_size().unwrap_or_default());
            report.add(finding(FindingKind::TileMissing, id.key(), detail));
        }
    };
    for size in checkpoints.keys() {
        TileId::partial(*size).into_iter().for_each(&mut miss);
    }
    let size = checkpoints.keys().next_back().copied().unwrap_or_default();
    for index in 0..size / TILE_WIDTH {
        miss(TileId::entries(index, TILE_WIDTH as u16));
    }
    let mut nodes = size / TILE_WIDTH;
    for level in 0.. {
        if nodes == 0 {
            break;
        }
        (0..nodes).for_each(|index| miss(TileId::hashes(level, index, TILE_WIDTH as u16)));
        nodes /= TILE_WIDTH;
    }
}

type Tiles = Vec<(TileId, Vec<u8>)>;

async fn read_tiles<S: Store>(store: &S, tiles: Vec<TileId>) -> Result<Tiles, Error> {
    futures::stream::iter(tiles)
        .map(|id| async move {
            let key = id.key();
            let bytes = retrying(|| read_small(store, &key, MAX_BUNDLE_BYTES)).await?;
            Ok(bytes.map(|bytes| (id, bytes)))
        })
        .buffered(READS)
        .filter_map(|read| std::future::ready(read.transpose()))
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect()
}

/// The leaves that a tile or a bundle tells of; `None` if it is none of its width.
fn leaves_of(id: &TileId, bytes: &[u8]) -> Option<Vec<Hash>> {
    let leaves: Vec<Hash> = match id.level() {
        None => decode_entries(bytes)?.into_iter().map(leaf_hash).collect(),
        Some(_) => {
            let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
            if !rest.is_empty() {
                return None;
            }
            hashes.to_vec()
        }
    };
    (leaves.len() == usize::from(id.width())).then_some(leaves)
}

/// The tree, leaf by leaf.
struct Walk<'a> {
    edge: Edge,
    checkpoints: &'a BTreeMap<u64, Stated>,
    options: &'a VerifyOptions,
    /// Whether a checkpoint from elsewhere was found to be of another tree: the later ones will be too.
    forked: bool,
}

impl Walk<'_> {
    /// Takes the leaves from `index × 256` on and everything that is stored about them. False if they cannot be known.
    fn take(&mut self, index: u64, tiles: &Tiles, leaves: &mut Leaves, report: &mut Report) -> bool {
        let widest = |level: Option<u8>| {
            tiles
                .iter()
                .filter(|(id, _)| id.level() == level)
                .filter_map(|(id, bytes)| leaves_of(id, bytes))
                .max_by_key(Vec::len)
        };
        // Both say the same unless one was altered; then the one that the checkpoints agree with counts.
        let candidates: Vec<Vec<Hash>> = [widest(None), widest(Some(0))].into_iter().flatten().collect();
        let fit = |leaves: &&Vec<Hash>| (self.disagreements(leaves, tiles), std::cmp::Reverse(leaves.len()));
        let Some(chosen) = candidates.iter().min_by_key(fit) else { return false };

        for (id, bytes) in tiles.iter().filter(|(id, _)| id.level().unwrap_or(0) == 0) {
            let right = leaves_of(id, bytes).is_some_and(|leaves| chosen.starts_with(&leaves));
            if !right {
                report.add(self.altered(id));
            }
        }
        let mut bundles: Vec<Vec<&[u8]>> = tiles
            .iter()
            .filter(|(id, _)| id.level().is_none())
            .filter_map(|(_, bytes)| decode_entries(bytes))
            .collect();
        bundles.sort_by_key(|bundle| std::cmp::Reverse(bundle.len()));
        for (at, leaf) in chosen.iter().enumerate() {
            let entry =
                bundles.iter().filter_map(|bundle| bundle.get(at)).find(|entry| leaf_hash(entry) == *leaf);
            if let Some(entry) = entry {
                leaves.take(index * TILE_WIDTH + at as u64, entry, &self.options.topics, report);
            }
            let full = self.edge.push(*leaf);
            self.compare(&full, tiles, report);
        }
        true
    }

    /// How many checkpoints and higher tiles do not fit these leaves.
    fn disagreements(&self, leaves: &[Hash], tiles: &Tiles) -> usize {
        let mut edge = self.edge.clone();
        let mut count = 0;
        for leaf in leaves {
            let full = edge.push(*leaf);
            let stated = self.checkpoints.get(&edge.size());
            count += usize::from(stated.is_some_and(|stated| stated.root != edge.root()));
            count += wrong_tiles(&edge, &full, tiles).count();
        }
        let reach = self.edge.size() + TILE_WIDTH;
        count + self.checkpoints.range(edge.size() + 1..reach + 1).count()
    }

    /// Compares the tree as it is now with what is stated about it.
    fn compare(&mut self, full: &[(TileId, Vec<u8>)], tiles: &Tiles, report: &mut Report) {
        for id in wrong_tiles(&self.edge, full, tiles) {
            report.add(self.altered(id));
        }
        let size = self.edge.size();
        let known = self.options.known.iter().filter(|known| known.size == size);
        let stated = self.checkpoints.get(&size);
        if stated.is_none() && known.clone().next().is_none() {
            return;
        }
        let root = self.edge.root();
        if stated.is_some_and(|stated| stated.root != root) {
            let detail = "its root is not that of the tree";
            report.add(finding(FindingKind::CheckpointContradicted, Checkpoint::key(size), detail));
        }
        for known in known {
            let same = known.root == root
                && stated
                    .is_none_or(|stated| stated.checkpoint.origin == known.origin && stated.root == root);
            if !same && !self.forked {
                self.forked = true;
                let detail =
                    "a checkpoint that is known from elsewhere is of another tree: the log was forked";
                report.add(finding(FindingKind::Forked, Checkpoint::key(size), detail));
            }
        }
    }

    fn altered(&self, id: &TileId) -> Finding {
        let size = id.tree_size().unwrap_or_default();
        finding(FindingKind::TileAltered, id.key(), format!("it is no part of the tree of size {size}"))
    }
}

/// Tiles above the lowest that first exist at the edge's size, and are stored otherwise.
fn wrong_tiles<'t>(
    edge: &Edge,
    full: &[(TileId, Vec<u8>)],
    tiles: &'t Tiles,
) -> impl Iterator<Item = &'t TileId> {
    let size = edge.size();
    let mut wrong = Vec::new();
    let upper = tiles.iter().filter(|(id, _)| id.level().is_some_and(|level| level > 0));
    for (id, bytes) in upper.filter(|(id, _)| id.tree_size() == Some(size)) {
        let right = full.iter().any(|(known, right)| known == id && right == bytes)
            || edge.partial().any(|(known, right)| known == *id && right == bytes.as_slice());
        if !right {
            wrong.push(id);
        }
    }
    wrong.into_iter()
}
