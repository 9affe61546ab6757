//! What the line took in, and what became of it.

use std::collections::BTreeMap;

use contracts::{DEAD_LETTER_SUFFIX, PARKED_SUFFIX, REPLAYED};

use super::{chart, key};
use crate::commands::{self, minute};
use crate::counts::{Sum, is_input_of_the_line};
use crate::document::{Block, Cell, Command, Section, Table};
use crate::{Counts, Figure};

/// Who writes a topic that all stages write, by its contract.
const EVERY_STAGE: &str = "every stage";

fn sums(sums: &BTreeMap<(String, String), Sum>) -> Vec<Vec<Cell>> {
    sums.iter()
        .map(|((one, other), sum)| {
            vec![key(one), key(other), Cell::number(sum.records), Cell::number(sum.bytes)]
        })
        .collect()
}

pub(super) fn received(counts: &Counts) -> Section {
    let feeds = counts.topics_or(is_input_of_the_line, "hl7.raw");
    let span = counts.period.span();
    let rest = if span.rest.is_empty() { String::new() } else { format!(r#" + "{}""#, span.rest) };
    let words = format!(r#".timestamp[:{}]{rest} | sub("T"; " ")"#, span.characters);
    let number = |span: &String| counts.over_time.get(span).copied().unwrap_or(0);
    let over_time: Vec<(String, u64)> =
        counts.period.spans().into_iter().map(|span| (span.clone(), number(&span))).collect();
    let received = vec!["fhir.received".to_owned()];
    let spans =
        counts.over_time.iter().map(|(span, number)| vec![key(span), Cell::number(*number)]).collect();
    let mut blocks = vec![
        Block::Text(
            "What the feeds wrote, by topic and message type (MSH-9; - where none can be read), and what ingest made of it, by the \
             facility that sent it (MSH-4). Bytes are those of keys and values."
                .to_owned(),
        ),
        Block::Table(
            Table::new("Messages received over time (UTC)", &["from", "messages"], spans).by(commands::grouped(
                &feeds,
                &words,
            )),
        ),
        Block::Table(
            Table::new(
                "Messages received, by feed",
                &["topic", "message type", "messages", "bytes"],
                sums(&counts.received),
            )
            .by(commands::by(&feeds, "topic,message-type")),
        ),
        Block::Table(
            Table::new(
                "Bundles made of them, by facility",
                &["facility", "message type", "bundles", "bytes"],
                sums(&counts.converted),
            )
            .by(commands::by(&received, "facility,message-type")),
        ),
    ];
    if !counts.over_time.is_empty() {
        blocks.insert(1, Block::Figure(Figure::columns("Messages received over time (UTC)", &over_time)));
    }
    Section { id: "received", title: "What was received".to_owned(), blocks }
}

pub(super) fn fates(counts: &Counts) -> Section {
    let stages = counts.fates.stages();
    let mut table = Table::new(
        "Inputs of each stage, and their fates",
        &["stage", "inputs", "emitted", "dropped", "dead-lettered", "parked", "open", "several"],
        Vec::new(),
    );
    let mut drawn = Vec::new();
    for (stage, inputs, fates) in &stages {
        let numbers = [
            fates.inputs,
            fates.emitted,
            fates.dropped,
            fates.dead_lettered,
            fates.parked,
            fates.open,
            fates.several,
        ];
        table.rows.push([key(stage)].into_iter().chain(numbers.map(Cell::number)).collect());
        table.commands.push(Command {
            row: Some((*stage).to_owned()),
            text: commands::fates(inputs, &outputs(counts, stage)),
        });
        drawn.push((*stage, *fates));
    }
    let mut text = "By the lineage headers of what each stage wrote: emitted, let go on purpose (dropped), rejected \
         (dead-lettered), set aside (parked), or none of these yet (open). Several counts inputs with more than one kind of fate, \
         of which there must be none."
        .to_owned();
    let settle = counts.period.settle;
    if settle.is_zero() {
        text.push_str(" Fates were looked for up to the end of the period.");
    } else {
        text.push_str(&format!(" Fates were looked for up to {}.", minute(counts.period.settled())));
    }
    let mut blocks = vec![Block::Text(text)];
    if !drawn.is_empty() {
        blocks.push(Block::Figure(Figure::fates("What became of the inputs of each stage", &drawn)));
    }
    blocks.push(Block::Table(table));
    let dropped = counts
        .dropped
        .iter()
        .map(|((stage, reason), number)| vec![key(stage), key(reason), Cell::number(*number)]);
    blocks.push(Block::Table(
        Table::new("Let go on purpose, by reason", &["stage", "reason", "records"], dropped.collect())
            .by(commands::grouped(&["line.dropped".to_owned()], r#".value | "\(.stage) \(.reason)""#)),
    ));
    Section { id: "fates", title: "What became of it".to_owned(), blocks }
}

/// The topics that a stage writes, of those that the log has: by the contracts, so that none is forgotten.
fn outputs(counts: &Counts, stage: &str) -> Vec<String> {
    let contracts = contracts::topics(1);
    let its = |topic: &str| {
        contracts
            .iter()
            .any(|contract| contract.name == topic && [stage, EVERY_STAGE].contains(&contract.owner))
    };
    counts.topics_or(its, &contracts::dead_letter_topic(stage))
}

pub(super) fn letters(counts: &Counts, meaning: impl Fn(&str) -> Option<String>) -> Section {
    let table = |caption: &str, letters: &BTreeMap<(String, String), u64>, suffix: &str| {
        let rows = letters
            .iter()
            .map(|((topic, code), number)| {
                vec![
                    key(topic),
                    key(code),
                    Cell::number(*number),
                    Cell::Remark(meaning(code).unwrap_or_default()),
                ]
            })
            .collect();
        let topics = counts.topics_or(|topic| topic.ends_with(suffix), &format!("ingest{suffix}"));
        let words = r#"select(.value) | "\(.topic) \(.value.code)""#;
        Table::new(caption, &["topic", "code", "records", "meaning"], rows)
            .by(commands::grouped(&topics, words))
    };
    let replayed = counts.records(|topic| topic == REPLAYED);
    let rows = vec![vec![key("records that went back"), Cell::number(replayed)]];
    let went_back = Table::new("Sent back to where they came from", &["what", "number"], rows)
        .by(format!("{} | sed 's/^/records that went back /'", commands::count(&[REPLAYED.to_owned()])));
    let mut blocks = vec![Block::Text(
        "What a stage could not process, by the reason's code; each code has a page (wardstream explain CODE). Each letter has the \
         original bytes and goes back once its cause is mended."
            .to_owned(),
    )];
    if counts.letters.is_empty() {
        blocks.push(Block::Text("There were no dead letters in the period.".to_owned()));
    } else {
        let mut by_code: BTreeMap<String, u64> = BTreeMap::new();
        for ((_, code), number) in &counts.letters {
            *by_code.entry(code.clone()).or_default() += number;
        }
        let mut by_code: Vec<(String, u64)> = by_code.into_iter().collect();
        by_code.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        blocks.push(Block::Figure(Figure::bars("Dead letters by code", &by_code)));
    }
    blocks.push(Block::Table(table("Dead letters", &counts.letters, DEAD_LETTER_SUFFIX)));
    if !counts.parked.is_empty() {
        let caption = "Parked: records whose key waits for an earlier record that keeps failing";
        blocks.push(Block::Table(table(caption, &counts.parked, PARKED_SUFFIX)));
    }
    blocks.push(Block::Table(went_back));
    Section { id: "dead-letters", title: "What was rejected".to_owned(), blocks }
}

pub(super) fn redactions(counts: &Counts) -> Section {
    let mut kinds: Vec<(String, u64)> =
        counts.redactions.iter().map(|(kind, number)| (kind.clone(), *number)).collect();
    kinds.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
    let rows = kinds.iter().map(|(kind, number)| vec![key(kind), Cell::number(*number)]).collect();
    let program = r#"reduce (inputs.value.redactions | to_entries[]) as $e ({}; .[$e.key] += $e.value) | to_entries[] | "\(.key) \(.value)""#;
    let mut blocks = vec![
        Block::Text(
            "What redact removed from the events of the period (45 CFR 164.514(b)(2)), by kind. What was removed is not in this report, \
             and not in the topics behind redact."
                .to_owned(),
        ),
        Block::Table(
            Table::new("Identifiers removed", &["kind", "number"], rows)
                .by(commands::reduced(&["fhir.deidentified".to_owned()], program)),
        ),
    ];
    chart(&mut blocks, 1, "Identifiers removed, by kind", &kinds);
    Section { id: "redactions", title: "What was removed".to_owned(), blocks }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use contracts::STAGES;
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::Period;

    /// Whoever adds a topic decides what the report says of it: it is counted by what its values say, or by its records alone.
    #[test]
    fn every_contract_has_its_place_in_the_report() {
        const BY_RECORDS: [&str; 7] = [
            "audit.manifests",
            "fhir.validated",
            "identity.vault",
            "notification.digest",
            "notification.ledger",
            "triage.summarized",
            REPLAYED,
        ];
        let topics = contracts::topics(1);
        let known: BTreeSet<String> = topics.iter().map(|contract| contract.name.clone()).collect();
        let period = Period { from: Timestamp::MIN, to: Timestamp::MAX, settle: SignedDuration::ZERO };
        let counts = Counts::new(period, known);
        for contract in topics {
            let name = contract.name.as_str();
            assert!(
                Counts::needs_value(name) != BY_RECORDS.contains(&name),
                "{name}: count what its values say, or add it to those of which only records are counted"
            );
            let writers =
                STAGES.into_iter().filter(|stage| outputs(&counts, stage).iter().any(|topic| topic == name));
            let writers = writers.collect::<Vec<_>>();
            match contract.owner {
                EVERY_STAGE => assert_eq!(writers, STAGES, "{name}"),
                "feeds" | "audit" | "operators" => assert!(writers.is_empty(), "{name} is no stage's"),
                owner => assert_eq!(
                    writers,
                    [owner],
                    "{name}: its owner is a stage, or none that the report knows"
                ),
            }
        }
    }
}
