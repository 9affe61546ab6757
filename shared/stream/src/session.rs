//! A producer's transactions, and their three ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::util::Timeout;

use crate::broker::{End, Trouble};
use crate::outcome::Output;
use crate::{Config, Delivery};

/// One producer, transactional or not.
pub(crate) struct Session {
    producer: Arc<ThreadedProducer<Deliveries>>,
    calls: Calls,
    deliveries: Arc<Counters>,
    transactional: bool,
    /// How long the broker keeps a transaction open.
    patience: Duration,
}

/// Delivery reports of the records of one transaction.
struct Counters {
    delivered: AtomicUsize,
    failed: AtomicUsize,
    /// How many reports are waited for; none while nobody waits, so that most reports wake nobody.
    awaited: AtomicUsize,
    gate: Mutex<()>,
    complete: Condvar,
}

impl Counters {
    const NOBODY: usize = usize::MAX;

    fn new() -> Self {
        Self {
            delivered: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            awaited: AtomicUsize::new(Self::NOBODY),
            gate: Mutex::new(()),
            complete: Condvar::new(),
        }
    }

    fn report(&self, failed: bool) {
        if failed { &self.failed } else { &self.delivered }.fetch_add(1, Ordering::SeqCst);
        if self.reported() >= self.awaited.load(Ordering::SeqCst) {
            // Whoever waits looked with the gate in hand, or waits behind it.
            drop(self.gate.lock().unwrap_or_else(PoisonError::into_inner));
            self.complete.notify_all();
        }
    }

    fn reported(&self) -> usize {
        self.delivered.load(Ordering::SeqCst) + self.failed.load(Ordering::SeqCst)
    }

    /// Waits until all `sent` messages were reported, and tells how many failed.
    ///
    /// `flush` would do, but rust-rdkafka's looks only every 100 ms while another thread takes the reports, and that
    /// would be 100 ms a stage from the feed to the notification. librdkafka reports every message in the end: as
    /// delivered, or as failed once its timeout is over.
    fn settle(&self, sent: usize) -> usize {
        self.awaited.store(sent, Ordering::SeqCst);
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        while self.reported() < sent {
            gate = self.complete.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        self.awaited.store(Self::NOBODY, Ordering::SeqCst);
        self.delivered.store(0, Ordering::SeqCst);
        self.failed.swap(0, Ordering::SeqCst)
    }
}

#[derive(Clone)]
struct Deliveries {
    counters: Arc<Counters>,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, _reason: &str) {
        tracing::debug!(target: "kafka", %error, "producer reports");
    }
}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.counters.report(result.is_err());
    }
}

/// How long a producer's first call may take, and how long a full queue is waited for.
const CALL: Duration = Duration::from_secs(10);
/// What a call gets whose time is over before it began.
const LAST_TRY: Duration = Duration::from_secs(1);

impl Session {
    /// A producer whose predecessor of the same transactional id is fenced.
    pub(crate) fn open(config: &Config, stage: &str, transactional_id: &str) -> Result<Self, Trouble> {
        let transactional = config.delivery == Delivery::Transactional;
        let mut client = config.producer(stage);
        if transactional {
            let timeout = config.tuning.transaction_timeout.as_millis().to_string();
            client
                .set("transactional.id", transactional_id)
                .set("transaction.timeout.ms", &timeout)
                .set("message.timeout.ms", &timeout);
        } else {
            // Without a transaction to give up, a message is tried for ever: giving up on one and not on its
            // successor would let the guard of the next stage take the first for a duplicate.
            client.set("message.timeout.ms", "0");
        }
        let counters = Arc::new(Counters::new());
        let producer: ThreadedProducer<Deliveries> = config
            .overlay(client)
            .create_with_context(Deliveries { counters: counters.clone() })
            .map_err(|error| Trouble { detail: error.to_string(), refused: true })?;
        let producer = Arc::new(producer);
        let calls = Calls::start(stage, producer.clone())?;
        if transactional {
            calls.make("init_transactions", CALL, |producer| producer.init_transactions(CALL))?;
        }
        let patience = config.tuning.transaction_timeout.get();
        Ok(Self { producer, calls, deliveries: counters, transactional, patience })
    }

