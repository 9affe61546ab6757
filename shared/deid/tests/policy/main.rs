//! The policy against the definitions of FHIR R4: nothing without a treatment, nothing that survives its treatment, and the document.

#![expect(clippy::unwrap_used, reason = "a test stops where a value is not as expected")]

mod completeness;
mod definitions;
mod document;
mod markers;
#[path = "../support/mod.rs"]
mod support;
mod tables;
