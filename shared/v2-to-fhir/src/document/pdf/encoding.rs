//! Which character a code of a simple font shows (ISO 32000-1, annex D).

use encoding_rs::{Encoding, MACINTOSH, WINDOWS_1252};

/// A character for each code.
pub(super) type Table = [Option<char>; 256];

fn of(encoding: &'static Encoding) -> Table {
    std::array::from_fn(|code| {
        let code = u8::try_from(code).unwrap_or_default();
        let shown = encoding.decode_without_bom_handling(&[code]).0.chars().next()?;
        (!shown.is_control()).then_some(shown)
    })
}

pub(super) fn windows() -> Table {
    of(WINDOWS_1252)
}

pub(super) fn macintosh() -> Table {
    of(MACINTOSH)
}

/// StandardEncoding: ASCII with curved quotes, and from 0xa1 a selection of its own.
pub(super) fn standard() -> Table {
    const HIGH: [(u8, &str); 7] = [
        (0xa1, "¡¢£⁄¥ƒ§¤'“«‹›ﬁﬂ"),
        (0xb1, "–†‡·"),
        (0xb6, "¶•‚„”»…‰"),
        (0xbf, "¿"),
        (0xc1, "`´ˆ˜¯˘˙¨"),
        (0xca, "˚¸"),
        (0xcd, "˝˛ˇ—"),
    ];
    const LETTERS: [(u8, char); 12] = [
        (0xe1, 'Æ'),
        (0xe3, 'ª'),
        (0xe8, 'Ł'),
        (0xe9, 'Ø'),
        (0xea, 'Œ'),
        (0xeb, 'º'),
        (0xf1, 'æ'),
        (0xf5, 'ı'),
        (0xf8, 'ł'),
        (0xf9, 'ø'),
        (0xfa, 'œ'),
        (0xfb, 'ß'),
    ];
    let mut table = ascii();
    table[usize::from(b'\'')] = Some('’');
    table[usize::from(b'`')] = Some('‘');
    let runs = HIGH.iter().flat_map(|(first, text)| (usize::from(*first)..).zip(text.chars()));
    for (code, shown) in runs.chain(LETTERS.iter().map(|(code, shown)| (usize::from(*code), *shown))) {
        table[code] = Some(shown);
    }
    table
}

/// The encoding of the font Symbol, of which texts use the Greek letters and the signs of comparison.
pub(super) fn symbol() -> Table {
    let mut table = ascii();
    for code in (0x41..=0x5a).chain(0x61..=0x7a) {
        table[code] = None;
    }
    let greek = [
        (0x41, "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ"),
        (0x61, "αβχδεφγηιϕκλμνοπθρστυϖωξψζ"),
        (0xa2, "′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…"),
    ];
    for (code, shown) in greek.iter().flat_map(|(first, text)| (*first..).zip(text.chars())) {
        table[code] = Some(shown);
    }
    table[usize::from(b'-')] = Some('−');
    table
}

fn ascii() -> Table {
    std::array::from_fn(|code| {
        let code = u8::try_from(code).ok().filter(|code| matches!(code, b' '..=b'~'))?;
        Some(char::from(code))
    })
}

/// Names of letters are those of the letter and its accent.
const ACCENTS: [(&str, &str); 12] = [
    ("acute", "AÁEÉIÍOÓUÚYÝaáeéiíoóuúyýCĆcćNŃnńSŚsśZŹzźRŔrŕLĹlĺ"),
    ("grave", "AÀEÈIÌOÒUÙaàeèiìoòuù"),
    ("circumflex", "AÂEÊIÎOÔUÛaâeêiîoôuûwŵWŴyŷYŶ"),
    ("dieresis", "AÄEËIÏOÖUÜYŸaäeëiïoöuüyÿ"),
    ("tilde", "AÃNÑOÕaãnñoõ"),
    ("ring", "AÅaåUŮuů"),
    ("cedilla", "CÇcçSŞsşTŢtţ"),
    ("caron", "CČcčDĎdďEĚeěNŇnňRŘrřSŠsšTŤtťZŽzžLĽlľ"),
    ("ogonek", "AĄaąEĘeęIĮiįUŲuų"),
    ("breve", "AĂaăGĞgğ"),
    ("macron", "AĀaāEĒeēIĪiīOŌoōUŪuū"),
    ("dotaccent", "ZŻzżEĖeėIİ"),
];

