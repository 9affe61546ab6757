//! What a drill proves. Pure: it is told what was read, and says what is wrong.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use conservation::{Books, Lineage};

/// A record as the judge sees it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// When it was produced, milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// What its headers say of its input; none for what no stage wrote in a transaction.
    pub source: Option<Source<'a>>,
    /// Error code of a dead letter.
    pub error_code: Option<&'a str>,
}

/// The input that a record was made from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// 0-based place among the outputs of that input.
    pub index: u32,
    /// When that input was produced, milliseconds since the epoch.
    pub timestamp_ms: i64,
}

/// Where a record is. Its `Display` is `topic/partition/offset`, and never content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

impl Place {
    fn new(topic: &str, partition: i32, offset: i64) -> Self {
        Self { topic: topic.to_owned(), partition, offset }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// An input without a fate when the line had come to rest.
    #[error("{stage}: {count} inputs have no fate, the first is {first}")]
    NoFate {
        /// The stage that read it.
        stage: &'static str,
        /// How many.
        count: u64,
        /// The first of them.
        first: Place,
    },
    /// Outputs that are there twice.
    #[error("{stage}: {count} outputs are there twice")]
    Duplicates {
        /// The stage that wrote them.
        stage: &'static str,
        /// How many.
        count: u64,
    },
    /// Inputs with two kinds of fate, or a fate without an input.
    #[error("{stage}: {count} inputs have two kinds of fate, or a fate and no input")]
    Conflicts {
        /// The stage.
        stage: &'static str,
        /// How many.
        count: u64,
    },
    /// A record whose input comes before, or is, that of the record before it.
    #[error("{place}: its input {source_place} does not come after that of the record before")]
    OutOfOrder {
        /// The record.
        place: Place,
        /// Its input.
        source_place: Place,
    },
    /// Records of one key in two partitions of a topic.
    #[error("{place}: earlier records of its key are in another partition")]
    KeyMoved {
        /// The record.
        place: Place,
    },
    /// A notification that is recorded twice.
    #[error("{place}: its notification was recorded before")]
    NotificationTwice {
        /// The second record.
        place: Place,
    },
    /// A notification whose mail the mail server never took.
    #[error("{place}: the mail server took no mail of its Message-ID")]
    MailMissing {
        /// The record of the notification.
        place: Place,
    },
    /// Mails of other Message-IDs than those of the notifications.
    #[error("{count} mails belong to no notification")]
    MailWithoutNotification {
        /// How many.
        count: u64,
    },
    /// More mails went out twice than interruptions of `notify` explain.
    #[error("{twice} mails went out twice, and at most {allowed} may have")]
    MailsTwice {
        /// How many.
        twice: u64,
        /// What the documented rule allows.
        allowed: u64,
    },
    /// A record that the broker acknowledged to the feed and that is not there.
    #[error("{place}: acknowledged to the feed and not there")]
    AcknowledgedLost {
        /// Where it was.
        place: Place,
    },
    /// A panic of a stage: no input may cause one.
    #[error("{place}: dead letter of a panic of its stage")]
    Panicked {
        /// The dead letter.
        place: Place,
    },
    /// Something about the WORM log.
    #[error("worm log: {0}")]
    Worm(String),
    /// A process that ended by itself.
    #[error("{instance} ended by itself, {status}")]
    Ended {
        /// Which.
        instance: String,
        /// How.
        status: String,
    },
    /// Something that the drill itself looks for.
    #[error("{0}")]
    Drill(String),
}

/// Code of the dead letter of a record on which its stage panicked again and again.
const PANICKED: &str = "STREAM-901";
/// Violations of a kind that are kept; all are counted.
const KEPT: usize = 20;

/// Lineage of the last record: offset and place among the outputs.
type Last = (i64, u32);

/// Outputs of one input partition: offset of the input, when the input was there, when the output was made.
type Passages = Vec<(i64, i64, i64)>;

/// Everything that was read, as far as the judgement needs it.
///
/// Give it every record of a topic in the order of its partitions, and topics in any order. A record given again is
/// not counted again.
#[derive(Debug, Default)]
pub struct Account {
    books: Books,
    next: HashMap<String, HashMap<i32, i64>>,
    records: BTreeMap<(String, i32), u64>,
    order: HashMap<(String, i32), HashMap<(String, i32), Last>>,
    homes: HashMap<String, HashMap<Vec<u8>, i32>>,
    passages: HashMap<(String, i32), Passages>,
    notifications: HashSet<String>,
    feed: HashMap<(String, i32), HashSet<i64>>,
    out_of_order: u64,
    found: Vec<Violation>,
}

impl Account {
    /// Takes a record.
    pub fn enter(&mut self, entry: &Entry<'_>) {
        let Entry { topic, partition, offset, .. } = *entry;
        let next = self.next.entry(topic.to_owned()).or_default().entry(partition).or_default();
        if offset < *next {
            return;
        }
        *next = offset + 1;
        *self.records.entry((topic.to_owned(), partition)).or_default() += 1;
        let lineage = entry.source.map(|source| Lineage {
            topic: source.topic,
            partition: source.partition,
            offset: source.offset,
            index: source.index,
        });
        self.books.enter(topic, partition, offset, lineage.as_ref());
        let Some(source) = entry.source else {
            self.feed.entry((topic.to_owned(), partition)).or_default().insert(offset);
            return;
        };
        self.keep_order(entry, &source);
        if let Some(key) = entry.key {
            let homes = self.homes.entry(topic.to_owned()).or_default();
            match homes.get(key) {
                Some(home) if *home != partition => {
                    self.find(Violation::KeyMoved { place: Place::new(topic, partition, offset) })
                }
                Some(_) => {}
                None => {
                    homes.insert(key.to_vec(), partition);
                }
            }
        }
        if source.index == 0 {
            self.passages.entry((source.topic.to_owned(), source.partition)).or_default().push((
                source.offset,
                source.timestamp_ms,
                entry.timestamp_ms,
            ));
        }
        if entry.error_code == Some(PANICKED) {
            self.find(Violation::Panicked { place: Place::new(topic, partition, offset) });
        }
    }

