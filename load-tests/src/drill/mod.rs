//! Drills: the line on real parts, every service instance a process of its own, something terrible done to them under
//! load, and the proof afterwards that nothing was lost, repeated or put out of order.
//!
//! | module | what it is |
//! | --- | --- |
//! | `process` | one program, many processes; none outlives the drill |
//! | `service`, `fleet` | the services' processes: configuration, kill, stop, freeze, metrics |
//! | `parts` | Kafka, registry, mail server, S3 store together |
//! | [`Registry`], [`Mail`], [`Gate`] | one of them; a gate takes one away |
//! | `load` | the feed |
//! | `reader` | every topic, read_committed |
//! | [`verdict`] | what is proved. Pure |
//! | `line` | all of it together, and the way to rest |
//! | `proxy` | cuts a producer off around a commit |
//! | `run` | which drills share a line, and what is told in the end |
//! | `kill` and the others | one module a drill; `tamper` is about the WORM log and needs no line |

mod broker;
mod error;
mod faults;
mod fleet;
mod gate;
mod indeterminate;
mod kill;
mod line;
mod load;
mod mail;
mod parts;
mod poison;
mod process;
mod proxy;
mod reader;
mod registry;
mod roll;
mod run;
mod service;
mod tamper;
pub mod verdict;
mod zombie;

pub use error::Error;
pub use gate::Gate;
pub use mail::Mail;
pub use parts::{VARIABLES, encoder};
pub use process::become_other;
pub use registry::Registry;
pub(crate) use run::{Figures, figure};
pub use run::{Name, Options, Outcome, Run, run};
pub use service::deid;
