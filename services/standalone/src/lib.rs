//! The whole line in one process: an embedded broker, schema registry and mail server, a local WORM folder, all
//! services, a status page, and, for a demo, a synthetic hospital.
//!
//! | module | what it is |
//! | --- | --- |
//! | `embedded` | the parts that the line stands on |
//! | `line` | the services, each on a thread of its own |
//! | `watch` | what the status page and the terminal show |
//! | `demo` | the synthetic hospital, and the summary at the end |
//! | [`status`] | the page and the terminal view |

mod demo;
mod embedded;
pub mod errors;
mod line;
mod run;
pub mod status;
mod watch;

pub use demo::{Summary, Timing};
pub use run::{Closing, Demo, Ended, Options, run};
