//! Section headings of clinical notes.

/// The part of a note that a sentence stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Section {
    /// No heading seen, or one of no known meaning.
    #[default]
    Body,
    /// Impression, conclusion, diagnosis.
    Impression,
    /// Assessment, with or without the plan.
    Assessment,
    /// Plan, recommendations, disposition, follow-up.
    Plan,
    /// Chief complaint, reason for visit or referral, indication.
    Complaint,
    /// History of the present illness, subjective, hospital course.
    Present,
    /// Past medical or surgical history.
    Past,
    /// Family history.
    Family,
    /// Social history.
    Social,
    /// Medications.
    Medications,
    /// Allergies.
    Allergies,
    /// Examination, vital signs, review of systems.
    Examination,
    /// Findings, results, laboratory data.
    Findings,
    /// Technique, comparison, specimen, procedure details.
    Technique,
}

/// Headings as written in notes, lower case, and what they open.
const HEADINGS: &[(&str, Section)] = &[
    ("impression", Section::Impression),
    ("impressions", Section::Impression),
    ("conclusion", Section::Impression),
    ("conclusions", Section::Impression),
    ("opinion", Section::Impression),
    ("interpretation", Section::Impression),
    ("summary", Section::Impression),
    ("diagnosis", Section::Impression),
    ("diagnoses", Section::Impression),
    ("final diagnosis", Section::Impression),
    ("discharge diagnosis", Section::Impression),
    ("discharge diagnoses", Section::Impression),
    ("principal diagnosis", Section::Impression),
    ("postoperative diagnosis", Section::Impression),
    ("preoperative diagnosis", Section::Complaint),
    ("admitting diagnosis", Section::Complaint),
    ("admission diagnosis", Section::Complaint),
    ("imp", Section::Impression),
    ("dx", Section::Impression),
    ("assessment", Section::Assessment),
    ("assessment and plan", Section::Assessment),
    ("assessment & plan", Section::Assessment),
    ("assessment/plan", Section::Assessment),
    ("a/p", Section::Assessment),
    ("a&p", Section::Assessment),
    ("a", Section::Assessment),
    ("plan", Section::Plan),
    ("p", Section::Plan),
    ("recommendation", Section::Plan),
    ("recommendations", Section::Plan),
    ("disposition", Section::Plan),
    ("follow-up", Section::Plan),
    ("follow up", Section::Plan),
    ("discharge instructions", Section::Plan),
    ("discharge plan", Section::Plan),
    ("advice", Section::Plan),
    ("action", Section::Plan),
    ("actions", Section::Plan),
    ("request", Section::Plan),
    ("chief complaint", Section::Complaint),
    ("presenting complaint", Section::Complaint),
    ("cc", Section::Complaint),
    ("pc", Section::Complaint),
    ("reason for visit", Section::Complaint),
    ("reason for referral", Section::Complaint),
    ("reason for consultation", Section::Complaint),
    ("reason for consult", Section::Complaint),
    ("reason for exam", Section::Complaint),
    ("reason for admission", Section::Complaint),
    ("reason", Section::Complaint),
    ("indication", Section::Complaint),
    ("indications", Section::Complaint),
    ("clinical indication", Section::Complaint),
    ("clinical details", Section::Complaint),
    ("clinical information", Section::Complaint),
    ("clinical history", Section::Complaint),
    ("history of present illness", Section::Present),
    ("history of presenting illness", Section::Present),
    ("history of presenting complaint", Section::Present),
    ("history", Section::Present),
    ("hpi", Section::Present),
    ("hpc", Section::Present),
    ("s", Section::Present),
    ("subjective", Section::Present),
    ("interval history", Section::Present),
    ("hospital course", Section::Present),
    ("course", Section::Present),
    ("brief hospital course", Section::Present),
    ("situation", Section::Complaint),
    ("background", Section::Past),
    ("past medical history", Section::Past),
    ("past history", Section::Past),
    ("past surgical history", Section::Past),
    ("pmh", Section::Past),
    ("pmhx", Section::Past),
    ("psh", Section::Past),
    ("family history", Section::Family),
    ("fh", Section::Family),
    ("fhx", Section::Family),
    ("social history", Section::Social),
    ("social", Section::Social),
    ("sh", Section::Social),
    ("medications", Section::Medications),
    ("current medications", Section::Medications),
    ("discharge medications", Section::Medications),
    ("home medications", Section::Medications),
    ("meds", Section::Medications),
    ("allergies", Section::Allergies),
    ("allergy", Section::Allergies),
    ("physical exam", Section::Examination),
    ("physical examination", Section::Examination),
    ("examination", Section::Examination),
    ("exam", Section::Examination),
    ("on examination", Section::Examination),
    ("o/e", Section::Examination),
    ("o", Section::Examination),
    ("objective", Section::Examination),
    ("vitals", Section::Examination),
    ("vital signs", Section::Examination),
    ("obs", Section::Examination),
    ("observations", Section::Examination),
    ("review of systems", Section::Examination),
    ("ros", Section::Examination),
    ("findings", Section::Findings),
    ("results", Section::Findings),
    ("labs", Section::Findings),
    ("laboratory data", Section::Findings),
    ("investigations", Section::Findings),
    ("imaging", Section::Findings),
    ("microscopic description", Section::Findings),
    ("microscopy", Section::Findings),
    ("gross description", Section::Findings),
    ("comment", Section::Impression),
    ("comments", Section::Impression),
    ("technique", Section::Technique),
    ("comparison", Section::Technique),
    ("specimen", Section::Technique),
    ("specimens", Section::Technique),
    ("procedure", Section::Technique),
    ("procedures", Section::Technique),
    ("procedure performed", Section::Technique),
    ("operation", Section::Technique),
    ("operation performed", Section::Technique),
    ("description of procedure", Section::Technique),
    ("procedure in detail", Section::Technique),
    ("anesthesia", Section::Technique),
    ("anaesthesia", Section::Technique),
    ("surgeon", Section::Technique),
    ("complications", Section::Technique),
    ("estimated blood loss", Section::Technique),
];

