//! The page: a table of maps, and every row that is not covered with its reason.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::decisions::{Decisions, Verdict};
use crate::guide::{Code, Guide, Place};
use crate::ours::Maps;
use crate::verdict;

/// One table of the guide.
#[derive(Debug, Default)]
struct Table {
    name: String,
    covered: usize,
    /// Of these, what is not in the map of the same name.
    elsewhere: usize,
    /// What of a row tells it from others, and its verdict.
    open: Vec<(String, Verdict)>,
}

#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) title: &'static str,
    tables: Vec<Table>,
}

#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) kinds: Vec<Kind>,
    /// Code maps of the guide that none of its rows names.
    unused: Vec<String>,
}

impl Kind {
    fn of(title: &'static str, rows: impl Iterator<Item = (String, String, Verdict)>) -> Self {
        let mut tables: Vec<Table> = Vec::new();
        for (name, row, verdict) in rows {
            if tables.last().is_none_or(|table| table.name != name) {
                tables.push(Table { name, ..Table::default() });
            }
            let Some(table) = tables.last_mut() else { continue };
            match verdict {
                Verdict::Covered => table.covered += 1,
                Verdict::Elsewhere => {
                    table.covered += 1;
                    table.elsewhere += 1;
                }
                open => table.open.push((row, open)),
            }
        }
        Self { title, tables }
    }

    pub(crate) fn covered(&self) -> usize {
        self.tables.iter().map(|table| table.covered).sum()
    }

    pub(crate) fn total(&self) -> usize {
        self.covered() + self.tables.iter().map(|table| table.open.len()).sum::<usize>()
    }
}

impl Page {
    pub(crate) fn of(guide: &Guide, maps: &Maps, decisions: &mut Decisions) -> Self {
        let mut rows = |rows: &[crate::guide::Row]| -> Vec<(String, String, Verdict)> {
            rows.iter()
                .map(|row| {
                    let shown = format!("{} | {}", row.source, row.element);
                    (row.map.clone(), shown, verdict(maps, decisions, row))
                })
                .collect()
        };
        let segments = Kind::of("Segment maps", rows(&guide.segments).into_iter());
        let datatypes = Kind::of("Data-type maps", rows(&guide.datatypes).into_iter());
        let places = guide.messages.iter().map(|place| {
            let shown = format!("{} | {}", place.segment, place.map);
            (place.structure.clone(), shown, of_place(maps, decisions, place))
        });
        let messages = Kind::of("Message maps", places.collect::<Vec<_>>().into_iter());
        let codes = guide.codes.iter().map(|code| {
            let shown = format!("{} | {}", code.from, code.to);
            (code.map.clone(), shown, of_code(maps, decisions, code))
        });
        let codes = Kind::of("Code maps", codes.collect::<Vec<_>>().into_iter());
        Self { kinds: vec![messages, segments, datatypes, codes], unused: guide.unused.clone() }
    }

    /// Rows without verdict.
    pub(crate) fn undecided(&self) -> Vec<String> {
        let tables = self.kinds.iter().flat_map(|kind| &kind.tables);
        tables
            .flat_map(|table| {
                let open = table.open.iter().filter(|(_, verdict)| *verdict == Verdict::Undecided);
                open.map(|(row, _)| format!("{} | {row}", table.name))
            })
            .collect()
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = String::from(HEAD);
        out.push_str("| tables | rows with a target | covered | share | of these elsewhere |\n");
        out.push_str("| --- | ---: | ---: | ---: | ---: |\n");
        for kind in &self.kinds {
            let share = 100.0 * kind.covered() as f64 / kind.total() as f64;
            let elsewhere: usize = kind.tables.iter().map(|table| table.elsewhere).sum();
            let (total, covered) = (kind.total(), kind.covered());
            let _ = writeln!(out, "| {} | {total} | {covered} | {share:.1} % | {elsewhere} |", kind.title);
        }
        for kind in &self.kinds {
            let _ = write!(out, "\n## {}\n\n", kind.title);
            out.push_str("| map | rows | covered | elsewhere |\n| --- | ---: | ---: | ---: |\n");
            for table in &kind.tables {
                let rows = table.covered + table.open.len();
                let _ =
                    writeln!(out, "| {} | {rows} | {} | {} |", table.name, table.covered, table.elsewhere);
            }
            let _ = write!(out, "\nNot covered:\n\n| map | rows | why |\n| --- | --- | --- |\n");
            for table in &kind.tables {
                reasons(&mut out, table);
            }
        }
        let _ = write!(
            out,
            "\nNot counted, because no row of the guide names them: {}.\n",
            self.unused.join(", ")
        );
        out
    }
}

/// A line for each reason, with the rows it stands for.
fn reasons(out: &mut String, table: &Table) {
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for (_, verdict) in &table.open {
        let Verdict::Not(reason) = verdict else { continue };
        if !told.insert(reason) {
            continue;
        }
        let rows: Vec<String> = table
            .open
            .iter()
            .filter(|(_, other)| other == verdict)
            .map(|(row, _)| format!("`{}`", row.replace(" | ", " ").trim()))
            .collect();
        let _ = writeln!(out, "| {} | {} | {reason} |", table.name, rows.join(", "));
    }
}

const HEAD: &str = "# What of the HL7 v2-to-FHIR guide is covered

The [HL7 v2-to-FHIR implementation guide](https://build.fhir.org/ig/HL7/v2-to-fhir/) says row by row what of an HL7 v2
message becomes what in FHIR R4. The converter follows it with [maps of its own](../shared/v2-to-fhir/maps/README.md) under the
guide's names. This page is made by comparing both:

```sh
WARDSTREAM_UPDATE_DOCS=1 cargo test -p wardstream-v2-to-fhir --test coverage
```

A row counts as covered if a row of the map of the same name fills the same element from the same field, or elsewhere, if
[`decisions.map`](../shared/v2-to-fhir/tests/coverage/decisions.map) names the row, function or module that holds what it holds. A row of a
code map counts if the code becomes the guide's code, or if the guide keeps the code in its HL7 table and so do we. Rows without
a target in FHIR are not counted. The comparison is of sources and elements; conditions are read by people.

";

fn of_place(maps: &Maps, decisions: &mut Decisions, place: &Place) -> Verdict {
    let kind = place.structure.get(..3).unwrap_or_default();
    let placed = maps
        .messages
        .iter()
        .find(|(name, _)| **name == place.structure)
        .or_else(|| maps.messages.iter().find(|(name, _)| name.starts_with(kind)));
    let there = |map: &str| {
        placed.is_some_and(|(_, rows)| {
            rows.iter().any(|(segment, name)| *segment == place.segment && name == map)
        })
    };
    if there(&place.map) {
        return Verdict::Covered;
    }
    decisions.of_place(place, |map| placed.is_some_and(|(_, rows)| rows.iter().any(|(_, name)| name == map)))
}

fn of_code(maps: &Maps, decisions: &mut Decisions, code: &Code) -> Verdict {
    let mapped = maps.codes.get(&code.map);
    if mapped.and_then(|rows| rows.get(&code.from)).is_some_and(|(_, to)| *to == code.to) {
        return Verdict::Covered;
    }
    // A code that stays in its HL7 table is written as it was sent.
    let kept = code.from == code.to
        && code.table.as_ref().is_some_and(|table| {
            maps.tables.contains(table) && code.system.ends_with(&format!("/v2-{table}"))
        });
    if kept && mapped.is_none_or(|rows| !rows.contains_key(&code.from)) {
        return Verdict::Covered;
    }
    decisions.of_code(code)
}
