//! `replay`: records of the WORM log or of Kafka once more, those that are selected, for who has a reason.

mod by;
mod compare;
mod into;
mod output;
mod pace;
mod source;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use replay::{Content, Kind, Marks, Selection, View, has_identifiers};
use stream::{Codec, CodecError, Reader};
use tokio::runtime::Runtime;
use worm_log::{AnyStore, Ledger, Record, VerifyingKeys};

use crate::access::{Deed, Who};
use crate::audit_log::{Bundle, read_keys, reject};
use crate::kafka::{Connection, Settings, unavailable, undecoded};
use crate::output::{Outcome, complain, usage};
use crate::position::Position;
use by::By;
use into::Into;
use output::{Lines, Rows, Tally};
use pace::Pace;
use source::{Log, Source};

/// What `replay` takes: records to be given, or a stage that works on them once more.
#[derive(Debug)]
pub(crate) enum Command {
    Records(Box<Args>),
    Compare(Box<compare::Args>),
}

const COMPARE: &str = "compare";

// What is required of the one is not of the other, which the derived form of an optional subcommand cannot say.
impl clap::Args for Command {
    fn augment_args(command: clap::Command) -> clap::Command {
        let compare = clap::Command::new(COMPARE).about(
            "Runs a stage's present code, configuration and model over past inputs, and says what would come out otherwise than it did",
        );
        Args::augment_args(command)
            .subcommand(compare::Args::augment_args(compare))
            .args_conflicts_with_subcommands(true)
            .subcommand_negates_reqs(true)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Command {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand_matches(COMPARE) {
            Some(matches) => compare::Args::from_arg_matches(matches).map(Box::new).map(Self::Compare),
            None => Args::from_arg_matches(matches).map(Box::new).map(Self::Records),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What `replay` itself takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Before the first record is read, access.events has who reads what and why; without Kafka nothing is read.

With --bundle records are read from the WORM log, without it from Kafka, as far as Kafka still has them.

Of the WORM log, each segment is read as a whole and held against the leaf of the Merkle log that names it, before a record of it is given. \
What does not fit ends the replay with its code and exit status 1. Segments under no checkpoint yet end it as well, \
unless --unproven is given; their records have no leaf then.

Records come by topic as given, then by partition and offset, one JSON object a line; or, with --format parquet, each as a row \
with a column for each field. Of topics with identifiers they are \
masked: keys, headers of feeds and values, but not what the record is and where it comes from. --unmask shows them to an operator \
to whom access.unmask of the configuration gives a role for it.

--into writes records to a topic as they are, so that a stage works on them again: with their key, value, headers and event id, and with \
ws-replay-topic, ws-replay-partition and ws-replay-offset. Records of topics with identifiers go to such topics alone.")]
pub(crate) struct Args {
    #[command(flatten)]
    origin: Origin,
    /// Records of this topic; may be given again.
    #[arg(long, value_name = "TOPIC", required = true, help_heading = "Selection")]
    topic: Vec<String>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    who: Who,
    /// Show records as they are.
    #[arg(long, conflicts_with = "into")]
    unmask: bool,
    /// File for the records; standard output without.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Form of the file; parquet when its name ends so.
    #[arg(long, value_enum, requires = "out")]
    format: Option<Format>,
    /// Most records a second.
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Topic for the records, which must exist.
    #[arg(long, value_name = "TOPIC", conflicts_with = "out")]
    into: Option<String>,
    /// Go on behind what an interrupted run left in the file or the topic.
    #[arg(long)]
    resume: bool,
    /// Count what would be given, and give nothing.
    #[arg(long, conflicts_with_all = ["out", "resume"])]
    dry_run: bool,
    /// Count by these instead of by partition.
    #[arg(long, value_name = "MARK,…", value_delimiter = ',', requires = "dry_run")]
    by: Vec<By>,
    #[command(flatten)]
    connection: Connection,
}

/// The form of a file with records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One JSON object a line.
    Ndjson,
    /// A row a record, with typed columns.
    Parquet,
}

/// Where records are read.
#[derive(Debug, clap::Args)]
struct Origin {
    /// A folder with the log or a copy of it, or `s3://BUCKET`; Kafka without.
    #[arg(long, value_name = "FOLDER|s3://BUCKET")]
    bundle: Option<String>,
    /// URL of an S3 store that is not AWS; the bucket is then named in the path.
    #[arg(long, value_name = "URL", requires = "bundle")]
    endpoint: Option<String>,
    /// Region of the bucket; from the environment when not given.
    #[arg(long, requires = "bundle")]
    region: Option<String>,
    /// Keys that the log's last checkpoint must be signed by, a line each: `KEY [FROM [UNTIL]]`.
    #[arg(long, value_name = "FILE", requires = "bundle")]
    keys: Option<PathBuf>,
    /// Records of segments too that are under no checkpoint yet.
    #[arg(long, requires = "bundle")]
    unproven: bool,
}

/// A log that can be reached, of which nothing was read.
type Reached = Option<(AnyStore, VerifyingKeys)>;

impl Origin {
    /// Reaches the log, where one is named.
    fn reach(&self, runtime: &Runtime) -> Result<Reached, Outcome> {
        match (&self.bundle, &self.keys) {
            (None, _) => Ok(None),
            (Some(bundle), Some(keys)) => {
                let bundle = Bundle::new(bundle.clone(), self.endpoint.clone(), self.region.clone());
                Ok(Some((runtime.block_on(bundle.open())?, read_keys(keys)?)))
            }
            (Some(_), None) => Err(usage("--bundle needs --keys: what nobody signed proves nothing")),
        }
    }

    /// As an access event names it.
    fn name(&self, settings: &Settings) -> String {
        let kafka = || format!("kafka://{}", settings.kafka.bootstrap_servers);
        self.bundle.clone().unwrap_or_else(kafka)
    }

    /// Opens what was reached: reads the log's last checkpoint.
    fn open(&self, log: Reached, settings: &Settings, runtime: &Arc<Runtime>) -> Result<Source, Outcome> {
        let Some((store, keys)) = log else {
            return Reader::new(&settings.kafka).map(Source::Kafka).map_err(|error| unavailable(&error));
        };
        let ledger = runtime.block_on(Ledger::open(&store, &keys)).map_err(|error| reject(&error))?;
        let checkpoint = ledger.checkpoint();
        complain(format_args!(
            "by the checkpoint of {} of size {}, made {}",
            checkpoint.origin, checkpoint.size, checkpoint.time
        ));
        Ok(Source::Log(Box::new(Log { store, ledger, unproven: self.unproven, runtime: runtime.clone() })))
    }
}

/// Which records. Several conditions must all hold.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Selection")]
struct Which {
    /// Only this partition.
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// Offsets, `FIRST..NEXT`; either may be left out.
    #[arg(long, value_name = "RANGE", value_parser = offsets)]
    offsets: Option<Offsets>,
    /// Records that were written at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Records that were written before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// Records of this event.
    #[arg(long, value_name = "UUID")]
    event_id: Option<String>,
    /// Records of this message type, `CODE^TRIGGER` or the code alone.
    #[arg(long, value_name = "TYPE")]
    message_type: Option<String>,
    /// Records of this facility, as the topic names it.
    #[arg(long)]
    facility: Option<String>,
    /// Records of the patient with this pseudonym, where the topic has it.
    #[arg(long)]
    pseudonym: Option<String>,
    /// Records that were judged so, emergent, urgent or routine, where the topic has it.
    #[arg(long, value_name = "LABEL")]
    urgency: Option<String>,
}

/// First and one past the last.
type Offsets = (Option<i64>, Option<i64>);

fn offsets(text: &str) -> Result<Offsets, &'static str> {
    const FORM: &str = "a range is FIRST..NEXT, for instance 100..200, 100.. or ..200";
    let bound = |text: &str| match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| FORM),
    };
    let (first, next) = text.split_once("..").ok_or(FORM)?;
    Ok((bound(first)?, bound(next)?))
}

