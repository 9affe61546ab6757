//! Urgency, specialty and document type of a document, each with its probability and the reasons.
//!
//! Layers, the surer first: critical values, codes and flags, then the text by an ensemble of encoder and features.
//!
//! | evidence | what it does to urgency |
//! | --- | --- |
//! | a critical value, or a laboratory's critical flag (`HH`, `LL`, `AA`) | emergent, p = 1; nothing overrules it |
//! | results far outside their range | urgent, p = 0.6 |
//! | results outside their range | routine, with p(urgent) = 0.22 |
//! | a request with priority stat | emergent, p = 0.7 |
//! | a request with priority asap or urgent | urgent, p = 0.7 |
//! | the text | the heads' probabilities |
//! | a red flag that the text affirms (`data/red-flags.toml`) | at least urgent, and a person looks; p stays as it was |
//! | an encounter of class `EMER` without text or results | routine, with p(urgent) = 0.35 |
//!
//! The probabilities of being emergent, and of being at least urgent, are each the highest of all evidence: evidence
//! can raise an urgency and none can lower it.

use serde::Serialize;

use crate::codes;
use crate::critical::{CriticalTable, Verdict};
use crate::document::Document;
use crate::features::{Reading, pool};
use crate::heads::Task;
use crate::label::{DocumentType, Specialty, Urgency};
use crate::observation::Abnormality;
use crate::text::context::Context;
use crate::text::red_flag::RedFlag;
use crate::{Error, Models};

/// A label with its calibrated probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scored<L> {
    /// The label.
    pub label: L,
    /// Its probability, 0 to 1, rounded to four digits.
    pub p: f64,
}

/// The specialty, and the next likely one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoredSpecialty {
    /// The label.
    pub label: Specialty,
    /// Its probability, 0 to 1, rounded to four digits.
    pub p: f64,
    /// The second likeliest label.
    pub second: Specialty,
}

/// What a document is, how soon it needs a clinician, and which one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Classification {
    /// How soon.
    pub urgency: Scored<Urgency>,
    /// By whom.
    pub specialty: ScoredSpecialty,
    /// What it is.
    pub doc_type: Scored<DocumentType>,
    /// Whether urgency or specialty is too unsure for a machine: a person must look.
    pub abstained: bool,
    /// For people, the weightiest first. Critical values begin with `critical:`.
    pub reasons: Vec<String>,
    /// Identifier of the model.
    pub model_id: String,
    /// Version of the model's heads.
    pub model_version: String,
}

/// Most reasons of one kind that are listed.
const MAX_REASONS: usize = 8;
/// Most red flags that are listed.
const MAX_FLAGS: usize = 4;

/// p(emergent) and p(at least urgent).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Evidence {
    emergent: f64,
    raised: f64,
}

impl Evidence {
    const NONE: Self = Self { emergent: 0.01, raised: 0.05 };

    fn or(self, other: Self) -> Self {
        Self { emergent: self.emergent.max(other.emergent), raised: self.raised.max(other.raised) }
    }
}

/// Share of known words below which the text is not one the heads can judge.
const FAMILIAR: f32 = 0.25;

/// What the heads make of the text.
pub(crate) struct TextScores {
    familiarity: f32,
    /// Of [`Urgency::ALL`].
    pub(crate) urgency: Vec<f32>,
    specialty: Vec<f32>,
    doc_type: Vec<f32>,
}

