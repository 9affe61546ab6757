use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::bundle::{self, RedactedBundle};
use crate::key::{KeyRing, SecretKey};
use crate::local::{LocalFormat, LocalFormats};
use crate::policy::Policy;
use crate::text::{self, Detectors, RedactedText, SpanModel, Tags};
use crate::vault::KeyEncryption;
use crate::{Error, Gazetteer, Kind, Layer, Span, Withheld, language};

/// What becomes of dates in free text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextDates {
    /// Each is replaced by a tag, `[DATE-1]`.
    #[default]
    Tag,
    /// In bundles, a whole date is moved by the patient's days, `[DATE 2015-03-02]`; all others get a tag.
    Shift,
}

/// What becomes of content that cannot be read: in an unsupported language, in a format that is no text, or below the floor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnreadable {
    /// A stub that says why stands in its place.
    #[default]
    Withhold,
    /// Nothing of the bundle is released: [`Error::Unreadable`].
    Refuse,
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
    pub local_formats: Vec<LocalFormat>,
    /// Keys of versions before `key_version`: nothing new is made with them; they tell the vault what a patient was called before.
    pub former_keys: BTreeMap<u32, SecretKey>,
    /// Names for assigning authorities, by `Identifier.system` (or `sender:` and the sender's name, where an identifier has none): feeds
    /// that write one authority in several ways get the same pseudonyms.
    pub authorities: BTreeMap<String, String>,
    /// Whether dates move by whole weeks, so that they keep the day of the week.
    pub shift_whole_weeks: bool,
    /// What becomes of free text that cannot be read.
    pub unreadable_text: OnUnreadable,
    /// What becomes of attachments that cannot be read.
    pub unreadable_attachments: OnUnreadable,
    /// Whether texts in other languages than English are taken as readable.
    pub any_language: bool,
    /// How sure the model must be of each identifier it finds, 0 to 1; a text with one below is withheld.
    pub confidence_floor: f32,
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
            local_formats: Vec::new(),
            former_keys: BTreeMap::new(),
            authorities: BTreeMap::new(),
            shift_whole_weeks: false,
            unreadable_text: OnUnreadable::default(),
            unreadable_attachments: OnUnreadable::default(),
            any_language: false,
            confidence_floor: 0.0,
        }
    }
}

/// De-identifies bundles and texts.
pub struct Redactor {
    pub(crate) config: Config,
    pub(crate) policy: Policy,
    pub(crate) keys: KeyRing,
    pub(crate) local: LocalFormats,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("key_version", &self.keys.version()).finish_non_exhaustive()
    }
}

impl Redactor {
    /// Reads the policy, compiles the local formats and derives the tenant's keys.
    ///
    /// # Errors
    /// [`Error::Policy`] for a table that cannot be read, [`Error::LocalFormat`] for a format that is no regular expression,
    /// [`Error::KeyVersion`] for a former key that is not before the current one.
    pub fn new(config: Config) -> Result<Self, Error> {
        let policy = Policy::r4()?;
        let local = LocalFormats::new(&config.local_formats)?;
        let keys = KeyRing::new(config.key_version, &config.key, &config.former_keys, &config.tenant)?;
        Ok(Self { config, policy, keys, local })
    }

    /// De-identifies a Bundle or a single resource.
    ///
    /// # Errors
    /// [`Error::NotAResource`] and [`Error::NothingAllowed`] for input of which nothing may leave, [`Error::TooDeep`],
    /// [`Error::Unreadable`] where the configuration refuses what cannot be read, [`Error::Vault`] when the identity cannot be sealed,
    /// [`Error::KeyService`] when it cannot be sealed now, and [`Error::Residual`] when the result still looks identifying.
    pub fn redact_bundle(&self, bundle: &Value) -> Result<RedactedBundle, Error> {
        bundle::redact(self, bundle)
    }

    /// De-identifies free text. `identities` are those of the patient and everyone around, [`Gazetteer::default`] when unknown.
    ///
    /// A text that cannot be read is a stub as a whole, `[WITHHELD: unsupported language]`.
    pub fn redact_text(&self, text: &str, identities: &Gazetteer) -> RedactedText {
        match self.read(text, identities, &mut Tags::default()) {
            Ok(redacted) => redacted,
            Err(reason) => {
                let whole = Span {
                    start: 0,
                    end: text.chars().count(),
                    kind: Kind::Other,
                    layer: Layer::Pattern,
                    score: 1.0,
                };
                RedactedText { text: reason.stub(), spans: vec![whole], withheld: Some(reason) }
            }
        }
    }

    /// [`Redactor::redact_text`] by some layers only: for measuring what each adds, never for release.
    pub fn redact_text_by(&self, layers: &[Layer], text: &str, identities: &Gazetteer) -> RedactedText {
        text::redact(text, &Detectors { layers, ..self.detectors(identities) }, &mut Tags::default())
    }

    /// The pseudonym of an identifier: `psn_v{key version}_{32 hexadecimal digits}`, HMAC-SHA-256 over assigning authority and value under
    /// the tenant's key, cut to 128 bits.
    ///
    /// One identifier of one authority always gives the same pseudonym. A patient who comes with another identifier gets another one; both
    /// are in `Patient.identifier` of every bundle that has both, which is what links them.
    pub fn pseudonym(&self, authority: &str, identifier: &str) -> String {
        self.keys.pseudonym(self.authority(authority), identifier)
    }

    /// What the identifier's pseudonym was under the former keys, newest first.
    pub fn former_pseudonyms(&self, authority: &str, identifier: &str) -> Vec<String> {
        self.keys.former_pseudonyms(self.authority(authority), identifier)
    }

    /// The configured name of an assigning authority.
    fn authority<'a>(&'a self, system: &'a str) -> &'a str {
        self.config.authorities.get(system).map_or(system, String::as_str)
    }

    /// A text without identifiers, or why it cannot be had.
    pub(crate) fn read(
        &self,
        text: &str,
        gazetteer: &Gazetteer,
        tags: &mut Tags,
    ) -> Result<RedactedText, Withheld> {
        if !self.config.any_language && !language::is_supported(text) {
            return Err(Withheld::Language);
        }
        let floor = self.config.confidence_floor;
        // The numbers of a text that is withheld are not given out.
        let before = (floor > 0.0).then(|| tags.clone());
        let redacted = text::redact(text, &self.detectors(gazetteer), tags);
        if let Some(before) = before
            && redacted.spans.iter().any(|span| span.layer == Layer::Model && span.score < floor)
        {
            *tags = before;
            return Err(Withheld::Confidence);
        }
        Ok(redacted)
    }

    fn detectors<'d>(&'d self, gazetteer: &'d Gazetteer) -> Detectors<'d> {
        Detectors {
            gazetteer,
            local: self.local.patterns(),
            model: self.config.model.as_deref(),
            layers: &Layer::ALL,
        }
    }
}
