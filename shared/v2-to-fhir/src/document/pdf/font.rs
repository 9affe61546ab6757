//! Fonts, as far as text depends on them: which characters a code shows, and how wide it is
//! (ISO 32000-1, sections 9.6 to 9.10).

use std::collections::HashMap;

use super::budget::Budget;
use super::cmap::CMap;
use super::encoding::{self, Table};
use super::file::File;
use super::lexer::{Dictionary, Object};

/// Width of a code of which nothing is said, in thousandths of the font's size.
const WIDTH: f64 = 500.0;
/// What it costs to look a name up.
const LOOKUP: usize = 1 << 10;

pub(super) struct Font {
    /// Two bytes a code; else one.
    wide: bool,
    to_unicode: Option<CMap>,
    shown: Shown,
    widths: Widths,
}

/// What a code shows where no ToUnicode map says it.
enum Shown {
    Simple(Box<Table>, HashMap<u8, String>),
    /// The codes are UTF-16.
    Utf16,
    Unknown,
}

struct Widths {
    otherwise: f64,
    /// First code, last code, width; by first code.
    ranges: Vec<(u32, u32, f64)>,
    /// A thousandth, in which widths are given; fonts of drawings have a scale of their own.
    scale: f64,
}

/// A code of a text that is shown.
pub(super) struct Glyph {
    /// `None` where the file does not say which characters it shows.
    pub(super) text: Option<String>,
    /// In parts of the font's size.
    pub(super) width: f64,
    /// The blank that word spacing widens.
    pub(super) blank: bool,
}

impl Font {
    pub(super) fn read(file: &File<'_>, font: &Dictionary, budget: &mut Budget) -> Self {
        let to_unicode = font.get("ToUnicode").and_then(|map| file.stream(map, budget));
        let to_unicode = to_unicode.map(|(_, data)| CMap::read(&data, budget));
        if font.is("Subtype", "Type0") {
            let named = file.entry(font, "Encoding", budget);
            let named =
                named.as_ref().and_then(|o| o.name()).map(String::from_utf8_lossy).unwrap_or_default();
            let shown =
                if named.contains("UCS2") || named.contains("UTF16") { Shown::Utf16 } else { Shown::Unknown };
            let descendants = file.list(font, "DescendantFonts", budget);
            let descendant = descendants.first().and_then(|first| file.resolve(first, budget));
            let widths = match descendant.as_deref() {
                Some(Object::Dictionary(descendant)) => Widths::composite(file, descendant, budget),
                _ => Widths { otherwise: 1000.0, ranges: Vec::new(), scale: 0.001 },
            };
            return Self { wide: true, to_unicode, shown, widths };
        }
        let (table, names) = simple(file, font, budget);
        let shown = Shown::Simple(Box::new(table), names);
        Self { wide: false, to_unicode, shown, widths: Widths::simple(file, font, budget) }
    }

    /// The codes of a text.
    pub(super) fn glyphs<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = Glyph> + 't {
        text.chunks(if self.wide { 2 } else { 1 }).map(|code| {
            let code = code.iter().fold(0, |code, byte| code << 8 | u32::from(*byte));
            let text =
                self.to_unicode.as_ref().and_then(|map| map.get(code)).or_else(|| self.shown.get(code));
            Glyph { text, width: self.widths.get(code), blank: !self.wide && code == 32 }
        })
    }
}

impl Shown {
    fn get(&self, code: u32) -> Option<String> {
        match self {
            Self::Simple(table, names) => {
                let code = u8::try_from(code).ok()?;
                let named = names.get(&code).cloned();
                named.or_else(|| table[usize::from(code)].map(String::from))
            }
            Self::Utf16 => char::from_u32(code).filter(|c| !c.is_control()).map(String::from),
            Self::Unknown => None,
        }
    }
}

