//! Charts as shapes, for a page and for print alike. What a shade says is said by a hatching or a label too.

use crate::document::{grouped, printable};
use crate::fates::StageFates;
use crate::metrics::{Face, width};

/// Width of every figure, in points.
pub(crate) const WIDTH: f32 = 700.0;
const SIZE: f32 = 11.0;

/// What a shape is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Text.
    Dark,
    /// What is counted.
    Full,
    /// The lighter shade of it.
    Pale,
    /// Lines that help the eye.
    Faint,
    /// The page.
    Paper,
}

impl Ink {
    /// Red, green, blue.
    pub(crate) fn rgb(self) -> [u8; 3] {
        match self {
            Self::Dark => [0x1c, 0x27, 0x33],
            Self::Full => [0x0d, 0x5c, 0x75],
            Self::Pale => [0xbf, 0xd7, 0xde],
            Self::Faint => [0xc9, 0xd1, 0xd9],
            Self::Paper => [0xff, 0xff, 0xff],
        }
    }
}

/// Which end of a text its place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A part of a figure. The origin is at its upper left.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Box { at: [f32; 2], size: [f32; 2], fill: Ink, edge: Option<Ink> },
    Line { from: [f32; 2], to: [f32; 2], ink: Ink, width: f32 },
    Text { at: [f32; 2], anchor: Anchor, face: Face, text: String },
}

/// A chart.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What it shows.
    pub title: String,
    /// What it says, in words.
    pub description: String,
    pub(crate) height: f32,
    pub(crate) shapes: Vec<Shape>,
}

impl Figure {
    pub(crate) const SIZE: f32 = SIZE;

    fn new(title: &str, description: String) -> Self {
        Self { title: title.to_owned(), description, height: 0.0, shapes: Vec::new() }
    }

    fn text(&mut self, at: [f32; 2], anchor: Anchor, text: impl Into<String>) {
        self.shapes.push(Shape::Text { at, anchor, face: Face::Regular, text: text.into() });
    }

    fn line(&mut self, from: [f32; 2], to: [f32; 2]) {
        self.shapes.push(Shape::Line { from, to, ink: Ink::Faint, width: 0.75 });
    }

    fn bar(&mut self, at: [f32; 2], size: [f32; 2]) {
        self.shapes.push(Shape::Box { at, size, fill: Ink::Full, edge: None });
    }

    /// Numbers side by side: a bar each, with its number behind it.
    pub(crate) fn bars(title: &str, rows: &[(String, u64)]) -> Self {
        let said: Vec<String> = rows.iter().map(|(name, number)| format!("{name} {number}")).collect();
        let mut figure = Self::new(title, format!("{title}: {}.", said.join(", ")));
        let names: Vec<String> = rows.iter().map(|(name, _)| shortened(name)).collect();
        let left = 8.0 + names.iter().map(|name| width(name, Face::Regular, SIZE)).fold(0.0, f32::max);
        let most = rows.iter().map(|(_, number)| *number).max().unwrap_or(0).max(1);
        let room = WIDTH - left - 80.0;
        let step = 22.0;
        for (at, ((_, number), name)) in rows.iter().zip(names).enumerate() {
            let y = 4.0 + step * at as f32;
            figure.text([left - 8.0, y + 12.0], Anchor::End, name);
            let long = (room * share(*number, most)).max(if *number > 0 { 1.0 } else { 0.0 });
            figure.bar([left, y], [long, 15.0]);
            figure.text([left + long + 6.0, y + 12.0], Anchor::Start, shown(*number));
        }
        figure.shapes.push(Shape::Line {
            from: [left, 0.0],
            to: [left, 4.0 + step * rows.len() as f32],
            ink: Ink::Dark,
            width: 0.75,
        });
        figure.height = 6.0 + step * rows.len() as f32;
        figure
    }

