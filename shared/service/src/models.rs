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
    /// Probability, above 0 and at most 1, from which a document is called emergent; what was learned with the model where
    /// it is not set. `docs/models.md` has what each value costs.
    pub emergent_from: Option<f32>,
    /// A hospital's own table of critical values, in the format of `shared/inference/data/critical-values.toml`; the committed
    /// one where it is not set.
    pub critical_values: Option<PathBuf>,
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
        Self {
            folder: PathBuf::from(".cache/models/all-MiniLM-L6-v2"),
            precision: Precision::default(),
            emergent_from: None,
            critical_values: None,
        }
    }
}

impl Models {
    /// Checks files and values, so that a wrong one ends the process before it opens a socket.
    ///
    /// # Errors
    /// The file that is missing, and what is wrong with a value.
    pub fn check(&self) -> Result<(), Vec<settings::Error>> {
        let mut wrong: Vec<settings::Error> = ["config.json", "tokenizer.json", "model.safetensors"]
            .into_iter()
            .filter(|name| !self.folder.join(name).is_file())
            .map(|name| {
                let reason = format!("{} has no {name}", self.folder.display());
                settings::Error::invalid("models.folder", reason)
            })
            .collect();
        if self.emergent_from.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
            let reason = "a probability above 0 and at most 1 is needed".to_owned();
            wrong.push(settings::Error::invalid("models.emergent_from", reason));
        }
        #[cfg(feature = "inference")]
        if let Some(Err(error)) = self.critical_table() {
            wrong.push(settings::Error::invalid("models.critical_values", crate::chain(&error)));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// The hospital's own table, where there is one.
    #[cfg(feature = "inference")]
    fn critical_table(&self) -> Option<Result<inference::critical::CriticalTable, inference::Error>> {
        self.critical_values.as_deref().map(inference::critical::CriticalTable::load)
    }

    /// Loads them.
    ///
    /// # Errors
    /// What [`inference::Models::load_with`] and [`inference::critical::CriticalTable::load`] say.
    #[cfg(feature = "inference")]
    pub fn load(&self) -> Result<inference::Models, inference::Error> {
        let options = inference::EncoderOptions {
            precision: self.precision.into(),
            ..inference::EncoderOptions::default()
        };
        let mut models = inference::Models::load_with(&self.folder, options)?;
        if let Some(table) = self.critical_table() {
            models = models.with_critical_table(table?);
        }
        Ok(match self.emergent_from {
            Some(p) => models.emergent_from(p),
            None => models,
        })
    }
}
