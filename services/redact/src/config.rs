use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use deid::{Checksum, KeyEncryption, Kind, OnUnreadable, Redactor, SecretKey, SpanModel, TextDates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use service::Precision;
use settings::{Error, Secret};

use crate::keys::KeyService;

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
    /// The token classifier behind the rules of free text.
    pub models: Model,
}

/// The token classifier behind the rules of free text.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// Whether it is used. `docs/deid-model.md` has what it finds beyond the rules and what it costs.
    pub enabled: bool,
    /// Folder of a BERT token classifier: `config.json` with `id2label`, `tokenizer.json`, and `model.safetensors` or
    /// `onnx/model_q4.onnx`.
    pub folder: PathBuf,
    /// What it multiplies: `int8`, or `f32` at half the speed.
    pub precision: Precision,
    /// Probability from which on a word counts as part of an identifier, above 0 and below 1.
    pub confidence: f32,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            enabled: true,
            folder: PathBuf::from(".cache/models/rampart"),
            precision: Precision::default(),
            confidence: 0.5,
        }
    }
}

impl Model {
    /// Checks that the files are there, so that a wrong folder ends the process before it opens a socket.
    ///
    /// # Errors
    /// The file that is missing, or a probability that is none.
    pub fn check(&self) -> Result<(), Vec<Error>> {
        let mut faults = Vec::new();
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            faults.push(Error::invalid("models.confidence", "it must be above 0 and below 1"));
        }
        if self.enabled {
            faults.extend(self.missing().map(|names| {
                let reason = format!("{} has no {}", self.folder.display(), names.join(" or "));
                Error::invalid("models.folder", reason)
            }));
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// Whether the folder has all files.
    pub fn is_there(&self) -> bool {
        self.missing().next().is_none()
    }

    /// Files that the folder lacks, each with its alternatives.
    fn missing(&self) -> impl Iterator<Item = &'static [&'static str]> {
        const FILES: [&[&str]; 3] =
            [&["config.json"], &["tokenizer.json"], &["model.safetensors", "onnx/model_q4.onnx"]];
        FILES.into_iter().filter(|names| !names.iter().any(|name| self.folder.join(name).is_file()))
    }
}

/// De-identification.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deid {
    /// Key of pseudonyms and date shifts, at least 64 hexadecimal digits: `openssl rand -hex 32`. Required.
    pub key: Secret,
    /// Version of that key, part of every pseudonym.
    pub key_version: u32,
    /// Keys of earlier versions, by version. Nothing new is made with them; the vault's entries say what a patient was called under them.
    pub former_keys: BTreeMap<String, Secret>,
    /// Key that seals the identity vault, at least 64 hexadecimal digits. Required unless `deid.key_service.service` names another keeper.
    pub vault_key: Secret,
    /// Vault keys that were in use before, by any name. They open entries and seal none.
    pub former_vault_keys: BTreeMap<String, Secret>,
    /// What keeps the key-encryption key of the identity vault.
    pub key_service: KeyService,
    /// Whose data it is: pseudonyms of two tenants cannot be linked.
    pub tenant: String,
    /// Names for assigning authorities, by the identifier's system (`urn:local:HARBOR:ADT`, `urn:oid:1.2.3`) or by `sender:` and the sending
    /// facility for identifiers without one. Systems with one name are one authority: the same number gets the same pseudonym.
    pub authorities: BTreeMap<String, String>,
    /// Codes for the sending facilities (MSH-4.1) beyond this stage; a facility without one gets a pseudonym.
    pub facility_codes: BTreeMap<String, String>,
    /// Whether dates move by whole weeks, which keeps the day of the week.
    pub shift_whole_weeks: bool,
    /// Whether whole dates in free text are shifted like the others instead of replaced by a tag.
    pub shift_dates_in_text: bool,
    /// Local identifier formats, by name: `visit = { pattern = "V[0-9]{7}", checksum = "luhn", kind = "ACCOUNT" }`.
    pub local_formats: BTreeMap<String, LocalFormat>,
    /// What becomes of a text that is not in English, or of which the model is unsure.
    pub unreadable_text: Unreadable,
    /// What becomes of attachments that are no text: images, recordings, other formats, links.
    pub unreadable_attachments: Unreadable,
    /// Whether texts in other languages than English pass as readable.
    pub any_language: bool,
    /// How sure the model must be of each identifier it finds, 0 to 1; a text with one below is unreadable.
    pub confidence_floor: f32,
}

/// A local identifier format.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalFormat {
    /// A regular expression (Rust crate `regex`); a group named `id` marks the identifier when the expression holds its context too.
    pub pattern: String,
    /// How its digits check one another: `luhn`, `mod11` or `mod97`; none by default.
    #[serde(default)]
    pub checksum: Option<String>,
    /// What it is, as `wardstream redact --explain` names it.
    #[serde(default = "other")]
    pub kind: String,
}

