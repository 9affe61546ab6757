//! `decisions.map`: what covers a row whose own map does not, or why nothing does.

use std::path::Path;

use crate::guide::{Code, Place, Row};
use crate::ours::Maps;
use crate::{covered, within};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// By the map of the same name.
    Covered,
    /// By another row, a function or a module.
    Elsewhere,
    /// Not, for this reason.
    Not(String),
    Undecided,
}

#[derive(Debug, Clone)]
enum By {
    /// A function that rows name.
    Function(String),
    /// A module of the converter.
    Module(String),
    /// The row of the same source in another map.
    Map(String),
    /// A row of that source in that map.
    Row(String, String),
    Nothing(String),
}

#[derive(Debug)]
struct Decision {
    line: usize,
    map: String,
    source: String,
    element: String,
    by: By,
    used: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Decisions {
    list: Vec<Decision>,
    defects: Vec<String>,
}

impl Decisions {
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("decisions.map can be read");
        let mut out = Self::default();
        for (n, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let columns: Vec<&str> = line.splitn(4, '|').map(str::trim).collect();
            let by = columns.get(3).and_then(|text| by(text));
            let (Some(by), 4) = (by, columns.len()) else {
                out.defects.push(format!("decisions.map:{n}: not MAP | SOURCE | ELEMENT | by … or not …"));
                continue;
            };
            let text = |n: usize| columns[n].to_owned();
            out.list.push(Decision {
                line: n,
                map: text(0),
                source: text(1),
                element: text(2),
                by,
                used: false,
            });
        }
        out
    }

    /// The first decision for a row that holds.
    pub(crate) fn of(&mut self, maps: &Maps, row: &Row) -> Verdict {
        for decision in &mut self.list {
            if !decision.is_for(&row.map, &row.source, &row.element) {
                continue;
            }
            let holds = match &decision.by {
                By::Map(map) => by_map(maps, map, row),
                _ => true,
            };
            if holds {
                decision.used = true;
                return match &decision.by {
                    By::Nothing(reason) => Verdict::Not(reason.clone()),
                    _ => Verdict::Elsewhere,
                };
            }
        }
        Verdict::Undecided
    }

    pub(crate) fn of_code(&mut self, code: &Code) -> Verdict {
        self.plain("codes", &code.map, &code.from)
    }

    /// `there` tells whether the message places a map.
    pub(crate) fn of_place(&mut self, place: &Place, there: impl Fn(&str) -> bool) -> Verdict {
        for decision in &mut self.list {
            if decision.map != "messages"
                || !fits(&decision.source, &place.structure)
                || !fits(&decision.element, &place.map)
            {
                continue;
            }
            let verdict = match &decision.by {
                By::Nothing(reason) => Verdict::Not(reason.clone()),
                By::Map(map) if !there(map) => continue,
                _ => Verdict::Elsewhere,
            };
            decision.used = true;
            return verdict;
        }
        Verdict::Undecided
    }

    fn plain(&mut self, map: &str, source: &str, element: &str) -> Verdict {
        let Some(decision) = self.list.iter_mut().find(|d| d.is_for(map, source, element)) else {
            return Verdict::Undecided;
        };
        decision.used = true;
        match &decision.by {
            By::Nothing(reason) => Verdict::Not(reason.clone()),
            _ => Verdict::Elsewhere,
        }
    }

    /// Decisions that name what is not there, and those that no row needs.
    pub(crate) fn defects(&self, maps: &Maps) -> Vec<String> {
        let mut out = self.defects.clone();
        for decision in &self.list {
            let wrong = match &decision.by {
                By::Function(name) => {
                    (!maps.functions.contains(name)).then(|| format!("no row uses fn:{name}"))
                }
                By::Module(name) => {
                    let path = crate::folder().join(format!("src/{name}.rs"));
                    (!path.is_file()).then(|| format!("no module {name}"))
                }
                By::Map(name) => (!maps.maps.contains_key(name)).then(|| format!("no map {name}")),
                By::Row(name, source) => {
                    let there = maps
                        .maps
                        .get(name)
                        .is_some_and(|rows| rows.iter().any(|f| within(&f.source, source)));
                    (!there).then(|| format!("no row {source} in {name}"))
                }
                By::Nothing(reason) => (reason.len() < 12).then(|| "no reason".to_owned()),
            };
            let wrong = wrong.or_else(|| (!decision.used).then(|| "no row needs it".to_owned()));
            out.extend(wrong.map(|wrong| format!("decisions.map:{}: {wrong}", decision.line)));
        }
        out
    }
}

impl Decision {
    fn is_for(&self, map: &str, source: &str, element: &str) -> bool {
        fits(&self.map, map) && fits(&self.source, source) && fits(&self.element, element)
    }
}

/// `*` stands for any run of characters.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    (0..=text.len()).any(|at| text.is_char_boundary(at) && fits(rest, &text[at..]))
}

/// Whether another map has the row: the same source, and the element or the end of it.
fn by_map(maps: &Maps, map: &str, row: &Row) -> bool {
    if covered(maps, map, row) {
        return true;
    }
    let mut element = row.element.as_str();
    while let Some((_, rest)) = element.split_once('.') {
        element = rest;
        if covered(maps, map, &Row { element: element.to_owned(), ..row.clone() }) {
            return true;
        }
    }
    false
}

fn by(text: &str) -> Option<By> {
    if let Some(reason) = text.strip_prefix("not ") {
        return Some(By::Nothing(reason.trim().to_owned()));
    }
    let what = text.strip_prefix("by ")?.trim();
    if let Some(name) = what.strip_prefix("fn:") {
        return Some(By::Function(name.to_owned()));
    }
    if let Some(name) = what.strip_prefix("mod ") {
        return Some(By::Module(name.trim().to_owned()));
    }
    match what.split_once(' ') {
        Some((map, source)) => Some(By::Row(map.to_owned(), source.trim().to_owned())),
        None => Some(By::Map(what.to_owned())),
    }
}
