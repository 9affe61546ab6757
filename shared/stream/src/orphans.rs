//! Partitions that a group of static members left behind: found, and given to somebody.
//!
//! In a cooperative rebalance a member gives a partition up, and joins again so that another is given it. A static
//! member that ends between the two comes back to what it had without a rebalance, so nobody is ever given the
//! partition: the coordinator waits for no one, and the group is stable. Each static member therefore looks now and
//! then; when a group at rest leaves a partition unread for a few looks, a member without a name joins and leaves,
//! and the group shares its partitions out anew.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use regex::Regex;

use crate::reader::{CALL, Quiet};
use crate::{Config, Error, GroupProtocol, group, reader};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);
/// In so many looks, one after the other, a partition is unread before it counts as left behind: members take to new
/// topics and partitions only when they refresh their metadata, every ten seconds.
const LOOKS: usize = 4;
/// How long the member without a name waits to be given its part.
const JOIN: Duration = Duration::from_secs(30);

/// A partition of a topic.
type Partition = (String, i32);

/// Looks, on a thread of its own, until it is dropped. The thread may end a little later, when the call to Kafka returns
/// that it is in: nobody waits for it.
pub(crate) struct Watch {
    _stop: Sender<()>,
}

impl Watch {
    /// Begins to look, if what `config` describes is a static member of a group whose members agree among themselves.
    ///
    /// # Errors
    /// [`Error::Client`] when a property is wrong.
    pub(crate) fn start(
        stage: &str,
        topics: &[&str],
        exclude: &[String],
        config: &Config,
    ) -> Result<Option<Self>, Error> {
        if config.group_instance_id.is_empty() || config.group_protocol != GroupProtocol::Classic {
            return Ok(None);
        }
        let group = config.group(stage);
        let looker = Looker {
            consumer: reader::consumer(config, &group, "read_uncommitted").map_err(Error::Client)?,
            subscription: Subscription::new(topics, exclude),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            stage: stage.to_owned(),
            group,
            nameless: Config { group_instance_id: String::new(), ..config.clone() },
        };
        let (stop, stopped) = bounded::<()>(0);
        std::thread::Builder::new()
            .name(format!("{stage}-orphans"))
            .spawn(move || looker.run(&stopped))
            .map_err(|_| Error::Thread("orphans"))?;
        Ok(Some(Self { _stop: stop }))
    }
}

struct Looker {
    consumer: BaseConsumer<Quiet>,
    subscription: Subscription,
    topics: Vec<String>,
    stage: String,
    group: String,
    nameless: Config,
}

impl Looker {
    fn run(&self, stopped: &Receiver<()>) {
        let mut unread = Unread::default();
        while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            // While a broker is away nobody can tell; it is looked again when all of them answer.
            let left_behind = unread.look(self.unread().unwrap_or_default());
            if left_behind.is_empty() {
                continue;
            }
            tracing::warn!(target: "kafka", stage = self.stage, group = self.group, partitions = ?left_behind,
                "partitions have no reader, the group shares out anew");
            if let Err(error) = self.stir(stopped) {
                tracing::warn!(target: "kafka", stage = self.stage, %error, "joining for a moment failed");
            }
        }
    }

    /// Partitions that no member of the group reads, when no rebalance is under way.
    fn unread(&self) -> Result<BTreeSet<Partition>, KafkaError> {
        let described = group::describe(self.consumer.client(), &self.group, CALL)?;
        let Some(group) = described.filter(|group| group.state == "Stable") else {
            return Ok(BTreeSet::new());
        };
        let read: BTreeSet<Partition> = group.assigned.into_iter().collect();
        let metadata = self.consumer.fetch_metadata(None, CALL)?;
        let all = metadata.topics().iter().filter(|topic| self.subscription.reads(topic.name())).flat_map(
            |topic| topic.partitions().iter().map(|partition| (topic.name().to_owned(), partition.id())),
        );
        Ok(all.filter(|partition| !read.contains(partition)).collect())
    }

    /// Joins the group without a name, and leaves it once it has been given its part.
    fn stir(&self, stopped: &Receiver<()>) -> Result<(), KafkaError> {
        let (joined, has_joined) = bounded(1);
        let consumer: BaseConsumer<Passing> =
            self.nameless.consumer(&self.stage).create_with_context(Passing { joined })?;
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        let deadline = Instant::now() + JOIN;
        while has_joined.try_recv().is_err() && Instant::now() < deadline {
            if stopped.try_recv() == Err(TryRecvError::Disconnected) {
                break;
            }
            // What comes is not taken on: its offset is not committed, and whoever is given the partition reads it.
            let _ = consumer.poll(Duration::from_millis(100));
        }
        Ok(())
    }
}

