//! Data types that rows cannot describe.

use compact_str::format_compact;

mod telecom;
mod timing;

use crate::attachment;
use crate::code_system;
use crate::concept;
use crate::engine::Engine;
use crate::location;
use crate::number;
use crate::observation;
use crate::primitive;
use crate::rule::Source;
use crate::scope::Scope;
use crate::unmapped::{Reason, bit};
use crate::value::{Map, Text, Value, json};

/// A function that a row names with `fn:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Function {
    /// HD to the URI of an identifier system.
    Uri,
    /// EI to the URI of the system of its identifier.
    EiUri,
    /// A universal id to a URI.
    UniversalId,
    /// The name of a coding system to its URI.
    CodeSystem,
    /// NM to a Duration in days.
    Days,
    /// HD to the URI of a message endpoint.
    Endpoint,
    /// HD to `Organization.identifier` and name.
    Organization,
    /// XTN to ContactPoint.
    Telecom,
    /// A coded value to the text that names it.
    Label,
    /// A language: FHIR takes only BCP 47 codes, so any other is text.
    Language,
    /// A language as a BCP 47 code.
    LanguageCode,
    /// XPN to one string.
    NameText,
    /// PL to a chain of Locations, innermost first.
    Location,
    /// The same of an NDL.
    LocationOfNdl,
    /// CQ to Quantity.
    Quantity,
    /// NM to Quantity with the unit of another field.
    QuantityIn(Source),
    /// NM to a number of minutes, with the unit of another field.
    MinutesIn(Source),
    /// NM to a Ratio: the field of its unit, the field of the number it is per (else one), the field of that one's unit.
    Ratio(Source, Option<Source>, Option<Source>),
    /// CQ to a Ratio of it to the CQ in another field.
    RatioTo(Source),
    /// CQ to a Ratio of the CQ in another field to it.
    RatioOf(Source),
    /// CQ to a Ratio of it a day.
    PerDay,
    /// CQ to a number of minutes.
    Minutes,
    /// A start moved on by this NM: the field of the start, the field of the unit (else minutes).
    After(Source, Option<Source>),
    /// An end moved back by this NM, likewise.
    Before(Source, Option<Source>),
    /// The duration in a TQ: a letter for the unit and a number.
    TqDuration,
    /// SAD to one line.
    Street,
    /// `event - ADT^A01`, of the message.
    EventTitle,
    /// `message - ADT^A01^ADT_A01`, of the message.
    MessageTitle,
    /// The identifier system of the sender's message control ids.
    MessageSystem,
    /// OBX-5 by OBX-2.
    Value,
    /// OBX-7.
    ReferenceRange,
    /// ED or RP to Attachment.
    Attachment,
    /// All of the value, delimiters included.
    FullText,
    /// A line of the narrative of the resource being made.
    Narrative,
    /// The text of an embedded document, into the same narrative.
    DocumentText,
}

impl Function {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, arguments) = match text.strip_suffix(')').and_then(|t| t.split_once('(')) {
            Some((name, arguments)) => {
                (name, arguments.split_whitespace().map(Source::parse).collect::<Result<Vec<_>, _>>()?)
            }
            None => (text, Vec::new()),
        };
        let mut arguments = arguments.into_iter();
        let mut next = || arguments.next().ok_or_else(|| format!("{text:?} lacks an argument"));
        Ok(match name {
            "uri" => Self::Uri,
            "ei-uri" => Self::EiUri,
            "universal-id" => Self::UniversalId,
            "code-system" => Self::CodeSystem,
            "days" => Self::Days,
            "location-of-ndl" => Self::LocationOfNdl,
            "endpoint" => Self::Endpoint,
            "organization" => Self::Organization,
            "telecom" => Self::Telecom,
            "label" => Self::Label,
            "language" => Self::Language,
            "language-code" => Self::LanguageCode,
            "name-text" => Self::NameText,
            "location" => Self::Location,
            "quantity" => Self::Quantity,
            "quantity-in" => Self::QuantityIn(next()?),
            "minutes-in" => Self::MinutesIn(next()?),
            "ratio" => Self::Ratio(next()?, next().ok(), next().ok()),
            "ratio-to" => Self::RatioTo(next()?),
            "ratio-of" => Self::RatioOf(next()?),
            "per-day" => Self::PerDay,
            "minutes" => Self::Minutes,
            "after" => Self::After(next()?, next().ok()),
            "before" => Self::Before(next()?, next().ok()),
            "tq-duration" => Self::TqDuration,
            "street" => Self::Street,
            "event-title" => Self::EventTitle,
            "message-title" => Self::MessageTitle,
            "message-system" => Self::MessageSystem,
            "value" => Self::Value,
            "reference-range" => Self::ReferenceRange,
            "attachment" => Self::Attachment,
            "full-text" => Self::FullText,
            "narrative" => Self::Narrative,
            "document-text" => Self::DocumentText,
            _ => return Err(format!("unknown function {text:?}")),
        })
    }
}

