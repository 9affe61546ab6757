//! Whatever is done to a copy of a log, the verifier finds it and names the place.

use std::fs;
use std::path::Path;

use crate::support::{TOPIC, copy, fill, keys, kinds, record, sealed, verified};
use proptest::prelude::*;
use wardstream_worm_log::{
    Expected, LocalStore, Progress, Report, SegmentReader, Verdict, VerifyOptions, verify,
};

/// Two partitions with five segments of twenty offsets.
async fn original() -> (tempfile::TempDir, LocalStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path()).unwrap();
    fill(&store, 2, 5, 20).await;
    (folder, store)
}

fn segment(partition: i32, first: i64) -> String {
    format!("seg/{TOPIC}/{partition}/{first:020}.avro")
}

fn manifest(partition: i32, first: i64) -> String {
    format!("seg/{TOPIC}/{partition}/{first:020}.manifest.json")
}

/// Does something to a copy and verifies it.
async fn after(change: impl FnOnce(&Path)) -> Report {
    let (folder, _store) = original().await;
    let (copied, store) = copy(folder.path());
    change(copied.path());
    verified(&store).await
}

fn only(report: &Report, kind: &str, partition: i32, offsets: (Option<i64>, Option<i64>)) {
    assert_eq!(kinds(report), [kind], "{report}");
    let finding = &report.findings[0];
    assert_eq!(finding.topic.as_deref(), Some(TOPIC));
    assert_eq!(finding.partition, Some(partition));
    assert_eq!((finding.first_offset, finding.next_offset), offsets, "{report}");
}

#[tokio::test]
async fn a_copy_left_alone_is_whole() {
    let report = after(|_| {}).await;
    assert_eq!(report.verdict, Verdict::Whole, "{report}");
    assert_eq!((report.segments, report.records), (10, 160));
    assert_eq!(report.verdict.exit_code(), 0);
}

#[tokio::test]
async fn a_flipped_byte_is_found() {
    let report = after(|root| {
        let mut bytes = fs::read(root.join(segment(1, 40))).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(root.join(segment(1, 40)), bytes).unwrap();
    })
    .await;
    only(&report, "segment-altered", 1, (Some(40), Some(60)));
    assert_eq!(report.verdict.exit_code(), 1);
}

#[tokio::test]
async fn a_dropped_pair_is_an_exact_hole_and_two_are_one() {
    let report = after(|root| {
        for first in [20, 40] {
            fs::remove_file(root.join(segment(0, first))).unwrap();
            fs::remove_file(root.join(manifest(0, first))).unwrap();
        }
    })
    .await;
    only(&report, "segments-missing", 0, (Some(20), Some(60)));
    assert_eq!(report.verdict.exit_code(), 2);
    assert!(report.to_string().starts_with(
        "incomplete: segments-missing, topic hl7.raw, partition 0, offsets 20 to 59: no segment covers them\naudit verify: incomplete,"
    ));
}

#[tokio::test]
async fn a_dropped_segment_or_manifest_alone_is_named() {
    let report = after(|root| fs::remove_file(root.join(segment(0, 20))).unwrap()).await;
    only(&report, "segment-missing", 0, (Some(20), Some(40)));
    let report = after(|root| fs::remove_file(root.join(manifest(0, 20))).unwrap()).await;
    only(&report, "manifest-missing", 0, (Some(20), Some(40)));
}

#[tokio::test]
async fn a_start_that_is_gone_is_known_by_the_chain() {
    let report = after(|root| {
        fs::remove_file(root.join(segment(0, 0))).unwrap();
        fs::remove_file(root.join(manifest(0, 0))).unwrap();
    })
    .await;
    only(&report, "start-missing", 0, (None, Some(20)));
}

#[tokio::test]
async fn an_end_that_is_gone_is_known_by_the_broker() {
    let (folder, _store) = original().await;
    let (copied, store) = copy(folder.path());
    fs::remove_file(copied.path().join(segment(0, 80))).unwrap();
    fs::remove_file(copied.path().join(manifest(0, 80))).unwrap();
    assert_eq!(verified(&store).await.verdict, Verdict::Whole);
    let all = Expected { first_offset: Some(0), next_offset: Some(100) };
    let expected = [0, 1, 7].map(|partition| ((TOPIC.to_owned(), partition), all));
    let options = VerifyOptions { expected: expected.into(), ..VerifyOptions::default() };
    let report = verify(&store, &options, |_| {}).await.unwrap();
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|finding| (finding.kind.name(), finding.partition, finding.first_offset, finding.next_offset))
        .collect();
    assert_eq!(
        found,
        [("end-missing", Some(0), Some(80), Some(100)), ("end-missing", Some(7), Some(0), Some(100))]
    );
    assert_eq!(report.verdict, Verdict::Incomplete);
}

