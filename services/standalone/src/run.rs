use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use service::{Failure, Process};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::demo::Summary;
use crate::embedded::Embedded;
use crate::line::Line;
use crate::status::{self, Phase, StatusSource, terminal};
use crate::watch::Watch;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address of the status page; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Address of the MLLP listener; none means no listener.
    pub mllp: Option<SocketAddr>,
    /// Folder for keys and the WORM log.
    pub data: PathBuf,
    /// Folder of the encoder of `classify` and `summarize`.
    pub encoder: PathBuf,
    /// Folder of the token classifier of `redact`.
    pub classifier: PathBuf,
    /// Another broker than the embedded one.
    pub bootstrap_servers: Option<String>,
    /// Partitions of the topics that are keyed by patient.
    pub partitions: i32,
    /// The synthetic hospital; none waits for messages from elsewhere.
    pub demo: Option<Demo>,
    /// Whether the terminal is drawn in place.
    pub interactive: bool,
}

/// The synthetic hospital.
#[derive(Clone, Debug)]
pub struct Demo {
    /// Names the run: the same seed sends the same messages.
    pub seed: u64,
    /// Messages a second; none sends as fast as the line takes them.
    pub rate: Option<f64>,
    /// Messages in all; none goes on until the shutdown.
    pub messages: Option<u64>,
    /// Whether the process ends once all messages have their fate.
    pub exit: bool,
}

/// Where the line kept what a demo did, while broker and registry are still there.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'e> {
    /// How Kafka is reached.
    pub kafka: &'e stream::Config,
    /// Where the schema registry is.
    pub registry: &'e stream::RegistryConfig,
    /// Folder of the WORM log.
    pub worm: &'e Path,
    /// Keys that verify it.
    pub keys: &'e Path,
}

/// What is done with a demo's log at its end.
pub trait Closing {
    /// Once the stages have drained and audit still reads: what is written here is in the log.
    fn announce(&mut self, ended: &Ended<'_>);

    /// Once audit has drained too.
    fn close(&mut self, ended: &Ended<'_>);
}

/// Nothing is done.
impl Closing for () {
    fn announce(&mut self, _ended: &Ended<'_>) {}

    fn close(&mut self, _ended: &Ended<'_>) {}
}

/// Runs until the shutdown, or until the demo is over. Gives the demo's summary.
///
/// # Errors
/// When a part does not come up or a service cannot go on.
pub fn run(
    options: &Options,
    shutdown: &CancellationToken,
    closing: &mut dyn Closing,
) -> Result<Option<Summary>, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let _entered = runtime.enter();
    // A taken port is told before anything else begins.
    let listener = runtime.block_on(TcpListener::bind(options.listen)).map_err(|error| {
        format!("cannot listen on {}: {error}; choose another address with --listen", options.listen)
    })?;
    let options = &Options { listen: listener.local_addr()?, ..options.clone() };
    announce(options);
    let parts = CancellationToken::new();
    let embedded = Arc::new(runtime.block_on(Embedded::start(options, &parts))?);
    let process = Process::new(CancellationToken::new(), runtime.handle().clone());
    runtime.block_on(stream::ensure_topics(&embedded.kafka, &contracts::topics(options.partitions), 1))?;
    let line = Line::start(options, &embedded, &process)?;
    let (watch, reading) = Watch::start(&embedded, &process, &parts)?;
    let source: Arc<dyn StatusSource> = watch.clone();
    let page = runtime.spawn(status::serve(listener, source.clone(), parts.clone()));
    let drawing =
        runtime.spawn(terminal::run(std::io::stdout(), options.interactive, source, parts.child_token()));
    tracing::info!(address = %options.listen, "status page");
    watch.wait_until_ready(shutdown, || line.failed());
    watch.set_phase(Phase::Running, None);
    let feed = options.demo.as_ref().map(|demo| demo.start(&embedded, &process, shutdown)).transpose()?;
    let mut summary = None;
    if let (Some(feed), Some(demo)) = (feed, &options.demo) {
        let sent = runtime.block_on(feed)??;
        watch.wait_until_settled(sent, shutdown, || line.failed());
        if !demo.exit {
            wait(shutdown, || line.failed());
        }
    } else {
        wait(shutdown, || line.failed());
    }
    watch.set_phase(Phase::Draining, None);
    let ended = Ended {
        kafka: &embedded.kafka,
        registry: &embedded.registry,
        worm: &embedded.worm,
        keys: &embedded.verifying_keys,
    };
    let outcome = line.stop(&process, &embedded, || {
        if options.demo.is_some() {
            closing.announce(&ended);
        }
    });
    if options.demo.is_some() {
        summary = Some(watch.summary(&embedded)?);
        closing.close(&ended);
    }
    watch.set_phase(Phase::Finished, None);
    parts.cancel();
    // Before the broker goes, or its client would complain that it is gone.
    let _ = reading.join();
    runtime.block_on(async {
        let _ = drawing.await;
        let _ = page.await;
        embedded.mail.stop().await;
    });
    outcome?;
    Ok(summary)
}

/// Says where things are, above what the terminal draws.
fn announce(options: &Options) {
    let mut text = format!("status page  http://{}\n", options.listen);
    if let Some(mllp) = options.mllp {
        text.push_str(&format!("mllp         {mllp}\n"));
    }
    text.push_str(&format!(
        "data         {} (a folder is tamper-evident; only S3 Object Lock is tamper-proof)\n",
        options.data.display()
    ));
    // A reader that has gone away is no reason to stop the line.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Waits for the shutdown, or for a service that could not go on.
fn wait(shutdown: &CancellationToken, failed: impl Fn() -> bool) {
    while !shutdown.is_cancelled() && !failed() {
        std::thread::sleep(Duration::from_millis(100));
    }
}
