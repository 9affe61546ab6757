//! BERT: a sentence encoder (text in, unit vectors out) and a token classifier (text in, labelled spans out).
//!
//! candle reads the weights; the forward pass is the project's own, on slices of them. candle's has an activation and a
//! softmax that go number by number, allocates at each step, and pads texts of different lengths to the longest. Here
//! every step is written for the vectors of the processor at hand, weights are laid out once as the products read them,
//! and texts share the products without padding.
//! `docs/performance-encoder.md` has the figures. Results are those of candle's `BertModel` to single precision, which
//! the tests hold.

mod attention;
mod bert;
mod dot;
mod folder;
mod int8;
mod matmul;
mod pointwise;
mod simd;
mod token_classifier;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bert::{Bert, Scratch};
use candle_transformers::models::bert::Config;
use folder::Folder;
use sha2::{Digest, Sha256};
pub use token_classifier::{LabelledSpan, TokenClassifier, TokenLogits};
use tokenizers::{Tokenizer, TruncationParams};

use crate::Error;

/// Most tokens of one input that the encoder reads (`max_seq_length` of the published encoder).
pub const MAX_TOKENS: usize = 256;
/// Tokens from which a forward pass takes no more texts; it bounds memory, not the number of texts.
const BATCH_TOKENS: usize = 256;
/// Largest sizes a `config.json` may ask for, so that a damaged file cannot exhaust memory.
const MAX_HIDDEN: usize = 4096;
const MAX_LAYERS: usize = 48;
const MAX_VOCABULARY: usize = 1_000_000;

/// The numbers that an encoder multiplies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// Eight-bit integers: a scale for each output's weights, and for each token's activations as they come. Faster where
    /// the processor has instructions for it, and not quite the same result: `docs/performance-encoder.md` says what it
    /// costs.
    #[default]
    Int8,
    /// Single precision, as published.
    F32,
}

/// How an encoder runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderOptions {
    /// Threads that share the work of one call, at least 1. With 1, the default, a call keeps to its caller's thread:
    /// right where several workers call at once, since threads that share a text wait for one another.
    pub threads: usize,
    /// What its matrix products are computed in; the rest is single precision always.
    pub precision: Precision,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        Self { threads: 1, precision: Precision::default() }
    }
}

/// A BERT encoder with mean pooling over tokens and L2 normalisation.
///
/// `Send + Sync`; one instance serves every thread.
pub struct Encoder {
    model: Bert,
    tokenizer: Tokenizer,
    dimension: usize,
    /// Memory of earlier calls, one piece for each that ran at the same time.
    workspaces: Mutex<Vec<Workspace>>,
}

/// What one call writes to.
#[derive(Default)]
struct Workspace {
    /// Tokens of a batch of texts, one text after another.
    tokens: Vec<u32>,
    /// Number of tokens of each.
    lengths: Vec<usize>,
    scratch: Scratch,
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
    /// Loads `config.json`, `tokenizer.json` and `model.safetensors` from a folder, with the default options.
    ///
    /// # Errors
    /// `MODEL-501` to `MODEL-504`, see [`Error`].
    pub fn load(folder: &Path) -> Result<Self, Error> {
        Self::load_with(folder, EncoderOptions::default())
    }

    /// Loads `config.json`, `tokenizer.json` and `model.safetensors` from a folder.
    ///
    /// # Errors
    /// `MODEL-501` to `MODEL-504`, see [`Error`].
    pub fn load_with(folder: &Path, options: EncoderOptions) -> Result<Self, Error> {
        let mut folder = Folder::open(folder)?;
        let max_length = MAX_TOKENS.min(folder.config.max_position_embeddings);
        folder
            .tokenizer
            .with_truncation(Some(TruncationParams { max_length, ..TruncationParams::default() }))
            .map_err(|error| Error::Tokenizer { reason: error.to_string() })?;
        let model = folder.bert(options)?;
        let Folder { config, tokenizer, .. } = folder;
        Ok(Self { model, tokenizer, dimension: config.hidden_size, workspaces: Mutex::default() })
    }

    /// Length of every embedding.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Unit-length embeddings, one a text, in the order of the texts.
    ///
    /// Texts are batched; a text's embedding does not depend on the others.
    ///
    /// # Errors
    /// `MODEL-503` when a text cannot be tokenized, `MODEL-505` when the encoder fails.
    pub fn embed<S: AsRef<str>>(&self, texts: &[S]) -> Result<Vec<Vec<f32>>, Error> {
        let workspaces = || self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        let mut workspace = workspaces().pop().unwrap_or_default();
        let embeddings = self.embed_in(texts, &mut workspace);
        workspaces().push(workspace);
        embeddings
    }

    fn embed_in<S: AsRef<str>>(
        &self,
        texts: &[S],
        workspace: &mut Workspace,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let mut embeddings = Vec::with_capacity(texts.len());
        let Workspace { tokens, lengths, scratch } = workspace;
        let mut texts = texts.iter().peekable();
        while texts.peek().is_some() {
            tokens.clear();
            lengths.clear();
            for text in texts.by_ref() {
                let encoding = self
                    .tokenizer
                    .encode_fast(text.as_ref(), true)
                    .map_err(|error| Error::Tokenizer { reason: error.to_string() })?;
                tokens.extend_from_slice(encoding.get_ids());
                lengths.push(encoding.len());
                if tokens.len() >= BATCH_TOKENS {
                    break;
                }
            }
            let mut hidden = self.model.forward(tokens, lengths, scratch).map_err(Error::Inference)?;
            for length in &*lengths {
                let (rows, rest) = hidden.split_at(length * self.dimension);
                embeddings.push(self.pool(rows));
                hidden = rest;
            }
        }
        Ok(embeddings)
    }

    /// Mean of a text's rows, made unit length.
    fn pool(&self, rows: &[f32]) -> Vec<f32> {
        let mut sum = vec![0.0f32; self.dimension];
        for row in rows.chunks_exact(self.dimension) {
            sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        // The mean is a multiple of the sum, so both have the same direction.
        let norm = sum.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-12);
        sum.iter_mut().for_each(|value| *value /= norm);
        sum
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
