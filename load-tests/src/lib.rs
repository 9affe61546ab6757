//! A synthetic hospital, drills and benchmarks for the line.
//!
//! [`Feed`] is an endless, reproducible feed of HL7 v2 messages from a hospital whose every patient is
//! invented; each comes with its [`Truth`], so that drills can tell what the line should have made of it.
//! Nothing in it is about a real person: names are random combinations, phone numbers are of the block kept
//! for fiction, social security numbers of a range that is never issued.

mod config;
mod damage;
#[cfg(feature = "drill")]
pub mod drill;
mod feed;
mod imaging;
mod labs;
mod messages;
mod names;
mod notes;
mod population;
mod prose;
mod scenarios;
mod truth;

pub use config::{Config, Mix, share};
pub use damage::Damage;
pub use feed::{Feed, FeedMessage};
pub use truth::{Kind, Truth, Urgency};
