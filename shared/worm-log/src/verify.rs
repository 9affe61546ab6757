//! The verifier: it recomputes every manifest from its segment and follows the chain.

use std::collections::BTreeMap;

use futures::StreamExt as _;

use crate::error::Error;
use crate::keys::{ObjectKind, SEGMENTS, SegmentId, is_topic_name, parse_partition, partition_prefix};
use crate::log::stated_predecessor;
use crate::manifest::{GapKind, MAX_MANIFEST_BYTES, Manifest, sha256};
use crate::merkle::Hash;
use crate::report::{Finding, FindingKind, PartitionSummary, Report};
use crate::segment::{Examination, examine};
use crate::store::{AnomalyKind, Store, blocking, read_small};

/// Times an object is read before a fault of the disk or the network ends the verification.
const READ_ATTEMPTS: u32 = 3;

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
    let plan = plan(store, options, &mut report).await?;
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
    for partition in &plan {
        report.topics +=
            u64::from(report.partitions.last().is_none_or(|previous| previous.topic != partition.topic));
        let mut chain =
            Chain::new(partition, options.expected.get(&(partition.topic.clone(), partition.partition)));
        // More in hand than threads, so that a long segment at the head does not leave the others idle.
        let mut checks = futures::stream::iter(&partition.segments)
            .map(|(first_offset, bytes)| async move {
                let id = SegmentId::new(&partition.topic, partition.partition, *first_offset)?;
                Ok::<_, Error>((check_segment(store, id, options).await?, *bytes))
            })
            .buffered(threads);
        while let Some(checked) = checks.next().await {
            let (checked, bytes) = checked?;
            done.segments += 1;
            done.bytes += bytes;
            progress(done);
            chain.follow(checked, &mut report);
        }
        chain.end(&mut report);
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

struct Planned {
    topic: String,
    partition: i32,
    /// First offset and length of each segment, ascending.
    segments: Vec<(i64, u64)>,
}

async fn plan<S: Store>(
    store: &S,
    options: &VerifyOptions,
    report: &mut Report,
) -> Result<Vec<Planned>, Error> {
    let mut plan = Vec::new();
    let top = store.children(SEGMENTS).await?;
    unknown(top.objects.into_iter().map(|object| object.key), report);
    for topic in top.folders {
        if !is_topic_name(&topic) {
            unknown([format!("{SEGMENTS}{topic}/")], report);
            continue;
        }
        if !options.topics.is_empty() && !options.topics.contains(&topic) {
            continue;
        }
        let prefix = format!("{SEGMENTS}{topic}/");
        let inside = store.children(&prefix).await?;
        unknown(inside.objects.into_iter().map(|object| object.key), report);
        let mut partitions = Vec::new();
        for folder in inside.folders {
            match parse_partition(&folder) {
                Some(partition) => partitions.push(partition),
                None => unknown([format!("{prefix}{folder}/")], report),
            }
        }
        partitions.sort_unstable();
        for partition in partitions {
            let segments = list_partition(store, &topic, partition, report).await?;
            if !segments.is_empty() {
                plan.push(Planned { topic: topic.clone(), partition, segments });
            }
        }
        anomalies(store, &prefix, report).await?;
    }
    Ok(plan)
}

async fn list_partition<S: Store>(
    store: &S,
    topic: &str,
    partition: i32,
    report: &mut Report,
) -> Result<Vec<(i64, u64)>, Error> {
    let prefix = partition_prefix(topic, partition);
    let mut segments: Vec<(i64, u64)> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.list(&prefix, after.as_deref()).await?;
        after = page.objects.last().map(|object| object.key.clone());
        for object in page.objects {
            match SegmentId::parse(&object.key) {
                Some((id, kind)) => {
                    let bytes = if kind == ObjectKind::Segment { object.bytes } else { 0 };
                    match segments.last_mut() {
                        Some((first_offset, known)) if *first_offset == id.first_offset() => *known += bytes,
                        _ => segments.push((id.first_offset(), bytes)),
                    }
                }
                None => unknown([object.key], report),
            }
        }
        if !page.more || after.is_none() {
            return Ok(segments);
        }
    }
}

