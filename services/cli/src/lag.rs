use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use stream::{GroupLag, PartitionLag};

use crate::kafka::{Connection, unavailable};
use crate::output::{Outcome, complain, line, table};

/// What `lag` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
LAG is the number of records that are not committed. On topics that are written in transactions the markers of their \
ends occupy offsets, so that END less COMMITTED never reaches zero; what is between is therefore read and counted. \
Where it is more than a thousand offsets the offsets tell, and the number is at most what is shown (≤).

AGE is how long ago the oldest of these records was written. HELD is the number of offsets that no reader of \
committed records may read yet, because a transaction before them is open.")]
pub(crate) struct Args {
    /// Only this stage, or audit; may be given again.
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    stage: Vec<&'static str>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Print again every two seconds, until Ctrl-C.
    #[arg(long)]
    watch: bool,
    /// Exit with 1 when a stage has more records before it.
    #[arg(long, value_name = "N")]
    max_lag: Option<u64>,
    /// Exit with 1 when the oldest record before a stage is older, for instance 5m.
    #[arg(long, value_name = "DURATION")]
    max_age: Option<settings::Duration>,
    #[command(flatten)]
    connection: Connection,
}

const AUDIT: &str = "audit";
const AGAIN: Duration = Duration::from_secs(2);

fn stage(text: &str) -> Result<&'static str, String> {
    if text == AUDIT { Ok(AUDIT) } else { crate::kafka::stage(text) }
}

pub(crate) fn run(args: &Args) -> Outcome {
    args.run().unwrap_or_else(|outcome| outcome)
}

impl Args {
    fn run(&self) -> Result<Outcome, Outcome> {
        let settings = self.connection.settings()?;
        let stages = match self.stage.as_slice() {
            [] => contracts::STAGES.into_iter().chain([AUDIT]).collect(),
            stages => stages.to_vec(),
        };
        loop {
            let mut groups = BTreeMap::new();
            for (at, stage) in stages.iter().enumerate() {
                let group = format!("wardstream.{stage}");
                let found = stream::lag(&settings.kafka, &group, |topic| is_input(stage, topic))
                    .map_err(|error| unavailable(&error))?;
                groups.insert((at, *stage), found);
            }
            let now = Timestamp::now();
            if self.watch && io::stdout().is_terminal() {
                line(format_args!("\x1b[H\x1b[2J{now:.0}"));
            }
            if self.json {
                line(document(&groups, now));
            } else {
                groups.iter().for_each(|((_, stage), group)| show(stage, group, now));
            }
            let outcome = self.judge(&groups, now);
            if !self.watch {
                return Ok(outcome);
            }
            std::thread::sleep(AGAIN);
        }
    }

    fn judge(&self, groups: &Groups, now: Timestamp) -> Outcome {
        let mut outcome = Outcome::Good;
        for ((_, stage), group) in groups {
            let records = total(group);
            if self.max_lag.is_some_and(|most| records > i64::try_from(most).unwrap_or(i64::MAX)) {
                complain(format_args!("{stage}: {records} records are over --max-lag"));
                outcome = Outcome::Rejected;
            }
            let age = oldest(group).map(|at| age(at, now));
            if let (Some(most), Some(age)) = (self.max_age, age)
                && age > most
            {
                complain(format_args!("{stage}: a record of {} ago is over --max-age", short(age)));
                outcome = Outcome::Rejected;
            }
        }
        outcome
    }
}

type Groups = BTreeMap<(usize, &'static str), GroupLag>;

fn is_input(stage: &str, topic: &str) -> bool {
    match stage {
        AUDIT => topic != "audit.manifests",
        "ingest" if topic.starts_with("hl7.feed.") => true,
        _ => contracts::inputs(stage).contains(&topic),
    }
}

fn total(group: &GroupLag) -> i64 {
    group.partitions.iter().map(|partition| partition.records).sum()
}

fn oldest(group: &GroupLag) -> Option<i64> {
    group.partitions.iter().filter_map(|partition| partition.oldest_ms).min()
}

fn age(at_ms: i64, now: Timestamp) -> settings::Duration {
    settings::Duration::from_millis(u64::try_from(now.as_millisecond() - at_ms).unwrap_or(0))
}

/// In its two largest units, for instance `3m20s`.
fn short(age: settings::Duration) -> String {
    let seconds = age.as_millis() / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

fn records(partition: &PartitionLag) -> String {
    format!("{}{}", if partition.counted { "" } else { "≤ " }, partition.records)
}

fn show(stage: &str, group: &GroupLag, now: Timestamp) {
    let GroupLag { group: name, state, members, partitions } = group;
    let exact = if partitions.iter().all(|partition| partition.counted) { "" } else { "≤ " };
    let age_of = |at: Option<i64>| at.map_or_else(|| "-".to_owned(), |at| short(age(at, now)));
    let behind = match total(group) {
        0 => "no lag".to_owned(),
        lag => format!("lag {exact}{lag}, oldest {}", age_of(oldest(group))),
    };
    let plural = if *members == 1 { "" } else { "s" };
    line(format_args!("{stage}: {behind} (group {name}, {state}, {members} member{plural})"));
    let held = partitions.iter().any(|partition| partition.held_back > 0);
    let mut header = vec!["  TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "AGE"];
    header.extend(held.then_some("HELD"));
    let rows: Vec<Vec<String>> = partitions
        .iter()
        .map(|partition| {
            let mut row = vec![
                format!("  {}", partition.topic),
                partition.partition.to_string(),
                partition.committed.map_or_else(|| "-".to_owned(), |offset| offset.to_string()),
                partition.end.to_string(),
                records(partition),
                age_of(partition.oldest_ms),
            ];
            row.extend(held.then(|| partition.held_back.to_string()));
            row
        })
        .collect();
    if rows.is_empty() {
        line("  no topic to read");
    } else {
        table(&header, &rows).iter().for_each(line);
    }
}

fn document(groups: &Groups, now: Timestamp) -> Value {
    let groups = groups.iter().map(|((_, stage), group)| {
        let partitions: Vec<Value> = group
            .partitions
            .iter()
            .map(|partition| {
                json!({
                    "topic": partition.topic,
                    "partition": partition.partition,
                    "committed": partition.committed,
                    "end": partition.end,
                    "held_back": partition.held_back,
                    "lag": partition.records,
                    "counted": partition.counted,
                    "age_ms": partition.oldest_ms.map(|at| age(at, now).as_millis()),
                })
            })
            .collect();
        json!({
            "stage": stage,
            "group": group.group,
            "state": group.state,
            "members": group.members,
            "lag": total(group),
            "age_ms": oldest(group).map(|at| age(at, now).as_millis()),
            "partitions": partitions,
        })
    });
    json!({ "at": now.to_string(), "groups": groups.collect::<Vec<_>>() })
}
