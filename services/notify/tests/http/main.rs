//! The channels over HTTP against a real server that answers as it is told.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod receiver;
mod sms;
mod webhook;
