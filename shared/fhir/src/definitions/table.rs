//! Reader of the embedded table: tab-separated lines whose first column says what they are.
//!
//! `S` a code system, `V` a value set and its codes by system (`C`), `I` an invariant, `T` a type and its elements (`E`),
//! `X` an extension of HL7's own, `K` a code system with all its codes and their names, `Q` a search parameter.

use super::value_set::{CodeSystem, Codes, Content};
use super::{
    Definitions, Element, ElementType, ExtensionDefinition, ExtensionPart, FieldAt, Invariant, NativeType,
    SearchParameter, Strength, TableMap, Type, TypeId, TypeKind, ValueSet,
};
use crate::invariant;
use crate::primitive::Primitive;

/// Why the table cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the table of definitions: {reason}")]
pub(crate) struct TableError {
    line: usize,
    reason: &'static str,
}

type Reason = &'static str;

#[derive(Default)]
struct Table {
    systems: Vec<&'static str>,
    value_sets: Vec<ValueSet>,
    invariants: Vec<Invariant>,
    types: Vec<Type>,
    code_systems: TableMap<&'static str, CodeSystem>,
    extensions: TableMap<&'static str, ExtensionDefinition>,
    search_parameters: TableMap<&'static str, SearchParameter>,
}

pub(super) fn read(text: &'static str) -> Result<Definitions, TableError> {
    let mut by_name = TableMap::default();
    for name in text.lines().filter_map(|line| line.strip_prefix("T\t")?.split('\t').next()) {
        let id =
            u16::try_from(by_name.len()).map_err(|_| TableError { line: 0, reason: "too many types" })?;
        by_name.insert(name, TypeId(id));
    }
    let mut table = Table::default();
    for (index, line) in text.lines().enumerate() {
        table.line(line, &by_name).map_err(|reason| TableError { line: index + 1, reason })?;
    }
    let Table { value_sets, invariants, types, code_systems, extensions, search_parameters, .. } = table;
    Ok(Definitions { types, value_sets, invariants, by_name, code_systems, extensions, search_parameters })
}

impl Table {
    fn line(&mut self, line: &'static str, by_name: &TableMap<&'static str, TypeId>) -> Result<(), Reason> {
        let columns: Vec<&'static str> = line.split('\t').collect();
        match *columns.as_slice() {
            ["S", url] => self.systems.push(url),
            ["V", url, how] => self.value_sets.push(ValueSet { url, content: content(how)? }),
            ["C", system, ref codes @ ..] => self.codes(system, codes)?,
            ["I", key, severity, human, expression] => self.invariants.push(Invariant {
                key,
                is_error: severity == "error",
                human,
                expression,
                check: invariant::native(key, expression),
            }),
            ["T", name, kind, is_abstract, base, rules] => {
                let invariants = self.rules(rules)?;
                self.types.push(Type {
                    name,
                    kind: type_kind(kind)?,
                    is_abstract: is_abstract == "1",
                    base,
                    primitive: Primitive::named(name),
                    elements: Vec::new(),
                    invariants,
                    native: native_type(name),
                    fields: TableMap::default(),
                });
            }
            ["E", name, min, max, types, bindings, rules] => {
                let element = Element {
                    name,
                    path_name: name.strip_suffix("[x]").unwrap_or(name),
                    min: min.parse().map_err(|_| "a minimum")?,
                    max: if max == "*" { None } else { Some(max.parse().map_err(|_| "a maximum")?) },
                    types: element_types(types, by_name)?,
                    bindings: self.bindings(bindings)?,
                    invariants: self.rules(rules)?,
                };
                add(self.types.last_mut().ok_or("an element before the first type")?, element)?;
            }
            ["X", url, modifier, types, bindings, contexts, parts] => {
                let parts = parts.split(';').filter(|part| !part.is_empty());
                let definition = ExtensionDefinition {
                    is_modifier: modifier == "m",
                    types: names(types),
                    bindings: self.bindings(bindings)?,
                    contexts: names(contexts),
                    parts: parts.map(|part| self.part(part)).collect::<Result<_, _>>()?,
                };
                self.extensions.insert(url, definition);
            }
            ["K", url, case, ref codes @ ..] => {
                let (pairs, []) = codes.as_chunks() else { return Err("a code without its name") };
                let names = pairs.iter().map(|&[code, name]| (code, name)).collect();
                self.code_systems.insert(url, CodeSystem::new(names, case == "s"));
            }
            ["Q", id, kind, bases] => {
                self.search_parameters.insert(id, SearchParameter { kind, bases: names(bases) });
            }
            _ if line.starts_with("fhir\t") || line.starts_with('#') => {}
            _ => return Err("an unknown kind of line"),
        }
        Ok(())
    }

