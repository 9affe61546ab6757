//! Any bytes: parsing, reading, acknowledging, splitting and unframing never panic and never contradict each other.

#![no_main]

#[path = "../../tests/exercise/mod.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exercise::everything(bytes));
