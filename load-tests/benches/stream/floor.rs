//! The floor: what the broker gives to a careful program on rdkafka that does nothing else.
//!
//! Same consumer and producer properties as `shared/stream`, same bounds on a batch. It is the fastest of the loops that
//! were tried, and what makes it so is worth knowing:
//!
//! - It waits for delivery reports itself. rust-rdkafka's `flush`, which its `commit_transaction` calls first, sleeps
//!   100 ms at a time unless nothing is left to flush.
//! - It begins when the batch is there. The broker ends a transaction in the background, and answers
//!   `CONCURRENT_TRANSACTIONS` to a next one that comes too soon; librdkafka then waits 20 ms.
//! - It sends the offsets behind the records: the same answer to them makes librdkafka wait `retry.backoff.ms`, 100 ms.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{
    BaseProducer, BaseRecord, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer,
};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, Message};
use service::Failure;
use tokio_util::sync::CancellationToken;

use crate::child::Options;
use crate::input::Pool;

const CALL: Duration = Duration::from_secs(30);

/// Delivery reports of the transaction that is open.
#[derive(Default)]
struct Reports {
    reported: AtomicUsize,
    wanted: Mutex<Option<usize>>,
    settled: Condvar,
}

#[derive(Clone, Default)]
struct Deliveries(Arc<Reports>);

impl ClientContext for Deliveries {}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, _result: &DeliveryResult<'_>, (): ()) {
        let reported = self.0.reported.fetch_add(1, Ordering::AcqRel) + 1;
        // Only the last report wakes the waiting thread. What failed makes the commit fail.
        let wanted = self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if *wanted == Some(reported) {
            self.0.settled.notify_one();
        }
    }
}

/// What rust-rdkafka's `send` gives: the record comes back with the error.
type Enqueued<'a> = Result<(), (KafkaError, BaseRecord<'a, [u8], [u8]>)>;

/// The two producers of rust-rdkafka that can be polled without a runtime.
trait Sender: Producer<Deliveries, NoCustomPartitioner> {
    #[expect(clippy::result_large_err, reason = "the shape of rust-rdkafka's own `send`")]
    fn enqueue<'a>(&self, record: BaseRecord<'a, [u8], [u8]>) -> Enqueued<'a>;
    /// Takes reports.
    fn serve(&self);
    /// Waits until everything sent is reported.
    fn settle(&self, reports: &Reports, sent: usize);
}

impl Sender for BaseProducer<Deliveries> {
    fn enqueue<'a>(&self, record: BaseRecord<'a, [u8], [u8]>) -> Enqueued<'a> {
        self.send(record)
    }

    fn serve(&self) {
        self.poll(Duration::ZERO);
    }

    fn settle(&self, reports: &Reports, sent: usize) {
        while reports.reported.load(Ordering::Acquire) < sent {
            // It polls for all of its timeout, so that must be short.
            self.poll(Duration::from_micros(200));
        }
        reports.reported.store(0, Ordering::Release);
    }
}

impl Sender for ThreadedProducer<Deliveries> {
    fn enqueue<'a>(&self, record: BaseRecord<'a, [u8], [u8]>) -> Enqueued<'a> {
        self.send(record)
    }

    fn serve(&self) {}

    fn settle(&self, reports: &Reports, sent: usize) {
        let mut wanted = reports.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        *wanted = Some(sent);
        while reports.reported.load(Ordering::Acquire) < sent {
            wanted = reports.settled.wait(wanted).unwrap_or_else(PoisonError::into_inner);
        }
        *wanted = None;
        reports.reported.store(0, Ordering::Release);
    }
}

/// The properties of a producer of `shared/stream`.
fn producer(options: &Options) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "1")
        .set("compression.type", &options.compression)
        .set("message.max.bytes", "17825792")
        .set("queue.buffering.max.kbytes", "65536");
    config
}