    /// Writes the outputs and commits the offsets, all or nothing.
    pub(crate) fn commit(
        &self,
        outputs: &[Output<'_>],
        offsets: &TopicPartitionList,
        group: &Arc<ConsumerGroupMetadata>,
    ) -> End {
        debug_assert!(self.transactional, "offsets of a plain session are committed by the consumer");
        let until = Instant::now() + self.patience;
        let left = || until.saturating_duration_since(Instant::now()).max(LAST_TRY);
        if let Err(failed) = self.calls.make("begin", left(), |producer| producer.begin_transaction()) {
            return End::Unknown(failed.into());
        }
        let (count, sent) = self.send_all(outputs);
        // What failed makes the commit fail, which says why.
        self.deliveries.settle(count);
        // librdkafka wants its callers to wait without end, for a call that times out goes on behind their back
        // (rdkafka.h, rd_kafka_commit_transaction). Once the broker has given the transaction up so does this, and
        // the producer goes.
        let result = sent
            .map_err(Failed::Kafka)
            .and_then(|()| {
                let group = Arc::clone(group);
                let offsets = offsets.clone();
                self.calls.make("send_offsets", left(), move |producer| {
                    retry(until, || producer.send_offsets_to_transaction(&offsets, &group, Timeout::Never))
                })
            })
            .and_then(|()| {
                let left = left();
                self.calls.make("commit", left, move |producer| {
                    retry(until, || producer.commit_transaction(Timeout::After(left)))
                })
            });
        match result {
            Ok(()) => End::Committed,
            Err(failed) if failed.is_abortable() => {
                let left = left();
                let aborted = self.calls.make("abort", left, move |producer| {
                    retry(until, || producer.abort_transaction(Timeout::After(left)))
                });
                match aborted {
                    Ok(()) => End::Aborted(failed.into()),
                    Err(failed) => End::Unknown(failed.into()),
                }
            }
            Err(failed) => End::Unknown(failed.into()),
        }
    }

    /// Writes the outputs and waits until the broker has them all. For a broker without transactions.
    pub(crate) fn write(&self, outputs: &[Output<'_>]) -> Result<(), Trouble> {
        let (count, sent) = self.send_all(outputs);
        let failed = self.deliveries.settle(count);
        sent.map_err(Trouble::from)?;
        if failed == 0 {
            return Ok(());
        }
        Err(Trouble { detail: format!("{failed} records were not delivered"), refused: false })
    }

    /// Hands the records to the producer. Gives how many it took, each of which will be reported.
    fn send_all(&self, outputs: &[Output<'_>]) -> (usize, Result<(), KafkaError>) {
        let deadline = Instant::now() + CALL;
        for (count, output) in outputs.iter().enumerate() {
            let mut record = record(output);
            loop {
                match self.producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                        if !self.transactional || Instant::now() < deadline =>
                    {
                        // The queue drains on the producer's own thread.
                        std::thread::sleep(Duration::from_millis(1));
                        record = back;
                    }
                    Err((error, _)) => return (count, Err(error)),
                }
            }
        }
        (outputs.len(), Ok(()))
    }
}

fn record<'a>(output: &Output<'a>) -> BaseRecord<'a, [u8], [u8]> {
    let mut headers = Some(OwnedHeaders::new_with_capacity(output.header_count()));
    output.headers(|key, value| {
        headers = headers.take().map(|headers| headers.insert(Header { key, value: Some(value) }));
    });
    let outgoing = output.outgoing;
    let mut record = BaseRecord::to(&outgoing.topic);
    if let Some(headers) = headers {
        record = record.headers(headers);
    }
    if let Some(key) = &outgoing.key {
        record = record.key(key.as_slice());
    }
    if let Some(value) = &outgoing.value {
        record = record.payload(value.as_slice());
    }
    record
}

