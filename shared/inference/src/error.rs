//! What can go wrong with models, with stable codes and what to do about each.

use std::path::PathBuf;

/// An error from loading or running a model. No variant carries text of a document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `MODEL-501`: a model file cannot be read.
    #[error("cannot read model file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// `MODEL-502`: `config.json` is not that of a BERT encoder this crate can run.
    #[error("unsupported encoder configuration: {reason}")]
    Config {
        /// Which key, and what was expected.
        reason: String,
    },
    /// `MODEL-503`: `tokenizer.json` cannot be used.
    #[error("unusable tokenizer: {reason}")]
    Tokenizer {
        /// The tokenizer library's reason.
        reason: String,
    },
    /// `MODEL-504`: the weights do not fit the configuration.
    #[error("weights do not fit the configuration")]
    Weights(#[source] candle_core::Error),
    /// `MODEL-505`: the encoder failed on a batch.
    #[error("encoder failed")]
    Inference(#[source] candle_core::Error),
    /// `MODEL-506`: the heads were trained on another encoder.
    #[error("heads were trained on another encoder: probe similarity {similarity:.3}")]
    HeadsMismatch {
        /// Cosine between the probe embedding stored with the heads and this encoder's.
        similarity: f32,
    },
    /// `MODEL-507`: a committed or configured table is malformed.
    #[error("malformed {table}: {reason}")]
    Table {
        /// Which table.
        table: &'static str,
        /// Where in it, and why.
        reason: String,
    },
    /// `MODEL-508`: a file does not have the expected SHA-256.
    #[error("checksum mismatch for {}", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
    },
}

impl Error {
    /// The stable code, as documented in the error pages.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "MODEL-501",
            Self::Config { .. } => "MODEL-502",
            Self::Tokenizer { .. } => "MODEL-503",
            Self::Weights(_) => "MODEL-504",
            Self::Inference(_) => "MODEL-505",
            Self::HeadsMismatch { .. } => "MODEL-506",
            Self::Table { .. } => "MODEL-507",
            Self::Checksum { .. } => "MODEL-508",
        }
    }

    /// What an operator should do next, as one sentence.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Read { .. } => {
                "run deploy/local/models/fetch.sh, or set the models folder to one that holds config.json, tokenizer.json and model.safetensors"
            }
            Self::Config { .. } => "use an encoder whose config.json has model_type \"bert\"",
            Self::Tokenizer { .. } => "use the tokenizer.json that was published with the weights",
            Self::Weights(_) => "fetch config.json and model.safetensors again from one release",
            Self::Inference(_) => "check the memory limit of the process, then report the input's size",
            Self::HeadsMismatch { .. } => {
                "use the default encoder, or train heads on yours with `cargo run --example train`"
            }
            Self::Table { .. } => "correct the named entry of the table",
            Self::Checksum { .. } => "delete the file and run deploy/local/models/fetch.sh again",
        }
    }
}
