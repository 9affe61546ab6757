//! What is counted of each record.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use contracts::{ACCESS_EVENTS, DEAD_LETTER_SUFFIX, PARKED_SUFFIX};
use jiff::{SignedDuration, Timestamp};
use replay::{Content, Marks, Step, What, is_feed, stage_of};
use serde_json::Value;

use crate::{Fates, Latencies};

/// The time that a report is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Records that were written at this time or later.
    pub from: Timestamp,
    /// Records that were written before this time.
    pub to: Timestamp,
    /// How long after its end outputs still count as the fates of its inputs.
    pub settle: SignedDuration,
}

impl Period {
    /// The end of the time in which outputs count.
    #[must_use]
    pub fn settled(&self) -> Timestamp {
        self.to.saturating_add(self.settle).unwrap_or(Timestamp::MAX)
    }

    /// The spans of time in which the period is drawn: a hundred at most, but for months.
    pub(crate) fn span(&self) -> Span {
        const MINUTE: i64 = 60;
        const HOUR: i64 = 60 * MINUTE;
        const DAY: i64 = 24 * HOUR;
        // The longest period, what all times of a span begin with, and how long it is.
        const SPANS: [(i64, &str, &str, i64); 6] = [
            (MINUTE, "2026-11-24T00:00:00", "", 1),
            (10 * MINUTE, "2026-11-24T00:00:0", "0", 10),
            (HOUR, "2026-11-24T00:00", "", MINUTE),
            (8 * HOUR, "2026-11-24T00:0", "0", 10 * MINUTE),
            (3 * DAY, "2026-11-24T00", ":00", HOUR),
            (100 * DAY, "2026-11-24", "", DAY),
        ];
        // A step that meets each month.
        const MONTH: (&str, &str, i64) = ("2026-11", "", 27 * DAY);
        let period = self.to.duration_since(self.from).as_secs();
        let fits = SPANS.into_iter().find(|(longest, ..)| period <= *longest);
        let (begin, rest, seconds) = fits.map_or(MONTH, |(_, begin, rest, seconds)| (begin, rest, seconds));
        Span { characters: begin.len(), rest, seconds }
    }

    /// The names of the spans from the begin to the end, each once.
    pub(crate) fn spans(&self) -> Vec<String> {
        let span = self.span();
        let last = self.to.as_second().max(self.from.as_second() + 1) - 1;
        let mut names: Vec<String> = (self.from.as_second()..=last)
            .step_by(usize::try_from(span.seconds).unwrap_or(1))
            .chain([last])
            .filter_map(|second| Timestamp::from_second(second).ok())
            .map(|time| span.name(time))
            .collect();
        names.dedup();
        names
    }
}

/// A span of time by the characters of a time in RFC 3339 that all its times begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// How many characters.
    pub(crate) characters: usize,
    /// What makes a time of them that reads as one.
    pub(crate) rest: &'static str,
    seconds: i64,
}

impl Span {
    /// The span of a time.
    pub(crate) fn name(&self, time: Timestamp) -> String {
        let text = time.to_string();
        format!("{}{}", text.get(..self.characters).unwrap_or_default().replace('T', " "), self.rest)
    }
}

/// A record of the log.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Kafka topic.
    pub topic: &'a str,
    /// Kafka partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// When it was written, milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Bytes of key and value.
    pub bytes: u64,
    /// Headers in their order.
    pub headers: &'a [(String, Option<Vec<u8>>)],
    /// Value, where [`Counts::needs_value`] asks for it.
    pub content: &'a Content,
    /// Whether a leaf of the Merkle log names its segment.
    pub proved: bool,
}

/// Records and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// Everything that a report counts.
#[derive(Debug)]
pub struct Counts {
    pub(crate) period: Period,
    /// The topics of the log, also those without a record of the period.
    known: BTreeSet<String>,
    /// By topic.
    pub(crate) topics: BTreeMap<String, Sum>,
    /// Records of segments that no leaf names.
    pub(crate) unproved: u64,
    /// Of feeds, by topic and message type.
    pub(crate) received: BTreeMap<(String, String), Sum>,
    /// Of feeds, by span of time.
    pub(crate) over_time: BTreeMap<String, u64>,
    /// Of fhir.received, by facility and message type.
    pub(crate) converted: BTreeMap<(String, String), Sum>,
    pub(crate) fates: Fates,
    /// By topic and code.
    pub(crate) letters: BTreeMap<(String, String), u64>,
    /// By topic and code.
    pub(crate) parked: BTreeMap<(String, String), u64>,
    /// Identifiers by kind.
    pub(crate) redactions: BTreeMap<String, u64>,
    /// By model and version.
    pub(crate) models: BTreeMap<(String, String), u64>,
    /// By urgency, and whether a person has to decide.
    pub(crate) judged: BTreeMap<(String, bool), u64>,
    /// By urgency and channel.
    pub(crate) notified: BTreeMap<(String, String), u64>,
    /// From the feed's record to the acceptance by the channel's server, by urgency.
    pub(crate) latencies: BTreeMap<String, Latencies>,
    notification_ids: HashSet<u128>,
    /// Notifications of an event whose id came before: a digest has one id, and many events.
    pub(crate) repeated: HashSet<u128>,
    /// By recipient.
    pub(crate) held: BTreeMap<String, u64>,
    /// Events by what became of them until somebody acknowledged.
    pub(crate) escalated: BTreeMap<String, HashSet<u128>>,
    /// By stage and reason.
    pub(crate) dropped: BTreeMap<(String, String), u64>,
    /// By operator, kind and purpose.
    pub(crate) accesses: BTreeMap<(String, String, String), u64>,
}

