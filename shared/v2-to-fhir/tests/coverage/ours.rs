//! This project's maps, read as text, and what each of their rows can fill.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::guide;

/// What one row puts where.
#[derive(Debug)]
pub(crate) struct Filled {
    /// `PID-3.1`; empty where the source does not matter.
    pub(crate) source: String,
    pub(crate) element: String,
    pub(crate) constant: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Maps {
    pub(crate) maps: BTreeMap<String, Vec<Filled>>,
    /// Functions that rows name.
    pub(crate) functions: BTreeSet<String>,
    /// HL7 tables that rows or code maps name.
    pub(crate) tables: BTreeSet<String>,
    /// Code maps: source code to `system#code`.
    pub(crate) codes: BTreeMap<String, BTreeMap<String, (String, String)>>,
    /// Message structure to the pairs of segment and map that it places.
    pub(crate) messages: BTreeMap<String, BTreeSet<(String, String)>>,
}

impl Maps {
    pub(crate) fn read(folder: &Path) -> Self {
        let mut maps = Self::default();
        let mut files = vec![folder.join("datatypes.map")];
        let segments = std::fs::read_dir(folder.join("segments")).expect("maps/segments can be read");
        files.extend(segments.map(|entry| entry.expect("a folder entry can be read").path()));
        for file in files {
            maps.read_rows(&std::fs::read_to_string(file).expect("a map can be read"));
        }
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a map can be read");
        maps.read_codes(&text("codes.map"));
        maps.read_messages(&text("messages.map"));
        maps
    }

    fn read_rows(&mut self, text: &str) {
        let mut name = String::new();
        for line in lines(text) {
            if let Some(header) = line.strip_prefix("map ") {
                name = header.split(" requires ").next().unwrap_or_default().to_owned();
                name = name.split(" -> ").next().unwrap_or_default().trim().to_owned();
                continue;
            }
            let filled = self.row(line);
            self.maps.entry(name.clone()).or_default().extend(filled);
        }
    }

    fn row(&mut self, line: &str) -> Vec<Filled> {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let column = |n: usize| columns.get(n).copied().unwrap_or_default();
        let (source, element, via) = (column(0), column(1).trim_end_matches('!'), column(2));
        let mut out = Vec::new();
        if element == "-" {
            return out;
        }
        let base = path(element);
        self.tables.extend(table(via));
        let mut add = |source: &str, element: &str, constant: Option<String>| {
            out.push(Filled { source: source.to_owned(), element: element.to_owned(), constant });
        };
        for url in extension_urls(element) {
            add(source, &url, None);
        }
        for (part, constant) in parts(via) {
            add(source, &join(&base, part), constant);
        }
        if let Some(function) = via.strip_prefix("fn:") {
            let (name, arguments) = function.split_once('(').unwrap_or((function, ""));
            self.functions.insert(name.to_owned());
            for argument in arguments.trim_end_matches(')').split_whitespace() {
                for part in ["", "unit", "code", "system"] {
                    add(argument, &join(&base, part), None);
                }
            }
        }
        self.tables.extend(column(4).split_whitespace().filter_map(table));
        for extra in column(4).split(';').map(str::trim).filter(|text| !text.is_empty()) {
            let inner = extra.trim_start_matches('@');
            // Beside a list item or within the object; beside a plain value it is in the resource.
            let at = |name: &str| join(&item(element), &path(name));
            if let Some((name, constant)) = inner.split_once(" = ") {
                let at = if extra.starts_with('@') { join(&base, &path(name)) } else { at(name) };
                for (part, constant) in parts(constant) {
                    add(source, &join(&at, part), constant);
                }
                for url in extension_urls(name) {
                    add(source, &join(&item(element), &url), None);
                }
            } else if let Some((name, from)) = inner.split_once(" < ") {
                let at = if extra.starts_with('@') { join(&base, &path(name)) } else { at(name) };
                let (field, via) = from.split_once(' ').unwrap_or((from, ""));
                for (part, constant) in parts(via) {
                    add(field, &join(&at, part), constant);
                }
            }
        }
        out
    }

    fn read_codes(&mut self, text: &str) {
        let (mut name, mut system) = (String::new(), String::new());
        for line in lines(text) {
            if let Some(header) = line.strip_prefix("codes ") {
                let mut words = header.split_whitespace();
                name = words.next().unwrap_or_default().to_owned();
                self.tables.extend(words.next().map(str::to_owned));
                system = words.next().unwrap_or_default().to_owned();
                self.codes.entry(name.clone()).or_default();
                continue;
            }
            let Some((from, to)) = line.split_once(" = ") else { continue };
            let to = to.split('\'').next().unwrap_or_default().trim();
            let (system, code) = to.rsplit_once('#').unwrap_or((&system, to));
            for from in from.split(',') {
                let target = (system.to_owned(), code.to_owned());
                self.codes.entry(name.clone()).or_default().insert(from.trim().to_owned(), target);
            }
        }
    }

