//! Manifests under signed checkpoints: restarts, two checkpointers at once, and what is refused.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::support::{ORIGIN, TOPIC, fill, sealed, sequence, sequencing, signing_key, verified};
use wardstream_worm_log::store::{Children, Page, VersionAnomaly};
use wardstream_worm_log::testing::keys_under;
use wardstream_worm_log::{
    Appended, Checkpoint, Created, Error, LocalStore, Manifest, NewObject, Sequencer, SequencerConfig,
    SignedCheckpoint, SigningKey, Store, Verdict, VerifyingKeys, prove, segment_at,
};

const NOW_MS: i64 = 1_790_000_000_000;

/// Two partitions with five segments of twenty offsets.
async fn original() -> (tempfile::TempDir, LocalStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path()).unwrap();
    fill(&store, 2, 5, 20).await;
    (folder, store)
}

async fn manifest<S: Store>(store: &S, partition: i32, first_offset: i64) -> Manifest {
    segment_at(store, TOPIC, partition, first_offset).await.unwrap().unwrap().manifest
}

fn signed(root: &Path, size: u64) -> SignedCheckpoint {
    SignedCheckpoint::from_bytes(&fs::read(root.join(Checkpoint::key(size))).unwrap()).unwrap()
}

#[tokio::test]
async fn checkpoints_follow_one_another() {
    let (folder, store) = original().await;
    let (key, keys) = signing_key();
    let sequencer = sequence(&store, &key, 2, [0, 20]).await;
    assert_eq!(sequencer.last().unwrap().size, 4);
    drop(sequencer);
    let sequencer = sequence(&store, &key, 2, [40, 60, 80]).await;
    assert_eq!((sequencer.last().unwrap().size, sequencer.pending()), (10, 0));
    let mut before: Option<SignedCheckpoint> = None;
    for size in [2, 4, 6, 8, 10] {
        let note = signed(folder.path(), size);
        assert!(note.is_signed_by(&keys));
        let checkpoint = note.checkpoint();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size), (ORIGIN, size));
        assert_eq!(
            checkpoint.previous,
            before.map(|before| (before.checkpoint().size, before.text_sha256()))
        );
        before = Some(note);
    }
    assert_eq!(
        keys_under(folder.path(), "log/tile/").unwrap(),
        ["0", "entries"]
            .iter()
            .flat_map(|kind| [10, 2, 4, 6, 8].map(|width| format!("log/tile/{kind}/000.p/{width}")))
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn full_tiles_and_a_second_level_are_written_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path()).unwrap();
    fill(&store, 1, 300, 1).await;
    let (key, _) = signing_key();
    let sequencer = sequence(&store, &key, 1, 0..250).await;
    drop(sequencer);
    let mut sequencer = Sequencer::open(store.clone(), sequencing(&key)).await.unwrap();
    for first in 250..300 {
        sequencer.append(&manifest(&store, 0, first).await).await.unwrap();
    }
    assert_eq!(sequencer.pending(), 50);
    let root = sequencer.checkpoint(NOW_MS + 999_000, 300).await.unwrap().unwrap().root;
    for tile in ["0/000", "entries/000", "0/001.p/44", "entries/001.p/44", "1/000.p/1"] {
        assert!(folder.path().join("log/tile").join(tile).is_file(), "{tile}");
    }
    let again = Sequencer::open(store, sequencing(&key)).await.unwrap();
    assert_eq!(again.last().unwrap().root, root);
}

#[tokio::test]
async fn known_manifests_and_strangers_are_no_leaves() {
    let (_folder, store) = original().await;
    let (key, _) = signing_key();
    let mut sequencer = sequence(&store, &key, 2, [0]).await;
    let known = manifest(&store, 1, 0).await;
    assert_eq!(sequencer.append(&known).await.unwrap(), Appended::Known);
    let stranger = sealed(0, 500, 500..505, 505, None).manifest;
    assert_eq!(sequencer.append(&stranger).await.unwrap(), Appended::Stranger);
    let mut forged = manifest(&store, 0, 20).await;
    forged.record_count += 1;
    assert_eq!(sequencer.append(&forged).await.unwrap(), Appended::Stranger);
    assert_eq!(sequencer.pending(), 0);
    assert!(sequencer.checkpoint(NOW_MS, 9).await.unwrap().is_none());
}