fn unknown(keys: impl IntoIterator<Item = String>, report: &mut Report) {
    for key in keys {
        let kind = FindingKind::UnknownObject;
        report.add(Finding {
            kind,
            verdict: kind.verdict(),
            topic: None,
            partition: None,
            first_offset: None,
            next_offset: None,
            key: Some(key),
            detail: "the log writes no object of this name".to_owned(),
        });
    }
}

async fn anomalies<S: Store>(store: &S, prefix: &str, report: &mut Report) -> Result<(), Error> {
    for anomaly in store.anomalies(prefix).await? {
        let (kind, detail) = match anomaly.kind {
            AnomalyKind::DeleteMarker => {
                (FindingKind::DeleteMarker, "hides the object, which is still stored; marker")
            }
            AnomalyKind::ExtraVersion => {
                (FindingKind::ExtraVersion, "the first version is the original; later version")
            }
        };
        let id = SegmentId::parse(&anomaly.key).map(|(id, _)| id);
        report.add(Finding {
            kind,
            verdict: kind.verdict(),
            topic: id.as_ref().map(|id| id.topic().to_owned()),
            partition: id.as_ref().map(SegmentId::partition),
            first_offset: id.as_ref().map(SegmentId::first_offset),
            next_offset: None,
            key: Some(anomaly.key),
            detail: format!("{detail} {}", anomaly.version),
        });
    }
    Ok(())
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

/// One segment after its own check.
struct Checked {
    id: SegmentId,
    /// What the segment's manifest may have been: the stored one, and the recomputed one if it differs.
    manifests: Vec<(Manifest, Hash)>,
    /// Whether the segment object was read.
    examined: bool,
    bytes: u64,
    findings: Vec<Finding>,
}

async fn check_segment<S: Store>(
    store: &S,
    id: SegmentId,
    options: &VerifyOptions,
) -> Result<Checked, Error> {
    let place = Place { topic: id.topic(), partition: id.partition() };
    let first = Some(id.first_offset());
    let (segment_key, manifest_key) = (id.segment_key(), id.manifest_key());
    let mut findings = Vec::new();
    let mut note = |kind, next, key: &str, detail: String| {
        let mut finding = place.finding(kind, first, next, detail);
        finding.key = Some(key.to_owned());
        findings.push(finding);
    };

    let bytes = retrying(|| read_small(store, &manifest_key, MAX_MANIFEST_BYTES)).await?;
    let manifest_present = bytes.is_some();
    let mut stored = None;
    match bytes.map(|bytes| (Manifest::from_bytes(&bytes), sha256(&bytes))) {
        None => {}
        Some((Err(error), _)) => note(FindingKind::ManifestMalformed, None, &manifest_key, error.to_string()),
        Some((Ok(manifest), hash)) => {
            if manifest.id().is_ok_and(|named| named == id) && manifest.next_offset > manifest.first_offset {
                stored = Some((manifest, hash));
            } else {
                note(
                    FindingKind::ManifestMisplaced,
                    None,
                    &manifest_key,
                    "it names another segment".to_owned(),
                );
            }
        }
    }
    let next = stored.as_ref().map(|(manifest, _)| manifest.next_offset);

    let outside = stored.as_ref().is_some_and(|(manifest, _)| is_outside(manifest, options));
    let examination = if outside {
        None
    } else {
        let examination: Option<Examination> = retrying(|| async {
            let source = store.open(&segment_key).await?;
            blocking(move || examine(source)).await
        })
        .await?;
        if examination.is_none() {
            note(
                FindingKind::SegmentMissing,
                next,
                &segment_key,
                "its manifest is there, its records are not".to_owned(),
            );
        }
        examination
    };

    let mut recomputed = None;
    let (examined, bytes) = examination.as_ref().map_or((false, 0), |examination| (true, examination.bytes));
    if let Some(examination) = examination {
        let altered = stored.as_ref().is_some_and(|(manifest, _)| {
            manifest.object_sha256 != hex::encode(examination.sha256)
                || manifest.object_bytes != examination.bytes
        });
        match examination.manifest {
            Err(error) => {
                let kind = if altered { FindingKind::SegmentAltered } else { FindingKind::SegmentMalformed };
                note(kind, next, &segment_key, error.to_string());
            }
            Ok(manifest) if manifest.id().ok().as_ref() != Some(&id) => {
                let detail = format!(
                    "it is the segment of {}/{} from offset {}",
                    manifest.topic, manifest.partition, manifest.first_offset
                );
                note(FindingKind::SegmentMisplaced, next, &segment_key, detail);
            }
            Ok(manifest) => {
                match &stored {
                    Some((claimed, _)) if *claimed != manifest => {
                        let kind = if altered {
                            FindingKind::SegmentAltered
                        } else {
                            FindingKind::ManifestContradicted
                        };
                        let end = claimed.next_offset.max(manifest.next_offset);
                        let detail =
                            format!("segment and manifest differ in {}", differences(claimed, &manifest));
                        note(kind, Some(end), &segment_key, detail);
                    }
                    Some(_) => {}
                    None if manifest_present => {}
                    None => note(
                        FindingKind::ManifestMissing,
                        Some(manifest.next_offset),
                        &manifest_key,
                        "the segment is there; its writer died before the manifest, or someone removed it"
                            .to_owned(),
                    ),
                }
                let hash = sha256(&manifest.to_bytes());
                recomputed = Some((manifest, hash));
            }
        }
    }

    let mut manifests: Vec<(Manifest, Hash)> = stored.into_iter().collect();
    manifests.extend(recomputed.filter(|(_, hash)| manifests.iter().all(|(_, known)| known != hash)));
    if let Some((manifest, _)) = manifests.first() {
        if !manifest.accounts_for_every_offset() {
            let detail = format!("{} records and the gaps do not add up", manifest.record_count);
            note(FindingKind::AccountsWrong, Some(manifest.next_offset), &manifest_key, detail);
        }
        let expired = manifest.gaps.iter().filter(|gap| gap.kind == GapKind::Expired);
        findings.extend(expired.map(|gap| {
            let detail = "kafka's retention removed them before they were archived";
            place.finding(FindingKind::Expired, Some(gap.first_offset), Some(gap.next_offset), detail)
        }));
    }
    Ok(Checked { manifests, examined, bytes, findings, id })
}

fn is_outside(manifest: &Manifest, options: &VerifyOptions) -> bool {
    let (Some(min), Some(max)) = (manifest.min_timestamp_ms, manifest.max_timestamp_ms) else { return false };
    options.from_ms.is_some_and(|from| max < from) || options.to_ms.is_some_and(|to| min >= to)
}

/// Names of the fields in which two manifests differ.
fn differences(left: &Manifest, right: &Manifest) -> String {
    let fields = |manifest: &Manifest| {
        serde_json::to_value(manifest).ok().and_then(|value| value.as_object().cloned()).unwrap_or_default()
    };
    let right = fields(right);
    let names: Vec<String> = fields(left)
        .into_iter()
        .filter(|(name, value)| right.get(name) != Some(value))
        .map(|(name, _)| name)
        .collect();
    names.join(", ")
}

/// Tries again what a fault of the disk or the network broke off. `None` if there is no such object.
async fn retrying<T, F: Future<Output = Result<T, Error>>>(
    mut read: impl FnMut() -> F,
) -> Result<Option<T>, Error> {
    let mut attempt = 1;
    loop {
        match read().await {
            Ok(value) => return Ok(Some(value)),
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) if error.is_retryable() && attempt < READ_ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Follows one partition's segments in order.
struct Chain<'a> {
    place: Place<'a>,
    expected: Expected,
    summary: PartitionSummary,
    /// What the last segment's manifest may have been; `None` before the first segment.
    previous: Option<Vec<(i64, Hash)>>,
    /// Findings whose end is the next segment's start.
    open: Vec<Finding>,
}

impl<'a> Chain<'a> {
    fn new(planned: &'a Planned, expected: Option<&Expected>) -> Self {
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

    fn follow(&mut self, checked: Checked, report: &mut Report) {
        let first = checked.id.first_offset();
        self.close(Some(first), report);
        self.link(&checked, first, report);

        self.summary.segments += 1;
        report.bytes += checked.bytes;
        if checked.examined {
            report.segments += 1;
        }
        let best = checked.manifests.first();
        if !checked.examined
            && best.is_some()
            && !checked.findings.iter().any(|found| found.kind == FindingKind::SegmentMissing)
        {
            report.segments_outside += 1;
        } else if checked.examined {
            let records = best.map_or(0, |(manifest, _)| manifest.record_count);
            report.records += records;
        }
        self.summary.records += best.map_or(0, |(manifest, _)| manifest.record_count);
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

    fn end(mut self, report: &mut Report) {
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