/// A function as the value of an element.
pub(crate) fn value(
    engine: &mut Engine<'_>,
    function: &Function,
    scope: Scope<'_>,
    index: usize,
    used: &mut u64,
) -> Option<Value> {
    match function {
        Function::Uri => {
            *used |= authority_parts(scope, 1);
            authority(scope, &engine.facility).map(Value::from)
        }
        Function::EiUri => {
            *used |= authority_parts(scope, 2);
            entity_authority(scope, &engine.facility).map(Value::from)
        }
        Function::UniversalId => {
            *used |= bit(1);
            let id = scope.text();
            let local = || (!id.trim().is_empty()).then(|| code_system::local(&engine.facility, &id));
            code_system::universal(&id).or_else(local).map(Value::from)
        }
        Function::CodeSystem => {
            *used |= bit(1);
            code_system::uri(&scope.text(), &engine.facility).map(Value::from)
        }
        Function::Days => {
            let value = checked(engine, number::decimal(&scope.text()))?;
            *used |= bit(1);
            Some(json!({"value": value, "unit": "days", "system": "http://unitsofmeasure.org", "code": "d"}))
        }
        Function::Endpoint => {
            let dns = scope.child(3).text().trim() == "DNS";
            *used |= if dns { bit(2) | bit(3) } else { authority_parts(scope, 1) };
            endpoint(scope, &engine.facility).map(Value::from)
        }
        Function::Organization => {
            *used |= bit(1) | bit(2);
            if code_system::universal(&scope.child(2).text()).is_some() {
                *used |= bit(3);
            }
            // Its name is among its identifiers too, which are all kept.
            let body = organization(scope, &engine.facility)?;
            Some(engine.share("Organization", body, engine.marks.len()))
        }
        Function::Telecom => telecom::contact_point(engine, scope, used).map(Value::Object),
        Function::Label => {
            let (component, text) = concept::label_at(scope)?;
            *used |= bit(component);
            Some(Value::from(text))
        }
        Function::Language => {
            let map = engine.tables.codes_named("PrimaryLanguage");
            let concept = concept::codeable(engine, scope, map, None, used)?;
            let coded = concept.to_string().contains("urn:ietf:bcp:47");
            if coded {
                return Some(concept);
            }
            let (component, text) = concept::label_at(scope)?;
            *used = bit(component);
            Some(json!({"text": text}))
        }
        Function::LanguageCode => {
            let text = scope.text();
            let known =
                engine.tables.codes_named("PrimaryLanguage").and_then(|map| map.rows.get(text.trim()));
            let code =
                known.map(|concept| Text::const_new(concept.code)).or_else(|| language_tag(text.trim()));
            *used |= bit(1) | bit(2) | bit(3);
            if code.is_none() {
                engine.refuse(Reason::InvalidCode);
            }
            code.map(Value::from)
        }
        Function::NameText => name_text(scope, used).map(Value::from),
        Function::Location => location::reference(engine, scope, &location::PL, used),
        Function::LocationOfNdl => location::reference(engine, scope, &location::NDL, used),
        Function::Quantity => quantity(engine, scope, used).map(Value::Object),
        Function::QuantityIn(source) => {
            let quantity = in_unit(engine, scope, source, index)?;
            *used |= bit(1);
            Some(quantity)
        }
        Function::MinutesIn(_)
        | Function::Minutes
        | Function::After(..)
        | Function::Before(..)
        | Function::TqDuration => timing::value(engine, function, scope, index, used),
        Function::Ratio(unit, per, per_unit) => {
            let numerator = in_unit(engine, scope, unit, index)?;
            *used |= bit(1);
            let per = per.as_ref().and_then(|per| engine.resolve_first(per, index));
            let per = per.filter(|per| number::decimal(&per.text()).is_some());
            let denominator =
                per.zip(per_unit.as_ref()).and_then(|(per, unit)| in_unit(engine, per, unit, index));
            let denominator = denominator.unwrap_or_else(|| json!({"value": 1_i64}));
            Some(json!({"numerator": numerator, "denominator": denominator}))
        }
        Function::RatioTo(other) | Function::RatioOf(other) => {
            let other = engine.resolve_first(other, index)?;
            let here = quantity(engine, scope, used).map(Value::Object)?;
            let there = quantity(engine, other, &mut 0).map(Value::Object)?;
            let to = matches!(function, Function::RatioTo(_));
            let (numerator, denominator) = if to { (here, there) } else { (there, here) };
            Some(json!({"numerator": numerator, "denominator": denominator}))
        }
        Function::PerDay => {
            let numerator = quantity(engine, scope, used).map(Value::Object)?;
            let day =
                json!({"value": 1_i64, "unit": "day", "system": "http://unitsofmeasure.org", "code": "d"});
            Some(json!({"numerator": numerator, "denominator": day}))
        }
        Function::Street => street(scope, used).map(Value::from),
        Function::EventTitle => title(engine, "event", 2),
        Function::MessageTitle => {
            *used = u64::MAX;
            title(engine, "message", 3)
        }
        Function::MessageSystem => {
            Some(Value::from(code_system::local(&engine.facility, "message-control-id")))
        }
        Function::Attachment => attachment::attachment(scope, used).map(Value::Object),
        Function::FullText => {
            *used = u64::MAX;
            primitive::string(&scope.full_text()).map(Value::from)
        }
        Function::ReferenceRange => {
            *used |= bit(1);
            observation::reference_range(engine, &scope.text(), index)
        }
        Function::Value | Function::Narrative | Function::DocumentText => None,
    }
}

