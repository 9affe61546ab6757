use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use worm_log::{Checkpoint, CosigningKey, SignedCheckpoint, VerifyingKeys};

use crate::audit_log::{Bundle, in_runtime, read, read_keys, refuse, reject};
use crate::output::{Outcome, complain, line, usage};

/// What `witness` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    bundle: Bundle,
    /// Keys that the log's checkpoints must be signed by, a line each: `KEY [FROM [UNTIL]]`.
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// File with the witness's own key, as `audit key --witness` makes it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Folder for the cosigned checkpoints of this log: the witness's memory. Keep it where who runs the log cannot reach it.
    #[arg(long, value_name = "FOLDER")]
    state: PathBuf,
    /// Look again after this time, until interrupted or until the log has to be refused.
    #[arg(long, value_name = "TIME")]
    every: Option<settings::Duration>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    in_runtime(args.run()).unwrap_or_else(ExitCode::from)
}

impl Args {
    async fn run(&self) -> Result<ExitCode, Outcome> {
        let keys = read_keys(&self.keys)?;
        let key = CosigningKey::parse(&String::from_utf8_lossy(&read(&self.key)?))
            .map_err(|error| refuse(&error))?;
        fs::create_dir_all(&self.state)
            .map_err(|error| usage(format_args!("{}: {error}", self.state.display())))?;
        loop {
            match self.look(&keys, &key).await {
                // What is away comes back, and the memory is still there.
                Err(Outcome::Unavailable) if self.every.is_some() => {}
                outcome => outcome?,
            }
            let Some(every) = self.every else { return Ok(ExitCode::SUCCESS) };
            tokio::time::sleep(every.into()).await;
        }
    }

    async fn look(&self, keys: &VerifyingKeys, key: &CosigningKey) -> Result<(), Outcome> {
        let before = last(&self.state)?;
        let store = self.bundle.open().await?;
        let before = before.as_ref().map(SignedCheckpoint::checkpoint);
        match worm_log::observe(&store, keys, key, before, jiff::Timestamp::now()).await {
            Ok(Some(cosigned)) => {
                remember(&self.state, &cosigned)
                    .map_err(|error| usage(format_args!("{}: {error}", self.state.display())))?;
                let Checkpoint { origin, size, time, .. } = cosigned.checkpoint();
                line(format_args!("cosigned: {origin}, size {size}, made {time}"));
                Ok(())
            }
            Ok(None) => {
                let size = before.map_or(0, |before| before.size);
                line(format_args!("nothing new: size {size}"));
                Ok(())
            }
            Err(error) if error.is_retryable() => {
                complain(format_args!("{}: {}; {}", error.code(), service::chain(&error), error.help()));
                Err(Outcome::Unavailable)
            }
            Err(error @ (worm_log::Error::Refused { .. } | worm_log::Error::Checkpoint { .. })) => {
                Err(reject(&error))
            }
            Err(error) => Err(refuse(&error)),
        }
    }
}

fn name(size: u64) -> String {
    format!("{size:020}")
}

/// The largest checkpoint that was cosigned.
fn last(state: &Path) -> Result<Option<SignedCheckpoint>, Outcome> {
    let entries = fs::read_dir(state).map_err(|error| usage(format_args!("{}: {error}", state.display())))?;
    let sizes = entries.flatten().filter_map(|entry| {
        let found = entry.file_name().to_str()?.to_owned();
        found.parse::<u64>().ok().filter(|size| name(*size) == found)
    });
    let Some(size) = sizes.max() else { return Ok(None) };
    // A memory that cannot be read is not none: what comes next could be a fork.
    let signed =
        SignedCheckpoint::from_bytes(&read(&state.join(name(size)))?).map_err(|error| refuse(&error))?;
    Ok(Some(signed))
}

/// Under its name only once it is whole and on the disk: half a memory is worse than an old one.
fn remember(state: &Path, cosigned: &SignedCheckpoint) -> std::io::Result<()> {
    let staged = state.join("staged");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&staged)?;
    file.write_all(&cosigned.to_bytes())?;
    file.sync_all()?;
    fs::rename(&staged, state.join(name(cosigned.checkpoint().size)))?;
    File::open(state)?.sync_all()
}
