//! The forward pass of BERT (Devlin et al., arXiv 1810.04805) over texts of different lengths without padding.

use candle_core::{Error, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{Config, HiddenAct};

use super::attention::{Attend, HeadScratch};
use super::dot::Dots;
use super::int8::{Int8Linear, Int8Rows};
use super::matmul::Linear;
use super::pointwise::{Activate, Activation, AddNorm, Norm};
use super::simd::Cpu;
use super::{EncoderOptions, Precision};

/// Rows that go through a feed-forward layer together: their intermediate values stay in the second cache, and the
/// weights are fetched once for all of them.
const BLOCK: usize = 128;

/// Instructions for each kind of number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Processor {
    pub(super) cpu: Cpu,
    pub(super) dots: Dots,
}

impl Processor {
    pub(super) fn best() -> Self {
        Self { cpu: Cpu::best(), dots: Dots::best() }
    }
}

/// A matrix of weights.
enum Dense {
    F32(Linear),
    Int8(Int8Linear),
}

impl Dense {
    fn outputs(&self) -> usize {
        match self {
            Self::F32(linear) => linear.outputs(),
            Self::Int8(linear) => linear.outputs(),
        }
    }

    fn apply(&self, cpu: Cpu, x: &[f32], out: &mut [f32], scratch: &mut Int8Rows) {
        match self {
            Self::F32(linear) => linear.apply(cpu, x, out),
            Self::Int8(linear) => linear.apply(x, out, scratch),
        }
    }
}

struct Layer {
    qkv: Dense,
    attended: Dense,
    attended_norm: Norm,
    up: Dense,
    down: Dense,
    norm: Norm,
}

/// Weights, laid out for the processor at hand.
pub(super) struct Bert {
    cpu: Cpu,
    heads: usize,
    hidden: usize,
    activation: Activation,
    /// `[vocabulary][hidden]`.
    words: Vec<f32>,
    /// `[position][hidden]`, the embedding of token type 0 included.
    places: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    pool: Option<rayon::ThreadPool>,
}

/// What a forward pass writes to; grows to the largest it has seen and is used again.
#[derive(Default)]
pub(super) struct Scratch {
    hidden: Vec<f32>,
    qkv: Vec<f32>,
    parts: Vec<PartScratch>,
}

/// One thread's share of it.
#[derive(Default)]
struct PartScratch {
    head: HeadScratch,
    attended: Vec<f32>,
    wide: Vec<f32>,
    narrow: Vec<f32>,
    int8: Int8Rows,
}

fn numbers(tensor: Tensor) -> Result<Vec<f32>, Error> {
    tensor.flatten_all()?.to_vec1()
}

fn norm(variables: &VarBuilder<'_>, config: &Config) -> Result<Norm, Error> {
    // Weights converted from TensorFlow have the older names.
    let get = |name: &str, older: &str| {
        let name = if variables.contains_tensor(name) { name } else { older };
        variables.get(config.hidden_size, name).and_then(numbers)
    };
    Ok(Norm {
        weight: get("weight", "gamma")?,
        bias: get("bias", "beta")?,
        epsilon: config.layer_norm_eps as f32,
    })
}

fn dense(variables: &VarBuilder<'_>, inputs: usize, outputs: usize) -> Result<(Vec<f32>, Vec<f32>), Error> {
    let weight = variables.get((outputs, inputs), "weight").and_then(numbers)?;
    Ok((weight, variables.get(outputs, "bias").and_then(numbers)?))
}

impl Layer {
    fn load(
        Processor { cpu, dots }: Processor,
        precision: Precision,
        variables: &VarBuilder<'_>,
        config: &Config,
    ) -> Result<Self, Error> {
        let hidden = config.hidden_size;
        let attention = variables.pp("attention");
        let (mut weight, mut bias) = dense(&attention.pp("self.query"), hidden, hidden)?;
        // Scores are divided by the root of a head's size; dividing the queries' weights once does the same.
        let scale = 1.0 / ((hidden / config.num_attention_heads) as f32).sqrt();
        weight.iter_mut().chain(&mut bias).for_each(|weight| *weight *= scale);
        for name in ["self.key", "self.value"] {
            let (more, more_bias) = dense(&attention.pp(name), hidden, hidden)?;
            weight.extend(more);
            bias.extend(more_bias);
        }
        let pack = |(weight, bias): (Vec<f32>, Vec<f32>)| match precision {
            Precision::F32 => Dense::F32(Linear::pack(cpu, &weight, &bias)),
            Precision::Int8 => Dense::Int8(Int8Linear::pack(dots, &weight, &bias)),
        };
        let wide = config.intermediate_size;
        Ok(Self {
            qkv: pack((weight, bias)),
            attended: pack(dense(&attention.pp("output.dense"), hidden, hidden)?),
            attended_norm: norm(&attention.pp("output.LayerNorm"), config)?,
            up: pack(dense(&variables.pp("intermediate.dense"), hidden, wide)?),
            down: pack(dense(&variables.pp("output.dense"), wide, hidden)?),
            norm: norm(&variables.pp("output.LayerNorm"), config)?,
        })
    }
}

