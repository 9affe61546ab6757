//! How a record is shown: as it is, or without what a patient could be known by.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hl7v2::Message;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// What stands in the place of a value. Always the same: its length would tell something.
const MASK: &str = "***";
/// Fields of the line's own records that are shown of topics with identifiers too: what a record is, and where it comes from.
const SHOWN: [&str; 14] = [
    "attempts",
    "code",
    "event_id",
    "facility",
    "failed_at",
    "key_version",
    "message_type",
    "pseudonym",
    "received_at",
    "resourceType",
    "source_offset",
    "source_partition",
    "source_topic",
    "stage",
];
/// Fields of MSH that are shown: delimiters, message type, processing id, version.
const SHOWN_MSH: [usize; 5] = [1, 2, 9, 11, 12];
/// Headers of the line never carry an identifier; those of a feed may.
const LINE_HEADERS: &str = "ws-";

/// What a record's value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A tombstone.
    Nothing,
    /// A feed's own bytes.
    Feed(Vec<u8>),
    /// Decoded from Avro.
    Avro(Value),
}

/// A record to be shown.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Kafka topic.
    pub topic: &'a str,
    /// Kafka partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// When it was written, milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Headers in their order.
    pub headers: &'a [(String, Option<Vec<u8>>)],
    /// Value.
    pub content: &'a Content,
    /// The leaf of the Merkle log that its segment was proved by.
    pub leaf: Option<u64>,
}

impl View<'_> {
    /// The record as one JSON object; with `masked` without what a patient could be known by.
    #[must_use]
    pub fn to_json(&self, masked: bool) -> Value {
        let masked = masked && has_identifiers(self.topic);
        let headers: Map<String, Value> = self
            .headers
            .iter()
            .map(|(name, value)| {
                let shown = !masked || name.starts_with(LINE_HEADERS);
                let value = value
                    .as_deref()
                    .map_or(Value::Null, |value| if shown { text(value) } else { json!(MASK) });
                (name.clone(), value)
            })
            .collect();
        let key = self.key.map_or(Value::Null, |key| if masked { json!(MASK) } else { text(key) });
        let value = match self.content {
            Content::Nothing => Value::Null,
            Content::Feed(bytes) if masked => json!(masked_message(bytes)),
            Content::Feed(bytes) => text(bytes),
            Content::Avro(value) if masked => masked_value(value),
            Content::Avro(value) => value.clone(),
        };
        json!({
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "timestamp": Timestamp::from_millisecond(self.timestamp_ms).map_or(Value::Null, |time| json!(time.to_string())),
            "leaf": self.leaf,
            "masked": masked,
            "key": key,
            "headers": headers,
            "value": value,
        })
    }
}

/// Whether records of the topic carry identifiers, by its contract. What has no contract is a feed's.
#[must_use]
pub fn has_identifiers(topic: &str) -> bool {
    contracts::topics(1).iter().find(|contract| contract.name == topic).is_none_or(|contract| contract.phi)
}

/// Bytes as JSON: as text where they are text.
fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({"base64": BASE64.encode(bytes)}),
    }
}

/// The message's segments and which of their fields have a value.
fn masked_message(bytes: &[u8]) -> String {
    let Ok(message) = Message::parse(bytes) else { return MASK.to_owned() };
    let separator = char::from(message.delimiters().field);
    let mut lines = Vec::new();
    for segment in message.segments() {
        let header = segment.name() == "MSH";
        let raw = String::from_utf8_lossy(segment.raw());
        // In MSH the separator is the first field (HL7 v2.9, 2.14.9.1).
        let fields = raw.split(separator).skip(1).zip(if header { 2.. } else { 1.. }).map(
            |(field, number)| match field {
                "" => "",
                field if header && SHOWN_MSH.contains(&number) => field,
                _ => MASK,
            },
        );
        lines.push(
            std::iter::once(segment.name()).chain(fields).collect::<Vec<_>>().join(&separator.to_string()),
        );
    }
    lines.join("\r")
}

fn masked_value(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Object(fields) => {
            let mask = |(name, value): (&String, &Value)| {
                let shown = SHOWN.contains(&name.as_str()) && !value.is_object() && !value.is_array();
                (name.clone(), if shown { value.clone() } else { masked_value(value) })
            };
            Value::Object(fields.iter().map(mask).collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(masked_value).collect()),
        // A bundle within the record.
        Value::String(text) if text.starts_with('{') => match serde_json::from_str(text) {
            Ok(value @ Value::Object(_)) => masked_resource(&value),
            _ => json!(MASK),
        },
        _ => json!(MASK),
    }
}

