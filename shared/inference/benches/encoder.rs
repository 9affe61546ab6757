//! How long the encoder takes: `cargo bench -p wardstream-inference`, with the model in `WARDSTREAM_MODELS`.
#![expect(clippy::print_stderr, reason = "a bench without a model must say so")]

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, criterion_group, criterion_main};
use wardstream_inference::{Encoder, EncoderOptions, Precision};

/// Texts, and tokens of each, the two special ones included.
const SHAPES: [(usize, usize); 4] = [(1, 64), (32, 64), (1, 256), (32, 256)];

fn encoder(criterion: &mut Criterion) {
    let models = std::env::var_os("WARDSTREAM_MODELS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/models"), PathBuf::from);
    let folder = models.join("all-MiniLM-L6-v2");
    if !folder.join("model.safetensors").exists() {
        eprintln!("skipped: no weights; run deploy/local/models/fetch.sh or set WARDSTREAM_MODELS");
        return;
    }
    let precisions = [("fp32", Precision::F32), ("int8", Precision::Int8)];
    for ((name, precision), threads) in precisions.into_iter().flat_map(|each| [(each, 1), (each, 2)]) {
        let Ok(encoder) = Encoder::load_with(&folder, EncoderOptions { threads, precision }) else {
            eprintln!("skipped: the weights do not load");
            return;
        };
        for (texts, tokens) in SHAPES {
            // One token a word.
            let texts = vec!["pain ".repeat(tokens - 2); texts];
            let name = format!("{name}/{threads}/{}x{tokens}", texts.len());
            criterion.bench_function(&name, |bencher| bencher.iter(|| encoder.embed(black_box(&texts))));
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = encoder
}
criterion_main!(benches);
