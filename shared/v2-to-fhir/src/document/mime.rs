//! Text out of a MIME package (RFC 2045, RFC 2046), which is how a CDA document travels in an ED with its pictures
//! (HL7 CDA R2, section 3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::extract::{self, Found, Unread};
use crate::primitive;

/// Parts of one package that are looked at.
const PARTS: usize = 64;

/// The texts of all parts that can be read; what is wrong with the first part where none can.
pub(super) fn text(bytes: &[u8], depth: usize) -> Result<Found, Unread> {
    let package = Entity::parse(bytes);
    let Some(boundary) = package.parameter("boundary") else {
        return match package.kind().as_str() {
            "" => Err(Unread::Damaged),
            kind if kind.starts_with("multipart/") => Err(Unread::Damaged),
            kind => extract::within(kind, &package.content().ok_or(Unread::Damaged)?, depth),
        };
    };
    let mark = format!("--{boundary}");
    let mut parts = Parts { rest: package.body, mark: mark.as_bytes() };
    // What stands before the first boundary is for readers that know no MIME.
    parts.next();
    let (mut text, mut cut, mut first) = (String::new(), false, None);
    // Of alternatives the last one is the best, and any of them is all of it.
    let one = package.kind() == "multipart/alternative";
    for part in parts.take(PARTS) {
        let part = Entity::parse(part);
        let found = match part.content() {
            Some(content) if part.parameter("boundary").is_some() => {
                let whole = [part.head, b"\n\n", &content].concat();
                extract::within("multipart/mixed", &whole, depth)
            }
            Some(content) => extract::within(&part.kind(), &content, depth),
            None => Err(Unread::Damaged),
        };
        match found {
            Ok(found) => {
                if one {
                    text.clear();
                }
                text.push_str(&found.text);
                text.push_str("\n\n");
                cut |= found.cut;
            }
            Err(unread) => first = first.or(Some(unread)),
        }
    }
    if text.is_empty() { Err(first.unwrap_or(Unread::Damaged)) } else { Ok(Found { text, cut }) }
}

/// Header lines and what follows them.
struct Entity<'b> {
    head: &'b [u8],
    body: &'b [u8],
}

impl<'b> Entity<'b> {
    fn parse(bytes: &'b [u8]) -> Self {
        let bytes = bytes.trim_ascii_start();
        let ends = [&b"\r\n\r\n"[..], b"\n\n", b"\r\r"];
        let end = ends.iter().filter_map(|end| Some((memchr::memmem::find(bytes, end)?, end.len()))).min();
        let (at, length) = end.unwrap_or((bytes.len(), 0));
        Self { head: bytes.get(..at).unwrap_or_default(), body: bytes.get(at + length..).unwrap_or_default() }
    }

    /// The value of a header field, its continuation lines joined.
    fn header(&self, name: &str) -> Option<String> {
        let head = String::from_utf8_lossy(self.head);
        let mut lines = head.split(['\r', '\n']).filter(|line| !line.is_empty()).peekable();
        while let Some(line) = lines.next() {
            let Some((field, value)) = line.split_once(':') else { continue };
            if field.trim().eq_ignore_ascii_case(name) {
                let mut value = value.trim().to_owned();
                while let Some(more) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
                    value.push(' ');
                    value.push_str(more.trim());
                }
                return Some(value);
            }
        }
        None
    }

    fn kind(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let value = self.header("content-type")?;
        let found = value.split(';').skip(1).find_map(|parameter| {
            let (field, value) = parameter.split_once('=')?;
            field.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
        });
        found.filter(|value| !value.is_empty())
    }

    fn content(&self) -> Option<Vec<u8>> {
        let encoding = self.header("content-transfer-encoding").unwrap_or_default();
        match encoding.to_ascii_lowercase().as_str() {
            "base64" => {
                let text = std::str::from_utf8(self.body).ok()?;
                primitive::base64(text).and_then(|data| STANDARD.decode(data).ok())
            }
            "quoted-printable" => Some(quoted_printable(self.body)),
            _ => Some(self.body.to_vec()),
        }
    }
}

/// What lies between boundaries.
struct Parts<'b> {
    rest: &'b [u8],
    mark: &'b [u8],
}

impl<'b> Iterator for Parts<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let at = memchr::memmem::find(self.rest, self.mark);
        let part = self.rest.get(..at.unwrap_or(self.rest.len()));
        let rest = at.and_then(|at| self.rest.get(at + self.mark.len()..)).unwrap_or_default();
        self.rest = if rest.starts_with(b"--") { &[] } else { rest };
        part
    }
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            out.push(byte);
            continue;
        }
        match after {
            [b'\r', b'\n', more @ ..] | [b'\r' | b'\n', more @ ..] => rest = more,
            [high, low, more @ ..] => {
                let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
                match (nibble(*high), nibble(*low)) {
                    (Some(high), Some(low)) => {
                        out.push(high << 4 | low);
                        rest = more;
                    }
                    _ => out.push(byte),
                }
            }
            _ => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sent: &str) -> Result<String, Unread> {
        extract::text("multipart/x-hl7-cda-level-one", sent.as_bytes()).map(|found| found.text)
    }

    #[test]
    fn a_clinical_document_in_a_package_is_read() {
        let cda = "<ClinicalDocument><component><structuredBody><component><section><text>Clear.</text></section></component></structuredBody></component></ClinicalDocument>";
        let sent = format!(
            "MIME-Version: 1.0\r\nContent-Type: multipart/related;\r\n boundary=\"HL7-CDA\"\r\n\r\nignored\r\n--HL7-CDA\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Transfer-Encoding: BASE64\r\n\r\n{}\r\n--HL7-CDA\r\nContent-Type: image/jpeg\r\n\r\nxx\r\n--HL7-CDA--\r\nend",
            STANDARD.encode(cda)
        );
        assert_eq!(read(&sent).as_deref(), Ok("Clear."));
    }

    #[test]
    fn of_alternatives_one_is_read() {
        let sent = "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\nfi=C3=A8vre\n--b\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<p>fi=C3=A8=\nvre</p>\n--b--";
        assert_eq!(read(sent).as_deref(), Ok("fièvre"));
    }

    #[test]
    fn a_package_without_text_says_why() {
        assert_eq!(read("no headers"), Err(Unread::Damaged));
        assert_eq!(
            read("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: image/png\n\nx\n--b--"),
            Err(Unread::Kind)
        );
        let mut nested = "Content-Type: text/plain\n\ndeep".to_owned();
        for n in 0..5 {
            nested = format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n{nested}\n--b{n}--");
        }
        assert_eq!(read(&nested), Err(Unread::TooLarge));
    }
}
