//! OBX-5 and OBX-7: the value of an observation by its type, and its reference range.

use std::rc::Rc;

use crate::attachment::attachment;
use crate::concept;
use crate::element::above;
use crate::engine::Engine;
use crate::number;
use crate::primitive;
use crate::scope::Scope;
use crate::time::{self, Stamp, time_of_day};
use crate::unmapped::{WITH_PARTS, bit};
use crate::value::{Map, Value, json};

const ATTACHMENT: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.value";
const ORIGINAL_TEXT: &str = "http://hl7.org/fhir/StructureDefinition/originalText";

/// Whether an observation, or a component, has a value.
pub(crate) fn has_value(body: &Map) -> bool {
    body.keys().any(|key| key.starts_with("value"))
}

/// Whether OBX-2 names a type of prose.
pub(crate) fn is_text(kind: &str) -> bool {
    matches!(kind, "TX" | "FT" | "ST" | "")
}

/// Fills `value[x]`, or `component` where OBX-5 repeats; the answer has for each repetition which parts of it are there
/// now, none of one that could not be taken.
pub(crate) fn value(engine: &mut Engine<'_>, index: usize, body: &mut Map) -> Vec<u64> {
    let Some(&obx) = engine.segments.get(index) else { return Vec::new() };
    let kind = obx.field(2).text();
    let kind = kind.trim();
    let repetitions = obx.field(5).repetition_count();
    let mut taken = vec![0; repetitions];
    let mut values = Vec::with_capacity(repetitions);
    let valued = obx.field(5).repetitions().enumerate().filter(|(_, r)| engine.valued(r.raw()));
    values.extend(valued.map(|(place, r)| (place, Scope::Repetition(r))));
    let mut take = |place: usize, used: u64| {
        if let Some(taken) = taken.get_mut(place) {
            *taken = used;
        }
    };
    if is_text(kind) {
        // Repetitions of text are its lines (HL7 v2.9 section 2A, TX).
        let mut lines = Vec::new();
        for (place, value) in &values {
            if let Some(line) = primitive::string(&value.full_text()) {
                take(*place, u64::MAX);
                lines.push(line);
            }
        }
        if !lines.is_empty() {
            body.insert("valueString", Value::from(lines.join("\n")));
        }
        return taken;
    }
    let unit = unit(engine, index);
    if kind == "NA"
        && let Some(samples) = samples(&values, &unit)
    {
        set(body, "valueSampledData", samples);
        values.iter().for_each(|(place, _)| take(*place, u64::MAX));
        return taken;
    }
    match values.as_slice() {
        [] => {}
        [(place, one)] => {
            let mut used = 0;
            if let Some((element, value)) = typed(engine, kind, *one, &unit, &mut used) {
                set(body, element, value);
                take(*place, used);
            }
        }
        many => {
            let code = body.get("code").cloned();
            let mut components = Vec::new();
            for (place, one) in many {
                let mut used = 0;
                let Some((element, value)) = typed(engine, kind, *one, &unit, &mut used) else { continue };
                take(*place, used);
                let mut component = Map::new();
                if let Some(code) = &code {
                    component.insert("code", code.clone());
                } else {
                    component.insert("code", absent());
                }
                set(&mut component, element, value);
                components.push(Value::Object(component));
            }
            if !components.is_empty() {
                body.insert("component", Value::Array(components));
            }
        }
    }
    taken
}

