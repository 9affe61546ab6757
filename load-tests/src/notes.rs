//! Clinical notes: eighteen templates in the habits of different writers, and two letters.

use rand::Rng;
use rand::seq::IndexedRandom;

use crate::prose::Prose;
use crate::truth::Urgency;

/// A kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Document {
    Emergency,
    Admission,
    Progress,
    Clinic,
    Consult,
    Operative,
    Nursing,
    Discharge,
}

impl Document {
    /// TXA-2 (HL7 table 0270), LOINC code and display.
    pub(crate) fn codes(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Emergency => ("ED", "34111-5", "Emergency department Note"),
            Self::Admission => ("HP", "34117-2", "History and physical note"),
            Self::Progress | Self::Clinic => ("PR", "11506-3", "Progress note"),
            Self::Consult => ("CN", "11488-4", "Consult note"),
            Self::Operative => ("OP", "11504-8", "Surgical operation note"),
            Self::Nursing => ("PR", "34746-8", "Nurse Note"),
            Self::Discharge => ("DS", "18842-5", "Discharge summary"),
        }
    }

    /// How urgent a document of this kind is in a situation of that urgency: what has been dealt with is not
    /// urgent any more.
    pub(crate) fn urgency(self, situation: Urgency) -> Urgency {
        match self {
            Self::Emergency | Self::Admission | Self::Consult => situation,
            Self::Progress | Self::Clinic | Self::Nursing | Self::Operative | Self::Discharge => {
                Urgency::Routine
            }
        }
    }
}

/// The lines of a template; each is one line of the text.
#[derive(Debug)]
struct Template {
    document: Document,
    lines: &'static [&'static str],
}

const fn template(document: Document, lines: &'static [&'static str]) -> Template {
    Template { document, lines }
}

