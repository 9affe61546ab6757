use std::sync::Arc;

use serde_json::Value;

use crate::bundle::{self, RedactedBundle};
use crate::key::SecretKey;
use crate::policy::Policy;
use crate::text::patterns::{self, Needs, Pattern};
use crate::text::{self, Detectors, RedactedText, SpanModel, Tags};
use crate::vault::KeyEncryption;
use crate::{Error, Gazetteer, Kind};

/// What becomes of dates in free text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextDates {
    /// Each is replaced by a tag, `[DATE-1]`.
    #[default]
    Tag,
    /// In bundles, a whole date is moved by the patient's days, `[DATE 2015-03-02]`; all others get a tag.
    Shift,
}

/// A local identifier format, such as a hospital's visit numbers.
#[derive(Clone, Debug)]
pub struct LocalPattern {
    /// What it is.
    pub kind: Kind,
    /// A regular expression (crate `regex`); a group named `id` marks the identifier when the expression holds its context too.
    pub regex: String,
}

/// How to de-identify.
#[derive(Clone)]
pub struct Config {
    /// The key of pseudonyms, date shifts and rewritten ids.
    pub key: SecretKey,
    /// The key's version, part of every pseudonym; a new key gets a new version.
    pub key_version: u32,
    /// Whose data it is: pseudonyms of two tenants cannot be linked.
    pub tenant: String,
    /// The layer behind the rules.
    pub model: Option<Arc<dyn SpanModel>>,
    /// Seals the identity vault; without it [`RedactedBundle::vault`] is empty.
    pub vault: Option<Arc<dyn KeyEncryption>>,
    /// What becomes of dates in free text.
    pub text_dates: TextDates,
    /// Local identifier formats.
    pub local_patterns: Vec<LocalPattern>,
}

impl Config {
    /// The defaults with a key: tags for dates, no model, no vault.
    pub fn new(key: SecretKey, key_version: u32, tenant: impl Into<String>) -> Self {
        Self {
            key,
            key_version,
            tenant: tenant.into(),
            model: None,
            vault: None,
            text_dates: TextDates::default(),
            local_patterns: Vec::new(),
        }
    }
}

/// De-identifies bundles and texts.
pub struct Redactor {
    pub(crate) config: Config,
    pub(crate) policy: Policy,
    local: Vec<Pattern>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("key_version", &self.config.key_version).finish_non_exhaustive()
    }
}

impl Redactor {
    /// Reads the policy and compiles the local patterns.
    ///
    /// # Errors
    /// [`Error::Policy`] for a table that cannot be read, [`Error::Pattern`] for a local pattern that is no regular expression.
    pub fn new(config: Config) -> Result<Self, Error> {
        let policy = Policy::r4()?;
        let local = config
            .local_patterns
            .iter()
            .enumerate()
            .map(|(index, local)| {
                Pattern::new(local.kind, 0.95, Needs::Nothing, &local.regex, patterns::any)
                    .map_err(|_| Error::Pattern { index })
            })
            .collect::<Result<Vec<Pattern>, Error>>()?;
        Ok(Self { config, policy, local })
    }

    /// De-identifies a Bundle or a single resource.
    ///
    /// # Errors
    /// [`Error::NotAResource`] and [`Error::NothingAllowed`] for input of which nothing may leave, [`Error::TooDeep`],
    /// [`Error::Vault`] when the identity cannot be sealed, and [`Error::Residual`] when the result still looks identifying.
    pub fn redact_bundle(&self, bundle: &Value) -> Result<RedactedBundle, Error> {
        bundle::redact(self, bundle)
    }

    /// De-identifies free text. `identities` are those of the patient and everyone around, [`Gazetteer::default`] when unknown.
    pub fn redact_text(&self, text: &str, identities: &Gazetteer) -> RedactedText {
        self.redact_with(text, identities, &mut Tags::default())
    }

    /// The pseudonym of an identifier: `psn_v{key version}_{32 hexadecimal digits}`, HMAC-SHA-256 over tenant, assigning authority and
    /// value, cut to 128 bits.
    pub fn pseudonym(&self, authority: &str, identifier: &str) -> String {
        let parts = [self.config.tenant.as_bytes(), authority.as_bytes(), identifier.as_bytes()];
        let mac = self.config.key.mac("pseudonym", &parts);
        format!("psn_v{}_{}", self.config.key_version, hex::encode(&mac[..16]))
    }

    pub(crate) fn redact_with(&self, text: &str, gazetteer: &Gazetteer, tags: &mut Tags) -> RedactedText {
        let detectors = Detectors { gazetteer, local: &self.local, model: self.config.model.as_deref() };
        text::redact(text, &detectors, tags)
    }
}
