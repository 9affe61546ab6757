//! The Merkle tree over manifests, in the tiles of C2SP tlog-tiles (RFC 6962, section 2.1).
//!
//! A leaf is a manifest in canonical form. What is here knows no store: it names tiles, says which a tree of a size has, and
//! keeps the right edge, which is all that is needed to append.

use tlog_tiles::{HashReader, Tile};

use crate::error::Error;
use crate::manifest::MAX_MANIFEST_BYTES;
use crate::merkle::Hash;

/// Everything of the Merkle log lives under this.
pub const LOG: &str = "log/";
/// Everything that tiles and entry bundles live under.
pub const TILES: &str = "log/tile/";
/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// Levels of a tile: 2^8 is [`TILE_WIDTH`].
const HEIGHT: u8 = 8;
/// A tree of 2^64 leaves has no tile above this level.
const MAX_LEVEL: u8 = 7;
const HASH_BYTES: usize = 32;
const PATH_BASE: u64 = 1_000;
const ENTRIES: &str = "entries";
/// Longest entry bundle: each entry with its length before it.
pub(crate) const MAX_BUNDLE_BYTES: usize = TILE_WIDTH as usize * (MAX_MANIFEST_BYTES + 2);

/// Names a tile of hashes or a bundle of entries (C2SP tlog-tiles, "Merkle Tree" and "Log entries").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// Level of the hashes; `None` for a bundle of entries. Entries sort before hashes, low levels before high ones.
    level: Option<u8>,
    index: u64,
    width: u16,
}

impl TileId {
    /// The bundle of the entries from `index × 256` on, `width` of them.
    pub(crate) fn entries(index: u64, width: u16) -> Self {
        Self { level: None, index, width }
    }

    /// A tile of `width` hashes.
    pub(crate) fn hashes(level: u8, index: u64, width: u16) -> Self {
        Self { level: Some(level), index, width }
    }

    /// The level of its hashes; `None` for entries.
    pub fn level(&self) -> Option<u8> {
        self.level
    }

    /// Its number within the level.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries it has, 1 to 256.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether it will never be wider.
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == TILE_WIDTH
    }

    /// Size of the smallest tree that has this tile; `None` for one that no tree can have.
    pub fn tree_size(&self) -> Option<u64> {
        let last = self.index.checked_mul(TILE_WIDTH)?.checked_add(u64::from(self.width))?;
        last.checked_mul(1_u64.checked_shl(u32::from(HEIGHT) * u32::from(self.level.unwrap_or(0)))?)
    }

    /// Object key, `log/tile/<level>/<n>[.p/<width>]` or `log/tile/entries/<n>[.p/<width>]`.
    pub fn key(&self) -> String {
        let mut path = format!("{:03}", self.index % PATH_BASE);
        let mut rest = self.index / PATH_BASE;
        while rest > 0 {
            path = format!("x{:03}/{path}", rest % PATH_BASE);
            rest /= PATH_BASE;
        }
        let kind = self.level.map_or_else(|| ENTRIES.to_owned(), |level| level.to_string());
        let part = if self.is_full() { String::new() } else { format!(".p/{}", self.width) };
        format!("{TILES}{kind}/{path}{part}")
    }

    /// Reads a key back. `None` for anything that [`Self::key`] would not write.
    pub fn parse(key: &str) -> Option<Self> {
        let (kind, path) = key.strip_prefix(TILES)?.split_once('/')?;
        let level = if kind == ENTRIES { None } else { Some(kind.parse().ok()?) };
        let (path, width) = match path.split_once(".p/") {
            Some((path, width)) => (path, width.parse().ok().filter(|width| (1..256).contains(width))?),
            None => (path, TILE_WIDTH as u16),
        };
        let mut index = 0_u64;
        for part in path.split('/') {
            let digits: u64 = part.trim_start_matches('x').parse().ok()?;
            index = index.checked_mul(PATH_BASE)?.checked_add(digits)?;
        }
        let tile = Self { level, index, width };
        (level.is_none_or(|level| level <= MAX_LEVEL) && tile.tree_size().is_some() && tile.key() == key)
            .then_some(tile)
    }

    /// The tiles and the bundle at the right edge of a tree of this size that are not full.
    pub(crate) fn partial(size: u64) -> Vec<Self> {
        let width = |level: u8| (size >> (u32::from(HEIGHT) * u32::from(level))) % TILE_WIDTH;
        let index = |level: u8| size.checked_shr(u32::from(HEIGHT) * (u32::from(level) + 1)).unwrap_or(0);
        let mut tiles = Vec::new();
        if width(0) > 0 {
            tiles.push(Self::entries(index(0), width(0) as u16));
        }
        let levels = (0..=MAX_LEVEL).filter(|level| width(*level) > 0);
        tiles.extend(levels.map(|level| Self::hashes(level, index(level), width(level) as u16)));
        tiles
    }

    /// The tile that holds a hash of a tree of this size, and its place as the crate `tlog_tiles` names it.
    pub(crate) fn holding(stored_index: u64, size: u64) -> (Self, Tile) {
        let tile = Tile::from_index(HEIGHT, stored_index);
        let nodes = size >> (u32::from(HEIGHT) * u32::from(tile.level()));
        let width = nodes.saturating_sub(tile.level_index() * TILE_WIDTH).clamp(1, TILE_WIDTH);
        let wide = Tile::new(HEIGHT, tile.level(), tile.level_index(), width as u32, false);
        (Self::hashes(tile.level(), tile.level_index(), width as u16), wide)
    }
}