const TEMPLATES: &[Template] = &[
    template(
        Document::Emergency,
        &[
            "EMERGENCY DEPARTMENT NOTE",
            "Patient: {listed}   MRN: {mrn}   DOB: {dob}   Visit: {visit}",
            "Seen {today} at {time} by {attending}.",
            "Chief complaint: {complaint}",
            "HPI: {title} is a {age} {person}. Reason for coming: {complaint}. {history} {history}",
            "Vitals: {vitals}",
            "Exam: {exam} {exam}",
            "Medical decision making: The leading concern is {diagnosis}. {plan}",
            "Disposition: {plan} Family contact is {relative}, reached at {relativephone}.",
        ],
    ),
    template(
        Document::Emergency,
        &[
            "ED physician documentation, {facility}",
            "{age} {person}, {complaint}. Arrived {today} {time} by ambulance from {city}.",
            "{history}",
            "{history} Home phone {phone}.",
            "On arrival {vitals}. {exam}",
            "A/P: {diagnosis}. {plan} {plan}",
            "Spoke with {doctor}, who accepts {title} to {ward}.",
            "Electronically signed by {attending} on {today}.",
        ],
    ),
    template(
        Document::Emergency,
        &[
            "TRIAGE AND PROVIDER NOTE",
            "Name {name}, record {mrn}, SSN {ssn}.",
            "cc: {complaint}",
            "S: {history}",
            "O: {vitals}. {exam}",
            "A: suspected {diagnosis}",
            "P: {plan}",
            "{nurse} present for the whole evaluation. {doctor} paged on {pager} at {time}.",
        ],
    ),
    template(
        Document::Admission,
        &[
            "HISTORY AND PHYSICAL",
            "Admitting service: {ward}. Attending: {attending}. Date of admission: {today}.",
            "{name} (MRN {mrn}) is a {age} {person}; reason for admission: {complaint}.",
            "History of present illness: {history} {history} {history}",
            "Medications at home: {drug}; {drug}.",
            "Social: lives at {address} with {relative}.",
            "Physical examination: {vitals}. {exam} {exam}",
            "Assessment and plan: {diagnosis}. {plan} {plan}",
        ],
    ),
    template(
        Document::Admission,
        &[
            "Admission note - {today}",
            "Source of information: {title} and {relative} ({relativephone}).",
            "Reason: {complaint}.",
            "{history} {history}",
            "Findings: {exam} {vitals}.",
            "Impression: {diagnosis}.",
            "Orders: {plan} Start {drug}.",
        ],
    ),
    template(
        Document::Progress,
        &[
            "PROGRESS NOTE {today}",
            "S: {title} slept well and has less discomfort than on {date-1}. {course}",
            "O: {vitals}.",
            "A: {diagnosis}, improving.",
            "P: Continue {drug}. {plan}",
            "{attending}",
        ],
    ),
    template(
        Document::Progress,
        &[
            "Daily round, {ward}, {today} {time}",
            "{age} {person} with {diagnosis}, here since {admitted}.",
            "Overnight: no events reported by {nurse}.",
            "{course} {course}",
            "Current treatment: {drug}, {drug}.",
            "Plan discussed with {title} and {relative}. Expected home around {date+2}.",
        ],
    ),
    template(
        Document::Clinic,
        &[
            "CLINIC FOLLOW-UP",
            "{listed} was seen on {today}. Record number {mrn}.",
            "Interval history: {history}",
            "Today: {vitals}. {exam}",
            "{course}",
            "Next steps: {plan} Results will be sent to {email}.",
        ],
    ),
    template(
        Document::Clinic,
        &[
            "Office visit, {facility}, {today}",
            "{name} ({mrn}), a {age} {person}, comes about the following: {complaint}.",
            "{history} {history}",
            "On examination {exam}",
            "Impression: {diagnosis}. {course}",
            "Plan: {plan} {plan} Prescribed {drug}.",
            "The desk will ring {phone} to arrange the next visit around {date+42}. {attending}",
        ],
    ),
    template(
        Document::Clinic,
        &[
            "TELEPHONE ENCOUNTER {today} {time}",
            "Caller: {relative}, {relativephone}, on behalf of {title}, born {dob}.",
            "Concern: {complaint}. {history}",
            "Advice given by {nurse} after talking with {attending}: {plan}",
            "Caller repeated the advice back. Chart {mrn} updated.",
        ],
    ),
    template(
        Document::Consult,
        &[
            "CONSULTATION",
            "Requested by {attending} on {today}: {complaint}.",
            "I saw {name} on {ward}, chart {mrn}. {history}",
            "Pertinent findings: {exam}",
            "Impression: {diagnosis}.",
            "Recommendations: {plan} {plan}",
            "Thank you for involving us. Please call {pager} with questions. {doctor}",
        ],
    ),
    template(
        Document::Consult,
        &[
            "Consult note, {facility}, {today}",
            "Question: evaluation of a {age} {person}; {complaint}.",
            "{history} {history} {exam}",
            "Opinion: most consistent with {diagnosis}.",
            "1. {plan}",
            "2. {plan}",
            "Discussed by phone with {doctor} at {time}. Patient reachable on {phone}.",
        ],
    ),
    template(
        Document::Operative,
        &[
            "OPERATIVE REPORT",
            "Patient: {name}   MRN: {mrn}   Date of procedure: {today}",
            "Surgeon: {attending}   Assistant: {doctor}",
            "Preoperative diagnosis: {diagnosis}",
            "Procedure: {procedure}",
            "Description: After time-out with {nurse} at {time}, the patient was prepared and draped in the usual fashion. The procedure was \
         completed as planned without unexpected findings.",
            "{course}",
            "Estimated blood loss: 120 mL. Counts were correct. To recovery in stable condition; {relative} was told at {relativephone}.",
        ],
    ),
    template(
        Document::Nursing,
        &[
            "NURSING NOTE (SBAR) {today} {time}",
            "Situation: {title}, {ward}, {diagnosis}.",
            "Background: {age} {person} admitted on {admitted} under {attending}.",
            "Assessment: {vitals}. Skin intact, line patent, pain 3/10.",
            "Recommendation: continue {drug}; call if pain rises. Reported to {nurse}.",
        ],
    ),
    template(
        Document::Nursing,
        &[
            "Shift summary {ward}",
            "{name}, {mrn}. {course}",
            "Took {drug} at {time} without nausea. Ate half of lunch. Voided.",
            "{relative} visited and will bring glasses tomorrow; number on file {relativephone}.",
            "Handover to {nurse}.",
        ],
    ),
    template(
        Document::Discharge,
        &[
            "DISCHARGE SUMMARY",
            "Patient: {listed}   DOB: {dob}   MRN: {mrn}   Visit: {visit}",
            "Admitted: {admitted}   Discharged: {today}   Attending: {attending}",
            "Principal diagnosis: {diagnosis}",
            "Presentation: {title} is a {age} {person} admitted for the following: {complaint}. {history}",
            "Hospital course: {course} {course}",
            "Discharge medications: {drug}; {drug}.",
            "Follow-up: clinic on {date+7} with {doctor}. Call {pager} for fever, bleeding or worsening.",
            "Discharged home to {address}. Copy by mail to {email}.",
        ],
    ),
    template(
        Document::Discharge,
        &[
            "Summary of stay, {facility}",
            "{name} was under our care until {today}.",
            "Why: {complaint}. {history}",
            "What was found: {diagnosis}. {exam}",
            "What was done: {course} {course}",
            "What comes next: {plan} Take {drug}.",
            "Contact for questions: {pager}; we will ring {phone} on {date+3}.",
        ],
    ),
    template(
        Document::Discharge,
        &[
            "TRANSITION OF CARE LETTER",
            "To the family doctor of {name}, born {dob}, {address}:",
            "Your patient left {ward} on {today} after treatment for {diagnosis}. {course}",
            "Please continue {drug} and {drug}, and repeat bloods around {date+14}.",
            "{plan}",
            "With regards, {attending}",
        ],
    ),
];

