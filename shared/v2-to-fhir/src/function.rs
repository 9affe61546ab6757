//! Data types that rows cannot describe.

use compact_str::format_compact;

use crate::code_system;
use crate::concept;
use crate::engine::{Engine, Scope, bit};
use crate::location;
use crate::number;
use crate::observation;
use crate::primitive;
use crate::rule::Source;
use crate::time::{self, Stamp};
use crate::unit;
use crate::unmapped::Reason;
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
    /// A start moved on by this NM: the field of the start, the field of the unit (else minutes).
    After(Source, Option<Source>),
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
            "after" => Self::After(next()?, next().ok()),
            "value" => Self::Value,
            "reference-range" => Self::ReferenceRange,
            "attachment" => Self::Attachment,
            "full-text" => Self::FullText,
            "narrative" => Self::Narrative,
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
            *used |= bit(1) | bit(2) | bit(3);
            authority(scope, &engine.facility).map(Value::from)
        }
        Function::EiUri => {
            *used |= bit(2) | bit(3) | bit(4);
            let (name, id) = (scope.child(2).text(), scope.child(3).text());
            named_authority(name.trim(), id.trim(), &engine.facility).map(Value::from)
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
            *used |= bit(1) | bit(2) | bit(3);
            endpoint(scope, &engine.facility).map(Value::from)
        }
        Function::Organization => {
            *used |= bit(1) | bit(2) | bit(3);
            let body = organization(scope, &engine.facility)?;
            Some(engine.share("Organization", body))
        }
        Function::Telecom => telecom(engine, scope, used).map(Value::Object),
        Function::Label => {
            *used |= 0x3F_FFFE;
            concept::label(scope).map(Value::from)
        }
        Function::Language => {
            let map = engine.tables.codes_named("PrimaryLanguage");
            let concept = concept::codeable(engine, scope, map, None, used)?;
            let coded = concept.to_string().contains("urn:ietf:bcp:47");
            if coded { Some(concept) } else { concept::label(scope).map(|text| json!({"text": text})) }
        }
        Function::LanguageCode => {
            let text = scope.text();
            let known =
                engine.tables.codes_named("PrimaryLanguage").and_then(|map| map.rows.get(text.trim()));
            let code =
                known.map(|concept| Text::const_new(concept.code)).or_else(|| language_tag(text.trim()));
            *used |= 0x3F_FFFE;
            if code.is_none() {
                engine.refused.push((engine.at.0, engine.at.1, Reason::InvalidCode));
            }
            code.map(Value::from)
        }
        Function::NameText => name_text(scope, used).map(Value::from),
        Function::Location => location::reference(engine, scope, &location::PL, used),
        Function::LocationOfNdl => location::reference(engine, scope, &location::NDL, used),
        Function::Quantity => quantity(engine, scope, used).map(Value::Object),
        Function::QuantityIn(source) => {
            // Every use is a SimpleQuantity, which takes no comparator.
            let value = checked(engine, number::decimal(&scope.text()))?;
            *used |= bit(1);
            let mut quantity = Map::new();
            quantity.insert("value", value);
            quantity.extend(unit_of(engine, source, index));
            Some(Value::Object(quantity))
        }
        Function::MinutesIn(source) => {
            let seconds = seconds(engine, scope, Some(source), index)?;
            *used |= bit(1);
            (seconds >= 60).then(|| json!(seconds / 60))
        }
        Function::After(start, source) => {
            let seconds = seconds(engine, scope, source.as_ref(), index)?;
            let begun = engine.resolve_first(start, index)?;
            let end = Stamp::parse(&begun.text())?.plus_seconds(seconds)?;
            *used |= bit(1);
            Some(Value::from(end.date_time(&mut engine.zones)))
        }
        Function::Attachment => observation::attachment(scope, used).map(Value::Object),
        Function::FullText => {
            *used = u64::MAX;
            primitive::string(&scope.full_text()).map(Value::from)
        }
        Function::ReferenceRange => {
            *used |= bit(1);
            observation::reference_range(engine, &scope.text(), index)
        }
        Function::Value | Function::Narrative => None,
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
            let filled = body.contains_key("component")
                || observation::has_value(body)
                || observation::value(engine, index, body);
            if filled {
                *used = u64::MAX;
            }
            filled
        }
        Function::Narrative => {
            let Some(text) = primitive::string(&scope.full_text()) else { return false };
            *used = u64::MAX;
            let label =
                engine.segments.get(index).filter(|s| s.name() == "OBX").map(|s| s.field(3).repetition(1));
            let label = label.map(Scope::Repetition);
            engine.narratives.entry(engine.current).or_default().add(label, text);
            true
        }
        _ => false,
    }
}

impl<'m> Engine<'m> {
    fn resolve_first(&self, source: &Source, index: usize) -> Option<Scope<'m>> {
        self.first(source, Scope::Nothing, index)
    }
}

fn checked<T>(engine: &mut Engine<'_>, found: Option<T>) -> Option<T> {
    if found.is_none() {
        engine.refused.push((engine.at.0, engine.at.1, Reason::InvalidNumber));
    }
    found
}

