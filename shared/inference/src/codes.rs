//! What coded fields say about specialty and document type, before any text is read.

use crate::document::{Code, Document};
use crate::label::{DocumentType, Specialty};

/// LOINC document codes (document ontology and the common C-CDA document types).
const DOCUMENT_LOINC: &[(&str, DocumentType)] = &[
    ("57133-1", DocumentType::Referral),
    ("57134-9", DocumentType::Referral),
    ("57170-3", DocumentType::Referral),
    ("18761-7", DocumentType::Referral),
    ("18842-5", DocumentType::DischargeSummary),
    ("28655-9", DocumentType::DischargeSummary),
    ("34105-7", DocumentType::DischargeSummary),
    ("11506-3", DocumentType::ProgressNote),
    ("28570-0", DocumentType::ProgressNote),
    ("34117-2", DocumentType::ProgressNote),
    ("34109-9", DocumentType::ProgressNote),
    ("34130-5", DocumentType::ProgressNote),
    ("34133-9", DocumentType::DischargeSummary),
    ("11488-4", DocumentType::ConsultNote),
    ("34100-8", DocumentType::ConsultNote),
    ("34104-0", DocumentType::ConsultNote),
    ("11504-8", DocumentType::OperativeNote),
    ("28573-4", DocumentType::OperativeNote),
    ("28569-2", DocumentType::ConsultNote),
    ("18748-4", DocumentType::RadiologyReport),
    ("18726-0", DocumentType::RadiologyReport),
    ("68604-8", DocumentType::RadiologyReport),
    ("11526-1", DocumentType::PathologyReport),
    ("11529-5", DocumentType::PathologyReport),
    ("60567-5", DocumentType::PathologyReport),
    ("60568-3", DocumentType::PathologyReport),
    ("11502-2", DocumentType::LabResult),
    ("26436-6", DocumentType::LabResult),
    ("34746-8", DocumentType::NursingNote),
    ("34119-8", DocumentType::NursingNote),
    ("34120-6", DocumentType::NursingNote),
    ("54094-8", DocumentType::NursingNote),
    ("59284-0", DocumentType::Other),
    ("64293-4", DocumentType::Other),
];

/// HL7 table 0270 (TXA-2) and table 0074 (OBR-24).
const DOCUMENT_HL7: &[(&str, DocumentType)] = &[
    ("AR", DocumentType::Other),
    ("CD", DocumentType::Other),
    ("CN", DocumentType::ConsultNote),
    ("DI", DocumentType::RadiologyReport),
    ("DS", DocumentType::DischargeSummary),
    ("ED", DocumentType::ProgressNote),
    ("HP", DocumentType::ProgressNote),
    ("OP", DocumentType::OperativeNote),
    ("PN", DocumentType::ProgressNote),
    ("PR", DocumentType::ProgressNote),
    ("SP", DocumentType::PathologyReport),
    ("TS", DocumentType::Other),
    ("RAD", DocumentType::RadiologyReport),
    ("RX", DocumentType::RadiologyReport),
    ("CT", DocumentType::RadiologyReport),
    ("CTH", DocumentType::RadiologyReport),
    ("NMR", DocumentType::RadiologyReport),
    ("NMS", DocumentType::RadiologyReport),
    ("RUS", DocumentType::RadiologyReport),
    ("OUS", DocumentType::RadiologyReport),
    ("CUS", DocumentType::RadiologyReport),
    ("VUS", DocumentType::RadiologyReport),
    ("XRC", DocumentType::RadiologyReport),
    ("PAT", DocumentType::PathologyReport),
    ("CP", DocumentType::PathologyReport),
    ("CY", DocumentType::PathologyReport),
    ("CYT", DocumentType::PathologyReport),
    ("LAB", DocumentType::LabResult),
    ("BG", DocumentType::LabResult),
    ("BLB", DocumentType::LabResult),
    ("CH", DocumentType::LabResult),
    ("CG", DocumentType::LabResult),
    ("GE", DocumentType::LabResult),
    ("HM", DocumentType::LabResult),
    ("ICU", DocumentType::LabResult),
    ("IMM", DocumentType::LabResult),
    ("MB", DocumentType::LabResult),
    ("MCB", DocumentType::LabResult),
    ("MYC", DocumentType::LabResult),
    ("SR", DocumentType::LabResult),
    ("TX", DocumentType::LabResult),
    ("VR", DocumentType::LabResult),
    ("NRS", DocumentType::NursingNote),
];

