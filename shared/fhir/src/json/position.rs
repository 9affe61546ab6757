//! Byte offsets as lines and columns.

/// Turns ascending byte offsets into 1-based lines and columns in one pass over the text.
pub(crate) struct Positions<'t> {
    text: &'t [u8],
    at: usize,
    line: u32,
    /// Characters of the line before `at`.
    characters: usize,
}

impl<'t> Positions<'t> {
    pub(crate) fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0, line: 1, characters: 0 }
    }

    /// The line, and the column in Unicode scalar values, of an offset not before the last one asked for.
    pub(crate) fn locate(&mut self, offset: usize) -> (u32, u32) {
        let offset = offset.min(self.text.len());
        let mut passed = self.text.get(self.at..offset).unwrap_or(&[]);
        let newlines = memchr::memchr_iter(b'\n', passed).count();
        if newlines > 0 {
            self.line = self.line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
            let start = memchr::memrchr(b'\n', passed).map_or(0, |last| last + 1);
            passed = passed.get(start..).unwrap_or(&[]);
            self.characters = 0;
        }
        self.at = self.at.max(offset);
        // Continuation bytes of UTF-8 do not start a character.
        self.characters += passed.iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
        (self.line, u32::try_from(self.characters).unwrap_or(u32::MAX).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_characters_from_one() {
        let mut positions = Positions::new("a\nbé\u{1F600}c\n".as_bytes());
        assert_eq!(positions.locate(0), (1, 1));
        assert_eq!(positions.locate(2), (2, 1));
        assert_eq!(positions.locate(9), (2, 4));
        assert_eq!(positions.locate(10), (2, 5));
        assert_eq!(positions.locate(999), (3, 1));
    }
}
