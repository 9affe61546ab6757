//! Measures building and verifying segments, and writing them to a store.
//!
//! `cargo run --release -p wardstream-worm-log --example throughput -- FOLDER [MEBIBYTES] [THREADS]`

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Instant;

use wardstream_worm_log::{
    Auditor, AuditorConfig, Error, Event, LocalStore, Record, Verdict, VerifyOptions, examine, verify,
};

const PARTITIONS: i32 = 4;

/// A FHIR-like message: the same structure each time, values that differ, about two kilobytes.
fn message(offset: i64) -> Vec<u8> {
    let mut text = String::from(r#"{"resourceType":"Bundle","type":"message","entry":["#);
    for index in 0..6 {
        let mut hasher = DefaultHasher::new();
        (offset, index).hash(&mut hasher);
        let random = hasher.finish();
        text.push_str(&format!(
            r#"{{"fullUrl":"urn:uuid:{random:016x}","resource":{{"resourceType":"Observation","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"{}-{}","display":"Laboratory observation"}}]}},"subject":{{"reference":"Patient/{:x}"}},"effectiveDateTime":"2026-0{}-1{}T0{}:00:00Z","valueQuantity":{{"value":{}.{},"unit":"mg/dL","system":"http://unitsofmeasure.org"}}}}}},"#,
            random % 90_000, random % 10, random >> 20, random % 9 + 1, random % 10, random % 7, random % 400, random % 100
        ));
    }
    text.push_str("]}");
    text.into_bytes()
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        return Err(Error::Settings { reason: "usage: throughput FOLDER [MEBIBYTES] [THREADS]".to_owned() });
    };
    let mebibytes: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(512);
    let threads: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let store = LocalStore::open(folder)?;
    let mut auditor = Auditor::new(store.clone(), AuditorConfig::default());
    for partition in 0..PARTITIONS {
        auditor.assign("fhir.received", partition, 0, None, 0).await?;
    }

    // Made beforehand, so that only the auditor is measured.
    let messages: Vec<Vec<u8>> = (0..8_192).map(message).collect();
    let (mut raw, mut offset, mut segments, mut stored) = (0_u64, 0_i64, 0, 0);
    let started = Instant::now();
    let mut pushing = 0.0;
    while raw < mebibytes << 20 {
        for partition in 0..PARTITIONS {
            let value = messages.get(offset as usize % messages.len()).cloned();
            raw += value.as_ref().map_or(0, |value| value.len() as u64);
            let record = Record {
                topic: "fhir.received".to_owned(),
                partition,
                offset,
                timestamp_ms: 1_750_000_000_000 + offset,
                key: Some(offset.to_be_bytes().to_vec()),
                value,
                headers: vec![("traceparent".to_owned(), Some(vec![7; 55]))],
            };
            let push = Instant::now();
            auditor.push(&record, 0)?;
            pushing += push.elapsed().as_secs_f64();
        }
        offset += 1;
        if auditor.is_due(0) {
            for event in auditor.flush_due(0).await {
                count(event, &mut segments, &mut stored)?;
            }
        }
    }
    for event in auditor.flush_all(0).await {
        count(event, &mut segments, &mut stored)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "build: {:.0} MiB of values in {pushing:.2} s on one thread, {:.0} MiB/s",
        mib(raw),
        mib(raw) / pushing
    );
    println!(
        "build and write: {segments} segments, {:.0} MiB, {seconds:.2} s, {:.0} MiB/s of values, ratio {:.1}",
        mib(stored),
        mib(raw) / seconds,
        raw as f64 / stored as f64
    );

    let started = Instant::now();
    let report = verify(&store, &VerifyOptions { threads, ..VerifyOptions::default() }, |_| {}).await?;
    let seconds = started.elapsed().as_secs_f64();
    println!("{report}");
    println!(
        "verify: {seconds:.2} s, {:.0} MiB/s of segments, {:.0} MiB/s of values",
        mib(report.bytes) / seconds,
        mib(raw) / seconds
    );
    if report.verdict != Verdict::Whole {
        return Err(Error::Settings { reason: "the log just written is not whole".to_owned() });
    }
    let bytes = std::fs::read(store.root().join("seg/fhir.received/0/00000000000000000000.avro"))
        .map_err(|source| Error::Read { source })?;
    let started = Instant::now();
    let manifest = examine(&bytes[..])?.manifest?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "verify one segment on one thread: {:.0} MiB/s of segment, {:.0} MiB/s of values",
        mib(manifest.object_bytes) / seconds,
        mib(manifest.value_bytes) / seconds
    );
    Ok(())
}

fn count(event: Event, segments: &mut u64, stored: &mut u64) -> Result<(), Error> {
    match event {
        Event::Written { manifest, .. } => {
            *segments += 1;
            *stored += manifest.object_bytes;
            Ok(())
        }
        Event::Unavailable { error, .. } | Event::Failed { error, .. } => Err(error),
        Event::Adopted { .. } => Err(Error::Settings { reason: "the folder holds a log already".to_owned() }),
    }
}
