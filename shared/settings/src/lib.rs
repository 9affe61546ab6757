//! Typed configuration from file and environment, checked before a socket opens.
//!
//! A service describes its configuration as one struct; [`load`] fills it, later sources over earlier ones:
//!
//! 1. `T::default()`;
//! 2. a TOML file, named by `--config FILE` or else by `WARDSTREAM_CONFIG`;
//! 3. the environment, `WARDSTREAM_<SECTION>__<KEY>`: two underscores between levels, so that
//!    `WARDSTREAM_KAFKA__BOOTSTRAP_SERVERS` is `kafka.bootstrap_servers`.
//!
//! The JSON schema of the struct says which keys exist, how an environment variable's text is read, and which
//! keys are secret. A key that the schema does not know is an error, so a typo cannot pass as a default. A
//! variable whose first level the struct does not have belongs to another service and is left alone, because
//! services often share one environment. An empty variable for an optional key unsets it.
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! # use wardstream_settings as settings;
//!
//! #[derive(Debug, Deserialize, Serialize, JsonSchema)]
//! #[serde(default)]
//! struct Config {
//!     /// How long a batch may wait before it is sent.
//!     linger: settings::Duration,
//! }
//! impl Default for Config {
//!     fn default() -> Self {
//!         Self { linger: settings::Duration::from_millis(5) }
//!     }
//! }
//! let config: Config = settings::load_from(None, [("WARDSTREAM_LINGER".into(), "20ms".into())])?;
//! assert_eq!(config.linger, settings::Duration::from_millis(20));
//! # Ok::<(), settings::Error>(())
//! ```

mod cli;
mod environment;
mod error;
mod file;
mod layers;
mod reference;
mod schema;
mod secret;
mod units;

pub use cli::{Args, Cli, EX_USAGE, exit_with, exit_with_all, parse_or_exit};
pub use error::{Error, Source};
pub use layers::{load, load_from, to_toml};
pub use reference::reference;
pub use secret::Secret;
pub use units::{ByteSize, Duration, UnitError};
