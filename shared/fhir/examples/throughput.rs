//! Measures validations per second on one thread.
//!
//! ```text
//! cargo run --release -p wardstream-fhir --example throughput [FILE]
//! ```
//!
//! Without a file it takes samples of its own.

use std::hint::black_box;
use std::time::{Duration, Instant};

use wardstream_fhir::Validator;

const SAMPLES: [(&str, &str); 4] = [
    ("Patient", include_str!("../tests/examples/Patient.json")),
    ("Observation", include_str!("../tests/examples/Observation.json")),
    ("Bundle, 5 entries", include_str!("../tests/examples/Bundle.json")),
    ("Composition", include_str!("../tests/examples/Composition.json")),
];

fn main() {
    let started = Instant::now();
    let validator = Validator::r4();
    eprintln!("definitions read in {:?}", started.elapsed());
    if let Some(file) = std::env::args().nth(1) {
        return measure("the file", validator, &std::fs::read_to_string(file).expect("a readable file"));
    }
    for (name, text) in SAMPLES {
        measure(name, validator, &compact(text));
    }
    let patient = compact(SAMPLES[0].1);
    let entries: Vec<String> = (0..100)
        .map(|n| format!(r#"{{"fullUrl":"urn:uuid:00000000-0000-4000-8000-{n:012}","resource":{patient}}}"#))
        .collect();
    let bundle =
        format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{}]}}"#, entries.join(","));
    measure("Bundle of 100 Patients", validator, &bundle);
}

/// The text without white space, as it is sent.
fn compact(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text).expect("an example").to_string()
}

/// Processor time of this process; wall time would measure the neighbours on a shared machine. Linux only.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn measure(name: &str, validator: &Validator, text: &str) {
    let run = Duration::from_secs(2);
    let mut count = 0u32;
    let (started, before) = (Instant::now(), processor_time());
    while started.elapsed() < run {
        for _ in 0..10 {
            assert!(black_box(validator.validate(black_box(text.as_bytes()))).is_valid());
        }
        count += 10;
    }
    let wall = started.elapsed();
    let used = before.zip(processor_time()).map_or(wall, |(before, after)| after - before);
    let rate = |time: Duration| f64::from(count) / time.as_secs_f64();
    eprintln!(
        "{name:24} {:6} bytes {:8.0} /s of processor time, {:8.0} /s of wall time",
        text.len(),
        rate(used),
        rate(wall)
    );
}
