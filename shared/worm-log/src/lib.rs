//! The WORM audit log: segments, manifests and the verifier.
//!
//! Records of a Kafka partition are collected into segments, each with a manifest that commits to it and to its predecessor.
//! Both are created once, under a key that holds only the start offset, in a bucket with S3 Object Lock or in a local folder.
//! Whoever holds a copy can verify offline that nothing was changed and nothing is missing.
//!
//! | module | what it holds | pure |
//! | --- | --- | --- |
//! | [`record`] | one Kafka record and its Avro form | yes |
//! | [`segment`] | building and reading segments | yes |
//! | [`manifest`] | the manifest, a function of the segment's bytes | yes |
//! | [`merkle`] | RFC 6962 tree hashes | yes |
//! | [`tree`] | the Merkle tree over manifests, in tiles | yes |
//! | [`signing`], [`checkpoint`], [`cosignature`] | keys, signed checkpoints, cosigned ones | yes |
//! | [`keys`] | object keys | yes |
//! | [`store`], [`local`], [`s3`] | where objects are kept | no |
//! | [`log`] | the end of the log, writing exactly once, reading ranges | no |
//! | [`auditor`] | one open segment per partition | no |
//! | [`sequencer`] | manifests in order, under signed checkpoints | no |
//! | [`mod@verify`], [`report`] | the verifier | no |
//! | [`proof`] | the proof that one record is in the log | yes |
//! | [`prove`], [`witness`] | making proofs from a store, cosigning its checkpoints | no |
//! | [`replay`] | reading records that the log vouches for | no |

pub mod auditor;
pub mod checkpoint;
pub mod cosignature;
pub mod error;
pub mod keys;
pub mod local;
pub mod log;
pub mod manifest;
pub mod merkle;
pub mod proof;
pub mod prove;
pub mod record;
pub mod replay;
pub mod report;
pub mod s3;
pub mod segment;
pub mod sequencer;
pub mod signing;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tree;
pub mod verify;
pub mod witness;

pub use auditor::{Auditor, AuditorConfig, Event, Pushed};
pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use cosignature::{CosigningKey, WitnessKey};
pub use error::{BucketProblem, Error};
pub use keys::{ObjectKind, SegmentId};
pub use local::LocalStore;
pub use log::{Tip, Written, read_range, resume, segment_at, write};
pub use manifest::{Gap, GapKind, Manifest, SegmentHeader};
pub use merkle::Hash;
pub use proof::{Proof, Proven};
pub use record::{Record, RecordRef};
pub use replay::{Attested, Ledger, Planned};
pub use report::{Finding, FindingKind, MerkleLogSummary, PartitionSummary, Report, Verdict};
pub use s3::{AccessKey, LockMode, S3Config, S3Store};
pub use segment::{Context, Examination, Limits, Records, Sealed, SegmentBuilder, SegmentReader, examine};
pub use sequencer::{Appended, Sequencer, SequencerConfig};
pub use signing::{SigningKey, VerifyingKeys};
pub use store::{AnyStore, Created, NewObject, Store};
pub use tree::{Edge, TileId};
pub use verify::{Expected, Held, Inventory, Progress, VerifyOptions, inventory, verify};
pub use witness::observe;
