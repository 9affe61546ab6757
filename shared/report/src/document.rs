//! The report before it has a format: sections of text, tables and figures.

use crate::Figure;

/// A report.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it is.
    pub title: String,
    /// What it is of, in a line.
    pub subtitle: String,
    /// When it was made.
    pub made: jiff::Timestamp,
    /// Who made it, of what: a word and what it stands for.
    pub facts: Vec<(String, String)>,
    /// The result, and whether it is good.
    pub verdict: (String, bool),
    /// The figures that matter most.
    pub tiles: Vec<Tile>,
    /// The rest.
    pub sections: Vec<Section>,
}

/// A number that stands out, and the command that gives it.
#[derive(Clone, Debug)]
pub struct Tile {
    /// The number.
    pub number: u64,
    /// What it counts.
    pub what: String,
    /// What gives it once more.
    pub command: String,
}

/// A chapter.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name in links.
    pub id: &'static str,
    /// Its heading.
    pub title: String,
    /// What it has.
    pub blocks: Vec<Block>,
}

/// A part of a chapter.
#[derive(Clone, Debug)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A table.
    Table(Table),
    /// A chart.
    Figure(Figure),
    /// Text as it is, with what it is.
    Code(String, String),
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// What is counted.
    Key(String),
    /// A number.
    Number(i64),
    /// What explains the row, and no command gives.
    Remark(String),
}

/// A command that gives numbers once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its row, by the first cell; the whole table without.
    pub row: Option<String>,
    /// The command.
    pub text: String,
}

/// A table. A command of a whole table prints its rows; one of a row prints, by line, the number and the name of each column that
/// is not zero.
#[derive(Clone, Debug)]
pub struct Table {
    /// What it shows.
    pub caption: String,
    /// Headings of the columns.
    pub columns: Vec<&'static str>,
    /// Rows, as wide as the headings.
    pub rows: Vec<Vec<Cell>>,
    /// What gives it once more.
    pub commands: Vec<Command>,
}

impl Cell {
    pub(crate) fn number(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// The cell as it is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Key(text) | Self::Remark(text) => printable(text),
            Self::Number(number) => grouped(*number),
        }
    }
}

impl Table {
    pub(crate) fn new(caption: impl Into<String>, columns: &[&'static str], rows: Vec<Vec<Cell>>) -> Self {
        Self { caption: caption.into(), columns: columns.to_vec(), rows, commands: Vec::new() }
    }

    /// Whether a column has numbers.
    pub(crate) fn is_number(&self, column: usize) -> bool {
        self.rows.first().and_then(|row| row.get(column)).is_some_and(|cell| matches!(cell, Cell::Number(_)))
    }

    /// With a command for all rows.
    pub(crate) fn by(mut self, command: String) -> Self {
        self.commands.push(Command { row: None, text: command });
        self
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    if number < 0 { format!("-{shown}") } else { shown }
}

/// Text without what no page can show.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (number, shown) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567"), (100_000, "100,000")]
        {
            assert_eq!(grouped(number), shown);
        }
        assert_eq!(Cell::Key("a\tb".to_owned()).shown(), "a\u{FFFD}b");
    }
}
