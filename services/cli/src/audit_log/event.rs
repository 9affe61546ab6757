//! The records of one event, looked for in a whole log.

use std::collections::BTreeSet;
use std::str::FromStr;

use contracts::EventId;
use futures::future::join_all;
use jiff::Timestamp;
use replay::{Content, Selection, event_of, has_events, names_event_in_value};
use stream::Codec;
use tokio::runtime::Runtime;
use worm_log::{AnyStore, Attested, Ledger, Planned, Record};

use super::{refuse, reject};
use crate::kafka::undecoded;
use crate::output::{Outcome, complain};
use crate::position::Position;
use crate::records::content;

/// An event, as it is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Event(EventId),
    /// By one of its records.
    Record(Position),
}

impl FromStr for Named {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str =
            "an event is named by its UUID, or by the TOPIC/PARTITION/OFFSET of one of its records";
        let event = EventId::parse(text).map(Self::Event);
        event.or_else(|| text.parse().ok().map(Self::Record)).ok_or(FORM)
    }
}

impl Named {
    /// Which records are asked for, as an access event says it.
    pub(super) fn query(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> String {
        let selection = match self {
            Self::Event(event) => Selection { event_id: Some(event.to_string()), ..Selection::default() },
            Self::Record(Position { topic, partition, offset }) => Selection {
                topics: vec![topic.clone()],
                partition: Some(*partition),
                first_offset: Some(*offset),
                next_offset: Some(offset.saturating_add(1)),
                ..Selection::default()
            },
        };
        Selection { from, to, ..selection }.query(None)
    }
}

/// A record and where in the log it lies.
pub(super) struct Found {
    pub(super) record: Record,
    pub(super) content: Content,
    pub(super) segment: Planned,
}

/// A log whose leaves vouch for its segments.
pub(super) struct Search {
    pub(super) store: AnyStore,
    pub(super) ledger: Ledger,
    pub(super) codec: Codec,
    pub(super) runtime: Runtime,
}

impl Search {
    /// The id of the event that is named.
    pub(super) fn event(&self, named: &Named) -> Result<String, Outcome> {
        let position = match named {
            Named::Event(event) => return Ok(event.to_string()),
            Named::Record(position) => position,
        };
        let Position { topic, partition, offset } = position;
        let offsets = *offset..offset.saturating_add(1);
        let plan = self.runtime.block_on(self.ledger.plan(&self.store, topic, *partition, offsets));
        for planned in plan.map_err(|error| refuse(&error))? {
            let attested = self.runtime.block_on(self.ledger.read(&self.store, &planned));
            let attested = attested.map_err(|error| reject(&error))?;
            for record in attested.records().map_err(|error| reject(&error))? {
                let record = record.map_err(|error| reject(&error))?;
                if record.offset == *offset {
                    return self.event_of(&record)?.ok_or_else(|| {
                        complain(format_args!("error: {position} belongs to no event"));
                        Outcome::Rejected
                    });
                }
            }
        }
        let reason = "the log has no record there";
        Err(reject(&worm_log::Error::Unproven {
            topic: topic.clone(),
            partition: *partition,
            offset: *offset,
            reason,
        }))
    }

    /// Every record of an event in segments of these times, and `Rejected` where segments are not what the log says: what they had is
    /// not among the records.
    pub(super) fn records(&self, event: &str, times: &Selection) -> Result<(Vec<Found>, Outcome), Outcome> {
        let mut plan = Vec::new();
        let topics =
            self.runtime.block_on(self.ledger.topics(&self.store)).map_err(|error| refuse(&error))?;
        for topic in topics.iter().filter(|topic| has_events(topic)) {
            for partition in self.partitions(topic)? {
                let planned = self.ledger.plan(&self.store, topic, partition, 0..i64::MAX);
                plan.extend(self.runtime.block_on(planned).map_err(|error| refuse(&error))?);
            }
        }
        plan.retain(|planned| {
            let times_of = planned.manifest.min_timestamp_ms.zip(planned.manifest.max_timestamp_ms);
            times_of.is_some_and(|(min, max)| times.overlaps(min, max))
        });
        let (mut found, mut outcome) = (Vec::new(), Outcome::Good);
        // As many at a time as can be hashed at the same time.
        let width = std::thread::available_parallelism().map_or(1, usize::from);
        for chunk in plan.chunks(width) {
            let read = chunk.iter().map(|planned| self.ledger.read(&self.store, planned));
            for (planned, attested) in chunk.iter().zip(self.runtime.block_on(join_all(read))) {
                match attested {
                    Ok(attested) => self.of_segment(event, planned, &attested, &mut found)?,
                    // One altered segment does not hide what the others have.
                    Err(error @ worm_log::Error::Altered { .. }) => outcome = outcome.max(reject(&error)),
                    Err(error) => return Err(refuse(&error)),
                }
            }
        }
        Ok((found, outcome))
    }

    fn of_segment(
        &self,
        event: &str,
        planned: &Planned,
        attested: &Attested,
        found: &mut Vec<Found>,
    ) -> Result<(), Outcome> {
        for record in attested.records().map_err(|error| reject(&error))? {
            let record = record.map_err(|error| reject(&error))?;
            if self.event_of(&record)?.is_some_and(|id| id.eq_ignore_ascii_case(event)) {
                let content = self.content(&record)?;
                found.push(Found { record, content, segment: planned.clone() });
            }
        }
        Ok(())
    }

    fn event_of(&self, record: &Record) -> Result<Option<String>, Outcome> {
        if !names_event_in_value(&record.topic) {
            return Ok(event_of((&record.topic, record.partition, record.offset), &record.headers));
        }
        Ok(match self.content(record)? {
            Content::Avro(value) => value.get("event_id").and_then(|id| id.as_str()).map(str::to_owned),
            _ => None,
        })
    }

    fn content(&self, record: &Record) -> Result<Content, Outcome> {
        content(&self.codec, record).map_err(|error| undecoded(Position::from(record), error))
    }

    pub(super) fn partitions(&self, topic: &str) -> Result<BTreeSet<i32>, Outcome> {
        self.runtime.block_on(self.ledger.partitions(&self.store, topic)).map_err(|error| refuse(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_named_by_its_id_or_by_a_record() {
        let id = EventId::at("hl7.raw", 0, 3);
        assert_eq!(id.to_string().parse(), Ok(Named::Event(id)));
        let record: Named = "hl7.raw/0/3".parse().unwrap();
        assert_eq!(record.query(None, None), "topic=hl7.raw&partition=0&first-offset=3&next-offset=4");
        let until = "2026-03-04T00:00:00Z".parse().ok();
        assert_eq!(Named::Event(id).query(None, until), format!("to=2026-03-04T00%3A00%3A00Z&event-id={id}"));
        assert!("hl7.raw".parse::<Named>().is_err());
    }
}
