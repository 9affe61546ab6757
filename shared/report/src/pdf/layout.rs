//! Where everything of a report goes on pages.

use pdf_writer::types::StructRole;

use super::pages::{LEFT, PAGE, Pages, ROOM, Tag, spelled};
use crate::document::{Block, Cell, Document, Table, Tile, grouped, printable};
use crate::figure::{Anchor, Figure, Ink, Shape, WIDTH};
use crate::metrics::{Face, width, wrapped};

type Style = (Face, f32, Ink);

const TITLE: Style = (Face::Bold, 22.0, Ink::Dark);
const HEADING: Style = (Face::Bold, 13.5, Ink::Dark);
const CAPTION: Style = (Face::Bold, 9.5, Ink::Dark);
const BODY: Style = (Face::Regular, 9.0, Ink::Dark);
const CELL: Style = (Face::Regular, 8.5, Ink::Dark);
const HEAD: Style = (Face::Regular, 8.0, Ink::Dark);
const CODE: Style = (Face::Mono, 7.0, Ink::Dark);
/// From baseline to baseline, by the size.
const LEADING: f32 = 1.35;
const GAP: f32 = 12.0;

pub(super) fn lay_out(document: &Document, pages: &mut Pages) {
    let root = Pages::root();
    paragraph(pages, root, StructRole::H1, TITLE, &document.title);
    let subtitle = (Face::Regular, 12.0, Ink::Dark);
    paragraph(pages, root, StructRole::P, subtitle, &document.subtitle);
    pages.y += 4.0;
    pages.rule(pages.y, LEFT, LEFT + ROOM, Ink::Full, 2.0);
    pages.y += 6.0;
    for (name, value) in &document.facts {
        paragraph(pages, root, StructRole::P, BODY, &format!("{name}: {value}"));
    }
    pages.y += 6.0;
    let (verdict, _) = &document.verdict;
    paragraph(pages, root, StructRole::P, (Face::Bold, 10.0, Ink::Dark), verdict);
    pages.y += 6.0;
    tiles(pages, root, &document.tiles);
    for section in &document.sections {
        pages.y += 14.0;
        // With what comes first in it, a chart behind the first words included.
        let chart = section.blocks.iter().take(2).map(|block| match block {
            Block::Figure(figure) => figure.height * ROOM / WIDTH,
            _ => 0.0,
        });
        pages.make_room(110.0 + chart.sum::<f32>().min(PAGE[1] / 3.0));
        pages.heading(&section.title);
        let part = pages.tag(root, StructRole::Sect);
        paragraph(pages, part, StructRole::H2, HEADING, &section.title);
        for block in &section.blocks {
            pages.y += 4.0;
            match block {
                Block::Text(text) => paragraph(pages, part, StructRole::P, BODY, text),
                Block::Code(caption, text) => {
                    paragraph(pages, part, StructRole::P, BODY, caption);
                    paragraph(pages, part, StructRole::Code, CODE, text);
                }
                Block::Figure(figure) => draw(pages, part, figure),
                Block::Table(table) => tabulate(pages, part, table),
            }
        }
    }
}

fn lines_of(text: &str, (face, size, _): Style, limit: f32) -> Vec<String> {
    let clean: Vec<String> = text.split('\n').map(|line| spelled(&printable(line))).collect();
    wrapped(&clean.join("\n"), face, size, limit)
}

fn paragraph(pages: &mut Pages, parent: Tag, role: StructRole, style: Style, text: &str) {
    let tag = pages.tag(parent, role);
    let step = style.1 * LEADING;
    for line in lines_of(text, style, ROOM) {
        pages.make_room(step);
        pages.y += step;
        if !line.is_empty() {
            pages.text(tag, [LEFT, pages.y], style, &line);
        }
    }
    pages.y += 2.0;
}

fn command(pages: &mut Pages, parent: Tag, text: &str) {
    paragraph(pages, parent, StructRole::Code, CODE, &format!("$ {text}"));
}

/// Three in a row, with their commands.
fn tiles(pages: &mut Pages, parent: Tag, tiles: &[Tile]) {
    const NUMBER: Style = (Face::Bold, 18.0, Ink::Full);
    let wide = ROOM / 3.0;
    for row in tiles.chunks(3) {
        let commands: Vec<Vec<String>> =
            row.iter().map(|tile| lines_of(&format!("$ {}", tile.command), CODE, wide - GAP)).collect();
        let most = commands.iter().map(Vec::len).max().unwrap_or(0);
        let height = 38.0 + most as f32 * CODE.1 * LEADING;
        pages.make_room(height + 8.0);
        pages.rule(pages.y, LEFT, LEFT + ROOM, Ink::Faint, 0.7);
        for (at, (tile, command)) in row.iter().zip(commands).enumerate() {
            let x = LEFT + wide * at as f32;
            let tag = pages.tag(parent, StructRole::P);
            let number = grouped(i64::try_from(tile.number).unwrap_or(i64::MAX));
            pages.text(tag, [x, pages.y + 21.0], NUMBER, &number);
            pages.text(tag, [x, pages.y + 33.0], BODY, &tile.what);
            let tag = pages.tag(parent, StructRole::Code);
            for (line, text) in command.iter().enumerate() {
                pages.text(tag, [x, pages.y + 43.0 + line as f32 * CODE.1 * LEADING], CODE, text);
            }
        }
        pages.y += height + 8.0;
    }
}

