use std::collections::BTreeMap;

use contracts::{FhirDeidentified, FhirValidated, IdentityVault};
use deid::{Error, Redactor};
use service::Failure;
use stream::{Codec, CodecError, Context, Fate, Incoming, Outgoing, Reject, Stage, Unavailable};
use telemetry::Metrics;

use tokio::runtime::Handle;

use crate::Config;

/// The dependency that keeps the vault's key-encryption key.
const KEY_SERVICE: &str = "key-service";

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
    /// A stage with the keys, rules and model of `config`.
    ///
    /// # Errors
    /// When a key is missing or short, a pattern is none, or the model cannot be loaded.
    pub fn new(codec: Codec, config: &Config, metrics: Metrics, runtime: &Handle) -> Result<Self, Failure> {
        let Config { deid, models, .. } = config;
        let vault = deid.key_service.open(deid, runtime)?;
        Ok(Self {
            codec,
            redactor: deid.redactor(Some(vault), models.load()?)?,
            key_version: i32::try_from(deid.key_version)?,
            facility_codes: deid.facility_codes.clone(),
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
            Err(error) => return failed(error),
        };
        for (kind, count) in &redacted.counts {
            self.metrics.redactions(kind.as_str(), u64::from(*count));
        }
        for (reason, count) in redacted.report.withheld() {
            self.metrics.withheld(reason.as_str(), u64::from(count));
        }
        let deidentified = FhirDeidentified {
            facility: self.facility(&validated.facility),
            event_id: validated.event_id,
            message_type: message_type(&validated.message_type),
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

/// `ADT^A01`; nothing for what does not look like it, since MSH-9 is the sender's to write.
fn message_type(text: &str) -> String {
    let is_code = |code: &str| {
        matches!(code.len(), 2 | 3) && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    let known = text.split('^').count() <= 2 && text.split('^').all(is_code);
    if known { text.to_owned() } else { String::new() }
}

/// The record waits in place while the key service is down; everything else is a fault of the record.
fn failed(error: Error) -> Result<Fate, CodecError> {
    if let Error::KeyService { detail } = error {
        return Err(CodecError::Unavailable(Unavailable { dependency: KEY_SERVICE, detail }));
    }
    Ok(reject(&error).into())
}

fn reject(error: &Error) -> Reject {
    let reject = Reject::new(error.code(), error.to_string());
    match error {
        Error::Residual { path, .. } | Error::TooDeep { path, .. } | Error::Unreadable { path, .. } => {
            reject.at(path.clone())
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_service_that_is_down_is_waited_for_and_nothing_is_rejected() {
        let down = failed(Error::KeyService { detail: "transit encrypt: no connection".into() });
        let Err(CodecError::Unavailable(unavailable)) = down else { panic!("{down:?}") };
        assert_eq!(unavailable.dependency, "key-service");
        assert_eq!(unavailable.detail, "transit encrypt: no connection");
    }

    #[test]
    fn a_message_type_is_codes_and_nothing_else() {
        for kept in ["ADT^A01", "ACK", "ORU^R01"] {
            assert_eq!(message_type(kept), kept);
        }
        for gone in ["ADT^Carter", "carter", "ADT^A01^ADT_A01", "CARTER^JOHN", ""] {
            assert_eq!(message_type(gone), "");
        }
    }

    #[test]
    fn a_dead_letter_names_the_element_and_not_its_content() {
        let reason = deid::Withheld::Language;
        let path = "Bundle.entry[0].resource.valueString".to_owned();
        let fate = failed(Error::Unreadable { path: path.clone(), reason }).unwrap();
        let Fate::DeadLetter(reject) = fate else { panic!("{fate:?}") };
        assert_eq!((reject.code.as_ref(), reject.location.as_deref()), ("DEID-204", Some(path.as_str())));
    }
}
