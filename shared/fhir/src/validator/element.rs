//! Objects and their elements: names, JSON types, cardinality and choice types.

use super::{Path, Scope, Walk, shown, suggest};
use crate::definitions::{Element, ElementType, NativeType, Type, TypeKind};
use crate::json::{Kind, Value};
use crate::{ErrorCode, IssueType};

/// What was found for one element of the object at hand: places on the tape.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    value: u32,
    /// The sibling with an underscore.
    sibling: u32,
    choice: u16,
}

impl Slot {
    const NONE: u32 = u32::MAX;
    const EMPTY: Self = Self { value: Self::NONE, sibling: Self::NONE, choice: 0 };

    const fn is_empty(self) -> bool {
        self.value == Self::NONE && self.sibling == Self::NONE
    }
}

/// An element of a type with the type it has here.
#[derive(Clone, Copy)]
pub(super) struct Typed<'w> {
    pub(super) owner: &'w Type,
    pub(super) element: &'w Element,
    pub(super) element_type: &'w ElementType,
    pub(super) kind: &'w Type,
}

impl<'w> Walk<'w> {
    /// Walks an object of a data type, a group or a resource.
    pub(super) fn object(
        &mut self,
        value: Value<'w>,
        kind: &'w Type,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) {
        if self.is_over() {
            return;
        }
        if value.kind() != Kind::Object {
            let message = format!(
                "{} is {}; an object of type {} is expected.",
                path.name(),
                value.kind().described(),
                kind.name()
            );
            self.error(value, path, IssueType::Structure, ErrorCode::JsonType, message);
            return;
        }
        let base = self.slots.len();
        self.slots.resize(base + kind.elements.len(), Slot::EMPTY);
        let substance = self.sort_members(value, kind, path, base);
        if !substance && kind.kind() != TypeKind::Resource {
            self.empty_object(value, path);
        }
        for (index, element) in kind.elements.iter().enumerate() {
            let Some(&slot) = self.slots.get(base + index) else { break };
            if slot.is_empty() {
                if element.min() > 0 {
                    self.missing(value, element, path);
                }
                continue;
            }
            let Some(element_type) = element.types().get(usize::from(slot.choice)) else { continue };
            let typed =
                Typed { owner: kind, element, element_type, kind: self.definitions.typed(element_type.id) };
            let (held, sibling) = (self.tape.value(slot.value), self.tape.value(slot.sibling));
            self.element(typed, held, sibling, path, scope);
        }
        self.slots.truncate(base);
        if !self.is_over() {
            self.invariants(&kind.invariants, value, path, scope);
        }
    }

    /// Puts each member into the slot of its element; says whether there is more than an id.
    fn sort_members(&mut self, value: Value<'w>, kind: &'w Type, path: &Path<'_>, base: usize) -> bool {
        let is_resource = kind.kind() == TypeKind::Resource;
        let mut substance = false;
        let mut typed = false;
        for (key, member) in value.members() {
            if self.is_over() {
                break;
            }
            let name = key.text();
            if is_resource && name == "resourceType" {
                if typed {
                    self.written_twice(key, path);
                }
                typed = true;
                continue;
            }
            let (is_sibling, stem) = name.strip_prefix('_').map_or((false, &*name), |stem| (true, stem));
            let Some(at) = kind.field_at(stem) else {
                substance = true;
                self.unknown(key, stem, kind, path);
                continue;
            };
            if stem == "id" && !is_sibling {
                if !is_resource {
                    self.ids.push(member.id());
                }
            } else {
                substance = true;
            }
            let Some(slot) = self.slots.get_mut(base + usize::from(at.element)) else { continue };
            if !slot.is_empty() && slot.choice != at.choice {
                let name = kind.elements.get(usize::from(at.element)).map_or("", Element::name);
                let message = format!("Only one type of {name} may be present.");
                self.error(key, path, IssueType::Structure, ErrorCode::TooManyValues, message);
                continue;
            }
            slot.choice = at.choice;
            let place = if is_sibling { &mut slot.sibling } else { &mut slot.value };
            if *place == Slot::NONE {
                *place = member.id();
            } else {
                self.written_twice(key, &path.member(stem));
            }
        }
        substance
    }

    fn written_twice(&mut self, key: Value<'w>, path: &Path<'_>) {
        let message = format!("{} is written twice in the same object.", shown(&key.text()));
        self.error(key, path, IssueType::Structure, ErrorCode::DuplicateName, message);
    }

    fn empty_object(&mut self, value: Value<'w>, path: &Path<'_>) {
        let message = "An element needs content; leave empty objects out";
        self.broken(value, path, "ele-1", ErrorCode::Empty, message);
    }

    fn missing(&mut self, value: Value<'w>, element: &Element, path: &Path<'_>) {
        let at = path.member(element.path_name());
        let message = if element.is_choice() {
            let types: Vec<&str> = element.types().iter().take(8).map(ElementType::name).collect();
            format!("{} is required; its type is one of: {}.", element.name(), types.join(", "))
        } else {
            format!("{} is required.", element.name())
        };
        self.error(value, &at, IssueType::Required, ErrorCode::Missing, message);
    }

