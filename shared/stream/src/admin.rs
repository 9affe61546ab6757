//! Topics as their contracts say.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use contracts::{Retention, Topic};
use futures::executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewPartitions, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use crate::reader::down;
use crate::{Config, Error, Unavailable, ffi};

const CALL: Duration = Duration::from_secs(30);
/// Topics of one call: a broker bounds how many configurations it gives at once.
const CALL_TOPICS: usize = 100;

/// Creates the topics that are missing; those that are there stay as they are.
///
/// # Errors
/// [`Error::Client`] for a wrong property, [`Error::Kafka`] when the broker does not answer, [`Error::Topic`] when
/// it refuses one.
pub async fn ensure_topics(config: &Config, topics: &[Topic], replication: i32) -> Result<(), Error> {
    let admin: AdminClient<DefaultClientContext> =
        config.overlay(config.client("topics")).create().map_err(Error::Client)?;
    create(&admin, config, topics, replication, None).await
}

async fn create(
    admin: &AdminClient<DefaultClientContext>,
    config: &Config,
    topics: &[Topic],
    replication: i32,
    min_insync_replicas: Option<i32>,
) -> Result<(), Error> {
    if topics.is_empty() {
        return Ok(());
    }
    let settings: Vec<_> =
        topics.iter().map(|topic| wanted_settings(config, topic, min_insync_replicas)).collect();
    let new: Vec<NewTopic<'_>> = topics
        .iter()
        .zip(&settings)
        .map(|(topic, settings)| {
            let new = NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(replication));
            settings.iter().fold(new, |new, (name, value)| new.set(name, value))
        })
        .collect();
    let results = admin
        .create_topics(&new, &options())
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

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(CALL)).request_timeout(Some(CALL))
}

type Settings = Vec<(&'static str, String)>;

/// The settings that a topic's contract fixes.
fn wanted_settings(config: &Config, topic: &Topic, min_insync_replicas: Option<i32>) -> Settings {
    let mut settings = vec![("max.message.bytes", config.message_max_bytes().to_string())];
    match topic.retention {
        Retention::For(age) => {
            settings.push(("cleanup.policy", "delete".to_owned()));
            settings.push(("retention.ms", age.as_millis().to_string()));
        }
        Retention::Compacted => settings.push(("cleanup.policy", "compact".to_owned())),
    }
    if let Some(replicas) = min_insync_replicas {
        settings.push(("min.insync.replicas", replicas.to_string()));
    }
    settings
}

/// What `topics diff` compares with and `topics apply` creates.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// The topics.
    pub topics: Vec<Topic>,
    /// Replicas of each partition.
    pub replication: i32,
    /// Replicas that must have a record before it counts as written (`min.insync.replicas`).
    pub min_insync_replicas: i32,
}

/// One thing in which a topic is not what its contract says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The topic.
    pub topic: String,
    /// What differs.
    pub aspect: Aspect,
    /// What the contract says.
    pub wanted: String,
    /// What is there; none when the topic is not there.
    pub found: Option<String>,
}

/// What can differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// The topic is not there; its number of partitions is what is wanted.
    Topic,
    /// The number of partitions.
    Partitions,
    /// The number of replicas.
    Replication,
    /// A setting, by Kafka's name.
    Setting(&'static str),
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Topic => "topic",
            Self::Partitions => "partitions",
            Self::Replication => "replication",
            Self::Setting(name) => name,
        })
    }
}

/// A client for topics. Its calls block: keep it on a plain thread.
pub struct Topics {
    admin: AdminClient<DefaultClientContext>,
    config: Config,
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics").finish_non_exhaustive()
    }
}

