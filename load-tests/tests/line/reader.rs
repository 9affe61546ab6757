//! Reading the topics as any other consumer would.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use conservation::{Books, Lineage, StageVerdict};
use contracts::headers::{EVENT_ID, OUTPUT_INDEX, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC};
use stream::{Config, Incoming, Observer, Table, Tail, TailEvent};
use telemetry::{Health, Metrics};

/// Nothing takes so long that is not broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// Follows every topic and keeps the books.
pub(crate) struct Reader {
    tail: Tail,
    books: Books,
}

impl Reader {
    pub(crate) fn new(kafka: &Config) -> Self {
        let config = Config { group_id: uuid::Uuid::new_v4().to_string(), ..kafka.clone() };
        let observer = Observer::new("reader", Metrics::new().stage("reader"), Health::new());
        let tail = Tail::new("reader", &["^[^_].*"], &[], &config, &observer).unwrap();
        Self { tail, books: Books::new() }
    }

    /// Reads for at most `timeout`.
    pub(crate) fn read(&mut self, timeout: Duration) {
        if let Some(TailEvent::Record(record)) = self.tail.poll(timeout).unwrap() {
            enter(&mut self.books, &record);
        }
    }

    pub(crate) fn verdict(&self) -> BTreeMap<&'static str, StageVerdict> {
        self.books.verdict()
    }
}

pub(crate) fn enter(books: &mut Books, record: &Incoming) {
    books.enter(&record.topic, record.partition, record.offset, lineage(record).as_ref());
}

pub(crate) fn lineage(record: &Incoming) -> Option<Lineage<'_>> {
    Some(Lineage {
        topic: record.header(SOURCE_TOPIC)?,
        partition: record.header(SOURCE_PARTITION)?.parse().ok()?,
        offset: record.header(SOURCE_OFFSET)?.parse().ok()?,
        index: record.header(OUTPUT_INDEX)?.parse().ok()?,
    })
}

pub(crate) fn event_id(record: &Incoming) -> &str {
    record.header(EVENT_ID).unwrap_or_default()
}

/// Every committed record of a topic, in the order of each partition, exactly to the end. A broker that has just come up
/// does not lead its partitions at once.
pub(crate) fn read_topic(kafka: &Config, topic: &str) -> Vec<Incoming> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut records = Vec::new();
        let table = Table::new(topic, None, kafka).unwrap();
        match table.catch_up(|record| records.push(record.clone())) {
            Ok(_) => return records,
            Err(unavailable) => assert!(Instant::now() < until, "{unavailable}"),
        }
    }
}

/// Every committed record of every topic.
pub(crate) fn read_all(kafka: &Config) -> Vec<Incoming> {
    let marks = stream::watermarks(kafka).unwrap();
    let topics: std::collections::BTreeSet<&str> = marks.keys().map(|(topic, _)| topic.as_str()).collect();
    topics.into_iter().flat_map(|topic| read_topic(kafka, topic)).collect()
}
