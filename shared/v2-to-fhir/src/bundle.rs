//! Drafts to a Bundle: required elements, ids, references.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::code_system;
use crate::draft::{Draft, Handle};
use crate::engine::Engine;
use crate::id::{self, identifier_key, identifier_type};
use crate::logical;
use crate::observation::absent;
use crate::time;
use crate::unmapped::Mark;
use crate::value::{Map, Text, Value, json};

/// What to do for a required element that no row filled.
enum Missing {
    Code(&'static str),
    /// Say that it is not known (FHIR 4.0.1, data-absent-reason).
    Absent,
    /// The same in what FHIR keeps beside a primitive element.
    AbsentPrimitive(&'static str),
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
    ("Immunization", "occurrenceDateTime/occurrenceString", Missing::AbsentPrimitive("_occurrenceDateTime")),
    ("MedicationAdministration", "status", Missing::Code("completed")),
    ("MedicationAdministration", "medicationCodeableConcept/medicationReference", Missing::Absent),
    ("MedicationAdministration", "subject", Missing::Drop),
    (
        "MedicationAdministration",
        "effectiveDateTime/effectivePeriod",
        Missing::AbsentPrimitive("_effectiveDateTime"),
    ),
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
    ("Provenance", "recorded", Missing::AbsentPrimitive("_recorded")),
    ("RelatedPerson", "patient", Missing::Drop),
    ("Consent", "status", Missing::AbsentPrimitive("_status")),
    ("Consent", "category", Missing::Absent),
    ("Consent", "policyRule", Missing::Absent),
    ("ServiceRequest", "status", Missing::Code("unknown")),
    ("ServiceRequest", "intent", Missing::Code("order")),
    ("ServiceRequest", "subject", Missing::Drop),
    ("SupplyRequest", "itemCodeableConcept/itemReference", Missing::Absent),
    ("SupplyRequest", "quantity", Missing::Absent),
];

/// Resources whose identifiers name something other than themselves.
const BY_PLACE: [&str; 3] = ["Coverage", "MessageHeader", "Provenance"];

/// The rows of [`REQUIRED`] of a resource type.
fn required(kind: &str) -> &'static [(Vec<&'static str>, &'static Missing)] {
    type Rows = Vec<(Vec<&'static str>, &'static Missing)>;
    static BY_KIND: LazyLock<FxHashMap<&str, Rows>> = LazyLock::new(|| {
        let mut by_kind = FxHashMap::<_, Rows>::default();
        for (kind, elements, missing) in REQUIRED {
            by_kind.entry(*kind).or_default().push((elements.split('/').collect(), missing));
        }
        by_kind
    });
    BY_KIND.get(kind).map(Vec::as_slice).unwrap_or_default()
}

/// Fills required elements; false if the resource cannot be.
fn complete(draft: &mut Draft) -> bool {
    for (elements, missing) in required(draft.kind) {
        // A code with an extension only is a code that is missing.
        let is_code = matches!(missing, Missing::Code(_));
        if elements.iter().any(|e| has(&draft.body, e, is_code)) {
            continue;
        }
        let Some(element) = elements.first() else { continue };
        match missing {
            Missing::Code(code) => draft.body.insert(element, Value::from(*code)),
            Missing::Absent => draft.body.insert(element, absent()),
            Missing::AbsentPrimitive(beside) => draft.body.insert(beside, absent()),
            Missing::UnknownCoding => draft.body.insert(
                element,
                json!({"system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "code": "UNK", "display": "unknown"}),
            ),
            Missing::EmptyContent => draft.body.insert(element, json!([{"attachment": absent()}])),
            Missing::Drop => return false,
        };
    }
    true
}

fn has(body: &Map, element: &str, value_only: bool) -> bool {
    body.get(element).is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty()))
        || (!value_only && body.keys().any(|key| key.strip_prefix('_') == Some(element)))
}

/// Rules between elements that FHIR R4 makes invariants; the answer is an element whose value they forbid.
fn reconcile(draft: &mut Draft) -> Option<&'static str> {
    match draft.kind {
        "Appointment" => appointment(&mut draft.body),
        "DocumentReference" => document(&mut draft.body),
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
            for reaction in draft.body.get_mut("reaction").and_then(Value::as_array_mut).into_iter().flatten()
            {
                if let Value::Object(reaction) = reaction {
                    reaction.entry("manifestation").or_insert_with(|| json!([absent()]));
                }
            }
            // ait-2
            if entered_in_error(&draft.body) {
                return draft.body.remove("clinicalStatus").map(|_| "clinicalStatus");
            }
        }
        // mad-1
        "MedicationAdministration" => {
            if let Some(Value::Object(dosage)) = draft.body.get_mut("dosage") {
                dosage.entry("dose").or_insert_with(absent);
            }
        }
        // prr-1
        "ServiceRequest" if draft.body.contains_key("orderDetail") => {
            draft.body.entry("code").or_insert_with(absent);
        }
        // con-5
        "Condition" if entered_in_error(&draft.body) => {
            return draft.body.remove("clinicalStatus").map(|_| "clinicalStatus");
        }
        _ => {}
    }
    None
}

