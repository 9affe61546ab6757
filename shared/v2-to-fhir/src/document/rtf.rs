//! Text out of RTF (Rich Text Format specification 1.9.1).

use encoding_rs::{Encoding, WINDOWS_1252};

/// Groups that hold no text of the document. A group after `\*` is one that older readers leave out.
const HIDDEN: [&str; 18] = [
    "fonttbl",
    "colortbl",
    "stylesheet",
    "info",
    "pict",
    "object",
    "listtable",
    "themedata",
    "generator",
    "filetbl",
    "header",
    "headerl",
    "headerr",
    "headerf",
    "footer",
    "footerl",
    "footerr",
    "footerf",
];

/// What a group takes over from the one around it.
#[derive(Debug, Clone, Copy)]
struct Group {
    hidden: bool,
    /// Characters after a `\u`, which older readers show instead of it.
    instead: usize,
}

/// Groups within groups whose state is kept; what is deeper has the state of the deepest.
const DEPTH: usize = 1024;

struct Reader {
    out: String,
    group: Group,
    around: Vec<Group>,
    /// Groups beyond [`DEPTH`].
    deeper: usize,
    /// Characters yet to leave out after a `\u`.
    skip: usize,
    encoding: &'static Encoding,
    /// Bytes of characters that may have more than one.
    pending: Vec<u8>,
    /// The first half of a character outside the Basic Multilingual Plane.
    half: Option<u16>,
}

/// The text of an RTF document.
pub(super) fn text(bytes: &[u8]) -> String {
    let mut reader = Reader {
        out: String::new(),
        group: Group { hidden: false, instead: 1 },
        around: Vec::new(),
        deeper: 0,
        skip: 0,
        encoding: WINDOWS_1252,
        pending: Vec::new(),
        half: None,
    };
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' => reader.open(),
            b'}' => reader.close(),
            b'\\' => {
                let (word, number, next) = control(bytes, at);
                at = next;
                if word == "bin" {
                    // Bytes that are no text, whatever they look like.
                    at = at.saturating_add(usize::try_from(number.unwrap_or(0)).unwrap_or(0));
                } else {
                    reader.control(word, number);
                }
            }
            b'\r' | b'\n' => {}
            byte => reader.byte(byte),
        }
    }
    reader.flush();
    reader.out
}

impl Reader {
    fn open(&mut self) {
        self.flush();
        if self.around.len() < DEPTH { self.around.push(self.group) } else { self.deeper += 1 }
    }

    fn close(&mut self) {
        self.flush();
        self.skip = 0;
        match self.deeper.checked_sub(1) {
            Some(deeper) => self.deeper = deeper,
            None => self.group = self.around.pop().unwrap_or(self.group),
        }
    }

    fn byte(&mut self, byte: u8) {
        if self.skip > 0 {
            self.skip -= 1;
        } else if !self.group.hidden {
            self.pending.push(byte);
        }
    }

    fn push(&mut self, c: char) {
        self.flush();
        if self.skip > 0 {
            self.skip -= 1;
        } else if !self.group.hidden {
            self.out.push(c);
        }
    }

    fn flush(&mut self) {
        if self.half.take().is_some() {
            self.out.push('\u{fffd}');
        }
        if !self.pending.is_empty() {
            self.out.push_str(&self.encoding.decode_without_bom_handling(&self.pending).0);
            self.pending.clear();
        }
    }

    fn control(&mut self, word: &str, number: Option<i32>) {
        match word {
            "*" => self.group.hidden = true,
            word if HIDDEN.contains(&word) => self.group.hidden = true,
            // The text of a drawn frame lies in a group that older readers leave out.
            "shptxt" => self.group.hidden = false,
            "ansicpg" => {
                self.flush();
                self.encoding = number.and_then(code_page).unwrap_or(self.encoding);
            }
            "mac" => self.encoding = encoding_rs::MACINTOSH,
            "uc" => self.group.instead = number.and_then(|n| usize::try_from(n).ok()).unwrap_or(1),
            "'" => self.byte(number.and_then(|n| u8::try_from(n).ok()).unwrap_or(b'?')),
            "u" => self.unicode(number.unwrap_or(0)),
            "par" | "line" | "row" | "sect" | "page" | "\n" | "\r" => self.push('\n'),
            "tab" | "cell" => self.push('\t'),
            "\\" | "{" | "}" => self.byte(word.as_bytes()[0]),
            "~" | "emspace" | "enspace" => self.push(' '),
            "_" => self.push('-'),
            "emdash" => self.push('—'),
            "endash" => self.push('–'),
            "bullet" => self.push('•'),
            "lquote" => self.push('‘'),
            "rquote" => self.push('’'),
            "ldblquote" => self.push('“'),
            "rdblquote" => self.push('”'),
            _ => {}
        }
    }

