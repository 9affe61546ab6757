//! string, markdown, code and base64Binary.

use super::{MAX_STRING, Violation};
use crate::IssueType;

pub(super) fn string(value: &str) -> Result<(), Violation> {
    let mut blank = true;
    for &byte in value.as_bytes() {
        if byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r') {
            return Err(Violation::value(
                "control characters other than tab and line breaks are not allowed",
            ));
        }
        blank &= byte.is_ascii_whitespace();
    }
    // U+00A0 and its like look blank but are characters; `\S` in the specification's expression takes them.
    if blank {
        return Err(Violation::value(
            "a text must hold more than white space; leave the element out instead",
        ));
    }
    if value.len() > MAX_STRING && value.chars().count() > MAX_STRING {
        let message = "a text may not be longer than 1,048,576 characters";
        return Err(Violation { message, code: IssueType::TooLong });
    }
    Ok(())
}

/// No white space around, and single spaces inside.
pub(super) fn code(value: &str) -> Result<(), Violation> {
    let expected = "a code is expected: no space before or after it, and at most single spaces inside";
    let mut space = true;
    for character in value.chars() {
        if character.is_control() || (character.is_whitespace() && space) {
            return Err(Violation::value(expected));
        }
        space = character.is_whitespace();
    }
    if space { Err(Violation::value(expected)) } else { Ok(()) }
}

/// RFC 4648, section 4; white space is allowed (FHIR R4, 2.24.0.1, base64Binary).
pub(super) fn base64(value: &str) -> Result<(), Violation> {
    let expected =
        "base64 is expected: letters, digits, + and /, in groups of four, padded with = at the end only";
    let (mut count, mut padding) = (0usize, 0usize);
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => count += 1,
            b'=' => {
                count += 1;
                padding += 1;
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => return Err(Violation::value(expected)),
        }
    }
    if count == 0 || count % 4 != 0 || padding > 2 { Err(Violation::value(expected)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_hold_something() {
        assert!(["a", " a ", "\n x", "é", "\u{A0}"].iter().all(|value| string(value).is_ok()));
        assert!(["", " ", "\t\r\n", "a\u{0}", "\u{1}"].iter().all(|value| string(value).is_err()));
        let long = "x".repeat(MAX_STRING + 1);
        assert_eq!(string(&long).unwrap_err().code, IssueType::TooLong);
        assert!(string(&"é".repeat(MAX_STRING)).is_ok());
    }

    #[test]
    fn codes_have_single_spaces() {
        assert!(["a", "a b", "1.2"].iter().all(|value| code(value).is_ok()));
        assert!(["", " a", "a ", "a  b", "a\nb\n"].iter().all(|value| code(value).is_err()));
    }

    #[test]
    fn base64_is_complete() {
        assert!(["QQ==", "QUI=", "QUJD", "QUJD\nQUJD"].iter().all(|value| base64(value).is_ok()));
        assert!(["", "QQ=", "Q===", "QU?D", "Q=QQ", "QUJDQ"].iter().all(|value| base64(value).is_err()));
    }
}
