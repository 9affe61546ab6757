//! The policy's tables, read for a second time, by another reader than the crate's.

use std::collections::BTreeMap;
use std::path::Path;

/// The tables in the order of the document.
pub(crate) const TABLES: [(&str, &str); 7] = [
    ("common", "Common to all"),
    ("foundation", "Foundation"),
    ("administration", "Administration"),
    ("clinical", "Clinical"),
    ("diagnostics", "Diagnostics"),
    ("medication", "Medication"),
    ("financial", "Financial"),
];

/// A line of a table.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) path: String,
    pub(crate) required: bool,
    pub(crate) treatment: String,
    /// Letter, or the path that `as` names.
    pub(crate) argument: Option<String>,
}

/// The sections of a table, in order.
pub(crate) fn sections(table: &str) -> Vec<(String, Vec<Line>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("policy/{table}.txt"));
    let mut sections: Vec<(String, Vec<Line>)> = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
        } else if let Some(name) = line.strip_prefix('[') {
            sections.push((name.trim_end_matches(']').to_owned(), Vec::new()));
        } else {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (path, required) = match words[0].split_once('!') {
                Some((path, _)) => (path, true),
                None => (words[0], false),
            };
            sections.last_mut().unwrap().1.push(Line {
                path: path.to_owned(),
                required,
                treatment: words[1].to_owned(),
                argument: words.get(2).map(|word| (*word).to_owned()),
            });
        }
    }
    sections
}

/// Every section by name.
pub(crate) struct Policy(BTreeMap<String, Vec<Line>>);

impl Policy {
    pub(crate) fn read() -> Self {
        Self(TABLES.iter().flat_map(|(table, _)| sections(table)).collect())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What becomes of an element: its treatment and the steps below the element that the treatment is for. None for one that is not listed.
    pub(crate) fn treatment(&self, resource: &str, steps: &[&str]) -> Option<(String, Vec<String>)> {
        let mut section = resource.to_owned();
        let mut prefix = String::new();
        for (at, step) in steps.iter().enumerate() {
            let path = if prefix.is_empty() { (*step).to_owned() } else { format!("{prefix}.{step}") };
            let line = self.0.get(&section)?.iter().find(|line| line.path == path).or_else(|| {
                (at == 0).then(|| self.0["Resource"].iter().find(|line| line.path == path)).flatten()
            })?;
            match line.treatment.as_str() {
                "element" => prefix = path,
                "as" => prefix = line.argument.clone().unwrap(),
                data_type if data_type.starts_with('@') => {
                    section = data_type[1..].to_owned();
                    prefix.clear();
                }
                treatment => {
                    let below = steps[at + 1..].iter().map(|step| (*step).to_owned()).collect();
                    return Some((treatment.to_owned(), below));
                }
            }
        }
        None
    }
}
