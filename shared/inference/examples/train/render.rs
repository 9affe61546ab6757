//! Vignettes: scenarios rendered in the styles of a hospital's documents, and texts written whole.

use crate::learn::scramble;
use wardstream_inference::{DocumentType, Specialty, Urgency};

/// A text with its labels.
#[derive(Debug, Clone)]
pub(crate) struct Example {
    /// The text.
    pub(crate) text: String,
    /// Labels; none where the text does not decide.
    pub(crate) urgency: Option<Urgency>,
    pub(crate) specialty: Option<Specialty>,
    pub(crate) doc_type: Option<DocumentType>,
    /// How it is written.
    pub(crate) style: String,
    /// What it was made from: texts of one group never stand on both sides of a split.
    pub(crate) group: String,
    /// Where it comes from.
    pub(crate) origin: Origin,
}

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Rendered from `scenarios.psv`.
    Scenario,
    /// `vignettes.psv`.
    Vignette,
    /// `texts/`, folds are made of these.
    Text,
    /// `holdout.psv` and `texts/blind.psv`.
    Apart,
}

struct Scenario<'a> {
    specialty: Specialty,
    urgency: Urgency,
    who: &'a str,
    complaint: &'a str,
    background: &'a str,
    findings: &'a str,
    diagnosis: &'a str,
    plan: &'a str,
}

/// The same choices for the same scenario and style on every machine.
fn choice(seed: u64, options: usize) -> usize {
    (scramble(seed) % options.max(1) as u64) as usize
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// Sentences that must not change a label: denials, old illness, relatives, warnings.
const DISTRACTORS: &[&str] = &[
    "No chest pain, no syncope.",
    "Denies fever, chills or night sweats.",
    "PMH: MI 2009, appendectomy, hypertension.",
    "History of stroke in 2014 with full recovery.",
    "Family history of colon cancer and sudden cardiac death.",
    "No suicidal ideation.",
    "No known drug allergies.",
    "Non-smoker, occasional alcohol.",
    "No headache, no weakness, no rash.",
    "Previous DVT ten years ago.",
    "Father had diabetes and kidney failure.",
    "Advised to return if chest pain, breathlessness or fever.",
    "Denies hematuria, melena or hemoptysis.",
    "No history of seizures.",
    "Status post cholecystectomy 2011.",
    "Lives with spouse, independent.",
    "Medications reviewed and unchanged.",
    "Asthma as a child, none since.",
    "Eats and drinks normally.",
    "Interpreter not needed.",
];

const STYLES: [&str; 9] =
    ["triage", "referral", "soap", "clinic", "consult", "nursing", "sbar", "discharge", "phone"];

impl Scenario<'_> {
    fn render(&self, style: &str, seed: u64) -> (String, Option<Urgency>, Option<DocumentType>) {
        let pick = |salt: u64, options: &[&str]| {
            options.get(choice(seed ^ salt, options.len())).copied().unwrap_or("").to_owned()
        };
        let noise = pick(11, DISTRACTORS);
        let noise2 = pick(12, DISTRACTORS);
        let Scenario { who, complaint, background, findings, diagnosis, plan, .. } = self;
        let short = who.replace("-year-old ", "").replace("woman", "F").replace("man", "M");
        let past = if *background == "none" {
            "No past history.".to_owned()
        } else {
            format!("Background of {background}.")
        };
        let urgency = Some(self.urgency);
        let label = self.specialty.as_str().replace('-', " ");
        match style {
            "triage" => {
                let text = match choice(seed ^ 1, 4) {
                    0 => format!("{short}. {complaint}. {findings}."),
                    1 => format!("Triage RN: {short} c/o {complaint}. Hx {background}. {findings}. {noise}"),
                    2 => format!(
                        "ED triage - {who}, {complaint}; {findings}; pain score 6/10. Charge nurse aware."
                    ),
                    _ => format!("{short} bib family. cc: {complaint}. obs: {findings}."),
                };
                (text, urgency, Some(DocumentType::NursingNote))
            }
            "referral" => {
                let open = pick(2, &["Dear colleague,", "Dear Doctor,", "Re: referral.", "Dear team,", ""]);
                let ask = match choice(seed ^ 3, 4) {
                    0 => format!("Thank you for seeing this {who} with {complaint}."),
                    1 => format!(
                        "I would be grateful for your opinion on this {who} who presents with {complaint}."
                    ),
                    2 => format!("Please see this {who} referred for {complaint}."),
                    _ => format!("Referring a {who}: {complaint}."),
                };
                let close = pick(
                    4,
                    &["Kind regards", "Many thanks for your help.", "Yours sincerely,", "Please advise."],
                );
                (
                    format!(
                        "{open}\n{ask} {past} {noise} On examination {findings}. I think this is {diagnosis}. So far: {plan}.\n{close}"
                    ),
                    urgency,
                    Some(DocumentType::Referral),
                )
            }
            "soap" => {
                let text = match choice(seed ^ 5, 3) {
                    0 => format!("S: {complaint}. {noise}\nO: {findings}.\nA: {diagnosis}.\nP: {plan}."),
                    1 => format!(
                        "PROGRESS NOTE\nSubjective: {who}, {complaint}. {past}\nObjective: {findings}. {noise2}\nAssessment: {diagnosis}\nPlan: {plan}"
                    ),
                    _ => format!(
                        "Ward round. {who}. Overnight: {complaint}. O/E {findings}. Imp: {diagnosis}. {noise} Plan: {plan}."
                    ),
                };
                (text, urgency, Some(DocumentType::ProgressNote))
            }
            "clinic" => (
                format!(
                    "{} reviewed today with {complaint}. {past} {noise} {noise2} {}. Assessment and plan: {diagnosis}; {plan}.",
                    capital(who),
                    capital(findings)
                ),
                urgency,
                Some(DocumentType::ProgressNote),
            ),
            "consult" => {
                let text = match choice(seed ^ 6, 3) {
                    0 => format!(
                        "{} CONSULTATION\nReason for consultation: {complaint}.\nHistory: {who}. {past} {noise}\nExamination: {findings}.\nImpression: {diagnosis}.\nRecommendations: {plan}. We will follow.",
                        label.to_uppercase()
                    ),
                    1 => format!(
                        "Thank you for this consult. We were asked to see a {who} about {complaint}. {noise} {}. Our impression is {diagnosis}. We recommend: {plan}.",
                        capital(findings)
                    ),
                    _ => format!(
                        "Consult service, initial consultation requested by the medical team. {} with {complaint}. {past} Findings: {findings}. From our standpoint {diagnosis}. {}.",
                        capital(who),
                        capital(plan)
                    ),
                };
                (text, urgency, Some(DocumentType::ConsultNote))
            }
            "nursing" => {
                let watch = pick(
                    7,
                    &[
                        "Provider notified.",
                        "MD aware, call bell in reach.",
                        "Bed rails up, will continue to monitor.",
                        "Family at bedside.",
                        "Charge nurse informed.",
                    ],
                );
                (
                    format!(
                        "Nursing note. Patient ({who}) reports {complaint}. Vital signs and observations: {findings}. {noise} {watch}"
                    ),
                    urgency,
                    Some(DocumentType::NursingNote),
                )
            }
            "sbar" => (
                format!(
                    "SBAR handover\nSituation: {complaint}\nBackground: {background}. {noise}\nAssessment: {findings}, looks like {diagnosis}\nRequest: {plan}"
                ),
                urgency,
                Some(DocumentType::NursingNote),
            ),
            "discharge" => {
                // What brought the patient in is over when the patient goes home.
                let course = pick(
                    8,
                    &[
                        "made a full recovery",
                        "improved with treatment",
                        "had an uneventful course",
                        "responded well",
                    ],
                );
                let text = match choice(seed ^ 9, 2) {
                    0 => format!(
                        "DISCHARGE SUMMARY\nReason for admission: {complaint}.\nHospital course: {who}. {past} On arrival {findings}. Treated and {course}.\nDischarge diagnosis: {diagnosis}, resolved.\nCondition at discharge: stable, walking and eating.\nFollow-up: clinic in 6 weeks. {noise}"
                    ),
                    _ => format!(
                        "Discharge summary. This {who} was admitted with {complaint} and treated for {diagnosis}. During admission {course}. Discharged home well on oral tablets; routine follow-up arranged in 2 months. {noise}"
                    ),
                };
                (text, Some(Urgency::Routine), Some(DocumentType::DischargeSummary))
            }
            _ => {
                let text = match choice(seed ^ 10, 3) {
                    0 => format!("{} - {complaint}. {diagnosis}?", capital(who)),
                    1 => format!(
                        "Spoke with {who}: {complaint}. {noise} Likely {diagnosis}. {}.",
                        capital(plan)
                    ),
                    _ => format!("{complaint}, {findings}"),
                };
                (text, urgency, None)
            }
        }
    }
}

