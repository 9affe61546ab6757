//! Red flags: words for presentations that are emergent until a clinician has looked (`data/red-flags.toml`).
//!
//! They are a floor, not a feature: the heads learn nothing from them, and a text that affirms one is at least urgent
//! whatever the heads say of it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

use super::context::{Context, Word};
use super::section::Section;
use super::sentence::Layout;
use crate::Error;
use crate::lexicon::{Hit, Lexicon};

const COMMITTED: &str = include_str!("../../data/red-flags.toml");

/// A red flag that a text affirms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedFlag {
    /// What it may be, for people: `chest pain that may be cardiac`.
    pub name: String,
    /// Guideline that names it as one for immediate assessment.
    pub source: String,
    /// The terms found, as folded: `chest pain`, `syncope`.
    pub terms: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    flag: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    source: String,
    #[serde(default)]
    any: Vec<String>,
    both: Option<[Vec<String>; 2]>,
}

/// Kinds of terms of a flag, as the lexicon's groups end.
const ANY: usize = 0;
const BOTH: [usize; 2] = [1, 2];

/// The red flags and their terms.
#[derive(Debug)]
pub struct RedFlags {
    /// Name and source, in the order of the table.
    flags: Vec<(String, String)>,
    terms: Lexicon,
}

impl RedFlags {
    /// The committed table.
    #[must_use]
    pub fn committed() -> &'static Self {
        static TABLE: LazyLock<RedFlags> = LazyLock::new(|| {
            #[expect(clippy::expect_used, reason = "the committed table is checked by a test")]
            RedFlags::parse(COMMITTED).expect("the committed red flags parse")
        });
        &TABLE
    }

    /// Reads a table, as in `data/red-flags.toml`.
    ///
    /// # Errors
    /// `MODEL-507` for bad TOML, an empty phrase, or a flag that nothing can raise.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let malformed = |reason: String| Error::Table { table: "red flags", reason };
        let table: Table = toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
        let (mut flags, mut groups) = (Vec::new(), Vec::new());
        for (at, entry) in table.flag.into_iter().enumerate() {
            let both = entry.both.unwrap_or_default();
            let paired = both.iter().filter(|terms| !terms.is_empty()).count();
            if paired == 1 || paired == 0 && entry.any.is_empty() {
                return Err(malformed(format!("{} needs a term, or a term of each list", entry.name)));
            }
            for (kind, terms) in std::iter::once(entry.any).chain(both).enumerate() {
                groups.push((format!("{at}/{kind}"), terms));
            }
            flags.push((entry.name, entry.source));
        }
        let terms = Lexicon::of(groups).map_err(|group| {
            let at: usize = group.split('/').next().and_then(|at| at.parse().ok()).unwrap_or(0);
            malformed(format!("{} has an empty phrase", flags.get(at).map_or("", |(name, _)| name)))
        })?;
        Ok(Self { flags, terms })
    }

    /// The flags that a text affirms of this patient now, in the order of the table.
    ///
    /// Terms that are denied, past, of a relative or feared do not count; nor do those under a heading of past, family or
    /// social history or of allergies.
    #[must_use]
    pub fn affirmed(&self, words: &[Word], layout: &Layout) -> Vec<RedFlag> {
        let counts = |hit: &Hit| {
            let section = layout.sentences.get(hit.sentence).map_or(Section::Body, |s| s.section);
            hit.context == Context::Affirmed
                && !matches!(section, Section::Past | Section::Family | Section::Social | Section::Allergies)
        };
        let hits: Vec<Hit> = self.terms.hits(words).into_iter().filter(counts).collect();
        if hits.is_empty() {
            return Vec::new();
        }
        let of = |at: usize, kind: usize| {
            let group = format!("{at}/{kind}");
            hits.iter().filter(move |hit| hit.group == group)
        };
        let raised = |(at, (name, source)): (usize, &(String, String))| {
            let mut terms: Vec<String> = of(at, ANY).map(|hit| hit.phrase.clone()).collect();
            let [left, right] =
                BOTH.map(|kind| of(at, kind).map(|hit| hit.sentence).collect::<BTreeSet<usize>>());
            for kind in BOTH {
                let paired =
                    of(at, kind).filter(|hit| left.contains(&hit.sentence) && right.contains(&hit.sentence));
                terms.extend(paired.map(|hit| hit.phrase.clone()));
            }
            let mut seen = BTreeSet::new();
            terms.retain(|term| seen.insert(term.clone()));
            (!terms.is_empty()).then(|| RedFlag { name: name.clone(), source: source.clone(), terms })
        };
        self.flags.iter().enumerate().filter_map(raised).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::context::words;
    use crate::text::sentence::layout;

    fn names(text: &str) -> Vec<String> {
        let layout = layout(text);
        let found = RedFlags::committed().affirmed(&words(text, &layout), &layout);
        found.into_iter().map(|flag| flag.name).collect()
    }

    /// Every term that is enough by itself, and every pair, as a sentence would have them.
    fn presentations() -> Vec<(String, String)> {
        let table: Table = toml::from_str(COMMITTED).unwrap();
        let mut all = Vec::new();
        for entry in table.flag {
            all.extend(entry.any.iter().map(|term| (entry.name.clone(), term.clone())));
            let [left, right] = entry.both.unwrap_or_default();
            for one in &left {
                all.extend(right.iter().map(|other| (entry.name.clone(), format!("{one}, {other}"))));
            }
        }
        all.into_iter().map(|(name, term)| (name, term.replace('#', "20"))).collect()
    }

    #[test]
    fn every_presentation_raises_its_flag_and_every_flag_names_its_source() {
        let lost: Vec<_> = presentations()
            .into_iter()
            .filter(|(name, term)| !names(&format!("She came in: {term} since noon.")).contains(name))
            .collect();
        assert!(lost.is_empty(), "{lost:?}");
        let table: Table = toml::from_str(COMMITTED).unwrap();
        assert!(table.flag.iter().all(|flag| !flag.source.trim().is_empty()));
    }

    #[test]
    fn names_what_was_found() {
        let text = "Seen in clinic. She has chest pain, syncope and dyspnea.";
        let layout = layout(text);
        let found = RedFlags::committed().affirmed(&words(text, &layout), &layout);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].terms, ["chest pain", "syncope", "dyspnea"]);
        assert_eq!(found[0].source, "NICE CG95, 1.2.1");
    }

    #[test]
    fn a_pair_stands_in_one_sentence() {
        assert_eq!(names("Chest pain at rest, sweaty."), ["chest pain that may be cardiac"]);
        assert!(names("Chest pain on coughing. Palms a little sweaty.").is_empty());
        assert!(names("Chest pain, not sweaty.").is_empty(), "one of the two is denied");
    }

    #[test]
    fn what_is_denied_past_of_a_relative_or_feared_raises_none() {
        for text in [
            "No crushing chest pain, denies syncope.",
            "Denies hematemesis or melena.",
            "History of hematemesis in 2009, well today.",
            "PMH: prolonged seizure, gout.",
            "Family history: thunderclap headache in her mother.",
            "Her sister had a thunderclap headache.",
            "Return if crushing chest pain or stridor.",
            "Allergies: penicillin, throat closing.",
        ] {
            assert!(names(text).is_empty(), "{text}: {:?}", names(text));
        }
    }

    #[test]
    fn a_malformed_table_is_refused() {
        let flag = |rest: &str| format!("[[flag]]\nname = \"n\"\nsource = \"s\"\n{rest}");
        assert!(RedFlags::parse(&flag("any = [\"x\"]")).is_ok());
        for bad in ["", "any = [\" \"]", "both = [[\"x\"], []]", "terms = [\"x\"]"] {
            let error = RedFlags::parse(&flag(bad)).unwrap_err();
            assert_eq!(error.code(), "MODEL-507", "{bad}");
        }
    }

    #[test]
    fn no_denied_or_past_presentation_raises_its_flag() {
        let mut kept = Vec::new();
        // A trigger reaches eight words and no further than a word of time.
        let reached = |term: &str| {
            term.split_whitespace().count() <= 6 && !term.starts_with("now ") && !term.starts_with("still ")
        };
        for (name, term) in presentations().into_iter().filter(|(_, term)| reached(term)) {
            for ahead in ["Denies", "No", "No history of", "Without", "Family history:", "PMH:", "Return if"]
            {
                let text = format!("{ahead} {term}.");
                if names(&text).contains(&name) {
                    kept.push(text);
                }
            }
        }
        assert!(kept.is_empty(), "{kept:?}");
    }

    proptest! {
        #[test]
        fn calm_words_around_a_presentation_take_nothing_away(
            at in 0usize..4096,
            before in "[a-z]{3,9}( [a-z]{3,9}){0,6}",
        ) {
            let all = presentations();
            let (name, term) = &all[at % all.len()];
            let calm = "Routine review, doing well, stable.";
            let text = format!("{calm} {before}. Today {term}. {calm}");
            prop_assert!(names(&text).contains(name), "{text}");
        }

        #[test]
        fn no_text_panics(text in "(\\PC|[ \n.:]|chest pain|sweaty|PMH: |no ){0,60}") {
            let _ = names(&text);
        }
    }
}
