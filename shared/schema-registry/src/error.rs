//! What a registry refuses.

use crate::Incompatible;

/// Why a registry cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No schema was ever registered under the subject.
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(String),
    /// The subject has no such version.
    #[error("Version {0} not found.")]
    VersionNotFound(u32),
    /// The subject has no such schema.
    #[error("Schema not found")]
    SchemaNotFound,
    /// No schema has the id.
    #[error("Schema {0} not found")]
    IdNotFound(u32),
    /// The subject follows the global level.
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    LevelNotFound(String),
    /// What is to be registered is no Avro schema.
    #[error("Invalid schema: {0}")]
    InvalidSchema(String),
    /// A version is a number from 1, or `latest`.
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the \
         string \"latest\""
    )]
    InvalidVersion(String),
    /// The schema cannot read what an earlier version wrote.
    #[error("Schema being registered is incompatible with an earlier schema for subject \"{subject}\"")]
    Incompatible {
        /// The subject.
        subject: String,
        /// Which version, and why.
        #[source]
        source: Incompatible,
    },
    /// The body of a request is not what the operation takes.
    #[error("Malformed request body: {0}")]
    Malformed(String),
    /// There is no such resource.
    #[error("HTTP 404 Not Found")]
    NotFound,
    /// The resource does not take the method.
    #[error("HTTP 405 Method Not Allowed")]
    MethodNotAllowed,
    /// The server failed.
    #[error("the schema registry's server failed")]
    Serve(#[source] std::io::Error),
}

impl Error {
    /// The `error_code` of the Confluent API; its first three digits are the HTTP status.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::SubjectNotFound(_) => 40401,
            Self::VersionNotFound(_) => 40402,
            Self::SchemaNotFound | Self::IdNotFound(_) => 40403,
            Self::LevelNotFound(_) => 40408,
            Self::InvalidSchema(_) => 42201,
            Self::InvalidVersion(_) => 42202,
            Self::Incompatible { .. } => 409,
            Self::Malformed(_) => 400,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Serve(_) => 50001,
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        let code = self.code();
        // Four hundreds and five hundreds, so this fits.
        u16::try_from(if code >= 1000 { code / 100 } else { code }).unwrap_or(500)
    }

    /// The `message` of the error body, with the details that the API gives for an incompatible schema.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Incompatible { source, .. } => format!("{self}, details: [{source}]"),
            _ => self.to_string(),
        }
    }
}
