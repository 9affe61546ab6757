mod event;
mod explain;
pub(crate) mod hold;
mod prove;
mod segments;

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use worm_log::{
    AnyStore, Checkpoint, CosigningKey, LocalStore, Progress, S3Config, S3Store, SignedCheckpoint,
    SigningKey, VerifyOptions, VerifyingKeys, WitnessKey,
};

use crate::output::{Outcome, complain, line, table, usage};

/// What `audit` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Proves that nothing was changed and nothing is missing. Exits with 0 whole, 1 tampered, 2 incomplete.
    Verify(Verify),
    /// Makes a key that signs checkpoints, and prints what verifies it.
    Key(Key),
    /// Proves that one record is in the log, in a file that is checked without it. Exits with 1 if it cannot be proved.
    Prove(prove::Prove),
    /// Checks the proof of one record, with nothing but the log's verifying keys. Exits with 1 if it does not hold.
    CheckProof(prove::CheckProof),
    /// Proves that a checkpoint's log begins with another's, and says what was added. Exits with 1 if it does not.
    Diff(prove::Diff),
    /// Says what the log holds, by its names alone, or segment by segment as the last checkpoint has it.
    Ls(Ls),
    /// Tells what became of one event, by its records in every topic, each proved. Exits with 1 if the log has none, or not all.
    Explain(Box<explain::Explain>),
    /// Segments under legal hold: adds holds, releases them, lists them. A bucket's alone.
    Hold(Box<hold::Args>),
}

#[derive(Debug, clap::Args)]
struct Ls {
    #[command(flatten)]
    bundle: Bundle,
    /// Each segment that a leaf of the last checkpoint names, as a line of JSON.
    #[arg(long, requires = "keys")]
    segments: bool,
    /// Keys that the checkpoint must be signed by, a line each: `KEY [FROM [UNTIL]]`.
    #[arg(long, value_name = "FILE", requires = "segments")]
    keys: Option<PathBuf>,
}

/// Where a log is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Bundle {
    /// A folder with the log or a copy of it, or `s3://BUCKET`.
    #[arg(long, value_name = "FOLDER|s3://BUCKET")]
    bundle: String,
    /// URL of an S3 store that is not AWS; the bucket is then named in the path.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Region of the bucket; from the environment when not given.
    #[arg(long)]
    region: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Key {
    /// Name of the key, which is the log's name for good: a URL without a scheme, such as `hospital.example/audit`.
    #[arg(long)]
    name: String,
    /// File for the signing key, a secret. It must not be there yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Make the key of a witness, which signs nothing but cosignatures. The name is the witness's then.
    #[arg(long)]
    witness: bool,
}

#[derive(Debug, clap::Args)]
struct Verify {
    #[command(flatten)]
    bundle: Bundle,
    /// Keys that checkpoints must be signed by, a line each: `KEY [FROM [UNTIL]]`. Without them no signature is checked.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// A checkpoint that was kept elsewhere: the log must contain its tree.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// File with the key of the witness that must have cosigned each `--checkpoint`.
    #[arg(long, value_name = "FILE", requires = "checkpoint")]
    witness: Option<PathBuf>,
    /// Only these topics.
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Only segments with records at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Only segments with records before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    to: Option<jiff::Timestamp>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let outcome = match &args.command {
        Command::Verify(verify) => in_runtime(verify.run()),
        Command::Key(key) => key.run().map(|()| ExitCode::SUCCESS),
        Command::Prove(prove) => in_runtime(prove.run()),
        Command::CheckProof(check) => check.run(),
        Command::Diff(diff) => in_runtime(diff.run()),
        Command::Ls(ls) => in_runtime(ls.run()),
        Command::Explain(explain) => explain.run(),
        Command::Hold(hold) => hold.run(),
    };
    outcome.unwrap_or_else(ExitCode::from)
}

pub(crate) fn in_runtime(run: impl Future<Output = Result<ExitCode, Outcome>>) -> Result<ExitCode, Outcome> {
    tokio::runtime::Runtime::new().map_err(usage)?.block_on(run)
}

/// An error of the log, as wrong usage.
pub(crate) fn refuse(error: &worm_log::Error) -> Outcome {
    usage(format_args!("{}: {}; {}", error.code(), service::chain(error), error.help()))
}

/// An error of the log, as something that was rejected.
pub(crate) fn reject(error: &worm_log::Error) -> Outcome {
    complain(format_args!("{}: {}; {}", error.code(), service::chain(error), error.help()));
    Outcome::Rejected
}

/// Writes a new file that only its owner can read.
fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), Outcome> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(|error| usage(format_args!("{}: {error}", path.display())))
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Outcome> {
    std::fs::read(path).map_err(|error| usage(format_args!("{}: {error}", path.display())))
}

pub(crate) fn read_keys(path: &Path) -> Result<VerifyingKeys, Outcome> {
    VerifyingKeys::parse(&String::from_utf8_lossy(&read(path)?)).map_err(|error| refuse(&error))
}

