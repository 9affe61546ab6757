//! PL and DLD to Location: one resource for each level, each part of the next.

use std::sync::LazyLock;

use crate::value::{Map, Text, Value, json};

use crate::code_system;
use crate::draft;
use crate::engine::Engine;
use crate::function;
use crate::id;
use crate::primitive;
use crate::scope::Scope;
use crate::unmapped::{Reason, bit};

/// Code and display of the levels of a location in HL7 `location-physical-type`, outermost first.
const KINDS: [(&str, &str); 6] =
    [("si", "Site"), ("bu", "Building"), ("lvl", "Level"), ("wa", "Ward"), ("ro", "Room"), ("bd", "Bed")];
/// The component of each level.
pub(crate) type Levels = [usize; 6];
/// HL7 v2.9 section 2A, PL.
pub(crate) const PL: Levels = [4, 7, 8, 1, 2, 3];
/// The same of NDL.
pub(crate) const NDL: Levels = [7, 10, 11, 4, 5, 6];

/// `Location.physicalType` of each level.
static PHYSICAL_TYPES: LazyLock<[Value; 6]> = LazyLock::new(|| {
    let system = "http://terminology.hl7.org/CodeSystem/location-physical-type";
    KINDS.map(|(code, display)| json!({"coding": [{"system": system, "code": code, "display": display}]}))
});

/// A reference to the innermost location of a PL.
pub(crate) fn reference(
    engine: &mut Engine<'_>,
    scope: Scope<'_>,
    levels: &Levels,
    used: &mut u64,
) -> Option<Value> {
    let mut chain = String::new();
    let mut inner: Option<usize> = None;
    let description = primitive::string(&scope.child(9).text()).filter(|_| levels == &PL);
    let last = levels.iter().rposition(|n| name(scope.child(*n)).is_some());
    let kinds = KINDS.iter().zip(&*PHYSICAL_TYPES);
    for (place, (component, ((code, _), physical_type))) in levels.iter().copied().zip(kinds).enumerate() {
        let part = scope.child(component);
        let Some(shown) = name(part) else { continue };
        let mut body = Map::with_capacity(6);
        let id = primitive::string(&part.child(2).text());
        let system = id.as_deref().and_then(code_system::universal);
        let named = primitive::string(&part.child(1).text()).is_some();
        let by_id = if system.is_some() || !named { bit(2) | bit(3) } else { 0 };
        engine.claim_part(component, if named { bit(1) } else { 0 } | by_id);
        for part in ["/", code, ":", &shown, ":", id.as_deref().unwrap_or_default()] {
            chain.push_str(part);
        }
        if let Some(value) = primitive::string(&part.child(1).text()) {
            let system = system.unwrap_or_else(|| code_system::local(&engine.facility, "location"));
            body.add("identifier", json!([{"system": system, "value": value}]));
        } else if let Some(system) = system {
            body.add("identifier", json!([{"system": "urn:ietf:rfc:3986", "value": system}]));
        }
        if Some(place) == last && levels == &PL {
            comprehensive(engine, scope, &mut body);
        }
        body.add("name", Value::from(shown));
        if Some(place) == last
            && let Some(description) = &description
        {
            body.add("description", Value::from(description));
            *used |= bit(9);
        }
        body.add("mode", json!("instance"));
        body.add("physicalType", Value::Constant(physical_type));
        if let Some(outer) = inner {
            body.add("partOf", draft::reference(outer));
        }
        let name = id::name(&engine.facility, "Location", |out| out.push_str(&chain));
        let (handle, differ) = engine.drafts.share("Location", name, body);
        if differ.contains(&"description") {
            *used &= !bit(9);
            engine.refuse_part(9, Reason::AlreadySet);
        }
        inner = Some(handle);
    }
    if inner.is_none()
        && let Some(description) = description
    {
        *used |= bit(9);
        let key = |out: &mut String| {
            ["/description:", &description].into_iter().for_each(|part| out.push_str(part))
        };
        let name = id::name(&engine.facility, "Location", key);
        let mut body = Map::with_capacity(6);
        body.add("description", Value::from(description));
        body.add("mode", json!("instance"));
        inner = Some(engine.drafts.share("Location", name, body).0);
    }
    inner.map(draft::reference)
}

/// The identifier of the location as a whole (PL.10), whose authority may stand apart (PL.11).
fn comprehensive(engine: &mut Engine<'_>, scope: Scope<'_>, body: &mut Map) {
    let Some(value) = primitive::string(&scope.child(10).child(1).text()) else { return };
    engine.claim_part(10, bit(1));
    let own = function::entity_authority(scope.child(10), &engine.facility);
    match own {
        Some(_) => engine.claim_part(10, function::authority_parts(scope.child(10), 2)),
        None => engine.claim_part(11, function::authority_parts(scope.child(11), 1)),
    }
    let system = own
        .or_else(|| function::authority(scope.child(11), &engine.facility))
        .unwrap_or_else(|| code_system::local(&engine.facility, "location"));
    let identifier = json!({"system": system, "value": value});
    match body.get_mut("identifier") {
        Some(Value::Array(held)) => held.push(identifier),
        _ => body.insert("identifier", json!([identifier])),
    }
}

fn name(part: Scope<'_>) -> Option<Text> {
    primitive::string(&part.child(1).text()).or_else(|| primitive::string(&part.child(2).text()))
}
