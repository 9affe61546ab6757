//! OBX-5 and OBX-7: the value of an observation by its type, and its reference range.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::concept;
use crate::element::above;
use crate::engine::{Engine, Scope, bit};
use crate::number;
use crate::primitive;
use crate::time::{self, Stamp, time_of_day};
use crate::unmapped::Reason;
use crate::value::{Map, Value, json};

const ATTACHMENT: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.value";

/// Whether an observation, or a component, has a value.
pub(crate) fn has_value(body: &Map) -> bool {
    body.keys().any(|key| key.starts_with("value"))
}

/// Whether OBX-2 names a type of prose.
pub(crate) fn is_text(kind: &str) -> bool {
    matches!(kind, "TX" | "FT" | "ST" | "")
}

/// Fills `value[x]`, or `component` where OBX-5 repeats; whether it did.
pub(crate) fn value(engine: &mut Engine<'_>, index: usize, body: &mut Map) -> bool {
    let Some(&obx) = engine.segments.get(index) else { return false };
    let kind = obx.field(2).text();
    let kind = kind.trim();
    let values: Vec<_> =
        obx.field(5).repetitions().filter(|r| engine.valued(r.raw())).map(Scope::Repetition).collect();
    let unit = obx.field(6).repetition(1);
    let unit = concept::unit(engine, Scope::Repetition(unit));
    if is_text(kind) {
        // Repetitions of text are its lines (HL7 v2.9 section 2A, TX).
        let lines: Vec<_> = values.iter().filter_map(|v| primitive::string(&v.full_text())).collect();
        if lines.is_empty() {
            return false;
        }
        body.insert("valueString", Value::from(lines.join("\n")));
        return true;
    }
    match values.as_slice() {
        [] => false,
        [one] => match typed(engine, kind, *one, &unit) {
            Some((element, value)) => place(body, element, value),
            None => refused(engine),
        },
        many => {
            let code = body.get("code").cloned();
            let mut components = Vec::new();
            for one in many {
                let Some((element, value)) = typed(engine, kind, *one, &unit) else {
                    refused(engine);
                    continue;
                };
                let mut component = Map::new();
                if let Some(code) = &code {
                    component.insert("code", code.clone());
                } else {
                    component.insert("code", absent());
                }
                place(&mut component, element, value);
                components.push(Value::Object(component));
            }
            if components.is_empty() {
                return false;
            }
            body.insert("component", Value::Array(components));
            true
        }
    }
}

