//! Clinical text without a model: sections, sentences, the context of each word, danger signs.

pub mod context;
pub mod danger;
pub mod red_flag;
pub mod section;
pub mod sentence;
