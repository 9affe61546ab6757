//! Dates in every shape a note has them, and ages over 89. Years alone stay (45 CFR 164.514(b)(2)(i)(C)).

use std::sync::LazyLock;

use jiff::civil::Date;

use super::Candidate;
use super::patterns::{Contains, Needs, Pattern, any, continued, head, pattern, tail};
use crate::Kind;

const MONTH: &str = "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)";
const ORDINAL: &str = "(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth|thirtieth|twenty[- ](?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)|thirty[- ]first)";
const YEAR_WORDS: &str = "(?:(?:nineteen|twenty)[- ](?:oh[- ]|hundred[- ](?:and[- ])?)?[a-z]+(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?|two thousand(?: and)? ?[a-z]*)";
const WEEKDAY: &str = "(?:(?:mon|tues?|wed(?:nes)?|thur?s?|fri|sat(?:ur)?|sun)(?:day)?\\.?,?\\s+)?";
const TIME: &str =
    r"(?:[T ]\s?\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s?(?:Z|[+-]\d{2}:?\d{2}|[AaPp]\.?[Mm]\b\.?)?)?";

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    use Needs::{Digit, Nothing};
    let p = pattern;
    let day = r"\d{1,2}(?:st|nd|rd|th)?";
    let year = r"(?:(?:19|20)\d{2}|'\d{2}|\d{2}\b)";
    let four = r"(?:18|19|20)\d{2}";
    vec![
        p(
            Kind::Date,
            0.97,
            Digit,
            &format!(
                r"\b{four}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?:[Tt]\d{{2}}(?::?\d{{2}}){{0,2}}(?:\.\d+)?(?:Z|[+-]\d{{2}}:?\d{{2}})?)?"
            ),
            numeric,
        ),
        p(Kind::Date, 0.95, Digit, &format!(r"\b\d{{1,2}}/\d{{1,2}}/(?:\d{{4}}|\d{{2}})\b{TIME}"), numeric),
        p(Kind::Date, 0.95, Digit, &format!(r"\b\d{{1,2}}-\d{{1,2}}-(?:\d{{4}}|\d{{2}})\b{TIME}"), numeric),
        p(
            Kind::Date,
            0.9,
            Digit,
            r"(?i)\b(?:mon|tues?|wed(?:nes)?|thur?s?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01])\b",
            detached_match,
        ),
        p(Kind::Date, 0.95, Digit, &format!(r"(?i)\b\d{{1,2}}{MONTH}(?:\d{{4}}|\d{{2}})\b"), any),
        p(Kind::Date, 0.93, Digit, r"\b\d{1,2}\.\d{1,2}\.(?:\d{4}|\d{2})\b", dotted),
        p(
            Kind::Date,
            0.9,
            Digit,
            r"\b(?:\d{1,2} ?/ ?\d{1,2} ?/ ?\d{2,4}|\d{1,2}\\\d{1,2}\\\d{2,4})\b",
            numeric,
        ),
        p(
            Kind::Date,
            0.9,
            Digit,
            r"\b(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{4}|\d{6}(?:\.\d+)?)?(?:[+-]\d{4})?\b",
            compact,
        ),
        // Month and year in figures.
        p(Kind::Date, 0.9, Digit, r"\b(?:0?[1-9]|1[0-2])[/-](?:19|20)\d{2}\b", month_year),
        p(Kind::Date, 0.85, Digit, r"\b(?:19|20)\d{2}-(?:0[1-9]|1[0-2])\b", month_year),
        // Month and day in figures need a word that goes with dates.
        p(
            Kind::Date,
            0.8,
            Digit,
            r"(?i)\b(?:on|since|until|till|dated?|from|by|through|thru|before|after|between|as of|of|due|dob|lmp|edc|edd|seen|visit|admit(?:ted)?|disch(?:arged)?|started|begun|began|d/?c'?d?|s/p|f/u|follow(?:[- ]?up)?|appt|appointment|surgery|biopsy|ct|mri|labs?|x-?ray|scan|echo|scheduled(?: for)?|next|last(?: \w+)?|and|in|around|circa|ca|\d{1,2}/\d{1,2},?)\s*(?:on|:|the)?\s*(?P<id>(?:0?[1-9]|1[0-2])[/-](?:0?[1-9]|[12]\d|3[01]))\b",
            month_day,
        ),
        p(
            Kind::Date,
            0.75,
            Digit,
            r"(?m)^\s*(?P<id>(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01]))\s*(?::|-|–)\s",
            month_day,
        ),
        p(
            Kind::Date,
            0.75,
            Digit,
            r"\b(?P<id>(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01])\s?[-–]\s?(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01]))\b",
            month_day,
        ),
        // Months in words.
        p(
            Kind::Date,
            0.97,
            Nothing,
            &format!(
                r"(?i)\b{WEEKDAY}{MONTH}\.?\s*{day}(?:\s?(?:-|–|to|and|&|through)\s?{day})?(?:,?\s*(?:of\s)?{year})?{TIME}"
            ),
            month_name,
        ),
        p(
            Kind::Date,
            0.97,
            Nothing,
            &format!(
                r"(?i)\b{WEEKDAY}(?:the\s)?{day} {{0,2}}(?:-\s?)?(?:of\s{{1,2}})?{MONTH}\b\.?(?:,?\s?-?\s?(?:of\s)?{year})?"
            ),
            month_name,
        ),
        p(
            Kind::Date,
            0.95,
            Nothing,
            &format!(r"(?i)\b{MONTH}\.?,?\s?(?:of\s)?-?(?:the year\s)?(?:(?:19|20)\d{{2}}|'\d{{2}})\b"),
            month_name,
        ),
        p(
            Kind::Date,
            0.9,
            Nothing,
            &format!(
                r"(?i)\b(?:the\s)?{ORDINAL}\s(?:day\s)?(?:of\s)?{MONTH}\b(?:,?\s(?:of\s)?(?:\d{{4}}|{YEAR_WORDS}))?"
            ),
            in_words,
        ),
        p(
            Kind::Date,
            0.9,
            Nothing,
            &format!(
                r"(?i)\b{MONTH}\s(?:the\s)?{ORDINAL}\b(?:,?\s(?:of\s)?(?:\d{{4}}|(?:in\s)?{YEAR_WORDS}))?"
            ),
            in_words,
        ),
        p(
            Kind::Date,
            0.8,
            Nothing,
            r"\b(?:in|In|since|Since|last|Last|this|This|next|Next|until|Until|by|By|during|During|of|from|From|early|Early|late|Late|mid|through|for|to|around|and|between|before|after|about|approximately|mid-|late-|early-)[ -](?:the month of )?(?P<id>January|February|March|April|May|June|July|August|September|October|November|December|Sept|Feb|Jan|Aug|Oct|Nov|Dec)\b",
            bare_month,
        ),
        p(
            Kind::Date,
            0.75,
            Nothing,
            r"\b(?P<id>January|February|April|June|July|August|September|October|November|December)\b",
            bare_month,
        ),
        p(
            Kind::Date,
            0.8,
            Digit,
            r"(?i)\bon (?:the )?(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,? (?:the )?)?(?P<id>(?:[12]?\d|3[01])(?:st|nd|rd|th))(?:\s*[.,;)\n]|$|\s+(?:at|of (?:this|last|next|the) month|and|for|with|to))",
            any,
        ),
        p(
            Kind::Date,
            0.85,
            Digit,
            r"(?i)\b(?:mon|tues|wednes|thurs|fri|satur|sun)day,? (?:the )?(?P<id>(?:[12]?\d|3[01])(?:st|nd|rd|th))\b",
            any,
        ),
        p(
            Kind::Date,
            0.75,
            Nothing,
            r"\b(?:Christmas(?: Eve| Day)?|Thanksgiving(?: Day)?|New Year'?s?(?: Eve| Day)?|Labor Day|Memorial Day|Independence Day|Fourth of July|4th of July|Veterans Day|Columbus Day|Presidents'? Day|Martin Luther King(?:,? Jr\.?)? Day|Valentine'?s Day|Mother'?s Day|Father'?s Day|Easter(?: Sunday)?|Good Friday|Halloween|Hanukkah|Passover|Ramadan|Yom Kippur|Rosh Hashanah|St\. Patrick'?s Day)\b",
            any,
        ),
        // Ages over 89.
        p(
            Kind::Age,
            0.85,
            Digit,
            r"(?i)\b(?:he|she|mother|father|mom|dad|wife|husband|brother|sister|aunt|uncle|daughter|son|niece|nephew|cousin|friend|neighbou?r|partner|grand(?:mother|father|son|daughter|ma|pa)|patient|pt|who)(?:\s(?:is|was|turned|now|just|about|nearly|almost|died at|passed(?: away)? at|lived to)){0,3},?\s(?:aged? )?(?P<id>9\d|1[01]\d)\b",
            bare_age,
        ),
        p(
            Kind::Age,
            0.85,
            Digit,
            r"(?i)\b(?:died|passed(?: away)?|deceased|alive|living|well|mi|cva|chf|cancer|old age)(?: at| in| @|,)(?: the)?(?: age)?(?: of)?\s(?P<id>9\d|1[01]\d)\b",
            bare_age,
        ),
        p(
            Kind::Age,
            0.95,
            Digit,
            r"(?i)\b(?P<id>9\d|1[0-2]\d)(?:\.\d)?[- ]?(?:years?|yrs?|y)\.?[- ]?(?:old|of age|o\b|/o|\.o\.?|[ -]o\b)",
            age,
        ),
        p(
            Kind::Age,
            0.9,
            Digit,
            r"(?i)\b(?P<id>9\d|1[0-2]\d)[- ]?(?:yo\b|y/o|y\.o\.|yoa|-year|yrs?[ ./-]?(?:male|female|m\b|f\b|man|woman|old))",
            age,
        ),
        p(
            Kind::Age,
            0.9,
            Digit,
            r"(?i)\b(?:age[ds]?|aged?:|turn(?:s|ed|ing)?|reach(?:ed|es|ing)?|approaching|nearly|almost|died (?:at|in)(?: (?:the )?age(?: of)?)?|lived to(?: be)?|at the age of|is now)\s*(?:of|is|was|at|:|in|=)?\s*(?P<id>9\d|1[0-2]\d)\b",
            age,
        ),
        p(
            Kind::Age,
            0.9,
            Digit,
            r"(?i)\b(?:her|his|their|the|early|late|mid)[ -](?:early |late |mid[- ])?(?P<id>9\ds)\b",
            any,
        ),
        p(
            Kind::Age,
            0.9,
            Nothing,
            r"(?i)\b(?P<id>(?:ninety|one hundred|a hundred)(?:[- ](?:and[- ])?(?:one|two|three|four|five|six|seven|eight|nine|ten))?)[- ]years?[- ](?:old|of age)",
            any,
        ),
        p(Kind::Age, 0.85, Nothing, r"(?i)\b(?P<id>nonagenarian|centenarian)\b", any),
        p(Kind::Age, 0.85, Digit, r"\b(?P<id>9\d|1[0-2]\d)[ -]?(?:M|F|YOM|YOF|yom|yof|WM|WF|BM|BF)\b", age),
    ]
});

