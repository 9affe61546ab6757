//! Why a document was judged as it was, for a clinician.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

use crate::classify::{Classification, Scored, classify, score_text};
use crate::document::Document;
use crate::features::Reading;
use crate::heads::Task;
use crate::label::Urgency;
use crate::{Error, Models};

/// Most sentences that are left out in turn, the first ones: each costs a run of the encoder.
const MAX_TRIED: usize = 24;
/// Most sentences that are shown.
const MAX_SHOWN: usize = 3;
/// Least fall of the probability that is worth showing.
const LEAST_FALL: f64 = 0.02;

/// A sentence the text's judgement rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// Its place in [`Document::narrative`], in characters.
    pub span: Range<usize>,
    /// The sentence.
    pub text: String,
    /// Probability, by the text alone, of the urgency the text is likeliest to have, were the sentence not there.
    pub without: f64,
}

/// A judgement with what led to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The judgement.
    pub classification: Classification,
    /// What the text alone says of urgency, every label; none without a text that can be judged.
    pub text: Option<Vec<Scored<Urgency>>>,
    /// Sentences without which the text's likeliest urgency would be less likely, the weightiest first.
    pub evidence: Vec<Evidence>,
    /// Probability from which a document is called emergent.
    pub emergent_from: f32,
    /// Probability of emergent from which a person looks.
    pub ask_from: f32,
    /// Probability the urgency needs; below it a person looks.
    pub urgency_from: f32,
}

pub(crate) fn explain(models: &Models, document: &Document) -> Result<Explanation, Error> {
    let classification = classify(models, document)?;
    let prose = document.prose();
    let reading = Reading::of(prose);
    let mut evidence = Vec::new();
    let mut text = None;
    if reading.is_substantial() {
        let scores = score_text(models, &reading, prose)?.urgency;
        let label = (0..scores.len())
            .max_by(|a, b| {
                let of = |at: &usize| scores.get(*at).copied().unwrap_or(0.0);
                of(a).total_cmp(&of(b))
            })
            .unwrap_or(0);
        let p = |scores: &[f32]| scores.get(label).copied().map_or(0.0, f64::from);
        for sentence in reading.layout.sentences.iter().take(MAX_TRIED) {
            let Some(words) = prose.get(sentence.span.clone()) else { continue };
            let mut rest = prose.to_owned();
            rest.replace_range(sentence.span.clone(), "");
            let other = Reading::of(&rest);
            if !other.is_substantial() {
                continue;
            }
            let without = p(&score_text(models, &other, &rest)?.urgency);
            if p(&scores) - without >= LEAST_FALL {
                let start = prose.get(..sentence.span.start).unwrap_or("").chars().count();
                evidence.push(Evidence {
                    span: start..start + words.chars().count(),
                    text: words.split_whitespace().collect::<Vec<_>>().join(" "),
                    without: (without * 100.0).round() / 100.0,
                });
            }
        }
        evidence.sort_by(|a, b| a.without.total_cmp(&b.without).then(a.span.start.cmp(&b.span.start)));
        evidence.truncate(MAX_SHOWN);
        let scored = |(label, p): (&Urgency, &f32)| Scored {
            label: *label,
            p: (f64::from(*p) * 10_000.0).round() / 10_000.0,
        };
        text = Some(Urgency::ALL.iter().zip(&scores).map(scored).collect());
    }
    let card = models.heads().card();
    let index = Urgency::ALL.iter().position(|label| *label == classification.urgency.label).unwrap_or(0);
    Ok(Explanation {
        text,
        evidence,
        emergent_from: card.emergent_from,
        ask_from: card.ask_from,
        urgency_from: models.heads().threshold(Task::Urgency, index),
        classification,
    })
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let judged = &self.classification;
        let soon = match judged.urgency.label {
            Urgency::Emergent => "a clinician within minutes to hours",
            Urgency::Urgent => "a clinician within one to three days",
            Urgency::Routine => "at the next planned occasion",
        };
        writeln!(f, "Urgency        {} ({:.2}): {soon}", judged.urgency.label, judged.urgency.p)?;
        let specialty = &judged.specialty;
        writeln!(f, "Specialty      {} ({:.2}), else {}", specialty.label, specialty.p, specialty.second)?;
        writeln!(f, "Document type  {} ({:.2})", judged.doc_type.label, judged.doc_type.p)?;
        let said = |prefixes: &[&str]| -> Vec<&str> {
            let ours = |reason: &&str| prefixes.iter().any(|prefix| reason.starts_with(prefix));
            judged.reasons.iter().map(String::as_str).filter(ours).collect()
        };
        let layer = |f: &mut fmt::Formatter<'_>, title: &str, reasons: Vec<&str>| {
            if reasons.is_empty() {
                writeln!(f, "{title}: nothing")
            } else {
                writeln!(f, "{title}")?;
                reasons.iter().try_for_each(|reason| writeln!(f, "   - {reason}"))
            }
        };
        let queue = said(&["abstained:"]);
        if judged.abstained {
            writeln!(f, "Human queue    yes")?;
            for reason in queue {
                writeln!(f, "   - {}", reason.trim_start_matches("abstained: "))?;
            }
        } else {
            writeln!(f, "Human queue    no")?;
        }
        writeln!(f)?;
        layer(f, "1. Critical values, which no model overrules", said(&["critical:", "unit:"]))?;
        layer(
            f,
            "2. Codes, flags and results",
            said(&["results:", "priority:", "specialty:", "document type:", "encounter class:", "change:"]),
        )?;
        layer(f, "3. Text", said(&["text:", "red flag:", "floor:", "danger sign:", "no clinical text"]))?;
        if let Some(scores) = &self.text {
            let shown: Vec<String> = scores.iter().map(|s| format!("{} {:.2}", s.label, s.p)).collect();
            writeln!(f, "   The text alone: {}.", shown.join(", "))?;
            writeln!(
                f,
                "   It is called emergent from {:.2}, since a missed emergency is worse than a false alarm; a person looks from {:.2}.\n   {} needs {:.2}, or a person looks.",
                self.emergent_from, self.ask_from, judged.urgency.label, self.urgency_from
            )?;
            let top = scores.iter().max_by(|a, b| a.p.total_cmp(&b.p));
            if let (Some(top), false) = (top, self.evidence.is_empty()) {
                writeln!(f, "   Sentences that weigh most, and how likely {} is without each:", top.label)?;
                for found in &self.evidence {
                    let Range { start, end } = found.span;
                    writeln!(
                        f,
                        "   - {:.2} without \"{}\" (characters {start} to {end})",
                        found.without, found.text
                    )?;
                }
            }
        }
        write!(f, "Model {}, version {}", judged.model_id, judged.model_version)
    }
}
