//! `docs/v2-to-fhir-coverage.md` is made of the guide's tables, found by `WARDSTREAM_CORPUS`, and of this project's
//! maps. `WARDSTREAM_UPDATE_DOCS=1` makes it anew.
//!
//! A row of the guide is covered if a row of the map of the same name fills the same element from the same source.
//! `decisions.map` says for every other row what covers it, which is checked too, or why nothing does.

mod decisions;
mod guide;
mod ours;
mod page;

use std::path::{Path, PathBuf};

use decisions::{Decisions, Verdict};
use guide::Guide;
use ours::Maps;

/// Least share of the guide's rows that the maps cover.
const GOAL: f64 = 0.95;

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_row_of_the_guide_is_covered_or_has_a_reason() {
    let Some(root) = std::env::var_os("WARDSTREAM_CORPUS") else {
        println!("skipped: WARDSTREAM_CORPUS is not set");
        return;
    };
    let guide = Guide::read(&Path::new(&root).join("reference/v2-to-fhir"));
    let maps = Maps::read(&folder().join("maps"));
    let mut decisions = Decisions::read(&folder().join("tests/coverage/decisions.map"));
    let page = page::Page::of(&guide, &maps, &mut decisions);
    for kind in &page.kinds {
        println!("{}: {} of {} rows covered", kind.title, kind.covered(), kind.total());
    }
    let mut wrong = decisions.defects(&maps);
    wrong.extend(page.undecided());
    assert!(wrong.is_empty(), "{} defects\n{}", wrong.len(), wrong.join("\n"));
    for kind in &page.kinds {
        let share = kind.covered() as f64 / kind.total() as f64;
        assert!(share >= GOAL, "{}: only {share:.3} covered", kind.title);
    }
    let path = folder().join("../../docs/v2-to-fhir-coverage.md");
    let made = page.markdown();
    if std::env::var_os("WARDSTREAM_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).expect("the page can be written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == made,
        "docs/v2-to-fhir-coverage.md is not up to date: WARDSTREAM_UPDATE_DOCS=1 makes it anew"
    );
}

/// What decides a row.
pub(crate) fn verdict(maps: &Maps, decisions: &mut Decisions, row: &guide::Row) -> Verdict {
    if covered(maps, &row.map, row) {
        return Verdict::Covered;
    }
    decisions.of(maps, row)
}

/// Whether the map fills the row's element from the row's source.
pub(crate) fn covered(maps: &Maps, map: &str, row: &guide::Row) -> bool {
    maps.maps.get(map).is_some_and(|filled| {
        filled.iter().any(|f| {
            let here = row.source.is_empty() || f.source.is_empty() || within(&f.source, &row.source);
            let constant = row.constant.as_ref().zip(f.constant.as_ref());
            here && f.element == row.element && constant.is_none_or(|(a, b)| a.eq_ignore_ascii_case(b))
        })
    })
}

/// Whether `source` is `field` or a part of it.
pub(crate) fn within(source: &str, field: &str) -> bool {
    source.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
