//! The defects that feeds make every day: each row changes one thing in a valid example and says what must be found.

#![expect(clippy::unwrap_used, reason = "a broken row should stop the test")]

mod conformance;
#[path = "../examples/mod.rs"]
mod examples;
mod form;
mod references;
mod rules;
mod valid;
mod whole;

use serde_json::{Value, json};
use wardstream_fhir::{ErrorCode, ErrorCode as E, Validator};

/// Example, JSON Pointer, new value (null removes the member), class and place of the first error.
type Row = (&'static str, &'static str, Value, ErrorCode, &'static str);

fn example(name: &str) -> Value {
    let text = examples::ALL.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    serde_json::from_str(text.unwrap()).unwrap()
}

/// Sets or removes what a pointer names; the last segment may be new.
fn change(resource: &mut Value, pointer: &str, to: &Value) {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let parent = resource.pointer_mut(parent).unwrap();
    match parent {
        Value::Object(members) if to.is_null() => assert!(members.shift_remove(last).is_some(), "{pointer}"),
        Value::Object(members) => {
            members.insert(last.to_owned(), to.clone());
        }
        Value::Array(items) if last == "-" => items.push(to.clone()),
        Value::Array(items) if to.is_null() => {
            items.remove(last.parse::<usize>().unwrap());
        }
        Value::Array(items) => items[last.parse::<usize>().unwrap()] = to.clone(),
        _ => panic!("{pointer}"),
    }
}

fn run(rows: Vec<Row>) {
    let mut wrong = Vec::new();
    for (name, pointer, to, code, place) in rows {
        let mut resource = example(name);
        change(&mut resource, pointer, &to);
        let outcome = Validator::r4().validate(resource.to_string().as_bytes());
        let met = outcome.errors().any(|issue| issue.error == code && issue.expression == place);
        if !met || outcome.worst_code().is_none() {
            let found: Vec<String> = outcome.issues.iter().map(ToString::to_string).collect();
            wrong.push(format!("{name} {pointer}: {code} at {place} expected, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
