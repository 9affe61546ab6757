//! `audit hold`: segments under legal hold, by topic and time or by event.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use futures::StreamExt as _;
use jiff::Timestamp;
use replay::{Kind, Selection};
use stream::Codec;
use tokio::runtime::Runtime;
use worm_log::{AnyStore, Ledger, Manifest, Planned, S3Store, SegmentId, VerifyingKeys};

use super::event::{Named, Search};
use super::{Bundle, read_keys, refuse, reject};
use crate::access::{Deed, Who};
use crate::kafka::Connection;
use crate::output::{Outcome, complain, line, table, usage};

/// Segments whose objects are asked about or changed at the same time.
const REQUESTS: usize = 16;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Puts segments and their manifests under legal hold: they outlast their retention until the hold is taken away.
    Add(Change),
    /// Takes the legal hold away; the retention stays.
    Release(Change),
    /// Says which segments are under legal hold.
    Ls(Ls),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Before the first object is changed, access.events has who changes what and why; without Kafka nothing is changed.

S3 keeps one hold an object, whoever asked for it: to release is to release it for all. access.events says who else asked.")]
struct Change {
    #[command(flatten)]
    bundle: Bundle,
    /// Keys that the log's last checkpoint must be signed by, a line each: `KEY [FROM [UNTIL]]`.
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Segments of this topic; may be given again.
    #[arg(long, value_name = "TOPIC", required_unless_present = "event", conflicts_with = "event")]
    topic: Vec<String>,
    /// Segments with a record of this event, by its UUID or by the TOPIC/PARTITION/OFFSET of one of its records.
    #[arg(long, value_name = "EVENT|RECORD")]
    event: Option<Named>,
    /// Only segments with records at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only segments with records before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// Say what would be changed, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Args)]
struct Ls {
    #[command(flatten)]
    bundle: Bundle,
    /// Keys that the log's last checkpoint must be signed by, a line each: `KEY [FROM [UNTIL]]`.
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Only segments of this topic; may be given again.
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Only segments with records at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only segments with records before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
}

impl Args {
    pub(super) fn run(&self) -> Result<ExitCode, Outcome> {
        let outcome = match &self.command {
            Command::Add(change) => change.run(true),
            Command::Release(change) => change.run(false),
            Command::Ls(ls) => ls.run(),
        };
        outcome.map(ExitCode::from)
    }
}

/// A bucket; a folder has no holds.
fn bucket(bundle: &Bundle, runtime: &Runtime) -> Result<S3Store, Outcome> {
    match runtime.block_on(bundle.open())? {
        AnyStore::S3(store) => Ok(store),
        AnyStore::Local(_) => Err(usage("legal hold is a bucket's; a folder has none")),
    }
}

fn ledger(store: &S3Store, keys: &VerifyingKeys, runtime: &Runtime) -> Result<Ledger, Outcome> {
    runtime.block_on(Ledger::open(store, keys)).map_err(|error| match error {
        error @ worm_log::Error::Checkpoint { .. } => reject(&error),
        error => refuse(&error),
    })
}

/// The segments of topics, in their order.
fn segments(
    store: &S3Store,
    ledger: &Ledger,
    runtime: &Runtime,
    topics: &[String],
) -> Result<Vec<Planned>, Outcome> {
    let mut segments = Vec::new();
    runtime
        .block_on(async {
            for topic in topics {
                for partition in ledger.partitions(store, topic).await? {
                    segments.extend(ledger.plan(store, topic, partition, 0..i64::MAX).await?);
                }
            }
            Ok(())
        })
        .map_err(|error: worm_log::Error| refuse(&error))?;
    Ok(segments)
}

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Changed,
    WasSo,
}

impl Change {
    fn run(&self, held: bool) -> Result<Outcome, Outcome> {
        let settings = self.connection.settings()?;
        let keys = read_keys(&self.keys)?;
        let runtime = Runtime::new().map_err(usage)?;
        let codec = Codec::new(&settings.registry, runtime.handle().clone()).map_err(usage)?;
        let store = bucket(&self.bundle, &runtime)?;
        let query = match &self.event {
            Some(event) => event.query(self.from, self.to),
            None => self.selection().query(None),
        };
        // Who looks for an event reads, also when nothing is changed.
        let kind = if held { Kind::Hold } else { Kind::Unhold };
        let kinds: &[_] = match (&self.event, self.dry_run) {
            (Some(_), true) => &[(Kind::Explain, None)],
            (Some(_), false) => &[(Kind::Explain, None), (kind, None)],
            (None, true) => &[],
            (None, false) => &[(kind, None)],
        };
        let deed = Deed { kinds, source: self.bundle.name(), query: &query, pseudonym: None };
        self.who.announce(&settings, &codec, &runtime, &deed)?;
        let ledger = ledger(&store, &keys, &runtime)?;
        let (segments, found, runtime) = match &self.event {
            None => {
                let mut segments = segments(&store, &ledger, &runtime, &self.topic)?;
                segments.retain(|planned| within(&planned.manifest, &self.selection()));
                (segments, Outcome::Good, runtime)
            }
            Some(event) => {
                let search = Search { store: AnyStore::S3(store.clone()), ledger, codec, runtime };
                let event = search.event(event)?;
                let (found, outcome) = search.records(&event, &self.selection())?;
                let segments: BTreeMap<_, _> = found
                    .into_iter()
                    .map(|found| {
                        let Manifest { topic, partition, first_offset, .. } = &found.segment.manifest;
                        ((topic.clone(), *partition, *first_offset), found.segment)
                    })
                    .collect();
                (segments.into_values().collect(), outcome, search.runtime)
            }
        };
        if segments.is_empty() {
            complain("error: the log has no such segment");
            return Err(Outcome::Rejected);
        }
        runtime.block_on(self.change(&store, segments, held)).map(|changed| changed.max(found))
    }

