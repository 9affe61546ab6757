use crate::Kind;

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
    /// A local pattern is not a regular expression.
    #[error("pattern {index} is not a valid regular expression")]
    Pattern {
        /// Place in [`Config::local_patterns`](crate::Config::local_patterns), from 0.
        index: usize,
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
    /// A vault entry cannot be sealed or opened: wrong key, wrong pseudonym or changed bytes.
    #[error("vault entry cannot be {verb}")]
    Vault {
        /// `sealed` or `opened`.
        verb: &'static str,
    },
}

impl Error {
    /// The stable code, `DEID-nnn`: 1xx configuration, 2xx input, 3xx vault, 4xx residual risk.
    pub fn code(&self) -> &'static str {
        match self {
            Error::KeyTooShort { .. } => "DEID-101",
            Error::Policy { .. } => "DEID-102",
            Error::Pattern { .. } => "DEID-103",
            Error::NotAResource { .. } => "DEID-201",
            Error::NothingAllowed => "DEID-202",
            Error::TooDeep { .. } => "DEID-203",
            Error::Vault { .. } => "DEID-301",
            Error::Residual { .. } => "DEID-401",
        }
    }
}
