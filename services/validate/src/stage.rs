use contracts::{FhirReceived, FhirValidated};
use fhir::{ErrorCode, Outcome, Severity, Validator};
use stream::{Codec, CodecError, Context, Fate, Incoming, Outgoing, Reject, Stage, Unavailable};

/// The stage: a bundle is valid FHIR R4, or it is a dead letter with the reasons.
#[derive(Debug)]
pub struct Validate {
    codec: Codec,
}

impl Validate {
    /// A stage that decodes and encodes with this codec.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self { codec }
    }

    fn decide(&self, record: &Incoming) -> Result<Fate, CodecError> {
        let received: FhirReceived = self.codec.decode(record.value.as_deref())?;
        let outcome = Validator::r4().validate(received.bundle.as_bytes());
        if !outcome.is_valid() {
            return Ok(reject(&outcome).into());
        }
        let validated = FhirValidated {
            event_id: received.event_id,
            facility: received.facility,
            message_type: received.message_type,
            received_at: received.received_at,
            control_id: received.control_id,
            bundle: received.bundle,
            outcome: (!outcome.issues.is_empty()).then(|| outcome.to_operation_outcome().to_string()),
        };
        let value = self.codec.encode("fhir.validated", &validated)?;
        Ok(Fate::Emit(vec![Outgoing::new("fhir.validated", record.key.clone(), value)]))
    }
}

/// The dead letter of an invalid bundle: the first error in words, all of them in the outcome.
fn reject(outcome: &Outcome) -> Reject {
    let code = outcome.worst_code().unwrap_or(ErrorCode::Invariant).code();
    let first =
        outcome.issues.iter().find(|issue| matches!(issue.severity, Severity::Fatal | Severity::Error));
    let mut reject = Reject::new(code, first.map_or_else(String::new, |issue| issue.message.clone()));
    if let Some(issue) = first {
        reject = reject.at(issue.expression.clone());
    }
    reject.outcome = Some(outcome.to_operation_outcome().to_string());
    reject
}

impl Stage for Validate {
    fn name(&self) -> &'static str {
        crate::NAME
    }

    fn process(&self, record: &Incoming, _context: &Context) -> Result<Fate, Unavailable> {
        self.decide(record).or_else(stream::CodecError::into_fate)
    }
}
