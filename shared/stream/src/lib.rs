//! The consumer runtime: consume, transform and produce exactly once on Kafka.
//!
//! The only crate that touches Kafka. A service implements [`Stage`], pure code from one record to its [`Fate`], and
//! calls [`run`]. One owner thread does all Kafka I/O; workers run the stage in parallel across keys and in order
//! within a key; results commit with their source offsets in one transaction that begins only when they are ready.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`config`](Config) | every setting, with unit and default |
//! | [`fate`](Fate) | what a stage decides, and what it may wait for |
//! | `lineage` | where a record came from; the guard against duplicates |
//! | `progress` | which offsets of a partition are finished |
//! | `owner` | the thread that owns consumer and producer |
//! | `session` | a producer's transactions and their three ends |
//! | `worker` | the pool that runs the stage |
//! | [`avro`](Codec) | Confluent wire format through the schema registry |
//! | [`publisher`](Publisher), [`table`](Table), [`tail`](Tail) | a producer for doors, a compacted topic as a map, a plain reader for audit |

mod admin;
mod avro;
mod client;
mod config;
mod error;
mod fate;
mod lineage;
mod observe;
mod owner;
mod progress;
mod publisher;
mod record;
mod session;
mod table;
mod tail;
mod worker;

pub use admin::{Watermarks, ensure_topics, watermarks};
pub use avro::{Codec, CodecError, RegistryConfig};
pub use config::{Config, Delivery, Security, Tuning};
pub use error::Error;
pub use fate::{Context, Fate, Reject, Stage, Unavailable};
pub use observe::Observer;
pub use owner::{Runtime, run};
pub use publisher::Publisher;
pub use record::{Incoming, Outgoing};
pub use table::Table;
pub use tail::{Tail, TailEvent};
