//! The crate's one error type.

use std::fmt;
use std::io;

/// What a store client reported, boxed so that no client type appears in this crate's interface.
pub type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A bucket that cannot hold a WORM log, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BucketProblem {
    /// There is no bucket of that name.
    Missing,
    /// Versioning is off or suspended; Object Lock protects versions only.
    VersioningOff,
    /// The bucket was made without Object Lock.
    ObjectLockOff,
}

impl fmt::Display for BucketProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "the bucket does not exist",
            Self::VersioningOff => "versioning is not enabled",
            Self::ObjectLockOff => "object lock is not enabled",
        })
    }
}

/// Why a segment could not be built, written, read or verified.
///
/// No message holds a key, value or header of a record: they name topic, partition, offset and byte position.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `WORM-601`: not a name that Kafka allows for a topic.
    #[error("not a legal kafka topic name or partition number")]
    Topic,
    /// `WORM-602`: a record whose offset was already accounted for.
    #[error("offset {offset} of {topic}/{partition} comes before the expected offset {expected}")]
    OffsetBehind {
        /// Kafka topic.
        topic: String,
        /// Kafka partition.
        partition: i32,
        /// Offset of the record.
        offset: i64,
        /// Lowest offset that could have been taken.
        expected: i64,
    },
    /// `WORM-603`: a record larger than a container block may be.
    #[error("record at offset {offset} is larger than {limit} bytes")]
    RecordTooLarge {
        /// Offset of the record.
        offset: i64,
        /// The limit in bytes.
        limit: u64,
    },
    /// `WORM-604`: bytes that are not a segment as this crate writes it.
    #[error("segment malformed near byte {position}, expected {reason}")]
    Segment {
        /// Byte position in the object, at the start of the block or header field in question.
        position: u64,
        /// What was expected.
        reason: &'static str,
    },
    /// `WORM-605`: bytes that are not a manifest in its canonical form.
    #[error("manifest malformed: {reason}")]
    Manifest {
        /// What was expected.
        reason: &'static str,
    },
    /// `WORM-606`: what the store holds contradicts itself, so that no writer may go on from it.
    #[error("object {key} contradicts the log: {reason}")]
    Conflict {
        /// Object key.
        key: String,
        /// The contradiction.
        reason: &'static str,
    },
    /// `WORM-607`: a segment context that cannot be written (an out-of-range offset or too long a text).
    #[error("segment context invalid: {reason}")]
    Context {
        /// What is wrong.
        reason: &'static str,
    },
    /// `WORM-608`: the partition was not assigned to this auditor.
    #[error("{topic}/{partition} is not assigned")]
    NotAssigned {
        /// Kafka topic.
        topic: String,
        /// Kafka partition.
        partition: i32,
    },
    /// `WORM-610`: the store did not answer, or answered that it cannot now. Try again later.
    #[error("store unavailable during {operation} of {key}")]
    Unavailable {
        /// Operation, in the store's own words.
        operation: &'static str,
        /// Object key, prefix or bucket.
        key: String,
        /// What the client reported.
        #[source]
        source: Source,
    },
    /// `WORM-611`: the store knows the request and refuses it to this principal.
    #[error("access denied to {operation} of {key} ({code})")]
    AccessDenied {
        /// Operation, in the store's own words.
        operation: &'static str,
        /// Object key, prefix or bucket.
        key: String,
        /// The store's error code.
        code: String,
    },
    /// `WORM-612`: the bucket cannot hold a WORM log.
    #[error("bucket {bucket} cannot hold a worm log: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Bucket {
        /// Name of the bucket.
        bucket: String,
        /// Everything that is wrong with it.
        problems: Vec<BucketProblem>,
    },
    /// `WORM-613`: no such object.
    #[error("object {key} does not exist")]
    NotFound {
        /// Object key.
        key: String,
    },
    /// `WORM-614`: the store rejects the request as such; trying again will not help.
    #[error("store rejected {operation} of {key} ({code})")]
    Rejected {
        /// Operation, in the store's own words.
        operation: &'static str,
        /// Object key, prefix or bucket.
        key: String,
        /// The store's error code.
        code: String,
    },
    /// `WORM-615`: the local folder refused an operation.
    #[error("local store failed to {operation} {key}")]
    Local {
        /// Operation.
        operation: &'static str,
        /// Object key.
        key: String,
        /// What the operating system reported.
        #[source]
        source: io::Error,
    },
    /// `WORM-616`: the store's settings are incomplete or contradictory.
    #[error("store settings invalid: {reason}")]
    Settings {
        /// What is wrong.
        reason: String,
    },
    /// `WORM-617`: reading an object stopped half way.
    #[error("reading an object stopped half way")]
    Read {
        /// What the operating system or the client reported.
        #[source]
        source: io::Error,
    },
    /// `WORM-618`: bytes that are not a checkpoint of the Merkle log, or a tree that does not belong to one.
    #[error("checkpoint malformed: {reason}")]
    Checkpoint {
        /// What was expected.
        reason: &'static str,
    },
    /// `WORM-619`: a key that signs or verifies checkpoints cannot be used. The key is not repeated.
    #[error("key of the merkle log invalid: {reason}")]
    Key {
        /// What is wrong.
        reason: String,
    },
    /// `WORM-620`: a proof that does not hold, or is none.
    #[error("proof does not hold: {reason}")]
    Proof {
        /// The step that does not hold.
        reason: &'static str,
    },
    /// `WORM-621`: the log has no record at the offset, or none that is under a checkpoint.
    #[error("offset {offset} of {topic}/{partition} cannot be proved: {reason}")]
    Unproven {
        /// Kafka topic.
        topic: String,
        /// Kafka partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// Why.
        reason: &'static str,
    },
    /// `WORM-622`: a witness does not cosign a checkpoint.
    #[error("checkpoint of size {size} is not cosigned: {reason}")]
    Refused {
        /// Size of the checkpoint.
        size: u64,
        /// Why.
        reason: &'static str,
    },
    /// `WORM-623`: the store has a segment no more, or something else in its place.
    #[error("offsets {first_offset} to {} of {topic}/{partition} are not given: {reason}", next_offset - 1)]
    Altered {
        /// Kafka topic.
        topic: String,
        /// Kafka partition.
        partition: i32,
        /// First offset of the segment.
        first_offset: i64,
        /// One past its last offset.
        next_offset: i64,
        /// What does not fit.
        reason: &'static str,
    },
}