    /// A producer writes the outputs of one source partition in its order, so within one partition of a topic their
    /// lineage only rises. The order of a key follows from that, stage by stage.
    fn keep_order(&mut self, entry: &Entry<'_>, source: &Source<'_>) {
        let sources = self.order.entry((entry.topic.to_owned(), entry.partition)).or_default();
        let new = (source.offset, source.index);
        let last = sources.entry((source.topic.to_owned(), source.partition)).or_insert((-1, 0));
        if *last < new {
            *last = new;
            return;
        }
        self.out_of_order += 1;
        self.find(Violation::OutOfOrder {
            place: Place::new(entry.topic, entry.partition, entry.offset),
            source_place: Place::new(source.topic, source.partition, source.offset),
        });
    }

    /// Takes what a record of `notification.sent` says: the notification's id, and whether the mail server took a
    /// mail of its Message-ID.
    pub fn notification(&mut self, entry: &Entry<'_>, id: String, mailed: bool) {
        let place = || Place::new(entry.topic, entry.partition, entry.offset);
        if !self.notifications.insert(id) {
            self.find(Violation::NotificationTwice { place: place() });
        }
        if !mailed {
            self.find(Violation::MailMissing { place: place() });
        }
    }

    /// Whether a record was taken already.
    #[must_use]
    pub fn knows(&self, topic: &str, partition: i32, offset: i64) -> bool {
        self.next.get(topic).and_then(|next| next.get(&partition)).is_some_and(|next| offset < *next)
    }

    /// Keeps the first violations of each kind.
    fn find(&mut self, violation: Violation) {
        let kind = std::mem::discriminant(&violation);
        if self.found.iter().filter(|found| std::mem::discriminant(*found) == kind).count() < KEPT {
            self.found.push(violation);
        }
    }

    /// Inputs without a fate so far.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.books.verdict().values().map(|stage| stage.missing).sum()
    }

    /// Records read, by topic and partition.
    #[must_use]
    pub fn records(&self) -> &BTreeMap<(String, i32), u64> {
        &self.records
    }

