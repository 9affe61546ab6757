//! `wardstream-drill NAME --seed N`: one drill. The last line on standard output is the verdict with its figures.
//!
//! Exit status: 0 when the verdict holds, 1 when it does not, 2 when the drill itself failed, 64 for a wrong command
//! line. The violations, by topic, partition and offset, go to standard error; configurations and logs of the
//! processes stay in the folder that is named there.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use wardstream_load_tests::drill::{self, Name, Options, Outcome, Run};
use wardstream_load_tests::share;

/// Exit status of a wrong command line (`EX_USAGE`).
const EX_USAGE: u8 = 64;
/// Exit status of a drill that failed itself.
const FAILED: u8 = 2;

/// Runs the line on real parts, every instance a process, does something terrible to it under load, and proves that
/// nothing was lost, repeated or put out of order.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Which drills, separated by commas; they share a line, but `broker` has its own, and `tamper` needs none.
    #[arg(value_delimiter = ',', required = true)]
    names: Vec<Name>,
    /// Decides everything that is random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often the terrible thing is done [default: the drill's own].
    #[arg(long)]
    kills: Option<u64>,
    /// Messages of the feed, where the drill counts in messages [default: the drill's own].
    #[arg(long)]
    messages: Option<u64>,
    /// Share of the messages that carry a narrative, 0 to 1; all others are in codes and numbers alone. The more of
    /// them, the more the models set the pace.
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, value_parser = share)]
    narratives: f64,
    /// Instances of each service.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=8))]
    instances: u8,
    /// For `broker`: how many brokers, one line after the other; 1 or 3.
    #[arg(long, value_delimiter = ',', default_value = "1,3", value_parser = brokers)]
    brokers: Vec<usize>,
    /// Messages in the line at a time: with enough of them every stage always has some.
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u64).range(1..))]
    backlog: u64,
    /// Keep configurations and logs in this folder [default: a temporary one, kept only after a violation].
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn brokers(text: &str) -> Result<usize, &'static str> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("neither 1 nor 3"),
    }
}

fn main() -> ExitCode {
    if let Some(status) = drill::become_other() {
        return status;
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(EX_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match run(args) {
        Ok(holds) if holds => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            say(&service::chain(&*error));
            ExitCode::from(FAILED)
        }
    }
}

/// A line for the operator; the verdict alone goes to standard output.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn run(args: Args) -> Result<bool, service::Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (folder, temporary) = match args.folder {
        Some(folder) => {
            std::fs::create_dir_all(&folder)?;
            (folder.canonicalize()?, None)
        }
        None => {
            let temporary = tempfile::TempDir::with_prefix("wardstream-drill-")?;
            (temporary.path().to_owned(), Some(temporary))
        }
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    let _entered = runtime.enter();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    runtime.spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        flag.store(true, Ordering::Release);
    });
    let options = Options {
        names: args.names,
        seed: args.seed,
        kills: args.kills,
        messages: args.messages,
        narratives: args.narratives,
        instances: usize::from(args.instances),
        brokers: args.brokers,
    };
    // This is the main thread, which lives longest.
    let place = Run { folder, runtime: runtime.handle().clone(), backlog: args.backlog, interrupted };
    let outcome = drill::run(&options, &place);
    let whole = matches!(&outcome, Ok(outcome) if outcome.verdict.holds());
    if let Some(temporary) = temporary.filter(|_| !whole) {
        say(&format!("configurations and logs are in {}", temporary.keep().display()));
    }
    report(&outcome?)
}

fn report(outcome: &Outcome) -> Result<bool, service::Failure> {
    for violation in &outcome.verdict.violations {
        say(&format!("violation: {violation}"));
    }
    for line in &outcome.table {
        writeln!(std::io::stdout(), "{line}")?;
    }
    writeln!(std::io::stdout(), "{outcome}")?;
    Ok(outcome.verdict.holds())
}
