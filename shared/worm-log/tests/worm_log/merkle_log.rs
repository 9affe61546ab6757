//! Whatever is done to a log with signed checkpoints, and whatever is recomputed to hide it, the verifier finds it and names it.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{
    ORIGIN, TOPIC, copy, fill, keys_under, sealed, sequence, sequencing, signing_key, verified,
};
use proptest::prelude::*;
use wardstream_worm_log::store::{Children, Page, VersionAnomaly};
use wardstream_worm_log::{
    Checkpoint, Created, Edge, Error, LocalStore, NewObject, Report, SegmentReader, Sequencer,
    SignedCheckpoint, SigningKey, Store, Verdict, VerifyOptions, VerifyingKeys, merkle, segment_at, tree,
    verify,
};

/// Two partitions with five segments of twenty offsets, a checkpoint for every two segments.
struct Original {
    folder: tempfile::TempDir,
    store: LocalStore,
    key: SigningKey,
    keys: VerifyingKeys,
}

impl Original {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path()).unwrap();
        fill(&store, 2, 5, 20).await;
        let (key, keys) = signing_key();
        drop(sequence(&store, &key, 2, OFFSETS).await);
        Self { folder, store, key, keys }
    }

    fn options(&self) -> VerifyOptions {
        VerifyOptions { keys: self.keys.clone(), ..VerifyOptions::default() }
    }

    /// With the last checkpoint kept elsewhere, as a witness keeps it.
    fn witnessed(&self) -> VerifyOptions {
        let last = checkpoint(self.folder.path(), 10).checkpoint().clone();
        VerifyOptions { known: vec![last], ..self.options() }
    }

    async fn after(&self, options: &VerifyOptions, change: impl FnOnce(&Path)) -> Report {
        let (copied, store) = copy(self.folder.path());
        change(copied.path());
        verify(&store, options, |_| {}).await.unwrap()
    }
}

const OFFSETS: [i64; 5] = [0, 20, 40, 60, 80];

fn segment(partition: i32, first: i64) -> String {
    format!("seg/{TOPIC}/{partition}/{first:020}.avro")
}

fn manifest(partition: i32, first: i64) -> String {
    format!("seg/{TOPIC}/{partition}/{first:020}.manifest.json")
}

fn checkpoint(root: &Path, size: u64) -> SignedCheckpoint {
    SignedCheckpoint::from_bytes(&fs::read(root.join(Checkpoint::key(size))).unwrap()).unwrap()
}

fn drop_pair(root: &Path, partition: i32, first: i64) {
    fs::remove_file(root.join(segment(partition, first))).unwrap();
    fs::remove_file(root.join(manifest(partition, first))).unwrap();
}

fn drop_checkpoints(root: &Path, sizes: &[u64]) {
    sizes.iter().for_each(|size| fs::remove_file(root.join(Checkpoint::key(*size))).unwrap());
}

/// Everything of the Merkle log beyond a size.
fn cut_log(root: &Path, size: u64) {
    for width in size + 1..=10 {
        for tile in [format!("log/tile/0/000.p/{width}"), format!("log/tile/entries/000.p/{width}")] {
            let _ = fs::remove_file(root.join(tile));
        }
        let _ = fs::remove_file(root.join(Checkpoint::key(width)));
    }
}

/// Leaves one record out of a segment and computes the segment and its manifest anew.
fn lose_a_record(root: &Path, partition: i32, first: i64) {
    let path = root.join(segment(partition, first));
    let prev =
        SegmentReader::open(fs::File::open(&path).unwrap()).unwrap().header().prev_manifest_sha256.clone();
    let prev = prev.map(|hash| hex::decode(hash).unwrap().try_into().unwrap());
    let offsets = (first..first + 20).filter(|offset| offset % 5 != 4 && *offset != first + 7);
    let forged = sealed(partition, first, offsets, first + 20, prev);
    fs::write(path, &forged.segment).unwrap();
    fs::write(root.join(manifest(partition, first)), &forged.manifest_bytes).unwrap();
}

/// One line for each finding: what it is, and where.
fn found(report: &Report) -> Vec<String> {
    let place = |finding: &wardstream_worm_log::Finding| match (finding.partition, &finding.key) {
        (Some(partition), _) => format!(
            "{partition}: {:?} to {:?}",
            finding.first_offset.unwrap_or(-1),
            finding.next_offset.unwrap_or(-1)
        ),
        (None, Some(key)) => key.trim_start_matches("log/").to_owned(),
        (None, None) => String::new(),
    };
    let mut found: Vec<String> =
        report.findings.iter().map(|finding| format!("{} {}", finding.kind.name(), place(finding))).collect();
    found.sort();
    found
}