    /// Numbers in their order, a column each.
    pub(crate) fn columns(title: &str, rows: &[(String, u64)]) -> Self {
        let most = rows.iter().max_by_key(|(_, number)| *number);
        let description = match (most, rows.first(), rows.last()) {
            (Some((name, most)), Some((first, _)), Some((last, _))) => {
                format!("{title}, from {first} to {last}; most at {name}: {most}.")
            }
            _ => format!("{title}: nothing."),
        };
        let mut figure = Self::new(title, description);
        let most = most.map_or(1, |(_, number)| *number).max(1);
        let (top, high) = (14.0, 120.0);
        let marks = ticks(most);
        let left =
            10.0 + marks.iter().map(|mark| width(&shown(*mark), Face::Regular, SIZE)).fold(0.0, f32::max);
        let scale = marks.last().copied().unwrap_or(most).max(most);
        for mark in marks {
            let y = top + high * (1.0 - share(mark, scale));
            figure.line([left, y], [WIDTH, y]);
            figure.text([left - 6.0, y + 4.0], Anchor::End, shown(mark));
        }
        let step = (WIDTH - left) / rows.len().max(1) as f32;
        // A day that all names begin with is said once, and as many names as have room.
        let day = rows.first().and_then(|(name, _)| name.split_once(' ')).map(|(day, _)| format!("{day} "));
        let day = day.filter(|day| rows.iter().all(|(name, _)| name.starts_with(day.as_str())));
        let label = |name: &str| name[day.as_ref().map_or(0, String::len)..].to_owned();
        let widest =
            rows.iter().map(|(name, _)| width(&label(name), Face::Regular, SIZE)).fold(0.0, f32::max) + 14.0;
        let every = (widest / step).ceil().max(1.0) as usize;
        let mut taken = 0.0;
        for (at, (name, number)) in rows.iter().enumerate() {
            let x = left + step * at as f32;
            let tall = high * share(*number, scale);
            let wide = (step * 0.8).min(60.0);
            figure.bar([x + (step - wide) / 2.0, top + high - tall], [wide, tall]);
            if at % every == 0 {
                let name = label(name);
                let half = width(&name, Face::Regular, SIZE) / 2.0;
                let middle = (x + step / 2.0).clamp(left + half, (WIDTH - half).max(left + half));
                // At the edges a name is moved in, and may meet the next one.
                if at == 0 || middle - half >= taken + 10.0 {
                    figure.text([middle, top + high + 16.0], Anchor::Middle, name);
                    taken = middle + half;
                }
            }
        }
        figure.shapes.push(Shape::Line {
            from: [left, top + high],
            to: [WIDTH, top + high],
            ink: Ink::Dark,
            width: 0.75,
        });
        figure.height = top + high + 24.0;
        figure
    }

    /// What became of the inputs, a bar a stage.
    pub(crate) fn fates(title: &str, stages: &[(&str, StageFates)]) -> Self {
        let parts = |fates: &StageFates| {
            [
                ("emitted", fates.emitted, Hatch::Full),
                ("dropped", fates.dropped, Hatch::Pale),
                ("dead-lettered", fates.dead_lettered, Hatch::Diagonal),
                ("parked", fates.parked, Hatch::Upright),
                ("open", fates.open, Hatch::Empty),
            ]
        };
        let said: Vec<String> = stages
            .iter()
            .map(|(stage, fates)| {
                let parts = parts(fates).into_iter().filter(|(_, number, _)| *number > 0);
                let parts: Vec<String> = parts.map(|(name, number, _)| format!("{name} {number}")).collect();
                format!("{stage}: {}", parts.join(", "))
            })
            .collect();
        let mut figure = Self::new(title, format!("{title}. {}.", said.join("; ")));
        let mut x = 76.0;
        for (name, _, hatch) in parts(&StageFates::default()) {
            figure.hatched([x, 2.0], [18.0, 12.0], hatch);
            figure.text([x + 24.0, 12.0], Anchor::Start, name);
            x += 24.0 + width(name, Face::Regular, SIZE) + 22.0;
        }
        let most = stages.iter().map(|(_, fates)| fates.inputs).max().unwrap_or(0).max(1);
        let (left, room, step) = (76.0, WIDTH - 76.0 - 70.0, 26.0);
        for (at, (stage, fates)) in stages.iter().enumerate() {
            let y = 28.0 + step * at as f32;
            figure.text([left - 8.0, y + 13.0], Anchor::End, *stage);
            let mut x = left;
            for (_, number, hatch) in parts(fates).into_iter().filter(|(_, number, _)| *number > 0) {
                // What is there is seen, however little it is.
                let long = (room * share(number, most)).max(3.0);
                figure.hatched([x, y], [long, 18.0], hatch);
                x += long;
            }
            figure.text([x + 6.0, y + 13.0], Anchor::Start, shown(fates.inputs));
        }
        figure.height = 30.0 + step * stages.len() as f32;
        figure
    }

