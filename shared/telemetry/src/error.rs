//! Why telemetry cannot start.

use std::net::SocketAddr;

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `telemetry.log.level` is no filter.
    #[error("`telemetry.log.level` is not a log filter")]
    Filter,
    /// `telemetry.trace_sample_ratio` is not between 0 and 1.
    #[error("`telemetry.trace_sample_ratio` must be from 0 to 1")]
    Ratio,
    /// The exporter cannot be built. The cause is left out: it quotes the endpoint, which may carry a password.
    #[error("`telemetry.otlp_endpoint` must be an http or https URL without credentials and query")]
    Endpoint,
    /// The HTTP client of the exporter cannot be built.
    #[error("cannot build the HTTP client of the trace exporter")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The address for health and metrics cannot be listened on.
    #[error("cannot listen on {address} for health and metrics")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The server for health and metrics failed.
    #[error("the server for health and metrics failed")]
    Serve(#[source] std::io::Error),
    /// The handlers of SIGTERM and SIGINT cannot be installed.
    #[error("cannot handle SIGTERM and SIGINT")]
    Signal(#[source] std::io::Error),
}

impl Error {
    /// The stable code, `TEL-8xx`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Filter => "TEL-801",
            Self::Ratio => "TEL-802",
            Self::Endpoint => "TEL-803",
            Self::Client(_) => "TEL-804",
            Self::Bind { .. } => "TEL-805",
            Self::Serve(_) => "TEL-806",
            Self::Signal(_) => "TEL-807",
        }
    }
}