    fn read_messages(&mut self, text: &str) {
        let mut blocks: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        let (mut block, mut structure) = (String::new(), String::new());
        for line in lines(text) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "block" => block = rest.trim().to_owned(),
                "message" => structure = rest.split_whitespace().next().unwrap_or_default().to_owned(),
                "requires" | "focus" => {}
                "use" => {
                    for name in rest.split_whitespace() {
                        let rows = blocks.get(name).cloned().unwrap_or_default();
                        self.messages.entry(structure.clone()).or_default().extend(rows);
                    }
                }
                _ => {
                    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
                    let (segment, target, map) = (columns[0], columns[1], columns[2]);
                    blocks.entry(block.clone()).or_default().push((segment.to_owned(), map.to_owned()));
                    self.place(target, map, columns.get(4).copied().unwrap_or_default());
                }
            }
        }
    }

    /// A row of a message map: the element that the map fills, and the references that stand in it.
    fn place(&mut self, target: &str, map: &str, relations: &str) {
        let prefix = target.split_once('.').map(|(_, element)| path(element)).unwrap_or_default();
        let rows = self.maps.entry(map.to_owned()).or_default();
        let mut more = Vec::new();
        for relation in relations.split(';').filter_map(|r| r.trim().split_once('=')) {
            more.push(Filled {
                source: String::new(),
                element: join(&prefix, &path(relation.0)),
                constant: None,
            });
        }
        if !prefix.is_empty() {
            for row in rows.iter() {
                more.push(Filled {
                    source: row.source.clone(),
                    element: join(&prefix, &row.element),
                    constant: row.constant.clone(),
                });
            }
        }
        rows.extend(more);
    }
}

/// The HL7 table that a value of this form is in.
fn table(via: &str) -> Option<String> {
    let table = via.split_once("]=")?.1;
    table.bytes().all(|b| b.is_ascii_digit()).then(|| table.to_owned())
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn join(base: &str, part: &str) -> String {
    match (base, part) {
        ("", part) => part.to_owned(),
        (base, "") => base.to_owned(),
        (base, part) => format!("{base}.{part}"),
    }
}

/// Steps of a path of the maps: `ext:…` and `ext(…)` are `extension`, `_a` is `a`.
fn steps(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = if rest.starts_with("ext(") {
            rest.find(')').map_or(rest.len(), |at| rest[at..].find('.').map_or(rest.len(), |dot| at + dot))
        } else {
            rest.find('.').unwrap_or(rest.len())
        };
        let step = &rest[..end];
        out.push(if step.starts_with("ext:") || step.starts_with("ext(") {
            "extension".to_owned()
        } else {
            guide::element(step.trim_start_matches('_'))
        });
        rest = rest[end..].strip_prefix('.').unwrap_or("");
    }
    out
}

fn path(text: &str) -> String {
    if text == "$this" { text.to_owned() } else { steps(text).join(".") }
}

/// The list item that a row makes, which is what stands beside its value; else the element itself.
fn item(text: &str) -> String {
    let Some(at) = text.rfind("[]") else { return path(text) };
    path(&text[..at])
}

/// `…extension.url` for each extension on the way.
fn extension_urls(text: &str) -> Vec<String> {
    let steps = steps(text);
    (0..steps.len())
        .filter(|n| steps[*n] == "extension")
        .map(|n| format!("{}.url", steps[..=n].join(".")))
        .collect()
}

/// What of an element a value of this form fills, with the constants among it.
fn parts(via: &str) -> Vec<(&'static str, Option<String>)> {
    let inner = |name: &str| via.strip_prefix(name).and_then(|text| text.strip_suffix(')'));
    if let Some(text) = via.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        return vec![("", Some(text.to_owned()))];
    }
    if let Some(text) = inner("cc(").or_else(|| inner("coding(")) {
        let code = text.split('\'').next().unwrap_or_default().trim();
        let code = code.rsplit_once('#').map(|(_, code)| code.to_owned());
        return if via.starts_with("cc(") {
            vec![
                ("", None),
                ("coding.code", code),
                ("coding.system", None),
                ("coding.display", None),
                ("text", None),
            ]
        } else {
            vec![("", None), ("code", code), ("system", None), ("display", None)]
        };
    }
    let kind = via.split([':', '=']).next().unwrap_or_default();
    if kind.ends_with("CodeableConcept]") || kind == "CodeableConcept" {
        return vec![
            ("", None),
            ("coding.code", None),
            ("coding.system", None),
            ("coding.display", None),
            ("text", None),
        ];
    }
    if kind.ends_with("Coding]") {
        return vec![("", None), ("code", None), ("system", None), ("display", None)];
    }
    if via.starts_with("fn:quantity") {
        return vec![("", None), ("value", None)];
    }
    vec![("", None)]
}
