use std::ops::Range;

use super::{Candidate, Layer};
use crate::Kind;

/// An identifier a model found.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpan {
    /// Byte offsets into the text; an offset inside a character is moved outward.
    pub range: Range<usize>,
    /// What it is.
    pub kind: Kind,
    /// Probability, 0 to 1.
    pub score: f32,
}

/// The model could not read the text; the text is then withheld as a whole.
#[derive(Debug, thiserror::Error)]
#[error("span model failed")]
pub struct SpanModelError;

/// A token classification model: the layer behind the rules.
pub trait SpanModel: Send + Sync {
    /// The identifiers in a text.
    ///
    /// # Errors
    /// [`SpanModelError`] when the text cannot be read.
    fn spans(&self, text: &str) -> Result<Vec<ModelSpan>, SpanModelError>;
}

/// Pushes what the model finds; a failure takes the whole text (fail closed).
pub(crate) fn find(model: &dyn SpanModel, text: &str, out: &mut Vec<Candidate>) {
    let layer = Layer::Model;
    match model.spans(text) {
        Ok(spans) => {
            for span in spans {
                let mut start = span.range.start.min(text.len());
                let mut end = span.range.end.min(text.len());
                while !text.is_char_boundary(start) {
                    start -= 1;
                }
                while !text.is_char_boundary(end) {
                    end += 1;
                }
                if start < end {
                    out.push(Candidate { start, end, kind: span.kind, layer, score: span.score });
                }
            }
        }
        Err(SpanModelError) => {
            out.push(Candidate { start: 0, end: text.len(), kind: Kind::Other, layer, score: 1.0 });
        }
    }
}
