//! What a check sees: an element and the resource around it.

use std::borrow::Cow;

use crate::json::{Kind, Value};

/// An element that is present, and its resource.
#[derive(Clone, Copy)]
pub(crate) struct Focus<'t> {
    pub(crate) value: Value<'t>,
    pub(crate) resource: Value<'t>,
}

impl<'t> Focus<'t> {
    /// Whether an element exists, with a value or with extensions only.
    pub(crate) fn has(&self, name: &str) -> bool {
        has(self.value, name)
    }

    /// Whether any type of a choice element exists.
    pub(crate) fn has_choice(&self, stem: &str) -> bool {
        has_choice(self.value, stem)
    }

    pub(crate) fn text(&self, name: &str) -> Option<Cow<'t, str>> {
        self.value.get_text(name)
    }

    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.text(name).is_some_and(|text| text == value)
    }

    pub(crate) fn is_in(&self, name: &str, values: &[&str]) -> bool {
        self.text(name).is_some_and(|text| values.contains(&&*text))
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        number(self.value.get(name)?)
    }

    /// The elements of a repeating child.
    pub(crate) fn each(&self, name: &str) -> impl Iterator<Item = Focus<'t>> + use<'t> {
        let resource = self.resource;
        items(self.value, name).map(move |value| Focus { value, resource })
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        items(self.value, name).count()
    }

    /// Whether a CodeableConcept (or a list of them) has a coding of that system with one of the codes.
    pub(crate) fn has_coding(&self, name: &str, system: &str, codes: &[&str]) -> bool {
        items(self.value, name).flat_map(|concept| items(concept, "coding")).any(|coding| {
            coding.get_text("system").is_some_and(|text| text == system)
                && coding.get_text("code").is_some_and(|text| codes.contains(&&*text))
        })
    }
}

pub(crate) fn has(value: Value<'_>, name: &str) -> bool {
    value.members().any(|(key, member)| {
        let key = key.text();
        (key == name || key.strip_prefix('_') == Some(name)) && member.kind() != Kind::Null
    })
}

pub(crate) fn has_choice(value: Value<'_>, stem: &str) -> bool {
    value.members().any(|(key, _)| {
        let name = key.text();
        let kind = name.strip_prefix('_').unwrap_or(&name).strip_prefix(stem);
        kind.is_some_and(|kind| kind.starts_with(|first: char| first.is_ascii_uppercase()))
    })
}

/// A child as a list: its items if it is one, itself if it is single.
pub(crate) fn items<'t>(value: Value<'t>, name: &str) -> impl Iterator<Item = Value<'t>> + use<'t> {
    let child = value.get(name);
    let single = child.filter(|child| child.kind() != Kind::Array);
    child.into_iter().flat_map(Value::items).chain(single)
}

pub(crate) fn number(value: Value<'_>) -> Option<f64> {
    (value.kind() == Kind::Number).then(|| value.raw().parse().ok()).flatten()
}

/// The same text for objects of texts that are equal as FHIRPath's `=` sees them, members in any order.
pub(crate) fn canonical(value: Value<'_>) -> String {
    let mut members: Vec<String> =
        value.members().map(|(key, member)| format!("{:?}:{:?}", key.text(), member.text())).collect();
    members.sort_unstable();
    members.join(",")
}

/// Whether no two values are equal.
pub(crate) fn distinct(values: &mut Vec<Cow<'_, str>>) -> bool {
    values.sort_unstable();
    values.windows(2).all(|pair| matches!(pair, [left, right] if left != right))
}
