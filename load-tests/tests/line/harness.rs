//! The parts, and the services on them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use conservation::StageVerdict;
use contracts::{EventId, Retention, Topic};
use local_kafka::LocalKafka;
use service::{Configuration, Failure, Process};
use settings::{ByteSize, Secret};
use stream::{Codec, Incoming, Outgoing, Publisher, RegistryConfig};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use wardstream_load_tests::drill::{Gate, Mail, Registry, deid, encoder};
use worm_log::testing::{SeaweedFs, WEED_VARIABLE};

use crate::log;
use crate::reader::{Reader, read_all};

/// Environment variable that names the folder of the encoder's folder.
const MODELS: &str = "WARDSTREAM_MODELS";
/// A feed's own topic beside `hl7.raw`.
pub(crate) const WARD: &str = "hl7.feed.ward7";
/// Nothing in a test takes so long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);

/// Where tests share a process, they take turns: each has a broker and a log of its own.
static TURN: Mutex<()> = Mutex::new(());

/// What a test needs.
#[derive(Default)]
pub(crate) struct Needs {
    /// The S3 store, and `audit` on it.
    pub(crate) audit: bool,
    /// Only `ingest`, with its MLLP listener.
    pub(crate) door_only: bool,
    /// Another `kafka.tuning.max_record_bytes`.
    pub(crate) max_record_bytes: Option<ByteSize>,
    /// Largest message of the MLLP listener.
    pub(crate) max_message_bytes: Option<ByteSize>,
}

/// Real parts, with no service yet.
pub(crate) struct Parts {
    pub(crate) kafka: LocalKafka,
    pub(crate) config: stream::Config,
    pub(crate) registry: Gate,
    pub(crate) mail: Mail,
    pub(crate) store: Option<(SeaweedFs, Gate)>,
    pub(crate) codec: Codec,
    publisher: Publisher,
    needs: Needs,
    _direct: Registry,
    _folder: TempDir,
    pub(crate) runtime: Runtime,
    _turn: MutexGuard<'static, ()>,
}

