//! What the bundle does not hold.

use serde::{Deserialize, Serialize};

/// A valued field, or part of one, that no element of the bundle holds. Never carries content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmapped {
    /// Name of the segment, `PID`.
    pub segment: String,
    /// Which segment of that name in the message, from 1.
    pub occurrence: usize,
    /// Field, `PID-10`, or component, `PID-3.6`; the segment's name where the whole segment has no map.
    pub path: String,
    /// Why.
    pub reason: Reason,
}

/// Why a field is not in the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// No row of the maps takes the field, or the row's condition does not hold.
    NoRow,
    /// The message map has no place for the segment.
    SegmentNotExpected,
    /// Not a date or time of the calendar, or too coarse for the element (FHIR `instant` needs a time).
    InvalidDate,
    /// Not a number, or not one that the element can hold.
    InvalidNumber,
    /// Not a code that the element's required value set can hold.
    InvalidCode,
    /// Not a value that the element's FHIR data type can hold.
    InvalidValue,
    /// The element takes one value and already holds another.
    AlreadySet,
    /// The resource that would hold it lacks a required element.
    IncompleteResource,
    /// `""`: the sender asks for deletion, which a message bundle cannot express.
    ExplicitNull,
}
