//! FHIR R4 (4.0.1) validation of JSON to an OperationOutcome.
//!
//! [`Validator::r4`] walks the JSON text once, along a table of the release's definitions that is embedded in the
//! crate: structure, JSON types, cardinality, choice types, primitive formats and their extensions, value sets,
//! references and their targets, contained resources, Bundle rules, narrative and invariants. It opens no file and no
//! socket, is bounded in size, depth and findings, and no text it writes repeats a value of the resource.
//!
//! ```
//! let outcome = wardstream_fhir::Validator::r4().validate(br#"{"resourceType":"Patient","gender":"f"}"#);
//! assert_eq!(outcome.issues[0].expression, "Patient.gender");
//! assert_eq!(outcome.worst_code(), Some(wardstream_fhir::ErrorCode::RequiredBinding));
//! ```

mod definitions;
mod error_code;
mod fhirpath;
mod invariant;
mod issue;
mod json;
mod narrative;
mod primitive;
mod profile;
mod validator;

pub use definitions::Invariant;
pub use error_code::ErrorCode;
pub use issue::{Issue, IssueType, Outcome, Severity};
pub use profile::PackageError;
pub use validator::{Demand, Validator};
