//! Values with a unit, written the way people write them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is not a number with a known unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No unit, or one that is not known.
    #[error("a number needs one of the units {0}")]
    Unit(&'static str),
    /// The number is missing or is no whole decimal number.
    #[error("a whole decimal number must stand before each unit")]
    Number,
    /// The value does not fit 64 bits.
    #[error("the value is too large")]
    TooLarge,
}

/// A length of time with millisecond resolution, written `250ms`, `15s`, `5m`, `2h`, `7d`, or a sequence such as
/// `1m30s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

const DURATION_UNITS: &str = "ms, s, m, h, d";
const DURATION: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Duration {
    /// A number of milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// A number of seconds; saturates at the largest representable length.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// As the standard library's type.
    #[must_use]
    pub const fn get(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.get()
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        // A whole number of the largest unit that divides it: `90s` reads back as what was written more often
        // than `1m30s` does.
        for (unit, millis) in DURATION {
            if self.0.is_multiple_of(millis) {
                return write!(f, "{}{unit}", self.0 / millis);
            }
        }
        Ok(())
    }
}

impl FromStr for Duration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut rest = text.trim();
        let mut total = 0u64;
        if rest.is_empty() {
            return Err(UnitError::Number);
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let number = whole(number)?;
            let scale =
                DURATION.iter().find(|(name, _)| *name == unit).ok_or(UnitError::Unit(DURATION_UNITS))?.1;
            total = number
                .checked_mul(scale)
                .and_then(|part| total.checked_add(part))
                .ok_or(UnitError::TooLarge)?;
            rest = tail.trim_start();
        }
        Ok(Self(total))
    }
}

/// A number of bytes, written `512B`, `64KiB`, `8MiB`, `1GiB` (powers of 1024) or `1kB`, `5MB`, `2GB` (powers of
/// 1000).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

const BYTE_UNITS: &str = "B, KiB, MiB, GiB, TiB, kB, MB, GB, TB";
const BYTES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// A number of bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A number of KiB (1024 bytes); saturates.
    #[must_use]
    pub const fn from_kib(kib: u64) -> Self {
        Self(kib.saturating_mul(1 << 10))
    }

    /// A number of MiB (1024² bytes); saturates.
    #[must_use]
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib.saturating_mul(1 << 20))
    }

    /// In bytes.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// In bytes, at most what memory can address.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0B");
        }
        for (unit, bytes) in BYTES {
            if self.0.is_multiple_of(bytes) {
                return write!(f, "{}{unit}", self.0 / bytes);
            }
        }
        Ok(())
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number = whole(number)?;
        let unit = unit.trim_start();
        let scale = BYTES.iter().find(|(name, _)| *name == unit).ok_or(UnitError::Unit(BYTE_UNITS))?.1;
        number.checked_mul(scale).map(Self).ok_or(UnitError::TooLarge)
    }
}

fn whole(digits: &str) -> Result<u64, UnitError> {
    if digits.is_empty() {
        return Err(UnitError::Number);
    }
    // Only ASCII digits come here, so the one thing left that can fail is the size.
    digits.parse().map_err(|_| UnitError::TooLarge)
}

macro_rules! text_form {
    ($type:ident, $format:literal, $expected:literal, $example:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format, "x-expected": $expected, "examples": [$example] })
            }
        }
    };
}

text_form!(Duration, "wardstream-duration", "a length of time such as `250ms`, `15s` or `2h`", "15s");
text_form!(ByteSize, "wardstream-byte-size", "a size such as `64KiB` or `8MiB`", "8MiB");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_read_as_written() {
        for (text, millis) in [
            ("0s", 0),
            ("50ms", 50),
            ("15s", 15_000),
            ("5m", 300_000),
            ("1m30s", 90_000),
            ("1h 5m", 3_900_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(text.parse(), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_refused() {
        assert_eq!("15".parse::<Duration>(), Err(UnitError::Unit(DURATION_UNITS)));
        assert_eq!("8".parse::<ByteSize>(), Err(UnitError::Unit(BYTE_UNITS)));
        assert_eq!("".parse::<Duration>(), Err(UnitError::Number));
        assert_eq!("s".parse::<Duration>(), Err(UnitError::Number));
        assert_eq!("-1s".parse::<Duration>(), Err(UnitError::Number));
        assert_eq!("99999999999999999999s".parse::<Duration>(), Err(UnitError::TooLarge));
        assert_eq!("18446744073709551615d".parse::<Duration>(), Err(UnitError::TooLarge));
        assert_eq!("8mb".parse::<ByteSize>(), Err(UnitError::Unit(BYTE_UNITS)));
    }

    #[test]
    fn sizes_read_as_written() {
        assert_eq!("8MiB".parse(), Ok(ByteSize::from_mib(8)));
        assert_eq!("64 KiB".parse(), Ok(ByteSize::from_kib(64)));
        assert_eq!("5MB".parse(), Ok(ByteSize::from_bytes(5_000_000)));
        assert_eq!("1B".parse(), Ok(ByteSize::from_bytes(1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn what_is_shown_reads_back(value: u64) {
            prop_assert_eq!(Duration(value).to_string().parse(), Ok(Duration(value)));
            prop_assert_eq!(ByteSize(value).to_string().parse(), Ok(ByteSize(value)));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Duration>();
            let _ = text.parse::<ByteSize>();
        }
    }
}
