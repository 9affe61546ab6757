//! The log in a real bucket with Object Lock. Skipped, with a line saying so, where `WARDSTREAM_SEAWEEDFS` names no `weed` binary.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use wardstream_worm_log::testing::{Intruder, SeaweedFs};
use wardstream_worm_log::{
    Auditor, AuditorConfig, BucketProblem, Checkpoint, Error, Event, FindingKind, Limits, LockMode, S3Config,
    S3Store, SigningKey, Store, Verdict, VerifyOptions, VerifyingKeys, Written, prove, resume, verify, write,
};

use crate::support::{TOPIC, fill, kinds, record, sealed, sequence, signing_key, verified};

/// The first object of the log.
const FIRST: &str = "seg/hl7.raw/0/00000000000000000000.avro";

fn intruder(config: &S3Config) -> Intruder {
    Intruder::new(config).unwrap()
}

/// One server for everything: starting it takes seconds, and each step leaves what the next one needs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn object_lock_keeps_the_log() {
    let Some(server) = SeaweedFs::start().await else { return };
    let admin = S3Store::connect(server.admin_config("audit")).await.unwrap();
    let store = S3Store::connect(server.audit_config()).await.unwrap();

    admin.check().await.unwrap();
    store.check().await.unwrap();
    buckets_that_will_not_do(&server).await;
    a_hold_stands_until_it_is_released(&server).await;

    fill(&store, 2, 3, 40).await;
    let (key, keys) = signing_key();
    drop(sequence(&store, &key, 2, [0, 40, 80]).await);
    let report = verified(&store).await;
    assert_eq!((report.verdict, report.segments, report.records), (Verdict::Whole, 6, 192), "{report}");
    assert_eq!(report.merkle_log.as_ref().map(|log| (log.size, log.checkpoints)), Some((6, 3)));

    let paged = S3Store::connect(S3Config { page_size: 3, ..server.audit_config() }).await.unwrap();
    assert_eq!(verified(&paged).await, report);
    assert_eq!(resume(&paged, TOPIC, 1, None).await.unwrap().unwrap().next_offset(), 120);

    writers_meet(&store).await;
    a_crash_is_made_good(&store).await;
    an_auditor_carries_on(&store).await;
    for config in [server.audit_config(), server.admin_config("audit")] {
        no_one_hides_an_object(&config).await;
        locks_hold(&config).await;
    }
    assert_eq!(intruder(&server.audit_config()).drop_policy().await.unwrap().refused, Some(403));
    assert_eq!(intruder(&server.admin_config("audit")).drop_policy().await.unwrap().refused, None);
    for config in [server.audit_config(), server.admin_config("audit")] {
        locks_hold(&config).await;
    }
    hidden_and_replaced_objects_are_found(&admin, &server.admin_config("audit")).await;
    hidden_and_replaced_checkpoints_are_found(&admin, &server.admin_config("audit"), &key, &keys).await;
    assert_eq!(verified(&paged).await, verified(&store).await);
    a_store_that_is_away(server).await;
}

async fn buckets_that_will_not_do(server: &SeaweedFs) {
    let absent = S3Store::connect(server.admin_config("absent")).await.unwrap();
    let error = absent.check().await.unwrap_err();
    assert!(
        matches!(&error, Error::Bucket { problems, .. } if *problems == [BucketProblem::Missing]),
        "{error}"
    );

    let plain = server.admin_config("plain");
    intruder(&plain).client().create_bucket().bucket("plain").send().await.unwrap();
    let plain = S3Store::connect(plain).await.unwrap();
    let error = plain.check().await.unwrap_err();
    let Error::Bucket { bucket, problems } = &error else { panic!("{error}") };
    assert_eq!(bucket, "plain");
    assert_eq!(*problems, [BucketProblem::VersioningOff, BucketProblem::ObjectLockOff]);
    assert_eq!((error.code(), error.is_retryable()), ("WORM-612", false));
    assert!(plain.ensure_bucket().await.is_err(), "an existing bucket without locks is no success");

    let foreign =
        S3Store::connect(S3Config { bucket: "plain".to_owned(), ..server.audit_config() }).await.unwrap();
    let error = write(&foreign, &sealed(0, 0, 0..3, 3, None)).await.unwrap_err();
    assert!(matches!(error, Error::AccessDenied { .. }), "{error}");
    let unlocked = write(&plain, &sealed(0, 0, 0..3, 3, None)).await.unwrap_err();
    assert!(!unlocked.is_retryable(), "{unlocked}");
    assert!(S3Store::connect(S3Config::new("")).await.is_err());
}

