//! The identity vault: what a pseudonym stands for, sealed under a key of the patient's own.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::key::mac;
use crate::{Error, SecretKey};

/// Format mark of a sealed entry.
const MAGIC: &[u8; 4] = b"WSV1";
const NONCE_BYTES: usize = 24;

/// A 256-bit key that seals one patient's entry; wiped from memory when dropped.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// Takes the key's bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// Keeps the key-encryption key: a file on one machine, a key management service in production.
pub trait KeyEncryption: Send + Sync {
    /// The data key for `context` (the pseudonym) and its wrapped form, which alone is stored.
    ///
    /// An implementation that always returns the same key for a context makes sealed entries byte-identical on replay.
    ///
    /// # Errors
    /// [`Error::Vault`] when the key cannot be had.
    fn data_key(&self, context: &str) -> Result<(DataKey, Vec<u8>), Error>;

    /// The data key of a wrapped form made for the same `context`.
    ///
    /// # Errors
    /// [`Error::Vault`] when the wrapped form was made under another key or for another context.
    fn unwrap(&self, context: &str, wrapped: &[u8]) -> Result<DataKey, Error>;
}

/// A key-encryption key held in memory, read from a file by the caller.
#[derive(Debug, Clone)]
pub struct FileKeyEncryption {
    key: SecretKey,
}

impl FileKeyEncryption {
    /// Keeps the key-encryption key.
    pub fn new(key: SecretKey) -> Self {
        Self { key }
    }
}

impl KeyEncryption for FileKeyEncryption {
    fn data_key(&self, context: &str) -> Result<(DataKey, Vec<u8>), Error> {
        let data_key = DataKey(Zeroizing::new(self.key.mac("vault/data-key", &[context.as_bytes()])));
        let wrapping = Zeroizing::new(self.key.mac("vault/wrapping", &[]));
        let wrapped = seal(&wrapping[..], context.as_bytes(), &data_key.0[..])?;
        Ok((data_key, wrapped))
    }

    fn unwrap(&self, context: &str, wrapped: &[u8]) -> Result<DataKey, Error> {
        let wrapping = Zeroizing::new(self.key.mac("vault/wrapping", &[]));
        let bytes = Zeroizing::new(open(&wrapping[..], context.as_bytes(), wrapped)?);
        <[u8; 32]>::try_from(bytes.as_slice())
            .map(DataKey::from_bytes)
            .map_err(|_| Error::Vault { verb: "opened" })
    }
}

/// One record of the identity vault.
#[derive(Clone, PartialEq, Eq)]
pub struct VaultEntry {
    /// The pseudonym, the record's key.
    pub pseudonym: String,
    /// `WSV1`, two bytes of length (big-endian), the wrapped data key, a nonce of 24 bytes, then XChaCha20-Poly1305 ciphertext and tag;
    /// the pseudonym is the associated data.
    pub sealed: Vec<u8>,
}

impl std::fmt::Debug for VaultEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VaultEntry")
            .field("pseudonym", &self.pseudonym)
            .field("sealed_bytes", &self.sealed.len())
            .finish()
    }
}

/// Seals what a pseudonym stands for.
pub(crate) fn seal_entry(
    keys: &dyn KeyEncryption,
    pseudonym: &str,
    identity: &serde_json::Value,
) -> Result<VaultEntry, Error> {
    let (data_key, wrapped) = keys.data_key(pseudonym)?;
    let length = u16::try_from(wrapped.len()).map_err(|_| Error::Vault { verb: "sealed" })?;
    let plain = Zeroizing::new(identity.to_string().into_bytes());
    let mut sealed = Vec::with_capacity(64 + wrapped.len() + plain.len());
    sealed.extend_from_slice(MAGIC);
    sealed.extend_from_slice(&length.to_be_bytes());
    sealed.extend_from_slice(&wrapped);
    sealed.extend_from_slice(&seal(&data_key.0[..], pseudonym.as_bytes(), &plain)?);
    Ok(VaultEntry { pseudonym: pseudonym.to_owned(), sealed })
}

/// Opens an entry: the identifying elements of the patient as JSON.
///
/// # Errors
/// [`Error::Vault`] when the key or the pseudonym is another one or the bytes were changed.
pub fn open_vault_entry(keys: &dyn KeyEncryption, entry: &VaultEntry) -> Result<serde_json::Value, Error> {
    const OPENED: Error = Error::Vault { verb: "opened" };
    let rest = entry.sealed.strip_prefix(MAGIC.as_slice()).ok_or(OPENED)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(OPENED)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (wrapped, body) = rest.split_at_checked(length).ok_or(OPENED)?;
    let data_key = keys.unwrap(&entry.pseudonym, wrapped)?;
    let plain = Zeroizing::new(open(&data_key.0[..], entry.pseudonym.as_bytes(), body)?);
    serde_json::from_slice(&plain).map_err(|_| OPENED)
}

/// The nonce is a MAC of what is sealed (a synthetic IV, after RFC 5297): a replay gives the same bytes, two different plaintexts under
/// one key share a nonce only if HMAC-SHA-256 cut to 192 bits collides, and an observer learns no more than that two entries are equal.
fn seal(key: &[u8], context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
    let full = mac(key, "vault/nonce", &[context, plain]);
    let nonce = XNonce::from_slice(&full[..NONCE_BYTES]);
    let cipher_key = Zeroizing::new(mac(key, "vault/cipher", &[]));
    let cipher = XChaCha20Poly1305::new(Key::from_slice(&cipher_key[..]));
    let body = cipher
        .encrypt(nonce, Payload { msg: plain, aad: context })
        .map_err(|_| Error::Vault { verb: "sealed" })?;
    Ok([nonce.as_slice(), &body].concat())
}

fn open(key: &[u8], context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
    const OPENED: Error = Error::Vault { verb: "opened" };
    let (nonce, body) = sealed.split_at_checked(NONCE_BYTES).ok_or(OPENED)?;
    let cipher_key = Zeroizing::new(mac(key, "vault/cipher", &[]));
    let cipher = XChaCha20Poly1305::new(Key::from_slice(&cipher_key[..]));
    cipher.decrypt(XNonce::from_slice(nonce), Payload { msg: body, aad: context }).map_err(|_| OPENED)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(byte: u8) -> FileKeyEncryption {
        FileKeyEncryption::new(SecretKey::from_bytes([byte; 32]).unwrap())
    }

    #[test]
    fn opens_only_with_the_same_key_pseudonym_and_bytes() {
        let identity = json!({"name": [{"family": "Nobody"}], "birthDate": "1970-01-01"});
        let entry = seal_entry(&keys(1), "psn_v1_a", &identity).unwrap();
        assert_eq!(open_vault_entry(&keys(1), &entry).unwrap(), identity);
        assert_eq!(
            seal_entry(&keys(1), "psn_v1_a", &identity).unwrap(),
            entry,
            "a replay seals the same bytes"
        );
        assert!(open_vault_entry(&keys(2), &entry).is_err());
        let other = VaultEntry { pseudonym: "psn_v1_b".into(), ..entry.clone() };
        assert!(open_vault_entry(&keys(1), &other).is_err());
        for index in 0..entry.sealed.len() {
            let mut changed = entry.clone();
            changed.sealed[index] ^= 1;
            assert!(open_vault_entry(&keys(1), &changed).is_err(), "byte {index}");
        }
        assert!(!format!("{entry:?}").contains("Nobody"));
    }
}
