//! Profiles as `P` lines (URL, version, type, definition) and the value sets they may name as `V` lines, for the profile
//! layer: JSON without what a validator has no use for.
//!
//! R4's own profiles are CC0. Those of US Core carry the note "Used by permission of HL7 International, all rights
//! reserved Creative Commons License"; the guide is published under CC0 1.0, and the npm package under Apache-2.0.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::Failure;
use crate::package::{list, resources, text};
use crate::terminology::{Sets, Terminology};

const FILES: [&str; 3] = [
    "profiles-others.json",
    "testing/uscore-v5.0.1-structuredefinitions.json",
    "testing/uscore-v7.0.0-smoking-status.json",
];

/// Expressions that later releases of FHIR mended: as R4 has it, `vs-1` is broken by every Period.
const ERRATA: [(&str, &str); 1] = [("vs-1", "$this is dateTime implies $this.toString().length() >= 10")];

/// The vital signs bind the value of every component to their own units, so that the oxygen flow in L/min beside an oxygen
/// saturation would be refused. The component has no unit of its own to be held to; the value beside it keeps its binding.
const LOOSENED: (&str, &str) =
    ("Observation.component.value[x]", "http://hl7.org/fhir/ValueSet/ucum-vitals-common");

pub(crate) fn lines(folder: &Path, terminology: &Terminology, sets: &Sets) -> Result<Vec<String>, Failure> {
    let base = Base::read(folder)?;
    let mut lines = vec!["# written by examples/generate; do not edit".to_owned()];
    for file in FILES {
        for definition in resources(folder, file)? {
            if text(&definition, "resourceType") != "StructureDefinition" {
                continue;
            }
            let [url, version, kind] = ["url", "version", "type"].map(|name| text(&definition, name));
            lines.push(format!("P\t{url}\t{version}\t{kind}\t{}", base.reduced(&definition)));
        }
    }
    lines.extend(terminology.compositions(sets).into_iter().map(|set| format!("V\t{set}")));
    Ok(lines)
}

/// The elements of R4 by path.
struct Base {
    elements: BTreeMap<String, Value>,
    rules: BTreeSet<String>,
}

impl Base {
    fn read(folder: &Path) -> Result<Self, Failure> {
        let mut elements = BTreeMap::new();
        let mut rules = BTreeSet::new();
        for file in ["profiles-types.json", "profiles-resources.json"] {
            for definition in resources(folder, file)? {
                if text(&definition, "derivation") == "constraint" {
                    continue;
                }
                for element in list(&definition["snapshot"], "element") {
                    rules.extend(list(element, "constraint").iter().map(|rule| text(rule, "key").to_owned()));
                    elements.insert(text(element, "path").to_owned(), element.clone());
                }
            }
        }
        Ok(Self { elements, rules })
    }

    /// The element of R4 at a path that may lead into data types.
    fn element(&self, path: &str) -> Option<&Value> {
        if let Some(element) = self.elements.get(path) {
            return Some(element);
        }
        let (parent, leaf) = path.rsplit_once('.')?;
        let [only] = list(self.element(parent)?, "type") else { return None };
        self.elements.get(&format!("{}.{leaf}", text(only, "code")))
    }

    fn reduced(&self, definition: &Value) -> Value {
        let elements = list(&definition["snapshot"], "element");
        let reduced: Vec<Value> =
            elements.iter().map(|element| self.reduced_element(element, elements)).collect();
        let mut kept: BTreeSet<&str> = BTreeSet::new();
        for (element, reduced) in elements.iter().zip(&reduced) {
            let id = text(element, "id");
            if reduced["keep"] == true {
                // With what it is in: the tree is built from the ids.
                let ends = id.match_indices(['.', ':', '/']).map(|(at, _)| at);
                kept.extend(ends.filter_map(|at| id.get(..at)));
                kept.insert(id);
            }
        }
        let elements: Vec<Value> = elements
            .iter()
            .zip(reduced)
            .enumerate()
            .filter(|(place, (element, _))| *place == 0 || kept.contains(text(element, "id")))
            .map(|(_, (_, mut reduced))| {
                reduced.as_object_mut().map(|members| members.remove("keep"));
                reduced
            })
            .collect();
        json!({
            "url": definition["url"],
            "title": if definition["title"].is_string() { &definition["title"] } else { &definition["name"] },
            "type": definition["type"],
            "snapshot": { "element": elements },
        })
    }

