//! What is measured, in a process of its own, with the telemetry of a service. It drains when its standard input ends,
//! so none outlives the benchmark.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use service::{Failure, Process};
use settings::Duration;
use tokio_util::sync::CancellationToken;
use wardstream_load_tests::drill::{Mail, deid, encoder};

use crate::{floor, pass_through};

#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    #[arg(long, value_enum)]
    pub(crate) role: Role,
    #[arg(long)]
    pub(crate) bootstrap: String,
    #[arg(long)]
    pub(crate) registry: String,
    #[arg(long)]
    pub(crate) group: String,
    #[arg(long)]
    pub(crate) input: String,
    #[arg(long)]
    pub(crate) output: String,
    #[arg(long)]
    pub(crate) batch_records: usize,
    #[arg(long)]
    pub(crate) batch_linger_ms: u64,
    #[arg(long)]
    pub(crate) compression: String,
    /// Worker threads; 0 means one a processor.
    #[arg(long)]
    pub(crate) workers: usize,
    /// Port of the mail server, for `notify`.
    #[arg(long)]
    pub(crate) smtp_port: Option<u16>,
    /// Its certificate.
    #[arg(long)]
    pub(crate) smtp_ca: Option<PathBuf>,
}

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// rdkafka alone: produce.
    Produce,
    /// rdkafka alone: transactional copy, reports polled by the one thread there is.
    CopyBase,
    /// rdkafka alone: transactional copy, reports polled by rust-rdkafka's thread.
    CopyThreaded,
    /// A stage that does nothing.
    PassThrough,
    Ingest,
    Validate,
    Redact,
    Classify,
    Summarize,
    Notify,
}

impl Role {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl Options {
    /// This program as that child.
    pub(crate) fn command(&self) -> Result<Vec<String>, Failure> {
        let program =
            std::env::current_exe()?.to_str().ok_or("the path of this program is no text")?.to_owned();
        let mut words = vec![program, "child".to_owned()];
        let mut option = |name: &str, value: String| words.push(format!("--{name}={value}"));
        option("role", self.role.name());
        option("bootstrap", self.bootstrap.clone());
        option("registry", self.registry.clone());
        option("group", self.group.clone());
        option("input", self.input.clone());
        option("output", self.output.clone());
        option("batch-records", self.batch_records.to_string());
        option("batch-linger-ms", self.batch_linger_ms.to_string());
        option("compression", self.compression.clone());
        option("workers", self.workers.to_string());
        if let (Some(port), Some(ca)) = (self.smtp_port, &self.smtp_ca) {
            option("smtp-port", port.to_string());
            option("smtp-ca", ca.display().to_string());
        }
        Ok(words)
    }

    /// The configuration of a stage.
    pub(crate) fn kafka(&self) -> stream::Config {
        let mut config = stream::Config {
            bootstrap_servers: self.bootstrap.clone(),
            group_id: self.group.clone(),
            ..stream::Config::default()
        };
        let tuning = &mut config.tuning;
        // Room for the batch that is committed and for the next, as by default.
        let batches = tuning.max_in_flight / tuning.batch_records;
        tuning.max_in_flight = tuning.max_in_flight.max(batches * self.batch_records);
        tuning.batch_records = self.batch_records;
        tuning.batch_linger = Duration::from_millis(self.batch_linger_ms);
        tuning.compression.clone_from(&self.compression);
        tuning.workers = self.workers;
        config
    }
}

/// Runs until standard input ends.
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let shutdown = CancellationToken::new();
    let ended = shutdown.clone();
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut rest);
        ended.cancel();
    });
    match options.role {
        Role::Produce => floor::produce(&options, &shutdown),
        Role::CopyBase => floor::copy_base(&options, &shutdown),
        Role::CopyThreaded => floor::copy_threaded(&options, &shutdown),
        _ => serve(options, shutdown),
    }
}

/// As a service's process does, without the page of health and metrics.
fn serve(options: Options, shutdown: CancellationToken) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let _entered = runtime.enter();
    let mut telemetry = telemetry::Config::default();
    telemetry.log.level = "warn".to_owned();
    let _telemetry = telemetry::init("bench", &telemetry)?;
    let process = Process::new(shutdown, runtime.handle().clone());
    let kafka = options.kafka();
    let registry = stream::RegistryConfig { url: options.registry.clone(), ..Default::default() };
    match options.role {
        Role::Ingest => {
            let mut config = ingest::Config { kafka, registry, ..Default::default() };
            config.ingest.topics = vec![options.input];
            ingest::run(config, &process)
        }
        Role::Validate => validate::run(validate::Config { kafka, registry, ..Default::default() }, &process),
        Role::Redact => {
            let mut config = redact::Config { kafka, registry, deid: deid(), ..Default::default() };
            config.models.folder = encoder().with_file_name("rampart");
            redact::run(config, &process)
        }
        Role::Classify => {
            let mut config = classify::Config { kafka, registry, ..Default::default() };
            config.models.folder = encoder();
            classify::run(config, &process)
        }
        Role::Summarize => {
            let mut config = summarize::Config { kafka, registry, ..Default::default() };
            config.models.folder = encoder();
            summarize::run(config, &process)
        }
        Role::Notify => {
            let mut config = notify::Config { kafka, registry, ..Default::default() };
            let (port, ca) = options.smtp_port.zip(options.smtp_ca).ok_or("no mail server is given")?;
            config.smtp = Mail::smtp_at(port, ca);
            notify::run(config, &process)
        }
        _ => pass_through::run(&options, &process),
    }
}
