//! Features of a text for the linear heads, and the chunks the encoder reads.

use std::collections::BTreeMap;

use crate::lexicon::{Hit, Lexicon};
use crate::text::context::{Context, Word, words};
use crate::text::danger::{Sign, signs};
use crate::text::red_flag::{RedFlag, RedFlags};
use crate::text::section::Section;
use crate::text::sentence::{Layout, layout};

/// Bytes of text in one chunk for the encoder: about its 256 tokens.
const CHUNK_BYTES: usize = 900;
/// Most chunks of one document that the encoder reads.
const MAX_CHUNKS: usize = 8;
/// Features whose name starts so are used as they are: no inverse document frequency, no length normalisation.
pub const DENSE: char = '@';
/// Features whose name starts so are runs of a word's characters.
pub const CHARACTERS: char = '~';
/// Lengths of such a run, the word's two edges (`<`, `>`) included.
const RUN: std::ops::RangeInclusive<usize> = 3..=5;
/// Most words of a document whose characters are taken.
const MAX_SPELLED: usize = 4000;

/// A text read once for every use.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Sentences and headings.
    pub layout: Layout,
    /// Words with context.
    pub words: Vec<Word>,
    /// Terms of the lexicon.
    pub hits: Vec<Hit>,
    /// Danger signs.
    pub signs: Vec<Sign>,
    /// Red flags that are affirmed.
    pub red_flags: Vec<RedFlag>,
}

impl Reading {
    /// Reads a text with the committed lexicon.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let layout = layout(text);
        let words = words(text, &layout);
        let hits = Lexicon::default_lexicon().hits(&words);
        let signs = signs(text, &layout);
        let red_flags = RedFlags::committed().affirmed(&words, &layout);
        Self { layout, words, hits, signs, red_flags }
    }

    /// Named features with their raw weight: words, pairs of words, runs of characters, headings, and the dense ones.
    ///
    /// A word under negation is `NOT_word`, in the past `HX_word`, of a relative `FH_word`, feared `IF_word`; so are its
    /// characters.
    #[must_use]
    pub fn features(&self, text: &str) -> BTreeMap<String, f32> {
        let mut counts: BTreeMap<String, f32> = BTreeMap::new();
        let mut add = |name: String, by: f32| *counts.entry(name).or_insert(0.0) += by;
        let mut previous: Option<&Word> = None;
        for word in &self.words {
            let prefix = prefix(word.context);
            add(format!("{prefix}{}", word.text), 1.0);
            if let Some(before) =
                previous.filter(|b| b.sentence == word.sentence && b.context == word.context)
            {
                add(format!("{prefix}{} {}", before.text, word.text), 1.0);
            }
            previous = Some(word);
        }
        for word in self.words.iter().filter(|word| word.text != "#").take(MAX_SPELLED) {
            let spelled = format!("<{}>", word.text);
            let edges: Vec<usize> = spelled.char_indices().map(|(at, _)| at).chain([spelled.len()]).collect();
            for length in RUN {
                for window in edges.windows(length + 1) {
                    if let (Some(from), Some(to)) = (window.first(), window.last())
                        && let Some(run) = spelled.get(*from..*to)
                    {
                        add(format!("{CHARACTERS}{}{run}", prefix(word.context)), 1.0);
                    }
                }
            }
        }
        for span in &self.layout.headings {
            if let Some(head) = text.get(span.clone()) {
                let name = head.trim().trim_end_matches(':').to_lowercase();
                if name.chars().any(char::is_alphabetic) {
                    add(format!("HEAD_{name}"), 1.0);
                }
            }
        }
        for value in counts.values_mut() {
            *value = (1.0 + *value).ln();
        }
        self.dense(text, &mut counts);
        counts
    }

    fn dense(&self, text: &str, counts: &mut BTreeMap<String, f32>) {
        let mut groups: BTreeMap<&str, f32> = BTreeMap::new();
        let mut tables: BTreeMap<&str, f32> = BTreeMap::new();
        let mut past: BTreeMap<&str, f32> = BTreeMap::new();
        for hit in &self.hits {
            let table = hit.group.split('/').next().unwrap_or("");
            // The kind of a document shows in its words whatever they say of the patient.
            if hit.context == Context::Affirmed || table == "doc_type" {
                // Longer terms are more certain than single words.
                let weight = if hit.phrase.contains(' ') { 1.5 } else { 1.0 };
                *groups.entry(&hit.group).or_insert(0.0) += weight;
                *tables.entry(table).or_insert(0.0) += weight;
            } else if table == "specialty" {
                *past.entry(&hit.group).or_insert(0.0) += 1.0;
            }
        }
        for (group, count) in &groups {
            let table = group.split('/').next().unwrap_or("");
            let total = tables.get(table).copied().unwrap_or(1.0).max(1.0);
            counts.insert(format!("{DENSE}lex:{group}"), (1.0 + count).ln() * 0.5);
            counts.insert(format!("{DENSE}share:{group}"), count / total);
        }
        for (group, count) in past {
            counts.insert(format!("{DENSE}past:{group}"), (1.0 + count).ln() * 0.3);
        }
        for sign in &self.signs {
            counts.insert(format!("{DENSE}sign:{}", sign.name), 0.7);
            if sign.danger {
                counts.insert(format!("{DENSE}danger"), 1.0);
            }
        }
        let lines = text.lines().count().max(1) as f32;
        counts.insert(format!("{DENSE}length"), (text.len() as f32 + 1.0).ln() / 10.0);
        for (name, word) in [("first", self.words.first()), ("last", self.words.last())] {
            if let Some(word) = word {
                counts.insert(format!("{DENSE}{name}:{}", word.text), 0.5);
            }
        }
        let of = |chosen: fn(&str) -> bool| {
            let count = self.words.iter().filter(|word| chosen(&word.text)).count();
            count as f32 / self.words.len().max(1) as f32
        };
        counts.insert(format!("{DENSE}numbers"), of(|word| word == "#"));
        counts.insert(
            format!("{DENSE}speaks"),
            4.0 * of(|word| matches!(word, "i" | "we" | "my" | "our" | "me" | "us")),
        );
        counts
            .insert(format!("{DENSE}addresses"), 4.0 * of(|word| matches!(word, "you" | "your" | "please")));
        let sentences = self.layout.sentences.len().max(1) as f32;
        counts.insert(format!("{DENSE}sentence"), (self.words.len() as f32 / sentences + 1.0).ln() / 5.0);
        counts.insert(format!("{DENSE}headings"), (self.layout.headings.len() as f32 / lines).min(1.0) * 0.5);
    }

    /// Whether the text has enough words to be judged.
    #[must_use]
    pub fn is_substantial(&self) -> bool {
        self.words.iter().filter(|word| word.text.chars().any(char::is_alphabetic)).count() >= 3
    }

    /// Slices of the text for the encoder, each with its weight in the document's embedding.
    ///
    /// Chunks follow sections: what is concluded counts more than what once was.
    #[must_use]
    pub fn chunks<'t>(&self, text: &'t str) -> Vec<(&'t str, f32)> {
        let mut chunks: Vec<(std::ops::Range<usize>, f32)> = Vec::new();
        let mut end_of_last = 0;
        for sentence in &self.layout.sentences {
            let weight = section_weight(sentence.section);
            match chunks.last_mut() {
                Some((range, w)) if *w == weight && sentence.span.end - range.start <= CHUNK_BYTES => {
                    range.end = sentence.span.end;
                }
                _ => chunks.push((end_of_last..sentence.span.end, weight)),
            }
            end_of_last = sentence.span.end;
        }
        // A short document is one thought: splitting it would only lose context.
        if text.len() <= CHUNK_BYTES && chunks.iter().all(|(_, weight)| *weight >= 0.5) {
            return vec![(text, 1.0)];
        }
        if chunks.len() > MAX_CHUNKS {
            let mut order: Vec<usize> = (0..chunks.len()).collect();
            order.sort_by(|&a, &b| {
                let weight = |i: usize| chunks.get(i).map_or(0.0, |(_, w)| *w);
                weight(b).total_cmp(&weight(a)).then(a.cmp(&b))
            });
            order.truncate(MAX_CHUNKS);
            order.sort_unstable();
            chunks = order.into_iter().filter_map(|index| chunks.get(index).cloned()).collect();
        }
        chunks
            .into_iter()
            .filter_map(|(range, weight)| text.get(range.clone()).map(|slice| (slice.trim(), weight)))
            .filter(|(slice, _)| !slice.is_empty())
            .collect()
    }
}

