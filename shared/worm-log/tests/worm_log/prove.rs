//! Proofs of single records and of consistency, made from a store and checked without it.

use crate::support::{TOPIC, fill, record, sequence, sequencing, signing_key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use wardstream_worm_log::{
    Error, Held, LocalStore, Proof, Sequencer, SigningKey, VerifyingKeys, inventory, proof, prove, segment_at,
};

/// Two partitions with five segments of twenty offsets; the last two segments are under no checkpoint.
async fn original() -> (tempfile::TempDir, LocalStore, VerifyingKeys) {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path()).unwrap();
    fill(&store, 2, 5, 20).await;
    let (key, keys) = signing_key();
    drop(sequence(&store, &key, 2, [0, 20, 40, 60]).await);
    (folder, store, keys)
}

#[tokio::test]
async fn every_record_under_a_checkpoint_can_be_proved() {
    let (_folder, store, keys) = original().await;
    for partition in 0..2 {
        for offset in (0..80).filter(|offset| offset % 5 != 4) {
            let made = prove::prove(&store, TOPIC, partition, offset).await.unwrap();
            let bytes = made.to_bytes();
            let read = Proof::from_bytes(&bytes).unwrap();
            assert_eq!(read.to_bytes(), bytes);
            let proven = read.check(&keys).unwrap();
            assert!(proven.record == record(partition, offset), "{partition}/{offset}");
            assert_eq!(proven.manifest.first_offset, offset / 20 * 20);
            assert_eq!(proven.leaf_index, (offset / 20 * 2 + i64::from(partition)) as u64);
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_proved() {
    let (_folder, store, keys) = original().await;
    for (partition, offset, why) in [
        (0, 4, "has no record"),
        (0, 85, "no leaf under the last checkpoint"),
        (0, 100, "no segment covers"),
        (7, 0, "no segment covers"),
    ] {
        let error = prove::prove(&store, TOPIC, partition, offset).await.unwrap_err();
        assert!(matches!(error, Error::Unproven { .. }), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    let proof = prove::prove(&store, TOPIC, 0, 41).await.unwrap();
    let (_, others) = signing_key();
    assert!(proof.check(&others).unwrap_err().to_string().contains("no known key"));
    let early = format!("{:?}", keys).replace(['[', ']', '"'], "") + " - 2020-01-01T00:00:00Z";
    assert!(proof.check(&VerifyingKeys::parse(&early).unwrap()).is_err());
}

/// One character of any line, the extra data's content included.
#[test]
fn a_proof_with_anything_changed_does_not_hold() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_folder, store, keys) = runtime.block_on(original());
    let bytes = runtime.block_on(prove::prove(&store, TOPIC, 1, 33)).unwrap().to_bytes();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let extra = text.lines().nth(1).unwrap().strip_prefix("extra ").unwrap();
    let extra_bytes = BASE64.decode(extra).unwrap();
    let holds = |bytes: &[u8]| Proof::from_bytes(bytes).and_then(|proof| proof.check(&keys)).ok();
    let proven = holds(&bytes).unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(120));
    runner
        .run(&(any::<bool>(), any::<prop::sample::Index>(), 1..=255_u8), |(inside, at, mask)| {
            let changed = if inside {
                let mut extra_bytes = extra_bytes.clone();
                let at = at.index(extra_bytes.len());
                extra_bytes[at] ^= mask;
                text.replace(extra, &BASE64.encode(extra_bytes)).into_bytes()
            } else {
                let mut bytes = bytes.clone();
                let at = at.index(bytes.len());
                bytes[at] ^= mask;
                bytes
            };
            prop_assert!(holds(&changed).is_none_or(|changed| changed == proven));
            Ok(())
        })
        .unwrap();
    let other = runtime.block_on(prove::prove(&store, TOPIC, 1, 35)).unwrap().to_bytes();
    let other = String::from_utf8(other).unwrap();
    let swapped = text.replace(extra, other.lines().nth(1).unwrap().strip_prefix("extra ").unwrap());
    assert_eq!(holds(swapped.as_bytes()).unwrap().record.offset, 35, "both are under the same leaf");
}

#[tokio::test]
async fn a_larger_tree_extends_a_smaller_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path()).unwrap();
    fill(&store, 1, 300, 1).await;
    let key = SigningKey::parse(&SigningKey::generate("ward.example/audit").unwrap()).unwrap();
    let mut sequencer = Sequencer::open(store.clone(), sequencing(&key)).await.unwrap();
    for first in 0..300 {
        let tip = segment_at(&store, TOPIC, 0, first).await.unwrap().unwrap();
        sequencer.append(&tip.manifest).await.unwrap();
        if [0, 99, 255, 299].contains(&first) {
            sequencer.checkpoint(1_790_000_000_000 + first, first).await.unwrap();
        }
    }
    let mut roots = Vec::new();
    for size in [1, 100, 256, 300] {
        let signed = prove::checkpoint(&store, Some(size)).await.unwrap().unwrap();
        roots.push((size, signed.checkpoint().root));
    }
    assert!(prove::checkpoint(&store, Some(7)).await.unwrap().is_none());
    for (smaller, smaller_root) in &roots {
        for (size, root) in roots.iter().filter(|(size, _)| size >= smaller) {
            let path = prove::prove_consistency(&store, *smaller, *size).await.unwrap();
            assert!(proof::extends(*size, root, *smaller, smaller_root, &path), "{smaller} {size}");
            assert!(!proof::extends(*size, root, *smaller, &[9; 32], &path), "{smaller} {size}");
            let leaves = prove::leaves(&store, *smaller, *size).await.unwrap();
            assert_eq!(leaves.len() as u64, size - smaller);
            assert!(leaves.iter().zip(*smaller..).all(|(leaf, at)| leaf.first_offset == at as i64));
        }
    }
    assert!(prove::prove_consistency(&store, 256, 100).await.is_err());
    let proof = prove::prove(&store, TOPIC, 0, 3).await.unwrap();
    let keys = VerifyingKeys::parse(key.verifying_key()).unwrap();
    assert_eq!(proof.check(&keys).unwrap().leaf_index, 3);
}

#[tokio::test]
async fn the_inventory_has_what_is_held_and_writes_nothing() {
    let (folder, store, _) = original().await;
    std::fs::remove_file(folder.path().join(format!("seg/{TOPIC}/1/{:020}.manifest.json", 80))).unwrap();
    let held = inventory(&store).await.unwrap();
    assert_eq!(held.checkpoint.unwrap().size, 8);
    let [one, two] = held.partitions.as_slice() else { panic!("{:?}", held.partitions) };
    let expected = Held {
        topic: TOPIC.to_owned(),
        partition: 0,
        first_offset: 0,
        next_offset: Some(100),
        segments: 5,
        bytes: one.bytes,
    };
    assert_eq!(*one, expected);
    assert_eq!((two.segments, two.next_offset), (5, None));
    assert!(matches!(prove::prove(&store, TOPIC, 1, 81).await, Err(Error::Unproven { .. })));
    assert_eq!(inventory(&store).await.unwrap().partitions[1].next_offset, None);
}
