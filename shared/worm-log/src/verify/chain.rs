//! A partition's segments in a row: tiling and hash chain.

use super::check::Checked;
use super::plan::Planned;
use super::{Expected, Place};
use crate::log::stated_predecessor;
use crate::merkle::Hash;
use crate::report::{Finding, FindingKind, PartitionSummary, Report};

/// Follows one partition's segments in order.
pub(super) struct Chain<'a> {
    place: Place<'a>,
    expected: Expected,
    summary: PartitionSummary,
    /// What the last segment's manifest may have been; `None` before the first segment.
    previous: Option<Vec<(i64, Hash)>>,
    /// Findings whose end is the next segment's start.
    open: Vec<Finding>,
}

impl<'a> Chain<'a> {
    pub(super) fn new(planned: &'a Planned, expected: Option<&Expected>) -> Self {
        Self {
            place: Place { topic: &planned.topic, partition: planned.partition },
            expected: expected.copied().unwrap_or_default(),
            summary: PartitionSummary {
                topic: planned.topic.clone(),
                partition: planned.partition,
                first_offset: planned.segments.first().map_or(0, |(first_offset, _)| *first_offset),
                next_offset: None,
                segments: 0,
                records: 0,
                last_manifest_sha256: None,
            },
            previous: None,
            open: Vec::new(),
        }
    }

    pub(super) fn follow(&mut self, checked: Checked, report: &mut Report) {
        let first = checked.id.first_offset();
        self.close(Some(first), report);
        self.link(&checked, first, report);

        self.summary.segments += 1;
        report.bytes += checked.bytes;
        let best = checked.manifests.first();
        let records = best.map_or(0, |(manifest, _)| manifest.record_count);
        if checked.examined {
            report.segments += 1;
            report.records += records;
        } else if best.is_some()
            && !checked.findings.iter().any(|found| found.kind == FindingKind::SegmentMissing)
        {
            report.segments_outside += 1;
        }
        self.summary.records += records;
        self.summary.next_offset = best.map(|(manifest, _)| manifest.next_offset);
        self.summary.last_manifest_sha256 = best.map(|(_, hash)| hex::encode(hash));
        self.previous =
            Some(checked.manifests.iter().map(|(manifest, hash)| (manifest.next_offset, *hash)).collect());
        for finding in checked.findings {
            if finding.next_offset.is_none() { self.open.push(finding) } else { report.add(finding) }
        }
    }

    fn link(&self, checked: &Checked, first: i64, report: &mut Report) {
        let predecessors: Vec<Option<Hash>> =
            checked.manifests.iter().map(|(manifest, _)| stated_predecessor(manifest)).collect();
        let Some(previous) = &self.previous else {
            let start = self.expected.first_offset.filter(|expected| *expected < first);
            let follows = !predecessors.is_empty() && predecessors.iter().all(Option::is_some);
            if follows {
                let detail = "the first segment names a predecessor that is gone";
                report.add(self.place.finding(FindingKind::StartMissing, start, Some(first), detail));
            } else if start.is_some() {
                let detail = "the broker has or had them, the log does not";
                report.add(self.place.finding(FindingKind::StartMissing, start, Some(first), detail));
            }
            return;
        };
        // Nothing is known of an unreadable predecessor or of an unreadable segment: each is a finding of its own.
        let Some((next, _)) = previous.iter().find(|(next, _)| *next == first).or(previous.first()) else {
            return;
        };
        if *next < first {
            let detail = "no segment covers them";
            report.add(self.place.finding(FindingKind::SegmentsMissing, Some(*next), Some(first), detail));
        } else if *next > first {
            let detail = "two segments claim them";
            report.add(self.place.finding(FindingKind::Overlap, Some(first), Some(*next), detail));
        } else if !predecessors.is_empty()
            && !predecessors.iter().flatten().any(|hash| previous.contains(&(first, *hash)))
        {
            let end = checked.manifests.first().map(|(manifest, _)| manifest.next_offset);
            let detail = "the segment names another predecessor than the one before it";
            report.add(self.place.finding(FindingKind::ChainBroken, Some(first), end, detail));
        }
    }

    fn close(&mut self, next: Option<i64>, report: &mut Report) {
        for mut finding in self.open.drain(..) {
            finding.next_offset = next;
            report.add(finding);
        }
    }

    pub(super) fn end(mut self, report: &mut Report) {
        self.close(None, report);
        if let (Some(next), Some(expected)) = (self.summary.next_offset, self.expected.next_offset)
            && next < expected
        {
            let detail = "the broker has them, the log does not";
            report.add(self.place.finding(FindingKind::EndMissing, Some(next), Some(expected), detail));
        }
        report.partitions.push(self.summary);
    }
}
