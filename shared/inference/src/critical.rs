//! Critical values: results that no model may talk down.
//!
//! The limits are data (`data/critical-values.toml`), each with its source. Besides them, a laboratory's own critical flags
//! (HL7 table 0078: `HH`, `LL`, `AA`) always make a result critical: the laboratory knows its method and its patient's limits.

mod unit;

use std::collections::HashMap;
use std::path::Path;
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
    /// In the table, but its unit is missing or none the table can convert; only the flags were heard. The text says which.
    UnknownUnit(String),
    /// In the table and without a unit: critical in one of the units it may be in. A person must look. The text says so.
    Doubtful(String),
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
    /// What a living patient's result may be, in the canonical unit: tells a missing unit.
    possible: Option<[f64; 2]>,
    /// An adult's usual reference range, in the canonical unit: tells a missing unit by the range a laboratory sends.
    usual: Option<[f64; 2]>,
    /// Units of LOINC codes whose property (substance or mass concentration) leaves only one.
    #[serde(default)]
    unit_of_loinc: HashMap<String, String>,
    /// Aliases that do not say which specimen was examined.
    #[serde(default)]
    ambiguous: Vec<String>,
    limits: Vec<Limit>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    min_age_days: Option<u32>,
    max_age_days: Option<u32>,
    /// `Patient.gender`.
    sex: Option<String>,
    #[serde(default)]
    pregnant: bool,
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
    possible: [f64; 2],
    usual: Option<[f64; 2]>,
    unit_of_loinc: HashMap<String, String>,
    ambiguous: Vec<String>,
    limits: Vec<Limit>,
}

/// What of a patient chooses a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Patient<'a> {
    /// Age in days.
    pub age_days: Option<u32>,
    /// `Patient.gender`.
    pub sex: Option<&'a str>,
    /// Whether the patient is known to be pregnant.
    pub pregnant: bool,
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

    /// Reads a hospital's table from a file.
    ///
    /// # Errors
    /// `MODEL-501` when it cannot be read, and those of [`parse`](Self::parse).
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&text)
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
            let unknown = |unit: &&String| !units.contains_key(&fold_unit(unit));
            if let Some(unit) = row.unit_of_loinc.values().find(unknown) {
                return Err(malformed(format!("{}: {unit} is not one of its units", row.name)));
            }
            for [low, high] in [row.possible, row.usual].into_iter().flatten() {
                if low >= high {
                    return Err(malformed(format!("{}: a range is empty", row.name)));
                }
            }
            table.analytes.push(Analyte {
                name: row.name,
                specialty: row.specialty,
                unit: row.unit,
                units,
                possible: row.possible.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]),
                usual: row.usual,
                unit_of_loinc: row.unit_of_loinc,
                ambiguous: row.ambiguous.iter().map(|name| fold_name(name)).collect(),
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

    /// Judges one result of a patient.
    #[must_use]
    pub fn judge(&self, fact: &ObservationFact, patient: Patient<'_>) -> Verdict {
        if !fact.counts() {
            return Verdict::Unlisted;
        }
        let verdict = match self.find(fact) {
            Some(Row::Analyte(index)) => {
                self.analytes.get(index).map_or(Verdict::Unlisted, |analyte| analyte.judge(fact, patient))
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
                let unit = if matches!(other, Verdict::UnknownUnit(_) | Verdict::Doubtful(_)) {
                    ", unit not in the table"
                } else {
                    ""
                };
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
        let elsewhere = fact.specimen.as_deref().is_some_and(is_other_specimen);
        let by_name = fold_name(&fact.display);
        let by_code = fold_name(&fact.code);
        let found = |name: &&String| {
            let row = *self.by_alias.get(name.as_str())?;
            let analyte = match row {
                Row::Analyte(index) => self.analytes.get(index),
                Row::Culture(_) => None,
            };
            let clear = |analyte: &Analyte| {
                !elsewhere && (!analyte.ambiguous.contains(name) || analyte.is_of_blood(fact))
            };
            analyte.is_none_or(clear).then_some(row)
        };
        [by_name, by_code].iter().find_map(|name| found(&name))
    }
}

/// Beginnings of words that name a specimen or panel that is not blood.
const OTHER_SPECIMENS: [&str; 19] = [
    "urin",
    "ua",
    "dip",
    "stool",
    "faec",
    "fec",
    "csf",
    "cerebrospinal",
    "fluid",
    "pleur",
    "ascit",
    "gastric",
    "synovial",
    "sweat",
    "saliva",
    "sputum",
    "semen",
    "vagin",
    "cord",
];

fn is_other_specimen(specimen: &str) -> bool {
    let lower = specimen.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric());
    words.any(|word| OTHER_SPECIMENS.iter().any(|start| word.starts_with(start)))
}