/// A function that fills the object itself.
pub(crate) fn fill(
    engine: &mut Engine<'_>,
    function: &Function,
    scope: Scope<'_>,
    index: usize,
    body: &mut Map,
    used: &mut u64,
) -> bool {
    match function {
        Function::Value => {
            // All repetitions are taken with the first.
            if !body.contains_key("component") && !observation::has_value(body) {
                engine.taken = observation::value(engine, index, body);
            }
            *used = engine.taken.get(engine.repetition() - 1).copied().unwrap_or_default();
            if *used == 0 {
                engine.refuse(Reason::InvalidValue);
            }
            *used != 0
        }
        Function::Narrative => {
            let Some(text) = primitive::string(&scope.full_text()) else { return false };
            *used = u64::MAX;
            narrate(engine, index, text);
            true
        }
        // The document itself is what holds the field; a document without text is none the less there.
        Function::DocumentText => {
            // A DocumentReference has the document itself beside its text.
            let kind = engine.drafts.list.get(engine.current).map(|draft| draft.kind);
            if let Some(text) = attachment::text(scope, kind == Some("DocumentReference")) {
                narrate(engine, index, text);
            }
            false
        }
        _ => false,
    }
}

/// Adds a line to the narrative of the resource being made, under the name of its observation.
fn narrate(engine: &mut Engine<'_>, index: usize, text: Text) {
    let label = engine.segments.get(index).filter(|s| s.name() == "OBX").map(|s| s.field(3).repetition(1));
    let label = label.map(Scope::Repetition);
    engine.narratives.entry(engine.current).or_default().add(label, text);
}

