//! Extractive summaries: every sentence is a span of the document.
//!
//! Embedding similarity alone hardly beats taking sentences at random, so structure leads: critical results, abnormal
//! results, then prose by section (impression, assessment, plan first). Within that order, maximal marginal relevance
//! over embeddings avoids saying a thing twice.

use serde::Serialize;

use crate::Error;
use crate::document::Document;
use crate::encoder::{Encoder, cosine};
use crate::features::{Reading, pool};
use crate::text::context::Context;
use crate::text::section::Section;
use crate::text::sentence::scalar_offsets;

/// How long a summary may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Most sentences.
    pub sentences: usize,
    /// Most Unicode scalar values in all sentences together. A first sentence that is longer alone is still given.
    pub characters: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { sentences: 6, characters: 700 }
    }
}

/// A sentence of a summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sentence {
    /// Verbatim from the narrative, line breaks within it as spaces.
    pub text: String,
    /// Spans of [`Document::narrative`] in Unicode scalar values, end exclusive.
    pub sources: Vec<[usize; 2]>,
}

/// A summary, the weightiest sentence first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The sentences.
    pub sentences: Vec<Sentence>,
}

/// Most sentences of prose that are compared by embedding.
const MAX_CANDIDATES: usize = 48;
/// Weight of a sentence's own merit against its likeness to what was already said.
const LAMBDA: f32 = 0.7;
/// Likeness from which a sentence says nothing new.
const SAME: f32 = 0.93;

struct Candidate {
    span: std::ops::Range<usize>,
    merit: f32,
}

struct Draft<'d> {
    narrative: &'d str,
    budget: Budget,
    characters: usize,
    spans: Vec<std::ops::Range<usize>>,
    said: Vec<String>,
}

impl Draft<'_> {
    /// Takes a span if there is room for it and it is new.
    fn take(&mut self, span: std::ops::Range<usize>) -> bool {
        let text = self.narrative.get(span.clone()).unwrap_or("");
        let folded = text.to_lowercase();
        let length = text.chars().count();
        let full = self.spans.len() >= self.budget.sentences
            || (!self.spans.is_empty() && self.characters + length > self.budget.characters);
        if full || text.is_empty() || self.said.contains(&folded) {
            return false;
        }
        self.characters += length;
        self.spans.push(span);
        self.said.push(folded);
        true
    }

    fn is_full(&self) -> bool {
        self.spans.len() >= self.budget.sentences
    }
}

pub(crate) fn summarize(encoder: &Encoder, document: &Document, budget: Budget) -> Result<Summary, Error> {
    let mut draft =
        Draft { narrative: &document.narrative, budget, characters: 0, spans: Vec::new(), said: Vec::new() };
    let candidates = candidates(document);
    let lines = |rank: u8| {
        document.result_lines.iter().filter(move |(_, r)| *r == rank).map(|(span, _)| span.clone())
    };
    for span in lines(0) {
        draft.take(span);
    }
    // Abnormal results must leave room for what a clinician concluded from them.
    let reserve = if candidates.is_empty() { 0 } else { budget.sentences / 2 };
    for span in lines(1).take(budget.sentences.saturating_sub(reserve)) {
        draft.take(span);
    }
    if !draft.is_full() && !candidates.is_empty() {
        pick(encoder, document, candidates, &mut draft)?;
    }
    for span in lines(1).chain(lines(2)) {
        draft.take(span);
    }
    Ok(finish(document, &draft.spans))
}

fn finish(document: &Document, spans: &[std::ops::Range<usize>]) -> Summary {
    let sentences = spans
        .iter()
        .filter_map(|span| {
            let text = document.narrative.get(span.clone())?;
            let offsets = scalar_offsets(&document.narrative, &[span.start, span.end]);
            let source = [*offsets.first()?, *offsets.get(1)?];
            Some(Sentence {
                text: text.split_whitespace().collect::<Vec<_>>().join(" "),
                sources: vec![source],
            })
        })
        .collect();
    Summary { sentences }
}

fn merit(section: Section) -> f32 {
    match section {
        Section::Impression => 1.0,
        Section::Assessment => 0.95,
        Section::Plan => 0.8,
        Section::Complaint => 0.65,
        Section::Present | Section::Body => 0.5,
        Section::Findings => 0.45,
        Section::Examination => 0.35,
        Section::Medications => 0.2,
        Section::Past | Section::Technique | Section::Allergies => 0.1,
        Section::Family | Section::Social => 0.0,
    }
}

