//! Invariants of the definitions, as compiled checks.
//!
//! The table of definitions attaches each invariant to its type or element, with its FHIRPath expression; this module
//! says which function evaluates it. Which invariants have none is public
//! ([`crate::Validator::unchecked_invariants`]), so nobody has to guess what a pass means.

mod clinical;
mod conformance;
mod data_types;
mod focus;
mod other;
mod scripts;
#[cfg(test)]
mod tests;
mod workflow;

pub(crate) use focus::Focus;

/// Whether an invariant holds for an element that is present.
pub(crate) type Check = fn(&Focus<'_>) -> bool;

/// One implementation. Some ids name several invariants: then `mark` is part of the expression of the right one.
struct Native {
    key: &'static str,
    mark: &'static str,
    check: Check,
}

const fn rule(key: &'static str, check: Check) -> Native {
    Native { key, mark: "", check }
}

/// Invariants that the walk itself checks, where it can say more exactly what is wrong.
const WALKED: [&str; 15] = [
    "bdl-3", "bdl-4", "bdl-7", "dom-2", "dom-3", "dom-4", "dom-5", "ele-1", "ext-1", "ref-1", "txt-1",
    "txt-2", "sqty-1", "bdl-5", "bdl-8",
];

const TABLES: [&[Native]; 6] =
    [data_types::RULES, clinical::RULES, workflow::RULES, conformance::RULES, scripts::RULES, other::RULES];

/// Invariants that are not reported, with the reason.
const UNREPORTED: [(&str, &str); 1] = [(
    "dom-6",
    "best practice: a resource made from a message has no narrative, and a warning on each would hide the rest",
)];

/// The function for an invariant of the table.
pub(crate) fn native(key: &str, expression: &str) -> Option<Check> {
    let found = TABLES.into_iter().flatten().find(|rule| rule.key == key && expression.contains(rule.mark));
    // A naming rule of every conformance resource differs in its id only.
    let name = expression == "name.matches('[A-Z]([A-Za-z0-9_]){0,254}')";
    found.map(|rule| rule.check).or(name.then_some(other::computable_name as Check))
}

/// Whether an invariant is evaluated, here or by the walk.
pub(crate) fn is_covered(invariant: &crate::definitions::Invariant) -> bool {
    let unreported = UNREPORTED.iter().any(|(key, _)| *key == invariant.key);
    invariant.check.is_some() || WALKED.contains(&invariant.key) || unreported
}
