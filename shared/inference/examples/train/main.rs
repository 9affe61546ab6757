//! Trains the heads on the committed vignettes and prints how good they are.
//!
//! `cargo run --release -p wardstream-inference --example train` (weights from `WARDSTREAM_MODELS`, default `.cache/models`)
//! prints figures and writes `heads/heads.safetensors`; `-- --dry-run` only prints.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

mod learn;
mod render;

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::{Path, PathBuf};

use learn::{Regression, Row, argmax, calibration, fit, macro_f1, per_class};
use render::Example;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};
use wardstream_inference::features::{Reading, pool};
use wardstream_inference::heads::{Blend, Card, PROBE, Task, softmax, weigh};
use wardstream_inference::{DocumentType, Encoder, EncoderOptions, Precision, Specialty, Urgency};

const SCENARIOS: &str = include_str!("../../training/scenarios.psv");
const VIGNETTES: &str = include_str!("../../training/vignettes.psv");
const HOLDOUT: &str = include_str!("../../training/holdout.psv");
/// Features kept: those in at least two groups, the most frequent first.
const VOCABULARY: usize = 5000;
const FOLDS: usize = 4;
const EMERGENT_RECALL: f32 = 0.97;

struct Data {
    examples: Vec<Example>,
    dense: Vec<Row>,
    features: Vec<BTreeMap<String, f32>>,
}

struct Fitted {
    vocabulary: Vec<String>,
    idf: Vec<f32>,
    encoder: Vec<Regression>,
    terms: Vec<Regression>,
}

fn label(example: &Example, task: Task) -> Option<usize> {
    match task {
        Task::Urgency => example.urgency.and_then(|l| Urgency::ALL.iter().position(|x| *x == l)),
        Task::Specialty => example.specialty.and_then(|l| Specialty::ALL.iter().position(|x| *x == l)),
        Task::DocumentType => example.doc_type.and_then(|l| DocumentType::ALL.iter().position(|x| *x == l)),
    }
}

/// Rendered texts teach what a case is about; how documents of a kind read is better learned from those written whole.
fn importance(example: &Example, task: Task) -> f32 {
    let rendered = example.group.starts_with("scenario");
    match (task, rendered) {
        (Task::DocumentType, true) => 0.12,
        (_, true) => 1.0,
        (_, false) => 2.0,
    }
}

fn name(task: Task, class: usize) -> &'static str {
    match task {
        Task::Urgency => Urgency::ALL[class].as_str(),
        Task::Specialty => Specialty::ALL[class].as_str(),
        Task::DocumentType => DocumentType::ALL[class].as_str(),
    }
}

fn prepare(encoder: &Encoder, examples: Vec<Example>) -> Result<Data, Box<dyn Error>> {
    let readings: Vec<Reading> = examples.iter().map(|e| Reading::of(&e.text)).collect();
    let mut chunks: Vec<&str> = Vec::new();
    let mut owners: Vec<(usize, f32)> = Vec::new();
    for (index, (example, reading)) in examples.iter().zip(&readings).enumerate() {
        for (chunk, weight) in reading.chunks(&example.text) {
            chunks.push(chunk);
            owners.push((index, weight));
        }
    }
    let embeddings = encoder.embed(&chunks)?;
    let mut grouped: Vec<(Vec<Vec<f32>>, Vec<f32>)> = vec![(Vec::new(), Vec::new()); examples.len()];
    for (embedding, (owner, weight)) in embeddings.into_iter().zip(owners) {
        grouped[owner].0.push(embedding);
        grouped[owner].1.push(weight);
    }
    let dense = grouped.iter().map(|(e, w)| pool(e, w).into_iter().enumerate().collect()).collect();
    let features = readings.iter().zip(&examples).map(|(r, e)| r.features(&e.text)).collect();
    Ok(Data { examples, dense, features })
}

