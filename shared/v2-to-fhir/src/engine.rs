//! Rows applied to a message.

mod accounting;
mod lookup;

use std::rc::Rc;

use hl7v2::{Field, Segment};
use rustc_hash::FxHashMap;

use crate::concept;
use crate::document::Narrative;
use crate::draft::{self, Drafts, Handle};
use crate::element::{self, Aside, Placed};
use crate::function;
use crate::id;
use crate::primitive;
use crate::rule::{Beside, Extra, Name, Rule, Via};
use crate::scope::{Parts, Scope, descend};
use crate::slots::Slots;
use crate::table::{MapId, SegmentMap, Tables};
use crate::time::Zones;
use crate::unmapped::{At, Mark, Reason, bit};
use crate::value::{Map, Value};

use lookup::split;

/// Bound on the nesting of data-type maps, against one that holds itself.
const DEPTH: usize = 12;

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
                    self.at = At::segment(index);
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
                self.at = At::field(index, field).repeated(n + 1).within(within);
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
            if id::authority_key(&body, out).is_none() {
                body.write_key(out);
            }
        };
        let name = id::name(&self.facility, kind, key);
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

/// Whether an object has what its map requires.
pub(crate) fn complete(map: &SegmentMap, body: &Map) -> bool {
    map.requires.iter().all(|any| any.iter().any(|element| body.contains_key(element)))
}
