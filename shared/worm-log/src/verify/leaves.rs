//! The leaves of the Merkle log against the segments: each leaf has its segment, each segment its leaf.

use std::collections::BTreeMap;

use super::Place;
use super::check::Checked;
use crate::keys::is_topic_name;
use crate::manifest::{Manifest, sha256};
use crate::merkle::Hash;
use crate::report::{Finding, FindingKind, Report};

/// A segment that the verifier has seen.
struct Seen {
    first_offset: i64,
    /// What its manifest may be.
    manifests: Vec<Hash>,
    logged: bool,
}

/// Offsets of a leaf without a segment, and the leaf.
type Missing = (i64, i64, u64);

/// What the leaves are held against.
#[derive(Default)]
pub(super) struct Leaves {
    partitions: BTreeMap<(String, i32), Vec<Seen>>,
    missing: BTreeMap<(String, i32), Vec<Missing>>,
}

impl Leaves {
    /// Notes a segment; within a partition they come in order.
    pub(super) fn see(&mut self, checked: &Checked) {
        let seen = Seen {
            first_offset: checked.id.first_offset(),
            manifests: checked.manifests.iter().map(|(_, hash)| *hash).collect(),
            logged: false,
        };
        let key = (checked.id.topic().to_owned(), checked.id.partition());
        self.partitions.entry(key).or_default().push(seen);
    }

    /// Takes a leaf.
    pub(super) fn take(&mut self, leaf: u64, entry: &[u8], topics: &[String], report: &mut Report) {
        let manifest = match Manifest::from_bytes(entry) {
            Ok(manifest) if is_topic_name(&manifest.topic) => manifest,
            _ => {
                let detail = format!("leaf {leaf} of the merkle log is no manifest");
                report.add(Finding::of_object(FindingKind::LeafMalformed, None, detail));
                return;
            }
        };
        if !topics.is_empty() && !topics.contains(&manifest.topic) {
            return;
        }
        let Manifest { first_offset, next_offset, partition, .. } = manifest;
        let key = (manifest.topic, partition);
        let found = self.partitions.get_mut(&key).and_then(|seen| {
            let at = seen.binary_search_by_key(&first_offset, |seen| seen.first_offset).ok()?;
            seen.get_mut(at)
        });
        match found {
            None => self.missing.entry(key).or_default().push((first_offset, next_offset, leaf)),
            Some(seen) if seen.manifests.contains(&sha256(entry)) => seen.logged = true,
            // Nothing of it can be read, which is a finding already.
            Some(seen) if seen.manifests.is_empty() => seen.logged = true,
            Some(seen) => {
                seen.logged = true;
                let place = Place { topic: &key.0, partition };
                let detail = format!("leaf {leaf} of the merkle log is another manifest of these offsets");
                let kind = FindingKind::LeafContradicted;
                report.add(place.finding(kind, Some(first_offset), Some(next_offset), detail));
            }
        }
    }

    /// Reports the leaves without segments, unless the segments around them told already, and counts the segments without
    /// leaves: those after the last leaf of their partition, and those before it, which it covers by the chain of hashes.
    pub(super) fn end(self, report: &mut Report) -> (u64, u64) {
        for ((topic, partition), mut missing) in self.missing {
            let place = Place { topic: &topic, partition };
            missing.sort_unstable();
            let mut ranges: Vec<Missing> = Vec::new();
            for (first, next, leaf) in missing {
                match ranges.last_mut() {
                    Some(range) if range.1 >= first => range.1 = range.1.max(next),
                    _ => ranges.push((first, next, leaf)),
                }
            }
            for (first, next, leaf) in ranges {
                let told = report.findings.iter().any(|finding| {
                    matches!(finding.kind, FindingKind::SegmentsMissing | FindingKind::StartMissing)
                        && finding.topic.as_deref() == Some(&topic)
                        && finding.partition.is_none_or(|told| told == partition)
                        && finding.first_offset.is_none_or(|told| told <= first)
                        && finding.next_offset.is_none_or(|told| told >= next)
                });
                if !told {
                    let detail = format!("the merkle log has them from leaf {leaf} on, the store does not");
                    report.add(place.finding(FindingKind::SegmentsMissing, Some(first), Some(next), detail));
                }
            }
        }
        let (mut unlogged, mut chained) = (0, 0);
        for seen in self.partitions.values() {
            let last = seen.iter().rposition(|seen| seen.logged).map_or(0, |at| at + 1);
            let without = |seen: &[Seen]| seen.iter().filter(|seen| !seen.logged).count() as u64;
            chained += without(seen.get(..last).unwrap_or_default());
            unlogged += without(seen.get(last..).unwrap_or_default());
        }
        (unlogged, chained)
    }
}
