//! The guide's tables, read from the test material.

use std::path::Path;

/// A row of a segment or data-type map that has a target.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// `PID[Patient]`.
    pub(crate) map: String,
    /// `PID-3`; empty for a row of the map as a whole.
    pub(crate) source: String,
    /// The element, in the form of [`element`].
    pub(crate) element: String,
    /// A quoted assignment, without its quotes.
    pub(crate) constant: Option<String>,
    /// The code map it names.
    pub(crate) vocabulary: String,
}

/// A row of a code map that has a source code and a target code.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) map: String,
    pub(crate) from: String,
    /// HL7 table of the source code, four digits, if the guide names one.
    pub(crate) table: Option<String>,
    pub(crate) to: String,
    pub(crate) system: String,
}

/// A row of a message map that names a segment map.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// `ADT_A01`.
    pub(crate) structure: String,
    /// `PID`.
    pub(crate) segment: String,
    pub(crate) map: String,
}

/// All of it, in the guide's order.
#[derive(Debug, Default)]
pub(crate) struct Guide {
    pub(crate) segments: Vec<Row>,
    pub(crate) datatypes: Vec<Row>,
    pub(crate) codes: Vec<Code>,
    /// Code maps that no row names.
    pub(crate) unused: Vec<String>,
    pub(crate) messages: Vec<Place>,
}

impl Guide {
    pub(crate) fn read(folder: &Path) -> Self {
        let mut guide = Self::default();
        for (name, rows) in tables(&folder.join("segments")) {
            guide.segments.extend(rows.iter().filter_map(|row| mapped(&name, row)));
        }
        for (name, rows) in tables(&folder.join("datatypes")) {
            guide.datatypes.extend(rows.iter().filter_map(|row| mapped(&name, row)));
        }
        let used = |guide: &Self, name: &str| {
            guide.segments.iter().chain(&guide.datatypes).any(|row| row.vocabulary == name)
        };
        for (name, rows) in tables(&folder.join("codesystems")) {
            if used(&guide, &name) {
                guide.codes.extend(rows.iter().filter_map(|row| code(&name, row)));
            } else {
                guide.unused.push(name);
            }
        }
        for (name, rows) in tables(&folder.join("messages")) {
            guide.messages.extend(rows.iter().filter_map(|row| place(&name, row)));
        }
        guide
    }
}

/// Tables of a folder by the name in their file name (`… _ NAME - …`), without the two heading lines.
fn tables(folder: &Path) -> Vec<(String, Vec<Vec<String>>)> {
    let entries = std::fs::read_dir(folder).expect("a folder of the guide's tables can be read");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a folder entry can be read").path()).collect();
    files.sort();
    let mut out = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "csv")) {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Some((_, name)) = stem.split_once("_ ") else { continue };
        let name = name.rsplit_once(" - ").map_or(name, |(name, _)| name).trim().to_owned();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_path(file)
            .expect("a table opens");
        let rows = reader
            .records()
            .map(|record| record.expect("a table is CSV").iter().map(|cell| cell.trim().to_owned()).collect())
            .skip(2)
            .collect();
        out.push((name, rows));
    }
    out
}

fn cell(row: &[String], n: usize) -> &str {
    row.get(n).map_or("", String::as_str)
}

fn mapped(map: &str, row: &[String]) -> Option<Row> {
    let target = cell(row, 9);
    if target.is_empty() {
        return None;
    }
    let source = cell(row, 1).to_owned();
    let assigned = cell(row, 16);
    let constant =
        assigned.strip_prefix('"').and_then(|text| text.strip_suffix('"')).map(|t| t.trim().to_owned());
    Some(Row {
        map: map.to_owned(),
        source: if source.contains(['-', '.']) { source } else { String::new() },
        element: element(target),
        constant: constant.filter(|text| !text.contains('"')),
        vocabulary: cell(row, 15).chars().filter(|c| !c.is_whitespace() && *c != '/').collect(),
    })
}

fn code(map: &str, row: &[String]) -> Option<Code> {
    let (from, to) = (cell(row, 0), cell(row, 6));
    let table = cell(row, 2).strip_prefix("HL7").map(str::to_owned);
    // Some tables lack the empty column before the display.
    let system = [9, 8].into_iter().map(|n| cell(row, n)).find(|text| text.contains(':')).unwrap_or_default();
    (!from.is_empty() && !to.is_empty()).then(|| Code {
        map: map.to_owned(),
        from: from.to_owned(),
        table,
        to: to.to_owned(),
        system: system.to_owned(),
    })
}

fn place(structure: &str, row: &[String]) -> Option<Place> {
    let (syntax, map) = (cell(row, 2), cell(row, 10));
    (!map.is_empty()).then(|| Place {
        structure: structure.to_owned(),
        segment: syntax.chars().filter(char::is_ascii_alphanumeric).collect(),
        map: map.to_owned(),
    })
}

/// A path as the guide writes it, in one form: no indexes, no names of the resources referred to, lower case.
pub(crate) fn element(text: &str) -> String {
    let text = text.split('=').next().unwrap_or_default();
    let mut out = String::new();
    let mut chars = text.chars().filter(|c| !c.is_whitespace()).peekable();
    while let Some(c) = chars.next() {
        match c {
            '[' => while chars.next_if(|c| *c != ']').is_some() {},
            '(' => while chars.next_if(|c| *c != '.' && *c != ')' && *c != '(').is_some() {},
            ']' | ')' | '}' | '{' => {}
            '.' if out.is_empty() || out.ends_with('.') => {}
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    out.trim_end_matches('.')
        .replace("extension.uri", "extension.url")
        .replace("coding.uri", "coding.system")
        .replace("coding.value", "coding.code")
}