impl Which {
    fn selection(&self, topics: &[String]) -> Selection {
        let (first_offset, next_offset) = self.offsets.unwrap_or_default();
        Selection {
            topics: topics.to_vec(),
            partition: self.partition,
            first_offset,
            next_offset,
            from: self.from,
            to: self.to,
            event_id: self.event_id.clone(),
            message_type: self.message_type.clone(),
            facility: self.facility.clone(),
            pseudonym: self.pseudonym.clone(),
            urgency: self.urgency.clone(),
        }
    }
}

pub(crate) fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::Records(args) => args.run(),
        Command::Compare(args) => compare::run(args),
    };
    ExitCode::from(done.unwrap_or_else(|outcome| outcome))
}

/// Where records go.
enum Sink {
    Nowhere,
    Lines(Lines),
    Rows(Box<Rows>),
    Topic(Into),
}

/// Where records go, and how fast.
struct Outlet {
    sink: Sink,
    pace: Option<Pace>,
}

impl Sink {
    /// The offset that a partition begins with; none where an earlier run is through with it.
    fn begin(&self, topic: &str, partition: i32) -> Option<i64> {
        match self {
            Self::Nowhere | Self::Rows(_) => Some(0),
            Self::Lines(lines) => lines.begin(topic, partition),
            Self::Topic(into) => Some(into.begin(topic, partition)),
        }
    }

