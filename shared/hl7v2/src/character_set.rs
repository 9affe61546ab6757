//! MSH-18: which character set the bytes are in, and their text.

use std::borrow::Cow;

use encoding_rs::{
    BIG5, DecoderResult, EUC_JP, EUC_KR, Encoding, GB18030, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE,
    WINDOWS_1252,
};
use memchr::{memchr_iter, memrchr_iter};

use crate::{Delimiters, iso_2022};

/// The character set of a message (HL7 table 0211).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CharacterSet(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing usable in MSH-18: UTF-8 if the bytes are, else Windows-1252.
    Undeclared,
    /// ASCII was declared; bytes above it are accepted when they are UTF-8, which nothing is by accident.
    Ascii,
    Encoding(&'static Encoding),
    Iso2022,
    /// Known, and not decoded here: only what is ASCII or UTF-8 all the same is accepted.
    Unsupported,
}

impl CharacterSet {
    /// The set that `header`, the line of MSH, declares in MSH-18.
    pub(crate) fn of_header(header: &[u8], delimiters: &Delimiters) -> Self {
        // MSH-18 follows the 17th separator, which is nearer to the end: few headers are longer.
        let separator = delimiters.field;
        let after = memchr_iter(separator, header).count().checked_sub(17);
        let start = after.and_then(|after| memrchr_iter(separator, header).nth(after)).map(|at| at + 1);
        let rest = start.and_then(|start| header.get(start..)).unwrap_or_default();
        let declared = rest.split(|b| *b == separator).next().unwrap_or_default();
        let separates = |b: &u8| Some(*b) == delimiters.repetition || *b == delimiters.component;
        Self::declared(declared.split(separates))
    }

