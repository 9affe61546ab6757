//! What goes in: laboratory results of the synthetic hospital, about 1.3 KB each, no two alike.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use service::Failure;
use wardstream_load_tests::{Config, Feed, FeedMessage, Kind};

/// Messages that are made; beyond them they come again with another control id.
const POOL: usize = 5000;

/// A pool of messages.
pub(crate) struct Pool {
    messages: Vec<FeedMessage>,
}

impl Pool {
    /// Laboratory results (ORU^R01) only, none of them damaged, of some hundreds of patients.
    pub(crate) fn results() -> Self {
        let config = Config { damage_rate: 0.0, patients: 1000, ..Config::default() };
        let results = Feed::new(config).filter(|message| message.truth.kind == Kind::LabResult);
        Self { messages: results.take(POOL).collect() }
    }

    /// Mean size of a message, bytes.
    pub(crate) fn mean_bytes(&self) -> f64 {
        self.messages.iter().map(|message| message.bytes.len()).sum::<usize>() as f64
            / self.messages.len() as f64
    }

    /// The key and the bytes of the message of this number; its control id (MSH-10) is the number.
    pub(crate) fn message(&self, number: u64) -> (&[u8], Vec<u8>) {
        let message = &self.messages[number as usize % self.messages.len()];
        (&message.key, renumbered(&message.bytes, number))
    }

    /// Writes `count` messages as a feed would, and waits until they are there.
    pub(crate) fn load(&self, bootstrap: &str, topic: &str, count: u64) -> Result<(), Failure> {
        let producer = feed(bootstrap)?;
        for number in 0..count {
            let (key, bytes) = self.message(number);
            send(&producer, BaseRecord::to(topic).key(key).payload(&bytes))?;
        }
        producer.flush(Duration::from_secs(120))?;
        Ok(())
    }
}

/// A producer such as a feed has.
pub(crate) fn feed(bootstrap: &str) -> Result<BaseProducer, Failure> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("compression.type", "lz4")
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "5")
        .set("queue.buffering.max.kbytes", "65536")
        .create()?)
}

/// Hands a record to the producer; while its queue is full, its reports are taken.
pub(crate) fn send(producer: &BaseProducer, record: BaseRecord<'_, [u8], Vec<u8>>) -> Result<(), Failure> {
    let mut record = record;
    while let Err((error, back)) = producer.send(record) {
        if error.rdkafka_error_code() != Some(rdkafka::types::RDKafkaErrorCode::QueueFull) {
            return Err(error.into());
        }
        producer.poll(Duration::from_millis(1));
        record = back;
    }
    producer.poll(Duration::ZERO);
    Ok(())
}

/// The message with another MSH-10.
fn renumbered(bytes: &[u8], number: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 8);
    // MSH-1 is the separator itself, so MSH-10 is behind the ninth.
    let mut separators = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'|').map(|(at, _)| at);
    if let (Some(ninth), Some(tenth)) = (separators.nth(8), separators.next()) {
        out.extend_from_slice(&bytes[..=ninth]);
        out.extend_from_slice(format!("B{number:09}").as_bytes());
        out.extend_from_slice(&bytes[tenth..]);
    }
    out
}