/// Checkpoints that were kept elsewhere, each signed by one of the keys, and cosigned by the witness if there is one.
pub(crate) fn kept(
    checkpoints: &[PathBuf],
    witness: Option<&Path>,
    keys: &VerifyingKeys,
) -> Result<Vec<Checkpoint>, Outcome> {
    let witness = match witness {
        None => None,
        Some(path) => {
            let text = String::from_utf8_lossy(&read(path)?).into_owned();
            Some(WitnessKey::parse(&text).map_err(|error| refuse(&error))?)
        }
    };
    let mut kept = Vec::new();
    for path in checkpoints {
        let signed = SignedCheckpoint::from_bytes(&read(path)?).map_err(|error| refuse(&error))?;
        if !keys.is_empty() && !signed.is_signed_by(keys) {
            return Err(usage(format_args!("{} is signed by none of the keys", path.display())));
        }
        if witness.as_ref().is_some_and(|witness| !witness.has_cosigned(&signed)) {
            return Err(usage(format_args!("{} is not cosigned by the witness", path.display())));
        }
        kept.push(signed.checkpoint().clone());
    }
    Ok(kept)
}

impl Key {
    fn run(&self) -> Result<(), Outcome> {
        if self.witness {
            let secret = CosigningKey::generate(&self.name).map_err(|error| refuse(&error))?;
            let key = CosigningKey::parse(&secret).map_err(|error| refuse(&error))?;
            write_secret(&self.out, format!("{secret}\n").as_bytes())?;
            line(key.verifying_key());
            return Ok(());
        }
        let secret = SigningKey::generate(&self.name).map_err(|error| refuse(&error))?;
        let key = SigningKey::parse(&secret).map_err(|error| refuse(&error))?;
        write_secret(&self.out, format!("{secret}\n").as_bytes())?;
        let now = jiff::Timestamp::now().as_second();
        let from = jiff::Timestamp::from_second(now).unwrap_or_default();
        line(format_args!("{} {from}", key.verifying_key()));
        Ok(())
    }
}

impl Ls {
    async fn run(&self) -> Result<ExitCode, Outcome> {
        let store = self.bundle.open().await?;
        if let Some(keys) = &self.keys {
            return segments::print(&store, &read_keys(keys)?).await;
        }
        let held = worm_log::inventory(&store).await.map_err(|error| refuse(&error))?;
        let rows: Vec<Vec<String>> = held
            .partitions
            .iter()
            .map(|held| {
                let last = held.next_offset.map_or_else(|| "?".to_owned(), |next| (next - 1).to_string());
                let counts = [held.segments, held.bytes].map(|count| count.to_string());
                [held.topic.clone(), held.partition.to_string(), held.first_offset.to_string(), last]
                    .into_iter()
                    .chain(counts)
                    .collect()
            })
            .collect();
        table(&["topic", "partition", "from", "to", "segments", "bytes"], &rows).iter().for_each(line);
        match held.checkpoint {
            None => line("no checkpoint"),
            Some(checkpoint) => line(format_args!(
                "last checkpoint: {}, size {}, made {}, not verified",
                checkpoint.origin, checkpoint.size, checkpoint.time
            )),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Verify {
    async fn run(&self) -> Result<ExitCode, Outcome> {
        let store = self.bundle.open().await?;
        let keys = self.keys.as_deref().map(read_keys).transpose()?.unwrap_or_default();
        let kept = kept(&self.checkpoint, self.witness.as_deref(), &keys)?;
        let options = VerifyOptions {
            topics: self.topic.clone(),
            from_ms: self.from.map(jiff::Timestamp::as_millisecond),
            to_ms: self.to.map(jiff::Timestamp::as_millisecond),
            keys,
            known: kept,
            ..VerifyOptions::default()
        };
        let interactive = io::stderr().is_terminal();
        let report = worm_log::verify(&store, &options, |progress| {
            if interactive {
                show(&progress);
            }
        })
        .await;
        if interactive {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
        match report {
            Ok(report) => {
                if self.json {
                    line(serde_json::to_string(&report).unwrap_or_default());
                } else {
                    line(&report);
                }
                Ok(ExitCode::from(report.verdict.exit_code()))
            }
            Err(error) => {
                complain(format_args!("{}: {}; {}", error.code(), service::chain(&error), error.help()));
                Err(Outcome::Usage)
            }
        }
    }
}

impl Bundle {
    pub(crate) fn new(bundle: String, endpoint: Option<String>, region: Option<String>) -> Self {
        Self { bundle, endpoint, region }
    }

    /// The folder or the bucket, as it was named.
    pub(crate) fn name(&self) -> &str {
        &self.bundle
    }

    /// URL of the store and region of the bucket, as they were named.
    pub(crate) fn store_options(&self) -> (Option<String>, Option<String>) {
        (self.endpoint.clone(), self.region.clone())
    }

    /// Opens it to read.
    pub(crate) async fn open(&self) -> Result<AnyStore, Outcome> {
        if !self.bundle.starts_with("s3://") && !Path::new(&self.bundle).is_dir() {
            return Err(usage(format_args!("{} is no folder", self.bundle)));
        }
        self.store().await.map_err(|error| refuse(&error))
    }

    async fn store(&self) -> Result<AnyStore, worm_log::Error> {
        match self.bundle.strip_prefix("s3://") {
            None => Ok(AnyStore::Local(LocalStore::open_read_only(PathBuf::from(&self.bundle))?)),
            Some(bucket) => {
                let config = S3Config {
                    endpoint: self.endpoint.clone(),
                    region: self.region.clone(),
                    path_style: self.endpoint.is_some(),
                    ..S3Config::new(bucket.trim_end_matches('/'))
                };
                Ok(AnyStore::S3(S3Store::connect(config).await?))
            }
        }
    }
}

pub(crate) fn show(progress: &Progress) {
    let percent = 100 * progress.bytes / progress.bytes_total.max(1);
    let _ = write!(
        io::stderr(),
        "\r\x1b[Kverifying: {} of {} segments, {percent} %",
        progress.segments,
        progress.segments_total
    );
}
