//! Linear heads: logistic regressions on the encoder's embedding and on three kinds of the text's features, blended and
//! calibrated.

use std::collections::{BTreeMap, HashMap};

use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::encoder::cosine;
use crate::features::{CHARACTERS, DENSE};

/// A sentence whose embedding, stored with the heads, tells whether an encoder is the one they were trained on.
pub const PROBE: &str =
    "The patient was started on intravenous antibiotics and transferred to intensive care.";

/// What the three heads decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// [`crate::Urgency`].
    Urgency,
    /// [`crate::Specialty`].
    Specialty,
    /// [`crate::DocumentType`].
    DocumentType,
}

impl Task {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Urgency, Self::Specialty, Self::DocumentType];

    /// Name in the heads' file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Urgency => "urgency",
            Self::Specialty => "specialty",
            Self::DocumentType => "doc_type",
        }
    }

    /// Number of labels.
    #[must_use]
    pub fn classes(self) -> usize {
        match self {
            Self::Urgency => crate::Urgency::ALL.len(),
            Self::Specialty => crate::Specialty::ALL.len(),
            Self::DocumentType => crate::DocumentType::ALL.len(),
        }
    }
}

/// The kinds of features, each with a regression of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Words, pairs of words, headings.
    Words,
    /// Runs of characters.
    Characters,
    /// Terms of the lexicon, danger signs, the text's shape.
    Signs,
}

impl Part {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Words, Self::Characters, Self::Signs];

    /// The kind a feature is of, by its name.
    #[must_use]
    pub fn of(feature: &str) -> Self {
        match feature.chars().next() {
            Some(DENSE) => Self::Signs,
            Some(CHARACTERS) => Self::Characters,
            _ => Self::Words,
        }
    }
}

/// How a task's regressions are blended, calibrated and trusted; learned with the heads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blend {
    /// Factor of the encoder's logits: its weight in the blend over its temperature.
    pub encoder: f32,
    /// Factors of the features' logits, in the order of [`Part::ALL`].
    pub terms: [f32; 3],
    /// Probability a label needs, in label order; below it the model abstains.
    pub thresholds: Vec<f32>,
}

/// What stands beside the weights in the heads' file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Identifier of the model.
    pub model_id: String,
    /// Version of the heads: the start of the SHA-256 of what they were trained on.
    pub model_version: String,
    /// Probability from which a document is called emergent although another label may be likelier.
    pub emergent_from: f32,
    /// Probability of emergent from which a person must look although the document is not called so.
    pub ask_from: f32,
    /// By [`Task::name`].
    pub blends: BTreeMap<String, Blend>,
}

#[derive(Debug)]
struct Linear {
    /// Row-major, a row a class.
    weight: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
}

#[derive(Debug)]
struct Terms {
    /// Row-major, a row a feature, quantised to eight bits with one scale a part and class.
    weight: Vec<i8>,
    /// A row a part; the factors of the blend are in it.
    scale: Vec<f32>,
    /// Of all parts together, blended.
    bias: Vec<f32>,
}

#[derive(Debug)]
struct Head {
    encoder: Linear,
    terms: Terms,
    blend: Blend,
}

/// The heads of all tasks.
#[derive(Debug)]
pub struct Heads {
    card: Card,
    vocabulary: HashMap<String, usize>,
    parts: Vec<Part>,
    idf: Vec<f32>,
    probe: Vec<f32>,
    heads: Vec<Head>,
}