impl<'m> Engine<'m> {
    fn resolve_first(&self, source: &Source, index: usize) -> Option<Scope<'m>> {
        self.first(source, Scope::Nothing, index)
    }
}

fn checked<T>(engine: &mut Engine<'_>, found: Option<T>) -> Option<T> {
    if found.is_none() {
        engine.refuse(Reason::InvalidNumber);
    }
    found
}

/// A number with the unit of another field. Every use is a SimpleQuantity, which takes no comparator.
fn in_unit(engine: &mut Engine<'_>, scope: Scope<'_>, unit: &Source, index: usize) -> Option<Value> {
    let value = checked(engine, number::decimal(&scope.text()))?;
    let mut quantity = Map::with_capacity(4);
    quantity.add("value", value);
    quantity.extend(unit_of(engine, unit, index));
    Some(Value::Object(quantity))
}

fn unit_of(engine: &Engine<'_>, source: &Source, index: usize) -> Map {
    engine.resolve_first(source, index).map(|unit| concept::unit(engine, unit)).unwrap_or_default()
}

/// Title of the message: its type and event, and its structure where `parts` is 3.
fn title(engine: &Engine<'_>, what: &str, parts: usize) -> Option<Value> {
    let kind = engine.segments.first()?.field(9).repetition(1);
    let parts: Vec<Text> = (1..=parts).filter_map(|n| primitive::string(&kind.component(n).text())).collect();
    (!parts.is_empty()).then(|| Value::from(format!("{what} - {}", parts.join("^"))))
}

/// SAD to one line: the street address, which most senders write in full, with what its parts add to it.
fn street(scope: Scope<'_>, used: &mut u64) -> Option<Text> {
    *used |= bit(1) | bit(2) | bit(3);
    let part = |n: usize| primitive::string(&scope.child(n).text());
    let (name, number) = (part(2), part(3));
    let Some(mut line) = part(1) else {
        let parts: Vec<Text> = [number, name].into_iter().flatten().collect();
        return (!parts.is_empty()).then(|| parts.join(" ").into());
    };
    for part in [name, number].into_iter().flatten() {
        if !line.to_lowercase().contains(&*part.to_lowercase()) {
            line.push(' ');
            line.push_str(&part);
        }
    }
    Some(line)
}

/// The URI of the authority in an HD: its universal id if that is one, else its name at this facility.
pub(crate) fn authority(scope: Scope<'_>, facility: &str) -> Option<Text> {
    let (name, id) = (scope.child(1).text(), scope.child(2).text());
    named_authority(name.trim(), id.trim(), facility)
}

/// The same of an EI.
pub(crate) fn entity_authority(scope: Scope<'_>, facility: &str) -> Option<Text> {
    let (name, id) = (scope.child(2).text(), scope.child(3).text());
    named_authority(name.trim(), id.trim(), facility)
}

/// The parts that the URI of an authority comes from: a name in part `n`, or a universal id and its type behind it.
pub(crate) fn authority_parts(scope: Scope<'_>, n: usize) -> u64 {
    let (name, id) = (scope.child(n).text(), scope.child(n + 1).text());
    let by_name = !name.trim().is_empty() && code_system::universal(&id).is_none();
    if by_name { bit(n) } else { bit(n + 1) | bit(n + 2) }
}

