//! Attachments: plain text and HTML are treated as text, everything else is withheld.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::values::absent;
use crate::Withheld;
use crate::text::tokens::is_invisible;

/// Decoded size above which an attachment is withheld.
const LARGEST: usize = 16 << 20;

/// The text of base64 data of a content type.
///
/// # Errors
/// Why it cannot be read as text.
pub(super) fn text(content_type: &str, data: &str) -> Result<String, Withheld> {
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let essence = essence.trim().to_ascii_lowercase();
    if ["image/", "audio/", "video/"].iter().any(|media| essence.starts_with(media)) {
        return Err(Withheld::Media);
    }
    let html = matches!(essence.as_str(), "text/html" | "application/xhtml+xml");
    if !html && !matches!(essence.as_str(), "text/plain" | "text/markdown" | "text/csv") {
        return Err(Withheld::Format);
    }
    let compact: String = data.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    if compact.len() / 4 * 3 > LARGEST {
        return Err(Withheld::Format);
    }
    let bytes = STANDARD.decode(compact).map_err(|_| Withheld::Format)?;
    let latin = parameters.to_ascii_lowercase().contains("8859-1");
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if latin => error.into_bytes().into_iter().map(char::from).collect(),
        Err(_) => return Err(Withheld::Format),
    };
    // A control character is a sign of something else than text, in which an identifier may hide.
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}')) {
        return Err(Withheld::Format);
    }
    Ok(if html { plain(&text) } else { text })
}

/// Puts text in the place of the data.
pub(super) fn with_text(object: &mut Map<String, Value>, text: &str) {
    object.insert("contentType".into(), json!("text/plain; charset=utf-8"));
    object.insert("data".into(), json!(STANDARD.encode(text)));
}

/// What stands for a withheld attachment: its content type, why it is absent, and a title.
pub(super) fn withheld(object: &mut Map<String, Value>, reason: Withheld) {
    object.insert("_data".into(), absent("masked"));
    object.insert("title".into(), json!(format!("withheld: {reason}")));
}

/// Elements inside a line.
const INLINE: [&str; 13] =
    ["b", "i", "u", "em", "strong", "span", "a", "font", "sub", "sup", "small", "code", "tt"];

/// The entities of HTML 4.01, section 24.2.1, from U+00A0 to U+00FF. Names of people have them: an entity that stays breaks a name in pieces
/// that no list has.
const LATIN_1: [&str; 96] = [
    "nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf", "laquo",
    "not", "shy", "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro", "para", "middot",
    "cedil", "sup1", "ordm", "raquo", "frac14", "frac12", "frac34", "iquest", "Agrave", "Aacute", "Acirc",
    "Atilde", "Auml", "Aring", "AElig", "Ccedil", "Egrave", "Eacute", "Ecirc", "Euml", "Igrave", "Iacute",
    "Icirc", "Iuml", "ETH", "Ntilde", "Ograve", "Oacute", "Ocirc", "Otilde", "Ouml", "times", "Oslash",
    "Ugrave", "Uacute", "Ucirc", "Uuml", "Yacute", "THORN", "szlig", "agrave", "aacute", "acirc", "atilde",
    "auml", "aring", "aelig", "ccedil", "egrave", "eacute", "ecirc", "euml", "igrave", "iacute", "icirc",
    "iuml", "eth", "ntilde", "ograve", "oacute", "ocirc", "otilde", "ouml", "divide", "oslash", "ugrave",
    "uacute", "ucirc", "uuml", "yacute", "thorn", "yuml",
];

