//! The JSON of resources while they are being made.
//!
//! Element names are those of the maps and of this crate, so they are never copied; objects are short lists, which is
//! faster than hashing for the dozen elements that a resource has; short texts are stored in place.

use std::fmt::{self, Write as _};

use compact_str::CompactString;

use crate::draft::Handle;

/// A text: in place up to 24 bytes, without a copy where it is a constant.
pub(crate) type Text = CompactString;

/// A JSON value, or a reference that waits for its target's id.
#[derive(Debug, Clone, Default)]
pub(crate) enum Value {
    #[default]
    Null,
    Bool(bool),
    /// A decimal with its digits as they were sent.
    Number(Text),
    String(Text),
    /// The `fullUrl` of another resource of the bundle.
    Link(Handle),
    Array(Vec<Value>),
    Object(Map),
    /// An object of the maps, which is copied when it is changed.
    Constant(&'static Self),
}

/// A JSON object: elements in the order they were added.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map {
    members: Vec<(&'static str, Value)>,
}

/// A place in a [`Map`], filled or not.
pub(crate) struct Entry<'m> {
    map: &'m mut Map,
    key: &'static str,
}

impl Value {
    /// A value of the maps, without a copy where one would cost anything.
    pub(crate) fn constant(value: &'static Self) -> Self {
        if value.is_object() { Self::Constant(value) } else { value.clone() }
    }

    /// The value itself.
    pub(crate) fn plain(&self) -> &Self {
        match self {
            Self::Constant(value) => value,
            value => value,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_link(&self) -> Option<Handle> {
        match self {
            Self::Link(handle) => Some(*handle),
            _ => None,
        }
    }

    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&Vec<Self>> {
        match self {
            Self::Array(list) => Some(list),
            _ => None,
        }
    }

    pub(crate) fn as_array_mut(&mut self) -> Option<&mut Vec<Self>> {
        match self {
            Self::Array(list) => Some(list),
            _ => None,
        }
    }

    pub(crate) fn as_object_mut(&mut self) -> Option<&mut Map> {
        if let Self::Constant(value) = self {
            let copy = (**value).clone();
            *self = copy;
        }
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self, Self::Object(_) | Self::Constant(_))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self.plain() {
            Self::Object(object) => object.get(key),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.as_object_mut()?.get_mut(key)
    }

    /// By JSON Pointer (RFC 6901) without escapes: `/type/coding/0/code`.
    pub(crate) fn pointer(&self, pointer: &str) -> Option<&Self> {
        pointer.split('/').skip(1).try_fold(self, |value, step| match value.plain() {
            Self::Object(object) => object.get(step),
            Self::Array(list) => list.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Writes JSON; `link` writes the address of a resource of the bundle.
    pub(crate) fn write(&self, out: &mut String, link: &impl Fn(Handle, &mut String)) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(digits) => out.push_str(digits),
            Self::String(text) => write_string(text, out),
            Self::Link(handle) => {
                out.push('"');
                link(*handle, out);
                out.push('"');
            }
            Self::Array(list) => {
                out.push('[');
                for (n, value) in list.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    value.write(out, link);
                }
                out.push(']');
            }
            Self::Object(object) => object.write(out, link),
            Self::Constant(value) => value.write(out, link),
        }
    }
}

impl Map {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { members: Vec::with_capacity(capacity) }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn position(&self, key: &str) -> Option<usize> {
        self.members.iter().position(|(name, _)| same(name, key))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.members.iter().find(|(name, _)| same(name, key)).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.members.iter_mut().find(|(name, _)| same(name, key)).map(|(_, value)| value)
    }

    pub(crate) fn contains_key(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    /// Adds an element, or puts the value in the place of the one there.
    pub(crate) fn insert(&mut self, key: &'static str, value: Value) {
        match self.get_mut(key) {
            Some(held) => *held = value,
            None => self.members.push((key, value)),
        }
    }

    /// Adds an element that is not there.
    pub(crate) fn add(&mut self, key: &'static str, value: Value) {
        debug_assert!(!self.contains_key(key), "{key} is there");
        self.members.push((key, value));
    }

    pub(crate) fn entry(&mut self, key: &'static str) -> Entry<'_> {
        Entry { map: self, key }
    }

    /// Takes an element out; the last one takes its place.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Value> {
        self.position(key).map(|at| self.members.swap_remove(at).1)
    }

    /// Takes an element out; those behind it move up.
    pub(crate) fn shift_remove(&mut self, key: &str) -> Option<Value> {
        self.position(key).map(|at| self.members.remove(at).1)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.members.iter().map(|(name, _)| *name)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Value> {
        self.members.iter().map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.members.iter().map(|(name, value)| (*name, value))
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut Value) -> bool) {
        self.members.retain_mut(|(_, value)| keep(value));
    }

    /// Moves all elements of `other` here.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.extend(std::mem::take(other));
    }

    /// As JSON, for keys by content; a reference is the control character 1 and the number of its target, which no
    /// message can hold.
    pub(crate) fn write_key(&self, out: &mut String) {
        self.write(out, &pending);
    }

    /// Writes the object; see [`Value::write`].
    pub(crate) fn write(&self, out: &mut String, link: &impl Fn(Handle, &mut String)) {
        out.push('{');
        for (n, (name, value)) in self.members.iter().enumerate() {
            // Names of elements need no escapes.
            out.push_str(if n > 0 { ",\"" } else { "\"" });
            out.push_str(name);
            out.push_str("\":");
            value.write(out, link);
        }
        out.push('}');
    }
}

impl<'m> Entry<'m> {
    pub(crate) fn or_insert_with(self, make: impl FnOnce() -> Value) -> &'m mut Value {
        let at = self.map.position(self.key).unwrap_or_else(|| {
            self.map.members.push((self.key, make()));
            self.map.members.len() - 1
        });
        &mut self.map.members[at].1
    }
}

/// Whether two names are equal. Most that are of one length differ in their first letter, which is seen without a call.
fn same(name: &str, other: &str) -> bool {
    name.len() == other.len() && name.as_bytes().first() == other.as_bytes().first() && name == other
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self.plain(), other.plain()) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Number(one), Self::Number(other)) | (Self::String(one), Self::String(other)) => {
                one == other
            }
            (Self::Link(one), Self::Link(other)) => one == other,
            (Self::Array(one), Self::Array(other)) => one == other,
            (Self::Object(one), Self::Object(other)) => one == other,
            _ => false,
        }
    }
}

