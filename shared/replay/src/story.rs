//! What became of one event, as its records in every topic tell it.

use contracts::headers::{
    EVENT_ID, OUTPUT_INDEX, RELEASE, REPLAY_OFFSET, REPLAY_PARTITION, REPLAY_TOPIC, SOURCE_OFFSET,
    SOURCE_PARTITION, SOURCE_TOPIC,
};
use contracts::{DEAD_LETTER_SUFFIX, EventId, PARKED_SUFFIX, REPLAYED, STAGES};
use serde_json::{Map, Value, json};

type Headers = [(String, Option<Vec<u8>>)];
/// Topic, partition and offset of a record.
pub type Place = (String, i32, i64);

/// Topics whose records belong to no event.
const WITHOUT_EVENTS: [&str; 2] = ["audit.manifests", contracts::ACCESS_EVENTS];

/// What a record is in the story of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A feed wrote it.
    Fed,
    /// A stage made it of its input.
    Emitted,
    /// A stage could not process its input.
    DeadLettered,
    /// A stage set its input aside.
    Parked,
    /// A stage let its input go.
    Dropped,
    /// An operator put it there once more.
    Replayed,
    /// An operator noted that a letter went back.
    Noted,
    /// A parked key flows again.
    Released,
}

impl What {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fed => "fed",
            Self::Emitted => "emitted",
            Self::DeadLettered => "dead-lettered",
            Self::Parked => "parked",
            Self::Dropped => "dropped",
            Self::Replayed => "replayed",
            Self::Noted => "noted",
            Self::Released => "released",
        }
    }
}

/// A record in the story of its event.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where the record lies.
    pub place: Place,
    /// When it was written, milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// What it is.
    pub what: What,
    /// The stage that wrote it; none for feeds and operators.
    pub stage: Option<String>,
    /// The record that it was made of, or replayed from.
    pub from: Option<Place>,
    /// Its place among the outputs of that record.
    pub output: Option<u32>,
    /// What it says that is no content of a message: code and reason, model, urgency, notification.
    pub says: Map<String, Value>,
}

/// The event of a record, where its place and its headers tell it: `None` where they do not.
///
/// Every stage writes the id as a header. A feed's record has the id of its place.
#[must_use]
pub fn event_of((topic, partition, offset): (&str, i32, i64), headers: &Headers) -> Option<String> {
    match header(headers, EVENT_ID) {
        Some(id) => Some(id.to_owned()),
        None if is_feed(topic) => Some(EventId::at(topic, partition, offset).to_string()),
        None => None,
    }
}

/// Whether records of this topic may belong to an event.
#[must_use]
pub fn has_events(topic: &str) -> bool {
    !WITHOUT_EVENTS.contains(&topic)
}

/// Whether only the value tells which event a record of this topic belongs to.
#[must_use]
pub fn names_event_in_value(topic: &str) -> bool {
    topic == REPLAYED
}

/// Whether a feed writes the topic: its records are the feed's own bytes. What has no contract is a feed's.
#[must_use]
pub fn is_feed(topic: &str) -> bool {
    contracts::topics(1)
        .iter()
        .find(|contract| contract.name == topic)
        .is_none_or(|contract| contract.schema.is_none())
}

fn header<'h>(headers: &'h Headers, name: &str) -> Option<&'h str> {
    let value = headers.iter().rev().find(|(found, _)| found == name)?.1.as_deref()?;
    std::str::from_utf8(value).ok()
}

fn place(headers: &Headers, topic: &str, partition: &str, offset: &str) -> Option<Place> {
    Some((
        header(headers, topic)?.to_owned(),
        header(headers, partition)?.parse().ok()?,
        header(headers, offset)?.parse().ok()?,
    ))
}

/// The stage that reads a topic.
#[must_use]
pub fn stage_of(topic: &str) -> Option<&'static str> {
    if topic.starts_with("hl7.feed.") {
        return Some("ingest");
    }
    STAGES.into_iter().find(|stage| contracts::inputs(stage).contains(&topic))
}

