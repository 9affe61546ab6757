//! A message walked from top to bottom: which resource each segment makes, extends and refers to.

use compact_str::ToCompactString as _;

use crate::draft::{self, Handle};
use crate::element::{self, Path, Placed};
use crate::engine::{self, Engine};
use crate::patients;
use crate::primitive;
use crate::results::{self, Made};
use crate::scope::Scope;
use crate::table::{MessageMap, Placement, Relation};
use crate::unmapped::{At, Mark};
use crate::value::{Map, Text, Value};

/// Resources that belong to one order; the next order has its own.
const ORDER_SLOTS: [&str; 13] = [
    "ServiceRequest",
    "DiagnosticReport",
    "Specimen",
    "Observation",
    "Immunization",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "SupplyRequest",
    "asked",
    "medication",
    "order-provenance",
    "indication",
];
/// Resources that belong to the message rather than to a patient.
const MESSAGE_SLOTS: [&str; 5] = ["MessageHeader", "Appointment", "referral", "event", "DocumentReference"];
/// Resources that a note can follow, because they have a `note`.
const WITH_NOTE: [&str; 12] = [
    "Observation",
    "ServiceRequest",
    "AllergyIntolerance",
    "Condition",
    "Procedure",
    "Specimen",
    "ChargeItem",
    "Goal",
    "Immunization",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
];
/// Slot name for whatever an NTE or PRT follows.
const FOLLOWED: &str = "~";

/// A reference that waits for its other end.
struct Waiting<'t> {
    from: Handle,
    relation: &'t Relation,
}

/// Segments of one order, or of a patient: first, and one past the last.
pub(crate) fn groups(engine: &Engine<'_>) -> Vec<(usize, usize)> {
    let names: Vec<&str> = engine.segments.iter().map(|s| s.name()).collect();
    let mut starts = vec![0];
    let (mut start, mut in_order) = (0, false);
    for (index, name) in names.iter().enumerate() {
        let holds = |wanted: &str| names.get(start..index).is_some_and(|group| group.contains(&wanted));
        let opens = match *name {
            "PID" => index > 0,
            // In some results the ORC follows its OBR.
            "ORC" => !in_order || holds("ORC") || !holds("OBR") || holds("OBX"),
            "OBR" => !in_order || holds("OBR"),
            "RXA" => !in_order || holds("RXA"),
            _ => false,
        };
        if opens {
            in_order = *name != "PID";
            start = index;
            starts.push(index);
        }
    }
    let ends = starts.iter().skip(1).copied().chain([names.len()]);
    starts
        .iter()
        .copied()
        .zip(ends)
        .flat_map(|(start, end)| std::iter::repeat_n((start, end), end - start))
        .collect()
}

/// Walks the message; the answer says of each segment whether the message map has no place for it.
pub(crate) fn walk(engine: &mut Engine<'_>, map: &'static MessageMap) -> Vec<bool> {
    let mut unexpected = vec![false; engine.segments.len()];
    let mut waiting: Vec<Waiting<'static>> = Vec::new();
    let mut followed: Option<Handle> = None;
    let (mut results, mut people) = (Made::default(), Vec::new());
    engine.groups = groups(engine);
    for index in 0..engine.segments.len() {
        let Some(&segment) = engine.segments.get(index) else { break };
        let opens_order = matches!(segment.name(), "ORC" | "OBR" | "RXA")
            && engine.groups.get(index).is_some_and(|g| g.0 == index);
        if opens_order {
            clear(engine, &mut waiting, |slot| ORDER_SLOTS.contains(&slot));
        }
        if segment.name() == "PID" && engine.slots.get("Patient").is_some() {
            clear(engine, &mut waiting, |slot| !MESSAGE_SLOTS.contains(&slot));
        }
        let rows = engine.names.get(index).and_then(|name| map.rows.get(name));
        let Some(rows) = rows else {
            if let Some(unexpected) = unexpected.get_mut(index) {
                *unexpected = true;
            }
            continue;
        };
        let mut made = None;
        for row in rows {
            if row.otherwise && made.is_some() {
                continue;
            }
            if !engine.holds(&row.when, Scope::Segment, index) {
                continue;
            }
            if let Some(handle) = place(engine, row, index, followed, &mut waiting) {
                made = Some(handle);
                if !matches!(segment.name(), "NTE" | "PRT" | "ROL" | "EVN" | "CTD" | "TQ1" | "RXC")
                    && kind(engine, handle) != "Provenance"
                {
                    followed = Some(handle);
                }
            }
        }
        if segment.name() == "OBX" {
            blank_line(engine, index);
        }
        let made_by = made.map(|handle| (index, handle));
        match (segment.name(), made.map_or("", |handle| kind(engine, handle))) {
            ("OBX", "Observation") => results.observations.extend(made_by),
            ("SPM", "Specimen") => results.specimens.extend(made_by),
            ("PID", _) => people.extend(engine.slots.get("Patient")),
            _ => {}
        }
        if made.is_none() && matches!(segment.name(), "PID" | "PV1" | "OBR" | "ORC") {
            followed = None;
        }
    }
    results::relate(engine, &results);
    patients::link(engine, &people);
    unexpected
}

