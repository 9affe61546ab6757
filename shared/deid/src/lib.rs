//! De-identification of FHIR resources and clinical narrative.
