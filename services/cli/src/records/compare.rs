//! `replay compare`: what a stage makes of past inputs now, beside what it made of them when they came. Publishes nothing but who
//! compares, and why.

use std::fs::OpenOptions;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use contracts::headers::{EVENT_ID, RECEIVED_AT, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC};
use contracts::{DeadLetter, Dropped, EventId, dead_letter_topic, parked_topic};
use replay::{Comparison, Counts, Kind, Made, Marks, Selection, Verdict};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use service::{Configuration, Failure};
use stream::{Codec, Context, Fate, Incoming, Stage, Unavailable};
use telemetry::Metrics;
use tokio::runtime::{Handle, Runtime};
use uuid::Uuid;
use worm_log::Record;

use super::source::Source;
use super::{Origin, Which, content};
use crate::access::{Deed, Who};
use crate::kafka::{Connection, unavailable, undecoded};
use crate::output::{Outcome, line, table, usage};
use crate::position::Position;

/// Inputs that are worked on at once.
const BATCH: usize = 512;

/// What `replay compare` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The stage is the one of this program. It gets each input as it was, and what it makes of it is compared with what the line has of that input: the \
output, dead letter, parked record or drop that names its place. Nothing is published, and no schema is registered.

Fields are named by their paths, those of resources by their types; of values only labels and the differences of probabilities are shown. \
Probabilities that differ by less than 0.001 are the same.

Exit status 0: everything would come out as it did. 1: something would not, or is not known.")]
pub(crate) struct Args {
    /// The stage.
    #[arg(long, value_enum)]
    stage: Compared,
    /// Its configuration, as the service takes it; without, what the service would have without one.
    #[arg(long, value_name = "FILE")]
    stage_config: Option<PathBuf>,
    /// Folder of another model, for `redact`, `classify` and `summarize`.
    #[arg(long, value_name = "FOLDER")]
    model: Option<PathBuf>,
    #[command(flatten)]
    origin: Origin,
    /// Inputs of this topic; that which the stage reads without, for `ingest` hl7.raw.
    #[arg(long, value_name = "TOPIC", help_heading = "Selection")]
    topic: Vec<String>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    who: Who,
    /// Events that are listed with what differs.
    #[arg(long, value_name = "N", default_value_t = 20)]
    list: usize,
    /// File for all events that differ, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// A stage that can be run once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Compared {
    Ingest,
    Validate,
    Redact,
    Classify,
    Summarize,
}

impl Compared {
    fn name(self) -> &'static str {
        match self {
            Self::Ingest => ingest::NAME,
            Self::Validate => validate::NAME,
            Self::Redact => redact::NAME,
            Self::Classify => classify::NAME,
            Self::Summarize => summarize::NAME,
        }
    }

    fn input(self) -> &'static str {
        match self {
            Self::Ingest => "hl7.raw",
            Self::Validate => "fhir.received",
            Self::Redact => "fhir.validated",
            Self::Classify => "fhir.deidentified",
            Self::Summarize => "triage.classified",
        }
    }

    /// What it makes beside, such as the identity vault, is sealed anew each time.
    fn output(self) -> &'static str {
        match self {
            Self::Ingest => "fhir.received",
            Self::Validate => "fhir.validated",
            Self::Redact => "fhir.deidentified",
            Self::Classify => "triage.classified",
            Self::Summarize => "triage.summarized",
        }
    }
}

