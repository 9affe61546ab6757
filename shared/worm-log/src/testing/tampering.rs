//! What can be done to a copy of a log, and what the verifier has to say of it.
//!
//! The tests do all of it to small logs, the drill `tamper` to what it wrote into a real bucket.

use std::fmt;

use crate::manifest::Manifest;
use crate::report::{Finding, FindingKind};

/// A way of tampering with a copy of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// One bit of a segment.
    FlipByte,
    /// A segment with its manifest.
    DropSegment,
    /// A segment, and its manifest stays.
    DropRecords,
    /// A manifest, and its segment stays.
    DropManifest,
    /// The last segments of a partition with their manifests.
    CutPartition,
    /// All of a partition.
    DropPartition,
    /// Two checkpoints in a row.
    DropCheckpoints,
    /// The last checkpoint.
    DropLastCheckpoint,
    /// Two segments and their manifests change places.
    SwapSegments,
    /// Segments, tiles and checkpoints from some checkpoint on.
    CutLog,
    /// A checkpoint is signed with another key of the same name.
    SignWithOtherKey,
    /// The true key signs another tree as the last checkpoint.
    SignOtherTree,
    /// Who holds the key leaves a record out, and makes everything after it anew.
    RewriteLog,
    /// A record is left out, and its segment and manifest are made anew.
    LoseRecord,
    /// The same with a partition's last segment, which has no successor.
    LoseLastRecord,
    /// A checkpoint stands in the place of the last one.
    ReplayCheckpoint,
    /// Tiles and checkpoints are those of some time ago, the segments are not.
    ReplayLog,
    /// One bit of a tile.
    FlipTile,
    /// A bundle of entries.
    DropEntries,
    /// The whole Merkle log.
    DropLog,
    /// An object that the log would not write.
    AddObject,
}

impl Tampering {
    /// Everything that is done to copies in a folder.
    pub const ALL: [Self; 21] = [
        Self::FlipByte,
        Self::DropSegment,
        Self::DropRecords,
        Self::DropManifest,
        Self::CutPartition,
        Self::DropPartition,
        Self::DropCheckpoints,
        Self::DropLastCheckpoint,
        Self::SwapSegments,
        Self::CutLog,
        Self::SignWithOtherKey,
        Self::SignOtherTree,
        Self::RewriteLog,
        Self::LoseRecord,
        Self::LoseLastRecord,
        Self::ReplayCheckpoint,
        Self::ReplayLog,
        Self::FlipTile,
        Self::DropEntries,
        Self::DropLog,
        Self::AddObject,
    ];

    /// What is found, of which kinds.
    pub fn kinds(self) -> &'static [FindingKind] {
        use FindingKind as Kind;
        match self {
            Self::FlipByte => &[Kind::SegmentAltered],
            // Of a partition's first segment only the end is known, by what its successor names.
            Self::DropSegment => &[Kind::SegmentsMissing, Kind::StartMissing],
            Self::DropRecords => &[Kind::SegmentMissing],
            Self::DropManifest => &[Kind::ManifestMissing],
            Self::CutPartition | Self::DropPartition => &[Kind::SegmentsMissing],
            Self::DropCheckpoints => &[Kind::CheckpointMissing],
            Self::DropLastCheckpoint => &[Kind::CheckpointMissing, Kind::RolledBack],
            Self::SwapSegments => &[Kind::SegmentMisplaced, Kind::ManifestMisplaced],
            Self::CutLog | Self::ReplayLog => &[Kind::RolledBack],
            Self::SignWithOtherKey => &[Kind::CheckpointUnsigned],
            Self::SignOtherTree => &[Kind::CheckpointContradicted, Kind::Forked],
            Self::RewriteLog => &[Kind::Forked],
            Self::LoseRecord => &[Kind::ChainBroken, Kind::LeafContradicted],
            Self::LoseLastRecord => &[Kind::LeafContradicted],
            Self::ReplayCheckpoint => &[Kind::CheckpointMisplaced, Kind::CheckpointMissing, Kind::RolledBack],
            Self::FlipTile => &[Kind::TileAltered],
            Self::DropEntries => &[Kind::TileMissing],
            Self::DropLog => &[Kind::LogMissing],
            Self::AddObject => &[Kind::UnknownObject],
        }
    }
}

impl fmt::Display for Tampering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FlipByte => "flip a byte of a segment",
            Self::DropSegment => "drop a segment with its manifest",
            Self::DropRecords => "drop a segment and leave its manifest",
            Self::DropManifest => "drop a manifest and leave its segment",
            Self::CutPartition => "cut off the end of a partition",
            Self::DropPartition => "drop a whole partition",
            Self::DropCheckpoints => "drop two consecutive checkpoints",
            Self::DropLastCheckpoint => "drop the last checkpoint",
            Self::SwapSegments => "swap two segments with their manifests",
            Self::CutLog => "truncate everything, checkpoints included",
            Self::SignWithOtherKey => "sign a checkpoint with another key of its name",
            Self::SignOtherTree => "sign another tree with the true key",
            Self::RewriteLog => "fork: rewrite segments, log and checkpoints with the true key",
            Self::LoseRecord => "lose one record and compute segment and manifest anew",
            Self::LoseLastRecord => "the same in the last segment of a partition",
            Self::ReplayCheckpoint => "put an old checkpoint in the place of the last",
            Self::ReplayLog => "put an old checkpoint with its tree in the place of the log",
            Self::FlipTile => "flip a byte of a tile",
            Self::DropEntries => "drop a bundle of entries",
            Self::DropLog => "drop the whole Merkle log",
            Self::AddObject => "add an object",
        })
    }
}

/// What the verifier says, as far as it names what was done: the kind of finding, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sign {
    /// Which finding.
    pub kind: FindingKind,
    /// Topic, partition and offsets, or else the object's key.
    pub place: String,
}

impl Sign {
    /// What a finding names.
    pub fn of(finding: &Finding) -> Self {
        let place = match (&finding.topic, finding.partition) {
            (Some(topic), Some(partition)) => {
                offsets(topic, partition, finding.first_offset, finding.next_offset)
            }
            _ => finding.key.clone().unwrap_or_default(),
        };
        Self { kind: finding.kind, place }
    }

    pub(super) fn segment(kind: FindingKind, manifest: &Manifest) -> Self {
        let (first, next) = (Some(manifest.first_offset), Some(manifest.next_offset));
        Self { kind, place: offsets(&manifest.topic, manifest.partition, first, next) }
    }

    pub(super) fn object(kind: FindingKind, key: impl Into<String>) -> Self {
        Self { kind, place: key.into() }
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.place)
    }
}

pub(super) fn offsets(topic: &str, partition: i32, first: Option<i64>, next: Option<i64>) -> String {
    let bound = |offset: Option<i64>| offset.map_or_else(|| "?".to_owned(), |offset| offset.to_string());
    format!("{topic}/{partition} {}..{}", bound(first), bound(next))
}