    fn codes(&mut self, system: &str, codes: &[&'static str]) -> Result<(), Reason> {
        let system =
            system.parse::<usize>().ok().and_then(|at| self.systems.get(at)).ok_or("a code system")?;
        let set = self.value_sets.last_mut().ok_or("codes before the first value set")?;
        let Content::Codes { all, systems, listing } = &mut set.content else {
            return Err("codes of no list");
        };
        all.extend(codes);
        systems.push((system, codes.iter().copied().collect::<Codes>()));
        listing.extend(codes);
        Ok(())
    }

    fn rules(&self, rules: &str) -> Result<Vec<u16>, Reason> {
        let known = self.invariants.len();
        let number = |rule: &str| rule.parse().ok().filter(|&at: &u16| usize::from(at) < known);
        rules
            .split(',')
            .filter(|rule| !rule.is_empty())
            .map(|rule| number(rule).ok_or("an invariant"))
            .collect()
    }

    /// `name:min:max:types:bindings`
    fn part(&self, part: &'static str) -> Result<ExtensionPart, Reason> {
        let columns: Vec<&'static str> = part.split(':').collect();
        let [name, min, max, types, bindings] = *columns.as_slice() else {
            return Err("a part of an extension");
        };
        Ok(ExtensionPart {
            name,
            min: min.parse().map_err(|_| "a minimum")?,
            max: if max == "*" { None } else { Some(max.parse().map_err(|_| "a maximum")?) },
            types: names(types),
            bindings: self.bindings(&bindings.replace('=', ":"))?,
        })
    }

    fn bindings(&self, bindings: &str) -> Result<Vec<(Strength, u16)>, Reason> {
        let one = |binding: &str| {
            let (strength, set) = binding.split_once(':')?;
            let strength = match strength {
                "required" => Strength::Required,
                "extensible" => Strength::Extensible,
                "max" => Strength::Max,
                _ => return None,
            };
            let set: u16 = set.parse().ok()?;
            (usize::from(set) < self.value_sets.len()).then_some((strength, set))
        };
        bindings.split(',').filter(|text| !text.is_empty()).map(|text| one(text).ok_or("a binding")).collect()
    }
}

/// `a|b`
fn names(text: &'static str) -> Vec<&'static str> {
    text.split('|').filter(|name| !name.is_empty()).collect()
}

fn content(how: &str) -> Result<Content, Reason> {
    Ok(match how {
        "codes" => Content::Codes { all: Codes::default(), systems: Vec::new(), listing: Vec::new() },
        "language" => Content::Language,
        "mime" => Content::MediaType,
        "currency" => Content::Currency,
        "unknown" => Content::Unknown,
        _ => return Err("a kind of value set"),
    })
}

fn type_kind(kind: &str) -> Result<TypeKind, Reason> {
    Ok(match kind {
        "primitive" => TypeKind::Primitive,
        "complex" => TypeKind::Complex,
        "backbone" => TypeKind::Backbone,
        "resource" => TypeKind::Resource,
        _ => return Err("a kind of type"),
    })
}

fn native_type(name: &str) -> NativeType {
    match name {
        "Attachment" => NativeType::Attachment,
        "Bundle" => NativeType::Bundle,
        "CodeableConcept" => NativeType::CodeableConcept,
        "Coding" => NativeType::Coding,
        "Extension" => NativeType::Extension,
        "Identifier" => NativeType::Identifier,
        "Quantity" | "SimpleQuantity" | "Age" | "Count" | "Distance" | "Duration" => NativeType::Quantity,
        "Reference" => NativeType::Reference,
        _ => NativeType::Other,
    }
}

/// `Reference(Patient,Group)|string`
fn element_types(
    types: &'static str,
    by_name: &TableMap<&'static str, TypeId>,
) -> Result<Vec<ElementType>, Reason> {
    let one = |text: &'static str| {
        let (name, targets) = match text.split_once('(') {
            Some((name, targets)) => (name, targets.trim_end_matches(')').split(',').collect()),
            None => (text, Vec::new()),
        };
        let any = targets.contains(&"Resource");
        let targets = if any { Vec::new() } else { targets };
        Some(ElementType { name, id: *by_name.get(name)?, targets })
    };
    types.split('|').map(|text| one(text).ok_or("a type that is not in the table")).collect()
}

fn add(owner: &mut Type, element: Element) -> Result<(), Reason> {
    let index = u16::try_from(owner.elements.len()).map_err(|_| "too many elements")?;
    for (choice, element_type) in (0u16..).zip(&element.types) {
        let at = FieldAt { element: index, choice };
        let json_name =
            if element.is_choice() { choice_name(&element, element_type) } else { element.name.into() };
        owner.fields.insert(json_name, at);
    }
    owner.elements.push(element);
    Ok(())
}

/// `value[x]` of type `dateTime` is `valueDateTime`; SimpleQuantity is a profile, its type is Quantity.
fn choice_name(element: &Element, element_type: &ElementType) -> Box<str> {
    let type_name = if element_type.name == "SimpleQuantity" { "Quantity" } else { element_type.name };
    let mut characters = type_name.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    let capital: String = first.into_iter().chain(characters).collect();
    format!("{}{capital}", element.path_name()).into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_damaged_table() {
        for (text, line) in [
            ("X\t1", 1),
            ("fhir\t4.0.1\nE\tid\t0\t1\tstring\t\t", 2),
            ("T\tA\tresource\t0\t\t\nE\tid\t0\tmany\tA\t\t", 2),
            ("T\tA\tresource\t0\t\t\nE\tid\t0\t1\tB\t\t", 2),
            ("T\tA\tresource\t0\t\t7", 1),
            ("V\thttp://example.org\tcodes\nC\t0\ta", 2),
        ] {
            assert_eq!(read(text).map(|_| ()).unwrap_err().line, line, "{text}");
        }
    }
}