/// Finds dates and ages over 89.
pub(crate) fn find(text: &str, contains: Contains, out: &mut Vec<Candidate>) {
    for pattern in PATTERNS.iter() {
        pattern.find(text, contains, out);
    }
}

fn numbers(found: &str) -> Vec<u32> {
    found
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// Day and month in one order or the other.
fn plausible(a: u32, b: u32) -> bool {
    (1..=12).contains(&a) && (1..=31).contains(&b) || (1..=31).contains(&a) && (1..=12).contains(&b)
}

fn detached(before: &str, after: &str) -> bool {
    !before.ends_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '/'))
        && !continued(after, &['/', '.'])
}

fn numeric(found: &str, before: &str, after: &str) -> bool {
    let n = numbers(found);
    let ok = match n.as_slice() {
        [y, m, d, ..] if *y >= 1800 => plausible(*m, *d),
        [a, b, y, ..] => plausible(*a, *b) && (*y < 100 || (1800..2200).contains(y)),
        _ => false,
    };
    ok && detached(before, after)
}

/// "3.5.10" is a version or an outline number; dates with points have two-digit parts or a full year.
fn dotted(found: &str, before: &str, after: &str) -> bool {
    let parts: Vec<&str> = found.split('.').collect();
    let full = parts.last().is_some_and(|year| year.len() == 4);
    (full || parts.iter().all(|part| part.len() == 2)) && numeric(found, before, after)
}

