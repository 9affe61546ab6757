//! What there is to verify, and what should not be there.

use super::VerifyOptions;
use crate::error::Error;
use crate::keys::{ObjectKind, SEGMENTS, SegmentId, is_topic_name, parse_partition, partition_prefix};
use crate::report::{Finding, FindingKind, Report};
use crate::store::{AnomalyKind, Store};

/// The segments of one partition.
pub(super) struct Planned {
    pub(super) topic: String,
    pub(super) partition: i32,
    /// First offset and length of each segment, ascending.
    pub(super) segments: Vec<(i64, u64)>,
}

/// Lists all objects; those that the log would not write and keys with a history become findings.
pub(super) async fn plan<S: Store>(
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
    }
    // Not by the folders listed above: a topic whose every object is hidden behind a delete marker is in no listing.
    if options.topics.is_empty() {
        anomalies(store, SEGMENTS, report).await?;
    }
    for topic in options.topics.iter().filter(|topic| is_topic_name(topic)) {
        anomalies(store, &format!("{SEGMENTS}{topic}/"), report).await?;
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

pub(super) fn unknown(keys: impl IntoIterator<Item = String>, report: &mut Report) {
    for key in keys {
        let detail = "the log writes no object of this name";
        report.add(Finding::of_object(FindingKind::UnknownObject, Some(key), detail));
    }
}

pub(super) async fn anomalies<S: Store>(store: &S, prefix: &str, report: &mut Report) -> Result<(), Error> {
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