fn candidates(document: &Document) -> Vec<Candidate> {
    let prose = document.prose();
    let reading = Reading::of(prose);
    let mut candidates: Vec<Candidate> = Vec::new();
    let count = reading.layout.sentences.len().max(1) as f32;
    for (index, sentence) in reading.layout.sentences.iter().enumerate() {
        let Some(text) = prose.get(sentence.span.clone()) else { continue };
        let words = text.split_whitespace().filter(|w| w.chars().any(char::is_alphabetic)).count();
        let concluded = matches!(sentence.section, Section::Impression | Section::Assessment | Section::Plan);
        if words < 2 && !(concluded && words == 1) || courtesy(text) {
            continue;
        }
        let mut merit = merit(sentence.section);
        // Notes open with the complaint; where there are no sections that is the best structure there is.
        if sentence.section == Section::Body {
            merit += 0.25 * (1.0 - index as f32 / count);
        }
        let telling = |group: &str| {
            reading
                .hits
                .iter()
                .any(|h| h.sentence == index && h.context == Context::Affirmed && h.group == group)
        };
        if telling("urgency/emergent") {
            merit += 0.45;
        } else if telling("urgency/urgent") {
            merit += 0.2;
        }
        candidates.push(Candidate { span: sentence.span.clone(), merit });
    }
    if candidates.len() > MAX_CANDIDATES {
        let mut order: Vec<f32> = candidates.iter().map(|c| c.merit).collect();
        order.sort_by(|a, b| b.total_cmp(a));
        let floor = order.get(MAX_CANDIDATES - 1).copied().unwrap_or(0.0);
        // Equals of the floor share what room the better ones leave, or an early half of a report would crowd out its end.
        let mut room = MAX_CANDIDATES - order.iter().filter(|merit| **merit > floor).count();
        candidates.retain(|c| {
            let equal = c.merit == floor && room > 0;
            room -= usize::from(equal);
            equal || c.merit > floor
        });
    }
    candidates
}

/// Openings and closings of letters, which carry nothing.
fn courtesy(text: &str) -> bool {
    const PHRASES: &[&str] = &[
        "dear ",
        "kind regards",
        "yours sincerely",
        "yours faithfully",
        "sincerely",
        "many thanks",
        "thank you for",
        "with best wishes",
        "electronically signed",
        "dictated",
        "signed by",
    ];
    let lower = text.trim().to_lowercase();
    lower.len() < 60 && PHRASES.iter().any(|phrase| lower.starts_with(phrase))
}

fn pick(
    encoder: &Encoder,
    document: &Document,
    candidates: Vec<Candidate>,
    draft: &mut Draft<'_>,
) -> Result<(), Error> {
    let texts: Vec<&str> =
        candidates.iter().map(|c| document.narrative.get(c.span.clone()).unwrap_or("")).collect();
    let room = draft.budget.sentences.saturating_sub(draft.spans.len());
    let characters: usize = texts.iter().map(|text| text.chars().count()).sum();
    if candidates.len() <= room && draft.characters + characters <= draft.budget.characters {
        let mut candidates = candidates;
        candidates.sort_by(|a, b| b.merit.total_cmp(&a.merit).then(a.span.start.cmp(&b.span.start)));
        for candidate in candidates {
            draft.take(candidate.span);
        }
        return Ok(());
    }
    let embeddings = encoder.embed(&texts)?;
    let centre = pool(&embeddings, &candidates.iter().map(|c| c.merit + 0.1).collect::<Vec<_>>());
    let mut open: Vec<(Candidate, Vec<f32>)> = candidates.into_iter().zip(embeddings).collect();
    let mut chosen: Vec<Vec<f32>> = Vec::new();
    while !draft.is_full() {
        let likeness = |embedding: &[f32]| chosen.iter().map(|c| cosine(c, embedding)).fold(0.0f32, f32::max);
        let best = open
            .iter()
            .enumerate()
            .map(|(index, (candidate, embedding))| {
                let value = candidate.merit + 0.4 * cosine(&centre, embedding);
                let repeated = likeness(embedding);
                let score =
                    if repeated >= SAME { f32::MIN } else { LAMBDA * value - (1.0 - LAMBDA) * repeated };
                (index, score)
            })
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let Some((index, score)) = best else { break };
        let (candidate, embedding) = open.remove(index);
        if score > f32::MIN && draft.take(candidate.span) {
            chosen.push(embedding);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_findings_do_not_crowd_out_the_conclusion() {
        let findings: String = (0..100).map(|n| format!("The segment number {n} is clear.\n")).collect();
        let document = Document::from_text(&format!("FINDINGS:\n{findings}IMPRESSION: Pulmonary nodule."));
        let candidates = candidates(&document);
        assert_eq!(candidates.len(), MAX_CANDIDATES);
        let last = candidates.last().and_then(|c| document.narrative.get(c.span.clone()));
        assert_eq!(last, Some("Pulmonary nodule."));
    }
}
