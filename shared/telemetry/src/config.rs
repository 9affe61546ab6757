//! What an operator can set.

use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// Logs, traces, and where health and metrics are served.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Address on which `/healthz`, `/readyz` and `/metrics` are served. Serves no clinical data, and asks for
    /// no credentials: keep it on a network that only monitoring reaches.
    pub listen: SocketAddr,
    /// The log.
    pub log: Log,
    /// Base URL of an OpenTelemetry collector that takes OTLP over HTTP (protobuf); `/v1/traces` is added. Spans
    /// are not exported where this is not set.
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