/// Repeats a call that librdkafka says may simply be made again, for so long.
fn retry(until: Instant, mut call: impl FnMut() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    loop {
        match call() {
            Err(KafkaError::Transaction(error))
                if error.is_retriable() && !error.txn_requires_abort() && Instant::now() < until =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

/// A thread that makes the calls of transactions, so that one that does not return is not waited for without end.
///
/// `rd_kafka_send_offsets_to_transaction` passes over its timeout when the group's coordinator is away at the wrong
/// moment (librdkafka 5456, 5511). Such a call is left behind with its thread and its producer, which the next
/// producer of the same transactional id fences.
struct Calls {
    to: Sender<Call>,
    results: Receiver<Result<(), KafkaError>>,
}

type Call = Box<dyn FnOnce(&ThreadedProducer<Deliveries>) -> Result<(), KafkaError> + Send>;

/// Why a call did not do what it is for.
enum Failed {
    Kafka(KafkaError),
    /// It did not return.
    Hangs(&'static str),
}

impl Calls {
    /// What a call gets beyond its own timeout before it counts as hanging.
    const GRACE: Duration = Duration::from_secs(2);

    fn start(stage: &str, producer: Arc<ThreadedProducer<Deliveries>>) -> Result<Self, Trouble> {
        let (to, calls) = bounded::<Call>(1);
        let (results_to, results) = bounded(1);
        std::thread::Builder::new()
            .name(format!("{stage}-txn"))
            .spawn(move || {
                for call in calls {
                    if results_to.send(call(&producer)).is_err() {
                        return;
                    }
                }
            })
            .map_err(|error| Trouble { detail: error.to_string(), refused: false })?;
        Ok(Self { to, results })
    }

    fn make(
        &self,
        name: &'static str,
        timeout: Duration,
        call: impl FnOnce(&ThreadedProducer<Deliveries>) -> Result<(), KafkaError> + Send + 'static,
    ) -> Result<(), Failed> {
        if self.to.send(Box::new(call)).is_err() {
            return Err(Failed::Hangs(name));
        }
        match self.results.recv_timeout(timeout + Self::GRACE) {
            Ok(result) => result.map_err(Failed::Kafka),
            Err(_) => Err(Failed::Hangs(name)),
        }
    }
}

impl Failed {
    /// Whether the transaction is known not to have committed, and can be aborted by this producer.
    fn is_abortable(&self) -> bool {
        match self {
            Self::Kafka(KafkaError::Transaction(error)) => error.txn_requires_abort() && !error.is_fatal(),
            // Raised before anything of the commit was sent.
            Self::Kafka(KafkaError::MessageProduction(code)) => *code != RDKafkaErrorCode::Fatal,
            Self::Kafka(KafkaError::Flush(_)) => true,
            Self::Kafka(_) | Self::Hangs(_) => false,
        }
    }
}

impl From<Failed> for Trouble {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Kafka(error) => error.into(),
            Failed::Hangs(name) => Self { detail: format!("{name} does not return"), refused: false },
        }
    }
}

impl From<KafkaError> for Trouble {
    fn from(error: KafkaError) -> Self {
        Self { detail: error.to_string(), refused: is_refusal(&error) }
    }
}

/// Kafka said no, and will say no again.
fn is_refusal(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        ClusterAuthorizationFailed, FencedInstanceId, GroupAuthorizationFailed, TopicAuthorizationFailed,
        TransactionalIdAuthorizationFailed, UnsupportedVersion,
    };
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || matches!(
            error.rdkafka_error_code(),
            Some(
                ClusterAuthorizationFailed
                    | FencedInstanceId
                    | GroupAuthorizationFailed
                    | TopicAuthorizationFailed
                    | TransactionalIdAuthorizationFailed
                    | UnsupportedVersion
            )
        )
}
