//! The redact service.
