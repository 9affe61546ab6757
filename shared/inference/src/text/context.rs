//! Words with their context: affirmed, negated, historical, of a relative, or feared.
//!
//! The rules follow NegEx and ConText (Chapman 2001, Harkema 2009): a trigger reaches over the words after it until
//! a terminator, the end of the sentence, or a fixed number of words.

use super::section::Section;
use super::sentence::Layout;

/// Whether a word says something about this patient now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Context {
    /// Present, now, in this patient.
    Affirmed,
    /// Denied or absent.
    Negated,
    /// In the patient's past.
    Historical,
    /// In a relative.
    Family,
    /// Feared, advised against or conditional ("return if chest pain").
    Hypothetical,
}

/// A word of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Lower case, plural ending removed; a number is `#`.
    pub text: String,
    /// Its context.
    pub context: Context,
    /// Index of its sentence in the layout.
    pub sentence: usize,
}

/// How many words a trigger reaches.
const REACH: usize = 8;

/// Triggers, longest first where one begins another; words as [`fold`] leaves them.
const TRIGGERS: &[(&[&str], Context)] = &[
    (&["no", "evidence", "of"], Context::Negated),
    (&["no", "sign", "of"], Context::Negated),
    (&["negative", "for"], Context::Negated),
    (&["absence", "of"], Context::Negated),
    (&["free", "of"], Context::Negated),
    (&["ruled", "out", "for"], Context::Negated),
    (&["rule", "out"], Context::Affirmed),
    (&["not", "had"], Context::Negated),
    (&["never", "had"], Context::Negated),
    (&["deny"], Context::Negated),
    (&["denied"], Context::Negated),
    (&["denying"], Context::Negated),
    (&["without"], Context::Negated),
    (&["w/o"], Context::Negated),
    (&["no"], Context::Negated),
    (&["nil"], Context::Negated),
    (&["nor"], Context::Negated),
    (&["never"], Context::Negated),
    (&["cannot"], Context::Affirmed),
    (&["not"], Context::Negated),
    (&["history", "of"], Context::Historical),
    (&["hx", "of"], Context::Historical),
    (&["h/o"], Context::Historical),
    (&["hx"], Context::Historical),
    (&["s/p"], Context::Historical),
    (&["status", "post"], Context::Historical),
    (&["pmh"], Context::Historical),
    (&["pmhx"], Context::Historical),
    (&["previous"], Context::Historical),
    (&["previously"], Context::Historical),
    (&["prior"], Context::Historical),
    (&["remote"], Context::Historical),
    (&["known"], Context::Historical),
    (&["family", "history"], Context::Family),
    (&["fhx"], Context::Family),
    (&["fh"], Context::Family),
    (&["father", "had"], Context::Family),
    (&["father", "died"], Context::Family),
    (&["father", "with"], Context::Family),
    (&["mother", "had"], Context::Family),
    (&["mother", "died"], Context::Family),
    (&["mother", "with"], Context::Family),
    (&["brother"], Context::Family),
    (&["sister"], Context::Family),
    (&["uncle"], Context::Family),
    (&["aunt"], Context::Family),
    (&["grandfather"], Context::Family),
    (&["grandmother"], Context::Family),
    (&["return", "if"], Context::Hypothetical),
    (&["return", "for"], Context::Hypothetical),
    (&["come", "back", "if"], Context::Hypothetical),
    (&["call", "if"], Context::Hypothetical),
    (&["seek", "care", "if"], Context::Hypothetical),
    (&["safety", "netted"], Context::Hypothetical),
    (&["safety-netted"], Context::Hypothetical),
    (&["should", "she"], Context::Hypothetical),
    (&["should", "he"], Context::Hypothetical),
    (&["in", "case", "of"], Context::Hypothetical),
    (&["risk", "of"], Context::Hypothetical),
    (&["screening", "for"], Context::Hypothetical),
    (&["if"], Context::Hypothetical),
];

