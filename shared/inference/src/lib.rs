//! Clinical text models on candle: encoder, heads, critical values and extractive summaries.
//!
//! [`Models`] judges a [`Document`] ([`Models::classify`]) and shortens it ([`Models::summarize`]). Nothing here opens a
//! socket or reads a clock; weights come from a folder, see `deploy/local/models/fetch.sh`.

mod classify;
mod codes;
pub mod critical;
mod document;
mod encoder;
mod error;
mod explain;
pub mod features;
pub mod heads;
pub mod label;
pub mod lexicon;
mod models;
mod observation;
mod onnx;
mod summarize;
pub mod text;

pub use classify::{Classification, Scored, ScoredSpecialty, raise_to_floor};
pub use document::{Code, Codes, Document, MAX_NARRATIVE, MAX_OBSERVATIONS};
pub use encoder::{
    Encoder, EncoderOptions, LabelledSpan, MAX_TOKENS, Precision, TokenClassifier, TokenLogits, cosine,
    verify_sha256,
};
pub use error::Error;
pub use explain::{Evidence, Explanation};
pub use label::{DocumentType, Specialty, Urgency};
pub use models::Models;
pub use observation::{Abnormality, LOINC, ObservationFact};
pub use summarize::{Budget, Sentence, Summary};
