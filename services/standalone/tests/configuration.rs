//! `docs/configuration.md` is made of the configuration types. `WARDSTREAM_UPDATE_DOCS=1` makes it anew.

use std::fs;
use std::path::Path;

const INTRODUCTION: &str = "\
# Configuration

Every service is one program, `wardstream-<service>`, and reads its configuration in this order, later over earlier:

1. the defaults below;
2. a TOML file, named by `--config FILE` or `WARDSTREAM_CONFIG`; the key `kafka.tuning.workers` is `workers` in the
   table `[kafka.tuning]`;
3. the environment: `WARDSTREAM_<SECTION>__<KEY>`, with two underscores between levels. A secret is better given as
   a file: `WARDSTREAM_<SECTION>__<KEY>_FILE` names it.

A wrong key or value ends the program with exit status 64 before it opens a socket, and the message names the key. A
variable for a section that a service does not have is left alone, so services can share one environment.
`wardstream-<service> --print-config` prints what is in effect, secrets masked.

`wardstream standalone` needs no configuration: its command line is all there is (`wardstream standalone --help`). The
one-shot commands that de-identify read the section `deid`.

This page is generated from the types; a test fails when it is out of date.
";

const COMMON: &str = "
## Every service

These keys are the same for all of them.

";

const HEADER: &str =
    "| Key | Environment variable | Type | Default | Meaning |\n| --- | --- | --- | --- | --- |\n";

/// Each service with its table.
fn references() -> [(&'static str, String); 7] {
    [
        ("ingest", settings::reference::<ingest::Config>("ingest")),
        ("validate", settings::reference::<validate::Config>("validate")),
        ("redact", settings::reference::<redact::Config>("redact")),
        ("classify", settings::reference::<classify::Config>("classify")),
        ("summarize", settings::reference::<summarize::Config>("summarize")),
        ("notify", settings::reference::<notify::Config>("notify")),
        ("audit", settings::reference::<audit::Config>("audit")),
    ]
}

fn rows(table: &str) -> Vec<&str> {
    table.lines().filter(|line| line.starts_with("| `")).collect()
}

/// What is the same everywhere is written once.
fn page() -> String {
    let references = references();
    let tables: Vec<(&str, Vec<&str>)> =
        references.iter().map(|(service, table)| (*service, rows(table))).collect();
    let common = |row: &&str| tables.iter().all(|(_, rows)| rows.contains(row));
    let mut page = INTRODUCTION.to_owned();
    let mut write = |heading: &str, rows: Vec<&str>| {
        page.push_str(heading);
        if rows.is_empty() {
            page.push_str("Nothing beyond what every service has.\n");
            return;
        }
        page.push_str(HEADER);
        rows.iter().for_each(|row| page.extend([row, "\n"]));
    };
    let (_, first) = &tables[0];
    write(COMMON, first.iter().copied().filter(common).collect());
    for (service, rows) in &tables {
        let own = rows.iter().copied().filter(|row| !common(row)).collect();
        write(&format!("\n## `wardstream-{service}`\n\n"), own);
    }
    page
}

#[test]
fn docs_configuration_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = page();
    if std::env::var_os("WARDSTREAM_UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "docs/configuration.md is out of date: run this test with WARDSTREAM_UPDATE_DOCS=1"
    );
}

/// A key without a word on what it means is not documented.
#[test]
fn every_key_has_a_meaning() {
    for (service, table) in references() {
        for row in rows(&table) {
            let meaning = row.trim_end_matches('|').rsplit(" | ").next().unwrap_or_default().trim();
            assert!(meaning.len() > 3, "wardstream-{service}: {row}");
        }
    }
}
