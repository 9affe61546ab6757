use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where models are: the section of the services that run one.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// Folder of the encoder: `config.json`, `tokenizer.json`, `model.safetensors`.
    pub folder: PathBuf,
    /// What the encoder multiplies: `int8`, or `f32` at half the speed. `docs/performance-encoder.md` has the difference.
    pub precision: Precision,
}

/// What the encoder multiplies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Eight-bit integers.
    #[default]
    Int8,
    /// Single precision, as the weights are published.
    F32,
}

#[cfg(feature = "inference")]
impl From<Precision> for inference::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Int8 => Self::Int8,
            Precision::F32 => Self::F32,
        }
    }
}

impl Default for Models {
    fn default() -> Self {
        Self { folder: PathBuf::from(".cache/models/all-MiniLM-L6-v2"), precision: Precision::default() }
    }
}

impl Models {
    /// Checks that the files are there, so that a wrong folder ends the process before it opens a socket.
    ///
    /// # Errors
    /// The file that is missing.
    pub fn check(&self) -> Result<(), Vec<settings::Error>> {
        let missing: Vec<settings::Error> = ["config.json", "tokenizer.json", "model.safetensors"]
            .into_iter()
            .filter(|name| !self.folder.join(name).is_file())
            .map(|name| {
                let reason = format!("{} has no {name}", self.folder.display());
                settings::Error::invalid("models.folder", reason)
            })
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }

    /// Loads them.
    ///
    /// # Errors
    /// What [`inference::Models::load_with`] says.
    #[cfg(feature = "inference")]
    pub fn load(&self) -> Result<inference::Models, inference::Error> {
        let options = inference::EncoderOptions {
            precision: self.precision.into(),
            ..inference::EncoderOptions::default()
        };
        inference::Models::load_with(&self.folder, options)
    }
}
