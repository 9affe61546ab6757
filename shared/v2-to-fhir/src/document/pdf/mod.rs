//! The text of a PDF document (ISO 32000-1).
//!
//! No library takes a file of a stranger within bounds: docs/adr/0011 has what was measured. Everything here is paid
//! for from a [`Budget`](budget::Budget), and nothing goes deeper than a constant.

mod budget;
mod cmap;
mod crypt;
mod encoding;
mod file;
mod filter;
mod font;
mod layout;
mod lexer;
mod page;
#[cfg(test)]
mod tests;

use super::extract::{Found, Unread};
use budget::Budget;

/// Bytes of the largest file that is read.
const LARGEST: usize = 16 << 20;

/// The text of a PDF file, page after page, or why there is none.
pub(super) fn text(data: &[u8]) -> Result<Found, Unread> {
    read(data, &mut Budget::default())
}

fn read(data: &[u8], budget: &mut Budget) -> Result<Found, Unread> {
    if data.len() > LARGEST {
        return Err(Unread::TooLarge);
    }
    let file = file::File::scan(data, budget);
    if file.locked {
        return Err(Unread::Encrypted);
    }
    let mut reader = page::Reader::new(&file);
    let mut text = String::new();
    let pages = file.pages(budget, &mut |page, inherited, budget| {
        text.push_str(&reader.page(page, inherited, budget));
        text.push_str("\n\n");
    });
    // Fewer letters than signs that stand for nothing are no text.
    if !text.trim().is_empty() && reader.known >= reader.unknown {
        return Ok(Found { text, cut: budget.spent });
    }
    Err(if budget.spent {
        Unread::TooLarge
    } else if reader.unknown > 0 {
        Unread::Fonts
    } else if pages == 0 || reader.damaged > 0 {
        Unread::Damaged
    } else if reader.pictures > 0 {
        Unread::Pictures
    } else {
        Unread::Empty
    })
}