/// `{"extension": […data-absent-reason…]}`, for an element that must be there and is not known.
pub(crate) fn absent() -> Value {
    json!({"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]})
}

/// The unit in OBX-6, made once for the value and the reference range.
fn unit(engine: &mut Engine<'_>, index: usize) -> Rc<Map> {
    if let Some((at, unit)) = &engine.unit
        && *at == index
    {
        return Rc::clone(unit);
    }
    let obx = engine.segments.get(index);
    let unit = obx.map(|obx| concept::unit(engine, Scope::Repetition(obx.field(6).repetition(1))));
    let unit = Rc::new(unit.unwrap_or_default());
    engine.unit = Some((index, Rc::clone(&unit)));
    unit
}

fn set(body: &mut Map, element: &'static str, value: Value) {
    if element == "extension" {
        if let Value::Array(list) = body.entry("extension").or_insert_with(|| json!([])) {
            list.push(value);
        }
    } else {
        body.insert(element, value);
    }
}

/// The value of one repetition; `used` says which of its components it holds.
fn typed(
    engine: &mut Engine<'_>,
    kind: &str,
    value: Scope<'_>,
    unit: &Map,
    used: &mut u64,
) -> Option<(&'static str, Value)> {
    // As text all of it is taken.
    *used = u64::MAX;
    let text = || primitive::string(&value.full_text()).map(|text| ("valueString", Value::from(text)));
    match kind {
        "NM" | "SI" => match number::compared(&value.text()) {
            Some((comparator, number)) => {
                *used = bit(1);
                Some(("valueQuantity", quantity(comparator, number, unit)))
            }
            // Laboratories send words in numeric results; the word is the result.
            None => text(),
        },
        "SN" => {
            let structured = structured(value, unit).inspect(|_| *used = bit(1) | bit(2) | bit(3) | bit(4));
            structured.or_else(text)
        }
        "CQ" => match number::compared(&value.child(1).text()) {
            Some((comparator, number)) => {
                let unit = concept::unit(engine, value.child(2));
                *used = bit(1) | bit(2) | WITH_PARTS;
                Some(("valueQuantity", quantity(comparator, number, &unit)))
            }
            None => text(),
        },
        "CE" | "CWE" | "CNE" | "CF" | "IS" | "ID" => {
            *used = 0;
            concept::codeable(engine, value, None, None, used).map(|v| ("valueCodeableConcept", v))
        }
        "DT" | "TS" | "DTM" => match Stamp::parse(&value.text()) {
            Some(stamp) => {
                *used = bit(1);
                Some(("valueDateTime", Value::from(stamp.date_time(&mut engine.zones))))
            }
            None => text(),
        },
        "TM" => match time_of_day(&value.text()) {
            Some(time) => {
                *used = bit(1);
                Some(("valueTime", Value::from(time)))
            }
            None => text(),
        },
        "DR" => {
            *used = 0;
            let mut period = Map::new();
            for (n, name) in [(1, "start"), (2, "end")] {
                if let Some(stamp) = Stamp::parse(&value.child(n).text()) {
                    *used |= bit(n);
                    period.insert(name, Value::from(stamp.date_time(&mut engine.zones)));
                }
            }
            time::order(&mut period);
            (!period.is_empty()).then_some(("valuePeriod", Value::Object(period)))
        }
        "NR" => {
            let low = number::decimal(&value.child(1).text());
            let high = number::decimal(&value.child(2).text());
            let range = range(low, high, unit).inspect(|_| *used = bit(1) | bit(2));
            range.map(|range| ("valueRange", range)).or_else(text)
        }
        "ED" | "RP" => {
            *used = 0;
            let attachment = attachment(value, used)?;
            Some(("extension", json!({"url": Value::from(ATTACHMENT), "valueAttachment": attachment})))
        }
        "VR" => {
            *used = bit(1) | bit(2);
            let parts: Vec<_> = (1..=2).filter_map(|n| primitive::string(&value.child(n).text())).collect();
            (!parts.is_empty()).then(|| ("valueString", Value::from(parts.join("-"))))
        }
        "XCN" | "XPN" | "PN" | "CN" | "XON" | "XAD" | "XTN" | "CX" | "EI" | "HD" | "PL" | "MO" => {
            *used = (1..=20).fold(0, |all, n| all | bit(n));
            let parts: Vec<_> = (1..=20).filter_map(|n| primitive::string(&value.child(n).text())).collect();
            (!parts.is_empty()).then(|| ("valueString", Value::from(parts.join(" "))))
        }
        _ => text(),
    }
}

fn quantity(comparator: Option<&'static str>, number: Value, unit: &Map) -> Value {
    let mut quantity = Map::with_capacity(5);
    quantity.add("value", number);
    if let Some(comparator) = comparator {
        quantity.add("comparator", Value::from(comparator));
    }
    for (name, value) in unit.iter() {
        quantity.add(name, value.clone());
    }
    Value::Object(quantity)
}

/// A range, unless it is empty or its low is above its high (FHIR 4.0.1, rng-2).
fn range(low: Option<Value>, high: Option<Value>, unit: &Map) -> Option<Value> {
    let mut range = Map::new();
    for (name, value) in [("low", low), ("high", high)] {
        if let Some(value) = value {
            range.insert(name, quantity(None, value, unit));
        }
    }
    let turned = matches!((range.get("low"), range.get("high")), (Some(low), Some(high)) if above(low, high));
    (!range.is_empty() && !turned).then_some(Value::Object(range))
}

/// NA: numbers in rows, one row a repetition. What is needed of a waveform and not sent is said to be unknown.
fn samples(rows: &[(usize, Scope<'_>)], unit: &Map) -> Option<Value> {
    let width = rows.first()?.1.count();
    let mut data = String::new();
    for (_, row) in rows {
        if row.count() != width {
            return None;
        }
        for n in 1..=width {
            let Value::Number(digits) = number::decimal(&row.child(n).text())? else { return None };
            if !data.is_empty() {
                data.push(' ');
            }
            data.push_str(&digits);
        }
    }
    // A single row is one signal over time; rows are what several signals showed at a time.
    let dimensions = if rows.len() == 1 { 1 } else { i64::try_from(width).ok()? };
    let mut samples = Map::new();
    samples.insert("origin", quantity(None, Value::from(0), unit));
    samples.insert("_period", absent());
    samples.insert("dimensions", Value::from(dimensions));
    samples.insert("data", Value::from(data));
    Some(Value::Object(samples))
}

/// SN: a comparator, a number, a separator, a number. `None` where it is none of the guide's shapes.
fn structured(value: Scope<'_>, unit: &Map) -> Option<(&'static str, Value)> {
    let part = |n: usize| value.child(n).text().trim().to_owned();
    let comparator = part(1);
    let first = number::decimal(&part(2));
    let second = number::decimal(&part(4));
    let written = || {
        let unit = unit.get("unit").and_then(Value::as_str).map(str::to_owned).unwrap_or_default();
        let parts = [comparator.clone(), part(2), part(3), part(4), unit];
        let shown: Vec<_> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        primitive::string(&shown.join(" ")).map(|text| ("valueString", Value::from(text)))
    };
    let known = match comparator.as_str() {
        "<" => Some("<"),
        ">" => Some(">"),
        "<=" => Some("<="),
        ">=" => Some(">="),
        "" | "=" => None,
        // `<>` has no FHIR comparator.
        _ => return written(),
    };
    let with_text = |mut value: Value| {
        let parts = [comparator.clone(), part(2), part(3), part(4)];
        let shown: Vec<_> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        if let Value::Object(value) = &mut value {
            value.insert("extension", json!([{"url": ORIGINAL_TEXT, "valueString": shown.join(" ")}]));
        }
        value
    };
    match (part(3).as_str(), first, second) {
        (":" | "/", Some(first), Some(second)) => {
            let ratio = json!({"numerator": quantity(known, first, unit), "denominator": quantity(None, second, &Map::new())});
            Some(("valueRatio", with_text(ratio)))
        }
        ("-", Some(first), second) if known.is_none() => {
            range(Some(first), second, unit).map(|r| ("valueRange", with_text(r))).or_else(written)
        }
        ("", Some(first), None) => Some(("valueQuantity", quantity(known, first, unit))),
        _ => written(),
    }
}

/// OBX-7 as text, and as low and high where it can be read: `70-80`, `3.5 - 5.1`, `<5`, `>=10`.
pub(crate) fn reference_range(engine: &mut Engine<'_>, text: &str, index: usize) -> Option<Value> {
    let shown = primitive::string(text)?;
    let mut body = Map::with_capacity(3);
    let numeric =
        engine.segments.get(index).is_some_and(|obx| matches!(&*obx.field(2).text(), "NM" | "SN" | "CQ"));
    if numeric {
        let unit = unit(engine, index);
        let (low, high) = bounds(&shown);
        for (name, value) in [("low", low), ("high", high)] {
            if let Some(value) = value {
                body.add(name, quantity(None, value, &unit));
            }
        }
    }
    body.add("text", Value::from(shown));
    Some(Value::Object(body))
}

fn bounds(text: &str) -> (Option<Value>, Option<Value>) {
    let text = text.trim().trim_start_matches(['(', '[']).trim_end_matches([')', ']']).trim();
    if let Some(rest) = text.strip_prefix("<=").or_else(|| text.strip_prefix('<')) {
        return (None, number::decimal(rest));
    }
    if let Some(rest) = text.strip_prefix(">=").or_else(|| text.strip_prefix('>')) {
        return (number::decimal(rest), None);
    }
    // The hyphen after the first digit parts the bounds; one before it is a sign.
    let Some(first) = text.find(|c: char| c.is_ascii_digit()) else { return (None, None) };
    let Some(at) = text.get(first..).and_then(|t| t.find('-')).map(|at| first + at) else {
        return (None, None);
    };
    let (low, high) =
        (text.get(..at).and_then(number::decimal), text.get(at + 1..).and_then(number::decimal));
    if low.is_some() && high.is_some() { (low, high) } else { (None, None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let shown = |text: &str| {
            let (low, high) = bounds(text);
            (low.map(|v| v.to_string()).unwrap_or_default(), high.map(|v| v.to_string()).unwrap_or_default())
        };
        for (text, low, high) in [
            ("70-80", "70", "80"),
            ("3.50 - 5.1", "3.50", "5.1"),
            ("(-2.0--1.0)", "-2.0", "-1.0"),
            ("<5", "", "5"),
            (">= 10", "10", ""),
            ("negative", "", ""),
            ("1:40-1:80", "", ""),
        ] {
            assert_eq!(shown(text), (low.to_owned(), high.to_owned()), "{text}");
        }
    }
}