/// As in JSON, the order of elements is no difference.
impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.members.iter().zip(&other.members).all(|((name, value), there)| {
                if *name == there.0 { *value == there.1 } else { other.get(name) == Some(value) }
            })
    }
}

impl Extend<(&'static str, Value)> for Map {
    fn extend<I: IntoIterator<Item = (&'static str, Value)>>(&mut self, members: I) {
        for (name, value) in members {
            self.insert(name, value);
        }
    }
}

impl FromIterator<(&'static str, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (&'static str, Value)>>(members: I) -> Self {
        let mut map = Self::new();
        map.extend(members);
        map
    }
}

impl IntoIterator for Map {
    type Item = (&'static str, Value);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out, &pending);
        f.write_str(&out)
    }
}

fn pending(handle: Handle, out: &mut String) {
    // Writing to a String does not fail.
    let _ = write!(out, "\\u0001{handle}");
}

macro_rules! from {
    ($($kind:ty => |$value:ident| $make:expr),* $(,)?) => {
        $(impl From<$kind> for Value { fn from($value: $kind) -> Self { $make } })*
    };
}
from! {
    bool => |value| Self::Bool(value),
    &'static str => |value| Self::String(Text::const_new(value)),
    String => |value| Self::String(Text::from(value)),
    Text => |value| Self::String(value),
    &Text => |value| Self::String(value.clone()),
    Vec<Value> => |value| Self::Array(value),
    Map => |value| Self::Object(value),
    i32 => |value| Self::Number(compact_str::ToCompactString::to_compact_string(&value)),
    i64 => |value| Self::Number(compact_str::ToCompactString::to_compact_string(&value)),
}

/// Writes a JSON string (RFC 8259, section 7).
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = first_escaped(rest.as_bytes()) {
        let (plain, escaped) = rest.split_at(at);
        out.push_str(plain);
        match escaped.as_bytes().first() {
            Some(b'"') => out.push_str("\\\""),
            Some(b'\\') => out.push_str("\\\\"),
            Some(b'\n') => out.push_str("\\n"),
            Some(b'\r') => out.push_str("\\r"),
            Some(b'\t') => out.push_str("\\t"),
            Some(8) => out.push_str("\\b"),
            Some(12) => out.push_str("\\f"),
            // Writing to a String does not fail.
            Some(byte) => drop(write!(out, "\\u{byte:04x}")),
            None => {}
        }
        rest = escaped.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    out.push('"');
}

fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Whether one of eight bytes is escaped. A byte below a limit gets its high bit when the limit is taken from it. So may
/// the byte above one that borrows, but nothing borrows unless a byte is below.
fn any_escaped(bytes: [u8; 8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let word = u64::from_ne_bytes(bytes);
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\')) & HIGHS != 0
}

fn first_escaped(bytes: &[u8]) -> Option<usize> {
    // Most text needs no escape; eight bytes are looked at as one word.
    let (words, rest) = bytes.as_chunks::<8>();
    let plain = words.iter().take_while(|word| !any_escaped(**word)).count();
    if plain == words.len() {
        // The rest with what stands before it is a word too.
        let last = bytes.last_chunk::<8>().is_some_and(|word| !any_escaped(*word));
        return if last {
            None
        } else {
            rest.iter().position(|byte| is_escaped(*byte)).map(|at| plain * 8 + at)
        };
    }
    let from = plain * 8;
    bytes.get(from..)?.iter().position(|byte| is_escaped(*byte)).map(|found| from + found)
}

/// JSON as it is written, with expressions for values.
macro_rules! json {
    (@count) => { 0 };
    (@count $name:literal : { $($value:tt)* } $(, $($rest:tt)*)?) => { 1 + json!(@count $($($rest)*)?) };
    (@count $name:literal : [ $($value:tt)* ] $(, $($rest:tt)*)?) => { 1 + json!(@count $($($rest)*)?) };
    (@count $name:literal : $value:expr $(, $($rest:tt)*)?) => { 1 + json!(@count $($($rest)*)?) };
    (@object $object:ident $(,)?) => {};
    (@object $object:ident $name:literal : { $($value:tt)* } $(, $($rest:tt)*)?) => {
        $object.add($name, json!({ $($value)* }));
        $(json!(@object $object $($rest)*);)?
    };
    (@object $object:ident $name:literal : [ $($value:tt)* ] $(, $($rest:tt)*)?) => {
        $object.add($name, json!([ $($value)* ]));
        $(json!(@object $object $($rest)*);)?
    };
    (@object $object:ident $name:literal : $value:expr $(, $($rest:tt)*)?) => {
        $object.add($name, $crate::value::Value::from($value));
        $(json!(@object $object $($rest)*);)?
    };
    (@array [$($done:expr,)*]) => { vec![$($done),*] };
    (@array [$($done:expr,)*] { $($value:tt)* } $(, $($rest:tt)*)?) => {
        json!(@array [$($done,)* json!({ $($value)* }),] $($($rest)*)?)
    };
    (@array [$($done:expr,)*] $value:expr $(, $($rest:tt)*)?) => {
        json!(@array [$($done,)* $crate::value::Value::from($value),] $($($rest)*)?)
    };
    ({ $($members:tt)* }) => {{
        #[allow(unused_mut, reason = "an empty object is not changed")]
        let mut object = $crate::value::Map::with_capacity(json!(@count $($members)*));
        json!(@object object $($members)*);
        $crate::value::Value::Object(object)
    }};
    ([ $($items:tt)* ]) => { $crate::value::Value::Array(json!(@array [] $($items)*)) };
    ($value:expr) => { $crate::value::Value::from($value) };
}
pub(crate) use json;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arbitrary() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i32>().prop_map(serde_json::Value::from),
            any::<String>().prop_map(serde_json::Value::from),
            "[ -~\n\t\"\\\\\u{0}-\u{7f}]{0,80}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            let names = prop::sample::select(vec!["id", "status", "code", "valueString"]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::vec((names, inner), 0..6).prop_map(|members| {
                    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
                }),
            ]
        })
    }

    fn own(json: &serde_json::Value) -> Value {
        let name = |name: &str| {
            ["id", "status", "code", "valueString"].into_iter().find(|known| *known == name).unwrap_or("id")
        };
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::from(*value),
            serde_json::Value::Number(value) => Value::Number(value.to_string().into()),
            serde_json::Value::String(value) => Value::String(Text::new(value)),
            serde_json::Value::Array(list) => Value::Array(list.iter().map(own).collect()),
            serde_json::Value::Object(object) => {
                object.iter().map(|(key, value)| (name(key), own(value))).collect::<Map>().into()
            }
        }
    }

    proptest! {
        #[test]
        fn it_writes_what_serde_json_writes(json in arbitrary()) {
            let value = own(&json);
            prop_assert_eq!(value.to_string(), json.to_string());
        }
    }

    #[test]
    fn order_is_no_difference() {
        assert_eq!(
            json!({"id": "a", "code": [{"status": true}]}),
            json!({"code": [{"status": true}], "id": "a"})
        );
        assert_ne!(json!({"id": "a"}), json!({"id": "a", "code": "b"}));
        assert_ne!(json!({"id": "a"}), json!({"code": "a"}));
    }

    #[test]
    fn a_pointer_finds_what_lies_within() {
        let value = json!({"type": {"coding": [{"code": "MR"}]}});
        assert_eq!(value.pointer("/type/coding/0/code").and_then(Value::as_str), Some("MR"));
        assert_eq!(value.pointer("/type/coding/1/code"), None);
    }
}
