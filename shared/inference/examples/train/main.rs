//! Trains the heads on the committed texts, prints how good they are, and draws their calibration.
//!
//! `cargo run -p wardstream-inference --example train` (weights from `WARDSTREAM_MODELS`, default `.cache/models`) prints
//! figures and writes `heads/heads.safetensors` and `docs/images/calibration.svg`; `-- --dry-run` only prints, `-- --blind`
//! prints the figures of the blind texts too, `-- --errors` what of the holdout is judged wrongly and what the
//! floor of red flags raises in vain.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

mod learn;
mod render;
mod report;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::path::{Path, PathBuf};

use learn::{Labelled, Regression, Row, argmax, fit};
use rayon::prelude::*;
use render::{Example, Origin};
use report::{Judged, costs, errors, floor, name, plot, raised, report};
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};
use wardstream_inference::features::{Reading, pool};
use wardstream_inference::heads::{Blend, Card, PROBE, Part, Task, softmax, weigh};
use wardstream_inference::{DocumentType, Encoder, EncoderOptions, Precision, Specialty, Urgency};

const FOLDS: usize = 5;
const EPOCHS: usize = 120;
/// Of emergencies whose style was not learned: the share called emergent, and the share called or shown to a person.
const RECALL: (f32, f32) = (0.975, 0.99);
/// Sources of logits: the kinds of features, and the encoder.
const SOURCES: usize = 4;
/// L2 penalties, in the order of [`Part::ALL`], then the encoder's.
const L2: [f32; SOURCES] = [4e-5, 4e-5, 4e-4, 1.5e-4];
/// Features kept of a kind: those of at least so many groups, and at most so many.
const KEPT: [(usize, usize); 3] = [(2, 12_000), (3, 20_000), (2, 4_000)];

struct Data {
    examples: Vec<Example>,
    dense: Vec<Row>,
    features: Vec<BTreeMap<String, f32>>,
}

/// The features of each kind that a model knows, with their inverse document frequency.
struct Vocabulary([Vec<(String, f32)>; 3]);

struct Fitted {
    vocabulary: Vocabulary,
    /// By task, then by source.
    regressions: Vec<Vec<Regression>>,
}

/// Logits by source.
type Logits = Vec<Vec<f32>>;

fn label(example: &Example, task: Task) -> Option<usize> {
    match task {
        Task::Urgency => example.urgency.and_then(|l| Urgency::ALL.iter().position(|x| *x == l)),
        Task::Specialty => example.specialty.and_then(|l| Specialty::ALL.iter().position(|x| *x == l)),
        Task::DocumentType => example.doc_type.and_then(|l| DocumentType::ALL.iter().position(|x| *x == l)),
    }
}

