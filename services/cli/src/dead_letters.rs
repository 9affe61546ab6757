use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::OpenOptions;
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use contracts::DeadLetter;
use jiff::Timestamp;
use serde_json::{Value, json};
use stream::Reader;

use crate::kafka::{Connection, unavailable};
use crate::letters::{Content, Found, Log, Office, Selection, content, letter};
use crate::output::{Outcome, complain, line, table, usage};
use crate::position::Position;
use crate::replay;

/// What `dead-letters` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// One line a letter: where it is, why, and where the input was. Never content.
    List(List),
    /// One letter: its reason, the place in the input, its headers. Content only into a file.
    Show(Show),
    /// Puts inputs back to the topics they came from, once: what went back before is left out, also after a run that
    /// was interrupted and while another one runs.
    Replay(replay::Args),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Print each letter as a line of JSON.
    #[arg(long)]
    json: bool,
    /// At most so many, the newest.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The letter as `list` names it, for instance validate.dead-letter/0/17.
    #[arg(value_name = "LETTER", value_parser = letter)]
    position: Position,
    /// Write the input's bytes to this new file, readable by this user alone. They carry identifiers.
    #[arg(long, value_name = "FILE")]
    content: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let outcome = match &args.command {
        Command::List(list) => list.run(),
        Command::Show(show) => show.run(),
        Command::Replay(replay) => replay::run(replay),
    };
    outcome.unwrap_or_else(|outcome| outcome)
}

fn time(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map_or_else(|_| "-".to_owned(), |time| format!("{time:.3}"))
}

fn source(letter: &DeadLetter) -> String {
    format!("{}/{}/{}", letter.source_topic, letter.source_partition, letter.source_offset)
}

/// What is listed of a letter; ordered by time.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    failed_at: i64,
    position: Position,
    stage: String,
    code: String,
    reason: String,
    location: Option<String>,
    event_id: String,
    source: String,
    attempts: i32,
    replayed_at: Option<i64>,
}

impl Row {
    fn of(found: &Found, log: &Log) -> Self {
        let Found { position, letter, .. } = found;
        Self {
            failed_at: letter.failed_at,
            position: position.clone(),
            stage: letter.stage.clone(),
            code: letter.code.clone(),
            reason: letter.reason.clone(),
            location: letter.location.clone(),
            event_id: letter.event_id.clone(),
            source: source(letter),
            attempts: letter.attempts,
            replayed_at: log.of(position, letter),
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            time(self.failed_at),
            self.code.clone(),
            self.position.to_string(),
            self.source.clone(),
            self.attempts.to_string(),
            if self.replayed_at.is_some() { "yes" } else { "no" }.to_owned(),
            self.location.clone().unwrap_or_default(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "letter": self.position.to_string(),
            "stage": self.stage,
            "failed_at": time(self.failed_at),
            "code": self.code,
            "reason": self.reason,
            "location": self.location,
            "event_id": self.event_id,
            "source": self.source,
            "attempts": self.attempts,
            "replayed_at": self.replayed_at.map(time),
        })
    }
}

const HEADER: [&str; 7] = ["FAILED", "CODE", "LETTER", "INPUT", "ATTEMPTS", "REPLAYED", "LOCATION"];

impl List {
    fn run(&self) -> Result<Outcome, Outcome> {
        let office = Office::open(&self.connection)?;
        let log = office.replayed()?;
        let mut newest = BinaryHeap::new();
        let mut outcome = Outcome::Good;
        let mut selected = 0_usize;
        for stage in self.selection.stages() {
            outcome = outcome.max(office.each(&self.selection, stage, |found| {
                selected += 1;
                newest.push(Reverse(Row::of(&found, &log)));
                if newest.len() > self.limit {
                    newest.pop();
                }
                ControlFlow::Continue(())
            })?);
        }
        let mut rows: Vec<Row> = newest.into_iter().map(|Reverse(row)| row).collect();
        rows.sort();
        let what = if self.selection.parked { "parked records" } else { "dead letters" };
        if self.json {
            rows.iter().map(Row::json).for_each(line);
        } else if rows.is_empty() {
            line(format_args!("no {what}"));
        } else {
            table(&HEADER, &rows.iter().map(Row::cells).collect::<Vec<_>>()).iter().for_each(line);
        }
        if rows.len() < selected {
            complain(format_args!("note: the newest {} of {selected} {what}; see --limit", rows.len()));
        }
        Ok(outcome)
    }
}

