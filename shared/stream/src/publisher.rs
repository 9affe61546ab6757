use std::time::Duration;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use tokio::runtime::Handle;

use crate::client::KAFKA;
use crate::{Config, Error, Outgoing, Unavailable};

/// A producer for doors and ledgers: a record is there for good when the call returns.
///
/// Idempotent, acknowledged by all in-sync replicas, outside any transaction.
#[derive(Clone)]
pub struct Publisher {
    producer: FutureProducer,
    runtime: Handle,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}

/// Partition and offset of a record that was written.
type Position = (i32, i64);

impl Publisher {
    /// A producer of this name; connects in the background.
    ///
    /// # Errors
    /// [`Error::Client`] when a property is wrong.
    pub fn new(name: &str, config: &Config, runtime: Handle) -> Result<Self, Error> {
        let mut client = config.producer(name);
        client.set("message.timeout.ms", "30000");
        let producer = config.overlay(client).create().map_err(Error::Client)?;
        Ok(Self { producer, runtime })
    }

    /// Writes a record and waits for the acknowledgement.
    ///
    /// # Errors
    /// [`Unavailable`] when the broker did not acknowledge within 30 s. The record may be there all the same.
    pub async fn publish(&self, output: &Outgoing) -> Result<Position, Unavailable> {
        let mut headers = OwnedHeaders::new_with_capacity(output.headers.len());
        for (key, value) in &output.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let mut record = FutureRecord::<[u8], [u8]>::to(&output.topic).headers(headers);
        if let Some(key) = &output.key {
            record = record.key(key.as_slice());
        }
        if let Some(value) = &output.value {
            record = record.payload(value.as_slice());
        }
        match self.producer.send(record, Timeout::After(Duration::from_secs(30))).await {
            Ok(delivery) => Ok((delivery.partition, delivery.offset)),
            Err((error, _)) => Err(Unavailable { dependency: KAFKA, detail: error.to_string() }),
        }
    }

    /// [`publish`](Self::publish) from a plain thread.
    ///
    /// # Errors
    /// As `publish`.
    pub fn publish_blocking(&self, output: &Outgoing) -> Result<Position, Unavailable> {
        self.runtime.block_on(self.publish(output))
    }
}
