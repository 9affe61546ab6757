//! Recall and precision on notes whose identifiers are marked: one JSON object a line, `{"text", "identifiers": [{"start", "end", "kind"}],
//! "keep": [{"start", "end", "what"}], "layout"}`, offsets in Unicode scalar values, as `deploy/peers/deid/notes.py` writes them.
//!
//! `cargo run --release --package wardstream-deid --example evaluate -- [OPTIONS] NOTES.ndjson`
//!
//! - `--layers gazetteer,pattern,list`: only these layers, to see what each adds.
//! - `--identities`: the names and numbers of a note are known beforehand, as from a bundle; only with them does the gazetteer work.
//! - `--spans FILE`: judges what another tool found, lines `{"spans": [{"start", "end", "kind"}]}` in the order of the notes.
//! - `--json`: counts as one JSON object in place of the tables.
//! - `--missed N`, `--wrong N`: the first N identifiers that were missed, or pieces removed without need.

#![expect(clippy::print_stdout, reason = "a program that prints its findings")]

use std::collections::BTreeMap;
use std::error::Error;

use serde_json::{Value, json};
use wardstream_deid::{Config, Gazetteer, Kind, Layer, Redactor, SecretKey};

struct Options {
    notes: String,
    layers: Vec<Layer>,
    identities: bool,
    spans: Option<String>,
    json: bool,
    missed: usize,
    wrong: usize,
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        notes: String::new(),
        layers: Layer::ALL.to_vec(),
        identities: false,
        spans: None,
        json: false,
        missed: 0,
        wrong: 0,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--layers" => {
                options.layers = value()?
                    .split(',')
                    .map(|name| {
                        Layer::ALL
                            .into_iter()
                            .find(|layer| json!(layer) == name)
                            .ok_or(format!("no layer {name}"))
                    })
                    .collect::<Result<_, _>>()?;
            }
            "--identities" => options.identities = true,
            "--json" => options.json = true,
            "--spans" => options.spans = Some(value()?),
            "--missed" => options.missed = value()?.parse()?,
            "--wrong" => options.wrong = value()?.parse()?,
            file => options.notes = file.to_owned(),
        }
    }
    Ok(options)
}

/// A marked range, in Unicode scalar values.
struct Mark {
    start: usize,
    end: usize,
    name: String,
}

fn marks(value: &Value, name: &str) -> Result<Vec<Mark>, String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .map(|mark| {
            let number = |key: &str| mark[key].as_u64().and_then(|n| usize::try_from(n).ok());
            Ok(Mark {
                start: number("start").ok_or("start is missing")?,
                end: number("end").ok_or("end is missing")?,
                name: mark[name].as_str().ok_or("kind is missing")?.to_owned(),
            })
        })
        .collect()
}

/// How many of how many.
#[derive(Clone, Copy, Default)]
struct Share {
    hits: usize,
    all: usize,
}

impl Share {
    fn add(&mut self, hit: bool) {
        self.hits += usize::from(hit);
        self.all += 1;
    }

    fn rate(self) -> f64 {
        self.hits as f64 / self.all.max(1) as f64
    }

    /// Wilson's score interval at 95 %.
    fn interval(self) -> (f64, f64) {
        let (n, p, z) = (self.all.max(1) as f64, self.rate(), 1.96_f64);
        let middle = p + z * z / (2.0 * n);
        let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + z * z / n;
        ((middle - half).max(0.0) / scale, ((middle + half) / scale).min(1.0))
    }

    fn row(self, name: &str) {
        let (low, high) = self.interval();
        println!("{name:<14} {:>6} of {:>6}  {:.4}  [{low:.4}, {high:.4}]", self.hits, self.all, self.rate());
    }
}

