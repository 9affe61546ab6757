//! Clinical text models on candle: encoder, heads, critical values and extractive summaries.
