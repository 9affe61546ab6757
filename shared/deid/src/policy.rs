//! The allow-list as data: `policy/*.txt`, readable by a compliance officer, parsed when a redactor is made.

use std::collections::HashMap;

use crate::{Error, Kind};

/// Every table, by file name.
pub(crate) const TABLES: [(&str, &str); 7] = [
    ("common.txt", include_str!("../policy/common.txt")),
    ("foundation.txt", include_str!("../policy/foundation.txt")),
    ("administration.txt", include_str!("../policy/administration.txt")),
    ("clinical.txt", include_str!("../policy/clinical.txt")),
    ("diagnostics.txt", include_str!("../policy/diagnostics.txt")),
    ("medication.txt", include_str!("../policy/medication.txt")),
    ("financial.txt", include_str!("../policy/financial.txt")),
];

/// What is done with an element; the words of the tables, explained at the head of `policy/common.txt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    Keep,
    Remove,
    Text,
    Shift,
    BirthYear,
    Zip,
    State,
    Country,
    Quantity,
    Identifier,
    PatientIdentifier,
    Pseudonym,
    Reference,
    Id,
    Uri,
    Oid,
    RequestUrl,
    System,
    Code,
    Mask,
    Ward,
    Narrative,
    Attachment,
    Binary,
    Resource,
    Extension,
    /// The elements below: a node of [`Policy::node`].
    Node(usize),
}

/// A line of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) treatment: Treatment,
    /// The kind a removal counts as.
    pub(crate) kind: Option<Kind>,
    /// Required elements: elements with the same number are one choice (`value[x]`) or one element.
    pub(crate) required: Option<u32>,
}

/// The elements of a resource type, data type or backbone element.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) rules: HashMap<String, Rule>,
}

/// The parsed tables.
#[derive(Debug)]
pub(crate) struct Policy {
    nodes: Vec<Node>,
    sections: HashMap<String, usize>,
}

impl Policy {
    /// Parses the built-in tables.
    pub(crate) fn r4() -> Result<Self, Error> {
        let mut policy = Policy { nodes: Vec::new(), sections: HashMap::new() };
        // Sections first: a line may name a data type of a later table.
        for (_, text) in TABLES {
            for name in text.lines().filter_map(section_name) {
                policy.nodes.push(Node::default());
                policy.sections.insert(name.to_owned(), policy.nodes.len() - 1);
            }
        }
        for (table, text) in TABLES {
            policy.read(table, text)?;
        }
        Ok(policy)
    }

    pub(crate) fn node(&self, index: usize) -> Option<&Node> {
        self.nodes.get(index)
    }

    pub(crate) fn section(&self, name: &str) -> Option<&Node> {
        self.sections.get(name).and_then(|index| self.nodes.get(*index))
    }

    fn read(&mut self, table: &'static str, text: &str) -> Result<(), Error> {
        let mut section = None;
        let mut paths: HashMap<String, usize> = HashMap::new();
        let mut groups: HashMap<String, u32> = HashMap::new();
        for (number, line) in text.lines().enumerate() {
            let fail = |reason| Error::Policy { table, line: number + 1, reason };
            if let Some(name) = section_name(line) {
                section =
                    Some((self.sections.get(name).copied().ok_or_else(|| fail("unknown section"))?, name));
                paths.clear();
                groups.clear();
                continue;
            }
            let mut words = line.split_whitespace();
            let Some(element) = words.next().filter(|word| !word.starts_with('#')) else { continue };
            let (root, section_name) = section.ok_or_else(|| fail("line before the first section"))?;
            let treatment = words.next().ok_or_else(|| fail("no treatment"))?;
            let argument = words.next();

            let (path, group) = match element.split_once('!') {
                Some((path, "")) => (path, Some(path)),
                Some((path, choice)) => (path, Some(choice)),
                None => (element, None),
            };
            // Extension URLs hold dots that are not path steps.
            let (parent, name) = match path.rsplit_once('.') {
                Some((parent, name)) if section_name != "Extension" => {
                    (*paths.get(parent).ok_or_else(|| fail("parent element is missing"))?, name)
                }
                _ => (root, path),
            };
            let required = group.map(|group| {
                let parent_path = path.rsplit_once('.').map_or("", |(parent, _)| parent);
                let next = groups.len() as u32;
                *groups.entry(format!("{parent_path}.{group}")).or_insert(next)
            });
            let mut kind = None;
            let treatment = match treatment {
                "element" => {
                    self.nodes.push(Node::default());
                    paths.insert(path.to_owned(), self.nodes.len() - 1);
                    Treatment::Node(self.nodes.len() - 1)
                }
                "as" => {
                    let target = argument.ok_or_else(|| fail("`as` without a path"))?;
                    Treatment::Node(*paths.get(target).ok_or_else(|| fail("`as` names an unknown path"))?)
                }
                data_type if data_type.starts_with('@') => Treatment::Node(
                    *self.sections.get(&data_type[1..]).ok_or_else(|| fail("unknown data type"))?,
                ),
                word => {
                    if let Some(letter) = argument {
                        let letter = letter.chars().next().and_then(Kind::from_letter);
                        kind = Some(letter.ok_or_else(|| fail("not a letter from A to R"))?);
                    }
                    Treatment::parse(word).ok_or_else(|| fail("unknown treatment"))?
                }
            };
            let node = self.nodes.get_mut(parent).ok_or_else(|| fail("parent element is missing"))?;
            if node.rules.insert(name.to_owned(), Rule { treatment, kind, required }).is_some() {
                return Err(fail("element is listed twice"));
            }
        }
        Ok(())
    }
}

