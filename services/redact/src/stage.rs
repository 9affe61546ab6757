use std::collections::BTreeMap;

use contracts::{FhirDeidentified, FhirValidated, IdentityVault};
use deid::{Error, Redactor};
use service::Failure;
use stream::{Codec, CodecError, Context, Fate, Incoming, Outgoing, Reject, Stage, Unavailable};
use telemetry::Metrics;

use crate::Deid;

/// The stage: a bundle without identifiers, or a dead letter.
#[derive(Debug)]
pub struct Redact {
    codec: Codec,
    redactor: Redactor,
    key_version: i32,
    facility_codes: BTreeMap<String, String>,
    metrics: Metrics,
}

impl Redact {
    /// A stage with the keys and rules of `config`.
    ///
    /// # Errors
    /// When a key is missing or short, or a pattern is none.
    pub fn new(codec: Codec, config: &Deid, metrics: Metrics) -> Result<Self, Failure> {
        Ok(Self {
            codec,
            redactor: config.redactor()?,
            key_version: i32::try_from(config.key_version)?,
            facility_codes: config.facility_codes.clone(),
            metrics,
        })
    }

    fn decide(&self, record: &Incoming) -> Result<Fate, CodecError> {
        let validated: FhirValidated = self.codec.decode(record.value.as_deref())?;
        let Ok(bundle) = serde_json::from_str(&validated.bundle) else {
            return Ok(
                Reject::new("DEID-201", "bundle is not JSON; only validated bundles belong here").into()
            );
        };
        let redacted = match self.redactor.redact_bundle(&bundle) {
            Ok(redacted) => redacted,
            Err(error) => return Ok(reject(&error).into()),
        };
        for (kind, count) in &redacted.counts {
            self.metrics.redactions(kind.as_str(), u64::from(*count));
        }
        let deidentified = FhirDeidentified {
            facility: self.facility(&validated.facility),
            event_id: validated.event_id,
            message_type: validated.message_type,
            received_at: validated.received_at,
            pseudonym: redacted.pseudonym,
            bundle: redacted.bundle.to_string(),
            redactions: redacted
                .counts
                .iter()
                .map(|(kind, count)| (kind.as_str().to_owned(), i32::try_from(*count).unwrap_or(i32::MAX)))
                .collect(),
        };
        // The input's key names the patient; the pseudonym keeps the same records together.
        let key = deidentified.pseudonym.clone().unwrap_or_else(|| deidentified.event_id.clone());
        let value = self.codec.encode("fhir.deidentified", &deidentified)?;
        let mut outputs = vec![Outgoing::new("fhir.deidentified", Some(key.into_bytes()), value)];
        for entry in redacted.vault {
            let key = entry.pseudonym.clone().into_bytes();
            let vault = IdentityVault {
                pseudonym: entry.pseudonym,
                key_version: self.key_version,
                sealed: entry.sealed,
            };
            outputs.push(Outgoing::new(
                "identity.vault",
                Some(key),
                self.codec.encode("identity.vault", &vault)?,
            ));
        }
        Ok(Fate::Emit(outputs))
    }

    /// A facility's name tells where a patient was treated, which is narrower than a state.
    fn facility(&self, name: &str) -> String {
        match self.facility_codes.get(name) {
            Some(code) => code.clone(),
            None if name.is_empty() => String::new(),
            None => self.redactor.pseudonym("facility", name).replacen("psn_", "fac_", 1),
        }
    }
}

fn reject(error: &Error) -> Reject {
    let reject = Reject::new(error.code(), error.to_string());
    match error {
        Error::Residual { path, .. } | Error::TooDeep { path, .. } => reject.at(path.clone()),
        _ => reject,
    }
}

impl Stage for Redact {
    fn name(&self) -> &'static str {
        crate::NAME
    }

    fn process(&self, record: &Incoming, _context: &Context) -> Result<Fate, Unavailable> {
        self.decide(record).or_else(CodecError::into_fate)
    }
}