/// TXA says of the document in the message what it is called and when it was made.
fn document(body: &mut Map) {
    let Some(Value::Array(content)) = body.get_mut("content") else { return };
    let holds = |c: &Value| ["data", "url"].iter().any(|e| c.pointer(&format!("/attachment/{e}")).is_some());
    if content.len() < 2 || content.first().is_none_or(holds) {
        return;
    }
    let described = content.remove(0);
    let first = content.first_mut().and_then(|c| c.get_mut("attachment")).and_then(Value::as_object_mut);
    if let (Some(Value::Object(described)), Some(first)) = (described.get("attachment").cloned(), first) {
        for (name, value) in described {
            first.entry(name).or_insert_with(|| value);
        }
    }
}

fn entered_in_error(body: &Map) -> bool {
    body.get("verificationStatus").is_some_and(|status| status.to_string().contains("entered-in-error"))
}

/// app-2 and app-3: both ends of the time or neither, and neither only where it is not settled. An end that was not
/// sent follows from the duration, if that was; what does not follow is said to be unknown.
fn appointment(body: &mut Map) {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let minutes = body.get("minutesDuration").and_then(Value::as_i64);
    match (text("start"), text("end")) {
        (Some(_), Some(_)) => {}
        (Some(start), None) => match minutes.and_then(|m| time::plus_minutes(start, m)) {
            Some(end) => body.insert("end", Value::from(end)),
            None => body.insert("_end", absent()),
        },
        (None, Some(end)) => match minutes.and_then(|m| time::plus_minutes(end, -m)) {
            Some(start) => body.insert("start", Value::from(start)),
            None => body.insert("_start", absent()),
        },
        (None, None) if matches!(text("status"), Some("proposed" | "cancelled" | "waitlist")) => {}
        (None, None) => {
            body.insert("_start", absent());
            body.insert("_end", absent());
        }
    }
}

/// Writes what a resource is known by across messages; else its place in this one.
fn key(draft: &Draft, control_id: &str, out: &mut String) {
    let before = out.len();
    let known = !BY_PLACE.contains(&draft.kind) && own_identifier(draft.kind, &draft.body, out).is_some();
    if !known {
        out.truncate(before);
        [control_id, "|", &draft.origin].into_iter().for_each(|part| out.push_str(part));
    }
}

fn own_identifier(kind: &str, body: &Map, out: &mut String) -> Option<()> {
    if let Some(value) = body.get("masterIdentifier").and_then(|i| i.get("value")).and_then(Value::as_str) {
        out.push_str(value);
        return Some(());
    }
    if kind == "Patient" {
        let list = body.get("identifier")?.as_array()?;
        let record = |i: &&Value| identifier_type(i) == Some("MR");
        let chosen = list.iter().find(record).or_else(|| list.first())?;
        let system = chosen.get("system").and_then(Value::as_str).unwrap_or_default();
        let value = chosen.get("value")?.as_str()?;
        [system, "|", value].into_iter().for_each(|part| out.push_str(part));
        return Some(());
    }
    identifier_key(body, out)
}

