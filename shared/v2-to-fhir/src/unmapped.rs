//! What the bundle does not hold.
//!
//! A resource marks the values it took; a value of the message that no resource of the bundle has marked is listed.

use hl7v2::Field;
use serde::{Deserialize, Serialize};

use crate::draft::Handle;
use crate::element::Path;
use crate::engine::Engine;

/// A value, or all that lies within it, that no element of the bundle holds. Never carries content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmapped {
    /// Name of the segment, `PID`.
    pub segment: String,
    /// Which segment of that name in the message, from 1.
    pub occurrence: usize,
    /// The field, `PID-10`; of a field that repeats the repetition, `PID-3[2]`; the component, `PID-3[2].6`; the
    /// subcomponent, `PID-3[2].4.3`: the widest of which the bundle holds nothing. The segment's name where the whole
    /// segment has no map.
    pub path: String,
    /// Why.
    pub reason: Reason,
}

/// Why a value is not in the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// No row of the maps takes the value, or the row's condition does not hold.
    NoRow,
    /// The message map has no place for the segment.
    SegmentNotExpected,
    /// Not a date or time of the calendar, or too coarse for the element (FHIR `instant` needs a time).
    InvalidDate,
    /// Not a number, or not one that the element can hold.
    InvalidNumber,
    /// Not a code that the element's required value set can hold.
    InvalidCode,
    /// Not a value that the element's FHIR data type can hold.
    InvalidValue,
    /// The element takes one value and already holds another.
    AlreadySet,
    /// The resource or element that would hold it lacks a required part.
    IncompleteResource,
    /// `""`: the sender asks for deletion, which a message bundle cannot express.
    ExplicitNull,
}

/// A place in a message: numbers from 1 within the segment, and 0 for all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    /// Position in the message, from 0.
    pub(crate) segment: u32,
    pub(crate) repetition: u32,
    /// Past the 65,534th all are one: no row reads any of them.
    pub(crate) field: u16,
    pub(crate) component: u16,
    pub(crate) subcomponent: u16,
}

impl At {
    /// A whole segment.
    pub(crate) fn segment(segment: usize) -> Self {
        // A message has at most 1 GiB.
        Self { segment: u32::try_from(segment).unwrap_or(u32::MAX), ..Self::default() }
    }

    /// A whole field.
    pub(crate) fn field(segment: usize, field: usize) -> Self {
        Self { field: small(field), ..Self::segment(segment) }
    }

    /// Repetition `n` of the field.
    pub(crate) fn repeated(self, n: usize) -> Self {
        Self { repetition: u32::try_from(n).unwrap_or(u32::MAX), ..self }
    }

    /// Component `n` of the value.
    pub(crate) fn part(self, n: usize) -> Self {
        Self { component: small(n), ..self }
    }

    /// The place that numbers lead to from here. A value without parts is its own first part.
    pub(crate) fn within(mut self, numbers: &[u8]) -> Self {
        for number in numbers {
            let level = if self.component == 0 { &mut self.component } else { &mut self.subcomponent };
            if *level == 0 {
                *level = u16::from(*number);
            }
        }
        self
    }

    fn holds(&self, leaf: &Self) -> bool {
        let within = |mine: u16, other: u16| mine == 0 || other == 0 || mine == other;
        let repetitions = (self.repetition, leaf.repetition);
        (repetitions.0 == 0 || repetitions.1 == 0 || repetitions.0 == repetitions.1)
            && within(self.component, leaf.component)
            && within(self.subcomponent, leaf.subcomponent)
    }
}

fn small(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// Parts of the value at a place that a resource holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) at: At,
    /// The [`bit`]s of the parts; [`u64::MAX`] for the whole; 0 if none is held.
    pub(crate) parts: u64,
    /// The resource that holds them, or refers to the one that does.
    pub(crate) draft: Handle,
    /// Where in it, as far as a row says.
    pub(crate) path: Option<&'static Path>,
}

/// Part `n` of a value: a component, of which the first subcomponent is meant, or a subcomponent. Parts past the 62nd
/// share one bit.
pub(crate) fn bit(n: usize) -> u64 {
    1 << n.clamp(1, 63)
}

/// Added to bits: all subcomponents of the components are meant.
pub(crate) const WITH_PARTS: u64 = 1;

impl Mark {
    /// Whether it is for this subcomponent.
    fn takes(&self, leaf: &At) -> bool {
        if !self.at.holds(leaf) {
            return false;
        }
        if self.parts == u64::MAX {
            return true;
        }
        match (self.at.component, self.at.subcomponent) {
            (0, _) => {
                self.parts & bit(leaf.component.into()) != 0
                    && (leaf.subcomponent == 1 || self.parts & WITH_PARTS != 0)
            }
            (_, 0) => self.parts & bit(leaf.subcomponent.into()) != 0,
            _ => self.parts != 0,
        }
    }

