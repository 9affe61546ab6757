//! Invariants of resources that describe systems: StructureDefinition and its elements, CapabilityStatement,
//! TestScript and the like.

use super::focus::{Focus, distinct, items};
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
    rule("eld-17", |kind| !kind.has("targetProfile") || kind.is_in("code", &["Reference", "canonical"])),
    rule("eld-18", |element| !is_true(element.value, "isModifier") || element.has("isModifierReason")),
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
    rule("sdf-16", |definition| distinct_ids(definition, "snapshot")),
    rule("sdf-17", |definition| distinct_ids(definition, "differential")),
    rule("sdf-18", |definition| !definition.has("contextInvariant") || definition.is("type", "Extension")),
    rule("sdf-2", |mapping| has_any(mapping, &["name", "uri"])),
    rule("sdf-20", |differential| {
        items(differential.value, "element").filter(is_root).all(|element| element.get("slicing").is_none())
    }),
    rule("sdf-23", |definition| {
        let views = ["snapshot", "differential"];
        views.iter().all(|view| {
            elements(definition, view).filter(is_root).all(|element| element.get("sliceName").is_none())
        })
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
    rule("tst-1", |action| action.has("operation") != action.has("assert")),
    rule("tst-2", |action| action.has("operation") != action.has("assert")),
    rule("tst-3", |variable| {
        ["expression", "headerField", "path"].iter().filter(|name| variable.has(name)).count() <= 1
    }),
    rule("tst-4", |capability| has_any(capability, &["required", "validated"])),
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

fn is_root(element: &Value<'_>) -> bool {
    element.get_text("path").is_some_and(|path| !path.contains('.'))
}

#[cfg(test)]
mod tests {
    use crate::{ErrorCode, Validator};

    /// The rules broken by a resource.
    fn broken(json: &str) -> Vec<&'static str> {
        let outcome = Validator::r4().validate(json.as_bytes());
        let rules = outcome.errors().filter(|issue| issue.error == ErrorCode::Invariant);
        rules.filter_map(|issue| issue.invariant).collect()
    }

    fn structure(differential: &str) -> String {
        format!(
            r#"{{"resourceType":"StructureDefinition","url":"http://a.b/c","name":"C","status":"draft","kind":"resource",
            "abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient",
            "derivation":"constraint","differential":{{"element":[{differential}]}}}}"#
        )
    }

    #[test]
    fn structure_definitions() {
        assert_eq!(broken(&structure(r#"{"id":"Patient","path":"Patient"}"#)), Vec::<&str>::new());
        for (element, rule) in [
            (r#"{"path":"Patient"}"#, "sdf-14"),
            (r#"{"id":"a","path":"Patient"},{"id":"a","path":"Patient.name"}"#, "sdf-17"),
            (r#"{"id":"a","path":"Patient","sliceName":"x"}"#, "sdf-23"),
            (r#"{"id":"a","path":"Patient","slicing":{"rules":"open","description":"x"}}"#, "sdf-20"),
            (r#"{"id":"a","path":"Patient.name","slicing":{"rules":"open"}}"#, "eld-1"),
            (r#"{"id":"a","path":"Patient.name","min":2,"max":"1"}"#, "eld-2"),
            (r#"{"id":"a","path":"Patient.name","max":"many"}"#, "eld-3"),
            (r#"{"id":"a","path":"Patient.name","type":[{"code":"A"},{"code":"A"}]}"#, "eld-13"),
            (r#"{"id":"a","path":"Patient.name","isModifier":true}"#, "eld-18"),
            (r#"{"id":"a","path":"Patient.name","fixedString":"x","patternString":"x"}"#, "eld-8"),
            (
                r#"{"id":"a","path":"Patient.name","binding":{"strength":"required","valueSet":"ftp:x"}}"#,
                "eld-12",
            ),
        ] {
            assert_eq!(broken(&structure(element)), [rule], "{element}");
        }
    }

    #[test]
    fn statements_of_capability() {
        let statement = |rest: &str| {
            format!(
                r#"{{"resourceType":"CapabilityStatement","status":"draft","date":"2024","fhirVersion":"4.0.1",
                "format":["json"],{rest}}}"#
            )
        };
        let rest = r#""rest":[{"mode":"server"}]"#;
        assert_eq!(
            broken(&statement(&format!(r#""kind":"requirements","description":"x",{rest}"#))),
            [""; 0]
        );
        assert_eq!(broken(&statement(&format!(r#""kind":"instance","description":"x",{rest}"#))), ["cpb-14"]);
        assert_eq!(broken(&statement(&format!(r#""kind":"requirements",{rest}"#))), ["cpb-2"]);
        assert_eq!(broken(&statement(r#""kind":"requirements","description":"x""#)), ["cpb-1"]);
    }
}