/// Rendered texts teach what a case is about; how documents of a kind read is better learned from those written whole.
fn importance(example: &Example, task: Task) -> f32 {
    match (task, example.origin) {
        (Task::DocumentType, Origin::Scenario) => 0.05,
        (_, Origin::Scenario) => 0.2,
        _ => 1.0,
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
    // Scaled so that the penalty leaves the encoder's weights as free as those of words.
    let dense =
        grouped.iter().map(|(e, w)| pool(e, w).into_iter().map(|v| v * ENCODER_SCALE).enumerate().collect());
    let dense = dense.collect();
    let features = readings.iter().zip(&examples).map(|(r, e)| r.features(&e.text)).collect();
    Ok(Data { examples, dense, features })
}

/// What an embedding is multiplied by while its regression is fitted.
const ENCODER_SCALE: f32 = 3.0;

impl Vocabulary {
    /// Of the chosen texts.
    fn of(data: &Data, chosen: &[usize]) -> Self {
        let mut found: BTreeMap<&str, (usize, HashSet<&str>)> = BTreeMap::new();
        for &index in chosen {
            for name in data.features[index].keys() {
                let entry = found.entry(name).or_default();
                entry.0 += 1;
                entry.1.insert(&data.examples[index].group);
            }
        }
        let mut parts: [Vec<(String, f32)>; 3] = Default::default();
        for ((part, slot), (least, most)) in Part::ALL.into_iter().zip(&mut parts).zip(KEPT) {
            let mut kept: Vec<(&str, usize, usize)> = found
                .iter()
                .filter(|(name, (_, groups))| Part::of(name) == part && groups.len() >= least)
                .map(|(name, (count, groups))| (*name, *count, groups.len()))
                .collect();
            kept.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(b.0)));
            kept.truncate(most);
            kept.sort_by(|a, b| a.0.cmp(b.0));
            let idf = |count: usize| (chosen.len() as f32 / count as f32).ln() + 1.0;
            *slot = kept.into_iter().map(|(name, count, _)| (name.to_owned(), idf(count))).collect();
        }
        Self(parts)
    }

    /// Rows of each kind of feature, by text.
    fn rows(&self, features: &[BTreeMap<String, f32>]) -> Vec<[Row; 3]> {
        let mut index: HashMap<&str, (usize, f32)> = HashMap::new();
        let mut starts = [0; 4];
        for (part, features) in self.0.iter().enumerate() {
            starts[part + 1] = starts[part] + features.len();
            for (at, (name, idf)) in features.iter().enumerate() {
                index.insert(name, (starts[part] + at, *idf));
            }
        }
        let split = |features: &BTreeMap<String, f32>| {
            let mut rows: [Row; 3] = Default::default();
            for (at, value) in weigh(features, |name| index.get(name).copied()) {
                let part = (0..3).find(|part| at < starts[part + 1]).unwrap_or(2);
                rows[part].push((at - starts[part], value));
            }
            rows
        };
        features.iter().map(split).collect()
    }
}

impl Fitted {
    fn to(data: &Data, chosen: &[usize], tasks: &[Task]) -> Self {
        let vocabulary = Vocabulary::of(data, chosen);
        let terms = vocabulary.rows(&data.features);
        let dimension = data.dense.first().map_or(0, Vec::len);
        let jobs: Vec<(Task, usize)> =
            tasks.iter().flat_map(|task| (0..SOURCES).map(|source| (*task, source))).collect();
        let fitted: Vec<Regression> = jobs
            .par_iter()
            .map(|&(task, source)| {
                let texts: Vec<Labelled<'_>> = chosen
                    .iter()
                    .filter_map(|&at| {
                        let row = terms[at].get(source).unwrap_or(&data.dense[at]);
                        let example = &data.examples[at];
                        label(example, task).map(|label| (row, label, importance(example, task)))
                    })
                    .collect();
                let inputs = vocabulary.0.get(source).map_or(dimension, Vec::len);
                fit(&texts, task.classes(), inputs, L2[source], EPOCHS)
            })
            .collect();
        let regressions = fitted.chunks(SOURCES).map(<[Regression]>::to_vec).collect();
        Self { vocabulary, regressions }
    }

    fn logits(&self, data: &Data, terms: &[[Row; 3]], task: usize, at: usize) -> Logits {
        let row = |source: usize| terms[at].get(source).unwrap_or(&data.dense[at]);
        self.regressions[task].iter().enumerate().map(|(source, r)| r.logits(row(source))).collect()
    }
}

fn blended(logits: &Logits, factors: &[f32; SOURCES]) -> Vec<f32> {
    let classes = logits.first().map_or(0, Vec::len);
    let sum = |class: usize| logits.iter().zip(factors).map(|(l, f)| l[class] * f).sum();
    softmax(&(0..classes).map(sum).collect::<Vec<f32>>())
}

fn factors(blend: &Blend) -> [f32; SOURCES] {
    let [words, characters, signs] = blend.terms;
    [words, characters, signs, blend.encoder]
}

/// Logits of texts that their model has not learned: index, truth, logits.
type Unseen = Vec<(usize, usize, Logits)>;

