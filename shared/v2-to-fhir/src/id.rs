//! Ids of resources.

use std::sync::LazyLock;

use sha1::{Digest, Sha1};
use uuid::{Builder, Uuid};

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
