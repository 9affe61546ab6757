//! One message to one Bundle.

use std::collections::BTreeMap;
use std::fmt;

use hl7v2::Message;
use jiff::tz::TimeZone;

use crate::bundle::{self, Envelope, Finished};
use crate::draft;
use crate::engine::Engine;
use crate::error::Error;
use crate::identity::{PatientIdentity, patient_identity};
use crate::table::{MessageMap, tables};
use crate::time::{Stamp, Zones};
use crate::unmapped::{Listing, Unmapped};
use crate::value::{Text, Value, json};
use crate::walk;

/// Segments that one conversion takes; a result of this many lines is a transmission error.
const SEGMENT_LIMIT: usize = 20_000;
/// Code system of the tag that says which zone was assumed.
const ASSUMED_ZONE: &str = "https://github.com/wardstream/wardstream/CodeSystem/assumed-time-zone";

/// What a facility's messages leave unsaid.
#[derive(Debug, Clone)]
pub struct Options {
    /// Zone of times that have no offset, in a message whose MSH-7 has none and whose facility is not in `facility_zones`.
    pub default_zone: TimeZone,
    /// Zone by sending facility (MSH-4.1, else MSH-4.2, as sent).
    pub facility_zones: BTreeMap<String, TimeZone>,
}

impl Default for Options {
    /// UTC everywhere.
    fn default() -> Self {
        Self { default_zone: TimeZone::UTC, facility_zones: BTreeMap::new() }
    }
}

/// A converted message. `Debug` shows no content.
#[derive(Clone, PartialEq)]
pub struct Conversion<B = serde_json::Value> {
    /// A FHIR R4 `Bundle` of type `message`, its `MessageHeader` first.
    ///
    /// Where a zone had to be assumed for times without an offset, `MessageHeader.meta.tag` holds the zone's IANA
    /// name (its offset, if it has no name) as a code of `https://github.com/wardstream/wardstream/CodeSystem/assumed-time-zone`.
    pub bundle: B,
    /// Every value of the message that the bundle does not hold.
    pub unmapped: Vec<Unmapped>,
    /// The patient, for keys; see [`patient_identity`].
    pub patient: Option<PatientIdentity>,
    /// MSH-9 as `ADT^A01`.
    pub message_type: String,
    /// MSH-10.
    pub control_id: String,
    /// MSH-4.1, else MSH-4.2.
    pub facility: String,
}

impl<B> fmt::Debug for Conversion<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversion")
            .field("message_type", &self.message_type)
            .field("unmapped", &self.unmapped)
            .finish_non_exhaustive()
    }
}

/// Converts a message to a bundle to look into.
///
/// # Errors
/// See [`Error`]: the message type has no map, a required segment is absent, MSH-10 is empty, or the message is too large.
pub fn convert(message: &Message<'_>, options: &Options) -> Result<Conversion, Error> {
    // What has just been written is JSON.
    Ok(convert_to_text(message, options)?.map(|text| serde_json::from_str(&text).unwrap_or_default()))
}

/// Converts a message to a bundle as JSON text: what [`convert`] gives, written at once and so several times faster.
///
/// # Errors
/// As [`convert`].
pub fn convert_to_text(message: &Message<'_>, options: &Options) -> Result<Conversion<String>, Error> {
    Ok(run(message, options)?.map(|finished| finished.to_text()))
}

impl<B> Conversion<B> {
    fn map<T>(self, with: impl FnOnce(B) -> T) -> Conversion<T> {
        let Self { bundle, unmapped, patient, message_type, control_id, facility } = self;
        Conversion { bundle: with(bundle), unmapped, patient, message_type, control_id, facility }
    }
}