impl Analyte {
    /// Whether a result whose name does not tell its specimen is one of blood: its specimen, its reference range or its
    /// precision says so. A dipstick's pH comes in halves and has urine's range.
    fn is_of_blood(&self, fact: &ObservationFact) -> bool {
        let within = |text: &Option<String>| {
            let value = text.as_deref().and_then(number);
            value.map(|value| (self.possible[0]..=self.possible[1]).contains(&value))
        };
        match (within(&fact.low), within(&fact.high)) {
            (Some(low), Some(high)) => low && high,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) if fact.specimen.is_some() => true,
            (None, None) => {
                let decimals = fact.value.as_deref().and_then(|value| value.trim().split_once('.'));
                within(&fact.value) == Some(true) && decimals.is_some_and(|(_, digits)| digits.len() >= 2)
            }
        }
    }

    /// Factor to the canonical unit of a unit that is written: the table's own, else by UCUM from one of the table's.
    fn factor(&self, unit: &str) -> Option<f64> {
        let unit = fold_unit(unit);
        self.units.get(&unit).copied().or_else(|| {
            let mut known: Vec<(&String, &f64)> = self.units.iter().collect();
            known.sort_by_key(|(name, _)| *name);
            known.into_iter().find_map(|(name, factor)| Some(unit::conversion(&unit, name)? * factor))
        })
    }

    /// Factors of the units that a result without one may be in.
    fn factors(&self, fact: &ObservationFact, raw: f64) -> Vec<f64> {
        if let Some(unit) = self.unit_of_loinc.get(&fact.code) {
            return self.factor(unit).into_iter().collect();
        }
        let mut factors: Vec<f64> = self.units.values().copied().collect();
        factors.sort_by(f64::total_cmp);
        factors.dedup();
        factors.retain(|factor| (self.possible[0]..=self.possible[1]).contains(&(raw * factor)));
        let ends = (fact.low.as_deref().and_then(number), fact.high.as_deref().and_then(number));
        if let (Some([low, high]), (_, Some(end))) = (self.usual, ends) {
            // A laboratory's own upper limit is not twice another's; between two units lies more.
            let near: Vec<f64> = factors
                .iter()
                .copied()
                .filter(|factor| (high / 1.6..=high * 1.6).contains(&(end * factor)))
                .filter(|factor| {
                    ends.0.is_none_or(|start| (low / 2.5..=low * 2.5).contains(&(start * factor)))
                })
                .collect();
            if !near.is_empty() {
                return near;
            }
        }
        factors
    }

    fn judge(&self, fact: &ObservationFact, patient: Patient<'_>) -> Verdict {
        let Some(raw) = fact.number() else { return Verdict::NotCritical };
        if let Some(factor) = self.factor(&fact.unit) {
            return self.judge_in(fact, patient, raw, factor);
        }
        if !fact.unit.trim().is_empty() {
            return Verdict::UnknownUnit(format!(
                "{} has unit {:?}, which the table of critical values cannot convert to {}",
                self.name, fact.unit, self.unit
            ));
        }
        let verdicts: Vec<Verdict> =
            self.factors(fact, raw).into_iter().map(|f| self.judge_in(fact, patient, raw, f)).collect();
        let critical = verdicts.iter().filter(|v| matches!(v, Verdict::Critical(_))).count();
        let units = verdicts.len();
        match verdicts.into_iter().next() {
            None => Verdict::UnknownUnit(format!(
                "{} {raw} has no unit, and is possible in none that the table knows",
                self.name
            )),
            Some(Verdict::Critical(found)) if critical == units => {
                let reason = format!("{}, sent without a unit", found.reason);
                Verdict::Critical(Critical { reason, ..found })
            }
            Some(_) if critical > 0 => Verdict::Doubtful(format!(
                "{} {raw} has no unit, and is critical in one that it may be in",
                self.name
            )),
            Some(verdict) => verdict,
        }
    }

    fn judge_in(&self, fact: &ObservationFact, patient: Patient<'_>, raw: f64, factor: f64) -> Verdict {
        let applies = |limit: &&Limit| {
            let age = match (limit.min_age_days, limit.max_age_days, patient.age_days) {
                (None, None, _) => true,
                (_, _, None) => false,
                (min, max, Some(age)) => age >= min.unwrap_or(0) && max.is_none_or(|max| age < max),
            };
            let sex = limit.sex.as_deref().is_none_or(|sex| patient.sex == Some(sex));
            age && sex && (patient.pregnant || !limit.pregnant)
        };
        let Some(limit) = self.limits.iter().find(applies) else { return Verdict::NotCritical };
        let value = raw * factor;
        // Unit factors are rounded to four digits; a value printed at the limit must still count as at it.
        let slack = |limit: f64| if factor == 1.0 { 1e-9 } else { limit.abs() * 5e-4 };
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
                let why = if limit.pregnant { " in pregnancy" } else { "" };
                Verdict::Critical(Critical {
                    analyte: self.name.clone(),
                    reason: format!(
                        "critical: {} {comparator}{}{unit} (limit {shown}{why})",
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
