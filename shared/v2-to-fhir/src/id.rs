//! Ids of resources, and what they are made from.

use std::sync::LazyLock;

use sha1::{Digest, Sha1};
use uuid::{Builder, Uuid};

use crate::value::{Map, Value};

/// Namespace of all ids: UUIDv5 of the project's URL in the URL namespace of RFC 9562.
static NAMESPACE: LazyLock<Uuid> = LazyLock::new(|| {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, b"https://github.com/wardstream/wardstream/v2-to-fhir")
});

/// The UUIDv5 of a name (RFC 9562, section 5.5). `uuid` has the same with a SHA-1 that no processor helps.
pub(crate) fn of(name: &str) -> Uuid {
    let digest = Sha1::new().chain_update(NAMESPACE.as_bytes()).chain_update(name).finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    Builder::from_sha1_bytes(bytes).into_uuid()
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
pub(crate) fn authority_key(body: &Map, out: &mut String) -> Option<()> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_uuid_of_version_5(name in ".{0,200}") {
            prop_assert_eq!(of(&name), Uuid::new_v5(&NAMESPACE, name.as_bytes()));
        }
    }
}