/// Drafts that stay: the complete ones, and of the shared ones those that are referred to; and whether one of them holds
/// what has to be left out.
fn kept(engine: &Engine<'_>, complete: &[bool]) -> (Vec<bool>, bool) {
    let list = &engine.drafts.list;
    let mut kept: Vec<bool> =
        list.iter().zip(complete).map(|(draft, complete)| draft.shared.is_none() && *complete).collect();
    let mut queue: Vec<Handle> = (0..list.len()).filter(|handle| kept.get(*handle) == Some(&true)).collect();
    let (mut targets, mut empty) = (Vec::with_capacity(2 * list.len()), false);
    let mut seen = 0;
    while let Some(next) = queue.pop() {
        if let Some(draft) = list.get(next) {
            draft.body.values().for_each(|value| empty |= targets_of(value, &mut targets));
        }
        for target in targets.iter().copied().skip(seen) {
            if list.get(target).is_some_and(|draft| draft.shared.is_some())
                && let Some(here) = kept.get_mut(target).filter(|here| !**here)
            {
                *here = true;
                queue.push(target);
            }
        }
        seen = targets.len();
    }
    let dangling = targets.iter().any(|target| kept.get(*target) != Some(&true));
    (kept, empty || dangling)
}

/// Adds what a value refers to; whether there is anything empty in it.
fn targets_of(value: &Value, out: &mut Vec<Handle>) -> bool {
    match value {
        Value::Link(handle) => {
            out.push(*handle);
            false
        }
        Value::Object(object) => {
            object.values().fold(object.is_empty(), |empty, v| targets_of(v, out) || empty)
        }
        Value::Array(list) => list.iter().fold(list.is_empty(), |empty, v| targets_of(v, out) || empty),
        _ => false,
    }
}

/// Whether a value stays: a reference whose target is not in the bundle is left out, with what it empties. One to what
/// is there under another handle is to that.
fn resolve(value: &mut Value, kept: &[bool], same: &FxHashMap<Handle, Handle>) -> bool {
    match value {
        Value::Object(object) => {
            if let Some(Value::Link(handle)) = object.get_mut("reference") {
                if kept.get(*handle) != Some(&true) {
                    return false;
                }
                *handle = same.get(handle).copied().unwrap_or(*handle);
            }
            object.retain(|v| resolve(v, kept, same));
            !object.is_empty()
        }
        Value::Array(list) => {
            list.retain_mut(|v| resolve(v, kept, same));
            if !same.is_empty() {
                let before = std::mem::take(list);
                before.into_iter().for_each(|item| {
                    if !list.contains(&item) {
                        list.push(item);
                    }
                });
            }
            !list.is_empty()
        }
        _ => true,
    }
}

/// The ids of all drafts as text, one behind the other.
struct Ids(String);

impl Ids {
    fn push(&mut self, id: Uuid) {
        self.0.push_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    }

    fn get(&self, handle: Handle) -> &str {
        let from = handle * Hyphenated::LENGTH;
        self.0.get(from..from + Hyphenated::LENGTH).unwrap_or_default()
    }
}

/// The resources of a Bundle, and what it says about the message as a whole.
pub(crate) struct Finished {
    drafts: Vec<Draft>,
    /// Which of them are in the Bundle.
    kept: Vec<bool>,
    /// Those that are one with an earlier one, which stands for them.
    same: FxHashMap<Handle, Handle>,
    ids: Ids,
    /// The Bundle without its entries.
    envelope: Map,
}

impl Finished {
    /// Whether a resource is in the Bundle.
    pub(crate) fn holds(&self, handle: Handle) -> bool {
        self.kept.get(handle) == Some(&true)
    }

    /// Writes the Bundle as JSON.
    pub(crate) fn to_text(&self) -> String {
        // A resource is written in some 700 bytes on average.
        let mut out = String::with_capacity(1024 * (1 + self.drafts.len()));
        // A reference without a target has been left out.
        let link = |handle: Handle, out: &mut String| {
            out.push_str("urn:uuid:");
            out.push_str(self.ids.get(handle));
        };
        self.envelope.write(&mut out, &link);
        // The entries go before the brace that ends the object.
        out.pop();
        out.push_str(",\"entry\":[");
        let mut first = true;
        let written = |handle: &Handle| self.holds(*handle) && !self.same.contains_key(handle);
        for (handle, draft) in self.drafts.iter().enumerate().filter(|(handle, _)| written(handle)) {
            let id = self.ids.get(handle);
            let begin = if first { "{\"fullUrl\":\"urn:uuid:" } else { ",{\"fullUrl\":\"urn:uuid:" };
            first = false;
            let kind = ["\",\"resource\":{\"resourceType\":\"", draft.kind];
            for part in [begin, id, kind[0], kind[1], "\",\"id\":\"", id, "\""] {
                out.push_str(part);
            }
            let meta = draft.body.iter().filter(|(name, _)| *name == "meta");
            for (name, value) in meta.chain(draft.body.iter().filter(|(name, _)| *name != "meta")) {
                [",\"", name, "\":"].into_iter().for_each(|part| out.push_str(part));
                value.write(&mut out, &link);
            }
            out.push_str("}}");
        }
        out.push_str("]}");
        out
    }
}

