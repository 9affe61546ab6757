//! Which records a replay gives.

use std::ops::Range;

use contracts::EventId;
use contracts::headers::EVENT_ID;
use hl7v2::Message;
use jiff::Timestamp;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::Content;

/// Which records. All conditions must hold; those that a record says nothing of do not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Topics, in the order in which they are read.
    pub topics: Vec<String>,
    /// Only this partition.
    pub partition: Option<i32>,
    /// First offset.
    pub first_offset: Option<i64>,
    /// One past the last offset.
    pub next_offset: Option<i64>,
    /// Records that were written at this time or later.
    pub from: Option<Timestamp>,
    /// Records that were written before this time.
    pub to: Option<Timestamp>,
    /// UUID of the event.
    pub event_id: Option<String>,
    /// MSH-9 as `CODE^TRIGGER`, or its code alone.
    pub message_type: Option<String>,
    /// The facility, as the topic names it.
    pub facility: Option<String>,
    /// The patient's keyed pseudonym.
    pub pseudonym: Option<String>,
    /// The label of its urgency.
    pub urgency: Option<String>,
}

impl Selection {
    /// The offsets in question.
    #[must_use]
    pub fn offsets(&self) -> Range<i64> {
        self.first_offset.unwrap_or(0)..self.next_offset.unwrap_or(i64::MAX)
    }

    /// Whether a record at this place and time may be meant; its content may still be another.
    #[must_use]
    pub fn holds_place(&self, partition: i32, offset: i64, timestamp_ms: i64) -> bool {
        self.partition.is_none_or(|wanted| wanted == partition)
            && self.offsets().contains(&offset)
            && self.overlaps(timestamp_ms, timestamp_ms)
    }

    /// Whether records of these times may be meant.
    #[must_use]
    pub fn overlaps(&self, min_ms: i64, max_ms: i64) -> bool {
        self.from.is_none_or(|from| max_ms >= from.as_millisecond())
            && self.to.is_none_or(|to| min_ms < to.as_millisecond())
    }

    /// Whether a record that says this of itself is meant.
    #[must_use]
    pub fn holds(&self, marks: &Marks) -> bool {
        let is = |wanted: &Option<String>, found: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| found.as_ref() == Some(wanted))
        };
        let event =
            |wanted: &String| marks.event_id.as_ref().is_some_and(|id| id.eq_ignore_ascii_case(wanted));
        let kind = |wanted: &String| {
            let found = marks.message_type.as_deref().unwrap_or_default();
            found == wanted || found.split_once('^').is_some_and(|(code, _)| code == wanted)
        };
        self.event_id.as_ref().is_none_or(event)
            && self.message_type.as_ref().is_none_or(kind)
            && is(&self.facility, &marks.facility)
            && is(&self.pseudonym, &marks.pseudonym)
            && is(&self.urgency, &marks.urgency)
    }

    /// Whether the place of a record is not enough to tell that it is meant.
    #[must_use]
    pub fn needs_content(&self) -> bool {
        [&self.event_id, &self.message_type, &self.facility, &self.pseudonym, &self.urgency]
            .iter()
            .any(|mark| mark.is_some())
    }

    /// The selection as an access event has it, and the topic that the records go to: name=value pairs, as in a URL.
    #[must_use]
    pub fn query(&self, into: Option<&str>) -> String {
        let mut query = Serializer::new(String::new());
        for topic in &self.topics {
            query.append_pair("topic", topic);
        }
        let numbers = [
            ("partition", self.partition.map(i64::from)),
            ("first-offset", self.first_offset),
            ("next-offset", self.next_offset),
        ];
        for (name, number) in numbers {
            query.extend_pairs(number.map(|number| (name, number.to_string())));
        }
        for (name, time) in [("from", self.from), ("to", self.to)] {
            query.extend_pairs(time.map(|time| (name, time.to_string())));
        }
        let texts = [
            ("event-id", &self.event_id),
            ("message-type", &self.message_type),
            ("facility", &self.facility),
            ("pseudonym", &self.pseudonym),
            ("urgency", &self.urgency),
        ];
        for (name, text) in texts {
            query.extend_pairs(text.as_ref().map(|text| (name, text)));
        }
        query.extend_pairs(into.map(|topic| ("into", topic)));
        query.finish()
    }
}

/// What a record says of itself, as far as its schema has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// UUID of the event.
    pub event_id: Option<String>,
    /// MSH-9 as `CODE^TRIGGER`.
    pub message_type: Option<String>,
    /// The facility.
    pub facility: Option<String>,
    /// The patient's keyed pseudonym.
    pub pseudonym: Option<String>,
    /// `emergent`, `urgent` or `routine`.
    pub urgency: Option<String>,
}

