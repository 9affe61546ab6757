//! The summarize service.