/// Folds of the texts of `texts/`; the other texts are always learned.
fn cross_validate(data: &Data, tasks: &[Task], key: fn(&Example) -> &str) -> Vec<Unseen> {
    let fold = |example: &Example| {
        let digest = Sha256::digest(key(example).as_bytes());
        (example.origin == Origin::Text).then(|| usize::from(digest[0]) % FOLDS)
    };
    let mut result: Vec<Unseen> = vec![Vec::new(); tasks.len()];
    for held in 0..FOLDS {
        let (outside, inside): (Vec<usize>, Vec<usize>) =
            (0..data.examples.len()).partition(|&at| fold(&data.examples[at]) == Some(held));
        let fitted = Fitted::to(data, &inside, tasks);
        let terms = fitted.vocabulary.rows(&data.features);
        for (at, (task, slot)) in tasks.iter().zip(&mut result).enumerate() {
            for &index in &outside {
                if let Some(truth) = label(&data.examples[index], *task) {
                    slot.push((index, truth, fitted.logits(data, &terms, at, index)));
                }
            }
        }
    }
    result
}

/// Factors of least log loss, and thresholds from which enough of the answers are right.
fn calibrate(unseen: &[&Unseen], classes: usize) -> Blend {
    let all = || unseen.iter().flat_map(|set| set.iter());
    let loss = |factors: &[f32; SOURCES]| -> f32 {
        all().map(|(_, truth, logits)| -blended(logits, factors)[*truth].max(1e-6).ln()).sum()
    };
    let mut factors = [0.5f32; SOURCES];
    let mut least = loss(&factors);
    for step in [0.3f32, 0.1, 0.03] {
        let mut moved = true;
        while moved {
            moved = false;
            for source in 0..SOURCES {
                for by in [step, -step] {
                    let mut tried = factors;
                    tried[source] = (tried[source] + by).max(0.0);
                    let found = loss(&tried);
                    if found < least - 1e-4 {
                        (factors, least, moved) = (tried, found, true);
                    }
                }
            }
        }
    }
    let thresholds = (0..classes)
        .map(|class| {
            let mut guesses: Vec<(f32, bool)> = all()
                .map(|(_, truth, logits)| (blended(logits, &factors), *truth))
                .filter(|(p, _)| argmax(p) == class)
                .map(|(p, truth)| (p[class], truth == class))
                .collect();
            guesses.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mut threshold = 0.75f32;
            let mut right = 0usize;
            for (at, (p, correct)) in guesses.iter().enumerate() {
                right += usize::from(*correct);
                if right as f32 >= 0.85 * (at + 1) as f32 {
                    threshold = threshold.min(*p);
                }
            }
            threshold.max(0.25)
        })
        .collect();
    let [words, characters, signs, encoder] = factors;
    Blend { encoder, terms: [words, characters, signs], thresholds }
}

/// The highest probability of emergent at which a recall is still reached, never above a half.
fn operating_point(unseen: &Unseen, blend: &Blend, recall: f32) -> f32 {
    let mut emergent: Vec<f32> = unseen
        .iter()
        .filter(|(_, truth, _)| *truth == 0)
        .map(|(_, _, logits)| blended(logits, &factors(blend))[0])
        .collect();
    emergent.sort_by(f32::total_cmp);
    let missed = ((1.0 - recall) * emergent.len() as f32) as usize;
    emergent.get(missed).copied().unwrap_or(0.5).min(0.5)
}

fn judged(data: &Data, unseen: &Unseen, blend: &Blend) -> Vec<Judged> {
    let of = |(at, truth, logits): &(usize, usize, Logits)| Judged {
        truth: *truth,
        p: blended(logits, &factors(blend)),
        encoder: argmax(&logits[3]),
        words: argmax(&logits[0]),
        style: data.examples[*at].style.clone(),
        text: data.examples[*at].text.clone(),
        red_flags: Reading::of(&data.examples[*at].text).red_flags,
    };
    unseen.iter().map(of).collect()
}

