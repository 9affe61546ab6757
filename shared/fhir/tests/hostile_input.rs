//! Whatever comes in: no panic, a bounded answer, places inside the text, and nothing of the content in the findings.

#[path = "examples/mod.rs"]
mod examples;
#[path = "exercise/mod.rs"]
mod exercise;

use proptest::prelude::*;
use wardstream_fhir::{ErrorCode, Outcome, Severity, Validator};

fn validate(text: &[u8]) -> Outcome {
    Validator::r4().validate(text)
}

fn well_formed(text: &[u8]) -> Outcome {
    exercise::validate(text)
}

/// The one finding for text that is not JSON.
fn fatal(text: &[u8]) -> (ErrorCode, Option<u32>, Option<u32>) {
    let outcome = validate(text);
    assert_eq!(outcome.issues.len(), 1);
    assert_eq!(outcome.issues[0].severity, Severity::Fatal);
    (outcome.issues[0].error, outcome.issues[0].line, outcome.issues[0].column)
}

#[test]
fn text_that_is_not_json_has_one_fatal_finding_with_its_place() {
    for (text, line, column) in [
        (&b""[..], 1, 1),
        (b"  \n ", 2, 2),
        (b"{\"resourceType\":\"Patient\"", 1, 26),
        (b"{\"resourceType\":\"Patient\",}", 1, 27),
        (b"{\n \"resourceType\": \"Patient\"\n \"active\": true}", 3, 2),
        (b"{'resourceType':'Patient'}", 1, 2),
        (b"{\"a\":NaN}", 1, 6),
        (b"{\"a\":-Infinity}", 1, 7),
        (b"{\"a\":01}", 1, 7),
        (b"{\"a\":1.}", 1, 8),
        (b"{\"a\":.5}", 1, 6),
        (b"{\"a\":TRUE}", 1, 6),
        (b"{\"a\":\"x\ny\"}", 1, 8),
        (b"{\"a\":\"\\x\"}", 1, 7),
        (b"{\"a\":\"\\ud800\"}", 1, 7),
        (b"{\"a\":1} {}", 1, 9),
        (b"{\"a\":1} // x", 1, 9),
        (b"{\"a\":\"\xFF\"}", 1, 7),
        (b"{\"a\":\"x", 1, 6),
        (b"[1,]", 1, 4),
        (b"{\"a\" 1}", 1, 6),
    ] {
        assert_eq!(
            fatal(text),
            (ErrorCode::NotJson, Some(line), Some(column)),
            "{}",
            String::from_utf8_lossy(text)
        );
    }
}

#[test]
fn bounds_end_in_a_finding() {
    assert_eq!(fatal("[".repeat(100_000).as_bytes()).0, ErrorCode::TooCostly);
    assert_eq!(fatal("{\"a\":".repeat(101).as_bytes()).0, ErrorCode::TooCostly);
    assert_eq!(fatal(&vec![b' '; 16 * 1024 * 1024 + 1]).0, ErrorCode::TooCostly);
    let many = format!("[{}1]", "1,".repeat(2_000_001));
    assert_eq!(fatal(many.as_bytes()).0, ErrorCode::TooCostly);
}

