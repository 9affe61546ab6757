//! A producer's transactions, and their three ends.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    producer: ThreadedProducer<Deliveries>,
    deliveries: Arc<Counters>,
    transactional: bool,
    /// How long the broker keeps a transaction open.
    patience: Duration,
}

/// Delivery reports of what was sent and not waited for yet.
#[derive(Default)]
struct Counters {
    reports: Mutex<Reports>,
    changed: Condvar,
}

#[derive(Default)]
struct Reports {
    sent: usize,
    delivered: usize,
    failed: usize,
}

impl Counters {
    fn change(&self, change: impl FnOnce(&mut Reports)) {
        change(&mut self.reports.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until every message was reported, and tells how many failed.
    ///
    /// `flush` would do, but rust-rdkafka's looks only every 100 ms while another thread takes the reports, and that
    /// would be 100 ms a stage from the feed to the notification. librdkafka reports every message in the end: as
    /// delivered, or as failed once its timeout is over.
    fn settle(&self) -> usize {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        while reports.delivered + reports.failed < reports.sent {
            reports = self.changed.wait(reports).unwrap_or_else(PoisonError::into_inner);
        }
        let failed = reports.failed;
        *reports = Reports::default();
        failed
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
        let failed = result.is_err();
        self.counters.change(|reports| if failed { reports.failed += 1 } else { reports.delivered += 1 });
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
        let counters = Arc::new(Counters::default());
        let producer: ThreadedProducer<Deliveries> = config
            .overlay(client)
            .create_with_context(Deliveries { counters: counters.clone() })
            .map_err(|error| Trouble { detail: error.to_string(), refused: true })?;
        if transactional {
            producer.init_transactions(CALL)?;
        }
        let patience = config.tuning.transaction_timeout.get();
        Ok(Self { producer, deliveries: counters, transactional, patience })
    }

    /// Writes the outputs and commits the offsets, all or nothing.
    pub(crate) fn commit(
        &self,
        outputs: &[Output<'_>],
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
    ) -> End {
        debug_assert!(self.transactional, "offsets of a plain session are committed by the consumer");
        if let Err(error) = self.producer.begin_transaction() {
            return End::Unknown(error.into());
        }
        let until = Instant::now() + self.patience;
        let sent = self.send_all(outputs);
        // What failed makes the commit fail, which says why.
        self.deliveries.settle();
        // librdkafka wants its callers to wait without end, for a call that times out goes on behind their back
        // (rdkafka.h, rd_kafka_commit_transaction); but it has been seen to wait for an answer that never came, after
        // a broker was killed. Once the broker has given the transaction up, so does this: the producer goes.
        let left = || Timeout::After(until.saturating_duration_since(Instant::now()).max(LAST_TRY));
        let result = sent
            .and_then(|()| retry(until, || self.producer.send_offsets_to_transaction(offsets, group, left())))
            .and_then(|()| retry(until, || self.producer.commit_transaction(left())));
        match result {
            Ok(()) => End::Committed,
            Err(error) if abortable(&error) => {
                match retry(until, || self.producer.abort_transaction(left())) {
                    Ok(()) => End::Aborted(error.into()),
                    Err(error) => End::Unknown(error.into()),
                }
            }
            Err(error) => End::Unknown(error.into()),
        }
    }

    /// Writes the outputs and waits until the broker has them all. For a broker without transactions.
    pub(crate) fn write(&self, outputs: &[Output<'_>]) -> Result<(), Trouble> {
        let sent = self.send_all(outputs);
        let failed = self.deliveries.settle();
        sent?;
        if failed == 0 {
            return Ok(());
        }
        Err(Trouble { detail: format!("{failed} records were not delivered"), refused: false })
    }

    fn send_all(&self, outputs: &[Output<'_>]) -> Result<(), KafkaError> {
        let deadline = Instant::now() + CALL;
        for output in outputs {
            let mut record = record(output);
            loop {
                // Counted before it is sent: its report may come before this thread goes on.
                self.deliveries.change(|reports| reports.sent += 1);
                match self.producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                        if !self.transactional || Instant::now() < deadline =>
                    {
                        self.deliveries.change(|reports| reports.sent -= 1);
                        // The queue drains on the producer's own thread.
                        std::thread::sleep(Duration::from_millis(1));
                        record = back;
                    }
                    Err((error, _)) => {
                        self.deliveries.change(|reports| reports.sent -= 1);
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
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

/// Whether the transaction is known not to have committed, and can be aborted by this producer.
fn abortable(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => error.txn_requires_abort() && !error.is_fatal(),
        // Raised before anything of the commit was sent.
        KafkaError::MessageProduction(code) => *code != RDKafkaErrorCode::Fatal,
        KafkaError::Flush(_) => true,
        _ => false,
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
