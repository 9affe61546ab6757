//! The whole line on real parts: Apache Kafka, an S3 store with Object Lock, a schema registry, a mail server with
//! STARTTLS, and every service through its own `run`.
//!
//! Each test needs the programs that `deploy/local` fetches, and says in one line that it was skipped where the
//! environment does not name them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it skipped"
)]

mod bad_records;
mod conservation;
mod dependencies;
mod door;
mod harness;
mod log;
mod ops;
mod phi;
mod reader;
mod redaction;