    /// The set that the repetitions of MSH-18 declare. Only the first is the default; the others can be
    /// switched to, which matters for the Japanese sets, whose escape sequences stand in the text.
    pub(crate) fn declared<'b>(repetitions: impl Iterator<Item = &'b [u8]>) -> Self {
        let mut first = None;
        for name in repetitions {
            match named(name) {
                Some(Kind::Iso2022) if matches!(first, None | Some(Kind::Ascii)) => {
                    return Self(Kind::Iso2022);
                }
                Some(kind) if matches!(first, None | Some(Kind::Ascii)) => first = Some(kind),
                _ => {}
            }
        }
        Self(first.unwrap_or(Kind::Undeclared))
    }

    /// UTF-16 is known by its bytes: a header in it is not readable otherwise. Returns the set and the length
    /// of the byte order mark.
    pub(crate) fn utf16(bytes: &[u8]) -> Option<(Self, usize)> {
        match bytes {
            [0xFF, 0xFE, ..] => Some((Self(Kind::Encoding(UTF_16LE)), 2)),
            [0xFE, 0xFF, ..] => Some((Self(Kind::Encoding(UTF_16BE)), 2)),
            [b'M', 0, b'S', 0, b'H', 0, ..] => Some((Self(Kind::Encoding(UTF_16LE)), 0)),
            [0, b'M', 0, b'S', 0, b'H', ..] => Some((Self(Kind::Encoding(UTF_16BE)), 0)),
            _ => None,
        }
    }

    /// Its name in the WHATWG Encoding Standard, such as `UTF-8` or `windows-1252`.
    pub fn name(&self) -> &'static str {
        match self.0 {
            Kind::Undeclared | Kind::Ascii | Kind::Unsupported => UTF_8.name(),
            Kind::Encoding(encoding) => encoding.name(),
            Kind::Iso2022 => "ISO-2022-JP",
        }
    }

    /// Whether bytes in it can be read.
    pub(crate) fn is_supported(&self) -> bool {
        self.0 != Kind::Unsupported
    }

    /// The text of `bytes`, and the set they were found to be in.
    ///
    /// # Errors
    /// The offset of the first bytes that mean nothing in the set.
    pub(crate) fn decode(self, bytes: &[u8]) -> Result<(Decoded<'_>, Self), usize> {
        match self.0 {
            Kind::Encoding(encoding) if encoding == UTF_8 => match str::from_utf8(bytes) {
                Ok(text) => Ok((Decoded::Borrowed(text), self)),
                Err(e) => Err(e.valid_up_to()),
            },
            Kind::Ascii | Kind::Unsupported => match str::from_utf8(bytes) {
                Ok(text) => Ok((Decoded::Borrowed(text), self)),
                Err(e) => Err(e.valid_up_to()),
            },
            Kind::Undeclared => match str::from_utf8(bytes) {
                Ok(text) => Ok((Decoded::Borrowed(text), self)),
                Err(_) => {
                    // The five bytes that Windows-1252 leaves undefined: what has them is some other set or
                    // binary.
                    if let Some(at) = bytes.iter().position(|b| matches!(b, 0x81 | 0x8D | 0x8F | 0x90 | 0x9D))
                    {
                        return Err(at);
                    }
                    let fallback = Self(Kind::Encoding(WINDOWS_1252));
                    Ok((decode_lines(bytes, |line, out| decode_with(WINDOWS_1252, line, out))?, fallback))
                }
            },
            Kind::Encoding(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => {
                let mut text = String::new();
                decode_with(encoding, bytes, &mut text)?;
                Ok((Decoded::Owned { text, lines: Vec::new() }, self))
            }
            Kind::Encoding(encoding) => {
                Ok((decode_lines(bytes, |line, out| decode_with(encoding, line, out))?, self))
            }
            Kind::Iso2022 => Ok((decode_lines(bytes, iso_2022::decode_line)?, self)),
        }
    }

    /// The text of a header that may be damaged: what cannot be decoded as declared is read as far as it goes.
    pub(crate) fn header_text(self, bytes: &[u8]) -> String {
        match self.decode(bytes) {
            Ok((Decoded::Borrowed(text), _)) => text.to_owned(),
            Ok((Decoded::Owned { text, .. }, _)) => text,
            Err(_) => self.decode_escaped(bytes).into_owned(),
        }
    }

    /// The text of the bytes of a `\X..\` escape; what they mean nothing in becomes U+FFFD.
    pub(crate) fn decode_escaped<'b>(&self, bytes: &'b [u8]) -> Cow<'b, str> {
        let encoding = match self.0 {
            Kind::Encoding(encoding) => encoding,
            Kind::Iso2022 => EUC_JP,
            Kind::Undeclared | Kind::Ascii | Kind::Unsupported => UTF_8,
        };
        if encoding == UTF_8 && str::from_utf8(bytes).is_err() {
            // Senders of UTF-8 still write \XE9\ for é.
            return WINDOWS_1252.decode_without_bom_handling(bytes).0;
        }
        encoding.decode_without_bom_handling(bytes).0
    }

    /// How many of the source's `bytes` make the first `length` bytes of their text.
    pub(crate) fn source_length(&self, bytes: &[u8], length: usize) -> usize {
        let encoding = match self.0 {
            Kind::Encoding(encoding) => encoding,
            Kind::Iso2022 => return iso_2022::source_length(bytes, length),
            Kind::Undeclared | Kind::Ascii | Kind::Unsupported => return length.min(bytes.len()),
        };
        let mut decoder = encoding.new_decoder_without_bom_handling();
        let (mut written, mut start) = (0, 0);
        let mut buffer = [0; 16];
        for at in 0..bytes.len() {
            if written >= length {
                break;
            }
            let (_, _, count) =
                decoder.decode_to_utf8_without_replacement(&bytes[at..=at], &mut buffer, false);
            if count > 0 {
                written += count;
                start = at + 1;
            }
        }
        start
    }
}

/// Text, and where its lines came from when it is not the source itself.
pub(crate) enum Decoded<'a> {
    Borrowed(&'a str),
    /// `lines`: offset of a line in the text, offset of the same line in the source.
    Owned {
        text: String,
        lines: Vec<(usize, usize)>,
    },
}

