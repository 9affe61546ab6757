//! What was done, in numbers: for compliance officers, metrics and tests. Never content.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Kind, Layer};

/// What was done with an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Taken out.
    Removed,
    /// Replaced by a tag such as `[NAME-1]`.
    Tagged,
    /// Replaced by a keyed pseudonym or UUID.
    Pseudonymised,
    /// Moved by the patient's days.
    Shifted,
    /// Made coarser: a year, three digits of a zip code, 90 for an age.
    Generalised,
    /// Withheld with all that was around it, since it cannot be read.
    Withheld,
}

impl Action {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Removed => "removed",
            Action::Tagged => "tagged",
            Action::Pseudonymised => "pseudonymised",
            Action::Shifted => "shifted",
            Action::Generalised => "generalised",
            Action::Withheld => "withheld",
        }
    }
}

/// Why content was withheld as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Withheld {
    /// It is in a language or script that the rules cannot read.
    Language,
    /// The model is less sure of something in it than the floor.
    Confidence,
    /// It is an image, a sound or a video.
    Media,
    /// It is another format than text or HTML, or is not encoded as it says.
    Format,
    /// It is a link to content elsewhere.
    Link,
}

impl Withheld {
    /// Every reason.
    pub const ALL: [Withheld; 5] =
        [Withheld::Language, Withheld::Confidence, Withheld::Media, Withheld::Format, Withheld::Link];

    /// The stable name: metrics have it as a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Withheld::Language => "language",
            Withheld::Confidence => "confidence",
            Withheld::Media => "media",
            Withheld::Format => "format",
            Withheld::Link => "link",
        }
    }

    /// The reason as the stub says it.
    pub const fn reason(self) -> &'static str {
        match self {
            Withheld::Language => "unsupported language",
            Withheld::Confidence => "low confidence",
            Withheld::Media => "image or recording",
            Withheld::Format => "not readable as text",
            Withheld::Link => "link",
        }
    }

    /// What stands in the place of a text.
    pub(crate) fn stub(self) -> String {
        format!("[WITHHELD: {}]", self.reason())
    }
}

impl std::fmt::Display for Withheld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

/// A line of a [`Report`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// What it was.
    pub kind: Kind,
    /// What was done.
    pub action: Action,
    /// Which layer found it in free text; none for an element that the policy treats as a whole.
    pub layer: Option<Layer>,
}

/// How often what was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    lines: BTreeMap<Line, u32>,
    withheld: BTreeMap<Withheld, u32>,
}

impl Report {
    /// Counts an element that the policy treats as a whole.
    pub(crate) fn element(&mut self, kind: Kind, action: Action) {
        *self.lines.entry(Line { kind, action, layer: None }).or_default() += 1;
    }

    /// Counts an identifier in free text.
    pub fn span(&mut self, kind: Kind, layer: Layer) {
        *self.lines.entry(Line { kind, action: Action::Tagged, layer: Some(layer) }).or_default() += 1;
    }

    /// Counts withheld content.
    pub fn withhold(&mut self, kind: Kind, reason: Withheld) {
        self.element(kind, Action::Withheld);
        *self.withheld.entry(reason).or_default() += 1;
    }

    /// Adds another report.
    pub fn add(&mut self, other: &Report) {
        for (line, count) in &other.lines {
            *self.lines.entry(*line).or_default() += count;
        }
        for (reason, count) in &other.withheld {
            *self.withheld.entry(*reason).or_default() += count;
        }
    }

    /// The lines, by kind, action and layer.
    pub fn lines(&self) -> impl Iterator<Item = (Line, u32)> + '_ {
        self.lines.iter().map(|(line, count)| (*line, *count))
    }

    /// How often content was withheld, by reason.
    pub fn withheld(&self) -> impl Iterator<Item = (Withheld, u32)> + '_ {
        self.withheld.iter().map(|(reason, count)| (*reason, *count))
    }

    /// How many identifiers of each kind.
    pub fn by_kind(&self) -> BTreeMap<Kind, u32> {
        let mut kinds = BTreeMap::new();
        for (line, count) in &self.lines {
            *kinds.entry(line.kind).or_default() += count;
        }
        kinds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_add_up() {
        let mut one = Report::default();
        one.element(Kind::Name, Action::Removed);
        one.span(Kind::Name, Layer::List);
        let mut two = Report::default();
        two.span(Kind::Name, Layer::List);
        two.withhold(Kind::Photo, Withheld::Media);
        one.add(&two);
        assert_eq!(one.by_kind(), BTreeMap::from([(Kind::Name, 3), (Kind::Photo, 1)]));
        assert_eq!(one.withheld().collect::<Vec<_>>(), [(Withheld::Media, 1)]);
        let list = Line { kind: Kind::Name, action: Action::Tagged, layer: Some(Layer::List) };
        assert!(one.lines().any(|line| line == (list, 2)));
    }
}
