use std::sync::Arc;

use contracts::{Sentence, SourceSpan, TriageClassified, TriageSummarized};
use inference::{Budget, Document, Models};
use stream::{Codec, CodecError, Context, Fate, Incoming, Outgoing, Reject, Stage, Unavailable};

/// The stage: a short summary in which each sentence points to its source.
#[derive(Debug)]
pub struct Summarize {
    codec: Codec,
    models: Arc<Models>,
    budget: Budget,
}

impl Summarize {
    /// A stage that summarises with these models, within this budget.
    #[must_use]
    pub fn new(codec: Codec, models: Arc<Models>, budget: Budget) -> Self {
        Self { codec, models, budget }
    }

    fn decide(&self, record: &Incoming) -> Result<Fate, CodecError> {
        let event: TriageClassified = self.codec.decode(record.value.as_deref())?;
        let Ok(bundle) = serde_json::from_str(&event.bundle) else {
            return Ok(Reject::new("SUMMARIZE-101", "bundle is not JSON").into());
        };
        let summary = match self.models.summarize(&Document::from_bundle(&bundle), self.budget) {
            Ok(summary) => summary,
            Err(error) => return Ok(Reject::new(error.code(), error.to_string()).into()),
        };
        let offset = |offset: usize| i32::try_from(offset).unwrap_or(i32::MAX);
        let sentences = summary
            .sentences
            .into_iter()
            .map(|sentence| Sentence {
                text: sentence.text,
                sources: sentence
                    .sources
                    .into_iter()
                    .map(|[start, end]| SourceSpan { start: offset(start), end: offset(end) })
                    .collect(),
            })
            .collect();
        let summarized = TriageSummarized {
            event_id: event.event_id,
            facility: event.facility,
            message_type: event.message_type,
            received_at: event.received_at,
            pseudonym: event.pseudonym,
            urgency: event.urgency,
            specialty: event.specialty,
            document_type: event.document_type,
            abstained: event.abstained,
            reasons: event.reasons,
            model_id: event.model_id,
            model_version: event.model_version,
            sentences,
        };
        let value = self.codec.encode("triage.summarized", &summarized)?;
        Ok(Fate::Emit(vec![Outgoing::new("triage.summarized", record.key.clone(), value)]))
    }
}

impl Stage for Summarize {
    fn name(&self) -> &'static str {
        crate::NAME
    }

    fn process(&self, record: &Incoming, _context: &Context) -> Result<Fate, Unavailable> {
        self.decide(record).or_else(CodecError::into_fate)
    }
}
