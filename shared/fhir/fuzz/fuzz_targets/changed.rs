//! A valid example with values of the fuzzer's choice in places of its choice: so that it spends its time behind the
//! JSON reader.

#![no_main]

#[path = "../../tests/examples/mod.rs"]
mod examples;
#[path = "../../tests/exercise/mod.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<(u16, String)>)| {
    let (which, changes) = input;
    let (_, text) = examples::ALL[usize::from(which) % examples::ALL.len()];
    let mut text = text.to_owned();
    for (place, value) in changes.into_iter().take(8) {
        // Between the quotes of a name or a text, so that most results are JSON.
        let quotes: Vec<usize> = text.match_indices('"').map(|(at, _)| at).collect();
        let first = usize::from(place) % (quotes.len() / 2).max(1) * 2;
        if let [start, end] = quotes.get(first..first + 2).unwrap_or(&[]) {
            text.replace_range(start + 1..*end, &value);
        }
    }
    exercise::validate(text.as_bytes());
});