    fn selection(&self) -> Selection {
        Selection { topics: self.topic.clone(), from: self.from, to: self.to, ..Selection::default() }
    }

    async fn change(&self, store: &S3Store, segments: Vec<Planned>, held: bool) -> Result<Outcome, Outcome> {
        let changes = segments.into_iter().map(|planned| async move {
            let changed = set(store, &planned.manifest, held, self.dry_run).await;
            (planned, changed)
        });
        let changes: Vec<_> = futures::stream::iter(changes).buffered(REQUESTS).collect().await;
        let word = match (self.dry_run, held) {
            (true, true) => "would be put on hold",
            (true, false) => "would be released",
            (false, true) => "put on hold",
            (false, false) => "released",
        };
        let (mut rows, mut outcome) = (Vec::new(), Ok(Outcome::Good));
        let mut changed = 0;
        for (planned, state) in changes {
            let state = match state {
                Ok(State::Changed) => {
                    changed += 1;
                    word
                }
                Ok(State::WasSo) if held => "was on hold",
                Ok(State::WasSo) => "was not on hold",
                Err(error @ worm_log::Error::NotFound { .. }) => {
                    outcome = outcome.map(|outcome| outcome.max(reject(&error)));
                    "gone"
                }
                Err(error) => {
                    outcome = Err(refuse(&error));
                    "refused"
                }
            };
            rows.push(row(&planned.manifest, state));
        }
        // Also after a failure: what was changed is changed.
        print(&rows, "what");
        line(format_args!("{word}: segments {changed} of {}", rows.len()));
        outcome
    }
}

/// The objects of a segment that a hold keeps.
fn objects(manifest: &Manifest) -> Result<[String; 2], worm_log::Error> {
    let id: SegmentId = manifest.id()?;
    Ok([id.segment_key(), id.manifest_key()])
}

async fn set(
    store: &S3Store,
    manifest: &Manifest,
    held: bool,
    dry_run: bool,
) -> Result<State, worm_log::Error> {
    let mut state = State::WasSo;
    for key in objects(manifest)? {
        if store.is_held(&key).await? != held {
            if !dry_run {
                store.set_hold(&key, held).await?;
            }
            state = State::Changed;
        }
    }
    Ok(state)
}

fn row(manifest: &Manifest, last: &str) -> Vec<String> {
    vec![
        manifest.topic.clone(),
        manifest.partition.to_string(),
        manifest.first_offset.to_string(),
        (manifest.next_offset - 1).to_string(),
        manifest.retain_until.to_string(),
        last.to_owned(),
    ]
}

fn print(rows: &[Vec<String>], last: &str) {
    table(&["topic", "partition", "from", "to", "retained until", last], rows).iter().for_each(line);
}

impl Ls {
    fn run(&self) -> Result<Outcome, Outcome> {
        let keys = read_keys(&self.keys)?;
        let runtime = Runtime::new().map_err(usage)?;
        let store = bucket(&self.bundle, &runtime)?;
        let ledger = ledger(&store, &keys, &runtime)?;
        let topics = match &self.topic[..] {
            [] => {
                runtime.block_on(ledger.topics(&store)).map_err(|error| refuse(&error))?.into_iter().collect()
            }
            topics => topics.to_vec(),
        };
        let times = Selection { from: self.from, to: self.to, ..Selection::default() };
        let mut segments = segments(&store, &ledger, &runtime, &topics)?;
        segments.retain(|planned| within(&planned.manifest, &times));
        let looked = runtime.block_on(look_at(&store, &segments));
        let (mut rows, mut outcome) = (Vec::new(), Outcome::Good);
        for (planned, held) in looked {
            match held {
                Ok([false, false]) => {}
                Ok([true, true]) => rows.push(row(&planned.manifest, "segment and manifest")),
                Ok([true, false]) => rows.push(row(&planned.manifest, "segment alone")),
                Ok([false, true]) => rows.push(row(&planned.manifest, "manifest alone")),
                Err(error @ worm_log::Error::NotFound { .. }) => outcome = outcome.max(reject(&error)),
                Err(error) => return Err(refuse(&error)),
            }
        }
        if !rows.is_empty() {
            print(&rows, "on hold");
        }
        line(format_args!("on hold: segments {} of {}", rows.len(), segments.len()));
        Ok(outcome)
    }
}

/// Whether a segment may have records of these times.
pub(crate) fn within(manifest: &Manifest, times: &Selection) -> bool {
    let of = manifest.min_timestamp_ms.zip(manifest.max_timestamp_ms);
    of.is_some_and(|(min, max)| times.overlaps(min, max))
}

/// Segments, each with whether its objects are under hold.
pub(crate) async fn look_at<'s>(
    store: &S3Store,
    segments: &'s [Planned],
) -> Vec<(&'s Planned, Result<[bool; 2], worm_log::Error>)> {
    let looks = segments.iter().map(|planned| async move { (planned, look(store, &planned.manifest).await) });
    futures::stream::iter(looks).buffered(REQUESTS).collect().await
}

async fn look(store: &S3Store, manifest: &Manifest) -> Result<[bool; 2], worm_log::Error> {
    let [segment, manifest] = objects(manifest)?;
    Ok([store.is_held(&segment).await?, store.is_held(&manifest).await?])
}
