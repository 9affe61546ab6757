//! A BERT sentence encoder: text in, unit vectors out.

use std::cell::OnceCell;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use sha2::{Digest, Sha256};
use tokenizers::{PaddingDirection, PaddingParams, PaddingStrategy, Tokenizer, TruncationParams};

use crate::Error;

/// Most tokens of one input that the encoder reads (`max_seq_length` of the published encoder).
pub const MAX_TOKENS: usize = 256;
/// Most tokens, padding included, in one forward pass; it bounds memory, not the number of texts.
const BATCH_TOKENS: usize = 4096;
/// Largest sizes a `config.json` may ask for, so that a damaged file cannot exhaust memory.
const MAX_HIDDEN: usize = 4096;
const MAX_LAYERS: usize = 48;
const MAX_VOCABULARY: usize = 1_000_000;

/// A BERT encoder with mean pooling over tokens and L2 normalisation.
///
/// `Send + Sync`; one instance serves every thread.
pub struct Encoder {
    model: BertModel,
    tokenizer: Tokenizer,
    dimension: usize,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("dimension", &self.dimension).finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// Checks that a file has the given lowercase hexadecimal SHA-256.
///
/// # Errors
/// `MODEL-501` when it cannot be read, `MODEL-508` when the sum differs.
pub fn verify_sha256(path: &Path, expected: &str) -> Result<(), Error> {
    let found = Sha256::digest(read(path)?);
    let hex = found.iter().fold(String::with_capacity(64), |mut hex, byte| {
        hex.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        hex.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        hex
    });
    if hex == expected { Ok(()) } else { Err(Error::Checksum { path: path.to_owned() }) }
}

impl Encoder {
    /// Loads `config.json`, `tokenizer.json` and `model.safetensors` from a folder.
    ///
    /// # Errors
    /// `MODEL-501` to `MODEL-504`, see [`Error`].
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let config = parse_config(&read(&folder.join("config.json"))?)?;
        let mut tokenizer = Tokenizer::from_bytes(read(&folder.join("tokenizer.json"))?)
            .map_err(|error| Error::Tokenizer { reason: error.to_string() })?;
        let max_length = MAX_TOKENS.min(config.max_position_embeddings);
        // The published file pads everything to 128 tokens; short triage lines would pay for that.
        tokenizer
            .with_truncation(Some(TruncationParams { max_length, ..TruncationParams::default() }))
            .map_err(|error| Error::Tokenizer { reason: error.to_string() })?;
        tokenizer.with_padding(Some(PaddingParams {
            strategy: PaddingStrategy::BatchLongest,
            direction: PaddingDirection::Right,
            pad_id: u32::try_from(config.pad_token_id).unwrap_or(0),
            ..PaddingParams::default()
        }));
        if tokenizer.get_vocab_size(true) > config.vocab_size {
            return Err(Error::Tokenizer {
                reason: "it has more tokens than the encoder's vocab_size".to_owned(),
            });
        }
        let weights = read(&folder.join("model.safetensors"))?;
        let variables = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)
            .map_err(Error::Weights)?;
        let model = BertModel::load(variables, &config).map_err(Error::Weights)?;
        Ok(Self { model, tokenizer, dimension: config.hidden_size })
    }

    /// Length of every embedding.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Unit-length embeddings, one a text, in the order of the texts.
    ///
    /// Texts are batched with others of their length, so that padding costs little.
    ///
    /// # Errors
    /// `MODEL-503` when a text cannot be tokenized, `MODEL-505` when the encoder fails.
    pub fn embed<S: AsRef<str>>(&self, texts: &[S]) -> Result<Vec<Vec<f32>>, Error> {
        alone();
        let mut order: Vec<(usize, usize)> =
            texts.iter().enumerate().map(|(index, text)| (text.as_ref().len(), index)).collect();
        order.sort_unstable();
        let mut embeddings = vec![Vec::new(); texts.len()];
        let mut rest = order.as_slice();
        while let Some(&(shortest, _)) = rest.first() {
            let take = rest
                .iter()
                .enumerate()
                .take_while(|(count, (bytes, _))| {
                    // About three bytes a token is a safe upper estimate for clinical English.
                    let tokens = (bytes / 3 + 2).min(MAX_TOKENS);
                    *count == 0 || ((count + 1) * tokens <= BATCH_TOKENS && *bytes <= shortest * 2 + 64)
                })
                .count();
            let (batch, remaining) = rest.split_at(take.max(1));
            let inputs: Vec<&str> =
                batch.iter().filter_map(|&(_, index)| texts.get(index).map(AsRef::as_ref)).collect();
            for (&(_, index), embedding) in batch.iter().zip(self.embed_batch(inputs)?) {
                if let Some(slot) = embeddings.get_mut(index) {
                    *slot = embedding;
                }
            }
            rest = remaining;
        }
        Ok(embeddings)
    }

    fn embed_batch(&self, inputs: Vec<&str>) -> Result<Vec<Vec<f32>>, Error> {
        let encodings = self
            .tokenizer
            .encode_batch(inputs, true)
            .map_err(|error| Error::Tokenizer { reason: error.to_string() })?;
        let rows = encodings.len();
        let columns = encodings.first().map_or(0, tokenizers::Encoding::len);
        let mut ids: Vec<u32> = Vec::with_capacity(rows * columns);
        let mut mask: Vec<f32> = Vec::with_capacity(rows * columns);
        for encoding in &encodings {
            ids.extend_from_slice(encoding.get_ids());
            mask.extend(encoding.get_attention_mask().iter().map(|&on| on as f32));
        }
        self.pool(ids, mask, (rows, columns)).map_err(Error::Inference)
    }

    fn pool(
        &self,
        ids: Vec<u32>,
        mask: Vec<f32>,
        shape: (usize, usize),
    ) -> Result<Vec<Vec<f32>>, candle_core::Error> {
        let ids = Tensor::from_vec(ids, shape, &Device::Cpu)?;
        let mask = Tensor::from_vec(mask, shape, &Device::Cpu)?;
        let hidden = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        let mask = mask.unsqueeze(2)?;
        let sum = hidden.broadcast_mul(&mask)?.sum(1)?;
        let mean = sum.broadcast_div(&mask.sum(1)?)?;
        let norm = mean.sqr()?.sum_keepdim(1)?.sqrt()?.clamp(1e-12f32, f32::MAX)?;
        mean.broadcast_div(&norm)?.to_vec2()
    }

    /// Number of tokens of a text, special tokens included, before truncation to [`MAX_TOKENS`].
    ///
    /// # Errors
    /// `MODEL-503` when it cannot be tokenized.
    pub fn token_count(&self, text: &str) -> Result<usize, Error> {
        let encoding = self
            .tokenizer
            .encode(text, true)
            .map_err(|error| Error::Tokenizer { reason: error.to_string() })?;
        let overflow: usize =
            encoding.get_overflowing().iter().map(|rest| rest.len().saturating_sub(2)).sum();
        Ok(encoding.len() + overflow)
    }
}

