//! A service that only reads its configuration: what the tests of the command line start.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wardstream_settings as settings;

/// A mail server.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct Smtp {
    /// Host name of the server.
    host: String,
    /// TCP port.
    port: u16,
    /// The password of the account.
    password: settings::Secret,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct Config {
    smtp: Smtp,
}

fn main() {
    let config: Config = settings::parse_or_exit("example");
    let mut faults = Vec::new();
    if config.smtp.host.contains(' ') {
        faults.push(settings::Error::invalid("smtp.host", "a host name has no space"));
    }
    if config.smtp.port == 0 {
        faults.push(settings::Error::invalid("smtp.port", "a mail server has a port"));
    }
    if !faults.is_empty() {
        settings::exit_with_all(&faults);
    }
    if config.smtp.password.expose() != "hunter2" {
        std::process::exit(1);
    }
}
