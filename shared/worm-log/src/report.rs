//! What the verifier says.

use std::fmt;

use serde::Serialize;

/// The overall result, or the weight of one finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing was changed and nothing is missing.
    Whole,
    /// Nothing that is there was changed, but something is missing.
    Incomplete,
    /// Something was changed.
    Tampered,
}

impl Verdict {
    /// Exit code of `audit verify`: 0 whole, 1 tampered, 2 incomplete.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::Tampered => 1,
            Self::Incomplete => 2,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "whole",
            Self::Incomplete => "incomplete",
            Self::Tampered => "tampered",
        })
    }
}

/// What can be wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FindingKind {
    /// The segment object is not the one its manifest was made for.
    SegmentAltered,
    /// The segment object is not a segment.
    SegmentMalformed,
    /// The segment object belongs to another key.
    SegmentMisplaced,
    /// The manifest is not one, or not in canonical form.
    ManifestMalformed,
    /// The manifest belongs to another key.
    ManifestMisplaced,
    /// The manifest says other things than the segment it names.
    ManifestContradicted,
    /// Records and gaps do not add up to the offsets the manifest claims.
    AccountsWrong,
    /// A segment starts before its predecessor ends.
    Overlap,
    /// A segment does not name the predecessor's manifest.
    ChainBroken,
    /// An object that the log would not write.
    UnknownObject,
    /// A delete marker hides an object.
    DeleteMarker,
    /// A second version of an object that is written once.
    ExtraVersion,
    /// No segment covers these offsets.
    SegmentsMissing,
    /// The log's start is gone.
    StartMissing,
    /// The log ends before the broker does.
    EndMissing,
    /// A manifest whose segment is gone.
    SegmentMissing,
    /// A segment whose manifest is gone, or not yet written.
    ManifestMissing,
    /// Kafka's retention removed these offsets before they were archived; the log says so itself.
    Expired,
    /// There is no Merkle log, though its keys or one of its checkpoints are known.
    LogMissing,
    /// The object is no checkpoint.
    CheckpointMalformed,
    /// The checkpoint belongs to another key: an old one in the place of a new one.
    CheckpointMisplaced,
    /// No known key whose signatures count at the checkpoint's time has signed it.
    CheckpointUnsigned,
    /// The checkpoint is not that of the tree, or does not follow the one before it.
    CheckpointContradicted,
    /// A checkpoint is gone.
    CheckpointMissing,
    /// The log does not contain the tree of a checkpoint that is known from elsewhere.
    Forked,
    /// The log ends before a checkpoint that is known from elsewhere.
    RolledBack,
    /// A tile or an entry bundle is not that of the tree.
    TileAltered,
    /// A tile or an entry bundle is gone.
    TileMissing,
    /// A leaf of the Merkle log is no manifest.
    LeafMalformed,
    /// The Merkle log has another manifest than the store for the same offsets.
    LeafContradicted,
}

impl FindingKind {
    /// How much it weighs.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::SegmentsMissing
            | Self::StartMissing
            | Self::EndMissing
            | Self::SegmentMissing
            | Self::ManifestMissing
            | Self::Expired
            | Self::LogMissing
            | Self::CheckpointMissing
            | Self::RolledBack
            | Self::TileMissing => Verdict::Incomplete,
            _ => Verdict::Tampered,
        }
    }

    /// The kind's name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::SegmentAltered => "segment-altered",
            Self::SegmentMalformed => "segment-malformed",
            Self::SegmentMisplaced => "segment-misplaced",
            Self::ManifestMalformed => "manifest-malformed",
            Self::ManifestMisplaced => "manifest-misplaced",
            Self::ManifestContradicted => "manifest-contradicted",
            Self::AccountsWrong => "accounts-wrong",
            Self::Overlap => "overlap",
            Self::ChainBroken => "chain-broken",
            Self::UnknownObject => "unknown-object",
            Self::DeleteMarker => "delete-marker",
            Self::ExtraVersion => "extra-version",
            Self::SegmentsMissing => "segments-missing",
            Self::StartMissing => "start-missing",
            Self::EndMissing => "end-missing",
            Self::SegmentMissing => "segment-missing",
            Self::ManifestMissing => "manifest-missing",
            Self::Expired => "expired",
            Self::LogMissing => "log-missing",
            Self::CheckpointMalformed => "checkpoint-malformed",
            Self::CheckpointMisplaced => "checkpoint-misplaced",
            Self::CheckpointUnsigned => "checkpoint-unsigned",
            Self::CheckpointContradicted => "checkpoint-contradicted",
            Self::CheckpointMissing => "checkpoint-missing",
            Self::Forked => "forked",
            Self::RolledBack => "rolled-back",
            Self::TileAltered => "tile-altered",
            Self::TileMissing => "tile-missing",
            Self::LeafMalformed => "leaf-malformed",
            Self::LeafContradicted => "leaf-contradicted",
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// How much it weighs.
    pub verdict: Verdict,
    /// Kafka topic, where one can be named.
    pub topic: Option<String>,
    /// Kafka partition, where one can be named.
    pub partition: Option<i32>,
    /// First offset concerned; `None` if the start cannot be known.
    pub first_offset: Option<i64>,
    /// One past the last offset concerned; `None` if the end cannot be known.
    pub next_offset: Option<i64>,
    /// Object key, where one is concerned.
    pub key: Option<String>,
    /// Particulars.
    pub detail: String,
}

