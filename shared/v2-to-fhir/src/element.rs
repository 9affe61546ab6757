//! Places in a FHIR resource.

use std::ops::Range;

use crate::time;
use crate::value::{Map, Value};

/// A place in a resource: `name[].given[]`, `ext:patient-religion.valueCodeableConcept`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) steps: Vec<Step>,
}

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// `name`: the only one; and the choice (`value[x]`) that it is a type of, where rows fill more than one.
    One(&'static str, Option<&'static str>),
    /// `name[]`: another one.
    Append(&'static str),
    /// `name[0]`: that one.
    At(&'static str, usize),
    /// `ext:slug`, `ext(url)`: the extension of that URL; with `[]` another of that URL.
    Extension(&'static str, bool),
}

const EXTENSION_ROOT: &str = "http://hl7.org/fhir/StructureDefinition/";

impl Path {
    pub(crate) fn parse(text: &'static str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (step, after) = if let Some(tail) = rest.strip_prefix("ext(") {
                let close = tail.find(')').ok_or_else(|| format!("unclosed ext( in {text}"))?;
                let (append, after) = appended(&tail[close + 1..]);
                (Step::Extension(&tail[..close], append), after)
            } else {
                let end = rest.find('.').unwrap_or(rest.len());
                (step(&rest[..end], text)?, &rest[end..])
            };
            steps.push(step);
            rest = after.strip_prefix('.').unwrap_or(after);
        }
        if steps.is_empty() { Err("empty element path".into()) } else { Ok(Self { steps }) }
    }

    /// The element of the resource itself that the path begins at.
    pub(crate) fn element(&self) -> &'static str {
        match self.steps.first() {
            Some(Step::One(name, _) | Step::Append(name) | Step::At(name, _)) => name,
            Some(Step::Extension(..)) => "extension",
            None => "",
        }
    }

    /// Whether the leaf is `[]` or `[n]`.
    fn last_append(&self) -> Option<usize> {
        self.steps.iter().rposition(|s| matches!(s, Step::Append(_) | Step::Extension(_, true)))
    }
}

fn appended(text: &'static str) -> (bool, &'static str) {
    text.strip_prefix("[]").map_or((false, text), |rest| (true, rest))
}

fn step(text: &'static str, whole: &str) -> Result<Step, String> {
    if let Some(slug) = text.strip_prefix("ext:") {
        let (append, slug) = slug.strip_suffix("[]").map_or((false, slug), |s| (true, s));
        // Read once for the life of the process.
        return Ok(Step::Extension(format!("{EXTENSION_ROOT}{slug}").leak(), append));
    }
    if let Some(name) = text.strip_suffix("[]") {
        return Ok(Step::Append(name));
    }
    if let Some((name, index)) = text.strip_suffix(']').and_then(|t| t.split_once('[')) {
        return index.parse().map(|i| Step::At(name, i)).map_err(|_| format!("bad index in {whole}"));
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(format!("bad element {text:?} in {whole}"));
    }
    Ok(Step::One(text, CHOICES.into_iter().find(|choice| is_type_of(text, choice))))
}

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    Yes,
    /// In the place of another value.
    Replaced,
    /// The element takes one value and holds another.
    Taken,
    /// The period would end before it begins, or the range above its high.
    OutOfOrder,
}

/// A value that stands beside another.
#[derive(Debug)]
pub(crate) struct Aside {
    pub(crate) path: &'static Path,
    pub(crate) value: Value,
    /// Which marks say what of the message it holds.
    pub(crate) marks: Range<usize>,
    /// Whether there was a place for it.
    pub(crate) placed: bool,
}

impl Aside {
    pub(crate) fn put(&mut self, root: &mut Map, overwrite: bool) {
        let placed = place(root, self.path, std::mem::take(&mut self.value), &mut [], overwrite);
        self.placed = matches!(placed, Placed::Yes | Placed::Replaced);
    }
}