fn section_name(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']')
}

impl Treatment {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "keep" => Treatment::Keep,
            "remove" => Treatment::Remove,
            "text" => Treatment::Text,
            "shift" => Treatment::Shift,
            "birth-year" => Treatment::BirthYear,
            "zip" => Treatment::Zip,
            "state" => Treatment::State,
            "country" => Treatment::Country,
            "quantity" => Treatment::Quantity,
            "identifier" => Treatment::Identifier,
            "patient-identifier" => Treatment::PatientIdentifier,
            "pseudonym" => Treatment::Pseudonym,
            "reference" => Treatment::Reference,
            "id" => Treatment::Id,
            "uri" => Treatment::Uri,
            "oid" => Treatment::Oid,
            "request-url" => Treatment::RequestUrl,
            "system" => Treatment::System,
            "code" => Treatment::Code,
            "mask" => Treatment::Mask,
            "ward" => Treatment::Ward,
            "narrative" => Treatment::Narrative,
            "attachment" => Treatment::Attachment,
            "binary" => Treatment::Binary,
            "resource" => Treatment::Resource,
            "extension" => Treatment::Extension,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resource types the line can produce.
    const TYPES: &[&str] = &[
        "Account",
        "AllergyIntolerance",
        "Appointment",
        "Basic",
        "Binary",
        "Bundle",
        "CareTeam",
        "ChargeItem",
        "Composition",
        "Condition",
        "Consent",
        "Coverage",
        "Device",
        "DiagnosticReport",
        "DocumentReference",
        "Encounter",
        "EpisodeOfCare",
        "Flag",
        "Immunization",
        "Location",
        "Medication",
        "MedicationAdministration",
        "MedicationDispense",
        "MedicationRequest",
        "MedicationStatement",
        "MessageHeader",
        "Observation",
        "OperationOutcome",
        "Organization",
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "Procedure",
        "Provenance",
        "RelatedPerson",
        "ServiceRequest",
        "Specimen",
        "SupplyRequest",
        "Task",
    ];

    fn rule_at<'p>(policy: &'p Policy, path: &str) -> Option<&'p Rule> {
        let mut steps = path.split('.');
        let mut node = policy.section(steps.next()?)?;
        let mut found: Option<&Rule> = None;
        for step in steps {
            match found {
                Some(Rule { treatment: Treatment::Node(next), .. }) => node = policy.node(*next)?,
                // The whole element has one treatment: so has everything in it.
                Some(_) => return found,
                None => {}
            }
            found = Some(node.rules.get(step)?);
        }
        found
    }

    #[test]
    fn every_table_parses_and_every_type_has_a_section() {
        let policy = Policy::r4().unwrap();
        for name in TYPES {
            assert!(policy.section(name).is_some(), "{name}");
        }
    }

    /// `tests/r4-elements.txt` lists the elements of R4 4.0.1 with their lower cardinality bound.
    #[test]
    fn every_element_of_r4_has_a_treatment_and_required_ones_are_not_removed() {
        let policy = Policy::r4().unwrap();
        let mut seen = 0;
        for line in include_str!("../tests/r4-elements.txt").lines().filter(|line| !line.starts_with('#')) {
            let (path, minimum) = line.split_once(' ').unwrap();
            let rule = rule_at(&policy, path);
            let rule = rule.unwrap_or_else(|| panic!("{path} has no treatment"));
            let whole = rule_at(&policy, path.rsplit_once('.').unwrap().0);
            if minimum == "1" && whole.is_none_or(|rule| matches!(rule.treatment, Treatment::Node(_))) {
                assert!(rule.required.is_some(), "{path} is required");
                assert_ne!(rule.treatment, Treatment::Remove, "{path} is required");
            }
            seen += 1;
        }
        assert!(seen > 1000, "the list is there: {seen}");
    }

    #[test]
    fn names_the_line_that_cannot_be_read() {
        for (text, reason) in [
            ("[A]\nx sometimes", "unknown treatment"),
            ("[A]\nx.y keep", "parent element is missing"),
            ("x keep", "line before the first section"),
            ("[A]\nx keep\nx keep", "element is listed twice"),
            ("[A]\nx remove Z", "not a letter from A to R"),
            ("[A]\nx @B", "unknown data type"),
            ("[A]\nx", "no treatment"),
        ] {
            let mut policy =
                Policy { nodes: vec![Node::default()], sections: HashMap::from([("A".into(), 0)]) };
            let error = policy.read("test.txt", text).unwrap_err();
            let Error::Policy { reason: got, line, .. } = error else { panic!() };
            assert_eq!((got, line), (reason, text.lines().count()));
        }
    }
}
