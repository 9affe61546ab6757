//! Writes a synthetic feed of HL7 v2 messages to a folder or to standard output.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use jiff::Timestamp;
use wardstream_load_tests::{Config, Feed, FeedMessage, share};

/// Exit status for wrong usage, and for a failed write (sysexits.h).
const EX_USAGE: u8 = 64;
const EX_IOERR: u8 = 74;

/// Writes a reproducible feed of synthetic HL7 v2 messages: nobody in it exists.
#[derive(Debug, Parser)]
#[command(name = "wardstream-feed", version)]
struct Arguments {
    /// Names the run: the same seed and options give the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many messages to write.
    #[arg(long, default_value_t = 1000)]
    messages: u64,
    /// Messages per second; as fast as possible without it.
    #[arg(long, value_parser = rate)]
    rate: Option<f64>,
    /// Folder for one file a message, or `-` for a batch (FHS, BHS, messages, BTS, FTS) on standard output.
    #[arg(long, value_name = "FOLDER|-")]
    out: PathBuf,
    /// Write what is known about each message to this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Facilities that send.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    facilities: u32,
    /// Patients of all facilities.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    patients: u32,
    /// Share of messages that are damaged, 0 to 1.
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    damage_rate: f64,
    /// Share of messages that repeat an earlier one, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    duplicate_rate: f64,
    /// Share of messages that carry a narrative, 0 to 1; all others then say in codes and numbers what they have to
    /// say. Without it, as in a general hospital: more than a quarter are narratives, and most others name a diagnosis.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    narratives: Option<f64>,
    /// When the first message is made, by the hospital's clock (RFC 3339).
    #[arg(long, default_value = "2025-03-03T14:00:00Z")]
    start: Timestamp,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("not a positive number".to_owned()),
    }
}

/// Where messages go.
enum Sink {
    Folder(PathBuf),
    Batch(BufWriter<io::Stdout>),
}

impl Sink {
    fn open(out: &Path) -> io::Result<Self> {
        if out == Path::new("-") {
            let mut stdout = BufWriter::new(io::stdout());
            stdout.write_all(b"FHS|^~\\&|WARDSTREAM-FEED\rBHS|^~\\&|WARDSTREAM-FEED\r")?;
            return Ok(Self::Batch(stdout));
        }
        fs::create_dir_all(out)?;
        Ok(Self::Folder(out.to_owned()))
    }

    fn write(&mut self, number: u64, message: &FeedMessage) -> io::Result<()> {
        match self {
            Self::Folder(folder) => {
                // A retransmission has its original's control id; the number keeps the files apart.
                let name = format!("{number:08}-{}.hl7", message.truth.control_id);
                fs::write(folder.join(name), &message.bytes)
            }
            Self::Batch(stdout) => {
                stdout.write_all(&message.bytes)?;
                // What was cut off must not run into the next message.
                if !message.bytes.ends_with(b"\r") && !message.bytes.ends_with(b"\n") {
                    stdout.write_all(b"\r")?;
                }
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Batch(stdout) => stdout.flush(),
        }
    }

    fn close(mut self, messages: u64) -> io::Result<()> {
        if let Self::Batch(stdout) = &mut self {
            write!(stdout, "BTS|{messages}\rFTS|1\r")?;
        }
        self.flush()
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let config = Config {
        seed: arguments.seed,
        facilities: arguments.facilities as usize,
        patients: arguments.patients as usize,
        damage_rate: arguments.damage_rate,
        duplicate_rate: arguments.duplicate_rate,
        narratives: arguments.narratives,
        start: arguments.start,
        ..Config::default()
    };
    let mut sink = Sink::open(&arguments.out)?;
    let mut truth = arguments.truth.as_deref().map(File::create).transpose()?.map(BufWriter::new);
    let begun = Instant::now();
    for (number, message) in (0..arguments.messages).zip(Feed::new(config)) {
        if let Some(rate) = arguments.rate {
            let due = Duration::try_from_secs_f64(number as f64 / rate).unwrap_or(Duration::MAX);
            let early = due.saturating_sub(begun.elapsed());
            if !early.is_zero() {
                // A reader at the other end should see what is due, not a full buffer later.
                sink.flush()?;
                thread::sleep(early);
            }
        }
        sink.write(number, &message)?;
        if let Some(truth) = &mut truth {
            serde_json::to_writer(&mut *truth, &message.truth)?;
            truth.write_all(b"\n")?;
        }
    }
    if let Some(truth) = &mut truth {
        truth.flush()?;
    }
    sink.close(arguments.messages)
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Asking for help or the version is no error; clap writes both to the right place.
            let status = if error.use_stderr() { EX_USAGE } else { 0 };
            return if error.print().is_ok() { ExitCode::from(status) } else { ExitCode::from(EX_IOERR) };
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has had enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "wardstream-feed: {error}");
            ExitCode::from(EX_IOERR)
        }
    }
}