/// In governance mode an administrator gets round the retention, and not round the hold.
async fn a_hold_stands_until_it_is_released(server: &SeaweedFs) {
    let config = S3Config { lock_mode: LockMode::Governance, ..server.admin_config("holds") };
    let store = S3Store::connect(config.clone()).await.unwrap();
    store.ensure_bucket().await.unwrap();
    let sealed = sealed(0, 0, 0..5, 5, None);
    assert_eq!(write(&store, &sealed).await.unwrap(), Written::Created);
    let key = sealed.segment_key.as_str();
    assert!(!store.is_held(key).await.unwrap());
    let intruder = intruder(&config);
    let client = intruder.client();
    let head = client.head_object().bucket("holds").key(key).send().await.unwrap();
    let version = head.version_id().unwrap();
    let delete = || {
        let delete = client.delete_object().bucket("holds").key(key).version_id(version);
        delete.bypass_governance_retention(true).send()
    };
    for _ in 0..2 {
        store.set_hold(key, true).await.unwrap();
        assert!(store.is_held(key).await.unwrap());
        let refused = delete().await.unwrap_err();
        assert_eq!(refused.raw_response().map(|response| response.status().as_u16()), Some(403));
    }
    store.set_hold(key, false).await.unwrap();
    assert!(!store.is_held(key).await.unwrap());
    delete().await.unwrap();
    // SeaweedFS answers an attempt to hold what is gone with an internal error; the question comes first.
    assert!(matches!(store.is_held(key).await, Err(Error::NotFound { .. })));
}

async fn writers_meet(store: &S3Store) {
    let tip = resume(store, TOPIC, 0, Some(120)).await.unwrap().unwrap();
    assert_eq!(tip.next_offset(), 120);
    let short = sealed(0, 120, 120..130, 130, Some(tip.manifest_sha256));
    let long = sealed(0, 120, 120..150, 150, Some(tip.manifest_sha256));
    let (left, right) = tokio::join!(write(store, &short), write(store, &long));
    let adopted = match (left.unwrap(), right.unwrap()) {
        (Written::Created, Written::Adopted(tip)) => (tip, &short),
        (Written::Adopted(tip), Written::Created) => (tip, &long),
        other => panic!("both or none won: {other:?}"),
    };
    assert_eq!(adopted.0.next_offset(), adopted.1.manifest.next_offset);
    assert_eq!(write(store, adopted.1).await.unwrap(), Written::Created, "its own work again is no adoption");
    assert_eq!(verified(store).await.verdict, Verdict::Whole);
}

async fn a_crash_is_made_good(store: &S3Store) {
    let tip = resume(store, TOPIC, 1, None).await.unwrap().unwrap();
    let segment = sealed(1, 120, 120..125, 126, Some(tip.manifest_sha256));
    let object = wardstream_worm_log::NewObject {
        key: segment.segment_key.clone(),
        body: segment.segment.clone(),
        sha256: segment.segment_sha256,
        retain_until: segment.manifest.retain_until,
        content_type: "application/vnd.apache.avro",
    };
    store.create(object.clone()).await.unwrap();
    assert_eq!(kinds(&verified(store).await), ["manifest-missing"]);
    let tip = resume(store, TOPIC, 1, None).await.unwrap().unwrap();
    assert!(tip.completed);
    assert_eq!(tip.manifest, segment.manifest);
    assert_eq!(verified(store).await.verdict, Verdict::Whole);

    // A body that is not what its checksum says does not get in.
    let mut broken = object;
    broken.key = "seg/hl7.raw/1/00000000000000000126.avro".to_owned();
    broken.sha256 = [0; 32];
    assert!(matches!(store.create(broken).await, Err(Error::Rejected { .. })));
}

