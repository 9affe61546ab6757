//! Rows applied to a message.

use std::borrow::Cow;
use std::ops::RangeBounds;
use std::rc::Rc;

use hl7v2::{Component, Field, Repetition, Segment, Subcomponent};
use rustc_hash::FxHashMap;

use crate::concept;
use crate::condition::{Check, Condition, Test};
use crate::document::Narrative;
use crate::draft::{self, Drafts, Handle};
use crate::element::{self, Aside, Placed};
use crate::function;
use crate::primitive;
use crate::rule::{Beside, Extra, Name, Rule, Source, Via};
use crate::table::{MapId, SegmentMap, Tables};
use crate::time::Zones;
use crate::unmapped::{At, Mark, Reason};
pub(crate) use crate::unmapped::{WITH_PARTS, bit};
use crate::value::{Map, Value};

/// Bound on the nesting of data-type maps, against one that holds itself.
const DEPTH: usize = 12;

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

/// Resources that rows refer to by name. A message fills a dozen slots at most, so looking through them is fast.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    now: Vec<(&'static str, Handle)>,
    /// All that were ever in a slot.
    ever: Vec<(&'static str, Handle)>,
}

impl Slots {
    pub(crate) fn get(&self, slot: &str) -> Option<Handle> {
        self.now.iter().find(|(name, _)| *name == slot).map(|(_, handle)| *handle)
    }

    /// The resource in a slot and those before it, in the order of the message.
    pub(crate) fn all<'s>(&'s self, slot: &'s str) -> impl Iterator<Item = Handle> + 's {
        self.ever.iter().filter(move |(name, _)| *name == slot).map(|(_, handle)| *handle)
    }

    pub(crate) fn insert(&mut self, slot: &'static str, handle: Handle) {
        self.ever.push((slot, handle));
        match self.now.iter_mut().find(|(name, _)| *name == slot) {
            Some((_, held)) => *held = handle,
            None => self.now.push((slot, handle)),
        }
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.now.retain(|(slot, _)| keep(slot));
    }
}

/// A message being converted.
pub(crate) struct Engine<'m> {
    pub(crate) tables: &'static Tables,
    pub(crate) segments: Vec<Segment<'m>>,
    /// Name of each segment.
    pub(crate) names: Vec<Name>,
    /// The fields of all segments, and where those of each segment begin.
    fields: Vec<Field<'m>>,
    starts: Vec<usize>,
    /// For each segment the [`bit`]s of its fields that hold anything.
    present: Vec<u64>,
    /// Component, repetition and subcomponent separators.
    pub(crate) separators: [u8; 3],
    pub(crate) zones: Zones,
    pub(crate) facility: String,
    pub(crate) drafts: Drafts,
    /// Values that were refused, and why.
    pub(crate) refused: Vec<(At, Reason)>,
    /// Which segment of its name each segment is, from 1.
    pub(crate) occurrences: Vec<usize>,
    /// First segment of the group that each segment belongs to, and one past its last.
    pub(crate) groups: Vec<(usize, usize)>,
    /// The value to which rows are being applied.
    at: At,
    /// For each repetition of the OBX-5 that was taken last, which parts of it were.
    pub(crate) taken: Vec<u64>,
    /// What of the message resources hold.
    pub(crate) marks: Vec<Mark>,
    pub(crate) slots: Slots,
    /// The unit of the OBX that was looked at last, and which segment that is.
    pub(crate) unit: Option<(usize, Rc<Map>)>,
    /// Resource whose rows are being applied.
    pub(crate) current: Handle,
    /// Narrative by resource.
    pub(crate) narratives: FxHashMap<Handle, Narrative>,
    depth: usize,
}

