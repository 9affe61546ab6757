//! A copy of a log in a folder, to be tampered with.

use std::fs;
use std::path::{Path, PathBuf};

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::local::LocalStore;
use crate::manifest::{Manifest, parse_hash};
use crate::merkle::Hash;
use crate::report::FindingKind;
use crate::segment::{Context, Limits, Sealed, SegmentBuilder, SegmentReader};
use crate::sequencer::{Appended, Sequencer, SequencerConfig};
use crate::signing::{SigningKey, VerifyingKeys};
use crate::testing::Failure;
use crate::testing::tampering::{Sign, Tampering, offsets};
use crate::tree::{LOG, TILE_WIDTH, TileId, decode_entries};

/// A copy of a log in a folder, every segment of it under a checkpoint.
#[derive(Debug)]
pub struct Bundle {
    root: PathBuf,
    /// Manifests in the order of the Merkle log.
    leaves: Vec<Manifest>,
    /// Ascending by size.
    checkpoints: Vec<Checkpoint>,
}

/// Says which of so many things to take.
pub type Pick<'a> = &'a mut dyn FnMut(usize) -> usize;

impl Bundle {
    /// Reads what a copy holds.
    ///
    /// # Errors
    /// If it is no whole log of at least four checkpoints.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Failure> {
        let root = root.into();
        let mut checkpoints = Vec::new();
        for entry in fs::read_dir(root.join("log/checkpoint"))? {
            let signed = SignedCheckpoint::from_bytes(&fs::read(entry?.path())?)?;
            checkpoints.push(signed.checkpoint().clone());
        }
        checkpoints.sort_unstable_by_key(|checkpoint| checkpoint.size);
        if checkpoints.len() < 4 {
            return Err("a log of fewer than four checkpoints has not enough to tamper with".into());
        }
        let size = checkpoints.last().map_or(0, |last| last.size);
        let mut leaves = Vec::new();
        for index in 0..size.div_ceil(TILE_WIDTH) {
            let width = (size - index * TILE_WIDTH).min(TILE_WIDTH) as u16;
            let bundle = fs::read(root.join(TileId::entries(index, width).key()))?;
            for entry in decode_entries(&bundle).ok_or("no bundle of entries")? {
                leaves.push(Manifest::from_bytes(entry)?);
            }
        }
        Ok(Self { root, leaves, checkpoints })
    }

    /// The last checkpoint: what a witness has.
    pub fn last(&self) -> Option<&Checkpoint> {
        self.checkpoints.last()
    }

    /// Key of a segment's object.
    ///
    /// # Errors
    /// None but of a log without segments.
    pub fn segment_key(&self, pick: Pick<'_>) -> Result<String, Failure> {
        let leaf = self.leaves.get(pick(self.leaves.len())).ok_or(NOTHING)?;
        Ok(leaf.id()?.segment_key())
    }

    /// Keys of one object of each kind.
    ///
    /// # Errors
    /// Those of [`Self::segment_key`].
    pub fn some_keys(&self, pick: Pick<'_>) -> Result<[String; 4], Failure> {
        let leaf = self.leaves.get(pick(self.leaves.len())).ok_or(NOTHING)?;
        let checkpoint = self.checkpoints.get(pick(self.checkpoints.len())).ok_or(NOTHING)?;
        let tile = TileId::partial(checkpoint.size).first().map_or_else(
            || TileId::hashes(0, checkpoint.size / TILE_WIDTH - 1, TILE_WIDTH as u16).key(),
            TileId::key,
        );
        Ok([leaf.id()?.segment_key(), leaf.id()?.manifest_key(), tile, Checkpoint::key(checkpoint.size)])
    }

    /// What is found of a segment that a delete marker hides.
    ///
    /// # Errors
    /// If the key is no segment's of this log.
    pub fn hidden(&self, segment_key: &str) -> Result<[Sign; 2], Failure> {
        let leaf = self.leaf_of(segment_key)?;
        let marker = Sign {
            kind: FindingKind::DeleteMarker,
            place: offsets(&leaf.topic, leaf.partition, Some(leaf.first_offset), None),
        };
        Ok([marker, Sign::segment(FindingKind::SegmentMissing, leaf)])
    }

    /// What is found of a segment of which there is a second version with other bytes.
    ///
    /// # Errors
    /// If the key is no segment's of this log.
    pub fn replaced(&self, segment_key: &str) -> Result<[Sign; 2], Failure> {
        let leaf = self.leaf_of(segment_key)?;
        let version = Sign {
            kind: FindingKind::ExtraVersion,
            place: offsets(&leaf.topic, leaf.partition, Some(leaf.first_offset), None),
        };
        Ok([version, Sign::segment(FindingKind::SegmentAltered, leaf)])
    }

    fn leaf_of(&self, segment_key: &str) -> Result<&Manifest, Failure> {
        let leaf = |leaf: &&Manifest| leaf.id().is_ok_and(|id| id.segment_key() == segment_key);
        self.leaves.iter().find(leaf).ok_or_else(|| NOTHING.into())
    }

    /// Tampers with the copy. Comes back with all that must be found, in order, by a verifier who has the keys and the
    /// [last](Self::last) checkpoint.
    ///
    /// # Errors
    /// If the folder cannot be written to, or the log has not what it takes.
    pub async fn tamper(
        &self,
        tampering: Tampering,
        key: &SigningKey,
        pick: Pick<'_>,
    ) -> Result<Vec<Sign>, Failure> {
        use FindingKind as Kind;
        let last = self.last().ok_or(NOTHING)?;
        let last_key = Checkpoint::key(last.size);
        let any = |pick: Pick<'_>| self.leaves.get(pick(self.leaves.len())).ok_or(NOTHING);
        let mut signs = match tampering {
            Tampering::FlipByte => {
                let leaf = any(pick)?;
                let path = self.root.join(leaf.id()?.segment_key());
                let mut bytes = fs::read(&path)?;
                // Behind the header, which would make it another one's segment.
                let body = bytes.len() / 4;
                let at = bytes.len() - 1 - pick(body);
                bytes[at] ^= 1 << pick(8);
                fs::write(path, bytes)?;
                vec![Sign::segment(Kind::SegmentAltered, leaf)]
            }
            Tampering::DropSegment => {
                let leaf = any(pick)?;
                self.drop_pair(leaf)?;
                if leaf.prev_manifest_sha256.is_none() && self.after(leaf).next().is_some() {
                    let place = offsets(&leaf.topic, leaf.partition, None, Some(leaf.next_offset));
                    vec![Sign { kind: Kind::StartMissing, place }]
                } else {
                    vec![Sign::segment(Kind::SegmentsMissing, leaf)]
                }
            }
            Tampering::DropRecords => {
                let leaf = any(pick)?;
                fs::remove_file(self.root.join(leaf.id()?.segment_key()))?;
                vec![Sign::segment(Kind::SegmentMissing, leaf)]
            }
            Tampering::DropManifest => {
                let leaf = any(pick)?;
                fs::remove_file(self.root.join(leaf.id()?.manifest_key()))?;
                vec![Sign::segment(Kind::ManifestMissing, leaf)]
            }
            Tampering::CutPartition => {
                let first = any(pick)?;
                // A partition's first would be all of it.
                let cut: Vec<&Manifest> = match first.prev_manifest_sha256 {
                    Some(_) => std::iter::once(first).chain(self.after(first)).collect(),
                    None => self.after(first).collect(),
                };
                self.drop_all(&cut)?
            }
            Tampering::DropPartition => {
                let of = any(pick)?;
                self.drop_all(&self.partition(of).collect::<Vec<_>>())?
            }
            Tampering::DropCheckpoints => {
                let at = pick(self.checkpoints.len() - 2);
                let [one, two] =
                    self.checkpoints.get(at..at + 2).and_then(|two| two.as_array()).ok_or(NOTHING)?;
                fs::remove_file(self.root.join(Checkpoint::key(one.size)))?;
                fs::remove_file(self.root.join(Checkpoint::key(two.size)))?;
                vec![Sign::object(Kind::CheckpointMissing, Checkpoint::key(two.size))]
            }
            Tampering::DropLastCheckpoint => {
                fs::remove_file(self.root.join(&last_key))?;
                vec![
                    Sign::object(Kind::CheckpointMissing, last_key.clone()),
                    Sign::object(Kind::RolledBack, last_key),
                ]
            }
            Tampering::SwapSegments => self.swap(pick)?,
            Tampering::CutLog => {
                let size = self.cut(pick)?;
                for leaf in self.leaves.iter().skip(size as usize) {
                    self.drop_pair(leaf)?;
                }
                vec![Sign::object(Kind::RolledBack, last_key)]
            }
            Tampering::ReplayLog => {
                self.cut(pick)?;
                vec![Sign::object(Kind::RolledBack, last_key)]
            }
            Tampering::SignWithOtherKey => {
                let checkpoint = self.checkpoints.get(pick(self.checkpoints.len())).ok_or(NOTHING)?;
                let other = SigningKey::parse(&SigningKey::generate(&checkpoint.origin)?)?;
                self.sign(checkpoint.clone(), &other)?;
                vec![Sign::object(Kind::CheckpointUnsigned, Checkpoint::key(checkpoint.size))]
            }
            Tampering::SignOtherTree => {
                let older = self.checkpoints.get(pick(self.checkpoints.len() - 1)).ok_or(NOTHING)?;
                self.sign(Checkpoint { root: older.root, ..last.clone() }, key)?;
                vec![
                    Sign::object(Kind::CheckpointContradicted, last_key.clone()),
                    Sign::object(Kind::Forked, last_key),
                ]
            }
            Tampering::RewriteLog => {
                self.rewrite(key, pick).await?;
                vec![Sign::object(Kind::Forked, last_key)]
            }
            Tampering::LoseRecord => {
                let followed = |leaf: &&Manifest| leaf.record_count > 1 && self.after(leaf).next().is_some();
                let leaf = choose(self.leaves.iter().filter(followed), pick)?;
                self.forge(leaf, parse(leaf), Some(pick))?;
                let next = self.after(leaf).next().ok_or(NOTHING)?;
                vec![Sign::segment(Kind::LeafContradicted, leaf), Sign::segment(Kind::ChainBroken, next)]
            }
            Tampering::LoseLastRecord => {
                let ends = |leaf: &&Manifest| leaf.record_count > 1 && self.after(leaf).next().is_none();
                let leaf = choose(self.leaves.iter().filter(ends), pick)?;
                self.forge(leaf, parse(leaf), Some(pick))?;
                vec![Sign::segment(Kind::LeafContradicted, leaf)]
            }
            Tampering::ReplayCheckpoint => {
                let older = self.checkpoints.get(pick(self.checkpoints.len() - 1)).ok_or(NOTHING)?;
                fs::copy(self.root.join(Checkpoint::key(older.size)), self.root.join(&last_key))?;
                vec![
                    Sign::object(Kind::CheckpointMisplaced, last_key.clone()),
                    Sign::object(Kind::CheckpointMissing, last_key.clone()),
                    Sign::object(Kind::RolledBack, last_key),
                ]
            }
            Tampering::FlipTile => {
                let tile = choose(self.edges().filter(|tile| tile.level() == Some(0)), pick)?;
                let path = self.root.join(tile.key());
                let mut bytes = fs::read(&path)?;
                let at = pick(bytes.len());
                bytes[at] ^= 1 << pick(8);
                fs::write(path, bytes)?;
                vec![Sign::object(Kind::TileAltered, tile.key())]
            }
            Tampering::DropEntries => {
                let bundle = choose(self.edges().filter(|tile| tile.level().is_none()), pick)?;
                fs::remove_file(self.root.join(bundle.key()))?;
                vec![Sign::object(Kind::TileMissing, bundle.key())]
            }
            Tampering::DropLog => {
                fs::remove_dir_all(self.root.join(LOG))?;
                vec![Sign::object(Kind::LogMissing, LOG)]
            }
            Tampering::AddObject => {
                let id = any(pick)?.id()?;
                let key = format!("seg/{}/{}/latest.avro", id.topic(), id.partition());
                fs::write(self.root.join(&key), b"x")?;
                vec![Sign::object(Kind::UnknownObject, key)]
            }
        };
        signs.sort_unstable();
        Ok(signs)
    }

    /// The segments of a leaf's partition, in order.
    fn partition<'s>(&'s self, of: &'s Manifest) -> impl Iterator<Item = &'s Manifest> {
        let same = move |leaf: &&Manifest| leaf.topic == of.topic && leaf.partition == of.partition;
        self.leaves.iter().filter(same)
    }

    /// Those of them behind it.
    fn after<'s>(&'s self, leaf: &'s Manifest) -> impl Iterator<Item = &'s Manifest> {
        self.partition(leaf).filter(|other| other.first_offset > leaf.first_offset)
    }

    /// Tiles and bundles that are not full.
    fn edges(&self) -> impl Iterator<Item = TileId> {
        self.checkpoints.iter().flat_map(|checkpoint| TileId::partial(checkpoint.size))
    }

    fn drop_pair(&self, leaf: &Manifest) -> Result<(), Failure> {
        let id = leaf.id()?;
        fs::remove_file(self.root.join(id.segment_key()))?;
        Ok(fs::remove_file(self.root.join(id.manifest_key()))?)
    }

    /// Drops segments of one partition, up to its end.
    fn drop_all(&self, leaves: &[&Manifest]) -> Result<Vec<Sign>, Failure> {
        let (Some(first), Some(last)) = (leaves.first(), leaves.last()) else {
            return Err("the partition has one segment only".into());
        };
        leaves.iter().try_for_each(|leaf| self.drop_pair(leaf))?;
        let place = offsets(&first.topic, first.partition, Some(first.first_offset), Some(last.next_offset));
        Ok(vec![Sign { kind: FindingKind::SegmentsMissing, place }])
    }

    fn swap(&self, pick: Pick<'_>) -> Result<Vec<Sign>, Failure> {
        let several = |leaf: &&Manifest| self.partition(leaf).nth(1).is_some();
        let one = choose(self.leaves.iter().filter(several), pick)?;
        let other = choose(self.partition(one).filter(|other| *other != one), pick)?;
        let mut signs = Vec::new();
        for (left, right) in [
            (one.id()?.segment_key(), other.id()?.segment_key()),
            (one.id()?.manifest_key(), other.id()?.manifest_key()),
        ] {
            let (left, right) = (self.root.join(left), self.root.join(right));
            let (bytes, others) = (fs::read(&left)?, fs::read(&right)?);
            fs::write(left, others)?;
            fs::write(right, bytes)?;
        }
        for leaf in [one, other] {
            // Where it ends only its successor tells.
            let next = self.after(leaf).next().map(|next| next.first_offset);
            let place = offsets(&leaf.topic, leaf.partition, Some(leaf.first_offset), next);
            for kind in [FindingKind::SegmentMisplaced, FindingKind::ManifestMisplaced] {
                signs.push(Sign { kind, place: place.clone() });
            }
        }
        Ok(signs)
    }

    /// Cuts tiles and checkpoints back to a checkpoint before the last, and says how many leaves are left.
    fn cut(&self, pick: Pick<'_>) -> Result<u64, Failure> {
        let size = self
            .checkpoints
            .get(pick(self.checkpoints.len() - 1))
            .map(|checkpoint| checkpoint.size)
            .ok_or(NOTHING)?;
        for key in keys_under(&self.root, LOG)? {
            let reach = Checkpoint::parse_key(&key).or_else(|| TileId::parse(&key)?.tree_size());
            if reach.is_some_and(|reach| reach > size) {
                fs::remove_file(self.root.join(key))?;
            }
        }
        Ok(size)
    }

    fn sign(&self, checkpoint: Checkpoint, key: &SigningKey) -> Result<(), Failure> {
        let path = self.root.join(Checkpoint::key(checkpoint.size));
        Ok(fs::write(path, checkpoint.sign(key, &VerifyingKeys::default())?.to_bytes())?)
    }

    /// Makes a segment and its manifest anew, behind another predecessor or without one of its records.
    fn forge(&self, leaf: &Manifest, prev: Option<Hash>, lose: Option<Pick<'_>>) -> Result<Sealed, Failure> {
        let id = leaf.id()?;
        let path = self.root.join(id.segment_key());
        let reader = SegmentReader::open(fs::File::open(&path)?)?;
        let mut builder =
            SegmentBuilder::new(id.topic(), id.partition(), id.first_offset(), Limits::default())?;
        if let Some(until) = reader.header().expired_until {
            builder.expire_until(until, 0)?;
        }
        let lost = lose.map(|pick| pick(leaf.record_count as usize));
        for (at, record) in reader.records().enumerate() {
            let record = record?;
            if Some(at) != lost {
                builder.push(&record, 0)?;
            }
        }
        let context = Context {
            writer_version: leaf.writer_version.clone(),
            retain_until: leaf.retain_until,
            prev_manifest_sha256: prev,
        };
        let sealed = builder.finish(leaf.next_offset, &context)?;
        fs::write(path, &sealed.segment)?;
        fs::write(self.root.join(id.manifest_key()), &sealed.manifest_bytes)?;
        Ok(sealed)
    }

    /// Loses a record, and makes its partition, the tree and all checkpoints anew.
    async fn rewrite(&self, key: &SigningKey, pick: Pick<'_>) -> Result<(), Failure> {
        let leaf = choose(self.leaves.iter().filter(|leaf| leaf.record_count > 1), pick)?;
        let mut forged = vec![self.forge(leaf, parse(leaf), Some(pick))?];
        for next in self.after(leaf) {
            let prev = forged.last().map(|sealed| sealed.manifest_sha256);
            forged.push(self.forge(next, prev, None)?);
        }
        fs::remove_dir_all(self.root.join(LOG))?;
        let config =
            SequencerConfig { key: key.clone(), keys: VerifyingKeys::default(), retention_seconds: 3_600 };
        let mut sequencer = Sequencer::open(LocalStore::open(&self.root)?, config).await?;
        let mut checkpoints = self.checkpoints.iter().peekable();
        for (size, leaf) in (1..).zip(&self.leaves) {
            let of = |sealed: &&Sealed| sealed.manifest.id().ok() == leaf.id().ok();
            let manifest = forged.iter().find(of).map_or(leaf, |sealed| &sealed.manifest);
            if sequencer.append(manifest).await? != Appended::Taken {
                return Err("a leaf was not taken again".into());
            }
            if let Some(checkpoint) = checkpoints.next_if(|checkpoint| checkpoint.size == size) {
                sequencer.checkpoint(checkpoint.time.as_millisecond(), checkpoint.manifests_next).await?;
            }
        }
        Ok(())
    }
}

