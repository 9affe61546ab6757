//! Which records a replay gives, who may see them how, and the access event that says so. Pure: it reads no clock and opens nothing.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`access`](Access) | the access event, a FHIR AuditEvent by IHE BALP |
//! | [`selection`](Selection) | which records: by place, by time, and by what they say of themselves |
//! | [`view`](View) | a record as JSON, masked or as it is |

mod access;
mod selection;
mod view;

pub use access::{Access, Kind, Operator, Purpose, TextError};
pub use selection::{Marks, Selection};
pub use view::{Content, View, has_identifiers};
