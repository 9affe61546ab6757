//! What a one-shot command writes, and how it exits.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::Value;

/// How a command ended. The greater wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// All is well: 0.
    Good,
    /// Something was rejected: 1.
    Rejected,
    /// Wrong usage: 64.
    Usage,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Good => Self::SUCCESS,
            Outcome::Rejected => Self::from(1),
            Outcome::Usage => Self::from(64),
        }
    }
}

/// Writes a line to standard output. A reader that has gone away, such as `head`, ends the process in peace.
pub(crate) fn line(text: impl Display) {
    if writeln!(io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Says what is wrong, on standard error.
pub(crate) fn complain(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says what is wrong with the usage.
pub(crate) fn usage(text: impl Display) -> Outcome {
    complain(format_args!("error: {text}"));
    Outcome::Usage
}

/// JSON for people when it is the only one, one line each when there are several.
pub(crate) fn documents(documents: &[Value]) {
    match documents {
        [single] => line(format_args!("{single:#}")),
        several => several.iter().for_each(line),
    }
}
