//! HL7 v2 syntax: messages, batches, escapes, MLLP framing and acknowledgements.
//!
//! [`Message`] parses without copying and decodes a value when it is asked for; [`batch`] cuts files and
//! batches into messages; [`mllp`] frames them on a socket; [`ack`] answers them; [`Writer`] writes them.
//! Nothing here reads a clock, opens a socket or panics on input, and no [`Error`] repeats a message's
//! content.
//!
//! The source is HL7 v2.9 chapter 2 (Control) and appendix C (MLLP), with the tolerance that feeds in the
//! field need: see [`Message::parse`].
//!
//! ```
//! # use wardstream_hl7v2 as hl7v2;
//! let bytes = b"MSH|^~\\&|LAB|NORTH|||20240506||ORU^R01|42|P|2.5\rPID|1||7001^^^NORTH^MR||ROE^ANN\r";
//! let message = hl7v2::Message::parse(bytes)?;
//! assert_eq!(message.message_code(), "ORU");
//! assert_eq!(message.query("PID-5.2").ok().flatten().as_deref(), Some("ANN"));
//! # Ok::<(), hl7v2::Error>(())
//! ```

pub mod ack;
pub mod batch;
mod character_set;
mod delimiters;
mod error;
pub mod escape;
mod iso_2022;
mod message;
pub mod mllp;
mod path;
mod segment;
mod structure;
mod tape;
mod writer;

pub use character_set::CharacterSet;
pub use delimiters::Delimiters;
pub use error::{Error, ErrorCode};
pub use message::{Limits, Message};
pub use path::{Path, PathError};
pub use segment::{Component, Field, Repetition, Segment, Subcomponent};
pub use writer::Writer;