fn compact(found: &str, before: &str, after: &str) -> bool {
    let part = |from, to| found.get(from..to).and_then(|s: &str| s.parse::<i8>().ok()).unwrap_or(0);
    let year = found.get(..4).and_then(|s| s.parse::<i16>().ok()).unwrap_or(0);
    Date::new(year, part(4, 6), part(6, 8)).is_ok() && detached(before, after)
}

fn month_year(_: &str, before: &str, after: &str) -> bool {
    detached(before, after) && !after.starts_with(" mg")
}

/// Fractions, ratios, grades and scores have the same shape as a month and a day.
fn month_day(_: &str, before: &str, after: &str) -> bool {
    let next = head(after.trim_start_matches([' ', '-']), 16).to_lowercase();
    const UNITS: [&str; 36] = [
        "strength",
        "murmur",
        "systolic",
        "diastolic",
        "pain",
        "scale",
        "tab",
        "pill",
        "mg",
        "ml",
        "mm",
        "cm",
        "inch",
        "ejection",
        "bilateral",
        "power",
        "pulse",
        "reflex",
        "lower",
        "upper",
        "in the",
        "in all",
        "positive",
        "hours",
        "days",
        "weeks",
        "doses",
        "motor",
        "sem",
        "units",
        "quad",
        "hand",
        "grip",
        "throughout",
        "of the",
        "oz",
    ];
    detached(before, after) && !after.starts_with('%') && !UNITS.iter().any(|unit| next.starts_with(unit))
}