fn other() -> String {
    Kind::Other.as_str().to_owned()
}

/// What becomes of what cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unreadable {
    /// A stub that says why stands in its place.
    #[default]
    Withhold,
    /// The record is a dead letter.
    DeadLetter,
}

impl From<Unreadable> for OnUnreadable {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Withhold => OnUnreadable::Withhold,
            Unreadable::DeadLetter => OnUnreadable::Refuse,
        }
    }
}

impl Default for Deid {
    fn default() -> Self {
        Self {
            key: Secret::default(),
            key_version: 1,
            former_keys: BTreeMap::new(),
            vault_key: Secret::default(),
            former_vault_keys: BTreeMap::new(),
            key_service: KeyService::default(),
            tenant: "default".to_owned(),
            authorities: BTreeMap::new(),
            facility_codes: BTreeMap::new(),
            shift_whole_weeks: false,
            shift_dates_in_text: false,
            local_formats: BTreeMap::new(),
            unreadable_text: Unreadable::default(),
            unreadable_attachments: Unreadable::default(),
            any_language: false,
            confidence_floor: 0.0,
        }
    }
}

impl Deid {
    /// The redactor that these settings describe, with `vault` for the identities and `model` behind the rules. Opens no
    /// connection.
    ///
    /// # Errors
    /// When a key is missing or short, or a format is none.
    pub fn redactor(
        &self,
        vault: Option<Arc<dyn KeyEncryption>>,
        model: Option<Arc<dyn SpanModel>>,
    ) -> Result<Redactor, Error> {
        let mut config = deid::Config::new(key("deid.key", &self.key)?, self.key_version, &self.tenant);
        config.model = model;
        for (version, secret) in &self.former_keys {
            let name = format!("deid.former_keys.{version}");
            let number = version.parse().map_err(|_| Error::invalid(&name, "a version is a number"))?;
            if number >= self.key_version {
                return Err(Error::invalid(&name, "it is not before deid.key_version"));
            }
            config.former_keys.insert(number, key(&name, secret)?);
        }
        if !(0.0..=1.0).contains(&self.confidence_floor) {
            return Err(Error::invalid("deid.confidence_floor", "it is not between 0 and 1"));
        }
        config.vault = vault;
        config.authorities = self.authorities.clone();
        config.shift_whole_weeks = self.shift_whole_weeks;
        config.text_dates = if self.shift_dates_in_text { TextDates::Shift } else { TextDates::Tag };
        config.unreadable_text = self.unreadable_text.into();
        config.unreadable_attachments = self.unreadable_attachments.into();
        config.any_language = self.any_language;
        config.confidence_floor = self.confidence_floor;
        for (name, format) in &self.local_formats {
            config.local_formats.push(format.checked(name)?);
        }
        Redactor::new(config).map_err(|error| match error {
            deid::Error::LocalFormat { name, reason } => {
                Error::invalid(format!("deid.local_formats.{name}.pattern"), reason)
            }
            error => Error::invalid("deid", error.to_string()),
        })
    }

    /// The keys of the file keeper: that of now, and those of before.
    ///
    /// # Errors
    /// When one is missing or short.
    pub(crate) fn vault_keys(&self) -> Result<(SecretKey, Vec<SecretKey>), Error> {
        let former = self.former_vault_keys.iter();
        let former = former.map(|(name, secret)| key(&format!("deid.former_vault_keys.{name}"), secret));
        Ok((key("deid.vault_key", &self.vault_key)?, former.collect::<Result<_, _>>()?))
    }
}

impl LocalFormat {
    fn checked(&self, name: &str) -> Result<deid::LocalFormat, Error> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == self.kind).ok_or_else(|| {
            let known = Kind::ALL.map(Kind::as_str).join(", ");
            Error::invalid(format!("deid.local_formats.{name}.kind"), format!("the kinds are {known}"))
        })?;
        let find = |wanted: &String| {
            Checksum::ALL.into_iter().find(|checksum| checksum.as_str() == wanted).ok_or_else(|| {
                let known = Checksum::ALL.map(Checksum::as_str).join(", ");
                Error::invalid(
                    format!("deid.local_formats.{name}.checksum"),
                    format!("the checksums are {known}"),
                )
            })
        };
        let checksum = self.checksum.as_ref().map(find).transpose()?;
        Ok(deid::LocalFormat { name: name.to_owned(), kind, regex: self.pattern.clone(), checksum })
    }
}

pub(crate) fn key(name: &str, secret: &Secret) -> Result<SecretKey, Error> {
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
        let redactor = self.deid.redactor(None, None).map(drop).map_err(|error| vec![error]);
        let keys = self.deid.key_service.check(&self.deid);
        service::all_of([
            self.kafka.check(),
            self.registry.check(),
            self.telemetry.check(),
            redactor,
            keys,
            self.models.check(),
        ])
    }
}
