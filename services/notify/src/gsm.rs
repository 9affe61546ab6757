//! What fits into a short message: the GSM 7-bit default alphabet (3GPP TS 23.038, section 6.2.1), and cuts at words.

/// How the characters of a text are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// 7-bit: 160 units a message. What the alphabet does not have is written with what it has.
    Gsm7,
    /// UCS-2: 70 units a message.
    Unicode,
}

/// The basic table, without the escape.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// The extension table: an escape and one more unit each.
const EXTENSION: &str = "^{}\\[~]|€";

impl Alphabet {
    /// The text in characters of the alphabet.
    pub(crate) fn write(self, text: &str) -> String {
        match self {
            Self::Unicode => text.to_owned(),
            Self::Gsm7 => {
                let mut out = String::with_capacity(text.len());
                for c in text.chars() {
                    if septets(c).is_some() { out.push(c) } else { out.push_str(instead(c)) }
                }
                out
            }
        }
    }

    /// Units of a text that [`Alphabet::write`] wrote.
    pub(crate) fn units(self, text: &str) -> usize {
        match self {
            Self::Unicode => text.encode_utf16().count(),
            Self::Gsm7 => text.chars().map(|c| septets(c).unwrap_or(1)).sum(),
        }
    }

    /// The text if it has at most `limit` units, otherwise its first words and `...`; empty when no word fits. It does
    /// not end in a number, which would mislead without its unit.
    pub(crate) fn cut(self, text: &str, limit: usize) -> String {
        const MORE: &str = "...";
        if self.units(text) <= limit {
            return text.to_owned();
        }
        let mut kept = String::new();
        for word in text.split(' ') {
            let longer = if kept.is_empty() { word.to_owned() } else { format!("{kept} {word}") };
            if self.units(&longer) + MORE.len() > limit {
                break;
            }
            kept = longer;
        }
        while kept.ends_with(|c: char| c.is_ascii_digit()) {
            kept.truncate(kept.rfind(' ').unwrap_or(0));
        }
        if kept.is_empty() { kept } else { kept + MORE }
    }
}

fn septets(c: char) -> Option<usize> {
    if BASIC.contains(c) { Some(1) } else { EXTENSION.contains(c).then_some(2) }
}

/// What clinical texts have and the alphabet lacks. UCUM's case-insensitive form and print both know `u` for micro.
fn instead(c: char) -> &'static str {
    match c {
        'µ' | 'μ' => "u",
        '–' | '—' | '−' | '‑' => "-",
        '…' => "...",
        '‘' | '’' | '`' | '´' => "'",
        '“' | '”' | '„' | '«' | '»' => "\"",
        '≥' => ">=",
        '≤' => "<=",
        '×' => "x",
        '±' => "+/-",
        '²' => "2",
        '³' => "3",
        '°' => " deg ",
        '→' => "->",
        'á' | 'â' | 'ã' => "a",
        'ç' => "c",
        'ê' | 'ë' => "e",
        'í' | 'î' | 'ï' => "i",
        'ó' | 'ô' | 'õ' => "o",
        'ú' | 'û' => "u",
        '\u{a0}' | '\t' => " ",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_tables_are_those_of_the_standard() {
        // 128 places, of which one is the escape.
        assert_eq!(BASIC.chars().count(), 127);
        assert_eq!(Alphabet::Gsm7.units("[a]"), 5);
        assert_eq!(Alphabet::Gsm7.units("a€"), 3);
        assert_eq!(Alphabet::Unicode.units("a€😀"), 4);
    }

    #[test]
    fn what_the_alphabet_lacks_is_written_with_what_it_has() {
        assert_eq!(
            Alphabet::Gsm7.write("Creatinine 310 µmol/L – “high” ≥ 2 × normal… naïve 漢"),
            "Creatinine 310 umol/L - \"high\" >= 2 x normal... naive ?"
        );
        assert_eq!(Alphabet::Unicode.write("310 µmol/L"), "310 µmol/L");
    }

    #[test]
    fn a_cut_is_between_words() {
        let cut = |limit| Alphabet::Gsm7.cut("Potassium 6.9 mmol/L, critical", limit);
        assert_eq!(cut(30), "Potassium 6.9 mmol/L, critical");
        assert_eq!(cut(29), "Potassium 6.9 mmol/L,...");
        assert_eq!(cut(16), "Potassium...", "a number needs its unit");
        assert_eq!(cut(12), "Potassium...");
        assert_eq!(cut(11), "");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn whatever_is_written_and_cut_fits(text in "\\PC{0,80}", limit in 0_usize..100) {
            for alphabet in [Alphabet::Gsm7, Alphabet::Unicode] {
                let written = alphabet.write(&text);
                prop_assert!(alphabet.units(&alphabet.cut(&written, limit)) <= limit);
            }
            prop_assert!(Alphabet::Gsm7.write(&text).chars().all(|c| septets(c).is_some()));
        }
    }
}
