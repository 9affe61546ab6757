//! Every invariant of the table: one resource that breaks it and one that keeps it.

mod conformance;
mod data_types;
mod resources;
mod structure_definition;

use std::collections::HashMap;

use super::{UNREPORTED, WALKED};
use crate::Validator;
use crate::definitions::Definitions;

/// Id of the rule, resource type, members that break it, members that keep it.
type Row = (&'static str, &'static str, &'static str, &'static str);

const ROWS: [&[Row]; 4] = [data_types::ROWS, resources::ROWS, conformance::ROWS, structure_definition::ROWS];

/// The rules that a resource breaks; what else is wrong with it does not matter here.
fn broken(kind: &str, members: &str) -> Vec<&'static str> {
    let text = format!(r#"{{"resourceType":"{kind}",{members}}}"#);
    let outcome = Validator::r4().validate(text.as_bytes());
    assert!(outcome.issues.iter().all(|issue| issue.error != crate::ErrorCode::NotJson), "{text}");
    outcome.issues.iter().filter_map(|issue| issue.invariant).collect()
}

#[test]
fn each_rule_is_broken_by_what_breaks_it_and_by_nothing_else() {
    let mut wrong = Vec::new();
    for &(rule, kind, bad, good) in ROWS.into_iter().flatten() {
        if !broken(kind, bad).contains(&rule) {
            wrong.push(format!("{rule} is kept by {kind} {bad}"));
        }
        if broken(kind, good).contains(&rule) {
            wrong.push(format!("{rule} is broken by {kind} {good}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_for_machines_are_asked_of_every_resource_that_has_the_rule() {
    let definitions = Definitions::r4();
    let mut seen = 0;
    for kind in definitions.resource_types() {
        let rules = kind.invariants.iter().filter_map(|&rule| definitions.invariants.get(usize::from(rule)));
        for rule in rules.filter(|rule| rule.key.ends_with("-0")) {
            seen += 1;
            assert!(!rule.is_error);
            assert!(broken(kind.name(), r#""name":"a name""#).contains(&rule.key), "{}", rule.key);
            assert!(!broken(kind.name(), r#""name":"AName_1""#).contains(&rule.key), "{}", rule.key);
        }
    }
    assert_eq!(seen, 29);
}

/// An invariant of the definitions that has neither an implementation with both tests nor a stated reason.
#[test]
fn no_invariant_is_left_out() {
    let mut rows: HashMap<&str, usize> = HashMap::new();
    for (rule, ..) in ROWS.into_iter().flatten() {
        *rows.entry(rule).or_default() += 1;
    }
    let mut wrong = Vec::new();
    for invariant in &Definitions::r4().invariants {
        let key = invariant.key;
        if UNREPORTED.iter().any(|(unreported, reason)| *unreported == key && !reason.is_empty()) {
            continue;
        }
        if invariant.check.is_none() && !WALKED.contains(&key) {
            wrong.push(format!("{key} has no implementation"));
        }
        // Each invariant of a shared id has a row of its own.
        match rows.get_mut(key) {
            Some(left) if *left > 0 => *left -= 1,
            _ if key.ends_with("-0") => {}
            _ => wrong.push(format!("{key} has no test")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_implementation_belongs_to_an_invariant_of_the_table() {
    let invariants = &Definitions::r4().invariants;
    for rule in super::TABLES.into_iter().flatten() {
        let known =
            invariants.iter().any(|known| known.key == rule.key && known.expression.contains(rule.mark));
        assert!(known, "{} {}", rule.key, rule.mark);
    }
    let walked = WALKED.iter().filter(|key| **key != "ele-1");
    assert!(walked.clone().all(|key| invariants.iter().any(|known| known.key == *key)));
}
