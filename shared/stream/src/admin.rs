//! Topics as their contracts say.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::{Retention, Topic};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use crate::client::KAFKA;
use crate::{Config, Error, Unavailable};

const CALL: Duration = Duration::from_secs(30);

/// Creates the topics that are missing; those that are there stay as they are.
///
/// # Errors
/// [`Error::Client`] for a wrong property, [`Error::Kafka`] when the broker does not answer, [`Error::Topic`] when
/// it refuses one.
pub async fn ensure_topics(config: &Config, topics: &[Topic], replication: i32) -> Result<(), Error> {
    let admin: AdminClient<DefaultClientContext> =
        config.overlay(config.client("topics")).create().map_err(Error::Client)?;
    let max_bytes = config.message_max_bytes().to_string();
    let retentions: Vec<Option<String>> = topics
        .iter()
        .map(|topic| match topic.retention {
            Retention::For(age) => Some(age.as_millis().to_string()),
            Retention::Compacted => None,
        })
        .collect();
    let new: Vec<NewTopic<'_>> = topics
        .iter()
        .zip(&retentions)
        .map(|(topic, retention)| {
            let new = NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(replication))
                .set("max.message.bytes", &max_bytes);
            match retention {
                Some(age) => new.set("retention.ms", age),
                None => new.set("cleanup.policy", "compact"),
            }
        })
        .collect();
    let results = admin
        .create_topics(&new, &AdminOptions::new().operation_timeout(Some(CALL)).request_timeout(Some(CALL)))
        .await
        .map_err(|source| Error::Kafka { context: "create topics", source })?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(Error::Topic { topic, detail: code.to_string() }),
        }
    }
    Ok(())
}

/// First offset kept and one past the last, by topic and partition.
pub type Watermarks = BTreeMap<(String, i32), (i64, i64)>;

/// The watermarks of every partition of every topic. Blocks.
///
/// # Errors
/// [`Unavailable`] when the broker does not answer.
pub fn watermarks(config: &Config) -> Result<Watermarks, Unavailable> {
    let down =
        |error: rdkafka::error::KafkaError| Unavailable { dependency: KAFKA, detail: error.to_string() };
    let consumer: BaseConsumer = config.overlay(config.client("watermarks")).create().map_err(down)?;
    let metadata = consumer.fetch_metadata(None, CALL).map_err(down)?;
    let mut marks = BTreeMap::new();
    for topic in metadata.topics().iter().filter(|topic| !topic.name().starts_with("__")) {
        for partition in topic.partitions() {
            let range = consumer.fetch_watermarks(topic.name(), partition.id(), CALL).map_err(down)?;
            marks.insert((topic.name().to_owned(), partition.id()), range);
        }
    }
    Ok(marks)
}
