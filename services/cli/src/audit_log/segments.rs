//! The segments of a log as the leaves of its last checkpoint have them.

use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::json;
use worm_log::{AnyStore, Ledger, VerifyingKeys};

use super::{refuse, reject};
use crate::output::{Outcome, line};

pub(super) async fn print(store: &AnyStore, keys: &VerifyingKeys) -> Result<ExitCode, Outcome> {
    let ledger = Ledger::open(store, keys).await.map_err(|error| match error {
        error @ worm_log::Error::Checkpoint { .. } => reject(&error),
        error => refuse(&error),
    })?;
    let time = |ms: Option<i64>| ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    for planned in ledger.segments() {
        let manifest = &planned.manifest;
        line(json!({
            "topic": manifest.topic,
            "partition": manifest.partition,
            "first_offset": manifest.first_offset,
            "next_offset": manifest.next_offset,
            "records": manifest.record_count,
            "bytes": manifest.object_bytes,
            "first_at": time(manifest.min_timestamp_ms).map(|time| time.to_string()),
            "last_at": time(manifest.max_timestamp_ms).map(|time| time.to_string()),
            "retain_until": manifest.retain_until.to_string(),
            "sha256": manifest.object_sha256,
            "leaf": planned.leaf,
        }));
    }
    Ok(ExitCode::SUCCESS)
}
