//! Writing exactly once, in a local folder: races, crashes and zombies.

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{TOPIC, fill, kinds, record, sealed, verified};
use wardstream_worm_log::store::{AnomalyKind, Children, Page, VersionAnomaly};
use wardstream_worm_log::{
    Auditor, AuditorConfig, Created, Error, Event, Expected, Limits, LocalStore, NewObject, Pushed, Store,
    Verdict, VerifyOptions, Written, read_range, resume, verify, write,
};

/// A store that breaks: the next `failures` writes fail, every page holds but a few objects, or objects are hidden.
struct Breaking {
    store: LocalStore,
    failures: AtomicUsize,
    /// Lets this many writes through before failing.
    after: AtomicUsize,
    page: usize,
    listings: AtomicUsize,
    anomalies: Vec<VersionAnomaly>,
}

impl Breaking {
    fn new(store: LocalStore) -> Self {
        Self {
            store,
            failures: AtomicUsize::new(0),
            after: AtomicUsize::new(0),
            page: usize::MAX,
            listings: AtomicUsize::new(0),
            anomalies: Vec::new(),
        }
    }
}

impl Store for Breaking {
    async fn create(&self, object: NewObject) -> Result<Created, Error> {
        let take = |counter: &AtomicUsize| {
            counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        };
        if !take(&self.after) && take(&self.failures) {
            return Err(Error::Unavailable { operation: "create", key: object.key, source: "away".into() });
        }
        self.store.create(object).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, Error> {
        self.listings.fetch_add(1, Ordering::SeqCst);
        let mut page = self.store.list(prefix, after).await?;
        page.more = page.objects.len() > self.page;
        page.objects.truncate(self.page);
        Ok(page)
    }

    async fn children(&self, prefix: &str) -> Result<Children, Error> {
        self.store.children(prefix).await
    }

    async fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, Error> {
        self.store.open(key).await
    }

    async fn anomalies(&self, prefix: &str) -> Result<Vec<VersionAnomaly>, Error> {
        Ok(self.anomalies.iter().filter(|anomaly| anomaly.key.starts_with(prefix)).cloned().collect())
    }

    async fn check(&self) -> Result<(), Error> {
        self.store.check().await
    }
}

fn folder() -> (tempfile::TempDir, LocalStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path()).unwrap();
    (folder, store)
}

#[tokio::test]
async fn a_log_that_was_written_is_whole_and_resumes_at_its_end() {
    let (_folder, store) = folder();
    assert!(resume(&store, TOPIC, 0, None).await.unwrap().is_none());
    fill(&store, 2, 4, 50).await;
    let report = verified(&store).await;
    assert_eq!(report.verdict, Verdict::Whole, "{report}");
    assert_eq!(
        report.to_string(),
        format!(
            "audit verify: whole, topics 1, partitions 2, segments 8, records 320, bytes {}, no merkle log",
            report.bytes
        )
    );
    let tip = resume(&store, TOPIC, 1, None).await.unwrap().unwrap();
    assert_eq!((tip.next_offset(), tip.completed), (200, false));
    assert_eq!(report.partitions[1].last_manifest_sha256, Some(hex::encode(tip.manifest_sha256)));
}

#[tokio::test]
async fn a_topic_hidden_as_a_whole_is_found() {
    let (_folder, local) = folder();
    fill(&local, 1, 1, 10).await;
    let hidden = VersionAnomaly {
        key: "seg/hl7.gone/0/00000000000000000000.avro".to_owned(),
        kind: AnomalyKind::DeleteMarker,
        version: "m".to_owned(),
    };
    let store = Breaking { anomalies: vec![hidden], ..Breaking::new(local) };
    for (topics, expected) in [
        (vec![], vec!["delete-marker"]),
        (vec![TOPIC], vec![]),
        (vec!["hl7.gone"], vec!["segments-missing", "delete-marker"]),
    ] {
        let topics = topics.into_iter().map(str::to_owned).collect();
        let report =
            verify(&store, &VerifyOptions { topics, ..VerifyOptions::default() }, |_| {}).await.unwrap();
        assert_eq!(kinds(&report), expected, "{report}");
    }
}

