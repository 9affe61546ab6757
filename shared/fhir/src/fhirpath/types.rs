//! Types: `is`, `as`, `ofType` and `type()`.

use super::Stop;
use super::ast::TypeName;
use super::item::{Item, System};
use super::temporal::TemporalKind;
use crate::definitions::{Definitions, TypeKind};

const SYSTEM: [&str; 8] = ["Boolean", "Integer", "Decimal", "String", "Date", "DateTime", "Time", "Quantity"];

pub(super) const fn system_name(value: &System<'_>) -> &'static str {
    match value {
        System::Boolean(_) => "Boolean",
        System::Integer(_) => "Integer",
        System::Decimal(_) => "Decimal",
        System::String(_) => "String",
        System::Temporal(temporal) => match temporal.kind {
            TemporalKind::Date => "Date",
            TemporalKind::DateTime => "DateTime",
            TemporalKind::Time => "Time",
        },
        System::Quantity(_) => "Quantity",
        System::Type(..) => "TypeInfo",
    }
}

/// Whether an item is of a type or of one derived from it.
pub(super) fn is_type(definitions: &Definitions, item: &Item<'_>, name: &TypeName) -> Result<bool, Stop> {
    known(definitions, name)?;
    Ok(match (item, name.namespace.as_deref()) {
        (Item::System(value), None | Some("System")) => system_name(value) == &*name.name,
        (Item::Node(node), None | Some("FHIR")) => node.kind.is_a(definitions, &name.name),
        _ => false,
    })
}

/// The items of a type. A code is no string here, although `is` says so: `value.as(string)` selects a choice.
pub(super) fn cast<'t>(
    definitions: &Definitions,
    items: Vec<Item<'t>>,
    name: &TypeName,
) -> Result<Vec<Item<'t>>, Stop> {
    let mut kept = Vec::with_capacity(items.len());
    known(definitions, name)?;
    for item in items {
        let exact = match &item {
            Item::Node(node) if node.is_primitive() => node.kind.name() == &*name.name,
            _ => true,
        };
        if exact && is_type(definitions, &item, name)? {
            kept.push(item);
        }
    }
    Ok(kept)
}

fn known(definitions: &Definitions, name: &TypeName) -> Result<(), Stop> {
    let fhir = || definitions.type_named(&name.name).is_some() || ABSTRACT.contains(&&*name.name);
    let system = || SYSTEM.contains(&&*name.name);
    let found = match name.namespace.as_deref() {
        Some("System") => return Ok(()),
        Some("FHIR") => fhir(),
        None => fhir() || system(),
        Some(_) => false,
    };
    if found { Ok(()) } else { Err(Stop::Unknown) }
}

const ABSTRACT: [&str; 4] = ["Element", "BackboneElement", "Resource", "DomainResource"];

pub(super) fn type_of<'t>(item: &Item<'t>) -> Item<'t> {
    Item::System(match item {
        Item::System(value) => System::Type("System", system_name(value)),
        Item::Node(node) => {
            let group = node.kind.kind() == TypeKind::Backbone;
            System::Type("FHIR", if group { "BackboneElement" } else { node.kind.name() })
        }
    })
}