fn kind(engine: &Engine<'_>, handle: Handle) -> &'static str {
    engine.drafts.list.get(handle).map_or("", |draft| draft.kind)
}

fn clear(engine: &mut Engine<'_>, waiting: &mut Vec<Waiting<'_>>, which: impl Fn(&str) -> bool) {
    engine.slots.retain(|slot| !which(slot));
    waiting.retain(|w| !which(w.relation.slot));
}

/// Applies one row of the message map to a segment.
fn place(
    engine: &mut Engine<'_>,
    row: &'static Placement,
    index: usize,
    followed: Option<Handle>,
    waiting: &mut Vec<Waiting<'static>>,
) -> Option<Handle> {
    let map = engine.tables.map(row.map)?;
    let held = if let Some(wanted) = row.slot.strip_prefix(FOLLOWED) {
        let fits = |kind: &str| if wanted.is_empty() { WITH_NOTE.contains(&kind) } else { kind == wanted };
        followed.filter(|handle| fits(kind(engine, *handle)))
    } else {
        engine.slots.get(row.slot)
    };
    let begun_by_order =
        |handle: &Handle| engine.drafts.list.get(*handle).is_some_and(|d| d.origin.starts_with("OBR"));
    let held = match held {
        _ if row.new => None,
        held if row.adopts => held.filter(begun_by_order),
        held => held,
    };
    if let Some(element) = &row.element {
        return backbone(engine, row, element, held?, index);
    }
    if row.existing && held.is_none() {
        return None;
    }
    // `<~Observation` is for what follows one.
    let wanted = row.relations.iter().filter_map(|relation| relation.slot.strip_prefix(FOLLOWED));
    if wanted.filter(|kind| !kind.is_empty()).any(|wanted| followed.is_none_or(|f| kind(engine, f) != wanted))
    {
        return None;
    }
    let segment = *engine.segments.get(index)?;
    if row.resource == "Observation"
        && row.new
        && let Some(handle) = continued(engine, index)
    {
        return Some(handle);
    }
    let begun = held.is_none();
    let handle = held.unwrap_or_else(|| {
        let occurrence = engine.occurrences.get(index).copied().unwrap_or_default();
        engine.drafts.begin(row.resource, origin(&segment, occurrence))
    });
    let mut body = std::mem::take(engine.drafts.body(handle)?);
    engine.current = handle;
    let marks = engine.apply(map, index, &mut body);
    // A resource of constants only would be an empty shell.
    let empty = begun && (marks == engine.marks.len() || !engine::complete(map, &body));
    let draft = engine.drafts.list.get_mut(handle)?;
    if empty {
        engine.marks.truncate(marks);
        draft.body = Map::new();
        return None;
    }
    draft.body = body;
    if row.adopts {
        draft.origin = origin(&segment, index);
    }
    for relation in &row.relations {
        relate(engine, handle, begun, relation, followed, waiting);
    }
    if begun {
        engine.slots.insert(row.slot, handle);
        let (ready, rest) = std::mem::take(waiting).into_iter().partition(|w| w.relation.slot == row.slot);
        *waiting = rest;
        for Waiting { from, relation } in ready {
            connect(engine, from, false, relation, handle);
        }
    }
    Some(handle)
}

/// `OBX/3`
fn origin(segment: &hl7v2::Segment<'_>, number: usize) -> Text {
    let mut origin = Text::new(segment.name());
    origin.push('/');
    origin.push_str(&number.to_compact_string());
    origin
}

/// An OBX of prose that continues the one before it: same test, same status. Its text joins that observation's.
fn continued(engine: &mut Engine<'_>, index: usize) -> Option<Handle> {
    let (before, here) = (*engine.segments.get(index.checked_sub(1)?)?, *engine.segments.get(index)?);
    let prose = |s: &hl7v2::Segment<'_>| s.name() == "OBX" && matches!(&*s.field(2).text(), "TX" | "FT");
    let same = |n: usize| before.field(n).raw() == here.field(n).raw();
    if !prose(&before) || !prose(&here) || here.field(3).is_empty() || ![3, 11, 14].into_iter().all(same) {
        return None;
    }
    let handle = engine.slots.get("Observation")?;
    let draft = engine.drafts.list.get_mut(handle)?;
    let text: Vec<_> = here.field(5).repetitions().map(|r| r.full_text().trim_end().to_owned()).collect();
    let text = text.join("\n");
    let joined = match draft.body.get_mut("valueString") {
        Some(Value::String(held)) => primitive::add_line(held, &text),
        _ => {
            primitive::string(&text).map(|text| draft.body.insert("valueString", Value::from(text))).is_some()
        }
    };
    if joined {
        // What the line before gave, this one would give too.
        let of_it = engine.marks.iter().rev().filter(|mark| mark.draft == handle);
        let before = of_it.take_while(|mark| mark.at.segment as usize + 1 == index);
        let repeated: Vec<_> = before
            .filter(|mark| !matches!(mark.at.field, 1 | 5) && same(mark.at.field.into()))
            .map(|mark| Mark { at: At { segment: At::segment(index).segment, ..mark.at }, ..*mark })
            .collect();
        engine.marks.extend(repeated);
        engine.marks.extend([1, 5].map(|field| Mark {
            at: At::field(index, field),
            parts: u64::MAX,
            draft: handle,
            path: None,
        }));
    }
    Some(handle)
}

/// An OBX of prose without text is an empty line of the narrative.
fn blank_line(engine: &mut Engine<'_>, index: usize) {
    let Some(obx) = engine.segments.get(index) else { return };
    if !matches!(&*obx.field(2).text(), "TX" | "FT") || engine.valued(obx.field(5).raw()) {
        return;
    }
    for slot in ["DiagnosticReport", "DocumentReference"] {
        if let Some(narrative) = engine.slots.get(slot).and_then(|handle| engine.narratives.get_mut(&handle))
        {
            narrative.blank_line();
        }
    }
}

/// An element of a resource made from a segment of its own: `Patient.contact`, `Appointment.participant`.
fn backbone(
    engine: &mut Engine<'_>,
    row: &'static Placement,
    path: &Path,
    handle: Handle,
    index: usize,
) -> Option<Handle> {
    let map = engine.tables.map(row.map)?;
    let mut body = Map::new();
    engine.current = handle;
    let marks = engine.apply(map, index, &mut body);
    for relation in &row.relations {
        if let Some(other) = engine.slots.get(relation.slot) {
            element::place(&mut body, &relation.path, draft::reference(other), &mut [], false);
        }
    }
    if marks == engine.marks.len() || !engine::complete(map, &body) {
        engine.marks.truncate(marks);
        return None;
    }
    let draft = engine.drafts.list.get_mut(handle)?;
    if element::place(&mut draft.body, path, Value::Object(body), &mut [], false) != Placed::Yes {
        engine.withdraw(marks.., |_| true);
    }
    Some(handle)
}

fn relate(
    engine: &mut Engine<'_>,
    handle: Handle,
    begun: bool,
    relation: &'static Relation,
    followed: Option<Handle>,
    waiting: &mut Vec<Waiting<'static>>,
) {
    if relation.slot.starts_with(FOLLOWED) {
        if let Some(other) = followed {
            participate(engine, handle, other);
        }
        return;
    }
    match engine.slots.get(relation.slot) {
        Some(other) if other != handle => connect(engine, handle, begun, relation, other),
        _ => waiting.push(Waiting { from: handle, relation }),
    }
}

/// Writes the reference between two resources; `begun` says that `from` was made just now.
fn connect(engine: &mut Engine<'_>, from: Handle, begun: bool, relation: &Relation, other: Handle) {
    let (holder, target) = if relation.from_there { (other, from) } else { (from, other) };
    let Some(body) = engine.drafts.body(holder) else { return };
    let reference = draft::reference(target);
    // A report may list thousands of results; one just made is not among them.
    if begun && relation.from_there && element::push_new(body, &relation.path, &reference) {
        return;
    }
    // A subject that two segments name is the same one.
    element::place(body, &relation.path, reference, &mut [], false);
}

/// A participant in the care of a patient who is not the general practitioner.
fn care_team(engine: &mut Engine<'_>, participant: Handle, patient: Handle) {
    let team = match engine.slots.get("CareTeam") {
        Some(team) => team,
        None => {
            let team = engine.drafts.begin("CareTeam", Text::const_new("PID/team"));
            engine.slots.insert("CareTeam", team);
            team
        }
    };
    // The guide's ROL[CareTeam] and PRT[CareTeam]: the role and its period are the participant's too.
    let mut member = Map::new();
    if let Some(role) = engine.drafts.body(participant) {
        for (from, to) in [("code", "role"), ("period", "period")] {
            member.extend(role.get(from).map(|value| (to, value.clone())));
        }
    }
    member.insert("member", draft::reference(participant));
    if let Some(body) = engine.drafts.body(team) {
        body.entry("subject").or_insert_with(|| draft::reference(patient));
        element::push(body, "participant", Value::Object(member));
    }
}

/// Where the resource that a PRT follows takes a participant.
fn participate(engine: &mut Engine<'_>, participant: Handle, followed: Handle) {
    // By HL7 table 0912, or by the first translation of a table 0443 code.
    let role = engine
        .drafts
        .list
        .get(participant)
        .and_then(|d| d.body.get("code"))
        .and_then(|code| code.pointer("/0/coding/0/code"))
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let path = match (kind(engine, followed), role.as_str()) {
        ("Observation", _) if kind(engine, participant) == "Device" => "device",
        _ if kind(engine, participant) == "Device" => return,
        ("Patient", "PP" | "446050000" | "") => "generalPractitioner[]",
        ("Patient", _) => return care_team(engine, participant, followed),
        ("Encounter", _) => "participant[].individual",
        ("ServiceRequest", "OP" | "EP") => "requester",
        ("ServiceRequest", "PRI" | "SRI" | "ARI" | "TN" | "TR")
            if engine.slots.get("DiagnosticReport").is_some() =>
        {
            let report = engine.slots.get("DiagnosticReport");
            return report.map_or((), |report| participate(engine, participant, report));
        }
        ("ServiceRequest", _) => "performer[]",
        ("DiagnosticReport", "PRI" | "SRI") => "resultsInterpreter[]",
        ("DiagnosticReport" | "Observation", _) => "performer[]",
        ("Immunization" | "Procedure", _) => "performer[].actor",
        _ => return,
    };
    if let (Ok(path), Some(body)) = (Path::parse(path), engine.drafts.body(followed)) {
        element::place(body, &path, draft::reference(participant), &mut [], false);
    }
}