    fn flush(&mut self) -> Result<(), Outcome> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Lines(lines) => lines.flush(),
            Self::Rows(rows) => rows.finish(),
            Self::Topic(into) => into.flush(),
        }
    }
}

impl Args {
    fn run(&self) -> Result<Outcome, Outcome> {
        let settings = self.connection.settings()?;
        let role = self.role(&settings)?;
        let selection = self.which.selection(&self.topic);
        self.keeps_identifiers(&selection)?;
        let runtime = Arc::new(Runtime::new().map_err(usage)?);
        let codec = Codec::new(&settings.registry, runtime.handle().clone()).map_err(usage)?;
        let mut tally = Tally::new(&self.by);
        let done = self.given(&settings, role, &selection, &runtime, &codec, &mut tally);
        tally.print(self.dry_run);
        done
    }

    fn given(
        &self,
        settings: &Settings,
        role: Option<&str>,
        selection: &Selection,
        runtime: &Arc<Runtime>,
        codec: &Codec,
        tally: &mut Tally,
    ) -> Result<Outcome, Outcome> {
        let log = self.origin.reach(runtime)?;
        let kinds = [(Kind::Replay, None), (Kind::Unmask, role)];
        let deed = Deed {
            kinds: if role.is_some() { &kinds } else { &kinds[..1] },
            source: &self.origin.name(settings),
            query: &selection.query(self.into.as_deref()),
            pseudonym: selection.pseudonym.as_deref(),
        };
        self.who.announce(settings, codec, runtime, &deed)?;
        // Not before: to resume into a topic reads it.
        let mut outlet = Outlet { sink: self.sink(settings, selection)?, pace: self.rate.map(Pace::new) };
        let source = self.origin.open(log, settings, runtime)?;
        let mut outcome = Ok(Outcome::Good);
        for topic in &selection.topics {
            let read = self.topic(topic, &source, codec, selection, &mut outlet, tally);
            outcome = outcome.and_then(|so_far| read.map(|read| read.max(so_far)));
            if outcome.is_err() {
                break;
            }
        }
        // Also after a failure: what was given before was given.
        outlet.sink.flush().and(outcome)
    }

    fn topic(
        &self,
        topic: &str,
        source: &Source,
        codec: &Codec,
        selection: &Selection,
        outlet: &mut Outlet,
        tally: &mut Tally,
    ) -> Result<Outcome, Outcome> {
        let mut outcome = Outcome::Good;
        for partition in source.partitions(topic)? {
            let wanted = selection.partition.is_none_or(|wanted| wanted == partition);
            let Some(from) = outlet.sink.begin(topic, partition).filter(|_| wanted) else { continue };
            let read = source.each(topic, partition, selection, from, &mut |record, leaf| {
                self.give(&record, leaf, codec, selection, outlet, tally)
            })?;
            outcome = outcome.max(read);
        }
        Ok(outcome)
    }

