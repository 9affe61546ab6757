//! Any bytes: validation never panics, is bounded, and its OperationOutcome is itself valid.

#![no_main]

#[path = "../../tests/exercise/mod.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    exercise::validate(bytes);
});