/// Vocabulary and inverse document frequency of the chosen examples.
fn vocabulary(data: &Data, chosen: &[usize]) -> (Vec<String>, Vec<f32>) {
    let mut groups: BTreeMap<&str, (usize, std::collections::HashSet<&str>)> = BTreeMap::new();
    for &index in chosen {
        for name in data.features[index].keys() {
            let entry = groups.entry(name).or_default();
            entry.0 += 1;
            entry.1.insert(&data.examples[index].group);
        }
    }
    let mut kept: Vec<(&str, usize, usize)> =
        groups.iter().filter(|(_, (_, g))| g.len() >= 2).map(|(n, (c, g))| (*n, *c, g.len())).collect();
    kept.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(b.0)));
    kept.truncate(VOCABULARY);
    kept.sort_by(|a, b| a.0.cmp(b.0));
    let total = chosen.len() as f32;
    let idf = kept.iter().map(|(_, count, _)| (total / *count as f32).ln() + 1.0).collect();
    (kept.into_iter().map(|(n, _, _)| n.to_owned()).collect(), idf)
}

fn rows(features: &[BTreeMap<String, f32>], vocabulary: &[String], idf: &[f32]) -> Vec<Row> {
    let index: HashMap<&str, usize> = vocabulary.iter().enumerate().map(|(i, n)| (n.as_str(), i)).collect();
    features.iter().map(|f| weigh(f, |n| index.get(n).map(|&i| (i, idf[i])))).collect()
}

fn train(data: &Data, chosen: &[usize]) -> Fitted {
    let (vocabulary, idf) = vocabulary(data, chosen);
    let terms = rows(&data.features, &vocabulary, &idf);
    let dimension = data.dense.first().map_or(0, Vec::len);
    let mut fitted = Fitted { vocabulary, idf, encoder: Vec::new(), terms: Vec::new() };
    for task in Task::ALL {
        let labelled: Vec<(usize, usize)> =
            chosen.iter().filter_map(|&i| label(&data.examples[i], task).map(|l| (i, l))).collect();
        let labels: Vec<usize> = labelled.iter().map(|(_, l)| *l).collect();
        let dense: Vec<&Row> = labelled.iter().map(|(i, _)| &data.dense[*i]).collect();
        let sparse: Vec<&Row> = labelled.iter().map(|(i, _)| &terms[*i]).collect();
        let importance: Vec<f32> =
            labelled.iter().map(|(i, _)| importance(&data.examples[*i], task)).collect();
        fitted.encoder.push(fit(&dense, &labels, &importance, task.classes(), dimension, 2e-4, 120));
        fitted.terms.push(fit(
            &sparse,
            &labels,
            &importance,
            task.classes(),
            fitted.vocabulary.len(),
            3e-4,
            120,
        ));
    }
    fitted
}

/// Logits of encoder and features for one task.
fn logits(fitted: &Fitted, data: &Data, terms: &[Row], task: usize, index: usize) -> (Vec<f32>, Vec<f32>) {
    (fitted.encoder[task].logits(&data.dense[index]), fitted.terms[task].logits(&terms[index]))
}

fn blended(pair: &(Vec<f32>, Vec<f32>), a: f32, b: f32) -> Vec<f32> {
    softmax(&pair.0.iter().zip(&pair.1).map(|(e, t)| a * e + b * t).collect::<Vec<_>>())
}

/// Blend of least log loss on out-of-fold logits, and per-label thresholds from which four of five guesses are right.
fn calibrate(fold: &Fold, classes: usize) -> Blend {
    let Fold { pairs, truth, importance } = fold;
    let mut best = (f32::MAX, 1.0, 1.0);
    for i in 0..=14 {
        for j in 0..=14 {
            let (a, b) = (i as f32 * 0.12, j as f32 * 0.12);
            let loss: f32 = pairs
                .iter()
                .zip(truth)
                .zip(importance)
                .map(|((p, &t), w)| -blended(p, a, b)[t].max(1e-6).ln() * w)
                .sum();
            if loss < best.0 {
                best = (loss, a, b);
            }
        }
    }
    let (_, encoder, terms) = best;
    let thresholds = (0..classes)
        .map(|class| {
            let mut guesses: Vec<(f32, bool, f32)> = pairs
                .iter()
                .zip(truth)
                .zip(importance)
                .map(|((pair, &t), &w)| (blended(pair, encoder, terms), t, w))
                .filter(|(p, _, _)| argmax(p) == class)
                .map(|(p, t, w)| (p[class], t == class, w))
                .collect();
            guesses.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut threshold = 0.75f32;
            let (mut right, mut all) = (0.0, 0.0);
            for (p, correct, weight) in guesses {
                right += weight * f32::from(u8::from(correct));
                all += weight;
                if right / all >= 0.85 {
                    threshold = threshold.min(p);
                }
            }
            threshold.max(0.25)
        })
        .collect();
    Blend { encoder, terms, thresholds }
}