type Change = Box<dyn Fn(&Path)>;

#[tokio::test]
async fn every_way_of_tampering_is_found_and_named() {
    let original = Original::new().await;
    let copied_key = original.key.clone();
    let cases: Vec<(&str, Change, Verdict, &[&str])> = vec![
        ("nothing", Box::new(|_| {}), Verdict::Whole, &[]),
        (
            "flip a byte",
            Box::new(|root| {
                let mut bytes = fs::read(root.join(segment(1, 40))).unwrap();
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                fs::write(root.join(segment(1, 40)), bytes).unwrap();
            }),
            Verdict::Tampered,
            &["segment-altered 1: 40 to 60"],
        ),
        (
            "drop a segment in the middle",
            Box::new(|root| drop_pair(root, 0, 40)),
            Verdict::Incomplete,
            &["segments-missing 0: 40 to 60"],
        ),
        (
            "truncate a partition",
            Box::new(|root| [60, 80].iter().for_each(|first| drop_pair(root, 1, *first))),
            Verdict::Incomplete,
            &["segments-missing 1: 60 to 100"],
        ),
        (
            "drop a whole partition",
            Box::new(|root| fs::remove_dir_all(root.join(format!("seg/{TOPIC}/1"))).unwrap()),
            Verdict::Incomplete,
            &["segments-missing 1: 0 to 100"],
        ),
        (
            "drop two consecutive checkpoints",
            Box::new(|root| drop_checkpoints(root, &[4, 6])),
            Verdict::Incomplete,
            &["checkpoint-missing checkpoint/00000000000000000006"],
        ),
        (
            "drop the last checkpoint",
            Box::new(|root| drop_checkpoints(root, &[10])),
            Verdict::Incomplete,
            &[
                "checkpoint-missing checkpoint/00000000000000000010",
                "rolled-back checkpoint/00000000000000000010",
            ],
        ),
        (
            "swap two segments with their manifests",
            Box::new(|root| {
                for (left, right) in [(segment(0, 20), segment(0, 40)), (manifest(0, 20), manifest(0, 40))] {
                    let (one, two) =
                        (fs::read(root.join(&left)).unwrap(), fs::read(root.join(&right)).unwrap());
                    fs::write(root.join(left), two).unwrap();
                    fs::write(root.join(right), one).unwrap();
                }
            }),
            Verdict::Tampered,
            &[
                "manifest-misplaced 0: 20 to 40",
                "manifest-misplaced 0: 40 to 60",
                "segment-misplaced 0: 20 to 40",
                "segment-misplaced 0: 40 to 60",
            ],
        ),
        (
            "truncate the whole log",
            Box::new(|root| {
                (0..2).for_each(|partition| drop_pair(root, partition, 80));
                cut_log(root, 8);
            }),
            Verdict::Incomplete,
            &["rolled-back checkpoint/00000000000000000010"],
        ),
        (
            "re-sign with another key",
            Box::new(|root| {
                let other = SigningKey::parse(&SigningKey::generate(ORIGIN).unwrap()).unwrap();
                let text = checkpoint(root, 10).checkpoint().clone();
                let forged = text.sign(&other, &VerifyingKeys::default()).unwrap();
                fs::write(root.join(Checkpoint::key(10)), forged.to_bytes()).unwrap();
            }),
            Verdict::Tampered,
            &["checkpoint-unsigned checkpoint/00000000000000000010"],
        ),
        (
            "lose one record and recompute the hashes, where no successor tells",
            Box::new(|root| lose_a_record(root, 0, 80)),
            Verdict::Tampered,
            &["leaf-contradicted 0: 80 to 100"],
        ),
        (
            "put an old checkpoint in the place of the last",
            Box::new(|root| {
                fs::copy(root.join(Checkpoint::key(4)), root.join(Checkpoint::key(10))).unwrap();
            }),
            Verdict::Tampered,
            &[
                "checkpoint-misplaced checkpoint/00000000000000000010",
                "checkpoint-missing checkpoint/00000000000000000010",
                "rolled-back checkpoint/00000000000000000010",
            ],
        ),
        (
            "replay an old checkpoint with its tree",
            Box::new(|root| cut_log(root, 4)),
            Verdict::Incomplete,
            &["rolled-back checkpoint/00000000000000000010"],
        ),
        (
            "sign an old tree again",
            Box::new(move |root| {
                let mut text = checkpoint(root, 10).checkpoint().clone();
                text.root = checkpoint(root, 8).checkpoint().root;
                let forged = text.sign(&copied_key, &VerifyingKeys::default()).unwrap();
                fs::write(root.join(Checkpoint::key(10)), forged.to_bytes()).unwrap();
            }),
            Verdict::Tampered,
            &[
                "checkpoint-contradicted checkpoint/00000000000000000010",
                "forked checkpoint/00000000000000000010",
            ],
        ),
        (
            "drop the merkle log",
            Box::new(|root| fs::remove_dir_all(root.join("log")).unwrap()),
            Verdict::Incomplete,
            &["log-missing "],
        ),
        (
            "drop entries",
            Box::new(|root| fs::remove_file(root.join("log/tile/entries/000.p/6")).unwrap()),
            Verdict::Incomplete,
            &["tile-missing tile/entries/000.p/6"],
        ),
        (
            "add an object",
            Box::new(|root| fs::write(root.join("log/checkpoint/latest"), "x").unwrap()),
            Verdict::Tampered,
            &["unknown-object checkpoint/latest"],
        ),
    ];
    for (name, change, verdict, expected) in cases {
        let report = original.after(&original.witnessed(), change).await;
        assert_eq!(found(&report), expected, "{name}: {report}");
        assert_eq!(report.verdict, verdict, "{name}");
    }
}