/// Renders `scenarios.psv`, every scenario in every style.
pub(crate) fn scenarios(table: &str) -> Result<Vec<Example>, String> {
    let mut examples = Vec::new();
    for (number, line) in rows(table) {
        let fields: Vec<&str> = line.split('|').collect();
        let [specialty, urgency, who, complaint, background, findings, diagnosis, plan] = fields[..] else {
            return Err(format!("scenarios.psv line {number}: eight fields are needed"));
        };
        let scenario = Scenario {
            specialty: Specialty::parse(specialty).ok_or_else(|| format!("line {number}: specialty"))?,
            urgency: Urgency::parse(urgency).ok_or_else(|| format!("line {number}: urgency"))?,
            who,
            complaint,
            background,
            findings,
            diagnosis,
            plan,
        };
        for (index, style) in STYLES.iter().enumerate() {
            let (text, urgency, doc_type) = scenario.render(style, number as u64 * 64 + index as u64);
            examples.push(Example {
                text,
                urgency,
                specialty: Some(scenario.specialty),
                doc_type,
                style: (*style).to_owned(),
                group: format!("scenario-{number}"),
                origin: Origin::Scenario,
            });
        }
    }
    Ok(examples)
}

/// Reads a file of texts written whole.
pub(crate) fn texts(table: &str, name: &str, origin: Origin) -> Result<Vec<Example>, String> {
    let mut examples = Vec::new();
    for (number, line) in rows(table) {
        let fields: Vec<&str> = line.splitn(5, '|').collect();
        let [urgency, specialty, doc_type, style, text] = fields[..] else {
            return Err(format!("{name} line {number}: five fields are needed"));
        };
        let bad = |field: &str| format!("{name} line {number}: {field}");
        examples.push(Example {
            text: text.replace("\\n", "\n"),
            urgency: optional(urgency, Urgency::parse).ok_or_else(|| bad("urgency"))?,
            specialty: optional(specialty, Specialty::parse).ok_or_else(|| bad("specialty"))?,
            doc_type: optional(doc_type, DocumentType::parse).ok_or_else(|| bad("doc_type"))?,
            style: style.to_owned(),
            group: format!("{name}-{number}"),
            origin,
        });
    }
    Ok(examples)
}

fn optional<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if text == "-" { Some(None) } else { parse(text).map(Some) }
}

fn rows(table: &str) -> impl Iterator<Item = (usize, &str)> {
    table
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, l)| !l.is_empty() && !l.starts_with('#'))
}
