//! Identifier formats of one hospital, by configuration.

use crate::text::patterns::{self, Contains, Needs, Pattern};
use crate::{Error, Kind};

/// A local identifier format, such as a hospital's visit numbers.
#[derive(Clone, Debug)]
pub struct LocalFormat {
    /// What the hospital calls it; errors name it.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// A regular expression (crate `regex`); a group named `id` marks the identifier when the expression holds its context too.
    pub regex: String,
    /// The check digits that a match must have.
    pub checksum: Option<Checksum>,
}

/// How the digits of an identifier check one another. Letters and separators do not take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// ISO/IEC 7812-1, annex B: modulo 10, every second digit doubled.
    Luhn,
    /// Modulo 11 with weights 2, 3, 4 … from the right of the check digit, as national patient numbers have it.
    Mod11,
    /// ISO/IEC 7064 MOD 97-10: the number leaves 1.
    Mod97,
}

impl Checksum {
    /// Every one.
    pub const ALL: [Checksum; 3] = [Checksum::Luhn, Checksum::Mod11, Checksum::Mod97];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Checksum::Luhn => "luhn",
            Checksum::Mod11 => "mod11",
            Checksum::Mod97 => "mod97",
        }
    }

    fn check(self) -> patterns::Check {
        match self {
            Checksum::Luhn => |found, _, _| luhn(&digits(found)),
            Checksum::Mod11 => |found, _, _| mod11(&digits(found)),
            Checksum::Mod97 => |found, _, _| mod97(&digits(found)),
        }
    }
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

fn luhn(digits: &[u32]) -> bool {
    let doubled = |(place, digit): (usize, &u32)| match place % 2 {
        0 => *digit,
        _ => digit * 2 / 10 + digit * 2 % 10,
    };
    digits.len() > 1 && digits.iter().rev().enumerate().map(doubled).sum::<u32>().is_multiple_of(10)
}

fn mod11(digits: &[u32]) -> bool {
    let weighted = digits.iter().rev().zip(1u32..).map(|(digit, weight)| digit * weight);
    digits.len() > 1 && weighted.sum::<u32>().is_multiple_of(11)
}

fn mod97(digits: &[u32]) -> bool {
    digits.len() > 2 && digits.iter().fold(0, |rest, digit| (rest * 10 + digit) % 97) == 1
}

/// The formats, ready to search with.
#[derive(Default)]
pub(crate) struct LocalFormats(Vec<Pattern>);

impl LocalFormats {
    /// Compiles them.
    ///
    /// # Errors
    /// [`Error::LocalFormat`] for an expression that is none, or that the empty text fits.
    pub(crate) fn new(formats: &[LocalFormat]) -> Result<Self, Error> {
        let compiled = formats.iter().map(|format| {
            let fail = |reason: String| Error::LocalFormat { name: format.name.clone(), reason };
            let check = format.checksum.map_or(patterns::any as patterns::Check, Checksum::check);
            if patterns::compile(&format.regex).is_ok_and(|regex| regex.is_match("")) {
                return Err(fail("it fits the empty text".to_owned()));
            }
            Pattern::new(format.kind, 0.95, Needs::Nothing, &format.regex, check)
                .map_err(|error| fail(first_line(&error)))
        });
        Ok(Self(compiled.collect::<Result<_, _>>()?))
    }

    pub(crate) fn patterns(&self) -> &[Pattern] {
        &self.0
    }

    /// The kind of the first format that occurs in a text.
    pub(crate) fn kind_in(&self, text: &str) -> Option<Kind> {
        if self.0.is_empty() {
            return None;
        }
        let contains = Contains::of(text);
        let mut found = Vec::new();
        self.0.iter().find_map(|pattern| {
            pattern.find(text, contains, &mut found);
            found.first().map(|candidate| candidate.kind)
        })
    }
}

/// What is wrong, without the expression itself, which the crate repeats over several lines.
fn first_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.rsplit("error: ").next().unwrap_or("").lines().next().unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(regex: &str, checksum: Option<Checksum>) -> LocalFormat {
        LocalFormat { name: "visit".into(), kind: Kind::Account, regex: regex.into(), checksum }
    }

    #[test]
    fn check_digits_are_checked() {
        for (checksum, good, bad) in [
            (Checksum::Luhn, "79927398713", "79927398710"),
            (Checksum::Mod11, "9434765919", "9434765918"),
            (Checksum::Mod97, "7940001234511", "7940001234512"),
        ] {
            let formats = LocalFormats::new(&[format(r"\bV-?\d+\b", Some(checksum))]).unwrap();
            assert_eq!(formats.kind_in(&format!("visit V-{good}.")), Some(Kind::Account), "{checksum:?}");
            assert_eq!(formats.kind_in(&format!("visit V-{bad}.")), None, "{checksum:?}");
        }
    }

    #[test]
    fn names_the_format_that_is_wrong() {
        for (regex, reason) in [("(", "unclosed group"), (r"\d*", "it fits the empty text")] {
            let Err(Error::LocalFormat { name, reason: got }) = LocalFormats::new(&[format(regex, None)])
            else {
                panic!("{regex} is taken")
            };
            assert_eq!((name.as_str(), got.as_str()), ("visit", reason));
        }
        assert!(LocalFormats::new(&[format("[0-9]{4", None)]).is_err());
    }
}
