//! The status page and the terminal view: what the line does, live, without a word of content.
//!
//! - `snapshot`: [`StatusSource`], which the line implements, and the shapes it gives
//! - `history`: the last two minutes, sampled each second
//! - `server`: the page and its JSON, [`serve`]
//! - [`terminal`]: one line a stage

mod history;
mod server;
mod snapshot;
pub mod terminal;

pub use server::serve;
pub use snapshot::{
    DeadLetterCount, DeadLetterView, Dependency, Health, Latency, NotificationView, Phase, Snapshot,
    StageSnapshot, StatusSource, Totals, Verification, WormSnapshot,
};
