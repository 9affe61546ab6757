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
//! | `lineage`, `outcome` | where a record came from; the guard against duplicates |
//! | `progress`, `caution`, `machine` | the state of the owner: what is in flight, what may commit, who died where; pure |
//! | `owner`, `link`, `session` | the thread that owns consumer and producer; transactions and their three ends |
//! | `flow` | when the consumer is polled, and when its partitions are paused; pure |
//! | `orphans` | partitions that static members left behind, and the stir that brings them back |
//! | `worker`, `waiting`, `parked` | the pool that runs the stage; what waits in place, and which keys are set aside |
//! | [`avro`](Codec) | Confluent wire format through the schema registry |
//! | [`preflight`] | what is wrong with broker, topics and authorisations before a service consumes |
//! | [`admin`](Topics), [`lag`], [`reader`](Reader), [`transaction`](TransactionalWriter) | what operators do: topics as their contracts say, lag, looking and putting back |
//! | [`publisher`](Publisher), [`table`](Table), [`tail`](Tail) | a producer for doors, a compacted topic as a map, a plain reader for audit |

mod admin;
mod avro;
mod broker;
mod caution;
mod client;
mod config;
mod error;
mod fate;
mod ffi;
mod flow;
mod group;
mod lag;
mod lineage;
mod link;
mod machine;
mod observe;
mod orphans;
mod outcome;
mod owner;
mod parked;
mod preflight;
mod progress;
mod publisher;
mod pulse;
mod reader;
mod record;
mod session;
#[cfg(test)]
mod simulation;
mod table;
mod tail;
mod transaction;
mod waiting;
mod worker;

pub use admin::{Aspect, Blueprint, Difference, Topics, Watermarks, brokers, ensure_topics, watermarks};
pub use avro::{Codec, CodecError, RegistryConfig};
pub use config::{Config, Delivery, GroupProtocol, Security, Tuning};
pub use error::Error;
pub use fate::{Context, Fate, Reject, Stage, Unavailable};
pub use lag::{GroupLag, PartitionLag, lag};
pub use observe::Observer;
pub use owner::{Runtime, run};
pub use preflight::{Fault, Needs, Unfit, preflight, wait_until_fit};
pub use publisher::Publisher;
pub use reader::Reader;
pub use record::{Incoming, Outgoing};
pub use table::Table;
pub use tail::{Tail, TailEvent};
pub use transaction::{TransactionError, TransactionalWriter, Verbatim};
