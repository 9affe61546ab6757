//! A schema registry in process: the Confluent API over the committed schemas.
//!
//! For the one-command start and for tests. It keeps what it is given in memory and serves the part of the
//! Confluent Schema Registry API (v7) that Avro clients use; a deployment runs Karapace or Apicurio instead, behind
//! the same URL. What differs from those on purpose:
//!
//! - compatibility is always `BACKWARD_TRANSITIVE`, and cannot be changed over HTTP: a consumer of today can read
//!   every record that was ever written;
//! - nothing can be deleted: ids are in records that are kept for years;
//! - Avro only, without references between subjects.
//!
//! Ids are the same at every start, because the given schemas are registered in the order of their subjects.

mod api;
mod compatibility;
mod error;
mod registry;

pub use api::{router, serve};
pub use compatibility::{Incompatible, check_backward_transitive};
pub use error::Error;
pub use registry::{Registered, Registry};