/// `{"extension": […data-absent-reason…]}`, for an element that must be there and is not known.
pub(crate) fn absent() -> Value {
    json!({"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]})
}

fn refused(engine: &mut Engine<'_>) -> bool {
    engine.refused.push((engine.at.0, 5, Reason::InvalidValue));
    false
}

fn place(body: &mut Map, element: &'static str, value: Value) -> bool {
    if element == "extension" {
        if let Value::Array(list) = body.entry("extension").or_insert_with(|| json!([])) {
            list.push(value);
        }
    } else {
        body.insert(element, value);
    }
    true
}

fn typed(engine: &mut Engine<'_>, kind: &str, value: Scope<'_>, unit: &Map) -> Option<(&'static str, Value)> {
    let text = || primitive::string(&value.full_text()).map(|text| ("valueString", Value::from(text)));
    match kind {
        "NM" | "SI" => match number::compared(&value.text()) {
            Some((comparator, number)) => Some(("valueQuantity", quantity(comparator, number, unit))),
            // Laboratories send words in numeric results; the word is the result.
            None => text(),
        },
        "SN" => structured(value, unit).or_else(text),
        "CQ" => match number::compared(&value.child(1).text()) {
            Some((comparator, number)) => {
                let unit = concept::unit(engine, value.child(2));
                Some(("valueQuantity", quantity(comparator, number, &unit)))
            }
            None => text(),
        },
        "CE" | "CWE" | "CNE" | "CF" | "IS" | "ID" => {
            let mut used = 0;
            concept::codeable(engine, value, None, None, &mut used).map(|v| ("valueCodeableConcept", v))
        }
        "DT" | "TS" | "DTM" => match Stamp::parse(&value.text()) {
            Some(stamp) => Some(("valueDateTime", Value::from(stamp.date_time(&mut engine.zones)))),
            None => text(),
        },
        "TM" => time_of_day(&value.text()).map(|time| ("valueTime", Value::from(time))).or_else(text),
        "DR" => {
            let mut period = Map::new();
            for (n, name) in [(1, "start"), (2, "end")] {
                if let Some(stamp) = Stamp::parse(&value.child(n).text()) {
                    period.insert(name, Value::from(stamp.date_time(&mut engine.zones)));
                }
            }
            time::order(&mut period);
            (!period.is_empty()).then_some(("valuePeriod", Value::Object(period)))
        }
        "NR" => {
            let low = number::decimal(&value.child(1).text());
            let high = number::decimal(&value.child(2).text());
            range(low, high, unit).map(|range| ("valueRange", range)).or_else(text)
        }
        "ED" | "RP" => {
            let mut used = 0;
            let attachment = attachment(value, &mut used)?;
            Some(("extension", json!({"url": Value::from(ATTACHMENT), "valueAttachment": attachment})))
        }
        "XCN" | "XPN" | "PN" | "CN" | "XON" | "XAD" | "XTN" | "CX" | "EI" | "HD" | "PL" | "MO" => {
            let parts: Vec<_> = (1..=20).filter_map(|n| primitive::string(&value.child(n).text())).collect();
            (!parts.is_empty()).then(|| ("valueString", Value::from(parts.join(" "))))
        }
        _ => text(),
    }
}

fn quantity(comparator: Option<&'static str>, number: Value, unit: &Map) -> Value {
    let mut quantity = Map::new();
    quantity.insert("value", number);
    if let Some(comparator) = comparator {
        quantity.insert("comparator", Value::from(comparator));
    }
    quantity.extend(unit.clone());
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
    match (part(3).as_str(), first, second) {
        (":" | "/", Some(first), Some(second)) => {
            let ratio = json!({"numerator": quantity(known, first, unit), "denominator": quantity(None, second, &Map::new())});
            Some(("valueRatio", ratio))
        }
        ("-", Some(first), second) if known.is_none() => {
            range(Some(first), second, unit).map(|r| ("valueRange", r)).or_else(written)
        }
        ("", Some(first), None) => Some(("valueQuantity", quantity(known, first, unit))),
        _ => written(),
    }
}

/// OBX-7 as text, and as low and high where it can be read: `70-80`, `3.5 - 5.1`, `<5`, `>=10`.
pub(crate) fn reference_range(engine: &Engine<'_>, text: &str, index: usize) -> Option<Value> {
    let shown = primitive::string(text)?;
    let mut body = Map::new();
    let numeric =
        engine.segments.get(index).filter(|obx| matches!(&*obx.field(2).text(), "NM" | "SN" | "CQ"));
    if let Some(obx) = numeric {
        let unit = concept::unit(engine, Scope::Repetition(obx.field(6).repetition(1)));
        let (low, high) = bounds(&shown);
        for (name, value) in [("low", low), ("high", high)] {
            if let Some(value) = value {
                body.insert(name, quantity(None, value, &unit));
            }
        }
    }
    body.insert("text", Value::from(shown));
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

/// ED or RP to Attachment. A pointer has its address first, data its encoding fourth and its content fifth.
pub(crate) fn attachment(scope: Scope<'_>, used: &mut u64) -> Option<Map> {
    let text = |n: usize| primitive::string(&scope.child(n).text());
    let (kind, subtype) = (text(2), text(3));
    let mut body = Map::new();
    let data = match text(4).as_deref() {
        Some("Base64" | "base64" | "BASE64") => primitive::base64(&scope.child(5).full_text()),
        Some("Hex" | "hex" | "HEX") => hex(&scope.child(5).full_text()).map(|bytes| STANDARD.encode(bytes)),
        Some("A" | "a") => primitive::string(&scope.child(5).full_text()).map(|text| STANDARD.encode(text)),
        _ => None,
    };
    if let Some(data) = data {
        *used |= bit(2) | bit(3) | bit(4) | bit(5);
        body.insert("contentType", Value::from(content_type(kind.as_deref(), subtype.as_deref())));
        body.insert("data", Value::from(data));
        return Some(body);
    }
    let url = primitive::uri(&scope.child(1).text()).filter(|u| u.contains(':'))?;
    *used |= bit(1) | bit(3) | bit(4);
    let kind = text(3);
    if let (Some(kind), Some(subtype)) = (&kind, text(4)) {
        body.insert("contentType", Value::from(content_type(Some(kind), Some(&subtype))));
    }
    body.insert("url", Value::from(url));
    Some(body)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    digits.chunks(2).map(|pair| Some(nibble(*pair.first()?)? << 4 | nibble(*pair.get(1)?)?)).collect()
}

/// HL7 tables 0191 and 0291 to a MIME type.
fn content_type(kind: Option<&str>, subtype: Option<&str>) -> String {
    let subtype = subtype.unwrap_or_default().to_ascii_lowercase();
    let main = match kind.unwrap_or_default().to_ascii_lowercase().as_str() {
        "im" | "image" => "image",
        "au" | "audio" => "audio",
        "tx" | "text" | "ft" => "text",
        "video" => "video",
        "multipart" => "multipart",
        _ => "application",
    };
    let subtype = match subtype.as_str() {
        "" if main == "text" => "plain",
        "" => "octet-stream",
        "pdf" => return "application/pdf".into(),
        "jpg" => "jpeg",
        "rtf" => return "application/rtf".into(),
        "html" | "xml" | "plain" if main == "application" => return format!("text/{subtype}"),
        other => other,
    };
    let clean: String =
        subtype.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '+')).collect();
    format!("{main}/{clean}")
}

/// Text as an attachment.
pub(crate) fn text_attachment(text: &str) -> Value {
    json!({"contentType": "text/plain; charset=utf-8", "data": STANDARD.encode(text)})
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

    #[test]
    fn mime_types() {
        assert_eq!(content_type(Some("IM"), Some("JPG")), "image/jpeg");
        assert_eq!(content_type(Some("application"), Some("pdf")), "application/pdf");
        assert_eq!(content_type(None, None), "application/octet-stream");
    }

    #[test]
    fn hexadecimal_data() {
        assert_eq!(hex("4a 4B"), Some(vec![0x4a, 0x4b]));
        assert_eq!(hex("4"), None);
    }
}
