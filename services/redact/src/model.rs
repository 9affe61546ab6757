//! The token classifier as the layer of de-identification behind the rules.

mod remembered;

use deid::{Kind, ModelSpan, SpanModel, SpanModelError};
use inference::{EncoderOptions, TokenClassifier};
use remembered::Remembered;
use settings::Error;

use crate::Model;

/// What labels mean, by the names that published classifiers give them: Rampart's, those of i2b2 2014 (Stubbs and Uzuner,
/// doi 10.1016/j.jbi.2015.07.020) and of the classifiers that were trained on it.
const LABELS: &[(Kind, &[&str])] = &[
    (Kind::Name, &["NAME", "GIVEN_NAME", "SURNAME", "PATIENT", "DOCTOR", "STAFF", "HCW", "PER", "PERSON"]),
    (
        Kind::Location,
        &[
            "LOCATION",
            "LOC",
            "BUILDING_NUMBER",
            "STREET_NAME",
            "SECONDARY_ADDRESS",
            "STREET",
            "CITY",
            "STATE",
            "COUNTRY",
            "ZIP",
            "ZIP_CODE",
            "LOCATION-OTHER",
            "LOCATION_OTHER",
        ],
    ),
    (Kind::Organization, &["ORGANIZATION", "ORG", "HOSPITAL", "HOSP", "PATORG", "VENDOR"]),
    (Kind::Date, &["DATE"]),
    (Kind::Age, &["AGE"]),
    (Kind::Phone, &["PHONE"]),
    (Kind::Fax, &["FAX"]),
    (Kind::Email, &["EMAIL"]),
    (Kind::Ssn, &["SSN", "TAX_ID"]),
    (Kind::MedicalRecord, &["MEDICALRECORD", "MRN"]),
    (Kind::HealthPlan, &["HEALTHPLAN", "HEALTH-PLAN"]),
    (Kind::Account, &["ACCOUNT", "BANK_ACCOUNT", "ROUTING_NUMBER"]),
    (Kind::License, &["LICENSE", "DRIVERS_LICENSE", "PASSPORT"]),
    (Kind::Vehicle, &["VEHICLE"]),
    (Kind::Device, &["DEVICE"]),
    (Kind::Url, &["URL"]),
    (Kind::IpAddress, &["IP", "IPADDR"]),
    (Kind::Biometric, &["BIOMETRIC", "BIOID"]),
    (Kind::Photo, &["PHOTO"]),
];

/// Labels that no identifier of 45 CFR 164.514(b)(2) stands behind.
const IGNORED: &[&str] = &["PROFESSION"];

/// A label's kind; a label that nobody knows stands for an identifier of another kind.
fn kind(label: &str) -> Option<Kind> {
    if IGNORED.contains(&label) {
        return None;
    }
    let known = LABELS.iter().find(|(_, labels)| labels.contains(&label));
    Some(known.map_or(Kind::Other, |(kind, _)| *kind))
}

/// A classifier and what its labels mean.
struct Classifier {
    model: TokenClassifier,
    /// Of each entity of the model.
    kinds: Vec<Option<Kind>>,
    confidence: f32,
}

impl SpanModel for Classifier {
    fn spans(&self, passages: &[&str]) -> Result<Vec<Vec<ModelSpan>>, SpanModelError> {
        let found = self.model.spans(passages, self.confidence).map_err(|error| {
            tracing::error!(code = error.code(), error = service::chain(&error), "classifier failed");
            SpanModelError
        })?;
        Ok(found
            .into_iter()
            .map(|spans| {
                let known = |span: inference::LabelledSpan| {
                    let kind = self.kinds.get(span.entity).copied().flatten()?;
                    Some(ModelSpan { range: span.range, kind, score: span.score })
                };
                spans.into_iter().filter_map(known).collect()
            })
            .collect())
    }
}

impl Model {
    /// Loads the classifier; `None` when it is switched off.
    ///
    /// # Errors
    /// When its files are missing or do not fit together.
    pub fn load(&self) -> Result<Option<std::sync::Arc<dyn SpanModel>>, Error> {
        if !self.enabled {
            return Ok(None);
        }
        let options = EncoderOptions { precision: self.precision.into(), ..EncoderOptions::default() };
        let model = TokenClassifier::load(&self.folder, options).map_err(|error| {
            let reason = format!("{}: {}; {}", error.code(), service::chain(&error), error.help());
            Error::invalid("models.folder", reason)
        })?;
        let kinds = model.entities().iter().map(|label| kind(label)).collect();
        let classifier = Classifier { model, kinds, confidence: self.confidence };
        Ok(Some(std::sync::Arc::new(Remembered::new(classifier))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_labels_and_an_unknown_label_is_an_identifier() {
        for wanted in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Other) {
            assert!(LABELS.iter().any(|(kind, labels)| *kind == wanted && !labels.is_empty()), "{wanted}");
        }
        assert_eq!(kind("STREET_NAME"), Some(Kind::Location));
        assert_eq!(kind("GOVERNMENT_ID"), Some(Kind::Other));
        assert_eq!(kind("PROFESSION"), None);
    }
}
