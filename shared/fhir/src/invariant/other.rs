//! Invariants of Questionnaire and of resources that describe systems and terminologies.

use super::focus::{distinct, items};
use super::{Focus, Native, rule};

pub(super) const RULES: &[Native] = &[
    rule("csd-1", |system| {
        let mut codes = Vec::new();
        let mut stack: Vec<_> = items(system.value, "concept").collect();
        while let Some(concept) = stack.pop() {
            codes.extend(concept.get_text("code"));
            stack.extend(items(concept, "concept"));
        }
        distinct(&mut codes)
    }),
    rule("md-1", |focus| {
        focus.is("max", "*")
            || focus.text("max").is_some_and(|max| max.parse::<u32>().is_ok_and(|max| max > 0))
    }),
    rule("msq-3", |sequence| {
        sequence.number("coordinateSystem").is_none_or(|value| value == 0.0 || value == 1.0)
    }),
    rule("nsd-1", |system| {
        !system.is("kind", "root") || !system.each("uniqueId").any(|id| id.is("type", "uuid"))
    }),
    rule("opd-1", |parameter| parameter.has("type") || parameter.has("part")),
    rule("que-1", |item| {
        (!item.is("type", "group") || item.has("item")) && (!item.is("type", "display") || !item.has("item"))
    }),
    rule("que-2", |questionnaire| {
        let mut links = Vec::new();
        let mut stack: Vec<_> = items(questionnaire.value, "item").collect();
        while let Some(item) = stack.pop() {
            links.extend(item.get_text("linkId"));
            stack.extend(items(item, "item"));
        }
        distinct(&mut links)
    }),
    rule("que-3", |item| !item.is("type", "display") || !item.has("code")),
    rule("que-4", |item| !item.has("answerOption") || !item.has("answerValueSet")),
    rule("que-5", |item| {
        let typed =
            ["choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity"];
        item.is_in("type", &typed) || (!item.has("answerValueSet") && !item.has("answerOption"))
    }),
    rule("que-6", |item| !item.is("type", "display") || !(item.has("required") || item.has("repeats"))),
    rule("que-7", |when| !when.is("operator", "exists") || when.has("answerBoolean")),
    rule("que-8", |item| !item.is_in("type", &["group", "display"]) || !item.has("initial")),
    rule("que-9", |item| !item.is("type", "display") || !item.has("readOnly")),
    rule("que-10", |item| {
        let simple = ["boolean", "decimal", "integer", "string", "text", "url", "open-choice"];
        item.is_in("type", &simple) || !item.has("maxLength")
    }),
    rule("que-11", |item| !item.has("answerOption") || !item.has("initial")),
    // The published expression lets two conditions pass; its description, and later releases, do not.
    rule("que-12", |item| item.count("enableWhen") <= 1 || item.has("enableBehavior")),
    rule("que-13", |item| {
        item.count("initial") <= 1 || item.value.get("repeats").is_some_and(|repeats| repeats.raw() == "true")
    }),
    rule("sdf-4", |definition| {
        definition.value.get("abstract").is_some_and(|is_abstract| is_abstract.raw() == "true")
            || definition.has("baseDefinition")
    }),
    rule("sdf-6", |definition| definition.has("snapshot") || definition.has("differential")),
    rule("spd-1", |parameter| !parameter.has("xpath") || parameter.has("xpathUsage")),
    rule("spd-2", |parameter| !parameter.has("chain") || parameter.is("type", "reference")),
    rule("vsd-1", |include| include.has("valueSet") || include.has("system")),
    rule("vsd-2", |include| !(include.has("concept") || include.has("filter")) || include.has("system")),
    rule("vsd-3", |include| !include.has("concept") || !include.has("filter")),
    rule("vsd-6", |contains| contains.has("code") || contains.has("display")),
    rule("vsd-9", |contains| {
        contains.has("code")
            || contains.value.get("abstract").is_some_and(|is_abstract| is_abstract.raw() == "true")
    }),
    rule("vsd-10", |contains| !contains.has("code") || contains.has("system")),
];

/// `[A-Z]([A-Za-z0-9_]){0,254}`; a name that is absent is left to the cardinality.
pub(super) fn computable_name(resource: &Focus<'_>) -> bool {
    resource.text("name").is_none_or(|name| {
        name.starts_with(|first: char| first.is_ascii_uppercase())
            && name.len() <= 255
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}
