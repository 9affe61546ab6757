//! `report`: what the line did in a period, counted from the WORM log, as HTML and as PDF.

mod gather;

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::report::{Made, Period, Source, compile, html, pdf};
use jiff::{SignedDuration, Timestamp};
use replay::{Kind, Selection};
use stream::Codec;
use tokio::runtime::Runtime;

use crate::access::{Deed, Who};
use crate::audit_log::Bundle;
use crate::kafka::{Connection, Settings};
use crate::output::{Outcome, line, usage};
use gather::Gather;

/// What `report` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Before a segment is read, access.events has who makes a report of what and why; without Kafka nothing is read.

The log is verified first, as by `wardstream audit verify`. Of a log that is not whole nothing is counted: the report says what was found. \
Then the segments of the period are read once more, each held against the leaf of the Merkle log that names it. Segments under no checkpoint yet \
end it with WORM-621, unless --unproven is given.

Each number in the report is followed by the command that gives it once more. Nothing of a message's content is in it but message types and the \
codes of facilities.

Exit status: 0 the log is whole, 1 tampered, 2 incomplete.")]
pub(crate) struct Args {
    #[command(flatten)]
    bundle: Bundle,
    /// Keys that checkpoints must be signed by, a line each: `KEY [FROM [UNTIL]]`.
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// A checkpoint that was kept elsewhere: the log must contain its tree.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// File with the key of the witness that must have cosigned each `--checkpoint`.
    #[arg(long, value_name = "FILE", requires = "checkpoint")]
    witness: Option<PathBuf>,
    /// Begin of the period: records that were written at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    from: Timestamp,
    /// End of the period: records that were written before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    to: Timestamp,
    /// How long after the end of the period what a stage wrote still counts as the fate of an input of the period.
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    settle: settings::Duration,
    /// Records of segments too that are under no checkpoint yet.
    #[arg(long)]
    unproven: bool,
    /// Where the report goes: NAME.html and NAME.pdf, which must not be there yet.
    #[arg(long, value_name = "NAME")]
    out: PathBuf,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    args.run().unwrap_or_else(ExitCode::from)
}

/// The two files of a report.
pub(crate) struct Files {
    pub(crate) html: PathBuf,
    pub(crate) pdf: PathBuf,
}

impl Files {
    /// Refuses to write over anything, before anything is read.
    pub(crate) fn new(out: &Path) -> Result<Self, Outcome> {
        let named = |extension: &str| {
            let mut name = out.as_os_str().to_owned();
            name.push(extension);
            PathBuf::from(name)
        };
        let files = Self { html: named(".html"), pdf: named(".pdf") };
        if let Some(folder) = out.parent().filter(|folder| *folder != Path::new("") && !folder.is_dir()) {
            return Err(usage(format_args!("{} is no folder", folder.display())));
        }
        if let Some(path) = [&files.html, &files.pdf].into_iter().find(|path| path.exists()) {
            return Err(usage(format_args!("{} is there already", path.display())));
        }
        Ok(files)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Outcome> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(|error| usage(format_args!("{}: {error}", path.display())))
}

impl Args {
    fn run(&self) -> Result<ExitCode, Outcome> {
        let settings = self.connection.settings()?;
        if self.from >= self.to {
            return Err(usage("--from must be before --to"));
        }
        let settle = SignedDuration::try_from(self.settle.get())
            .map_err(|_| usage("--settle is longer than any time"))?;
        let job = Job {
            bundle: self.bundle.clone(),
            keys: self.keys.clone(),
            checkpoints: self.checkpoint.clone(),
            witness: self.witness.clone(),
            period: Period { from: self.from, to: self.to, settle },
            unproven: self.unproven,
            progress: io::stderr().is_terminal(),
            who: self.who.clone(),
        };
        let files = Files::new(&self.out)?;
        let mut begun = job.begin(&settings)?;
        let verdict = begun.write(&files)?;
        line(format_args!("{} and {}: {verdict}", files.html.display(), files.pdf.display()));
        Ok(ExitCode::from(begun.gather.verdict().exit_code()))
    }
}

/// A report to be made.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) bundle: Bundle,
    /// File with the keys that verify.
    pub(crate) keys: PathBuf,
    /// Files with checkpoints that were kept elsewhere.
    pub(crate) checkpoints: Vec<PathBuf>,
    /// File with the key of the witness.
    pub(crate) witness: Option<PathBuf>,
    pub(crate) period: Period,
    pub(crate) unproven: bool,
    /// Whether standard error says how far it is.
    pub(crate) progress: bool,
    pub(crate) who: Who,
}

impl Job {
    /// Opens what is needed, and writes the access event. Nothing of the log is read before.
    pub(crate) fn begin(self, settings: &Settings) -> Result<Begun, Outcome> {
        let runtime = Runtime::new().map_err(usage)?;
        let codec = Codec::new(&settings.registry, runtime.handle().clone()).map_err(usage)?;
        let gather = Gather::open(&self, runtime, codec)?;
        let Period { from, to, .. } = self.period;
        let times = Selection { from: Some(from), to: Some(to), ..Selection::default() };
        let deed = Deed {
            kinds: &[(Kind::Report, None)],
            source: self.bundle.name(),
            query: &times.query(None),
            pseudonym: None,
        };
        self.who.announce(settings, gather.codec(), gather.runtime(), &deed)?;
        Ok(Begun { job: self, gather })
    }

    fn source(&self) -> Source {
        let (endpoint, region) = self.bundle.store_options();
        Source {
            bundle: self.bundle.name().to_owned(),
            endpoint,
            region,
            keys: self.keys.display().to_string(),
            unproven: self.unproven,
        }
    }
}

/// A report that was announced.
pub(crate) struct Begun {
    job: Job,
    gather: Gather,
}

impl Begun {
    /// Verifies, counts and writes. Gives the report's verdict on the log.
    pub(crate) fn write(&mut self, files: &Files) -> Result<String, Outcome> {
        let Self { job, gather } = self;
        let checked = gather.check()?;
        let counts = if checked.verification.whole { Some(gather.count()?) } else { None };
        let made = Made {
            at: Timestamp::now(),
            operator: job.who.operator.to_string(),
            purpose: job.who.purpose.to_string(),
            version: format!("wardstream {}", env!("CARGO_PKG_VERSION")),
        };
        let meaning = |code: &str| ::standalone::errors::find(code).map(|page| page.title.to_owned());
        let document = compile(&made, &job.source(), &job.period, &checked, counts.as_ref(), meaning);
        write(&files.html, html::render(&document).as_bytes())?;
        write(&files.pdf, &pdf::render(&document))?;
        Ok(document.verdict.0)
    }
}
