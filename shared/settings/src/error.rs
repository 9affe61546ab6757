//! What can be wrong with a configuration, and where.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The struct's own default.
    Default,
    /// A TOML file, with the 1-based line of the key where it is known.
    File {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: Option<usize>,
    },
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the defaults"),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
        }
    }
}

/// A configuration that cannot be used. No variant carries a configured value, so none can show a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// The configuration file cannot be read.
    #[error("cannot read configuration file {}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The configuration file is not TOML.
    #[error("{}:{line}:{column}: not valid TOML: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: usize,
        /// 1-based column, in bytes.
        column: usize,
        /// What the parser expected; never a quotation of the file.
        reason: String,
    },
    /// A key that the service does not have.
    #[error("unknown key `{key}` in {origin}{}", suggest(nearest.as_deref()))]
    UnknownKey {
        /// The key's path, such as `kafka.bootstrap_server`.
        key: String,
        /// Where it stands.
        origin: Source,
        /// The known key, or variable, that is nearest in spelling.
        nearest: Option<String>,
    },
    /// A value of the wrong type or out of its range.
    #[error("`{key}` from {origin} must be {expected}{}", reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    WrongType {
        /// The key's path.
        key: String,
        /// Where the value came from.
        origin: Source,
        /// What the key takes.
        expected: String,
        /// More, where the type's own parser says more without quoting the value.
        reason: Option<String>,
    },
    /// A key without a default is not set.
    #[error("`{key}` is required: set it in the configuration file or as {variable}")]
    Missing {
        /// The key's path.
        key: String,
        /// The variable that would set it.
        variable: String,
    },
    /// An environment variable is not UTF-8.
    #[error("variable {0} is not UTF-8")]
    NotUnicode(String),
    /// Both a secret's variable and its `_FILE` variant are set.
    #[error("{variable} and {variable}_FILE are both set: keep one")]
    SecretTwice {
        /// The variable without `_FILE`.
        variable: String,
    },
    /// The file that a `_FILE` variable names cannot be used.
    #[error("cannot read the secret file {} that {variable} names", path.display())]
    SecretFile {
        /// The variable, with `_FILE`.
        variable: String,
        /// The file it names.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A service's own check of a well-typed value failed.
    #[error("`{key}` cannot be used: {reason}")]
    Invalid {
        /// The key's path.
        key: String,
        /// Why; must not quote a secret.
        reason: String,
    },
    /// The effective configuration has no TOML form. A defect of the configuration struct, not of the file.
    #[error("the configuration of this service has no TOML form")]
    Unrepresentable(#[source] toml::ser::Error),
}

impl Error {
    /// The refusal of a well-typed value by the service that reads it, such as an empty list of brokers.
    pub fn invalid(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { key: key.into(), reason: reason.into() }
    }

    /// The stable code, `CONF-7xx`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Usage(_) => "CONF-700",
            Self::ReadFile { .. } => "CONF-701",
            Self::Syntax { .. } => "CONF-702",
            Self::UnknownKey { origin: Source::Variable(_), .. } => "CONF-705",
            Self::UnknownKey { .. } => "CONF-703",
            Self::WrongType { .. } => "CONF-704",
            Self::SecretFile { .. } => "CONF-706",
            Self::NotUnicode(_) => "CONF-707",
            Self::SecretTwice { .. } => "CONF-708",
            Self::Unrepresentable(_) => "CONF-709",
            Self::Invalid { .. } => "CONF-710",
            Self::Missing { .. } => "CONF-711",
        }
    }
}

fn suggest(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}
