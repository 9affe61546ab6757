//! The parts that the line stands on: Kafka, registry, mail server, S3 store with Object Lock.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use contracts::topics;
use local_kafka::{Builder, Cluster};
use stream::{Codec, Publisher};
use tokio::runtime::Handle;
use worm_log::testing::{SeaweedFs, WEED_VARIABLE};
use worm_log::{S3Config, SigningKey, VerifyingKeys};

use crate::drill::service::Surroundings;
use crate::drill::{Error, Gate, Mail, Registry, process};

/// Environment variable that names the folder of the encoder's folder.
const MODELS: &str = "WARDSTREAM_MODELS";
/// Mails that are kept whole; their Message-IDs are kept all.
const KEPT_MAILS: usize = 100;

/// The variables that name the parts.
pub const VARIABLES: [&str; 3] = [local_kafka::LIBS, WEED_VARIABLE, MODELS];

/// How Kafka is to be.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Brokers.
    pub(crate) nodes: usize,
    /// Partitions of each topic.
    pub(crate) partitions: i32,
    /// Port of a proxy that the second listener names as its address.
    pub(crate) advertised: Option<u16>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { nodes: 1, partitions: 3, advertised: None }
    }
}

/// The parts, running. They end with the value, and with this process.
pub(crate) struct Parts {
    pub(crate) kafka: Cluster,
    /// For the drill's own clients.
    pub(crate) config: stream::Config,
    pub(crate) registry: Gate,
    pub(crate) mail: Mail,
    pub(crate) store: Gate,
    /// The store past its gate.
    pub(crate) bucket: S3Config,
    signing_key: PathBuf,
    /// What verifies the checkpoints of the WORM log.
    pub(crate) verifying_keys: VerifyingKeys,
    pub(crate) codec: Codec,
    pub(crate) publisher: Publisher,
    pub(crate) runtime: Handle,
    models: PathBuf,
    _weed: SeaweedFs,
    _registry: Registry,
}

impl Parts {
    /// Starts them. Call it on the thread that lives longest: they end with it.
    pub(crate) fn start(setup: &Setup, folder: &Path, runtime: &Handle) -> Result<Self, Error> {
        let [libs, weed, _] = named()?;
        let weed = runtime
            .block_on(SeaweedFs::start_binary(&launched(&weed, folder)?))
            .map_err(|reason| Error::part("SeaweedFS", reason))?;
        let bucket = weed.audit_config();
        let (signing_key, verifying_keys) =
            checkpoint_keys(folder).map_err(|error| Error::part("key of the WORM log", error))?;
        let endpoint = bucket.endpoint.clone().unwrap_or_default();
        let address = endpoint.trim_start_matches("http://").parse();
        let store = Gate::new(address.map_err(|error| Error::part("SeaweedFS", error))?, runtime)?;

        let kafka = broker(&libs, setup, folder)?;
        let config =
            stream::Config { bootstrap_servers: kafka.bootstrap_servers(), ..stream::Config::default() };
        let replication = if setup.nodes >= 3 { 3 } else { 1 };
        runtime
            .block_on(stream::ensure_topics(&config, &topics(setup.partitions), replication))
            .map_err(|error| Error::part("topics", error))?;

        // The drill's own codec is not behind the gate.
        let direct = Registry::start(runtime)?;
        let registry = Gate::new(direct.address(), runtime)?;
        let codec = Codec::new(&direct.config(), runtime.clone())
            .map_err(|reason| Error::part("registry", reason))?;
        let mail = Mail::start(folder, KEPT_MAILS, runtime)?;
        let publisher = Publisher::new("feed", &config, runtime.clone())
            .map_err(|error| Error::part("publisher", error))?;
        Ok(Self {
            kafka,
            config,
            registry,
            mail,
            store,
            bucket,
            signing_key,
            verifying_keys,
            codec,
            publisher,
            runtime: runtime.clone(),
            models: encoder(),
            _weed: weed,
            _registry: direct,
        })
    }

    /// What the configuration of an instance names, with Kafka at these addresses.
    pub(crate) fn surroundings<'a>(
        &'a self,
        bootstrap_servers: &'a str,
        registry: &'a str,
        store: &'a str,
    ) -> Surroundings<'a> {
        Surroundings {
            bootstrap_servers,
            registry,
            models: &self.models,
            smtp: self.mail.smtp(),
            bucket: &self.bucket,
            store,
            signing_key: &self.signing_key,
        }
    }
}

/// A key for the checkpoints of one store.
fn checkpoint_keys(folder: &Path) -> Result<(PathBuf, VerifyingKeys), service::Failure> {
    let secret = SigningKey::generate("wardstream.drill/audit")?;
    let path = folder.join("checkpoint.key");
    std::fs::write(&path, &secret)?;
    Ok((path, VerifyingKeys::parse(SigningKey::parse(&secret)?.verifying_key())?))
}

/// The encoder's folder: in the folder of models that the environment names, else in `.cache/models`.
#[must_use]
pub fn encoder() -> PathBuf {
    let models = std::env::var_os(MODELS).map_or_else(|| PathBuf::from(".cache/models"), PathBuf::from);
    models.join("all-MiniLM-L6-v2")
}

/// What the environment names.
fn named() -> Result<[PathBuf; 3], Error> {
    let mut found = Vec::new();
    for variable in VARIABLES {
        found.push(std::env::var_os(variable).map(PathBuf::from).ok_or(Error::Missing(variable))?);
    }
    <[PathBuf; 3]>::try_from(found).map_err(|_| Error::Missing(local_kafka::LIBS))
}

fn broker(libs: &Path, setup: &Setup, folder: &Path) -> Result<Cluster, Error> {
    // A drill of several lines has one cluster after the other.
    let home = (1..).map(|number| folder.join(format!("kafka-{number}"))).find(|home| !home.exists());
    let mut builder = Builder::new(libs)
        .nodes(setup.nodes)
        .launched_by(process::launcher()?)
        // By default a transaction that timed out is looked for every ten seconds only.
        .property("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500");
    if let Some(home) = home {
        builder = builder.keep_in(&home);
    }
    if let Some(port) = setup.advertised {
        builder = builder.advertise_through(port);
    }
    builder.start().map_err(|error| Error::part("Apache Kafka", error))
}

/// A program in `folder` that becomes `program`, and ends with this process.
pub(crate) fn launched(program: &Path, folder: &Path) -> Result<PathBuf, Error> {
    let quoted = |text: String| format!("'{}'", text.replace('\'', r"'\''"));
    let mut words: Vec<String> =
        process::launcher()?.into_iter().map(|word| quoted(word.to_string_lossy().into_owned())).collect();
    words.push(quoted(program.display().to_string()));
    let script = folder.join("launch");
    let context = "launcher script";
    std::fs::write(&script, format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" ")))
        .map_err(Error::io(context))?;
    std::fs::set_permissions(&script, <std::fs::Permissions as PermissionsExt>::from_mode(0o755))
        .map_err(Error::io(context))?;
    Ok(script)
}
