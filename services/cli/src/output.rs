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
    /// Kafka or the schema registry does not answer, or refuses: 69 (`EX_UNAVAILABLE` of BSD's sysexits.h).
    Unavailable,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Good => Self::SUCCESS,
            Outcome::Rejected => Self::from(1),
            Outcome::Usage => Self::from(64),
            Outcome::Unavailable => Self::from(69),
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

/// Lines with columns: numbers to the right, all else to the left, and nothing behind the last word.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let length = |text: &str| text.chars().count();
    let widths: Vec<usize> = (0..header.len())
        .map(|at| rows.iter().map(|row| length(&row[at])).chain([length(header[at])]).max().unwrap_or(0))
        .collect();
    let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit() || "-≤ ".contains(c));
    let right: Vec<bool> =
        (0..header.len()).map(|at| !rows.is_empty() && rows.iter().all(|row| is_number(&row[at]))).collect();
    let render = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(&widths).zip(&right).map(|((cell, width), right)| {
            let space = " ".repeat(width - length(cell));
            if *right { format!("{space}{cell}") } else { format!("{cell}{space}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![render(&mut header.iter().copied())];
    lines.extend(rows.iter().map(|row| render(&mut row.iter().map(String::as_str))));
    lines
}

/// JSON for people when it is the only one, one line each when there are several.
pub(crate) fn documents(documents: &[Value]) {
    match documents {
        [single] => line(format_args!("{single:#}")),
        several => several.iter().for_each(line),
    }
}
