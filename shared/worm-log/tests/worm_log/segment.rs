//! Segments: what goes in comes out, other tools can read it, and it never panics on what is not one.

use crate::support::{TOPIC, context, record, sealed};
use apache_avro::types::Value;
use proptest::prelude::*;
use wardstream_worm_log::{
    Error, GapKind, Limits, Manifest, Record, SegmentBuilder, SegmentReader, examine, merkle,
};

fn avro_bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Union(0, inner) if **inner == Value::Null => None,
        Value::Union(1, inner) => match &**inner {
            Value::Bytes(bytes) => Some(bytes.clone()),
            other => panic!("a branch of another type: {:?}", std::mem::discriminant(other)),
        },
        other => panic!("no union: {:?}", std::mem::discriminant(other)),
    }
}

/// The record as an independent Avro implementation reads it.
fn from_avro(partition: i32, value: Value) -> Record {
    let Value::Record(fields) = value else { panic!("no record") };
    let field = |name: &str| &fields.iter().find(|(field, _)| field == name).unwrap().1;
    let Value::Long(offset) = field("offset") else { panic!("no offset") };
    let Value::TimestampMillis(timestamp_ms) = field("timestamp") else { panic!("no timestamp") };
    let Value::Array(headers) = field("headers") else { panic!("no headers") };
    let headers = headers.iter().map(|header| {
        let Value::Record(header) = header else { panic!("no header") };
        let Value::String(key) = &header[0].1 else { panic!("no header name") };
        (key.clone(), avro_bytes(&header[1].1))
    });
    Record {
        topic: TOPIC.to_owned(),
        partition,
        offset: *offset,
        timestamp_ms: *timestamp_ms,
        key: avro_bytes(field("key")),
        value: avro_bytes(field("value")),
        headers: headers.collect(),
    }
}

#[test]
fn an_independent_avro_reader_reads_every_record() {
    // Several blocks, since one holds a mebibyte.
    let records: Vec<Record> = (0..24_000).map(|offset| record(2, offset)).collect();
    let sealed = sealed(2, 0, 0..24_000, 24_000, None);
    let reader = apache_avro::Reader::new(&sealed.segment[..]).unwrap();
    assert!(reader.user_metadata().contains_key("wardstream.segment"));
    let read: Vec<Record> = reader.map(|value| from_avro(2, value.unwrap())).collect();
    assert!(read == records);
    let own: Vec<Record> =
        SegmentReader::open(&sealed.segment[..]).unwrap().records().map(Result::unwrap).collect();
    assert!(own == records);
}

/// Format 1 is frozen: a segment written today must be readable after its retention has run out.
#[test]
fn the_schema_is_frozen() {
    let hash = wardstream_worm_log::manifest::sha256(wardstream_worm_log::segment::RECORD_SCHEMA.as_bytes());
    assert_eq!(hex::encode(hash), "9f1a95106e371e3631390d5180ef75e698b2098c43ee8df22ebe0bd6ff746623");
}

#[test]
fn the_same_records_make_the_same_bytes() {
    let (left, right) = (sealed(0, 5, 5..50, 60, Some([7; 32])), sealed(0, 5, 5..50, 60, Some([7; 32])));
    // Both closed within the same second, or the lock's end differs.
    if left.manifest.retain_until == right.manifest.retain_until {
        assert_eq!(left.segment, right.segment);
        assert_eq!(left.manifest_bytes, right.manifest_bytes);
    }
    assert_eq!(left.manifest.records_merkle_root, right.manifest.records_merkle_root);
}

#[test]
fn a_manifest_says_what_the_segment_holds() {
    let sealed = sealed(0, 100, [100, 101, 105, 106], 110, Some([9; 32]));
    let manifest = &sealed.manifest;
    assert_eq!((manifest.first_offset, manifest.next_offset, manifest.record_count), (100, 110, 4));
    let gaps: Vec<_> =
        manifest.gaps.iter().map(|gap| (gap.first_offset, gap.next_offset, gap.offsets)).collect();
    assert_eq!(gaps, [(102, 105, 3), (107, 110, 3)]);
    assert!(manifest.gaps.iter().all(|gap| gap.kind == GapKind::Undelivered));
    assert!(manifest.accounts_for_every_offset());
    assert_eq!(manifest.prev_manifest_sha256.as_deref(), Some("09".repeat(32).as_str()));
    assert_eq!(manifest.min_timestamp_ms, Some(1_750_000_001_000));
    assert_eq!(manifest.max_timestamp_ms, Some(1_750_000_001_060));
    assert_eq!(SegmentReader::open(&sealed.segment[..]).unwrap().into_manifest().unwrap(), *manifest);
}

#[test]
fn schema_ids_are_read_and_payloads_are_not() {
    let mut builder = SegmentBuilder::new(TOPIC, 0, 0, Limits::default()).unwrap();
    for (offset, value) in
        [&[0, 0, 0, 1, 2, 0xff][..], &[0, 0, 0, 0, 7], &[0, 1], &[1, 0, 0, 0, 9, 9], b"{}"].iter().enumerate()
    {
        let mut record = record(0, offset as i64);
        record.value = Some(value.to_vec());
        builder.push(&record, 0).unwrap();
    }
    let manifest = builder.finish(0, &context(None)).unwrap().manifest;
    assert_eq!(manifest.schema_ids, [7, 258]);
    assert!(manifest.schema_ids_complete);
}

