//! Fixed values and patterns (FHIR R4, 5.1.0.9).

use serde_json::Value as Json;

use crate::fhirpath::{Budget, Node, Stop};
use crate::json::{Kind, Value};

/// Whether an element has the value; beyond the value it may have more unless `exact`.
pub(super) fn meets(expected: &Json, exact: bool, node: Node<'_>, budget: &Budget) -> Result<bool, Stop> {
    match node.value {
        Some(value) => fits(expected, exact, value, budget),
        None => Ok(false),
    }
}

fn fits(expected: &Json, exact: bool, value: Value<'_>, budget: &Budget) -> Result<bool, Stop> {
    budget.take(1)?;
    Ok(match expected {
        Json::Null => value.kind() == Kind::Null,
        Json::Bool(expected) => value.kind() == if *expected { Kind::True } else { Kind::False },
        Json::Number(expected) => {
            value.kind() == Kind::Number && same_number(&expected.to_string(), value.raw())
        }
        Json::String(expected) => value.as_text().is_some_and(|text| text == *expected),
        Json::Array(expected) => return all(expected, exact, value, budget),
        Json::Object(expected) => {
            if value.kind() != Kind::Object || (exact && value.members().count() != expected.len()) {
                return Ok(false);
            }
            for (name, expected) in expected {
                let found = value.get(name);
                if found.is_none()
                    || !found.map_or(Ok(false), |found| fits(expected, exact, found, budget))?
                {
                    return Ok(false);
                }
            }
            true
        }
    })
}

/// Each expected value is somewhere in the list; of a fixed value, all in their order.
fn all(expected: &[Json], exact: bool, value: Value<'_>, budget: &Budget) -> Result<bool, Stop> {
    if value.kind() != Kind::Array || (exact && value.items().count() != expected.len()) {
        return Ok(false);
    }
    for (place, expected) in expected.iter().enumerate() {
        let mut found = false;
        for (_, item) in value.items().enumerate().filter(|(at, _)| !exact || *at == place) {
            if fits(expected, exact, item, budget)? {
                found = true;
                break;
            }
        }
        if !found {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The same digits, or the same value as a decimal.
fn same_number(left: &str, right: &str) -> bool {
    let parse = |text: &str| text.parse::<rust_decimal::Decimal>().ok();
    left == right || matches!((parse(left), parse(right)), (Some(left), Some(right)) if left == right)
}

/// A value in words, for messages: a code with its system, or a primitive. Definitions say nothing of patients.
pub(super) fn described(expected: &Json) -> Option<String> {
    match expected {
        Json::String(text) => Some(format!("'{text}'")),
        Json::Bool(_) | Json::Number(_) => Some(expected.to_string()),
        Json::Object(members) => {
            if let Some(Json::Array(codings)) = members.get("coding") {
                let codings: Option<Vec<String>> = codings.iter().map(described).collect();
                return Some(codings?.join(" and "));
            }
            let text = |name: &str| members.get(name).and_then(Json::as_str);
            match (text("code"), text("system"), text("value")) {
                (Some(code), Some(system), _) => Some(format!("'{code}' of {system}")),
                (Some(code), None, _) => Some(format!("'{code}'")),
                (None, Some(system), None) => Some(format!("a value of the system {system}")),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::read;

    fn fit(expected: &Json, exact: bool, text: &str) -> bool {
        let tape = read(text.as_bytes()).unwrap();
        fits(expected, exact, tape.root().unwrap(), &Budget::new(1000)).unwrap()
    }

    #[test]
    fn a_pattern_allows_more_and_a_fixed_value_does_not() {
        let expected = json!({"coding": [{"system": "urn:s", "code": "a"}]});
        let plain = r#"{"coding":[{"code":"a","system":"urn:s"}]}"#;
        let more = r#"{"coding":[{"system":"urn:t","code":"b"},{"system":"urn:s","code":"a","display":"A"}],"text":"A"}"#;
        let other = r#"{"coding":[{"system":"urn:s","code":"b"},{"system":"urn:t","code":"a"}]}"#;
        assert!(fit(&expected, false, plain) && fit(&expected, true, plain));
        assert!(fit(&expected, false, more) && !fit(&expected, true, more));
        assert!(!fit(&expected, false, other));
        assert!(
            fit(&json!(1.10), false, "1.1") && !fit(&json!(1), false, "2") && !fit(&json!("1"), false, "1")
        );
    }
}
