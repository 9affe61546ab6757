//! The `wardstream` command.
//!
//! One-shot commands take files or standard input, write to standard output, and exit with 0 when all is well, 1 when
//! something was rejected, 64 on wrong usage, 69 when Kafka or the schema registry does not answer or refuses.

mod access;
mod audit_log;
mod classify;
mod convert;
mod dead_letters;
mod explain;
mod input;
mod kafka;
mod lag;
mod letters;
mod line;
mod models;
mod output;
mod position;
mod records;
mod redact;
mod replay;
mod report;
mod standalone;
mod summarize;
mod topics;
mod validate;
mod witness;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::output::Outcome;

/// Clinical events from the ward to the right clinician.
#[derive(Debug, Parser)]
#[command(name = "wardstream", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// HL7 v2 in, FHIR R4 bundles out.
    Convert(convert::Args),
    /// FHIR R4 JSON in, one line a file out: valid or not, and the OperationOutcome.
    Validate(validate::Args),
    /// Text or FHIR in, the same without identifiers out; HL7 v2 in, a FHIR bundle without identifiers out.
    Redact(redact::Args),
    /// Text, FHIR or HL7 v2 in, urgency, specialty and document type out.
    Classify(classify::Args),
    /// Text, FHIR or HL7 v2 in, the sentences that matter out, each with its place in the source.
    Summarize(summarize::Args),
    /// HL7 v2 in, what every stage makes of it out, without Kafka.
    Line(line::Args),
    /// The whole line in this process: broker, registry, mail, WORM folder, status page.
    Standalone(standalone::Args),
    /// The WORM log.
    Audit(audit_log::Args),
    /// Cosigns the checkpoints of a WORM log while it only grows; its memory is its own. Exits with 1 on a log that was cut
    /// back or forked.
    Witness(witness::Args),
    /// The topics of the line in Kafka, as their contracts say.
    Topics(topics::Args),
    /// What each stage has yet to read.
    Lag(lag::Args),
    /// What a stage could not process: look at it, and put it back once the cause is mended.
    DeadLetters(dead_letters::Args),
    /// Records of the WORM log once more, for who says why: selected, proved, masked.
    Replay(records::Command),
    /// What the line did in a period, as a compliance report in HTML and PDF, counted from the WORM log.
    Report(Box<report::Args>),
    /// What an error code means and what to do.
    Explain(explain::Args),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let wrong = error.use_stderr();
            // A reader that has gone away is no reason to fail.
            let _ = error.print();
            return if wrong { Outcome::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    let outcome = match cli.command {
        Command::Convert(args) => convert::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Redact(args) => redact::run(&args),
        Command::Classify(args) => classify::run(&args),
        Command::Summarize(args) => summarize::run(&args),
        Command::Line(args) => line::run(&args),
        Command::Standalone(args) => standalone::run(&args),
        Command::Audit(args) => return audit_log::run(&args),
        Command::Witness(args) => return witness::run(&args),
        Command::Topics(args) => topics::run(&args),
        Command::Lag(args) => lag::run(&args),
        Command::DeadLetters(args) => dead_letters::run(&args),
        Command::Replay(args) => return records::run(&args),
        Command::Report(args) => return report::run(&args),
        Command::Explain(args) => explain::run(&args),
    };
    outcome.into()
}
