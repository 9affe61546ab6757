//! uri, url, canonical, id, oid and uuid.

use super::Violation;

const ID: &str = "an id is expected: 1 to 64 letters, digits, hyphens and dots";
const OID: &str = "an OID is expected, written as urn:oid:1.2.3";
const UUID: &str =
    "a UUID is expected, written as urn:uuid: and 32 lower-case hexadecimal digits in 8-4-4-4-12 groups";
const URI: &str = "a URI is expected, without spaces and not empty";
const CANONICAL: &str = "a canonical URL is expected: absolute, or # and the id of a contained resource; a version follows after |";

pub(super) fn id(value: &str) -> Result<(), Violation> {
    if is_id(value) { Ok(()) } else { Err(Violation::value(ID)) }
}

pub(super) fn oid(value: &str) -> Result<(), Violation> {
    if value.strip_prefix("urn:oid:").is_some_and(is_oid) { Ok(()) } else { Err(Violation::value(OID)) }
}

pub(super) fn uuid(value: &str) -> Result<(), Violation> {
    let lower = !value.bytes().any(|byte| byte.is_ascii_uppercase());
    if lower && value.strip_prefix("urn:uuid:").is_some_and(is_uuid) {
        Ok(())
    } else {
        Err(Violation::value(UUID))
    }
}

pub(super) fn uri(value: &str) -> Result<(), Violation> {
    // Nearly all are ASCII, of which a look at each byte says as much.
    let plain = value.bytes().all(|byte| byte.is_ascii_graphic())
        || !value.chars().any(|character| character.is_whitespace() || character.is_control());
    if value.is_empty() || !plain {
        return Err(Violation::value(URI));
    }
    match value.split_at_checked(8) {
        Some(("urn:oid:", rest)) if !is_oid(rest) => return Err(Violation::value(OID)),
        _ => {}
    }
    if value.starts_with("urn:uuid:") { uuid(value) } else { Ok(()) }
}

pub(super) fn canonical(value: &str) -> Result<(), Violation> {
    uri(value)?;
    let (url, version) = value.split_once('|').unwrap_or((value, "1"));
    let usable = (is_absolute(url) || url.starts_with('#')) && !version.is_empty();
    if usable { Ok(()) } else { Err(Violation::value(CANONICAL)) }
}

/// `[A-Za-z0-9\-\.]{1,64}`
pub(crate) fn is_id(value: &str) -> bool {
    (1..=64).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// `[0-2](\.(0|[1-9][0-9]*))+`
fn is_oid(value: &str) -> bool {
    let mut arcs = value.split('.');
    let arc = |arc: &str| {
        !arc.is_empty()
            && arc.bytes().all(|byte| byte.is_ascii_digit())
            && (arc == "0" || !arc.starts_with('0'))
    };
    matches!(arcs.next(), Some("0" | "1" | "2")) && value.contains('.') && arcs.all(arc)
}

/// The five groups of hexadecimal digits.
fn is_uuid(value: &str) -> bool {
    value.len() == 36
        && value.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whether a URI starts with a scheme (RFC 3986, section 3.1) and goes on after it.
pub(crate) fn is_absolute(value: &str) -> bool {
    value.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && !rest.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_plain() {
        assert!(["a", "A-1.b", &"x".repeat(64)].iter().all(|value| id(value).is_ok()));
        assert!(["", "a_b", "a b", "é", &"x".repeat(65)].iter().all(|value| id(value).is_err()));
    }

    #[test]
    fn urns_are_complete() {
        assert!(uri("urn:oid:2.16.840.1.113883").is_ok() && uri("urn:oid:2.16.840.01").is_err());
        assert!(uri("urn:oid:3.1").is_err() && uri("urn:oid:2").is_err() && uri("urn:oid:").is_err());
        assert!(uuid("urn:uuid:c757873d-ec9a-4326-a141-556f43239520").is_ok());
        assert!(uuid("urn:uuid:C757873D-ec9a-4326-a141-556f43239520").is_err());
        assert!(uuid("c757873d-ec9a-4326-a141-556f43239520").is_err());
        assert!(
            uri("urn:uuid:123").is_err() && uri("urn:uuid:C757873D-ec9a-4326-a141-556f43239520").is_err()
        );
        assert!(oid("urn:oid:1.2.3").is_ok() && oid("1.2.3").is_err());
    }

    #[test]
    fn uris_have_no_spaces() {
        assert!(["http://a.b/c", "a", "#x", "mailto:a@b"].iter().all(|value| uri(value).is_ok()));
        assert!(["", "a b", " http://a", "http://a\n"].iter().all(|value| uri(value).is_err()));
        assert!(
            canonical("http://a.b/c|1.0").is_ok() && canonical("#x").is_ok() && canonical("a/b").is_err()
        );
        assert!(canonical("http://a.b/c|").is_err());
    }
}