impl Parts {
    /// Starts them; none where the environment does not name a program that the test needs.
    pub(crate) fn start(needs: Needs) -> Option<Self> {
        let variables = [(local_kafka::LIBS, true), (MODELS, !needs.door_only), (WEED_VARIABLE, needs.audit)];
        for (variable, needed) in variables {
            if needed && std::env::var_os(variable).is_none() {
                println!("skipped: {variable} is not set, so the line does not run on real parts");
                return None;
            }
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        log::capture();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let _entered = runtime.enter();
        let weed = needs.audit.then(|| runtime.spawn(SeaweedFs::start()));
        let kafka = LocalKafka::from_env().unwrap()?;
        let mut config =
            stream::Config { bootstrap_servers: kafka.bootstrap_servers(), ..stream::Config::default() };
        if let Some(limit) = needs.max_record_bytes {
            config.tuning.max_record_bytes = limit;
        }
        let mut topics = contracts::topics(3);
        topics.push(Topic {
            name: WARD.to_owned(),
            partitions: 2,
            retention: Retention::For(Duration::from_secs(3600)),
            owner: "feeds",
            phi: true,
            schema: None,
        });
        runtime.block_on(stream::ensure_topics(&config, &topics, 1)).unwrap();

        // The tests' own codec is not behind the gate.
        let direct = Registry::start(runtime.handle()).unwrap();
        let registry = Gate::new(direct.address(), runtime.handle()).unwrap();
        let folder = TempDir::with_prefix("wardstream-line-").unwrap();
        let mail = Mail::start(folder.path(), 100_000, runtime.handle()).unwrap();

        let store = weed.map(|weed| {
            let server = runtime.block_on(weed).unwrap().unwrap();
            let address = server.endpoint().trim_start_matches("http://").parse().unwrap();
            let gate = Gate::new(address, runtime.handle()).unwrap();
            (server, gate)
        });
        let codec = Codec::new(&direct.config(), runtime.handle().clone()).unwrap();
        let publisher = Publisher::new("feed", &config, runtime.handle().clone()).unwrap();
        drop(_entered);
        Some(Self {
            kafka,
            config,
            registry,
            mail,
            store,
            codec,
            publisher,
            needs,
            _direct: direct,
            _folder: folder,
            runtime,
            _turn: turn,
        })
    }

    /// Publishes a record as a feed does, and says where it went.
    pub(crate) fn publish(&self, output: &Outgoing) -> Position {
        let (partition, offset) = self.publisher.publish_blocking(output).unwrap();
        Position { topic: output.topic.clone(), partition, offset }
    }

    /// The bucket of the audit log, past the gate, as the audit principal.
    pub(crate) fn bucket(&self) -> worm_log::S3Config {
        self.store.as_ref().unwrap().0.audit_config()
    }

    /// Starts the services.
    pub(crate) fn run(self) -> Line {
        let process = Process::new(CancellationToken::new(), self.runtime.handle().clone());
        let kafka = self.config.clone();
        let registry = RegistryConfig { url: self.registry.url(), ..RegistryConfig::default() };
        let mut stages = Vec::new();

        let mut config =
            ingest::Config { kafka: kafka.clone(), registry: registry.clone(), ..Default::default() };
        let mut door = None;
        if self.needs.door_only {
            door = Some(free_port());
            config.ingest.mllp.listen = door;
            // So that a sender does not wait half a minute for its answer.
            config.kafka.properties.insert("message.timeout.ms".to_owned(), Secret::new("3000"));
        }
        if let Some(limit) = self.needs.max_message_bytes {
            config.ingest.mllp.max_message_bytes = limit;
        }
        stages.push(Service::start(ingest::NAME, ingest::run, config, &process));
        if !self.needs.door_only {
            let config =
                validate::Config { kafka: kafka.clone(), registry: registry.clone(), ..Default::default() };
            stages.push(Service::start(validate::NAME, validate::run, config, &process));

            let mut config =
                redact::Config { kafka: kafka.clone(), registry: registry.clone(), ..Default::default() };
            config.deid = deid();
            config.models.folder = encoder().with_file_name("rampart");
            stages.push(Service::start(redact::NAME, redact::run, config, &process));

            let mut config =
                classify::Config { kafka: kafka.clone(), registry: registry.clone(), ..Default::default() };
            config.models.folder = encoder();
            stages.push(Service::start(classify::NAME, classify::run, config, &process));

            let mut config =
                summarize::Config { kafka: kafka.clone(), registry: registry.clone(), ..Default::default() };
            config.models.folder = encoder();
            stages.push(Service::start(summarize::NAME, summarize::run, config, &process));

            let mut config =
                notify::Config { kafka: kafka.clone(), registry: registry.clone(), ..Default::default() };
            config.smtp = self.mail.smtp();
            stages.push(Service::start(notify::NAME, notify::run, config, &process));
        }
        // It goes on until what the others wrote last is sealed.
        let audit_process = Process { shutdown: CancellationToken::new(), ..process.clone() };
        let audit = self.store.as_ref().map(|(server, gate)| {
            let bucket = server.audit_config();
            let access = bucket.access_key.unwrap();
            let mut config = audit::Config { kafka, registry, ..Default::default() };
            config.worm.bucket = bucket.bucket;
            config.worm.endpoint = Some(gate.url());
            config.worm.path_style = true;
            config.worm.access_key_id = access.id;
            config.worm.secret_access_key = Secret::new(access.secret);
            config.worm.segment_age = settings::Duration::from_secs(1);
            Service::start(audit::NAME, audit::run, config, &audit_process)
        });
        let reader = Reader::new(&self.config);
        Line { reader, process, stages, audit, audit_shutdown: audit_process.shutdown, door, parts: self }
    }
}

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl Position {
    /// The event that enters the line here.
    pub(crate) fn event_id(&self) -> String {
        EventId::at(&self.topic, self.partition, self.offset).to_string()
    }
}

/// The parts with the services on them.
pub(crate) struct Line {
    reader: Reader,
    pub(crate) process: Process,
    stages: Vec<Service>,
    audit: Option<Service>,
    audit_shutdown: CancellationToken,
    /// Address of the MLLP listener.
    pub(crate) door: Option<SocketAddr>,
    pub(crate) parts: Parts,
}

impl Line {
    /// Waits until `holds`; `what` names it in the failure.
    pub(crate) fn wait(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if holds(self) {
                return;
            }
            for service in self.stages.iter().chain(&self.audit) {
                assert!(
                    !service.thread.is_finished(),
                    "{} ended while the test waited for {what}",
                    service.name
                );
            }
            let state = (self.reader.verdict(), self.process.health.report());
            assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}; {state:#?}");
            self.reader.read(POLL);
        }
    }

