//! Coded data types (CE, CWE, CNE, CF, IS, ID) to CodeableConcept and Coding.

use crate::code_system;
use crate::engine::Engine;
use crate::primitive;
use crate::scope::{Parts, Scope};
use crate::table::{CodeMap, Concept};
use crate::unmapped::bit;
use crate::value::{Map, Text, Value, json};

/// Code, text, system and version of the three codings, with the component that may hold the system's OID.
const CODINGS: [[usize; 5]; 3] = [[1, 2, 3, 7, 14], [4, 5, 6, 8, 17], [10, 11, 12, 13, 20]];
const ORIGINAL_TEXT: usize = 9;

fn coding(
    engine: &Engine<'_>,
    parts: &Parts<'_>,
    [code_at, text_at, system_at, version_at, oid_at]: [usize; 5],
    table: Option<&'static str>,
    used: &mut u64,
) -> Option<Map> {
    let code = primitive::code(&parts.child(code_at).text())?;
    let mut coding = Map::with_capacity(4);
    let named = code_system::uri(&parts.child(system_at).text(), &engine.facility);
    let uri = match named {
        Some(uri) if !uri.starts_with("urn:local:") => {
            *used |= bit(system_at);
            Some(uri)
        }
        // An OID says better what a local name stands for.
        local => match (code_system::universal(&parts.child(oid_at).text()), local) {
            (Some(oid), _) => {
                *used |= bit(oid_at);
                Some(oid)
            }
            (None, Some(local)) => {
                *used |= bit(system_at);
                Some(local)
            }
            (None, None) => table.map(Text::const_new),
        },
    };
    let known = uri.is_some();
    if let Some(uri) = uri {
        coding.add("system", Value::from(uri));
    }
    if known && let Some(version) = primitive::string(&parts.child(version_at).text()) {
        *used |= bit(version_at);
        coding.add("version", Value::from(version));
    }
    *used |= bit(code_at);
    coding.add("code", Value::from(code));
    if let Some(display) = primitive::string(&parts.child(text_at).text()) {
        *used |= bit(text_at);
        coding.add("display", Value::from(display));
    }
    Some(coding)
}

/// The concept that a coding in the map's table stands for.
fn translation(map: &'static CodeMap, coding: &Map) -> Option<&'static Concept> {
    let system = coding.get("system").and_then(Value::as_str);
    let in_table = match (map.table, system) {
        (Some(table), Some(system)) => system == table,
        _ => true,
    };
    if !in_table {
        return None;
    }
    coding.get("code").and_then(Value::as_str).and_then(|code| map.rows.get(code))
}

/// The CodeableConcept of a coded value: every coding as sent, then its translation by the concept map.
pub(crate) fn codeable(
    engine: &Engine<'_>,
    scope: Scope<'_>,
    map: Option<&'static CodeMap>,
    table: Option<&'static str>,
    used: &mut u64,
) -> Option<Value> {
    let table = table.or(map.and_then(|map| map.table));
    let mut codings: Vec<Value> = Vec::with_capacity(2);
    let mut translated: Vec<&'static Value> = Vec::new();
    let parts = Parts::of(scope);
    for (n, places) in CODINGS.into_iter().enumerate().filter(|(_, places)| places[0] <= parts.count()) {
        // Only the first coding may be in the field's own table without saying so.
        let Some(coding) = coding(engine, &parts, places, table.filter(|_| n == 0), used) else { continue };
        if let Some(concept) = map.and_then(|map| translation(map, &coding)) {
            translated.push(&concept.coding);
        }
        let coding = Value::Object(coding);
        if !codings.contains(&coding) {
            codings.push(coding);
        }
    }
    for coding in translated {
        let same = |held: &Value| {
            held.get("system") == coding.get("system") && held.get("code") == coding.get("code")
        };
        if !codings.iter().any(same) {
            codings.push(Value::Constant(coding));
        }
    }
    let text = text(&parts, codings.first(), used);
    if codings.is_empty() && text.is_none() {
        return None;
    }
    let mut concept = Map::with_capacity(2);
    if !codings.is_empty() {
        concept.add("coding", Value::Array(codings));
    }
    if let Some(text) = text {
        concept.add("text", Value::from(text));
    }
    Some(Value::Object(concept))
}

/// The original text; else the text of a value without code; else a code that nothing else explains.
fn text(parts: &Parts<'_>, first: Option<&Value>, used: &mut u64) -> Option<Text> {
    let mut at = |n: usize| {
        let text = primitive::string(&parts.child(n).text())?;
        *used |= bit(n);
        Some(text)
    };
    at(ORIGINAL_TEXT).or_else(|| match first {
        None => at(2).or_else(|| at(5)),
        Some(coding) if coding.get("system").is_none() && coding.get("display").is_none() => {
            coding.get("code").and_then(Value::as_str).map(Text::new)
        }
        Some(_) => None,
    })
}

/// One Coding: the translation by the concept map if there is one, else as sent.
pub(crate) fn single(
    engine: &Engine<'_>,
    scope: Scope<'_>,
    map: Option<&'static CodeMap>,
    table: Option<&'static str>,
    used: &mut u64,
) -> Option<Value> {
    let table = table.or(map.and_then(|map| map.table));
    let parts = Parts::of(scope);
    let coding = coding(engine, &parts, CODINGS[0], table, used)
        .or_else(|| coding(engine, &parts, CODINGS[1], None, used))?;
    let concept = map.and_then(|map| translation(map, &coding));
    Some(concept.map_or(Value::Object(coding), |concept| Value::Constant(&concept.coding)))
}

/// What a person would call a coded value: the original text, a display, a code.
pub(crate) fn label(scope: Scope<'_>) -> Option<Text> {
    label_at(scope).map(|(_, text)| text)
}

/// The same, and the component it is in.
pub(crate) fn label_at(scope: Scope<'_>) -> Option<(usize, Text)> {
    [ORIGINAL_TEXT, 2, 5, 1].into_iter().find_map(|n| Some((n, primitive::string(&scope.child(n).text())?)))
}

/// A unit of measure: UCUM where it is known.
pub(crate) fn unit(engine: &Engine<'_>, scope: Scope<'_>) -> Map {
    let mut quantity = Map::with_capacity(4);
    let parts = Parts::of(scope);
    if parts.count() == 0 {
        return quantity;
    }
    let code = primitive::code(&parts.child(1).text());
    let text = primitive::string(&parts.child(2).text())
        .or_else(|| primitive::string(&parts.child(ORIGINAL_TEXT).text()));
    if let Some(shown) = text.as_ref().or(code.as_ref()) {
        quantity.add("unit", json!(shown));
    }
    let system = code_system::uri(&parts.child(3).text(), &engine.facility);
    let ucum = "http://unitsofmeasure.org";
    let known = || {
        code.as_deref().and_then(crate::unit::ucum).or_else(|| text.as_deref().and_then(crate::unit::ucum))
    };
    if system.as_deref() == Some(ucum) {
        // A sender that names UCUM is believed as far as UCUM has the unit; else what was sent is only a text.
        if let Some(code) =
            known().map(Text::const_new).or_else(|| code.filter(|code| crate::unit::is_ucum(code)))
        {
            quantity.add("system", Value::from(ucum));
            quantity.add("code", Value::from(code));
        }
    } else if let Some(code) = known() {
        quantity.add("system", Value::from(ucum));
        quantity.add("code", Value::from(code));
    } else if let (Some(system), Some(code)) = (system, code) {
        quantity.add("system", json!(system));
        quantity.add("code", json!(code));
    }
    quantity
}