/// The interval of a ratio of sums over notes: 1,000 draws of the notes with replacement.
fn bootstrap(notes: &[Share]) -> (f64, f64) {
    let mut state = 20_260_101_u64;
    let mut rates: Vec<f64> = (0..1000)
        .map(|_| {
            let mut sum = Share::default();
            for _ in notes {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let note = notes[(state >> 33) as usize % notes.len()];
                sum.hits += note.hits;
                sum.all += note.all;
            }
            sum.rate()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    (rates[25], rates[974])
}

#[derive(Default)]
struct Outcome {
    recall: BTreeMap<String, Share>,
    recall_by_layout: BTreeMap<String, Share>,
    kept: BTreeMap<String, Share>,
    precision: BTreeMap<String, Share>,
    /// Characters removed and right, a note.
    precision_by_note: Vec<Share>,
    clean: Share,
    missed: Vec<String>,
    wrong: Vec<String>,
}

fn around(text: &[char], start: usize, end: usize) -> String {
    let piece = |from: usize, to: usize| text[from..to].iter().collect::<String>();
    format!(
        "{}«{}»{}",
        piece(start.saturating_sub(35), start),
        piece(start, end),
        piece(end, (end + 20).min(text.len()))
    )
    .replace('\n', "⏎")
}

impl Outcome {
    fn judge(&mut self, note: &Value, found: &[Mark]) -> Result<(), Box<dyn Error>> {
        let text: Vec<char> = note["text"].as_str().ok_or("a note has no text")?.chars().collect();
        let identifiers = marks(&note["identifiers"], "kind")?;
        let layout = note["layout"].as_str().unwrap_or("").to_owned();
        let mut removed = vec![false; text.len()];
        for span in found {
            removed[span.start..span.end].fill(true);
        }
        let mut marked = vec![false; text.len()];
        let mut leak = false;
        for identifier in &identifiers {
            marked[identifier.start..identifier.end].fill(true);
            let full = (identifier.start..identifier.end).all(|i| removed[i] || !text[i].is_alphanumeric());
            self.recall.entry(identifier.name.clone()).or_default().add(full);
            self.recall_by_layout.entry(layout.clone()).or_default().add(full);
            leak |= !full;
            if !full {
                self.missed.push(format!(
                    "{} {}",
                    identifier.name,
                    around(&text, identifier.start, identifier.end)
                ));
            }
        }
        self.clean.add(!leak);
        let mut of_note = Share::default();
        for span in found {
            let of_kind = self.precision.entry(span.name.clone()).or_default();
            for i in (span.start..span.end).filter(|i| !text[*i].is_whitespace()) {
                of_kind.add(marked[i]);
                of_note.add(marked[i]);
            }
            if (span.start..span.end).any(|i| !marked[i] && text[i].is_alphanumeric()) {
                self.wrong.push(format!("{} {}", span.name, around(&text, span.start, span.end)));
            }
        }
        self.precision_by_note.push(of_note);
        for keep in marks(&note["keep"], "what")? {
            self.kept.entry(keep.name).or_default().add(!removed[keep.start..keep.end].contains(&true));
        }
        Ok(())
    }

    fn json(&self, speed: f64) -> Value {
        let pairs = |shares: &BTreeMap<String, Share>| -> Value {
            shares.iter().map(|(name, share)| (name.clone(), json!([share.hits, share.all]))).collect()
        };
        json!({
            "recall": pairs(&self.recall),
            "precision": pairs(&self.precision),
            "kept": pairs(&self.kept),
            "clean": [self.clean.hits, self.clean.all],
            "characters_per_second": speed,
        })
    }

    fn print(&self) {
        let sum = |shares: &BTreeMap<String, Share>| {
            shares.values().fold(Share::default(), |a, b| Share { hits: a.hits + b.hits, all: a.all + b.all })
        };
        println!("recall of full spans");
        for (name, share) in &self.recall {
            share.row(name);
        }
        sum(&self.recall).row("all");
        println!("recall by layout");
        for (name, share) in &self.recall_by_layout {
            share.row(name);
        }
        println!("precision, characters");
        for (name, share) in &self.precision {
            println!("{name:<14} {:>6} of {:>6}  {:.4}", share.hits, share.all, share.rate());
        }
        let (low, high) = bootstrap(&self.precision_by_note);
        println!("{:<14} {:>27.4}  [{low:.4}, {high:.4}]", "all", sum(&self.precision).rate());
        println!("kept");
        for (name, share) in &self.kept {
            share.row(name);
        }
        sum(&self.kept).row("all");
        self.clean.row("no leak");
    }
}

/// Seconds this thread has had a processor for (Linux): what else the machine does is no part of it.
fn processor_seconds() -> Result<f64, Box<dyn Error>> {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: u64 = spent.split_whitespace().next().ok_or("no time in schedstat")?.parse()?;
    Ok(std::time::Duration::from_nanos(nanoseconds).as_secs_f64())
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = options()?;
    let file = std::fs::read_to_string(&options.notes)?;
    let notes: Vec<Value> = file.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let other: Option<Vec<Value>> = match &options.spans {
        Some(file) => {
            Some(std::fs::read_to_string(file)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
        }
        None => None,
    };
    let redactor = Redactor::new(Config::new(SecretKey::from_bytes([1u8; 32])?, 1, "evaluate"))?;
    redactor.redact_text("Dr. Roe, 555-0100", &Gazetteer::default());
    let mut result = Outcome::default();
    let (mut seconds, mut characters, mut withheld) = (0.0, 0, 0);
    for (index, note) in notes.iter().enumerate() {
        let text = note["text"].as_str().ok_or("a note has no text")?;
        let found = if let Some(other) = &other {
            marks(&other.get(index).ok_or("fewer answers than notes")?["spans"], "kind")?
        } else {
            let known: Vec<char> = text.chars().collect();
            let identities: Vec<(Kind, String)> = marks(&note["identifiers"], "kind")?
                .into_iter()
                .filter_map(|mark| {
                    let kind = [Kind::Name, Kind::MedicalRecord, Kind::Phone]
                        .into_iter()
                        .find(|kind| kind.as_str() == mark.name)?;
                    Some((kind, known[mark.start..mark.end].iter().collect()))
                })
                .collect();
            let gazetteer = match options.identities {
                true => {
                    Gazetteer::from_identities(identities.iter().map(|(kind, value)| (*kind, value.as_str())))
                }
                false => Gazetteer::default(),
            };
            let start = processor_seconds()?;
            let redacted = redactor.redact_text_by(&options.layers, text, &gazetteer);
            seconds += processor_seconds()? - start;
            characters += known.len();
            withheld += usize::from(redactor.redact_text(text, &gazetteer).withheld.is_some());
            redacted
                .spans
                .iter()
                .map(|span| Mark { start: span.start, end: span.end, name: span.kind.to_string() })
                .collect()
        };
        result.judge(note, &found)?;
    }
    let speed = f64::from(u32::try_from(characters)?) / seconds;
    if options.json {
        println!("{}", result.json(speed));
        return Ok(());
    }
    for missed in result.missed.iter().take(options.missed) {
        println!("missed {missed}");
    }
    for wrong in result.wrong.iter().take(options.wrong) {
        println!("wrong {wrong}");
    }
    result.print();
    if characters > 0 {
        println!("{withheld} notes would be withheld for their language; {speed:.0} characters/s");
    }
    Ok(())
}