/// Puts `leaf` at `path` and `extras` beside it: in the new list item, if the path makes one, else in the leaf, else in
/// `root`.
pub(crate) fn place(
    root: &mut Map,
    path: &Path,
    mut leaf: Value,
    extras: &mut [Aside],
    overwrite: bool,
) -> Placed {
    let Some(at) = path.last_append() else {
        let within = leaf.is_object();
        if !extras.is_empty()
            && let Some(object) = leaf.as_object_mut()
        {
            extras.iter_mut().for_each(|extra| extra.put(object, false));
        }
        let placed = set(root, &path.steps, leaf, overwrite);
        if !within && matches!(placed, Placed::Yes | Placed::Replaced) {
            // A constant beside a value may be there already, from the row before.
            extras.iter_mut().for_each(|extra| extra.put(root, overwrite));
        }
        return placed;
    };
    let rest = &path.steps[at + 1..];
    let mut item = if rest.is_empty() {
        leaf
    } else {
        let mut object = Map::with_capacity(4);
        if let Step::Extension(url, _) = &path.steps[at] {
            object.add("url", Value::from(*url));
        }
        set(&mut object, rest, leaf, false);
        Value::Object(object)
    };
    if !extras.is_empty()
        && let Some(object) = item.as_object_mut()
    {
        extras.iter_mut().for_each(|extra| extra.put(object, false));
    }
    let Some(parent) = descend(root, &path.steps[..at]) else { return Placed::Taken };
    let name = match &path.steps[at] {
        Step::Append(name) | Step::One(name, _) | Step::At(name, _) => name,
        Step::Extension(..) => "extension",
    };
    push(parent, name, item)
}

/// Appends to a list element, unless an equal item is there.
pub(crate) fn push(parent: &mut Map, name: &'static str, item: Value) -> Placed {
    match parent.entry(name).or_insert_with(|| Value::Array(Vec::with_capacity(2))) {
        Value::Array(list) => {
            if !list.contains(&item) {
                list.push(item);
            }
            Placed::Yes
        }
        _ => Placed::Taken,
    }
}

/// Appends an item that cannot be there yet to the list at `path`, without looking for it; false if `path` is not the
/// list of an element of `root` itself.
pub(crate) fn push_new(root: &mut Map, path: &Path, item: &Value) -> bool {
    let [Step::Append(name)] = path.steps.as_slice() else { return false };
    match root.entry(name).or_insert_with(|| Value::Array(Vec::with_capacity(2))) {
        Value::Array(list) => {
            list.push(item.clone());
            true
        }
        _ => false,
    }
}

/// Adds an item to a list that does not hold it.
pub(crate) fn push_once(root: &mut Map, name: &'static str, item: Value) {
    match root.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(list) if !list.contains(&item) => list.push(item),
        _ => {}
    }
}

/// Choice elements (`value[x]`) that rows fill by more than one type; FHIR takes one.
const CHOICES: [&str; 10] = [
    "bounds",
    "collected",
    "deceased",
    "dose",
    "effective",
    "medication",
    "multipleBirth",
    "occurrence",
    "onset",
    "performed",
];

fn is_type_of(name: &str, choice: &str) -> bool {
    name.strip_prefix(choice).is_some_and(|kind| kind.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// Whether another type of the same choice is there.
fn chosen(parent: &Map, name: &str, choice: Option<&str>) -> bool {
    choice.is_some_and(|choice| parent.keys().any(|key| key != name && is_type_of(key, choice)))
}

/// Whether a start or end would turn its period round (FHIR 4.0.1, per-1), or a low or high its range (rng-2).
fn out_of_order(parent: &Map, name: &str, leaf: &Value) -> bool {
    let held = |name: &str| parent.get(name).and_then(Value::as_str);
    match (name, leaf.as_str()) {
        ("start", Some(start)) => held("end").is_some_and(|end| !time::in_order(start, end)),
        ("end", Some(end)) => held("start").is_some_and(|start| !time::in_order(start, end)),
        ("low", None) => parent.get("high").is_some_and(|high| above(leaf, high)),
        ("high", None) => parent.get("low").is_some_and(|low| above(low, leaf)),
        _ => false,
    }
}

/// Whether one quantity is greater than another of the same unit.
pub(crate) fn above(low: &Value, high: &Value) -> bool {
    let number = |quantity: &Value| quantity.get("value").and_then(Value::as_f64);
    number(low).zip(number(high)).is_some_and(|(low, high)| low > high)
}

fn descend<'v>(root: &'v mut Map, steps: &[Step]) -> Option<&'v mut Map> {
    let mut here = root;
    for step in steps {
        if matches!(step, Step::One(name, choice) if chosen(here, name, *choice)) {
            return None;
        }
        let next = match step {
            Step::One(name, _) => here.entry(name).or_insert_with(|| Value::Object(Map::with_capacity(4))),
            Step::Append(name) => {
                let list =
                    here.entry(name).or_insert_with(|| Value::Array(Vec::with_capacity(2))).as_array_mut()?;
                list.push(Value::Object(Map::with_capacity(4)));
                list.last_mut()?
            }
            Step::At(name, index) => {
                let list =
                    here.entry(name).or_insert_with(|| Value::Array(Vec::with_capacity(2))).as_array_mut()?;
                if *index == list.len() {
                    list.push(Value::Object(Map::with_capacity(4)));
                }
                list.get_mut(*index)?
            }
            Step::Extension(url, _) => {
                let list = here
                    .entry("extension")
                    .or_insert_with(|| Value::Array(Vec::with_capacity(2)))
                    .as_array_mut()?;
                let at = list.iter().position(|e| e.get("url").and_then(Value::as_str) == Some(*url));
                let at = at.unwrap_or_else(|| {
                    let mut extension = Map::with_capacity(4);
                    extension.add("url", Value::from(*url));
                    list.push(Value::Object(extension));
                    list.len() - 1
                });
                list.get_mut(at)?
            }
        };
        here = next.as_object_mut()?;
    }
    Some(here)
}

