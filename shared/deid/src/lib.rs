//! De-identification of FHIR resources and clinical narrative.
//!
//! The standard is HIPAA Safe Harbor, 45 CFR 164.514(b)(2). Structured elements follow an allow-list (`policy/*.txt`), free text goes
//! through a gazetteer of the bundle's own identities, patterns with validation, name and place lists, and, where one is given, a
//! [`SpanModel`]. What is not known to be safe is removed, and a second, independent pass refuses output that still looks identifying.

mod bundle;
mod error;
mod gazetteer;
mod key;
mod kind;
mod language;
mod lexicon;
mod local;
mod policy;
mod redactor;
mod report;
mod text;
mod vault;

pub use bundle::{ElementSpan, PSEUDONYM_SYSTEM, RedactedBundle};
pub use error::Error;
pub use gazetteer::Gazetteer;
pub use key::SecretKey;
pub use kind::Kind;
pub use local::{Checksum, LocalFormat};
pub use redactor::{Config, OnUnreadable, Redactor, TextDates};
pub use report::{Action, Line, Report, Withheld};
pub use text::{Layer, ModelSpan, RedactedText, Span, SpanModel, SpanModelError};
pub use vault::{DataKey, FileKeyEncryption, KeyEncryption, VaultEntry, open_vault_entry};