fn named_authority(name: &str, id: &str, facility: &str) -> Option<Text> {
    match (name, id) {
        // Written by the Social Security Administration; the one namespace that means the same everywhere.
        ("USSSA" | "SSA", _) => Some(Text::const_new("http://hl7.org/fhir/sid/us-ssn")),
        (_, "2.16.840.1.113883.4.1") => Some(Text::const_new("http://hl7.org/fhir/sid/us-ssn")),
        (_, "2.16.840.1.113883.4.6") => Some(Text::const_new("http://hl7.org/fhir/sid/us-npi")),
        ("NPI" | "NPPES", "") => Some(Text::const_new("http://hl7.org/fhir/sid/us-npi")),
        (name, id) => code_system::universal(id)
            .or_else(|| code_system::universal(name))
            .or_else(|| (!name.is_empty()).then(|| code_system::local(facility, name)))
            .or_else(|| (!id.is_empty()).then(|| code_system::local(facility, id))),
    }
}

fn endpoint(scope: Scope<'_>, facility: &str) -> Option<Text> {
    let (name, id, kind) = (scope.child(1).text(), scope.child(2).text(), scope.child(3).text());
    let (name, id) = (name.trim(), id.trim());
    if kind.trim() == "DNS" && !id.is_empty() && !id.contains(char::is_whitespace) {
        return Some(format_compact!("urn:dns:{id}"));
    }
    code_system::universal(id)
        .or_else(|| (!name.is_empty()).then(|| code_system::local(facility, name)))
        .or_else(|| (!id.is_empty()).then(|| code_system::local(facility, id)))
}

fn organization(scope: Scope<'_>, facility: &str) -> Option<Map> {
    let (name, id) = (scope.child(1).text(), scope.child(2).text());
    let mut body = Map::new();
    let mut identifiers = Vec::new();
    match (code_system::universal(&id), primitive::string(&id)) {
        (Some(uri), _) => {
            let mut identifier = Map::new();
            if let Some(kind) = primitive::code(&scope.child(3).text()) {
                let coding = json!({"system": "http://terminology.hl7.org/CodeSystem/v2-0301", "code": kind});
                identifier.insert("type", json!({"coding": [coding]}));
            }
            identifier.insert("system", Value::from("urn:ietf:rfc:3986"));
            identifier.insert("value", Value::from(uri));
            identifiers.push(Value::Object(identifier));
        }
        (None, Some(id)) => {
            identifiers.push(json!({"system": code_system::local(facility, "universal-id"), "value": id}))
        }
        _ => {}
    }
    if let Some(name) = primitive::string(&name) {
        identifiers.push(json!({"system": code_system::local(facility, "namespace"), "value": &name}));
        body.insert("name", Value::from(name));
    }
    if identifiers.is_empty() {
        return None;
    }
    body.insert("identifier", Value::Array(identifiers));
    Some(body)
}

/// A tag of the form that BCP 47 gives: a language of two or three letters, then a script or region.
fn language_tag(text: &str) -> Option<Text> {
    let mut parts = text.split(['-', '_']);
    let language =
        parts.next().filter(|l| matches!(l.len(), 2 | 3) && l.bytes().all(|b| b.is_ascii_alphabetic()))?;
    let mut tag = Text::from(language.to_ascii_lowercase());
    for part in parts {
        if !matches!(part.len(), 2..=4) || !part.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        tag.push('-');
        tag.push_str(part);
    }
    Some(tag)
}

fn name_text(scope: Scope<'_>, used: &mut u64) -> Option<String> {
    *used |= bit(1) | bit(2) | bit(3) | bit(4) | bit(5) | bit(6);
    let parts: Vec<Text> =
        [5, 2, 3, 1, 4, 6].into_iter().filter_map(|n| primitive::string(&scope.child(n).text())).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn quantity(engine: &mut Engine<'_>, scope: Scope<'_>, used: &mut u64) -> Option<Map> {
    // Every use is a SimpleQuantity, which takes no comparator.
    let value = checked(engine, number::decimal(&scope.child(1).text()))?;
    *used |= bit(1) | bit(2);
    let mut quantity = Map::with_capacity(4);
    quantity.add("value", value);
    quantity.extend(concept::unit(engine, scope.child(2)));
    Some(quantity)
}
