use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Error, io_error};

/// One process, broker and controller.
#[derive(Debug)]
pub struct Node {
    home: PathBuf,
    libs: PathBuf,
    launcher: Vec<OsString>,
    java: &'static [&'static str],
    port: u16,
    proxied: u16,
    id: i32,
    process: Option<Child>,
}

const START: Duration = Duration::from_secs(90);
/// Kafka moves its leaderships and writes its snapshots before it goes.
const STOP: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
const SERVER_LOG: &str = "server.log";
/// What a group coordinator writes when all members of a group have joined a new generation.
const REBALANCED: &str = "Stabilized group ";

impl Node {
    pub(crate) fn new(
        home: PathBuf,
        libs: PathBuf,
        launcher: Vec<OsString>,
        java: &'static [&'static str],
        [port, proxied]: [u16; 2],
        id: i32,
    ) -> Self {
        Self { home, libs, launcher, java, port, proxied, id, process: None }
    }

    /// Its id, from 1.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// `host:port` of its listener.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Port of the listener whose advertised address is a proxy's ([`Builder::advertise_through`](crate::Builder::advertise_through)).
    #[must_use]
    pub fn proxied_port(&self) -> u16 {
        self.proxied
    }

    /// Process id, while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Whether its process is there.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| matches!(process.try_wait(), Ok(None)))
    }

    /// Waits until the process ended by itself, as a broker does whose disk is full; false after `timeout`.
    pub fn wait_for_end(&mut self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while self.is_running() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(POLL);
        }
        self.process = None;
        true
    }

    /// How often a classic consumer group that this node coordinates was shared out anew, from the first start on.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn rebalances(&self) -> Result<usize, Error> {
        let log = fs::read(self.home.join(SERVER_LOG)).map_err(io_error("log file"))?;
        Ok(String::from_utf8_lossy(&log).matches(REBALANCED).count())
    }

    /// Kills it as a power cut would (SIGKILL); its log stays.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Stops it in good order (SIGTERM), and waits for its end.
    ///
    /// # Errors
    /// When it does not end within a minute; it is killed then.
    pub fn stop(&mut self) -> Result<(), Error> {
        let Some(process) = &self.process else { return Ok(()) };
        if let Some(id) = i32::try_from(process.id()).ok().and_then(Pid::from_raw) {
            kill_process(id, Signal::TERM)
                .map_err(|error| Error::Io { context: "stop", source: error.into() })?;
        }
        if self.wait_for_end(STOP) {
            return Ok(());
        }
        self.kill();
        Err(self.failure("stop", SERVER_LOG))
    }

    /// Starts it again on its old log and port, and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn resume(&mut self) -> Result<(), Error> {
        self.spawn()?;
        self.ready()
    }

    /// Starts it, and does not wait.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn spawn(&mut self) -> Result<(), Error> {
        let config = self.path("server.properties");
        self.process = Some(self.java(SERVER_LOG, &["kafka.Kafka", &config])?);
        Ok(())
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// When it ended or does not answer in time.
    pub fn ready(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + START;
        loop {
            if !self.is_running() || Instant::now() > deadline {
                return Err(self.failure("start", SERVER_LOG));
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Writes the identity of the cluster into the empty log.
    pub(crate) fn format(&self, cluster: &str, alone: bool) -> Result<(), Error> {
        let config = self.path("server.properties");
        let mut arguments = vec!["kafka.tools.StorageTool", "format", "-t", cluster, "-c", &config];
        if alone {
            arguments.push("--standalone");
        }
        let status = self.java("format.log", &arguments)?.wait().map_err(io_error("wait for format"))?;
        if status.success() { Ok(()) } else { Err(self.failure("format", "format.log")) }
    }

    fn path(&self, name: &str) -> String {
        self.home.join(name).display().to_string()
    }

    fn java(&self, log: &str, arguments: &[&str]) -> Result<Child, Error> {
        let log = self.log(log)?;
        let errors = log.try_clone().map_err(io_error("log file"))?;
        let logging = self.home.join("log4j2.properties");
        fs::write(&logging, LOGGING).map_err(io_error("log4j2.properties"))?;
        let mut program = self.launcher.clone();
        program.push("java".into());
        Command::new(&program[0])
            .args(&program[1..])
            .args(self.java)
            .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
            .arg("-cp")
            .arg(self.libs.join("*"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(io_error("start java"))
    }

    /// Appended to: what a node said before it was killed stays.
    fn log(&self, name: &str) -> Result<File, Error> {
        OpenOptions::new().create(true).append(true).open(self.home.join(name)).map_err(io_error("log file"))
    }

    fn failure(&self, step: &'static str, log: &str) -> Error {
        let text = fs::read_to_string(self.home.join(log)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        Error::Step { step, log: lines[lines.len().saturating_sub(20)..].join("\n") }
    }
}

impl Drop for Node {
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
    rootLogger.appenderRef.console.ref = console\n\
    logger.groups.name = org.apache.kafka.coordinator.group.GroupMetadataManager\n\
    logger.groups.level = info\n";
