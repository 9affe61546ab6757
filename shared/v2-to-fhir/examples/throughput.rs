//! Messages a second on one thread: parse, convert, write as JSON.

#![expect(clippy::print_stdout, reason = "a command-line example")]

use std::time::{Duration, Instant};

use wardstream_v2_to_fhir::{Options, convert, patient_identity};

fn rate(what: &str, mut work: impl FnMut()) {
    work();
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < Duration::from_secs(3) {
        work();
        count += 1;
    }
    println!("{what}: {:.0} messages/s", f64::from(count) / start.elapsed().as_secs_f64());
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path =
        std::env::args().nth(1).unwrap_or_else(|| "shared/v2-to-fhir/tests/messages/oru_r01.hl7".into());
    let bytes = std::fs::read(&path)?;
    let options = Options::default();
    println!("{path}: {} bytes, {} segments", bytes.len(), hl7v2::Message::parse(&bytes)?.segment_count());
    rate("parse", || {
        std::hint::black_box(hl7v2::Message::parse(&bytes).is_ok());
    });
    let message = hl7v2::Message::parse(&bytes)?;
    rate("patient identity", || {
        std::hint::black_box(patient_identity(&message));
    });
    rate("convert", || {
        std::hint::black_box(convert(&message, &options).is_ok());
    });
    rate("parse, convert, write", || {
        let written = hl7v2::Message::parse(&bytes).ok().and_then(|m| convert(&m, &options).ok());
        std::hint::black_box(written.map(|c| c.bundle.to_string().len()));
    });
    Ok(())
}
