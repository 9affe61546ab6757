//! Drafts to a Bundle: required elements, ids, references.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::draft::{self, Draft};
use crate::engine::{Engine, identifier_key};
use crate::observation::absent;

/// Namespace of all ids: UUIDv5 of the project's URL in the URL namespace of RFC 9562.
fn namespace() -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, b"https://github.com/wardstream/wardstream/v2-to-fhir")
}

/// What to do for a required element that no row filled.
enum Missing {
    Code(&'static str),
    /// Say that it is not known (FHIR 4.0.1, data-absent-reason).
    Absent,
    /// The same, for a primitive element.
    AbsentPrimitive,
    /// A Coding for "unknown".
    UnknownCoding,
    /// Content without an attachment to show.
    EmptyContent,
    /// There is no resource without it.
    Drop,
}

/// Elements that FHIR R4 requires; alternatives of a choice are parted by `/`.
const REQUIRED: &[(&str, &str, Missing)] = &[
    ("Account", "status", Missing::Code("unknown")),
    ("AllergyIntolerance", "patient", Missing::Drop),
    ("Appointment", "participant", Missing::Drop),
    ("Appointment", "status", Missing::Code("proposed")),
    ("ChargeItem", "status", Missing::Code("unknown")),
    ("ChargeItem", "code", Missing::Absent),
    ("ChargeItem", "subject", Missing::Drop),
    ("Condition", "subject", Missing::Drop),
    ("Coverage", "beneficiary", Missing::Drop),
    ("Coverage", "payor", Missing::Drop),
    ("Coverage", "status", Missing::Code("active")),
    ("DiagnosticReport", "status", Missing::Code("unknown")),
    ("DiagnosticReport", "code", Missing::Absent),
    ("DocumentReference", "status", Missing::Code("current")),
    ("DocumentReference", "content", Missing::EmptyContent),
    ("Encounter", "status", Missing::Code("unknown")),
    ("Encounter", "class", Missing::UnknownCoding),
    ("EpisodeOfCare", "status", Missing::Code("active")),
    ("EpisodeOfCare", "patient", Missing::Drop),
    ("Goal", "lifecycleStatus", Missing::Code("active")),
    ("Goal", "description", Missing::Absent),
    ("Goal", "subject", Missing::Drop),
    ("Immunization", "status", Missing::Code("completed")),
    ("Immunization", "vaccineCode", Missing::Absent),
    ("Immunization", "patient", Missing::Drop),
    ("Immunization", "occurrenceDateTime/occurrenceString", Missing::AbsentPrimitive),
    ("MedicationAdministration", "status", Missing::Code("completed")),
    ("MedicationAdministration", "medicationCodeableConcept/medicationReference", Missing::Absent),
    ("MedicationAdministration", "subject", Missing::Drop),
    ("MedicationAdministration", "effectiveDateTime/effectivePeriod", Missing::AbsentPrimitive),
    ("MedicationDispense", "status", Missing::Code("unknown")),
    ("MedicationDispense", "medicationCodeableConcept/medicationReference", Missing::Absent),
    ("MedicationRequest", "status", Missing::Code("unknown")),
    ("MedicationRequest", "intent", Missing::Code("order")),
    ("MedicationRequest", "medicationCodeableConcept/medicationReference", Missing::Absent),
    ("MedicationRequest", "subject", Missing::Drop),
    ("Observation", "status", Missing::Code("unknown")),
    ("Observation", "code", Missing::Absent),
    ("Procedure", "status", Missing::Code("unknown")),
    ("Procedure", "subject", Missing::Drop),
    ("Provenance", "target", Missing::Drop),
    ("Provenance", "agent", Missing::Drop),
    ("Provenance", "recorded", Missing::AbsentPrimitive),
    ("RelatedPerson", "patient", Missing::Drop),
    ("ServiceRequest", "status", Missing::Code("unknown")),
    ("ServiceRequest", "intent", Missing::Code("order")),
    ("ServiceRequest", "subject", Missing::Drop),
];

/// Resources whose identifiers name something other than themselves.
const BY_PLACE: [&str; 3] = ["Coverage", "MessageHeader", "Provenance"];

/// Fills required elements; false if the resource cannot be.
fn complete(draft: &mut Draft) -> bool {
    for (kind, elements, missing) in REQUIRED {
        // A code with an extension only is a code that is missing.
        let is_code = matches!(missing, Missing::Code(_));
        if draft.kind != *kind || elements.split('/').any(|e| has(&draft.body, e, is_code)) {
            continue;
        }
        let element = elements.split('/').next().unwrap_or(elements);
        match missing {
            Missing::Code(code) => draft.body.insert(element.into(), json!(code)),
            Missing::Absent => draft.body.insert(element.into(), absent()),
            Missing::AbsentPrimitive => draft.body.insert(format!("_{element}"), absent()),
            Missing::UnknownCoding => draft.body.insert(
                element.into(),
                json!({"system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "code": "UNK", "display": "unknown"}),
            ),
            Missing::EmptyContent => draft.body.insert(element.into(), json!([{"attachment": absent()}])),
            Missing::Drop => return false,
        };
    }
    true
}

fn has(body: &Map<String, Value>, element: &str, value_only: bool) -> bool {
    body.get(element).is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty()))
        || (!value_only && body.contains_key(&format!("_{element}")))
}

/// Rules between elements that FHIR R4 makes invariants.
fn reconcile(draft: &mut Draft) {
    match draft.kind.as_str() {
        "Appointment" => appointment(&mut draft.body),
        "Observation" => {
            let valued = draft.body.keys().any(|key| key.starts_with("value"));
            // obs-6, obs-7
            if valued || draft.body.contains_key("component") {
                draft.body.remove("dataAbsentReason");
            }
        }
        "Patient" => {
            // pat-1 is met by the map; a patient has one deceased[x] and one multipleBirth[x].
            for (keep, drop) in
                [("deceasedDateTime", "deceasedBoolean"), ("multipleBirthInteger", "multipleBirthBoolean")]
            {
                if draft.body.contains_key(keep) {
                    draft.body.remove(drop);
                }
            }
            // A merge whose surviving patient is not in the message.
            if let Some(Value::Array(links)) = draft.body.get_mut("link") {
                links.retain(|link| link.get("other").is_some());
            }
        }
        "AllergyIntolerance" => {
            // ait-2
            if entered_in_error(&draft.body) {
                draft.body.remove("clinicalStatus");
            }
            for reaction in draft.body.get_mut("reaction").and_then(Value::as_array_mut).into_iter().flatten()
            {
                if let Value::Object(reaction) = reaction {
                    reaction.entry("manifestation").or_insert_with(|| json!([absent()]));
                }
            }
        }
        // prr-1
        "ServiceRequest" if draft.body.contains_key("orderDetail") => {
            draft.body.entry("code").or_insert_with(absent);
        }
        // con-5
        "Condition" if entered_in_error(&draft.body) => {
            draft.body.remove("clinicalStatus");
        }
        _ => {}
    }
}

fn entered_in_error(body: &Map<String, Value>) -> bool {
    body.get("verificationStatus").is_some_and(|status| status.to_string().contains("entered-in-error"))
}

/// app-2 and app-3: both ends of the time or neither, and neither only where it is not settled.
fn appointment(body: &mut Map<String, Value>) {
    if let Some(start) = body.get("start").cloned() {
        body.entry("end").or_insert(start);
    } else {
        body.remove("end");
        let open =
            matches!(body.get("status").and_then(Value::as_str), Some("proposed" | "cancelled" | "waitlist"));
        if !open {
            let over =
                matches!(body.get("status").and_then(Value::as_str), Some("entered-in-error" | "noshow"));
            body.insert("status".into(), json!(if over { "cancelled" } else { "proposed" }));
        }
    }
}

/// What a resource is known by across messages; else its place in this one.
fn key(draft: &Draft, control_id: &str) -> String {
    if let Some(key) = &draft.key {
        return key.clone();
    }
    let known = (!BY_PLACE.contains(&draft.kind.as_str()))
        .then(|| own_identifier(&draft.kind, &draft.body))
        .flatten();
    match known {
        Some(known) => format!("{}|{known}", draft.kind),
        None => format!("{}|{control_id}|{}", draft.kind, draft.origin),
    }
}

fn own_identifier(kind: &str, body: &Map<String, Value>) -> Option<String> {
    if let Some(value) = body.get("masterIdentifier").and_then(|i| i.get("value")).and_then(Value::as_str) {
        return Some(value.to_owned());
    }
    if kind == "Patient" {
        let list = body.get("identifier")?.as_array()?;
        let record = |i: &&Value| i.pointer("/type/coding/0/code").and_then(Value::as_str) == Some("MR");
        let chosen = list.iter().find(record).or_else(|| list.first())?;
        let system = chosen.get("system").and_then(Value::as_str).unwrap_or_default();
        return Some(format!("{system}|{}", chosen.get("value")?.as_str()?));
    }
    identifier_key(body)
}

/// Drafts that stay: the complete ones, and of the shared ones those that are referred to.
fn kept(engine: &Engine<'_>, complete: &[bool]) -> HashSet<usize> {
    let list = &engine.drafts.list;
    let mut kept: HashSet<usize> = (0..list.len())
        .filter(|i| list.get(*i).is_some_and(|d| d.key.is_none()) && complete.get(*i) == Some(&true))
        .collect();
    let mut queue: Vec<usize> = kept.iter().copied().collect();
    while let Some(next) = queue.pop() {
        let mut targets = Vec::new();
        if let Some(draft) = list.get(next) {
            for value in draft.body.values() {
                targets_of(value, &mut targets);
            }
        }
        for target in targets {
            if list.get(target).is_some_and(|d| d.key.is_some()) && kept.insert(target) {
                queue.push(target);
            }
        }
    }
    kept
}

fn targets_of(value: &Value, out: &mut Vec<usize>) {
    match value {
        Value::Object(object) => {
            if let Some(handle) = object.get("reference").and_then(Value::as_str).and_then(draft::pending) {
                out.push(handle);
            }
            object.values().for_each(|v| targets_of(v, out));
        }
        Value::Array(list) => list.iter().for_each(|v| targets_of(v, out)),
        _ => {}
    }
}

/// Writes references; false for one whose target is not in the bundle, which is then left out with what it empties.
fn resolve(value: &mut Value, urls: &HashMap<usize, String>) -> bool {
    match value {
        Value::Object(object) => {
            if let Some(handle) = object.get("reference").and_then(Value::as_str).and_then(draft::pending) {
                let Some(url) = urls.get(&handle) else { return false };
                object.insert("reference".into(), json!(url));
            }
            object.retain(|_, v| resolve(v, urls));
            !object.is_empty()
        }
        Value::Array(list) => {
            list.retain_mut(|v| resolve(v, urls));
            !list.is_empty()
        }
        _ => true,
    }
}

/// The Bundle, and for each draft whether it is in it.
pub(crate) fn finish(engine: &mut Engine<'_>, control_id: &str) -> (Value, Vec<bool>) {
    let narratives = std::mem::take(&mut engine.narratives);
    for (handle, narrative) in narratives {
        if let Some(draft) = engine.drafts.list.get_mut(handle) {
            narrative.write(&draft.kind, &mut draft.body);
        }
    }
    let mut complete_drafts = Vec::with_capacity(engine.drafts.list.len());
    for draft in &mut engine.drafts.list {
        reconcile(draft);
        complete_drafts.push(!draft.body.is_empty() && complete(draft));
    }
    let kept = kept(engine, &complete_drafts);
    let namespace = namespace();
    let (mut taken, mut urls, mut ids) = (HashSet::new(), HashMap::new(), HashMap::new());
    for (handle, draft) in engine.drafts.list.iter().enumerate().filter(|(i, _)| kept.contains(i)) {
        let name = format!("{}|{}", engine.facility, key(draft, control_id));
        let mut id = Uuid::new_v5(&namespace, name.as_bytes());
        if !taken.insert(id) {
            // The same identifier twice in one message: two results under one number, say.
            id =
                Uuid::new_v5(&namespace, format!("{name}|{control_id}|{}|{handle}", draft.origin).as_bytes());
            taken.insert(id);
        }
        urls.insert(handle, format!("urn:uuid:{id}"));
        ids.insert(handle, id.to_string());
    }
    let mut entries = Vec::with_capacity(kept.len());
    for (handle, draft) in std::mem::take(&mut engine.drafts.list).into_iter().enumerate() {
        let (Some(url), Some(id)) = (urls.get(&handle), ids.remove(&handle)) else { continue };
        let mut resource = Map::with_capacity(draft.body.len() + 2);
        resource.insert("resourceType".into(), Value::from(draft.kind));
        resource.insert("id".into(), Value::from(id));
        let mut body = draft.body;
        if let Some(meta) = body.shift_remove("meta") {
            resource.insert("meta".into(), meta);
        }
        for (element, mut value) in body {
            if resolve(&mut value, &urls) {
                resource.insert(element, value);
            }
        }
        // Not `json!`, which copies every value it is given.
        let mut entry = Map::with_capacity(2);
        entry.insert("fullUrl".into(), Value::from(url.as_str()));
        entry.insert("resource".into(), Value::Object(resource));
        entries.push(Value::Object(entry));
    }
    let id = Uuid::new_v5(&namespace, format!("{}|Bundle|{control_id}", engine.facility).as_bytes());
    let mut bundle = Map::new();
    bundle.insert("resourceType".into(), json!("Bundle"));
    bundle.insert("id".into(), Value::from(id.to_string()));
    bundle.insert("type".into(), json!("message"));
    bundle.insert("entry".into(), Value::Array(entries));
    (Value::Object(bundle), (0..complete_drafts.len()).map(|i| kept.contains(&i)).collect())
}