#[tokio::test]
async fn of_two_writers_at_the_same_offset_one_wins_and_the_other_adopts() {
    let (_folder, store) = folder();
    let (short, long) = (sealed(0, 0, 0..10, 10, None), sealed(0, 0, 0..25, 25, None));
    let (left, right) = tokio::join!(write(&store, &short), write(&store, &long));
    let (winner, adopted) = match (left.unwrap(), right.unwrap()) {
        (Written::Created, Written::Adopted(tip)) => (&short, tip),
        (Written::Adopted(tip), Written::Created) => (&long, tip),
        other => panic!("both or none won: {other:?}"),
    };
    assert_eq!(adopted.next_offset(), winner.manifest.next_offset);
    assert_eq!(adopted.manifest_sha256, winner.manifest_sha256);
    assert_eq!(verified(&store).await.verdict, Verdict::Whole);
}

#[tokio::test]
async fn writing_again_after_a_lost_answer_is_no_adoption() {
    let (_folder, store) = folder();
    let segment = sealed(0, 0, 0..10, 10, None);
    assert_eq!(write(&store, &segment).await.unwrap(), Written::Created);
    assert_eq!(write(&store, &segment).await.unwrap(), Written::Created);
}

#[tokio::test]
async fn a_successor_writes_the_manifest_that_a_crashed_writer_did_not() {
    let (folder, local) = folder();
    let store = Breaking::new(local.clone());
    fill(&local, 1, 2, 10).await;
    let tip = resume(&local, TOPIC, 0, None).await.unwrap().unwrap();
    let segment = sealed(0, 20, 20..28, 30, Some(tip.manifest_sha256));
    store.after.store(1, Ordering::SeqCst);
    store.failures.store(1, Ordering::SeqCst);
    assert!(write(&store, &segment).await.unwrap_err().is_retryable());
    assert!(folder.path().join(&segment.segment_key).exists());
    assert!(!folder.path().join(&segment.manifest_key).exists());

    let report = verified(&local).await;
    assert_eq!((report.verdict, kinds(&report)), (Verdict::Incomplete, vec!["manifest-missing"]), "{report}");

    let tip = resume(&local, TOPIC, 0, None).await.unwrap().unwrap();
    assert!(tip.completed);
    assert_eq!(tip.manifest, segment.manifest);
    assert_eq!(std::fs::read(folder.path().join(&segment.manifest_key)).unwrap(), segment.manifest_bytes);
    assert_eq!(verified(&local).await.verdict, Verdict::Whole);
    // The writer was not dead after all: its own manifest is in place already.
    assert_eq!(write(&store, &segment).await.unwrap(), Written::Created);
}