impl Show {
    fn run(&self) -> Result<Outcome, Outcome> {
        let office = Office::open(&self.connection)?;
        let found = office.at(&self.position)?;
        let log = office.replayed()?;
        let row = Row::of(&found, &log);
        let letter = &found.letter;
        if self.json {
            let mut record = row.json();
            record["outcome"] = letter.outcome.as_deref().map_or(Value::Null, |outcome| {
                serde_json::from_str(outcome).unwrap_or_else(|_| Value::String(outcome.to_owned()))
            });
            record["key_bytes"] = json!(letter.key.as_ref().map(Vec::len));
            record["value_bytes"] = json!(letter.value.as_ref().map(Vec::len));
            record["headers"] =
                headers(letter).map(|(name, value)| json!({ "name": name, "value": value })).collect();
            line(format_args!("{record:#}"));
        } else {
            print(&row, letter);
        }
        match &self.content {
            Some(path) => write_content(path, &office, letter),
            None => Ok(Outcome::Good),
        }
    }
}

/// The input's headers. Values of the line's own are shown; what a feed puts into its headers may be an identifier.
fn headers(letter: &DeadLetter) -> impl Iterator<Item = (&str, String)> {
    letter.headers.iter().map(|header| {
        let bytes = header.value.as_deref().unwrap_or_default();
        let own = header.name.starts_with("ws-") || header.name == contracts::headers::TRACEPARENT;
        let shown = if own { String::from_utf8_lossy(bytes).into_owned() } else { size(bytes.len()) };
        (header.name.as_str(), shown)
    })
}

fn size(bytes: usize) -> String {
    format!("{bytes} byte{}", if bytes == 1 { "" } else { "s" })
}

fn print(row: &Row, letter: &DeadLetter) {
    let field = |name: &str, value: &str| line(format_args!("{name:<12}{value}"));
    field("letter", &row.position.to_string());
    field("failed", &time(row.failed_at));
    field("stage", &row.stage);
    let title = ::standalone::errors::find(&row.code).map_or("", |page| page.title);
    field("code", format!("{} {title}", row.code).trim_end());
    field("reason", &row.reason);
    if let Some(location) = &row.location {
        field("location", location);
    }
    field("attempts", &row.attempts.to_string());
    field("event", &row.event_id);
    field("input", &row.source);
    field("key", &letter.key.as_ref().map_or_else(|| "none".to_owned(), |key| size(key.len())));
    field(
        "value",
        &letter.value.as_ref().map_or_else(
            || "not in the letter: the input had none, or was too large; it is read at the position of the input".to_owned(),
            |value| size(value.len()),
        ),
    );
    for (at, (name, value)) in headers(letter).enumerate() {
        field(if at == 0 { "headers" } else { "" }, &format!("{name}: {value}"));
    }
    field("replayed", &row.replayed_at.map_or_else(|| "no".to_owned(), time));
    if let Some(outcome) = &letter.outcome {
        let outcome = serde_json::from_str::<Value>(outcome)
            .map_or_else(|_| outcome.clone(), |json| format!("{json:#}"));
        line(format_args!("outcome\n{outcome}"));
    }
}

fn write_content(path: &Path, office: &Office, letter: &DeadLetter) -> Result<Outcome, Outcome> {
    let reader = Reader::new(&office.settings.kafka).map_err(|error| unavailable(&error))?;
    let bytes = match content(&reader, letter)? {
        Content::Here(Some(bytes)) => bytes,
        Content::Here(None) => {
            complain("the input had no value; no file was written");
            return Ok(Outcome::Rejected);
        }
        Content::Gone => {
            complain(format_args!(
                "the input was not carried by its letter, and {} is gone; look into the WORM log",
                source(letter)
            ));
            return Ok(Outcome::Rejected);
        }
    };
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(&bytes));
    if let Err(error) = written {
        return Err(usage(format_args!("cannot write {}: {error}", path.display())));
    }
    complain(format_args!(
        "warning: {} holds {} with identifiers of a patient; delete it when you are done",
        path.display(),
        size(bytes.len())
    ));
    Ok(Outcome::Good)
}
