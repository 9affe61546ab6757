//! The maps of `maps/`, read once.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::code_system;
use crate::condition::Condition;
use crate::element::Path;
use crate::rule::Rule;

/// A segment or data-type map.
#[derive(Debug, Default)]
pub(crate) struct SegmentMap {
    pub(crate) rules: Vec<Rule>,
    /// Elements without which the object is not worth having; groups of which one is enough.
    pub(crate) requires: Vec<Vec<String>>,
    /// Resource type, for a map that makes one.
    pub(crate) resource: Option<String>,
}

/// A concept map.
#[derive(Debug, Default)]
pub(crate) struct CodeMap {
    /// HL7 table of the source codes.
    pub(crate) table: Option<String>,
    pub(crate) rows: HashMap<String, Concept>,
}

/// What a code becomes.
#[derive(Debug, Clone)]
pub(crate) struct Concept {
    pub(crate) system: String,
    pub(crate) code: String,
    pub(crate) display: Option<String>,
}

/// A message map.
#[derive(Debug, Default)]
pub(crate) struct MessageMap {
    /// `(code, event)`; `*` stands for any event.
    pub(crate) types: Vec<(String, String)>,
    /// Segments without which nothing can be made.
    pub(crate) requires: Vec<String>,
    /// Slots that `MessageHeader.focus` names, the first that are filled.
    pub(crate) focus: Vec<String>,
    /// Rows by segment name.
    pub(crate) rows: HashMap<String, Vec<Placement>>,
}

/// A row of a message map: which resource a segment makes or extends, and what that resource refers to.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    pub(crate) resource: String,
    /// Where the resource is kept for later rows: its type, or the name after `@`.
    pub(crate) slot: String,
    /// `+`: always another resource.
    pub(crate) new: bool,
    /// `/`: only if no row before it took the segment.
    pub(crate) otherwise: bool,
    /// `*`: into one that an OBR began, else another.
    pub(crate) adopts: bool,
    /// `?`: only into a resource that is there.
    pub(crate) existing: bool,
    /// A backbone element of the resource rather than the resource.
    pub(crate) element: Option<Path>,
    pub(crate) map: String,
    pub(crate) when: Condition,
    pub(crate) relations: Vec<Relation>,
}

/// A reference between two slots.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    /// Slot at the other end.
    pub(crate) slot: String,
    pub(crate) path: Path,
    /// The other end refers to this one, rather than this one to it.
    pub(crate) from_there: bool,
}

/// All maps.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) maps: HashMap<String, SegmentMap>,
    pub(crate) codes: HashMap<String, CodeMap>,
    pub(crate) messages: Vec<MessageMap>,
    /// What could not be read; a test keeps it empty.
    pub(crate) defects: Vec<String>,
}

const SEGMENTS: &[(&str, &str)] = &[
    ("datatypes", include_str!("../maps/datatypes.map")),
    ("header", include_str!("../maps/segments/header.map")),
    ("patient", include_str!("../maps/segments/patient.map")),
    ("visit", include_str!("../maps/segments/visit.map")),
    ("clinical", include_str!("../maps/segments/clinical.map")),
    ("order", include_str!("../maps/segments/order.map")),
    ("observation", include_str!("../maps/segments/observation.map")),
    ("document", include_str!("../maps/segments/document.map")),
    ("scheduling", include_str!("../maps/segments/scheduling.map")),
    ("pharmacy", include_str!("../maps/segments/pharmacy.map")),
    ("insurance", include_str!("../maps/segments/insurance.map")),
    ("referral", include_str!("../maps/segments/referral.map")),
];

/// The maps, read when first asked for.
pub(crate) fn tables() -> &'static Tables {
    static TABLES: LazyLock<Tables> = LazyLock::new(|| {
        let mut tables = Tables::default();
        for (name, text) in SEGMENTS {
            tables.read_maps(name, text);
        }
        tables.read_codes(include_str!("../maps/codes.map"));
        tables.read_messages(include_str!("../maps/messages.map"));
        tables
    });
    &TABLES
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line.trim()))
        .filter(|(_, l)| !l.is_empty() && !l.starts_with('#'))
}

