//! `audit explain`: what became of one event, as the log tells it.

use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use replay::{Content, Kind, Selection, Step, Story, View, What};
use serde_json::{Map, Value, json};
use stream::Codec;
use tokio::runtime::Runtime;
use worm_log::Ledger;

use super::event::{Found, Named, Search};
use super::{Bundle, read_keys, refuse, reject};
use crate::access::{Deed, Who};
use crate::kafka::Connection;
use crate::output::{Outcome, complain, line, table, usage};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Before a segment is read, access.events has who asks what and why; without Kafka nothing is read.

Every segment of every topic is read, those without leaf included, unless --from and --to leave some out. Each is held against its leaf. One \
that does not fit is named, the story is told without it, and the exit status is 1.

The table has no content of messages. With --json each record comes masked, as `wardstream replay` shows it.")]
pub(super) struct Explain {
    /// UUID of the event, or TOPIC/PARTITION/OFFSET of one of its records.
    #[arg(value_name = "EVENT|RECORD")]
    named: Named,
    #[command(flatten)]
    bundle: Bundle,
    /// Keys that the log's last checkpoint must be signed by, a line each: `KEY [FROM [UNTIL]]`.
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Only segments with records at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only segments with records before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// Print the story as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    connection: Connection,
}

/// A step and the record that it is.
struct Told {
    step: Step,
    found: Found,
}

impl Explain {
    pub(super) fn run(&self) -> Result<ExitCode, Outcome> {
        let settings = self.connection.settings()?;
        let keys = read_keys(&self.keys)?;
        let runtime = Runtime::new().map_err(usage)?;
        let codec = Codec::new(&settings.registry, runtime.handle().clone()).map_err(usage)?;
        let store = runtime.block_on(self.bundle.open())?;
        let query = self.named.query(self.from, self.to);
        let deed = Deed {
            kinds: &[(Kind::Explain, None)],
            source: self.bundle.name(),
            query: &query,
            pseudonym: None,
        };
        self.who.announce(&settings, &codec, &runtime, &deed)?;
        let ledger = runtime.block_on(Ledger::open(&store, &keys)).map_err(|error| match error {
            error @ worm_log::Error::Checkpoint { .. } => reject(&error),
            error => refuse(&error),
        })?;
        let search = Search { store, ledger, codec, runtime };
        let event = search.event(&self.named)?;
        let times = Selection { from: self.from, to: self.to, ..Selection::default() };
        let (found, outcome) = search.records(&event, &times)?;
        if found.is_empty() {
            complain(format_args!("error: the log has nothing of event {event}"));
            return Err(Outcome::Rejected);
        }
        let checkpoint = search.ledger.checkpoint();
        let (story, told) = tell(found);
        if self.json {
            let records: Vec<Value> = told.iter().map(|told| told.to_json(&story)).collect();
            line(json!({
                "event_id": event,
                "checkpoint": {
                    "origin": checkpoint.origin,
                    "size": checkpoint.size,
                    "time": checkpoint.time.to_string(),
                },
                "records": records,
            }));
        } else {
            let unproven = told.iter().filter(|told| told.found.segment.leaf.is_none()).count();
            line(format_args!(
                "event {event}: records {}, not proved {unproven}, by the checkpoint of {} of size {}, made {}",
                told.len(),
                checkpoint.origin,
                checkpoint.size,
                checkpoint.time
            ));
            let header =
                ["time", "record", "what", "by", "of", "fate", "leaf", "segment", "retained until", "says"];
            let rows: Vec<Vec<String>> = told.iter().map(|told| told.row(&story)).collect();
            table(&header, &rows).iter().for_each(line);
        }
        Ok(outcome.into())
    }
}

/// The story, and its records in its order.
fn tell(found: Vec<Found>) -> (Story, Vec<Told>) {
    let mut found: Vec<Option<Told>> = found
        .into_iter()
        .map(|found| {
            let record = &found.record;
            let place = (record.topic.clone(), record.partition, record.offset);
            let value = match &found.content {
                Content::Avro(value) => Some(value),
                Content::Feed(_) | Content::Nothing => None,
            };
            let step = Step::of(place, record.timestamp_ms, &record.headers, value);
            Some(Told { step, found })
        })
        .collect();
    let steps = found.iter().flatten().map(|told| told.step.clone()).collect();
    let story = Story::new(steps);
    let at = |step: &Step, found: &[Option<Told>]| {
        found.iter().position(|told| told.as_ref().is_some_and(|told| told.step.place == step.place))
    };
    let told =
        story.steps().iter().filter_map(|step| at(step, &found).and_then(|at| found[at].take())).collect();
    (story, told)
}

impl Told {
    fn to_json(&self, story: &Story) -> Value {
        let Self { step, found: Found { record, content, segment } } = self;
        let view = View {
            topic: &record.topic,
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.as_deref(),
            headers: &record.headers,
            content,
            leaf: segment.leaf,
        };
        let mut json = view.to_json(true);
        json["proved"] = json!(segment.leaf.is_some());
        json["segment"] = json!(segment.manifest.id().ok().map(|id| id.segment_key()));
        json["segment_sha256"] = json!(segment.manifest.object_sha256);
        json["retain_until"] = json!(segment.manifest.retain_until.to_string());
        json["step"] = story.to_json(step);
        json
    }

    fn row(&self, story: &Story) -> Vec<String> {
        let Self { step, found: Found { segment, .. } } = self;
        let none = || "-".to_owned();
        let (topic, partition, offset) = &step.place;
        let from =
            step.from.as_ref().map(|(topic, partition, offset)| format!("{topic}/{partition}/{offset}"));
        let fate = match story.fate(step) {
            None => none(),
            Some(fates) if fates.is_empty() => "none yet".to_owned(),
            Some(fates) => fates.into_iter().map(What::name).collect::<Vec<_>>().join(" and "),
        };
        vec![
            Timestamp::from_millisecond(step.timestamp_ms)
                .map_or_else(|_| none(), |time| format!("{time:.3}")),
            format!("{topic}/{partition}/{offset}"),
            step.what.name().to_owned(),
            step.stage.clone().unwrap_or_else(none),
            from.unwrap_or_else(none),
            fate,
            segment.leaf.map_or_else(none, |leaf| leaf.to_string()),
            segment.manifest.first_offset.to_string(),
            segment.manifest.retain_until.to_string(),
            says(&step.says),
        ]
    }
}

fn says(says: &Map<String, Value>) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values
            .iter()
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(" "),
        value => value.to_string(),
    };
    says.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect::<Vec<_>>().join(", ")
}
