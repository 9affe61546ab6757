//! The services, each on a thread of its own.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use service::{Failure, Process};
use settings::Duration as Span;
use tokio_util::sync::CancellationToken;

use crate::Options;
use crate::embedded::Embedded;

/// Threads that run services.
pub(crate) struct Line {
    stages: Vec<Running>,
    audit: Running,
    audit_shutdown: CancellationToken,
}

type Service = Box<dyn FnOnce(&Process) -> Result<(), Failure> + Send>;

struct Running {
    name: &'static str,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Running {
    fn spawn(
        name: &'static str,
        process: Process,
        run: impl FnOnce(&Process) -> Result<(), Failure> + Send + 'static,
    ) -> Result<Self, Failure> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let result = run(&process);
            if let Err(failure) = &result {
                tracing::error!(service = name, error = service::chain(&**failure), "service ends");
            }
            result
        })?;
        Ok(Self { name, thread })
    }

    fn join(self) -> Result<(), Failure> {
        match self.thread.join() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => Err(format!("{}: {}", self.name, service::chain(&*failure)).into()),
            Err(_) => Err(format!("{}: panicked", self.name).into()),
        }
    }
}

/// What to do about models that are not there.
fn missing(faults: Vec<settings::Error>) -> Failure {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    format!("{}; deploy/local/models/fetch.sh fetches them, --models names another folder", faults.join(", "))
        .into()
}

/// How long the audit log may take to reach the end of every topic once nothing is written any more.
const SEAL: Duration = Duration::from_secs(60);

impl Line {
    pub(crate) fn start(options: &Options, embedded: &Embedded, process: &Process) -> Result<Self, Failure> {
        let (kafka, registry) = (&embedded.kafka, &embedded.registry);
        let mut stages = Vec::new();
        let mut spawn = |name, run: Service| {
            stages.push(Running::spawn(name, process.clone(), run)?);
            Ok::<(), Failure>(())
        };
        let mut config =
            ingest::Config { kafka: kafka.clone(), registry: registry.clone(), ..Default::default() };
        config.ingest.mllp.listen = options.mllp;
        spawn(ingest::NAME, Box::new(move |process| ingest::run(config, process)))?;
        let config =
            validate::Config { kafka: kafka.clone(), registry: registry.clone(), ..Default::default() };
        spawn(validate::NAME, Box::new(move |process| validate::run(config, process)))?;
        let config = redact::Config {
            kafka: kafka.clone(),
            registry: registry.clone(),
            deid: embedded.deid.clone(),
            models: redact::Model { folder: options.classifier.clone(), ..Default::default() },
            ..Default::default()
        };
        config.models.check().map_err(missing)?;
        spawn(redact::NAME, Box::new(move |process| redact::run(config, process)))?;
        let mut config =
            classify::Config { kafka: kafka.clone(), registry: registry.clone(), ..Default::default() };
        config.models.folder = options.encoder.clone();
        config.models.check().map_err(missing)?;
        let models = Arc::new(config.models.load()?);
        let shared = models.clone();
        spawn(classify::NAME, Box::new(move |process| classify::run_with(config, shared, process)))?;
        let config =
            summarize::Config { kafka: kafka.clone(), registry: registry.clone(), ..Default::default() };
        spawn(summarize::NAME, Box::new(move |process| summarize::run_with(config, models, process)))?;
        let mut config = notify::Config {
            kafka: kafka.clone(),
            registry: registry.clone(),
            smtp: embedded.smtp.clone(),
            ..Default::default()
        };
        config.notify.console_url = format!("http://{}", options.listen);
        spawn(notify::NAME, Box::new(move |process| notify::run(config, process)))?;
        let mut config =
            audit::Config { kafka: kafka.clone(), registry: registry.clone(), ..Default::default() };
        config.worm.store = audit::StoreKind::Folder;
        config.worm.folder = embedded.worm.clone();
        config.worm.segment_age = Span::from_secs(10);
        config.worm.merkle_log = audit::MerkleLog {
            signing_key_file: Some(embedded.signing_key.clone()),
            verifying_keys_file: Some(embedded.verifying_keys.clone()),
            every: Span::from_secs(5),
        };
        let audit_shutdown = CancellationToken::new();
        let audit_process = Process { shutdown: audit_shutdown.clone(), ..process.clone() };
        let audit = Running::spawn(audit::NAME, audit_process, move |process| audit::run(config, process))?;
        Ok(Self { stages, audit, audit_shutdown })
    }

    /// Whether a service ended before it was asked to.
    pub(crate) fn failed(&self) -> bool {
        self.stages.iter().chain([&self.audit]).any(|running| running.thread.is_finished())
    }

    /// Drains the stages, lets audit read what they and `last` wrote to the end, and drains it too.
    pub(crate) fn stop(
        self,
        process: &Process,
        embedded: &Embedded,
        last: impl FnOnce(),
    ) -> Result<(), Failure> {
        process.shutdown.cancel();
        let mut result = Ok(());
        for running in self.stages {
            result = result.and(running.join());
        }
        last();
        let deadline = Instant::now() + SEAL;
        while !self.audit.thread.is_finished() && Instant::now() < deadline && !caught_up(process, embedded) {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.audit_shutdown.cancel();
        result.and(self.audit.join())
    }
}

/// Whether audit has read everything that there is. On a transactional broker control records take offsets, so there
/// its lag decides, which reaches zero only behind them.
fn caught_up(process: &Process, embedded: &Embedded) -> bool {
    let Ok(marks) = stream::watermarks(&embedded.kafka) else { return false };
    let snapshot = process.metrics.snapshot();
    let Some(audit) = snapshot.stages.iter().find(|stage| stage.stage == audit::NAME) else { return false };
    let written: i64 = marks
        .iter()
        .filter(|((topic, _), _)| topic != "audit.manifests")
        .map(|(_, (low, high))| high - low)
        .sum();
    let read = i64::try_from(audit.records_in).unwrap_or(i64::MAX);
    tracing::debug!(read, written, lag = audit.total_lag(), "audit catches up");
    match embedded.kafka.delivery {
        stream::Delivery::LineageGuarded => read >= written,
        stream::Delivery::Transactional => audit.total_lag() == 0,
    }
}