const NOTHING: &str = "the log has nothing to do that to";

fn parse(leaf: &Manifest) -> Option<Hash> {
    leaf.prev_manifest_sha256.as_deref().and_then(parse_hash)
}

fn choose<T>(of: impl Iterator<Item = T>, pick: Pick<'_>) -> Result<T, Failure> {
    let mut of: Vec<T> = of.collect();
    if of.is_empty() {
        return Err(NOTHING.into());
    }
    Ok(of.swap_remove(pick(of.len())))
}

/// All objects of a log in a folder under a prefix that ends in a slash, in key order.
///
/// # Errors
/// Those of the file system.
pub fn keys_under(root: &Path, prefix: &str) -> Result<Vec<String>, Failure> {
    let mut keys = Vec::new();
    let mut folders = vec![prefix.trim_end_matches('/').to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().into_string().map_err(|_| "a name that is no text")?;
            let key = format!("{folder}/{name}");
            if entry.file_type()?.is_dir() { folders.push(key) } else { keys.push(key) }
        }
    }
    keys.sort_unstable();
    Ok(keys)
}

/// Copies a log from one folder to another, where it can be written to.
///
/// # Errors
/// Those of the file system.
pub fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    for key in keys_under(from, "seg/")?.into_iter().chain(keys_under(from, LOG)?) {
        let target = to.join(&key);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        // Not `fs::copy`, which would copy that nobody may write.
        fs::write(target, fs::read(from.join(key))?)?;
    }
    Ok(())
}