pub(crate) fn classify(models: &Models, document: &Document) -> Result<Classification, Error> {
    let prose = document.prose();
    let reading = Reading::of(prose);
    let text = if reading.is_substantial() { Some(score_text(models, &reading, prose)?) } else { None };
    let mut reasons = Vec::new();
    let results = judge_results(models.critical_table(), document, &mut reasons);
    let (urgency, urgency_sure) = urgency(models, document, &results, text.as_ref(), &reading, &mut reasons);
    let (specialty, specialty_sure) =
        specialty(models, document, &results, text.as_ref(), &reading, &mut reasons);
    let doc_type = doc_type(document, text.as_ref(), &mut reasons);
    let strange = !results.critical && text.as_ref().is_some_and(|scores| scores.familiarity < FAMILIAR);
    if strange {
        reasons.push("abstained: few words of the text are known".to_owned());
    }
    let doubtful = results.doubtful && !results.critical;
    if doubtful {
        reasons.push("abstained: a result without a unit may be critical".to_owned());
    }
    let ask_from = models.heads().card().ask_from;
    // A person looks at what may be an emergency, although the machine does not call it one.
    let maybe = text
        .as_ref()
        .and_then(|scores| scores.urgency.first())
        .copied()
        .filter(|p| urgency.label != Urgency::Emergent && *p >= ask_from);
    let flagged = !reading.red_flags.is_empty() && urgency.label != Urgency::Emergent;
    if flagged {
        reasons.push(format!("abstained: {} with a red flag, a person looks", urgency.label));
    }
    if let Some(p) = maybe {
        reasons.push(format!("abstained: may be emergent at {p:.2}, a person looks from {ask_from:.2}"));
    }
    if !urgency_sure {
        reasons
            .push(format!("abstained: urgency {} at {:.2} is below its threshold", urgency.label, urgency.p));
    }
    if !specialty_sure {
        reasons.push(format!(
            "abstained: specialty {} at {:.2} is below its threshold",
            specialty.label, specialty.p
        ));
    }
    let card = models.heads().card();
    Ok(Classification {
        urgency,
        specialty,
        doc_type,
        abstained: strange || doubtful || flagged || maybe.is_some() || !(urgency_sure && specialty_sure),
        reasons,
        model_id: card.model_id.clone(),
        model_version: card.model_version.clone(),
    })
}

pub(crate) fn score_text(models: &Models, reading: &Reading, prose: &str) -> Result<TextScores, Error> {
    let (chunks, weights): (Vec<&str>, Vec<f32>) = reading.chunks(prose).into_iter().unzip();
    let embedding = pool(&models.encoder().embed(&chunks)?, &weights);
    let features = reading.features(prose);
    let terms = models.heads().vectorize(&features);
    let score = |task| models.heads().probabilities(task, &embedding, &terms);
    Ok(TextScores {
        familiarity: models.heads().familiarity(&features),
        urgency: score(Task::Urgency),
        specialty: score(Task::Specialty),
        doc_type: score(Task::DocumentType),
    })
}

/// What the results say together.
struct Results {
    critical: bool,
    /// Whether a result may be critical, and what it lacks would have said so.
    doubtful: bool,
    worst: Abnormality,
    counted: usize,
    abnormal: usize,
    /// Whom the worst result concerns, and the name of its analyte.
    specialty: Option<(Specialty, String)>,
}

fn judge_results(table: &CriticalTable, document: &Document, reasons: &mut Vec<String>) -> Results {
    let mut results = Results {
        critical: false,
        doubtful: false,
        worst: Abnormality::Unknown,
        counted: 0,
        abnormal: 0,
        specialty: None,
    };
    let mut specialty_rank = Abnormality::Normal;
    let mut unknown_units = Vec::new();
    for fact in document.observations.iter().filter(|fact| fact.counts()) {
        results.counted += 1;
        let mut abnormality = fact.abnormality();
        match table.judge(fact, document.patient()) {
            Verdict::Critical(critical) => {
                results.critical = true;
                abnormality = Abnormality::Critical;
                if reasons.len() < MAX_REASONS && !reasons.contains(&critical.reason) {
                    reasons.push(critical.reason);
                }
            }
            Verdict::UnknownUnit(text) => unknown_units.push(format!("unit: {text}")),
            Verdict::Doubtful(text) => {
                results.doubtful = true;
                unknown_units.push(format!("unit: {text}"));
            }
            Verdict::NotCritical | Verdict::Unlisted => {}
        }
        results.worst = results.worst.max(abnormality);
        if abnormality >= Abnormality::Abnormal {
            results.abnormal += 1;
        }
        if abnormality > specialty_rank
            && let Some(specialty) = table.specialty(fact)
        {
            specialty_rank = abnormality;
            results.specialty = Some((specialty, fact.display.clone()));
        }
    }
    unknown_units.truncate(MAX_REASONS);
    reasons.extend(unknown_units);
    results
}