async fn an_auditor_carries_on(store: &S3Store) {
    let limits = Limits { max_records: 50, ..Limits::default() };
    let mut auditor = Auditor::new(
        store.clone(),
        AuditorConfig { limits, retention_seconds: 3_600, ..AuditorConfig::default() },
    );
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let start = auditor.assign(TOPIC, 1, 0, None, now_ms).await.unwrap();
    assert_eq!(start, 126);
    for offset in start..start + 50 {
        auditor.push(&record(1, offset), now_ms).unwrap();
    }
    let events = auditor.flush_due(now_ms).await;
    assert!(matches!(events[..], [Event::Written { next_offset: 176, .. }]), "{events:?}");
    assert_eq!(verified(store).await.verdict, Verdict::Whole);
}

/// The bucket's policy keeps everyone from hiding an object, until an administrator takes the policy away.
async fn no_one_hides_an_object(config: &S3Config) {
    assert_eq!(intruder(config).delete(FIRST).await.unwrap().refused, Some(403));
}

/// What no one may do, the administrator included.
async fn locks_hold(config: &S3Config) {
    for attempt in intruder(config).against_lock(FIRST).await.unwrap() {
        let right = match attempt.what {
            "overwrite" => attempt.refused == Some(412),
            "delete the version" => attempt.refused == Some(403),
            _ => attempt.refused.is_some(),
        };
        assert!(right, "{attempt:?}");
    }
}

async fn hidden_and_replaced_objects_are_found(store: &S3Store, config: &S3Config) {
    let intruder = intruder(config);
    assert!(verified(store).await.findings.is_empty());
    let key = "seg/hl7.raw/0/00000000000000000040.avro";
    assert_eq!(intruder.delete(key).await.unwrap().refused, None);
    let report = verified(store).await;
    assert_eq!(report.verdict, Verdict::Tampered, "{report}");
    assert_eq!(kinds(&report), ["delete-marker", "segment-missing"], "{report}");
    assert_eq!(report.findings[0].first_offset, Some(40));

    // The marker hides the object, so a write of the key succeeds: a second version, and a finding.
    let forged = sealed(0, 40, 40..50, 80, None);
    let put = intruder.client().put_object().bucket(&config.bucket).key(key).if_none_match("*");
    put.body(ByteStream::from(forged.segment)).send().await.unwrap();
    let report = verified(store).await;
    let found: Vec<FindingKind> = report.findings.iter().map(|finding| finding.kind).collect();
    for kind in [FindingKind::DeleteMarker, FindingKind::ExtraVersion, FindingKind::SegmentAltered] {
        assert!(found.contains(&kind), "{kind:?}: {report}");
    }
}

async fn hidden_and_replaced_checkpoints_are_found(
    store: &S3Store,
    config: &S3Config,
    key: &SigningKey,
    keys: &VerifyingKeys,
) {
    let intruder = intruder(config);
    let object = Checkpoint::key(4);
    let found = async |kind: FindingKind| {
        let options = VerifyOptions { keys: keys.clone(), ..VerifyOptions::default() };
        let report = verify(store, &options, |_| {}).await.unwrap();
        report.findings.iter().any(|finding| finding.kind == kind && finding.key.as_deref() == Some(&object))
    };
    let text = prove::checkpoint(store, Some(4)).await.unwrap().unwrap().checkpoint().clone();
    for kind in [FindingKind::DeleteMarker, FindingKind::CheckpointMissing] {
        assert!(!found(kind).await, "{kind:?}");
    }
    assert_eq!(intruder.delete(&object).await.unwrap().refused, None);
    for kind in [FindingKind::DeleteMarker, FindingKind::CheckpointMissing] {
        assert!(found(kind).await, "{kind:?}");
    }
    // In its place another one, with the true key, for a tree that never was.
    let forged = Checkpoint { root: [7; 32], ..text }.sign(key, keys).unwrap().to_bytes();
    assert_eq!(intruder.put(&object, Bytes::from(forged)).await.unwrap().refused, None);
    for kind in [FindingKind::DeleteMarker, FindingKind::ExtraVersion, FindingKind::CheckpointContradicted] {
        assert!(found(kind).await, "{kind:?}");
    }
}

async fn a_store_that_is_away(server: SeaweedFs) {
    let config = S3Config { attempt_timeout: Duration::from_secs(2), ..server.audit_config() };
    let store = S3Store::connect(config).await.unwrap();
    drop(server);
    let error = write(&store, &sealed(0, 5_000, 5_000..5_003, 5_003, None)).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(error.code(), "WORM-610");
    let error = resume(&store, TOPIC, 0, None).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}
