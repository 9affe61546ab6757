//! The proof that one record is in the log: a file that needs nothing but the log's verifying key to be checked.
//!
//! The form is that of C2SP tlog-proof: the inclusion of a leaf, a manifest, under a checkpoint. The manifest, the record and the
//! record's inclusion in the manifest's `records_merkle_root` are its extra data, which C2SP leaves to the application.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::checkpoint::SignedCheckpoint;
use crate::error::Error;
use crate::manifest::{Manifest, parse_hash};
use crate::merkle::{Hash, leaf_hash};
use crate::record::{self, Record};
use crate::signing::VerifyingKeys;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// What lies between the leaf and the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extra {
    /// The leaf: the manifest in canonical form.
    manifest: String,
    /// The record's Avro datum, base64.
    record: String,
    /// The record's number in its segment.
    record_index: u64,
    /// Inclusion of the record in `records_merkle_root`, base64.
    record_path: Vec<String>,
}

/// A proof that a record is in the log.
#[derive(Debug)]
pub struct Proof {
    extra: Extra,
    leaf_index: u64,
    leaf_path: Vec<Hash>,
    checkpoint: SignedCheckpoint,
}

/// What a proof proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The record.
    pub record: Record,
    /// Its segment's manifest.
    pub manifest: Manifest,
    /// The manifest's number in the Merkle log.
    pub leaf_index: u64,
}

fn malformed(reason: &'static str) -> Error {
    Error::Proof { reason }
}

fn hash_line(text: &str) -> Result<Hash, Error> {
    BASE64
        .decode(text)
        .ok()
        .and_then(|hash| hash.try_into().ok())
        .ok_or(malformed("a hash is not 32 bytes in base64"))
}

fn path(hashes: &[Hash]) -> Vec<tlog_tiles::Hash> {
    hashes.iter().map(|hash| tlog_tiles::Hash(*hash)).collect()
}

/// Whether a leaf is at this place in the tree of this size and root (RFC 6962, section 2.1.1).
pub fn includes(size: u64, root: &Hash, index: u64, leaf: &Hash, proof: &[Hash]) -> bool {
    let (root, leaf) = (tlog_tiles::Hash(*root), tlog_tiles::Hash(*leaf));
    tlog_tiles::check_record(&path(proof), size, root, index, leaf).is_ok()
}

/// Whether the tree of the larger size begins with that of the smaller one (RFC 6962, section 2.1.2).
pub fn extends(size: u64, root: &Hash, smaller: u64, smaller_root: &Hash, proof: &[Hash]) -> bool {
    let (root, smaller_root) = (tlog_tiles::Hash(*root), tlog_tiles::Hash(*smaller_root));
    tlog_tiles::check_tree(&path(proof), size, root, smaller, smaller_root).is_ok()
}

impl Proof {
    pub(crate) fn new(
        record: &Record,
        (record_index, record_path): (u64, Vec<Hash>),
        manifest: &Manifest,
        (leaf_index, leaf_path): (u64, Vec<Hash>),
        checkpoint: SignedCheckpoint,
    ) -> Self {
        let mut datum = Vec::new();
        record.encode(&mut datum);
        let extra = Extra {
            manifest: String::from_utf8_lossy(&manifest.to_bytes()).into_owned(),
            record: BASE64.encode(datum),
            record_index,
            record_path: record_path.into_iter().map(|hash| BASE64.encode(hash)).collect(),
        };
        Self { extra, leaf_index, leaf_path, checkpoint }
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let extra = serde_json::to_vec(&self.extra).unwrap_or_default();
        let mut text = format!("{FIRST_LINE}\nextra {}\nindex {}\n", BASE64.encode(extra), self.leaf_index);
        for hash in &self.leaf_path {
            text.push_str(&BASE64.encode(hash));
            text.push('\n');
        }
        text.push('\n');
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.checkpoint.to_bytes());
        bytes
    }

    /// Reads a file. Nothing is verified.
    ///
    /// # Errors
    /// [`Error::Proof`] for anything that is no such file, [`Error::Checkpoint`] if its checkpoint is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("not text"))?;
        let (proof, note) = text.split_once("\n\n").ok_or(malformed("it has no checkpoint"))?;
        let mut lines = proof.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(malformed("the first line is not that of a proof"));
        }
        let extra = lines.next().and_then(|line| BASE64.decode(line.strip_prefix("extra ")?).ok());
        let extra = extra.and_then(|extra| serde_json::from_slice(&extra).ok());
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let leaf_index: Option<u64> =
            index.and_then(|index| index.parse().ok().filter(|number: &u64| number.to_string() == index));
        Ok(Self {
            extra: extra.ok_or(malformed("its second line does not hold a record and a manifest"))?,
            leaf_index: leaf_index.ok_or(malformed("its third line is no index"))?,
            leaf_path: lines.map(hash_line).collect::<Result<_, _>>()?,
            checkpoint: SignedCheckpoint::from_bytes(note.as_bytes())?,
        })
    }

    /// The checkpoint under which the record is.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Checks everything: the signature by these keys, the manifest under the checkpoint, the record under the manifest.
    ///
    /// # Errors
    /// [`Error::Proof`] with the step that does not hold.
    pub fn check(&self, keys: &VerifyingKeys) -> Result<Proven, Error> {
        if !self.checkpoint.is_signed_by(keys) {
            return Err(malformed(
                "no known key whose signatures count at its time has signed the checkpoint",
            ));
        }
        let checkpoint = self.checkpoint.checkpoint();
        let leaf = leaf_hash(self.extra.manifest.as_bytes());
        if !includes(checkpoint.size, &checkpoint.root, self.leaf_index, &leaf, &self.leaf_path) {
            return Err(malformed("the manifest is not under the checkpoint"));
        }
        let manifest = Manifest::from_bytes(self.extra.manifest.as_bytes())?;
        let root = parse_hash(&manifest.records_merkle_root).ok_or(malformed("the manifest has no root"))?;
        let datum = BASE64.decode(&self.extra.record).map_err(|_| malformed("the record is not base64"))?;
        let record_path: Vec<Hash> =
            self.extra.record_path.iter().map(|hash| hash_line(hash)).collect::<Result<_, _>>()?;
        let index = self.extra.record_index;
        if !includes(manifest.record_count, &root, index, &leaf_hash(&datum), &record_path) {
            return Err(malformed("the record is not in the segment of the manifest"));
        }
        let (record, length) = record::decode(&datum).map_err(malformed)?;
        if length != datum.len() {
            return Err(malformed("the record is longer than its fields"));
        }
        let record = record.to_record(&manifest.topic, manifest.partition);
        Ok(Proven { record, manifest, leaf_index: self.leaf_index })
    }
}
