//! How results belong together, which no row of a map can say: it takes several segments.

use crate::draft::{self, Handle};
use crate::element;
use crate::engine::Engine;
use crate::scope::Scope;
use crate::unmapped::{At, Mark};
use crate::value::Value;

/// Observations and specimens, each with the segment that made it.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) observations: Vec<(usize, Handle)>,
    pub(crate) specimens: Vec<(usize, Handle)>,
}

/// Relates results once all of them are there.
pub(crate) fn relate(engine: &mut Engine<'_>, made: &Made) {
    if made.observations.is_empty() {
        return;
    }
    of_specimens(engine, made);
    by_sub_identifier(engine, &made.observations);
    by_parent(engine, &made.observations);
}

/// What an OBX behind an SPM says, it says of the specimen: the specimen is its focus, and it is none of the results
/// (the guide's ORU_R01, SPECIMEN_OBSERVATION).
fn of_specimens(engine: &mut Engine<'_>, made: &Made) {
    for &(index, observation) in &made.observations {
        let Some(segment) = specimen_of(engine, index) else { continue };
        let Some(&(_, specimen)) = made.specimens.iter().find(|(at, _)| *at == segment) else { continue };
        let itself = draft::reference(observation);
        for draft in engine.drafts.list.iter_mut().filter(|draft| draft.kind == "DiagnosticReport") {
            if let Some(Value::Array(results)) = draft.body.get_mut("result") {
                results.retain(|result| *result != itself);
                if results.is_empty() {
                    draft.body.shift_remove("result");
                }
            }
        }
        if let Some(body) = engine.drafts.body(observation) {
            element::push_once(body, "focus", draft::reference(specimen));
        }
    }
}

/// The SPM that the OBX at `index` speaks of. Many senders put an SPM between an OBR and its results, where the
/// standard has none; so behind an OBR of results only the OBX after the results are the specimen's.
fn specimen_of(engine: &Engine<'_>, index: usize) -> Option<usize> {
    let name = |at: &usize| engine.segments.get(*at).map_or("", |segment| segment.name());
    let groups = ["SPM", "OBR", "ORC", "SAC", "INV", "PID"];
    let specimen = (0..index).rev().find(|at| groups.contains(&name(at))).filter(|at| name(at) == "SPM")?;
    let before = (0..specimen).rev().find(|at| matches!(name(at), "OBR" | "ORC" | "PID"));
    let ordered = before.filter(|at| name(at) != "PID");
    let is_order = engine.segments.first().is_some_and(|msh| {
        matches!(&*msh.field(9).component(1).text(), "OML" | "OMG" | "OMI" | "OMP" | "OPL")
    });
    let results = ordered.is_none_or(|order| (order..specimen).any(|at| name(&at) == "OBX"));
    (is_order || results).then_some(specimen)
}

/// A sub-identifier `1.2` is that of a part of `1` (HL7 v2.9, section 7.4.2.4). What equal or plain ones mean is a matter
/// of the sender; they are kept as they are.
fn by_sub_identifier(engine: &mut Engine<'_>, observations: &[(usize, Handle)]) {
    let named: Vec<(usize, Handle, String)> = observations
        .iter()
        .filter_map(|&(index, handle)| {
            let sub = engine.segments.get(index)?.field(4).full_text().trim().to_owned();
            (!sub.is_empty()).then(|| (engine.groups.get(index).map_or(0, |group| group.0), handle, sub))
        })
        .collect();
    for (group, handle, sub) in &named {
        let Some((whole, part)) = sub.rsplit_once('.') else { continue };
        if part.is_empty() || !sub.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            continue;
        }
        let mut wholes: Vec<Handle> =
            named.iter().filter(|(g, _, s)| g == group && s == whole).map(|(_, handle, _)| *handle).collect();
        wholes.dedup();
        // Two of one name are not told apart by it.
        if let [one] = wholes.as_slice()
            && one != handle
        {
            has_member(engine, *one, *handle);
        }
    }
}

/// OBR-26 names the result that this order followed from: an organism, whose susceptibilities these are.
fn by_parent(engine: &mut Engine<'_>, observations: &[(usize, Handle)]) {
    for index in 0..engine.segments.len() {
        let Some(&segment) = engine.segments.get(index) else { continue };
        if segment.name() != "OBR" || segment.field(26).is_empty() {
            continue;
        }
        let parent = segment.field(26).repetition(1);
        let (code, sub) = (parent.component(1).text(), parent.component(2).text());
        let group = engine.groups.get(index).copied().unwrap_or_default();
        let mut found: Vec<(usize, Handle)> = observations
            .iter()
            .copied()
            .filter(|(at, _)| *at < group.0)
            .filter(|(at, _)| {
                engine.segments.get(*at).is_some_and(|obx| {
                    let same = |n: usize, text: &str| obx.field(n).text().trim() == text.trim();
                    !code.trim().is_empty() && same(3, &code) && (sub.trim().is_empty() || same(4, &sub))
                })
            })
            .collect();
        found.dedup_by_key(|(_, handle)| *handle);
        if found.len() > 1 {
            // The same test of several orders: the parent order is in OBR-29.
            found.retain(|(at, _)| {
                is_of_order(engine, *at, Scope::Repetition(segment.field(29).repetition(1)))
            });
        }
        let [(_, whole)] = found.as_slice() else { continue };
        let members = observations.iter().filter(|(at, _)| (group.0..group.1).contains(at));
        for (_, member) in members {
            has_member(engine, *whole, *member);
        }
        let at = At::field(index, 26);
        engine.marks.push(Mark { at, parts: u64::MAX, draft: *whole, path: None });
    }
}

/// Whether the OBX at `index` belongs to the order whose placer or filler number the pair names.
fn is_of_order(engine: &Engine<'_>, index: usize, pair: Scope<'_>) -> bool {
    let group = engine.groups.get(index).copied().unwrap_or_default();
    let mut orders = engine.segments.iter().take(group.1).skip(group.0).filter(|s| s.name() == "OBR");
    orders.any(|obr| {
        [(1, 2), (2, 3)].into_iter().any(|(part, field)| {
            let number = pair.child(part).text();
            !number.trim().is_empty() && obr.field(field).text().trim() == number.trim()
        })
    })
}

fn has_member(engine: &mut Engine<'_>, whole: Handle, part: Handle) {
    if whole != part
        && let Some(body) = engine.drafts.body(whole)
    {
        element::push_once(body, "hasMember", draft::reference(part));
    }
}
