//! A key that alone keeps failing is set aside, and comes back in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use contracts::headers::{ERROR_CODE, EVENT_ID, RELEASE, REPLAY_TOPIC};
use contracts::parked_topic;
use stream::{Incoming, Outgoing, Unavailable};

use crate::bench::{Bench, FREE, Work, copy, wait};

fn text(record: &Incoming) -> String {
    String::from_utf8(record.value.clone().unwrap_or_default()).unwrap()
}

#[test]
fn a_key_that_fails_alone_is_parked_and_its_records_come_back_in_order() {
    let Some(bench) = Bench::start() else { return };
    bench.topics(1);
    let mut config = bench.config.clone();
    config.tuning.park_after = 3;
    config.tuning.max_backoff = settings::Duration::from_millis(50);
    let mended = Arc::new(AtomicBool::new(false));
    let work: Arc<Work> = {
        let mended = mended.clone();
        Arc::new(move |record, _| {
            if record.key.as_deref() == Some(b"bad") && !mended.load(Ordering::Acquire) {
                return Err(Unavailable { dependency: "dependency", detail: "not for this key".to_owned() });
            }
            Ok(copy(record))
        })
    };
    let publisher = bench.publisher();
    let send = |key: &str, value: &str, headers: &[(&str, &str)]| {
        let mut record = Outgoing::new("in", Some(key.into()), value.into());
        record.headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        publisher.publish_blocking(&record).unwrap();
    };
    let member = bench.member(&config, work.clone());
    send("bad", "1", &[]);
    send("bad", "2", &[]);
    // Others have to be answered meanwhile: that is what tells a key from a dependency that is down.
    let mut others = 0;
    wait("the key to be parked", || {
        send("good", "x", &[]);
        others += 1;
        bench.read(&parked_topic("t")).len() == 2
    });
    let parked = bench.read(&parked_topic("t"));
    assert_eq!(parked[0].header(ERROR_CODE), Some("STREAM-905"));
    assert_eq!(parked[1].header(ERROR_CODE), Some("STREAM-906"));

    // The next owner knows it too.
    member.stop();
    let member = bench.member(&config, work);
    send("bad", "3", &[]);
    bench.await_fates(others + 3);
    assert_eq!(bench.read("out").iter().filter(|record| record.key.as_deref() == Some(b"bad")).count(), 0);

    // Released with an outdated count, the key stays parked; with the right one its records go on in order.
    mended.store(true, Ordering::Release);
    send("bad", "", &[(RELEASE, "2")]);
    send("bad", "4", &[]);
    bench.await_fates(others + 5);
    let parked = bench.read(&parked_topic("t"));
    for (record, value) in parked.iter().zip(["1", "2", "3", "4"]) {
        let event = record.header(EVENT_ID).unwrap();
        send("bad", value, &[(REPLAY_TOPIC, &record.topic), (EVENT_ID, event)]);
    }
    send("bad", "", &[(RELEASE, "4")]);
    send("bad", "5", &[]);
    bench.await_fates(others + 5 + 6);
    member.stop();
    let bad: Vec<String> =
        bench.read("out").iter().filter(|record| record.key.as_deref() == Some(b"bad")).map(text).collect();
    assert_eq!(bad, ["1", "2", "3", "4", "5"]);
    let parked = bench.read(&parked_topic("t"));
    assert_eq!(parked.len(), 5);
    assert!(parked[4].value.is_none(), "the release is a tombstone");
}

#[test]
fn a_dependency_that_is_down_parks_nobody_however_long() {
    let Some(bench) = Bench::start() else { return };
    bench.topics(1);
    let mut config = bench.config.clone();
    config.tuning.park_after = 2;
    config.tuning.max_backoff = settings::Duration::from_millis(50);
    config.tuning.workers = 1;
    let tries = Arc::new(AtomicU32::new(0));
    let mended = Arc::new(AtomicBool::new(false));
    let work: Arc<Work> = {
        let (tries, mended) = (tries.clone(), mended.clone());
        Arc::new(move |record, _| {
            if record.key.as_deref() != Some(FREE) && !mended.load(Ordering::Acquire) {
                tries.fetch_add(1, Ordering::AcqRel);
                return Err(Unavailable { dependency: "dependency", detail: "it is down".to_owned() });
            }
            Ok(copy(record))
        })
    };
    let publisher = bench.publisher();
    let send = |key: &[u8]| {
        publisher.publish_blocking(&Outgoing::new("in", Some(key.to_vec()), b"x".to_vec())).unwrap();
    };
    let member = bench.member(&config, work);
    send(b"needs it");
    // Records that get their fate without the dependency say nothing of it.
    let mut others = 0;
    wait("many tries", || {
        send(FREE);
        others += 1;
        tries.load(Ordering::Acquire) > 20
    });
    mended.store(true, Ordering::Release);
    bench.await_fates(others + 1);
    member.stop();
    assert_eq!(bench.read(&parked_topic("t")).len(), 0);
    assert_eq!(bench.read("out").len(), others + 1);
}
