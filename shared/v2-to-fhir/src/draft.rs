//! Resources while they are being made.

use std::collections::HashMap;

use crate::element;
use crate::value::{Map, Value, json};

/// Which resource of the [`Drafts`].
pub(crate) type Handle = usize;

/// A resource being made.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) kind: &'static str,
    pub(crate) body: Map,
    /// Place in the message, `OBX/3`, for ids of resources without an identifier.
    pub(crate) origin: String,
    /// What the resource is known by, for one that several segments may name.
    pub(crate) key: Option<String>,
}

/// All resources of a message, in the order they were begun.
#[derive(Debug, Default)]
pub(crate) struct Drafts {
    pub(crate) list: Vec<Draft>,
    shared: HashMap<String, Handle>,
}

impl Drafts {
    /// Begins a resource.
    pub(crate) fn begin(&mut self, kind: &'static str, origin: String) -> Handle {
        self.list.push(Draft { kind, body: Map::new(), origin, key: None });
        self.list.len() - 1
    }

    /// The resource known by `key`, made from `body` or completed with what `body` adds; and the elements of `body` that
    /// have no place in it, because they hold another value.
    pub(crate) fn share(&mut self, kind: &'static str, key: &str, body: Map) -> (Handle, Vec<&'static str>) {
        let key = format!("{kind}|{key}");
        if let Some(&handle) = self.shared.get(&key) {
            let draft = self.list.get_mut(handle);
            return (handle, draft.map(|draft| element::join(&mut draft.body, body)).unwrap_or_default());
        }
        let handle = self.list.len();
        self.list.push(Draft { kind, body, origin: String::new(), key: Some(key.clone()) });
        self.shared.insert(key, handle);
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
