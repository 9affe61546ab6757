//! XTN.

use crate::engine::Engine;
use crate::number;
use crate::primitive;
use crate::scope::Scope;
use crate::time::{self, Stamp};
use crate::unmapped::bit;
use crate::value::{Map, Text, Value, json};

/// XTN to ContactPoint. `cpt-2` (FHIR 4.0.1): a value needs a system.
pub(super) fn contact_point(engine: &mut Engine<'_>, scope: Scope<'_>, used: &mut u64) -> Option<Map> {
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
    let mut point = Map::with_capacity(6);
    let parts = [
        ("http://hl7.org/fhir/StructureDefinition/contactpoint-country", &country),
        ("http://hl7.org/fhir/StructureDefinition/contactpoint-area", &area),
        ("http://hl7.org/fhir/StructureDefinition/contactpoint-local", &local),
        ("http://hl7.org/fhir/StructureDefinition/contactpoint-extension", &extension),
    ];
    let parts: Vec<Value> = parts
        .into_iter()
        .filter(|_| !electronic)
        .filter_map(|(url, part)| part.as_ref().map(|part| json!({"url": url, "valueString": part})))
        .collect();
    if !parts.is_empty() {
        point.add("extension", Value::Array(parts));
    }
    point.add("system", Value::from(system));
    point.add("value", Value::from(value));
    let mobile = (kind.as_deref() == Some("CP")).then_some("mobile");
    let usage = mobile.or_else(|| text(2).and_then(|u| code("TelecommunicationUseCode", &u)));
    if let Some(usage) = usage {
        point.add("use", Value::from(usage));
    }
    if let Some(rank) = number::integer(&scope.child(18).text(), 1) {
        point.add("rank", rank);
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
        point.add("period", Value::Object(period));
    }
    let held = point.get("value").and_then(Value::as_str).unwrap_or_default();
    // XTN.1 and XTN.12 may be the same number written as one.
    let same =
        |text: &str| text == held || (!digits(text).is_empty() && digits(held).contains(&digits(text)));
    for n in [1, 4, 12] {
        *used |= if text(n).is_some_and(|text| same(&text)) { bit(n) } else { 0 };
    }
    if !electronic {
        *used |= bit(5) | bit(6) | bit(7) | bit(8);
    }
    let known = |map: &str, n: usize| text(n).is_some_and(|from| code(map, &from).is_some());
    *used |= if known("TelecommunicationEquipmentType", 3) { bit(3) } else { 0 };
    *used |= if mobile.is_none() && known("TelecommunicationUseCode", 2) { bit(2) } else { 0 };
    Some(point)
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}
