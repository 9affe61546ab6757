//! The parts that are there for every run: Kafka, the schema registry, topics.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use local_kafka::LocalKafka;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use service::Failure;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use wardstream_load_tests::drill::Registry;

use crate::{pass_through, process};

const CALL: Duration = Duration::from_secs(30);

/// A broker and a registry of their own.
pub(crate) struct Parts {
    kafka: LocalKafka,
    pub(crate) registry: Registry,
    admin: AdminClient<DefaultClientContext>,
    pub(crate) folder: TempDir,
    pub(crate) runtime: Runtime,
    /// Process id of the broker.
    pub(crate) broker: u32,
    log: PathBuf,
    runs: usize,
}

impl Parts {
    /// Starts them; none where the environment names no Kafka.
    pub(crate) fn start() -> Result<Option<Self>, Failure> {
        let Some(kafka) = LocalKafka::from_env_as_shipped()? else { return Ok(None) };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let registry = Registry::start(runtime.handle())?;
        let admin = ClientConfig::new().set("bootstrap.servers", kafka.bootstrap_servers()).create()?;
        let (broker, words) =
            process::child_with("kafka.Kafka").ok_or("the broker's process is not there")?;
        let properties = words.iter().find(|word| word.ends_with("server.properties"));
        let properties = std::fs::read_to_string(properties.ok_or("the broker has no properties")?)?;
        let log = properties.lines().find_map(|line| line.strip_prefix("log.dirs="));
        let log = PathBuf::from(log.ok_or("the broker's properties name no log.dirs")?);
        Ok(Some(Self {
            kafka,
            registry,
            admin,
            folder: TempDir::with_prefix("wardstream-bench-")?,
            runtime,
            broker,
            log,
            runs: 0,
        }))
    }

    pub(crate) fn bootstrap(&self) -> String {
        self.kafka.bootstrap_servers()
    }

    /// A name that no other run has.
    pub(crate) fn unique(&mut self, name: &str) -> String {
        self.runs += 1;
        format!("{name}-{}", self.runs)
    }

    /// Makes a topic; one of this name that is being deleted is waited for.
    pub(crate) fn create(&self, topic: &str, partitions: i32) -> Result<(), Failure> {
        let deadline = Instant::now() + CALL;
        loop {
            let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1))
                .set("retention.ms", "-1")
                .set("max.message.bytes", "17825792");
            let created = self.runtime.block_on(self.admin.create_topics([&new], &AdminOptions::new()))?;
            match created.into_iter().next() {
                Some(Ok(_)) => break,
                Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Some(Err((_, code))) => return Err(format!("{topic}: {code}").into()),
                None => return Err(format!("{topic}: no answer").into()),
            }
        }
        // A client that asks before the broker knows of its leaders would wait for its next look at the metadata.
        let consumer = self.consumer("metadata")?;
        while Instant::now() < deadline {
            let metadata = consumer.fetch_metadata(Some(topic), CALL)?;
            let partition = |topic: &rdkafka::metadata::MetadataTopic| {
                topic.partitions().len() == partitions as usize
                    && topic.partitions().iter().all(|partition| partition.leader() >= 0)
            };
            if metadata.topics().iter().all(partition) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{topic}: no leaders").into())
    }

    /// The topics that a stage needs beside its input and its output.
    pub(crate) fn create_aside(&self) -> Result<(), Failure> {
        for stage in [pass_through::NAME, ingest::NAME, validate::NAME] {
            self.create(&contracts::parked_topic(stage), 1)?;
            self.create(&contracts::dead_letter_topic(stage), 1)?;
        }
        self.create("line.dropped", 1)
    }

    pub(crate) fn delete(&self, topic: &str) -> Result<(), Failure> {
        let deleted = self.runtime.block_on(self.admin.delete_topics(&[topic], &AdminOptions::new()))?;
        for result in deleted {
            result.map_err(|(topic, code)| format!("{topic}: {code}"))?;
        }
        Ok(())
    }

    /// A consumer that only asks. It sees offsets that a transaction is about to commit as they were before, where one
    /// with read_committed would wait for its end.
    fn consumer(&self, group: &str) -> Result<BaseConsumer, Failure> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap())
            .set("group.id", group)
            .set("isolation.level", "read_uncommitted")
            .set("enable.auto.commit", "false")
            .create()?;
        Ok(consumer)
    }

    /// Counts what a group has committed of a topic.
    pub(crate) fn committed(&self, group: &str, topic: &str, partitions: i32) -> Result<Committed, Failure> {
        Ok(Committed { consumer: self.consumer(group)?, topic: topic.to_owned(), partitions })
    }

    /// Offsets used in a topic, control records included.
    pub(crate) fn written(&self, topic: &str, partitions: i32) -> Result<Written, Failure> {
        Ok(Written { consumer: self.consumer("written")?, topic: topic.to_owned(), partitions })
    }

    /// Leaves one core to what is measured: the broker moves to the others.
    pub(crate) fn keep_broker_off(&self, core: usize, cores: usize) -> Result<(), Failure> {
        let others: Vec<String> =
            (0..cores).filter(|other| *other != core).map(|other| other.to_string()).collect();
        let status = Command::new("taskset")
            .args(["-a", "-c", "-p", &others.join(","), &self.broker.to_string()])
            .stdout(Stdio::null())
            .status()?;
        if status.success() { Ok(()) } else { Err(format!("taskset ended with {status}").into()) }
    }

    /// Bytes of a topic's segments on disk.
    pub(crate) fn bytes_on_disk(&self, topic: &str, partitions: i32) -> Result<u64, Failure> {
        let mut bytes = 0;
        for partition in 0..partitions {
            for entry in std::fs::read_dir(self.log.join(format!("{topic}-{partition}")))? {
                let entry = entry?;
                if entry.path().extension().is_some_and(|extension| extension == "log") {
                    bytes += entry.metadata()?.len();
                }
            }
        }
        Ok(bytes)
    }
}

/// Something that only grows while a measured process works.
pub(crate) trait Progress {
    /// Records so far.
    fn records(&self) -> Result<u64, Failure>;
}

pub(crate) struct Committed {
    consumer: BaseConsumer,
    topic: String,
    partitions: i32,
}

impl Committed {
    /// The committed offset of each partition.
    pub(crate) fn offsets(&self) -> Result<Vec<i64>, Failure> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.topic, 0, self.partitions - 1);
        let committed = self.consumer.committed_offsets(asked, CALL)?;
        Ok(committed
            .elements()
            .iter()
            .map(|element| match element.offset() {
                Offset::Offset(offset) => offset,
                _ => 0,
            })
            .collect())
    }
}

impl Progress for Committed {
    fn records(&self) -> Result<u64, Failure> {
        Ok(self.offsets()?.iter().sum::<i64>().unsigned_abs())
    }
}

pub(crate) struct Written {
    consumer: BaseConsumer,
    topic: String,
    partitions: i32,
}

impl Written {
    /// One past the last offset of each partition.
    pub(crate) fn ends(&self) -> Result<Vec<i64>, Failure> {
        (0..self.partitions)
            .map(|partition| Ok(self.consumer.fetch_watermarks(&self.topic, partition, CALL)?.1))
            .collect()
    }
}

impl Progress for Written {
    fn records(&self) -> Result<u64, Failure> {
        Ok(self.ends()?.iter().sum::<i64>().unsigned_abs())
    }
}
