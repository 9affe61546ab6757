//! `audit prove`, `check-proof` and `diff`: proofs from a log, and checking them without it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use worm_log::manifest::sha256;
use worm_log::{Manifest, Proof, Proven, SignedCheckpoint, proof, prove};

use super::{Bundle, read, read_keys, refuse};
use crate::output::{Outcome, line, table, usage};

#[derive(Debug, clap::Args)]
pub(super) struct Prove {
    #[command(flatten)]
    bundle: Bundle,
    /// Topic of the record.
    #[arg(long)]
    topic: String,
    /// Partition of the record.
    #[arg(long)]
    partition: i32,
    /// Offset of the record.
    #[arg(long)]
    offset: i64,
    /// File for the proof. It holds the record, so it is as confidential as the topic.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct CheckProof {
    /// The proof.
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// Keys that the checkpoint must be signed by, a line each: `KEY [FROM [UNTIL]]`.
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Write the record's value to a file.
    #[arg(long, value_name = "FILE")]
    value: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Diff {
    #[command(flatten)]
    bundle: Bundle,
    /// Keys that both checkpoints must be signed by; without them no signature is checked.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The earlier checkpoint: its size, or a file with one that was kept elsewhere.
    #[arg(long, value_name = "SIZE|FILE")]
    from: String,
    /// The later one, as `--from`; the log's last when not given.
    #[arg(long, value_name = "SIZE|FILE")]
    to: Option<String>,
}

impl Prove {
    pub(super) async fn run(&self) -> Result<ExitCode, Outcome> {
        let store = self.bundle.open().await?;
        match prove::prove(&store, &self.topic, self.partition, self.offset).await {
            Ok(proof) => {
                super::write_secret(&self.out, &proof.to_bytes())?;
                line(format_args!(
                    "{} {}/{}/{} under the checkpoint of size {}",
                    self.out.display(),
                    self.topic,
                    self.partition,
                    self.offset,
                    proof.checkpoint().checkpoint().size
                ));
                Ok(ExitCode::SUCCESS)
            }
            Err(error @ worm_log::Error::Unproven { .. }) => Err(super::reject(&error)),
            Err(error) => Err(refuse(&error)),
        }
    }
}

impl CheckProof {
    pub(super) fn run(&self) -> Result<ExitCode, Outcome> {
        let (bytes, keys) = (read(&self.proof)?, read_keys(&self.keys)?);
        let proof = Proof::from_bytes(&bytes).map_err(|error| super::reject(&error))?;
        let Proven { record, manifest, leaf_index } =
            proof.check(&keys).map_err(|error| super::reject(&error))?;
        if let Some(path) = &self.value {
            super::write_secret(path, record.value.as_deref().unwrap_or_default())?;
        }
        let time = |milliseconds| {
            jiff::Timestamp::from_millisecond(milliseconds)
                .map_or_else(|_| "?".to_owned(), |time| time.to_string())
        };
        let hash = |bytes: Option<&Vec<u8>>| {
            bytes.map_or_else(|| "none".to_owned(), |bytes| hex::encode(sha256(bytes)))
        };
        let checkpoint = proof.checkpoint().checkpoint();
        // Sizes and hashes, so that who has the message can compare, and who has not learns nothing.
        line(format_args!("proof holds: {}/{}/{}", record.topic, record.partition, record.offset));
        line(format_args!("timestamp    {}", time(record.timestamp_ms)));
        line(format_args!(
            "value        {} bytes, SHA-256 {}",
            record.value.as_ref().map_or(0, Vec::len),
            hash(record.value.as_ref())
        ));
        line(format_args!(
            "segment      {}, SHA-256 {}",
            manifest.id().map_or_else(|_| "?".to_owned(), |id| id.segment_key()),
            manifest.object_sha256
        ));
        line(format_args!(
            "checkpoint   {}, leaf {leaf_index} of {}, signed {}",
            checkpoint.origin, checkpoint.size, checkpoint.time
        ));
        Ok(ExitCode::SUCCESS)
    }
}

impl Diff {
    pub(super) async fn run(&self) -> Result<ExitCode, Outcome> {
        let store = self.bundle.open().await?;
        let keys = self.keys.as_deref().map(read_keys).transpose()?.unwrap_or_default();
        let mut ends = Vec::new();
        for end in [Some(&self.from), self.to.as_ref()] {
            let signed = match end.map(|end| end.parse::<u64>()) {
                Some(Err(_)) => {
                    let path = PathBuf::from(end.map_or("", String::as_str));
                    Some(SignedCheckpoint::from_bytes(&read(&path)?).map_err(|error| super::reject(&error))?)
                }
                Some(Ok(size)) => {
                    prove::checkpoint(&store, Some(size)).await.map_err(|error| refuse(&error))?
                }
                None => prove::checkpoint(&store, None).await.map_err(|error| refuse(&error))?,
            };
            let signed = signed.ok_or_else(|| usage("the log has no such checkpoint"))?;
            if !keys.is_empty() && !signed.is_signed_by(&keys) {
                let error = worm_log::Error::Proof { reason: "a checkpoint is signed by none of the keys" };
                return Err(super::reject(&error));
            }
            ends.push(signed.checkpoint().clone());
        }
        let [from, to] = ends.as_slice() else { return Err(Outcome::Usage) };
        if from.size > to.size {
            return Err(usage(format_args!("{} is larger than {}", from.size, to.size)));
        }
        let path = match prove::prove_consistency(&store, from.size, to.size).await {
            Ok(path) => path,
            Err(error @ (worm_log::Error::Proof { .. } | worm_log::Error::NotFound { .. })) => {
                return Err(super::reject(&error));
            }
            Err(error) => return Err(refuse(&error)),
        };
        if from.origin != to.origin || !proof::extends(to.size, &to.root, from.size, &from.root, &path) {
            let error =
                worm_log::Error::Proof { reason: "the later tree does not begin with the earlier one" };
            return Err(super::reject(&error));
        }
        let added = prove::leaves(&store, from.size, to.size).await.map_err(|error| refuse(&error))?;
        let mut partitions: BTreeMap<(&str, i32), (i64, i64, u64, u64)> = BTreeMap::new();
        for Manifest { topic, partition, first_offset, next_offset, record_count, .. } in &added {
            let range = partitions.entry((topic, *partition)).or_insert((*first_offset, *next_offset, 0, 0));
            *range =
                (range.0.min(*first_offset), range.1.max(*next_offset), range.2 + 1, range.3 + record_count);
        }
        let rows: Vec<Vec<String>> = partitions
            .iter()
            .map(|((topic, partition), (first, next, segments, records))| {
                let numbers = [i64::from(*partition), *first, next - 1];
                let counts = [*segments, *records].map(|count| count.to_string());
                [(*topic).to_owned()]
                    .into_iter()
                    .chain(numbers.map(|number| number.to_string()))
                    .chain(counts)
                    .collect()
            })
            .collect();
        line(format_args!(
            "consistent: {} grew from {} to {} leaves, {} to {}",
            to.origin, from.size, to.size, from.time, to.time
        ));
        if !rows.is_empty() {
            table(&["topic", "partition", "from", "to", "segments", "records"], &rows).iter().for_each(line);
        }
        Ok(ExitCode::SUCCESS)
    }
}
