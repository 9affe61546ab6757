//! The report as one HTML page that needs nothing else. It is well-formed XML too, so that programs can read it.

use std::fmt::Write as _;

use crate::document::{Block, Cell, Document, Section, Table, Tile, grouped, printable};
use crate::figure::{Anchor, Figure, Ink, Shape, WIDTH};
use crate::metrics::{Face, width};

const STYLE: &str = r"
:root { --ink: #1c2733; --soft: #5b6875; --line: #d9dfe5; --tint: #f4f7f9; --full: #0d5c75; --bad: #9b1c1c; }
* { box-sizing: border-box; }
html { font: 15px/1.5 Helvetica, Arial, sans-serif; color: var(--ink); background: #fff; }
body { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
header { border-bottom: 3px solid var(--full); padding-bottom: 1.25rem; }
h1 { font-size: 2rem; line-height: 1.15; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 3rem 0 .6rem; padding-top: .5rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.75rem 0 .4rem; }
p { margin: .5rem 0; max-width: 46rem; }
.period { font-size: 1.15rem; color: var(--soft); margin: .3rem 0 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0; font-size: .9rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.verdict { margin: 1.5rem 0; padding: .8rem 1rem; background: var(--tint); border-left: 5px solid var(--full); font-weight: bold; max-width: none; }
.verdict.bad { border-color: var(--bad); color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1px; background: var(--line); border: 1px solid var(--line); margin: 1.5rem 0; }
.tile { background: #fff; padding: .9rem 1rem; }
.tile b { display: block; font-size: 1.9rem; line-height: 1.1; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); }
nav ol { columns: 2; margin: .5rem 0; padding-left: 1.25rem; font-size: .95rem; }
a { color: var(--full); }
table { border-collapse: collapse; margin: .4rem 0 .3rem; font-size: .9rem; }
caption { text-align: left; white-space: nowrap; font-weight: bold; padding: .6rem 0 .3rem; font-size: 1rem; }
th { text-align: left; color: var(--soft); font-weight: normal; border-bottom: 1px solid var(--ink); vertical-align: bottom; }
th, td { padding: .25rem 1.2rem .25rem 0; } td { border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
th:last-child, td:last-child { padding-right: 0; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.remark { color: var(--soft); }
.wide { overflow-x: auto; }
code, pre { font: 12px/1.45 ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; }
.command { display: block; color: var(--soft); padding: .15rem 0 .15rem 1.2rem; text-indent: -1.2rem; overflow-wrap: anywhere; white-space: pre-wrap; }
.command::before { content: '$ '; }
pre { background: var(--tint); padding: .8rem 1rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: 1rem 0; } figcaption { font-weight: bold; margin-bottom: .4rem; }
svg { width: 100%; height: auto; max-width: 46rem; display: block; } svg text { font: 11px Helvetica, Arial, sans-serif; }
footer { margin-top: 3rem; padding-top: .75rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .85rem; }
@media print { html { font-size: 10pt; } body { max-width: none; padding: 0; } h2, h3, caption { break-after: avoid; } tr, figure, .tile { break-inside: avoid; } thead { display: table-header-group; } nav { display: none; } @page { margin: 18mm 16mm; } }
";

/// The page.
#[must_use]
pub fn render(document: &Document) -> String {
    let mut page = String::new();
    let (title, subtitle) = (escaped(&document.title), escaped(&document.subtitle));
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{title}, {subtitle}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n<p class=\"period\">{subtitle}</p>\n<dl>\n"
    );
    for (name, value) in &document.facts {
        let _ = writeln!(page, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(value));
    }
    let (verdict, good) = &document.verdict;
    let class = if *good { "verdict" } else { "verdict bad" };
    let _ = write!(page, "</dl>\n</header>\n<main>\n<p class=\"{class}\">{}</p>\n", escaped(verdict));
    if !document.tiles.is_empty() {
        page.push_str("<div class=\"tiles\">\n");
        document.tiles.iter().for_each(|tile| tile_of(&mut page, tile));
        page.push_str("</div>\n");
    }
    page.push_str("<nav aria-label=\"Contents\">\n<ol>\n");
    for Section { id, title, .. } in &document.sections {
        let _ = writeln!(page, "<li><a href=\"#{id}\">{}</a></li>", escaped(title));
    }
    page.push_str("</ol>\n</nav>\n");
    for section in &document.sections {
        let _ = writeln!(page, "<section id=\"{}\">\n<h2>{}</h2>", section.id, escaped(&section.title));
        section.blocks.iter().enumerate().for_each(|(at, block)| block_of(&mut page, section.id, at, block));
        page.push_str("</section>\n");
    }
    let _ = write!(
        page,
        "</main>\n<footer>Made {} from the WORM log. Of what messages say it has types and facilities alone.</footer>\n</body>\n</html>\n",
        document.made.strftime("%Y-%m-%d %H:%M:%S UTC")
    );
    page
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            c if c.is_control() => escaped.push('\u{FFFD}'),
            // No characters of XML.
            '\u{FFFE}' | '\u{FFFF}' => escaped.push('\u{FFFD}'),
            c => escaped.push(c),
        }
    }
    escaped
}

fn command_of(page: &mut String, command: &str) {
    let _ = writeln!(page, "<code class=\"command\">{}</code>", escaped(command));
}

fn tile_of(page: &mut String, tile: &Tile) {
    let number = grouped(i64::try_from(tile.number).unwrap_or(i64::MAX));
    let _ = write!(page, "<div class=\"tile\"><b>{number}</b><span>{}</span>", escaped(&tile.what));
    command_of(page, &tile.command);
    page.push_str("</div>\n");
}

fn block_of(page: &mut String, section: &str, at: usize, block: &Block) {
    match block {
        Block::Text(text) => {
            let _ = writeln!(page, "<p>{}</p>", escaped(text));
        }
        Block::Code(caption, text) => {
            let _ = writeln!(page, "<p>{}</p>\n<pre>{}</pre>", escaped(caption), escaped(text));
        }
        Block::Figure(figure) => svg(page, figure, &format!("{section}-{at}")),
        Block::Table(table) => table_of(page, table),
    }
}

fn table_of(page: &mut String, table: &Table) {
    let _ = write!(
        page,
        "<div class=\"wide\">\n<table>\n<caption>{}</caption>\n<thead><tr>",
        escaped(&table.caption)
    );
    for (at, name) in table.columns.iter().enumerate() {
        let class = if table.is_number(at) { " class=\"n\"" } else { "" };
        let _ = write!(page, "<th scope=\"col\"{class}>{}</th>", escaped(name));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for cell in row {
            let class = match cell {
                Cell::Key(_) => "",
                Cell::Number(_) => " class=\"n\"",
                Cell::Remark(_) => " class=\"remark\"",
            };
            let _ = write!(page, "<td{class}>{}</td>", escaped(&cell.shown()));
        }
        page.push_str("</tr>\n");
    }
    if table.rows.is_empty() {
        let _ = writeln!(page, "<tr><td colspan=\"{}\" class=\"remark\">none</td></tr>", table.columns.len());
    }
    page.push_str("</tbody>\n</table>\n");
    table.commands.iter().for_each(|command| command_of(page, &command.text));
    page.push_str("</div>\n");
}

fn color(ink: Ink) -> String {
    let [red, green, blue] = ink.rgb();
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn svg(page: &mut String, figure: &Figure, id: &str) {
    let _ = write!(
        page,
        "<figure>\n<figcaption>{0}</figcaption>\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {1}\" role=\"img\" \
         aria-labelledby=\"{id}-t {id}-d\">\n<title id=\"{id}-t\">{0}</title>\n<desc id=\"{id}-d\">{2}</desc>\n",
        escaped(&figure.title),
        figure.height,
        escaped(&figure.description)
    );
    for shape in &figure.shapes {
        let _ = match shape {
            Shape::Box { at: [x, y], size: [wide, tall], fill, edge } => {
                let edge = edge.map_or(String::new(), |edge| format!(" stroke=\"{}\"", color(edge)));
                writeln!(
                    page,
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{tall:.1}\" fill=\"{}\"{edge}/>",
                    color(*fill)
                )
            }
            Shape::Line { from, to, ink, width } => writeln!(
                page,
                "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{}\" stroke-width=\"{width}\"/>",
                from[0],
                from[1],
                to[0],
                to[1],
                color(*ink)
            ),
            Shape::Text { at: [x, y], anchor, face, text } => {
                let anchor = match anchor {
                    Anchor::Start => "start",
                    Anchor::Middle => "middle",
                    Anchor::End => "end",
                };
                let bold = if *face == Face::Bold { " font-weight=\"bold\"" } else { "" };
                let text = printable(text);
                // Whatever font the reader has, the text takes the room that it was given.
                writeln!(
                    page,
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
                     fill=\"{}\"{bold}>{}</text>",
                    width(&text, *face, Figure::SIZE),
                    color(Ink::Dark),
                    escaped(&text)
                )
            }
        };
    }
    page.push_str("</svg>\n</figure>\n");
}