struct Scores {
    truth: Vec<usize>,
    blend: Vec<Vec<f32>>,
    encoder: Vec<Vec<f32>>,
    terms: Vec<Vec<f32>>,
    styles: Vec<String>,
}

fn score(fitted: &Fitted, data: &Data, chosen: &[usize], task: usize, blend: &Blend) -> Scores {
    let terms = rows(&data.features, &fitted.vocabulary, &fitted.idf);
    let mut scores = Scores { truth: vec![], blend: vec![], encoder: vec![], terms: vec![], styles: vec![] };
    for &index in chosen {
        let Some(truth) = label(&data.examples[index], Task::ALL[task]) else { continue };
        let pair = logits(fitted, data, &terms, task, index);
        scores.truth.push(truth);
        scores.blend.push(blended(&pair, blend.encoder, blend.terms));
        scores.encoder.push(softmax(&pair.0));
        scores.terms.push(softmax(&pair.1));
        scores.styles.push(data.examples[index].style.clone());
    }
    scores
}

fn decide(task: Task, p: &[f32], emergent_from: f32) -> usize {
    if task == Task::Urgency && p[0] >= emergent_from { 0 } else { argmax(p) }
}

fn report(title: &str, task: Task, scores: &Scores, card_from: f32, blend: &Blend) {
    let classes = task.classes();
    let guess: Vec<usize> = scores.blend.iter().map(|p| decide(task, p, card_from)).collect();
    let plain =
        |p: &[Vec<f32>]| macro_f1(&scores.truth, &p.iter().map(|p| argmax(p)).collect::<Vec<_>>(), classes);
    let top2 = scores
        .blend
        .iter()
        .zip(&scores.truth)
        .filter(|(p, t)| p.iter().filter(|q| **q > p[**t]).count() < 2)
        .count();
    let (mut sure, mut sure_right) = (0, 0);
    for ((p, g), t) in scores.blend.iter().zip(&guess).zip(&scores.truth) {
        if p[*g] >= blend.thresholds[*g] {
            sure += 1;
            sure_right += usize::from(g == t);
        }
    }
    let n = scores.truth.len().max(1) as f32;
    println!(
        "\n## {title}: {} (n = {})\nmacro-F1 {:.3} (encoder alone {:.3}, TF-IDF and terms alone {:.3}), top-2 {:.3}, ECE {:.3}, coverage {:.2} at accuracy {:.3}",
        task.name(),
        scores.truth.len(),
        macro_f1(&scores.truth, &guess, classes),
        plain(&scores.encoder),
        plain(&scores.terms),
        top2 as f32 / n,
        calibration(&scores.blend, &scores.truth),
        sure as f32 / n,
        sure_right as f32 / (sure as f32).max(1.0)
    );
    println!("| label | precision | recall | F1 | n |\n| --- | --- | --- | --- | --- |");
    for class in 0..classes {
        let (p, r, f) = per_class(&scores.truth, &guess, class);
        let count = scores.truth.iter().filter(|t| **t == class).count();
        println!("| {} | {p:.2} | {r:.2} | {f:.2} | {count} |", name(task, class));
    }
    let mut styles: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for ((style, g), t) in scores.styles.iter().zip(&guess).zip(&scores.truth) {
        let entry = styles.entry(style).or_default();
        *entry = (entry.0 + usize::from(g == t), entry.1 + 1);
    }
    let shown: Vec<String> =
        styles.iter().map(|(s, (right, all))| format!("{s} {:.2}", *right as f32 / *all as f32)).collect();
    println!("accuracy by style: {}", shown.join(", "));
}

