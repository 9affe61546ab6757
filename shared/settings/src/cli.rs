//! The command line that every service has.

use std::io::Write;
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::layers::{load, to_toml};

/// The exit status of a wrong command line or configuration (`EX_USAGE` of BSD's sysexits.h). Distinct from the
/// status of a crash, so that a supervisor can tell what restarting will not mend.
pub const EX_USAGE: i32 = 64;

/// The arguments that every service takes. A program with arguments of its own flattens them into its parser.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Read the configuration from this TOML file [environment: WARDSTREAM_CONFIG].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the effective configuration as TOML, secrets masked, and exit.
    #[arg(long)]
    pub print_config: bool,
}

/// The command line of a service that has no arguments of its own.
#[derive(Clone, Debug, Default, clap::Parser)]
#[command(
    version,
    after_help = "Every key can also be set by a variable WARDSTREAM_<SECTION>__<KEY>, with two underscores \
                  between levels; a secret also by WARDSTREAM_<SECTION>__<KEY>_FILE, the path of a file that \
                  holds it."
)]
pub struct Cli {
    /// The arguments.
    #[command(flatten)]
    pub args: Args,
}

/// The name of a service's program.
pub(crate) fn program(service: &str) -> String {
    if service.starts_with("wardstream") { service.to_owned() } else { format!("wardstream-{service}") }
}

/// Reads the command line and the configuration of a service.
///
/// Does not return where the process is to end: after `--help`, `--version` and `--print-config` with status 0,
/// and after a wrong command line or configuration with `error[CONF-7xx]: …` on standard error and status
/// [`EX_USAGE`]. Opens no socket.
#[must_use]
pub fn parse_or_exit<T>(service: &str) -> T
where
    T: DeserializeOwned + Serialize + JsonSchema + Default,
{
    let command = Cli::command().display_name(program(service)).bin_name(program(service));
    let parsed = command.try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = parsed.unwrap_or_else(|error| exit_with_usage(&error));
    let config = load::<T>(&cli.args).unwrap_or_else(|error| exit_with(&error));
    if cli.args.print_config {
        let text = to_toml(&config).unwrap_or_else(|error| exit_with(&error));
        print(std::io::stdout(), &text);
        std::process::exit(0);
    }
    config
}

/// Ends the process as [`parse_or_exit`] does on a wrong configuration. For a service's own checks.
pub fn exit_with(error: &Error) -> ! {
    exit_with_all(std::slice::from_ref(error))
}

/// [`exit_with`] for several faults, each on its own line, so that an operator mends them in one go.
pub fn exit_with_all(errors: &[Error]) -> ! {
    let mut text = String::new();
    for error in errors {
        text.push_str(&format!("error[{}]: {error}\n", error.code()));
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            text.push_str(&format!("  because: {error}\n"));
            cause = error.source();
        }
    }
    print(std::io::stderr(), &text);
    std::process::exit(EX_USAGE)
}

fn exit_with_usage(error: &clap::Error) -> ! {
    let text = error.to_string();
    if !error.use_stderr() {
        print(std::io::stdout(), &text);
        std::process::exit(0);
    }
    let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
    exit_with(&Error::Usage(text.to_owned()))
}

/// A reader that has gone away, such as `head`, is no reason to panic on the way out.
fn print(mut stream: impl Write, text: &str) {
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.flush();
}
