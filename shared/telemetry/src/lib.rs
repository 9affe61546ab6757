//! Logs, traces, metrics, health and shutdown, the same in every service.
//!
//! # What may be said
//! Logs, span attributes, metric labels, health reasons and error texts leave the machine on paths that nobody
//! protects as clinical data. **A log field is never payload.** It is a topic, a partition, an offset, a code, a
//! count, a duration, or the name of a segment, field or element; never what stands in it. Three things here hold
//! that line where a habit could fail: [`Redacted`] shows `<phi>` for whatever it wraps; [`init`] replaces the
//! panic hook by one that logs the place of a panic and not its message (a message such as "byte index 7 is not
//! a char boundary" quotes the text); and libraries are kept at `info` and above whatever the filter says,
//! because HTTP, mail and S3 clients print bodies below it.

mod config;
mod error;
mod health;
mod init;
pub mod metrics;
mod panic;
mod redacted;
mod server;
mod shutdown;
pub mod trace;

pub use config::{Config, Format, Log};
pub use error::Error;
pub use health::{Component, ComponentReport, Health, Heartbeat, Report, State};
pub use init::{Guard, init};
pub use metrics::{Fate, Metrics, StageMetrics, TransactionEnd};
pub use redacted::Redacted;
pub use server::{Server, serve};
pub use shutdown::shutdown_signal;