/// Line ends are the same byte in every set but UTF-16, so that lines can be decoded alone and offsets stay
/// traceable.
fn decode_lines(
    bytes: &[u8],
    decode: impl Fn(&[u8], &mut String) -> Result<(), usize>,
) -> Result<Decoded<'_>, usize> {
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 4);
    let mut lines = Vec::new();
    let mut start = 0;
    loop {
        let end = memchr::memchr2(b'\r', b'\n', &bytes[start..]).map_or(bytes.len(), |at| start + at);
        lines.push((text.len(), start));
        decode(&bytes[start..end], &mut text).map_err(|at| start + at)?;
        let Some(terminator) = bytes.get(end) else { break };
        text.push(char::from(*terminator));
        start = end + 1;
    }
    Ok(Decoded::Owned { text, lines })
}

fn decode_with(encoding: &'static Encoding, line: &[u8], out: &mut String) -> Result<(), usize> {
    if let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(line) {
        out.push_str(&text);
        return Ok(());
    }
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut scratch = String::with_capacity(line.len() * 3 + 16);
    let (result, read) = decoder.decode_to_string_without_replacement(line, &mut scratch, true);
    match result {
        DecoderResult::Malformed(length, after) => {
            Err(read.saturating_sub(usize::from(length) + usize::from(after)))
        }
        DecoderResult::InputEmpty | DecoderResult::OutputFull => Err(read),
    }
}

