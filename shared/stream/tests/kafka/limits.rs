//! Large records, and a broker that does not come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use contracts::headers::ERROR_CODE;
use contracts::{DeadLetter, dead_letter_topic};
use stream::{Codec, Error, Outgoing};

use crate::bench::{Bench, Work, copy, wait};

const MIB: usize = 1024 * 1024;

#[test]
fn a_document_of_16_mib_passes_and_a_larger_one_is_dead_lettered_by_reference() {
    let Some(bench) = Bench::start() else { return };
    bench.topics(1);
    let publisher = bench.publisher();
    let sizes = [16 * MIB - 1000, 17 * MIB, 10];
    for size in sizes {
        publisher.publish_blocking(&Outgoing::new("in", None, vec![b'x'; size])).unwrap();
    }
    let mut config = bench.config.clone();
    config.tuning.max_record_bytes = settings::ByteSize::from_mib(16);
    let member = bench.member(&config, Arc::new(|record, _| Ok(copy(record))));
    bench.await_fates(3);
    member.stop();
    let mut copied: Vec<usize> =
        bench.read("out").iter().map(|record| record.value.as_ref().map_or(0, Vec::len)).collect();
    copied.sort_unstable();
    assert_eq!(copied, [10, 16 * MIB - 1000]);
    let letters = bench.read(&dead_letter_topic("t"));
    assert_eq!(letters[0].header(ERROR_CODE), Some("STREAM-902"));
    let codec = Codec::new(&bench.registry, bench.handle.clone()).unwrap();
    let letter: DeadLetter = codec.decode(letters[0].value.as_deref()).unwrap();
    assert_eq!((letter.value, letter.source_offset), (None, 1), "the position is the reference");
}

#[test]
fn a_stage_that_cannot_commit_gives_up_and_says_so() {
    let Some(mut bench) = Bench::start() else { return };
    bench.topics(1);
    let mut config = bench.config.clone();
    config.tuning.transaction_timeout = settings::Duration::from_secs(1);
    config.tuning.commit_timeout = settings::Duration::from_secs(3);
    // The broker goes while a record is worked on, and does not come back.
    let begun = Arc::new(AtomicBool::new(false));
    let gone = Arc::new(AtomicBool::new(false));
    let work: Arc<Work> = {
        let (begun, gone) = (begun.clone(), gone.clone());
        Arc::new(move |record, _| {
            begun.store(true, Ordering::Release);
            wait("the broker to be gone", || gone.load(Ordering::Acquire));
            Ok(copy(record))
        })
    };
    let member = bench.member(&config, work);
    bench.publisher().publish_blocking(&Outgoing::new("in", None, vec![1])).unwrap();
    wait("the record to be worked on", || begun.load(Ordering::Acquire));
    bench.kafka.kill();
    gone.store(true, Ordering::Release);
    match member.end() {
        Err(Error::Stuck(bound)) => assert_eq!(bound, Duration::from_secs(3)),
        other => panic!("ended with {other:?}"),
    }
}