#[tokio::test]
async fn swapped_segments_and_manifests_are_misplaced() {
    let swap = |root: &Path, left: String, right: String| {
        let (one, two) = (fs::read(root.join(&left)).unwrap(), fs::read(root.join(&right)).unwrap());
        fs::write(root.join(left), two).unwrap();
        fs::write(root.join(right), one).unwrap();
    };
    let report = after(|root| swap(root, segment(0, 20), segment(1, 20))).await;
    assert_eq!(kinds(&report), ["segment-misplaced", "segment-misplaced"], "{report}");
    let report = after(|root| swap(root, segment(0, 20), segment(0, 40))).await;
    assert_eq!(kinds(&report), ["segment-misplaced", "segment-misplaced"], "{report}");
    let report = after(|root| {
        swap(root, segment(0, 20), segment(0, 40));
        swap(root, manifest(0, 20), manifest(0, 40));
    })
    .await;
    assert_eq!(report.verdict, Verdict::Tampered);
    assert!(kinds(&report).contains(&"manifest-misplaced"), "{report}");
}

/// The forger leaves one record out and computes everything of this segment anew; only the chain gives it away.
#[tokio::test]
async fn a_forged_segment_breaks_the_chain() {
    let report = after(|root| {
        let reader = SegmentReader::open(fs::File::open(root.join(segment(0, 20))).unwrap()).unwrap();
        let prev = reader.header().prev_manifest_sha256.clone().unwrap();
        let prev = hex::decode(prev).unwrap().try_into().unwrap();
        let forged =
            sealed(0, 20, (20..40).filter(|offset| offset % 5 != 4 && *offset != 27), 40, Some(prev));
        fs::write(root.join(segment(0, 20)), &forged.segment).unwrap();
        fs::write(root.join(manifest(0, 20)), &forged.manifest_bytes).unwrap();
    })
    .await;
    only(&report, "chain-broken", 0, (Some(40), Some(60)));
    assert_eq!(report.verdict, Verdict::Tampered);
}

#[tokio::test]
async fn a_forged_manifest_contradicts_its_segment() {
    let change = |from: &'static str, to: &'static str| {
        move |root: &Path| {
            let path = root.join(manifest(1, 60));
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from));
            fs::write(&path, text.replace(from, to)).unwrap();
        }
    };
    let report = after(change("\"record_count\":16", "\"record_count\":15")).await;
    assert_eq!(kinds(&report), ["manifest-contradicted", "accounts-wrong"], "{report}");
    assert!(report.findings[0].detail.contains("record_count"));
    // The successor still names the true manifest, so the chain itself is sound.
    let report = after(change("\"writer_version\":\"test/1\"", "\"writer_version\":\"test/2\"")).await;
    only(&report, "manifest-contradicted", 1, (Some(60), Some(80)));
    let report = after(change("{\"first", "{ \"first")).await;
    assert_eq!(kinds(&report), ["manifest-malformed"], "{report}");
}

#[tokio::test]
async fn overlaps_and_strangers_are_found() {
    let (folder, _store) = original().await;
    let (copied, store) = copy(folder.path());
    let inserted = sealed(0, 30, 30..35, 40, None);
    fs::write(copied.path().join(&inserted.segment_key), &inserted.segment).unwrap();
    fs::write(copied.path().join(&inserted.manifest_key), &inserted.manifest_bytes).unwrap();
    let report = verified(&store).await;
    assert_eq!(report.verdict, Verdict::Tampered);
    assert!(kinds(&report).contains(&"overlap"), "{report}");

    for stray in
        ["seg/x", "seg/hl7.raw/x", "seg/hl7.raw/0/x", "seg/hl7.raw/01/x", "seg/hl7.raw/0/1.avro", "seg/a b/x"]
    {
        let report = after(|root| {
            fs::create_dir_all(root.join(stray).parent().unwrap()).unwrap();
            fs::write(root.join(stray), b"x").unwrap();
        })
        .await;
        assert_eq!(kinds(&report), ["unknown-object"], "{stray}: {report}");
        assert_eq!(report.verdict, Verdict::Tampered);
    }
}

