//! Words of a text: letters with apostrophes and hyphens inside.

use crate::lexicon;

/// How a word is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `word`
    Lower,
    /// `Word`, `McDonald`, `O'Neil`, `Smith-Jones`
    Title,
    /// `WORD`, two letters or more
    Upper,
    /// `W`
    Initial,
    /// `pH`, `mRNA`
    Other,
}

/// A word; a possessive `'s` is not part of it.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// Byte offset of the first letter.
    pub(crate) start: usize,
    /// Byte offset behind the last letter.
    pub(crate) end: usize,
    pub(crate) shape: Shape,
    /// What the lexicon knows of it.
    pub(crate) flags: u32,
    /// A possessive `'s` follows.
    pub(crate) possessive: bool,
}

impl Token {
    pub(crate) fn text<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.start..self.end).unwrap_or("")
    }

    /// Begins with a capital.
    pub(crate) fn is_upper(&self, text: &str) -> bool {
        self.text(text).starts_with(char::is_uppercase)
    }

    pub(crate) fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Written as a name may be.
    pub(crate) fn capitalised(&self) -> bool {
        matches!(self.shape, Shape::Title | Shape::Upper)
    }
}

/// Splits a text into words.
pub(crate) fn tokenize(text: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(text.len() / 6);
    let mut chars = text.char_indices().peekable();
    let mut lower = String::new();
    while let Some((start, first)) = chars.next() {
        if !first.is_alphabetic() {
            // A word that a digit runs into ("T4weighted") is not a name, but its letters may be: split at digits.
            continue;
        }
        let mut end = start + first.len_utf8();
        while let Some(&(at, next)) = chars.peek() {
            if next.is_alphabetic() || is_mark(next) {
                end = at + next.len_utf8();
                chars.next();
            } else if matches!(next, '\'' | '’' | '-')
                && text[at + next.len_utf8()..].chars().next().is_some_and(char::is_alphabetic)
            {
                chars.next();
            } else {
                break;
            }
        }
        let mut word = &text[start..end];
        let possessive = ["'s", "’s", "'S", "’S"].iter().any(|mark| word.ends_with(mark));
        if possessive {
            word = &word[..word.len() - if word.ends_with("'s") || word.ends_with("'S") { 2 } else { 4 }];
        }
        lower.clear();
        if word.is_ascii() {
            lower.push_str(word);
            lower.make_ascii_lowercase();
        } else {
            lower = fold(word);
        }
        tokens.push(Token {
            start,
            end: start + word.len(),
            shape: shape(word),
            flags: lexicon::flags(&lower),
            possessive,
        });
    }
    tokens
}

/// A character that is not seen: a soft hyphen, or one without width.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// What does not end a word though it is no letter: a combining accent or an invisible character.
pub(crate) fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}') || is_invisible(c)
}

/// A word as names are compared: in lower case, Latin letters without their accents, composed or not.
pub(crate) fn fold(word: &str) -> String {
    let lower = word.chars().filter(|c| !is_mark(*c)).flat_map(char::to_lowercase);
    // The lower case of U+0130 is an i and a mark.
    lower
        .filter(|c| !is_mark(*c))
        .map(|c| match c {
            'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
            'ç' | 'ć' | 'č' => 'c',
            'è'..='ë' | 'ē' | 'ę' | 'ě' => 'e',
            'ì'..='ï' | 'ī' => 'i',
            'ñ' | 'ń' | 'ň' => 'n',
            'ò'..='ö' | 'ø' | 'ō' | 'ő' => 'o',
            'ù'..='ü' | 'ū' | 'ű' => 'u',
            'ý' | 'ÿ' => 'y',
            'š' | 'ś' => 's',
            'ž' | 'ź' | 'ż' => 'z',
            'ł' => 'l',
            other => other,
        })
        .collect()
}

fn shape(word: &str) -> Shape {
    let (mut upper, mut lower) = (0, 0);
    let mut first_upper = false;
    for (index, c) in word.chars().filter(|c| c.is_alphabetic()).enumerate() {
        if c.is_lowercase() {
            lower += 1;
        } else if c.is_uppercase() {
            upper += 1;
            first_upper |= index == 0;
        }
    }
    match (upper, lower) {
        (0, _) => Shape::Lower,
        (1, 0) => Shape::Initial,
        (_, 0) => Shape::Upper,
        _ if first_upper && lower >= upper => Shape::Title,
        // "VanDyke", "DeVos", "O'B" have few lower-case letters for their length.
        _ if first_upper && word.contains(['\'', '’', '-']) => Shape::Title,
        _ => Shape::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_shapes() {
        let text = "Dr. O'Neil-Smith's pH was 7.4; J. José ÁLVAREZ’s x";
        let words: Vec<(&str, Shape, bool)> =
            tokenize(text).iter().map(|t| (t.text(text), t.shape, t.possessive)).collect();
        assert_eq!(
            words,
            [
                ("Dr", Shape::Title, false),
                ("O'Neil-Smith", Shape::Title, true),
                ("pH", Shape::Other, false),
                ("was", Shape::Lower, false),
                ("J", Shape::Initial, false),
                ("José", Shape::Title, false),
                ("ÁLVAREZ", Shape::Upper, true),
                ("x", Shape::Lower, false),
            ]
        );
    }
}
