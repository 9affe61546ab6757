//! ED and RP to Attachment.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use sha1::{Digest as _, Sha1};

use crate::document::extract;
use crate::primitive;
use crate::scope::Scope;
use crate::unmapped::{WITH_PARTS, bit};
use crate::value::{Map, Text, Value, json};

const ALTERNATE_CODES: &str = "http://hl7.org/fhir/StructureDefinition/alternate-codes";

/// Bytes of text of one document that are taken over; what a FHIR string may have, and room for a word.
const LONGEST: usize = 1_000_000;

/// What an ED holds, and its MIME type. Data has its encoding fourth and its content fifth.
fn content(scope: Scope<'_>) -> Option<(Vec<u8>, String)> {
    let text = |n: usize| primitive::string(&scope.child(n).text());
    let data = scope.child(5).full_text();
    let bytes = match text(4)?.to_ascii_lowercase().as_str() {
        "base64" => STANDARD.decode(primitive::base64(&data)?).ok(),
        "hex" => hex(&data),
        "a" => primitive::string(&data).map(|text| text.as_bytes().to_vec()),
        _ => None,
    }?;
    Some((bytes, content_type(text(2).as_deref(), text(3).as_deref())))
}

/// The text of an embedded document, for people to read, or a sentence that says why there is none: what cannot be read
/// must not look as if it said nothing. `None` where the document is its own text, so that nobody reads it twice, and
/// where there is no document.
pub(crate) fn text(scope: Scope<'_>, own_text: bool) -> Option<Text> {
    let Some((bytes, kind)) = content(scope) else {
        let elsewhere = address(scope).is_some();
        return elsewhere
            .then(|| Text::const_new("The document is not in the message but at the address given."));
    };
    if own_text && matches!(kind.as_str(), "text/plain" | "text/html") && std::str::from_utf8(&bytes).is_ok()
    {
        return None;
    }
    let shown = match extract::text(&kind, &bytes) {
        Ok(found) => {
            let mut text = found.text;
            let cut = found.cut || text.len() > LONGEST;
            if cut {
                text.truncate(text.floor_char_boundary(LONGEST));
                text.push_str("\n\nThe document is longer; this is as much of it as was read.");
            }
            text
        }
        Err(unread) => {
            format!("No text could be read from this document ({kind}, {} bytes): {unread}.", bytes.len())
        }
    };
    primitive::string(&shown)
}

/// What an attachment says of its data: how long it is, and its SHA-1 hash (FHIR 4.0.1, Attachment).
fn weigh(body: &mut Map, bytes: &[u8]) {
    // More than an unsignedInt can say is not said.
    if let Ok(size) = i32::try_from(bytes.len()) {
        body.insert("size", Value::from(size));
    }
    body.insert("hash", Value::from(STANDARD.encode(Sha1::digest(bytes))));
}

/// The address in an RP.
fn address(scope: Scope<'_>) -> Option<Text> {
    primitive::uri(&scope.child(1).text()).filter(|url| url.contains(':'))
}

/// ED or RP to Attachment. A pointer has its address first.
pub(crate) fn attachment(scope: Scope<'_>, used: &mut u64) -> Option<Map> {
    let text = |n: usize| primitive::string(&scope.child(n).text());
    let mut body = Map::new();
    if let Some((bytes, content_type)) = content(scope) {
        *used |= bit(2) | bit(3) | bit(4) | bit(5) | WITH_PARTS;
        body.insert("contentType", Value::from(content_type));
        body.insert("data", Value::from(STANDARD.encode(&bytes)));
        weigh(&mut body, &bytes);
        // A type without a subtype is no MIME type, so the code stands beside the one made of it.
        if let (Some(kind), None) = (text(2), text(3)) {
            let coding = json!({"system": "http://terminology.hl7.org/CodeSystem/v2-0191", "code": kind});
            let original = json!({"url": ALTERNATE_CODES, "valueCodeableConcept": {"coding": [coding]}});
            body.insert("_contentType", json!({"extension": [original]}));
        }
        return Some(body);
    }
    let url = address(scope)?;
    *used |= bit(1) | bit(3) | bit(4);
    if let (Some(kind), Some(subtype)) = (text(3), text(4)) {
        body.insert("contentType", Value::from(content_type(Some(&kind), Some(&subtype))));
    }
    body.insert("url", Value::from(url));
    Some(body)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    digits.chunks(2).map(|pair| Some(nibble(*pair.first()?)? << 4 | nibble(*pair.get(1)?)?)).collect()
}

/// HL7 tables 0191 and 0291 to a MIME type.
fn content_type(kind: Option<&str>, subtype: Option<&str>) -> String {
    let subtype = subtype.unwrap_or_default().to_ascii_lowercase();
    let main = match kind.unwrap_or_default().to_ascii_lowercase().as_str() {
        "im" | "image" => "image",
        "au" | "audio" => "audio",
        "tx" | "text" | "ft" => "text",
        "video" => "video",
        "multipart" => "multipart",
        _ => "application",
    };
    let subtype = match subtype.as_str() {
        "" if main == "text" => "plain",
        "" => "octet-stream",
        "pdf" => return "application/pdf".into(),
        "jpg" => "jpeg",
        "rtf" => return "application/rtf".into(),
        "html" | "xml" | "plain" if main == "application" => return format!("text/{subtype}"),
        other => other,
    };
    let clean: String =
        subtype.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '+')).collect();
    format!("{main}/{clean}")
}

/// Text as an attachment.
pub(crate) fn text_attachment(text: &str) -> Value {
    let mut body = Map::new();
    body.insert("contentType", Value::from("text/plain; charset=utf-8"));
    body.insert("data", Value::from(STANDARD.encode(text)));
    weigh(&mut body, text.as_bytes());
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mime_types() {
        assert_eq!(content_type(Some("IM"), Some("JPG")), "image/jpeg");
        assert_eq!(content_type(Some("application"), Some("pdf")), "application/pdf");
        assert_eq!(content_type(None, None), "application/octet-stream");
    }

    #[test]
    fn hexadecimal_data() {
        assert_eq!(hex("4a 4B"), Some(vec![0x4a, 0x4b]));
        assert_eq!(hex("4"), None);
    }
}