/// Topics in the order in which they are counted: inputs before what is made of them.
#[must_use]
pub fn in_order(topics: &BTreeSet<String>) -> Vec<String> {
    let contracts = contracts::topics(1);
    let mut ordered: Vec<String> = topics.iter().cloned().collect();
    // What has no contract is a feed's.
    ordered.sort_by_key(|topic| contracts.iter().position(|contract| contract.name == *topic));
    ordered
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or("-").to_owned()
}

impl Counts {
    /// Nothing of this period yet, of a log with these topics.
    #[must_use]
    pub fn new(period: Period, topics: BTreeSet<String>) -> Self {
        Self {
            period,
            known: topics,
            topics: BTreeMap::new(),
            unproved: 0,
            received: BTreeMap::new(),
            over_time: BTreeMap::new(),
            converted: BTreeMap::new(),
            fates: Fates::default(),
            letters: BTreeMap::new(),
            parked: BTreeMap::new(),
            redactions: BTreeMap::new(),
            models: BTreeMap::new(),
            judged: BTreeMap::new(),
            notified: BTreeMap::new(),
            latencies: BTreeMap::new(),
            notification_ids: HashSet::new(),
            repeated: HashSet::new(),
            held: BTreeMap::new(),
            escalated: BTreeMap::new(),
            dropped: BTreeMap::new(),
            accesses: BTreeMap::new(),
        }
    }

    /// Whether the value of the topic's records says something that is counted.
    #[must_use]
    pub fn needs_value(topic: &str) -> bool {
        is_feed(topic)
            || matches!(
                topic,
                "fhir.received"
                    | "fhir.deidentified"
                    | "triage.classified"
                    | "notification.sent"
                    | "notification.held"
                    | "notification.open"
                    | "notification.acknowledged"
                    | "line.dropped"
                    | ACCESS_EVENTS
            )
            || topic.ends_with(DEAD_LETTER_SUFFIX)
            || topic.ends_with(PARKED_SUFFIX)
    }

    /// Whether a record of this time (milliseconds since the epoch) is counted, of the period or as a fate.
    #[must_use]
    pub fn wants(&self, timestamp_ms: i64) -> bool {
        let (from, settled) = (self.period.from.as_millisecond(), self.period.settled().as_millisecond());
        (from..settled).contains(&timestamp_ms)
    }

    /// Counts a record. Topics come in the order of [`in_order`].
    pub fn take(&mut self, entry: &Entry<'_>) {
        let at = entry.timestamp_ms;
        if !self.wants(at) {
            return;
        }
        let place = (entry.topic.to_owned(), entry.partition, entry.offset);
        let step = Step::of(place, at, entry.headers, None);
        if let Some((topic, partition, offset)) = &step.from {
            self.fates.output(topic, *partition, *offset, step.what);
        }
        if at >= self.period.to.as_millisecond() {
            return;
        }
        if step.what != What::Released {
            self.fates.input(entry.topic, entry.partition, entry.offset);
        }
        self.unproved += u64::from(!entry.proved);
        add(self.topics.entry(entry.topic.to_owned()).or_default(), entry);
        match entry.content {
            Content::Avro(value) => self.take_value(entry, value, step.what),
            Content::Feed(_) | Content::Nothing if is_feed(entry.topic) => self.take_message(entry),
            Content::Feed(_) | Content::Nothing => {}
        }
    }

    fn take_message(&mut self, entry: &Entry<'_>) {
        if stage_of(entry.topic).is_none() {
            return;
        }
        let marks = Marks::of((entry.topic, entry.partition, entry.offset), entry.headers, entry.content);
        let kind = marks.message_type.unwrap_or_else(|| "-".to_owned());
        add(self.received.entry((entry.topic.to_owned(), kind)).or_default(), entry);
        let time = Timestamp::from_millisecond(entry.timestamp_ms).unwrap_or_default();
        let span = self.period.span().name(time);
        *self.over_time.entry(span).or_default() += 1;
    }

