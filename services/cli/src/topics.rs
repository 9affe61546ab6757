use contracts::{Retention, Topic};
use serde_json::json;
use stream::{Aspect, Blueprint, Difference, Topics};

use crate::kafka::{Connection, unavailable};
use crate::output::{Outcome, line, table, usage};

/// What `topics` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Prints in what the topics of this Kafka differ from their contracts. Exits with 0 when they do not, 1 when
    /// they do.
    Diff(Diff),
    /// Creates the topics that are missing and corrects settings that differ. Deletes nothing, and takes no record
    /// away but those that a shorter retention lets go.
    Apply(Apply),
}

#[derive(Debug, clap::Args)]
struct Diff {
    /// Print each difference as a line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shape: Shape,
}

#[derive(Debug, clap::Args)]
struct Apply {
    /// Add partitions where there are too few. Most keys then go to another partition than their earlier records,
    /// so the order per patient is kept only if the line has read everything before: stop the feeds, wait until
    /// `wardstream lag` shows none, then apply.
    #[arg(long)]
    allow_more_partitions: bool,
    #[command(flatten)]
    shape: Shape,
}

#[derive(Debug, clap::Args)]
struct Shape {
    /// Partitions of the topics that are keyed by patient: at most so many instances of a stage work at a time.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Replicas of each partition.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..))]
    replication: i32,
    /// Replicas that must have a record before it counts as written; one less than --replication when not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    min_insync_replicas: Option<i32>,
    /// A feed with a topic of its own, hl7.feed.NAME.
    #[arg(long, value_name = "NAME")]
    feed: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Shape {
    fn blueprint(&self) -> Result<Blueprint, Outcome> {
        let min_insync_replicas = self.min_insync_replicas.unwrap_or((self.replication - 1).max(1));
        if min_insync_replicas > self.replication {
            return Err(usage("--min-insync-replicas is over --replication"));
        }
        let mut topics = contracts::topics(self.partitions);
        let Some(raw) = topics.iter().find(|topic| topic.name == "hl7.raw").cloned() else {
            return Err(usage("hl7.raw has no contract"));
        };
        topics.extend(self.feed.iter().map(|feed| Topic { name: format!("hl7.feed.{feed}"), ..raw.clone() }));
        Ok(Blueprint { topics, replication: self.replication, min_insync_replicas })
    }

    fn topics(&self) -> Result<Topics, Outcome> {
        Topics::new(&self.connection.settings()?.kafka).map_err(|error| unavailable(&error))
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    let outcome = match &args.command {
        Command::Diff(diff) => diff.run(),
        Command::Apply(apply) => apply.run(),
    };
    outcome.unwrap_or_else(|outcome| outcome)
}

impl Diff {
    fn run(&self) -> Result<Outcome, Outcome> {
        let blueprint = self.shape.blueprint()?;
        let differences =
            self.shape.topics()?.differences(&blueprint).map_err(|error| unavailable(&error))?;
        if self.json {
            for Difference { topic, aspect, wanted, found } in &differences {
                line(json!({ "topic": topic, "what": aspect.to_string(), "wanted": wanted, "found": found }));
            }
        } else if differences.is_empty() {
            line(format_args!("{} topics are as their contracts say", blueprint.topics.len()));
        } else {
            table(&["TOPIC", "WHAT", "CONTRACT", "HERE"], &differences.iter().map(row).collect::<Vec<_>>())
                .iter()
                .for_each(line);
            line(format_args!("\n{}", count(differences.len(), "difference")));
        }
        Ok(if differences.is_empty() { Outcome::Good } else { Outcome::Rejected })
    }
}

fn row(difference: &Difference) -> Vec<String> {
    let Difference { topic, aspect, wanted, found } = difference;
    vec![
        topic.clone(),
        aspect.to_string(),
        shown(aspect, wanted),
        found.as_deref().map_or_else(|| "missing".to_owned(), |found| shown(aspect, found)),
    ]
}

/// A retention in days where it is a whole number of them.
fn shown(aspect: &Aspect, value: &str) -> String {
    match (aspect, value.parse::<u64>()) {
        (Aspect::Topic, Ok(partitions)) => count(usize::try_from(partitions).unwrap_or(0), "partition"),
        (Aspect::Setting("retention.ms"), Ok(millis)) => settings::Duration::from_millis(millis).to_string(),
        (Aspect::Setting("max.message.bytes"), Ok(bytes)) => {
            settings::ByteSize::from_bytes(bytes).to_string()
        }
        _ => value.to_owned(),
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

impl Apply {
    fn run(&self) -> Result<Outcome, Outcome> {
        let blueprint = self.shape.blueprint()?;
        let topics = self.shape.topics()?;
        let differences = topics.differences(&blueprint).map_err(|error| unavailable(&error))?;
        let (mended, left): (Vec<Difference>, Vec<Difference>) =
            differences.into_iter().partition(|difference| self.reason_to_leave(difference).is_none());
        topics.apply(&blueprint, &mended).map_err(|error| unavailable(&error))?;
        for difference in &mended {
            line(done(&blueprint, difference));
        }
        for difference in &left {
            let [topic, what, wanted, found] = &row(difference)[..] else { continue };
            let reason = self.reason_to_leave(difference).unwrap_or_default();
            line(format_args!("left     {topic}: {what} {found} instead of {wanted}; {reason}"));
        }
        if mended.is_empty() && left.is_empty() {
            line(format_args!("{} topics are as their contracts say", blueprint.topics.len()));
        }
        Ok(if left.is_empty() { Outcome::Good } else { Outcome::Rejected })
    }

    /// Why a difference is not for this command to mend; none when it is.
    fn reason_to_leave(&self, difference: &Difference) -> Option<&'static str> {
        let number = |text: &str| text.parse::<i64>().unwrap_or(0);
        match difference.aspect {
            Aspect::Topic | Aspect::Setting(_) => None,
            Aspect::Partitions
                if difference.found.as_deref().map(number) > Some(number(&difference.wanted)) =>
            {
                Some("Kafka takes no partition away")
            }
            Aspect::Partitions if self.allow_more_partitions => None,
            Aspect::Partitions => {
                Some("more partitions break the order per key: see --allow-more-partitions in --help")
            }
            Aspect::Replication => Some("move replicas with Kafka's kafka-reassign-partitions.sh"),
        }
    }
}

fn done(blueprint: &Blueprint, difference: &Difference) -> String {
    let [topic, what, wanted, found] = &row(difference)[..] else { return String::new() };
    match difference.aspect {
        Aspect::Topic => {
            let contract = blueprint.topics.iter().find(|contract| contract.name == *topic);
            let keep = match contract.map(|contract| contract.retention) {
                Some(Retention::For(age)) => format!(
                    ", kept for {}",
                    settings::Duration::from_millis(u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
                ),
                Some(Retention::Compacted) => ", compacted".to_owned(),
                None => String::new(),
            };
            let partitions = contract.map_or(0, |contract| contract.partitions);
            let partitions = count(usize::try_from(partitions).unwrap_or(0), "partition");
            format!("created  {topic}: {partitions}{keep}")
        }
        _ if found.is_empty() => format!("set      {topic}: {what} {wanted}"),
        _ => format!("set      {topic}: {what} {wanted}, was {found}"),
    }
}