impl Error {
    /// Stable code, one page each in the documentation.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Topic => "WORM-601",
            Self::OffsetBehind { .. } => "WORM-602",
            Self::RecordTooLarge { .. } => "WORM-603",
            Self::Segment { .. } => "WORM-604",
            Self::Manifest { .. } => "WORM-605",
            Self::Conflict { .. } => "WORM-606",
            Self::Context { .. } => "WORM-607",
            Self::NotAssigned { .. } => "WORM-608",
            Self::Unavailable { .. } => "WORM-610",
            Self::AccessDenied { .. } => "WORM-611",
            Self::Bucket { .. } => "WORM-612",
            Self::NotFound { .. } => "WORM-613",
            Self::Rejected { .. } => "WORM-614",
            Self::Local { .. } => "WORM-615",
            Self::Settings { .. } => "WORM-616",
            Self::Read { .. } => "WORM-617",
            Self::Checkpoint { .. } => "WORM-618",
            Self::Key { .. } => "WORM-619",
            Self::Proof { .. } => "WORM-620",
            Self::Unproven { .. } => "WORM-621",
            Self::Refused { .. } => "WORM-622",
            Self::Altered { .. } => "WORM-623",
        }
    }

    /// Short title of the code.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Topic => "topic or partition not legal",
            Self::OffsetBehind { .. } => "offset already accounted for",
            Self::RecordTooLarge { .. } => "record too large",
            Self::Segment { .. } => "segment malformed",
            Self::Manifest { .. } => "manifest malformed",
            Self::Conflict { .. } => "stored log contradicts itself",
            Self::Context { .. } => "segment context invalid",
            Self::NotAssigned { .. } => "partition not assigned",
            Self::Unavailable { .. } => "store unavailable",
            Self::AccessDenied { .. } => "store denies access",
            Self::Bucket { .. } => "bucket unfit for a worm log",
            Self::NotFound { .. } => "object not found",
            Self::Rejected { .. } => "store rejects the request",
            Self::Local { .. } => "local store failed",
            Self::Settings { .. } => "store settings invalid",
            Self::Read { .. } => "reading stopped half way",
            Self::Checkpoint { .. } => "checkpoint malformed",
            Self::Key { .. } => "key of the merkle log invalid",
            Self::Proof { .. } => "proof does not hold",
            Self::Unproven { .. } => "offset cannot be proved",
            Self::Refused { .. } => "witness refuses a checkpoint",
            Self::Altered { .. } => "segment is not the one in the log",
        }
    }

    /// What to do next, one sentence.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Topic => {
                "name topics with 1 to 249 of the characters a-z A-Z 0-9 . _ - (not . or ..), partitions from 0"
            }
            Self::OffsetBehind { .. } => {
                "seek the consumer to the expected offset; the earlier records are stored already"
            }
            Self::RecordTooLarge { .. } => {
                "lower max.message.bytes of the topic to 1 GiB or less and have the record sent in parts"
            }
            Self::Segment { .. } => {
                "run `audit verify` to see whether the object was altered, and keep it as evidence"
            }
            Self::Manifest { .. } => {
                "run `audit verify` to see whether the object was altered, and keep it as evidence"
            }
            Self::Conflict { .. } => {
                "run `audit verify` on this partition; the writer stops here so that the evidence stays as it is"
            }
            Self::Context { .. } => "correct the writer's version text, offsets or retention",
            Self::NotAssigned { .. } => "assign the partition before pushing records of it",
            Self::Unavailable { .. } => {
                "nothing is lost: offsets are committed only after the write, which is tried again; check the store's health"
            }
            Self::AccessDenied { .. } => {
                "give the audit principal PutObject, PutObjectRetention, GetObject, ListBucket, ListBucketVersions, GetBucketVersioning and GetBucketObjectLockConfiguration on the bucket; who changes legal holds needs PutObjectLegalHold and GetObjectLegalHold"
            }
            Self::Bucket { .. } => {
                "create a bucket with Object Lock enabled (that enables versioning too) and name it in the settings"
            }
            Self::NotFound { .. } => {
                "check the topic, partition and offset; `audit verify` says whether it should exist"
            }
            Self::Rejected { .. } => {
                "look the code up in the store's documentation; settings of the bucket or the request are wrong"
            }
            Self::Local { .. } => {
                "check free space, permissions and that the folder's file system has hard links"
            }
            Self::Settings { .. } => "correct the named setting",
            Self::Read { .. } => "try again; if it recurs, check the disk or the network to the store",
            Self::Checkpoint { .. } => {
                "run `audit verify` to see whether the log was altered, and keep it as evidence"
            }
            Self::Proof { .. } => {
                "take the record for unproven; if the proof was made just now, run `audit verify` on the log"
            }
            Self::Unproven { .. } => {
                "check topic, partition and offset; a new record is provable once its segment is under a checkpoint"
            }
            Self::Refused { .. } => {
                "the log is not the one that was cosigned before: verify it with that checkpoint, and keep both as evidence"
            }
            Self::Altered { .. } => {
                "run `audit verify` to see what else was altered, and keep the store as evidence; nothing of the segment was given"
            }
            Self::Key { .. } => {
                "name a signing key made by `audit key`, and list its verifying key with the times in which it counts"
            }
        }
    }

    /// Whether trying the same again later can succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Read { .. } => true,
            // A full disk is the local form of a store that is away: someone makes room and the write goes on.
            Self::Local { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::Interrupted
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::StaleNetworkFileHandle
            ),
            _ => false,
        }
    }
}
