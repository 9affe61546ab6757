//! HL7 v2 to FHIR R4 by the HL7 v2-to-FHIR implementation guide.
