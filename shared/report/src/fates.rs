//! What became of each input of a stage.
//!
//! A byte an input: places come by the hundred million, and each may have several outputs.

use std::collections::{BTreeMap, HashMap};

use contracts::STAGES;
use replay::{What, stage_of};

/// Inputs whose bytes lie together.
const BLOCK: usize = 4096;

const INPUT: u8 = 1;
const KINDS: [(What, u8); 4] =
    [(What::Emitted, 2), (What::DeadLettered, 4), (What::Parked, 8), (What::Dropped, 16)];

/// The inputs of one partition by blocks of offsets.
type Blocks = HashMap<i64, Box<[u8; BLOCK]>>;

/// Inputs and their fates. An output counts for an input that was entered before it, so topics are entered
/// in the order of the line.
#[derive(Debug, Default)]
pub struct Fates(BTreeMap<(String, i32), Blocks>);

/// How many inputs of a stage had each fate. One with several counts for each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageFates {
    /// Inputs.
    pub inputs: u64,
    /// Inputs of which the stage made something.
    pub emitted: u64,
    /// Inputs in the dead-letter topic.
    pub dead_lettered: u64,
    /// Inputs set aside because an earlier one of their key keeps failing.
    pub parked: u64,
    /// Inputs let go on purpose.
    pub dropped: u64,
    /// Inputs without a fate.
    pub open: u64,
    /// Inputs with more than one kind of fate.
    pub several: u64,
}

impl Fates {
    /// Enters an input, if a stage reads its topic.
    pub fn input(&mut self, topic: &str, partition: i32, offset: i64) {
        if stage_of(topic).is_none() {
            return;
        }
        let blocks = self.0.entry((topic.to_owned(), partition)).or_default();
        let (block, at) = place(offset);
        blocks.entry(block).or_insert_with(|| Box::new([0; BLOCK]))[at] |= INPUT;
    }

    /// Enters an output. What was made of no known input does not count.
    pub fn output(&mut self, topic: &str, partition: i32, offset: i64, what: What) {
        let Some((_, bit)) = KINDS.into_iter().find(|(kind, _)| *kind == what) else { return };
        let (block, at) = place(offset);
        let block = self.0.get_mut(&(topic.to_owned(), partition)).and_then(|blocks| blocks.get_mut(&block));
        if let Some(fate) = block.map(|block| &mut block[at]).filter(|fate| **fate & INPUT != 0) {
            *fate |= bit;
        }
    }

    /// The stages that had inputs, in the order of the line, each with the topics of its inputs.
    #[must_use]
    pub fn stages(&self) -> Vec<(&'static str, Vec<String>, StageFates)> {
        let of = |stage: &'static str| {
            let mut topics: Vec<String> = Vec::new();
            let mut counts = StageFates::default();
            for ((topic, _), blocks) in self.0.iter().filter(|((topic, _), _)| stage_of(topic) == Some(stage))
            {
                if topics.last() != Some(topic) {
                    topics.push(topic.clone());
                }
                blocks.values().flat_map(|block| block.iter()).for_each(|fate| counts.add(*fate));
            }
            (stage, topics, counts)
        };
        STAGES.into_iter().map(of).filter(|(_, topics, _)| !topics.is_empty()).collect()
    }
}

impl StageFates {
    fn add(&mut self, fate: u8) {
        if fate & INPUT == 0 {
            return;
        }
        let kinds = fate & !INPUT;
        self.inputs += 1;
        self.open += u64::from(kinds == 0);
        self.several += u64::from(kinds.count_ones() > 1);
        for (what, bit) in KINDS {
            let has = u64::from(kinds & bit != 0);
            match what {
                What::Emitted => self.emitted += has,
                What::DeadLettered => self.dead_lettered += has,
                What::Parked => self.parked += has,
                _ => self.dropped += has,
            }
        }
    }
}

/// The block of an offset and its place there.
fn place(offset: i64) -> (i64, usize) {
    let width = BLOCK as i64;
    (offset.div_euclid(width), usize::try_from(offset.rem_euclid(width)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_input_has_the_fate_that_its_outputs_tell() {
        let mut fates = Fates::default();
        for offset in 0..5 {
            fates.input("fhir.validated", 1, offset);
        }
        fates.input("identity.vault", 0, 0);
        for (offset, what) in [
            (0, What::Emitted),
            (0, What::Emitted),
            (1, What::DeadLettered),
            (2, What::Parked),
            (2, What::Emitted),
            (3, What::Dropped),
            (99, What::Emitted),
            (4, What::Noted),
        ] {
            fates.output("fhir.validated", 1, offset, what);
        }
        fates.output("fhir.validated", 0, 0, What::Emitted);
        fates.output("elsewhere", 0, 0, What::Emitted);
        let [(stage, topics, counts)] = &fates.stages()[..] else { panic!("{:?}", fates.stages()) };
        assert_eq!((*stage, topics.as_slice()), ("redact", &["fhir.validated".to_owned()][..]));
        let expected = StageFates {
            inputs: 5,
            emitted: 2,
            dead_lettered: 1,
            parked: 1,
            dropped: 1,
            open: 1,
            several: 1,
        };
        assert_eq!(*counts, expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Whatever offsets headers claim, nothing is counted but inputs that were there.
        #[test]
        fn counts_add_up(
            inputs in proptest::collection::btree_set(-3_i64..20_000, 0..60),
            outputs in proptest::collection::vec((prop_oneof![-3_i64..20_000, any::<i64>()], 0_usize..4), 0..60),
        ) {
            let mut fates = Fates::default();
            for offset in &inputs {
                fates.input("hl7.feed.ward7", 0, *offset);
            }
            let mut naive: BTreeMap<i64, std::collections::BTreeSet<usize>> =
                inputs.iter().map(|offset| (*offset, Default::default())).collect();
            for (offset, kind) in outputs {
                fates.output("hl7.feed.ward7", 0, offset, KINDS[kind].0);
                if let Some(kinds) = naive.get_mut(&offset) {
                    kinds.insert(kind);
                }
            }
            let counts = fates.stages().first().map(|(_, _, counts)| *counts).unwrap_or_default();
            let of = |kind: usize| naive.values().filter(|kinds| kinds.contains(&kind)).count() as u64;
            prop_assert_eq!(counts, StageFates {
                inputs: naive.len() as u64,
                emitted: of(0),
                dead_lettered: of(1),
                parked: of(2),
                dropped: of(3),
                open: naive.values().filter(|kinds| kinds.is_empty()).count() as u64,
                several: naive.values().filter(|kinds| kinds.len() > 1).count() as u64,
            });
        }
    }
}
