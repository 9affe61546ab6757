//! Random records.

use std::ops::Range;

use proptest::prelude::*;

use crate::record::Record;

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::weighted(
        0.8,
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..80),
            // Confluent's wire format.
            (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..60)).prop_map(|(id, mut rest)| {
                rest.splice(0..0, [0, 0, 0, 0, id]);
                rest
            }),
        ],
    )
}

/// A record with an offset of the range.
pub(crate) fn record(
    topic: &'static str,
    partition: i32,
    offsets: Range<i64>,
) -> impl Strategy<Value = Record> {
    let headers = proptest::collection::vec(("[a-zé-]{0,12}", bytes()), 0..4);
    (offsets, any::<i64>(), bytes(), bytes(), headers).prop_map(
        move |(offset, timestamp_ms, key, value, headers)| Record {
            topic: topic.to_owned(),
            partition,
            offset,
            timestamp_ms,
            key,
            value,
            headers,
        },
    )
}