fn unit_of(engine: &Engine<'_>, source: &Source, index: usize) -> Map {
    engine.resolve_first(source, index).map(|unit| concept::unit(engine, unit)).unwrap_or_default()
}

fn seconds(engine: &mut Engine<'_>, scope: Scope<'_>, source: Option<&Source>, index: usize) -> Option<i64> {
    let value: f64 = checked(engine, scope.text().trim().parse().ok())?;
    let unit = source.and_then(|source| engine.resolve_first(source, index));
    // Durations of appointments are in minutes where no unit is sent (HL7 v2.9 chapter 10, SCH-9).
    let unit = unit.and_then(|u| concept::label(u)).unwrap_or_else(|| "min".into());
    let seconds = value * unit::seconds(&unit)? as f64;
    #[expect(clippy::cast_possible_truncation, reason = "bounded on the line above it")]
    (seconds.is_finite() && (0.0..1e9).contains(&seconds)).then_some(seconds as i64)
}

/// The URI of the authority in an HD: its universal id if that is one, else its name at this facility.
pub(crate) fn authority(scope: Scope<'_>, facility: &str) -> Option<Text> {
    let (name, id) = (scope.child(1).text(), scope.child(2).text());
    named_authority(name.trim(), id.trim(), facility)
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
        (Some(uri), _) => identifiers.push(json!({"system": "urn:ietf:rfc:3986", "value": uri})),
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

/// XTN to ContactPoint. `cpt-2` (FHIR 4.0.1): a value needs a system.
fn telecom(engine: &mut Engine<'_>, scope: Scope<'_>, used: &mut u64) -> Option<Map> {
    let text = |n: usize| primitive::string(&scope.child(n).text());
    let (country, area, local, extension) = (text(5), text(6), text(7), text(8));
    let kind = text(3);
    let electronic = matches!(kind.as_deref(), Some("Internet" | "X.400"));
    let composed = local.as_ref().map(|local| {
        let mut number = Text::default();
        if let Some(country) = &country {
            number.push('+');
            number.push_str(country.trim_start_matches('+'));
            number.push(' ');
        }
        if let Some(area) = &area {
            number.push_str(area);
            number.push(' ');
        }
        number.push_str(local);
        if let Some(extension) = &extension {
            number.push_str(" X");
            number.push_str(extension);
        }
        number
    });
    let address = text(4);
    let value =
        if electronic || (kind.is_none() && composed.is_none() && text(12).is_none() && text(1).is_none()) {
            address.clone().or_else(|| text(1))
        } else {
            text(12).or(composed).or_else(|| text(1))
        };
    let value = value?;
    let tables = engine.tables;
    let code = |map: &str, from: &str| tables.codes_named(map).and_then(|m| m.rows.get(from)).map(|c| c.code);
    let system = match &kind {
        Some(kind) => code("TelecommunicationEquipmentType", kind).unwrap_or("other"),
        None if value.contains('@') => "email",
        None if value.bytes().filter(u8::is_ascii_digit).count() >= 3 => "phone",
        None => "other",
    };
    let mut point = Map::new();
    let parts = [
        ("http://hl7.org/fhir/StructureDefinition/contactpoint-country", &country),
        ("http://hl7.org/fhir/StructureDefinition/contactpoint-area", &area),
        ("http://hl7.org/fhir/StructureDefinition/contactpoint-local", &local),
        ("http://hl7.org/fhir/StructureDefinition/contactpoint-extension", &extension),
    ];
    let parts: Vec<Value> = parts
        .into_iter()
        .filter(|_| !electronic)
        .filter_map(|(url, part)| {
            part.as_ref().map(|part| json!({"url": Value::from(url), "valueString": part}))
        })
        .collect();
    if !parts.is_empty() {
        point.insert("extension", Value::Array(parts));
    }
    point.insert("system", Value::from(system));
    point.insert("value", Value::from(value));
    let mobile = (kind.as_deref() == Some("CP")).then_some("mobile");
    let usage = mobile.or_else(|| text(2).and_then(|u| code("TelecommunicationUseCode", &u)));
    if let Some(usage) = usage {
        point.insert("use", Value::from(usage));
    }
    if let Some(rank) = number::integer(&scope.child(18).text(), 1) {
        point.insert("rank", rank);
        *used |= bit(18);
    }
    let mut period: Map = [(13, "start"), (14, "end")]
        .into_iter()
        .filter_map(|(n, name)| {
            let stamp = Stamp::parse(&scope.child(n).text())?;
            *used |= bit(n);
            Some((name, Value::from(stamp.date_time(&mut engine.zones))))
        })
        .collect();
    time::order(&mut period);
    if !period.is_empty() {
        point.insert("period", Value::Object(period));
    }
    // XTN.1 and XTN.12 are the same number written as one; XTN.4 only counts where it was taken.
    *used |= bit(1) | bit(2) | bit(3) | bit(5) | bit(6) | bit(7) | bit(8) | bit(12);
    if electronic || point.get("value").and_then(Value::as_str) == address.as_deref() {
        *used |= bit(4);
    }
    Some(point)
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
    let mut quantity = Map::new();
    quantity.insert("value", value);
    quantity.extend(concept::unit(engine, scope.child(2)));
    Some(quantity)
}
