//! How the operator's commands reach Kafka and the schema registry.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stream::CodecError;

use crate::output::{Outcome, complain, usage};

/// The sections `kafka` and `registry` of a service's configuration, and who may see what.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// How Kafka is reached.
    pub(crate) kafka: stream::Config,
    /// Where the schema registry is.
    pub(crate) registry: stream::RegistryConfig,
    /// Who may see what.
    pub(crate) access: Access,
}

/// Who may see what.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Access {
    /// Operators who may see records without a mask, each with the role that allows it.
    pub(crate) unmask: BTreeMap<String, String>,
}

/// Where Kafka is.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// Brokers to begin with; else kafka.bootstrap_servers of the configuration.
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap_servers: Option<String>,
    /// TOML file with the sections kafka, registry and access [environment: WARDSTREAM_CONFIG]; each key is also a
    /// variable, WARDSTREAM_KAFKA__SECURITY__PROTOCOL and so on.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Connection {
    /// The settings, checked.
    ///
    /// # Errors
    /// Says every fault.
    pub(crate) fn settings(&self) -> Result<Settings, Outcome> {
        let args = settings::Args { config: self.config.clone(), ..Default::default() };
        let mut settings: Settings =
            settings::load(&args).map_err(|error| usage(format_args!("[{}] {error}", error.code())))?;
        if let Some(servers) = &self.bootstrap_servers {
            settings.kafka.bootstrap_servers.clone_from(servers);
        }
        match service::all_of([settings.kafka.check(), settings.registry.check()]) {
            Ok(()) => Ok(settings),
            Err(faults) => {
                for fault in faults {
                    usage(format_args!("[{}] {fault}", fault.code()));
                }
                Err(Outcome::Usage)
            }
        }
    }
}

/// Says that Kafka or the registry stood in the way.
pub(crate) fn unavailable(error: &(dyn Error + 'static)) -> Outcome {
    complain(format_args!("error: {}", service::chain(error)));
    Outcome::Unavailable
}

/// A record that cannot be decoded is one of another writer's, or the registry is away.
pub(crate) fn undecoded(place: impl std::fmt::Display, error: CodecError) -> Outcome {
    match error {
        CodecError::Unavailable(error) => unavailable(&error),
        CodecError::Reject(reject) => {
            complain(format_args!("error: {place}: {}: {}", reject.code, reject.reason));
            Outcome::Rejected
        }
    }
}

/// The stages of the line.
pub(crate) fn stage(text: &str) -> Result<&'static str, String> {
    let stages = contracts::STAGES;
    stages.into_iter().find(|stage| *stage == text).ok_or_else(|| format!("one of {}", stages.join(", ")))
}
