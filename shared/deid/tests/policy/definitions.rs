//! The types and elements of FHIR R4 4.0.1, from the table of the validator.

use std::collections::BTreeMap;

/// An element of a type.
pub(crate) struct Element {
    /// `value[x]` for a choice.
    pub(crate) name: &'static str,
    /// Whether it repeats.
    pub(crate) many: bool,
    /// Names of its types.
    pub(crate) types: Vec<&'static str>,
}

impl Element {
    /// The names it has in JSON, each with its type.
    pub(crate) fn json(&self) -> Vec<(String, &'static str)> {
        let Some(stem) = self.name.strip_suffix("[x]") else {
            return self.types.iter().map(|kind| (self.name.to_owned(), *kind)).collect();
        };
        let titled = |kind: &str| kind[..1].to_uppercase() + &kind[1..];
        self.types.iter().map(|kind| (format!("{stem}{}", titled(kind)), *kind)).collect()
    }
}

/// A type.
pub(crate) struct Type {
    /// `resource`, `complex`, `primitive`, `backbone`.
    pub(crate) kind: &'static str,
    pub(crate) is_abstract: bool,
    pub(crate) elements: Vec<Element>,
}

/// Every type, by name; that of a backbone element is its path.
pub(crate) fn types() -> BTreeMap<&'static str, Type> {
    let mut types = BTreeMap::new();
    let mut last = "";
    let table: &'static str = include_str!("../../../fhir/src/definitions/r4.tsv");
    for line in table.lines() {
        let columns: Vec<&'static str> = line.split('\t').collect();
        match *columns.as_slice() {
            ["T", name, kind, is_abstract, ..] => {
                last = name;
                types.insert(name, Type { kind, is_abstract: is_abstract == "1", elements: Vec::new() });
            }
            ["E", name, _, max, kinds, ..] => {
                // Profiles of Quantity are named like it in JSON.
                let named = |kind: &'static str| match kind.split('(').next().unwrap() {
                    "SimpleQuantity" | "MoneyQuantity" => "Quantity",
                    name => name,
                };
                let types_of = kinds.split('|').map(named).collect();
                let element = Element { name, many: max != "1", types: types_of };
                types.get_mut(last).unwrap().elements.push(element);
            }
            _ => {}
        }
    }
    types
}