/// Who holds the key signs checkpoints that do not follow one another.
#[tokio::test]
async fn checkpoints_that_do_not_follow_one_another_are_found_though_truly_signed() {
    type Alteration = fn(&mut Checkpoint);
    let original = Original::new().await;
    let resign = |size: u64, change: Alteration| {
        let key = original.key.clone();
        move |root: &Path| {
            let mut text = checkpoint(root, size).checkpoint().clone();
            change(&mut text);
            let forged = text.sign(&key, &VerifyingKeys::default()).unwrap();
            fs::write(root.join(Checkpoint::key(size)), forged.to_bytes()).unwrap();
        }
    };
    let cases: [(u64, Alteration); 5] = [
        (10, |text| text.time = jiff::Timestamp::UNIX_EPOCH),
        (10, |text| text.previous = Some((8, [7; 32]))),
        (10, |text| text.previous = None),
        (10, |text| text.previous = Some((10, [7; 32]))),
        // Its successor names the true one.
        (8, |text| text.manifests_next += 1),
    ];
    let expected = ["checkpoint-contradicted checkpoint/00000000000000000010"];
    for (size, change) in cases {
        let report = original.after(&original.options(), resign(size, change)).await;
        assert_eq!(found(&report), expected, "{report}");
    }
    let elsewhere = SigningKey::parse(&SigningKey::generate("elsewhere").unwrap()).unwrap();
    let list = format!("{}\n{}", original.key.verifying_key(), elsewhere.verifying_key());
    let options = VerifyOptions { keys: VerifyingKeys::parse(&list).unwrap(), ..VerifyOptions::default() };
    let report = original
        .after(&options, |root| {
            let mut text = checkpoint(root, 10).checkpoint().clone();
            text.origin = "elsewhere".to_owned();
            let forged = text.sign(&elsewhere, &VerifyingKeys::default()).unwrap();
            fs::write(root.join(Checkpoint::key(10)), forged.to_bytes()).unwrap();
        })
        .await;
    assert_eq!(found(&report), expected, "{report}");
}

#[tokio::test]
async fn a_leaf_that_is_no_manifest_is_found() {
    let original = Original::new().await;
    let entry: &[u8] = b"{}";
    let mut edge = Edge::new();
    edge.push(merkle::leaf_hash(entry));
    let forged = Checkpoint {
        origin: ORIGIN.to_owned(),
        size: 1,
        root: edge.root(),
        previous: None,
        time: jiff::Timestamp::UNIX_EPOCH,
        manifests_next: 1,
    };
    let note = forged.sign(&original.key, &VerifyingKeys::default()).unwrap().to_bytes();
    let report = original
        .after(&original.options(), |root| {
            cut_log(root, 0);
            fs::write(root.join("log/tile/entries/000.p/1"), tree::encode_entries(&[entry]).unwrap())
                .unwrap();
            fs::write(root.join("log/tile/0/000.p/1"), merkle::leaf_hash(entry)).unwrap();
            fs::write(root.join(Checkpoint::key(1)), note).unwrap();
        })
        .await;
    assert_eq!(found(&report), ["leaf-malformed "], "{report}");
    assert_eq!(report.verdict, Verdict::Tampered);
}