    fn hatched(&mut self, [x, y]: [f32; 2], [wide, tall]: [f32; 2], hatch: Hatch) {
        let (fill, edge) = match hatch {
            Hatch::Full => (Ink::Full, Some(Ink::Full)),
            Hatch::Pale => (Ink::Pale, Some(Ink::Full)),
            Hatch::Diagonal | Hatch::Upright | Hatch::Empty => (Ink::Paper, Some(Ink::Dark)),
        };
        self.shapes.push(Shape::Box { at: [x, y], size: [wide, tall], fill, edge });
        let mut stroke = |from: [f32; 2], to: [f32; 2]| {
            self.shapes.push(Shape::Line { from, to, ink: Ink::Dark, width: 0.9 });
        };
        match hatch {
            Hatch::Diagonal => {
                // Lines x + y = c, cut off at the box.
                let mut c = 4.0;
                while c < wide + tall {
                    let from = [x + (c - tall).max(0.0), y + c.min(tall)];
                    let to = [x + c.min(wide), y + (c - wide).max(0.0)];
                    stroke(from, to);
                    c += 4.0;
                }
            }
            Hatch::Upright => {
                let mut at = 3.0;
                while at < wide {
                    stroke([x + at, y], [x + at, y + tall]);
                    at += 3.0;
                }
            }
            Hatch::Full | Hatch::Pale | Hatch::Empty => {}
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Hatch {
    Full,
    Pale,
    Diagonal,
    Upright,
    Empty,
}

fn shown(number: u64) -> String {
    grouped(i64::try_from(number).unwrap_or(i64::MAX))
}

fn share(number: u64, of: u64) -> f32 {
    number as f32 / of as f32
}

/// A name that leaves room for its bar.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 36;
    let name = printable(name);
    if name.chars().count() <= LONGEST {
        return name;
    }
    name.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// Round numbers from zero up to the most, a few.
fn ticks(most: u64) -> Vec<u64> {
    let mut step = 1;
    for factor in [2, 5, 10].into_iter().cycle() {
        if most / step <= 4 {
            break;
        }
        let decade = 10_u64.pow(step.ilog10());
        step = match factor {
            2 => decade * 2,
            5 => decade * 5,
            _ => decade.saturating_mul(10),
        };
    }
    (0..=most.div_ceil(step)).map(|at| at * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(figure: &Figure) {
        for shape in &figure.shapes {
            let points = match shape {
                Shape::Box { at, size, .. } => vec![*at, [at[0] + size[0], at[1] + size[1]]],
                Shape::Line { from, to, .. } => vec![*from, *to],
                Shape::Text { at, anchor, text, .. } => {
                    let wide = width(text, Face::Regular, SIZE);
                    match anchor {
                        Anchor::Start => vec![*at, [at[0] + wide, at[1]]],
                        Anchor::Middle => vec![[at[0] - wide / 2.0, at[1]], [at[0] + wide / 2.0, at[1]]],
                        Anchor::End => vec![[at[0] - wide, at[1]], *at],
                    }
                }
            };
            for [x, y] in points {
                let there = (-0.5..=WIDTH + 0.5).contains(&x) && (-0.5..=figure.height + 0.5).contains(&y);
                assert!(there, "{shape:?} is outside of {WIDTH} x {}", figure.height);
            }
        }
    }

    #[test]
    fn figures_stay_within_their_frames() {
        for number in [0, 1, 7, 999, 1_000, 123_456_789] {
            let rows: Vec<(String, u64)> =
                (0..number % 31 + 1).map(|at| (format!("2026-11-{at:02}T00"), number / (at + 1))).collect();
            inside(&Figure::bars("t", &rows));
            inside(&Figure::columns("t", &rows));
            let fates = StageFates {
                inputs: number,
                emitted: number / 2,
                dead_lettered: number / 3,
                parked: 1,
                ..StageFates::default()
            };
            inside(&Figure::fates("t", &[("summarize", fates), ("notify", fates)]));
        }
        inside(&Figure::columns("t", &[]));
        inside(&Figure::bars("t", &[("x".repeat(99), 5)]));
    }

    #[test]
    fn a_scale_is_round_and_covers_the_most() {
        for (most, marks) in [
            (1, vec![0, 1]),
            (4, vec![0, 1, 2, 3, 4]),
            (9, vec![0, 2, 4, 6, 8, 10]),
            (20, vec![0, 5, 10, 15, 20]),
            (1776, vec![0, 500, 1000, 1500, 2000]),
        ] {
            assert_eq!(ticks(most), marks);
        }
        for most in [u64::from(u32::MAX), u64::MAX / 3] {
            assert!(ticks(most).last().is_some_and(|last| *last >= most));
        }
    }

    #[test]
    fn a_figure_says_in_words_what_it_shows() {
        let bars = Figure::bars("Redactions", &[("NAME".to_owned(), 3), ("DATE".to_owned(), 2)]);
        assert_eq!(bars.description, "Redactions: NAME 3, DATE 2.");
        let fates = StageFates { inputs: 3, emitted: 2, open: 1, ..StageFates::default() };
        assert_eq!(
            Figure::fates("Fates", &[("ingest", fates)]).description,
            "Fates. ingest: emitted 2, open 1."
        );
    }
}
