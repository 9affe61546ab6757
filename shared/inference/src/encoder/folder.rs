//! A model's folder as model hubs lay it out.

use std::path::Path;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::Config;
use serde::Deserialize;
use tokenizers::Tokenizer;

use super::bert::{Bert, Processor};
use super::{EncoderOptions, parse_config, read};
use crate::{Error, onnx};

/// Weights rounded to four bits, where a folder has no `model.safetensors`.
const ROUNDED: &str = "onnx/model_q4.onnx";

/// Files of a model, read.
pub(super) struct Folder {
    pub(super) config: Config,
    pub(super) labels: Labels,
    /// Without padding or truncation, whatever the file says.
    pub(super) tokenizer: Tokenizer,
    pub(super) variables: VarBuilder<'static>,
}

/// The part of `config.json` that names a classifier's outputs.
#[derive(Debug, Deserialize)]
pub(super) struct Labels {
    /// The number of an output, as a text, to its label.
    #[serde(default)]
    pub(super) id2label: std::collections::BTreeMap<String, String>,
}

impl Folder {
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let bytes = read(&folder.join("config.json"))?;
        let config = parse_config(&bytes)?;
        let labels = serde_json::from_slice(&bytes)
            .map_err(|error| Error::Config { reason: format!("id2label: {error}") })?;
        let mut tokenizer = Tokenizer::from_bytes(read(&folder.join("tokenizer.json"))?)
            .map_err(|error| Error::Tokenizer { reason: error.to_string() })?;
        tokenizer
            .with_padding(None)
            .with_truncation(None)
            .map_err(|error| Error::Tokenizer { reason: error.to_string() })?;
        if tokenizer.get_vocab_size(true) > config.vocab_size {
            return Err(Error::Tokenizer {
                reason: "it has more tokens than the encoder's vocab_size".to_owned(),
            });
        }
        let published = folder.join("model.safetensors");
        let variables = if !published.exists() && folder.join(ROUNDED).exists() {
            let tensors = onnx::weights(&read(&folder.join(ROUNDED))?).map_err(Error::Weights)?;
            VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)
        } else {
            VarBuilder::from_buffered_safetensors(read(&published)?, DType::F32, &Device::Cpu)
                .map_err(Error::Weights)?
        };
        Ok(Self { config, labels, tokenizer, variables })
    }

    pub(super) fn bert(&self, options: EncoderOptions) -> Result<Bert, Error> {
        Bert::load(Processor::best(), options, &self.variables, &self.config).map_err(Error::Weights)
    }
}
