//! StructureDefinitions as `T` (type), `E` (element) and `I` (invariant) lines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::Failure;
use crate::package::{list, resources, tail, text};
use crate::terminology::Sets;

const QUANTITIES: [&str; 4] = ["Age", "Count", "Distance", "Duration"];

/// The structure definitions of R4, and HL7's own data elements to compare them with.
pub(crate) struct Structures {
    definitions: Vec<Value>,
    elements: BTreeMap<String, Value>,
}

impl Structures {
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let mut definitions = Vec::new();
        for file in ["profiles-types.json", "profiles-resources.json"] {
            definitions.extend(resources(folder, file)?.into_iter().filter(is_wanted));
        }
        let mut elements = BTreeMap::new();
        for definition in resources(folder, "dataelements.json")? {
            let Some(element) = list(&definition["snapshot"], "element").first() else { continue };
            elements.insert(text(element, "path").to_owned(), element.clone());
        }
        // The data element of SimpleQuantity overwrote that of Quantity in HL7's publication.
        elements.remove("Quantity.comparator");
        Ok(Self { definitions, elements })
    }

    pub(crate) fn lines(&self, sets: &mut Sets) -> Result<Vec<String>, Failure> {
        let mut invariants = Invariants::default();
        let mut types = Vec::new();
        for definition in &self.definitions {
            self.definition(definition, sets, &mut invariants, &mut types)?;
        }
        let mut lines = invariants.lines;
        lines.extend(types);
        Ok(lines)
    }

    /// The package's publisher added elements to some resources; HL7's data elements say which are R4's,
    /// and their cardinality, types and bindings win.
    fn elements_of(&self, definition: &Value) -> Vec<Value> {
        let name = text(definition, "name");
        let snapshot = list(&definition["snapshot"], "element");
        let mut kept: Vec<Value> = Vec::new();
        for element in snapshot {
            let path = text(element, "path");
            if path.starts_with(ADDED_GROUP) {
                continue;
            }
            let leaf = path.rsplit('.').next().unwrap_or(path);
            let inherited = matches!(leaf, "id" | "extension" | "modifierExtension") || !path.contains('.');
            let of_resource = matches!(leaf, "meta" | "implicitRules" | "language" | "text" | "contained");
            let group = snapshot.iter().any(|other| text(other, "path").starts_with(&format!("{path}.")));
            let compared = definition["derivation"] != "constraint"
                && definition["kind"] != "primitive-type"
                && !QUANTITIES.contains(&name)
                && !inherited
                && !group
                && element["contentReference"].is_null()
                && !(of_resource && path.matches('.').count() == 1);
            let mut element = element.clone();
            if path == REQUIRED {
                element["min"] = 1.into();
            }
            match self.elements.get(path) {
                Some(original) if compared => {
                    for member in ["min", "max", "type", "binding"] {
                        element[member] = original[member].clone();
                    }
                }
                None if compared && !ORIGINAL.contains(&path) => continue,
                _ => {}
            }
            kept.push(element);
        }
        let prefix = format!("{name}.");
        let missing = self.elements.iter().filter(|(path, _)| {
            definition["derivation"] != "constraint"
                && path.starts_with(&prefix)
                && !snapshot.iter().any(|element| text(element, "path") == path.as_str())
        });
        kept.extend(missing.map(|(_, element)| element.clone()));
        let empty: Vec<String> = kept
            .iter()
            .filter(|element| !list(element, "type").is_empty())
            .filter(|element| {
                list(element, "type").iter().any(|kind| text(kind, "code") == "BackboneElement")
                    && !kept.iter().any(|other| {
                        let path = text(other, "path");
                        path.starts_with(&format!("{}.", text(element, "path")))
                            && !path.ends_with(".id")
                            && !path.to_lowercase().ends_with("extension")
                    })
            })
            .map(|element| text(element, "path").to_owned())
            .collect();
        kept.retain(|element| {
            let path = text(element, "path");
            !empty.iter().any(|group| path == group || path.starts_with(&format!("{group}.")))
        });
        kept
    }

    fn definition(
        &self,
        definition: &Value,
        sets: &mut Sets,
        invariants: &mut Invariants,
        types: &mut Vec<String>,
    ) -> Result<(), Failure> {
        let name = text(definition, "name");
        let elements = self.elements_of(definition);
        let kind = match text(definition, "kind") {
            "primitive-type" => "primitive",
            "resource" => "resource",
            _ => "complex",
        };
        let groups: BTreeSet<&str> = elements
            .iter()
            .filter_map(|element| text(element, "path").rsplit_once('.').map(|(group, _)| group))
            .collect();
        let root = elements.first().ok_or("a definition without elements")?;
        let root_path = text(root, "path").to_owned();
        for group in groups {
            let owner = elements.iter().find(|element| text(element, "path") == group).unwrap_or(root);
            let is_root = group == root_path;
            let type_name = if is_root { name.to_owned() } else { group.to_owned() };
            let base = if is_root {
                tail(text(definition, "baseDefinition")).to_owned()
            } else {
                list(owner, "type").first().map_or("", |kind| text(kind, "code")).to_owned()
            };
            types.push(format!(
                "T\t{type_name}\t{}\t{}\t{base}\t{}",
                if is_root { kind } else { "backbone" },
                u8::from(is_root && definition["abstract"] == true),
                invariants.of(owner, is_root),
            ));
            for element in &elements {
                let path = text(element, "path");
                let Some((parent, leaf)) = path.rsplit_once('.') else { continue };
                if parent != group || (kind == "primitive" && leaf == "value") {
                    continue;
                }
                let has_children =
                    elements.iter().any(|other| text(other, "path").starts_with(&format!("{path}.")));
                types.push(format!(
                    "E\t{leaf}\t{}\t{}\t{}\t{}\t{}",
                    element["min"],
                    text(element, "max"),
                    element_types(element, kind == "resource" && is_root, has_children),
                    sets.bindings(&element["binding"]),
                    // Those of a group belong to its type: elements elsewhere may refer to the same content.
                    if has_children { String::new() } else { invariants.of(element, false) },
                ));
            }
        }
        Ok(())
    }
}