    fn take_value(&mut self, entry: &Entry<'_>, value: &Value, what: What) {
        match entry.topic {
            "fhir.received" => {
                let key = (text(value, "facility"), text(value, "message_type"));
                add(self.converted.entry(key).or_default(), entry);
            }
            "fhir.deidentified" => {
                for (kind, count) in value.get("redactions").and_then(Value::as_object).into_iter().flatten()
                {
                    *self.redactions.entry(kind.clone()).or_default() += count.as_u64().unwrap_or_default();
                }
            }
            "triage.classified" => {
                let model = (text(value, "model_id"), text(value, "model_version"));
                *self.models.entry(model).or_default() += 1;
                let urgency =
                    value.get("urgency").map_or_else(|| "-".to_owned(), |label| text(label, "label"));
                let abstained = value.get("abstained").and_then(Value::as_bool).unwrap_or_default();
                *self.judged.entry((urgency, abstained)).or_default() += 1;
            }
            "notification.sent" => self.take_notification(value),
            "notification.held" => *self.held.entry(text(value, "recipient")).or_default() += 1,
            "notification.open" | "notification.acknowledged" => self.take_escalation(entry.topic, value),
            "line.dropped" => {
                *self.dropped.entry((text(value, "stage"), text(value, "reason"))).or_default() += 1;
            }
            ACCESS_EVENTS => {
                let key = (text(value, "operator"), text(value, "kind"), text(value, "purpose"));
                *self.accesses.entry(key).or_default() += 1;
            }
            topic => {
                let counted = match what {
                    What::DeadLettered => &mut self.letters,
                    What::Parked => &mut self.parked,
                    _ => return,
                };
                *counted.entry((topic.to_owned(), text(value, "code"))).or_default() += 1;
            }
        }
    }

    fn take_notification(&mut self, value: &Value) {
        let urgency = text(value, "urgency");
        *self.notified.entry((urgency.clone(), text(value, "channel"))).or_default() += 1;
        let time = |name: &str| value.get(name).and_then(Value::as_i64);
        if let Some((sent, received)) = time("sent_at").zip(time("received_at")) {
            self.latencies.entry(urgency).or_default().add(sent.saturating_sub(received));
        }
        if let Some((id, event)) = uuid(value, "notification_id").zip(uuid(value, "event_id")) {
            // As good as both: each is random, or a hash.
            let id = id ^ event.rotate_left(64);
            if !self.notification_ids.insert(id) {
                self.repeated.insert(id);
            }
        }
    }

    /// A step may be written more than once, so events are counted and not records.
    fn take_escalation(&mut self, topic: &str, value: &Value) {
        let Some(event) = uuid(value, "event_id") else { return };
        let step = value.get("step").and_then(Value::as_i64).unwrap_or_default();
        let what = if topic == "notification.acknowledged" {
            format!("acknowledged, step {step}")
        } else if value.get("unanswered").and_then(Value::as_bool).unwrap_or_default() {
            "unanswered".to_owned()
        } else {
            format!("told, step {step}")
        };
        self.escalated.entry(what).or_default().insert(event);
    }

    /// Records of the topics for which it holds.
    pub(crate) fn records(&self, topic: impl Fn(&str) -> bool) -> u64 {
        self.topics.iter().filter(|(name, _)| topic(name)).map(|(_, sum)| sum.records).sum()
    }

    /// The topics of the log for which it holds; else the one that is named.
    pub(crate) fn topics_or(&self, topic: impl Fn(&str) -> bool, else_: &str) -> Vec<String> {
        let there: Vec<String> = self.known.iter().filter(|name| topic(name)).cloned().collect();
        if there.is_empty() { vec![else_.to_owned()] } else { there }
    }
}

/// A UUID, as every writer of the line spells it.
fn uuid(value: &Value, name: &str) -> Option<u128> {
    u128::from_str_radix(&value.get(name)?.as_str()?.replace('-', ""), 16).ok()
}

fn add(sum: &mut Sum, entry: &Entry<'_>) {
    sum.records += 1;
    sum.bytes += entry.bytes;
}

/// Whether a feed writes the topic, and `ingest` reads it.
pub(crate) fn is_input_of_the_line(topic: &str) -> bool {
    is_feed(topic) && stage_of(topic).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_drawn_in_spans_that_meet_all_of_it() {
        for (to, spans, first, last) in [
            ("2026-03-03T00:00:30Z", 30, "2026-03-03 00:00:00", "2026-03-03 00:00:29"),
            ("2026-03-03T00:05:01Z", 31, "2026-03-03 00:00:00", "2026-03-03 00:05:00"),
            ("2026-03-03T00:30:00Z", 30, "2026-03-03 00:00", "2026-03-03 00:29"),
            ("2026-03-03T04:00:00Z", 24, "2026-03-03 00:00", "2026-03-03 03:50"),
            ("2026-03-04T00:00:00Z", 24, "2026-03-03 00:00", "2026-03-03 23:00"),
            ("2026-04-03T00:00:00Z", 31, "2026-03-03", "2026-04-02"),
            ("2027-03-03T00:00:00Z", 13, "2026-03", "2027-03"),
        ] {
            let from: Timestamp = "2026-03-03T00:00:00Z".parse().unwrap();
            let period = Period { from, to: to.parse().unwrap(), settle: SignedDuration::ZERO };
            let names = period.spans();
            assert_eq!(
                (names.len(), names[0].as_str(), names[names.len() - 1].as_str()),
                (spans, first, last),
                "{to}"
            );
            // Wherever in the period a record is, its span is drawn.
            for second in
                period.from.as_second()..period.to.as_second().min(period.from.as_second() + 100_000)
            {
                assert!(names.contains(&period.span().name(Timestamp::from_second(second).unwrap())), "{to}");
            }
        }
    }
}
