//! What a validation found.

use std::fmt;

use serde_json::{Value, json};

use crate::ErrorCode;

/// The code system of [`ErrorCode`] in an OperationOutcome.
const ERROR_CODE_SYSTEM: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/error-codes");

/// How grave an issue is (value set issue-severity).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Of interest only.
    Information,
    /// The resource is valid, but something should be looked at.
    Warning,
    /// The resource is invalid.
    Error,
    /// Validation could not go on.
    Fatal,
}

impl Severity {
    /// The FHIR code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

/// Kind of issue (value set issue-type); those a validator of instances can state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum IssueType {
    /// Content invalid against the specification.
    Invalid,
    /// A structural issue in the content.
    Structure,
    /// A required element is missing.
    Required,
    /// An element or header value is invalid.
    Value,
    /// A rule of the definition failed.
    Invariant,
    /// A reference was not found.
    NotFound,
    /// A code is not valid for its value set.
    CodeInvalid,
    /// An extension that is not acceptable.
    Extension,
    /// A value is longer than allowed.
    TooLong,
    /// An identifier that must be unique is not.
    Duplicate,
    /// The content is beyond the bounds of processing.
    TooCostly,
    /// It could not be checked with what is at hand.
    NotSupported,
}

impl IssueType {
    /// The FHIR code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Structure => "structure",
            Self::Required => "required",
            Self::Value => "value",
            Self::Invariant => "invariant",
            Self::NotFound => "not-found",
            Self::CodeInvalid => "code-invalid",
            Self::Extension => "extension",
            Self::TooLong => "too-long",
            Self::Duplicate => "duplicate",
            Self::TooCostly => "too-costly",
            Self::NotSupported => "not-supported",
        }
    }
}

/// One finding. No text in it repeats a value of the resource: only names of elements, types and codes of FHIR.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Issue {
    /// How grave it is.
    pub severity: Severity,
    /// The FHIR issue type.
    pub code: IssueType,
    /// The stable class of this project.
    pub error: ErrorCode,
    /// What is wrong and what is expected, in a sentence.
    pub message: String,
    /// FHIRPath location, for example `Patient.name[0].family`; empty for JSON that could not be read.
    pub expression: String,
    /// Id of the invariant of R4 that failed, for example `obs-6`.
    pub invariant: Option<&'static str>,
    /// URL of the profile that demands it, if R4 itself does not.
    pub profile: Option<String>,
    /// Id of the invariant of that profile that failed, for example `us-core-8`.
    pub profile_rule: Option<String>,
    /// 1-based line in the validated text.
    pub line: Option<u32>,
    /// 1-based column in Unicode characters.
    pub column: Option<u32>,
    /// Byte offset in the validated text.
    pub offset: usize,
}

impl Issue {
    fn to_value(&self) -> Value {
        let mut issue = json!({
            "severity": self.severity.code(),
            "code": self.code.code(),
            "details": { "coding": [{ "system": ERROR_CODE_SYSTEM, "code": self.error.code() }], "text": self.message },
        });
        let Some(members) = issue.as_object_mut() else { return issue };
        let diagnostics = match (self.line, self.column) {
            (Some(line), Some(column)) => format!("line {line}, column {column}"),
            _ => String::new(),
        };
        let rule = self.invariant.or(self.profile_rule.as_deref()).map(|key| format!("rule {key}"));
        let profile = self.profile.as_ref().map(|url| format!("profile {url}"));
        let parts: Vec<String> =
            rule.into_iter().chain(profile).chain((!diagnostics.is_empty()).then_some(diagnostics)).collect();
        if !parts.is_empty() {
            members.insert("diagnostics".to_owned(), json!(parts.join(", ")));
        }
        if !self.expression.is_empty() {
            members.insert("expression".to_owned(), json!([self.expression]));
        }
        issue
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.error.code(), self.severity.code())?;
        if !self.expression.is_empty() {
            write!(formatter, " at {}", self.expression)?;
        }
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(formatter, " (line {line}, column {column})")?;
        }
        write!(formatter, ": {}", self.message)
    }
}

/// All findings of one validation, in the order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The findings.
    pub issues: Vec<Issue>,
}

impl Outcome {
    /// Whether there is no error and nothing fatal.
    pub fn is_valid(&self) -> bool {
        self.issues.iter().all(|issue| issue.severity < Severity::Error)
    }

    /// The findings that make the resource invalid.
    pub fn errors(&self) -> impl Iterator<Item = &Issue> {
        self.issues.iter().filter(|issue| issue.severity >= Severity::Error)
    }

    /// The code of the gravest finding, the first of these in the text; None if there is no error.
    pub fn worst_code(&self) -> Option<ErrorCode> {
        let worst = self.errors().map(|issue| issue.severity).max()?;
        self.errors().find(|issue| issue.severity == worst).map(|issue| issue.error)
    }

    /// The FHIR R4 OperationOutcome; without findings it says that the resource is valid.
    pub fn to_operation_outcome(&self) -> Value {
        let mut issues: Vec<Value> = self.issues.iter().map(Issue::to_value).collect();
        if issues.is_empty() {
            issues.push(json!({
                "severity": "information",
                "code": "informational",
                "details": { "text": "The resource is valid FHIR R4." },
            }));
        }
        json!({ "resourceType": "OperationOutcome", "issue": issues })
    }
}