/// Who holds the key can rewrite everything, and only a checkpoint that was kept elsewhere tells.
#[tokio::test]
async fn a_log_that_was_rewritten_with_the_key_is_a_fork() {
    let original = Original::new().await;
    let (copied, _) = copy(original.folder.path());
    lose_a_record(copied.path(), 0, 80);
    fs::remove_dir_all(copied.path().join("log")).unwrap();
    let store = LocalStore::open(copied.path()).unwrap();
    drop(sequence(&store, &original.key, 2, OFFSETS).await);
    let report = verify(&store, &original.options(), |_| {}).await.unwrap();
    assert_eq!(report.verdict, Verdict::Whole, "{report}");
    let report = verify(&store, &original.witnessed(), |_| {}).await.unwrap();
    assert_eq!(found(&report), ["forked checkpoint/00000000000000000010"], "{report}");
    assert_eq!(report.verdict, Verdict::Tampered);
}

#[tokio::test]
async fn the_report_says_what_the_log_covers() {
    let original = Original::new().await;
    let report = verify(&original.store, &original.options(), |_| {}).await.unwrap();
    assert!(report.to_string().ends_with(", checkpoints 5, leaves 10"), "{report}");
    let unchecked = verified(&original.store).await;
    assert!(unchecked.to_string().ends_with(", checkpoints 5, leaves 10, signatures not checked"));
    let last = checkpoint(original.folder.path(), 10);
    let log = report.merkle_log.clone().unwrap();
    assert_eq!((log.origin.as_str(), log.root), (ORIGIN, hex::encode(last.checkpoint().root)));

    let topics = VerifyOptions { topics: vec!["other".to_owned()], ..original.options() };
    let other = verify(&original.store, &topics, |_| {}).await.unwrap();
    assert_eq!(found(&other).len(), 1, "{other}");

    let report = original.after(&original.options(), |root| cut_log(root, 4)).await;
    assert_eq!(report.verdict, Verdict::Whole, "{report}");
    assert!(report.to_string().ends_with(", leaves 4, segments not yet under a checkpoint 6"), "{report}");
    let report =
        original.after(&VerifyOptions::default(), |root| fs::remove_dir_all(root.join("log")).unwrap()).await;
    assert_eq!((report.verdict, report.merkle_log.is_none()), (Verdict::Whole, true));
}

#[tokio::test]
async fn a_segment_that_was_never_announced_is_covered_by_its_successor() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path()).unwrap();
    fill(&store, 1, 3, 20).await;
    let (key, keys) = signing_key();
    drop(sequence(&store, &key, 1, [0, 40]).await);
    let options = VerifyOptions { keys, ..VerifyOptions::default() };
    let report = verify(&store, &options, |_| {}).await.unwrap();
    assert_eq!(report.verdict, Verdict::Whole, "{report}");
    let log = report.merkle_log.unwrap();
    assert_eq!((log.size, log.segments_chained, log.segments_pending), (2, 1, 0));
}

#[tokio::test]
async fn keys_count_only_in_their_time() {
    let original = Original::new().await;
    let times: Vec<_> =
        [2, 4, 6, 8, 10].map(|size| checkpoint(original.folder.path(), size).checkpoint().time).into();
    let list = format!("{} - {}", original.key.verifying_key(), times[3]);
    let options = VerifyOptions { keys: VerifyingKeys::parse(&list).unwrap(), ..VerifyOptions::default() };
    let report = verify(&original.store, &options, |_| {}).await.unwrap();
    assert_eq!(
        found(&report),
        [
            "checkpoint-unsigned checkpoint/00000000000000000008",
            "checkpoint-unsigned checkpoint/00000000000000000010"
        ]
    );
}

