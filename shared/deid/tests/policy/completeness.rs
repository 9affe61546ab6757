//! No element of a type that the policy releases is without a treatment, to the last string of a data type.

use std::collections::BTreeSet;

use super::definitions::{Type, types};
use super::tables::Policy;

/// What every element has, then what every resource has: the walk and the section [Resource] have rules for them.
const COMMON: [&str; 8] =
    ["id", "extension", "modifierExtension", "meta", "implicitRules", "language", "text", "contained"];

#[test]
fn every_element_down_to_the_last_string_has_a_treatment() {
    let (policy, types) = (Policy::read(), types());
    let mut missing = BTreeSet::new();
    let mut strings = 0;
    for (name, definition) in types.iter().filter(|(name, one)| one.kind == "resource" && policy.has(name)) {
        let is_domain = definition.elements.iter().any(|element| element.name == "extension");
        if is_domain || *name == "Bundle" || *name == "Binary" {
            walk(&policy, &types, name, definition, &mut Vec::new(), &mut missing, &mut strings);
        }
    }
    assert!(missing.is_empty(), "without a treatment: {missing:#?}");
    assert!(strings > 3000, "only {strings} strings were walked");
}

fn walk(
    policy: &Policy,
    types: &std::collections::BTreeMap<&'static str, Type>,
    resource: &str,
    definition: &Type,
    steps: &mut Vec<String>,
    missing: &mut BTreeSet<String>,
    strings: &mut usize,
) {
    // Recursive types, such as sections of sections.
    if steps.len() > 6 {
        return;
    }
    let common: &[&str] = if definition.kind == "resource" { &COMMON } else { &COMMON[..3] };
    for element in definition.elements.iter().filter(|element| !common.contains(&element.name)) {
        for (json, kind) in element.json() {
            let Some(kind) = types.get(kind) else { continue };
            steps.push(json);
            let path: Vec<&str> = steps.iter().map(String::as_str).collect();
            match policy.treatment(resource, &path) {
                // One treatment for the whole element.
                Some(_) => *strings += 1,
                None if kind.kind == "complex" || kind.kind == "backbone" => {
                    // Its parts have treatments of their own, or it is not listed: then none of them has.
                    walk(policy, types, resource, kind, steps, missing, strings);
                }
                None => {
                    missing.insert(format!("{resource}.{}", steps.join(".")));
                }
            }
            steps.pop();
        }
    }
}

/// Resource types by what the converter's maps write; the words in addresses are none of them.
#[test]
fn every_type_that_the_converter_makes_has_a_section() {
    let policy = Policy::read();
    let names: BTreeSet<&str> = types()
        .into_iter()
        .filter(|(_, one)| one.kind == "resource" && !one.is_abstract)
        .map(|(name, _)| name)
        .collect();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../v2-to-fhir/maps");
    let mut made = BTreeSet::new();
    for folder in [root.clone(), root.join("segments")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let Ok(text) = std::fs::read_to_string(entry.unwrap().path()) else { continue };
            // `map PID[Patient]`, `XCN[Practitioner]`, `-> Organization`, and the second column of messages: `PID | Patient | …`.
            for part in text.split(['[', ']', '>', '|', '/', '@', '.', '+', '?', '*', '\n']) {
                if let Some(name) = names.get(part.trim()) {
                    made.insert(*name);
                }
            }
        }
    }
    for in_addresses in ["CodeSystem", "StructureDefinition", "ValueSet"] {
        made.remove(in_addresses);
    }
    assert!(made.len() > 30, "{made:?}");
    let without: Vec<&&str> = made.iter().filter(|name| !policy.has(name)).collect();
    assert!(without.is_empty(), "the converter names {without:?}");
}