impl Bert {
    /// Loads weights by the names that BERT models are published with, with or without the prefix `bert.`.
    pub(super) fn load(
        processor: Processor,
        EncoderOptions { threads, precision }: EncoderOptions,
        variables: &VarBuilder<'_>,
        config: &Config,
    ) -> Result<Self, Error> {
        let prefixed = variables.contains_tensor("bert.embeddings.word_embeddings.weight");
        let variables = if prefixed { variables.pp("bert") } else { variables.clone() };
        let hidden = config.hidden_size;
        let embeddings = variables.pp("embeddings");
        let table = |rows: usize, name: &str| {
            embeddings.get((rows, hidden), &format!("{name}.weight")).and_then(numbers)
        };
        let mut places = table(config.max_position_embeddings, "position_embeddings")?;
        let types = table(config.type_vocab_size, "token_type_embeddings")?;
        for place in places.chunks_exact_mut(hidden) {
            place.iter_mut().zip(&types).for_each(|(place, kind)| *place += kind);
        }
        let layers = (0..config.num_hidden_layers)
            .map(|index| {
                Layer::load(processor, precision, &variables.pp(format!("encoder.layer.{index}")), config)
            })
            .collect::<Result<_, _>>()?;
        let pool = match threads {
            0 | 1 => None,
            _ => Some(rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(Error::wrap)?),
        };
        Ok(Self {
            cpu: processor.cpu,
            heads: config.num_attention_heads,
            hidden,
            activation: match config.hidden_act {
                HiddenAct::Gelu => Activation::Gelu,
                HiddenAct::GeluApproximate => Activation::GeluTanh,
                HiddenAct::Relu => Activation::Relu,
            },
            words: table(config.vocab_size, "word_embeddings")?,
            places,
            norm: norm(&embeddings.pp("LayerNorm"), config)?,
            layers,
            pool,
        })
    }