/// Phrases of a document's title; a space stands for the edge of a word.
const DOCUMENT_TITLES: &[(&str, DocumentType)] = &[
    ("discharge summ", DocumentType::DischargeSummary),
    ("discharge letter", DocumentType::DischargeSummary),
    ("operative", DocumentType::OperativeNote),
    ("operation note", DocumentType::OperativeNote),
    ("surgical operation", DocumentType::OperativeNote),
    ("procedure note", DocumentType::OperativeNote),
    ("pathology", DocumentType::PathologyReport),
    ("cytology", DocumentType::PathologyReport),
    ("biopsy", DocumentType::PathologyReport),
    ("histolog", DocumentType::PathologyReport),
    ("radiolog", DocumentType::RadiologyReport),
    ("diagnostic imaging", DocumentType::RadiologyReport),
    ("x-ray", DocumentType::RadiologyReport),
    ("xray", DocumentType::RadiologyReport),
    ("ultrasound", DocumentType::RadiologyReport),
    ("mammogra", DocumentType::RadiologyReport),
    (" mri ", DocumentType::RadiologyReport),
    (" ct ", DocumentType::RadiologyReport),
    ("nursing", DocumentType::NursingNote),
    ("nurse", DocumentType::NursingNote),
    ("triage", DocumentType::NursingNote),
    ("referral", DocumentType::Referral),
    ("consult", DocumentType::ConsultNote),
    ("progress", DocumentType::ProgressNote),
    ("history and physical", DocumentType::ProgressNote),
    ("laboratory", DocumentType::LabResult),
    ("consent", DocumentType::Other),
];

/// HL7 table 0069 (PV1-10 hospital service) and the abbreviations that hospitals use beside it.
const SERVICES: &[(&str, Specialty)] = &[
    ("CAR", Specialty::Cardiology),
    ("CARD", Specialty::Cardiology),
    ("PUL", Specialty::Pulmonology),
    ("PULM", Specialty::Pulmonology),
    ("RESP", Specialty::Pulmonology),
    ("GI", Specialty::Gastroenterology),
    ("GAS", Specialty::Gastroenterology),
    ("NEP", Specialty::Nephrology),
    ("REN", Specialty::Nephrology),
    ("END", Specialty::Endocrinology),
    ("ENDO", Specialty::Endocrinology),
    ("HEM", Specialty::HematologyOncology),
    ("ONC", Specialty::HematologyOncology),
    ("NEU", Specialty::Neurology),
    ("NEUR", Specialty::Neurology),
    ("PSY", Specialty::Psychiatry),
    ("PSYC", Specialty::Psychiatry),
    ("ORT", Specialty::Orthopedics),
    ("ORTH", Specialty::Orthopedics),
    ("SUR", Specialty::Surgery),
    ("SURG", Specialty::Surgery),
    ("GYN", Specialty::ObstetricsGynecology),
    ("OBS", Specialty::ObstetricsGynecology),
    ("OBG", Specialty::ObstetricsGynecology),
    ("PED", Specialty::Pediatrics),
    ("PEDS", Specialty::Pediatrics),
    ("NEO", Specialty::Pediatrics),
    ("NIC", Specialty::Pediatrics),
    ("ID", Specialty::InfectiousDisease),
    ("INF", Specialty::InfectiousDisease),
    ("DER", Specialty::Dermatology),
    ("DERM", Specialty::Dermatology),
    ("URO", Specialty::Urology),
    ("MED", Specialty::GeneralMedicine),
    ("GP", Specialty::GeneralMedicine),
    ("FM", Specialty::GeneralMedicine),
    ("IM", Specialty::GeneralMedicine),
];

/// Stems of a specialty's name.
const SPECIALTY_NAMES: &[(&str, Specialty)] = &[
    ("cardio", Specialty::Cardiology),
    ("coronary", Specialty::Cardiology),
    ("pulmon", Specialty::Pulmonology),
    ("respirat", Specialty::Pulmonology),
    ("gastroent", Specialty::Gastroenterology),
    ("hepatol", Specialty::Gastroenterology),
    ("nephrol", Specialty::Nephrology),
    ("dialysis", Specialty::Nephrology),
    ("endocrin", Specialty::Endocrinology),
    ("diabet", Specialty::Endocrinology),
    ("oncolog", Specialty::HematologyOncology),
    ("hematol", Specialty::HematologyOncology),
    ("haematol", Specialty::HematologyOncology),
    ("neurolog", Specialty::Neurology),
    ("stroke", Specialty::Neurology),
    ("psychiat", Specialty::Psychiatry),
    ("mental health", Specialty::Psychiatry),
    ("orthop", Specialty::Orthopedics),
    ("urolog", Specialty::Urology),
    ("obstet", Specialty::ObstetricsGynecology),
    ("gynec", Specialty::ObstetricsGynecology),
    ("gynaec", Specialty::ObstetricsGynecology),
    ("maternity", Specialty::ObstetricsGynecology),
    ("pediat", Specialty::Pediatrics),
    ("paediat", Specialty::Pediatrics),
    ("neonat", Specialty::Pediatrics),
    ("infectious", Specialty::InfectiousDisease),
    ("dermatol", Specialty::Dermatology),
    ("surg", Specialty::Surgery),
    ("trauma", Specialty::Surgery),
    ("general medicine", Specialty::GeneralMedicine),
    ("internal medicine", Specialty::GeneralMedicine),
    ("family", Specialty::GeneralMedicine),
    ("medical service", Specialty::GeneralMedicine),
];