pub(super) fn run(args: &Args) -> Result<Outcome, Outcome> {
    let settings = args.connection.settings()?;
    let runtime = Arc::new(Runtime::new().map_err(usage)?);
    let codec = Codec::new(&settings.registry, runtime.handle().clone()).map_err(usage)?;
    // Before anything is recorded or read: what is wrong with it is wrong without an input.
    let apart = codec.apart();
    let stage = args.stage(apart.clone(), runtime.handle())?;
    let out = args.out.as_ref().map(|path| {
        let mut open = OpenOptions::new();
        let file = open.write(true).create_new(true).mode(0o600).open(path);
        file.map(BufWriter::new).map_err(|error| usage(format_args!("{}: {error}", path.display())))
    });
    let out = out.transpose()?;
    let topics = if args.topic.is_empty() { vec![args.stage.input().to_owned()] } else { args.topic.clone() };
    let selection = args.which.selection(&topics);
    let log = args.origin.reach(&runtime)?;
    let deed = Deed {
        kinds: &[(Kind::Replay, None)],
        source: &args.origin.name(&settings),
        query: &format!("{}&compare={}", selection.query(None), args.stage.name()),
        pseudonym: selection.pseudonym.as_deref(),
    };
    args.who.announce(&settings, &codec, &runtime, &deed)?;
    let source = args.origin.open(log, &settings, &runtime)?;
    let mut run = Run {
        compared: args.stage,
        codec: apart,
        stage,
        selection: &selection,
        comparison: Comparison::default(),
        batch: Vec::new(),
        listed: Vec::new(),
        list: args.list,
        out,
    };
    let mut outcome = run.remember(&source)?;
    for topic in &topics {
        for partition in source.partitions(topic)? {
            if selection.partition.is_none_or(|wanted| wanted == partition) {
                let read = source.each(topic, partition, &selection, 0, &mut |record, _| run.take(record))?;
                outcome = outcome.max(read);
                run.work()?;
            }
        }
    }
    run.finish(args.json).map(|compared| outcome.max(compared))
}

impl Args {
    fn stage(&self, codec: Codec, runtime: &Handle) -> Result<Box<dyn Stage>, Outcome> {
        if self.model.is_some() && matches!(self.stage, Compared::Ingest | Compared::Validate) {
            return Err(usage(format_args!("{} has no model", self.stage.name())));
        }
        let failed = |error: Failure| usage(service::chain(&*error));
        Ok(match self.stage {
            Compared::Ingest => {
                let config: ingest::Config = self.config(|_, _| ())?;
                let stage = ingest::Ingest::new(codec, &config.ingest, None, Metrics::new());
                Box::new(stage.map_err(failed)?)
            }
            Compared::Validate => {
                let config: validate::Config = self.config(|_, _| ())?;
                let stage = validate::Validate::new(codec, config.validate);
                Box::new(stage.map_err(|error| failed(error.into()))?)
            }
            Compared::Redact => {
                let config: redact::Config =
                    self.config(|config: &mut redact::Config, folder| config.models.folder = folder)?;
                let stage = redact::Redact::new(codec, &config, Metrics::new(), runtime);
                Box::new(stage.map_err(failed)?)
            }
            Compared::Classify => {
                let config: classify::Config =
                    self.config(|config: &mut classify::Config, folder| config.models.folder = folder)?;
                let models = config.models.load().map_err(|error| failed(error.into()))?;
                Box::new(classify::Classify::new(codec, Arc::new(models)))
            }
            Compared::Summarize => {
                let config: summarize::Config =
                    self.config(|config: &mut summarize::Config, folder| config.models.folder = folder)?;
                let models = config.models.load().map_err(|error| failed(error.into()))?;
                Box::new(summarize::Summarize::new(codec, Arc::new(models), config.summarize.budget()))
            }
        })
    }

    /// The stage's configuration, checked, with the model that is asked for.
    fn config<C>(&self, model: impl FnOnce(&mut C, PathBuf)) -> Result<C, Outcome>
    where
        C: Configuration + Default + Serialize + DeserializeOwned + JsonSchema,
    {
        let loaded = settings::load_from(self.stage_config.as_deref(), std::env::vars_os());
        let mut config: C = loaded.map_err(|error| usage(format_args!("[{}] {error}", error.code())))?;
        if let Some(folder) = self.model.clone() {
            model(&mut config, folder);
        }
        config.check().map_err(|faults| {
            for fault in faults {
                usage(format_args!("[{}] {fault}", fault.code()));
            }
            Outcome::Usage
        })?;
        Ok(config)
    }
}