fn malformed(reason: impl Into<String>) -> Error {
    Error::Table { table: "heads file", reason: reason.into() }
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>, Error> {
    let view = file.tensor(name).map_err(|_| malformed(format!("tensor {name} is missing")))?;
    if view.dtype() != Dtype::F32 {
        return Err(malformed(format!("tensor {name} is not F32")));
    }
    Ok(view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

fn sized(file: &SafeTensors<'_>, name: &str, length: usize) -> Result<Vec<f32>, Error> {
    let values = floats(file, name)?;
    if values.len() == length && values.iter().all(|v| v.is_finite()) {
        Ok(values)
    } else {
        Err(malformed(format!("tensor {name} has the wrong size or a value that is not finite")))
    }
}

impl Heads {
    /// Reads a heads file.
    ///
    /// # Errors
    /// `MODEL-507` with the tensor or key.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let (_, metadata) =
            SafeTensors::read_metadata(bytes).map_err(|error| malformed(error.to_string()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| malformed(error.to_string()))?;
        let card = metadata
            .metadata()
            .as_ref()
            .and_then(|map| map.get("card"))
            .ok_or_else(|| malformed("no card"))?;
        let card: Card = serde_json::from_str(card).map_err(|error| malformed(error.to_string()))?;
        let names = file.tensor("vocabulary").map_err(|_| malformed("tensor vocabulary is missing"))?;
        let names = std::str::from_utf8(names.data()).map_err(|_| malformed("vocabulary is not UTF-8"))?;
        let vocabulary: HashMap<String, usize> =
            names.split('\n').enumerate().map(|(index, name)| (name.to_owned(), index)).collect();
        let size = vocabulary.len();
        let parts: Vec<Part> = names.split('\n').map(Part::of).collect();
        if parts.len() != size {
            return Err(malformed("a feature is listed twice"));
        }
        let idf = sized(&file, "idf", size)?;
        let probe = floats(&file, "probe")?;
        let mut heads = Vec::new();
        for task in Task::ALL {
            let (name, classes) = (task.name(), task.classes());
            let blend =
                card.blends.get(name).cloned().ok_or_else(|| malformed(format!("no blend for {name}")))?;
            if blend.thresholds.len() != classes {
                return Err(malformed(format!("{name} needs {classes} thresholds")));
            }
            let view = file
                .tensor(&format!("{name}.terms.weight"))
                .map_err(|_| malformed(format!("tensor {name}.terms.weight is missing")))?;
            if view.dtype() != Dtype::I8 || view.data().len() != size * classes {
                return Err(malformed(format!("tensor {name}.terms.weight has the wrong type or size")));
            }
            let mut scale = sized(&file, &format!("{name}.terms.scale"), Part::ALL.len() * classes)?;
            let part_biases = sized(&file, &format!("{name}.terms.bias"), Part::ALL.len() * classes)?;
            let mut bias = vec![0.0; classes];
            for (part, factor) in blend.terms.iter().enumerate() {
                for (class, bias) in bias.iter_mut().enumerate() {
                    let at = part * classes + class;
                    *bias += factor * part_biases.get(at).copied().unwrap_or(0.0);
                    if let Some(scale) = scale.get_mut(at) {
                        *scale *= factor;
                    }
                }
            }
            heads.push(Head {
                encoder: Linear {
                    weight: sized(&file, &format!("{name}.encoder.weight"), classes * probe.len())?,
                    bias: sized(&file, &format!("{name}.encoder.bias"), classes)?,
                    inputs: probe.len(),
                },
                terms: Terms {
                    weight: view.data().iter().map(|b| i8::from_le_bytes([*b])).collect(),
                    scale,
                    bias,
                },
                blend,
            });
        }
        Ok(Self { card, vocabulary, parts, idf, probe, heads })
    }

    /// Identity, version, operating point and thresholds.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Calls documents emergent from another probability; a person then looks from the lower of this and what was.
    pub(crate) fn call_emergent_from(&mut self, p: f32) {
        self.card.emergent_from = p;
        self.card.ask_from = self.card.ask_from.min(p);
    }

    /// Checks that an encoder embeds [`PROBE`] as the one the heads were trained on.
    ///
    /// # Errors
    /// `MODEL-506`.
    pub fn check_encoder(&self, probe: &[f32]) -> Result<(), Error> {
        let similarity = cosine(&self.probe, probe);
        if similarity > 0.99 { Ok(()) } else { Err(Error::HeadsMismatch { similarity }) }
    }

    /// Sparse input of the features' regressions: index and value, known features only.
    #[must_use]
    pub fn vectorize(&self, features: &BTreeMap<String, f32>) -> Vec<(usize, f32)> {
        weigh(features, |name| {
            let index = *self.vocabulary.get(name)?;
            Some((index, self.idf.get(index).copied().unwrap_or(0.0)))
        })
    }

    /// Calibrated probabilities of a task's labels.
    #[must_use]
    pub fn probabilities(&self, task: Task, embedding: &[f32], terms: &[(usize, f32)]) -> Vec<f32> {
        let Some(head) = self.head(task) else { return Vec::new() };
        let encoder = head.encoder.logits(embedding);
        let terms = head.terms.logits(terms, &self.parts);
        let logits: Vec<f32> = encoder.iter().zip(&terms).map(|(e, t)| head.blend.encoder * e + t).collect();
        softmax(&logits)
    }

    /// Share of a text's words, in any context, that the heads have learned: low for other languages and for no language.
    #[must_use]
    pub fn familiarity(&self, features: &BTreeMap<String, f32>) -> f32 {
        let words = || {
            features.keys().filter(|name| {
                Part::of(name) == Part::Words && !name.contains([' ', '#']) && !name.starts_with("HEAD_")
            })
        };
        let known = words().filter(|name| self.vocabulary.contains_key(name.as_str())).count();
        known as f32 / words().count().max(1) as f32
    }

    /// The probability a label needs.
    #[must_use]
    pub fn threshold(&self, task: Task, label: usize) -> f32 {
        self.head(task).and_then(|head| head.blend.thresholds.get(label).copied()).unwrap_or(0.0)
    }

    fn head(&self, task: Task) -> Option<&Head> {
        self.heads.get(Task::ALL.iter().position(|t| *t == task)?)
    }
}

/// Weighs features by `lookup` (index and inverse document frequency) and brings words, and characters, each to unit length.
pub fn weigh(
    features: &BTreeMap<String, f32>,
    lookup: impl Fn(&str) -> Option<(usize, f32)>,
) -> Vec<(usize, f32)> {
    let mut parts: [Vec<(usize, f32)>; 3] = Default::default();
    for (name, value) in features {
        let Some((index, idf)) = lookup(name) else { continue };
        match Part::of(name) {
            Part::Words => parts[0].push((index, value * idf)),
            Part::Characters => parts[1].push((index, value * idf)),
            Part::Signs => parts[2].push((index, *value)),
        }
    }
    for part in &mut parts[..2] {
        let norm = part.iter().map(|(_, v)| v * v).sum::<f32>().sqrt().max(1e-12);
        part.iter_mut().for_each(|(_, value)| *value /= norm);
    }
    parts.concat()
}

impl Linear {
    fn logits(&self, input: &[f32]) -> Vec<f32> {
        self.weight
            .chunks_exact(self.inputs.max(1))
            .zip(&self.bias)
            .map(|(row, bias)| row.iter().zip(input).map(|(w, x)| w * x).sum::<f32>() + bias)
            .collect()
    }
}

impl Terms {
    fn logits(&self, input: &[(usize, f32)], parts: &[Part]) -> Vec<f32> {
        let classes = self.bias.len();
        let mut logits = self.bias.clone();
        for (index, value) in input {
            let Some(row) = self.weight.get(index * classes..(index + 1) * classes) else { continue };
            let part = parts.get(*index).map_or(0, |part| *part as usize);
            let Some(scales) = self.scale.get(part * classes..(part + 1) * classes) else { continue };
            for ((logit, weight), scale) in logits.iter_mut().zip(row).zip(scales) {
                *logit += value * f32::from(*weight) * scale;
            }
        }
        logits
    }
}

/// Probabilities of logits.
#[must_use]
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f32> = logits.iter().map(|logit| (logit - top).exp()).collect();
    let sum: f32 = exps.iter().sum();
    exps.iter().map(|e| e / sum.max(1e-30)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_refused() {
        assert_eq!(Heads::parse(b"").err().map(|e| e.code()), Some("MODEL-507"));
        assert_eq!(Heads::parse(&[255; 64]).err().map(|e| e.code()), Some("MODEL-507"));
    }

    #[test]
    fn softmax_sums_to_one() {
        let sum: f32 = softmax(&[1000.0, 999.0, -1000.0]).iter().sum();
        assert!((sum - 1.0).abs() < 1e-5);
    }
}