    /// Gives a record, if it is meant.
    fn give(
        &self,
        record: &Record,
        leaf: Option<u64>,
        codec: &Codec,
        selection: &Selection,
        Outlet { sink, pace }: &mut Outlet,
        tally: &mut Tally,
    ) -> Result<(), Outcome> {
        let shown = matches!(sink, Sink::Lines(_) | Sink::Rows(_));
        let marked = selection.needs_content() || By::needs_content(&self.by);
        let content = if shown || marked {
            content(codec, record).map_err(|error| undecoded(Position::from(record), error))?
        } else {
            Content::Nothing
        };
        let marks = if marked {
            Marks::of((&record.topic, record.partition, record.offset), &record.headers, &content)
        } else {
            Marks::default()
        };
        if !selection.holds(&marks) {
            return Ok(());
        }
        if let Some(pace) = pace {
            std::thread::sleep(pace.wait(Instant::now()));
        }
        let view = View {
            topic: &record.topic,
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.as_deref(),
            headers: &record.headers,
            content: &content,
            leaf,
        };
        match sink {
            Sink::Nowhere => {}
            Sink::Topic(into) => into.give(record)?,
            Sink::Lines(lines) => lines.give(&view, !self.unmask)?,
            Sink::Rows(rows) => rows.give(&view, !self.unmask)?,
        }
        let by = self.by.iter().map(|by| by.of(&record.topic, &marks, !self.unmask)).collect();
        tally.add(record, leaf.is_some(), by);
        Ok(())
    }

    /// What carries identifiers goes where identifiers may be.
    fn keeps_identifiers(&self, selection: &Selection) -> Result<(), Outcome> {
        let Some(into) = self.into.as_ref().filter(|into| !has_identifiers(into)) else { return Ok(()) };
        match selection.topics.iter().find(|topic| has_identifiers(topic)) {
            None => Ok(()),
            Some(topic) => {
                Err(usage(format_args!("{topic} carries identifiers, and {into} is a topic without")))
            }
        }
    }

    /// The role that lets the operator see what is not masked; none where nothing is unmasked.
    fn role<'s>(&self, settings: &'s Settings) -> Result<Option<&'s str>, Outcome> {
        if !self.unmask {
            return Ok(None);
        }
        let role = settings.access.unmask.get(&self.who.operator.to_string());
        role.map(|role| Some(role.as_str())).ok_or_else(|| {
            complain(format_args!(
                "error: access.unmask of the configuration gives {} no role that may unmask; nothing was read",
                self.who.operator
            ));
            Outcome::Rejected
        })
    }

    fn format_of(&self, path: &std::path::Path) -> Format {
        let named = if path.extension().is_some_and(|name| name == "parquet") {
            Format::Parquet
        } else {
            Format::Ndjson
        };
        self.format.unwrap_or(named)
    }

    fn sink(&self, settings: &Settings, selection: &Selection) -> Result<Sink, Outcome> {
        match (&self.out, &self.into) {
            _ if self.dry_run => Ok(Sink::Nowhere),
            (_, Some(topic)) => Into::open(settings, topic, self.resume, self.rate).map(Sink::Topic),
            (Some(path), None) if self.format_of(path) == Format::Parquet => {
                if self.resume {
                    return Err(usage(
                        "a Parquet file has its index at its end and cannot be gone on with; take --format ndjson",
                    ));
                }
                Rows::file(path, &selection.topics).map(|rows| Sink::Rows(Box::new(rows)))
            }
            (Some(path), None) => Lines::file(path, self.resume, &selection.topics).map(Sink::Lines),
            (None, None) if self.resume => Err(usage("--resume needs --out or --into")),
            (None, None) => Ok(Sink::Lines(Lines::stdout())),
        }
    }
}

/// A topic of the line is Avro, as its contract says; what has no contract is a feed's.
pub(crate) fn content(codec: &Codec, record: &Record) -> Result<Content, CodecError> {
    let Some(value) = &record.value else { return Ok(Content::Nothing) };
    let contract = contracts::topics(1).into_iter().find(|contract| contract.name == record.topic);
    if contract.is_some_and(|contract| contract.schema.is_some()) {
        Ok(Content::Avro(codec.decode_json(Some(value))?))
    } else {
        Ok(Content::Feed(value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_may_be_open() {
        assert_eq!(offsets("100..200"), Ok((Some(100), Some(200))));
        assert_eq!(offsets("100.."), Ok((Some(100), None)));
        assert_eq!(offsets("..200"), Ok((None, Some(200))));
        for text in ["", "100", "a..b", "1...2"] {
            assert!(offsets(text).is_err(), "{text}");
        }
    }
}
