//! HL7 v2 NM to FHIR numbers, digits kept as sent.

use crate::value::{Text, Value};

/// A decimal as FHIR writes it (FHIR 4.0.1, section 2.24.0.1), every digit of the sender kept.
///
/// NM allows a leading `+`, leading zeros and a bare point; JSON does not.
pub(crate) fn decimal(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.is_empty() || text.len() > 64 {
        return None;
    }
    let (negative, digits) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let numeric = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !numeric(whole) || !numeric(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let mut out = Text::with_capacity(text.len() + 1);
    if negative {
        out.push('-');
    }
    out.push_str(whole);
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    Some(Value::Number(out))
}

/// A comparator and a decimal: `<0.01`, `>= 5`. The comparator is absent for a bare number.
pub(crate) fn compared(text: &str) -> Option<(Option<&'static str>, Value)> {
    let text = text.trim();
    for (prefix, code) in [("<=", "<="), (">=", ">="), ("<", "<"), (">", ">")] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return decimal(rest).map(|value| (Some(code), value));
        }
    }
    decimal(text.strip_prefix('=').unwrap_or(text)).map(|value| (None, value))
}

/// An integer of at least `least` that fits FHIR's 32 bits.
pub(crate) fn integer(text: &str, least: i32) -> Option<Value> {
    let text = text.trim();
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    let value: i32 = whole.parse().ok()?;
    (value >= least).then(|| Value::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_kept() {
        for (sent, json) in
            [("4.10", "4.10"), ("+7", "7"), ("007.20", "7.20"), (".5", "0.5"), ("5.", "5"), ("-0.0", "-0.0")]
        {
            assert_eq!(decimal(sent).map(|v| v.to_string()).as_deref(), Some(json), "{sent}");
        }
        for sent in ["", "1e5x", "1,5", "--1", "5 mg", ".", "NaN"] {
            assert!(decimal(sent).is_none(), "{sent}");
        }
    }

    #[test]
    fn comparators_are_split_off() {
        assert_eq!(compared("<0.01").map(|(c, v)| (c, v.to_string())), Some((Some("<"), "0.01".into())));
        assert_eq!(compared(">= 5").map(|(c, v)| (c, v.to_string())), Some((Some(">="), "5".into())));
        assert_eq!(compared("5").map(|(c, _)| c), Some(None));
        assert!(compared("<high").is_none());
    }

    #[test]
    fn integers_are_bounded() {
        assert_eq!(integer("3.0", 1), Some(Value::from(3)));
        assert_eq!(integer("+3", 1), Some(Value::from(3)));
        assert_eq!(integer("+-3", i32::MIN), None);
        assert_eq!(integer("0", 1), None);
        assert_eq!(integer("99999999999", 0), None);
    }
}