/// Out-of-fold logits of one task: of encoder and features, with the truth and the weight of each text.
#[derive(Default)]
struct Fold {
    pairs: Vec<(Vec<f32>, Vec<f32>)>,
    truth: Vec<usize>,
    importance: Vec<f32>,
}

/// Out-of-fold logits of every task, folds by group.
fn cross_validate(data: &Data, chosen: &[usize]) -> Vec<Fold> {
    let fold = |index: usize| {
        let digest = Sha256::digest(data.examples[index].group.as_bytes());
        usize::from(digest[0]) % FOLDS
    };
    let mut result: Vec<Fold> = Task::ALL.iter().map(|_| Fold::default()).collect();
    for held in 0..FOLDS {
        let (inside, outside): (Vec<usize>, Vec<usize>) = chosen.iter().partition(|&&i| fold(i) != held);
        let fitted = train(data, &inside);
        let terms = rows(&data.features, &fitted.vocabulary, &fitted.idf);
        for (task, slot) in result.iter_mut().enumerate() {
            for &index in &outside {
                if let Some(truth) = label(&data.examples[index], Task::ALL[task]) {
                    slot.pairs.push(logits(&fitted, data, &terms, task, index));
                    slot.truth.push(truth);
                    slot.importance.push(importance(&data.examples[index], Task::ALL[task]));
                }
            }
        }
    }
    result
}

/// The highest probability of emergent at which its recall is still reached, never above a half.
fn operating_point(fold: &Fold, blend: &Blend) -> f32 {
    let Fold { pairs, truth, .. } = fold;
    let mut emergent: Vec<f32> = pairs
        .iter()
        .zip(truth)
        .filter(|(_, t)| **t == 0)
        .map(|(pair, _)| blended(pair, blend.encoder, blend.terms)[0])
        .collect();
    emergent.sort_by(f32::total_cmp);
    let missed = ((1.0 - EMERGENT_RECALL) * emergent.len() as f32) as usize;
    emergent.get(missed).copied().unwrap_or(0.5).clamp(0.2, 0.5)
}

