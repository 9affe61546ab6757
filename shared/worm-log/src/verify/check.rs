//! One segment by itself: manifest, object and records against one another.

use super::{Place, VerifyOptions};
use crate::error::Error;
use crate::keys::SegmentId;
use crate::manifest::{GapKind, MAX_MANIFEST_BYTES, Manifest, sha256};
use crate::merkle::Hash;
use crate::report::{Finding, FindingKind};
use crate::segment::{Examination, examine};
use crate::store::{Store, blocking, read_small};

/// Times an object is read before a fault of the disk or the network ends the verification.
const READ_ATTEMPTS: u32 = 3;

/// One segment after its own check.
pub(super) struct Checked {
    pub(super) id: SegmentId,
    /// What the segment's manifest may have been: the stored one, and the recomputed one if it differs.
    pub(super) manifests: Vec<(Manifest, Hash)>,
    /// Whether the segment object was read.
    pub(super) examined: bool,
    pub(super) bytes: u64,
    pub(super) findings: Vec<Finding>,
}

/// Checks a segment. What is wrong with it is in the result.
pub(super) async fn check_segment<S: Store>(
    store: &S,
    id: SegmentId,
    listed_bytes: u64,
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

    // What the listing shows to be gone or of another length is looked at whatever its time.
    let outside = stored
        .as_ref()
        .is_some_and(|(manifest, _)| manifest.object_bytes == listed_bytes && is_outside(manifest, options));
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
pub(super) async fn retrying<T, F: Future<Output = Result<T, Error>>>(
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
