//! Elements of a resource with their types: what paths lead over.

use crate::definitions::{Definitions, Element, Type, TypeKind};
use crate::json::{Kind, Value};

/// An element: its value, the sibling with its extensions if it is a primitive, and its type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'t> {
    pub(crate) value: Option<Value<'t>>,
    pub(crate) sibling: Option<Value<'t>>,
    pub(crate) kind: &'t Type,
}

/// A child, and what it is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child<'t> {
    pub(crate) element: &'t Element,
    /// Its place, if the element is a list.
    pub(crate) index: Option<usize>,
    pub(crate) node: Node<'t>,
}

impl<'t> Node<'t> {
    /// A resource by its own resourceType.
    pub(crate) fn resource(definitions: &'t Definitions, value: Value<'t>) -> Option<Self> {
        let kind = definitions.resource_type(&value.get_text("resourceType")?)?;
        Some(Self { value: Some(value), sibling: None, kind })
    }

    /// Identity: two nodes of one tape are the same element if this is the same.
    pub(crate) fn id(self) -> u32 {
        self.value.or(self.sibling).map_or(u32::MAX, Value::id)
    }

    /// What to point at in a message.
    pub(crate) fn at(self) -> Option<Value<'t>> {
        self.value.or(self.sibling)
    }

    pub(crate) const fn is_primitive(self) -> bool {
        self.kind.primitive.is_some()
    }

    /// The children, or those of one name, in the order of the text.
    pub(crate) fn visit(
        self,
        definitions: &'t Definitions,
        wanted: Option<&str>,
        each: &mut dyn FnMut(Child<'t>),
    ) {
        let object = if self.is_primitive() { self.sibling } else { self.value };
        let Some(object) = object.filter(|object| object.kind() == Kind::Object) else { return };
        // Most objects have no `_name`, so it is not looked for at each name.
        let has_siblings = object.members().any(|(key, _)| key.raw().starts_with('_'));
        let sibling_of = |name: &str, kind: &Type| {
            let found = |(key, _): &(Value<'t>, Value<'t>)| key.text().strip_prefix('_') == Some(name);
            let sibling = (has_siblings && kind.primitive.is_some()).then(|| object.members().find(found));
            sibling.flatten().map(|(_, sibling)| sibling)
        };
        if let Some(wanted) = wanted
            && let Some(at) = self.kind.field(wanted)
            && !at.element.is_choice()
        {
            let sibling = sibling_of(wanted, definitions.typed(at.element_type.id));
            self.values(definitions, at, object.get(wanted), sibling, each);
            return;
        }
        for (key, member) in object.members() {
            let name = key.text();
            let (is_sibling, stem) = name.strip_prefix('_').map_or((false, &*name), |stem| (true, stem));
            let Some(at) = self.kind.field(stem) else { continue };
            if wanted.is_some_and(|wanted| at.element.path_name() != wanted) {
                continue;
            }
            if !is_sibling {
                let sibling = sibling_of(stem, definitions.typed(at.element_type.id));
                self.values(definitions, at, Some(member), sibling, each);
            } else if object.get(stem).is_none() {
                self.values(definitions, at, None, Some(member), each);
            }
        }
    }

    fn values(
        self,
        definitions: &'t Definitions,
        at: crate::definitions::Field<'t>,
        value: Option<Value<'t>>,
        sibling: Option<Value<'t>>,
        each: &mut dyn FnMut(Child<'t>),
    ) {
        let kind = definitions.typed(at.element_type.id);
        let mut one = |value: Option<Value<'t>>, sibling: Option<Value<'t>>, index| {
            let present = |value: &Value<'t>| value.kind() != Kind::Null;
            let (value, sibling) = (value.filter(present), sibling.filter(present));
            if value.is_none() && sibling.is_none() {
                return;
            }
            let node = if kind.kind() == TypeKind::Resource {
                value.and_then(|value| Self::resource(definitions, value))
            } else {
                Some(Self { value, sibling, kind })
            };
            let Some(node) = node else { return };
            each(Child { element: at.element, index, node });
        };
        let list = |value: Option<Value<'t>>| value.is_some_and(|value| value.kind() == Kind::Array);
        if !list(value) && !list(sibling) {
            one(value, sibling, None);
            return;
        }
        let mut values = value.into_iter().flat_map(Value::items);
        let mut siblings = sibling.into_iter().flat_map(Value::items);
        for index in 0.. {
            let (value, sibling) = (values.next(), siblings.next());
            if value.is_none() && sibling.is_none() {
                break;
            }
            one(value, sibling, Some(index));
        }
    }
}
