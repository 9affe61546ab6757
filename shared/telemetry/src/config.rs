//! What an operator can set.

use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::Error;

/// Logs, traces, and where health and metrics are served.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Address on which `/healthz`, `/readyz` and `/metrics` are served. Serves no clinical data, and asks for
    /// no credentials: keep it on a network that only monitoring reaches.
    pub listen: SocketAddr,
    /// The log.
    pub log: Log,
    /// Base URL of an OpenTelemetry collector that takes OTLP over HTTP (protobuf), without credentials;
    /// `/v1/traces` is added. Spans are not exported where this is not set.
    pub otlp_endpoint: Option<Url>,
    /// Share of new traces that are exported, from 0 to 1. A record that comes with a trace keeps the decision
    /// made where the trace began.
    #[schemars(range(min = 0, max = 1))]
    pub trace_sample_ratio: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)),
            log: Log::default(),
            otlp_endpoint: None,
            trace_sample_ratio: 0.1,
        }
    }
}

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// Every fault, with the key it lies in.
    pub fn check(&self) -> Result<(), Vec<settings::Error>> {
        let mut faults = Vec::new();
        if self.log.filter().is_err() {
            faults.push(settings::Error::invalid("telemetry.log.level", "it is no log filter"));
        }
        if self.ratio().is_err() {
            faults.push(settings::Error::invalid("telemetry.trace_sample_ratio", "it is not from 0 to 1"));
        }
        if self.traces_url().is_err() {
            let reason = "it is no http:// or https:// URL, or has credentials or a query";
            faults.push(settings::Error::invalid("telemetry.otlp_endpoint", reason));
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    pub(crate) fn ratio(&self) -> Result<f64, Error> {
        let ratio = self.trace_sample_ratio;
        if (0.0..=1.0).contains(&ratio) { Ok(ratio) } else { Err(Error::Ratio) }
    }

    /// Where spans are posted.
    pub(crate) fn traces_url(&self) -> Result<Option<String>, Error> {
        let Some(base) = &self.otlp_endpoint else { return Ok(None) };
        let credentials = !base.username().is_empty() || base.password().is_some();
        // A configuration is printed with only its secrets masked, and a URL is none.
        if !matches!(base.scheme(), "http" | "https") || credentials || base.query().is_some() {
            return Err(Error::Endpoint);
        }
        Ok(Some(format!("{}/v1/traces", base.as_str().trim_end_matches('/'))))
    }
}

impl Log {
    pub(crate) fn filter(&self) -> Result<EnvFilter, Error> {
        // A lone word that is no level would be taken for the name of a module, and a typo in `info` would silence
        // the log.
        let directives: Vec<&str> = self.level.split(',').map(str::trim).collect();
        let misspelt = directives.iter().any(|directive| {
            directive.is_empty()
                || (!directive.contains(['=', '[']) && directive.parse::<LevelFilter>().is_err())
        });
        if misspelt {
            return Err(Error::Filter);
        }
        EnvFilter::try_new(directives.join(",")).map_err(|_| Error::Filter)
    }
}

/// How the log is written; it goes to standard error.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Log {
    /// Filter: a level (`error`, `warn`, `info`, `debug`, `trace`), optionally followed by levels for modules,
    /// such as `info,wardstream_stream=debug`. Libraries are never logged below `info`, because what they say
    /// there may quote records.
    pub level: String,
    /// Shape of a line.
    pub format: Format,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: Format::Json }
    }
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people to read.
    Text,
}