/// A FHIR resource: its elements, and nothing in them but of which type each resource is.
fn masked_resource(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Object(fields) => {
            let mask = |(name, value): (&String, &Value)| {
                let shown = name == "resourceType" && value.is_string();
                (name.clone(), if shown { value.clone() } else { masked_resource(value) })
            };
            Value::Object(fields.iter().map(mask).collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(masked_resource).collect()),
        _ => json!(MASK),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MESSAGE: &[u8] =
        b"MSH|^~\\&|LAB|NORTH|||20240506||ORU^R01|42|P|2.5\rPID|1||7001^^^NORTH^MR||ROE^ANN||19700101\r";

    fn view<'a>(topic: &'a str, content: &'a Content) -> View<'a> {
        View {
            topic,
            partition: 1,
            offset: 7,
            timestamp_ms: 1_790_000_000_000,
            key: Some(b"NORTH|7001"),
            headers: &[],
            content,
            leaf: Some(3),
        }
    }

    #[test]
    fn a_message_is_shown_by_its_shape() {
        let content = Content::Feed(MESSAGE.to_vec());
        let headers = [
            ("ws-event-id".to_owned(), Some(b"e".to_vec())),
            ("ward".to_owned(), Some(b"ROE".to_vec())),
            ("none".to_owned(), None),
        ];
        let view = View { headers: &headers, ..view("hl7.raw", &content) };
        let masked = view.to_json(true);
        let value = masked["value"].as_str().unwrap();
        assert!(
            value.starts_with("MSH|^~\\&|***|***|||***||ORU^R01|***|P|2.5\rPID|***||***||***||***"),
            "{value}"
        );
        assert_eq!(
            (&masked["key"], &masked["masked"], &masked["leaf"]),
            (&json!("***"), &json!(true), &json!(3))
        );
        assert_eq!(masked["headers"], json!({"ws-event-id": "e", "ward": "***", "none": null}));
        let shown = view.to_json(false);
        assert_eq!((&shown["key"], &shown["masked"]), (&json!("NORTH|7001"), &json!(false)));
        assert_eq!(shown["value"], json!(std::str::from_utf8(MESSAGE).unwrap()));
        assert_eq!(shown["timestamp"], "2026-09-21T14:13:20Z");
        let broken = Content::Feed(b"\xFFROE".to_vec());
        assert_eq!(self::view("hl7.feed.ward7", &broken).to_json(true)["value"], "***");
        assert!(self::view("hl7.raw", &broken).to_json(false)["value"]["base64"].is_string());
    }

    #[test]
    fn a_bundle_is_shown_by_its_elements() {
        let bundle = json!({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "name": [{"family": "ROE"}], "active": true}}]});
        let record = json!({"event_id": "e", "facility": "NORTH", "control_id": "42", "received_at": 5, "bundle": bundle.to_string(), "unmapped": ["PID-5"], "outcome": null});
        let content = Content::Avro(record.clone());
        let masked = view("fhir.received", &content).to_json(true);
        assert_eq!(
            masked["value"],
            json!({
                "event_id": "e", "facility": "NORTH", "control_id": "***", "received_at": 5,
                "bundle": {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "name": [{"family": "***"}], "active": "***"}}]},
                "unmapped": ["***"], "outcome": null,
            })
        );
        assert_eq!(view("fhir.received", &content).to_json(false)["value"], record);
        let without = view("fhir.deidentified", &content).to_json(true);
        assert_eq!(
            (&without["value"], &without["masked"]),
            (&record, &json!(false)),
            "it carries no identifiers"
        );
        assert_eq!(view("identity.vault", &Content::Nothing).to_json(true)["value"], Value::Null);
    }

    #[test]
    fn what_has_no_contract_has_identifiers() {
        assert!(has_identifiers("hl7.feed.ward7") && has_identifiers("redact.dead-letter"));
        assert!(!has_identifiers("fhir.deidentified") && !has_identifiers(contracts::ACCESS_EVENTS));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        /// A name that is in any value of any record is in nothing that is shown masked.
        #[test]
        fn no_value_comes_through_the_mask(field in 1_usize..30, segment in "[A-Z]{2}[A-Z0-9]", depth in 0_usize..6) {
            const NAME: &str = "Qvxzwk";
            let message = format!("MSH|^~\\&|{NAME}|{NAME}|{NAME}|{NAME}|{NAME}|{NAME}|ADT^A01|{NAME}|P|2.5\r{segment}{}{NAME}^{NAME}\r", "|".repeat(field));
            let feed = Content::Feed(message.into_bytes());
            prop_assert!(!view("hl7.raw", &feed).to_json(true).to_string().contains(NAME));
            let nested = (0..depth).fold(json!([NAME, {"text": NAME}]), |value, _| json!({"extension": [value], "event_id": {"x": NAME}}));
            for record in [json!({"bundle": nested.to_string()}), json!({"value": nested}), json!({"bundle": NAME}), json!({"bundle": format!("{{{NAME}")})] {
                let content = Content::Avro(record);
                prop_assert!(!view("fhir.validated", &content).to_json(true).to_string().contains(NAME));
            }
        }
    }
}