impl Step {
    /// The step of a record with this value, decoded where it is Avro.
    #[must_use]
    pub fn of(place: Place, timestamp_ms: i64, headers: &Headers, value: Option<&Value>) -> Self {
        let topic = place.0.as_str();
        let source = self::place(headers, SOURCE_TOPIC, SOURCE_PARTITION, SOURCE_OFFSET);
        let replayed = self::place(headers, REPLAY_TOPIC, REPLAY_PARTITION, REPLAY_OFFSET);
        let text = |name: &str| value.and_then(|value| value.get(name)).and_then(Value::as_str);
        let what = if header(headers, RELEASE).is_some() {
            What::Released
        } else if topic == REPLAYED {
            What::Noted
        } else if topic.ends_with(DEAD_LETTER_SUFFIX) {
            What::DeadLettered
        } else if topic.ends_with(PARKED_SUFFIX) {
            What::Parked
        } else if topic == "line.dropped" {
            What::Dropped
        } else if replayed.is_some() && source.is_none() {
            What::Replayed
        } else if is_feed(topic) {
            What::Fed
        } else {
            What::Emitted
        };
        let stage = match what {
            What::Fed | What::Replayed | What::Noted | What::Released => None,
            _ => source
                .as_ref()
                .and_then(|(topic, ..)| stage_of(topic))
                .or_else(|| STAGES.into_iter().find(|stage| text("stage") == Some(*stage))),
        };
        Self {
            timestamp_ms,
            what,
            stage: stage.map(str::to_owned),
            output: header(headers, OUTPUT_INDEX).and_then(|text| text.parse().ok()),
            from: source.or(replayed),
            says: says(topic, value),
            place,
        }
    }
}

/// What the line itself says in a record. By their contracts none of these fields has content of a message.
fn says(topic: &str, value: Option<&Value>) -> Map<String, Value> {
    let names: &[&str] = match topic {
        "triage.classified" | "triage.summarized" => &["abstained", "model_id", "model_version"],
        "notification.sent" => {
            &["channel", "message_id", "notification_id", "recipients", "sent_at", "urgency"]
        }
        "notification.ledger" => &["notification_id", "state"],
        "notification.open" => &["due_at", "opened_at", "step", "unanswered"],
        "notification.held" => &["due_at", "recipient"],
        "notification.acknowledged" => &["acknowledged_at", "step"],
        "line.dropped" => &["reason"],
        REPLAYED => &["letter"],
        "fhir.deidentified" => &["redactions"],
        topic if topic.ends_with(DEAD_LETTER_SUFFIX) || topic.ends_with(PARKED_SUFFIX) => {
            &["attempts", "code", "location", "reason"]
        }
        _ => &[],
    };
    let field = |name: &str| value?.get(name).filter(|value| !value.is_null()).cloned();
    let mut says: Map<String, Value> =
        names.iter().filter_map(|name| Some(((*name).to_owned(), field(name)?))).collect();
    if topic.starts_with("triage.") {
        for name in ["urgency", "specialty", "document_type"] {
            let label = field(name).and_then(|label| label.get("label").cloned());
            says.extend(label.map(|label| (name.to_owned(), label)));
        }
    }
    says
}

/// The story of an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    steps: Vec<Step>,
}

impl Story {
    /// Orders steps by time; those of one moment as the line has its topics.
    #[must_use]
    pub fn new(mut steps: Vec<Step>) -> Self {
        let topics = contracts::topics(1);
        let rank = |topic: &str| topics.iter().position(|contract| contract.name == topic);
        steps.sort_by_key(|step| (step.timestamp_ms, rank(&step.place.0), step.place.clone()));
        Self { steps }
    }

    /// The steps in their order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What the stage that reads a step's record made of it: `None` where no stage reads it, and nothing in the list where the log
    /// does not say yet.
    #[must_use]
    pub fn fate(&self, step: &Step) -> Option<Vec<What>> {
        stage_of(&step.place.0)?;
        if step.what == What::Released {
            return None;
        }
        let mut fates = Vec::new();
        for made in &self.steps {
            let is = matches!(made.what, What::Emitted | What::DeadLettered | What::Parked | What::Dropped);
            if is && made.from.as_ref() == Some(&step.place) && !fates.contains(&made.what) {
                fates.push(made.what);
            }
        }
        Some(fates)
    }

