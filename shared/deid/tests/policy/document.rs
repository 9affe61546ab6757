//! `docs/deid-policy.md` is made of the tables. `WARDSTREAM_UPDATE_DOCS=1` makes it anew.

use std::fmt::Write as _;
use std::path::Path;

use super::tables::{Line, TABLES, sections};

const INTRODUCTION: &str = "\
# What de-identification does with each element

The rules that `redact` follows for FHIR R4, as it runs them: this page is made of the tables in
[`shared/deid/policy`](../shared/deid/policy/common.txt), and a test fails when it is out of date. The standard is HIPAA Safe Harbor,
45 CFR 164.514(b)(2)(i); the letter is the paragraph of that list that an element falls under.

**It is an allow-list.** An element that is not on this page is removed, and so is a resource of a type without a table here: what is not
known to be safe does not leave. Extensions are removed but for those listed, contained resources follow the table of their own type, the
narrative (`text.div`) of every resource is removed, and an element's own `id` is removed wherever it is not a resource's.

A second, independent look at every string and number of the result refuses the whole record if something in it still looks like an
identifier; it is then a dead letter ([DEID-401](errors/DEID-401.md)), not an output.

Two things for the officer to decide, not for the software: shifted dates are not the person's dates, but they are dates, where paragraph
(C) lets years stay; and keyed pseudonyms are codes in the sense of 164.514(c), whose key must stay with the covered entity.

## The treatments

| treatment | what becomes of the element |
| --- | --- |
";

/// Each treatment: its word in the tables, its name here, what it does, and the letters it takes care of.
const TREATMENTS: [(&str, &str, &str, &str); 26] = [
    ("remove", "removed", "It is taken out.", ""),
    (
        "keep",
        "kept",
        "Codes, numbers and yes or no stay; a text that holds an identity of this bundle, or looks like an identifier, is treated as free text.",
        "",
    ),
    (
        "text",
        "free text",
        "Identifiers in it are replaced by tags such as `[NAME-1]`; a text in a language that cannot be read is withheld.",
        "A–R",
    ),
    ("narrative", "free text", "Reduced to paragraphs, then as free text.", "A–R"),
    (
        "code",
        "code",
        "Kept under a public code system (LOINC, SNOMED CT, HL7 …); a local code is treated as free text.",
        "",
    ),
    (
        "system",
        "code system",
        "Kept when it names a public code system or profile, else replaced by a keyed UUID: a local one names the hospital.",
        "B",
    ),
    (
        "shift",
        "date shifted",
        "Moved back by the patient's own number of days (1 to 365, or whole weeks by configuration), so that intervals stay.",
        "C",
    ),
    ("birth-year", "year only", "The year, shifted like every date; nothing for a person over 89.", "C"),
    (
        "zip",
        "three digits",
        "The first three digits of the zip code; `000` for the 17 areas of at most 20,000 people.",
        "B",
    ),
    (
        "state",
        "states only",
        "Kept when it is a state or territory of the USA; else removed, since a feed may have put a city there.",
        "B",
    ),
    (
        "country",
        "country code",
        "Kept when it is a code of two or three letters; else treated as free text.",
        "B",
    ),
    ("quantity", "number kept", "Kept; a count of years over 89 becomes 90 or more.", "C"),
    (
        "patient-identifier",
        "pseudonym",
        "A keyed pseudonym in place of value and authority; social security, licence, passport and tax numbers are removed.",
        "G–K, R",
    ),
    ("identifier", "pseudonym", "A keyed pseudonym in place of value and authority.", "H–K, M, R"),
    ("pseudonym", "pseudonym", "Replaced by a keyed pseudonym.", "R"),
    (
        "reference",
        "reference",
        "Points to the same resource under its new id; a name beside it (`display`) is removed.",
        "A, B, R",
    ),
    ("id", "new id", "Replaced by a keyed UUID, the same everywhere.", "R"),
    ("uri", "new URI", "Replaced by a keyed UUID.", "N"),
    ("oid", "new URI", "Replaced by a keyed UUID.", "R"),
    (
        "request-url",
        "new id",
        "The type of the resource stays, its id becomes a keyed UUID, a search is removed.",
        "R",
    ),
    ("mask", "tag", "Replaced by the tag of its kind, such as `[ORGANIZATION-1]`.", ""),
    (
        "ward",
        "kind of ward",
        "Kept when it is made of words for kinds of wards only (`Intensive Care Unit`), without its number; else a tag.",
        "B",
    ),
    (
        "attachment",
        "attachment",
        "Plain text and HTML are treated as free text; images, other formats and links are withheld, and a stub says why.",
        "A–R",
    ),
    ("binary", "attachment", "As an attachment.", "A–R"),
    ("extension", "listed only", "Only the extensions listed under Extension stay.", ""),
    ("resource", "own table", "Follows the table of its own type.", ""),
];

/// The page.
fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut named: Vec<&str> = Vec::new();
    for (_, name, meaning, _) in TREATMENTS {
        if !named.contains(&name) {
            named.push(name);
            writeln!(page, "| {name} | {meaning} |").unwrap();
        }
    }
    page.push_str("| required | FHIR demands the element: when its treatment leaves nothing, the reason for its absence stands in its place, or its parent goes too. |\n");
    page.push_str("\n## The tables\n\n");
    for (table, title) in TABLES {
        let names: Vec<String> =
            sections(table).iter().map(|(name, _)| format!("[{name}](#{})", name.to_lowercase())).collect();
        writeln!(page, "- {title}: {}", names.join(", ")).unwrap();
    }
    for (table, title) in TABLES {
        writeln!(page, "\n## {title}").unwrap();
        for (name, lines) in sections(table) {
            writeln!(page, "\n### {name}\n").unwrap();
            if name == "Resource" {
                page.push_str("What every resource has.\n\n");
            }
            page.push_str("| element | treatment | letter |\n| --- | --- | --- |\n");
            for line in &lines {
                let required = if line.required { ", required" } else { "" };
                let (treatment, letter) = words(line);
                writeln!(page, "| `{}` | {treatment}{required} | {letter} |", line.path).unwrap();
            }
        }
    }
    page
}

fn words(line: &Line) -> (String, String) {
    if let Some(data_type) = line.treatment.strip_prefix('@') {
        return (format!("as [{data_type}](#{})", data_type.to_lowercase()), String::new());
    }
    match line.treatment.as_str() {
        "element" => ("by the lines below".to_owned(), String::new()),
        "as" => (format!("as `{}`", line.argument.as_deref().unwrap()), String::new()),
        word => {
            let treatment = TREATMENTS.iter().find(|(known, ..)| *known == word);
            let (_, name, _, letters) = treatment.unwrap_or_else(|| panic!("{word} has no words"));
            ((*name).to_owned(), line.argument.clone().unwrap_or_else(|| (*letters).to_owned()))
        }
    }
}

#[test]
fn docs_deid_policy_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/deid-policy.md");
    let page = page();
    if std::env::var_os("WARDSTREAM_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/deid-policy.md is out of date: run this test with WARDSTREAM_UPDATE_DOCS=1");
}
