use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::PathBuf;

use ::standalone::{Closing, Demo, Ended, Options};

use ::report::Period;
use jiff::{SignedDuration, Timestamp};

use crate::access::Who;
use crate::audit_log::Bundle;
use crate::kafka::Settings;
use crate::models::Folder;
use crate::output::{Outcome, complain, line, usage};
use crate::report::{Begun, Files, Job};

/// What `standalone` takes.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Args {
    /// Publish the messages of a synthetic hospital.
    #[arg(long)]
    demo: bool,
    /// How many of them; without it they go on until Ctrl-C.
    #[arg(long, value_name = "N", requires = "demo")]
    messages: Option<u64>,
    /// End once they all have their fate, with a summary.
    #[arg(long, requires = "messages")]
    exit: bool,
    /// Messages a second; without it 10, or with --exit as fast as the line takes them.
    #[arg(long, value_name = "N", requires = "demo")]
    rate: Option<f64>,
    /// The same seed publishes the same messages.
    #[arg(long, default_value_t = 1, requires = "demo")]
    seed: u64,
    /// Address of the status page; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Address on which HL7 v2 is taken over MLLP; without it there is no such listener.
    #[arg(long, value_name = "ADDRESS")]
    mllp: Option<SocketAddr>,
    /// Folder for keys and the WORM log.
    #[arg(long, value_name = "FOLDER", default_value = "data")]
    data: PathBuf,
    /// Run on this Kafka instead of the embedded broker.
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap_servers: Option<String>,
    /// Partitions of the topics, where they are created.
    #[arg(long, value_name = "N", default_value_t = 3)]
    partitions: i32,
    /// Log filter; the log goes to standard error.
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    log: String,
    #[command(flatten)]
    models: Folder,
}

/// Messages a second of a demo that somebody watches.
const WATCHED: f64 = 10.0;

pub(crate) fn run(args: &Args) -> Outcome {
    if args.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
        return usage("--rate must be a number above 0");
    }
    if args.partitions < 1 {
        return usage("--partitions must be 1 or more");
    }
    let options = Options {
        listen: args.listen,
        mllp: args.mllp,
        data: args.data.clone(),
        encoder: args.models.encoder(),
        classifier: args.models.classifier(),
        bootstrap_servers: args.bootstrap_servers.clone(),
        partitions: args.partitions,
        demo: args.demo.then(|| Demo {
            seed: args.seed,
            rate: args.rate.or((!args.exit).then_some(WATCHED)),
            messages: args.messages,
            exit: args.exit,
        }),
        interactive: io::stdout().is_terminal(),
    };
    match start(args, &options) {
        Ok(outcome) => outcome,
        Err(failure) => {
            complain(format_args!("error: {}", service::chain(&*failure)));
            Outcome::Rejected
        }
    }
}

fn start(args: &Args, options: &Options) -> Result<Outcome, service::Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let _entered = runtime.enter();
    let mut config = telemetry::Config::default();
    config.log.level.clone_from(&args.log);
    config.log.format = telemetry::Format::Text;
    let _telemetry = telemetry::init("wardstream", &config)?;
    let shutdown = telemetry::shutdown_signal()?;
    let mut report = DemoReport { began: Timestamp::now(), begun: None, made: None };
    match ::standalone::run(options, &shutdown, &mut report)? {
        None => Ok(Outcome::Good),
        Some(summary) => {
            line(format_args!("\n{summary}"));
            if let Some(made) = &report.made {
                line(format_args!("report         {} and .pdf", made.html.display()));
            }
            Ok(if summary.is_good() && report.made.is_some() { Outcome::Good } else { Outcome::Rejected })
        }
    }
}

/// The compliance report of a demo, made at its end. What stands in its way is said on standard error.
struct DemoReport {
    began: Timestamp,
    begun: Option<Begun>,
    made: Option<Files>,
}

impl Closing for DemoReport {
    fn announce(&mut self, ended: &Ended<'_>) {
        self.begun = self.begin(ended).ok();
    }

    fn close(&mut self, ended: &Ended<'_>) {
        let Some(mut begun) = self.begun.take() else { return };
        let mut out = ended.worm.as_os_str().to_owned();
        out.push("-report");
        self.made = Files::new(out.as_ref()).and_then(|files| begun.write(&files).map(|_| files)).ok();
    }
}

impl DemoReport {
    fn begin(&self, ended: &Ended<'_>) -> Result<Begun, Outcome> {
        let (kafka, registry) = (ended.kafka.clone(), ended.registry.clone());
        let settings = Settings { kafka, registry, ..Settings::default() };
        let whole = |time: Timestamp, seconds: i64| {
            Timestamp::from_second(time.as_second().saturating_add(seconds)).map_err(usage)
        };
        // The access event of the report itself is in it.
        let (from, to) = (whole(self.began, 0)?, whole(Timestamp::now(), 5)?);
        let job = Job {
            bundle: Bundle::new(ended.worm.display().to_string(), None, None),
            keys: ended.keys.to_owned(),
            checkpoints: Vec::new(),
            witness: None,
            period: Period { from, to, settle: SignedDuration::ZERO },
            unproven: false,
            progress: false,
            who: Who {
                purpose: "HOPERAT: to show what the demo did".parse().map_err(usage)?,
                operator: "demo".parse().map_err(usage)?,
            },
        };
        job.begin(&settings)
    }
}
