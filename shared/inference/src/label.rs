//! The labels a document may get.

use serde::{Deserialize, Serialize};

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every label, in the order of the heads' outputs.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The label as records and the command line write it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The label of a text, if there is one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|label| label.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

labels! {
    /// How soon a clinician must act.
    Urgency {
        /// Within minutes to hours.
        Emergent = "emergent",
        /// Within one to three days.
        Urgent = "urgent",
        /// At the next planned occasion.
        Routine = "routine",
    }
}

labels! {
    /// Who should act.
    Specialty {
        /// Heart and vessels.
        Cardiology = "cardiology",
        /// Lungs and airways.
        Pulmonology = "pulmonology",
        /// Gut, liver, pancreas.
        Gastroenterology = "gastroenterology",
        /// Kidneys, electrolytes, dialysis.
        Nephrology = "nephrology",
        /// Hormones, diabetes, metabolism.
        Endocrinology = "endocrinology",
        /// Blood and cancer.
        HematologyOncology = "hematology-oncology",
        /// Brain, nerves, muscle.
        Neurology = "neurology",
        /// Mental health.
        Psychiatry = "psychiatry",
        /// Bones and joints.
        Orthopedics = "orthopedics",
        /// General, vascular and trauma surgery.
        Surgery = "surgery",
        /// Pregnancy and women's health.
        ObstetricsGynecology = "obstetrics-gynecology",
        /// Children.
        Pediatrics = "pediatrics",
        /// Infections.
        InfectiousDisease = "infectious-disease",
        /// Skin.
        Dermatology = "dermatology",
        /// Urinary tract and male genital organs.
        Urology = "urology",
        /// Internal and family medicine.
        GeneralMedicine = "general-medicine",
    }
}

labels! {
    /// What kind of document it is.
    DocumentType {
        /// A letter that asks another clinician to see the patient.
        Referral = "referral",
        /// A summary of a stay.
        DischargeSummary = "discharge-summary",
        /// A note of a visit or ward round.
        ProgressNote = "progress-note",
        /// A specialist's answer to a request.
        ConsultNote = "consult-note",
        /// A record of an operation or procedure.
        OperativeNote = "operative-note",
        /// An imaging report.
        RadiologyReport = "radiology-report",
        /// A report on tissue or cells.
        PathologyReport = "pathology-report",
        /// Laboratory results.
        LabResult = "lab-result",
        /// A nursing or triage record.
        NursingNote = "nursing-note",
        /// Anything else: consents, letters to payers, appointments, education.
        Other = "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_read_back() {
        assert_eq!((Urgency::ALL.len(), Specialty::ALL.len(), DocumentType::ALL.len()), (3, 16, 10));
        assert!(Specialty::ALL.iter().all(|s| Specialty::parse(s.as_str()) == Some(*s)));
        assert_eq!(serde_json::to_string(&DocumentType::LabResult).ok().as_deref(), Some("\"lab-result\""));
    }
}
