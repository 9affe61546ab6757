//! The maps of `maps/`, read once: names become positions, so that nothing is looked up by name while a message is
//! converted.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use crate::code_system;
use crate::condition::Condition;
use crate::element::Path;
use crate::rule::{Name, Rule};
use crate::unmapped::bit;
use crate::value::{Map, Value};

/// A segment or data-type map.
#[derive(Debug, Default)]
pub(crate) struct SegmentMap {
    pub(crate) rules: Vec<Rule>,
    /// What each rule reads, apart from it: most are passed over, and a rule is many times as long.
    pub(crate) needs: Vec<Need>,
    /// Elements without which the object is not worth having; groups of which one is enough.
    pub(crate) requires: Vec<Vec<&'static str>>,
    /// Resource type, for a map that makes one.
    pub(crate) resource: Option<&'static str>,
}

/// The segment that a rule reads, and the [`bit`] of the field; none for a row of a whole segment.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) of: Name,
    pub(crate) fields: u64,
}

/// Which of [`Tables::maps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MapId(usize);

/// A concept map.
#[derive(Debug, Default)]
pub(crate) struct CodeMap {
    /// URI of the HL7 table of the source codes.
    pub(crate) table: Option<&'static str>,
    pub(crate) rows: FxHashMap<&'static str, Concept>,
}

/// Which of [`Tables::codes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CodesId(usize);

/// What a code becomes.
#[derive(Debug)]
pub(crate) struct Concept {
    pub(crate) code: &'static str,
    /// The Coding.
    pub(crate) coding: Value,
}

/// A message map.
#[derive(Debug, Default)]
pub(crate) struct MessageMap {
    /// `(code, event)`; `*` stands for any event.
    pub(crate) types: Vec<(&'static str, &'static str)>,
    /// Segments without which nothing can be made.
    pub(crate) requires: Vec<&'static str>,
    /// Slots that `MessageHeader.focus` names, the first that are filled.
    pub(crate) focus: Vec<&'static str>,
    /// Rows by segment name.
    pub(crate) rows: FxHashMap<Name, Vec<Placement>>,
}

/// A row of a message map: which resource a segment makes or extends, and what that resource refers to.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    pub(crate) resource: &'static str,
    /// Where the resource is kept for later rows: its type, or the name after `@`.
    pub(crate) slot: &'static str,
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
    pub(crate) map: MapId,
    pub(crate) when: Condition,
    pub(crate) relations: Vec<Relation>,
}

/// A reference between two slots.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    /// Slot at the other end.
    pub(crate) slot: &'static str,
    pub(crate) path: Path,
    /// The other end refers to this one, rather than this one to it.
    pub(crate) from_there: bool,
}

/// Positions of maps by name, while the maps are read.
#[derive(Debug, Default)]
pub(crate) struct Names {
    maps: FxHashMap<&'static str, MapId>,
    codes: FxHashMap<&'static str, CodesId>,
}

impl Names {
    /// The map of that name, which may be read later.
    pub(crate) fn map(&mut self, name: &'static str) -> MapId {
        let next = MapId(self.maps.len());
        *self.maps.entry(name).or_insert(next)
    }

    /// The concept map of that name.
    pub(crate) fn codes(&self, name: &str) -> Result<CodesId, String> {
        self.codes.get(name).copied().ok_or_else(|| format!("no codes {name}"))
    }
}

/// All maps.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    maps: Vec<SegmentMap>,
    codes: Vec<CodeMap>,
    names: Names,
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
        tables.read_codes(include_str!("../maps/codes.map"));
        for (name, text) in SEGMENTS {
            tables.read_maps(name, text);
        }
        tables.read_messages(include_str!("../maps/messages.map"));
        tables
    });
    &TABLES
}

fn lines(text: &'static str) -> impl Iterator<Item = (usize, &'static str)> {
    text.lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line.trim()))
        .filter(|(_, l)| !l.is_empty() && !l.starts_with('#'))
}

impl Tables {
    pub(crate) fn map(&self, id: MapId) -> Option<&SegmentMap> {
        self.maps.get(id.0)
    }

