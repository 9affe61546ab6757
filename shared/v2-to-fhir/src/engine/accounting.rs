//! What of the message the resources hold, and what was refused: the marks that rows set while they are applied.

use std::ops::RangeBounds;

use super::Engine;
use crate::element::Aside;
use crate::unmapped::{Mark, Reason, WITH_PARTS, bit};

impl Engine<'_> {
    /// Says that the value that a row is at has no place, and why.
    pub(crate) fn refuse(&mut self, reason: Reason) {
        self.refused.push((self.at, reason));
    }

    /// The same of one component of it.
    pub(crate) fn refuse_part(&mut self, component: usize, reason: Reason) {
        let at = if self.at.component == 0 { self.at.part(component) } else { self.at };
        self.refused.push((at, reason));
    }

    /// Repetition of the field that a row is at, from 1.
    pub(crate) fn repetition(&self) -> usize {
        self.at.repetition as usize
    }

    /// Notes which parts of the value that a row is at the resource holds; see [`bit`].
    pub(super) fn claim(&mut self, used: u64) {
        if used & !WITH_PARTS == 0 || self.at.field == 0 {
            return;
        }
        let parts = if self.at.subcomponent == 0 { used } else { bit(self.at.subcomponent.into()) };
        self.mark(parts);
    }

    /// The same of parts of one component of that value.
    pub(crate) fn claim_part(&mut self, component: usize, parts: u64) {
        let at = self.at;
        if at.component == 0 {
            self.at = at.part(component);
            self.claim(parts);
            self.at = at;
        } else if parts != 0 {
            self.claim(bit(component));
        }
    }

    pub(super) fn mark(&mut self, parts: u64) {
        self.marks.push(Mark { at: self.at, parts, draft: self.current, path: None });
    }

    /// Takes back those of the marks that `lost` chooses: what they stand for has found no place or lost it.
    pub(crate) fn withdraw(&mut self, of: impl RangeBounds<usize>, lost: impl Fn(&Mark) -> bool) {
        let of = (of.start_bound().cloned(), of.end_bound().cloned());
        for mark in self.marks.get_mut(of).into_iter().flatten().filter(|mark| lost(mark)) {
            mark.withdraw(Reason::AlreadySet, &mut self.refused);
        }
    }

    /// Takes back the marks of what found no place beside a value.
    pub(super) fn withdraw_unplaced(&mut self, extras: &[Aside]) {
        for extra in extras.iter().filter(|extra| !extra.placed) {
            self.withdraw(extra.marks.clone(), |_| true);
        }
    }
}
