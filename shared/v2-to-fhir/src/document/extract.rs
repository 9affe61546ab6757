//! Text out of embedded documents, or why there is none.

use std::fmt;

use encoding_rs::{Encoding, WINDOWS_1252};

use super::{markup, mime, pdf, rtf};

/// Documents within documents.
const DEPTH: usize = 3;

/// The text of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) text: String,
    /// Whether there was more than could be read.
    pub(crate) cut: bool,
}

/// Why a document has no text here. `Display` completes the sentence "No text could be read from this document: …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    Kind,
    Encrypted,
    Damaged,
    Pictures,
    Fonts,
    Empty,
    TooLarge,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "documents of this type are not read",
            Self::Encrypted => "it is encrypted",
            Self::Damaged => "it is damaged",
            Self::Pictures => "it consists of pictures",
            Self::Fonts => "its fonts do not say which characters they show",
            Self::Empty => "it has none",
            Self::TooLarge => "it is too large",
        })
    }
}

/// The text of a document of that MIME type, for people to read. What a document is shows in how it begins, whatever its
/// sender calls it.
pub(crate) fn text(content_type: &str, bytes: &[u8]) -> Result<Found, Unread> {
    within(content_type, bytes, DEPTH)
}

/// The same of a document that may be in others.
pub(super) fn within(content_type: &str, bytes: &[u8], depth: usize) -> Result<Found, Unread> {
    let depth = depth.checked_sub(1).ok_or(Unread::TooLarge)?;
    let begin = bytes.trim_ascii_start();
    let head = begin.get(..1024).unwrap_or(begin);
    let whole = |text: String| Ok(Found { text, cut: false });
    let found = if memchr::memmem::find(head, b"%PDF-").is_some() {
        pdf::text(bytes)
    } else if begin.starts_with(b"{\\rtf") || matches!(content_type, "application/rtf" | "text/rtf") {
        whole(rtf::text(bytes))
    } else if content_type == "application/pdf" {
        Err(Unread::Damaged)
    } else if content_type.starts_with("multipart/")
        || head.get(..13).is_some_and(|h| h.eq_ignore_ascii_case(b"mime-version:"))
    {
        mime::text(bytes, depth)
    } else if ["xml", "html", "cda"].iter().any(|kind| content_type.contains(kind))
        || begin.starts_with(b"<?xml")
    {
        let decoded = decoded(bytes);
        match markup::clinical_document(&decoded, depth) {
            Some(found) => found,
            None => whole(markup::text(&decoded)),
        }
    } else if content_type.starts_with("text/") {
        whole(decoded(bytes))
    } else {
        Err(Unread::Kind)
    }?;
    let text = tidy(&found.text);
    if text.is_empty() { Err(Unread::Empty) } else { Ok(Found { text, ..found }) }
}

/// Text in UTF-8 or UTF-16 where it says or shows so, else in Windows-1252, which is what old documents are written in.
fn decoded(bytes: &[u8]) -> String {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(bytes.get(mark..).unwrap_or_default()).0.into_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

/// Lines without blanks at their ends, and no more than one empty line in a row.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.lines().map(str::trim_end) {
        empty = if line.trim().is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            out.push_str(line.trim());
            out.push('\n');
        }
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(kind: &str, bytes: &[u8]) -> Result<String, Unread> {
        text(kind, bytes).map(|found| found.text)
    }

    #[test]
    fn plain_text_is_read_in_its_characters() {
        assert_eq!(read("text/plain", b"caf\xe9").as_deref(), Ok("café"));
        assert_eq!(read("text/plain", "\u{feff}café".as_bytes()).as_deref(), Ok("café"));
        assert_eq!(read("text/plain", b"\xff\xfec\0a\0f\0\xe9\0").as_deref(), Ok("café"));
        assert_eq!(read("text/plain", b" a \r\n\r\n\r\n b").as_deref(), Ok("a\n\nb"));
    }

    #[test]
    fn what_has_no_text_says_why() {
        assert_eq!(read("image/jpeg", &[0xff, 0xd8]), Err(Unread::Kind));
        assert_eq!(read("text/plain", b" \r\n "), Err(Unread::Empty));
        assert_eq!(read("application/pdf", b"%PDF-1.7"), Err(Unread::Damaged));
        assert_eq!(read("application/pdf", b"no such file"), Err(Unread::Damaged));
    }

    #[test]
    fn how_a_document_begins_says_what_it_is() {
        assert_eq!(read("application/octet-stream", br"{\rtf1 one}").as_deref(), Ok("one"));
        assert_eq!(
            read("application/octet-stream", b"<?xml version='1.0'?><p>one</p>").as_deref(),
            Ok("one")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(kind in prop::sample::select(vec!["application/rtf", "text/html", "text/plain", "application/pdf", "multipart/related"]), bytes: Vec<u8>) {
            let _ = text(kind, &bytes);
        }

        #[test]
        fn any_markup_is_read(sent in "([<>&;/!\\-\\[\\]{}\\\\'*# a-z0-9é]|<!--|]]>|<!\\[CDATA\\[|\\\\u|\\\\'){0,40}") {
            let _ = text("text/xml", sent.as_bytes());
            let _ = text("application/rtf", sent.as_bytes());
        }

        #[test]
        fn any_parts_are_read(sent in "(Content-Type: (text/plain|multipart/mixed; boundary=\"?b\"?)|Content-Transfer-Encoding: (base64|quoted-printable)|--b|--b--|=C3=A9|=\r\n|[a-z=]|\r\n|\n){0,40}") {
            let _ = text("multipart/mixed", sent.as_bytes());
        }
    }
}