impl Tables {
    fn read_maps(&mut self, file: &str, text: &str) {
        let mut name = String::new();
        for (number, line) in lines(text) {
            if let Some(header) = line.strip_prefix("map ") {
                let (title, requires) = header.split_once(" requires ").unwrap_or((header, ""));
                let (title, resource) = match title.split_once(" -> ") {
                    Some((title, resource)) => (title, Some(resource.trim().to_owned())),
                    None => (title, None),
                };
                name = title.trim().to_owned();
                let requires = requires
                    .split(',')
                    .map(|any| {
                        any.split('/').map(|e| e.trim().to_owned()).filter(|e| !e.is_empty()).collect()
                    })
                    .filter(|any: &Vec<String>| !any.is_empty())
                    .collect();
                let map = SegmentMap { requires, resource, ..SegmentMap::default() };
                if self.maps.insert(name.clone(), map).is_some() {
                    self.defects.push(format!("{file}:{number}: {name} twice"));
                }
                continue;
            }
            match (Rule::parse(line), self.maps.get_mut(&name)) {
                (Ok(rule), Some(map)) => map.rules.push(rule),
                (Err(defect), _) => self.defects.push(format!("{file}:{number}: {defect}")),
                (_, None) => self.defects.push(format!("{file}:{number}: row outside a map")),
            }
        }
    }

    fn read_codes(&mut self, text: &str) {
        let (mut name, mut system) = (String::new(), String::new());
        for (number, line) in lines(text) {
            if let Some(header) = line.strip_prefix("codes ") {
                let mut words = header.split_whitespace();
                name = words.next().unwrap_or_default().to_owned();
                let table = words.next().filter(|t| *t != "-").map(str::to_owned);
                system = code_system::short(words.next().unwrap_or_default());
                self.codes.insert(name.clone(), CodeMap { table, ..CodeMap::default() });
                continue;
            }
            let Some((from, to)) = line.split_once(" = ") else {
                self.defects.push(format!("codes:{number}: no ="));
                continue;
            };
            let (code, display) = match to.split_once('\'') {
                Some((code, display)) => (code.trim(), Some(display.trim_end_matches('\'').to_owned())),
                None => (to.trim(), None),
            };
            let (system, code) = match code.rsplit_once('#') {
                Some((system, code)) => (code_system::short(system), code.to_owned()),
                None => (system.clone(), code.to_owned()),
            };
            if let Some(map) = self.codes.get_mut(&name) {
                for from in from.split(',') {
                    let concept =
                        Concept { system: system.clone(), code: code.clone(), display: display.clone() };
                    map.rows.insert(from.trim().to_owned(), concept);
                }
            }
        }
    }

    fn read_messages(&mut self, text: &str) {
        let mut blocks: HashMap<String, Vec<(String, Placement)>> = HashMap::new();
        let mut block = String::new();
        for (number, line) in lines(text) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let rest = rest.trim();
            match word {
                "block" => block = rest.to_owned(),
                "message" => {
                    block.clear();
                    let types = rest
                        .split_whitespace()
                        .skip(1)
                        .filter_map(|t| t.split_once('^'))
                        .map(|(code, event)| (code.to_owned(), event.to_owned()))
                        .collect();
                    self.messages.push(MessageMap { types, ..MessageMap::default() });
                }
                "requires" | "focus" | "use" => {
                    let words = rest.split_whitespace().map(str::to_owned);
                    let Some(message) = self.messages.last_mut() else { continue };
                    match word {
                        "requires" => message.requires = words.collect(),
                        "focus" => message.focus = words.collect(),
                        _ => {
                            for name in words {
                                let Some(rows) = blocks.get(&name) else {
                                    self.defects.push(format!("messages:{number}: no block {name}"));
                                    continue;
                                };
                                for (segment, row) in rows {
                                    message.rows.entry(segment.clone()).or_default().push(row.clone());
                                }
                            }
                        }
                    }
                }
                _ => match placement(line) {
                    Ok(row) => blocks.entry(block.clone()).or_default().push(row),
                    Err(defect) => self.defects.push(format!("messages:{number}: {defect}")),
                },
            }
        }
    }
}

