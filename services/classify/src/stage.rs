use std::sync::Arc;

use contracts::{FhirDeidentified, Label, SpecialtyLabel, TriageClassified};
use inference::{Document, Models};
use stream::{Codec, CodecError, Context, Fate, Incoming, Outgoing, Reject, Stage, Unavailable};

/// The stage: urgency, specialty and document type, with the reasons.
#[derive(Debug)]
pub struct Classify {
    codec: Codec,
    models: Arc<Models>,
}

impl Classify {
    /// A stage that judges with these models.
    #[must_use]
    pub fn new(codec: Codec, models: Arc<Models>) -> Self {
        Self { codec, models }
    }

    fn decide(&self, record: &Incoming) -> Result<Fate, CodecError> {
        let event: FhirDeidentified = self.codec.decode(record.value.as_deref())?;
        let Ok(bundle) = serde_json::from_str(&event.bundle) else {
            return Ok(Reject::new("CLASSIFY-101", "bundle is not JSON").into());
        };
        let judged = match self.models.classify(&Document::from_bundle(&bundle)) {
            Ok(judged) => judged,
            Err(error) => return Ok(Reject::new(error.code(), error.to_string()).into()),
        };
        let classified = TriageClassified {
            event_id: event.event_id,
            facility: event.facility,
            message_type: event.message_type,
            received_at: event.received_at,
            pseudonym: event.pseudonym,
            bundle: event.bundle,
            urgency: Label { label: judged.urgency.label.as_str().to_owned(), p: judged.urgency.p },
            specialty: SpecialtyLabel {
                label: judged.specialty.label.as_str().to_owned(),
                p: judged.specialty.p,
                second: Some(judged.specialty.second.as_str().to_owned()),
            },
            document_type: Label { label: judged.doc_type.label.as_str().to_owned(), p: judged.doc_type.p },
            abstained: judged.abstained,
            reasons: judged.reasons,
            model_id: judged.model_id,
            model_version: judged.model_version,
        };
        let value = self.codec.encode("triage.classified", &classified)?;
        Ok(Fate::Emit(vec![Outgoing::new("triage.classified", record.key.clone(), value)]))
    }
}

impl Stage for Classify {
    fn name(&self) -> &'static str {
        crate::NAME
    }

    fn process(&self, record: &Incoming, _context: &Context) -> Result<Fate, Unavailable> {
        self.decide(record).or_else(CodecError::into_fate)
    }
}
