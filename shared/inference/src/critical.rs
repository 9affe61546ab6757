//! Critical values: results that no model may talk down.
//!
//! The limits are data (`data/critical-values.toml`), each with its source. Besides them, a laboratory's own critical flags
//! (HL7 table 0078: `HH`, `LL`, `AA`) always make a result critical: the laboratory knows its method and its patient's limits.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::Error;
use crate::label::Specialty;
use crate::observation::{Abnormality, LOINC, ObservationFact, number};

const DEFAULT_TABLE: &str = include_str!("../data/critical-values.toml");

/// Why a result is critical.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Basis {
    /// At or beyond a limit of the table.
    Limit,
    /// The laboratory flagged it so.
    Flag,
    /// Growth from a site that is sterile in health.
    Culture,
}

/// A result found critical.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Critical {
    /// The analyte's name: the table's, else the feed's.
    pub analyte: String,
    /// For people: `critical: potassium 7.1 mmol/L (limit 6.5)`.
    pub reason: String,
    /// What made it critical.
    pub basis: Basis,
}

/// What the table says about one result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Critical.
    Critical(Critical),
    /// In the table, and not critical.
    NotCritical,
    /// In the table, but its unit is not one the table can convert; only the flags were heard. The text names both.
    UnknownUnit(String),
    /// Not in the table, and not flagged.
    Unlisted,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableFile {
    source: Vec<SourceRow>,
    analyte: Vec<AnalyteRow>,
    #[serde(default)]
    culture: Vec<CultureRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceRow {
    id: String,
    citation: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnalyteRow {
    name: String,
    specialty: Specialty,
    loinc: Vec<String>,
    #[serde(default)]
    aliases: Vec<String>,
    unit: String,
    units: HashMap<String, f64>,
    limits: Vec<Limit>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    min_age_days: Option<u32>,
    max_age_days: Option<u32>,
    low: Option<f64>,
    high: Option<f64>,
    high_times_reference: Option<f64>,
    source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CultureRow {
    name: String,
    specialty: Specialty,
    loinc: Vec<String>,
    #[serde(default)]
    aliases: Vec<String>,
    source: String,
}

#[derive(Debug)]
struct Analyte {
    name: String,
    specialty: Specialty,
    unit: String,
    units: HashMap<String, f64>,
    limits: Vec<Limit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Analyte(usize),
    Culture(usize),
}

/// The table of critical values.
#[derive(Debug)]
pub struct CriticalTable {
    analytes: Vec<Analyte>,
    cultures: Vec<(String, Specialty)>,
    by_loinc: HashMap<String, Row>,
    by_alias: HashMap<String, Row>,
}

fn malformed(reason: String) -> Error {
    Error::Table { table: "table of critical values", reason }
}

impl CriticalTable {
    /// The committed table.
    #[must_use]
    pub fn default_table() -> &'static Self {
        static TABLE: LazyLock<CriticalTable> = LazyLock::new(|| {
            #[expect(clippy::expect_used, reason = "the committed table is checked by a test")]
            CriticalTable::parse(DEFAULT_TABLE).expect("the committed table parses")
        });
        &TABLE
    }

    /// A copy of the committed table.
    ///
    /// # Errors
    /// `MODEL-507`, which a test rules out for the committed file.
    pub fn committed() -> Result<Self, Error> {
        Self::parse(DEFAULT_TABLE)
    }

    /// Reads a table in the format of `data/critical-values.toml`.
    ///
    /// # Errors
    /// `MODEL-507` with the entry: bad TOML, an unknown source, a code listed twice, a limit that can never apply.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let file: TableFile = toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
        let sources: Vec<&str> = file.source.iter().map(|source| source.id.as_str()).collect();
        if let Some(source) = file.source.iter().find(|source| source.citation.trim().is_empty()) {
            return Err(malformed(format!("source {} has no citation", source.id)));
        }
        let known = |name: &str, source: &str| {
            if sources.contains(&source) {
                Ok(())
            } else {
                Err(malformed(format!("{name}: unknown source {source}")))
            }
        };
        let mut table = Self {
            analytes: Vec::new(),
            cultures: Vec::new(),
            by_loinc: HashMap::new(),
            by_alias: HashMap::new(),
        };
        for row in file.analyte {
            for limit in &row.limits {
                known(&row.name, &limit.source)?;
                let ages = limit.min_age_days.unwrap_or(0) < limit.max_age_days.unwrap_or(u32::MAX);
                let ordered = match (limit.low, limit.high) {
                    (Some(low), Some(high)) => low < high,
                    (None, None) => limit.high_times_reference.is_some(),
                    _ => true,
                };
                if !ages || !ordered {
                    return Err(malformed(format!("{}: a limit can never apply", row.name)));
                }
            }
            let units: HashMap<String, f64> =
                row.units.iter().map(|(unit, factor)| (fold_unit(unit), *factor)).collect();
            if units.get(&fold_unit(&row.unit)) != Some(&1.0)
                || units.values().any(|f| !f.is_finite() || *f <= 0.0)
            {
                return Err(malformed(format!("{}: units need factor 1 for the canonical unit", row.name)));
            }
            let index = Row::Analyte(table.analytes.len());
            table.register(&row.name, &row.loinc, &row.aliases, index)?;
            table.analytes.push(Analyte {
                name: row.name,
                specialty: row.specialty,
                unit: row.unit,
                units,
                limits: row.limits,
            });
        }
        for row in file.culture {
            known(&row.name, &row.source)?;
            let index = Row::Culture(table.cultures.len());
            table.register(&row.name, &row.loinc, &row.aliases, index)?;
            table.cultures.push((row.name, row.specialty));
        }
        Ok(table)
    }

    fn register(&mut self, name: &str, loinc: &[String], aliases: &[String], row: Row) -> Result<(), Error> {
        for code in loinc {
            if self.by_loinc.insert(code.clone(), row).is_some() {
                return Err(malformed(format!("{name}: LOINC {code} is listed twice")));
            }
        }
        for alias in aliases {
            if self.by_alias.insert(fold_name(alias), row).is_some_and(|other| other != row) {
                return Err(malformed(format!("{name}: alias {alias} is listed twice")));
            }
        }
        Ok(())
    }

    /// Judges one result for a patient of the given age, where known.
    #[must_use]
    pub fn judge(&self, fact: &ObservationFact, age_days: Option<u32>) -> Verdict {
        if !fact.counts() {
            return Verdict::Unlisted;
        }
        let verdict = match self.find(fact) {
            Some(Row::Analyte(index)) => {
                self.analytes.get(index).map_or(Verdict::Unlisted, |analyte| analyte.judge(fact, age_days))
            }
            Some(Row::Culture(index)) => {
                self.cultures.get(index).map_or(Verdict::Unlisted, |(name, _)| judge_culture(name, fact))
            }
            None => Verdict::Unlisted,
        };
        match verdict {
            Verdict::Critical(critical) => Verdict::Critical(critical),
            other if fact.abnormality() == Abnormality::Critical => {
                let analyte = label(fact);
                let flag = fact
                    .flags
                    .iter()
                    .find(|flag| matches!(flag.trim_end_matches('*'), "HH" | "LL" | "AA" | "HU" | "LU"))
                    .map_or("critical", String::as_str);
                let unit =
                    if matches!(other, Verdict::UnknownUnit(_)) { ", unit not in the table" } else { "" };
                let reason = match &fact.value {
                    Some(value) => format!("critical: {analyte} {value} {} (flag {flag}{unit})", fact.unit),
                    None => format!("critical: {analyte} (flag {flag})"),
                };
                Verdict::Critical(Critical { analyte, reason: reason.replace("  ", " "), basis: Basis::Flag })
            }
            other => other,
        }
    }

    /// Whom a result of this analyte concerns first.
    #[must_use]
    pub fn specialty(&self, fact: &ObservationFact) -> Option<Specialty> {
        match self.find(fact)? {
            Row::Analyte(index) => self.analytes.get(index).map(|analyte| analyte.specialty),
            Row::Culture(index) => self.cultures.get(index).map(|(_, specialty)| *specialty),
        }
    }

    /// Whether the table has an entry for a result's code or name.
    pub(crate) fn lists(&self, fact: &ObservationFact) -> bool {
        self.find(fact).is_some()
    }

    fn find(&self, fact: &ObservationFact) -> Option<Row> {
        // Feeds often leave the coding system empty or call it "LN": the shape of a LOINC code decides then.
        let loinc = fact.system == LOINC || fact.system.is_empty() || fact.system.eq_ignore_ascii_case("LN");
        if loinc && let Some(row) = self.by_loinc.get(&fact.code) {
            return Some(*row);
        }
        if fact.system == LOINC && !fact.code.is_empty() {
            // A LOINC code that is not listed is another specimen or method: its name must not be guessed from.
            return None;
        }
        let by_name = fold_name(&fact.display);
        let by_code = fold_name(&fact.code);
        [by_name, by_code].iter().find_map(|name| self.by_alias.get(name.as_str())).copied()
    }
}

impl Analyte {
    fn judge(&self, fact: &ObservationFact, age_days: Option<u32>) -> Verdict {
        let Some(raw) = fact.number() else { return Verdict::NotCritical };
        let Some(factor) = self.units.get(&fold_unit(&fact.unit)) else {
            return Verdict::UnknownUnit(format!(
                "{} has unit {:?}, which the table of critical values cannot convert to {}",
                self.name, fact.unit, self.unit
            ));
        };
        let applies = |limit: &&Limit| match (limit.min_age_days, limit.max_age_days, age_days) {
            (None, None, _) => true,
            (_, _, None) => false,
            (min, max, Some(age)) => age >= min.unwrap_or(0) && max.is_none_or(|max| age < max),
        };
        let Some(limit) = self.limits.iter().find(applies) else { return Verdict::NotCritical };
        let value = raw * factor;
        // Unit factors are rounded to four digits; a value printed at the limit must still count as at it.
        let slack = |limit: f64| if *factor == 1.0 { 1e-9 } else { limit.abs() * 5e-4 };
        let reference = limit.high_times_reference.and_then(|times| {
            let high = number(fact.high.as_deref()?)?;
            (high > 0.0).then_some(high * factor * times)
        });
        let high = reference.or(limit.high);
        // "<0.5" is at most 0.5 and may be anything below; ">500" is at least that.
        let comparator = fact.comparator.as_deref().unwrap_or("");
        let exceeds = |high: f64| !comparator.starts_with('<') && value >= high - slack(high);
        let undercuts = |low: f64| !comparator.starts_with('>') && value <= low + slack(low);
        let crossed = high.filter(|&h| exceeds(h)).or_else(|| limit.low.filter(|&l| undercuts(l)));
        match crossed {
            Some(crossed) => {
                let shown = round(crossed / factor);
                let unit = if fact.unit.is_empty() { String::new() } else { format!(" {}", fact.unit) };
                Verdict::Critical(Critical {
                    analyte: self.name.clone(),
                    reason: format!(
                        "critical: {} {comparator}{}{unit} (limit {shown})",
                        self.name,
                        fact.value.as_deref().unwrap_or("").trim(),
                    ),
                    basis: Basis::Limit,
                })
            }
            None => Verdict::NotCritical,
        }
    }
}

/// Words of a culture report that mean nothing has grown.
const NO_GROWTH: [&str; 13] = [
    "no growth",
    "negative",
    "not detected",
    "sterile",
    "no organism",
    "no pathogen",
    "no bacteri",
    "no acid-fast",
    "no yeast",
    "no significant growth",
    "not isolated",
    "none isolated",
    "not seen",
];
/// Words that mean nothing is known yet, unless an organism is named: susceptibilities may be pending.
const NOT_YET: [&str; 3] = ["pending", "to follow", "in progress"];
/// What an organism may be negative for and have grown all the same.
const STAINS: [&str; 6] = ["gram", "coagulase", "lactose", "oxidase", "catalase", "indole"];
/// Stems that name growth: organisms, their shapes, a positive culture.
const GROWTH: [&str; 36] = [
    "positive",
    "_neg",
    "cocc",
    "bacill",
    "rods",
    "staph",
    "strep",
    "mrsa",
    "aureus",
    "coli",
    "klebsiella",
    "pseudomonas",
    "proteus",
    "serratia",
    "enterobacter",
    "citrobacter",
    "acinetobacter",
    "stenotrophomonas",
    "haemophilus",
    "hemophilus",
    "neisseria",
    "meningitidis",
    "listeria",
    "salmonella",
    "bacteroides",
    "clostridi",
    "cutibacterium",
    "corynebacter",
    "candida",
    "cryptococc",
    "yeast",
    "mycobacterium",
    "isolated",
    "grown",
    "growth of",
    "growing",
];

/// Whether a culture report says that something grew.
///
/// A clause that names an organism decides, whatever the other bottle or the susceptibilities say; a report that names
/// neither an organism nor the lack of one counts as growth.
fn has_grown(report: &str) -> bool {
    let mut folded = report.to_lowercase();
    for stain in STAINS {
        for joint in ["-", " "] {
            folded = folded.replace(&format!("{stain}{joint}negative"), &format!("{stain}_neg"));
        }
    }
    let says = |text: &str, words: &[&str]| words.iter().any(|word| text.contains(word));
    let named =
        folded.split(['.', ';', ',', '\n']).any(|clause| says(clause, &GROWTH) && !says(clause, &NO_GROWTH));
    let nothing = folded.trim().is_empty() || says(&folded, &NO_GROWTH) || says(&folded, &NOT_YET);
    named || !nothing
}

fn judge_culture(name: &str, fact: &ObservationFact) -> Verdict {
    if !fact.text.as_deref().is_some_and(has_grown) {
        return Verdict::NotCritical;
    }
    if fact.flags.iter().any(|flag| matches!(flag.as_str(), "N" | "NEG" | "ND")) {
        return Verdict::NotCritical;
    }
    Verdict::Critical(Critical {
        analyte: name.to_owned(),
        reason: format!("critical: {name} with growth"),
        basis: Basis::Culture,
    })
}

fn label(fact: &ObservationFact) -> String {
    let name = if fact.display.trim().is_empty() { fact.code.trim() } else { fact.display.trim() };
    if name.is_empty() { "result".to_owned() } else { name.to_lowercase() }
}

fn round(value: f64) -> String {
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else if value.abs() >= 1.0 {
        2
    } else {
        3
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Units without case, spaces, annotations of no meaning and with one micro sign.
fn fold_unit(unit: &str) -> String {
    let folded: String = unit
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| if matches!(c, 'µ' | 'μ') { 'u' } else { c })
        .flat_map(char::to_lowercase)
        .collect();
    folded.replace("mcl", "ul")
}

/// Names without case, punctuation and the words that only say which blood was drawn; for cultures, where it matters, with them.
fn fold_name(name: &str) -> String {
    let lower = name.to_lowercase();
    let culture = lower.contains("culture");
    let words: Vec<&str> = lower
        .split(|c: char| {
            c.is_whitespace() || matches!(c, ',' | ';' | ':' | '(' | ')' | '[' | ']' | '/' | '_' | '.')
        })
        .filter(|word| {
            !word.is_empty()
                && (culture
                    || !matches!(
                        *word,
                        "serum"
                            | "plasma"
                            | "ser"
                            | "plas"
                            | "s"
                            | "p"
                            | "level"
                            | "lvl"
                            | "blood"
                            | "whole"
                            | "bld"
                            | "in"
                            | "or"
                            | "quant"
                    ))
        })
        .collect();
    if words.is_empty() { lower.trim().to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests;