/// The bytes of an entry bundle: each entry after its length in two bytes, big-endian.
///
/// # Errors
/// [`Error::Manifest`] for an entry of 64 KiB or more.
pub fn encode_entries<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, Error> {
    let mut bundle = Vec::new();
    for entry in entries.iter().map(AsRef::as_ref) {
        let length =
            u16::try_from(entry.len()).map_err(|_| Error::Manifest { reason: "64 KiB or longer" })?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// The entries of a bundle; `None` if the lengths do not add up.
pub fn decode_entries(mut bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while !bundle.is_empty() {
        let (length, rest) = bundle.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bundle = rest;
    }
    Some(entries)
}

/// The right edge of a tree: the tiles that are not full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// The partial tile of each level.
    levels: Vec<Vec<u8>>,
}

impl Edge {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// The edge of a tree of this size, from its partial tiles.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for a tile that is not there or has not as many hashes as the size says.
    pub fn restore(size: u64, mut tile: impl FnMut(&TileId) -> Option<Vec<u8>>) -> Result<Self, Error> {
        let mut edge = Self { size, levels: Vec::new() };
        for id in TileId::partial(size) {
            let Some(level) = id.level else { continue };
            let bytes = tile(&id).filter(|bytes| bytes.len() == usize::from(id.width) * HASH_BYTES);
            let bytes = bytes.ok_or(Error::Checkpoint { reason: "a tile of its tree is missing or cut" })?;
            edge.levels.resize(usize::from(level) + 1, Vec::new());
            if let Some(last) = edge.levels.last_mut() {
                *last = bytes;
            }
        }
        Ok(edge)
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash and returns the tiles that it fills, lowest first.
    pub fn push(&mut self, leaf: Hash) -> Vec<(TileId, Vec<u8>)> {
        let mut full = Vec::new();
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(tile) = self.levels.get_mut(level) else { break };
            tile.extend_from_slice(&hash);
            if tile.len() < TILE_WIDTH as usize * HASH_BYTES {
                break;
            }
            let tile = std::mem::take(tile);
            hash = Tile::subtree_hash(&tile).0;
            let index = self.size >> (u32::from(HEIGHT) * (level as u32 + 1));
            full.push((TileId::hashes(level as u8, index, TILE_WIDTH as u16), tile));
        }
        self.size += 1;
        full
    }

    /// The tiles that are not full, lowest first.
    pub fn partial(&self) -> impl Iterator<Item = (TileId, &[u8])> {
        TileId::partial(self.size)
            .into_iter()
            .filter_map(|id| Some((id, self.levels.get(usize::from(id.level?))?.as_slice())))
    }

    /// The hashes of the leaves in the last, not yet full tile.
    pub(crate) fn last_leaves(&self) -> &[u8] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        // Only the edge is asked for, and it is all here.
        tlog_tiles::tree_hash(self.size, self).unwrap_or(tlog_tiles::EMPTY_HASH).0
    }
}

impl HashReader for Edge {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let hash = |index: &u64| {
            let (id, tile) = TileId::holding(*index, self.size);
            let bytes = self.levels.get(usize::from(tile.level())).map_or(&[][..], Vec::as_slice);
            if u64::from(id.width) == TILE_WIDTH {
                return Err(tlog_tiles::Error::InvalidTile);
            }
            tile.hash_at_index(bytes, *index)
        };
        indexes.iter().map(hash).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{RootBuilder, leaf_hash};
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;

