use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use worm_log::{AnyStore, LocalStore, Progress, S3Config, S3Store, VerifyOptions};

use crate::output::{Outcome, complain, line, usage};

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
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// A folder with the log or a copy of it, or `s3://BUCKET`.
    #[arg(long, value_name = "FOLDER|s3://BUCKET")]
    bundle: String,
    /// Only these topics.
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Only segments with records at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Only segments with records before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    to: Option<jiff::Timestamp>,
    /// URL of an S3 store that is not AWS; the bucket is then named in the path.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Region of the bucket; from the environment when not given.
    #[arg(long)]
    region: Option<String>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let Command::Verify(verify) = &args.command;
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return usage(error).into(),
    };
    runtime.block_on(verify.run())
}

impl Verify {
    async fn run(&self) -> ExitCode {
        if !self.bundle.starts_with("s3://") && !Path::new(&self.bundle).is_dir() {
            return usage(format_args!("{} is no folder", self.bundle)).into();
        }
        let store = match self.store().await {
            Ok(store) => store,
            Err(error) => {
                return usage(format_args!("{}: {}; {}", error.code(), service::chain(&error), error.help()))
                    .into();
            }
        };
        let options = VerifyOptions {
            topics: self.topic.clone(),
            from_ms: self.from.map(jiff::Timestamp::as_millisecond),
            to_ms: self.to.map(jiff::Timestamp::as_millisecond),
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
                ExitCode::from(report.verdict.exit_code())
            }
            Err(error) => {
                complain(format_args!("{}: {}; {}", error.code(), service::chain(&error), error.help()));
                Outcome::Usage.into()
            }
        }
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

fn show(progress: &Progress) {
    let percent = 100 * progress.bytes / progress.bytes_total.max(1);
    let _ = write!(
        io::stderr(),
        "\r\x1b[Kverifying: {} of {} segments, {percent} %",
        progress.segments,
        progress.segments_total
    );
}
