//! Value sets and code systems of packages: whether a code is in a set, as far as that can be known here.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::compile::{list, text, unversioned};
use crate::definitions::{Definitions, ValueSet};

/// How deep value sets may include one another.
const MAX_DEPTH: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Terminology {
    sets: HashMap<String, Set>,
    systems: HashMap<String, System>,
}

/// The composition of a value set.
#[derive(Debug)]
struct Set {
    title: String,
    includes: Vec<Part>,
    excludes: Vec<Part>,
}

/// An include or exclude.
#[derive(Debug)]
struct Part {
    system: Option<String>,
    /// The codes that are listed; None for all of the system that pass the filters.
    codes: Option<HashSet<String>>,
    filters: Vec<Filter>,
    /// The code is in each of these too.
    sets: Vec<String>,
}

#[derive(Debug)]
struct Filter {
    property: String,
    op: String,
    value: String,
}

#[derive(Debug)]
struct System {
    /// Whether all its codes are listed.
    complete: bool,
    case_sensitive: bool,
    concepts: HashMap<String, Concept>,
}

#[derive(Debug, Default)]
struct Concept {
    parents: Vec<String>,
    properties: Vec<(String, String)>,
}

impl Terminology {
    pub(super) fn add_set(&mut self, resource: &Value) {
        let parts = |member: &str| {
            resource
                .get("compose")
                .map_or(&[][..], |compose| list(compose, member))
                .iter()
                .map(Part::of)
                .collect()
        };
        let mut includes: Vec<Part> = parts("include");
        if includes.is_empty()
            && let Some(expansion) = resource.get("expansion")
        {
            includes = expanded(list(expansion, "contains"));
        }
        let title = [text(resource, "title"), text(resource, "name"), text(resource, "id")];
        let title = title.into_iter().find(|title| !title.is_empty()).unwrap_or("").to_owned();
        let set = Set { title, includes, excludes: parts("exclude") };
        self.sets.insert(text(resource, "url").to_owned(), set);
    }

    pub(super) fn add_system(&mut self, resource: &Value) {
        let mut concepts = HashMap::new();
        flatten(list(resource, "concept"), None, &mut concepts);
        let system = System {
            complete: text(resource, "content") == "complete",
            case_sensitive: resource.get("caseSensitive").and_then(Value::as_bool).unwrap_or(true),
            concepts,
        };
        self.systems.insert(text(resource, "url").to_owned(), system);
    }
}

impl Part {
    fn of(part: &Value) -> Self {
        let concepts = list(part, "concept");
        let codes = concepts.iter().map(|concept| text(concept, "code").to_owned()).collect();
        let filter = |filter: &Value| Filter {
            property: text(filter, "property").to_owned(),
            op: text(filter, "op").to_owned(),
            value: text(filter, "value").to_owned(),
        };
        let sets = list(part, "valueSet").iter().filter_map(Value::as_str);
        Self {
            system: Some(text(part, "system")).filter(|system| !system.is_empty()).map(str::to_owned),
            codes: (!concepts.is_empty()).then_some(codes),
            filters: list(part, "filter").iter().map(filter).collect(),
            sets: sets.map(|url| unversioned(url).to_owned()).collect(),
        }
    }
}

/// The codes of an expansion by system.
fn expanded(contains: &[Value]) -> Vec<Part> {
    let mut by_system: HashMap<String, HashSet<String>> = HashMap::new();
    let mut open: Vec<&Value> = contains.iter().collect();
    while let Some(entry) = open.pop() {
        if entry.get("abstract").and_then(Value::as_bool) != Some(true) && !text(entry, "code").is_empty() {
            by_system
                .entry(text(entry, "system").to_owned())
                .or_default()
                .insert(text(entry, "code").to_owned());
        }
        open.extend(list(entry, "contains"));
    }
    let part = |(system, codes)| Part {
        system: Some(system),
        codes: Some(codes),
        filters: Vec::new(),
        sets: Vec::new(),
    };
    by_system.into_iter().map(part).collect()
}