impl Marks {
    /// Those of the record at this place. A feed's record carries no event id: it is that of its place.
    #[must_use]
    pub fn of(
        (topic, partition, offset): (&str, i32, i64),
        headers: &[(String, Option<Vec<u8>>)],
        content: &Content,
    ) -> Self {
        let header =
            headers.iter().rev().find(|(name, _)| name == EVENT_ID).and_then(|(_, value)| value.as_deref());
        let header = header.and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned);
        match content {
            Content::Avro(value) => {
                let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
                Self {
                    event_id: header.or_else(|| text("event_id")),
                    message_type: text("message_type"),
                    facility: text("facility"),
                    pseudonym: text("pseudonym"),
                    // A judgement has its probability beside it.
                    urgency: text("urgency")
                        .or_else(|| value.get("urgency")?.get("label")?.as_str().map(str::to_owned)),
                }
            }
            Content::Feed(bytes) => {
                let event_id = header.or_else(|| Some(EventId::at(topic, partition, offset).to_string()));
                let Ok(message) = Message::parse(bytes) else { return Self { event_id, ..Self::default() } };
                Self {
                    event_id,
                    message_type: Some(format!("{}^{}", message.message_code(), message.trigger_event())),
                    facility: Some(message.sending_facility().into_owned()),
                    pseudonym: None,
                    urgency: None,
                }
            }
            Content::Nothing => Self { event_id: header, ..Self::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MESSAGE: &[u8] = b"MSH|^~\\&|LAB|NORTH|||20240506||ORU^R01|42|P|2.5\rPID|1||7001\r";

    #[test]
    fn a_query_has_every_condition_and_no_more() {
        assert_eq!(Selection::default().query(None), "");
        assert!(!Selection::default().needs_content());
        let selection = Selection {
            topics: vec!["hl7.raw".to_owned(), "fhir.received".to_owned()],
            partition: Some(2),
            first_offset: Some(7),
            next_offset: Some(9),
            from: Some("2026-03-03T00:00:00Z".parse().unwrap()),
            to: Some("2026-03-04T00:00:00Z".parse().unwrap()),
            event_id: Some("e".to_owned()),
            message_type: Some("ORU^R01".to_owned()),
            facility: Some("NORTH & SONS".to_owned()),
            pseudonym: Some("p".to_owned()),
            urgency: Some("emergent".to_owned()),
        };
        assert_eq!(
            selection.query(Some("hl7.feed.again")),
            "topic=hl7.raw&topic=fhir.received&partition=2&first-offset=7&next-offset=9&from=2026-03-03T00%3A00%3A00Z\
             &to=2026-03-04T00%3A00%3A00Z&event-id=e&message-type=ORU%5ER01&facility=NORTH+%26+SONS&pseudonym=p\
             &urgency=emergent&into=hl7.feed.again"
        );
        assert!(selection.needs_content());
    }

    #[test]
    fn a_place_is_in_its_partition_offsets_and_times() {
        let selection = Selection {
            partition: Some(1),
            first_offset: Some(5),
            next_offset: Some(7),
            from: Timestamp::from_millisecond(100).ok(),
            to: Timestamp::from_millisecond(200).ok(),
            ..Selection::default()
        };
        for (place, holds) in [
            ((1, 5, 100), true),
            ((1, 6, 199), true),
            ((0, 5, 100), false),
            ((1, 4, 100), false),
            ((1, 7, 100), false),
            ((1, 5, 99), false),
            ((1, 5, 200), false),
        ] {
            assert_eq!(selection.holds_place(place.0, place.1, place.2), holds, "{place:?}");
        }
        assert!(selection.overlaps(0, 100) && !selection.overlaps(0, 99) && !selection.overlaps(200, 300));
    }

    #[test]
    fn a_record_says_what_its_schema_has() {
        let place = ("hl7.raw", 0, 3);
        let feed = Marks::of(place, &[], &Content::Feed(MESSAGE.to_vec()));
        assert_eq!(feed.event_id, Some(EventId::at("hl7.raw", 0, 3).to_string()));
        assert_eq!(
            (feed.message_type.as_deref(), feed.facility.as_deref()),
            (Some("ORU^R01"), Some("NORTH"))
        );
        let broken = Marks::of(place, &[], &Content::Feed(b"no message".to_vec()));
        assert_eq!((broken.event_id.is_some(), broken.message_type), (true, None));
        let avro = json!({"event_id": "e", "facility": "F", "message_type": "ADT^A01", "pseudonym": "p", "bundle": "{}"});
        let avro = Marks::of(("fhir.deidentified", 0, 0), &[], &Content::Avro(avro));
        assert_eq!((avro.event_id.as_deref(), avro.pseudonym.as_deref()), (Some("e"), Some("p")));
        for urgency in [json!("urgent"), json!({"label": "urgent", "p": 0.75})] {
            let judged = Content::Avro(json!({"event_id": "e", "urgency": urgency}));
            let marks = Marks::of(("triage.classified", 0, 0), &[], &judged);
            assert_eq!(marks.urgency.as_deref(), Some("urgent"));
            for (wanted, holds) in [("urgent", true), ("routine", false)] {
                let selection = Selection { urgency: Some(wanted.to_owned()), ..Selection::default() };
                assert_eq!(selection.holds(&marks), holds, "{wanted}");
            }
        }
        let headers = [(EVENT_ID.to_owned(), Some(b"h".to_vec()))];
        let gone = Marks::of(("identity.vault", 0, 0), &headers, &Content::Nothing);
        assert_eq!(gone, Marks { event_id: Some("h".to_owned()), ..Marks::default() });

        let wants = |change: fn(&mut Selection)| {
            let mut selection = Selection::default();
            change(&mut selection);
            selection
        };
        assert!(wants(|_| {}).holds(&gone));
        assert!(wants(|s| s.message_type = Some("ORU".to_owned())).holds(&feed));
        assert!(wants(|s| s.message_type = Some("ORU^R01".to_owned())).holds(&feed));
        assert!(!wants(|s| s.message_type = Some("OR".to_owned())).holds(&feed));
        assert!(!wants(|s| s.message_type = Some("ORU".to_owned())).holds(&gone));
        assert!(wants(|s| s.event_id = Some("E".to_owned())).holds(&avro));
        assert!(!wants(|s| s.pseudonym = Some("p".to_owned())).holds(&feed), "a feed has no pseudonyms");
        assert!(!wants(|s| s.facility = Some("north".to_owned())).holds(&feed));
    }
}
