//! Terms that carry a label by themselves (`data/lexicon.toml`).

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use crate::Error;
use crate::text::context::{Context, Word, fold};

const DEFAULT: &str = include_str!("../data/lexicon.toml");

/// Phrases by their first word.
#[derive(Debug)]
pub struct Lexicon {
    groups: Vec<String>,
    by_first: HashMap<String, Vec<(Vec<String>, usize)>>,
}

/// A phrase found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// `urgency/emergent`, `specialty/cardiology`…
    pub group: String,
    /// The phrase as folded.
    pub phrase: String,
    /// The first context of its words that is not affirmed, else affirmed.
    pub context: Context,
    /// Index of its sentence in the layout.
    pub sentence: usize,
}

impl Lexicon {
    /// The committed lexicon.
    #[must_use]
    pub fn default_lexicon() -> &'static Self {
        static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
            #[expect(clippy::expect_used, reason = "the committed lexicon is checked by a test")]
            Lexicon::parse(DEFAULT).expect("the committed lexicon parses")
        });
        &LEXICON
    }

    /// Reads tables of groups of phrases, as in `data/lexicon.toml`.
    ///
    /// # Errors
    /// `MODEL-507` for bad TOML or an empty phrase.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let malformed = |reason: String| Error::Table { table: "lexicon", reason };
        let tables: BTreeMap<String, BTreeMap<String, Vec<String>>> =
            toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
        let groups = tables.into_iter().flat_map(|(table, groups)| {
            groups.into_iter().map(move |(group, phrases)| (format!("{table}/{group}"), phrases))
        });
        Self::of(groups).map_err(|group| malformed(format!("{group} has an empty phrase")))
    }

    /// Groups of phrases by name.
    ///
    /// # Errors
    /// The group that has an empty phrase.
    pub(crate) fn of(groups: impl IntoIterator<Item = (String, Vec<String>)>) -> Result<Self, String> {
        let mut lexicon = Self { groups: Vec::new(), by_first: HashMap::new() };
        for (group, phrases) in groups {
            let index = lexicon.groups.len();
            for phrase in phrases {
                let words: Vec<String> = phrase
                    .to_lowercase()
                    .split_whitespace()
                    .map(|word| if word == "#" { word.to_owned() } else { fold(word.trim_end_matches(':')) })
                    .collect();
                let Some(first) = words.first().filter(|word| !word.is_empty()).cloned() else {
                    return Err(group);
                };
                let entries = lexicon.by_first.entry(first).or_default();
                if !entries.contains(&(words.clone(), index)) {
                    entries.push((words, index));
                }
            }
            lexicon.groups.push(group);
        }
        Ok(lexicon)
    }

    /// Phrases in the words of a text, within sentences.
    #[must_use]
    pub fn hits(&self, words: &[Word]) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (at, word) in words.iter().enumerate() {
            for (phrase, group) in self.by_first.get(&word.text).into_iter().flatten() {
                let Some(window) = words.get(at..at + phrase.len()) else { continue };
                let same =
                    window.iter().zip(phrase).all(|(w, p)| w.text == *p && w.sentence == word.sentence);
                if !same {
                    continue;
                }
                let context = window.iter().map(|w| w.context).find(|c| *c != Context::Affirmed);
                hits.push(Hit {
                    group: self.groups.get(*group).cloned().unwrap_or_default(),
                    phrase: phrase.join(" "),
                    context: context.unwrap_or(Context::Affirmed),
                    sentence: word.sentence,
                });
            }
        }
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::{DocumentType, Specialty, Urgency};
    use crate::text::{context, sentence};

    fn hits(text: &str) -> Vec<(String, Context)> {
        let layout = sentence::layout(text);
        let words = context::words(text, &layout);
        Lexicon::default_lexicon().hits(&words).into_iter().map(|h| (h.group, h.context)).collect()
    }

    #[test]
    fn every_label_has_a_group() {
        let groups = &Lexicon::default_lexicon().groups;
        let expected = Urgency::ALL
            .iter()
            .map(|l| format!("urgency/{l}"))
            .chain(Specialty::ALL.iter().map(|l| format!("specialty/{l}")))
            .chain(DocumentType::ALL.iter().map(|l| format!("doc_type/{l}")));
        for group in expected {
            assert!(groups.contains(&group), "{group}");
        }
    }

    #[test]
    fn finds_phrases_with_their_context() {
        assert!(hits("Acute testicular torsion.").contains(&("urgency/emergent".into(), Context::Affirmed)));
        assert!(hits("No chest pains").contains(&("specialty/cardiology".into(), Context::Negated)));
    }

    #[test]
    fn every_phrase_is_found_where_it_is_written() {
        let tables: BTreeMap<String, BTreeMap<String, Vec<String>>> = toml::from_str(DEFAULT).unwrap();
        let mut lost = Vec::new();
        for (table, groups) in tables {
            for (group, phrases) in groups {
                let name = format!("{table}/{group}");
                let found = |phrase: &String| {
                    hits(&format!("x {} x", phrase.replace('#', "3"))).iter().any(|(group, _)| *group == name)
                };
                lost.extend(phrases.into_iter().filter(|phrase| !found(phrase)));
            }
        }
        assert!(lost.is_empty(), "{lost:?}");
    }

    #[test]
    fn refuses_an_empty_phrase() {
        assert!(Lexicon::parse("[urgency]\nemergent = [\" \"]").is_err());
    }
}
