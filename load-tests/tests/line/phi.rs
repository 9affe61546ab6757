//! Looking for planted identifiers where none may be.

use std::collections::{BTreeSet, HashMap};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use wardstream_load_tests::FeedMessage;

use crate::harness::Position;

/// From this many bytes on, an identifier does not occur by chance.
const LONG: usize = 8;

/// Every identifier planted in any message, as written.
///
/// Dates as FHIR writes them (`2025-03-01`) are looked for only in what was made of their own message: dates are
/// shifted, and the shifted date of one patient may well be a true date of another.
pub(crate) struct Planted {
    words: usize,
    everywhere: AhoCorasick,
    dates: HashMap<String, AhoCorasick>,
}

impl Planted {
    pub(crate) fn of(feed: &[FeedMessage], positions: &[Position]) -> Self {
        let mut words = BTreeSet::new();
        let mut dates: HashMap<String, BTreeSet<String>> = HashMap::new();
        for (message, position) in feed.iter().zip(positions) {
            for word in message.truth.identifiers.iter().chain(&message.truth.staff) {
                if is_fhir_date(word) {
                    dates.entry(position.event_id()).or_default().insert(word.clone());
                } else {
                    words.insert(word.as_str());
                }
                // PID-7 as FHIR would write it.
                if let Ok(date) = jiff::civil::Date::strptime("%Y%m%d", word) {
                    dates.entry(position.event_id()).or_default().insert(date.to_string());
                }
            }
        }
        Self {
            words: words.len(),
            everywhere: AhoCorasick::new(&words).unwrap(),
            dates: dates
                .iter()
                .map(|(event, words)| (event.clone(), AhoCorasick::new(words).unwrap()))
                .collect(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.words
    }

    /// How many of them stand in `bytes`, which were made of that event, or of all.
    pub(crate) fn count_in(&self, event: Option<&str>, bytes: &[u8]) -> usize {
        let dates = event.and_then(|event| self.dates.get(event)).map_or(0, |dates| count(dates, bytes));
        dates + count(&self.everywhere, bytes)
    }

    /// How many stand in the texts that JSON carries in Base64.
    pub(crate) fn count_in_attachments(&self, event: &str, json: &Value) -> usize {
        match json {
            Value::String(text) => {
                STANDARD.decode(text).map_or(0, |bytes| self.count_in(Some(event), &bytes))
            }
            Value::Array(values) => values.iter().map(|value| self.count_in_attachments(event, value)).sum(),
            Value::Object(values) => {
                values.values().map(|value| self.count_in_attachments(event, value)).sum()
            }
            _ => 0,
        }
    }
}

/// A short one counts only where it is a word of its own, since five digits stand in many a timestamp. Avro writes
/// a string as it is, behind its length, which is no letter or digit for strings under 24 bytes.
fn count(search: &AhoCorasick, bytes: &[u8]) -> usize {
    search
        .find_overlapping_iter(bytes)
        .filter(|found| {
            let part = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            let before = found.start().checked_sub(1).and_then(|at| bytes.get(at));
            let whole = !part(before) && !part(bytes.get(found.end()));
            let word = &bytes[found.start()..found.end()];
            (word.len() >= LONG || whole) && !is_another_thing(word, &bytes[found.end()..])
        })
        .count()
}

/// What is written like an identifier and is none: the day of a FHIR dateTime, which is shifted and may fall on a
/// day that the prose named; and a LOINC code with the digits of a postal code.
fn is_another_thing(word: &[u8], rest: &[u8]) -> bool {
    let is_date = str::from_utf8(word).is_ok_and(is_fhir_date);
    let is_loinc = word.len() == 5
        && word.iter().all(u8::is_ascii_digit)
        && matches!(rest, [b'-', check, b'"', ..] if check.is_ascii_digit());
    is_loinc || (is_date && rest.first() == Some(&b'T'))
}

fn is_fhir_date(word: &str) -> bool {
    word.len() == 10 && word.parse::<jiff::civil::Date>().is_ok()
}
