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

    #[test]
    fn refuses_short_keys_and_never_prints_them() {
        assert_eq!(SecretKey::from_bytes([7u8; 31]).unwrap_err().code(), "DEID-101");
        let key = SecretKey::from_bytes([65u8; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(***)");
    }

    #[test]
    fn parts_do_not_run_together() {
        let key = SecretKey::from_bytes([1u8; 32]).unwrap();
        assert_ne!(key.mac("p", &[b"ab", b"c"]), key.mac("p", &[b"a", b"bc"]));
        assert_ne!(key.mac("p", &[b"a"]), key.mac("q", &[b"a"]));
    }
}
