//! Times the texts that are made to take long: no text under 1 MiB may take more than 50 ms.
//!
//! ```text
//! cargo run --release -p wardstream-fhir --example worst_case
//! ```

#[path = "../tests/shapes/mod.rs"]
mod shapes;

use std::time::{Duration, Instant};

use wardstream_fhir::Validator;

const BOUND: Duration = Duration::from_millis(50);

fn main() {
    let validator = Validator::r4();
    let mut slowest = (Duration::ZERO, "");
    for (name, text) in shapes::all(1_000_000).into_iter().chain(vital_signs(1_000_000)) {
        // The best of five: what the machine does meanwhile is not the validator's.
        let times = (0..5).map(|_| {
            let start = Instant::now();
            let outcome = validator.validate(text.as_bytes());
            (start.elapsed(), outcome.issues.len())
        });
        let (time, findings) = times.min().unwrap_or_default();
        slowest = slowest.max((time, name));
        eprintln!("{name:40} {:8} bytes {time:10.1?} {findings:4} findings", text.len());
    }
    let verdict = if slowest.0 <= BOUND { "met" } else { "missed" };
    eprintln!("slowest: {} in {:.1?}; bound {BOUND:?}: {verdict}", slowest.1, slowest.0);
}

/// What is checked against a profile of R4 without claiming it: the checks of profiles have a bound of their own in steps.
fn vital_signs(size: usize) -> [shapes::Shape; 2] {
    let sign = |components: &str| {
        format!(
            r#"{{"resourceType":"Observation","status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"85354-9"}}]}},"subject":{{"reference":"Patient/1"}},"effectiveDateTime":"2024-05-01","component":[{components}]}}"#
        )
    };
    let component = r#"{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":107,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}"#;
    let components = vec![component; size / component.len()].join(",");
    let one = sign(component);
    let entries: Vec<String> = (0..size / (one.len() + 75))
        .map(|n| format!(r#"{{"fullUrl":"urn:uuid:00000000-0000-4000-8000-{n:012}","resource":{one}}}"#))
        .collect();
    [
        ("a vital sign of many components", sign(&components)),
        (
            "vital signs",
            format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{}]}}"#, entries.join(",")),
        ),
    ]
}