fn parse_config(bytes: &[u8]) -> Result<Config, Error> {
    let unsupported = |reason: &str| Error::Config { reason: reason.to_owned() };
    let config: Config = serde_json::from_slice(bytes).map_err(|error| unsupported(&error.to_string()))?;
    match config.model_type.as_deref() {
        Some("bert") => {}
        Some(_) | None => return Err(unsupported("model_type must be \"bert\"")),
    }
    if config.hidden_size == 0 || config.hidden_size > MAX_HIDDEN {
        return Err(unsupported("hidden_size must be between 1 and 4096"));
    }
    if config.num_attention_heads == 0 || !config.hidden_size.is_multiple_of(config.num_attention_heads) {
        return Err(unsupported("hidden_size must be a multiple of num_attention_heads"));
    }
    if config.num_hidden_layers == 0 || config.num_hidden_layers > MAX_LAYERS {
        return Err(unsupported("num_hidden_layers must be between 1 and 48"));
    }
    if config.intermediate_size == 0 || config.intermediate_size > 4 * MAX_HIDDEN {
        return Err(unsupported("intermediate_size must be between 1 and 16384"));
    }
    if config.vocab_size == 0 || config.vocab_size > MAX_VOCABULARY {
        return Err(unsupported("vocab_size must be between 1 and 1000000"));
    }
    if config.max_position_embeddings < 8 {
        return Err(unsupported("max_position_embeddings must be at least 8"));
    }
    Ok(config)
}

thread_local! {
    static ALONE: OnceCell<Option<rayon::ThreadPool>> = const { OnceCell::new() };
}

/// Makes the calling thread a pool of its own, so that the work of one text is not split among threads.
///
/// Callers run in parallel themselves, one text a worker. Split below that, the threads wait for one another: on two
/// cores under load, 40 documents took 28 s of wall clock and 2.5 s of processor time on the shared pool, 9 s and
/// 1.3 s this way.
fn alone() {
    ALONE.with(|pool| {
        // A thread that belongs to a pool already keeps it.
        pool.get_or_init(|| rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().ok());
    });
}

/// Cosine of two unit vectors; zero when their lengths differ.
#[must_use]
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return 0.0;
    }
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"vocab_size":30522,"hidden_size":384,"num_hidden_layers":6,
        "num_attention_heads":12,"intermediate_size":1536,"hidden_act":"gelu",
        "hidden_dropout_prob":0.1,"max_position_embeddings":512,"type_vocab_size":2,
        "initializer_range":0.02,"layer_norm_eps":1e-12,"pad_token_id":0,
        "position_embedding_type":"absolute","use_cache":true,"model_type":"bert"}"#;

    #[test]
    fn accepts_the_published_configuration() {
        assert_eq!(parse_config(CONFIG.as_bytes()).map(|c| c.hidden_size).ok(), Some(384));
    }

    #[test]
    fn refuses_what_it_cannot_run() {
        for (from, to) in [
            ("\"bert\"", "\"roberta\""),
            ("\"num_attention_heads\":12", "\"num_attention_heads\":7"),
            ("\"hidden_size\":384", "\"hidden_size\":99999999"),
            ("\"num_hidden_layers\":6", "\"num_hidden_layers\":0"),
            ("\"vocab_size\":30522", "\"vocab_size\":0"),
        ] {
            let text = CONFIG.replace(from, to);
            assert_eq!(parse_config(text.as_bytes()).err().map(|e| e.code()), Some("MODEL-502"), "{to}");
        }
        assert_eq!(parse_config(b"{").err().map(|e| e.code()), Some("MODEL-502"));
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = Encoder::load(Path::new("/nonexistent/encoder")).err();
        assert_eq!(error.as_ref().map(Error::code), Some("MODEL-501"));
        assert!(error.is_some_and(|e| !e.help().is_empty()));
    }
}
