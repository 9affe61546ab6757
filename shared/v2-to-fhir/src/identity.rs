//! Whom a message is about.

use std::fmt;

use hl7v2::Message;

/// The identifier that keeps a patient's events together. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PatientIdentity {
    /// Who assigned the identifier: CX.4, its universal id before its name; else the sending facility.
    pub authority: String,
    /// The identifier, CX.1.
    pub identifier: String,
}

/// The patient of a message: the medical record number (CX.5 `MR`) in PID-3, else the first identifier in PID-3, else PID-2.
///
/// Cheap: reads one field and converts nothing. `None` if the message has no PID or no identifier.
#[must_use]
pub fn patient_identity(message: &Message<'_>) -> Option<PatientIdentity> {
    let pid = message.segment("PID")?;
    let list = pid.field(3);
    let filled = |r: &hl7v2::Repetition<'_>| !r.component(1).text().trim().is_empty();
    let chosen = list
        .repetitions()
        .find(|r| filled(r) && r.component(5).text().trim() == "MR")
        .or_else(|| list.repetitions().find(filled))
        .or_else(|| pid.field(2).repetitions().find(filled))?;
    let authority = chosen.component(4);
    let named = [2, 1].into_iter().map(|n| authority.subcomponent(n).text()).find(|t| !t.trim().is_empty());
    Some(PatientIdentity {
        authority: named
            .map_or_else(|| message.sending_facility().trim().to_owned(), |t| t.trim().to_owned()),
        identifier: chosen.component(1).text().trim().to_owned(),
    })
}

impl fmt::Debug for PatientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatientIdentity").finish_non_exhaustive()
    }
}
