//! Records, sealed segments and small logs for the integration tests.

use std::path::Path;

use wardstream_worm_log::testing::{self, keys_under};
use wardstream_worm_log::{
    Appended, Context, Hash, Limits, LocalStore, Record, Report, Sealed, SegmentBuilder, Sequencer,
    SequencerConfig, SigningKey, Store, VerifyOptions, VerifyingKeys, Written, segment_at, verify, write,
};

pub(crate) const TOPIC: &str = "hl7.raw";

pub(crate) fn record(partition: i32, offset: i64) -> Record {
    // Text that differs from record to record yet compresses like messages do.
    let text = format!(
        "MSH|^~\\&|LAB|NORTH|||20260101||ORU^R01|{offset}|P|2.5.1\rOBX|1|NM|2345-7||{}|mg/dL",
        offset * 7
    );
    Record {
        topic: TOPIC.to_owned(),
        partition,
        offset,
        timestamp_ms: 1_750_000_000_000 + offset * 10,
        key: (offset % 3 != 0).then(|| format!("NORTH|{}", offset % 11).into_bytes()),
        value: (offset % 17 != 0).then(|| text.into_bytes()),
        headers: vec![
            ("traceparent".to_owned(), Some(offset.to_be_bytes().to_vec())),
            ("empty".to_owned(), None),
        ],
    }
}

pub(crate) fn retain_until() -> jiff::Timestamp {
    let now = jiff::Timestamp::now().as_second();
    jiff::Timestamp::from_second(now + 3_600).unwrap()
}

pub(crate) fn context(prev_manifest_sha256: Option<Hash>) -> Context {
    Context { writer_version: "test/1".to_owned(), retain_until: retain_until(), prev_manifest_sha256 }
}

/// A segment of the given offsets that ends at `next`.
pub(crate) fn sealed(
    partition: i32,
    first: i64,
    offsets: impl IntoIterator<Item = i64>,
    next: i64,
    prev: Option<Hash>,
) -> Sealed {
    let mut builder = SegmentBuilder::new(TOPIC, partition, first, Limits::default()).unwrap();
    for offset in offsets {
        builder.push(&record(partition, offset), 0).unwrap();
    }
    builder.finish(next, &context(prev)).unwrap()
}

/// Writes `segments` segments of `each` records to each of `partitions` partitions, with a gap after every fifth record.
pub(crate) async fn fill<S: Store>(store: &S, partitions: i32, segments: i64, each: i64) {
    for partition in 0..partitions {
        let mut prev = None;
        for segment in 0..segments {
            let (first, next) = (segment * each, (segment + 1) * each);
            let sealed = sealed(partition, first, (first..next).filter(|offset| offset % 5 != 4), next, prev);
            prev = Some(sealed.manifest_sha256);
            assert_eq!(write(store, &sealed).await.unwrap(), Written::Created);
        }
    }
}

pub(crate) const ORIGIN: &str = "ward.example/audit";

/// A new signing key, and the list of keys that trusts it.
pub(crate) fn signing_key() -> (SigningKey, VerifyingKeys) {
    let key = SigningKey::parse(&SigningKey::generate(ORIGIN).unwrap()).unwrap();
    let keys = VerifyingKeys::parse(key.verifying_key()).unwrap();
    (key, keys)
}

pub(crate) fn sequencing(key: &SigningKey) -> SequencerConfig {
    SequencerConfig { key: key.clone(), keys: VerifyingKeys::default(), retention_seconds: 3_600 }
}

/// Appends the segments of the given start offsets, partition by partition within each, and signs a checkpoint after each offset.
pub(crate) async fn sequence<S: Store + Clone>(
    store: &S,
    key: &SigningKey,
    partitions: i32,
    offsets: impl IntoIterator<Item = i64>,
) -> Sequencer<S> {
    let mut sequencer = Sequencer::open(store.clone(), sequencing(key)).await.unwrap();
    for first in offsets {
        for partition in 0..partitions {
            let tip = segment_at(store, TOPIC, partition, first).await.unwrap().unwrap();
            assert_eq!(sequencer.append(&tip.manifest).await.unwrap(), Appended::Taken);
        }
        let now_ms = jiff::Timestamp::now().as_millisecond() + first * 1_000;
        assert!(sequencer.checkpoint(now_ms, first).await.unwrap().is_some());
    }
    sequencer
}

pub(crate) async fn verified<S: Store>(store: &S) -> Report {
    verify(store, &VerifyOptions::default(), |_| {}).await.unwrap()
}

pub(crate) fn kinds(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.kind.name()).collect()
}

/// All segments and manifests of a log, in key order.
pub(crate) fn keys(root: &Path) -> Vec<String> {
    keys_under(root, "seg/").unwrap()
}

/// A copy of a log in a folder of its own, its files writable.
pub(crate) fn copy(from: &Path) -> (tempfile::TempDir, LocalStore) {
    let to = tempfile::tempdir().unwrap();
    testing::copy(from, to.path()).unwrap();
    let store = LocalStore::open_read_only(to.path()).unwrap();
    (to, store)
}