    /// One past the last record read, by topic and partition.
    pub fn ends(&self) -> impl Iterator<Item = (&str, i32, i64)> {
        self.next.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(partition, next)| (topic.as_str(), *partition, *next))
        })
    }

    fn longest_pauses(&self) -> BTreeMap<String, i64> {
        let mut longest: BTreeMap<String, i64> = BTreeMap::new();
        for ((topic, _), passages) in &self.passages {
            let mut passages = passages.clone();
            passages.sort_unstable();
            let pause = passages
                .windows(2)
                .map(|pair| {
                    let [(_, _, before), (_, waiting_since, after)] = [pair[0], pair[1]];
                    after - before.max(waiting_since)
                })
                .max()
                .unwrap_or(0);
            let entry = longest.entry(topic.clone()).or_default();
            *entry = (*entry).max(pause);
        }
        longest
    }

    /// The judgement over what was read and what the other parts say.
    #[must_use]
    pub fn judge(self, mail: &Mail, acknowledged: &[(String, i32, i64)], further: Vec<Violation>) -> Verdict {
        let mut verdict = Verdict {
            out_of_order: self.out_of_order,
            notifications: self.notifications.len() as u64,
            mails_twice: mail.duplicates,
            pauses_ms: self.longest_pauses(),
            ..Verdict::default()
        };
        for (stage, books) in self.books.verdict() {
            verdict.inputs += books.inputs;
            verdict.fates += books.emitted + books.dead_lettered + books.parked + books.dropped;
            verdict.duplicates += books.duplicated;
            if books.missing > 0 {
                let first = books.first_missing.first().cloned().unwrap_or_default();
                let first = Place::new(&first.0, first.1, first.2);
                verdict.violations.push(Violation::NoFate { stage, count: books.missing, first });
            }
            if books.duplicated > 0 {
                verdict.violations.push(Violation::Duplicates { stage, count: books.duplicated });
            }
            if books.conflicting > 0 {
                verdict.violations.push(Violation::Conflicts { stage, count: books.conflicting });
            }
        }
        for (topic, partition, offset) in acknowledged {
            let there =
                self.feed.get(&(topic.clone(), *partition)).is_some_and(|there| there.contains(offset));
            if !there && verdict.violations.len() < 10 * KEPT {
                let place = Place::new(topic, *partition, *offset);
                verdict.violations.push(Violation::AcknowledgedLost { place });
            }
        }
        verdict.violations.extend(self.found);
        if mail.unique > verdict.notifications {
            let count = mail.unique - verdict.notifications;
            verdict.violations.push(Violation::MailWithoutNotification { count });
        }
        if mail.duplicates > mail.allowed {
            let Mail { duplicates: twice, allowed, .. } = *mail;
            verdict.violations.push(Violation::MailsTwice { twice, allowed });
        }
        verdict.violations.extend(further);
        verdict
    }
}

/// What the mail server counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// Different Message-IDs.
    pub unique: u64,
    /// Mails beyond the first of their Message-ID.
    pub duplicates: u64,
    /// How many the documented rule allows: for each interruption of a process of `notify` between the mail
    /// server's acceptance and the entry in the ledger, one a worker.
    pub allowed: u64,
}

/// The judgement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Inputs of all stages.
    pub inputs: u64,
    /// Those with a fate.
    pub fates: u64,
    /// Outputs that are there twice.
    pub duplicates: u64,
    /// Records out of order.
    pub out_of_order: u64,
    /// Notifications.
    pub notifications: u64,
    /// Mails with the Message-ID of an earlier one.
    pub mails_twice: u64,
    /// By topic, the longest time that a partition with input waiting had no output, milliseconds.
    pub pauses_ms: BTreeMap<String, i64>,
    /// What must not be.
    pub violations: Vec<Violation>,
}

impl Verdict {
    /// Adds what was judged on another line.
    pub fn add(&mut self, other: Self) {
        self.inputs += other.inputs;
        self.fates += other.fates;
        self.duplicates += other.duplicates;
        self.out_of_order += other.out_of_order;
        self.notifications += other.notifications;
        self.mails_twice += other.mails_twice;
        for (topic, pause) in other.pauses_ms {
            let longest = self.pauses_ms.entry(topic).or_default();
            *longest = pause.max(*longest);
        }
        self.violations.extend(other.violations);
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for Verdict {
    /// The figures, as in `inputs 250000, fates 250000, duplicates 0, out of order 0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inputs, fates, duplicates, out_of_order, .. } = self;
        write!(f, "inputs {inputs}, fates {fates}, duplicates {duplicates}, out of order {out_of_order}")
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