/// Texts written apart, by the model that is committed.
fn apart(data: &Data, fitted: &Fitted, task: usize) -> Unseen {
    let terms = fitted.vocabulary.rows(&data.features);
    let truths =
        data.examples.iter().enumerate().filter_map(|(at, e)| Some((at, label(e, Task::ALL[task])?)));
    truths.map(|(at, truth)| (at, truth, fitted.logits(data, &terms, task, at))).collect()
}

fn write(path: &Path, fitted: &Fitted, card: &Card, probe: &[f32]) -> Result<usize, Box<dyn Error>> {
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let features: Vec<&(String, f32)> = fitted.vocabulary.0.iter().flatten().collect();
    let idf: Vec<f32> = features.iter().map(|(_, idf)| *idf).collect();
    let names = features.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join("\n").into_bytes();
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = vec![
        ("idf".into(), Dtype::F32, vec![idf.len()], bytes(&idf)),
        ("probe".into(), Dtype::F32, vec![probe.len()], bytes(probe)),
        ("vocabulary".into(), Dtype::U8, vec![names.len()], names),
    ];
    for (task, regressions) in Task::ALL.iter().zip(&fitted.regressions) {
        let (name, classes) = (task.name(), task.classes());
        let (parts, encoder) = regressions.split_at(3);
        let (mut scales, mut biases, mut quantised) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            let largest = |class: usize| {
                part.weight.iter().skip(class).step_by(classes).fold(0.0f32, |m, w| m.max(w.abs())).max(1e-9)
            };
            let scale: Vec<f32> = (0..classes).map(|class| largest(class) / 127.0).collect();
            quantised.extend(
                part.weight.iter().zip(scale.iter().cycle()).map(|(w, s)| (w / s).round() as i8 as u8),
            );
            scales.extend(scale);
            biases.extend(&part.bias);
        }
        // The encoder's rows are a class each, as its embedding is one vector.
        let [encoder] = encoder else { return Err("one regression of the encoder is needed".into()) };
        let dimension = encoder.weight.len() / classes;
        let rows: Vec<f32> = (0..classes)
            .flat_map(|class| {
                (0..dimension).map(move |at| encoder.weight[at * classes + class] * ENCODER_SCALE)
            })
            .collect();
        let add = [
            ("encoder.weight", Dtype::F32, vec![classes, dimension], bytes(&rows)),
            ("encoder.bias", Dtype::F32, vec![classes], bytes(&encoder.bias)),
            ("terms.weight", Dtype::I8, vec![features.len(), classes], quantised),
            ("terms.scale", Dtype::F32, vec![3, classes], bytes(&scales)),
            ("terms.bias", Dtype::F32, vec![3, classes], bytes(&biases)),
        ];
        tensors
            .extend(add.map(|(tensor, kind, shape, data)| (format!("{name}.{tensor}"), kind, shape, data)));
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

/// Every text that may be learned, and the digest of all of them.
fn training_texts(folder: &Path) -> Result<(Vec<Example>, String), Box<dyn Error>> {
    let mut digest = Sha256::new();
    let mut read = |path: PathBuf| -> std::io::Result<String> {
        let table = std::fs::read_to_string(path)?;
        digest.update(&table);
        Ok(table)
    };
    let mut examples = render::scenarios(&read(folder.join("scenarios.psv"))?)?;
    examples.extend(render::texts(&read(folder.join("vignettes.psv"))?, "vignettes", Origin::Vignette)?);
    for specialty in Specialty::ALL {
        let table = read(folder.join(format!("texts/{specialty}.psv")))?;
        examples.extend(render::texts(&table, specialty.as_str(), Origin::Text)?);
    }
    let version = digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Ok((examples, version))
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    let models =
        std::env::var_os("WARDSTREAM_MODELS").map_or_else(|| root.join("../../.cache/models"), PathBuf::from);
    let options = EncoderOptions { precision: Precision::F32, ..EncoderOptions::default() };
    let encoder = Encoder::load_with(&models.join("all-MiniLM-L6-v2"), options)?;
    let (examples, version) = training_texts(&root.join("training"))?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for task in Task::ALL {
        for class in examples.iter().filter_map(|example| label(example, task)) {
            *counts.entry(name(task, class)).or_insert(0) += 1;
        }
    }
    println!("{} texts; by label {counts:?}", examples.len());
    let data = prepare(&encoder, examples)?;

    let by_style = cross_validate(&data, &Task::ALL, |example| &example.style);
    // A style is nearly always one type of document: leaving out styles leaves out types, leaving out texts does not.
    let by_text = cross_validate(&data, &[Task::DocumentType], |example| &example.group);
    let blends: Vec<Blend> = by_style
        .iter()
        .zip(Task::ALL)
        .map(|(unseen, task)| match task {
            Task::DocumentType => calibrate(&[unseen, &by_text[0]], task.classes()),
            _ => calibrate(&[unseen], task.classes()),
        })
        .collect();
    let from = operating_point(&by_style[0], &blends[0], RECALL.0);
    let ask = operating_point(&by_style[0], &blends[0], RECALL.1).min(from);
    let judged_by_style: Vec<Vec<Judged>> =
        by_style.iter().zip(&blends).map(|(unseen, blend)| judged(&data, unseen, blend)).collect();
    for ((task, judged), blend) in Task::ALL.into_iter().zip(&judged_by_style).zip(&blends) {
        report("Styles left out", task, judged, from, blend);
    }
    let judged_by_text = judged(&data, &by_text[0], &blends[2]);
    report("Texts left out", Task::DocumentType, &judged_by_text, from, &blends[2]);
    costs(&judged_by_style[0], from, ask);
    floor("styles left out", &judged_by_style[0], from, ask, &blends[0]);
    if asked("--errors") {
        raised(&judged_by_style[0]);
    }

    // The committed heads learn from everything; the texts written apart are never learned.
    let all: Vec<usize> = (0..data.examples.len()).collect();
    let fitted = Fitted::to(&data, &all, &Task::ALL);
    let mut sets = vec![("Holdout written apart", "holdout.psv")];
    if asked("--blind") {
        sets.push(("Blind texts", "texts/blind.psv"));
    }
    for (title, file) in sets {
        let table = std::fs::read_to_string(root.join("training").join(file))?;
        let data = prepare(&encoder, render::texts(&table, file, Origin::Apart)?)?;
        for (task, blend) in blends.iter().enumerate() {
            let judged = judged(&data, &apart(&data, &fitted, task), blend);
            report(title, Task::ALL[task], &judged, from, blend);
            if Task::ALL[task] == Task::Urgency {
                floor(title, &judged, from, ask, blend);
            }
            if asked("--errors") && file == "holdout.psv" {
                errors(Task::ALL[task], &judged, from);
            }
        }
    }
    let card = Card {
        model_id: "wardstream-triage/all-MiniLM-L6-v2+terms".to_owned(),
        model_version: format!("2.{version}"),
        emergent_from: from,
        ask_from: ask,
        blends: Task::ALL.iter().zip(blends).map(|(task, blend)| (task.name().to_owned(), blend)).collect(),
    };
    println!("\n{}", serde_json::to_string(&card)?);
    if !asked("--dry-run") {
        let probe = encoder.embed(&[PROBE])?;
        let probe = probe.first().ok_or("the encoder gave no embedding")?;
        let size = write(&root.join("heads/heads.safetensors"), &fitted, &card, probe)?;
        let panels = [
            (Task::Urgency, judged_by_style[0].as_slice()),
            (Task::Specialty, judged_by_style[1].as_slice()),
            (Task::DocumentType, judged_by_text.as_slice()),
        ];
        std::fs::write(root.join("../../docs/images/calibration.svg"), plot(&panels))?;
        println!("wrote heads/heads.safetensors, {size} bytes, and docs/images/calibration.svg");
    }
    Ok(())
}
