//! Invariants of resources that describe systems: StructureDefinition and its elements, CapabilityStatement, Measure and
//! the like.

use std::borrow::Cow;
use std::collections::HashSet;

use super::focus::{Focus, distinct, has, has_choice, items};
use super::{Native, rule};
use crate::json::Value;

pub(super) const RULES: &[Native] = &[
    rule("cmd-1", |target| target.has("comment") || !target.is_in("equivalence", &["narrower", "inexact"])),
    rule("cmd-2", |unmapped| !unmapped.is("mode", "fixed") || unmapped.has("code")),
    rule("cmd-3", |unmapped| !unmapped.is("mode", "other-map") || unmapped.has("url")),
    rule("cpb-1", |statement| has_any(statement, &["rest", "messaging", "document"])),
    rule("cpb-2", |statement| has_any(statement, &["description", "software", "implementation"])),
    rule("cpb-3", |statement| {
        statement.is("kind", "instance")
            || !statement.each("messaging").any(|messaging| messaging.has("endpoint"))
    }),
    rule("cpb-7", |statement| {
        let mut pairs: Vec<_> = statement
            .each("document")
            .map(|document| {
                let part = |name| document.text(name).unwrap_or_default().into_owned();
                format!("{} {}", part("profile"), part("mode")).into()
            })
            .collect();
        distinct(&mut pairs)
    }),
    rule("cpb-9", |rest| distinct(&mut rest.each("resource").filter_map(|part| part.text("type")).collect())),
    rule("cpb-12", |part| {
        distinct(&mut part.each("searchParam").filter_map(|search| search.text("name")).collect())
    }),
    rule("cpb-14", |statement| !statement.is("kind", "instance") || statement.has("implementation")),
    rule("cpb-15", capability),
    rule("cpb-16", requirements),
    rule("eld-1", |slicing| has_any(slicing, &["discriminator", "description"])),
    rule("eld-4", |kind| !kind.has("aggregation") || kind.is_in("code", &["Reference", "canonical"])),
    rule("eld-5", |element| {
        let single = ["type", "example", "maxLength", "binding"];
        let choices = ["defaultValue", "fixed", "pattern", "minValue", "maxValue"];
        !element.has("contentReference")
            || !(has_any(element, &single) || choices.iter().any(|stem| element.has_choice(stem)))
    }),
    rule("eld-6", |element| !element.has_choice("fixed") || element.count("type") <= 1),
    rule("eld-7", |element| !element.has_choice("pattern") || element.count("type") <= 1),
    rule("eld-8", |element| !element.has_choice("pattern") || !element.has_choice("fixed")),
    rule("eld-11", |element| {
        let coded = ["code", "Coding", "CodeableConcept", "Quantity", "string", "uri"];
        let typed = element.each("type").any(|kind| kind.has("code"));
        !element.has("binding") || !typed || element.each("type").any(|kind| kind.is_in("code", &coded))
    }),
    rule("eld-12", |binding| {
        binding
            .text("valueSet")
            .is_none_or(|url| ["http:", "https", "urn:"].iter().any(|start| url.starts_with(start)))
    }),
    rule("eld-13", |element| {
        distinct(&mut element.each("type").filter_map(|kind| kind.text("code")).collect())
    }),
    rule("eld-14", |element| {
        distinct(&mut element.each("constraint").filter_map(|rule| rule.text("key")).collect())
    }),
    rule("eld-15", |element| !element.has_choice("defaultValue") || !element.has("meaningWhenMissing")),
    rule("eld-16", |element| {
        element.text("sliceName").is_none_or(|name| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_[]@".contains(&byte))
        })
    }),
    rule("eld-17", |kind| !kind.has("targetProfile") || kind.is_in("code", &["Reference", "canonical"])),
    rule("eld-18", |element| !is_true(element.value, "isModifier") || element.has("isModifierReason")),
    rule("eld-19", |element| {
        element.text("path").is_none_or(|path| {
            path.split('.').enumerate().all(|(depth, name)| has_plain_characters(name, depth > 0))
        })
    }),
    rule("eld-20", |element| {
        element
            .text("path")
            .is_none_or(|path| path.split('.').enumerate().all(|(depth, name)| is_simple(name, depth > 0)))
    }),
    rule("eld-2", |element| {
        let (min, max) = (element.number("min"), element.text("max"));
        match (min, max.as_deref().map(str::parse::<f64>)) {
            (Some(min), Some(Ok(max))) => min <= max,
            _ => true,
        }
    }),
    rule("eld-21", |constraint| constraint.has("expression")),
    rule("eld-22", |element| !element.has("sliceIsConstraining") || element.has("sliceName")),
    rule("eld-3", |max| max.value.as_text().is_none_or(|max| max == "*" || max.parse::<u32>().is_ok())),
    rule("ig-1", |guide| {
        let groupings: HashSet<_> =
            guide.each("grouping").filter_map(|grouping| grouping.text("id")).collect();
        guide
            .each("resource")
            .all(|resource| resource.text("groupingId").is_none_or(|id| groupings.contains(&id)))
    }),
    rule("ig-2", |guide| {
        let versions: HashSet<_> = items(guide.value, "fhirVersion").filter_map(Value::as_text).collect();
        let resources = guide.value.get("definition").into_iter().flat_map(|held| items(held, "resource"));
        resources
            .flat_map(|resource| items(resource, "fhirVersion"))
            .filter_map(Value::as_text)
            .all(|version| versions.contains(&version))
    }),
    rule("mea-1", |measure| {
        measure.each("group").flat_map(|group| items(group.value, "stratifier")).all(|stratifier| {
            ["code", "description", "criteria"].iter().any(|name| has(stratifier, name))
                != has(stratifier, "component")
        })
    }),
    rule("mrp-2", |report| {
        let stratifiers = report.each("group").flat_map(|group| items(group.value, "stratifier"));
        stratifiers
            .flat_map(|stratifier| items(stratifier, "stratum"))
            .all(|stratum| has(stratum, "value") != has(stratum, "component"))
    }),
    rule("mrp-1", |report| !report.is("type", "data-collection") || !report.has("group")),
    rule("msq-5", |sequence| sequence.has("chromosome") == sequence.has("genomeBuild")),
    rule("msq-6", |sequence| {
        ["genomeBuild", "referenceSeqId", "referenceSeqPointer", "referenceSeqString"]
            .iter()
            .map(|name| sequence.count(name))
            .sum::<usize>()
            == 1
    }),
    rule("nsd-2", |system| {
        let preferred = system.each("uniqueId").filter(|id| is_true(id.value, "preferred"));
        distinct(&mut preferred.filter_map(|id| id.text("type")).collect())
    }),
    rule("opd-2", |parameter| !parameter.has("searchType") || parameter.is("type", "string")),
    rule("opd-3", |parameter| {
        !parameter.has("targetProfile") || parameter.is_in("type", &["Reference", "canonical"])
    }),
    rule("sdf-1", |definition| {
        definition.is("derivation", "constraint")
            || distinct(
                &mut elements(definition, "snapshot")
                    .filter_map(|element| element.get_text("path"))
                    .collect(),
            )
    }),
    rule("sdf-10", |element| {
        element
            .value
            .get("binding")
            .is_none_or(|binding| binding.get("valueSet").is_some() || binding.get("description").is_some())
    }),
    rule("sdf-11", |definition| {
        let first = elements(definition, "snapshot").next().and_then(|element| element.get_text("path"));
        definition.is("kind", "logical") || first.is_none() || first == definition.text("type")
    }),
    rule("sdf-14", |definition| {
        ["snapshot", "differential"]
            .iter()
            .all(|view| elements(definition, view).all(|element| element.get("id").is_some()))
    }),
    rule("sdf-15", |definition| {
        let first = elements(definition, "snapshot").next();
        definition.is("kind", "logical") || first.is_none_or(|element| element.get("type").is_none())
    }),
    rule("sdf-15a", |definition| {
        let first = elements(definition, "differential").next();
        definition.is("kind", "logical")
            || first.is_none_or(|element| !is_root(&element) || !has(element, "type"))
    }),
    rule("sdf-16", |definition| distinct_ids(definition, "snapshot")),
    rule("sdf-17", |definition| distinct_ids(definition, "differential")),
    rule("sdf-18", |definition| !definition.has("contextInvariant") || definition.is("type", "Extension")),
    rule("sdf-19", |definition| {
        let codes = |view| {
            elements(definition, view)
                .flat_map(|element| items(element, "type"))
                .filter_map(|kind| kind.get_text("code"))
        };
        !is_of_fhir(definition)
            || (codes("differential").all(|code| is_fhir_type(&code, false))
                && codes("snapshot").all(|code| is_fhir_type(&code, true)))
    }),
    rule("sdf-21", |definition| {
        definition.is("derivation", "specialization")
            || !elements(definition, "differential").any(|element| has_choice(element, "defaultValue"))
    }),
    rule("sdf-22", |definition| {
        !is_of_fhir(definition) || !both_views(definition).any(|element| has_choice(element, "defaultValue"))
    }),
    rule("sdf-2", |mapping| has_any(mapping, &["name", "uri"])),
    rule("sdf-20", |differential| {
        items(differential.value, "element").filter(is_root).all(|element| element.get("slicing").is_none())
    }),
    rule("sdf-23", |definition| {
        both_views(definition).filter(is_root).all(|element| element.get("sliceName").is_none())
    }),
    rule("sdf-3", |snapshot| {
        items(snapshot.value, "element")
            .all(|element| ["definition", "min", "max"].iter().all(|name| element.get(name).is_some()))
    }),
    rule("sdf-5", |definition| {
        !definition.is("type", "Extension")
            || definition.is("derivation", "specialization")
            || definition.has("context")
    }),
    rule("sdf-8", |snapshot| {
        let mut paths = items(snapshot.value, "element").map(|element| element.get_text("path"));
        let Some(first) = paths.next().flatten() else { return true };
        let logical = snapshot.resource.get_text("kind").is_some_and(|kind| kind == "logical");
        (logical || snapshot.resource.get_text("type").is_some_and(|kind| kind == first))
            && all_below(paths, &first)
    }),
    rule("sdf-8a", |differential| {
        let mut paths = items(differential.value, "element").map(|element| element.get_text("path"));
        let Some(first) = paths.next().flatten() else { return true };
        let logical = differential.resource.get_text("kind").is_some_and(|kind| kind == "logical");
        let root = first.split('.').next().unwrap_or("");
        (logical || differential.resource.get_text("type").is_some_and(|kind| first.starts_with(&*kind)))
            && all_below(paths, root)
    }),
    rule("sdf-9", |definition| {
        both_views(definition)
            .filter(is_root)
            .all(|element| ["label", "code", "requirements"].iter().all(|name| !has(element, name)))
    }),
    rule("sdf-8b", |snapshot| items(snapshot.value, "element").all(|element| element.get("base").is_some())),
    rule("smp-1", |target| !target.has("element") || target.has("context")),
    rule("smp-2", |target| !target.has("context") || target.has("contextType")),
    rule("tcp-1", |system| {
        system.count("version") <= 1 || system.each("version").all(|version| version.has("code"))
    }),
    rule("tcp-2", |statement| has_any(statement, &["description", "software", "implementation"])),
    rule("tcp-3", |statement| !statement.is("kind", "instance") || statement.has("implementation")),
    rule("tcp-4", capability),
    rule("tcp-5", requirements),
];

