//! ToUnicode maps (ISO 32000-1, section 9.10.3). A range is kept as a range: one that names all four thousand million
//! codes costs as much as any other.

use super::budget::Budget;
use super::lexer::{Lexer, Object};

/// Objects of one section that are kept; a section has a hundred entries.
const HELD: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct CMap {
    /// First code, last code, and what the first one shows in UTF-16; by first code.
    ranges: Vec<(u32, u32, Vec<u16>)>,
}

impl CMap {
    pub(super) fn read(data: &[u8], budget: &mut Budget) -> Self {
        let mut lexer = Lexer::new(data, 0);
        let mut held: Vec<Object> = Vec::new();
        let mut map = Self::default();
        while let Some(object) = lexer.object(budget) {
            match &object {
                Object::Word(word) if word == b"endbfchar" => {
                    for pair in held.chunks_exact(2) {
                        if let (Some(from), Some(shown)) = (code(&pair[0]), units(&pair[1])) {
                            map.ranges.push((from, from, shown));
                        }
                    }
                    held.clear();
                }
                Object::Word(word) if word == b"endbfrange" => {
                    for triple in held.chunks_exact(3) {
                        let (Some(from), Some(to)) = (code(&triple[0]), code(&triple[1])) else { continue };
                        match &triple[2] {
                            Object::Array(list) => {
                                let each = (from..=to).zip(list);
                                map.ranges.extend(each.filter_map(|(code, o)| Some((code, code, units(o)?))));
                            }
                            one => map.ranges.extend(units(one).map(|shown| (from, to, shown))),
                        }
                    }
                    held.clear();
                }
                Object::Word(word) if word.starts_with(b"begin") || word.starts_with(b"end") => held.clear(),
                _ if held.len() < HELD => held.push(object),
                _ => {}
            }
        }
        map.ranges.sort_by_key(|(from, ..)| *from);
        map
    }

    /// The text that a code shows.
    pub(super) fn get(&self, code: u32) -> Option<String> {
        let at = self.ranges.partition_point(|(from, ..)| *from <= code).checked_sub(1)?;
        let (from, to, shown) = self.ranges.get(at)?;
        if code > *to {
            return None;
        }
        let mut shown = shown.clone();
        let last = shown.last_mut()?;
        *last = last.wrapping_add(u16::try_from(code - from).ok()?);
        let text: String = char::decode_utf16(shown).flatten().filter(|c| !c.is_control()).collect();
        (!text.is_empty()).then_some(text)
    }
}

fn code(object: &Object) -> Option<u32> {
    match object {
        Object::Text(bytes) if (1..=4).contains(&bytes.len()) => {
            Some(bytes.iter().fold(0, |code, byte| code << 8 | u32::from(*byte)))
        }
        _ => None,
    }
}

/// At most eight characters: no glyph shows more.
fn units(object: &Object) -> Option<Vec<u16>> {
    let Object::Text(bytes) = object else { return None };
    if let [one] = bytes.as_slice() {
        return Some(vec![u16::from(*one)]);
    }
    let units = bytes.chunks_exact(2).take(8).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    Some(units.collect()).filter(|units: &Vec<u16>| !units.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_show_what_the_map_says() {
        let text = b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <0000> <FFFF> endcodespacerange
            2 beginbfchar <0003> <0020> <0010> <00660069> endbfchar
            2 beginbfrange <0024> <0026> <0041> <0030> <0031> [<00E9> <D83DDE00>] endbfrange endcmap";
        let map = CMap::read(text, &mut Budget::default());
        let shown = |code| map.get(code).unwrap_or_default();
        assert_eq!([3, 0x10, 0x25, 0x26, 0x30, 0x31].map(shown).concat(), " fiBCé😀");
        assert_eq!([2, 4, 0x27, 0x32].map(|code| map.get(code)), [None, None, None, None]);
    }

    #[test]
    fn a_range_of_all_codes_is_one_range() {
        let text = b"1 beginbfrange <00000000> <ffffffff> <0041> endbfrange";
        let map = CMap::read(text, &mut Budget::default());
        assert_eq!(map.ranges.len(), 1);
        assert_eq!((map.get(1).as_deref(), map.get(u32::MAX)), (Some("B"), None));
    }
}
