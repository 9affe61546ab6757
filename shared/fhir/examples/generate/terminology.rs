//! Value sets as `V` lines with their codes (`C`), and code systems as `S` lines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::Failure;
use crate::package::{list, resources, text};

/// The value sets that elements are bound to, numbered in order of first use.
#[derive(Default)]
pub(crate) struct Sets {
    urls: Vec<String>,
}

impl Sets {
    /// The bindings a validator must look at, as `strength:number`, joined by commas.
    pub(crate) fn bindings(&mut self, binding: &Value) -> String {
        let mut parts = Vec::new();
        let strength = text(binding, "strength");
        let url = text(binding, "valueSet");
        if matches!(strength, "required" | "extensible") && !url.is_empty() {
            parts.push(format!("{strength}:{}", self.number(url)));
        }
        for extension in list(binding, "extension") {
            if text(extension, "url").ends_with("elementdefinition-maxValueSet") {
                parts.push(format!("max:{}", self.number(text(extension, "valueCanonical"))));
            }
        }
        parts.join(",")
    }

    fn number(&mut self, url: &str) -> usize {
        let url = url.split('|').next().unwrap_or(url);
        self.urls.iter().position(|known| known == url).unwrap_or_else(|| {
            self.urls.push(url.to_owned());
            self.urls.len() - 1
        })
    }
}

type Codes = BTreeMap<String, BTreeSet<String>>;

/// A concept of a code system: its code, its name and the codes of its parents.
struct Concept {
    code: String,
    display: String,
    parents: Vec<String>,
    properties: Vec<(String, String)>,
}

pub(crate) struct Terminology {
    sets: BTreeMap<String, Value>,
    systems: BTreeMap<String, (bool, Vec<Concept>)>,
    case_sensitive: BTreeSet<String>,
}

impl Terminology {
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let mut sets = BTreeMap::new();
        let mut systems = BTreeMap::new();
        let mut case_sensitive = BTreeSet::new();
        for file in ["valuesets.json", "v3-codesystems.json", "v2-tables.json"] {
            for resource in resources(folder, file)? {
                let url = text(&resource, "url").to_owned();
                if text(&resource, "resourceType") == "ValueSet" {
                    sets.insert(url, resource);
                } else {
                    if resource["caseSensitive"] == true {
                        case_sensitive.insert(url.clone());
                    }
                    let mut concepts = Vec::new();
                    flatten(list(&resource, "concept"), None, &mut concepts);
                    systems.insert(url, (text(&resource, "content") == "complete", concepts));
                }
            }
        }
        Ok(Self { sets, systems, case_sensitive })
    }

    /// The code systems that the package holds completely, as `K` lines: the URL, `s` or `i` for the case, then code and
    /// display in turns.
    pub(crate) fn systems(&self) -> Vec<String> {
        let complete =
            self.systems.iter().filter(|(_, (complete, concepts))| *complete && !concepts.is_empty());
        complete
            .map(|(url, (_, concepts))| {
                let mut codes: BTreeMap<&str, &str> = BTreeMap::new();
                for concept in concepts {
                    codes.entry(&concept.code).or_insert(&concept.display);
                }
                let case = if self.case_sensitive.contains(url) { "s" } else { "i" };
                let pairs: Vec<String> =
                    codes.into_iter().map(|(code, display)| format!("{code}\t{display}")).collect();
                format!("K\t{url}\t{case}\t{}", pairs.join("\t"))
            })
            .collect()
    }

    /// The `S` lines, and the `V` and `C` lines.
    pub(crate) fn lines(&self, sets: &Sets) -> Result<(Vec<String>, Vec<String>), Failure> {
        let mut systems: Vec<String> = Vec::new();
        let mut lines = Vec::new();
        for url in &sets.urls {
            let expansion = match url.as_str() {
                "http://hl7.org/fhir/ValueSet/all-languages" => Err("language"),
                "http://hl7.org/fhir/ValueSet/mimetypes" | "http://www.rfc-editor.org/bcp/bcp13.txt" => {
                    Err("mime")
                }
                "http://hl7.org/fhir/ValueSet/currencies" => Err("currency"),
                _ => self.expand(url, 0).ok_or("unknown"),
            };
            match expansion {
                Err(how) => lines.push(format!("V\t{url}\t{how}")),
                Ok(codes) => {
                    lines.push(format!("V\t{url}\tcodes"));
                    for (system, codes) in codes {
                        let number = systems.iter().position(|known| *known == system).unwrap_or_else(|| {
                            systems.push(system.clone());
                            systems.len() - 1
                        });
                        let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
                        lines.push(format!("C\t{number}\t{}", codes.join("\t")));
                    }
                }
            }
        }
        Ok((systems.into_iter().map(|url| format!("S\t{url}")).collect(), lines))
    }

    /// The value sets that are no `V` line, by what they are composed of. Filters are applied where the package holds the
    /// hierarchy, since the table of code systems does not.
    pub(crate) fn compositions(&self, sets: &Sets) -> Vec<Value> {
        let part = |part: &Value| {
            let mut reduced = serde_json::Map::new();
            for member in ["system", "valueSet"] {
                if !part[member].is_null() {
                    reduced.insert(member.to_owned(), part[member].clone());
                }
            }
            let listed = list(part, "concept").iter().map(|concept| text(concept, "code"));
            let filtered = (!list(part, "filter").is_empty()).then(|| self.part(part, 0)).flatten();
            let codes: Vec<&str> = match &filtered {
                Some(codes) => codes.values().flatten().map(String::as_str).collect(),
                None => listed.collect(),
            };
            if !codes.is_empty() {
                let codes: Vec<Value> = codes.into_iter().map(|code| json!({ "code": code })).collect();
                reduced.insert("concept".to_owned(), codes.into());
            } else if !part["filter"].is_null() {
                reduced.insert("filter".to_owned(), part["filter"].clone());
            }
            Value::Object(reduced)
        };
        let parts = |set: &Value, member: &str| -> Vec<Value> {
            list(&set["compose"], member).iter().map(part).collect()
        };
        self.sets
            .iter()
            .filter(|(url, set)| !sets.urls.contains(url) && !list(&set["compose"], "include").is_empty())
            .map(|(url, set)| {
                let mut compose = json!({ "include": parts(set, "include") });
                let excludes = parts(set, "exclude");
                if !excludes.is_empty() {
                    compose["exclude"] = excludes.into();
                }
                json!({ "url": url, "title": set["title"], "compose": compose })
            })
            .collect()
    }

    /// All codes of a value set by code system; None where the package does not hold all of them.
    fn expand(&self, url: &str, depth: usize) -> Option<Codes> {
        let compose = &self.sets.get(url.split('|').next()?)?["compose"];
        if depth > 8 {
            return None;
        }
        let mut codes = Codes::new();
        for include in list(compose, "include") {
            for (system, found) in self.part(include, depth)? {
                codes.entry(system).or_default().extend(found);
            }
        }
        for exclude in list(compose, "exclude") {
            for (system, found) in self.part(exclude, depth)? {
                if let Some(kept) = codes.get_mut(&system) {
                    kept.retain(|code| !found.contains(code));
                }
            }
        }
        codes.retain(|_, found| !found.is_empty());
        (!codes.is_empty()).then_some(codes)
    }

    fn part(&self, part: &Value, depth: usize) -> Option<Codes> {
        let system = text(part, "system");
        let mut codes = Codes::new();
        for set in list(part, "valueSet") {
            if !system.is_empty() {
                return None;
            }
            for (system, found) in self.expand(set.as_str()?, depth + 1)? {
                codes.entry(system).or_default().extend(found);
            }
        }
        if system.is_empty() {
            return Some(codes);
        }
        let listed = list(part, "concept");
        let found: BTreeSet<String> = if listed.is_empty() {
            let (complete, concepts) = self.systems.get(system)?;
            if !complete {
                return None;
            }
            let mut kept: Vec<&Concept> = concepts.iter().collect();
            for filter in list(part, "filter") {
                kept = filtered(concepts, kept, filter)?;
            }
            kept.into_iter().map(|concept| concept.code.clone()).collect()
        } else {
            listed.iter().map(|concept| text(concept, "code").to_owned()).collect()
        };
        codes.insert(system.to_owned(), found);
        Some(codes)
    }
}