#[test]
fn findings_are_capped_and_errors_do_not_hide_behind_warnings() {
    let coding = r#"{"code":"x"},"#.repeat(500);
    let text = format!(r#"{{"resourceType":"Basic","code":{{"coding":[{coding}{{"code":" x"}}]}}}}"#);
    let outcome = validate(text.as_bytes());
    assert!(outcome.issues.len() <= 202 && outcome.errors().count() == 1);
    assert!(outcome.issues.iter().any(|issue| issue.message.contains("more warnings")));
    let unknown: String = (0..100_000).map(|n| format!(",\"nmae{n}\":1")).collect();
    let outcome = validate(format!("{{\"resourceType\":\"Patient\"{unknown}}}").as_bytes());
    assert_eq!(outcome.issues.len(), 201);
    assert!(outcome.issues[200].message.contains("ended after 200 errors"));
}

#[test]
fn deep_resources_are_walked_on_a_small_stack() {
    let inner = r#"{"url":"http://a.b","valueString":"x"}"#.to_owned();
    let nested = (0..47).fold(inner, |inner, _| format!(r#"{{"url":"http://a.b","extension":[{inner}]}}"#));
    let text = format!(r#"{{"resourceType":"Basic","code":{{"text":"x"}},"extension":[{nested}]}}"#);
    let walk = std::thread::Builder::new().stack_size(1024 * 1024).spawn(move || validate(text.as_bytes()));
    assert!(walk.expect("a thread").join().expect("no overflow").is_valid());
}

#[test]
fn work_grows_with_the_text_not_with_its_square() {
    let references = r##"{"reference":"#x"},"##.repeat(20_000);
    let contained: String = (0..20_000)
        .map(|n| format!(r#"{{"resourceType":"Basic","id":"b{n}","code":{{"text":"x"}}}},"#))
        .collect();
    let codings: String = (0..20_000).map(|n| format!(r#"{{"code":"c{n}"}},"#)).collect();
    let text = format!(
        r##"{{"resourceType":"Observation","status":"final","code":{{"coding":[{codings}{{"code":"z"}}]}},
        "component":[{{"code":{{"coding":[{codings}{{"code":"y"}}]}}}}],"valueString":"x",
        "performer":[{references}{{"reference":"#b1"}}],"contained":[{contained}
        {{"resourceType":"Practitioner","id":"x"}}]}}"##
    );
    assert!(!validate(text.as_bytes()).is_valid());
}

#[test]
fn a_byte_order_mark_and_names_written_twice_are_errors_but_the_rest_is_read() {
    let text = b"\xEF\xBB\xBF{\"resourceType\":\"Patient\",\"gender\":\"x\"}";
    let outcome = validate(text);
    let codes: Vec<_> = outcome.errors().map(|issue| (issue.error, issue.offset)).collect();
    assert_eq!(codes, [(ErrorCode::NotJson, 3), (ErrorCode::RequiredBinding, 38)]);
    for twice in [
        &br#"{"resourceType":"Patient","active":true,"active":true}"#[..],
        br#"{"resourceType":"Patient","active":true,"\u0061ctive":true}"#,
    ] {
        let outcome = validate(twice);
        assert_eq!(outcome.worst_code(), Some(ErrorCode::DuplicateName));
        assert_eq!(outcome.issues[0].column, Some(41));
    }
    let deep = br#"{"resourceType":"Patient","name":[{"given":["a"],"_given":[null],"given":["b"]}],"resourceType":"Patient"}"#;
    let outcome = validate(deep);
    let twice = outcome.errors().filter(|issue| issue.error == ErrorCode::DuplicateName);
    let places: Vec<&str> = twice.map(|issue| issue.expression.as_str()).collect();
    assert_eq!(places, ["Patient.name[0].given", "Patient"]);
}

#[test]
fn names_and_texts_mean_the_same_when_escaped() {
    for (name, text) in examples::ALL {
        let resource: serde_json::Value = serde_json::from_str(text).expect("an example");
        let outcome = validate(escaped(&resource).as_bytes());
        let faults: Vec<String> = outcome.errors().map(ToString::to_string).collect();
        assert!(faults.is_empty(), "{name}: {}", faults.join("\n"));
    }
    let obs_6 =
        br#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"v\u0061lueString":"x",
        "d\u0061taAbsentReason":{"text":"x"}}"#;
    assert_eq!(validate(obs_6).issues[0].invariant, Some("obs-6"));
}

/// JSON in which every name and text starts with an escape.
fn escaped(value: &serde_json::Value) -> String {
    let text = |text: &str| {
        let first = text.chars().next().filter(char::is_ascii);
        let rest =
            serde_json::Value::from(text.get(usize::from(first.is_some())..).unwrap_or("")).to_string();
        let first = first.map_or(String::new(), |first| format!("\\u{:04x}", u32::from(first)));
        format!("\"{first}{}", &rest[1..])
    };
    match value {
        serde_json::Value::String(value) => text(value),
        serde_json::Value::Array(items) => {
            format!("[{}]", items.iter().map(escaped).collect::<Vec<_>>().join(","))
        }
        serde_json::Value::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("{}:{}", text(name), escaped(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

#[test]
fn a_place_is_given_by_line_column_and_fhirpath() {
    let text =
        "{\n  \"resourceType\": \"Patient\",\n  \"name\": [\n    {\"text\": \"é\", \"family\": 7}\n  ]\n}";
    let outcome = validate(text.as_bytes());
    let issue = &outcome.issues[0];
    assert_eq!(
        (issue.line, issue.column, issue.expression.as_str()),
        (Some(4), Some(29), "Patient.name[0].family")
    );
    let resource = outcome.to_operation_outcome();
    assert_eq!(resource["issue"][0]["code"], "structure");
    assert_eq!(resource["issue"][0]["details"]["coding"][0]["code"], "FHIR-305");
    assert_eq!(resource["issue"][0]["expression"][0], "Patient.name[0].family");
    assert_eq!(resource["issue"][0]["diagnostics"], "line 4, column 29");
    assert_eq!(validate(resource.to_string().as_bytes()), Outcome::default());
}

#[test]
fn findings_repeat_no_content() {
    let secret = "Zyxwv-Secretname";
    for (_, text) in examples::ALL {
        let mut resource: serde_json::Value = serde_json::from_str(text).expect("an example");
        spoil(&mut resource, secret);
        let outcome = validate(resource.to_string().as_bytes());
        assert!(outcome.issues.iter().all(|issue| !format!("{issue:?}").contains("Zyxwv")));
        assert!(!outcome.to_operation_outcome().to_string().contains("Zyxwv"));
    }
}

/// Puts a text that must not come back where every value was.
fn spoil(value: &mut serde_json::Value, secret: &str) {
    match value {
        serde_json::Value::Object(members) => {
            let kept = members.iter_mut().filter(|(name, _)| *name != "resourceType");
            kept.for_each(|(_, value)| spoil(value, secret));
            members.insert(format!("{secret} 1"), serde_json::Value::Null);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|value| spoil(value, secret)),
        _ => *value = serde_json::Value::from(secret),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        well_formed(&text);
    }

    #[test]
    fn examples_with_bytes_changed(which in 0..examples::ALL.len(), edits in proptest::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"{}[]\",:0a\\\xFFn #".to_vec())), 1..6)) {
        let mut text = examples::ALL[which].1.as_bytes().to_vec();
        for (at, byte) in edits {
            let at = at.index(text.len());
            text[at] = byte;
        }
        well_formed(&text);
    }

    #[test]
    fn examples_with_values_swapped(left in 0..examples::ALL.len(), right in 0..examples::ALL.len(), at in any::<prop::sample::Index>(), from in any::<prop::sample::Index>()) {
        let donor: serde_json::Value = serde_json::from_str(examples::ALL[right].1).expect("an example");
        let mut resource: serde_json::Value = serde_json::from_str(examples::ALL[left].1).expect("an example");
        let mut parts = Vec::new();
        collect(&donor, &mut parts);
        let part = parts[from.index(parts.len())].clone();
        let mut count = 0;
        place(&mut resource, at.index(200), &part, &mut count);
        let text = resource.to_string();
        well_formed(text.as_bytes());
    }

    #[test]
    fn the_order_of_members_and_white_space_change_no_finding(which in 0..examples::ALL.len(), spoilt in any::<bool>(), seed in any::<u64>()) {
        let mut resource: serde_json::Value = serde_json::from_str(examples::ALL[which].1).expect("an example");
        if spoilt {
            spoil(&mut resource, "x y");
        }
        let plain = resource.to_string();
        let (mut shuffled, mut state) = (String::new(), seed | 1);
        rewrite(&resource, &mut state, &mut shuffled);
        let (left, right) = (validate(plain.as_bytes()), validate(shuffled.as_bytes()));
        // A validation that ends early sees other things first.
        if left.issues.len() < 200 {
            prop_assert_eq!(found(&left), found(&right));
        }
        prop_assert_eq!(left.is_valid(), right.is_valid());
    }

    #[test]
    fn cut_off_anywhere(which in 0..examples::ALL.len(), at in any::<prop::sample::Index>()) {
        let text = examples::ALL[which].1.trim_end().as_bytes();
        let text = &text[..at.index(text.len())];
        let outcome = well_formed(text);
        prop_assert_eq!(outcome.worst_code(), Some(ErrorCode::NotJson));
    }
}

fn collect<'v>(value: &'v serde_json::Value, into: &mut Vec<&'v serde_json::Value>) {
    into.push(value);
    match value {
        serde_json::Value::Object(members) => members.values().for_each(|value| collect(value, into)),
        serde_json::Value::Array(items) => items.iter().for_each(|value| collect(value, into)),
        _ => {}
    }
}

fn place(value: &mut serde_json::Value, at: usize, part: &serde_json::Value, count: &mut usize) {
    *count += 1;
    if *count == at {
        *value = part.clone();
        return;
    }
    match value {
        serde_json::Value::Object(members) => {
            members.values_mut().for_each(|value| place(value, at, part, count))
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|value| place(value, at, part, count)),
        _ => {}
    }
}

/// The findings without their places in the text, sorted.
fn found(outcome: &Outcome) -> Vec<(String, String, Severity)> {
    let mut found: Vec<_> = outcome
        .issues
        .iter()
        .map(|issue| (issue.expression.clone(), issue.message.clone(), issue.severity))
        .collect();
    found.sort_unstable();
    found
}

/// The same JSON with the members of each object in another order and white space between everything.
fn rewrite(value: &serde_json::Value, state: &mut u64, into: &mut String) {
    let mut next = |bound: usize| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        usize::try_from(*state % bound.max(1) as u64).unwrap_or(0)
    };
    into.push_str(["", " ", "\n\t", "\r\n  "][next(4)]);
    match value {
        serde_json::Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            for at in 1..members.len() {
                members.swap(at, next(at + 1));
            }
            into.push('{');
            for (at, (name, value)) in members.into_iter().enumerate() {
                into.push_str(if at > 0 { " ,\n" } else { "" });
                into.push_str(&serde_json::Value::from(name.as_str()).to_string());
                into.push_str(" :");
                rewrite(value, state, into);
            }
            into.push_str(" }");
        }
        serde_json::Value::Array(items) => {
            into.push('[');
            for (at, item) in items.iter().enumerate() {
                into.push_str(if at > 0 { ", " } else { "" });
                rewrite(item, state, into);
            }
            into.push_str("\n]");
        }
        other => into.push_str(&other.to_string()),
    }
}