/// What a Bundle says about the message as a whole, by the guide's `MSH[Bundle]`.
pub(crate) struct Envelope<'e> {
    pub(crate) control_id: &'e str,
    /// MSH-7, as an instant.
    pub(crate) timestamp: Option<Text>,
}

/// The Bundle of the drafts that stay.
pub(crate) fn finish(engine: &mut Engine<'_>, envelope: Envelope<'_>) -> Finished {
    let Envelope { control_id, timestamp } = envelope;
    for (handle, narrative) in std::mem::take(&mut engine.narratives) {
        if let Some(draft) = engine.drafts.list.get_mut(handle) {
            narrative.write(draft.kind, &mut draft.body);
        }
    }
    logical::resolve(&mut engine.drafts);
    let mut complete_drafts = Vec::with_capacity(engine.drafts.list.len());
    let mut forbidden = Vec::new();
    for (handle, draft) in engine.drafts.list.iter_mut().enumerate() {
        forbidden.extend(reconcile(draft).map(|element| (handle, element)));
        complete_drafts.push(!draft.body.is_empty() && complete(draft));
    }
    for (handle, element) in forbidden {
        let of_it = |mark: &Mark| mark.path.is_some_and(|path| path.element() == element);
        engine.withdraw(.., |mark| mark.draft == handle && of_it(mark));
    }
    let (kept, to_resolve) = kept(engine, &complete_drafts);
    let (ids, same) = ids(engine, &kept, control_id);
    let mut drafts = std::mem::take(&mut engine.drafts.list);
    if to_resolve || !same.is_empty() {
        drafts.iter_mut().for_each(|draft| draft.body.retain(|value| resolve(value, &kept, &same)));
    }
    let id = id::of(&id::name(&engine.facility, "Bundle", |out| out.push_str(control_id)));
    let system = code_system::local(&engine.facility, "message-control-id");
    let mut envelope = Map::with_capacity(6);
    envelope.insert("resourceType", json!("Bundle"));
    envelope.insert("id", Value::from(id.to_string()));
    envelope.insert("identifier", json!({"system": system, "value": Text::new(control_id)}));
    envelope.insert("type", json!("message"));
    if let Some(instant) = timestamp {
        envelope.insert("timestamp", Value::from(instant));
    }
    Finished { drafts, kept, same, ids, envelope }
}

/// The ids of the resources that stay, and none for the others; and which resources are one with an earlier one.
fn ids(engine: &Engine<'_>, kept: &[bool], control_id: &str) -> (Ids, FxHashMap<Handle, Handle>) {
    let mut taken: FxHashMap<Uuid, Handle> = FxHashMap::default();
    let mut same = FxHashMap::default();
    let mut ids = Ids(String::with_capacity(kept.len() * Hyphenated::LENGTH));
    for (handle, (draft, kept)) in engine.drafts.list.iter().zip(kept).enumerate() {
        if !kept {
            ids.push(Uuid::nil());
            continue;
        }
        let name = || id::name(&engine.facility, draft.kind, |out| key(draft, control_id, out));
        let mut id = draft.shared.as_ref().map_or_else(|| id::of(&name()), |(id, _)| *id);
        if let Some(first) = taken.get(&id) {
            let equal = |first: &Draft| first.kind == draft.kind && first.body == draft.body;
            if engine.drafts.list.get(*first).is_some_and(equal) {
                // One specimen that two orders name.
                same.insert(handle, *first);
            } else {
                // The same identifier twice in one message: two results under one number, say.
                let name = draft.shared.as_ref().map_or_else(name, |(_, name)| name.clone());
                id = id::of(&format!("{name}|{control_id}|{}|{handle}", draft.origin));
            }
        }
        taken.entry(id).or_insert(handle);
        ids.push(id);
    }
    (ids, same)
}