    /// The [`bit`]s of the components of the first repetition of which it takes at least the first subcomponent.
    fn first_values(&self) -> u64 {
        match self.at {
            _ if self.parts == u64::MAX && self.at.repetition == 0 => u64::MAX,
            At { repetition: 1, component: 0, subcomponent: 0, .. } => self.parts,
            // Past the 62nd a bit does not say which component it is.
            At { repetition: 1, component: component @ 1..63, subcomponent, .. } => {
                let alone = At { subcomponent: 1, ..self.at };
                if subcomponent <= 1 && self.takes(&alone) { bit(component.into()) } else { 0 }
            }
            _ => 0,
        }
    }

    /// Takes the mark back, into `refused`.
    pub(crate) fn withdraw(&mut self, reason: Reason, refused: &mut Vec<(At, Reason)>) {
        let parts = std::mem::take(&mut self.parts);
        if self.at.component != 0 || parts == u64::MAX {
            refused.push((self.at, reason));
            return;
        }
        let components = (1..=63).filter(|n| parts & bit(*n) != 0);
        refused.extend(components.map(|component| (self.at.part(component), reason)));
    }
}

/// Walks the message and lists what is not marked.
pub(crate) struct Listing<'e, 'm> {
    engine: &'e Engine<'m>,
    /// Number of the first mark of each field, and for each mark that of the next one of its field. There are as many
    /// marks as values, so sorting them would take longer than all else here.
    first: Vec<Option<usize>>,
    next: Vec<Option<usize>>,
    /// For each field the [`bit`]s of the components of its first repetition whose first value is held.
    held: Vec<u64>,
    /// By place; the first reason for a place comes first.
    refused: Vec<(At, Reason)>,
    /// Marks of the field that is looked at.
    here: Vec<&'e Mark>,
    out: Vec<Unmapped>,
}

impl<'e, 'm> Listing<'e, 'm> {
    /// A listing of what resources of the bundle, which is what `kept` says, have not marked.
    pub(crate) fn new(engine: &'e Engine<'m>, kept: impl Fn(Handle) -> bool) -> Self {
        let (mut first, mut next) = (vec![None; engine.places()], vec![None; engine.marks.len()]);
        let mut held = vec![0; engine.places()];
        let mut dropped = Vec::new();
        for (n, mark) in engine.marks.iter().enumerate().rev() {
            if !kept(mark.draft) {
                dropped.push((mark.at, Reason::IncompleteResource));
                continue;
            }
            let place =
                engine.place(mark.at.segment as usize, mark.at.field.into()).filter(|_| mark.parts != 0);
            let Some(place) = place else { continue };
            if let (Some(first), Some(next)) = (first.get_mut(place), next.get_mut(n)) {
                *next = first.replace(n);
            }
            if let Some(held) = held.get_mut(place) {
                *held |= mark.first_values();
            }
        }
        let mut refused = engine.refused.clone();
        refused.extend(dropped.into_iter().rev());
        refused.sort_by_key(|(at, _)| (at.segment, at.field, at.repetition));
        Self { engine, first, next, held, refused, here: Vec::new(), out: Vec::new() }
    }

    /// `unexpected` says of each segment whether the message map has no place for it.
    pub(crate) fn list(mut self, unexpected: &[bool]) -> Vec<Unmapped> {
        let engine = self.engine;
        for index in 0..engine.segments.len() {
            if unexpected.get(index) == Some(&true) {
                self.push(index, String::new(), Reason::SegmentNotExpected);
                continue;
            }
            // MSH-1 and MSH-2 are delimiters.
            let delimiters = if index == 0 { 2 } else { 0 };
            for (n, field) in engine.fields(index).iter().enumerate().skip(delimiters) {
                let n = n + 1;
                let held = engine.place(index, n).and_then(|place| self.held.get(place));
                if field.is_empty() || held.is_some_and(|held| engine.simple(field.raw(), *held)) {
                    continue;
                }
                let alone = At { subcomponent: 1, ..At::field(index, n).repeated(1).part(1) };
                if engine.undivided(field.raw()) && self.marks(index, n).any(|mark| mark.takes(&alone)) {
                    continue;
                }
                let mut here = std::mem::take(&mut self.here);
                here.extend(self.marks(index, n));
                here.sort_by_key(|mark| mark.at.repetition);
                self.field(index, n, *field, &here);
                here.clear();
                self.here = here;
            }
        }
        self.out
    }

