use std::collections::BTreeMap;
use std::sync::Arc;

use deid::{FileKeyEncryption, Kind, LocalPattern, Redactor, SecretKey, TextDates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{Error, Secret};

/// Configuration of `redact`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Kafka.
    pub kafka: stream::Config,
    /// Schema registry.
    pub registry: stream::RegistryConfig,
    /// Logs, metrics, traces.
    pub telemetry: telemetry::Config,
    /// De-identification.
    pub deid: Deid,
}

/// De-identification.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deid {
    /// Key of pseudonyms and date shifts, at least 64 hexadecimal digits: `openssl rand -hex 32`. Required.
    pub key: Secret,
    /// Version of that key, part of every pseudonym.
    pub key_version: u32,
    /// Key that seals the identity vault, at least 64 hexadecimal digits. Required.
    pub vault_key: Secret,
    /// Whose data it is: pseudonyms of two tenants cannot be linked.
    pub tenant: String,
    /// Codes for the sending facilities (MSH-4.1) beyond this stage; a facility without one gets a pseudonym.
    pub facility_codes: BTreeMap<String, String>,
    /// Whether whole dates in free text are shifted like the others instead of replaced by a tag.
    pub shift_dates_in_text: bool,
    /// Local identifier formats in free text: kind (as `wardstream redact --explain` names it) to regular expression.
    pub local_patterns: BTreeMap<String, String>,
}

impl Default for Deid {
    fn default() -> Self {
        Self {
            key: Secret::default(),
            key_version: 1,
            vault_key: Secret::default(),
            tenant: "default".to_owned(),
            facility_codes: BTreeMap::new(),
            shift_dates_in_text: false,
            local_patterns: BTreeMap::new(),
        }
    }
}

impl Deid {
    /// The redactor that these settings describe.
    ///
    /// # Errors
    /// When a key is missing or short, or a pattern is none.
    pub fn redactor(&self) -> Result<Redactor, Error> {
        let mut config = deid::Config::new(key("deid.key", &self.key)?, self.key_version, &self.tenant);
        config.vault = Some(Arc::new(FileKeyEncryption::new(key("deid.vault_key", &self.vault_key)?)));
        config.text_dates = if self.shift_dates_in_text { TextDates::Shift } else { TextDates::Tag };
        for (name, regex) in &self.local_patterns {
            let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
                let known = Kind::ALL.map(Kind::as_str).join(", ");
                Error::invalid(format!("deid.local_patterns.{name}"), format!("the kinds are {known}"))
            })?;
            config.local_patterns.push(LocalPattern { kind, regex: regex.clone() });
        }
        Redactor::new(config).map_err(|error| Error::invalid("deid.local_patterns", error.to_string()))
    }
}

fn key(name: &str, secret: &Secret) -> Result<SecretKey, Error> {
    let text = secret.expose();
    if text.is_empty() {
        return Err(Error::invalid(name, "it is required: `openssl rand -hex 32` makes one"));
    }
    let bytes = hex::decode(text).map_err(|_| Error::invalid(name, "it is not hexadecimal"))?;
    SecretKey::from_bytes(bytes).map_err(|error| Error::invalid(name, error.to_string()))
}

impl service::Configuration for Config {
    fn telemetry(&self) -> &telemetry::Config {
        &self.telemetry
    }

    fn check(&self) -> Result<(), Vec<Error>> {
        let redactor = self.deid.redactor().map(drop).map_err(|error| vec![error]);
        service::all_of([self.kafka.check(), self.registry.check(), self.telemetry.check(), redactor])
    }
}
