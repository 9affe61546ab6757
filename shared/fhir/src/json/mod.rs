//! JSON text as a flat tape of nodes with their offsets.
//!
//! A general JSON value would lose what a validator has to report: duplicate keys, positions, and how a number was
//! written. The tape borrows the text, so a string costs nothing until it is looked at.

mod position;
mod reader;
mod tape;

pub(crate) use position::Positions;
pub(crate) use reader::{Fault, read};
#[cfg(test)]
pub(crate) use tape::work;
pub(crate) use tape::{Kind, Tape, Value};

/// Largest text read, in bytes.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Deepest nesting of objects and arrays read.
pub(crate) const MAX_DEPTH: usize = 100;
/// Most keys and values read.
pub(crate) const MAX_NODES: usize = 2_000_000;
