//! Which records a replay gives, who may see them how, what became of an event, and the access event that says so. Pure: it reads no clock and opens nothing.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`access`](Access) | the access event, a FHIR AuditEvent by IHE BALP |
//! | [`compare`](Comparison) | what a stage makes of its inputs now, beside what it made of them then |
//! | [`parquet_file`](ParquetFile) | records as a Parquet file with typed columns |
//! | [`selection`](Selection) | which records: by place, by time, and by what they say of themselves |
//! | [`story`](Story) | what became of one event, as its records tell it |
//! | [`view`](View) | a record as JSON, masked or as it is |

mod access;
mod compare;
mod parquet_file;
mod selection;
mod story;
mod view;

pub use access::{Access, Kind, Operator, Purpose, TextError};
pub use compare::{Changed, Comparison, Counts, Difference, Input, Made, TOLERANCE, Verdict};
pub use parquet_file::{FileError, ParquetFile};
pub use selection::{Marks, Selection};
pub use story::{Place, Step, Story, What, event_of, has_events, is_feed, names_event_in_value, stage_of};
pub use view::{Content, View, has_identifiers};