fn write(path: &Path, fitted: &Fitted, card: &Card, probe: &[f32]) -> Result<usize, Box<dyn Error>> {
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = vec![
        ("idf".into(), Dtype::F32, vec![fitted.idf.len()], bytes(&fitted.idf)),
        ("probe".into(), Dtype::F32, vec![probe.len()], bytes(probe)),
    ];
    let names = fitted.vocabulary.join("\n").into_bytes();
    tensors.push(("vocabulary".into(), Dtype::U8, vec![names.len()], names));
    for (task, (encoder, terms)) in Task::ALL.iter().zip(fitted.encoder.iter().zip(&fitted.terms)) {
        let (name, classes, size) = (task.name(), task.classes(), terms.inputs);
        let scale: Vec<f32> = terms
            .weight
            .chunks(size)
            .map(|row| row.iter().fold(0.0f32, |m, w| m.max(w.abs())).max(1e-9) / 127.0)
            .collect();
        let mut quantised = Vec::with_capacity(size * classes);
        for feature in 0..size {
            for (class, scale) in scale.iter().enumerate() {
                quantised.push((terms.weight[class * size + feature] / scale).round() as i8 as u8);
            }
        }
        tensors.push((
            format!("{name}.encoder.weight"),
            Dtype::F32,
            vec![classes, encoder.inputs],
            bytes(&encoder.weight),
        ));
        tensors.push((format!("{name}.encoder.bias"), Dtype::F32, vec![classes], bytes(&encoder.bias)));
        tensors.push((format!("{name}.terms.weight"), Dtype::I8, vec![size, classes], quantised));
        tensors.push((format!("{name}.terms.scale"), Dtype::F32, vec![classes], bytes(&scale)));
        tensors.push((format!("{name}.terms.bias"), Dtype::F32, vec![classes], bytes(&terms.bias)));
    }
    let views: Vec<(String, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, kind, shape, data)| Ok((name.clone(), TensorView::new(*kind, shape.clone(), data)?)))
        .collect::<Result<_, safetensors::SafeTensorError>>()?;
    let metadata = HashMap::from([("card".to_owned(), serde_json::to_string(card)?)]);
    let file = safetensors::serialize(views, Some(metadata))?;
    std::fs::write(path, &file)?;
    Ok(file.len())
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let models =
        std::env::var_os("WARDSTREAM_MODELS").map_or_else(|| root.join("../../.cache/models"), PathBuf::from);
    let options = EncoderOptions { precision: Precision::F32, ..EncoderOptions::default() };
    let encoder = Encoder::load_with(&models.join("all-MiniLM-L6-v2"), options)?;
    let mut examples = render::scenarios(SCENARIOS)?;
    examples.extend(render::vignettes(VIGNETTES, "vignettes")?);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for task in Task::ALL {
        for example in &examples {
            if let Some(class) = label(example, task) {
                *counts.entry(name(task, class)).or_insert(0) += 1;
            }
        }
    }
    println!("{} texts; by label {counts:?}", examples.len());
    let data = prepare(&encoder, examples)?;
    let holdout = prepare(&encoder, render::vignettes(HOLDOUT, "holdout")?)?;
    let all: Vec<usize> = (0..data.examples.len()).collect();
    let (test, inside): (Vec<usize>, Vec<usize>) = all.iter().partition(|&&i| data.examples[i].test);

    let folds = cross_validate(&data, &inside);
    let blends: Vec<Blend> =
        folds.iter().zip(Task::ALL).map(|(fold, task)| calibrate(fold, task.classes())).collect();
    let from = operating_point(&folds[0], &blends[0]);
    let fitted = train(&data, &inside);
    for (task, blend) in blends.iter().enumerate() {
        report(
            "Held-out scenarios",
            Task::ALL[task],
            &score(&fitted, &data, &test, task, blend),
            from,
            blend,
        );
    }

    // The committed heads learn from every scenario; the holdout was written apart from them and is never learned.
    let fitted = train(&data, &all);
    let everything: Vec<usize> = (0..holdout.examples.len()).collect();
    for (task, blend) in blends.iter().enumerate() {
        report(
            "Holdout written apart",
            Task::ALL[task],
            &score(&fitted, &holdout, &everything, task, blend),
            from,
            blend,
        );
    }
    if std::env::args().any(|argument| argument == "--errors") {
        for (task, blend) in blends.iter().enumerate() {
            let scores = score(&fitted, &holdout, &everything, task, blend);
            let labelled = holdout.examples.iter().filter(|e| label(e, Task::ALL[task]).is_some());
            for ((p, t), example) in scores.blend.iter().zip(&scores.truth).zip(labelled) {
                let guess = decide(Task::ALL[task], p, from);
                if guess != *t {
                    println!(
                        "{} for {}: p {:.2}: {}",
                        name(Task::ALL[task], guess),
                        name(Task::ALL[task], *t),
                        p[guess],
                        example.text.replace('\n', " / ")
                    );
                }
            }
        }
    }
    let digest = Sha256::digest(format!("{SCENARIOS}{VIGNETTES}").as_bytes());
    let version: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let card = Card {
        model_id: "wardstream-triage/all-MiniLM-L6-v2+terms".to_owned(),
        model_version: format!("1.{version}"),
        emergent_from: from,
        blends: Task::ALL.iter().zip(blends).map(|(task, blend)| (task.name().to_owned(), blend)).collect(),
    };
    println!("\n{}", serde_json::to_string(&card)?);
    if !std::env::args().any(|argument| argument == "--dry-run") {
        let probe = encoder.embed(&[PROBE])?;
        let probe = probe.first().ok_or("the encoder gave no embedding")?;
        let size = write(&root.join("heads/heads.safetensors"), &fitted, &card, probe)?;
        println!("wrote heads/heads.safetensors, {size} bytes");
    }
    Ok(())
}