struct Run<'r> {
    compared: Compared,
    /// Reads what the line wrote, and what the stage makes now.
    codec: Codec,
    stage: Box<dyn Stage>,
    selection: &'r Selection,
    comparison: Comparison,
    batch: Vec<Incoming>,
    listed: Vec<Value>,
    list: usize,
    out: Option<BufWriter<std::fs::File>>,
}

/// Where the line keeps what became of inputs.
#[derive(Clone, Copy, Debug)]
enum Fates {
    Outputs,
    DeadLetters,
    Parked,
    Dropped,
}

impl Run<'_> {
    /// Reads what the stage made of the inputs when they came. None was made before its input was written.
    fn remember(&mut self, source: &Source) -> Result<Outcome, Outcome> {
        let name = self.compared.name();
        let topics = [
            (self.compared.output().to_owned(), Fates::Outputs),
            (dead_letter_topic(name), Fates::DeadLetters),
            (parked_topic(name), Fates::Parked),
            ("line.dropped".to_owned(), Fates::Dropped),
        ];
        let since = Selection { from: self.selection.from, ..Selection::default() };
        let mut outcome = Outcome::Good;
        for (topic, fates) in topics {
            for partition in source.partitions_if_any(&topic)? {
                let read =
                    source.each(&topic, partition, &since, 0, &mut |record, _| self.learn(&record, fates))?;
                outcome = outcome.max(read);
            }
        }
        Ok(outcome)
    }

    fn learn(&mut self, record: &Record, fates: Fates) -> Result<(), Outcome> {
        // The release of a parked key.
        let Some(value) = record.value.as_deref() else { return Ok(()) };
        let undecoded = |error| undecoded(Position::from(record), error);
        match fates {
            Fates::Outputs => {
                let header = |name| text(&record.headers, name);
                let number = |name| header(name)?.parse::<i64>().ok();
                let place = header(SOURCE_TOPIC).zip(number(SOURCE_PARTITION)).zip(number(SOURCE_OFFSET));
                if let Some(((topic, partition), offset)) = place
                    && let Ok(partition) = i32::try_from(partition)
                    && self.is_meant(topic, partition, offset)
                {
                    let value = self.codec.decode_json(Some(value)).map_err(undecoded)?;
                    self.comparison.remember((topic, partition, offset), Made::Output(&value));
                }
            }
            Fates::DeadLetters | Fates::Parked => {
                let letter: DeadLetter = self.codec.decode(Some(value)).map_err(undecoded)?;
                let made = match fates {
                    Fates::Parked => Made::Parked(&letter.code),
                    _ => Made::DeadLetter(&letter.code),
                };
                let place = (letter.source_topic.as_str(), letter.source_partition, letter.source_offset);
                if self.is_meant(place.0, place.1, place.2) {
                    self.comparison.remember(place, made);
                }
            }
            Fates::Dropped => {
                let dropped: Dropped = self.codec.decode(Some(value)).map_err(undecoded)?;
                let place = (dropped.source_topic.as_str(), dropped.source_partition, dropped.source_offset);
                if dropped.stage == self.compared.name() && self.is_meant(place.0, place.1, place.2) {
                    self.comparison.remember(place, Made::Dropped(&dropped.reason));
                }
            }
        }
        Ok(())
    }

    /// Whether an input may be among those that are read.
    fn is_meant(&self, topic: &str, partition: i32, offset: i64) -> bool {
        self.selection.topics.iter().any(|wanted| wanted == topic)
            && self.selection.partition.is_none_or(|wanted| wanted == partition)
            && self.selection.offsets().contains(&offset)
    }

    fn take(&mut self, record: Record) -> Result<(), Outcome> {
        if self.selection.needs_content() {
            let content =
                content(&self.codec, &record).map_err(|error| undecoded(Position::from(&record), error))?;
            let place = (record.topic.as_str(), record.partition, record.offset);
            if !self.selection.holds(&Marks::of(place, &record.headers, &content)) {
                return Ok(());
            }
        }
        let Record { topic, partition, offset, timestamp_ms, key, value, headers } = record;
        let topic = Arc::from(topic);
        self.batch.push(Incoming { topic, partition, offset, timestamp_ms, key, value, headers });
        if self.batch.len() >= BATCH { self.work() } else { Ok(()) }
    }

    /// Has the stage work on the batch, in order within a key as the line does, and compares.
    fn work(&mut self) -> Result<(), Outcome> {
        let inputs = std::mem::take(&mut self.batch);
        let made = made(&*self.stage, &inputs);
        for (input, fate) in inputs.iter().zip(made) {
            let fate = fate.map_err(|error| unavailable(&error))?;
            let place = (&*input.topic, input.partition, input.offset);
            let value;
            let made = match &fate {
                Fate::DeadLetter(reject) => Made::DeadLetter(&reject.code),
                Fate::Park(reject) => Made::Parked(&reject.code),
                Fate::Drop(reason) => Made::Dropped(reason),
                Fate::Emit(outputs) => {
                    match outputs.iter().find(|output| output.topic == self.compared.output()) {
                        None => Made::Dropped("no output"),
                        Some(output) => {
                            let decoded = self.codec.decode_json(output.value.as_deref());
                            value = decoded.map_err(|error| {
                                undecoded(format_args!("the output of {}", place.2), error)
                            })?;
                            Made::Output(&value)
                        }
                    }
                }
            };
            let verdict = self.comparison.judge(place, made);
            self.list(input, verdict)?;
        }
        Ok(())
    }

    fn list(&mut self, input: &Incoming, verdict: Verdict) -> Result<(), Outcome> {
        let difference = match verdict {
            Verdict::Differs(difference) => difference,
            Verdict::Unknown => replay::Difference {
                fates: Some(("unknown".to_owned(), "-".to_owned())),
                ..Default::default()
            },
            Verdict::Same | Verdict::Retransmission => return Ok(()),
        };
        if self.listed.len() >= self.list && self.out.is_none() {
            return Ok(());
        }
        let labels: Vec<Value> = difference
            .labels
            .iter()
            .map(|(field, then, now)| json!({"field": field, "then": then, "now": now}))
            .collect();
        let (then, now) = difference.fates.unzip();
        let entry = json!({
            "event_id": event_of(input).to_string(),
            "topic": &*input.topic,
            "partition": input.partition,
            "offset": input.offset,
            "then": then,
            "now": now,
            "fields": difference.fields,
            "labels": labels,
        });
        if let Some(out) = &mut self.out {
            writeln!(out, "{entry}").map_err(unwritten)?;
        }
        if self.listed.len() < self.list {
            self.listed.push(entry);
        }
        Ok(())
    }

    fn finish(&mut self, as_json: bool) -> Result<Outcome, Outcome> {
        if let Some(out) = &mut self.out {
            out.flush().map_err(unwritten)?;
        }
        let counts = self.comparison.counts();
        if as_json {
            line(summary(self.compared, counts, &self.listed));
        } else {
            print(self.compared, counts, &self.listed);
        }
        Ok(if counts.different + counts.unknown > 0 { Outcome::Rejected } else { Outcome::Good })
    }
}

