//! Values of a message as rows see them, whatever their level.

use std::borrow::Cow;

use hl7v2::{Component, Repetition, Subcomponent};

/// What a source names: a value and what lies within it.
#[derive(Clone, Copy)]
pub(crate) enum Scope<'m> {
    /// A whole segment, for rows of constants.
    Segment,
    Repetition(Repetition<'m>),
    Component(Component<'m>),
    Subcomponent(Subcomponent<'m>),
    Nothing,
}

impl<'m> Scope<'m> {
    /// Part `n` of a value, from 1. A value without parts is its own first part.
    pub(crate) fn child(self, n: usize) -> Self {
        match self {
            Self::Repetition(r) => Self::Component(r.component(n)),
            Self::Component(c) => Self::Subcomponent(c.subcomponent(n)),
            Self::Subcomponent(s) if n == 1 => Self::Subcomponent(s),
            _ => Self::Nothing,
        }
    }

    /// How many parts are written.
    pub(crate) fn count(self) -> usize {
        match self {
            Self::Repetition(r) => r.component_count(),
            Self::Component(c) => c.subcomponent_count(),
            Self::Subcomponent(_) => 1,
            _ => 0,
        }
    }

    /// The first value in it, decoded.
    pub(crate) fn text(self) -> Cow<'m, str> {
        match self {
            Self::Repetition(r) => r.text(),
            Self::Component(c) => c.text(),
            Self::Subcomponent(s) => s.text(),
            _ => Cow::Borrowed(""),
        }
    }

    /// All of it decoded, delimiters included.
    pub(crate) fn full_text(self) -> Cow<'m, str> {
        match self {
            Self::Repetition(r) => r.full_text(),
            Self::Component(c) => c.full_text(),
            Self::Subcomponent(s) => s.text(),
            _ => Cow::Borrowed(""),
        }
    }

    pub(crate) fn raw(self) -> &'m [u8] {
        match self {
            Self::Repetition(r) => r.raw(),
            Self::Component(c) => c.raw(),
            Self::Subcomponent(s) => s.raw(),
            _ => &[],
        }
    }
}

/// The parts of a value, found once for all rows that read them.
pub(crate) struct Parts<'m> {
    whole: Scope<'m>,
    first: [Scope<'m>; PARTS],
    count: usize,
}

/// As many as most values have; what lies behind them is looked for each time.
const PARTS: usize = 10;

impl<'m> Parts<'m> {
    pub(crate) fn of(whole: Scope<'m>) -> Self {
        let mut parts = Self { whole, first: [Scope::Nothing; PARTS], count: 0 };
        match whole {
            Scope::Repetition(r) => parts.fill(r.components().map(Scope::Component)),
            Scope::Component(c) => parts.fill(c.subcomponents().map(Scope::Subcomponent)),
            other => parts.fill(std::iter::once(other.child(1)).take(other.count())),
        }
        parts
    }

    fn fill(&mut self, found: impl Iterator<Item = Scope<'m>>) {
        for part in found {
            if let Some(place) = self.first.get_mut(self.count) {
                *place = part;
            }
            self.count += 1;
        }
    }

    /// How many parts are written.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// See [`Scope::child`].
    pub(crate) fn child(&self, n: usize) -> Scope<'m> {
        match n.checked_sub(1).and_then(|n| self.first.get(n)) {
            Some(part) => *part,
            None if n > self.count => Scope::Nothing,
            None => self.whole.child(n),
        }
    }
}

/// The part of a value that numbers lead to.
pub(crate) fn descend<'m>(scope: Scope<'m>, numbers: &[u8]) -> Scope<'m> {
    numbers.iter().fold(scope, |scope, n| scope.child(usize::from(*n)))
}