/// The specialty that codes name, and the code that named it.
#[must_use]
pub(crate) fn specialty(document: &Document) -> Option<(Specialty, String)> {
    document.codes.specialty.iter().find_map(|code| {
        let name = code.display.to_lowercase();
        let by_name = SPECIALTY_NAMES.iter().find(|(stem, _)| name.contains(stem));
        let by_code = SERVICES.iter().find(|(service, _)| service.eq_ignore_ascii_case(code.code.trim()));
        by_name.or(by_code).map(|(_, label)| (*label, shown(code)))
    })
}

/// The document type that codes name, and the code that named it.
#[must_use]
pub(crate) fn document_type(document: &Document) -> Option<(DocumentType, String)> {
    let codes = &document.codes.document;
    let by = |find: fn(&Code) -> Option<DocumentType>| {
        codes.iter().find_map(|code| find(code).map(|label| (label, shown(code))))
    };
    by(by_loinc).or_else(|| by(by_title)).or_else(|| by(by_table)).or_else(|| by_shape(document))
}

fn by_loinc(code: &Code) -> Option<DocumentType> {
    DOCUMENT_LOINC.iter().find(|(loinc, _)| *loinc == code.code).map(|(_, label)| *label)
}

fn by_title(code: &Code) -> Option<DocumentType> {
    let title: String = code
        .display
        .chars()
        .map(|c| if c.is_alphanumeric() || c == '-' { c } else { ' ' })
        .flat_map(char::to_lowercase)
        .collect();
    let title = format!(" {title} ");
    DOCUMENT_TITLES.iter().find(|(words, _)| title.contains(words)).map(|(_, label)| *label)
}

fn by_table(code: &Code) -> Option<DocumentType> {
    DOCUMENT_HL7.iter().find(|(hl7, _)| hl7.eq_ignore_ascii_case(code.code.trim())).map(|(_, label)| *label)
}

/// Messages whose kind follows from what they carry: results without prose, requests, administrative events.
fn by_shape(document: &Document) -> Option<(DocumentType, String)> {
    let event = document.codes.event.as_deref().unwrap_or("");
    if matches!(event, "I12" | "I13" | "I14" | "I15") {
        return Some((DocumentType::Referral, format!("event {event}")));
    }
    if document.prose().split_whitespace().count() >= 12 {
        return None;
    }
    if !document.observations.is_empty() {
        return Some((DocumentType::LabResult, format!("{} coded results", document.observations.len())));
    }
    if document.codes.is_request {
        return Some((DocumentType::Referral, "a request without results".to_owned()));
    }
    (!event.is_empty() && !document.prose().contains(' '))
        .then(|| (DocumentType::Other, format!("event {event}")))
}

fn shown(code: &Code) -> String {
    match (code.code.as_str(), code.display.as_str()) {
        ("", display) => format!("code {display}"),
        (code, "") => format!("code {code}"),
        (code, display) => format!("code {code} {display}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(code: &str, display: &str) -> Document {
        let mut document = Document::default();
        document.codes.document.push(Code { code: code.into(), display: display.into(), ..Code::default() });
        document
    }

    #[test]
    fn codes_name_the_document_type() {
        for (code, display, expected) in [
            ("18842-5", "", DocumentType::DischargeSummary),
            ("DS", "", DocumentType::DischargeSummary),
            ("RAD", "", DocumentType::RadiologyReport),
            ("XX1", "CT Head without contrast", DocumentType::RadiologyReport),
            ("", "Brain/MRI", DocumentType::RadiologyReport),
            ("", "District nurse visit", DocumentType::NursingNote),
            ("LAB", "", DocumentType::LabResult),
            ("", "Operative report", DocumentType::OperativeNote),
        ] {
            assert_eq!(
                document_type(&document(code, display)).map(|(l, _)| l),
                Some(expected),
                "{code} {display}"
            );
        }
        assert_eq!(document_type(&document("ZZ", "something")), None);
        assert_eq!(document_type(&document("ZZ", "Blood product transfusion")), None);
    }

    #[test]
    fn hospital_service_names_the_specialty() {
        let mut document = Document::default();
        document.codes.specialty.push(Code { code: "CAR".into(), ..Code::default() });
        assert_eq!(specialty(&document).map(|(l, _)| l), Some(Specialty::Cardiology));
    }
}
