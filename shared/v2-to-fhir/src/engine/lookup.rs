//! What sources and conditions of rows find in the message.

use super::Engine;
use crate::condition::{Check, Condition, Test};
use crate::primitive;
use crate::rule::{Name, Source};
use crate::scope::{Scope, descend};
use crate::unmapped::At;

impl<'m> Engine<'m> {
    /// Values that a source names from where a row stands, and where they lie.
    pub(super) fn resolve(&self, source: &Source, scope: Scope<'m>, index: usize) -> Vec<(Scope<'m>, At)> {
        if !source.field && !matches!(scope, Scope::Segment) {
            let target = descend(scope, source.numbers());
            let at = self.at.within(source.numbers());
            return if self.valued(target.raw()) { vec![(target, at)] } else { Vec::new() };
        }
        let Some(index) = self.peer(index, source.of) else { return Vec::new() };
        let Some((field, within)) = split(source) else {
            return vec![(Scope::Segment, At::segment(index))];
        };
        let Some(value) = self.field(index, field) else { return Vec::new() };
        value
            .repetitions()
            .enumerate()
            .map(|(n, r)| {
                let at = At::field(index, field).repeated(n + 1);
                (descend(Scope::Repetition(r), within), at.within(within))
            })
            .filter(|(scope, _)| self.valued(scope.raw()))
            .collect()
    }

    /// The segment of that name that belongs with the one at `index`: itself, one before it in its group, one after it.
    pub(super) fn peer(&self, index: usize, name: Name) -> Option<usize> {
        let is = |i: &usize| self.names.get(*i) == Some(&name);
        if is(&index) {
            return Some(index);
        }
        if name == Name::MSH {
            return Some(0);
        }
        let (start, end) = self.groups.get(index).copied().unwrap_or((0, self.segments.len()));
        (start..index).rev().find(is).or_else(|| (index + 1..end).find(is))
    }

    /// Whether a row's condition holds where the row stands.
    pub(crate) fn holds(&self, condition: &Condition, scope: Scope<'m>, index: usize) -> bool {
        condition.alternatives.is_empty()
            || condition.alternatives.iter().any(|all| all.iter().all(|test| self.passes(test, scope, index)))
    }

    fn passes(&self, test: &Test, scope: Scope<'m>, index: usize) -> bool {
        if let Check::Repeats(count) | Check::NotRepeats(count) = &test.check {
            let more = self.resolve(&test.source, scope, index).len() > *count;
            return more == matches!(test.check, Check::Repeats(_));
        }
        let first = self.first(&test.source, scope, index);
        let text = || first.map(Scope::text);
        match &test.check {
            Check::Valued => first.is_some(),
            Check::NotValued => first.is_none(),
            Check::In(values) => {
                text().is_some_and(|text| values.iter().any(|v| *v == primitive::trim(&text)))
            }
            Check::NotIn(values) => {
                text().is_none_or(|text| values.iter().all(|v| *v != primitive::trim(&text)))
            }
            Check::Longer(length) => text().is_some_and(|text| text.trim().len() > *length),
            Check::Repeats(_) | Check::NotRepeats(_) => false,
        }
    }

    /// The first valued of what [`Self::resolve`] finds.
    pub(crate) fn first(&self, source: &Source, scope: Scope<'m>, index: usize) -> Option<Scope<'m>> {
        if !source.field && !matches!(scope, Scope::Segment) {
            let target = descend(scope, source.numbers());
            return self.valued(target.raw()).then_some(target);
        }
        let index = self.peer(index, source.of)?;
        let Some((field, within)) = split(source) else { return Some(Scope::Segment) };
        self.field(index, field)?
            .repetitions()
            .map(|r| descend(Scope::Repetition(r), within))
            .find(|scope| self.valued(scope.raw()))
    }
}

/// The field of a source and the numbers within it.
pub(super) fn split(source: &Source) -> Option<(usize, &[u8])> {
    source.numbers().split_first().map(|(field, within)| (usize::from(*field), within))
}
