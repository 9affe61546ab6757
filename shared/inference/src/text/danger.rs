//! Danger signs written as numbers: vital signs and laboratory values in prose.
//!
//! They become features of the text model and reasons for its reader; the table of critical values is for structured
//! results, whose unit and status are certain.

use std::sync::LazyLock;

use regex::Regex;

use super::section::Section;
use super::sentence::Layout;

/// A sign found in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// Feature name, stable: `bp-low`, `spo2-low`…
    pub name: &'static str,
    /// Whether it is one of immediate danger to life: a critical value, or a vital sign that NEWS2 scores 3. Narrower than
    /// NEWS2 are respiratory rate (from 30), temperature (to 34.5 °C) and the Glasgow coma scale (to 12).
    pub danger: bool,
    /// For people, numbers as written: `systolic blood pressure 78`.
    pub text: String,
}

struct Rule {
    pattern: Regex,
    read: fn(&str, &str, f64) -> Option<(&'static str, bool)>,
    label: &'static str,
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rule =
        |pattern: &str, label: &'static str, read: fn(&str, &str, f64) -> Option<(&'static str, bool)>| {
            #[expect(clippy::expect_used, reason = "the patterns are constants covered by tests")]
            let pattern = Regex::new(pattern).expect("a constant pattern compiles");
            Rule { pattern, read, label }
        };
    vec![
        rule(
            r"(?i)\b(?:bp|b/p|blood pressure|nibp)[^\d.;]{0,14}(\d{2,3}) ?/ ?\d{2,3}\b",
            "systolic blood pressure",
            |_, _, v| {
                if v <= 90.0 {
                    Some(("bp-low", true))
                } else if v >= 220.0 {
                    Some(("bp-extreme", true))
                } else if v >= 180.0 {
                    Some(("bp-high", false))
                } else if v <= 150.0 {
                    Some(("bp-ok", false))
                } else {
                    None
                }
            },
        ),
        rule(
            r"(?i)\b(?:spo2|sp02|sao2|o2 sats?|sats?|oxygen saturations?|saturating)[^\d.;]{0,14}(\d{2,3}) ?%?",
            "oxygen saturation",
            |_, _, v| {
                if (40.0..=91.0).contains(&v) {
                    Some(("spo2-low", true))
                } else if (92.0..=94.0).contains(&v) {
                    Some(("spo2-borderline", false))
                } else if (95.0..=100.0).contains(&v) {
                    Some(("spo2-ok", false))
                } else {
                    None
                }
            },
        ),
        rule(r"(?i)\b(?:hr|heart rate|pulse|pr)[^\d.;]{0,10}(\d{2,3})\b", "heart rate", |_, _, v| {
            if (131.0..=260.0).contains(&v) {
                Some(("hr-high", true))
            } else if (15.0..=40.0).contains(&v) {
                Some(("hr-low", true))
            } else if v >= 110.0 {
                Some(("hr-raised", false))
            } else if v >= 50.0 {
                Some(("hr-ok", false))
            } else {
                None
            }
        }),
        rule(
            r"(?i)\b(?:rr|resp(?:iratory)? rate|resps?)[^\d.;]{0,10}(\d{1,2})\b",
            "respiratory rate",
            |_, _, v| {
                if v >= 25.0 {
                    Some(("rr-high", v >= 30.0))
                } else if v <= 8.0 {
                    Some(("rr-low", true))
                } else {
                    None
                }
            },
        ),
        rule(r"(?i)\bgcs[^\d.;]{0,10}(\d{1,2})\b", "Glasgow coma scale", |_, _, v| {
            if (3.0..=12.0).contains(&v) {
                Some(("gcs-low", true))
            } else if (13.0..=14.0).contains(&v) {
                Some(("gcs-reduced", false))
            } else {
                None
            }
        }),
        rule(
            r"(?i)\b(?:temp(?:erature)?|febrile to|fever (?:of|to)|t)[ :=]{1,3}(?:of |was |is )?(\d{2,3}(?:\.\d)?)\b",
            "temperature",
            |_, _, v| {
                let celsius = if v > 80.0 { (v - 32.0) / 1.8 } else { v };
                if (40.0..=44.0).contains(&celsius) {
                    Some(("temp-extreme", false))
                } else if (38.0..40.0).contains(&celsius) {
                    Some(("temp-fever", false))
                } else if (25.0..=34.5).contains(&celsius) {
                    Some(("temp-cold", true))
                } else {
                    None
                }
            },
        ),
        rule(
            r"(?i)\b(?:potassium|serum k|k\+?)(?: (?:level|is|was|of|at|up to|now))*[ :=]{1,3}(\d{1,2}\.\d)\b",
            "potassium",
            |_, _, v| {
                ((6.5..12.0).contains(&v) || (1.0..=2.5).contains(&v)).then_some(("lab-critical", true))
            },
        ),
        rule(
            r"(?i)\b(?:sodium|na\+?)(?: (?:level|is|was|of|at|down to|now))*[ :=]{1,3}(1\d\d)\b",
            "sodium",
            |_, _, v| (v <= 120.0 || v >= 160.0).then_some(("lab-critical", true)),
        ),
        rule(
            r"(?i)\b(?:arterial |venous )?ph(?: (?:is|was|of))*[ :=]{1,3}([67]\.\d{1,2})\b",
            "pH",
            |_, context, v| {
                let urine = context.contains("urin") || context.contains("dip");
                (!urine && (v <= 7.2 && v > 6.5 || v >= 7.6)).then_some(("lab-critical", true))
            },
        ),
        rule(
            r"(?i)\blactate(?: (?:is|was|of|level))*[ :=]{1,3}(\d{1,2}(?:\.\d)?)\b",
            "lactate",
            |_, _, v| (4.0..=30.0).contains(&v).then_some(("lab-critical", true)),
        ),
        rule(
            r"(?i)\b(?:hb|hgb|h(?:a)?emoglobin)(?: (?:is|was|of|level|down to|dropped to))*[ :=]{1,3}(\d{1,3}(?:\.\d)?)\b(?: ?%)?",
            "hemoglobin",
            |found, _, v| {
                if found.ends_with('%') {
                    return None;
                }
                let grams = if v > 30.0 { v / 10.0 } else { v };
                (2.0..=7.0).contains(&grams).then_some(("lab-critical", true))
            },
        ),
        rule(
            r"(?i)\b(?:platelets?(?: count)?|plts?)(?: (?:is|was|of|are))*[ :=]{1,3}(\d{1,3})\b(?:[,.]\d{3})?",
            "platelets",
            |_, _, v| (1.0..=20.0).contains(&v).then_some(("lab-critical", true)),
        ),
        rule(r"(?i)\binr(?: (?:is|was|of))*[ :=]{1,3}(\d{1,2}(?:\.\d)?)\b", "INR", |_, _, v| {
            (5.0..=20.0).contains(&v).then_some(("lab-critical", true))
        }),
        rule(
            r"(?i)\b(?:glucose|bm|bsl|cbg|blood sugar|fsbg|accucheck)(?: (?:is|was|of|reads?))*[ :=]{1,3}(\d{1,4}(?:\.\d)?)\b",
            "glucose",
            |_, _, v| {
                // 27 to 45 is critical in mmol/L (high) and in mg/dL (low) alike.
                (v <= 2.5 && v > 0.3 || (27.0..=45.0).contains(&v) || v >= 485.0)
                    .then_some(("lab-critical", true))
            },
        ),
    ]
});