/// Elements that HL7's data elements leave out although they are part of R4 4.0.1.
const ORIGINAL: [&str; 15] = [
    "MedicationKnowledge.administrationGuidelines.patientCharacteristics.characteristic[x]",
    "MedicinalProductIngredient.specifiedSubstance.strength.concentration",
    "MedicinalProductIngredient.specifiedSubstance.strength.presentation",
    "MedicinalProductIngredient.specifiedSubstance.strength.referenceStrength.measurementPoint",
    "MedicinalProductIngredient.specifiedSubstance.strength.referenceStrength.strength",
    "MedicinalProductIngredient.specifiedSubstance.strength.referenceStrength.strengthLowLimit",
    "MedicinalProductIngredient.specifiedSubstance.strength.referenceStrength.substance",
    "MedicinalProductPharmaceutical.routeOfAdministration.maxDosePerDay",
    "MedicinalProductPharmaceutical.routeOfAdministration.targetSpecies.code",
    "MedicinalProductPharmaceutical.routeOfAdministration.targetSpecies.withdrawalPeriod.tissue",
    "MedicinalProductPharmaceutical.routeOfAdministration.targetSpecies.withdrawalPeriod.value",
    "Quantity.comparator",
    "ResearchElementDefinition.characteristic.participantEffectiveDescription",
    "ResearchElementDefinition.characteristic.participantEffective[x]",
    "ResearchElementDefinition.characteristic.participantEffectiveTimeFromStart",
];
/// The package's publisher made this list optional; R4 4.0.1 asks for one item.
const REQUIRED: &str = "EvidenceVariable.characteristic";
/// A rule of a later release, about elements that R4 has as one choice.
const ADDED_RULE: &str = "evv-1";
/// A group the package's publisher took over from R5; its only R4-known child is itself.
const ADDED_GROUP: &str = "EvidenceVariable.characteristic.definitionByCombination";

fn is_wanted(definition: &Value) -> bool {
    let constraint = text(definition, "derivation") == "constraint";
    text(definition, "resourceType") == "StructureDefinition"
        && text(definition, "fhirVersion") == "4.0.1"
        && text(definition, "kind") != "logical"
        && (!constraint || text(definition, "name") == "SimpleQuantity")
}

fn element_types(element: &Value, of_resource: bool, has_children: bool) -> String {
    let path = text(element, "path");
    if let Some(reference) = element["contentReference"].as_str() {
        return reference.trim_start_matches('#').to_owned();
    }
    if has_children {
        return path.to_owned();
    }
    let one = |kind: &Value| {
        let code = text(kind, "code");
        if let Some(system) = code.strip_prefix("http://hl7.org/fhirpath/System.") {
            if of_resource && path.ends_with(".id") {
                return "id".to_owned();
            }
            let stated = list(kind, "extension").first().map_or("", |extension| text(extension, "valueUrl"));
            return if stated.is_empty() { system.to_lowercase() } else { stated.to_owned() };
        }
        if list(kind, "profile")
            .iter()
            .any(|profile| tail(profile.as_str().unwrap_or("")) == "SimpleQuantity")
        {
            return "SimpleQuantity".to_owned();
        }
        let targets: Vec<&str> =
            list(kind, "targetProfile").iter().filter_map(Value::as_str).map(tail).collect();
        match (code, targets.is_empty()) {
            ("Reference", false) => format!("Reference({})", targets.join(",")),
            _ => code.to_owned(),
        }
    };
    list(element, "type").iter().map(one).collect::<Vec<_>>().join("|")
}