#[tokio::test]
async fn a_time_range_reads_only_what_it_must_and_still_follows_the_chain() {
    let (folder, _store) = original().await;
    let (copied, store) = copy(folder.path());
    let options = VerifyOptions {
        from_ms: Some(record(0, 40).timestamp_ms),
        to_ms: Some(record(0, 60).timestamp_ms),
        ..VerifyOptions::default()
    };
    let mut seen = Progress::default();
    let report = verify(&store, &options, |progress| {
        assert!(progress.bytes >= seen.bytes && progress.segments >= seen.segments);
        seen = progress;
    })
    .await
    .unwrap();
    assert_eq!((report.verdict, report.segments, report.segments_outside), (Verdict::Whole, 2, 8));
    assert_eq!((seen.segments, seen.bytes), (seen.segments_total, seen.bytes_total));
    assert!(report.to_string().ends_with(", segments outside the time range 8, no merkle log"));
    fs::remove_file(copied.path().join(segment(1, 80))).unwrap();
    fs::remove_file(copied.path().join(manifest(0, 20))).unwrap();
    fs::remove_file(copied.path().join(segment(0, 20))).unwrap();
    let report = verify(&store, &options, |_| {}).await.unwrap();
    assert_eq!(kinds(&report), ["segments-missing", "segment-missing"], "{report}");
    let options = VerifyOptions { topics: vec!["other".to_owned()], ..VerifyOptions::default() };
    let report = verify(&store, &options, |_| {}).await.unwrap();
    assert_eq!(report.partitions, []);
    assert_eq!(
        report.to_string(),
        "incomplete: segments-missing, topic other: nothing of the topic is stored
audit verify: incomplete, topics 0, partitions 0, segments 0, records 0, bytes 0, no merkle log"
    );
}

#[tokio::test]
async fn a_report_is_json() {
    let report = after(|root| fs::remove_file(root.join(segment(0, 20))).unwrap()).await;
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["verdict"], "incomplete");
    assert_eq!(json["findings"][0]["kind"], "segment-missing");
    assert_eq!(json["findings"][0]["next_offset"], 40);
}

#[derive(Clone, Debug)]
enum Mutation {
    Flip(prop::sample::Index, prop::sample::Index, u8),
    Truncate(prop::sample::Index, prop::sample::Index),
    Append(prop::sample::Index, u8),
    Drop(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    use prop::sample::Index;
    prop_oneof![
        4 => (any::<Index>(), any::<Index>(), 1..=255_u8).prop_map(|(key, at, mask)| Mutation::Flip(key, at, mask)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(key, at)| Mutation::Truncate(key, at)),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(key, byte)| Mutation::Append(key, byte)),
        1 => any::<Index>().prop_map(Mutation::Drop),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(left, right)| Mutation::Swap(left, right)),
    ]
}

fn apply(root: &Path, mutation: &Mutation) -> bool {
    let keys = keys(root);
    let path = |index: &prop::sample::Index| root.join(index.get(&keys));
    match mutation {
        Mutation::Flip(key, at, mask) => {
            let mut bytes = fs::read(path(key)).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
            fs::write(path(key), bytes).unwrap();
        }
        Mutation::Truncate(key, at) => {
            let bytes = fs::read(path(key)).unwrap();
            fs::write(path(key), &bytes[..at.index(bytes.len())]).unwrap();
        }
        Mutation::Append(key, byte) => {
            let mut bytes = fs::read(path(key)).unwrap();
            bytes.push(*byte);
            fs::write(path(key), bytes).unwrap();
        }
        Mutation::Drop(key) => fs::remove_file(path(key)).unwrap(),
        Mutation::Swap(left, right) => {
            let (one, two) = (fs::read(path(left)).unwrap(), fs::read(path(right)).unwrap());
            fs::write(path(left), &two).unwrap();
            fs::write(path(right), &one).unwrap();
            return one != two;
        }
    }
    true
}

#[test]
fn any_single_mutation_is_found_in_the_partition_it_was_made_in() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (folder, _store) = runtime.block_on(original());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(200));
    runner
        .run(&mutation(), |mutation| {
            let (copied, store) = copy(folder.path());
            let changed = apply(copied.path(), &mutation);
            let report = runtime.block_on(verified(&store));
            prop_assert_eq!(report.verdict != Verdict::Whole, changed, "{:?}: {}", mutation, report);
            prop_assert!(report.findings.iter().all(|finding| finding.topic.as_deref() == Some(TOPIC)));
            Ok(())
        })
        .unwrap();
}