fn flatten(concepts: &[Value], parent: Option<&str>, into: &mut HashMap<String, Concept>) {
    // Depth is that of a JSON text that was read, so it is bounded.
    for given in concepts {
        let mut concept =
            Concept { parents: parent.iter().map(|&code| code.to_owned()).collect(), ..Concept::default() };
        for property in list(given, "property") {
            let value = property.as_object().and_then(|members| {
                members.iter().find(|(name, _)| name.starts_with("value")).map(|(_, value)| value)
            });
            let value = value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            match (text(property, "code"), value) {
                ("parent" | "subsumedBy", Some(value)) => concept.parents.push(value),
                (name, Some(value)) => concept.properties.push((name.to_owned(), value)),
                _ => {}
            }
        }
        let code = text(given, "code");
        flatten(list(given, "concept"), Some(code), into);
        into.insert(code.to_owned(), concept);
    }
}

impl System {
    fn has(&self, code: &str) -> Option<bool> {
        let found = self.concepts.contains_key(code)
            || (!self.case_sensitive && self.concepts.keys().any(|known| known.eq_ignore_ascii_case(code)));
        (found || self.complete).then_some(found)
    }

    /// None for filters that only a terminology server evaluates.
    fn passes(&self, code: &str, filter: &Filter) -> Option<bool> {
        let concept = self.concepts.get(code)?;
        match filter.op.as_str() {
            "is-a" => Some(self.is_below(code, &filter.value)),
            "descendent-of" => Some(code != filter.value && self.is_below(code, &filter.value)),
            "is-not-a" => Some(!self.is_below(code, &filter.value)),
            "=" => Some(
                concept
                    .properties
                    .iter()
                    .any(|(name, value)| *name == filter.property && *value == filter.value),
            ),
            "in" => Some(concept.properties.iter().any(|(name, value)| {
                *name == filter.property && filter.value.split(',').any(|one| one.trim() == value)
            })),
            _ => None,
        }
    }

    fn is_below(&self, code: &str, ancestor: &str) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![code];
        while let Some(code) = open.pop() {
            if code == ancestor {
                return true;
            }
            if seen.insert(code)
                && let Some(concept) = self.concepts.get(code)
            {
                open.extend(concept.parents.iter().map(String::as_str));
            }
        }
        false
    }
}

/// All terminology at hand: that of packages, and that of R4.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'k> {
    pub(super) layers: [Option<&'k Terminology>; 2],
    pub(super) definitions: &'k Definitions,
}