fn flatten(concepts: &[Value], parent: Option<&str>, into: &mut Vec<Concept>) {
    for concept in concepts {
        let code = text(concept, "code").to_owned();
        let mut parents: Vec<String> = parent.iter().map(|&code| code.to_owned()).collect();
        let mut properties = Vec::new();
        for property in list(concept, "property") {
            let name = text(property, "code");
            let value = property.as_object().and_then(|members| {
                members.iter().find(|(member, _)| member.starts_with("value")).map(|(_, value)| value)
            });
            let value = value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            match (name, value) {
                ("subsumedBy" | "parent", Some(value)) => parents.push(value),
                (name, Some(value)) => properties.push((name.to_owned(), value)),
                _ => {}
            }
        }
        flatten(list(concept, "concept"), Some(&code), into);
        let display = text(concept, "display").split_whitespace().collect::<Vec<_>>().join(" ");
        into.push(Concept { code, display, parents, properties });
    }
}

fn filtered<'c>(all: &[Concept], kept: Vec<&'c Concept>, filter: &Value) -> Option<Vec<&'c Concept>> {
    let value = text(filter, "value");
    let property = text(filter, "property");
    match text(filter, "op") {
        "is-a" => {
            let below = below(all, value);
            Some(kept.into_iter().filter(|concept| below.contains(concept.code.as_str())).collect())
        }
        "is-not-a" => {
            let below = below(all, value);
            Some(kept.into_iter().filter(|concept| !below.contains(concept.code.as_str())).collect())
        }
        "=" => Some(
            kept.into_iter()
                .filter(|concept| {
                    concept.properties.iter().any(|(name, held)| name == property && held == value)
                })
                .collect(),
        ),
        _ => None,
    }
}

fn below<'c>(all: &'c [Concept], ancestor: &'c str) -> BTreeSet<&'c str> {
    let mut found = BTreeSet::from([ancestor]);
    loop {
        let before = found.len();
        for concept in all {
            if concept.parents.iter().any(|parent| found.contains(parent.as_str())) {
                found.insert(&concept.code);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}