fn unwritten(error: std::io::Error) -> Outcome {
    usage(format_args!("the events cannot be written: {error}"))
}

/// What the stage makes of inputs, in their order.
fn made(stage: &dyn Stage, inputs: &[Incoming]) -> Vec<Result<Fate, Unavailable>> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut groups = vec![Vec::new(); workers];
    for (at, input) in inputs.iter().enumerate() {
        let mut hasher = DefaultHasher::new();
        input.key.hash(&mut hasher);
        let group = usize::try_from(hasher.finish() % workers as u64).unwrap_or_default();
        if let Some(group) = groups.get_mut(group) {
            group.push((at, input));
        }
    }
    let mut made: Vec<(usize, Result<Fate, Unavailable>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = groups
            .iter()
            .map(|group| {
                let work = || {
                    let process =
                        |(at, input): &(usize, &Incoming)| (*at, stage.process(input, &context(input)));
                    group.iter().map(process).collect::<Vec<_>>()
                };
                scope.spawn(work)
            })
            .collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(made) => made,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.flatten().collect()
    });
    made.sort_unstable_by_key(|(at, _)| *at);
    made.into_iter().map(|(_, fate)| fate).collect()
}

/// As the runtime gives it; the clock stands where the input was written.
fn context(input: &Incoming) -> Context {
    let received_at = input.header(RECEIVED_AT).and_then(|text| text.parse().ok());
    Context {
        event_id: event_of(input),
        received_at_ms: received_at.unwrap_or(input.timestamp_ms),
        now_ms: input.timestamp_ms,
        attempt: 0,
    }
}