impl<'m> Engine<'m> {
    pub(crate) fn new(
        message: &'m hl7v2::Message<'m>,
        tables: &'static Tables,
        zones: Zones,
        facility: String,
    ) -> Self {
        let delimiters = message.delimiters();
        let segments: Vec<_> = message.segments().collect();
        let mut fields = Vec::with_capacity(message.raw().len() / 8);
        let (mut starts, mut present) =
            (Vec::with_capacity(segments.len()), Vec::with_capacity(segments.len()));
        for segment in &segments {
            starts.push(fields.len());
            fields.extend(segment.fields_in_order());
            let written = fields.iter().skip(starts.last().copied().unwrap_or_default()).enumerate();
            let written = written.filter(|(_, field): &(usize, &Field<'_>)| !field.is_empty());
            present.push(written.fold(0, |all, (n, _)| all | bit(n + 1)));
        }
        // There are about as many marks as fields.
        let marks = Vec::with_capacity(fields.len());
        let names: Vec<_> = segments.iter().map(|segment| Name::of(segment.name())).collect();
        let mut counts: FxHashMap<Name, usize> = FxHashMap::default();
        let occurrences =
            names.iter().map(|name| *counts.entry(*name).and_modify(|n| *n += 1).or_insert(1)).collect();
        Self {
            tables,
            segments,
            names,
            fields,
            starts,
            present,
            occurrences,
            separators: [
                delimiters.component,
                delimiters.repetition.unwrap_or(delimiters.component),
                delimiters.subcomponent.unwrap_or(delimiters.component),
            ],
            zones,
            facility,
            drafts: Drafts::new(),
            refused: Vec::new(),
            groups: Vec::new(),
            at: At::default(),
            taken: Vec::new(),
            marks,
            slots: Slots::default(),
            unit: None,
            current: 0,
            narratives: FxHashMap::default(),
            depth: 0,
        }
    }

    /// Whether anything but delimiters, blanks and the null value is written.
    pub(crate) fn valued(&self, raw: &[u8]) -> bool {
        raw != b"\"\"" && raw.iter().any(|b| !self.separators.contains(b) && !b.is_ascii_whitespace())
    }

    /// The fields of a segment, field 1 first.
    pub(crate) fn fields(&self, segment: usize) -> &[Field<'m>] {
        let Some(start) = self.starts.get(segment) else { return &[] };
        let end = self.starts.get(segment + 1).copied().unwrap_or(self.fields.len());
        self.fields.get(*start..end).unwrap_or_default()
    }

    /// How many fields the message has.
    pub(crate) fn places(&self) -> usize {
        self.fields.len()
    }

    /// Which of all fields of the message field `n` of a segment is, from 0.
    pub(crate) fn place(&self, segment: usize, n: usize) -> Option<usize> {
        let end = self.starts.get(segment + 1).copied().unwrap_or(self.fields.len());
        let place = self.starts.get(segment)? + n.checked_sub(1)?;
        (place < end).then_some(place)
    }

    /// Whether a value has no delimiters.
    pub(crate) fn undivided(&self, raw: &[u8]) -> bool {
        let [component, repetition, subcomponent] = self.separators;
        let divides = |byte: &u8| *byte == component || *byte == repetition || *byte == subcomponent;
        !raw.iter().fold(false, |divided, byte| divided | divides(byte))
    }

    /// Whether a field of one repetition without subcomponents holds values in those of its components only whose
    /// [`bit`]s are given.
    pub(crate) fn simple(&self, raw: &[u8], held: u64) -> bool {
        let [separator, repetition, subcomponent] = self.separators;
        let (mut component, mut valued) = (1, 0);
        for byte in raw {
            if *byte == separator {
                component += 1;
            } else if *byte == repetition || *byte == subcomponent {
                return false;
            } else if !byte.is_ascii_whitespace() {
                valued |= bit(component);
            }
        }
        valued & !held == 0
    }

    /// Field `n`, from 1, if it holds anything.
    fn field(&self, segment: usize, n: usize) -> Option<Field<'m>> {
        self.fields(segment).get(n.checked_sub(1)?).filter(|field| !field.is_empty()).copied()
    }

    /// Says that the value that a row is at has no place, and why.
    pub(crate) fn refuse(&mut self, reason: Reason) {
        self.refused.push((self.at, reason));
    }

    /// The same of one component of it.
    pub(crate) fn refuse_part(&mut self, component: usize, reason: Reason) {
        let at = if self.at.component == 0 { At { component, ..self.at } } else { self.at };
        self.refused.push((at, reason));
    }

    /// Repetition of the field that a row is at, from 1.
    pub(crate) fn repetition(&self) -> usize {
        self.at.repetition
    }

    /// Notes which parts of the value that a row is at the resource holds; see [`bit`].
    fn claim(&mut self, used: u64) {
        if used & !WITH_PARTS == 0 || self.at.field == 0 {
            return;
        }
        let parts = if self.at.subcomponent == 0 { used } else { bit(self.at.subcomponent) };
        self.mark(parts);
    }

    fn mark(&mut self, parts: u64) {
        self.marks.push(Mark { at: self.at, parts, draft: self.current, path: None });
    }

    /// Takes back those of the marks that `lost` chooses: what they stand for has found no place or lost it.
    pub(crate) fn withdraw(&mut self, of: impl RangeBounds<usize>, lost: impl Fn(&Mark) -> bool) {
        let of = (of.start_bound().cloned(), of.end_bound().cloned());
        for mark in self.marks.get_mut(of).into_iter().flatten().filter(|mark| lost(mark)) {
            mark.withdraw(Reason::AlreadySet, &mut self.refused);
        }
    }

    /// The same of parts of one component of that value.
    pub(crate) fn claim_part(&mut self, component: usize, parts: u64) {
        let at = self.at;
        if at.component == 0 {
            self.at.component = component;
            self.claim(parts);
            self.at = at;
        } else if parts != 0 {
            self.claim(bit(component));
        }
    }

    /// Applies a map to a segment; the marks of what it used begin at the answer.
    pub(crate) fn apply(&mut self, map: &'static SegmentMap, index: usize, body: &mut Map) -> usize {
        let begun = self.marks.len();
        let (name, present) =
            (self.names.get(index).copied(), self.present.get(index).copied().unwrap_or_default());
        for (need, rule) in map.needs.iter().zip(&map.rules) {
            // Most rows are for fields that are not there.
            if need.fields & present != need.fields && name == Some(need.of) {
                continue;
            }
            let Some((field, within)) = split(&rule.source) else {
                if self.holds(&rule.when, Scope::Segment, index) {
                    self.at = At { segment: index, ..At::default() };
                    self.fire(rule, Scope::Segment, index, body);
                }
                continue;
            };
            let Some(place) = self.peer(index, rule.source.of) else { continue };
            let Some(value) = self.field(place, field) else { continue };
            if !self.holds(&rule.when, Scope::Segment, index) {
                continue;
            }
            let index = place;
            for (n, repetition) in value.repetitions().enumerate() {
                let scope = descend(Scope::Repetition(repetition), within);
                if !self.valued(scope.raw()) {
                    continue;
                }
                self.at = At { segment: index, field, repetition: n + 1, ..At::default() }.within(within);
                self.fire(rule, scope, index, body);
            }
        }
        begun
    }

    /// Applies one row to the value at `self.at`, and notes what it used; what it could not use leaves no trace.
    fn fire(&mut self, rule: &'static Rule, scope: Scope<'m>, index: usize, body: &mut Map) -> bool {
        let (at, before) = (self.at, self.marks.len());
        let mut used = 0;
        let fired = self.put(rule, scope, index, body, &mut used);
        self.at = at;
        if !fired {
            self.marks.truncate(before);
            return false;
        }
        self.claim(used);
        if self.marks.len() == before && at.component != 0 {
            self.claim(bit(1));
        }
        if rule.path.is_some() {
            self.marks.iter_mut().skip(before).for_each(|mark| mark.path = rule.path.as_ref());
        }
        true
    }

    /// Puts the value of one row into `body`; whether it did.
    fn put(
        &mut self,
        rule: &'static Rule,
        scope: Scope<'m>,
        index: usize,
        body: &mut Map,
        used: &mut u64,
    ) -> bool {
        if rule.via == Via::Structure {
            *used = u64::MAX;
            return true;
        }
        let Some(path) = &rule.path else { return self.fill(&rule.via, scope, index, body, used) };
        let (at, before) = (self.at, self.marks.len());
        let more = self.extras(&rule.in_resource, scope, index);
        self.at = at;
        let leaf = self.value(&rule.via, scope, index, used, more);
        self.at = at;
        let Some(leaf) = leaf else { return false };
        let mut extras = self.extras(&rule.beside, scope, index);
        self.at = at;
        // Of what can be out of order, bounds of ranges are quantities and those of periods are texts.
        let quantity = leaf.is_object();
        // A row replaces what another put, not what it put itself for the repetition before.
        let overwrite = rule.overwrite && at.repetition <= 1;
        let placed = element::place(body, path, leaf, &mut extras, overwrite);
        self.withdraw_unplaced(&extras);
        match placed {
            Placed::Yes => true,
            Placed::Replaced => {
                let current = self.current;
                self.withdraw(..before, |mark| mark.draft == current && mark.path == Some(path));
                true
            }
            Placed::Taken => {
                self.refuse(Reason::AlreadySet);
                false
            }
            Placed::OutOfOrder => {
                self.refuse(if quantity { Reason::InvalidNumber } else { Reason::InvalidDate });
                false
            }
        }
    }

    fn extras(&mut self, extras: &'static [Extra], scope: Scope<'m>, index: usize) -> Vec<Aside> {
        if extras.is_empty() {
            return Vec::new();
        }
        let (mut out, here) = (Vec::with_capacity(extras.len()), self.at);
        for extra in extras {
            let path = &extra.path;
            match &extra.from {
                Beside::Constant(value) => {
                    out.push(Aside { path, value: Value::constant(value), marks: 0..0, placed: false });
                }
                Beside::Field(source, via) => {
                    self.at = here;
                    for (target, at) in self.resolve(source, scope, index) {
                        // What the same field says of itself, it says of that repetition.
                        let field = |at: &At| (at.segment, at.field);
                        if field(&at) == field(&here) && at.repetition != here.repetition {
                            continue;
                        }
                        let (mut used, before) = (0, self.marks.len());
                        self.at = at;
                        let value = self.value(via, target, index, &mut used, Vec::new());
                        self.at = at;
                        let Some(value) = value else {
                            self.marks.truncate(before);
                            continue;
                        };
                        self.claim(used);
                        self.marks.iter_mut().skip(before).for_each(|mark| mark.path = Some(path));
                        out.push(Aside { path, value, marks: before..self.marks.len(), placed: false });
                    }
                }
            }
        }
        out
    }

    /// Takes back the marks of what found no place beside a value.
    fn withdraw_unplaced(&mut self, extras: &[Aside]) {
        for extra in extras.iter().filter(|extra| !extra.placed) {
            self.withdraw(extra.marks.clone(), |_| true);
        }
    }

    /// Values that a source names from where a row stands, and where they lie.
    fn resolve(&self, source: &Source, scope: Scope<'m>, index: usize) -> Vec<(Scope<'m>, At)> {
        if !source.field && !matches!(scope, Scope::Segment) {
            let target = descend(scope, source.numbers());
            let at = self.at.within(source.numbers());
            return if self.valued(target.raw()) { vec![(target, at)] } else { Vec::new() };
        }
        let Some(index) = self.peer(index, source.of) else { return Vec::new() };
        let Some((field, within)) = split(source) else {
            return vec![(Scope::Segment, At { segment: index, ..At::default() })];
        };
        let Some(value) = self.field(index, field) else { return Vec::new() };
        value
            .repetitions()
            .enumerate()
            .map(|(n, r)| {
                let at = At { segment: index, field, repetition: n + 1, ..At::default() };
                (descend(Scope::Repetition(r), within), at.within(within))
            })
            .filter(|(scope, _)| self.valued(scope.raw()))
            .collect()
    }

    /// The segment of that name that belongs with the one at `index`: itself, one before it in its group, one after it.
    fn peer(&self, index: usize, name: Name) -> Option<usize> {
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

    /// A row that fills the object itself (`$this`).
    fn fill(
        &mut self,
        via: &'static Via,
        scope: Scope<'m>,
        index: usize,
        body: &mut Map,
        used: &mut u64,
    ) -> bool {
        match via {
            Via::Map(id) => {
                let Some(map) = self.tables.map(*id) else { return false };
                let (before, marked) = (body.len(), self.marks.len());
                self.inner(map, scope, index, body);
                body.len() > before || self.marks.len() > marked
            }
            Via::Function(function) => function::fill(self, function, scope, index, body, used),
            _ => false,
        }
    }

    /// The value of a source by a row's data-type map.
    pub(crate) fn value(
        &mut self,
        via: &'static Via,
        scope: Scope<'m>,
        index: usize,
        used: &mut u64,
        mut more: Vec<Aside>,
    ) -> Option<Value> {
        match via {
            Via::Structure => None,
            Via::Constant(value, mapped) => {
                // A constant for a value that is there says nothing of what it is.
                match mapped {
                    true => *used |= bit(1),
                    false if self.at.field != 0 => self.mark(0),
                    false => {}
                }
                Some(Value::constant(value))
            }
            Via::Primitive(primitive, codes) => {
                let text = scope.text();
                let text = primitive::trim(&text);
                // A coded value without its first coding has another (the guide's CWE[code]).
                let first = !text.is_empty() || codes.is_none();
                let other = if first { "".into() } else { scope.child(4).text() };
                let text = if first { text } else { primitive::trim(&other) };
                if text.is_empty() {
                    return None;
                }
                let value = match codes {
                    Some(id) => self
                        .tables
                        .codes(*id)
                        .and_then(|map| map.rows.get(text))
                        .map(|concept| Value::from(concept.code))
                        .ok_or(Reason::InvalidCode),
                    None => primitive.value(text, &mut self.zones),
                };
                match value {
                    Ok(value) => {
                        // The text of a code goes with the code.
                        *used |= match codes {
                            None => bit(1),
                            Some(_) if first => bit(1) | bit(2) | bit(3),
                            Some(_) => bit(4) | bit(5) | bit(6),
                        };
                        Some(value)
                    }
                    Err(reason) => {
                        self.refuse(reason);
                        None
                    }
                }
            }
            Via::Concept { coding, map, table } => {
                let map = map.and_then(|id| self.tables.codes(id));
                let build = if *coding { concept::single } else { concept::codeable };
                build(self, scope, map, *table, used)
            }
            Via::Map(id) => self.object(*id, scope, index).map(Value::Object),
            Via::Reference(id) => {
                let kind = self.tables.map(*id)?.resource?;
                let first = more.iter().find(|extra| !extra.marks.is_empty());
                let before = first.map_or(self.marks.len(), |extra| extra.marks.start);
                let mut body = self.object(*id, scope, index)?;
                more.iter_mut().for_each(|extra| extra.put(&mut body, false));
                self.withdraw_unplaced(&more);
                Some(self.share(kind, body, before))
            }
            Via::Function(function) => {
                let value = function::value(self, function, scope, index, used)?;
                if !more.is_empty() {
                    let made = value.get("reference").and_then(Value::as_link);
                    if let Some(body) = made.and_then(|handle| self.drafts.body(handle)) {
                        more.iter_mut().for_each(|extra| extra.put(body, false));
                    }
                    self.withdraw_unplaced(&more);
                }
                Some(value)
            }
        }
    }

    /// A reference to the resource with that content, known by its first identifier if an authority makes that unique,
    /// else by its content. The marks of its content are those from `marks` on.
    pub(crate) fn share(&mut self, kind: &'static str, body: Map, marks: usize) -> Value {
        let key = |out: &mut String| {
            if authority_key(&body, out).is_none() {
                body.write_key(out);
            }
        };
        let name = name(&self.facility, kind, key);
        let (handle, differ) = self.drafts.share(kind, name, body);
        if !differ.is_empty() {
            let lost = |mark: &Mark| mark.path.is_some_and(|path| differ.contains(&path.element()));
            self.withdraw(marks.., lost);
        }
        draft::reference(handle)
    }

    /// An object by a data-type map; `None` if it would be empty or lack what the map requires.
    pub(crate) fn object(&mut self, id: MapId, scope: Scope<'m>, index: usize) -> Option<Map> {
        let map = self.tables.map(id)?;
        let mut body = Map::with_capacity(6);
        self.inner(map, scope, index, &mut body);
        if body.is_empty() {
            return None;
        }
        if !complete(map, &body) {
            self.refuse(Reason::IncompleteResource);
            return None;
        }
        Some(body)
    }

    fn inner(&mut self, map: &'static SegmentMap, scope: Scope<'m>, index: usize, body: &mut Map) {
        if self.depth >= DEPTH {
            return;
        }
        self.depth += 1;
        let at = self.at;
        let parts = Parts::of(scope);
        for rule in &map.rules {
            let target = match rule.source.numbers().split_first() {
                Some((n, _)) if usize::from(*n) > parts.count() => continue,
                Some((n, within)) => descend(parts.child(usize::from(*n)), within),
                None => scope,
            };
            if !self.valued(target.raw()) || !self.holds(&rule.when, scope, index) {
                continue;
            }
            self.at = at.within(rule.source.numbers());
            self.fire(rule, target, index, body);
        }
        self.at = at;
        self.depth -= 1;
    }
}

/// The part of a value that numbers lead to.
fn descend<'m>(scope: Scope<'m>, numbers: &[u8]) -> Scope<'m> {
    numbers.iter().fold(scope, |scope, n| scope.child(usize::from(*n)))
}