fn urgency(
    models: &Models,
    document: &Document,
    results: &Results,
    text: Option<&TextScores>,
    reading: &Reading,
    reasons: &mut Vec<String>,
) -> (Scored<Urgency>, bool) {
    if results.critical {
        return (Scored { label: Urgency::Emergent, p: 1.0 }, true);
    }
    let mut evidence = Evidence::NONE;
    if results.counted > 0 {
        let (found, words) = match results.worst {
            Abnormality::Critical | Abnormality::Marked => {
                (Evidence { emergent: 0.08, raised: 0.68 }, "far outside their range")
            }
            Abnormality::Abnormal => (Evidence { emergent: 0.02, raised: 0.24 }, "outside their range"),
            Abnormality::Normal | Abnormality::Unknown => (Evidence::NONE, "outside their range"),
        };
        evidence = evidence.or(found);
        reasons.push(format!("results: {} of {} {words}", results.abnormal, results.counted));
    }
    if document.codes.is_request {
        let priority = document.codes.priority.as_deref().unwrap_or("");
        let found = match priority {
            "stat" => Some(Evidence { emergent: 0.7, raised: 0.95 }),
            "asap" | "urgent" => Some(Evidence { emergent: 0.15, raised: 0.85 }),
            _ => None,
        };
        if let Some(found) = found {
            evidence = evidence.or(found);
            reasons.push(format!("priority: {priority}"));
        }
    }
    reasons.extend(
        reading
            .red_flags
            .iter()
            .take(MAX_FLAGS)
            .map(|flag| format!("red flag: {} ({}; {})", flag.terms.join(", "), flag.name, flag.source)),
    );
    match text {
        Some(scores) => {
            let p = |label: usize| f64::from(scores.urgency.get(label).copied().unwrap_or(0.0));
            evidence = evidence.or(Evidence { emergent: p(0), raised: p(0) + p(1) });
            let top = if p(0) >= p(1).max(p(2)) {
                0
            } else if p(1) >= p(2) {
                1
            } else {
                2
            };
            if let Some(label) = Urgency::ALL.get(top) {
                reasons.push(format!(
                    "text: {label} {:.2}{}",
                    p(top),
                    because(reading, &format!("urgency/{label}"))
                ));
            }
            let dangers: Vec<&str> =
                reading.signs.iter().filter(|s| s.danger).map(|s| s.text.as_str()).take(4).collect();
            if !dangers.is_empty() {
                reasons.push(format!("danger sign: {}", dangers.join(", ")));
            }
        }
        None if results.counted == 0 && document.codes.encounter_class.as_deref() == Some("EMER") => {
            evidence = evidence.or(Evidence { emergent: 0.1, raised: 0.45 });
            reasons.push("encounter class: EMER, without clinical text".to_owned());
        }
        None if results.counted == 0 => {
            let event = document.codes.event.as_deref().unwrap_or("none");
            reasons.push(format!("no clinical text or results (event {event})"));
        }
        None => {}
    }
    let raised = evidence.raised.max(evidence.emergent);
    let p = [evidence.emergent, raised - evidence.emergent, 1.0 - raised];
    let from = f64::from(models.heads().card().emergent_from);
    // Missing an emergency is far worse than a false alarm, so emergent does not need to be the likeliest.
    let index = if p[0] >= from || p[0] >= p[1].max(p[2]) {
        0
    } else if p[1] >= p[2] {
        1
    } else {
        2
    };
    let judged = Urgency::ALL.get(index).copied().unwrap_or(Urgency::Emergent);
    let label = raise_to_floor(judged, &reading.red_flags);
    if label != judged {
        // The probability is still that of the evidence: a rule cannot know one.
        let p = Urgency::ALL.iter().zip(p).find(|(l, _)| **l == label).map_or(0.0, |(_, p)| p);
        reasons.push(format!("floor: {judged} by the other evidence, {label} by the red flag"));
        return (Scored { label, p: round(p) }, true);
    }
    let probability = p.get(index).copied().unwrap_or(0.0);
    let sure = text.is_none() || probability >= f64::from(models.heads().threshold(Task::Urgency, index));
    (Scored { label, p: round(probability) }, sure)
}

/// The urgency, at least [`Urgency::Urgent`] where a red flag is affirmed; it is never lowered.
#[must_use]
pub fn raise_to_floor(urgency: Urgency, red_flags: &[RedFlag]) -> Urgency {
    // The most urgent label is the least.
    if red_flags.is_empty() { urgency } else { urgency.min(Urgency::Urgent) }
}

