//! Prints what eight-bit products cost on labelled texts, lines of `urgency|specialty|doc_type|style|text`:
//! `cargo run --release -p wardstream-inference --example precision -- shared/inference/training/holdout.psv`.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::error::Error;
use std::path::{Path, PathBuf};

use wardstream_inference::critical::CriticalTable;
use wardstream_inference::heads::Heads;
use wardstream_inference::{Classification, Document, Encoder, EncoderOptions, Models, Precision, cosine};

const HEADS: &[u8] = include_bytes!("../heads/heads.safetensors");

/// Urgency, specialty and document type, as the files write them.
fn labels(classification: &Classification) -> [String; 3] {
    let name = |label: serde_json::Result<serde_json::Value>| {
        label.ok().and_then(|label| label.as_str().map(str::to_owned)).unwrap_or_default()
    };
    [
        name(serde_json::to_value(classification.urgency.label)),
        name(serde_json::to_value(classification.specialty.label)),
        name(serde_json::to_value(classification.doc_type.label)),
    ]
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::var_os("WARDSTREAM_MODELS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/models"), PathBuf::from)
        .join("all-MiniLM-L6-v2");
    let load = |precision| -> Result<Models, wardstream_inference::Error> {
        let encoder = Encoder::load_with(&folder, EncoderOptions { precision, ..EncoderOptions::default() })?;
        Models::with(encoder, Heads::parse(HEADS)?, CriticalTable::committed()?)
    };
    let (single, int8) = (load(Precision::F32)?, load(Precision::Int8)?);
    for file in std::env::args().skip(1) {
        let mut likenesses = Vec::new();
        // Of each task: labels that differ, and labels that are right with either precision.
        let (mut changed, mut right) = ([0; 3], [[0; 2]; 3]);
        for line in std::fs::read_to_string(&file)?.lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<&str> = line.splitn(5, '|').collect();
            let [urgency, specialty, doc_type, _style, text] = columns[..] else { continue };
            let embeddings = [single.encoder().embed(&[text])?, int8.encoder().embed(&[text])?].concat();
            if let [one, other] = &embeddings[..] {
                likenesses.push(cosine(one, other));
            }
            let document = Document::from_text(text);
            let found = labels(&single.classify(&document)?);
            let rounded = labels(&int8.classify(&document)?);
            for (task, expected) in [urgency, specialty, doc_type].into_iter().enumerate() {
                changed[task] += usize::from(found[task] != rounded[task]);
                right[task][0] += usize::from(found[task] == expected);
                right[task][1] += usize::from(rounded[task] == expected);
            }
        }
        likenesses.sort_by(f32::total_cmp);
        let count = likenesses.len();
        let mean = likenesses.iter().sum::<f32>() / count.max(1) as f32;
        let least = likenesses.first().copied().unwrap_or(0.0);
        println!("{file}: {count} texts, cosine of int8 with fp32 mean {mean:.4}, least {least:.4}");
        for (task, name) in ["urgency", "specialty", "document type"].into_iter().enumerate() {
            let ([single, int8], changed) = (right[task], changed[task]);
            println!("  {name}: right {single} (fp32), {int8} (int8); {changed} labels differ");
        }
    }
    Ok(())
}
