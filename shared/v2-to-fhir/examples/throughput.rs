//! Messages a second of processor time on one thread, from bytes to the text of the bundle, with the allocator that the
//! services use.
//!
//! `throughput FILE [SECONDS]` prints one line: messages a second, entries and bytes of the bundle.

#![expect(clippy::print_stdout, reason = "a command-line example")]

use std::time::{Duration, Instant};

use hl7v2::Message;
use wardstream_v2_to_fhir::{Options, convert, convert_to_text};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Processor time that this thread has had; the time since `start` where the system does not say.
fn busy(start: Instant) -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = schedule.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let bytes = std::fs::read(arguments.next().ok_or("usage: throughput FILE [SECONDS]")?)?;
    let seconds = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let options = Options::default();
    let bundle = convert(&Message::parse(&bytes)?, &options)?.bundle;
    let entries = bundle["entry"].as_array().map_or(0, Vec::len);
    let written = convert_to_text(&Message::parse(&bytes)?, &options)?.bundle.len();
    let (start, mut count) = (Instant::now(), 0_u32);
    let before = busy(start);
    while start.elapsed() < Duration::from_secs(seconds) {
        for _ in 0..100 {
            let message = Message::parse(std::hint::black_box(&bytes))?;
            std::hint::black_box(convert_to_text(&message, &options)?);
        }
        count += 100;
    }
    println!("{:.0} {entries} {written}", f64::from(count) / (busy(start) - before).as_secs_f64());
    Ok(())
}