impl<'k> Known<'k> {
    fn set(&self, url: &str) -> Option<&'k Set> {
        self.layers.iter().flatten().find_map(|layer| layer.sets.get(url))
    }

    fn system(&self, url: &str) -> Option<&'k System> {
        self.layers.iter().flatten().find_map(|layer| layer.systems.get(url))
    }

    fn of_r4(&self, url: &str) -> Option<&'k ValueSet> {
        self.definitions.value_sets.iter().find(|set| set.url == url)
    }

    /// Whether a code is in a value set. Without a system the code alone decides. None where that cannot be known here.
    pub(super) fn member(&self, url: &str, system: Option<&str>, code: &str) -> Option<bool> {
        self.in_set(unversioned(url), system, code, 0)
    }

    fn in_set(&self, url: &str, system: Option<&str>, code: &str, depth: usize) -> Option<bool> {
        if depth > MAX_DEPTH {
            return None;
        }
        let Some(set) = self.set(url) else {
            let set = self.of_r4(url)?;
            return match system {
                Some(system) => set.has_coding(system, code),
                None => set.has_code(code),
            };
        };
        let any = |parts: &[Part]| {
            let mut certain = true;
            for part in parts {
                match self.in_part(part, system, code, depth) {
                    Some(true) => return Some(true),
                    Some(false) => {}
                    None => certain = false,
                }
            }
            certain.then_some(false)
        };
        match any(&set.includes) {
            Some(true) => any(&set.excludes).map(|excluded| !excluded),
            other => other,
        }
    }

    fn in_part(&self, part: &Part, system: Option<&str>, code: &str, depth: usize) -> Option<bool> {
        let mut certain = true;
        for set in &part.sets {
            match self.in_set(set, system, code, depth + 1) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => certain = false,
            }
        }
        let Some(of_part) = part.system.as_deref() else { return certain.then_some(!part.sets.is_empty()) };
        if system.is_some_and(|system| system != of_part) {
            return Some(false);
        }
        let held = match &part.codes {
            Some(codes) => Some(codes.contains(code)),
            None => self.in_system(of_part, code, &part.filters),
        };
        match held {
            Some(true) => certain.then_some(true),
            other => other,
        }
    }

    fn in_system(&self, url: &str, code: &str, filters: &[Filter]) -> Option<bool> {
        let Some(system) = self.system(url) else {
            let found = self.definitions.code_system(url)?.name_of(code).is_some();
            // R4's code systems are at hand without their hierarchies.
            return (!found || filters.is_empty()).then_some(found);
        };
        if !system.has(code)? {
            return Some(false);
        }
        let mut certain = true;
        for filter in filters {
            match system.passes(code, filter) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => certain = false,
            }
        }
        certain.then_some(true)
    }

    /// What is allowed, for messages: the codes where they are few.
    pub(super) fn described(&self, url: &str) -> String {
        let Some(set) = self.set(url) else {
            return self.of_r4(url).map_or_else(
                || format!("a code of the value set {}", url.rsplit('/').next().unwrap_or(url)),
                ValueSet::described,
            );
        };
        let listed: Option<Vec<&str>> = set
            .includes
            .iter()
            .map(|part| part.codes.as_ref().filter(|_| part.sets.is_empty()))
            .collect::<Option<Vec<_>>>()
            .map(|parts| parts.into_iter().flatten().map(String::as_str).collect());
        match listed {
            Some(mut codes) if (1..=16).contains(&codes.len()) && set.excludes.is_empty() => {
                codes.sort_unstable();
                format!("one of: {}", codes.join(", "))
            }
            _ => format!("a code of the value set {}", set.title),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(resources: &[Value], ask: impl Fn(Known<'_>)) {
        let mut terminology = Terminology::default();
        for resource in resources {
            match text(resource, "resourceType") {
                "ValueSet" => terminology.add_set(resource),
                _ => terminology.add_system(resource),
            }
        }
        ask(Known { layers: [Some(&terminology), None], definitions: Definitions::r4() });
    }

    #[test]
    fn composes_value_sets() {
        let system = json!({"resourceType": "CodeSystem", "url": "urn:s", "content": "complete", "concept": [
            {"code": "a", "concept": [{"code": "b"}, {"code": "c"}]}, {"code": "d"}
        ]});
        let below = json!({"resourceType": "ValueSet", "url": "urn:below", "compose": {
            "include": [{"system": "urn:s", "filter": [{"property": "concept", "op": "is-a", "value": "a"}]}],
            "exclude": [{"system": "urn:s", "concept": [{"code": "c"}]}]
        }});
        let both = json!({"resourceType": "ValueSet", "url": "urn:both", "compose": {
            "include": [{"valueSet": ["urn:below"]}, {"system": "http://loinc.org"}]
        }});
        known(&[system, below, both], |known| {
            assert_eq!(known.member("urn:below", Some("urn:s"), "b"), Some(true));
            assert_eq!(known.member("urn:below|1.0", Some("urn:s"), "c"), Some(false));
            assert_eq!(known.member("urn:below", Some("urn:s"), "d"), Some(false));
            assert_eq!(known.member("urn:below", None, "a"), Some(true));
            assert_eq!(known.member("urn:both", Some("urn:s"), "b"), Some(true));
            assert_eq!(known.member("urn:both", Some("urn:s"), "d"), Some(false));
            assert_eq!(known.member("urn:both", Some("http://loinc.org"), "8480-6"), None, "needs a server");
            assert_eq!(known.member("urn:none", Some("urn:s"), "b"), None);
        });
    }

    #[test]
    fn ends_on_value_sets_that_include_each_other() {
        let set = |url: &str, other: &str| json!({"resourceType": "ValueSet", "url": url, "compose": {"include": [{"valueSet": [other]}]}});
        known(&[set("urn:a", "urn:b"), set("urn:b", "urn:a")], |known| {
            assert_eq!(known.member("urn:a", None, "x"), None);
        });
    }
}