/// The properties of a consumer of `shared/stream`.
fn consumer(options: &Options) -> Result<BaseConsumer, Failure> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &options.bootstrap)
        .set("group.id", &options.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", "30000")
        .set("max.poll.interval.ms", "300000")
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.message.max.bytes", "17825792")
        .set("fetch.wait.max.ms", "100")
        .set("message.max.bytes", "17825792")
        .create()?;
    consumer.subscribe(&[&options.input])?;
    Ok(consumer)
}

/// Writes laboratory results without a pause, outside any transaction.
pub(crate) fn produce(options: &Options, shutdown: &CancellationToken) -> Result<(), Failure> {
    let producer = BaseProducer::from_config_and_context(&producer(options), Deliveries::default())?;
    let pool = Pool::results();
    let messages: Vec<_> = (0..5000).map(|number| pool.message(number)).collect();
    for (key, value) in messages.iter().cycle() {
        if shutdown.is_cancelled() {
            break;
        }
        send(&producer, BaseRecord::<[u8], [u8]>::to(&options.output).key(*key).payload(value))?;
        producer.serve();
    }
    producer.flush(CALL)?;
    Ok(())
}

pub(crate) fn copy_base(options: &Options, shutdown: &CancellationToken) -> Result<(), Failure> {
    copy::<BaseProducer<Deliveries>>(options, shutdown)
}

pub(crate) fn copy_threaded(options: &Options, shutdown: &CancellationToken) -> Result<(), Failure> {
    copy::<ThreadedProducer<Deliveries>>(options, shutdown)
}

/// Copies from topic to topic, a transaction a batch.
fn copy<P: Sender + FromClientConfigAndContext<Deliveries>>(
    options: &Options,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    let consumer = consumer(options)?;
    let deliveries = Deliveries::default();
    let mut config = producer(options);
    config
        .set("transactional.id", &options.group)
        .set("transaction.timeout.ms", "15000")
        .set("message.timeout.ms", "15000");
    let producer = P::from_config_and_context(&config, deliveries.clone())?;
    producer.init_transactions(CALL)?;
    let linger = Duration::from_millis(options.batch_linger_ms);
    while !shutdown.is_cancelled() {
        let Some(first) = consumer.poll(Duration::from_millis(100)) else { continue };
        let until = Instant::now() + linger;
        let mut batch = vec![first?];
        while batch.len() < options.batch_records {
            match consumer.poll(until.saturating_duration_since(Instant::now())) {
                Some(message) => batch.push(message?),
                None => break,
            }
        }
        producer.begin_transaction()?;
        let mut next: Vec<(i32, i64)> = Vec::new();
        for message in &batch {
            let mut record = BaseRecord::<[u8], [u8]>::to(&options.output);
            record.key = message.key();
            record.payload = message.payload();
            record.headers = message.headers().map(rdkafka::message::BorrowedHeaders::detach);
            send(&producer, record)?;
            let offset = message.offset() + 1;
            match next.iter_mut().find(|(partition, _)| *partition == message.partition()) {
                Some(entry) => entry.1 = offset,
                None => next.push((message.partition(), offset)),
            }
        }
        let mut offsets = TopicPartitionList::with_capacity(next.len());
        for (partition, offset) in next {
            offsets.add_partition_offset(&options.input, partition, Offset::Offset(offset))?;
        }
        producer.settle(&deliveries.0, batch.len());
        let group = consumer.group_metadata().ok_or("the consumer is in no group")?;
        producer.send_offsets_to_transaction(&offsets, &group, CALL)?;
        producer.commit_transaction(Timeout::Never)?;
    }
    Ok(())
}

fn send<P: Sender>(producer: &P, record: BaseRecord<'_, [u8], [u8]>) -> Result<(), Failure> {
    let mut record = record;
    while let Err((error, back)) = producer.enqueue(record) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
            return Err(error.into());
        }
        producer.serve();
        std::thread::yield_now();
        record = back;
    }
    Ok(())
}
