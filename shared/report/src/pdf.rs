//! The report as PDF: tagged (ISO 32000-1, 14.8), with an outline, in the fonts that every reader has.
//!
//! Those fonts have the characters of Windows-1252. Any other is written as its number, U+0141.

mod layout;
mod pages;

use crate::document::Document;

/// The file.
#[must_use]
pub fn render(document: &Document) -> Vec<u8> {
    let mut pages = pages::Pages::new();
    layout::lay_out(document, &mut pages);
    pages.finish(document)
}