fn run(message: &Message<'_>, options: &Options) -> Result<Conversion<Finished>, Error> {
    let tables = tables();
    let (code, event) = message_event(message);
    let message_type = if event.is_empty() { code.clone() } else { format!("{code}^{event}") };
    let map = message_map(&tables.messages, &code, &event).ok_or_else(|| Error::UnsupportedMessageType {
        // Only what looks like HL7 codes is repeated: a broken MSH may hold anything there.
        message_type: if is_code(&code, 3) && is_code(&event, 3) {
            message_type.clone()
        } else {
            "unreadable".into()
        },
    })?;
    if message.segment_count() > SEGMENT_LIMIT {
        return Err(Error::TooLarge { segments: message.segment_count(), limit: SEGMENT_LIMIT });
    }
    for required in &map.requires {
        if message.segment(required).is_none() {
            return Err(Error::MissingSegment { message_type, segment: (*required).to_owned() });
        }
    }
    let control_id = message.control_id().into_owned();
    if control_id.is_empty() {
        return Err(Error::MissingField { segment: "MSH".into(), field: 10 });
    }
    let facility = facility(message);
    let zones = zones(message, options, &facility);
    let zone_name = zone_name(&zones.zone);
    let mut engine = Engine::new(message, tables, zones, facility.clone());
    let unexpected = walk::walk(&mut engine, map);
    let sent = message.segment("MSH").and_then(|msh| Stamp::parse(&msh.field(7).text()));
    let timestamp = sent.and_then(|s| s.instant(&mut engine.zones));
    header(&mut engine, map, &message_type, &zone_name);
    let finished = bundle::finish(&mut engine, Envelope { control_id: &control_id, timestamp });
    let unmapped = Listing::new(&engine, |draft| finished.holds(draft)).list(&unexpected);
    let patient = patient_identity(message);
    Ok(Conversion { bundle: finished, unmapped, patient, message_type, control_id, facility })
}

/// Message code and trigger event. Before version 2.3 the event is only in EVN-1.
fn message_event(message: &Message<'_>) -> (String, String) {
    let event = message.trigger_event().into_owned();
    let event = match message.segment("EVN") {
        Some(evn) if event.is_empty() => evn.field(1).text().trim().to_owned(),
        _ => event,
    };
    (message.message_code().into_owned(), event)
}

fn is_code(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

fn message_map<'t>(maps: &'t [MessageMap], code: &str, event: &str) -> Option<&'t MessageMap> {
    let exact = |map: &&MessageMap| map.types.iter().any(|(c, e)| *c == code && *e == event);
    let any = |map: &&MessageMap| is_code(event, 3) && map.types.iter().any(|(c, e)| *c == code && *e == "*");
    maps.iter().find(exact).or_else(|| maps.iter().find(any))
}

fn facility(message: &Message<'_>) -> String {
    let named = message.sending_facility().trim().to_owned();
    if !named.is_empty() {
        return named;
    }
    message.segment("MSH").map(|msh| msh.field(4).component(2).text().trim().to_owned()).unwrap_or_default()
}

fn zones(message: &Message<'_>, options: &Options, facility: &str) -> Zones {
    let sent = message.segment("MSH").and_then(|msh| Stamp::parse(&msh.field(7).text()));
    let zone = options.facility_zones.get(facility).unwrap_or(&options.default_zone);
    Zones { message_offset: sent.and_then(|s| s.offset()), zone: zone.clone(), assumed: false }
}

/// The IANA name, else the offset (`-05`), else `unknown`.
fn zone_name(zone: &TimeZone) -> String {
    let offset = || zone.to_fixed_offset().map_or_else(|_| "unknown".to_owned(), |offset| offset.to_string());
    zone.iana_name().map_or_else(offset, str::to_owned)
}

/// What MessageHeader says about the message as a whole.
fn header(engine: &mut Engine<'_>, map: &MessageMap, message_type: &str, zone: &str) {
    let Some(handle) = engine.slots.get("MessageHeader") else { return };
    let focus: Vec<Value> =
        map.focus.iter().flat_map(|slot| engine.slots.all(slot)).map(draft::reference).collect();
    let assumed = engine.zones.assumed;
    let Some(body) = engine.drafts.body(handle) else { return };
    let (_, event) = message_type.split_once('^').unwrap_or(("", message_type));
    let system = Value::from("http://terminology.hl7.org/CodeSystem/v2-0003");
    body.insert(
        "eventCoding",
        json!({"system": system, "code": Text::new(event), "display": Text::new(message_type)}),
    );
    if !focus.is_empty() {
        body.insert("focus", Value::Array(focus));
    }
    if let Some(Value::Array(destinations)) = body.get_mut("destination") {
        for destination in destinations.iter_mut().filter_map(Value::as_object_mut) {
            if !destination.contains_key("endpoint") {
                destination.insert("_endpoint", crate::observation::absent());
            }
        }
    }
    let source = body.entry("source").or_insert_with(|| json!({}));
    if let Value::Object(source) = source
        && !source.contains_key("endpoint")
    {
        source.insert("_endpoint", crate::observation::absent());
    }
    if assumed {
        let tag = json!({"system": Value::from(ASSUMED_ZONE), "code": Text::new(zone), "display": "time zone assumed for times without an offset"});
        let meta = body.entry("meta").or_insert_with(|| json!({}));
        if let Value::Object(meta) = meta {
            crate::element::push(meta, "tag", tag);
        }
    }
}
