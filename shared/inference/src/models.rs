//! The models of the triage stages, loaded once and shared by every thread.

use std::path::Path;

use crate::Error;
use crate::classify::{self, Classification};
use crate::critical::CriticalTable;
use crate::document::Document;
use crate::encoder::{Encoder, EncoderOptions};
use crate::explain::{self, Explanation};
use crate::heads::{Heads, PROBE};
use crate::summarize::{self, Budget, Summary};

/// The committed heads, trained by `examples/train` on the vignettes under `training/`.
const HEADS: &[u8] = include_bytes!("../heads/heads.safetensors");

/// Encoder, heads and table of critical values. `Send + Sync`.
#[derive(Debug)]
pub struct Models {
    encoder: Encoder,
    heads: Heads,
    critical: CriticalTable,
}

impl Models {
    /// Loads the encoder from a folder (`config.json`, `tokenizer.json`, `model.safetensors`), with the default options,
    /// and the committed heads and table.
    ///
    /// # Errors
    /// `MODEL-501` to `MODEL-507`; `MODEL-506` when the heads were trained on another encoder.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        Self::load_with(folder, EncoderOptions::default())
    }

    /// Loads the same with an encoder that runs as `options` say.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn load_with(folder: &Path, options: EncoderOptions) -> Result<Self, Error> {
        Self::with(Encoder::load_with(folder, options)?, Heads::parse(HEADS)?, CriticalTable::committed()?)
    }

    /// Puts together parts of one's own: heads trained on another encoder, a hospital's table of critical values.
    ///
    /// # Errors
    /// `MODEL-506` when the heads were trained on another encoder, `MODEL-505` when the encoder fails.
    pub fn with(encoder: Encoder, heads: Heads, critical: CriticalTable) -> Result<Self, Error> {
        let probe = encoder.embed(&[PROBE])?;
        heads.check_encoder(probe.first().map_or(&[], Vec::as_slice))?;
        Ok(Self { encoder, heads, critical })
    }

    /// Calls a document emergent from this probability on, instead of the one learned: `docs/models.md` has what each costs.
    #[must_use]
    pub fn emergent_from(mut self, p: f32) -> Self {
        self.heads.call_emergent_from(p);
        self
    }

    /// Judges results by a hospital's own table of critical values instead of the committed one.
    #[must_use]
    pub fn with_critical_table(mut self, table: CriticalTable) -> Self {
        self.critical = table;
        self
    }

    /// The encoder.
    #[must_use]
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The heads.
    #[must_use]
    pub fn heads(&self) -> &Heads {
        &self.heads
    }

    /// The table of critical values.
    #[must_use]
    pub fn critical_table(&self) -> &CriticalTable {
        &self.critical
    }

    /// Judges urgency, specialty and type of a document.
    ///
    /// # Errors
    /// `MODEL-503` or `MODEL-505` when the encoder fails on its text.
    pub fn classify(&self, document: &Document) -> Result<Classification, Error> {
        classify::classify(self, document)
    }

    /// Judges as [`classify`](Self::classify) does, and says why. Costs a run of the encoder a sentence.
    ///
    /// # Errors
    /// Those of [`classify`](Self::classify).
    pub fn explain(&self, document: &Document) -> Result<Explanation, Error> {
        explain::explain(self, document)
    }

    /// Summarises a document by its most telling lines, each with its place in [`Document::narrative`].
    ///
    /// # Errors
    /// `MODEL-503` or `MODEL-505` when the encoder fails on its text.
    pub fn summarize(&self, document: &Document, budget: Budget) -> Result<Summary, Error> {
        summarize::summarize(self.encoder(), document, budget)
    }
}