/// A feed's record has no event yet: it is that of its place.
fn event_of(input: &Incoming) -> EventId {
    let named = input.header(EVENT_ID).and_then(|text| text.parse::<Uuid>().ok()).map(EventId::from);
    named.unwrap_or_else(|| EventId::at(&input.topic, input.partition, input.offset))
}

fn text<'h>(headers: &'h [(String, Option<Vec<u8>>)], name: &str) -> Option<&'h str> {
    let (_, value) = headers.iter().find(|(header, _)| header == name)?;
    std::str::from_utf8(value.as_deref()?).ok()
}

fn summary(compared: Compared, counts: &Counts, listed: &[Value]) -> Value {
    let fields: Vec<Value> = counts
        .fields
        .iter()
        .map(|(field, changed)| json!({"field": field, "events": changed.events, "largest": changed.largest}))
        .collect();
    let labels: Vec<Value> = counts
        .labels
        .iter()
        .map(|((field, then, now), events)| json!({"field": field, "then": then, "now": now, "events": events}))
        .collect();
    let fates: Vec<Value> = counts
        .fates
        .iter()
        .map(|((then, now), events)| json!({"then": then, "now": now, "events": events}))
        .collect();
    json!({
        "stage": compared.name(),
        "same": counts.same,
        "different": counts.different,
        "unknown": counts.unknown,
        "retransmissions": counts.retransmissions,
        "fates": fates,
        "labels": labels,
        "fields": fields,
        "events": listed,
    })
}

fn print(compared: Compared, counts: &Counts, listed: &[Value]) {
    line(format_args!(
        "{}: same {}, different {}, unknown {}, retransmissions of earlier messages {}",
        compared.name(),
        counts.same,
        counts.different,
        counts.unknown,
        counts.retransmissions
    ));
    let show = |header: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            line("");
            table(header, &rows).iter().for_each(line);
        }
    };
    let fates = counts
        .fates
        .iter()
        .map(|((then, now), events)| vec!["fate".into(), then.clone(), now.clone(), events.to_string()]);
    let labels = counts.labels.iter().map(|((field, then, now), events)| {
        vec![field.clone(), then.clone(), now.clone(), events.to_string()]
    });
    show(&["what", "then", "now", "events"], fates.chain(labels).collect());
    let fields = counts.fields.iter().map(|(field, changed)| {
        let largest = changed.largest.map_or_else(String::new, |largest| format!("{largest:.3}"));
        vec![field.clone(), changed.events.to_string(), largest]
    });
    show(&["field", "events", "largest difference"], fields.collect());
    let events = listed.iter().map(|entry| {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let fates = [text("then"), text("now")];
        let fields =
            entry["fields"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
        let what = if fields.is_empty() { fates.join(" -> ") } else { fields.join(" ") };
        vec![text("event_id"), format!("{}/{}/{}", text("topic"), entry["partition"], entry["offset"]), what]
    });
    show(&["event", "input", "differs in"], events.collect());
}
