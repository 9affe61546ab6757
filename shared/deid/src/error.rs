use crate::{Kind, Withheld};

/// Why nothing was released. No variant carries content of the input.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The key is too short to be one.
    #[error("key has {got} bytes, at least {minimum} are needed")]
    KeyTooShort {
        /// Bytes given.
        got: usize,
        /// Bytes needed.
        minimum: usize,
    },
    /// A line of the policy table cannot be read.
    #[error("policy line {line} of {table} cannot be read: {reason}")]
    Policy {
        /// The table's file name.
        table: &'static str,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A local identifier format cannot be searched for.
    #[error("local format {name} is wrong: {reason}")]
    LocalFormat {
        /// Its name in the configuration.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A former key has the version of the current one or a later one.
    #[error("former key has version {version}, which is not before the current one")]
    KeyVersion {
        /// The wrong version.
        version: u32,
    },
    /// The input is not a FHIR resource.
    #[error("input is not a FHIR resource: {reason}")]
    NotAResource {
        /// What is wrong.
        reason: &'static str,
    },
    /// The policy has no section for the resource, so that nothing of it may leave.
    #[error("the policy releases nothing of this resource")]
    NothingAllowed,
    /// Elements are nested too deeply.
    #[error("elements are nested more than {limit} deep at {path}")]
    TooDeep {
        /// The limit.
        limit: usize,
        /// The FHIRPath of the element.
        path: String,
    },
    /// The output still looks as if it held an identifier. Quarantine the record and report the path.
    #[error("output at {path} still looks like {kind}")]
    Residual {
        /// The FHIRPath of the element.
        path: String,
        /// What it looks like.
        kind: Kind,
    },
    /// Something of the input cannot be de-identified, and the configuration says not to release the rest without it.
    #[error("content at {path} cannot be de-identified: {reason}")]
    Unreadable {
        /// The FHIRPath of the element.
        path: String,
        /// Why it cannot.
        reason: Withheld,
    },
    /// A vault entry cannot be sealed or opened: wrong key, wrong pseudonym or changed bytes.
    #[error("vault entry cannot be {verb}")]
    Vault {
        /// `sealed` or `opened`.
        verb: &'static str,
    },
    /// The service that keeps the key-encryption key gives no answer or refuses: a dependency that is down, not a fault of the record.
    #[error("key service is not available: {detail}")]
    KeyService {
        /// What happened, without content of a record.
        detail: String,
    },
}

impl Error {
    /// The stable code, `DEID-nnn`: 1xx configuration, 2xx input, 3xx vault, 4xx residual risk.
    pub fn code(&self) -> &'static str {
        match self {
            Error::KeyTooShort { .. } => "DEID-101",
            Error::Policy { .. } => "DEID-102",
            Error::LocalFormat { .. } => "DEID-103",
            Error::KeyVersion { .. } => "DEID-104",
            Error::NotAResource { .. } => "DEID-201",
            Error::NothingAllowed => "DEID-202",
            Error::TooDeep { .. } => "DEID-203",
            Error::Unreadable { .. } => "DEID-204",
            Error::KeyService { .. } => "DEID-302",
            Error::Vault { .. } => "DEID-301",
            Error::Residual { .. } => "DEID-401",
        }
    }
}