/// Table 0211 with the spellings found in feeds; DICOM's `ISO IR 100` family included.
fn named(name: &[u8]) -> Option<Kind> {
    let mut key = [0; 40];
    let letters = name.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_uppercase);
    let length = key.iter_mut().zip(letters).map(|(slot, letter)| *slot = letter).count();
    let key = str::from_utf8(&key[..length]).unwrap_or_default();
    let latin = |number: &str| Encoding::for_label(format!("iso-8859-{number}").as_bytes());
    let encoding = match key {
        "" => return None,
        "ASCII" | "USASCII" | "ISOIR6" | "ISO646" => return Some(Kind::Ascii),
        "ISOIR13" | "ISOIR14" | "ISOIR87" | "ISOIR159" | "ISO2022JP" | "JAS2020" => {
            return Some(Kind::Iso2022);
        }
        "UNICODEUTF8" | "UNICODE" | "UTF8" | "ISOIR192" => UTF_8,
        "GB180302000" | "GB18030" | "ISOIR58" | "GB2312" | "GBK" => GB18030,
        "KSX1001" | "ISOIR149" | "EUCKR" => EUC_KR,
        "BIG5" => BIG5,
        "SHIFTJIS" | "SJIS" => SHIFT_JIS,
        "EUCJP" => EUC_JP,
        "ISOIR100" => latin("1")?,
        "ISOIR101" => latin("2")?,
        "ISOIR109" => latin("3")?,
        "ISOIR110" => latin("4")?,
        "ISOIR144" => latin("5")?,
        "ISOIR127" => latin("6")?,
        "ISOIR126" => latin("7")?,
        "ISOIR138" => latin("8")?,
        "ISOIR148" => latin("9")?,
        "ISOIR203" => latin("15")?,
        // Decoded as anything else they would give wrong letters, not an error.
        "CNS116431992" | "CNS116431986" | "CNS11643" | "EUCTW" | "CP437" | "IBM437" | "CP850" | "IBM850"
        | "CP852" | "IBM852" | "EBCDIC" => return Some(Kind::Unsupported),
        _ => {
            let number = key.strip_prefix("ISO").unwrap_or(key).strip_prefix("8859");
            let label = || Encoding::for_label(name.trim_ascii());
            number.filter(|n| n.bytes().all(|b| b.is_ascii_digit())).and_then(latin).or_else(label)?
        }
    };
    // A header that was readable byte by byte is not UTF-16, whatever MSH-18 says.
    let readable = encoding != UTF_16LE && encoding != UTF_16BE && encoding != encoding_rs::REPLACEMENT;
    readable.then_some(if encoding == encoding_rs::ISO_2022_JP {
        Kind::Iso2022
    } else {
        Kind::Encoding(encoding)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(declared: &[&str]) -> &'static str {
        CharacterSet::declared(declared.iter().map(|d| d.as_bytes())).name()
    }

    #[test]
    fn table_0211_is_known() {
        assert_eq!(name_of(&["8859/1"]), "windows-1252");
        assert_eq!(name_of(&["8859/2"]), "ISO-8859-2");
        assert_eq!(name_of(&["8859/15"]), "ISO-8859-15");
        assert_eq!(name_of(&["8859/9"]), "windows-1254");
        assert_eq!(name_of(&["UNICODE UTF-8"]), "UTF-8");
        assert_eq!(name_of(&["GB 18030-2000"]), "gb18030");
        assert_eq!(name_of(&["KS X 1001"]), "EUC-KR");
        assert_eq!(name_of(&["BIG-5"]), "Big5");
        assert_eq!(name_of(&["", "ISO IR87"]), "ISO-2022-JP");
        assert_eq!(name_of(&["ISO IR6", "ISO IR14", "ISO IR87"]), "ISO-2022-JP");
        assert_eq!(name_of(&["Shift-JIS"]), "Shift_JIS");
        assert_eq!(name_of(&["windows-1250"]), "windows-1250");
        assert_eq!(name_of(&["USA"]), "UTF-8");
        assert_eq!(name_of(&["UNICODE UTF-16"]), "UTF-8");
        assert_eq!(name_of(&[]), "UTF-8");
    }

    #[test]
    fn msh_18_is_found_in_headers_of_every_length() {
        for (before, after) in [(16, 0), (16, 1), (16, 8)] {
            let header = format!("MSH|^~\\&{}8859/2{}", "|".repeat(before), "|x".repeat(after));
            let set = CharacterSet::of_header(header.as_bytes(), &Delimiters::default());
            assert_eq!(set.name(), "ISO-8859-2", "{after} fields after it");
        }
        for before in [0, 15, 17] {
            let header = format!("MSH|^~\\&{}8859/2", "|".repeat(before));
            let set = CharacterSet::of_header(header.as_bytes(), &Delimiters::default());
            assert_eq!(set.name(), "UTF-8", "{before} separators before it");
        }
    }

    fn text(declared: &str, bytes: &[u8]) -> Result<String, usize> {
        let set = CharacterSet::declared([declared.as_bytes()].into_iter());
        set.decode(bytes).map(|(decoded, _)| match decoded {
            Decoded::Borrowed(text) => text.to_owned(),
            Decoded::Owned { text, .. } => text,
        })
    }

    #[test]
    fn bytes_become_text_or_the_offset_of_what_does_not_fit() {
        assert_eq!(text("", b"caf\xC3\xA9").as_deref(), Ok("café"));
        assert_eq!(text("", b"caf\xE9").as_deref(), Ok("café"));
        assert_eq!(text("", b"caf\xE9\x81"), Err(4));
        assert_eq!(text("UNICODE UTF-8", b"caf\xE9"), Err(3));
        assert_eq!(text("ASCII", b"caf\xC3\xA9").as_deref(), Ok("café"));
        assert_eq!(text("ASCII", b"caf\xE9 "), Err(3));
        assert_eq!(text("8859/5", b"a\r\xB8\xD2").as_deref(), Ok("a\rИв"));
        assert_eq!(text("8859/3", b"abc\r12\xA5"), Err(6));
        // The second byte of 能 in Shift JIS is a backslash, of ポ a vertical bar's neighbour.
        assert_eq!(text("SHIFT-JIS", b"\x94\x5c").as_deref(), Ok("能"));
    }

    #[test]
    fn offsets_in_text_lead_back_to_the_source() {
        let set = CharacterSet::declared([b"8859/1".as_slice()].into_iter());
        assert_eq!(set.source_length(b"\xE9\xE9|x", 4), 2);
        assert_eq!(set.source_length(b"\xE9\xE9|x", 5), 3);
        let set = CharacterSet::declared([b"ISO IR87".as_slice()].into_iter());
        assert_eq!(set.source_length(b"\x1b$B;3\x1b(B|x", 4), 9);
    }
}
