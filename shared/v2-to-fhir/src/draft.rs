//! Resources while they are being made.

use rustc_hash::FxHashMap;
use uuid::Uuid;

use crate::element;
use crate::id;
use crate::value::{Map, Text, Value, json};

/// Which resource of the [`Drafts`].
pub(crate) type Handle = usize;

/// A resource being made.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) kind: &'static str,
    pub(crate) body: Map,
    /// Place in the message, `OBX/3`, for ids of resources without an identifier.
    pub(crate) origin: Text,
    /// The id and what makes it, for a resource that several segments may name.
    pub(crate) shared: Option<(Uuid, String)>,
}

/// All resources of a message, in the order they were begun.
#[derive(Debug)]
pub(crate) struct Drafts {
    pub(crate) list: Vec<Draft>,
    shared: FxHashMap<Uuid, Handle>,
}

impl Drafts {
    pub(crate) fn new() -> Self {
        // More resources than most messages make.
        Self { list: Vec::with_capacity(32), shared: FxHashMap::default() }
    }

    /// Begins a resource.
    pub(crate) fn begin(&mut self, kind: &'static str, origin: Text) -> Handle {
        self.list.push(Draft { kind, body: Map::with_capacity(16), origin, shared: None });
        self.list.len() - 1
    }

    /// The resource of that name, made from `body` or completed with what `body` adds; and the elements of `body` that
    /// have no place in it, because they hold another value.
    pub(crate) fn share(
        &mut self,
        kind: &'static str,
        name: String,
        body: Map,
    ) -> (Handle, Vec<&'static str>) {
        let id = id::of(&name);
        if let Some(&handle) = self.shared.get(&id) {
            let draft = self.list.get_mut(handle);
            return (handle, draft.map(|draft| element::join(&mut draft.body, body)).unwrap_or_default());
        }
        let handle = self.list.len();
        self.list.push(Draft { kind, body, origin: Text::default(), shared: Some((id, name)) });
        self.shared.insert(id, handle);
        (handle, Vec::new())
    }

    pub(crate) fn body(&mut self, handle: Handle) -> Option<&mut Map> {
        self.list.get_mut(handle).map(|draft| &mut draft.body)
    }
}

/// A reference to a draft.
pub(crate) fn reference(handle: Handle) -> Value {
    json!({"reference": Value::Link(handle)})
}
