//! The shape of a service process: configuration, telemetry, health, run, drain.
//!
//! A service is a type of configuration and a function that runs until the shutdown. [`main`] makes a process of
//! it; `standalone` runs several in one process, on the same [`Process`].

mod memory;
mod models;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stream::{Codec, Needs, Observer, RegistryConfig, Runtime};
use telemetry::{Health, Metrics, Server};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub use models::{Models, Precision};

/// Fast and thread-caching: what the stages do is mostly allocation of small strings. Version 2, as version 3 keeps what
/// was freed for a second where version 2 keeps it for ten milliseconds.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit status of a service that could not go on (`EX_SOFTWARE` of BSD's sysexits.h).
pub const EX_SOFTWARE: u8 = 70;

/// Exit status of a service that could not commit for too long and gave its partitions back (`EX_TEMPFAIL`).
pub const EX_TEMPFAIL: u8 = 75;

/// Exit status of a service whose Kafka lacks what it needs: topics, authorisations, transactions (`EX_CONFIG`).
pub const EX_CONFIG: u8 = 78;

/// How long a service waits for topics and authorisations that another job may be about to make.
const PATIENCE: Duration = Duration::from_secs(60);

/// An error at the top of a process, with its chain of causes.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A service's configuration.
pub trait Configuration: DeserializeOwned + Serialize + JsonSchema + Default {
    /// The telemetry section.
    fn telemetry(&self) -> &telemetry::Config;

    /// Checks what the types cannot, before any socket is opened.
    ///
    /// # Errors
    /// Every fault, with the key it lies in.
    fn check(&self) -> Result<(), Vec<settings::Error>>;
}

/// All faults of several checks, or none.
///
/// # Errors
/// The faults.
pub fn all_of(
    checks: impl IntoIterator<Item = Result<(), Vec<settings::Error>>>,
) -> Result<(), Vec<settings::Error>> {
    let faults: Vec<settings::Error> = checks.into_iter().filter_map(Result::err).flatten().collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// What services of one process share.
#[derive(Clone, Debug)]
pub struct Process {
    /// Counters of all stages.
    pub metrics: Metrics,
    /// Readiness and liveness.
    pub health: Health,
    /// Asks for the drain.
    pub shutdown: CancellationToken,
    /// Where asynchronous clients run.
    pub runtime: Handle,
}

impl Process {
    /// A process of its own counters, in which C libraries give back the memory that they free.
    #[must_use]
    pub fn new(shutdown: CancellationToken, runtime: Handle) -> Self {
        memory::give_back();
        Self { metrics: Metrics::new(), health: Health::new(), shutdown, runtime }
    }

    /// The observer of one stage.
    #[must_use]
    pub fn observer(&self, stage: &'static str) -> Observer {
        Observer::new(stage, self.metrics.stage(stage), self.health.clone())
    }

    /// What a stage runs in.
    ///
    /// # Errors
    /// When the registry's URL is none.
    pub fn stage(&self, stage: &'static str, registry: &RegistryConfig) -> Result<Runtime, Failure> {
        Ok(Runtime {
            codec: Codec::new(registry, self.runtime.clone())?,
            observer: self.observer(stage),
            shutdown: self.shutdown.clone(),
        })
    }

    /// Waits until Kafka has what the stage needs, for a minute once it answers; readiness says what is missing.
    /// Blocks: call it before [`stream::run`], on the same thread.
    ///
    /// # Errors
    /// [`stream::Unfit`] with every fault.
    pub fn wait_until_fit(
        &self,
        kafka: &stream::Config,
        needs: &Needs<'_>,
        observer: &Observer,
    ) -> Result<(), Failure> {
        stream::wait_until_fit(kafka, needs, observer, &self.shutdown, PATIENCE)
    }
}

/// Runs one service as a process: exit status 0 after a drain, 64 for a wrong configuration, 75 when nothing could be
/// committed for too long, 78 when Kafka lacks what the service needs, 70 when it could not go on for another reason.
#[must_use]
pub fn main<C: Configuration>(name: &'static str, run: fn(C, &Process) -> Result<(), Failure>) -> ExitCode {
    let config: C = settings::parse_or_exit(name);
    if let Err(faults) = config.check() {
        settings::exit_with_all(&faults);
    }
    match serve(name, config, run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(service = name, error = chain(&*failure), "service ends");
            ExitCode::from(status(&*failure))
        }
    }
}

fn status(failure: &(dyn Error + Send + Sync + 'static)) -> u8 {
    if failure.is::<stream::Unfit>() {
        EX_CONFIG
    } else if matches!(failure.downcast_ref(), Some(stream::Error::Stuck(_))) {
        EX_TEMPFAIL
    } else {
        EX_SOFTWARE
    }
}

fn serve<C: Configuration>(
    name: &'static str,
    config: C,
    run: fn(C, &Process) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let _entered = runtime.enter();
    let _telemetry = telemetry::init(name, config.telemetry())?;
    let process = Process::new(telemetry::shutdown_signal()?, runtime.handle().clone());
    let server = runtime.block_on(Server::bind(config.telemetry().listen))?;
    tracing::info!(service = name, health = %server.address(), version = env!("CARGO_PKG_VERSION"), "service starts");
    // The last figures of a process are the ones worth scraping, so this stops after the drain.
    let stopped = CancellationToken::new();
    let serving = runtime.spawn(server.run(process.metrics.clone(), process.health.clone(), stopped.clone()));
    let result = run(config, &process);
    stopped.cancel();
    runtime.block_on(serving)??;
    tracing::info!(service = name, "service stopped");
    result
}

/// The error and its causes, in one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