fn set(root: &mut Map, steps: &[Step], leaf: Value, overwrite: bool) -> Placed {
    let Some((last, parents)) = steps.split_last() else { return Placed::Taken };
    let Some(parent) = descend(root, parents) else { return Placed::Taken };
    match last {
        Step::One(name, choice) if chosen(parent, name, *choice) => Placed::Taken,
        Step::One(name, _) if out_of_order(parent, name, &leaf) => Placed::OutOfOrder,
        Step::One(name, _) => match parent.get_mut(name) {
            Some(existing) if *existing == leaf => Placed::Yes,
            Some(existing) if overwrite => {
                *existing = leaf;
                Placed::Replaced
            }
            // Two rows may each know part of one element: a Quantity's value and its unit.
            Some(existing) => merge(existing, leaf),
            None => {
                parent.add(name, leaf);
                Placed::Yes
            }
        },
        Step::At(name, index) => {
            let list = parent.entry(name).or_insert_with(|| Value::Array(Vec::with_capacity(2)));
            match list.as_array_mut() {
                Some(list) if *index == list.len() => {
                    list.push(leaf);
                    Placed::Yes
                }
                Some(list) if list.get(*index) == Some(&leaf) => Placed::Yes,
                _ => Placed::Taken,
            }
        }
        Step::Append(name) => push(parent, name, leaf),
        Step::Extension(..) => Placed::Taken,
    }
}

/// Adds what another object knows of the same thing: elements that are not there, items of lists that are not there
/// yet, what an object within has more. The answer names the elements that hold another value and keep it.
pub(crate) fn join(held: &mut Map, more: Map) -> Vec<&'static str> {
    let mut differ = Vec::new();
    for (name, value) in more {
        match (held.get_mut(name), value) {
            (None, value) => held.add(name, value),
            (Some(there), value) if *there == value => {}
            (Some(Value::Array(list)), Value::Array(items)) => {
                items.into_iter().for_each(|item| join_item(list, item))
            }
            (Some(there), value) => {
                if merge(there, value) != Placed::Yes {
                    differ.push(name);
                }
            }
        }
    }
    differ
}

/// Adds an item to a list, unless one says the same and more; one that says less makes room for it.
fn join_item(list: &mut Vec<Value>, item: Value) {
    if list.iter().any(|held| says(held, &item)) {
        return;
    }
    match list.iter_mut().find(|held| says(&item, held)) {
        Some(held) => *held = item,
        None => list.push(item),
    }
}

/// Whether a value says all that another says.
fn says(more: &Value, less: &Value) -> bool {
    match (more.plain(), less.plain()) {
        (Value::Object(more), Value::Object(less)) => {
            less.iter().all(|(name, value)| more.get(name).is_some_and(|there| says(there, value)))
        }
        (Value::Array(more), Value::Array(less)) => {
            more.len() >= less.len() && less.iter().all(|value| more.iter().any(|there| says(there, value)))
        }
        _ => more == less,
    }
}