    /// The marks of a field.
    fn marks(&self, segment: usize, field: usize) -> impl Iterator<Item = &'e Mark> {
        let (engine, next) = (self.engine, &self.next);
        let first = engine.place(segment, field).and_then(|place| *self.first.get(place)?);
        let numbers = std::iter::successors(first, move |n| *next.get(*n)?);
        numbers.filter_map(move |n| engine.marks.get(n))
    }

    fn push(&mut self, index: usize, place: String, reason: Reason) {
        let Some(segment) = self.engine.segments.get(index) else { return };
        let occurrence = self.engine.occurrences.get(index).copied().unwrap_or_default();
        let (name, path) = (segment.name(), format!("{}{place}", segment.name()));
        self.out.push(Unmapped { segment: name.to_owned(), occurrence, path, reason });
    }

    /// Lists what of one field is not among its marks, which are sorted by repetition.
    fn field(&mut self, index: usize, n: usize, field: Field<'_>, marks: &[&Mark]) {
        if !(field.is_null() || self.engine.valued(field.raw())) {
            return;
        }
        // Marks of all repetitions come first.
        let (of_field, mut marks) = marks.split_at(marks.partition_point(|mark| mark.at.repetition == 0));
        if of_field.iter().any(|mark| mark.parts == u64::MAX) {
            return;
        }
        let whole = At::field(index, n);
        let here = (whole.segment, whole.field);
        let begin = self.refused.partition_point(|(at, _)| (at.segment, at.field) < here);
        let end = self.refused.partition_point(|(at, _)| (at.segment, at.field) <= here);
        let mut refused = self.refused.get(begin..end).unwrap_or_default();
        let valued = |raw: &[u8]| raw == b"\"\"" || self.engine.valued(raw);
        let repeats = field.repetition_count() > 1;
        let mut found: Vec<(String, Reason)> = Vec::new();
        let mut all = true;
        for (r, repetition) in field.repetitions().enumerate().filter(|(_, r)| valued(r.raw())) {
            let at = whole.repeated(r + 1);
            marks = marks
                .get(marks.partition_point(|mark| mark.at.repetition < at.repetition)..)
                .unwrap_or_default();
            refused = refused
                .get(refused.partition_point(|(of, _)| of.repetition < at.repetition)..)
                .unwrap_or_default();
            let here = marks
                .get(..marks.partition_point(|mark| mark.at.repetition == at.repetition))
                .unwrap_or_default();
            let why = refused
                .get(..refused.partition_point(|(of, _)| of.repetition == at.repetition))
                .unwrap_or_default();
            let reason = |leaf: &At, null: bool| match why.iter().find(|(at, _)| at.holds(leaf)) {
                _ if null => Reason::ExplicitNull,
                Some((_, reason)) => *reason,
                None => Reason::NoRow,
            };
            if here.iter().any(|mark| mark.parts == u64::MAX && mark.at.component == 0) {
                all = false;
                continue;
            }
            // Most rows take components by their number; what lies deeper is looked for mark by mark.
            let by_component = here.iter().filter(|mark| mark.at.component == 0);
            let components = by_component.fold(0, |all, mark| all | mark.parts);
            let (mut parts, mut none) = (Vec::new(), true);
            for (c, component) in repetition.components().enumerate().filter(|(_, c)| valued(c.raw())) {
                let at = at.part(c + 1);
                let (mut missed, mut taken) = (Vec::new(), false);
                for (s, part) in component.subcomponents().enumerate().filter(|(_, s)| valued(s.raw())) {
                    let at = At { subcomponent: small(s + 1), ..at };
                    let whole = s == 0 && components & bit(c + 1) != 0;
                    if whole || here.iter().any(|mark| mark.takes(&at)) {
                        taken = true;
                    } else {
                        missed.push((s + 1, reason(&at, part.is_null())));
                    }
                }
                none &= !taken;
                let c = c + 1;
                match missed.as_slice() {
                    [] => {}
                    [(_, why), ..] if !taken => parts.push((format!(".{c}"), *why)),
                    some => parts.extend(some.iter().map(|(s, why)| (format!(".{c}.{s}"), *why))),
                }
            }
            let place = if repeats { format!("[{}]", r + 1) } else { String::new() };
            if none && let Some((_, why)) = parts.first() {
                found.push((place, *why));
            } else {
                all = false;
                found.extend(parts.into_iter().map(|(part, why)| (format!("{place}{part}"), why)));
            }
        }
        match found.first() {
            None => {}
            Some((_, why)) if all && found.iter().all(|(_, other)| other == why) => {
                let why = *why;
                self.push(index, format!("-{n}"), why);
            }
            Some(_) => {
                for (place, why) in found {
                    self.push(index, format!("-{n}{place}"), why);
                }
            }
        }
    }
}