/// The text of HTML: tags become breaks, comments, scripts and styles go, entities are decoded.
pub(super) fn plain(html: &str) -> String {
    let lower = html.to_ascii_lowercase();
    let mut text = String::with_capacity(html.len());
    let mut from = 0;
    // ASCII lower case keeps byte offsets, so that one serves both.
    while let Some(open) = lower[from..].find('<').map(|at| from + at) {
        decode(&html[from..open], &mut text);
        let tag = &lower[open..];
        if !tag[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
            text.push('<');
            from = open + 1;
            continue;
        }
        let end = if tag.starts_with("<!--") {
            "-->"
        } else if tag.starts_with("<script") {
            "</script>"
        } else if tag.starts_with("<style") {
            "</style>"
        } else {
            ">"
        };
        // What is not closed goes with the rest.
        from = tag.find(end).map_or(html.len(), |at| open + at + end.len());
        // Inline markup must not break a name in two.
        let name: String =
            tag.chars().skip(1).skip_while(|c| *c == '/').take_while(char::is_ascii_alphanumeric).collect();
        if !INLINE.contains(&name.as_str()) {
            text.push('\n');
        }
    }
    decode(&html[from..], &mut text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

fn decode(escaped: &str, text: &mut String) {
    let mut rest = escaped;
    while let Some(at) = rest.find('&') {
        text.extend(rest[..at].chars().filter_map(visible));
        rest = &rest[at..];
        let entity = rest.find(';').filter(|end| *end <= 10).map(|end| &rest[1..end]);
        match (entity.and_then(character), entity) {
            (Some(c), Some(entity)) => {
                text.extend(visible(c));
                rest = &rest[entity.len() + 2..];
            }
            _ => {
                text.push('&');
                rest = &rest[1..];
            }
        }
    }
    text.extend(rest.chars().filter_map(visible));
}

/// The character of an entity or a character reference, given without `&` and `;`.
fn character(entity: &str) -> Option<char> {
    if let Some(number) = entity.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    let named = match entity {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "ndash" => '–',
        "mdash" => '—',
        "OElig" => 'Œ',
        "oelig" => 'œ',
        "Scaron" => 'Š',
        "scaron" => 'š',
        "Yuml" => 'Ÿ',
        _ => (0xA0..)
            .zip(LATIN_1)
            .find(|(_, name)| *name == entity)
            .and_then(|(code, _)| char::from_u32(code))?,
    };
    Some(named)
}

/// A character as it is seen; a space for the no-break one.
fn visible(c: char) -> Option<char> {
    match c {
        '\u{a0}' => Some(' '),
        '\n' | '\r' | '\t' => Some(c),
        c => (!is_invisible(c) && !c.is_control()).then_some(c),
    }
}

/// How a narrative begins.
pub(super) const DIV: &str = "<div xmlns=\"http://www.w3.org/1999/xhtml\">";

/// Paragraphs of a narrative (FHIR R4, section 2.4.1).
pub(super) fn narrative(text: &str) -> String {
    let mut div = String::from(DIV);
    for line in text.lines() {
        let escaped = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        div.push_str("<p>");
        div.push_str(&escaped);
        div.push_str("</p>");
    }
    div.push_str("</div>");
    div
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_text_and_html_only() {
        let encoded = STANDARD.encode("a <b>bold</b>");
        assert_eq!(text("text/plain", &encoded).as_deref(), Ok("a <b>bold</b>"));
        assert_eq!(text("TEXT/HTML; charset=utf-8", &encoded).as_deref(), Ok("a bold"));
        assert_eq!(text("application/pdf", &encoded), Err(Withheld::Format));
        assert_eq!(text("text/rtf", &encoded), Err(Withheld::Format));
        assert_eq!(text("image/png", &encoded), Err(Withheld::Media));
        assert_eq!(text("text/plain", "%%%"), Err(Withheld::Format));
        assert_eq!(text("text/plain", &STANDARD.encode([0xff, 0xfe])), Err(Withheld::Format));
        assert_eq!(
            text("text/plain; charset=iso-8859-1", &STANDARD.encode([0x4a, 0xe9])).as_deref(),
            Ok("Jé")
        );
        assert_eq!(text("text/plain", &STANDARD.encode("a\u{0}b")), Err(Withheld::Format));
    }

    #[test]
    fn html_becomes_lines() {
        let html = "<div><p>Mr&#46; A &amp; B</p><!-- C --><script>D</script><br/>E&nbsp;&unknown; F</div><p";
        assert_eq!(plain(html), "Mr. A & B\nE &unknown; F");
        assert_eq!(
            narrative("a<b\nc"),
            "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>a&lt;b</p><p>c</p></div>"
        );
    }

    #[test]
    fn entities_do_not_break_words() {
        assert_eq!(
            plain("Mu&ntilde;oz &Aacute;lvarez &yuml; D&#8217;Arcy O&rsquo;Neil"),
            "Muñoz Álvarez ÿ D’Arcy O’Neil"
        );
        assert_eq!(
            plain("Ko&shy;wal&#8203;ski Ko\u{ad}wal\u{200b}ski &#0;x&#xA0;y"),
            "Kowalski Kowalski x y"
        );
        assert_eq!(plain("95&deg; &plusmn;&nbsp;2"), "95° ± 2");
    }

    #[test]
    fn a_sign_that_starts_no_tag_is_text() {
        assert_eq!(plain("<p>SpO2 < 90 and K <5, x<b>y</b> <"), "SpO2 < 90 and K <5, xy <");
    }
}