    /// What the books say of each stage so far.
    pub(crate) fn verdict(&self) -> BTreeMap<&'static str, StageVerdict> {
        self.reader.verdict()
    }

    /// Waits until this many messages came in and each, and everything made of it, has its fate.
    pub(crate) fn wait_until_settled(&mut self, messages: usize) {
        self.wait("every input to have its fate", |line| {
            let verdict = line.reader.verdict();
            verdict.get(ingest::NAME).is_some_and(|ingest| ingest.inputs >= messages as u64)
                && verdict.values().all(|stage| stage.missing == 0)
        });
    }

    /// Waits until readiness says that `stage` waits for `dependency`.
    pub(crate) fn wait_until_waiting(&mut self, stage: &str, dependency: &str) {
        let component = format!("{stage}: {dependency}");
        self.wait(&component, |line| {
            let report = line.process.health.report();
            let named = report
                .not_ready()
                .any(|part| part.component == component && part.state == "waiting" && part.reason.is_some());
            // It is alive: a restart would not help.
            named && !report.ready && report.live
        });
    }

    /// Waits until `stage` no longer waits for `dependency`.
    pub(crate) fn wait_until_back(&mut self, stage: &str, dependency: &str) {
        let component = format!("{stage}: {dependency}");
        self.wait(&format!("{component} to be ready"), |line| {
            let report = line.process.health.report();
            report.components.iter().any(|part| part.component == component && part.state == "ready")
        });
    }

    /// Stops the stages as a termination signal does, lets `audit` seal what they wrote, stops it too, and gives
    /// every record of every topic.
    pub(crate) fn drain(mut self) -> Drained {
        self.process.shutdown.cancel();
        for stage in std::mem::take(&mut self.stages) {
            stage.join();
        }
        let kept = |records: &[Incoming]| {
            records.iter().filter(|record| &*record.topic != "audit.manifests").count()
        };
        let records = read_all(&self.parts.config);
        if self.audit.is_some() {
            let written = kept(&records) as u64;
            self.wait("audit to read everything", |line| {
                let snapshot = line.process.metrics.snapshot();
                let audit = snapshot.stages.iter().find(|stage| stage.stage == audit::NAME);
                audit.is_some_and(|audit| audit.records_in >= written)
            });
        }
        self.audit_shutdown.cancel();
        if let Some(audit) = self.audit.take() {
            audit.join();
        }
        Drained { records, process: self.process, parts: self.parts }
    }
}

/// What is left when all services have ended.
pub(crate) struct Drained {
    /// Every committed record but the manifests of the last segments.
    pub(crate) records: Vec<Incoming>,
    pub(crate) process: Process,
    pub(crate) parts: Parts,
}

impl Drained {
    /// The records of a topic.
    pub(crate) fn of<'d>(&'d self, topic: &'d str) -> impl Iterator<Item = &'d Incoming> {
        self.records.iter().filter(move |record| &*record.topic == topic)
    }

    /// The records of a topic, decoded.
    pub(crate) fn decoded<T: contracts::Record>(&self, topic: &str) -> Vec<T> {
        self.of(topic)
            .map(|record| {
                let decoded = self.parts.codec.decode(record.value.as_deref());
                decoded
                    .unwrap_or_else(|error| panic!("{topic}/{}/{}: {error}", record.partition, record.offset))
            })
            .collect()
    }
}

/// A service on a thread of its own.
struct Service {
    name: &'static str,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Service {
    fn start<C: Configuration + Send + 'static>(
        name: &'static str,
        run: fn(C, &Process) -> Result<(), Failure>,
        config: C,
        process: &Process,
    ) -> Self {
        config.check().unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
        let process = process.clone();
        let thread = std::thread::Builder::new().name(name.to_owned());
        Self { name, thread: thread.spawn(move || run(config, &process)).unwrap() }
    }

    fn join(self) {
        if let Err(failure) = self.thread.join().unwrap() {
            panic!("{}: {}", self.name, service::chain(&*failure));
        }
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
