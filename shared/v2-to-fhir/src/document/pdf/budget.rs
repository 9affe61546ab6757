//! What reading one document may cost. Each byte looked at, each byte that a filter gives and each character of the
//! result is paid for before it is used, so that no document can take more time or memory than this, however it is made.

/// Bytes that are looked at. Reading goes over a file once and over each page once.
const WORK: usize = 48 << 20;
/// Bytes that filters give.
const DECODED: usize = 32 << 20;
/// Bytes of text, and some for each piece of it.
const TEXT: usize = 4 << 20;
/// What every object costs beside its bytes, and every piece of text: it is kept for a while.
pub(super) const EACH: usize = 8;

#[derive(Debug)]
pub(super) struct Budget {
    work: usize,
    decoded: usize,
    text: usize,
    /// Whether something was left out because it would have cost too much.
    pub(super) spent: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self { work: WORK, decoded: DECODED, text: TEXT, spent: false }
    }
}

impl Budget {
    /// A small part of what there is, to be spent soon.
    #[cfg(test)]
    pub(super) fn small() -> Self {
        Self { work: WORK >> 6, decoded: DECODED >> 6, text: TEXT >> 6, spent: false }
    }

    /// Pays for looking at so many bytes. Even nothing costs something.
    pub(super) fn work(&mut self, bytes: usize) -> Option<()> {
        pay(&mut self.work, bytes.saturating_add(EACH), &mut self.spent)
    }

    /// What filters may yet give.
    pub(super) fn decoded_left(&self) -> usize {
        self.decoded
    }

    pub(super) fn decoded(&mut self, bytes: usize) -> Option<()> {
        pay(&mut self.decoded, bytes, &mut self.spent)
    }

    pub(super) fn text(&mut self, bytes: usize) -> Option<()> {
        pay(&mut self.text, bytes, &mut self.spent)
    }
}

/// What cannot be paid takes all that is left: much of it is paid for after it was done, and would be done again.
fn pay(purse: &mut usize, price: usize, spent: &mut bool) -> Option<()> {
    let left = purse.checked_sub(price);
    *spent |= left.is_none();
    *purse = left.unwrap_or_default();
    left.map(|_| ())
}
