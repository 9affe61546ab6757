//! Records that are written all together or not at all, by somebody who consumes nothing.

use std::time::Duration;

use rdkafka::config::FromClientConfig as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::util::Timeout;

use crate::client::KAFKA;
use crate::{Config, Error, Outgoing, Unavailable};

/// A record that goes back as it was: unlike an [`Outgoing`], with headers that have no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verbatim {
    /// Topic to write to.
    pub topic: String,
    /// Partition to write to; none means that of the key.
    pub partition: Option<i32>,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers in their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl From<Outgoing> for Verbatim {
    fn from(output: Outgoing) -> Self {
        let Outgoing { topic, key, value, headers } = output;
        Self {
            topic,
            partition: None,
            key,
            value,
            headers: headers.into_iter().map(|(name, value)| (name, Some(value))).collect(),
        }
    }
}

/// Why a transaction did not commit.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// Another process took the transactional id over: this one has written its last.
    #[error("another process with the same transactional id runs")]
    Fenced,
    /// Kafka refused, for instance for want of an authorisation. Nothing of the transaction is there.
    #[error("kafka refused: {context}")]
    Refused {
        /// What was being done.
        context: &'static str,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// Kafka does not answer. Nothing of the transaction is there.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Kafka did not say whether the transaction committed. It is there as a whole, or not at all.
    #[error("it is not known whether the last transaction committed")]
    Unknown(#[source] KafkaError),
}

/// A producer with a transactional id: of several processes that open the same one, only the last can write. Its
/// calls block: keep it on a plain thread.
pub struct TransactionalWriter {
    producer: ThreadedProducer<DefaultProducerContext>,
}

impl std::fmt::Debug for TransactionalWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransactionalWriter").finish_non_exhaustive()
    }
}

const CALL: Timeout = Timeout::After(Duration::from_secs(30));
/// Every record of a transaction is delivered within it.
const DELIVERY_MS: &str = "20000";
const TRANSACTION_MS: &str = "30000";
/// How long a full queue may take to have room again.
const QUEUE: Duration = Duration::from_millis(10);

impl TransactionalWriter {
    /// Takes the transactional id over: a transaction that another process left open is aborted, and the process
    /// fenced. What it committed before is visible to whoever reads after this call.
    ///
    /// # Errors
    /// [`Error::Client`] when a property is wrong, [`Error::Kafka`] when Kafka refuses or does not answer.
    pub fn open(config: &Config, transactional_id: &str) -> Result<Self, Error> {
        let mut client = config.producer("writer");
        client
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", TRANSACTION_MS)
            .set("message.timeout.ms", DELIVERY_MS);
        let client = config.overlay(client);
        let producer = ThreadedProducer::from_config(&client).map_err(Error::Client)?;
        producer
            .init_transactions(CALL)
            .map_err(|source| Error::Kafka { context: "take over the transactional id", source })?;
        Ok(Self { producer })
    }

    /// Writes the records in one transaction: when this returns they are all there, in their order.
    ///
    /// # Errors
    /// [`TransactionError`]; only after [`TransactionError::Unknown`] can the records be there all the same.
    pub fn write(&self, records: &[Verbatim]) -> Result<(), TransactionError> {
        self.producer.begin_transaction().map_err(|error| failed("begin a transaction", error))?;
        for record in records {
            if let Err(error) = self.send(record) {
                return Err(self.abort(failed("write a record", error)));
            }
        }
        loop {
            let Err(error) = self.producer.commit_transaction(CALL) else { return Ok(()) };
            match &error {
                KafkaError::Transaction(reason) if reason.is_retriable() => {}
                KafkaError::Transaction(reason) if reason.txn_requires_abort() => {
                    return Err(self.abort(failed("commit a transaction", error)));
                }
                // It was not sent: a record was not delivered.
                KafkaError::Flush(_) => return Err(self.abort(failed("deliver the records", error))),
                _ if is_fenced(&error) => return Err(TransactionError::Fenced),
                _ => return Err(TransactionError::Unknown(error)),
            }
        }
    }

    fn send(&self, output: &Verbatim) -> Result<(), KafkaError> {
        loop {
            let mut headers = OwnedHeaders::new_with_capacity(output.headers.len());
            for (key, value) in &output.headers {
                headers = headers.insert(Header { key, value: value.as_deref() });
            }
            let mut record = BaseRecord::<[u8], [u8]>::to(&output.topic).headers(headers);
            if let Some(partition) = output.partition {
                record = record.partition(partition);
            }
            if let Some(key) = &output.key {
                record = record.key(key.as_slice());
            }
            if let Some(value) = &output.value {
                record = record.payload(value.as_slice());
            }
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    std::thread::sleep(QUEUE);
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Aborts, and gives back why. A transaction that cannot be aborted now is aborted by the broker in time.
    fn abort(&self, why: TransactionError) -> TransactionError {
        if let Err(error) = self.producer.abort_transaction(CALL) {
            tracing::debug!(target: "kafka", %error, "transaction not aborted");
        }
        why
    }
}

fn is_fenced(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::ProducerFenced
                | RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::InvalidProducerEpoch
        )
    )
}

fn failed(context: &'static str, error: KafkaError) -> TransactionError {
    use RDKafkaErrorCode as Code;
    if is_fenced(&error) {
        return TransactionError::Fenced;
    }
    match error.rdkafka_error_code() {
        Some(
            Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::OperationTimedOut
            | Code::MessageTimedOut
            | Code::RequestTimedOut
            | Code::CoordinatorNotAvailable
            | Code::CoordinatorLoadInProgress,
        ) => TransactionError::Unavailable(Unavailable { dependency: KAFKA, detail: error.to_string() }),
        _ => TransactionError::Refused { context, source: error },
    }
}
