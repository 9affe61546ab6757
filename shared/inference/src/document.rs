//! A clinical document as the models see it, from a FHIR R4 bundle or from text.

use serde_json::Value;

use crate::critical::{CriticalTable, Patient, Verdict};
use crate::observation::{Abnormality, ObservationFact};

mod bundle;

/// Most bytes of narrative that are read; the rest is left out, which [`Document::truncated`] says.
pub const MAX_NARRATIVE: usize = 200_000;
/// Most results that are read.
pub const MAX_OBSERVATIONS: usize = 5_000;

/// A coded concept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Code {
    /// `Coding.system`, empty when absent.
    pub system: String,
    /// `Coding.code`, empty when absent.
    pub code: String,
    /// `Coding.display` or `CodeableConcept.text`, empty when absent.
    pub display: String,
}

/// What the codes of a bundle say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Codes {
    /// `MessageHeader.eventCoding.code`, for example `R01`.
    pub event: Option<String>,
    /// `Encounter.class.code`, for example `EMER`.
    pub encounter_class: Option<String>,
    /// Highest of `ServiceRequest.priority` and `Encounter.priority`: `stat`, `asap`, `urgent` or `routine`.
    pub priority: Option<String>,
    /// Whether the bundle asks for something: a `ServiceRequest` whose results are not in the same bundle.
    pub is_request: bool,
    /// `DocumentReference.type` and `category`, `DiagnosticReport.code` and `category`, `Composition.type`.
    pub document: Vec<Code>,
    /// `Encounter.serviceType`, `Encounter.type`, `PractitionerRole.specialty`, `ServiceRequest.performerType`.
    pub specialty: Vec<Code>,
    /// `ServiceRequest.code`, `Condition.code`, `Procedure.code`: what it is about.
    pub topic: Vec<Code>,
}

/// A document: narrative, results and codes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    /// The text of the document, followed by one line for each result worth a line.
    ///
    /// Every sentence of a summary is a span of this text.
    pub narrative: String,
    /// Bytes of [`Self::narrative`] that were written by people or feeds; the rendered results follow.
    pub prose: usize,
    /// Rendered results: byte span in the narrative, and rank (0 critical, 1 flagged by range or laboratory, 2 normal).
    pub result_lines: Vec<(std::ops::Range<usize>, u8)>,
    /// Results, those that do not count left out.
    pub observations: Vec<ObservationFact>,
    /// Codes.
    pub codes: Codes,
    /// Age in days at the newest date of the bundle, from `Patient.birthDate` as precise as it is.
    pub age_days: Option<u32>,
    /// `Patient.gender`.
    pub sex: Option<String>,
    /// Whether a result or condition of the bundle says that the patient is pregnant.
    pub pregnant: bool,
    /// Whether text or results were left out for size.
    pub truncated: bool,
}

impl Document {
    /// Reads what matters from a FHIR R4 bundle of messages, documents or collections.
    ///
    /// Anything missing or of another shape is passed over; no input is an error.
    #[must_use]
    pub fn from_bundle(bundle: &Value) -> Self {
        let mut document = bundle::read(bundle);
        document.append_results();
        document
    }

    /// A document of text alone.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let mut document = Self::default();
        document.push_text(text);
        document.prose = document.narrative.len();
        document
    }

    /// The part of the narrative that was not rendered from results.
    #[must_use]
    pub fn prose(&self) -> &str {
        self.narrative.get(..self.prose).unwrap_or(&self.narrative)
    }

    /// What of the patient chooses a limit of the table of critical values.
    #[must_use]
    pub fn patient(&self) -> Patient<'_> {
        Patient { age_days: self.age_days, sex: self.sex.as_deref(), pregnant: self.pregnant }
    }

    pub(crate) fn push_text(&mut self, text: &str) {
        let text = text.trim_end();
        if text.trim().is_empty() {
            return;
        }
        let room = MAX_NARRATIVE.saturating_sub(self.narrative.len() + 1);
        let mut cut = text.len().min(room);
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        self.truncated |= cut < text.len();
        if cut == 0 {
            return;
        }
        if !self.narrative.is_empty() {
            self.narrative.push('\n');
        }
        // HL7 v2 text may carry bare carriage returns as line ends.
        let text = text.get(..cut).unwrap_or("");
        self.narrative.push_str(&text.replace("\r\n", "\n").replace('\r', "\n"));
    }

    fn append_results(&mut self) {
        self.prose = self.narrative.len();
        let table = CriticalTable::default_table();
        let mut lines: Vec<(u8, String)> = Vec::new();
        for fact in &self.observations {
            let critical = matches!(table.judge(fact, self.patient()), Verdict::Critical(_));
            let rank = match fact.abnormality() {
                _ if critical => 0,
                Abnormality::Critical => 0,
                Abnormality::Marked | Abnormality::Abnormal => 1,
                Abnormality::Normal | Abnormality::Unknown => 2,
            };
            lines.push((rank, fact.render(critical)));
        }
        lines.sort_by_key(|(rank, _)| *rank);
        lines.dedup();
        for (rank, line) in lines {
            if !self.narrative.is_empty() {
                self.narrative.push('\n');
            }
            let start = self.narrative.len();
            self.narrative.push_str(line.trim());
            self.result_lines.push((start..self.narrative.len(), rank));
        }
    }
}

#[cfg(test)]
mod tests;
