//! Brokers and members for the tests.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use contracts::{Retention, Topic};
use krafka::testing::FakeBroker;
use local_kafka::LocalKafka;
use telemetry::{Health, Metrics};
use tokio_util::sync::CancellationToken;
use wardstream_stream::{
    Codec, Config, Delivery, Error, Incoming, Observer, Outgoing, Publisher, RegistryConfig, Runtime, Stage,
    Tail, TailEvent,
};

enum Kind {
    Kafka(LocalKafka),
    Embedded(FakeBroker),
}

/// A broker with a schema registry beside it.
pub(crate) struct Broker {
    kind: Kind,
    runtime: tokio::runtime::Runtime,
    registry: String,
    registry_stop: CancellationToken,
}

impl Broker {
    pub(crate) fn kafka() -> Option<Self> {
        match LocalKafka::from_env().unwrap() {
            Some(kafka) => Some(Self::with(|_| Kind::Kafka(kafka))),
            None => {
                println!("skipped: {} is not set, so nothing ran on Apache Kafka", local_kafka::LIBS);
                None
            }
        }
    }

    pub(crate) fn embedded() -> Self {
        Self::with(|runtime| Kind::Embedded(runtime.block_on(FakeBroker::start()).unwrap()))
    }

    fn with(kind: impl FnOnce(&tokio::runtime::Runtime) -> Kind) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let registry = format!("http://{}", listener.local_addr().unwrap());
        let registry_stop = CancellationToken::new();
        runtime.spawn(schema_registry::serve(listener, contracts::subjects(), registry_stop.clone()));
        Self { kind: kind(&runtime), runtime, registry, registry_stop }
    }

    pub(crate) fn config(&self, delivery: Delivery) -> Config {
        let bootstrap_servers = match &self.kind {
            Kind::Kafka(kafka) => kafka.bootstrap_servers(),
            Kind::Embedded(broker) => broker.bootstrap_servers(),
        };
        Config { bootstrap_servers, delivery, ..Config::default() }
    }

    pub(crate) fn create(&self, topics: &[(&str, i32)]) {
        let topics: Vec<Topic> = topics
            .iter()
            .map(|(name, partitions)| Topic {
                name: (*name).to_owned(),
                partitions: *partitions,
                retention: Retention::For(Duration::from_secs(3600)),
                owner: "test",
                phi: false,
                schema: None,
            })
            .collect();
        self.runtime
            .block_on(wardstream_stream::ensure_topics(&self.config(Delivery::default()), &topics, 1))
            .unwrap();
    }

    pub(crate) fn publish(&self, topic: &str, records: impl IntoIterator<Item = (String, String)>) {
        let publisher =
            Publisher::new("test", &self.config(Delivery::default()), self.runtime.handle().clone()).unwrap();
        self.runtime.block_on(async {
            let sends: Vec<_> = records
                .into_iter()
                .map(|(key, value)| {
                    let publisher = publisher.clone();
                    let output = Outgoing::new(topic, Some(key.into_bytes()), value.into_bytes());
                    async move { publisher.publish(&output).await.unwrap() }
                })
                .collect();
            futures::future::join_all(sends).await;
        });
    }

    /// Reads the topic until it has this many committed records.
    pub(crate) fn wait_for(&self, topic: &str, count: usize) -> Vec<Incoming> {
        let mut reader = Reader::new(self, topic);
        let deadline = Instant::now() + Duration::from_secs(90);
        while reader.records.len() < count {
            assert!(Instant::now() < deadline, "{topic} has {} of {count} records", reader.records.len());
            reader.poll(Duration::from_millis(200));
        }
        reader.records
    }

    pub(crate) fn kill_and_resume(&mut self) {
        match &mut self.kind {
            Kind::Kafka(kafka) => {
                kafka.kill();
                kafka.resume().unwrap();
            }
            Kind::Embedded(_) => unreachable!("the embedded broker ends with its process"),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.registry_stop.cancel();
    }
}

struct Reader {
    tail: Tail,
    records: Vec<Incoming>,
}

impl Reader {
    fn new(broker: &Broker, topic: &str) -> Self {
        let config =
            Config { group_id: uuid::Uuid::new_v4().to_string(), ..broker.config(Delivery::default()) };
        let observer = Observer::new("reader", Metrics::new().stage("reader"), Health::new());
        Self { tail: Tail::new("reader", &[topic], &[], &config, &observer).unwrap(), records: Vec::new() }
    }

    fn poll(&mut self, timeout: Duration) -> bool {
        match self.tail.poll(timeout).unwrap() {
            Some(TailEvent::Record(record)) => {
                self.records.push(record);
                true
            }
            Some(_) => true,
            None => false,
        }
    }
}

/// Everything a read_committed reader sees, up to the end of the log, in the order of each partition.
pub(crate) fn read_all(broker: &Broker, topic: &str) -> Vec<Incoming> {
    let ends = wardstream_stream::watermarks(&broker.config(Delivery::default())).unwrap();
    let mut reader = Reader::new(broker, topic);
    // A sentinel behind everything else in each partition marks the end that control records hide.
    let partitions = ends.keys().filter(|(name, _)| name == topic).count();
    let mut sentinels = 0;
    let publisher =
        Publisher::new("sentinel", &broker.config(Delivery::default()), broker.runtime.handle().clone())
            .unwrap();
    let mut keys = (0..).map(|n| format!("sentinel-{n}"));
    let mut marked = std::collections::HashSet::new();
    while marked.len() < partitions {
        let key = keys.next().unwrap();
        let output = Outgoing::new(topic, Some(key.into_bytes()), b"sentinel".to_vec());
        let (partition, _) = publisher.publish_blocking(&output).unwrap();
        marked.insert(partition);
        sentinels += 1;
    }
    let deadline = Instant::now() + Duration::from_secs(90);
    let is_sentinel =
        |record: &Incoming| record.key.as_deref().is_some_and(|key| key.starts_with(b"sentinel"));
    while reader.records.iter().filter(|record| is_sentinel(record)).count() < sentinels {
        assert!(Instant::now() < deadline, "{topic} does not end");
        reader.poll(Duration::from_millis(200));
    }
    reader.records.retain(|record| !is_sentinel(record));
    reader.records.sort_by_key(|record| (record.partition, record.offset));
    reader.records
}

/// One running instance of a stage.
pub(crate) struct Member {
    thread: JoinHandle<Result<(), Error>>,
    shutdown: CancellationToken,
    codec: Codec,
}

impl Member {
    pub(crate) fn start<S: Stage>(
        broker: &Broker,
        stage: S,
        topics: &[&'static str],
        delivery: Delivery,
    ) -> Self {
        let registry = RegistryConfig { url: broker.registry.clone(), ..RegistryConfig::default() };
        let codec = Codec::new(&registry, broker.runtime.handle().clone()).unwrap();
        let shutdown = CancellationToken::new();
        broker.create(&[(&contracts::parked_topic(stage.name()), 1)]);
        let observer = Observer::new(stage.name(), Metrics::new().stage(stage.name()), Health::new());
        let runtime = Runtime { codec: codec.clone(), observer, shutdown: shutdown.clone() };
        let config = broker.config(delivery);
        let topics = topics.to_vec();
        let thread = std::thread::spawn(move || wardstream_stream::run(stage, &topics, &config, &runtime));
        Self { thread, shutdown, codec }
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec.clone()
    }

    pub(crate) fn stop(self) -> Result<(), Error> {
        self.shutdown.cancel();
        self.thread.join().unwrap()
    }
}
