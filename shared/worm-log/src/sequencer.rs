//! Appends manifests to the Merkle log and puts them under signed checkpoints: the checkpointer without Kafka.
//!
//! Whoever holds the single partition of `audit.manifests` appends in its order. The store decides what was appended, not the
//! group: every object is created once, entries first and the checkpoint last, so that a second checkpointer can only write what
//! the first one would have, or is told that another was first.

use bytes::Bytes;

use crate::checkpoint::{CHECKPOINTS, Checkpoint, MAX_CHECKPOINT_BYTES, SignedCheckpoint};
use crate::error::Error;
use crate::manifest::{MAX_MANIFEST_BYTES, Manifest, sha256};
use crate::merkle::{Hash, leaf_hash};
use crate::signing::{SigningKey, VerifyingKeys};
use crate::store::{Created, NewObject, Store, read_small};
use crate::tree::{Edge, MAX_BUNDLE_BYTES, TILE_WIDTH, TileId, decode_entries, encode_entries};

const TILE_TYPE: &str = "application/octet-stream";
const CHECKPOINT_TYPE: &str = "text/plain; charset=utf-8";

/// Settings of a [`Sequencer`].
#[derive(Clone, Debug)]
pub struct SequencerConfig {
    /// Signs the checkpoints; its name is the log's origin.
    pub key: SigningKey,
    /// By these the last checkpoint is trusted, and in their times the signing key may sign; empty for the signing key alone.
    pub keys: VerifyingKeys,
    /// How long objects stay locked, in seconds from the time they are written.
    pub retention_seconds: i64,
}

/// What became of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is a leaf, and will be under the next checkpoint.
    Taken,
    /// It is among the last leaves already.
    Known,
    /// The store has no such manifest, so it is no leaf.
    Stranger,
}

/// Appends to the Merkle log of a store.
#[derive(Debug)]
pub struct Sequencer<S> {
    store: S,
    config: SequencerConfig,
    last: Option<(Checkpoint, Hash)>,
    edge: Edge,
    /// Entries of the bundle that is not full yet.
    entries: Vec<Bytes>,
    /// Full bundles and tiles that are not written yet.
    full: Vec<(TileId, Bytes)>,
}

impl<S: Store> Sequencer<S> {
    /// Finds the end of the log, and what a checkpointer that died had appended beyond its last checkpoint.
    ///
    /// # Errors
    /// Those of the store; [`Error::Key`] if the signing key is not among the verifying keys; [`Error::Conflict`] if the last
    /// checkpoint is another log's, is signed by no known key, or its tree is not in the store.
    pub async fn open(store: S, config: SequencerConfig) -> Result<Self, Error> {
        if !config.keys.is_empty() && !config.keys.contains(config.key.verifying_key()) {
            return Err(Error::Key { reason: "the signing key is not among the verifying keys".to_owned() });
        }
        let mut sequencer =
            Self { store, config, last: None, edge: Edge::new(), entries: Vec::new(), full: Vec::new() };
        if let Some(size) = latest_checkpoint(&sequencer.store).await? {
            sequencer.restore(size).await?;
        }
        sequencer.adopt().await?;
        Ok(sequencer)
    }

    /// The last checkpoint.
    pub fn last(&self) -> Option<&Checkpoint> {
        self.last.as_ref().map(|(checkpoint, _)| checkpoint)
    }

    /// Leaves that are not under a checkpoint yet.
    pub fn pending(&self) -> u64 {
        self.edge.size() - self.last().map_or(0, |last| last.size)
    }

    async fn restore(&mut self, size: u64) -> Result<(), Error> {
        let key = Checkpoint::key(size);
        let conflict = |reason| Error::Conflict { key: key.clone(), reason };
        let signed = self.trusted(size).await?;
        let mut tiles = Vec::new();
        for id in TileId::partial(size) {
            let bytes =
                read_small(&self.store, &id.key(), MAX_BUNDLE_BYTES).await.map_err(|error| match error {
                    Error::NotFound { .. } => conflict("a tile of its tree is missing"),
                    error => error,
                })?;
            tiles.push((id, bytes));
        }
        let find = |id: &TileId| tiles.iter().find(|(known, _)| known == id).map(|(_, bytes)| bytes.clone());
        let edge = Edge::restore(size, find).map_err(|_| conflict("a tile of its tree is cut"))?;
        if edge.root() != signed.checkpoint().root {
            return Err(conflict("its tiles are another tree's"));
        }
        let bundle = tiles.iter().find(|(id, _)| id.level().is_none()).map_or(&[][..], |(_, bytes)| bytes);
        let entries = decode_entries(bundle).unwrap_or_default();
        let leaves: Vec<u8> = entries.iter().flat_map(|entry| leaf_hash(entry)).collect();
        if leaves != edge.last_leaves() {
            return Err(conflict("its last entries are not its leaves"));
        }
        self.entries = entries.into_iter().map(Bytes::copy_from_slice).collect();
        self.edge = edge;
        self.last = Some((signed.checkpoint().clone(), signed.text_sha256()));
        Ok(())
    }