/// The table of a simple font, and the names that differ from it. A name that is not known shows nothing that could be
/// said, and hides what the table has at its place.
fn simple(file: &File<'_>, font: &Dictionary, budget: &mut Budget) -> (Table, HashMap<u8, String>) {
    let of = |name: Option<&[u8]>| match name {
        Some(b"WinAnsiEncoding") => Some(encoding::windows()),
        Some(b"MacRomanEncoding") => Some(encoding::macintosh()),
        Some(b"StandardEncoding") => Some(encoding::standard()),
        _ => None,
    };
    let symbol = font.get("BaseFont").and_then(Object::name).is_some_and(|n| n.ends_with(b"Symbol"));
    let otherwise = || match symbol {
        true => encoding::symbol(),
        // What programs take that embed a TrueType font and do not say how it is encoded.
        false if font.is("Subtype", "TrueType") => encoding::windows(),
        false => encoding::standard(),
    };
    let mut names = HashMap::new();
    let encoding = file.entry(font, "Encoding", budget);
    let mut table = match encoding.as_deref() {
        Some(Object::Name(name)) => of(Some(name)).unwrap_or_else(otherwise),
        Some(Object::Dictionary(encoding)) => {
            let mut code = 0_usize;
            for object in &file.list(encoding, "Differences", budget) {
                match object {
                    Object::Name(name) => {
                        if let (Ok(code), Some(())) = (u8::try_from(code), budget.work(LOOKUP)) {
                            names.insert(code, encoding::glyph(name));
                        }
                        code = code.saturating_add(1);
                    }
                    number => code = number.count().unwrap_or(code),
                }
            }
            of(encoding.get("BaseEncoding").and_then(Object::name)).unwrap_or_else(otherwise)
        }
        _ => otherwise(),
    };
    for code in names.keys() {
        table[usize::from(*code)] = None;
    }
    (table, names.into_iter().filter_map(|(code, shown)| Some((code, shown?))).collect())
}

impl Widths {
    fn get(&self, code: u32) -> f64 {
        let at = self.ranges.partition_point(|(from, ..)| *from <= code).checked_sub(1);
        let range = at.and_then(|at| self.ranges.get(at)).filter(|(_, to, _)| code <= *to);
        range.map_or(self.otherwise, |(.., width)| *width) * self.scale
    }

    fn simple(file: &File<'_>, font: &Dictionary, budget: &mut Budget) -> Self {
        let first = font.get("FirstChar").and_then(Object::count).and_then(|first| u32::try_from(first).ok());
        let list = file.list(font, "Widths", budget);
        let widths = list.iter().map(|width| width.number().unwrap_or(WIDTH));
        let ranges: Vec<_> =
            (first.unwrap_or(0)..).zip(widths).take(256).map(|(code, width)| (code, code, width)).collect();
        let matrix =
            if font.is("Subtype", "Type3") { file.list(font, "FontMatrix", budget) } else { Vec::new() };
        let scale = matrix.first().and_then(Object::number).unwrap_or(0.001);
        // The fonts that every reader has may come without widths; blanks and letters differ least at their mean.
        let otherwise = if ranges.is_empty() { WIDTH } else { 0.0 };
        Self { otherwise, ranges, scale }
    }

    /// `W` of a font of many glyphs: `first [width …]` or `first last width`.
    fn composite(file: &File<'_>, font: &Dictionary, budget: &mut Budget) -> Self {
        let otherwise = font.get("DW").and_then(Object::number).unwrap_or(1000.0);
        let mut ranges = Vec::new();
        let list = file.list(font, "W", budget);
        let mut rest = list.as_slice();
        let code = |object: &Object| object.count().and_then(|code| u32::try_from(code).ok());
        loop {
            match rest {
                [first, Object::Array(each), more @ ..] => {
                    if let Some(first) = code(first) {
                        let each = each.iter().map(|width| width.number().unwrap_or(otherwise));
                        ranges.extend((first..).zip(each).map(|(code, width)| (code, code, width)));
                    }
                    rest = more;
                }
                [first, last, width, more @ ..] => {
                    if let (Some(first), Some(last), Some(width)) = (code(first), code(last), width.number())
                    {
                        ranges.push((first, last, width));
                    }
                    rest = more;
                }
                _ => break,
            }
        }
        ranges.sort_by_key(|(from, ..)| *from);
        Self { otherwise, ranges, scale: 0.001 }
    }
}