/// Reads `segment | resource | map | when | relations`.
fn placement(line: &str) -> Result<(String, Placement), String> {
    let mut columns = line.split('|').map(str::trim);
    let segment = columns.next().unwrap_or_default().to_owned();
    let target = columns.next().ok_or("no resource column")?;
    let map = columns.next().ok_or("no map column")?.to_owned();
    let when = Condition::parse(columns.next().unwrap_or_default())?;
    let relations = columns
        .next()
        .unwrap_or_default()
        .split(';')
        .map(str::trim)
        .filter(|r| !r.is_empty())
        .map(relation)
        .collect::<Result<_, _>>()?;
    let (otherwise, target) = target.strip_prefix('/').map_or((false, target), |t| (true, t));
    let (new, target) = target.strip_prefix('+').map_or((false, target), |t| (true, t));
    let (adopts, target) = target.strip_prefix('*').map_or((false, target), |t| (true, t));
    let (existing, target) = target.strip_prefix('?').map_or((false, target), |t| (true, t));
    let (target, element) = match target.split_once('.') {
        Some((target, element)) => (target, Some(Path::parse(element)?)),
        None => (target, None),
    };
    let (resource, slot) = target.split_once('@').unwrap_or((target, target));
    let (resource, slot) = (resource.to_owned(), slot.to_owned());
    let existing = existing || element.is_some();
    Ok((
        segment,
        Placement { resource, slot, new, otherwise, adopts, existing, element, map, when, relations },
    ))
}

/// Reads `subject=Patient` or `<DiagnosticReport.result[]`.
fn relation(text: &str) -> Result<Relation, String> {
    if text == "<~" {
        return Ok(Relation { slot: "~".into(), path: Path::default(), from_there: true });
    }
    if let Some(back) = text.strip_prefix('<') {
        let (slot, path) = back.split_once('.').ok_or_else(|| format!("no element in {text:?}"))?;
        return Ok(Relation { slot: slot.to_owned(), path: Path::parse(path)?, from_there: true });
    }
    let (path, slot) = text.split_once('=').ok_or_else(|| format!("no = in {text:?}"))?;
    Ok(Relation { slot: slot.trim().to_owned(), path: Path::parse(path)?, from_there: false })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::rule::{Beside, Via};

    fn missing<'t>(tables: &'t Tables, via: &'t Via) -> Option<&'t str> {
        match via {
            Via::Map(name) => (!tables.maps.contains_key(name)).then_some(name),
            Via::Reference(name) => {
                (tables.maps.get(name).is_none_or(|map| map.resource.is_none())).then_some(name)
            }
            Via::Primitive(_, Some(name)) | Via::Concept { map: Some(name), .. } => {
                (!tables.codes.contains_key(name)).then_some(name)
            }
            _ => None,
        }
    }

    #[test]
    fn every_map_is_used() {
        let tables = tables();
        let mut used: HashSet<&str> = HashSet::new();
        let mut use_via = |via: &'static Via| {
            if let Via::Map(name) | Via::Reference(name) = via {
                used.insert(name);
            }
        };
        for rule in tables.maps.values().flat_map(|map| &map.rules) {
            use_via(&rule.via);
            for extra in &rule.extras {
                if let Beside::Field(_, via) = &extra.from {
                    use_via(via);
                }
            }
        }
        used.extend(
            tables.messages.iter().flat_map(|m| m.rows.values().flatten()).map(|row| row.map.as_str()),
        );
        let unused: Vec<_> = tables.maps.keys().filter(|name| !used.contains(name.as_str())).collect();
        assert_eq!(unused, Vec::<&String>::new());
    }

    #[test]
    fn every_map_reads_and_every_name_resolves() {
        let tables = tables();
        assert_eq!(tables.defects, Vec::<String>::new());
        for (name, map) in &tables.maps {
            assert!(!map.rules.is_empty(), "{name} is empty");
            for rule in &map.rules {
                assert_eq!(missing(tables, &rule.via), None, "in {name}");
                for extra in &rule.extras {
                    if let Beside::Field(_, via) = &extra.from {
                        assert_eq!(missing(tables, via), None, "in {name}");
                    }
                }
            }
        }
        for message in &tables.messages {
            for row in message.rows.values().flatten() {
                assert!(tables.maps.contains_key(&row.map), "no map {}", row.map);
            }
        }
    }
}