    /// A step as JSON, without the record's content.
    #[must_use]
    pub fn to_json(&self, step: &Step) -> Value {
        let place = |(topic, partition, offset): &Place| format!("{topic}/{partition}/{offset}");
        json!({
            "what": step.what.name(),
            "stage": step.stage,
            "from": step.from.as_ref().map(place),
            "output": step.output,
            "fate": self.fate(step).map(|fates| fates.into_iter().map(What::name).collect::<Vec<_>>()),
            "says": step.says,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage(topic: &str, offset: i64) -> Vec<(String, Option<Vec<u8>>)> {
        [
            (EVENT_ID, "e".to_owned()),
            (SOURCE_TOPIC, topic.to_owned()),
            (SOURCE_PARTITION, "1".to_owned()),
            (SOURCE_OFFSET, offset.to_string()),
            (OUTPUT_INDEX, "0".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), Some(value.into_bytes())))
        .to_vec()
    }

    fn at(topic: &str, offset: i64) -> Place {
        (topic.to_owned(), 1, offset)
    }

    #[test]
    fn a_record_tells_its_event_by_header_or_by_place() {
        assert_eq!(event_of(("hl7.raw", 1, 7), &[]), Some(EventId::at("hl7.raw", 1, 7).to_string()));
        assert_eq!(event_of(("hl7.feed.ward7", 1, 7), &lineage("x", 1)), Some("e".to_owned()));
        assert_eq!(event_of(("fhir.received", 1, 7), &lineage("hl7.raw", 7)), Some("e".to_owned()));
        assert_eq!(event_of(("fhir.received", 1, 7), &[]), None);
        assert!(names_event_in_value(REPLAYED) && has_events(REPLAYED) && !has_events("access.events"));
    }

    #[test]
    fn a_story_is_in_the_order_of_time_and_each_input_has_its_fate() {
        let letter = json!({"stage": "validate", "code": "FHIR-304", "reason": "no status", "location": null, "attempts": 1, "value": "ROE"});
        let steps = vec![
            Step::of(at("validate.dead-letter", 0), 30, &lineage("fhir.received", 5), Some(&letter)),
            Step::of(at("fhir.received", 5), 20, &lineage("hl7.raw", 7), Some(&json!({"bundle": "ROE"}))),
            Step::of(at("hl7.raw", 7), 10, &[], None),
        ];
        let story = Story::new(steps);
        let [fed, received, dead] = story.steps() else { panic!("{story:?}") };
        assert_eq!((fed.what, &fed.stage, &fed.from), (What::Fed, &None, &None));
        assert_eq!((received.what, received.stage.as_deref()), (What::Emitted, Some("ingest")));
        assert_eq!(received.from, Some(at("hl7.raw", 7)));
        assert_eq!((dead.what, dead.stage.as_deref()), (What::DeadLettered, Some("validate")));
        assert_eq!(
            Value::Object(dead.says.clone()),
            json!({"attempts": 1, "code": "FHIR-304", "reason": "no status"})
        );
        assert_eq!(story.fate(fed), Some(vec![What::Emitted]));
        assert_eq!(story.fate(received), Some(vec![What::DeadLettered]));
        assert_eq!(story.fate(dead), None);
        assert!(!story.steps().iter().any(|step| story.to_json(step).to_string().contains("ROE")));
    }

    #[test]
    fn a_replay_begins_anew_and_what_has_no_fate_yet_says_so() {
        let headers: Vec<_> = [
            (EVENT_ID, "e"),
            (REPLAY_TOPIC, "validate.dead-letter"),
            (REPLAY_PARTITION, "1"),
            (REPLAY_OFFSET, "0"),
        ]
        .map(|(name, value)| (name.to_owned(), Some(value.as_bytes().to_vec())))
        .to_vec();
        let step = Step::of(at("fhir.received", 9), 40, &headers, None);
        assert_eq!((step.what, step.from.clone()), (What::Replayed, Some(at("validate.dead-letter", 0))));
        let story = Story::new(vec![step.clone()]);
        assert_eq!(story.fate(&step), Some(Vec::new()));
        let note = Step::of(
            at(REPLAYED, 0),
            41,
            &[],
            Some(&json!({"letter": "validate.dead-letter/1/0", "event_id": "e"})),
        );
        assert_eq!(
            (note.what, note.says["letter"].as_str()),
            (What::Noted, Some("validate.dead-letter/1/0"))
        );
    }

    #[test]
    fn a_judgement_and_a_notification_say_what_they_are() {
        let triage = json!({"urgency": {"label": "urgent", "p": 0.9}, "specialty": {"label": "cardiology", "p": 0.8}, "model_id": "m", "model_version": "3", "abstained": false, "reasons": ["because"]});
        let step = Step::of(at("triage.classified", 1), 50, &lineage("fhir.deidentified", 1), Some(&triage));
        assert_eq!(
            Value::Object(step.says),
            json!({"abstained": false, "model_id": "m", "model_version": "3", "urgency": "urgent", "specialty": "cardiology"})
        );
        let sent = json!({"notification_id": "n", "channel": "email", "message_id": "<m>", "recipients": ["ward"], "urgency": "urgent", "sent_at": 60});
        let step = Step::of(at("notification.sent", 1), 60, &lineage("triage.summarized", 1), Some(&sent));
        assert_eq!((step.stage.as_deref(), &step.says["recipients"]), (Some("notify"), &json!(["ward"])));
    }
}