/// The rest of the names that texts in Latin letters use (Adobe Glyph List).
const NAMES: &str = "space  exclam ! quotedbl \" numbersign # dollar $ percent % ampersand & quotesingle ' \
quoteright ’ quoteleft ‘ parenleft ( parenright ) asterisk * plus + comma , hyphen - minus − period . slash / \
zero 0 one 1 two 2 three 3 four 4 five 5 six 6 seven 7 eight 8 nine 9 colon : semicolon ; less < equal = greater > \
question ? at @ bracketleft [ backslash \\ bracketright ] asciicircum ^ underscore _ grave ` braceleft { bar | \
braceright } asciitilde ~ exclamdown ¡ cent ¢ sterling £ currency ¤ yen ¥ brokenbar ¦ section § dieresis ¨ \
copyright © ordfeminine ª guillemotleft « logicalnot ¬ sfthyphen - registered ® macron ¯ degree ° plusminus ± \
twosuperior ² threesuperior ³ acute ´ mu µ paragraph ¶ periodcentered · middot · cedilla ¸ onesuperior ¹ \
ordmasculine º guillemotright » onequarter ¼ onehalf ½ threequarters ¾ questiondown ¿ AE Æ ae æ Eth Ð eth ð \
multiply × divide ÷ Oslash Ø oslash ø Thorn Þ thorn þ germandbls ß OE Œ oe œ Lslash Ł lslash ł Dcroat Đ dcroat đ \
dotlessi ı florin ƒ circumflex ˆ caron ˇ breve ˘ dotaccent ˙ ring ˚ ogonek ˛ tilde ˜ hungarumlaut ˝ endash – \
emdash — quotesinglbase ‚ quotedblleft “ quotedblright ” quotedblbase „ dagger † daggerdbl ‡ bullet • ellipsis … \
perthousand ‰ guilsinglleft ‹ guilsinglright › fraction ⁄ Euro € trademark ™ fi ﬁ fl ﬂ ff ﬀ ffi ﬃ ffl ﬄ \
lessequal ≤ greaterequal ≥ notequal ≠ approxequal ≈ infinity ∞ arrowright → arrowleft ← arrowup ↑ arrowdown ↓ \
alpha α beta β gamma γ delta δ epsilon ε lambda λ pi π sigma σ tau τ phi φ omega ω Delta ∆ Omega Ω Ohungarumlaut Ő \
ohungarumlaut ő Uhungarumlaut Ű uhungarumlaut ű nbspace  checkmark ✓";

/// The characters that a glyph's name stands for.
pub(super) fn glyph(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    // What follows a dot says how the glyph looks.
    let name = name.split('.').next().filter(|name| !name.is_empty())?;
    if name.contains('_') {
        return name.split('_').map(|part| glyph(part.as_bytes())).collect();
    }
    let mut letters = name.chars();
    if let (Some(letter), None) = (letters.next(), letters.next()) {
        return letter.is_ascii_alphabetic().then(|| letter.to_string());
    }
    if let Some(hex) = name.strip_prefix("uni").filter(|hex| hex.len() >= 4 && hex.len().is_multiple_of(4)) {
        let units: Option<Vec<u16>> = hex
            .as_bytes()
            .chunks(4)
            .map(|c| u16::from_str_radix(std::str::from_utf8(c).ok()?, 16).ok())
            .collect();
        if let Some(units) = units {
            return String::from_utf16(&units).ok();
        }
    }
    if let Some(code) = name.strip_prefix('u').filter(|hex| (4..=6).contains(&hex.len()))
        && let Some(shown) = u32::from_str_radix(code, 16).ok().and_then(char::from_u32)
    {
        return Some(shown.to_string());
    }
    let mut words = NAMES.split(' ');
    while let (Some(known), Some(shown)) = (words.next(), words.next()) {
        if known == name {
            return Some(if shown.is_empty() { " ".to_owned() } else { shown.to_owned() });
        }
    }
    let (letter, accent) = name.split_at_checked(1)?;
    let pairs = ACCENTS.iter().find(|(known, _)| *known == accent)?.1;
    let mut pairs = pairs.chars();
    while let (Some(base), Some(shown)) = (pairs.next(), pairs.next()) {
        if letter.starts_with(base) {
            return Some(shown.to_string());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_glyphs() {
        for (name, wanted) in [
            ("A", Some("A")),
            ("space", Some(" ")),
            ("nbspace", Some(" ")),
            ("checkmark", Some("✓")),
            ("eacute", Some("é")),
            ("Adieresis.sc", Some("Ä")),
            ("uni00E9", Some("é")),
            ("u1F600", Some("😀")),
            ("f_i", Some("fi")),
            ("union", None),
            ("g123", None),
            (".notdef", None),
        ] {
            assert_eq!(glyph(name.as_bytes()).as_deref(), wanted, "{name}");
        }
        // Names and characters take turns.
        assert!(NAMES.split(' ').count().is_multiple_of(2));
    }

    #[test]
    fn tables_show_what_the_standard_lists() {
        assert_eq!((standard()[0xae], standard()[0xd0], standard()[0xfb]), (Some('ﬁ'), Some('—'), Some('ß')));
        assert_eq!((standard()[0xbd], standard()[0xc8], standard()[0x80]), (Some('‰'), Some('¨'), None));
        assert_eq!((windows()[0x80], windows()[0xb5], macintosh()[0x8e]), (Some('€'), Some('µ'), Some('é')));
        assert_eq!(
            (symbol()[0xa3], symbol()[0xb3], symbol()[0x6d], symbol()[0xb1]),
            (Some('≤'), Some('≥'), Some('μ'), Some('±'))
        );
    }
}