    /// Hidden states `[tokens][hidden]` of several texts: their tokens one after another, and the number of tokens of
    /// each.
    ///
    /// Rows of all texts share the matrix products; attention keeps to each text. So no text is padded, and its result
    /// does not depend on the others.
    pub(super) fn forward<'s>(
        &self,
        tokens: &[u32],
        lengths: &[usize],
        scratch: &'s mut Scratch,
    ) -> Result<&'s [f32], Error> {
        if tokens.is_empty() {
            return Ok(&[]);
        }
        let hidden = self.hidden;
        let threads = self.pool.as_ref().map_or(1, rayon::ThreadPool::current_num_threads);
        // Whole tiles for each thread.
        let part = tokens.len().div_ceil(threads).next_multiple_of(8);
        scratch.hidden.resize(tokens.len() * hidden, 0.0);
        scratch.qkv.resize(tokens.len() * 3 * hidden, 0.0);
        scratch.parts.resize_with(threads, PartScratch::default);
        let Scratch { hidden: rows, qkv, parts } = scratch;
        self.embed(tokens, lengths, rows)?;
        for layer in &self.layers {
            let jobs = rows.chunks(part * hidden).zip(qkv.chunks_mut(part * 3 * hidden)).zip(&mut *parts);
            self.each(jobs, |((rows, qkv), scratch)| {
                layer.qkv.apply(self.cpu, rows, qkv, &mut scratch.int8);
            });
            let jobs = rows.chunks_mut(part * hidden).zip(&mut *parts).enumerate();
            self.each(jobs, |(index, (rows, scratch))| {
                self.rest(layer, qkv, lengths, index * part, rows, scratch);
            });
        }
        Ok(rows)
    }

    fn each<J: Send>(&self, jobs: impl Iterator<Item = J> + Send, job: impl Fn(J) + Send + Sync) {
        match &self.pool {
            None => jobs.for_each(job),
            Some(pool) => pool.in_place_scope(|scope| {
                let job = &job;
                jobs.for_each(|each| scope.spawn(move |_| job(each)));
            }),
        }
    }

    fn embed(&self, tokens: &[u32], lengths: &[usize], rows: &mut [f32]) -> Result<(), Error> {
        let hidden = self.hidden;
        for (row, token) in rows.chunks_exact_mut(hidden).zip(tokens) {
            let at = usize::try_from(*token).unwrap_or(usize::MAX).saturating_mul(hidden);
            let word = self.words.get(at..).and_then(|rest| rest.get(..hidden));
            row.copy_from_slice(word.ok_or_else(|| Error::msg("a token is not in the vocabulary"))?);
        }
        let mut rest = rows;
        for length in lengths {
            let (rows, after) = rest.split_at_mut(length * hidden);
            let added =
                self.places.get(..rows.len()).ok_or_else(|| Error::msg("a text has too many tokens"))?;
            self.cpu.run(AddNorm { norm: &self.norm, rows, added });
            rest = after;
        }
        Ok(())
    }

    /// A layer after its queries, keys and values, for the rows from `first` on.
    fn rest(
        &self,
        layer: &Layer,
        qkv: &[f32],
        lengths: &[usize],
        first: usize,
        rows: &mut [f32],
        scratch: &mut PartScratch,
    ) {
        let (cpu, hidden) = (self.cpu, self.hidden);
        let PartScratch { head, attended, wide, narrow, int8 } = scratch;
        attended.resize(rows.len(), 0.0);
        let last = first + rows.len() / hidden;
        let mut start = 0;
        for length in lengths {
            let (from, to) = (start.max(first), (start + length).min(last));
            if from < to {
                cpu.run(Attend {
                    qkv: &qkv[start * 3 * hidden..][..length * 3 * hidden],
                    heads: self.heads,
                    size: hidden / self.heads,
                    first: from - start,
                    out: &mut attended[(from - first) * hidden..(to - first) * hidden],
                    scratch: head,
                });
            }
            start += length;
        }
        for (rows, attended) in rows.chunks_mut(BLOCK * hidden).zip(attended.chunks(BLOCK * hidden)) {
            narrow.resize(rows.len(), 0.0);
            wide.resize(rows.len() / hidden * layer.up.outputs(), 0.0);
            layer.attended.apply(cpu, attended, narrow, int8);
            cpu.run(AddNorm { norm: &layer.attended_norm, rows, added: narrow });
            layer.up.apply(cpu, rows, wide, int8);
            cpu.run(Activate { activation: self.activation, values: wide });
            layer.down.apply(cpu, wide, narrow, int8);
            cpu.run(AddNorm { norm: &layer.norm, rows, added: narrow });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::{DType, Device, Tensor};
    use candle_transformers::models::bert::{BertModel, PositionEmbeddingType};
    use proptest::prelude::*;

    use super::*;
    use crate::encoder::simd::Cpu;

    fn config(heads: usize, size: usize, wide: usize, hidden_act: HiddenAct) -> Config {
        Config {
            vocab_size: 50,
            hidden_size: heads * size,
            num_hidden_layers: 2,
            num_attention_heads: heads,
            intermediate_size: wide,
            hidden_act,
            hidden_dropout_prob: 0.0,
            max_position_embeddings: 70,
            type_vocab_size: 2,
            initializer_range: 0.02,
            layer_norm_eps: 1e-12,
            pad_token_id: 0,
            position_embedding_type: PositionEmbeddingType::Absolute,
            use_cache: false,
            classifier_dropout: None,
            model_type: Some("bert".to_owned()),
        }
    }

    /// Weights that are different everywhere and large enough for every activation to bend.
    fn variables(config: &Config, prefix: &str, seed: u64) -> VarBuilder<'static> {
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        let mut shapes = vec![
            ("embeddings.word_embeddings.weight".to_owned(), vec![config.vocab_size, hidden]),
            (
                "embeddings.position_embeddings.weight".to_owned(),
                vec![config.max_position_embeddings, hidden],
            ),
            ("embeddings.token_type_embeddings.weight".to_owned(), vec![config.type_vocab_size, hidden]),
            ("embeddings.LayerNorm.weight".to_owned(), vec![hidden]),
            ("embeddings.LayerNorm.bias".to_owned(), vec![hidden]),
        ];
        for layer in 0..config.num_hidden_layers {
            for (name, outputs, inputs) in [
                ("attention.self.query", hidden, hidden),
                ("attention.self.key", hidden, hidden),
                ("attention.self.value", hidden, hidden),
                ("attention.output.dense", hidden, hidden),
                ("intermediate.dense", wide, hidden),
                ("output.dense", hidden, wide),
            ] {
                shapes.push((format!("encoder.layer.{layer}.{name}.weight"), vec![outputs, inputs]));
                shapes.push((format!("encoder.layer.{layer}.{name}.bias"), vec![outputs]));
            }
            for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
                shapes.push((format!("encoder.layer.{layer}.{name}.weight"), vec![hidden]));
                shapes.push((format!("encoder.layer.{layer}.{name}.bias"), vec![hidden]));
            }
        }
        let mut state = seed;
        let mut next = || {
            // Knuth's linear congruential generator.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        };
        let tensors: Result<HashMap<String, Tensor>, _> = shapes
            .into_iter()
            .map(|(name, shape)| {
                let count: usize = shape.iter().product();
                let numbers: Vec<f32> = (0..count).map(|_| next()).collect();
                Tensor::from_vec(numbers, shape, &Device::Cpu)
                    .map(|tensor| (format!("{prefix}{name}"), tensor))
            })
            .collect();
        VarBuilder::from_tensors(tensors.unwrap_or_default(), DType::F32, &Device::Cpu)
    }

    /// The largest difference from candle's model, which takes one text at a time here.
    fn difference(bert: &Bert, reference: &BertModel, lengths: &[usize]) -> Result<f32, Error> {
        let tokens: Vec<u32> = (0..lengths.iter().sum::<usize>()).map(|at| (at * 7 % 50) as u32).collect();
        let mut scratch = Scratch::default();
        // The second pass meets what the first left behind.
        bert.forward(&tokens[..lengths[0]], &lengths[..1], &mut scratch)?;
        let mut found = bert.forward(&tokens, lengths, &mut scratch)?;
        let mut rest = &tokens[..];
        let mut worst = 0.0f32;
        for length in lengths {
            let (text, after) = rest.split_at(*length);
            let ids = Tensor::new(text, &Device::Cpu)?.unsqueeze(0)?;
            let expected =
                reference.forward(&ids, &ids.zeros_like()?, None)?.flatten_all()?.to_vec1::<f32>()?;
            let (rows, more) = found.split_at(expected.len());
            for (found, expected) in rows.iter().zip(&expected) {
                // A result that is not a number would vanish in `max`.
                assert!(found.is_finite());
                worst = worst.max((found - expected).abs());
            }
            (rest, found) = (after, more);
        }
        Ok(worst)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn results_are_those_of_candle(
            heads in 1usize..4,
            size in 1usize..70,
            wide in 1usize..130,
            act in prop::sample::select(vec![HiddenAct::Gelu, HiddenAct::GeluApproximate, HiddenAct::Relu]),
            lengths in prop::collection::vec(1usize..70, 1..5),
            threads in 1usize..4,
            seed in any::<u64>(),
        ) {
            // Normalising fewer numbers magnifies rounding.
            prop_assume!(heads * size > 7);
            let config = config(heads, size, wide, act);
            let prefix = if seed % 2 == 0 { "bert." } else { "" };
            let variables = variables(&config, prefix, seed);
            let reference = BertModel::load(variables.clone(), &config).map_err(|e| TestCaseError::fail(e.to_string()))?;
            for cpu in Cpu::all() {
                let processor = Processor { cpu, dots: Dots::best() };
                let options = EncoderOptions { threads, precision: Precision::F32 };
                let worst = Bert::load(processor, options, &variables, &config)
                    .and_then(|bert| difference(&bert, &reference, &lengths))
                    .map_err(|e| TestCaseError::fail(e.to_string()))?;
                prop_assert!(worst < 2e-4, "{cpu:?} is off by {worst}");
            }
        }
    }

    #[test]
    fn what_cannot_be_embedded_is_an_error() {
        let config = config(2, 8, 16, HiddenAct::Gelu);
        let processor = Processor::best();
        let Ok(bert) = Bert::load(
            processor,
            EncoderOptions { threads: 1, precision: Precision::F32 },
            &variables(&config, "", 1),
            &config,
        ) else {
            panic!("the weights load")
        };
        let mut scratch = Scratch::default();
        assert!(bert.forward(&[1, 50], &[2], &mut scratch).is_err());
        assert!(bert.forward(&[u32::MAX], &[1], &mut scratch).is_err());
        assert!(bert.forward(&[1; 71], &[71], &mut scratch).is_err());
        assert!(bert.forward(&[1; 70], &[70], &mut scratch).is_ok());
        assert_eq!(bert.forward(&[], &[], &mut scratch).map(<[f32]>::len).ok(), Some(0));
    }
}
