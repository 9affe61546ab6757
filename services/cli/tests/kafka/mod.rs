//! Apache Kafka, a schema registry, a stage on them, and the command.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use contracts::Record;
use local_kafka::LocalKafka;
use mail_sink::{Credentials, MailSink};
use serde_json::Value;
use service::{Failure, Process};
use settings::Secret;
use stream::{Codec, Config, Incoming, Outgoing, Publisher, RegistryConfig, Table};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const USER: &str = "notify";
const PASSWORD: &str = "only-on-loopback";
/// Nothing in a test takes so long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(120);

/// What the command printed.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The output as lines of JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

pub(crate) struct Bench {
    kafka: LocalKafka,
    registry: RegistryConfig,
    registry_stop: CancellationToken,
    config: Config,
    codec: Codec,
    publisher: Publisher,
    stage: Option<Stage>,
    runtime: Runtime,
}

/// A stage on a thread of its own.
struct Stage {
    shutdown: CancellationToken,
    thread: JoinHandle<Result<(), Failure>>,
}

/// A mail server.
pub(crate) struct Mail {
    pub(crate) server: MailSink,
    folder: TempDir,
}

impl Bench {
    /// Starts Kafka and the registry; none where the environment names no Kafka.
    pub(crate) fn start() -> Option<Self> {
        let Some(kafka) = LocalKafka::from_env().unwrap() else {
            println!("skipped: {} is not set, so nothing ran on Apache Kafka", local_kafka::LIBS);
            return None;
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let registry = RegistryConfig { url, ..RegistryConfig::default() };
        let registry_stop = CancellationToken::new();
        runtime.spawn(schema_registry::serve(listener, contracts::subjects(), registry_stop.clone()));
        let config = Config { bootstrap_servers: kafka.bootstrap_servers(), ..Config::default() };
        let codec = Codec::new(&registry, runtime.handle().clone()).unwrap();
        let publisher = Publisher::new("feed", &config, runtime.handle().clone()).unwrap();
        Some(Self { kafka, registry, registry_stop, config, codec, publisher, stage: None, runtime })
    }

    /// Runs the command.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[])
    }

    /// Runs the command with further environment variables.
    pub(crate) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_wardstream"))
            .args(arguments)
            .env_clear()
            .env("WARDSTREAM_KAFKA__BOOTSTRAP_SERVERS", self.kafka.bootstrap_servers())
            .env("WARDSTREAM_REGISTRY__URL", &self.registry.url)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran::of(output)
    }

    /// Runs a shell script that knows the command, in a folder.
    pub(crate) fn shell(&self, script: &str, folder: &Path, environment: &[(&str, &str)]) -> Ran {
        let programs = Path::new(env!("CARGO_BIN_EXE_wardstream")).parent().unwrap();
        let output = Command::new("bash")
            .args(["-e", "-c", script])
            .current_dir(folder)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
            .env("WARDSTREAM_KAFKA__BOOTSTRAP_SERVERS", self.kafka.bootstrap_servers())
            .env("WARDSTREAM_REGISTRY__URL", &self.registry.url)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran::of(output)
    }

    /// Creates the topics with the command.
    pub(crate) fn apply(&self, shape: &[&str]) {
        let ran = self.run(&[&["topics", "apply"], shape].concat());
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    }

    /// Publishes a record as a feed does, and says where it went.
    pub(crate) fn publish(&self, output: &Outgoing) -> String {
        let (partition, offset) = self.publisher.publish_blocking(output).unwrap();
        format!("{}/{partition}/{offset}", output.topic)
    }

    /// A record's value as Avro of the topic's schema.
    pub(crate) fn encoded<T: Record>(&self, topic: &str, value: &T) -> Vec<u8> {
        self.codec.encode(topic, value).unwrap()
    }

    /// Every committed record of a topic, in the order of each partition.
    pub(crate) fn read(&self, topic: &str) -> Vec<Incoming> {
        let mut records = Vec::new();
        let table = Table::new(topic, None, &self.config).unwrap();
        table.catch_up(|record| records.push(record.clone())).unwrap();
        records
    }

    /// A record's value.
    pub(crate) fn decoded<T: Record>(&self, record: &Incoming) -> T {
        self.codec.decode(record.value.as_deref()).unwrap()
    }

    /// Starts `ingest`.
    pub(crate) fn ingest(&mut self, change: impl FnOnce(&mut ingest::Config)) {
        let mut config = ingest::Config {
            kafka: self.config.clone(),
            registry: self.registry.clone(),
            ..ingest::Config::default()
        };
        change(&mut config);
        self.start_stage(config, ingest::run);
    }

    /// Starts a mail server.
    pub(crate) fn mail(&self) -> Mail {
        let credentials = Credentials { user: USER.to_owned(), password: PASSWORD.to_owned() };
        let config = mail_sink::Config { credentials: Some(credentials), ..mail_sink::Config::default() };
        let server = self.runtime.block_on(MailSink::start(config)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), server.certificate_pem()).unwrap();
        Mail { server, folder }
    }

    /// Starts `notify`.
    pub(crate) fn notify(&mut self, mail: &Mail, change: impl FnOnce(&mut notify::Config)) {
        let smtp = notify::Smtp {
            host: mail.server.addr().ip().to_string(),
            port: mail.server.addr().port(),
            username: USER.to_owned(),
            password: Secret::new(PASSWORD),
            ca_file: Some(mail.folder.path().join("ca.pem")),
            hello_name: Some("localhost".to_owned()),
            ..notify::Smtp::default()
        };
        let mut config = notify::Config {
            kafka: self.config.clone(),
            registry: self.registry.clone(),
            smtp,
            ..notify::Config::default()
        };
        change(&mut config);
        self.start_stage(config, notify::run);
    }

    fn start_stage<C: Send + 'static>(&mut self, config: C, run: fn(C, &Process) -> Result<(), Failure>) {
        let shutdown = CancellationToken::new();
        let process = Process::new(shutdown.clone(), self.runtime.handle().clone());
        self.stage = Some(Stage { shutdown, thread: std::thread::spawn(move || run(config, &process)) });
    }

    /// Stops the stage as a termination signal does.
    pub(crate) fn stop(&mut self) {
        let Stage { shutdown, thread } = self.stage.take().unwrap();
        shutdown.cancel();
        if let Err(failure) = thread.join().unwrap() {
            panic!("the stage ended: {}", service::chain(&*failure));
        }
    }

    /// Waits until `holds`; `what` names it in the failure.
    pub(crate) fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !holds(self) {
            let ended = self.stage.as_ref().is_some_and(|stage| stage.thread.is_finished());
            assert!(!ended, "the stage ended while the test waited for {what}");
            assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.registry_stop.cancel();
    }
}