/// The field of a source and the numbers within it.
fn split(source: &Source) -> Option<(usize, &[u8])> {
    source.numbers().split_first().map(|(field, within)| (usize::from(*field), within))
}

/// Whether an object has what its map requires.
pub(crate) fn complete(map: &SegmentMap, body: &Map) -> bool {
    map.requires.iter().all(|any| any.iter().any(|element| body.contains_key(element)))
}

/// The name of a resource that makes its id: its facility, its type and what it is known by.
pub(crate) fn name(facility: &str, kind: &str, key: impl FnOnce(&mut String)) -> String {
    let mut name = String::with_capacity(128);
    for part in [facility, "|", kind, "|"] {
        name.push_str(part);
    }
    key(&mut name);
    name
}

/// Writes `system|value` of the first identifier, if that names its authority.
fn authority_key(body: &Map, out: &mut String) -> Option<()> {
    let first = body.get("identifier")?.as_array()?.first()?;
    let (system, value) = (first.get("system")?.as_str()?, first.get("value")?.as_str()?);
    [system, "|", value].into_iter().for_each(|part| out.push_str(part));
    Some(())
}

/// Writes `system|value|type` of the first identifier.
pub(crate) fn identifier_key(body: &Map, out: &mut String) -> Option<()> {
    let first = match body.get("identifier")? {
        Value::Array(list) => list.first()?,
        one => one,
    };
    let value = first.get("value")?.as_str()?;
    let system = first.get("system").and_then(Value::as_str).unwrap_or_default();
    // The same number may be both a placer's and a filler's.
    let kind = identifier_type(first).unwrap_or_default();
    [system, "|", value, "|", kind].into_iter().for_each(|part| out.push_str(part));
    Some(())
}

/// The first code of an identifier's type.
pub(crate) fn identifier_type(identifier: &Value) -> Option<&str> {
    identifier.get("type")?.get("coding")?.as_array()?.first()?.get("code")?.as_str()
}