#[tokio::test]
async fn two_checkpointers_write_one_log() {
    let (folder, store) = original().await;
    let (key, _) = signing_key();
    let mut one = sequence(&store, &key, 2, [0]).await;
    let mut two = Sequencer::open(store.clone(), sequencing(&key)).await.unwrap();
    // The same leaves: the second adopts the first one's checkpoint.
    for sequencer in [&mut one, &mut two] {
        sequencer.append(&manifest(&store, 0, 20).await).await.unwrap();
        sequencer.append(&manifest(&store, 1, 20).await).await.unwrap();
    }
    one.checkpoint(NOW_MS + 50_000, 20).await.unwrap();
    let text = fs::read(folder.path().join(Checkpoint::key(4))).unwrap();
    two.checkpoint(NOW_MS + 70_000, 20).await.unwrap();
    assert_eq!(one.last(), two.last());
    assert_eq!(fs::read(folder.path().join(Checkpoint::key(4))).unwrap(), text);

    // Other leaves: the second is told, and goes on from what the first wrote.
    one.append(&manifest(&store, 0, 40).await).await.unwrap();
    one.checkpoint(NOW_MS + 80_000, 30).await.unwrap();
    two.append(&manifest(&store, 1, 40).await).await.unwrap();
    let error = two.checkpoint(NOW_MS + 80_000, 30).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    let mut two = Sequencer::open(store.clone(), sequencing(&key)).await.unwrap();
    assert_eq!(two.last(), one.last());
    two.append(&manifest(&store, 1, 40).await).await.unwrap();
    assert_eq!(two.checkpoint(NOW_MS + 90_000, 31).await.unwrap().unwrap().size, 6);
}

#[tokio::test]
async fn a_checkpointer_that_was_held_up_contradicts_nobody() {
    let (folder, store) = original().await;
    let (key, _) = signing_key();
    let mut one = sequence(&store, &key, 2, [0]).await;
    let mut held_up = Sequencer::open(store.clone(), sequencing(&key)).await.unwrap();
    held_up.append(&manifest(&store, 0, 20).await).await.unwrap();
    // Another takes over where the last checkpoint is, and has signed a larger tree before this one signs its own.
    one.append(&manifest(&store, 0, 20).await).await.unwrap();
    one.append(&manifest(&store, 1, 20).await).await.unwrap();
    let now_ms = one.last().unwrap().time.as_millisecond();
    one.checkpoint(now_ms + 5_000, 4).await.unwrap();
    held_up.checkpoint(now_ms + 9_000, 3).await.unwrap();
    drop(sequence(&store, &key, 2, [40, 60, 80]).await);
    let (three, four) = (signed(folder.path(), 3), signed(folder.path(), 4));
    assert_eq!(three.checkpoint().previous, four.checkpoint().previous);
    assert!(three.checkpoint().time > four.checkpoint().time);
    let report = verified(&store).await;
    assert_eq!((report.verdict, report.findings.len()), (Verdict::Whole, 0), "{report}");
}

#[tokio::test]
async fn entries_of_a_checkpointer_that_died_are_taken_over() {
    let (folder, store) = original().await;
    let (key, _) = signing_key();
    drop(sequence(&store, &key, 2, [0, 20]).await);
    // It died before the checkpoint.
    fs::remove_file(folder.path().join(Checkpoint::key(4))).unwrap();
    let mut sequencer = Sequencer::open(store.clone(), sequencing(&key)).await.unwrap();
    assert_eq!((sequencer.last().unwrap().size, sequencer.pending()), (2, 2));
    assert_eq!(sequencer.append(&manifest(&store, 1, 20).await).await.unwrap(), Appended::Known);
    assert_eq!(sequencer.append(&manifest(&store, 1, 40).await).await.unwrap(), Appended::Taken);
    assert_eq!(sequencer.checkpoint(NOW_MS + 99_000, 7).await.unwrap().unwrap().size, 5);
}