fn prefix(context: Context) -> &'static str {
    match context {
        Context::Affirmed => "",
        Context::Negated => "NOT_",
        Context::Historical => "HX_",
        Context::Family => "FH_",
        Context::Hypothetical => "IF_",
    }
}

fn section_weight(section: Section) -> f32 {
    match section {
        Section::Impression | Section::Assessment | Section::Plan | Section::Complaint => 1.5,
        Section::Past | Section::Medications => 0.3,
        Section::Family | Section::Social | Section::Allergies => 0.1,
        _ => 1.0,
    }
}

/// Weighted mean of unit vectors, made unit length again.
#[must_use]
pub fn pool(embeddings: &[Vec<f32>], weights: &[f32]) -> Vec<f32> {
    let dimension = embeddings.first().map_or(0, Vec::len);
    let mut sum = vec![0.0f32; dimension];
    for (embedding, weight) in embeddings.iter().zip(weights) {
        for (total, value) in sum.iter_mut().zip(embedding) {
            *total += value * weight;
        }
    }
    let norm = sum.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
    sum.iter_mut().for_each(|v| *v /= norm);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn negation_changes_the_feature() {
        let text = "No chest pain. Severe headache.";
        let features = Reading::of(text).features(text);
        assert!(features.contains_key("NOT_chest pain") && features.contains_key("severe headache"));
        assert!(features.contains_key("~NOT_<che") && features.contains_key("~ache>"));
        assert!(!features.contains_key("~<che"));
        assert!(!features.contains_key("chest pain"));
        assert!(!features.contains_key("@lex:specialty/cardiology"));
        assert!(features.contains_key("@lex:specialty/neurology"));
    }

    #[test]
    fn long_notes_keep_their_conclusion() {
        let text =
            format!("{}\nPAST MEDICAL HISTORY: gout.\nIMPRESSION: Sepsis.", "He walked. ".repeat(2000));
        let reading = Reading::of(&text);
        let chunks = reading.chunks(&text);
        assert!(chunks.len() <= MAX_CHUNKS);
        assert!(chunks.iter().any(|(chunk, weight)| chunk.contains("Sepsis") && *weight > 1.0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn any_text_is_read(text in "(\\PC|[ \n.]|BP 80/40|PMH: |no |K 7.1 ){0,60}") {
            let reading = Reading::of(&text);
            let features = reading.features(&text);
            prop_assert!(features.values().all(|v| v.is_finite()));
            let _ = reading.chunks(&text);
        }
    }
}
