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
    for (name, text) in shapes::all(1_000_000) {
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
