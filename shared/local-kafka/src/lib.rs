//! Apache Kafka as a child process, for tests, drills and benchmarks.
//!
//! One node, broker and controller (KRaft), on loopback, from the jars that `deploy/local/kafka/install.sh` fetched.
//! Its data is in a temporary folder, and it is killed by process id when the value is dropped.

use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tempfile::TempDir;

/// Environment variable that names the folder of Kafka's jars.
pub const LIBS: &str = "WARDSTREAM_KAFKA_LIBS";

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The variable names no folder of jars.
    #[error("{LIBS} names {0}, which is no folder of Kafka's jars; run deploy/local/kafka/install.sh")]
    NoJars(PathBuf),
    /// Something about files, ports or processes.
    #[error("local kafka: {context}")]
    Io {
        /// What was being done.
        context: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A step of Kafka's own failed.
    #[error("local kafka: {step} failed, see the log: {log}")]
    Step {
        /// The step.
        step: &'static str,
        /// End of its log.
        log: String,
    },
}

/// A running broker.
#[derive(Debug)]
pub struct LocalKafka {
    folder: TempDir,
    libs: PathBuf,
    port: u16,
    process: Option<Child>,
}

const START: Duration = Duration::from_secs(90);

impl LocalKafka {
    /// Starts a broker from the jars that the environment names; none when it names none.
    ///
    /// # Errors
    /// When the variable is set and the broker does not come up.
    pub fn from_env() -> Result<Option<Self>, Error> {
        std::env::var_os(LIBS).map(|libs| Self::start(Path::new(&libs))).transpose()
    }

    /// Starts a broker from the jars in `libs`, with an empty log, and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(libs: &Path) -> Result<Self, Error> {
        let jars = fs::read_dir(libs).map(|entries| entries.count()).unwrap_or(0);
        if jars == 0 {
            return Err(Error::NoJars(libs.to_owned()));
        }
        let io = |context| move |source| Error::Io { context, source };
        let folder = TempDir::with_prefix("wardstream-kafka-").map_err(io("temporary folder"))?;
        let (port, controller) = free_ports().map_err(io("free ports"))?;
        let path = |name: &str| folder.path().join(name).display().to_string();
        let properties = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             controller.listener.names=CONTROLLER\n\
             log.dirs={}\n\
             auto.create.topics.enable=false\n\
             num.partitions=1\n\
             offsets.topic.num.partitions=4\n\
             offsets.topic.replication.factor=1\n\
             transaction.state.log.num.partitions=4\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n\
             message.max.bytes=18874368\n\
             replica.fetch.max.bytes=18874368\n",
            path("log")
        );
        fs::write(folder.path().join("server.properties"), properties).map_err(io("properties"))?;
        let mut kafka = Self { folder, libs: libs.to_owned(), port, process: None };
        // Without its highest bit the text never begins with `-`, which the tool would take for an option.
        let cluster = URL_SAFE_NO_PAD.encode((uuid::Uuid::new_v4().as_u128() >> 1).to_be_bytes());
        let config = kafka.path("server.properties");
        let status = kafka
            .java(
                "format.log",
                &["kafka.tools.StorageTool", "format", "--standalone", "-t", &cluster, "-c", &config],
            )?
            .wait()
            .map_err(io("wait for format"))?;
        if !status.success() {
            return Err(kafka.failure("format", "format.log"));
        }
        kafka.resume()?;
        Ok(kafka)
    }

    /// `host:port` of the broker.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts the broker again on its old log and port, and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn resume(&mut self) -> Result<(), Error> {
        let config = self.path("server.properties");
        self.process = Some(self.java("server.log", &["kafka.Kafka", &config])?);
        let deadline = Instant::now() + START;
        loop {
            let ended = match &mut self.process {
                Some(process) => {
                    process.try_wait().map_err(|source| Error::Io { context: "wait", source })?.is_some()
                }
                None => true,
            };
            if ended || Instant::now() > deadline {
                return Err(self.failure("start", "server.log"));
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills the broker as a power cut would (SIGKILL); its log stays.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn java(&self, log: &str, arguments: &[&str]) -> Result<Child, Error> {
        let io = |context| move |source| Error::Io { context, source };
        let log = File::create(self.folder.path().join(log)).map_err(io("log file"))?;
        let errors = log.try_clone().map_err(io("log file"))?;
        let logging = self.folder.path().join("log4j2.properties");
        fs::write(&logging, LOGGING).map_err(io("log4j2.properties"))?;
        Command::new("java")
            .args(["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
            .arg("-cp")
            .arg(self.libs.join("*"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(io("start java"))
    }

    fn failure(&self, step: &'static str, log: &str) -> Error {
        let text = fs::read_to_string(self.folder.path().join(log)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        Error::Step { step, log: lines[lines.len().saturating_sub(20)..].join("\n") }
    }
}

impl Drop for LocalKafka {
    fn drop(&mut self) {
        self.kill();
    }
}

const LOGGING: &str = "status = error\n\
    appender.console.type = Console\n\
    appender.console.name = console\n\
    appender.console.layout.type = PatternLayout\n\
    appender.console.layout.pattern = %d{ISO8601} %p %c{1} %m%n\n\
    rootLogger.level = warn\n\
    rootLogger.appenderRef.console.ref = console\n";

fn free_ports() -> io::Result<(u16, u16)> {
    let (first, second) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}
