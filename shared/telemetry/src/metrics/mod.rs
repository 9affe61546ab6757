//! What is counted and measured, in the Prometheus data model.
//!
//! | metric | type | labels |
//! | --- | --- | --- |
//! | `wardstream_records_in_total` | counter | stage, topic |
//! | `wardstream_records_out_total` | counter | stage, topic |
//! | `wardstream_fates_total` | counter | stage, fate, reason |
//! | `wardstream_duplicates_total` | counter | stage |
//! | `wardstream_process_seconds` | histogram | stage |
//! | `wardstream_end_to_end_seconds` | histogram | stage |
//! | `wardstream_lag_records` | gauge | stage, topic, partition |
//! | `wardstream_in_flight` | gauge | stage |
//! | `wardstream_transactions_total` | counter | stage, end |
//! | `wardstream_dependency_up` | gauge | stage, dependency |
//! | `wardstream_notifications_total` | counter | channel, outcome |
//! | `wardstream_escalations_total` | counter | step, outcome |
//! | `wardstream_escalations_open` | gauge | step |
//! | `wardstream_unanswered_total` | counter | |
//! | `wardstream_acknowledgements_total` | counter | outcome |
//! | `wardstream_acknowledge_seconds` | histogram | |
//! | `wardstream_held` | gauge | |
//! | `wardstream_released_total` | counter | outcome |
//! | `wardstream_redactions_total` | counter | kind |
//! | `wardstream_withheld_total` | counter | reason |
//! | `wardstream_unmapped_total` | counter | field |
//! | `wardstream_build_info` | info | version |
//!
//! Every label value is a name from the program or its configuration. None is ever read from a record.

mod histogram;
mod labels;
mod registry;
mod snapshot;
mod stage;

pub use labels::{Fate, TransactionEnd};
pub use registry::Metrics;
pub use snapshot::{DependencyState, Durations, FateCount, PartitionLag, Snapshot, StageSnapshot, Tally};
pub use stage::StageMetrics;
