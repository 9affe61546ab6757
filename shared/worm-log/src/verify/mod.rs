//! The verifier: it recomputes every manifest from its segment, follows the chain, and recomputes the Merkle log.

mod chain;
mod check;
mod inventory;
mod leaves;
mod merkle_log;
mod plan;

use std::collections::BTreeMap;

use futures::StreamExt as _;

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::keys::SegmentId;
use crate::report::{Finding, FindingKind, Report};
use crate::signing::VerifyingKeys;
use crate::store::Store;
use chain::Chain;
use leaves::Leaves;

pub use inventory::{Held, Inventory, inventory};

/// What the log should hold of a partition, from the broker's watermarks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The log must start here or earlier.
    pub first_offset: Option<i64>,
    /// The log must reach up to here, one past the last offset.
    pub next_offset: Option<i64>,
}

/// What to verify.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// Topics; empty for all.
    pub topics: Vec<String>,
    /// Segments with no record at or after this time (milliseconds since the Unix epoch) are checked by their manifests only.
    pub from_ms: Option<i64>,
    /// Segments with no record before this time (milliseconds since the Unix epoch) are checked by their manifests only.
    pub to_ms: Option<i64>,
    /// What should be there, by topic and partition.
    pub expected: BTreeMap<(String, i32), Expected>,
    /// Keys by which checkpoints must be signed; without one no signature is checked.
    pub keys: VerifyingKeys,
    /// Checkpoints that are known from elsewhere, from a witness for instance: the log must contain their trees.
    pub known: Vec<Checkpoint>,
    /// Segments read at the same time; 0 for one a core.
    pub threads: usize,
}

/// How far the verifier is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Segments done.
    pub segments: u64,
    /// Segments in all.
    pub segments_total: u64,
    /// Bytes of segments done.
    pub bytes: u64,
    /// Bytes of segments in all.
    pub bytes_total: u64,
}

/// Verifies a log, reading every segment once.
///
/// Segments stream through one block at a time; what is kept in memory is the list of offsets and the findings.
///
/// # Errors
/// Only if the store cannot be read; whatever the objects hold is a finding.
pub async fn verify<S: Store>(
    store: &S,
    options: &VerifyOptions,
    mut progress: impl FnMut(Progress),
) -> Result<Report, Error> {
    let mut report = Report::empty();
    // Before the segments: a log that grows meanwhile has the segment of each leaf before it has the leaf.
    let listed = merkle_log::list(store, &mut report).await?;
    let plan = plan::plan(store, options, &mut report).await?;
    let mut done = Progress {
        segments_total: plan.iter().map(|partition| partition.segments.len() as u64).sum(),
        bytes_total: plan.iter().flat_map(|partition| &partition.segments).map(|(_, bytes)| bytes).sum(),
        ..Progress::default()
    };
    progress(done);

    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        threads => threads,
    };
    let mut leaves = Leaves::default();
    for partition in &plan {
        report.topics +=
            u64::from(report.partitions.last().is_none_or(|previous| previous.topic != partition.topic));
        let mut chain =
            Chain::new(partition, options.expected.get(&(partition.topic.clone(), partition.partition)));
        // Results come in order; twice as many in hand as threads, so that a long segment at the head leaves no thread idle.
        let mut checks = futures::stream::iter(&partition.segments)
            .map(|(first_offset, bytes)| async move {
                let id = SegmentId::new(&partition.topic, partition.partition, *first_offset)?;
                Ok::<_, Error>((check::check_segment(store, id, *bytes, options).await?, *bytes))
            })
            .buffered(threads.saturating_mul(2));
        while let Some(checked) = checks.next().await {
            let (checked, bytes) = checked?;
            done.segments += 1;
            done.bytes += bytes;
            progress(done);
            leaves.see(&checked);
            chain.follow(checked, &mut report);
        }
        chain.end(&mut report);
    }
    for topic in options.topics.iter().filter(|topic| plan.iter().all(|planned| planned.topic != **topic)) {
        let mut finding = Place { topic, partition: 0 }.finding(
            FindingKind::SegmentsMissing,
            None,
            None,
            "nothing of the topic is stored",
        );
        finding.partition = None;
        report.add(finding);
    }
    for ((topic, partition), expected) in &options.expected {
        let wanted = options.topics.is_empty() || options.topics.contains(topic);
        let present = plan.iter().any(|planned| planned.topic == *topic && planned.partition == *partition);
        let range = (expected.first_offset.unwrap_or(0), expected.next_offset.unwrap_or(0));
        if wanted && !present && range.0 < range.1 {
            let place = Place { topic, partition: *partition };
            report.add(place.finding(
                FindingKind::EndMissing,
                Some(range.0),
                Some(range.1),
                "nothing of the partition is stored",
            ));
        }
    }
    merkle_log::check(store, options, listed, leaves, &mut report).await?;
    report.findings.sort_by(|left, right| {
        (&left.topic, left.partition, left.first_offset, left.kind).cmp(&(
            &right.topic,
            right.partition,
            right.first_offset,
            right.kind,
        ))
    });
    Ok(report)
}

/// Names a partition in findings.
struct Place<'a> {
    topic: &'a str,
    partition: i32,
}

impl Place<'_> {
    fn finding(
        &self,
        kind: FindingKind,
        first_offset: Option<i64>,
        next_offset: Option<i64>,
        detail: impl Into<String>,
    ) -> Finding {
        Finding {
            kind,
            verdict: kind.verdict(),
            topic: Some(self.topic.to_owned()),
            partition: Some(self.partition),
            first_offset,
            next_offset,
            key: None,
            detail: detail.into(),
        }
    }
}