#[tokio::test]
async fn a_foreign_manifest_stops_the_writer() {
    let (folder, store) = folder();
    fill(&store, 1, 1, 10).await;
    let key = folder.path().join("seg/hl7.raw/0/00000000000000000000.manifest.json");
    let foreign = sealed(3, 0, 0..10, 10, None).manifest_bytes;
    std::fs::remove_file(&key).unwrap();
    std::fs::write(&key, &foreign).unwrap();
    let error = resume(&store, TOPIC, 0, None).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn the_end_is_found_in_few_listings() {
    let (_folder, local) = folder();
    let mut prev = None;
    for first in 0..300 {
        // Lengths of one to nine hundred offsets, so that keys are spread unevenly.
        let start = first * first / 2 + first;
        let next = (first + 1) * (first + 1) / 2 + first + 1;
        let segment = sealed(0, start, [start], next, prev);
        prev = Some(segment.manifest_sha256);
        write(&local, &segment).await.unwrap();
    }
    let end = 300 * 300 / 2 + 300;
    for hint in [None, Some(end), Some(1), Some(end * 1_000), Some(i64::MAX), Some(-5), Some(20_000)] {
        let store = Breaking { page: 7, ..Breaking::new(local.clone()) };
        assert_eq!(resume(&store, TOPIC, 0, hint).await.unwrap().unwrap().next_offset(), end, "{hint:?}");
        let listings = store.listings.load(Ordering::SeqCst);
        assert!(listings < 50, "{hint:?}: {listings} listings");
    }
    // A page may even end between a segment and its manifest.
    for page in 1..4 {
        let store = Breaking { page, ..Breaking::new(local.clone()) };
        assert_eq!(resume(&store, TOPIC, 0, None).await.unwrap().unwrap().next_offset(), end);
        let report = verified(&store).await;
        assert_eq!((report.verdict, report.segments), (Verdict::Whole, 300), "{report}");
    }
}

#[tokio::test]
async fn pages_of_strange_objects_hide_nothing() {
    let (folder, local) = folder();
    fill(&local, 1, 4, 10).await;
    for strange in 0..9 {
        std::fs::write(folder.path().join(format!("seg/{TOPIC}/0/{:020}.avro.{strange}", 10)), b"x").unwrap();
    }
    for page in 1..6 {
        let store = Breaking { page, ..Breaking::new(local.clone()) };
        for hint in [None, Some(10), Some(11), Some(20)] {
            let tip = resume(&store, TOPIC, 0, hint).await.unwrap().unwrap();
            assert_eq!(tip.next_offset(), 40, "pages of {page}, {hint:?}");
        }
        let (_, count) = read_range(&store, TOPIC, 0, 0..40, |_| ControlFlow::Continue(())).await.unwrap();
        assert_eq!(count, 32, "pages of {page}");
    }
}

#[tokio::test]
async fn ranges_are_read_across_segments_and_pages() {
    let (_folder, local) = folder();
    fill(&local, 1, 12, 50).await;
    for page in [1, 2, 3, 5, usize::MAX] {
        let store = Breaking { page, ..Breaking::new(local.clone()) };
        for (start, end) in
            [(0, 600), (75, 260), (100, 101), (104, 105), (599, 10_000), (700, 800), (-5, 3), (50, 50)]
        {
            let (sender, receiver) = std::sync::mpsc::channel();
            let (_, count) = read_range(&store, TOPIC, 0, start..end, move |record| {
                sender.send(record).unwrap();
                ControlFlow::Continue(())
            })
            .await
            .unwrap();
            let read: Vec<_> = receiver.into_iter().collect();
            let wanted: Vec<_> = (start.max(0)..end.min(600))
                .filter(|offset| offset % 5 != 4)
                .map(|offset| record(0, offset))
                .collect();
            assert!(read == wanted, "{start}..{end} with pages of {page}");
            assert_eq!(count, wanted.len() as u64);
        }
    }
    let (_, count) = read_range(&local, TOPIC, 0, 0..600, |_| ControlFlow::Break(())).await.unwrap();
    assert_eq!(count, 1);
    let (_, none) = read_range(&local, "other", 0, 0..600, |_| ControlFlow::Continue(())).await.unwrap();
    assert_eq!(none, 0);
}

fn small() -> AuditorConfig {
    AuditorConfig { limits: Limits { max_records: 10, ..Limits::default() }, ..AuditorConfig::default() }
}

/// What a consumer does: takes what the auditor has no offset for yet, and seeks when told to.
async fn consume(auditor: &mut Auditor<impl Store>, from: i64, to: i64, every: i64) -> i64 {
    let mut offset = from;
    let mut committed = from;
    while offset < to {
        auditor.push(&record(0, offset), 0).unwrap();
        offset += 1;
        if offset % every == 0 {
            for event in auditor.flush_due(0).await {
                match event {
                    Event::Written { next_offset, .. } => committed = next_offset,
                    Event::Adopted { next_offset, .. } => {
                        offset = next_offset;
                        committed = next_offset;
                        auditor.seek_done(TOPIC, 0).unwrap();
                    }
                    Event::Unavailable { .. } => {}
                    Event::Failed { error, .. } => panic!("{error}"),
                }
            }
        }
    }
    committed
}

#[tokio::test]
async fn a_zombie_beside_its_successor_leaves_neither_holes_nor_overlaps() {
    let (_folder, store) = folder();
    let mut zombie = Auditor::new(store.clone(), small());
    let start = zombie.assign(TOPIC, 0, 0, None, 0).await.unwrap();
    let reached = consume(&mut zombie, start, 35, 5).await;
    assert_eq!(reached, 30);

    // A successor takes over while the zombie still holds records 30 to 34, and both go on at their own pace.
    let mut successor = Auditor::new(
        store.clone(),
        AuditorConfig { limits: Limits { max_records: 7, ..Limits::default() }, ..AuditorConfig::default() },
    );
    let start = successor.assign(TOPIC, 0, 0, Some(reached), 0).await.unwrap();
    assert_eq!(start, 30);
    let reached = consume(&mut successor, start, 60, 7).await;
    assert!(reached > 35);
    consume(&mut zombie, 35, 120, 5).await;
    consume(&mut successor, reached, 150, 7).await;
    successor.flush_all(0).await;

    let report = verified(&store).await;
    assert_eq!(report.verdict, Verdict::Whole, "{report}");
    // Every offset once: nothing was taken for a gap.
    let summary = &report.partitions[0];
    assert_eq!(summary.next_offset, Some(summary.records as i64));
    assert!(summary.records >= 120);
}

#[tokio::test]
async fn records_fetched_before_a_seek_are_no_gap() {
    let (_folder, store) = folder();
    let mut slow = Auditor::new(store.clone(), small());
    slow.assign(TOPIC, 0, 0, None, 0).await.unwrap();
    slow.push(&record(0, 0), 0).unwrap();
    write(&store, &sealed(0, 0, 0..3, 3, None)).await.unwrap();
    let events = slow.flush_all(0).await;
    assert!(matches!(events[..], [Event::Adopted { next_offset: 3, .. }]), "{events:?}");
    assert_eq!(slow.push(&record(0, 8), 0).unwrap(), Pushed::Ignored);
    slow.seek_done(TOPIC, 0).unwrap();
    assert_eq!(slow.push(&record(0, 2), 0).unwrap(), Pushed::Ignored);
    assert_eq!(slow.push(&record(0, 3), 0).unwrap(), Pushed::Taken);
    let events = slow.flush_all(0).await;
    let Event::Written { next_offset, manifest, .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!((*next_offset, manifest.gaps.len()), (4, 0));
}

#[tokio::test]
async fn a_store_that_is_away_loses_nothing_and_memory_stays_bounded() {
    let (_folder, local) = folder();
    let store = Breaking::new(local.clone());
    store.failures.store(7, Ordering::SeqCst);
    let config = AuditorConfig { max_memory_bytes: 20_000, ..small() };
    let mut auditor = Auditor::new(store, config);
    let mut offset = auditor.assign(TOPIC, 0, 0, None, 0).await.unwrap();
    let (mut unavailable, mut written) = (0, 0);
    while written < 200 {
        while auditor.has_room() && offset < 200 {
            assert_eq!(auditor.push(&record(0, offset), 0).unwrap(), Pushed::Taken);
            offset += 1;
            if auditor.is_due(0) {
                break;
            }
        }
        assert!(auditor.memory_bytes() < 21_000);
        let events = if offset == 200 { auditor.flush_all(0).await } else { auditor.flush_due(0).await };
        for event in events {
            match event {
                Event::Unavailable { error, .. } => {
                    assert_eq!(error.code(), "WORM-610");
                    unavailable += 1;
                }
                Event::Written { next_offset, .. } => written = next_offset,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(unavailable, 7);
    let report = verified(&local).await;
    assert_eq!((report.verdict, report.records), (Verdict::Whole, 200), "{report}");
}

#[tokio::test]
async fn one_failure_is_enough_to_know_that_the_store_is_away() {
    let (_folder, local) = folder();
    let mut auditor = Auditor::new(Breaking::new(local), AuditorConfig::default());
    for partition in 0..40 {
        auditor.assign(TOPIC, partition, 0, None, 0).await.unwrap();
        auditor.push(&record(partition, 0), 0).unwrap();
    }
    auditor.store().failures.store(usize::MAX, Ordering::SeqCst);
    let tried = auditor.flush_due(60_000).await.len();
    assert!((1..=8).contains(&tried), "{tried} writes were tried");
    auditor.store().failures.store(0, Ordering::SeqCst);
    let written = auditor.flush_due(60_000).await;
    assert_eq!(written.iter().filter(|event| matches!(event, Event::Written { .. })).count(), 40);
}

#[tokio::test]
async fn when_memory_is_short_the_largest_is_written_first() {
    let (_folder, store) = folder();
    let mut auditor =
        Auditor::new(store, AuditorConfig { max_memory_bytes: 100_000, ..AuditorConfig::default() });
    for partition in 0..3 {
        auditor.assign(TOPIC, partition, 0, None, 0).await.unwrap();
    }
    let mut offsets = [0_i64; 3];
    while auditor.has_room() {
        // Partition 1 has five times the traffic.
        for partition in [0, 1, 1, 1, 1, 1, 2] {
            auditor.push(&record(partition, offsets[partition as usize]), 0).unwrap();
            offsets[partition as usize] += 1;
        }
    }
    let events = auditor.flush_due(0).await;
    assert!(matches!(&events[..], [Event::Written { partition: 1, .. }]), "{events:?}");
    assert!(auditor.has_room());
}

#[tokio::test]
async fn control_records_at_the_end_are_accounted_for() {
    let (_folder, store) = folder();
    let mut auditor = Auditor::new(store.clone(), AuditorConfig::default());
    auditor.assign(TOPIC, 0, 0, None, 0).await.unwrap();
    auditor.push(&record(0, 0), 0).unwrap();
    auditor.advance(TOPIC, 0, 2, 0).unwrap();
    assert!(!auditor.is_due(59_999));
    assert!(auditor.is_due(60_000));
    let events = auditor.flush_due(60_000).await;
    assert!(matches!(events[..], [Event::Written { next_offset: 2, .. }]), "{events:?}");
    auditor.advance(TOPIC, 0, 3, 60_000).unwrap();
    assert_eq!(auditor.flush_all(60_000).await.len(), 1);
    let expected = [((TOPIC.to_owned(), 0), Expected { first_offset: Some(0), next_offset: Some(3) })];
    let options = VerifyOptions { expected: expected.into(), ..VerifyOptions::default() };
    let report = verify(&store, &options, |_| {}).await.unwrap();
    assert_eq!(report.verdict, Verdict::Whole, "{report}");
    auditor.revoke(TOPIC, 0);
    assert!(auditor.push(&record(0, 3), 0).is_err());
}

#[tokio::test]
async fn what_kafka_expired_before_it_was_archived_is_named() {
    let (_folder, store) = folder();
    fill(&store, 1, 1, 10).await;
    let mut auditor = Auditor::new(store.clone(), AuditorConfig::default());
    assert_eq!(auditor.assign(TOPIC, 0, 25, None, 0).await.unwrap(), 25);
    auditor.push(&record(0, 26), 0).unwrap();
    auditor.flush_all(0).await;
    let report = verified(&store).await;
    assert_eq!((report.verdict, kinds(&report)), (Verdict::Incomplete, vec!["expired"]));
    assert_eq!(
        report.findings[0].to_string(),
        "incomplete: expired, topic hl7.raw, partition 0, offsets 10 to 24: kafka's retention removed them before they were archived"
    );
}
