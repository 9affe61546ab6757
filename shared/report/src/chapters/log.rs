//! What is said of the log itself.

use super::{Checked, Holds, Kept, Signature, key, keys};
use crate::commands::{self, Source};
use crate::document::{Block, Cell, Section, Table};
use crate::{Counts, Period};

/// What the verifier found, and the checkpoint.
pub(super) fn log(source: &Source, period: &Period, checked: &Checked) -> Section {
    let Checked { verification, checkpoint, .. } = checked;
    let row = |name: &str, number: u64, remark: &str| {
        vec![key(name), Cell::number(number), Cell::Remark(remark.to_owned())]
    };
    let rows = vec![
        row("topics", verification.topics, ""),
        row("partitions", verification.partitions, ""),
        row(
            "segments",
            verification.segments,
            "those with records of the period, read and compared as a whole",
        ),
        row("records", verification.records, "in those segments"),
        row("bytes", verification.bytes, "of those segments, compressed"),
        row("checkpoints", verification.checkpoints, "of the log"),
    ];
    let mut blocks = vec![Block::Text(
        "Each segment of the period was read and held against its manifest, the manifests against each other and against the leaves \
         of the Merkle log, and the log against its signed checkpoints (RFC 6962, C2SP tlog-checkpoint). What the layers prove is in \
         docs/audit.md of the program."
            .to_owned(),
    )];
    let witness = checkpoint.witness.as_ref().map(|witness| witness.file.as_str());
    let verify = |rest: &str| source.verify(period, (&checkpoint.kept, witness), rest);
    let counted = r#" --json | jq -r '"topics \(.topics)", "partitions \(.partitions | length)", "segments \(.segments)", "records \(.records)", "bytes \(.bytes)", "checkpoints \(.merkle_log.checkpoints)"'"#;
    blocks.push(Block::Table(
        Table::new("What was verified", &["what", "number", "which"], rows).by(verify(counted)),
    ));
    if !verification.findings.is_empty() {
        let rows = verification.findings.iter().map(|finding| vec![key(finding)]).collect();
        blocks.push(Block::Table(Table::new("Findings", &["finding"], rows).by(verify(""))));
        if verification.omitted > 0 {
            blocks.push(Block::Text(format!("{} more findings are not listed.", verification.omitted)));
        }
    }
    let rows = vec![
        keys(&["origin", &checkpoint.origin]),
        keys(&["size", &checkpoint.size.to_string()]),
        keys(&["root", &checkpoint.root]),
        keys(&["time", &checkpoint.time.to_string()]),
    ];
    let said = r#" --json | jq -r '.merkle_log | "origin \(.origin)", "size \(.size)", "root \(.root)", "time \(.time)"'"#;
    blocks.push(Block::Table(
        Table::new("The checkpoint that this report rests on", &["what", "value"], rows).by(verify(said)),
    ));
    let signatures = checkpoint
        .signatures
        .iter()
        .map(|Signature { name, id, verified }| {
            let of =
                if *verified { "verified by the list of keys" } else { "by a key that is not in the list" };
            keys(&[name, id, of])
        })
        .collect();
    blocks.push(Block::Table(Table::new("Its signatures", &["key", "id", "verified"], signatures)));
    if !checkpoint.kept.is_empty() {
        let witness = checkpoint
            .witness
            .as_ref()
            .map_or(String::new(), |witness| format!(" Each is cosigned by {}.", witness.key));
        blocks.push(Block::Text(format!(
            "The log contains the tree of each checkpoint that was kept elsewhere: {}.{witness}",
            checkpoint.kept.join(", ")
        )));
    }
    blocks.push(Block::Code(
        "The checkpoint as it is stored. Kept in a file, it shows later that the log still begins with it (audit verify --checkpoint)."
            .to_owned(),
        checkpoint.note.clone(),
    ));
    Section { id: "log", title: "The log that the numbers come from".to_owned(), blocks }
}

pub(super) fn retention(source: &Source, period: &Period, checked: &Checked) -> Section {
    let rows = checked
        .kept
        .iter()
        .map(|Kept { topic, segments, records, from, to }| {
            vec![
                key(topic),
                Cell::number(*segments),
                Cell::number(*records),
                key(&from.to_string()),
                key(&to.to_string()),
            ]
        })
        .collect();
    let program = r#"group_by(.topic)[] | "\(.[0].topic) \(length) \(map(.records) | add) \(map(.retain_until) | min) \(map(.retain_until) | max)""#;
    let mut blocks = vec![
        Block::Text(
            "Until when the segments of the whole log are kept, by the leaves of the checkpoint that this report rests on.".to_owned(),
        ),
        Block::Table(
            Table::new("Retention", &["topic", "segments", "records", "first may go", "last may go"], rows)
                .by(source.segments(checked.checkpoint.size, program)),
        ),
    ];
    match &checked.holds {
        Holds::Folder => blocks.push(Block::Text(
            "The log is a folder, which has no legal holds. A folder is tamper-evident; only a bucket with Object Lock is tamper-proof."
                .to_owned(),
        )),
        Holds::Unknown(why) => {
            blocks.push(Block::Text(format!("Whether segments are under legal hold could not be read: {why}.")));
        }
        Holds::Of(held, segments) => {
            let rows = vec![vec![key(&format!("on hold: segments {held} of {segments}"))]];
            blocks.push(Block::Table(
                Table::new("Legal hold on segments with records of the period", &["holds"], rows)
                    .by(source.holds(period)),
            ));
        }
    }
    Section { id: "retention", title: "How long it is kept".to_owned(), blocks }
}

pub(super) fn checking(source: &Source, period: &Period, counts: Option<&Counts>) -> Section {
    let mut blocks = Vec::new();
    if let Some(counts) = counts {
        let all = counts.topics_or(|_| true, "hl7.raw");
        let rows = counts
            .topics
            .iter()
            .map(|(topic, sum)| vec![key(topic), Cell::number(sum.records), Cell::number(sum.bytes)])
            .collect();
        blocks.push(Block::Table(
            Table::new("Every record of the period, by topic", &["topic", "records", "bytes"], rows)
                .by(commands::by(&all, "topic")),
        ));
        if counts.unproved > 0 {
            blocks.push(Block::Text(format!(
                "{} of these records are in segments that were under no checkpoint yet.",
                counts.unproved
            )));
        }
    }
    blocks.push(Block::Code(
        "The commands of this report need bash, jq and these functions. Give OPERATOR your own identity: each command that reads records \
         is an access and recorded as one. It is run where wardstream replay would be, with Kafka and the schema registry within reach."
            .to_owned(),
        source.setup(period),
    ));
    Section { id: "checking", title: "How to check this report".to_owned(), blocks }
}
