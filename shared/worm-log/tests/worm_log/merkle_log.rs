//! Whatever is done to a log with signed checkpoints, and whatever is recomputed to hide it, the verifier finds it and names it.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{ORIGIN, TOPIC, copy, fill, sequence, sequencing, signing_key, verified};
use proptest::prelude::*;
use wardstream_worm_log::store::{Children, Page, VersionAnomaly};
use wardstream_worm_log::testing::{Bundle, Sign, Tampering, keys_under};
use wardstream_worm_log::{
    Checkpoint, Created, Edge, Error, LocalStore, NewObject, Report, Sequencer, SignedCheckpoint, SigningKey,
    Store, Verdict, VerifyOptions, VerifyingKeys, merkle, segment_at, tree, verify,
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

/// Everything of the Merkle log beyond a size.
fn cut_log(root: &Path, size: u64) {
    for width in size + 1..=10 {
        for tile in [format!("log/tile/0/000.p/{width}"), format!("log/tile/entries/000.p/{width}")] {
            let _ = fs::remove_file(root.join(tile));
        }
        let _ = fs::remove_file(root.join(Checkpoint::key(width)));
    }
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

/// Picks that differ from turn to turn and are the same in every run.
fn picks(turn: u64) -> impl FnMut(usize) -> usize {
    let mut state = turn;
    move |of| {
        // Knuth's MMIX generator; its high bits are the random ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % of
    }
}

#[tokio::test]
async fn every_way_of_tampering_is_found_and_named() {
    let original = Original::new().await;
    let report = original.after(&original.witnessed(), |_| {}).await;
    assert_eq!(report.verdict, Verdict::Whole, "{report}");
    for (tampering, turn) in
        Tampering::ALL.into_iter().flat_map(|tampering| (0..3).map(move |turn| (tampering, turn)))
    {
        let (copied, store) = copy(original.folder.path());
        let bundle = Bundle::open(copied.path()).unwrap();
        let expected = bundle.tamper(tampering, &original.key, &mut picks(turn)).await.unwrap();
        let report = verify(&store, &original.witnessed(), |_| {}).await.unwrap();
        let mut found: Vec<Sign> = report.findings.iter().map(Sign::of).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{tampering}, turn {turn}: {report}");
        assert!(found.iter().all(|sign| tampering.kinds().contains(&sign.kind)), "{tampering}: {report}");
        let verdict = tampering.kinds().iter().map(|kind| kind.verdict()).max();
        assert_eq!(Some(report.verdict), verdict, "{tampering}");
        if tampering == Tampering::RewriteLog {
            let alone = verify(&store, &original.options(), |_| {}).await.unwrap();
            assert_eq!(alone.verdict, Verdict::Whole, "only a checkpoint kept elsewhere tells: {alone}");
        }
    }
}

#[test]
fn the_documentation_names_each_way_of_tampering() {
    let documentation = include_str!("../../../../docs/audit.md");
    for tampering in Tampering::ALL {
        let kinds: Vec<String> = tampering.kinds().iter().map(|kind| format!("`{}`", kind.name())).collect();
        let row = format!("| {tampering} | {} |", kinds.join(", "));
        assert!(documentation.contains(&row), "docs/audit.md lacks the row\n{row}");
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
    for key in keys_under(folder.path(), "log/").unwrap() {
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
    let keys = keys_under(original.folder.path(), "log/").unwrap();
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
