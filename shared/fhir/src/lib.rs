//! FHIR R4 validation to an OperationOutcome.