fn draw(pages: &mut Pages, parent: Tag, figure: &Figure) {
    let scale = ROOM / WIDTH;
    let height = figure.height * scale;
    pages.make_room(height + 20.0);
    paragraph(pages, parent, StructRole::P, CAPTION, &figure.title);
    let tag = pages.tag(parent, StructRole::Figure);
    pages.describe(tag, &figure.description);
    pages.y += 3.0;
    let top = pages.y;
    let place = |[x, y]: [f32; 2]| [LEFT + x * scale, top + y * scale];
    pages.begin(tag);
    for shape in &figure.shapes {
        match shape {
            Shape::Box { at, size, fill, edge } => {
                pages.fill(place(*at), size.map(|side| side * scale), *fill, *edge);
            }
            Shape::Line { from, to, ink, width } => {
                pages.stroke(place(*from), place(*to), *ink, width * scale);
            }
            Shape::Text { at, anchor, face, text } => {
                let size = Figure::SIZE * scale;
                let text = spelled(&printable(text));
                let wide = width(&text, *face, size);
                let [x, y] = place(*at);
                let x = match anchor {
                    Anchor::Start => x,
                    Anchor::Middle => x - wide / 2.0,
                    Anchor::End => x - wide,
                };
                pages.show([x, y], (*face, size, Ink::Dark), &text);
            }
        }
    }
    pages.end();
    pages.y += height + 6.0;
}

/// How wide each column is: as its widest cell, unless all are too wide together; then those with words give way.
fn columns(table: &Table) -> Vec<f32> {
    let of = |style: Style, text: &str| width(&spelled(text), style.0, style.1) + GAP;
    let natural: Vec<f32> = (0..table.columns.len())
        .map(|at| {
            let cells = table.rows.iter().filter_map(|row| row.get(at)).map(|cell| of(CELL, &cell.shown()));
            cells.fold(of(HEAD, table.columns[at]), f32::max)
        })
        .collect();
    let fixed = |at: usize| table.is_number(at) || natural[at] < ROOM / 6.0;
    let taken: f32 = (0..natural.len()).filter(|at| fixed(*at)).map(|at| natural[at]).sum();
    let words: f32 = natural.iter().sum::<f32>() - taken;
    let room = ROOM - taken;
    if words <= room {
        return natural;
    }
    natural
        .iter()
        .enumerate()
        .map(|(at, wide)| if fixed(at) { *wide } else { (wide * room / words).max(40.0) })
        .collect()
}

fn tabulate(pages: &mut Pages, parent: Tag, table: &Table) {
    let wide = columns(table);
    let right = LEFT + wide.iter().sum::<f32>().min(ROOM);
    pages.make_room(70.0);
    paragraph(pages, parent, StructRole::P, CAPTION, &table.caption);
    let tag = pages.tag(parent, StructRole::Table);
    header(pages, tag, table, &wide, right);
    for cells in &table.rows {
        let lines: Vec<Vec<String>> =
            cells.iter().zip(&wide).map(|(cell, wide)| lines_of(&cell.shown(), CELL, wide - GAP)).collect();
        let step = CELL.1 * LEADING;
        let height = lines.iter().map(Vec::len).max().unwrap_or(1) as f32 * step + 4.0;
        if pages.make_room(height) {
            header(pages, tag, table, &wide, right);
        }
        let row = pages.tag(tag, StructRole::TR);
        let mut x = LEFT;
        for (at, ((lines, cell), wide)) in lines.iter().zip(cells).zip(&wide).enumerate() {
            let role = if at == 0 { StructRole::TH } else { StructRole::TD };
            let tag = pages.tag(row, role);
            for (line, text) in lines.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
                let indent = match cell {
                    Cell::Number(_) => wide - GAP - width(text, CELL.0, CELL.1),
                    Cell::Key(_) | Cell::Remark(_) => 0.0,
                };
                pages.text(tag, [x + indent, pages.y + (line + 1) as f32 * step], CELL, text);
            }
            x += wide;
        }
        pages.y += height;
        pages.rule(pages.y, LEFT, right, Ink::Faint, 0.4);
    }
    if table.rows.is_empty() {
        paragraph(pages, tag, StructRole::Caption, CELL, "none");
    }
    pages.y += 2.0;
    table.commands.iter().for_each(|text| command(pages, parent, &text.text));
}

fn header(pages: &mut Pages, parent: Tag, table: &Table, wide: &[f32], right: f32) {
    let row = pages.tag(parent, StructRole::TR);
    pages.y += HEAD.1 * LEADING + 1.0;
    let mut x = LEFT;
    for (at, (name, wide)) in table.columns.iter().zip(wide).enumerate() {
        let tag = pages.tag(row, StructRole::TH);
        let indent = if table.is_number(at) { wide - GAP - width(name, HEAD.0, HEAD.1) } else { 0.0 };
        pages.text(tag, [x + indent, pages.y], HEAD, name);
        x += wide;
    }
    pages.y += 3.5;
    pages.rule(pages.y, LEFT, right, Ink::Dark, 0.7);
    debug_assert!(pages.y < PAGE[1], "a header is on its page");
}
