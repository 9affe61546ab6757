//! Text out of documents that are no text themselves: RTF, HTML, XML and CDA.

/// The text of a document of that MIME type, for people to read; `None` for one that has no text to be read here.
pub(crate) fn text(content_type: &str, bytes: &[u8]) -> Option<String> {
    let decoded = || match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(_) => bytes.iter().map(|b| windows_1252(*b)).collect(),
    };
    let text = match content_type {
        "application/rtf" | "text/rtf" => rtf(bytes),
        kind if kind.contains("xml") || kind.contains("html") || kind.contains("cda") => markup(&decoded()),
        kind if kind.starts_with("text/") => decoded(),
        _ if bytes.trim_ascii_start().starts_with(b"{\\rtf") => rtf(bytes),
        _ if bytes.trim_ascii_start().starts_with(b"<?xml") => markup(&decoded()),
        _ => return None,
    };
    let text = tidy(&text);
    (!text.is_empty()).then_some(text)
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

/// Elements that begin a line.
const BLOCKS: [&str; 21] = [
    "p",
    "div",
    "br",
    "tr",
    "li",
    "ul",
    "ol",
    "table",
    "title",
    "section",
    "text",
    "paragraph",
    "item",
    "list",
    "caption",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
];

/// What of markup is text: character data, with a line for each block. Does not mind markup that is not well formed.
fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len() / 2);
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        words(&rest[..at], &mut out);
        rest = &rest[at..];
        let end = |close: &str| rest.find(close).map_or(rest.len(), |at| at + close.len());
        if let Some(data) = rest.strip_prefix("<![CDATA[") {
            let length = data.find("]]>").unwrap_or(data.len());
            out.push_str(&data[..length]);
            rest = &rest[end("]]>")..];
            continue;
        }
        if rest.starts_with("<!--") {
            rest = &rest[end("-->")..];
            continue;
        }
        let tag = &rest[..end(">")];
        let name: String = tag
            .trim_start_matches(['<', '/'])
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric())
            .collect::<String>()
            .to_ascii_lowercase();
        rest = &rest[tag.len()..];
        if matches!(name.as_str(), "script" | "style") && tag.starts_with('<') && !tag.starts_with("</") {
            rest = rest.find("</").map_or("", |at| &rest[at..]);
        } else if BLOCKS.contains(&name.as_str()) {
            out.push('\n');
        } else if matches!(name.as_str(), "td" | "th") && !tag.starts_with("</") && !out.ends_with('\n') {
            out.push('\t');
        }
    }
    words(rest, &mut out);
    out
}

/// Character data: runs of white space are one blank, entities are what they stand for.
fn words(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c.is_whitespace() {
            if !out.ends_with(char::is_whitespace) {
                out.push(' ');
            }
            rest = rest.trim_start();
            continue;
        }
        if c == '&'
            && let Some((name, after)) = rest[1..].split_once(';')
            && name.len() <= 8
            && let Some(meant) = entity(name)
        {
            out.push(meant);
            rest = after;
            continue;
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}

/// Groups of RTF that hold no text of the document (RTF specification 1.9.1).
const HIDDEN: [&str; 10] = [
    "fonttbl",
    "colortbl",
    "stylesheet",
    "info",
    "pict",
    "object",
    "listtable",
    "themedata",
    "generator",
    "header",
];

/// The text of an RTF document.
fn rtf(bytes: &[u8]) -> String {
    let mut out = String::new();
    // Depth of groups, and the depth at which a hidden one began.
    let (mut depth, mut hidden) = (0_usize, None);
    // Characters to leave out after a `\u`, which older readers show instead.
    let mut skip = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                hidden = hidden.filter(|began| depth >= *began);
            }
            b'\\' => {
                let (word, number, next) = control(bytes, at);
                at = next;
                match word {
                    "*" => hidden = hidden.or(Some(depth)),
                    word if HIDDEN.contains(&word) => hidden = hidden.or(Some(depth)),
                    _ if hidden.is_some() => {}
                    "par" | "line" | "row" | "sect" | "page" => out.push('\n'),
                    "tab" | "cell" => out.push('\t'),
                    "'" if skip > 0 => skip -= 1,
                    "'" => out.push(windows_1252(u8::try_from(number).unwrap_or(b'?'))),
                    "u" => {
                        // Negative numbers stand for those above 32,767.
                        let code = u32::try_from(if number < 0 { number + 0x1_0000 } else { number });
                        out.push(code.ok().and_then(char::from_u32).unwrap_or('\u{fffd}'));
                        skip = 1;
                    }
                    "\\" | "{" | "}" => out.push_str(word),
                    "~" => out.push(' '),
                    _ => {}
                }
            }
            b'\r' | b'\n' => {}
            _ if hidden.is_some() => {}
            _ if skip > 0 => skip -= 1,
            byte => out.push(windows_1252(byte)),
        }
    }
    out
}

