//! What the generator knows about a message, for those who measure the line by it.

use std::fmt;

/// A kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub enum Kind {
    /// ADT^A01, admit.
    Admit,
    /// ADT^A02, transfer.
    Transfer,
    /// ADT^A03, discharge.
    Discharge,
    /// ADT^A04, register.
    Register,
    /// ADT^A08, update.
    Update,
    /// ORU^R01 with a laboratory panel.
    LabResult,
    /// ORU^R01 with a radiology report.
    RadiologyReport,
    /// ORM^O01, imaging order.
    ImagingOrder,
    /// OML^O21, laboratory order.
    LabOrder,
    /// MDM^T02, a clinical note.
    Note,
    /// REF^I12, a referral with its letter.
    Referral,
    /// SIU^S12, an appointment.
    Appointment,
    /// VXU^V04, a vaccination.
    Vaccination,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 13] = [
        Kind::Admit,
        Kind::Transfer,
        Kind::Discharge,
        Kind::Register,
        Kind::Update,
        Kind::LabResult,
        Kind::RadiologyReport,
        Kind::ImagingOrder,
        Kind::LabOrder,
        Kind::Note,
        Kind::Referral,
        Kind::Appointment,
        Kind::Vaccination,
    ];

    /// Message code, trigger event and structure.
    pub fn message_type(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Kind::Admit => ("ADT", "A01", "ADT_A01"),
            Kind::Transfer => ("ADT", "A02", "ADT_A02"),
            Kind::Discharge => ("ADT", "A03", "ADT_A03"),
            Kind::Register => ("ADT", "A04", "ADT_A01"),
            Kind::Update => ("ADT", "A08", "ADT_A01"),
            Kind::LabResult | Kind::RadiologyReport => ("ORU", "R01", "ORU_R01"),
            Kind::ImagingOrder => ("ORM", "O01", "ORM_O01"),
            Kind::LabOrder => ("OML", "O21", "OML_O21"),
            Kind::Note => ("MDM", "T02", "MDM_T02"),
            Kind::Referral => ("REF", "I12", "REF_I12"),
            Kind::Appointment => ("SIU", "S12", "SIU_S12"),
            Kind::Vaccination => ("VXU", "V04", "VXU_V04"),
        }
    }
}

impl fmt::Display for Kind {
    /// `ADT^A01`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, event, _) = self.message_type();
        write!(f, "{code}^{event}")
    }
}

/// How soon somebody must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// Can wait.
    Routine,
    /// Within one to three days.
    Urgent,
    /// Within minutes to hours.
    Emergent,
}

/// What is known about a message.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Truth {
    /// What was generated; a damaged message may no longer say so.
    pub kind: Kind,
    /// MSH-10 before damage. A retransmission has that of its original.
    pub control_id: String,
    /// Index of the patient in the population.
    pub patient: usize,
    /// Name of the sending facility, which is the assigning authority too.
    pub facility: String,
    /// What was broken.
    pub damaged: Option<crate::Damage>,
    /// Control id of the message that this repeats byte for byte.
    pub duplicate_of: Option<String>,
    /// How urgent the content is; `None` where the message is no occasion to triage (ADT, orders,
    /// appointments, vaccinations).
    pub expected_urgency: Option<Urgency>,
    /// Specialty of the situation, as the classifier names it.
    pub specialty: &'static str,
    /// Whether it holds a value beyond its critical limits (flag HH or LL).
    pub critical: bool,
    /// Every identifier of the patient and relatives planted, each as written in the decoded text of the
    /// message: names, numbers, phones, addresses, mail, the date of birth, and every date inside prose.
    pub identifiers: Vec<String>,
    /// Names, numbers and phones of staff planted, as written.
    pub staff: Vec<String>,
}
