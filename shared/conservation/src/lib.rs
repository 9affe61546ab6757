//! Proof from lineage headers that every input has exactly one fate.
//!
//! Feed it every record of every topic, each partition in the order of its offsets, and it tells which inputs have no fate
//! (lost, or still on their way), which have two, and which outputs are there twice. Pure: it knows nothing of Kafka.
//!
//! Far behind the newest input of a partition, inputs with a fate are only counted: memory grows with what has none.

use std::collections::BTreeMap;

use contracts::{DEAD_LETTER_SUFFIX, PARKED_SUFFIX, STAGES};

/// Inputs of one partition that are kept one by one. Older ones that have their fate are settled: a further output of such
/// an input counts as there twice.
const OPEN: usize = 100_000;

/// What a record's lineage headers say: the input it was made from, and its place among that input's outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage<'a> {
    /// Topic of the input.
    pub topic: &'a str,
    /// Partition of the input.
    pub partition: i32,
    /// Offset of the input.
    pub offset: i64,
    /// 0-based place among the outputs.
    pub index: u32,
}

/// The kinds of fate, as the topic of an output tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Emitted,
    DeadLettered,
    Parked,
    Dropped,
}

#[derive(Debug, Default)]
struct Input {
    /// The input itself was read.
    there: bool,
    kind: Option<Kind>,
    /// Bit n: output n was read.
    outputs: u64,
    duplicates: u64,
    conflicting: bool,
}

#[derive(Debug, Default)]
struct Partition {
    open: BTreeMap<i64, Input>,
    /// Inputs at or below `settled_to` without a whole fate.
    unsettled: BTreeMap<i64, Input>,
    settled: StageVerdict,
    /// Last offset that left `open`.
    settled_to: Option<i64>,
}

/// The books of the whole line.
#[derive(Debug, Default)]
pub struct Books {
    partitions: BTreeMap<(String, i32), Partition>,
}

/// What the books say of one stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageVerdict {
    /// Records of the stage's input topics.
    pub inputs: u64,
    /// Inputs with outputs.
    pub emitted: u64,
    /// Inputs in the dead-letter topic.
    pub dead_lettered: u64,
    /// Inputs set aside because an earlier one of their key keeps failing.
    pub parked: u64,
    /// Inputs let go on purpose.
    pub dropped: u64,
    /// Inputs without a fate or with a gap among their outputs: lost, or still on their way while the line runs.
    pub missing: u64,
    /// Outputs that are there more than once.
    pub duplicated: u64,
    /// Inputs with two kinds of fate, or a fate without an input.
    pub conflicting: u64,
    /// The first few inputs without a fate: topic, partition, offset.
    pub first_missing: Vec<(String, i32, i64)>,
}

impl StageVerdict {
    /// Whether every input has exactly one fate.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        self.missing == 0 && self.duplicated == 0 && self.conflicting == 0
    }
}

const NAMED: usize = 5;

impl Books {
    /// Empty books.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a record: as an input of the stage that reads its topic, and as an output of the stage that wrote it.
    pub fn enter(&mut self, topic: &str, partition: i32, offset: i64, lineage: Option<&Lineage<'_>>) {
        if reader(topic).is_some() {
            let book = self.partition(topic, partition);
            if book.settled_to.is_none_or(|settled| offset > settled) {
                book.open.entry(offset).or_default().there = true;
                book.settle(offset);
            }
        }
        if let Some(lineage) = lineage.filter(|lineage| reader(lineage.topic).is_some()) {
            self.partition(lineage.topic, lineage.partition).output(lineage, kind(topic));
        }
    }

    fn partition(&mut self, topic: &str, partition: i32) -> &mut Partition {
        self.partitions.entry((topic.to_owned(), partition)).or_default()
    }

    /// What the books say of each stage, in the order of the line.
    #[must_use]
    pub fn verdict(&self) -> BTreeMap<&'static str, StageVerdict> {
        let mut stages: BTreeMap<&'static str, StageVerdict> = BTreeMap::new();
        for ((topic, partition), book) in &self.partitions {
            let Some(stage) = reader(topic) else { continue };
            let verdict = stages.entry(stage).or_default();
            verdict.add(&book.settled);
            for (offset, input) in book.unsettled.iter().chain(&book.open) {
                let counts = input.counts();
                if counts.missing > 0 && verdict.first_missing.len() < NAMED {
                    verdict.first_missing.push((topic.clone(), *partition, *offset));
                }
                verdict.add(&counts);
            }
        }
        stages
    }
}

impl StageVerdict {
    /// Adds the numbers of another.
    fn add(&mut self, counts: &Self) {
        self.inputs += counts.inputs;
        self.emitted += counts.emitted;
        self.dead_lettered += counts.dead_lettered;
        self.parked += counts.parked;
        self.dropped += counts.dropped;
        self.missing += counts.missing;
        self.duplicated += counts.duplicated;
        self.conflicting += counts.conflicting;
    }
}