    /// The checkpoint of this size, if it is one to go on from.
    async fn trusted(&self, size: u64) -> Result<SignedCheckpoint, Error> {
        let key = Checkpoint::key(size);
        let signed =
            SignedCheckpoint::from_bytes(&read_small(&self.store, &key, MAX_CHECKPOINT_BYTES).await?)?;
        let conflict = |reason| Err(Error::Conflict { key, reason });
        if signed.checkpoint().origin != self.config.key.name() || signed.checkpoint().size != size {
            return conflict("it is the checkpoint of another log or size");
        }
        let own;
        let keys = if self.config.keys.is_empty() {
            own = VerifyingKeys::parse(self.config.key.verifying_key())?;
            &own
        } else {
            &self.config.keys
        };
        if !signed.is_signed_by(keys) {
            return conflict("no known key whose signatures count at its time has signed it");
        }
        Ok(signed)
    }

    /// Takes over the entries that another checkpointer wrote before it died: leaving them out would put others in their place.
    async fn adopt(&mut self) -> Result<(), Error> {
        loop {
            let index = self.edge.size() / TILE_WIDTH;
            let full = TileId::entries(index, TILE_WIDTH as u16);
            let folder = format!("{}.p/", full.key());
            let partial = self.store.children(&folder).await?.objects;
            let widest =
                partial.iter().filter_map(|object| TileId::parse(&object.key)).max_by_key(TileId::width);
            let mut bundle = None;
            for id in [Some(full), widest].into_iter().flatten() {
                match read_small(&self.store, &id.key(), MAX_BUNDLE_BYTES).await {
                    Ok(bytes) => {
                        bundle = Some(bytes);
                        break;
                    }
                    Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            let entries = bundle.as_deref().and_then(decode_entries).unwrap_or_default();
            let (known, more) = entries.split_at(self.entries.len().min(entries.len()));
            let goes_on = self.entries.iter().eq(known) && !more.is_empty();
            if !goes_on || more.iter().any(|entry| Manifest::from_bytes(entry).is_err()) {
                return Ok(());
            }
            for entry in more {
                self.push(Bytes::copy_from_slice(entry))?;
            }
        }
    }

    /// Appends a manifest, if the store holds it.
    ///
    /// # Errors
    /// Those of the store; nothing is appended then.
    pub async fn append(&mut self, manifest: &Manifest) -> Result<Appended, Error> {
        let bytes = Bytes::from(manifest.to_bytes());
        // What a restart announces again was mostly among the last.
        if self.entries.contains(&bytes) {
            return Ok(Appended::Known);
        }
        // Whoever may write to the topic must not be able to put leaves without segments into a log that lasts for years.
        match read_small(&self.store, &manifest.id()?.manifest_key(), MAX_MANIFEST_BYTES).await {
            Ok(stored) if stored == bytes => {}
            Ok(_) | Err(Error::NotFound { .. }) => return Ok(Appended::Stranger),
            Err(error) => return Err(error),
        }
        self.push(bytes)?;
        Ok(Appended::Taken)
    }

    fn push(&mut self, entry: Bytes) -> Result<(), Error> {
        let tiles = self.edge.push(leaf_hash(&entry));
        self.entries.push(entry);
        if tiles.is_empty() {
            return Ok(());
        }
        let bundle = TileId::entries(self.edge.size() / TILE_WIDTH - 1, TILE_WIDTH as u16);
        self.full.push((bundle, Bytes::from(encode_entries(&self.entries)?)));
        self.full.extend(tiles.into_iter().map(|(id, bytes)| (id, Bytes::from(bytes))));
        self.entries.clear();
        Ok(())
    }

    /// Puts what was appended under a checkpoint; `None` if that is nothing. `manifests_next` is how far `audit.manifests` was read.
    ///
    /// Doing it again after an error is always right.
    ///
    /// # Errors
    /// Those of the store; [`Error::Key`] if the signing key may not sign now; [`Error::Conflict`] if another checkpointer has
    /// appended other leaves: [`Self::open`] finds them.
    pub async fn checkpoint(
        &mut self,
        now_ms: i64,
        manifests_next: i64,
    ) -> Result<Option<&Checkpoint>, Error> {
        if self.pending() == 0 {
            return Ok(None);
        }
        let second = now_ms.div_euclid(1_000);
        // A clock that was set back must not make the log look like one whose checkpoints were shuffled.
        let time = jiff::Timestamp::from_second(second)
            .map_err(|_| Error::Checkpoint { reason: "its time is out of range" })?
            .max(self.last().map_or(jiff::Timestamp::MIN, |last| last.time));
        let retain_until = jiff::Timestamp::from_second(second.saturating_add(self.config.retention_seconds))
            .map_err(|_| Error::Context { reason: "retain_until is out of range" })?;
        let checkpoint = Checkpoint {
            origin: self.config.key.name().to_owned(),
            size: self.edge.size(),
            root: self.edge.root(),
            previous: self.last.as_ref().map(|(last, hash)| (last.size, *hash)),
            time,
            manifests_next,
        };
        let mut signed = checkpoint.sign(&self.config.key, &self.config.keys)?;
        for (id, bytes) in &self.full {
            self.write_tile(id, bytes.clone(), retain_until).await?;
        }
        if !self.entries.is_empty() {
            let index = self.edge.size() / TILE_WIDTH;
            let id = TileId::entries(index, self.entries.len() as u16);
            self.write_tile(&id, Bytes::from(encode_entries(&self.entries)?), retain_until).await?;
        }
        for (id, bytes) in self.edge.partial() {
            self.write_tile(&id, Bytes::copy_from_slice(bytes), retain_until).await?;
        }
        let key = Checkpoint::key(signed.checkpoint().size);
        let created =
            self.create(&key, Bytes::from(signed.to_bytes()), CHECKPOINT_TYPE, retain_until).await?;
        if created == Created::AlreadyExists {
            // Another checkpointer was first; with the same tree its checkpoint is as good.
            let winner = self.trusted(signed.checkpoint().size).await?;
            if winner.checkpoint().root != signed.checkpoint().root {
                return Err(Error::Conflict { key, reason: "it is the checkpoint of another tree" });
            }
            signed = winner;
        }
        self.full.clear();
        self.last = Some((signed.checkpoint().clone(), signed.text_sha256()));
        Ok(self.last())
    }

    async fn write_tile(
        &self,
        id: &TileId,
        bytes: Bytes,
        retain_until: jiff::Timestamp,
    ) -> Result<(), Error> {
        let key = id.key();
        if self.create(&key, bytes.clone(), TILE_TYPE, retain_until).await? == Created::AlreadyExists
            && read_small(&self.store, &key, MAX_BUNDLE_BYTES).await? != bytes
        {
            return Err(Error::Conflict { key, reason: "another checkpointer has appended other leaves" });
        }
        Ok(())
    }

    async fn create(
        &self,
        key: &str,
        body: Bytes,
        content_type: &'static str,
        retain_until: jiff::Timestamp,
    ) -> Result<Created, Error> {
        let object =
            NewObject { key: key.to_owned(), sha256: sha256(&body), body, retain_until, content_type };
        self.store.create(object).await
    }
}

/// Size of the last checkpoint. Keys sort by size, so it is found in a number of listings that grows with the logarithm of
/// the number of checkpoints.
pub(crate) async fn latest_checkpoint<S: Store>(store: &S) -> Result<Option<u64>, Error> {
    let mut best: Option<u64> = None;
    // No checkpoint is larger.
    let mut top = u64::MAX;
    let mut from = 0_u64;
    let mut step = 1_u64;
    loop {
        let (last, more) = last_of_page(store, from).await?;
        match last {
            Some(last) if !more => return Ok(Some(last)),
            Some(last) => {
                step = step.saturating_mul(2).max(last.saturating_sub(from));
                best = Some(last);
            }
            None => top = from,
        }
        let Some(low) = best.filter(|low| *low < top) else { return Ok(best) };
        let middle = low + (top - low) / 2;
        from = if top == u64::MAX { low.saturating_add(step).min(middle) } else { middle };
    }
}

/// Size of the last checkpoint in the first page of those above `from`, and whether more follow.
async fn last_of_page<S: Store>(store: &S, from: u64) -> Result<(Option<u64>, bool), Error> {
    let mut after = Checkpoint::key(from);
    loop {
        let page = store.list(CHECKPOINTS, Some(&after)).await?;
        let last = page.objects.iter().rev().find_map(|object| Checkpoint::parse_key(&object.key));
        match page.objects.into_iter().next_back() {
            // A page may hold nothing but objects that the log would not write: that is not its end.
            Some(object) if last.is_none() && page.more => after = object.key,
            _ => return Ok((last, page.more)),
        }
    }
}
