//! The WORM log as its users meet it, in a local folder and in SeaweedFS.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod log;
mod merkle_log;
mod prove;
mod s3;
mod segment;
mod sequencer;
mod support;
mod tamper;
mod witness;