    pub(crate) fn codes(&self, id: CodesId) -> Option<&CodeMap> {
        self.codes.get(id.0)
    }

    /// A concept map that a function names.
    pub(crate) fn codes_named(&self, name: &str) -> Option<&CodeMap> {
        self.codes(*self.names.codes.get(name)?)
    }

    /// The map at `id`, which may not have been mentioned before.
    fn map_mut(&mut self, id: MapId) -> Option<&mut SegmentMap> {
        if self.maps.len() <= id.0 {
            self.maps.resize_with(id.0 + 1, SegmentMap::default);
        }
        self.maps.get_mut(id.0)
    }

    fn read_maps(&mut self, file: &str, text: &'static str) {
        let mut current = None;
        for (number, line) in lines(text) {
            if let Some(header) = line.strip_prefix("map ") {
                let (title, requires) = header.split_once(" requires ").unwrap_or((header, ""));
                let (title, resource) = match title.split_once(" -> ") {
                    Some((title, resource)) => (title, Some(resource.trim())),
                    None => (title, None),
                };
                let requires = requires
                    .split(',')
                    .map(|any| any.split('/').map(str::trim).filter(|e| !e.is_empty()).collect())
                    .filter(|any: &Vec<_>| !any.is_empty())
                    .collect();
                let id = self.names.map(title.trim());
                current = Some(id);
                let read = match self.map_mut(id) {
                    Some(map) if map.rules.is_empty() => {
                        *map = SegmentMap { requires, resource, ..SegmentMap::default() };
                        true
                    }
                    _ => false,
                };
                if !read {
                    self.defects.push(format!("{file}:{number}: {title} twice"));
                }
                continue;
            }
            let rule = Rule::parse(line, &mut self.names);
            match (rule, current.and_then(|id| self.map_mut(id))) {
                (Ok(rule), Some(map)) => {
                    let field = rule.source.numbers().first();
                    let fields = field.map_or(0, |field| bit(usize::from(*field)));
                    map.needs.push(Need { of: rule.source.of, fields });
                    map.rules.push(rule);
                }
                (Err(defect), _) => self.defects.push(format!("{file}:{number}: {defect}")),
                (_, None) => self.defects.push(format!("{file}:{number}: row outside a map")),
            }
        }
    }

    fn read_codes(&mut self, text: &'static str) {
        let mut default: &'static str = "";
        for (number, line) in lines(text) {
            if let Some(header) = line.strip_prefix("codes ") {
                let mut words = header.split_whitespace();
                let name = words.next().unwrap_or_default();
                // Read once for the life of the process.
                let table = words.next().filter(|t| *t != "-").map(|t| &*code_system::table(t).leak());
                default = code_system::short(words.next().unwrap_or_default()).leak();
                if self.names.codes.insert(name, CodesId(self.codes.len())).is_some() {
                    self.defects.push(format!("codes:{number}: {name} twice"));
                }
                self.codes.push(CodeMap { table, ..CodeMap::default() });
                continue;
            }
            let Some((from, to)) = line.split_once(" = ") else {
                self.defects.push(format!("codes:{number}: no ="));
                continue;
            };
            let (code, display) = match to.split_once('\'') {
                Some((code, display)) => (code.trim(), Some(display.trim_end_matches('\''))),
                None => (to.trim(), None),
            };
            let (system, code) = match code.rsplit_once('#') {
                Some((system, code)) => (&*code_system::short(system).leak(), code),
                None => (default, code),
            };
            if let Some(map) = self.codes.last_mut() {
                for from in from.split(',') {
                    let mut coding = Map::with_capacity(3);
                    coding.add("system", Value::from(system));
                    coding.add("code", Value::from(code));
                    if let Some(display) = display {
                        coding.add("display", Value::from(display));
                    }
                    map.rows.insert(from.trim(), Concept { code, coding: Value::Object(coding) });
                }
            }
        }
    }