fn specialty(
    models: &Models,
    document: &Document,
    results: &Results,
    text: Option<&TextScores>,
    reading: &Reading,
    reasons: &mut Vec<String>,
) -> (ScoredSpecialty, bool) {
    let count = Specialty::ALL.len();
    let coded = codes::specialty(document);
    let mut p: Vec<f64> = match text {
        Some(scores) => scores.specialty.iter().map(|p| f64::from(*p).max(1e-6)).collect(),
        None => vec![1.0 / count as f64; count],
    };
    let mut raise = |label: Specialty, factor: f64| {
        if let Some(slot) = Specialty::ALL.iter().position(|l| *l == label).and_then(|index| p.get_mut(index))
        {
            *slot *= factor;
        }
    };
    if let Some((label, code)) = &coded {
        // "Medicine" names a ward more often than a need.
        let weak = *label == Specialty::GeneralMedicine;
        raise(
            *label,
            match (text.is_some(), weak) {
                (true, true) => 2.0,
                (true, false) => 12.0,
                (false, true) => 15.0,
                (false, false) => 150.0,
            },
        );
        reasons.push(format!("specialty: {label} by {code}"));
    }
    if let Some((label, analyte)) = &results.specialty {
        let weight = if results.critical { 4.0 } else { 2.0 };
        raise(*label, if text.is_some() { weight } else { weight * 12.0 });
        if coded.is_none() {
            let name = if analyte.is_empty() { "a result" } else { analyte.as_str() };
            reasons.push(format!("specialty: {label} by {}", name.to_lowercase()));
        }
    }
    if text.is_none() && coded.is_none() && results.specialty.is_none() {
        raise(Specialty::GeneralMedicine, 20.0);
    }
    if document.age_days.is_some_and(|days| days < 16 * 365) {
        raise(Specialty::Pediatrics, 6.0);
    }
    let total: f64 = p.iter().sum();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| {
        let of = |index: usize| p.get(index).copied().unwrap_or(0.0);
        of(b).total_cmp(&of(a))
    });
    let at = |rank: usize| order.get(rank).copied().unwrap_or(0);
    let label = |rank: usize| Specialty::ALL.get(at(rank)).copied().unwrap_or(Specialty::GeneralMedicine);
    let probability = p.get(at(0)).copied().unwrap_or(0.0) / total.max(1e-12);
    if text.is_some() && coded.is_none() {
        let top = label(0);
        reasons
            .push(format!("text: {top} {probability:.2}{}", because(reading, &format!("specialty/{top}"))));
    }
    // Without text nothing asks for a specialist's eye, so nobody needs to look it up.
    let sure = text.is_none() || probability >= f64::from(models.heads().threshold(Task::Specialty, at(0)));
    (ScoredSpecialty { label: label(0), p: round(probability), second: label(1) }, sure)
}

fn doc_type(
    document: &Document,
    text: Option<&TextScores>,
    reasons: &mut Vec<String>,
) -> Scored<DocumentType> {
    if let Some((label, code)) = codes::document_type(document) {
        reasons.push(format!("document type: {label} by {code}"));
        return Scored { label, p: 0.98 };
    }
    let Some(scores) = text else { return Scored { label: DocumentType::Other, p: 0.6 } };
    let best = scores.doc_type.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    let (index, p) = best.map_or((0, 0.0), |(index, p)| (index, f64::from(*p)));
    let label = DocumentType::ALL.get(index).copied().unwrap_or(DocumentType::Other);
    reasons.push(format!("text: {label} {p:.2}"));
    Scored { label, p: round(p) }
}

/// The terms of the lexicon that speak for a group, for a reader.
fn because(reading: &Reading, group: &str) -> String {
    let mut phrases: Vec<&str> = Vec::new();
    for hit in reading.hits.iter().filter(|hit| hit.group == group && hit.context == Context::Affirmed) {
        if !phrases.contains(&hit.phrase.as_str()) {
            phrases.push(&hit.phrase);
        }
    }
    phrases.truncate(4);
    if phrases.is_empty() { String::new() } else { format!(" ({})", phrases.join(", ")) }
}

fn round(p: f64) -> f64 {
    (p.clamp(0.0, 1.0) * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_raises_and_never_lowers() {
        let flags = Reading::of("Crushing chest pain since noon.").red_flags;
        let denied = Reading::of("No crushing chest pain.").red_flags;
        assert_eq!(raise_to_floor(Urgency::Routine, &flags), Urgency::Urgent);
        assert_eq!(raise_to_floor(Urgency::Urgent, &flags), Urgency::Urgent);
        assert_eq!(raise_to_floor(Urgency::Emergent, &flags), Urgency::Emergent);
        for urgency in Urgency::ALL {
            assert_eq!(raise_to_floor(*urgency, &denied), *urgency);
        }
    }
}
