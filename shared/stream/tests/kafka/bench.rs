//! A broker, a registry, and stages whose work is a closure.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use contracts::headers::{OUTPUT_INDEX, SOURCE_OFFSET, SOURCE_PARTITION};
use contracts::{Retention, Topic, dead_letter_topic, parked_topic};
use local_kafka::LocalKafka;
use settings::ByteSize;
use stream::{
    Codec, Config, Context, Error, Fate, Incoming, Observer, Outgoing, Publisher, RegistryConfig, Runtime,
    Stage, Table, Unavailable,
};
use telemetry::{Health, Metrics};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Key of records that do not need the dependency.
pub(crate) const FREE: &[u8] = b"free";
/// Nothing in a test takes so long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(120);

/// What a stage does with a record.
pub(crate) type Work = dyn Fn(&Incoming, &Context) -> Result<Fate, Unavailable> + Send + Sync;

/// Real parts.
pub(crate) struct Bench {
    pub(crate) kafka: LocalKafka,
    pub(crate) config: Config,
    pub(crate) registry: RegistryConfig,
    pub(crate) handle: Handle,
    _runtime: tokio::runtime::Runtime,
}

impl Bench {
    /// Starts them; none where the environment does not name the broker.
    pub(crate) fn start() -> Option<Self> {
        let Some(kafka) = LocalKafka::from_env().unwrap() else {
            println!(
                "skipped: {} is not set, so the runtime does not run on a real broker",
                local_kafka::LIBS
            );
            return None;
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let registry = RegistryConfig {
            url: format!("http://{}", listener.local_addr().unwrap()),
            ..RegistryConfig::default()
        };
        let subjects: Vec<(String, String)> = ["t"]
            .iter()
            .flat_map(|stage| [dead_letter_topic(stage), parked_topic(stage)])
            .map(|topic| {
                (format!("{topic}-value"), <contracts::DeadLetter as contracts::Record>::SCHEMA.to_owned())
            })
            .chain(contracts::subjects())
            .collect();
        runtime.spawn(schema_registry::serve(listener, subjects, CancellationToken::new()));
        let config = Config { bootstrap_servers: kafka.bootstrap_servers(), ..Config::default() };
        let handle = runtime.handle().clone();
        Some(Self { kafka, config, registry, handle, _runtime: runtime })
    }

    /// `in` with so many partitions, `out`, and what every stage writes.
    pub(crate) fn topics(&self, partitions: i32) {
        let topic = |name: &str, partitions| Topic {
            name: name.to_owned(),
            partitions,
            retention: Retention::For(Duration::from_secs(3600)),
            owner: "test",
            phi: false,
            schema: None,
        };
        let dead = dead_letter_topic("t");
        let parked = parked_topic("t");
        let topics = [
            topic("in", partitions),
            topic("out", 2),
            topic(&dead, 1),
            topic(&parked, 1),
            topic("line.dropped", 1),
        ];
        // Room for what a stage takes, and for what it refuses.
        let mut wide = self.config.clone();
        wide.tuning.max_record_bytes = ByteSize::from_mib(40);
        self.handle.block_on(stream::ensure_topics(&wide, &topics, 1)).unwrap();
    }

    pub(crate) fn publisher(&self) -> Publisher {
        let mut wide = self.config.clone();
        wide.tuning.max_record_bytes = ByteSize::from_mib(40);
        Publisher::new("feed", &wide, self.handle.clone()).unwrap()
    }

    /// Publishes records `from..to` with keys that repeat, several at a time.
    pub(crate) fn feed(&self, from: u32, to: u32, keys: u32) {
        let publisher = self.publisher();
        self.handle.block_on(async {
            let sends = (from..to).map(|number| {
                let key = format!("key-{}", number % keys).into_bytes();
                let record = Outgoing::new("in", Some(key), number.to_string().into_bytes());
                let publisher = publisher.clone();
                async move { publisher.publish(&record).await.map(|_| ()) }
            });
            futures::future::try_join_all(sends).await.unwrap();
        });
    }

    /// Starts a member of the stage's group.
    pub(crate) fn member(&self, config: &Config, work: Arc<Work>) -> Member {
        let shutdown = CancellationToken::new();
        let runtime = Runtime {
            codec: Codec::new(&self.registry, self.handle.clone()).unwrap(),
            observer: Observer::new("t", Metrics::new().stage("t"), Health::new()),
            shutdown: shutdown.clone(),
        };
        let config = config.clone();
        let stage = Closure { work, observer: runtime.observer.clone() };
        let thread = std::thread::spawn(move || stream::run(stage, &["in"], &config, &runtime));
        Member { shutdown, thread }
    }

    pub(crate) fn registry_url(&self) -> String {
        self.registry.url.clone()
    }

    /// Runs one member in this thread, with the registry of another process.
    pub(crate) fn run_alone(config: &Config, registry: &str, work: Arc<Work>) {
        let tokio =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let registry = RegistryConfig { url: registry.to_owned(), ..RegistryConfig::default() };
        let runtime = Runtime {
            codec: Codec::new(&registry, tokio.handle().clone()).unwrap(),
            observer: Observer::new("t", Metrics::new().stage("t"), Health::new()),
            shutdown: CancellationToken::new(),
        };
        let stage = Closure { work, observer: runtime.observer.clone() };
        stream::run(stage, &["in"], config, &runtime).unwrap();
    }

    /// Every committed record of a topic.
    pub(crate) fn read(&self, topic: &str) -> Vec<Incoming> {
        let mut records = Vec::new();
        let mut wide = self.config.clone();
        wide.tuning.max_record_bytes = ByteSize::from_mib(40);
        let table = Table::new(topic, None, &wide).unwrap();
        table.catch_up(|record| records.push(record.clone())).unwrap();
        records
    }

    /// Waits until `out`, dead letters, drops and parked records together are so many.
    pub(crate) fn await_fates(&self, count: usize) {
        let topics = ["out".to_owned(), dead_letter_topic("t"), parked_topic("t"), "line.dropped".to_owned()];
        let tables: Vec<Table> =
            topics.iter().map(|topic| Table::new(topic, None, &self.config).unwrap()).collect();
        let mut seen = 0;
        wait("fates", || {
            for table in &tables {
                seen += table.catch_up(|_| ()).unwrap();
            }
            seen >= count as u64
        });
    }
}

/// Waits for a condition.
pub(crate) fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A running member of the group.
pub(crate) struct Member {
    shutdown: CancellationToken,
    thread: JoinHandle<Result<(), Error>>,
}

impl Member {
    /// Drains it.
    pub(crate) fn stop(self) {
        self.shutdown.cancel();
        self.thread.join().unwrap().unwrap();
    }