/// HL7's own extensions as `X` lines: the URL, `m` if it modifies, the types of its value (none where it is made of parts), the
/// value's bindings, the elements it may stand in, and its parts as `name:min:max:types:bindings`.
pub(crate) fn extensions(folder: &Path, sets: &mut Sets) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for definition in resources(folder, "extension-definitions.json")? {
        let url = text(&definition, "url");
        let elements = list(&definition["snapshot"], "element");
        let value = elements.iter().find(|element| text(element, "path") == "Extension.value[x]");
        let Some(value) = value.filter(|_| url.starts_with("http://hl7.org/fhir/StructureDefinition/"))
        else {
            continue;
        };
        let modifier = elements.first().is_some_and(|root| root["isModifier"] == true);
        let contexts: Vec<&str> =
            list(&definition, "context").iter().map(|context| text(context, "expression")).collect();
        let mut parts: Vec<String> = Vec::new();
        let mut rest = elements;
        while let Some((element, after)) = rest.split_first() {
            rest = after;
            if text(element, "path") != "Extension.extension" || element["sliceName"].is_null() {
                continue;
            }
            let end = after.iter().position(|other| text(other, "path") == "Extension.extension");
            let own = after.get(..end.unwrap_or(after.len())).unwrap_or(&[]);
            let named = own.iter().find(|other| text(other, "path") == "Extension.extension.url");
            let value = own.iter().find(|other| text(other, "path") == "Extension.extension.value[x]");
            let name = named.map_or("", |named| text(named, "fixedUri"));
            parts.push(format!(
                "{name}:{}:{}:{}:{}",
                element["min"],
                text(element, "max"),
                value.map_or(String::new(), value_types),
                value.map_or(String::new(), |value| sets.bindings(&value["binding"]).replace(':', "=")),
            ));
        }
        lines.push(format!(
            "X\t{url}\t{}\t{}\t{}\t{}\t{}",
            if modifier { "m" } else { "" },
            value_types(value),
            sets.bindings(&value["binding"]),
            contexts.join("|"),
            parts.join(";"),
        ));
    }
    Ok(lines)
}

fn value_types(value: &Value) -> String {
    if text(value, "max") == "0" {
        return String::new();
    }
    let mut types: Vec<&str> = list(value, "type").iter().map(|kind| text(kind, "code")).collect();
    types.dedup();
    types.join("|")
}

/// Each distinct invariant once; elements name them by index.
#[derive(Default)]
struct Invariants {
    lines: Vec<String>,
    index: BTreeMap<(String, String), usize>,
}

impl Invariants {
    /// `ele-1` holds for every element and `ext-1` belongs to the type Extension: neither is repeated per element.
    fn of(&mut self, element: &Value, root: bool) -> String {
        let mut indices = Vec::new();
        for constraint in list(element, "constraint") {
            let key = text(constraint, "key");
            if matches!(key, "ele-1" | ADDED_RULE) || (key == "ext-1" && !root) {
                continue;
            }
            let expression = text(constraint, "expression");
            let identity = (key.to_owned(), expression.to_owned());
            let next = self.lines.len();
            let at = *self.index.entry(identity).or_insert(next);
            if at == next {
                self.lines.push(format!(
                    "I\t{key}\t{}\t{}\t{}",
                    text(constraint, "severity"),
                    one_line(text(constraint, "human")),
                    one_line(expression),
                ));
            }
            indices.push(at.to_string());
        }
        indices.join(",")
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The search parameters as `Q` lines: id, type, the resources it is for.
pub(crate) fn search_parameters(folder: &Path) -> Result<Vec<String>, Failure> {
    let parameters = resources(folder, "search-parameters.json")?;
    let line = |parameter: &Value| {
        let bases: Vec<&str> = list(parameter, "base").iter().filter_map(Value::as_str).collect();
        format!("Q\t{}\t{}\t{}", tail(text(parameter, "url")), text(parameter, "type"), bases.join("|"))
    };
    Ok(parameters.iter().map(line).collect())
}
