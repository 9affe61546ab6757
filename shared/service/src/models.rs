use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where models are: the section of the services that run one.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// Folder of the encoder: `config.json`, `tokenizer.json`, `model.safetensors`.
    pub folder: PathBuf,
}

impl Default for Models {
    fn default() -> Self {
        Self { folder: PathBuf::from(".cache/models/all-MiniLM-L6-v2") }
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
}
