//! decimal, integer, unsignedInt and positiveInt.

use super::Violation;

/// The reader has checked the digits; what is left is that a binary or decimal float can hold the value.
pub(super) fn decimal(value: &str) -> Result<(), Violation> {
    match value.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(()),
        _ => Err(Violation::value("a decimal number that is not beyond all bounds is expected")),
    }
}

/// A whole number without sign, fraction or exponent where the type has none, from `min` to 2^31 - 1.
pub(super) fn integer(value: &str, min: i64) -> Result<(), Violation> {
    let expected = match min {
        1 => "a whole number from 1 to 2147483647 is expected (positiveInt)",
        0 => "a whole number from 0 to 2147483647 is expected (unsignedInt)",
        _ => {
            "a whole number from -2147483648 to 2147483647, without fraction or exponent, is expected (integer)"
        }
    };
    match value.parse::<i64>() {
        Ok(number) if number >= min && number <= i64::from(i32::MAX) && value != "-0" => Ok(()),
        _ => Err(Violation::value(expected)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_whole_and_bounded() {
        for (value, min, valid) in [
            ("0", i64::from(i32::MIN), true),
            ("-2147483648", i64::from(i32::MIN), true),
            ("2147483647", 1, true),
            ("2147483648", 1, false),
            ("1.0", 0, false),
            ("1e3", 0, false),
            ("0", 1, false),
            ("-1", 0, false),
            ("-0", 0, false),
            ("99999999999999999999", 0, false),
        ] {
            assert_eq!(integer(value, min).is_ok(), valid, "{value} from {min}");
        }
    }

    #[test]
    fn decimals_keep_any_precision_but_are_finite() {
        assert!(decimal("3.1415926535897932384626433832795").is_ok());
        assert!(decimal("1e400").is_err());
        assert!(decimal("-1.5E-3").is_ok());
    }
}