impl Partition {
    fn output(&mut self, lineage: &Lineage<'_>, kind: Kind) {
        let offset = lineage.offset;
        if self.settled_to.is_none_or(|settled| offset > settled) {
            self.open.entry(offset).or_default().output(kind, lineage.index);
        } else if let Some(input) = self.unsettled.get_mut(&offset) {
            input.output(kind, lineage.index);
            if input.counts().is_conserved() {
                let counts = input.counts();
                self.unsettled.remove(&offset);
                self.settled.add(&counts);
            }
        } else {
            self.settled.duplicated += 1;
        }
    }

    /// Makes room. Outputs may be read long before their inputs, which come in order: nothing beyond `newest` is final.
    fn settle(&mut self, newest: i64) {
        while self.open.len() > OPEN {
            let Some(oldest) = self.open.first_entry().filter(|oldest| *oldest.key() <= newest) else {
                return;
            };
            let (offset, input) = oldest.remove_entry();
            self.settled_to = Some(offset);
            let counts = input.counts();
            if counts.is_conserved() {
                self.settled.add(&counts);
            } else {
                self.unsettled.insert(offset, input);
            }
        }
    }
}

impl Input {
    fn output(&mut self, kind: Kind, index: u32) {
        // More than 64 outputs an input are counted from the 64th on as one.
        let bit = 1_u64 << index.min(63);
        if self.outputs & bit != 0 && index < 63 {
            self.duplicates += 1;
        }
        self.outputs |= bit;
        if self.kind.is_some_and(|known| known != kind) {
            self.conflicting = true;
        }
        self.kind = Some(kind);
    }

    fn counts(&self) -> StageVerdict {
        let is = |kind| u64::from(self.there && self.kind == Some(kind));
        // A gap among the outputs: some were written and some lost.
        let whole = self.outputs == 0 || self.outputs.trailing_ones() == 64 - self.outputs.leading_zeros();
        StageVerdict {
            inputs: u64::from(self.there),
            emitted: is(Kind::Emitted),
            dead_lettered: is(Kind::DeadLettered),
            parked: is(Kind::Parked),
            dropped: is(Kind::Dropped),
            missing: u64::from(self.there && (self.kind.is_none() || !whole)),
            duplicated: self.duplicates,
            conflicting: u64::from(self.conflicting || !self.there),
            first_missing: Vec::new(),
        }
    }
}

/// The stage that reads a topic.
fn reader(topic: &str) -> Option<&'static str> {
    let name = match topic {
        "hl7.raw" | "documents.raw" => "ingest",
        "fhir.received" => "validate",
        "fhir.validated" => "redact",
        "fhir.deidentified" => "classify",
        "triage.classified" => "summarize",
        "triage.summarized" => "notify",
        topic if topic.starts_with("hl7.feed.") => "ingest",
        _ => return None,
    };
    STAGES.into_iter().find(|stage| *stage == name)
}

