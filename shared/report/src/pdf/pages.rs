//! Pages, text on them, and the structure that says what the text is.

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{StructRole, TabOrder};
use pdf_writer::{Content, Date, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use std::io::Write as _;

use crate::document::Document;
use crate::figure::Ink;
use crate::metrics::{Face, width};

/// A4, in points.
pub(super) const PAGE: [f32; 2] = [595.0, 842.0];
pub(super) const LEFT: f32 = 50.0;
pub(super) const ROOM: f32 = PAGE[0] - 2.0 * LEFT;
const TOP: f32 = 54.0;
const BOTTOM: f32 = PAGE[1] - 62.0;

/// An element of the structure.
#[derive(Debug)]
struct Element {
    role: StructRole,
    parent: Option<usize>,
    /// What is said in the place of a figure.
    alt: Option<String>,
    kids: Vec<Kid>,
}

#[derive(Debug)]
enum Kid {
    Element(usize),
    /// Page, and number of the marked content on it.
    Mark(usize, i32),
}

/// Names an element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag(usize);

/// The pages so far. Places have their origin at the upper left, like figures.
pub(super) struct Pages {
    contents: Vec<Content>,
    /// By page, the element of each marked content.
    marks: Vec<Vec<usize>>,
    elements: Vec<Element>,
    /// Titles with the page and the height where they stand.
    outline: Vec<(String, usize, f32)>,
    /// Where the next thing goes.
    pub(super) y: f32,
}

impl Pages {
    pub(super) fn new() -> Self {
        let root = Element { role: StructRole::Document, parent: None, alt: None, kids: Vec::new() };
        let mut pages = Self {
            contents: Vec::new(),
            marks: Vec::new(),
            elements: vec![root],
            outline: Vec::new(),
            y: TOP,
        };
        pages.next();
        pages
    }

    /// The whole document.
    pub(super) fn root() -> Tag {
        Tag(0)
    }

    pub(super) fn tag(&mut self, parent: Tag, role: StructRole) -> Tag {
        self.elements.push(Element { role, parent: Some(parent.0), alt: None, kids: Vec::new() });
        let tag = self.elements.len() - 1;
        self.elements[parent.0].kids.push(Kid::Element(tag));
        Tag(tag)
    }

    pub(super) fn describe(&mut self, tag: Tag, text: &str) {
        self.elements[tag.0].alt = Some(text.to_owned());
    }

    /// A new page.
    pub(super) fn next(&mut self) {
        self.contents.push(Content::new());
        self.marks.push(Vec::new());
        self.y = TOP;
    }

    /// Whether something so high goes on this page.
    pub(super) fn fits(&self, height: f32) -> bool {
        self.y + height <= BOTTOM
    }

    /// A new page if something so high does not go on this one. Whether there is one.
    pub(super) fn make_room(&mut self, height: f32) -> bool {
        let new = !self.fits(height) && self.y > TOP;
        if new {
            self.next();
        }
        new
    }

    pub(super) fn heading(&mut self, title: &str) {
        self.outline.push((title.to_owned(), self.contents.len() - 1, PAGE[1] - self.y));
    }

    /// Text of an element, with its baseline at a place.
    pub(super) fn text(&mut self, tag: Tag, at: [f32; 2], (face, size, ink): (Face, f32, Ink), text: &str) {
        self.begin(tag);
        self.show(at, (face, size, ink), text);
        self.content().end_marked_content();
    }

    /// Begins what belongs to an element; the caller ends it.
    pub(super) fn begin(&mut self, tag: Tag) {
        let page = self.contents.len() - 1;
        let mark = i32::try_from(self.marks[page].len()).unwrap_or(i32::MAX);
        self.marks[page].push(tag.0);
        self.elements[tag.0].kids.push(Kid::Mark(page, mark));
        let name = self.elements[tag.0].role.to_name();
        self.content().begin_marked_content_with_properties(name).properties().identify(mark);
    }

    pub(super) fn end(&mut self) {
        self.content().end_marked_content();
    }

    pub(super) fn show(&mut self, [x, y]: [f32; 2], (face, size, ink): (Face, f32, Ink), text: &str) {
        let [red, green, blue] = rgb(ink);
        let bytes = encoded(text);
        self.content()
            .begin_text()
            .set_fill_rgb(red, green, blue)
            .set_font(font(face), size)
            .set_text_matrix([1.0, 0.0, 0.0, 1.0, x, PAGE[1] - y])
            .show(Str(&bytes))
            .end_text();
    }

    pub(super) fn fill(&mut self, [x, y]: [f32; 2], [wide, tall]: [f32; 2], fill: Ink, edge: Option<Ink>) {
        let [red, green, blue] = rgb(fill);
        let content = self.content();
        content.set_fill_rgb(red, green, blue).rect(x, PAGE[1] - y - tall, wide, tall);
        match edge.map(rgb) {
            None => content.fill_nonzero(),
            Some([red, green, blue]) => {
                content.set_stroke_rgb(red, green, blue).set_line_width(0.7).fill_nonzero_and_stroke()
            }
        };
    }

    pub(super) fn stroke(&mut self, from: [f32; 2], to: [f32; 2], ink: Ink, width: f32) {
        let [red, green, blue] = rgb(ink);
        self.content()
            .set_stroke_rgb(red, green, blue)
            .set_line_width(width)
            .move_to(from[0], PAGE[1] - from[1])
            .line_to(to[0], PAGE[1] - to[1])
            .stroke();
    }

    /// A line that means nothing.
    pub(super) fn rule(&mut self, y: f32, left: f32, right: f32, ink: Ink, width: f32) {
        self.content().begin_marked_content(Name(b"Artifact"));
        self.stroke([left, y], [right, y], ink, width);
        self.content().end_marked_content();
    }

    fn content(&mut self) -> &mut Content {
        let last = self.contents.len() - 1;
        &mut self.contents[last]
    }

    /// Below each page what it is of, and its number.
    fn number(&mut self, document: &Document) {
        let all = self.contents.len();
        let kept = std::mem::take(&mut self.contents);
        for (at, content) in kept.into_iter().enumerate() {
            self.contents.push(content);
            self.content().begin_marked_content(Name(b"Artifact"));
            let style = (Face::Regular, 7.5, Ink::Dark);
            let number = format!("{} / {all}", at + 1);
            let y = PAGE[1] - 34.0;
            self.show([LEFT, y], style, &format!("{}, {}", document.title, document.subtitle));
            let wide = width(&number, style.0, style.1);
            self.show([LEFT + ROOM - wide, y], style, &number);
            self.content().end_marked_content();
        }
    }

    pub(super) fn finish(mut self, document: &Document) -> Vec<u8> {
        self.number(document);
        let mut next = 1;
        let mut id = || {
            next += 1;
            Ref::new(next - 1)
        };
        let (catalog, tree, info, outline, structure, parents) = (id(), id(), id(), id(), id(), id());
        let fonts = [Face::Regular, Face::Bold, Face::Mono].map(|face| (face, id()));
        let pages: Vec<(Ref, Ref)> = self.contents.iter().map(|_| (id(), id())).collect();
        let elements: Vec<Ref> = self.elements.iter().map(|_| id()).collect();
        let items: Vec<Ref> = self.outline.iter().map(|_| id()).collect();

        let mut pdf = Pdf::new();
        let mut root = pdf.catalog(catalog);
        root.pages(tree).lang(TextStr("en"));
        root.viewer_preferences().display_doc_title(true);
        root.mark_info().marked(true);
        if !items.is_empty() {
            root.outlines(outline);
        }
        root.pair(Name(b"StructTreeRoot"), structure);
        root.finish();
        let title = format!("{}, {}", document.title, document.subtitle);
        let mut about = pdf.document_info(info);
        about.title(TextStr(&title)).producer(TextStr("wardstream"));
        if let Some(date) = date(document.made) {
            about.creation_date(date);
        }
        about.finish();
        for (face, id) in fonts {
            let name: &[u8] = match face {
                Face::Regular => b"Helvetica",
                Face::Bold => b"Helvetica-Bold",
                Face::Mono => b"Courier",
            };
            pdf.type1_font(id).base_font(Name(name)).encoding_predefined(Name(b"WinAnsiEncoding"));
        }
        let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
        pdf.pages(tree).kids(pages.iter().map(|(page, _)| *page)).count(count);
        for (at, (content, (page_id, content_id))) in self.contents.into_iter().zip(&pages).enumerate() {
            let mut page = pdf.page(*page_id);
            page.parent(tree).media_box(Rect::new(0.0, 0.0, PAGE[0], PAGE[1])).contents(*content_id);
            page.struct_parents(i32::try_from(at).unwrap_or(i32::MAX)).tab_order(TabOrder::StructureOrder);
            let mut resources = page.resources();
            let mut named = resources.fonts();
            for (face, id) in fonts {
                named.pair(font(face), id);
            }
            named.finish();
            resources.finish();
            page.finish();
            match deflated(&content.finish()) {
                Ok(bytes) => drop(pdf.stream(*content_id, &bytes).filter(Filter::FlateDecode)),
                // Nothing is written but to memory.
                Err(_) => drop(pdf.stream(*content_id, &[])),
            }
        }

        let mut tree_root = pdf.indirect(structure).start::<pdf_writer::writers::StructTreeRoot<'_>>();
        tree_root.child(elements[0]).pair(Name(b"ParentTree"), parents);
        tree_root.parent_tree_next_key(count);
        tree_root.finish();
        let mut numbers = pdf.indirect(parents).dict();
        let mut nums = numbers.insert(Name(b"Nums")).array();
        for (at, marks) in self.marks.iter().enumerate() {
            nums.item(i32::try_from(at).unwrap_or(i32::MAX));
            nums.push().array().items(marks.iter().map(|element| elements[*element]));
        }
        nums.finish();
        numbers.finish();
        for (element, id) in self.elements.iter().zip(&elements) {
            let mut written = pdf.struct_element(*id);
            written.kind(element.role).parent(element.parent.map_or(structure, |parent| elements[parent]));
            if let Some(alt) = &element.alt {
                written.alt(TextStr(alt));
            }
            let mut kids = written.children();
            for kid in &element.kids {
                match kid {
                    Kid::Element(kid) => drop(kids.struct_element(elements[*kid])),
                    Kid::Mark(page, mark) => {
                        kids.marked_content_ref().page(pages[*page].0).marked_content_id(*mark);
                    }
                }
            }
            kids.finish();
        }

        if let (Some(first), Some(last)) = (items.first(), items.last()) {
            let count = i32::try_from(items.len()).unwrap_or(i32::MAX);
            pdf.outline(outline).first(*first).last(*last).count(count);
        }
        for (at, (title, page, y)) in self.outline.iter().enumerate() {
            let mut item = pdf.outline_item(items[at]);
            item.title(TextStr(title)).parent(outline);
            if at > 0 {
                item.prev(items[at - 1]);
            }
            if let Some(next) = items.get(at + 1) {
                item.next(*next);
            }
            item.dest().page(pages[*page].0).xyz(LEFT, *y, None);
        }
        pdf.finish()
    }
}

fn date(time: jiff::Timestamp) -> Option<Date> {
    let time = time.to_zoned(jiff::tz::TimeZone::UTC);
    let part = |number: i8| u8::try_from(number).ok();
    let date = Date::new(u16::try_from(time.year()).ok()?);
    let date = date.month(part(time.month())?).day(part(time.day())?).hour(part(time.hour())?);
    Some(date.minute(part(time.minute())?).second(part(time.second())?).utc_offset_hour(0))
}

fn deflated(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn font(face: Face) -> Name<'static> {
    match face {
        Face::Regular => Name(b"R"),
        Face::Bold => Name(b"B"),
        Face::Mono => Name(b"M"),
    }
}

fn rgb(ink: Ink) -> [f32; 3] {
    ink.rgb().map(|part| f32::from(part) / 255.0)
}

/// Text as the page shows it: what the fonts lack by its number.
pub(super) fn spelled(text: &str) -> String {
    let mut spelled = String::with_capacity(text.len());
    for c in text.chars() {
        match byte(c) {
            Some(_) => spelled.push(c),
            None => spelled.push_str(&format!("U+{:04X}", u32::from(c))),
        }
    }
    spelled
}

fn encoded(text: &str) -> Vec<u8> {
    text.chars().filter_map(byte).collect()
}

/// A character in Windows-1252 (WinAnsiEncoding, ISO 32000-1, Annex D).
fn byte(c: char) -> Option<u8> {
    const UPPER: [(char, u8); 27] = [
        ('€', 0x80),
        ('‚', 0x82),
        ('ƒ', 0x83),
        ('„', 0x84),
        ('…', 0x85),
        ('†', 0x86),
        ('‡', 0x87),
        ('ˆ', 0x88),
        ('‰', 0x89),
        ('Š', 0x8A),
        ('‹', 0x8B),
        ('Œ', 0x8C),
        ('Ž', 0x8E),
        ('‘', 0x91),
        ('’', 0x92),
        ('“', 0x93),
        ('”', 0x94),
        ('•', 0x95),
        ('–', 0x96),
        ('—', 0x97),
        ('˜', 0x98),
        ('™', 0x99),
        ('š', 0x9A),
        ('›', 0x9B),
        ('œ', 0x9C),
        ('ž', 0x9E),
        ('Ÿ', 0x9F),
    ];
    match u32::from(c) {
        0x20..=0x7E | 0xA0..=0xFF => u8::try_from(u32::from(c)).ok(),
        _ => UPPER.iter().find(|(known, _)| *known == c).map(|(_, byte)| *byte),
    }
}