    /// An element with what a validator looks at; `keep` says whether it demands more than R4.
    fn reduced_element(&self, element: &Value, all: &[Value]) -> Value {
        let id = text(element, "id");
        let base = self.element(text(element, "path"));
        let mut reduced = Map::new();
        let mut keep = !text(element, "sliceName").is_empty();
        reduced.insert("id".to_owned(), json!(id));
        for member in ["min", "max"] {
            keep |= base.is_none_or(|base| base[member] != element[member]);
            reduced.insert(member.to_owned(), element[member].clone());
        }
        let types = types(element);
        keep |= base.is_none_or(|base| self::types(base) != types);
        reduced.insert("type".to_owned(), types);
        if let Some(binding) = binding(element) {
            keep |= base.and_then(self::binding).as_ref() != Some(&binding);
            reduced.insert("binding".to_owned(), binding);
        }
        let is_sliced = all.iter().any(|other| text(other, "id").starts_with(&format!("{id}:")));
        if is_sliced || element["slicing"]["rules"] == "closed" {
            keep = true;
            if element["slicing"].is_object() {
                let discriminators: Vec<Value> = list(&element["slicing"], "discriminator").to_vec();
                let ordered = element["slicing"]["ordered"] == true;
                let rules = &element["slicing"]["rules"];
                let slicing = json!({ "discriminator": discriminators, "ordered": ordered, "rules": rules });
                reduced.insert("slicing".to_owned(), slicing);
            }
        }
        for (name, value) in element.as_object().into_iter().flatten() {
            if name.starts_with("fixed") || name.starts_with("pattern") || name == "maxLength" {
                keep = true;
                reduced.insert(name.clone(), value.clone());
            }
        }
        let constraints: Vec<Value> = list(element, "constraint")
            .iter()
            .filter(|rule| !self.rules.contains(text(rule, "key")))
            .map(|rule| {
                let [key, severity, human, expression] =
                    ["key", "severity", "human", "expression"].map(|name| text(rule, name));
                let mended = ERRATA.iter().find(|(erratum, _)| *erratum == key);
                let expression = mended.map_or(expression, |(_, mended)| mended);
                json!({ "key": key, "severity": severity, "human": human, "expression": expression })
            })
            .collect();
        if !constraints.is_empty() {
            keep = true;
            reduced.insert("constraint".to_owned(), json!(constraints));
        }
        reduced.insert("keep".to_owned(), json!(keep));
        Value::Object(reduced)
    }
}

fn types(element: &Value) -> Value {
    let one = |kind: &Value| {
        let mut reduced = Map::new();
        for member in ["code", "profile", "targetProfile"] {
            if !kind[member].is_null() {
                reduced.insert(member.to_owned(), kind[member].clone());
            }
        }
        Value::Object(reduced)
    };
    list(element, "type").iter().map(one).collect()
}

/// A binding that a validator looks at.
fn binding(element: &Value) -> Option<Value> {
    let binding = &element["binding"];
    let is_max = |extension: &&Value| text(extension, "url").ends_with("/elementdefinition-maxValueSet");
    let max: Vec<Value> = list(binding, "extension").iter().filter(is_max).cloned().collect();
    let strength = text(binding, "strength");
    if !matches!(strength, "required" | "extensible") && max.is_empty() {
        return None;
    }
    let set = text(binding, "valueSet").split('|').next().unwrap_or("");
    if (text(element, "path"), set) == LOOSENED {
        return None;
    }
    let mut reduced = json!({ "strength": strength, "valueSet": set });
    if !max.is_empty() {
        reduced["extension"] = json!(max);
    }
    Some(reduced)
}