    fn unknown(&mut self, key: Value<'w>, stem: &str, kind: &'w Type, path: &Path<'_>) {
        let name = key.text();
        let mut message = format!("{} is not an element of {}", shown(&name), kind.name());
        let choice = kind.elements.iter().filter(|element| element.is_choice()).find(|element| {
            let rest = stem.strip_prefix(element.path_name());
            rest.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with(|first: char| first.is_ascii_uppercase())
            })
        });
        if let Some(choice) = choice {
            let types: Vec<&str> = choice.types().iter().take(12).map(ElementType::name).collect();
            message += &format!("; {} is written with its type, one of: {}", choice.name(), types.join(", "));
        } else if stem == "resourceType" {
            message += "; only resources state a resourceType";
        } else if let Some(close) = suggest::closest(stem, kind.json_names()) {
            message += &format!("; did you mean '{close}'?");
        }
        if !message.ends_with('?') {
            message.push('.');
        }
        self.error(key, path, IssueType::Structure, ErrorCode::UnknownElement, message);
    }

    /// One element with all its values.
    fn element(
        &mut self,
        typed: Typed<'w>,
        value: Option<Value<'w>>,
        sibling: Option<Value<'w>>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) {
        let path = path.member(typed.element.path_name());
        let Some(any) = value.or(sibling) else { return };
        if typed.element.max() == Some(0) {
            let message = format!("{} is not allowed here", typed.element.name());
            if typed.element.name() == "comparator" {
                self.broken(any, &path, "sqty-1", ErrorCode::TooManyValues, &message);
            } else {
                let message = message + ".";
                self.error(any, &path, IssueType::Structure, ErrorCode::TooManyValues, message);
            }
            return;
        }
        if let Some(sibling) = sibling
            && typed.kind.primitive.is_none()
        {
            let message = format!(
                "'_{0}' is not allowed: {0} is no primitive value; its extensions stand inside it.",
                typed.element.path_name()
            );
            self.error(sibling, &path, IssueType::Structure, ErrorCode::PrimitiveExtension, message);
        }
        if typed.element.is_list() {
            self.list(typed, value, sibling, &path, scope);
            return;
        }
        if any.kind() == Kind::Array {
            let message = format!("{} is a list; a single value is expected.", typed.element.path_name());
            self.error(any, &path, IssueType::Structure, ErrorCode::JsonType, message);
            return;
        }
        self.one(typed, value, sibling, &path, scope);
    }

    fn list(
        &mut self,
        typed: Typed<'w>,
        value: Option<Value<'w>>,
        sibling: Option<Value<'w>>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) {
        let name = typed.element.path_name();
        let mut usable = true;
        for given in [value, sibling].into_iter().flatten() {
            if given.kind() != Kind::Array {
                usable = false;
                let message =
                    format!("{name} is {}; a list in square brackets is expected.", given.kind().described());
                self.error(given, path, IssueType::Structure, ErrorCode::JsonType, message);
            } else if given.items().next().is_none() {
                let message = format!("{name} is an empty list; leave the element out.");
                self.error(given, path, IssueType::Structure, ErrorCode::Empty, message);
            }
        }
        if !usable {
            return;
        }
        let mut values = value.into_iter().flat_map(Value::items);
        if typed.kind.primitive.is_none() {
            for (index, item) in values.enumerate() {
                if self.is_over() {
                    break;
                }
                self.one(typed, Some(item), None, &path.index(index), scope);
            }
            return;
        }
        if let (Some(value), Some(sibling)) = (value, sibling)
            && value.items().count() != sibling.items().count()
        {
            let message = format!("{name} and _{name} must be of the same length; fill gaps with null.");
            self.error(sibling, path, IssueType::Structure, ErrorCode::PrimitiveExtension, message);
        }
        let mut siblings = sibling.into_iter().flat_map(Value::items);
        let mut index = 0;
        loop {
            let (item, extra) = (values.next(), siblings.next());
            if (item.is_none() && extra.is_none()) || self.is_over() {
                break;
            }
            self.list_primitive(typed, item, extra, &path.index(index), scope);
            index += 1;
        }
    }

    /// One value of an element: a primitive, a resource or an object.
    fn one(
        &mut self,
        typed: Typed<'w>,
        value: Option<Value<'w>>,
        sibling: Option<Value<'w>>,
        path: &Path<'_>,
        scope: &Scope<'_, 'w>,
    ) {
        if typed.kind.primitive.is_some() {
            self.primitive(typed, value, sibling, path, scope);
            return;
        }
        let Some(value) = value else { return };
        if value.kind() == Kind::Null {
            let message = format!("{} is null; leave the element out.", typed.element.path_name());
            self.error(value, path, IssueType::Structure, ErrorCode::JsonType, message);
            return;
        }
        if typed.kind.kind() == TypeKind::Resource {
            self.inner_resource(typed, value, path, scope);
            return;
        }
        self.within.push((typed.owner, typed.element));
        self.object(value, typed.kind, path, scope);
        self.within.pop();
        if value.kind() != Kind::Object {
            return;
        }
        if typed.kind.native != NativeType::Other {
            self.data_type(typed, value, path, scope);
        }
        self.bindings(typed, value, path);
        self.invariants(&typed.element.invariants, value, path, scope);
    }
}
