//! HL7 v2 to FHIR R4 by the HL7 v2-to-FHIR implementation guide.
//!
//! [`convert`] turns one parsed message into a FHIR `Bundle` of type `message`. What goes where is data:
//! `maps/segments/*.map` hold one row for each row of the guide's segment maps, `maps/datatypes.map` the data-type
//! maps, `maps/codes.map` the concept maps and `maps/messages.map` the message maps, all in the form that
//! `maps/README.md` describes. Only what a row cannot say is written in Rust: dates and zones, locations, the value
//! of an OBX, narrative, references and ids.
//!
//! Conversion is a function of the message and the [`Options`]: no clock, no randomness. Ids are UUIDv5 of the
//! facility and the resource's own identifier (else the message control id and the place in the message), so a
//! replay yields the same bundle byte for byte.

mod attachment;
mod bundle;
mod code_system;
mod concept;
mod condition;
mod convert;
mod document;
mod draft;
mod element;
mod engine;
mod error;
mod function;
mod id;
mod identity;
mod location;
mod logical;
mod number;
mod observation;
mod patients;
mod primitive;
mod results;
mod rule;
mod scope;
mod slots;
mod table;
mod time;
mod unit;
mod unmapped;
mod value;
mod walk;

pub use convert::{Conversion, Options, convert, convert_to_text};
pub use error::{Error, ErrorPage};
pub use identity::{PatientIdentity, patient_identity};
pub use unmapped::{Reason, Unmapped};