fn kind(topic: &str) -> Kind {
    if topic.ends_with(DEAD_LETTER_SUFFIX) {
        Kind::DeadLettered
    } else if topic.ends_with(PARKED_SUFFIX) {
        Kind::Parked
    } else if topic == "line.dropped" {
        Kind::Dropped
    } else {
        Kind::Emitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(offset: i64, index: u32) -> Lineage<'static> {
        Lineage { topic: "fhir.validated", partition: 0, offset, index }
    }

    fn books() -> Books {
        let mut books = Books::new();
        for offset in 0..5 {
            books.enter("fhir.validated", 0, offset, None);
        }
        books.enter("fhir.deidentified", 1, 0, Some(&from(0, 0)));
        books.enter("identity.vault", 0, 0, Some(&from(0, 1)));
        books.enter("redact.dead-letter", 0, 0, Some(&from(1, 0)));
        books.enter("line.dropped", 0, 0, Some(&from(2, 0)));
        books
    }

    #[test]
    fn each_fate_is_counted_and_what_has_none_is_named() {
        let verdict = books().verdict().remove("redact").unwrap();
        assert_eq!((verdict.inputs, verdict.emitted, verdict.dead_lettered, verdict.dropped), (5, 1, 1, 1));
        assert_eq!(verdict.missing, 2);
        assert_eq!(verdict.first_missing[0], ("fhir.validated".to_owned(), 0, 3));
        assert!(!verdict.is_conserved());
    }

    #[test]
    fn a_whole_line_is_conserved() {
        let mut books = books();
        for offset in [3, 4] {
            books.enter("redact.dead-letter", 0, offset, Some(&from(offset, 0)));
        }
        assert!(books.verdict()["redact"].is_conserved());
    }

    #[test]
    fn a_repeated_output_a_second_fate_and_a_lost_output_are_found() {
        let mut twice = books();
        twice.enter("fhir.deidentified", 1, 9, Some(&from(0, 0)));
        assert_eq!(twice.verdict()["redact"].duplicated, 1);
        let mut two_fates = books();
        two_fates.enter("line.dropped", 0, 9, Some(&from(1, 1)));
        assert_eq!(two_fates.verdict()["redact"].conflicting, 1);
        let mut gap = books();
        gap.enter("fhir.deidentified", 0, 9, Some(&from(3, 1)));
        assert_eq!(gap.verdict()["redact"].missing, 2, "output 0 of offset 3 is missing");
        let mut orphan = books();
        orphan.enter("fhir.deidentified", 0, 9, Some(&from(77, 0)));
        assert_eq!(orphan.verdict()["redact"].conflicting, 1);
    }

    /// A replay is an input of its own: without lineage, at a position of its own, with a fate of its own.
    #[test]
    fn a_replayed_letter_has_a_second_input_and_each_has_one_fate() {
        let mut books = Books::new();
        books.enter("fhir.validated", 0, 0, Some(&Lineage { topic: "fhir.received", ..from(0, 0) }));
        books.enter("redact.dead-letter", 0, 0, Some(&from(0, 0)));
        books.enter("dead-letters.replayed", 0, 0, None);
        books.enter("fhir.validated", 0, 1, None);
        assert_eq!(books.verdict()["redact"].missing, 1, "the replay has no fate yet");
        books.enter("fhir.deidentified", 0, 0, Some(&from(1, 0)));
        let verdict = books.verdict().remove("redact").unwrap();
        assert!(verdict.is_conserved(), "{verdict:?}");
        assert_eq!((verdict.inputs, verdict.emitted, verdict.dead_lettered), (2, 1, 1));
    }

    #[test]
    fn a_parked_record_has_a_fate() {
        let mut books = books();
        for offset in [3, 4] {
            books.enter("redact.parked", 0, offset, Some(&from(offset, 0)));
        }
        let verdict = books.verdict().remove("redact").unwrap();
        assert!(verdict.is_conserved(), "{verdict:?}");
        assert_eq!(verdict.parked, 2);
        books.enter("redact.dead-letter", 0, 9, Some(&from(3, 0)));
        assert_eq!(books.verdict()["redact"].conflicting, 1);
    }

    #[test]
    fn settled_inputs_are_counted_and_their_repetition_found() {
        let mut books = Books::new();
        let inputs = OPEN as i64 + 10;
        for offset in 0..inputs {
            books.enter("fhir.deidentified", 0, offset, Some(&from(offset, 0)));
            books.enter("fhir.validated", 0, offset, None);
        }
        let verdict = books.verdict().remove("redact").unwrap();
        assert_eq!((verdict.inputs, verdict.emitted), (inputs as u64, inputs as u64));
        assert!(verdict.is_conserved());
        books.enter("fhir.deidentified", 0, inputs, Some(&from(3, 0)));
        assert_eq!(books.verdict()["redact"].duplicated, 1);
    }
    #[test]
    fn topics_are_read_in_any_order() {
        let inputs = OPEN as i64 + 10;
        let input = |books: &mut Books, offset| books.enter("fhir.validated", 0, offset, None);
        let output = |books: &mut Books, offset| {
            books.enter("fhir.deidentified", 0, offset, Some(&from(offset, 0)));
        };
        for order in [[input as fn(&mut Books, i64), output], [output, input]] {
            let mut books = Books::new();
            for enter in order {
                (0..inputs).for_each(|offset| enter(&mut books, offset));
            }
            let verdict = books.verdict().remove("redact").unwrap();
            assert_eq!((verdict.inputs, verdict.emitted), (inputs as u64, inputs as u64));
            assert!(verdict.is_conserved(), "{verdict:?}");
        }
    }

    #[test]
    fn an_old_input_without_a_fate_stays_named() {
        let mut books = Books::new();
        for offset in 0..OPEN as i64 + 10 {
            books.enter("fhir.validated", 0, offset, None);
            if offset != 3 {
                books.enter("fhir.deidentified", 0, offset, Some(&from(offset, 0)));
            }
        }
        let verdict = books.verdict().remove("redact").unwrap();
        assert_eq!((verdict.missing, verdict.duplicated), (1, 0));
        assert_eq!(verdict.first_missing, [("fhir.validated".to_owned(), 0, 3)]);
    }

    #[test]
    fn a_lineage_that_cannot_be_is_a_conflict_and_one_of_no_stage_is_nothing() {
        let mut books = Books::new();
        for offset in [i64::MIN, -1, i64::MAX] {
            books.enter("fhir.deidentified", 0, 0, Some(&from(offset, 0)));
        }
        books.enter("fhir.validated", 0, 0, None);
        assert_eq!(books.verdict()["redact"].conflicting, 3);
        let nowhere = Lineage { topic: "nowhere", ..from(0, 0) };
        let mut books = Books::new();
        books.enter("fhir.deidentified", 0, 0, Some(&nowhere));
        assert!(!books.partitions.contains_key(&("nowhere".to_owned(), 0)));
    }
}