fn has_any(focus: &Focus<'_>, names: &[&str]) -> bool {
    names.iter().any(|name| focus.has(name))
}

fn is_true(value: Value<'_>, name: &str) -> bool {
    value.get(name).is_some_and(|held| held.raw() == "true")
}

fn capability(statement: &Focus<'_>) -> bool {
    !statement.is("kind", "capability") || (!statement.has("implementation") && statement.has("software"))
}

fn requirements(statement: &Focus<'_>) -> bool {
    !statement.is("kind", "requirements") || (!statement.has("implementation") && !statement.has("software"))
}

fn elements<'t>(definition: &Focus<'t>, view: &str) -> impl Iterator<Item = Value<'t>> + use<'t> {
    definition.value.get(view).into_iter().flat_map(|view| items(view, "element"))
}

fn distinct_ids(definition: &Focus<'_>, view: &str) -> bool {
    distinct(&mut elements(definition, view).filter_map(|element| element.get_text("id")).collect())
}

fn both_views<'t>(definition: &Focus<'t>) -> impl Iterator<Item = Value<'t>> + use<'t> {
    elements(definition, "snapshot").chain(elements(definition, "differential"))
}

fn is_of_fhir(definition: &Focus<'_>) -> bool {
    definition.text("url").is_some_and(|url| url.starts_with("http://hl7.org/fhir/StructureDefinition"))
}