/// A control word or symbol after a backslash, its number, and where the text goes on.
fn control(bytes: &[u8], at: usize) -> (&str, i32, usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(first) = rest.first() else { return ("", 0, at) };
    if *first == b'\'' {
        let hex = rest.get(1..3).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = hex.and_then(|hex| i32::from_str_radix(hex, 16).ok());
        return ("'", code.unwrap_or(i32::from(b'?')), at + 1 + hex.map_or(0, str::len));
    }
    if !first.is_ascii_alphabetic() {
        return (rest.get(..1).and_then(|s| std::str::from_utf8(s).ok()).unwrap_or(""), 0, at + 1);
    }
    let letters = rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let after = rest.get(letters..).unwrap_or_default();
    let sign = usize::from(after.first() == Some(&b'-'));
    let digits = after.iter().skip(sign).take_while(|b| b.is_ascii_digit()).count();
    let digits = if digits == 0 { 0 } else { sign + digits };
    let number = after.get(..digits).and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| d.parse().ok());
    let blank = usize::from(after.get(digits) == Some(&b' '));
    let word = rest.get(..letters).and_then(|w| std::str::from_utf8(w).ok()).unwrap_or("");
    (word, number.unwrap_or(0), at + letters + digits + blank)
}

/// A character of Windows-1252, which is what RTF and old documents are written in.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH.get(usize::from(byte - 0x80)).copied().unwrap_or('?'),
        byte => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rtf_becomes_text() {
        let sent = br"{\rtf1\ansi{\fonttbl{\f0 Arial;}}{\*\generator X;}\f0\fs20 Na\'efve \b heart\b0\par Temp 38\u176?C \{ok\}}";
        assert_eq!(text("application/rtf", sent).as_deref(), Some("Naïve heart\nTemp 38°C {ok}"));
        // Known by how it begins where the type says nothing.
        assert_eq!(text("application/octet-stream", br"{\rtf1 one}").as_deref(), Some("one"));
    }

    #[test]
    fn markup_becomes_text() {
        let sent = "<html><style>p{}</style><p>Chest &amp; abdomen</p><!-- x --><p>clear&#46;</p><table><tr><td>K</td><td>5.1</td></tr></table>";
        assert_eq!(
            text("text/html", sent.as_bytes()).as_deref(),
            Some("Chest & abdomen\n\nclear.\n\nK\t5.1")
        );
        let cda = "<?xml version=\"1.0\"?><ClinicalDocument><title>Discharge</title><section><text><paragraph>Home.</paragraph></text></section></ClinicalDocument>";
        assert_eq!(text("application/hl7-v3+xml", cda.as_bytes()).as_deref(), Some("Discharge\n\nHome."));
    }

    #[test]
    fn what_has_no_text_stays_as_it_is() {
        assert_eq!(text("application/pdf", b"%PDF-1.7"), None);
        assert_eq!(text("image/jpeg", &[0xff, 0xd8]), None);
        assert_eq!(text("text/plain", b" \r\n "), None);
        assert_eq!(text("text/plain", b"caf\xe9").as_deref(), Some("café"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(kind in prop::sample::select(vec!["application/rtf", "text/html", "text/plain"]), bytes: Vec<u8>) {
            let _ = text(kind, &bytes);
        }

        #[test]
        fn any_markup_is_read(sent in "([<>&;/!\\-\\[\\]{}\\\\'*# a-z0-9é]|<!--|]]>|<!\\[CDATA\\[|\\\\u|\\\\'){0,40}") {
            let _ = text("text/xml", sent.as_bytes());
            let _ = text("application/rtf", sent.as_bytes());
        }
    }
}