/// Phrases that look like triggers and are none.
const NOT_TRIGGERS: &[&[&str]] = &[
    &["no", "increase"],
    &["no", "change"],
    &["no", "improvement"],
    &["no", "relief"],
    &["no", "response"],
    &["no", "longer"],
    &["no", "pulse"],
    &["no", "urine", "output"],
    &["not", "only"],
    &["not", "improving"],
    &["not", "breathing"],
    &["not", "responding"],
    &["not", "certain"],
    &["history", "of", "present"],
    &["history", "of", "presenting"],
    &["known", "to"],
    &["prior", "to"],
];

const TERMINATORS: &[&str] = &[
    "but",
    "however",
    "although",
    "though",
    "except",
    "now",
    "today",
    "presenting",
    "present",
    "presented",
    "admitted",
    "complaining",
    "complain",
    "report",
    "reporting",
    "here",
    "with",
    "currently",
    "which",
    "who",
    "because",
    "still",
];

/// Units of time: "2 day history of cough" is about now.
const DURATIONS: &[&str] = &["day", "week", "month", "hour", "year", "minute", "hr", "d", "wk", "h", "long"];

/// Splits a text into words with context.
#[must_use]
pub fn words(text: &str, layout: &Layout) -> Vec<Word> {
    let mut result = Vec::new();
    for (index, sentence) in layout.sentences.iter().enumerate() {
        let Some(slice) = text.get(sentence.span.clone()) else { continue };
        let tokens = tokenize(slice);
        let base = match sentence.section {
            Section::Past => Context::Historical,
            Section::Family => Context::Family,
            _ => Context::Affirmed,
        };
        let contexts = contexts(&tokens, base);
        result.extend(tokens.into_iter().zip(contexts).filter_map(|(token, context)| match token {
            Token::Word(text) => Some(Word { text, context, sentence: index }),
            Token::Stop => None,
        }));
    }
    result
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// Punctuation that ends a trigger's reach: a semicolon, a dash between spaces, an inner stop.
    Stop,
}

fn tokenize(sentence: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    let mut chars = sentence.chars().peekable();
    while let Some(c) = chars.next() {
        let inner = matches!(c, '/' | '\'' | '-' | '.' | '’' | '&') && !word.is_empty();
        if c.is_alphanumeric() || c == '+' && !word.is_empty() {
            word.extend(c.to_lowercase());
        } else if inner && chars.peek().is_some_and(|next| next.is_alphanumeric()) {
            word.push(if c == '’' { '\'' } else { c });
        } else {
            if !word.is_empty() {
                tokens.push(Token::Word(fold(&std::mem::take(&mut word))));
            }
            if matches!(c, ';' | '.' | '!' | '?' | ':')
                || c == '-' && chars.peek().is_some_and(|next| *next == ' ')
            {
                tokens.push(Token::Stop);
            }
        }
    }
    if !word.is_empty() {
        tokens.push(Token::Word(fold(&word)));
    }
    tokens
}

/// British spellings, as stems, and their American ones.
const SPELLINGS: &[(&str, &str)] = &[
    ("aem", "em"),
    ("oedem", "edem"),
    ("oesoph", "esoph"),
    ("paed", "ped"),
    ("gynaec", "gynec"),
    ("anaesth", "anesth"),
    ("tumour", "tumor"),
    ("rrhoea", "rrhea"),
    ("pnoea", "pnea"),
    ("foet", "fet"),
    ("leuco", "leuko"),
    ("centre", "center"),
    ("colour", "color"),
    ("caecum", "cecum"),
    ("faec", "fec"),
    ("labour", "labor"),
];

/// Folds a lower-case word: numbers to `#`, plural endings off, American spelling.
pub(crate) fn fold(word: &str) -> String {
    let mut american = word.to_owned();
    for (british, spelling) in SPELLINGS {
        if american.contains(british) {
            american = american.replace(british, spelling);
        }
    }
    singular(&american)
}