/// `[a-zA-Z0-9]+`, with dots in a snapshot, or a type of FHIRPath's own.
fn is_fhir_type(code: &str, dots: bool) -> bool {
    let system = code.strip_prefix("http://hl7.org/fhirpath/System.");
    let letters = |name: &str| name.len() > 1 && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || (dots && byte == b'.');
    (!code.is_empty() && code.bytes().all(plain))
        || system
            .is_some_and(|name| letters(name) && name.starts_with(|first: char| first.is_ascii_uppercase()))
}

/// Whether every path goes on from the first one's.
fn all_below<'t>(mut paths: impl Iterator<Item = Option<Cow<'t, str>>>, root: &str) -> bool {
    paths.all(|path| {
        path.is_some_and(|path| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('.')))
    })
}

/// `[^\s.,:;'"/|?!@#$%&*()[\]{}]{1,64}`, below the root also with `[x]` and a slice after a colon.
fn has_plain_characters(name: &str, below: bool) -> bool {
    let (name, slice) = match name.split_once(':') {
        Some((name, slice)) if below => (name, Some(slice)),
        _ => (name, None),
    };
    let name = if below { name.strip_suffix("[x]").unwrap_or(name) } else { name };
    let special = |character: char| character.is_whitespace() || ",:;'\"/|?!@#$%&*()[]{}".contains(character);
    (1..=64).contains(&name.chars().count())
        && !name.contains(special)
        && slice.is_none_or(|slice| !slice.is_empty() && !slice.contains(char::is_whitespace))
}

/// `[A-Za-z][A-Za-z0-9]*`, below the root `[a-z][A-Za-z0-9]*(\[x])?`.
fn is_simple(name: &str, below: bool) -> bool {
    let stem = if below { name.strip_suffix("[x]").unwrap_or(name) } else { name };
    stem.starts_with(
        |first: char| if below { first.is_ascii_lowercase() } else { first.is_ascii_alphabetic() },
    ) && stem.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_root(element: &Value<'_>) -> bool {
    element.get_text("path").is_some_and(|path| !path.contains('.'))
}
