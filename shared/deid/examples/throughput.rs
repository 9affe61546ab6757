//! Characters a second of `redact_text` by rules alone on one thread: `cargo run --release --example throughput -- FILE…`.

use std::time::Instant;

use wardstream_deid::{Config, Gazetteer, Redactor, SecretKey};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redactor = Redactor::new(Config::new(SecretKey::from_bytes([1u8; 32])?, 1, "throughput"))?;
    let identities = Gazetteer::from_identities([]);
    redactor.redact_text("Dr. Roe, 555-0100", &identities);
    let (mut characters, mut spans) = (0, 0);
    let mut texts = Vec::new();
    for file in std::env::args().skip(1) {
        texts.push(std::fs::read_to_string(file)?);
    }
    let start = Instant::now();
    for text in &texts {
        // Notes are a few thousand characters long.
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let mut end = rest.len().min(3000);
            while !rest.is_char_boundary(end) {
                end += 1;
            }
            let (note, after) = rest.split_at(end);
            characters += note.chars().count();
            spans += redactor.redact_text(note, &identities).spans.len();
            rest = after;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("{characters} characters, {spans} spans, {:.0} characters/s", characters as f64 / seconds);
    Ok(())
}
