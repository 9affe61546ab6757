//! For tests only: record strategies and a private SeaweedFS.

#[cfg(test)]
pub(crate) mod arbitrary;
mod seaweedfs;

pub use seaweedfs::{SeaweedFs, WEED_VARIABLE};
