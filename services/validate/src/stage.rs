use contracts::{FhirReceived, FhirValidated};
use fhir::{Demand, ErrorCode, Outcome, Severity, Validator};
use jiff::Timestamp;
use stream::{Codec, CodecError, Context, Fate, Incoming, Outgoing, Reject, Stage, Unavailable};

use crate::Profiles;

/// The stage: a bundle is valid FHIR R4, or it is a dead letter with the reasons.
#[derive(Debug)]
pub struct Validate {
    codec: Codec,
    validator: Validator,
    profiles: Profiles,
}

impl Validate {
    /// A stage that decodes and encodes with this codec and demands these profiles.
    ///
    /// # Errors
    /// When a package cannot be read or a profile is not known.
    pub fn new(codec: Codec, profiles: Profiles) -> Result<Self, settings::Error> {
        Ok(Self { codec, validator: profiles.validator()?, profiles })
    }

    fn decide(&self, record: &Incoming) -> Result<Fate, CodecError> {
        let received: FhirReceived = self.codec.decode(record.value.as_deref())?;
        let profiles: Vec<&str> = self.profiles.of(&received.facility).iter().map(String::as_str).collect();
        // The time of the event, not of the processing: a replay has the same outcome.
        let now = Timestamp::from_millisecond(received.received_at).ok().map(|now| now.to_string());
        let demand = Demand { profiles: &profiles, now: now.as_deref() };
        let outcome = self.validator.validate_for(received.bundle.as_bytes(), &demand);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use contracts::EventId;
    use serde_json::{Value, json};
    use stream::RegistryConfig;
    use tokio_util::sync::CancellationToken;

    use super::*;

    const PATIENT: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient";

    /// The fate of a Bundle with one Patient from a facility, by a stage that demands US Core of the facility CORE; and
    /// what is in the output, if there is one.
    fn fate(facility: &str, patient: &Value) -> (Fate, Option<FhirValidated>) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(schema_registry::serve(listener, contracts::subjects(), CancellationToken::new()));
        let registry = RegistryConfig { url, ..RegistryConfig::default() };
        let codec = Codec::new(&registry, runtime.handle().clone()).unwrap();
        let facility_profiles = BTreeMap::from([("CORE".to_owned(), vec![PATIENT.to_owned()])]);
        let profiles = Profiles { facility_profiles, ..Profiles::default() };
        let stage = Validate::new(codec.clone(), profiles).unwrap();
        let full_url = "urn:uuid:00000000-0000-4000-8000-000000000001";
        let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": full_url, "resource": patient}]});
        let received = FhirReceived {
            event_id: "00000000-0000-4000-8000-000000000002".to_owned(),
            facility: facility.to_owned(),
            message_type: "ADT^A01".to_owned(),
            received_at: 1_795_000_000_000,
            control_id: "1".to_owned(),
            bundle: bundle.to_string(),
            unmapped: Vec::new(),
        };
        let record = Incoming {
            topic: Arc::from("fhir.received"),
            partition: 0,
            offset: 0,
            timestamp_ms: 1,
            key: None,
            value: Some(codec.encode("fhir.received", &received).unwrap()),
            headers: Vec::new(),
        };
        let event_id = EventId::at("hl7.raw", 0, 0);
        let context = Context { event_id, received_at_ms: 1, now_ms: 1, attempt: 0 };
        let fate = stage.process(&record, &context).unwrap();
        let validated = match &fate {
            Fate::Emit(outputs) => Some(codec.decode(outputs[0].value.as_deref()).unwrap()),
            _ => None,
        };
        (fate, validated)
    }

    fn outcome(text: Option<&String>) -> Value {
        serde_json::from_str(text.unwrap()).unwrap()
    }

    #[test]
    fn a_profile_of_one_feed_is_none_of_another() {
        let patient = json!({"resourceType": "Patient", "active": true});
        let (fate, _) = self::fate("CORE", &patient);
        let Fate::DeadLetter(reject) = fate else { panic!("{fate:?}") };
        assert_eq!(
            (reject.code.as_str(), reject.location.as_deref()),
            ("FHIR-306", Some("Bundle.entry[0].resource.identifier"))
        );
        let outcome = outcome(reject.outcome.as_ref());
        assert_eq!(outcome["issue"][0]["diagnostics"], format!("profile {PATIENT}, line 1, column 125"));
        assert!(self::fate("OTHER", &patient).1.is_some());
    }

    #[test]
    fn warnings_travel_with_the_bundle() {
        let patient = json!({"resourceType": "Patient", "meta": {"profile": ["http://example.org/none"]}});
        let (_, validated) = self::fate("OTHER", &patient);
        let outcome = outcome(validated.unwrap().outcome.as_ref());
        assert_eq!(outcome["issue"][0]["severity"], "warning");
        assert_eq!(outcome["issue"][0]["details"]["coding"][0]["code"], "FHIR-322");
        assert_eq!(outcome["issue"][0]["expression"][0], "Bundle.entry[0].resource.meta.profile[0]");
    }

    #[test]
    fn an_unknown_profile_is_refused_before_anything_runs() {
        let profiles =
            Profiles { profiles: vec!["http://example.org/none".to_owned()], ..Profiles::default() };
        let error = profiles.validator().unwrap_err().to_string();
        assert!(
            error.contains("validate.profiles") && error.contains("is in none of the packages"),
            "{error}"
        );
    }
}
