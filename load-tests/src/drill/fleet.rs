//! The processes of the line: started, killed, stopped, frozen, and started again.

use std::fmt;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tokio::runtime::Handle;

use crate::drill::{Error, process};

/// One instance of a service.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) service: &'static str,
    /// From 1.
    pub(crate) number: usize,
    config: PathBuf,
    log: PathBuf,
    process: Option<Child>,
    /// Where in its log the process that runs now begins.
    begins: u64,
    frozen: bool,
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.service, self.number)
    }
}

/// A process that ended without being asked to.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) service: &'static str,
    pub(crate) instance: String,
    pub(crate) status: ExitStatus,
}

/// All instances. Dropped, they are killed.
#[derive(Debug)]
pub(crate) struct Fleet {
    folder: PathBuf,
    runtime: Handle,
    http: reqwest::Client,
    pub(crate) instances: Vec<Instance>,
    /// What ended by itself and was started again.
    pub(crate) ends: Vec<End>,
}

impl Fleet {
    /// An empty fleet whose configurations and logs go to `folder`.
    pub(crate) fn new(folder: &Path, runtime: Handle) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(std::time::Duration::from_secs(2))
            .build()
            .map_err(|error| Error::part("http client", error))?;
        Ok(Self { folder: folder.to_owned(), runtime, http, instances: Vec::new(), ends: Vec::new() })
    }

    /// Starts a further instance.
    pub(crate) fn add(&mut self, service: &'static str, number: usize, config: &str) -> Result<(), Error> {
        let path = |ending: &str| self.folder.join(format!("{service}-{number}.{ending}"));
        let (file, log) = (path("toml"), path("log"));
        std::fs::write(&file, config).map_err(Error::io("configuration of an instance"))?;
        self.instances.push(Instance {
            service,
            number,
            config: file,
            log,
            process: None,
            begins: 0,
            frozen: false,
        });
        self.start(self.instances.len() - 1)
    }

    /// Indices of the instances of a service.
    pub(crate) fn of(&self, service: &str) -> Vec<usize> {
        (0..self.instances.len()).filter(|at| self.instances[*at].service == service).collect()
    }

    /// Starts an instance that does not run.
    pub(crate) fn start(&mut self, at: usize) -> Result<(), Error> {
        let instance = &mut self.instances[at];
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&instance.log)
            .map_err(Error::io("log of an instance"))?;
        instance.begins = log.metadata().map_err(Error::io("log of an instance"))?.len();
        let output = log.try_clone().map_err(Error::io("log of an instance"))?;
        let child = process::service_command(instance.service, &instance.config)?
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(log)
            .spawn()
            .map_err(Error::io("start an instance"))?;
        instance.process = Some(child);
        instance.frozen = false;
        Ok(())
    }

    /// Kills an instance as a power cut would (SIGKILL).
    pub(crate) fn kill(&mut self, at: usize) {
        if let Some(mut process) = self.instances[at].process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Asks an instance to drain and end (SIGTERM); see [`has_ended`](Self::has_ended).
    pub(crate) fn terminate(&self, at: usize) -> Result<(), Error> {
        self.signal(at, Signal::TERM)
    }

    /// The exit status of an instance that was asked to end, once it has.
    pub(crate) fn has_ended(&mut self, at: usize) -> Result<Option<ExitStatus>, Error> {
        let instance = &mut self.instances[at];
        let Some(process) = &mut instance.process else { return Ok(Some(ExitStatus::default())) };
        let ended = process.try_wait().map_err(Error::io("wait for an instance"))?;
        if ended.is_some() {
            instance.process = None;
        }
        Ok(ended)
    }

    /// Stops an instance where it stands (SIGSTOP).
    pub(crate) fn freeze(&mut self, at: usize) -> Result<(), Error> {
        self.signal(at, Signal::STOP)?;
        self.instances[at].frozen = true;
        Ok(())
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn thaw(&mut self, at: usize) -> Result<(), Error> {
        self.signal(at, Signal::CONT)?;
        self.instances[at].frozen = false;
        Ok(())
    }

    fn signal(&self, at: usize, signal: Signal) -> Result<(), Error> {
        match &self.instances[at].process {
            Some(process) => process::signal(process.id(), signal),
            None => Ok(()),
        }
    }

    /// Notes which processes ended by themselves and starts them again, as a supervisor would.
    pub(crate) fn tend(&mut self) -> Result<(), Error> {
        for at in 0..self.instances.len() {
            let instance = &mut self.instances[at];
            let Some(process) = &mut instance.process else { continue };
            let Some(status) = process.try_wait().map_err(Error::io("wait for an instance"))? else {
                continue;
            };
            let end = End { service: instance.service, instance: instance.to_string(), status };
            self.ends.push(end);
            instance.process = None;
            self.start(at)?;
        }
        Ok(())
    }

    /// What the process that runs now has logged.
    pub(crate) fn log(&self, at: usize) -> String {
        let instance = &self.instances[at];
        let bytes = std::fs::read(&instance.log).unwrap_or_default();
        let begins = usize::try_from(instance.begins).unwrap_or(usize::MAX).min(bytes.len());
        String::from_utf8_lossy(&bytes[begins..]).into_owned()
    }

    /// Where the process that runs now serves health and metrics; it says so in its log.
    fn address(&self, at: usize) -> Option<SocketAddr> {
        self.log(at).lines().find_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            line.get("health")?.as_str()?.parse().ok()
        })
    }

    fn get(&self, at: usize, path: &str) -> Option<(bool, String)> {
        let url = format!("http://{}{path}", self.address(at)?);
        self.runtime.block_on(async {
            let response = self.http.get(url).send().await.ok()?;
            let success = response.status().is_success();
            Some((success, response.text().await.ok()?))
        })
    }

    /// Whether an instance says that it is ready.
    pub(crate) fn is_ready(&self, at: usize) -> bool {
        self.get(at, "/readyz").is_some_and(|(ready, _)| ready)
    }

    /// Whether an instance has come so far that it says whether it is ready.
    pub(crate) fn answers(&self, at: usize) -> bool {
        self.get(at, "/readyz").is_some()
    }

    /// The sum of a counter of an instance over the labels that include `label`; 0 when it does not answer.
    pub(crate) fn counter(&self, at: usize, name: &str, label: &str) -> u64 {
        let text = self.get(at, "/metrics").map(|(_, text)| text).unwrap_or_default();
        text.lines()
            .filter(|line| line.starts_with(name) && line.contains(label))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .map(|value| value as u64)
            .sum()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for at in 0..self.instances.len() {
            self.kill(at);
        }
    }
}
