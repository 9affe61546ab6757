//! References by identifier whose target is in the same message: they become references to it.

use std::collections::HashMap;

use crate::draft::{Drafts, Handle};
use crate::value::{Map, Value};

/// Where a resource refers to another by its identifier: resource, element, and the resource that is meant.
const REFERENCES: [(&str, &[&str], &str); 6] = [
    ("ServiceRequest", &["basedOn"], "ServiceRequest"),
    ("Observation", &["specimen"], "Specimen"),
    ("Specimen", &["parent"], "Specimen"),
    ("Procedure", &["partOf"], "Procedure"),
    ("DocumentReference", &["relatesTo", "target"], "DocumentReference"),
    ("DocumentReference", &["context", "related"], "ServiceRequest"),
];

/// Resources by kind and the value of an identifier.
type Known = HashMap<(&'static str, String), Vec<(Option<String>, Handle)>>;

/// Adds the reference beside each identifier that names one resource of the message, other than the one it stands in.
pub(crate) fn resolve(drafts: &mut Drafts) {
    let refers = |kind: &'static str| REFERENCES.iter().filter(move |(from, ..)| *from == kind);
    if !drafts
        .list
        .iter()
        .any(|d| refers(d.kind).any(|(_, path, _)| path.first().is_some_and(|e| d.body.contains_key(e))))
    {
        return;
    }
    let mut known = Known::new();
    for (handle, draft) in drafts.list.iter().enumerate() {
        if REFERENCES.iter().any(|(.., to)| *to == draft.kind) {
            let list = draft.body.get("identifier").and_then(Value::as_array).into_iter().flatten();
            for identifier in list.chain(draft.body.get("masterIdentifier")) {
                if let Some((system, value)) = key(identifier) {
                    known.entry((draft.kind, value)).or_default().push((system, handle));
                }
            }
        }
    }
    for (handle, draft) in drafts.list.iter_mut().enumerate() {
        for (_, path, to) in refers(draft.kind) {
            within(&mut draft.body, path, &mut |reference| connect(reference, to, handle, &known));
        }
    }
}

fn key(identifier: &Value) -> Option<(Option<String>, String)> {
    let text = |name: &str| identifier.get(name).and_then(Value::as_str).map(str::to_owned);
    Some((text("system"), text("value")?))
}

/// Every object at the end of a path, through lists.
fn within(body: &mut Map, path: &[&str], visit: &mut dyn FnMut(&mut Map)) {
    let Some((element, rest)) = path.split_first() else { return visit(body) };
    match body.get_mut(element) {
        Some(Value::Object(object)) => within(object, rest, visit),
        Some(Value::Array(list)) => {
            list.iter_mut().filter_map(Value::as_object_mut).for_each(|object| within(object, rest, visit));
        }
        _ => {}
    }
}

fn connect(reference: &mut Map, to: &'static str, from: Handle, known: &Known) {
    let other = reference.get("type").and_then(Value::as_str).is_some_and(|kind| kind != to);
    if other || reference.contains_key("reference") {
        return;
    }
    let Some((system, value)) = reference.get("identifier").and_then(key) else { return };
    let mut found: Vec<Handle> = known
        .get(&(to, value))
        .into_iter()
        .flatten()
        // Where an authority is left out, the number has to be the only one.
        .filter(|(theirs, _)| system.is_none() || theirs.is_none() || *theirs == system)
        .map(|(_, handle)| *handle)
        .collect();
    found.dedup();
    if let [one] = found.as_slice()
        && *one != from
    {
        reference.insert("reference", Value::Link(*one));
    }
}