impl Finding {
    /// A finding that is of no partition: of an object, or of the log as a whole.
    pub(crate) fn of_object(kind: FindingKind, key: Option<String>, detail: impl Into<String>) -> Self {
        Self {
            kind,
            verdict: kind.verdict(),
            topic: None,
            partition: None,
            first_offset: None,
            next_offset: None,
            key,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.verdict, self.kind.name())?;
        if let Some(topic) = &self.topic {
            write!(f, ", topic {topic}")?;
        }
        if let Some(partition) = self.partition {
            write!(f, ", partition {partition}")?;
        }
        match (self.first_offset, self.next_offset) {
            // The last offset reads better than one past it; nothing here is an empty range.
            (Some(first), Some(next)) => write!(f, ", offsets {first} to {}", next.saturating_sub(1))?,
            (Some(first), None) => write!(f, ", offsets from {first}")?,
            (None, Some(next)) => write!(f, ", offsets before {next}")?,
            (None, None) => {}
        }
        if let Some(key) = &self.key {
            // Whoever can write to the store names its objects: no control character of theirs reaches a terminal.
            write!(f, ", object {}", key.escape_debug())?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// What one partition's log holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionSummary {
    /// Kafka topic.
    pub topic: String,
    /// Kafka partition.
    pub partition: i32,
    /// First offset of the log.
    pub first_offset: i64,
    /// One past the last offset, where the last segment could be read.
    pub next_offset: Option<i64>,
    /// Segments.
    pub segments: u64,
    /// Records.
    pub records: u64,
    /// SHA-256 of the last manifest, hexadecimal: it commits to the whole partition.
    pub last_manifest_sha256: Option<String>,
}

/// The Merkle log as its last checkpoint has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MerkleLogSummary {
    /// Name of the log.
    pub origin: String,
    /// Leaves under the last checkpoint.
    pub size: u64,
    /// Root of the last checkpoint, hexadecimal: it commits to the whole log.
    pub root: String,
    /// When the last checkpoint was made.
    pub time: jiff::Timestamp,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Whether keys were given to check signatures with.
    pub signatures_checked: bool,
    /// Segments after the last leaf of their partition: no checkpoint covers them yet.
    pub segments_pending: u64,
    /// Segments without a leaf that a later leaf of their partition covers by the chain of hashes.
    pub segments_chained: u64,
}

/// The verifier's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The weightiest finding's verdict.
    pub verdict: Verdict,
    /// What was found, at most [`Report::MAX_FINDINGS`] entries.
    pub findings: Vec<Finding>,
    /// Findings beyond those listed.
    pub findings_omitted: u64,
    /// Partitions, in order of topic and number.
    pub partitions: Vec<PartitionSummary>,
    /// Topics.
    pub topics: u64,
    /// Segments read and compared record by record.
    pub segments: u64,
    /// Segments outside the time range, of which only the manifests were checked.
    pub segments_outside: u64,
    /// Records.
    pub records: u64,
    /// Bytes of segments read.
    pub bytes: u64,
    /// The Merkle log; `None` if there is none. Logs that were written before there was one have none, and nothing else shows
    /// whether one was taken away: whoever expects one gives its keys.
    pub merkle_log: Option<MerkleLogSummary>,
}

impl Report {
    /// Findings that a report lists.
    pub const MAX_FINDINGS: usize = 10_000;

    pub(crate) fn empty() -> Self {
        Self {
            verdict: Verdict::Whole,
            findings: Vec::new(),
            findings_omitted: 0,
            partitions: Vec::new(),
            topics: 0,
            segments: 0,
            segments_outside: 0,
            records: 0,
            bytes: 0,
            merkle_log: None,
        }
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        self.verdict = self.verdict.max(finding.verdict);
        if self.findings.len() < Self::MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.findings_omitted += 1;
        }
    }
}

/// One line a finding, then the verdict.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        if self.findings_omitted > 0 {
            writeln!(f, "{} more findings are not listed", self.findings_omitted)?;
        }
        write!(
            f,
            "audit verify: {}, topics {}, partitions {}, segments {}, records {}, bytes {}",
            self.verdict,
            self.topics,
            self.partitions.len(),
            self.segments,
            self.records,
            self.bytes
        )?;
        if self.segments_outside > 0 {
            write!(f, ", segments outside the time range {}", self.segments_outside)?;
        }
        match &self.merkle_log {
            None => f.write_str(", no merkle log"),
            Some(log) => {
                write!(f, ", checkpoints {}, leaves {}", log.checkpoints, log.size)?;
                if log.segments_pending > 0 {
                    write!(f, ", segments not yet under a checkpoint {}", log.segments_pending)?;
                }
                if !log.signatures_checked {
                    f.write_str(", signatures not checked")?;
                }
                Ok(())
            }
        }
    }
}
