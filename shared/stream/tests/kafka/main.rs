//! The runtime on a real Apache Kafka.
//!
//! Needs the jars that `deploy/local/kafka` fetches, and says in one line that it was skipped where the environment
//! does not name them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it skipped"
)]

extern crate wardstream_stream as stream;

mod bench;
mod deaths;
mod limits;
mod membership;
mod parking;
mod table;