#[test]
fn segments_fall_due_by_bytes_records_and_age() {
    let limits = Limits { max_bytes: 1_000, max_age_ms: 50, max_records: 5 };
    let mut builder = SegmentBuilder::new(TOPIC, 0, 0, limits).unwrap();
    assert!(!builder.is_due(i64::MAX), "an empty segment is never due");
    builder.push(&record(0, 0), 1_000).unwrap();
    assert!(!builder.is_due(1_049));
    assert!(builder.is_due(1_050));
    let mut big = record(0, 1);
    big.value = Some(vec![0; 2_000]);
    builder.push(&big, 1_001).unwrap();
    assert!(builder.is_full());
    let mut many = SegmentBuilder::new(TOPIC, 0, 0, Limits { max_bytes: u64::MAX, ..limits }).unwrap();
    for offset in 0..5 {
        many.push(&record(0, offset), 0).unwrap();
    }
    assert!(many.is_full());
}

#[test]
fn records_out_of_order_or_of_another_partition_are_refused_and_change_nothing() {
    let mut builder = SegmentBuilder::new(TOPIC, 0, 10, Limits::default()).unwrap();
    assert!(matches!(builder.push(&record(0, 9), 0), Err(Error::OffsetBehind { expected: 10, .. })));
    builder.push(&record(0, 12), 0).unwrap();
    assert!(matches!(builder.push(&record(0, 12), 0), Err(Error::OffsetBehind { expected: 13, .. })));
    assert!(matches!(builder.push(&record(1, 13), 0), Err(Error::NotAssigned { .. })));
    assert!(builder.expire_until(20, 0).is_err());
    assert_eq!((builder.record_count(), builder.next_offset()), (1, 13));
    assert!(
        SegmentBuilder::new(TOPIC, 0, 10, Limits::default()).unwrap().finish(10, &context(None)).is_err()
    );
    assert!(SegmentBuilder::new("no/topic", 0, 0, Limits::default()).is_err());
}

#[test]
fn a_segment_may_hold_nothing_but_a_gap() {
    let sealed = sealed(0, 10, [], 11, None);
    assert_eq!((sealed.manifest.record_count, sealed.manifest.min_timestamp_ms), (0, None));
    assert!(sealed.manifest.accounts_for_every_offset());
    assert_eq!(sealed.manifest.records_merkle_root, hex::encode(merkle::RootBuilder::new().root()));
    assert_eq!(examine(&sealed.segment[..]).unwrap().manifest.unwrap(), sealed.manifest);
}

fn any_record(offset: i64) -> impl Strategy<Value = Record> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300));
    let headers = proptest::collection::vec((".{0,6}", bytes()), 0..3);
    (any::<i64>(), bytes(), bytes(), headers).prop_map(move |(timestamp_ms, key, value, headers)| Record {
        topic: TOPIC.to_owned(),
        partition: 1,
        offset,
        timestamp_ms,
        key,
        value,
        headers,
    })
}

fn stream() -> impl Strategy<Value = (i64, Vec<Record>, i64)> {
    let steps = proptest::collection::vec(prop_oneof![4 => Just(1_i64), 1 => 2..2_000_i64], 0..40);
    (0..1_000_000_i64, steps, 0..5_i64).prop_flat_map(|(first, steps, tail)| {
        let mut next = first;
        let mut records = Vec::new();
        for step in steps {
            records.push(any_record(next + step - 1));
            next += step;
        }
        (Just(first), records, Just((next + tail).max(first + 1)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_stream_reads_back_and_accounts_for_every_offset((first, records, next) in stream()) {
        let mut builder = SegmentBuilder::new(TOPIC, 1, first, Limits::default()).unwrap();
        for record in &records {
            builder.push(record, 0).unwrap();
        }
        let sealed = builder.finish(next, &context(None)).unwrap();
        prop_assert!(sealed.manifest.accounts_for_every_offset());
        prop_assert_eq!(&Manifest::from_bytes(&sealed.manifest_bytes).unwrap(), &sealed.manifest);
        let examination = examine(&sealed.segment[..]).unwrap();
        prop_assert_eq!(examination.sha256, sealed.segment_sha256);
        prop_assert_eq!(examination.bytes, sealed.segment.len() as u64);
        prop_assert!(examination.manifest.unwrap() == sealed.manifest);
        let read: Vec<Record> = SegmentReader::open(&sealed.segment[..]).unwrap().records().map(Result::unwrap).collect();
        prop_assert!(read == records, "records differ");
    }

    #[test]
    fn nothing_makes_the_reader_panic(flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        let sealed = sealed(1, 0, 0..60, 60, None);
        let mut bytes = sealed.segment.to_vec();
        for (index, byte) in flips {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let whole = examine(&bytes[..]).unwrap();
        prop_assert_eq!(whole.sha256 == sealed.segment_sha256, bytes == sealed.segment);
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(examine(&bytes[..]).unwrap().manifest.map_or(true, |manifest| manifest.object_bytes == bytes.len() as u64));
        let _ = SegmentReader::open(&bytes[..]).map(|reader| reader.records().count());
    }
}
