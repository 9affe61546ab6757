use std::collections::BTreeMap;
use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::Error;

const MINIMUM_BYTES: usize = 32;

/// A secret of at least 32 bytes; wiped from memory when dropped, never printed.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<Vec<u8>>);

impl SecretKey {
    /// Takes the key's bytes.
    ///
    /// # Errors
    /// [`Error::KeyTooShort`] for fewer than 32 bytes.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let bytes = Zeroizing::new(bytes.into());
        if bytes.len() < MINIMUM_BYTES {
            return Err(Error::KeyTooShort { got: bytes.len(), minimum: MINIMUM_BYTES });
        }
        Ok(Self(bytes))
    }

    /// HMAC-SHA-256 under this key of the parts, each preceded by its length so that no two lists of parts give the same input.
    pub(crate) fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.0, purpose, parts)
    }

    /// The key of one tenant: what is made under it says nothing of what another tenant's key makes (NIST SP 800-108r1, section 4.1, with
    /// one block, the tenant as context).
    pub(crate) fn of_tenant(&self, tenant: &str) -> SecretKey {
        SecretKey(Zeroizing::new(self.mac("tenant", &[tenant.as_bytes()]).to_vec()))
    }
}

/// The keys of one tenant by version: the newest makes pseudonyms, the older ones only tell what a person was called before.
#[derive(Clone, Debug)]
pub(crate) struct KeyRing {
    version: u32,
    current: SecretKey,
    former: BTreeMap<u32, SecretKey>,
}

impl KeyRing {
    /// Derives the tenant's keys.
    ///
    /// # Errors
    /// [`Error::KeyVersion`] when a former key has the current one's version or a later one.
    pub(crate) fn new(
        version: u32,
        key: &SecretKey,
        former: &BTreeMap<u32, SecretKey>,
        tenant: &str,
    ) -> Result<Self, Error> {
        if let Some((&wrong, _)) = former.range(version..).next() {
            return Err(Error::KeyVersion { version: wrong });
        }
        let former = former.iter().map(|(version, key)| (*version, key.of_tenant(tenant))).collect();
        Ok(Self { version, current: key.of_tenant(tenant), former })
    }

    /// The version that everything new is made with.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// The key that everything new is made with.
    pub(crate) fn current(&self) -> &SecretKey {
        &self.current
    }

    /// `psn_v{version}_{32 hexadecimal digits}`.
    pub(crate) fn pseudonym(&self, authority: &str, identifier: &str) -> String {
        pseudonym(self.version, &self.current, authority, identifier)
    }

    /// The pseudonyms under the former keys, newest first.
    pub(crate) fn former_pseudonyms(&self, authority: &str, identifier: &str) -> Vec<String> {
        let newest_first = self.former.iter().rev();
        newest_first.map(|(version, key)| pseudonym(*version, key, authority, identifier)).collect()
    }
}

fn pseudonym(version: u32, key: &SecretKey, authority: &str, identifier: &str) -> String {
    let mac = key.mac("pseudonym", &[authority.as_bytes(), identifier.as_bytes()]);
    format!("psn_v{version}_{}", hex::encode(&mac[..16]))
}

/// As [`SecretKey::mac`], under any bytes.
pub(crate) fn mac(key: &[u8], purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
    // HMAC hashes keys longer than a block and pads shorter ones (RFC 2104, section 2): no length is refused.
    let mut hmac = match Hmac::<Sha256>::new_from_slice(key) {
        Ok(hmac) => hmac,
        Err(_) => unreachable!("HMAC takes keys of any length"),
    };
    for part in std::iter::once(purpose.as_bytes()).chain(parts.iter().copied()) {
        hmac.update(&(part.len() as u64).to_be_bytes());
        hmac.update(part);
    }
    hmac.finalize().into_bytes().into()
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes([byte; 32]).unwrap()
    }

    #[test]
    fn refuses_short_keys_and_never_prints_them() {
        assert_eq!(SecretKey::from_bytes([7u8; 31]).unwrap_err().code(), "DEID-101");
        assert_eq!(format!("{:?}", key(65)), "SecretKey(***)");
        let ring = KeyRing::new(2, &key(65), &BTreeMap::from([(1, key(66))]), "t").unwrap();
        assert!(!format!("{ring:?}").contains("65"));
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(key(1).mac("p", &[b"ab", b"c"]), key(1).mac("p", &[b"a", b"bc"]));
        assert_ne!(key(1).mac("p", &[b"a"]), key(1).mac("q", &[b"a"]));
    }

    #[test]
    fn a_rotation_names_people_anew_and_still_knows_their_former_names() {
        let before = KeyRing::new(1, &key(1), &BTreeMap::new(), "t").unwrap();
        let after = KeyRing::new(3, &key(3), &BTreeMap::from([(1, key(1)), (2, key(2))]), "t").unwrap();
        let old = before.pseudonym("a", "1");
        assert_ne!(after.pseudonym("a", "1"), old);
        let former = after.former_pseudonyms("a", "1");
        assert_eq!(former.len(), 2);
        assert!(former[0].starts_with("psn_v2_"));
        assert_eq!(former[1], old);
        // Who has the new key alone cannot tell what somebody was called.
        let alone = KeyRing::new(3, &key(3), &BTreeMap::new(), "t").unwrap();
        assert!(alone.former_pseudonyms("a", "1").is_empty());
        for former in [3, 4] {
            let former = BTreeMap::from([(former, key(1))]);
            assert_eq!(KeyRing::new(3, &key(3), &former, "t").unwrap_err().code(), "DEID-104");
        }
    }

    #[test]
    fn tenants_have_keys_of_their_own() {
        let of = |tenant: &str| KeyRing::new(1, &key(1), &BTreeMap::new(), tenant).unwrap();
        assert_ne!(of("a").pseudonym("x", "1"), of("b").pseudonym("x", "1"));
        assert_ne!(of("a").current().mac("p", &[]), of("b").current().mac("p", &[]));
    }
}