/// "may 5 mg", "march 3 times": the two months that are verbs need a capital, and a dose is not a day.
fn month_name(found: &str, before: &str, after: &str) -> bool {
    let lower = found.to_lowercase();
    let verb = lower.contains("may") || lower.contains("mar");
    let capital =
        found.contains("May") || found.contains("MAY") || found.contains("Mar") || found.contains("MAR");
    let next = head(after.trim_start(), 12).to_lowercase();
    let dose = ["mg", "ml", "mcg", "times", "units", "percent", "%", "tab", "mm", "cm"]
        .iter()
        .any(|unit| next.starts_with(unit));
    let day = numbers(found);
    let lower_date = numbers(found).iter().any(|n| *n >= 1900)
        || ["st", "nd", "rd", "th"].iter().any(|end| {
            lower
                .split([' ', ','])
                .any(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.ends_with(end))
        })
        || lower.contains("day");
    (!verb || capital || lower_date || lower.contains('\''))
        && !dose
        && !before.ends_with(|c: char| c.is_alphanumeric())
        && day.first().is_some_and(|n| (1..=31).contains(n) || *n >= 1800 || found.contains('\''))
}

fn in_words(found: &str, _: &str, _: &str) -> bool {
    !(found.starts_with("may ") || found.starts_with("march "))
}

/// April, June and August are also names; the name rules see those in names.
fn bare_month(found: &str, before: &str, after: &str) -> bool {
    let next = after.trim_start();
    let name = matches!(found, "May" | "March" | "April" | "June" | "August");
    // A capitalised word or a person's verb after it makes it a name or a sentence.
    !(name
        && (next.starts_with(|c: char| c.is_uppercase())
            || [
                "is ", "was ", "has ", "be ", "have ", "need", "reports", "states", "consider", "continue",
                "take", "use",
            ]
            .iter()
            .any(|verb| next.starts_with(verb))))
        && !["Dr. ", "Ms. ", "Mrs. ", "Mr. ", "Miss "].iter().any(|title| tail(before, 5).ends_with(title))
}

/// Not "95 % of", "100 mg", and not "90 years ago".
fn age(found: &str, before: &str, after: &str) -> bool {
    let number = numbers(found).first().copied().unwrap_or(0);
    (90..=125).contains(&number)
        && !before.ends_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '/' | '$' | '-'))
        && !after.trim_start().starts_with(['%', '/'])
        && !after.trim_start().starts_with("mg")
        && !continued(after, &['.'])
}

/// A number of years that no unit follows.
fn bare_age(found: &str, before: &str, after: &str) -> bool {
    let next = after.trim_start();
    age(found, before, after)
        && (next.is_empty()
            || next.starts_with(['.', ',', ';', ')', '\n'])
            || after.starts_with('\n')
            || [
                "and", "now", "next", "this", "last", "soon", "in", "on", "but", "who", "with", "of", "from",
                "in", "years", "yrs", "y",
            ]
            .iter()
            .any(|word| {
                next.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
            }))
}

fn detached_match(_: &str, before: &str, after: &str) -> bool {
    detached(before, after)
}

/// The date a match names, when it names a whole one: `y-m-d`, `m/d/y` (the order of the USA), `Month d, y`, `d Month y`.
pub(crate) fn parse(found: &str) -> Option<Date> {
    let n = numbers(found);
    let lower = found.to_lowercase();
    let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let century = |y: u32| if y < 100 { if y < 50 { 2000 + y } else { 1900 + y } } else { y };
    let (y, m, d) = if let Some(month) = months.iter().position(|name| lower.contains(name)) {
        match n.as_slice() {
            [d, y] if *d <= 31 => (century(*y), month as u32 + 1, *d),
            _ => return None,
        }
    } else {
        match n.as_slice() {
            [one] if found.len() == 8 => (one / 10_000, one / 100 % 100, one % 100),
            [y, m, d, ..] if *y >= 1000 => (*y, *m, *d),
            [m, d, y] if *m <= 12 => (century(*y), *m, *d),
            [d, m, y] => (century(*y), *m, *d),
            _ => return None,
        }
    };
    Date::new(i16::try_from(y).ok()?, i8::try_from(m).ok()?, i8::try_from(d).ok()?).ok()
}
