//! The compliance report: what the line did in a period, counted from the records of its WORM log, with the commands that give each
//! number once more.
//!
//! Pure: it opens nothing and reads no clock. The HTML page and the PDF are made of one [`Document`], so their numbers cannot differ.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`counts`](Counts) | what is counted of each record |
//! | [`fates`](Fates) | what became of each input, stage by stage |
//! | [`latency`](Latencies) | times and their percentiles |
//! | [`commands`](Source) | the commands that give a number once more |
//! | [`document`](Document) | sections, tables and figures, in no format yet |
//! | [`chapters`](compile) | the document of a period |
//! | [`figure`](Figure) | charts as shapes |
//! | [`html`], [`pdf`] | the document in a format |

mod chapters;
mod commands;
mod counts;
mod document;
mod fates;
mod figure;
mod latency;
mod metrics;

pub mod html;
pub mod pdf;

pub use chapters::{Checked, Checkpoint, Holds, Kept, Made, Signature, Verification, Witness, compile};
pub use commands::Source;
pub use counts::{Counts, Entry, Period, in_order};
pub use document::{Block, Cell, Command, Document, Section, Table, Tile};
pub use fates::{Fates, StageFates};
pub use figure::Figure;
pub use latency::Latencies;
