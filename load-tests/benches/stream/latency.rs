//! From produce to what a read_committed reader sees, at shares of saturation.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use contracts::headers::{SOURCE_OFFSET, SOURCE_PARTITION};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, Message};
use service::Failure;

use crate::Plan;
use crate::broker::Parts;
use crate::child::Role;
use crate::input::{self, Pool};
use crate::process::Measured;
use crate::table::{Table, count, percent, quantile};
use crate::throughput::RECEIVED;

const PARTITIONS: i32 = 4;
/// Bounds of a batch: records, and milliseconds that a finished record waits.
const PASS_THROUGH: [(usize, u64); 5] = [(100, 5), (500, 5), (500, 10), (2000, 10), (2000, 50)];
const INGEST: [(usize, u64); 1] = [(500, 10)];
const SHARES: [f64; 3] = [0.1, 0.5, 0.9];
/// At saturation so many records are on their way: more than a consumer ever has in flight.
const OUTSTANDING: u64 = 20_000;
/// A consumer that lets nothing through in this time is stuck.
const START: Duration = Duration::from_secs(60);
const WARM_UP: Duration = Duration::from_secs(2);

pub(crate) fn measure(parts: &mut Parts, plan: &Plan) -> Result<String, Failure> {
    let pool = Pool::results();
    let mut table = Table::new(
        "Latency by batch, from produce to visible output, ms",
        &[
            "consumer",
            "batch records / wait ms",
            "saturation records/s",
            "load",
            "records/s",
            "p50",
            "p99",
            "greatest",
        ],
    );
    let settings = PASS_THROUGH.iter().map(|batch| (Role::PassThrough, *batch));
    for (role, batch) in settings.chain(INGEST.iter().map(|batch| (Role::Ingest, *batch))) {
        let saturation = run(parts, plan, &pool, role, batch, None)?.rate;
        for share in SHARES {
            let outcome = run(parts, plan, &pool, role, batch, Some(saturation * share))?;
            let mut latencies = outcome.latencies_ms;
            latencies.sort_by(f64::total_cmp);
            let ms = |share: f64| {
                quantile(&latencies, share).map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1}"))
            };
            println!("{} {batch:?} at {share}: p50 {} p99 {}", role.name(), ms(0.5), ms(0.99));
            table.row(&[
                role.name(),
                format!("{} / {}", batch.0, batch.1),
                count(saturation),
                percent(share),
                count(outcome.rate),
                ms(0.5),
                ms(0.99),
                ms(1.0),
            ]);
        }
    }
    Ok(table.finish(&format!(
        "{PARTITIONS} partitions, {} s each after {} s of warm-up. Saturation is measured with the feed and the reader \
         beside the consumer and the broker, {OUTSTANDING} records on their way.",
        plan.window.as_secs_f64(),
        WARM_UP.as_secs_f64()
    )))
}

struct Outcome {
    /// Records a second that came out.
    rate: f64,
    latencies_ms: Vec<f64>,
}

/// What the feed and the reader tell each other.
struct Shared {
    /// When the feed began.
    begin: Instant,
    received: AtomicU64,
    stop: AtomicBool,
}

fn run(
    parts: &mut Parts,
    plan: &Plan,
    pool: &Pool,
    role: Role,
    batch: (usize, u64),
    rate: Option<f64>,
) -> Result<Outcome, Failure> {
    let input = parts.unique("hl7.input");
    let output = if role == Role::Ingest { RECEIVED.to_owned() } else { parts.unique("output") };
    parts.create(&input, PARTITIONS)?;
    parts.create(&output, PARTITIONS)?;
    let mut options = parts.options(role, &input, &output);
    (options.batch_records, options.batch_linger_ms) = batch;
    let mut consumer = parts.spawn(&options, None)?;
    let shared = Shared { begin: Instant::now(), received: AtomicU64::new(0), stop: AtomicBool::new(false) };
    let bootstrap = parts.bootstrap();
    let outcome = std::thread::scope(|scope| {
        let feeding = scope.spawn(|| {
            let result = feed(&bootstrap, &input, pool, rate, &shared);
            shared.stop.store(true, Ordering::Release);
            result
        });
        let outcome = read(&bootstrap, &output, plan.window, rate, &shared, &mut consumer);
        shared.stop.store(true, Ordering::Release);
        feeding.join().map_err(|_| "the feed panicked")??;
        outcome
    })?;
    consumer.stop()?;
    parts.delete(&input)?;
    parts.delete(&output)?;
    Ok(outcome)
}

/// Publishes at `rate`, whether or not the consumer keeps up; or as fast as it does, with none.
fn feed(
    bootstrap: &str,
    topic: &str,
    pool: &Pool,
    rate: Option<f64>,
    shared: &Shared,
) -> Result<(), Failure> {
    let producer = input::feed(bootstrap)?;
    let mut number = 0;
    while !shared.stop.load(Ordering::Acquire) {
        let due = match rate {
            Some(rate) => (shared.begin.elapsed().as_secs_f64() * rate) as u64,
            None => shared.received.load(Ordering::Acquire) + OUTSTANDING,
        };
        while number < due && !shared.stop.load(Ordering::Acquire) {
            let (key, bytes) = pool.message(number);
            let partition = (number % PARTITIONS as u64) as i32;
            let record = BaseRecord::to(topic).partition(partition).key(key).payload(&bytes);
            input::send(&producer, record)?;
            number += 1;
        }
        producer.poll(Duration::from_millis(1));
    }
    producer.flush(Duration::from_secs(30))?;
    Ok(())
}

/// Reads what becomes visible, for `window` behind the warm-up.
fn read(
    bootstrap: &str,
    topic: &str,
    window: Duration,
    rate: Option<f64>,
    shared: &Shared,
    contender: &mut Measured,
) -> Result<Outcome, Failure> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "latency")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    reader.assign(&assignment)?;
    let deadline = Instant::now() + START;
    // Behind the first record, so that joining the group is no part of it.
    let mut measured_from: Option<Instant> = None;
    let mut counted = 0;
    let mut latencies_ms = Vec::new();
    loop {
        if measured_from.is_some_and(|from| Instant::now() >= from + window) {
            break;
        }
        let Some(message) = reader.poll(Duration::from_millis(100)) else {
            contender.alive()?;
            if Instant::now() > deadline {
                return Err("nothing comes out".into());
            }
            continue;
        };
        let message = message?;
        let now = Instant::now();
        shared.received.fetch_add(1, Ordering::AcqRel);
        let from = *measured_from.get_or_insert(now + WARM_UP);
        if now < from {
            continue;
        }
        counted += 1;
        if let Some(rate) = rate {
            let number = number(&message).ok_or("an output does not say where its input was")?;
            // When it was due, not when it was sent: a feed that is held up is late, and that counts (coordinated
            // omission).
            let due = shared.begin + Duration::from_secs_f64(number as f64 / rate);
            latencies_ms.push(now.saturating_duration_since(due).as_secs_f64() * 1000.0);
        }
    }
    Ok(Outcome { rate: f64::from(counted) / window.as_secs_f64(), latencies_ms })
}

/// The number of the input that a record was made from: the feed wrote one partition after the other.
fn number(message: &BorrowedMessage<'_>) -> Option<u64> {
    let headers = message.headers()?;
    let header = |name: &str| -> Option<i64> {
        let header = headers.iter().find(|header| header.key == name)?;
        str::from_utf8(header.value?).ok()?.parse().ok()
    };
    let (partition, offset) = (header(SOURCE_PARTITION)?, header(SOURCE_OFFSET)?);
    u64::try_from(offset * i64::from(PARTITIONS) + partition).ok()
}