const LETTERS: &[&[&str]] = &[
    &[
        "Dear {doctor},",
        "Thank you for seeing {name}, date of birth {dob}, a {age} {person}: {complaint}.",
        "{history} {history}",
        "On examination: {exam} {vitals}.",
        "Present treatment: {drug}. I would value your opinion on {diagnosis}.",
        "{title} lives at {address} and can be reached on {phone}.",
        "With thanks, {attending}, {pager}",
    ],
    &[
        "RE: {listed}, MRN {mrn}",
        "Referral of {today}. Reason: {complaint}.",
        "Background: {history}",
        "Working diagnosis: {diagnosis}. {exam}",
        "Request: {plan}",
        "Next of kin: {relative}, {relativephone}. Mail: {email}.",
        "{attending}",
    ],
];

/// Which document comes when: the first is about arrival, the last about leaving.
pub(crate) fn document_for(prose: &mut Prose<'_>, first: bool, inpatient: bool) -> Document {
    let roll = prose.rng.random_range(0..10);
    match (first, inpatient) {
        (true, true) if roll < 6 => Document::Emergency,
        (true, true) => Document::Admission,
        (true, false) if roll < 5 && prose.scenario.urgency != Urgency::Routine => Document::Emergency,
        (true, false) => Document::Clinic,
        (false, true) => match roll {
            0..=3 => Document::Progress,
            4..=5 => Document::Consult,
            6..=7 => Document::Nursing,
            _ if prose.scenario.procedure.is_some() => Document::Operative,
            _ => Document::Nursing,
        },
        (false, false) if roll < 3 => Document::Consult,
        (false, false) => Document::Clinic,
    }
}

fn render(prose: &mut Prose<'_>, lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| prose.fill(line)).collect()
}

/// A note, line by line.
pub(crate) fn note(prose: &mut Prose<'_>, document: Document) -> Vec<String> {
    let fitting: Vec<&Template> = TEMPLATES.iter().filter(|t| t.document == document).collect();
    match fitting.choose(prose.rng) {
        Some(template) => render(prose, template.lines),
        None => Vec::new(),
    }
}

/// A referral letter, line by line.
pub(crate) fn letter(prose: &mut Prose<'_>) -> Vec<String> {
    match LETTERS.choose(prose.rng) {
        Some(lines) => render(prose, lines),
        None => Vec::new(),
    }
}

const REPORT_HEADS: &[&str] = &[
    "EXAM: {study}. DATE: {today}. PATIENT: {listed}, {mrn}",
    "{study} performed {today} for {title}",
    "{facility} Department of Radiology - {study}",
];

/// A radiology report: its body, and its impression.
pub(crate) fn report(
    prose: &mut Prose<'_>,
    study: &'static crate::imaging::Study,
    finding: &(Urgency, &'static str, &'static str),
) -> (Vec<String>, String) {
    let head = REPORT_HEADS.choose(prose.rng).copied().unwrap_or_default().replace("{study}", study.name);
    let mut lines =
        render(prose, &[&head, "CLINICAL INDICATION: {age} {person}, {complaint}. Referred by {attending}."]);
    lines.push(format!("TECHNIQUE: {}", study.technique));
    if prose.rng.random_bool(0.5) {
        lines.push(prose.fill("COMPARISON: {date-365}."));
    }
    let findings = prose.fill(finding.1);
    lines.push(format!("FINDINGS: {findings}"));
    let impression = prose.fill(finding.2);
    lines.push(format!("IMPRESSION: {impression}"));
    lines.push(prose.fill("Dictated by {radiologist} on {today} at {time}."));
    (lines, impression)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_document_has_its_templates() {
        for document in [
            Document::Emergency,
            Document::Admission,
            Document::Progress,
            Document::Clinic,
            Document::Consult,
            Document::Operative,
            Document::Nursing,
            Document::Discharge,
        ] {
            assert!(TEMPLATES.iter().any(|t| t.document == document), "{document:?}");
        }
        assert!(TEMPLATES.len() + LETTERS.len() >= 12);
    }
}
