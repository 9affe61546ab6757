//! The document of a period.

mod line;
mod log;
mod people;

use contracts::{ACCESS_EVENTS, DEAD_LETTER_SUFFIX};
use jiff::Timestamp;

use crate::commands::{self, Source, minute};
use crate::counts::is_input_of_the_line;
use crate::document::{Block, Cell, Document, Section, Tile};
use crate::{Counts, Figure, Period};

/// Who made the report.
#[derive(Clone, Debug)]
pub struct Made {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub operator: String,
    /// Why.
    pub purpose: String,
    /// The program's version.
    pub version: String,
}

/// What the verifier says of the log.
#[derive(Clone, Debug)]
pub struct Verification {
    /// `whole`, `incomplete` or `tampered`.
    pub verdict: String,
    /// Whether it is whole.
    pub whole: bool,
    /// Topics.
    pub topics: u64,
    /// Partitions.
    pub partitions: u64,
    /// Segments that were read and compared record by record.
    pub segments: u64,
    /// Their records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Checkpoints of the log.
    pub checkpoints: u64,
    /// What is wrong, a line each.
    pub findings: Vec<String>,
    /// How many more findings there are.
    pub omitted: u64,
}

/// Who watches a log from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// File with its key.
    pub file: String,
    /// The key.
    pub key: String,
}

/// A signature under a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Name of the key.
    pub name: String,
    /// Its id, hexadecimal.
    pub id: String,
    /// Whether a key of the list made it, whose signatures count at the checkpoint's time.
    pub verified: bool,
}

/// The checkpoint that the report rests on.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// Root, hexadecimal.
    pub root: String,
    /// When it was made.
    pub time: Timestamp,
    /// As it is stored.
    pub note: String,
    /// Under it.
    pub signatures: Vec<Signature>,
    /// Files with checkpoints that were kept elsewhere, whose trees the log contains.
    pub kept: Vec<String>,
    /// The witness that cosigned those.
    pub witness: Option<Witness>,
}

/// How long a topic's segments are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Topic.
    pub topic: String,
    /// Segments.
    pub segments: u64,
    /// Records.
    pub records: u64,
    /// The first end of a retention.
    pub from: Timestamp,
    /// The last.
    pub to: Timestamp,
}

/// Legal holds on segments with records of the period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A folder has none.
    Folder,
    /// They could not be read, and why.
    Unknown(String),
    /// Segments under hold, of how many.
    Of(u64, u64),
}

/// What is known of the log itself.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the verifier says.
    pub verification: Verification,
    /// What the report rests on.
    pub checkpoint: Checkpoint,
    /// Retention by topic.
    pub kept: Vec<Kept>,
    /// Legal holds.
    pub holds: Holds,
}

fn key(text: &str) -> Cell {
    Cell::Key(text.to_owned())
}

fn keys(texts: &[&str]) -> Vec<Cell> {
    texts.iter().map(|text| key(text)).collect()
}

/// Makes the report. `meaning` says what an error code means. Nothing is counted of a log that is not whole: pass no counts.
#[must_use]
pub fn compile(
    made: &Made,
    source: &Source,
    period: &Period,
    checked: &Checked,
    counts: Option<&Counts>,
    meaning: impl Fn(&str) -> Option<String>,
) -> Document {
    let whole = checked.verification.whole;
    let mut sections: Vec<Section> = vec![log::log(source, period, checked)];
    if let Some(counts) = counts {
        sections.extend([
            line::received(counts),
            line::fates(counts),
            line::letters(counts, meaning),
            line::redactions(counts),
            people::judged(counts),
            people::notified(counts),
            people::accesses(counts),
        ]);
    }
    sections.push(log::retention(source, period, checked));
    sections.push(log::checking(source, period, counts));
    let verdict = if whole {
        format!(
            "The log is whole: nothing was changed and nothing is missing, up to checkpoint {} of {}.",
            checked.checkpoint.size,
            minute(checked.checkpoint.time)
        )
    } else {
        format!(
            "The log is {}. Nothing was counted: numbers from a log that is not whole are no evidence.",
            checked.verification.verdict
        )
    };
    let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Document {
        title: "Compliance report".to_owned(),
        subtitle: format!("{} to {}", minute(period.from), minute(period.to)),
        made: made.at,
        facts: vec![
            fact("Log", &format!("{} in {}", checked.checkpoint.origin, source.bundle)),
            fact("Made", &minute(made.at)),
            fact("By", &made.operator),
            fact("Purpose", &made.purpose),
            fact("With", &made.version),
        ],
        verdict: (verdict, whole),
        tiles: counts.map(tiles).unwrap_or_default(),
        sections,
    }
}

fn tiles(counts: &Counts) -> Vec<Tile> {
    let tile = |what: &str, of: &dyn Fn(&str) -> bool, else_: &str| Tile {
        number: counts.records(of),
        what: what.to_owned(),
        command: commands::count(&counts.topics_or(of, else_)),
    };
    let identifiers = Tile {
        number: counts.redactions.values().sum(),
        what: "identifiers removed".to_owned(),
        command: commands::reduced(
            &["fhir.deidentified".to_owned()],
            "reduce inputs.value.redactions[] as $n (0; . + $n)",
        ),
    };
    vec![
        tile("messages received", &is_input_of_the_line, "hl7.raw"),
        tile("events judged", &|topic| topic == "triage.classified", "triage.classified"),
        tile("notifications sent", &|topic| topic == "notification.sent", "notification.sent"),
        tile("dead letters", &|topic| topic.ends_with(DEAD_LETTER_SUFFIX), "ingest.dead-letter"),
        identifiers,
        tile("accesses to the log", &|topic| topic == ACCESS_EVENTS, ACCESS_EVENTS),
    ]
}

/// A bar chart of what there is, at a place among blocks.
fn chart(blocks: &mut Vec<Block>, at: usize, title: &str, rows: &[(String, u64)]) {
    if !rows.is_empty() {
        blocks.insert(at, Block::Figure(Figure::bars(title, rows)));
    }
}