/// Longest heading in bytes, a colon and some slack included.
const MAX_HEADING: usize = 48;

/// A heading at the start of a line: the byte just past its colon, and what it opens.
///
/// A heading is known words before a colon, or a line of its own in capitals. Any other short capitalised
/// label before a colon at the start of a line is a heading of no known meaning.
#[must_use]
pub fn heading(line: &str) -> Option<(usize, Section)> {
    let indent = line.len() - line.trim_start().len();
    let body = line.get(indent..)?;
    let limit =
        body.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= MAX_HEADING).last()?;
    let head = body.get(..limit)?;
    if let Some(colon) = head.find(':') {
        let label = head.get(..colon)?.trim().trim_start_matches(['#', '*']).trim();
        let lower = label.to_lowercase();
        let end = indent + colon + 1;
        if let Some((_, section)) = HEADINGS.iter().find(|(name, _)| *name == lower) {
            return Some((end, *section));
        }
        let shouted = label.len() > 3
            && label.chars().any(char::is_alphabetic)
            && !label.chars().any(|c| c.is_lowercase() || c.is_ascii_digit());
        return shouted.then_some((end, Section::Body));
    }
    let label = body.trim();
    if label.len() <= MAX_HEADING && label.len() > 3 && !label.chars().any(char::is_lowercase) {
        let lower = label.to_lowercase();
        if let Some((_, section)) = HEADINGS.iter().find(|(name, _)| *name == lower) {
            return Some((indent + label.len(), *section));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_headings_and_leaves_prose_alone() {
        assert_eq!(heading("IMPRESSION: clear lungs"), Some((11, Section::Impression)));
        assert_eq!(heading("  Past Medical History: MI"), Some((23, Section::Past)));
        assert_eq!(heading("FINDINGS"), Some((8, Section::Findings)));
        assert_eq!(heading("WOUND CARE: daily"), Some((11, Section::Body)));
        assert_eq!(heading("She said: it hurts"), None);
        assert_eq!(heading("BP 120/80, HR 70"), None);
        assert_eq!(heading(""), None);
    }
}