fn singular(word: &str) -> String {
    let word = word.trim_end_matches("'s");
    if word.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '/' | '-' | '+')) {
        return "#".to_owned();
    }
    let plural = word.len() > 4
        && word.ends_with('s')
        && !word.ends_with("ss")
        && !word.ends_with("us")
        && !word.ends_with("is");
    if !plural {
        return word.to_owned();
    }
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 2) {
        return format!("{stem}y");
    }
    word.get(..word.len() - 1).unwrap_or(word).to_owned()
}

fn contexts(tokens: &[Token], base: Context) -> Vec<Context> {
    let mut result = vec![base; tokens.len()];
    let word = |at: usize| match tokens.get(at) {
        Some(Token::Word(text)) => text.as_str(),
        _ => "",
    };
    let matches = |at: usize, phrase: &[&str]| phrase.iter().enumerate().all(|(i, w)| word(at + i) == *w);
    let mut at = 0;
    while at < tokens.len() {
        if let Some(phrase) = NOT_TRIGGERS.iter().find(|phrase| matches(at, phrase)) {
            at += phrase.len();
            continue;
        }
        let Some((phrase, context)) = TRIGGERS.iter().find(|(phrase, _)| matches(at, phrase)) else {
            at += 1;
            continue;
        };
        let start = at + phrase.len();
        let ongoing = *context == Context::Historical
            && at > 0
            && (DURATIONS.contains(&word(at - 1))
                || word(at - 1).rsplit('-').next().is_some_and(|unit| DURATIONS.contains(&unit)));
        at = start;
        if ongoing || *context == Context::Affirmed {
            continue;
        }
        for reach in start..(start + REACH).min(tokens.len()) {
            let current = word(reach);
            if current.is_empty() || TERMINATORS.contains(&current) {
                break;
            }
            // "No history of stroke" is a denial, not a past stroke.
            if let Some(slot) = result.get_mut(reach)
                && (*slot == base || *context == Context::Negated)
            {
                *slot = *context;
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::sentence::layout;

    fn context_of(text: &str, target: &str) -> Option<Context> {
        words(text, &layout(text)).into_iter().find(|w| w.text == target).map(|w| w.context)
    }

    #[test]
    fn negation_reaches_over_a_list_and_stops_at_but() {
        let text = "Denies chest pain, dyspnea or syncope but has palpitations.";
        assert_eq!(context_of(text, "syncope"), Some(Context::Negated));
        assert_eq!(context_of(text, "palpitation"), Some(Context::Affirmed));
    }

    #[test]
    fn history_is_not_now_and_a_duration_is() {
        assert_eq!(context_of("Hx of MI 2009, here for flu vaccine", "mi"), Some(Context::Historical));
        assert_eq!(context_of("2 day history of melena", "melena"), Some(Context::Affirmed));
        assert_eq!(context_of("3-week history of cough", "cough"), Some(Context::Affirmed));
        assert_eq!(context_of("No history of stroke", "stroke"), Some(Context::Negated));
        assert_eq!(context_of("PMH: stroke, gout", "stroke"), Some(Context::Historical));
    }

    #[test]
    fn relatives_and_conditions() {
        assert_eq!(context_of("Brother had sudden death at 40", "death"), Some(Context::Family));
        assert_eq!(context_of("Family history: breast cancer", "cancer"), Some(Context::Family));
        assert_eq!(context_of("Return if fever or bleeding", "bleeding"), Some(Context::Hypothetical));
    }

    #[test]
    fn lack_of_relief_is_not_a_denial() {
        assert_eq!(
            context_of("Chest pain with no relief from nitroglycerin", "nitroglycerin"),
            Some(Context::Affirmed)
        );
    }

    #[test]
    fn folds_plurals_and_numbers() {
        assert_eq!(fold("biopsies"), "biopsy");
        assert_eq!(fold("12.5"), "#");
        assert_eq!((fold("haemorrhages"), fold("oedema")), ("hemorrhage".into(), "edema".into()));
        assert_eq!(fold("abscess"), "abscess");
        assert_eq!(fold("platelets"), "platelet");
    }
}