    fn read_messages(&mut self, text: &'static str) {
        let mut blocks: FxHashMap<&str, Vec<(Name, Placement)>> = FxHashMap::default();
        let mut block = "";
        for (number, line) in lines(text) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let rest = rest.trim();
            match word {
                "block" => block = rest,
                "message" => {
                    block = "";
                    let types = rest.split_whitespace().skip(1).filter_map(|t| t.split_once('^')).collect();
                    self.messages.push(MessageMap { types, ..MessageMap::default() });
                }
                "requires" | "focus" | "use" => {
                    let words = rest.split_whitespace();
                    let Some(message) = self.messages.last_mut() else { continue };
                    match word {
                        "requires" => message.requires = words.collect(),
                        "focus" => message.focus = words.collect(),
                        _ => {
                            for name in words {
                                let Some(rows) = blocks.get(name) else {
                                    self.defects.push(format!("messages:{number}: no block {name}"));
                                    continue;
                                };
                                for (segment, row) in rows {
                                    message.rows.entry(*segment).or_default().push(row.clone());
                                }
                            }
                        }
                    }
                }
                _ => match placement(line, &mut self.names) {
                    Ok(row) => blocks.entry(block).or_default().push(row),
                    Err(defect) => self.defects.push(format!("messages:{number}: {defect}")),
                },
            }
        }
    }
}

/// Reads `segment | resource | map | when | relations`.
fn placement(line: &'static str, names: &mut Names) -> Result<(Name, Placement), String> {
    let mut columns = line.split('|').map(str::trim);
    let segment = Name::of(columns.next().unwrap_or_default());
    let target = columns.next().ok_or("no resource column")?;
    let map = names.map(columns.next().ok_or("no map column")?);
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
    let existing = existing || element.is_some();
    Ok((
        segment,
        Placement { resource, slot, new, otherwise, adopts, existing, element, map, when, relations },
    ))
}

/// Reads `subject=Patient` or `<DiagnosticReport.result[]`.
fn relation(text: &'static str) -> Result<Relation, String> {
    if let Some(followed) = text.strip_prefix('<').filter(|slot| slot.starts_with('~')) {
        return Ok(Relation { slot: followed, path: Path::default(), from_there: true });
    }
    if let Some(back) = text.strip_prefix('<') {
        let (slot, path) = back.split_once('.').ok_or_else(|| format!("no element in {text:?}"))?;
        return Ok(Relation { slot, path: Path::parse(path)?, from_there: true });
    }
    let (path, slot) = text.split_once('=').ok_or_else(|| format!("no = in {text:?}"))?;
    Ok(Relation { slot: slot.trim(), path: Path::parse(path)?, from_there: false })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::rule::{Beside, Via};

    /// Every data type that a map's rows name, with the rows' own and those beside them.
    fn vias(map: &SegmentMap) -> impl Iterator<Item = &Via> {
        map.rules.iter().flat_map(|rule| {
            let extras = rule.in_resource.iter().chain(&rule.beside);
            let beside = extras.filter_map(|extra| match &extra.from {
                Beside::Field(_, via) => Some(via),
                Beside::Constant(_) => None,
            });
            std::iter::once(&rule.via).chain(beside)
        })
    }

    #[test]
    fn every_map_is_there_and_used() {
        let tables = tables();
        assert_eq!(tables.defects, Vec::<String>::new());
        let mut used = HashSet::new();
        for via in tables.maps.iter().flat_map(vias) {
            match via {
                Via::Map(id) => drop(used.insert(*id)),
                Via::Reference(id) => {
                    used.insert(*id);
                    assert!(
                        tables.map(*id).is_some_and(|map| map.resource.is_some()),
                        "{id:?} makes no resource"
                    );
                }
                _ => {}
            }
        }
        used.extend(tables.messages.iter().flat_map(|m| m.rows.values().flatten()).map(|row| row.map));
        for (name, id) in &tables.names.maps {
            assert!(used.contains(id), "{name} is not used");
            assert!(tables.map(*id).is_some_and(|map| !map.rules.is_empty()), "there is no {name}");
        }
    }
}