/// A member that stays for a moment.
struct Passing {
    joined: Sender<()>,
}

impl ClientContext for Passing {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", %error, reason, "passing member reports");
    }
}

impl ConsumerContext for Passing {
    fn post_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(_) = rebalance {
            let _ = self.joined.try_send(());
        }
    }
}

/// What was unread in the looks before. Pure.
#[derive(Debug, Default)]
struct Unread {
    partitions: BTreeSet<Partition>,
    looks: usize,
}

impl Unread {
    /// Takes a look in, and gives what was unread in each of the last few. It begins anew after that.
    fn look(&mut self, unread: BTreeSet<Partition>) -> BTreeSet<Partition> {
        self.partitions =
            if self.looks == 0 { unread } else { self.partitions.intersection(&unread).cloned().collect() };
        self.looks = if self.partitions.is_empty() { 0 } else { self.looks + 1 };
        if self.looks < LOOKS {
            return BTreeSet::new();
        }
        self.looks = 0;
        std::mem::take(&mut self.partitions)
    }
}

/// Which topics a member subscribes to.
#[derive(Debug)]
struct Subscription {
    names: Vec<String>,
    patterns: Vec<Regex>,
    exclude: Vec<Regex>,
}

impl Subscription {
    /// A name that begins with `^` is a pattern, as for librdkafka. A pattern that only librdkafka understands is
    /// passed over: its topics are not looked at.
    fn new(topics: &[&str], exclude: &[String]) -> Self {
        let (patterns, names): (Vec<&str>, Vec<&str>) =
            topics.iter().partition(|topic| topic.starts_with('^'));
        Self {
            names: names.into_iter().map(str::to_owned).collect(),
            patterns: patterns.into_iter().filter_map(|pattern| Regex::new(pattern).ok()).collect(),
            exclude: exclude.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect(),
        }
    }

    fn reads(&self, topic: &str) -> bool {
        let matches = |patterns: &[Regex]| patterns.iter().any(|pattern| pattern.is_match(topic));
        !matches(&self.exclude) && (self.names.iter().any(|name| name == topic) || matches(&self.patterns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(partitions: &[i32]) -> BTreeSet<Partition> {
        partitions.iter().map(|partition| ("in".to_owned(), *partition)).collect()
    }

    #[test]
    fn what_is_unread_in_every_look_is_left_behind() {
        let mut unread = Unread::default();
        for round in 0..2 {
            for look in 1..LOOKS {
                assert!(unread.look(set(&[0, i32::try_from(look).unwrap()])).is_empty(), "round {round}");
            }
            assert_eq!(unread.look(set(&[0, 9])), set(&[0]));
        }
    }

    #[test]
    fn what_was_read_in_between_is_not() {
        let mut unread = Unread::default();
        for look in 0..10 * LOOKS {
            let seen = if look % LOOKS == LOOKS - 1 { set(&[]) } else { set(&[0]) };
            assert!(unread.look(seen).is_empty());
        }
        // A rotation of partitions is nobody's loss either.
        for look in 0..10 {
            assert!(unread.look(set(&[look, look + 1])).is_empty());
        }
    }

    #[test]
    fn names_and_patterns_select_and_exclusions_win() {
        let subscription =
            Subscription::new(&["hl7.raw", "^hl7\\.feed\\..+"], &["^hl7\\.feed\\.secret$".to_owned()]);
        let read: Vec<&str> = ["hl7.raw", "hl7.rawer", "hl7.feed.lab", "hl7.feed.secret", "x.hl7.feed.lab"]
            .into_iter()
            .filter(|topic| subscription.reads(topic))
            .collect();
        assert_eq!(read, ["hl7.raw", "hl7.feed.lab"]);
    }
}