/// Adds what another object has more; nothing if both have an element and differ in it.
fn merge(existing: &mut Value, mut more: Value) -> Placed {
    let (Some(existing), Some(more)) = (existing.as_object_mut(), more.as_object_mut()) else {
        return Placed::Taken;
    };
    if more.iter().any(|(key, value)| existing.get(key).is_some_and(|held| held != value)) {
        return Placed::Taken;
    }
    existing.append(more);
    Placed::Yes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json;

    fn at(path: &'static str) -> Path {
        Path::parse(path).unwrap()
    }

    #[test]
    fn items_carry_what_stands_beside_them() {
        let mut root = Map::new();
        let kind = Box::leak(Box::new(at("type[]")));
        for reference in ["a", "b"] {
            let value = json!({"text": "attender"});
            let mut extras = [Aside { path: kind, value, marks: 0..0, placed: false }];
            place(
                &mut root,
                &at("participant[].individual"),
                json!({"reference": reference}),
                &mut extras,
                false,
            );
            assert!(extras[0].placed);
        }
        assert_eq!(root.get("participant").and_then(Value::as_array).map(Vec::len), Some(2));
        let root = Value::Object(root);
        assert_eq!(root.pointer("/participant/1/type"), Some(&json!([{"text": "attender"}])));
    }

    #[test]
    fn what_has_no_place_beside_a_value_is_said() {
        let path: &'static Path = Box::leak(Box::new(at("name")));
        let extra = |value: &'static str| Aside { path, value: json!(value), marks: 0..0, placed: false };
        let mut extras = [extra("one"), extra("two")];
        place(&mut Map::new(), &at("class[].value"), json!("x"), &mut extras, false);
        assert_eq!(extras.map(|extra| extra.placed), [true, false]);
    }

    #[test]
    fn what_is_known_of_one_thing_comes_together() {
        let Value::Object(mut held) =
            json!({"name": "A", "identifier": [{"value": "1"}], "period": {"start": "2020"}})
        else {
            unreachable!("it is an object")
        };
        let Value::Object(more) = json!({
            "name": "B", "identifier": [{"value": "1", "use": "usual"}, {"value": "2"}], "active": true,
            "period": {"end": "2021"},
        }) else {
            unreachable!("it is an object")
        };
        assert_eq!(join(&mut held, more.clone()), ["name"]);
        let both = json!({
            "name": "A", "identifier": [{"value": "1", "use": "usual"}, {"value": "2"}], "active": true,
            "period": {"start": "2020", "end": "2021"},
        });
        assert_eq!(Value::Object(held.clone()), both);
        assert_eq!(join(&mut held, more), ["name"]);
        assert_eq!(Value::Object(held), both);
    }

    #[test]
    fn extensions_are_found_again() {
        let mut root = Map::new();
        place(
            &mut root,
            &at("_birthDate.ext:patient-birthTime.valueDateTime"),
            json!("1980"),
            &mut [],
            false,
        );
        place(&mut root, &at("ext(urn:a.b).valueString"), json!("x"), &mut [], false);
        place(&mut root, &at("ext(urn:a.b)[].valueString"), json!("y"), &mut [], false);
        assert_eq!(root.get("extension").and_then(Value::as_array).map(Vec::len), Some(2));
        let root = Value::Object(root);
        let time = root.pointer("/_birthDate/extension/0/valueDateTime");
        assert_eq!(time.and_then(Value::as_str), Some("1980"));
    }

    #[test]
    fn one_type_of_a_choice() {
        let mut root = Map::new();
        place(&mut root, &at("effectiveDateTime"), json!("2020"), &mut [], false);
        assert_eq!(
            place(&mut root, &at("effectivePeriod.start"), json!("2020"), &mut [], false),
            Placed::Taken
        );
        assert_eq!(root.len(), 1);
    }

    #[test]
    fn a_range_is_not_turned_round() {
        let mut root = Map::new();
        place(&mut root, &at("doseRange.low"), json!({"value": 2}), &mut [], false);
        let high =
            |value| place(&mut root.clone(), &at("doseRange.high"), json!({"value": value}), &mut [], false);
        assert_eq!(high(1), Placed::OutOfOrder);
        assert_eq!(high(2), Placed::Yes);
        assert_eq!(high(10), Placed::Yes);
    }

    #[test]
    fn one_value_stays() {
        let mut root = Map::new();
        assert_eq!(place(&mut root, &at("status"), json!("final"), &mut [], false), Placed::Yes);
        assert_eq!(place(&mut root, &at("status"), json!("final"), &mut [], false), Placed::Yes);
        assert_eq!(place(&mut root, &at("status"), json!("other"), &mut [], false), Placed::Taken);
        assert_eq!(place(&mut root, &at("status"), json!("other"), &mut [], true), Placed::Replaced);
        assert_eq!(place(&mut root, &at("status.deeper"), json!(1), &mut [], false), Placed::Taken);
    }
}