    #[test]
    fn keys_are_those_of_the_specification() {
        for (tile, key) in [
            (TileId::hashes(0, 1_234_067, 256), "log/tile/0/x001/x234/067"),
            (TileId::hashes(1, 0, 1), "log/tile/1/000.p/1"),
            (TileId::entries(273, 112), "log/tile/entries/273.p/112"),
            (TileId::entries(1_000, 256), "log/tile/entries/x001/000"),
        ] {
            assert_eq!(tile.key(), key);
            assert_eq!(TileId::parse(key), Some(tile));
        }
        for key in [
            "log/tile/0/0",
            "log/tile/0/000.p/0",
            "log/tile/0/000.p/256",
            "log/tile/0/000.p/01",
            "log/tile/00/000",
            "log/tile/8/000",
            "log/tile/200/000",
            "log/tile/-1/000",
            "log/tile/0/x000/000",
            "log/tile/0/001/000",
            "log/tile/0/xx001/000",
            "log/tile/data/000",
            "log/tile/7/999",
            "log/tile/0/x999/x999/x999/x999/x999/x999/x999/999",
            "log/tile/entries",
            "seg/a/0/000",
        ] {
            assert_eq!(TileId::parse(key), None, "{key}");
        }
    }

    /// The examples of C2SP tlog-tiles, "Partial Tiles".
    #[test]
    fn edges_are_those_of_the_specification() {
        let keys = |size| TileId::partial(size).iter().map(TileId::key).collect::<Vec<_>>();
        assert_eq!(
            keys(70_000),
            [
                "log/tile/entries/273.p/112",
                "log/tile/0/273.p/112",
                "log/tile/1/001.p/17",
                "log/tile/2/000.p/1"
            ]
        );
        assert_eq!(keys(256), ["log/tile/1/000.p/1"]);
        assert!(keys(0).is_empty());
    }

    #[test]
    fn bundles_read_back() {
        let entries = [b"one".to_vec(), Vec::new(), vec![7; 65_535]];
        let bundle = encode_entries(&entries).unwrap();
        assert_eq!(decode_entries(&bundle).unwrap(), entries);
        assert!(encode_entries(&[vec![0; 65_536]]).is_err());
        assert_eq!(decode_entries(&bundle[..bundle.len() - 1]), None);
        assert_eq!(decode_entries(&[0]), None);
    }

    /// Across three levels: the size after each push, root and tiles against an independent root and against the tiles' definition.
    #[test]
    fn the_edge_has_the_root_and_the_tiles_of_the_tree() {
        let mut edge = Edge::new();
        let mut roots = RootBuilder::new();
        let mut full = Vec::new();
        for index in 0..66_000_u64 {
            let leaf = leaf_hash(&index.to_be_bytes());
            roots.push(leaf);
            full.extend(edge.push(leaf));
            if index % 251 == 0 || index > 65_500 {
                assert_eq!(edge.root(), roots.root(), "{index}");
                let known: Vec<_> = edge.partial().map(|(id, bytes)| (id, bytes.to_vec())).collect();
                let find =
                    |id: &TileId| known.iter().find(|(known, _)| known == id).map(|(_, bytes)| bytes.clone());
                let mut restored = Edge::restore(edge.size(), find).unwrap();
                let next = leaf_hash(b"next");
                assert_eq!(restored.root(), edge.root());
                let mut continued = edge.clone();
                assert_eq!(restored.push(next), continued.push(next));
                assert_eq!(restored.root(), continued.root());
            }
        }
        assert_eq!(full.len(), 257 + 1);
        for (id, bytes) in &full {
            assert!(id.is_full());
            assert_eq!(bytes.len(), 8_192);
            assert_eq!(TileId::parse(&id.key()), Some(*id));
        }
        let level_one: Vec<&[u8]> =
            full.iter().filter(|(id, _)| id.level() == Some(1)).map(|(_, bytes)| bytes.as_slice()).collect();
        assert_eq!(level_one.len(), 1);
        assert_eq!(&level_one[0][..32], Tile::subtree_hash(&full[0].1).0);
        assert!(Edge::restore(70_000, |_| None).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn roots_agree_with_an_independent_implementation(size in 0..700_usize) {
            let mut oracle = MemoryBackedTree::<sha2_for_ct_merkle::Sha256, Vec<u8>>::new();
            let mut edge = Edge::new();
            for index in 0..size {
                oracle.push(index.to_be_bytes().to_vec());
                edge.push(leaf_hash(&index.to_be_bytes()));
            }
            if size > 0 {
                prop_assert_eq!(edge.root().to_vec(), oracle.root().as_bytes().to_vec());
            } else {
                prop_assert_eq!(edge.root(), RootBuilder::new().root());
            }
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_entries(&bytes);
        }

        #[test]
        fn no_key_makes_the_parser_panic(key in "log/tile/(entries|[0-9]{1,3})/[x0-9/.p]{0,40}") {
            if let Some(tile) = TileId::parse(&key) {
                prop_assert_eq!(tile.key(), key);
            }
        }
    }
}