/// Beyond one tile: the second bundle, and a level above.
#[tokio::test]
async fn logs_of_several_tiles_are_verified() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path()).unwrap();
    fill(&store, 1, 300, 1).await;
    let (key, keys) = signing_key();
    let mut sequencer = Sequencer::open(store.clone(), sequencing(&key)).await.unwrap();
    for first in 0..300 {
        let tip = segment_at(&store, TOPIC, 0, first).await.unwrap().unwrap();
        sequencer.append(&tip.manifest).await.unwrap();
        if [99, 279, 299].contains(&first) {
            sequencer.checkpoint(1_790_000_000_000 + first, first).await.unwrap();
        }
    }
    let options = VerifyOptions { keys, ..VerifyOptions::default() };
    let report = verify(&store, &options, |_| {}).await.unwrap();
    assert_eq!(found(&report), Vec::<String>::new());
    assert_eq!(report.merkle_log.unwrap().size, 300);
    for key in keys_under(folder.path(), "log") {
        let (copied, store) = copy(folder.path());
        let path = copied.path().join(&key);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(&path, bytes).unwrap();
        let report = verify(&store, &options, |_| {}).await.unwrap();
        assert!(
            report.findings.iter().any(|finding| finding.key.as_deref() == Some(&key)),
            "{key}: {report}"
        );
        assert_eq!(report.verdict, Verdict::Tampered, "{key}");
        fs::remove_file(&path).unwrap();
        let report = verify(&store, &options, |_| {}).await.unwrap();
        let named = report.findings.iter().any(|finding| finding.key.as_deref() == Some(&key));
        assert!(named && report.verdict == Verdict::Incomplete, "{key}: {report}");
    }
}

#[test]
fn any_single_mutation_of_the_merkle_log_is_found() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let original = runtime.block_on(Original::new());
    let keys = keys_under(original.folder.path(), "log");
    let mutation = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..=255_u8);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(60));
    runner
        .run(&mutation, |(key, at, mask)| {
            let report = runtime.block_on(original.after(&original.options(), |root| {
                let path = root.join(key.get(&keys));
                let mut bytes = fs::read(&path).unwrap();
                match mask {
                    0..20 => bytes.truncate(at.index(bytes.len())),
                    20..40 => bytes.push(mask),
                    mask => {
                        let at = at.index(bytes.len());
                        bytes[at] ^= mask;
                    }
                }
                fs::write(&path, bytes).unwrap();
            }));
            prop_assert_eq!(report.verdict, Verdict::Tampered, "{} {}: {}", key.get(&keys), mask, report);
            Ok(())
        })
        .unwrap();
}

/// A store to which the last segment of each partition comes, with its leaf, once segments are read.
struct Growing {
    whole: LocalStore,
    grown: AtomicBool,
}

impl Growing {
    fn is_there(&self, key: &str) -> bool {
        let later = [0, 1]
            .into_iter()
            .any(|partition| [segment(partition, 80), manifest(partition, 80)].contains(&key.to_owned()))
            || tree::TileId::parse(key).and_then(|tile| tile.tree_size()).is_some_and(|size| size > 8)
            || key == Checkpoint::key(10);
        self.grown.load(Ordering::Acquire) || !later
    }
}

impl Store for Growing {
    async fn create(&self, object: NewObject) -> Result<Created, Error> {
        self.whole.create(object).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, Error> {
        let mut page = self.whole.list(prefix, after).await?;
        page.objects.retain(|object| self.is_there(&object.key));
        Ok(page)
    }

    async fn children(&self, prefix: &str) -> Result<Children, Error> {
        self.whole.children(prefix).await
    }

    async fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, Error> {
        if key.ends_with(".avro") {
            self.grown.store(true, Ordering::Release);
        }
        self.whole.open(key).await
    }

    async fn anomalies(&self, prefix: &str) -> Result<Vec<VersionAnomaly>, Error> {
        self.whole.anomalies(prefix).await
    }

    async fn check(&self) -> Result<(), Error> {
        self.whole.check().await
    }
}

#[tokio::test]
async fn what_is_added_while_a_log_is_verified_is_not_missing() {
    let original = Original::new().await;
    let growing = Growing { whole: original.store.clone(), grown: AtomicBool::new(false) };
    let report = verify(&growing, &original.options(), |_| {}).await.unwrap();
    assert!(growing.grown.into_inner(), "it grew");
    assert_eq!(report.verdict, Verdict::Whole, "{report}");
    assert_eq!(report.merkle_log.unwrap().size, 8);
}