impl Topics {
    /// A client. Opens no connection yet.
    ///
    /// # Errors
    /// [`Error::Client`] when a property is wrong.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let admin = config.overlay(config.client("topics")).create().map_err(Error::Client)?;
        Ok(Self { admin, config: config.clone() })
    }

    /// In what the topics are not what the blueprint says, in its order; nothing when all is as it should be.
    ///
    /// # Errors
    /// [`Error::Kafka`] when the broker does not answer, [`Error::Topic`] when it does not let this principal
    /// describe one.
    pub fn differences(&self, blueprint: &Blueprint) -> Result<Vec<Difference>, Error> {
        let names: Vec<&str> = blueprint.topics.iter().map(|topic| topic.name.as_str()).collect();
        let mut found = HashMap::new();
        for names in names.chunks(CALL_TOPICS) {
            let answers = ffi::describe_topics(self.admin.inner(), names, CALL)
                .map_err(|source| Error::Kafka { context: "describe topics", source })?;
            for (topic, answer) in answers {
                match answer {
                    Ok(state) => {
                        found.insert(topic, state);
                    }
                    Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {}
                    Err(code) => return Err(Error::Topic { topic, detail: code.to_string() }),
                }
            }
        }
        let there: Vec<&str> = names.iter().copied().filter(|name| found.contains_key(*name)).collect();
        let settings = self.settings(&there)?;
        let mut differences = Vec::new();
        for topic in &blueprint.topics {
            let mut differ = |aspect, wanted: String, found: Option<String>| {
                differences.push(Difference { topic: topic.name.clone(), aspect, wanted, found });
            };
            let Some(state) = found.get(&topic.name) else {
                differ(Aspect::Topic, topic.partitions.to_string(), None);
                continue;
            };
            if usize::try_from(topic.partitions) != Ok(state.partitions) {
                differ(Aspect::Partitions, topic.partitions.to_string(), Some(state.partitions.to_string()));
            }
            if usize::try_from(blueprint.replication) != Ok(state.replicas) {
                differ(
                    Aspect::Replication,
                    blueprint.replication.to_string(),
                    Some(state.replicas.to_string()),
                );
            }
            let there = settings.get(&topic.name);
            for (name, wanted) in wanted_settings(&self.config, topic, Some(blueprint.min_insync_replicas)) {
                let value = there.and_then(|settings| settings.get(name));
                if value != Some(&wanted) {
                    differ(Aspect::Setting(name), wanted, value.cloned().or(Some(String::new())));
                }
            }
        }
        Ok(differences)
    }

    /// The settings of topics that are there, by topic and name.
    fn settings(&self, topics: &[&str]) -> Result<HashMap<String, HashMap<String, String>>, Error> {
        let mut settings = HashMap::new();
        for topics in topics.chunks(CALL_TOPICS) {
            let asked: Vec<ResourceSpecifier<'_>> =
                topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
            let answers = block_on(self.admin.describe_configs(&asked, &options()))
                .map_err(|source| Error::Kafka { context: "describe the settings of topics", source })?;
            for (answer, topic) in answers.into_iter().zip(topics) {
                let resource = answer
                    .map_err(|code| Error::Topic { topic: (*topic).to_owned(), detail: code.to_string() })?;
                let OwnedResourceSpecifier::Topic(name) = resource.specifier else { continue };
                let entries = resource.entries.into_iter();
                settings.insert(name, entries.filter_map(|entry| Some((entry.name, entry.value?))).collect());
            }
        }
        Ok(settings)
    }

    /// Creates the topics that are missing, adds partitions where there are too few, and sets the settings that
    /// differ; the other settings stay as they are. A difference that is none of these is left alone: Kafka takes no
    /// partition away, and moving replicas is the work of its reassignment tool.
    ///
    /// More partitions than before break the order of each key that then goes elsewhere: pass the differences of
    /// [`Aspect::Partitions`] only when nothing depends on it.
    ///
    /// # Errors
    /// [`Error::Kafka`] when the broker does not answer, [`Error::Topic`] when it refuses one. What was done before
    /// stays, and a second call goes on from there.
    pub fn apply(&self, blueprint: &Blueprint, differences: &[Difference]) -> Result<(), Error> {
        let of = |aspect: Aspect| {
            blueprint.topics.iter().filter(move |topic| {
                differences.iter().any(|found| found.aspect == aspect && found.topic == topic.name)
            })
        };
        let missing: Vec<Topic> = of(Aspect::Topic).cloned().collect();
        let min_insync_replicas = Some(blueprint.min_insync_replicas);
        block_on(create(&self.admin, &self.config, &missing, blueprint.replication, min_insync_replicas))?;
        let more: Vec<NewPartitions<'_>> = of(Aspect::Partitions)
            .filter_map(|topic| {
                Some(NewPartitions::new(&topic.name, usize::try_from(topic.partitions).ok()?))
            })
            .collect();
        if !more.is_empty() {
            let results = block_on(self.admin.create_partitions(&more, &options()))
                .map_err(|source| Error::Kafka { context: "add partitions", source })?;
            for result in results {
                result.map_err(|(topic, code)| Error::Topic { topic, detail: code.to_string() })?;
            }
        }
        let mut changes: BTreeMap<&str, Vec<(&str, String)>> = BTreeMap::new();
        for Difference { topic, aspect, wanted, .. } in differences {
            if let Aspect::Setting(name) = aspect {
                changes.entry(topic).or_default().push((name, wanted.clone()));
            }
        }
        let changes: Vec<_> = changes.into_iter().collect();
        for changes in changes.chunks(CALL_TOPICS) {
            let answers = ffi::alter_topics(self.admin.inner(), changes, CALL)
                .map_err(|source| Error::Kafka { context: "change the settings of topics", source })?;
            for (topic, answer) in answers {
                answer.map_err(|code| Error::Topic { topic, detail: code.to_string() })?;
            }
        }
        Ok(())
    }
}

/// Ids of the brokers that are in service, as one of them sees it: without those that the cluster has given up. Blocks.
///
/// # Errors
/// [`Unavailable`] when no broker answers.
pub fn brokers(config: &Config) -> Result<BTreeSet<i32>, Unavailable> {
    let client: BaseConsumer = config.overlay(config.client("brokers")).create().map_err(down)?;
    let metadata = client.fetch_metadata(None, CALL).map_err(down)?;
    Ok(metadata.brokers().iter().map(|broker| broker.id()).collect())
}

/// First offset kept and one past the last, by topic and partition.
pub type Watermarks = BTreeMap<(String, i32), (i64, i64)>;

/// The watermarks of every partition of every topic. Blocks.
///
/// # Errors
/// [`Unavailable`] when the broker does not answer.
pub fn watermarks(config: &Config) -> Result<Watermarks, Unavailable> {
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
