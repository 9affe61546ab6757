//! For tests and drills only: record strategies, a private SeaweedFS, and ways of tampering.

#[cfg(test)]
pub(crate) mod arbitrary;
mod bundle;
mod intruder;
mod seaweedfs;
mod tampering;

pub use bundle::{Bundle, Pick, copy, keys_under};
pub use intruder::{Attempt, Intruder, download, upload};
pub use seaweedfs::{SeaweedFs, WEED_VARIABLE};
pub use tampering::{Sign, Tampering};

/// Why something could not be done to a log.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