/// Danger signs of a text, in its order of rules, each name once.
#[must_use]
pub fn signs(text: &str, layout: &Layout) -> Vec<Sign> {
    let mut found: Vec<Sign> = Vec::new();
    for sentence in &layout.sentences {
        if matches!(sentence.section, Section::Past | Section::Family | Section::Social) {
            continue;
        }
        let Some(slice) = text.get(sentence.span.clone()) else { continue };
        if !slice.bytes().any(|b| b.is_ascii_digit()) {
            continue;
        }
        let lower = slice.to_lowercase();
        for rule in RULES.iter() {
            for captures in rule.pattern.captures_iter(slice) {
                let (Some(whole), Some(value)) = (captures.get(0), captures.get(1)) else { continue };
                let Ok(number) = value.as_str().parse::<f64>() else { continue };
                let Some((name, danger)) = (rule.read)(whole.as_str(), &lower, number) else { continue };
                let text = format!("{} {}", rule.label, value.as_str());
                if !found.iter().any(|sign| sign.name == name && sign.text == text) {
                    found.push(Sign { name, danger, text });
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::sentence::layout;

    fn names(text: &str) -> Vec<&'static str> {
        signs(text, &layout(text)).iter().map(|sign| sign.name).collect()
    }

    #[test]
    fn reads_vital_signs() {
        assert_eq!(
            names("BP 78/40, HR 142, SpO2 84% RA, GCS 7"),
            ["bp-low", "spo2-low", "hr-high", "gcs-low"]
        );
        assert_eq!(names("bp 128/76 hr 72 sats 98%"), ["bp-ok", "spo2-ok", "hr-ok"]);
        assert_eq!(names("sats on 28% Venturi mask"), Vec::<&str>::new(), "a share of oxygen breathed in");
    }

    #[test]
    fn reads_values_in_prose() {
        assert_eq!(names("K 7.1 this morning"), ["lab-critical"]);
        assert_eq!(names("potassium of 4.1, sodium 138"), Vec::<&str>::new());
        assert_eq!(names("Hb 62 g/L"), ["lab-critical"]);
        assert_eq!(names("HbA1c 7.0%"), Vec::<&str>::new());
        assert_eq!(names("platelets 250,000"), Vec::<&str>::new());
        assert_eq!(names("PMH: admitted with K 7.1"), Vec::<&str>::new());
    }
}