    /// Waits for it to end by itself.
    pub(crate) fn end(self) -> Result<(), Error> {
        self.thread.join().unwrap()
    }
}

struct Closure {
    work: Arc<Work>,
    observer: Observer,
}

impl Stage for Closure {
    fn name(&self) -> &'static str {
        "t"
    }

    fn process(&self, record: &Incoming, context: &Context) -> Result<Fate, Unavailable> {
        let fate = (self.work)(record, context)?;
        if record.key.as_deref() != Some(FREE) {
            self.observer.ready("dependency");
        }
        Ok(fate)
    }
}

/// Copies the record to `out`.
pub(crate) fn copy(record: &Incoming) -> Fate {
    Fate::Emit(vec![Outgoing::new("out", record.key.clone(), record.value.clone().unwrap_or_default())])
}

/// Each input has one output, and those of one key are in order.
pub(crate) fn check_each_once_in_order(records: &[Incoming], count: usize) {
    let mut seen = std::collections::HashSet::new();
    let mut last = std::collections::HashMap::new();
    for record in records {
        let number = |name| record.header(name).unwrap().parse::<i64>().unwrap();
        let position = (number(SOURCE_PARTITION), number(SOURCE_OFFSET));
        assert_eq!(number(OUTPUT_INDEX), 0);
        assert!(seen.insert(position), "input {position:?} has two outputs");
        let before = last.insert(record.key.clone(), position.1);
        assert!(before.is_none_or(|before| before < position.1), "input {position:?} overtook {before:?}");
    }
    assert_eq!(seen.len(), count);
}