#[tokio::test]
async fn a_log_that_is_not_ones_own_is_not_gone_on_with() {
    let (folder, store) = original().await;
    let (key, keys) = signing_key();
    drop(sequence(&store, &key, 2, [0, 20]).await);
    let (other, _) = signing_key();
    let error = Sequencer::open(store.clone(), sequencing(&other)).await.unwrap_err();
    assert!(error.to_string().contains("no known key"), "{error}");

    // Rotation: both keys are known, the new one signs.
    let list = format!("{}\n{}", key.verifying_key(), other.verifying_key());
    let both = VerifyingKeys::parse(&list).unwrap();
    let rotated = SequencerConfig { keys: both.clone(), ..sequencing(&other) };
    let mut sequencer = Sequencer::open(store.clone(), rotated).await.unwrap();
    sequencer.append(&manifest(&store, 0, 40).await).await.unwrap();
    sequencer.checkpoint(NOW_MS + 99_000, 5).await.unwrap();
    assert!(signed(folder.path(), 5).is_signed_by(&both) && !signed(folder.path(), 5).is_signed_by(&keys));

    let unlisted = SequencerConfig { keys, ..sequencing(&other) };
    assert_eq!(Sequencer::open(store.clone(), unlisted).await.unwrap_err().code(), "WORM-619");
    let elsewhere = SigningKey::parse(&SigningKey::generate("elsewhere").unwrap()).unwrap();
    let error = Sequencer::open(store.clone(), sequencing(&elsewhere)).await.unwrap_err();
    assert!(error.to_string().contains("another log"), "{error}");

    let tile = folder.path().join("log/tile/0/000.p/5");
    fs::remove_file(&tile).unwrap();
    fs::copy(folder.path().join("log/tile/0/000.p/4"), &tile).unwrap();
    let known = SequencerConfig { keys: both, ..sequencing(&other) };
    let error = Sequencer::open(store, known).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_turn_the_checkpoints_round() {
    let (_folder, store) = original().await;
    let (key, _) = signing_key();
    let mut sequencer = sequence(&store, &key, 2, [0]).await;
    let before = sequencer.last().unwrap().time;
    sequencer.append(&manifest(&store, 0, 20).await).await.unwrap();
    assert_eq!(sequencer.checkpoint(0, 20).await.unwrap().unwrap().time, before);
}

/// A store whose listings come three objects at a time, and that counts them.
#[derive(Clone)]
struct Paged(LocalStore, std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl Store for Paged {
    async fn create(&self, object: NewObject) -> Result<Created, Error> {
        self.0.create(object).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, Error> {
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut page = self.0.list(prefix, after).await?;
        page.more = page.objects.len() > 3;
        page.objects.truncate(3);
        Ok(page)
    }

    async fn children(&self, prefix: &str) -> Result<Children, Error> {
        self.0.children(prefix).await
    }

    async fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, Error> {
        self.0.open(key).await
    }

    async fn anomalies(&self, prefix: &str) -> Result<Vec<VersionAnomaly>, Error> {
        self.0.anomalies(prefix).await
    }

    async fn check(&self) -> Result<(), Error> {
        self.0.check().await
    }
}

#[tokio::test]
async fn the_last_checkpoint_is_found_in_few_listings() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path()).unwrap();
    fill(&store, 1, 1, 5).await;
    let (key, _) = signing_key();
    let sequencer = sequence(&store, &key, 1, [0]).await;
    let first = sequencer.last().unwrap().clone();
    let listings = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let paged = Paged(store, listings.clone());
    // Sizes of every pattern of gaps; only the text matters here, so one note serves for all.
    let mut size = 1_u64;
    for step in [1, 1, 1, 7, 1, 300, 2, 1, 1, 1, 40_000, 1, 1, 1, 1, 1, 5, 9, 9, 9] {
        let sized = Checkpoint { size, ..first.clone() };
        let note = sized.sign(&key, &VerifyingKeys::default()).unwrap().to_bytes();
        let path = folder.path().join(Checkpoint::key(size));
        let _ = fs::remove_file(&path);
        fs::write(path, note).unwrap();
        let found = prove::checkpoint(&paged, None).await.unwrap().unwrap();
        assert_eq!(found.checkpoint().size, size);
        size += step;
    }
    for stray in ["log/checkpoint/x", "log/checkpoint/0", "log/checkpoint/00000000000000000000x"] {
        fs::write(folder.path().join(stray), "x").unwrap();
    }
    assert_eq!(prove::checkpoint(&paged, None).await.unwrap().unwrap().checkpoint().size, size - 9);
    assert!(listings.load(std::sync::atomic::Ordering::Relaxed) < 21 * 40);
}
