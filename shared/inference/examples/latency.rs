//! Prints how long one classification and one summary take: `cargo run --release -p wardstream-inference --example latency`.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use wardstream_inference::{Budget, Document, Models};

const NOTE: &str = "Dear colleague, thank you for seeing this 63-year-old man with chest tightness on walking uphill, more often \
    over two weeks, none at rest. Background of diabetes. No syncope. On examination resting ECG normal, troponin negative. \
    I think this is new exertional angina. So far: aspirin and a beta blocker started. Please see within the week.";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::var_os("WARDSTREAM_MODELS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/models"), PathBuf::from);
    let models = Models::load(&folder.join("all-MiniLM-L6-v2"))?;
    for (name, text) in [("short note", NOTE.to_owned()), ("long note", NOTE.repeat(8))] {
        let document = Document::from_text(&text);
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..15 {
            let start = Instant::now();
            models.classify(&document)?;
            times[0].push(start.elapsed());
            let start = Instant::now();
            models.summarize(&document, Budget::default())?;
            times[1].push(start.elapsed());
        }
        for (what, mut times) in ["classify", "summarize"].into_iter().zip(times) {
            times.sort_unstable();
            println!("{name}: {what} median {:.1} ms", times[times.len() / 2].as_secs_f64() * 1000.0);
        }
    }
    Ok(())
}