    /// A code unit of UTF-16; those above 32,767 are written as negative numbers.
    fn unicode(&mut self, number: i32) {
        let unit = u16::try_from(if number < 0 { number + 0x1_0000 } else { number }).unwrap_or(0xfffd);
        let first = self.half.take();
        self.flush();
        self.skip = 0;
        if self.group.hidden {
            return;
        }
        match (first, unit) {
            (None, 0xd800..0xdc00) => self.half = Some(unit),
            (first, unit) => {
                let units = first.into_iter().chain([unit]);
                self.out.extend(char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')));
            }
        }
        self.skip = self.group.instead;
    }
}

/// A Windows code page that documents are written in.
fn code_page(number: i32) -> Option<&'static Encoding> {
    let label = match number {
        874 => "windows-874".to_owned(),
        932 => "shift_jis".to_owned(),
        936 => "gbk".to_owned(),
        949 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        10_000 => "macintosh".to_owned(),
        65_001 => "utf-8".to_owned(),
        number => format!("windows-{number}"),
    };
    Encoding::for_label(label.as_bytes())
}

/// A control word or symbol after a backslash, its number, and where the text goes on.
fn control(bytes: &[u8], at: usize) -> (&str, Option<i32>, usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(first) = rest.first() else { return ("", None, at) };
    if *first == b'\'' {
        let hex = rest.get(1..3).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = hex.and_then(|hex| i32::from_str_radix(hex, 16).ok());
        return ("'", code, at + 1 + hex.map_or(0, str::len));
    }
    if !first.is_ascii_alphabetic() {
        return (rest.get(..1).and_then(|s| std::str::from_utf8(s).ok()).unwrap_or(""), None, at + 1);
    }
    let letters = rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let after = rest.get(letters..).unwrap_or_default();
    let sign = usize::from(after.first() == Some(&b'-'));
    let digits = after.iter().skip(sign).take_while(|b| b.is_ascii_digit()).count();
    let digits = if digits == 0 { 0 } else { sign + digits };
    let number = after.get(..digits).and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| d.parse().ok());
    let blank = usize::from(after.get(digits) == Some(&b' '));
    let word = rest.get(..letters).and_then(|w| std::str::from_utf8(w).ok()).unwrap_or("");
    (word, number, at + letters + digits + blank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_a_reader_shows() {
        for (sent, wanted) in [
            (
                r"{\rtf1\ansi{\fonttbl{\f0 Arial;}}{\*\generator X;}\f0\fs20 Na\'efve \b heart\b0\par Temp 38\u176?C \{ok\}}",
                "Naïve heart\nTemp 38°C {ok}",
            ),
            (r"{\rtf1\ansicpg1250 \'b3\'f3\'bf\'9c}", "łóżś"),
            (r"{\rtf1\ansicpg932 \'93\'fa\'96\'7b}", "日本"),
            (r"{\rtf1\uc2 a\u8217\'e2\'80b{\uc0\u233 x}\u233??y}", "a’béxéy"),
            (r"{\rtf1 \u-10179?\u-8704?}", "\u{1f600}"),
            (r"{\rtf1 10\u8211-20\emdash ok\~now}", "10–20—ok now"),
            (
                r"{\rtf1{\header Page}{\footerf 1}{\shp{\*\shpinst{\sp{\sn x}}{\shptxt Frame}}}end}",
                "Frameend",
            ),
            ("{\\rtf1 a{\\pict\\bin3 }}}x}b}", "ab"),
            (r"{\rtf1 a\'", "a?"),
            (r"{\rtf1 \u-1", "\u{ffff}"),
        ] {
            assert_eq!(text(sent.as_bytes()), wanted, "{sent}");
        }
    }

    #[test]
    fn groups_may_be_deep_and_many() {
        let deep = format!("{{\\rtf1 {}x{}y", "{".repeat(100_000), "}".repeat(100_000));
        assert_eq!(text(deep.as_bytes()), "xy");
        assert_eq!(text("}}}}a".as_bytes()), "a");
    }
}
