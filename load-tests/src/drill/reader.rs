//! Reading the topics as any other consumer would: read_committed.

use std::collections::HashMap;
use std::time::Duration;

use contracts::headers::{
    ERROR_CODE, OUTPUT_INDEX, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TIMESTAMP, SOURCE_TOPIC,
};
use contracts::{NotificationSent, STAGES, dead_letter_topic, parked_topic, topics};
use stream::{Incoming, Observer, Table, Tail, TailEvent};
use telemetry::{Health, Metrics};

use crate::drill::Error;
use crate::drill::parts::Parts;
use crate::drill::verdict::{Account, Entry, Source};

/// Follows the topics that a message ends in.
pub(crate) struct Follower {
    tail: Tail,
    /// A record that a rebalance gives again is not counted again.
    next: HashMap<(String, i32), i64>,
    /// Messages that reached an end of the line.
    pub(crate) ended: u64,
}

impl Follower {
    pub(crate) fn new(kafka: &stream::Config) -> Result<Self, Error> {
        let config = stream::Config { group_id: uuid::Uuid::new_v4().to_string(), ..kafka.clone() };
        let observer = Observer::new("drill", Metrics::new().stage("drill"), Health::new());
        let mut ends: Vec<String> =
            STAGES.iter().flat_map(|stage| [dead_letter_topic(stage), parked_topic(stage)]).collect();
        ends.extend(["notification.sent", "line.dropped"].map(str::to_owned));
        let ends: Vec<&str> = ends.iter().map(String::as_str).collect();
        let tail = Tail::new("drill", &ends, &[], &config, &observer)
            .map_err(|error| Error::part("reader", error))?;
        Ok(Self { tail, next: HashMap::new(), ended: 0 })
    }

    /// Reads what is there, and waits at most `timeout` for something.
    pub(crate) fn read(&mut self, timeout: Duration) -> Result<(), Error> {
        let mut timeout = timeout;
        while let Some(event) = self.tail.poll(timeout).map_err(|error| Error::part("reader", error))? {
            timeout = Duration::ZERO;
            let TailEvent::Record(record) = event else { continue };
            let next = self.next.entry((record.topic.to_string(), record.partition)).or_default();
            if record.offset >= *next {
                *next = record.offset + 1;
                let first = record.header(OUTPUT_INDEX).is_some_and(|index| index == "0");
                self.ended += u64::from(first);
            }
        }
        Ok(())
    }
}

/// Every topic, from its beginning to its end.
pub(crate) struct Library {
    tables: Vec<Table>,
}

impl Library {
    pub(crate) fn new(kafka: &stream::Config) -> Result<Self, Error> {
        let table = |topic: &contracts::Topic| Table::new(&topic.name, None, kafka);
        let tables: Result<Vec<Table>, _> = topics(1).iter().map(table).collect();
        Ok(Self { tables: tables.map_err(|error| Error::part("reader", error))? })
    }

    /// Enters what is there beyond what was read before; false when the broker does not answer.
    pub(crate) fn read(&self, account: &mut Account, parts: &Parts) -> bool {
        self.tables.iter().all(|table| table.catch_up(|record| enter(account, record, parts)).is_ok())
    }
}

fn enter(account: &mut Account, record: &Incoming, parts: &Parts) {
    let entry = Entry {
        topic: &record.topic,
        partition: record.partition,
        offset: record.offset,
        key: record.key.as_deref(),
        timestamp_ms: record.timestamp_ms,
        source: source(record),
        error_code: record.header(ERROR_CODE),
    };
    if &*record.topic == "notification.sent" && !account.knows(entry.topic, entry.partition, entry.offset) {
        // One that cannot be decoded has no mail either, which is a violation with its place.
        let sent = parts.codec.decode::<NotificationSent>(record.value.as_deref());
        let (id, mailed) = sent.map_or_else(
            |_| (format!("{}/{}", record.partition, record.offset), false),
            |sent| {
                let mailed = parts.mail.server.has(sent.message_id.trim_matches(['<', '>']));
                (sent.notification_id, mailed)
            },
        );
        account.notification(&entry, id, mailed);
    }
    account.enter(&entry);
}

fn source(record: &Incoming) -> Option<Source<'_>> {
    Some(Source {
        topic: record.header(SOURCE_TOPIC)?,
        partition: record.header(SOURCE_PARTITION)?.parse().ok()?,
        offset: record.header(SOURCE_OFFSET)?.parse().ok()?,
        index: record.header(OUTPUT_INDEX)?.parse().ok()?,
        timestamp_ms: record.header(SOURCE_TIMESTAMP)?.parse().ok()?,
    })
}
