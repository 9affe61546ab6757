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
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// Takes the key's bytes, which nobody may be able to guess or to compute again.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key's bytes, for those who wrap it.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(***)")
    }
}

/// Keeps the key-encryption key: a file on one machine, a key management service in production.
///
/// A data key is random and lives nowhere but in its wrapped form, in the vault's entry. Who destroys that has destroyed the key: the
/// key-encryption key cannot make it again.
pub trait KeyEncryption: Send + Sync {
    /// A data key for `context` (the pseudonym) and its wrapped form, which alone is stored. It may be the same for some calls.
    ///
    /// # Errors
    /// [`Error::KeyService`] when the key cannot be had now.
    fn data_key(&self, context: &str) -> Result<(DataKey, Vec<u8>), Error>;

    /// The data key of a wrapped form made for the same `context`.
    ///
    /// # Errors
    /// [`Error::Vault`] when the wrapped form was made under another key or for another context, [`Error::KeyService`] when that cannot be
    /// told now.
    fn unwrap(&self, context: &str, wrapped: &[u8]) -> Result<DataKey, Error>;
}

/// A key-encryption key held in memory, read from a file by the caller.
#[derive(Clone)]
pub struct FileKeyEncryption {
    key: SecretKey,
    former: Vec<SecretKey>,
    random: fn() -> [u8; 32],
}

impl std::fmt::Debug for FileKeyEncryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileKeyEncryption").field("former", &self.former.len()).finish_non_exhaustive()
    }
}

impl FileKeyEncryption {
    /// Keeps the key-encryption key. `random` gives 32 bytes that nobody can guess, different at each call.
    pub fn new(key: SecretKey, random: fn() -> [u8; 32]) -> Self {
        Self { key, former: Vec::new(), random }
    }

    /// The same with keys that were in use before: they open entries and seal none.
    #[must_use]
    pub fn with_former(self, former: Vec<SecretKey>) -> Self {
        Self { former, ..self }
    }
}

impl KeyEncryption for FileKeyEncryption {
    fn data_key(&self, context: &str) -> Result<(DataKey, Vec<u8>), Error> {
        let data_key = DataKey::from_bytes((self.random)());
        let wrapping = Zeroizing::new(self.key.mac("vault/wrapping", &[]));
        let wrapped = seal(&wrapping[..], context.as_bytes(), &data_key.0[..])?;
        Ok((data_key, wrapped))
    }

    fn unwrap(&self, context: &str, wrapped: &[u8]) -> Result<DataKey, Error> {
        // The tag tells which key it was.
        let opened = std::iter::once(&self.key).chain(&self.former).find_map(|key| {
            let wrapping = Zeroizing::new(key.mac("vault/wrapping", &[]));
            open(&wrapping[..], context.as_bytes(), wrapped).ok().map(Zeroizing::new)
        });
        let bytes = opened.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        bytes.map(DataKey::from_bytes).ok_or(Error::Vault { verb: "opened" })
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

/// The nonce is a MAC of what is sealed (a synthetic IV, after RFC 5297): two different plaintexts under one key share a nonce only if
/// HMAC-SHA-256 cut to 192 bits collides, and an observer learns no more than that two entries under one data key are equal.
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
    use std::sync::atomic::{AtomicU8, Ordering};

    use serde_json::json;

    use super::*;

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes([byte; 32]).unwrap()
    }

    fn random() -> [u8; 32] {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        [NEXT.fetch_add(1, Ordering::Relaxed); 32]
    }

    fn keys(byte: u8) -> FileKeyEncryption {
        FileKeyEncryption::new(key(byte), random)
    }

    #[test]
    fn opens_only_with_the_same_key_pseudonym_and_bytes() {
        let identity = json!({"name": [{"family": "Nobody"}], "birthDate": "1970-01-01"});
        let entry = seal_entry(&keys(1), "psn_v1_a", &identity).unwrap();
        assert_eq!(open_vault_entry(&keys(1), &entry).unwrap(), identity);
        assert!(open_vault_entry(&keys(2), &entry).is_err());
        let other = VaultEntry { pseudonym: "psn_v1_b".into(), ..entry.clone() };
        assert!(open_vault_entry(&keys(1), &other).is_err());
        for index in 0..entry.sealed.len() {
            let mut changed = entry.clone();
            changed.sealed[index] ^= 1;
            assert!(open_vault_entry(&keys(1), &changed).is_err(), "byte {index}");
        }
        assert!(!format!("{entry:?}").contains("Nobody"));
        assert_eq!(format!("{:?}", DataKey::from_bytes([65; 32])), "DataKey(***)");
    }

    #[test]
    fn a_new_key_encryption_key_still_opens_what_the_former_one_sealed() {
        let identity = json!({"birthDate": "1970-01-01"});
        let entry = seal_entry(&keys(1), "psn_v1_a", &identity).unwrap();
        let rotated = keys(2).with_former(vec![key(3), key(1)]);
        assert_eq!(open_vault_entry(&rotated, &entry).unwrap(), identity);
        // What is sealed now needs the new key.
        let entry = seal_entry(&rotated, "psn_v1_a", &identity).unwrap();
        assert!(open_vault_entry(&keys(1), &entry).is_err());
        assert!(open_vault_entry(&keys(2), &entry).is_ok());
    }

    /// Erasure: without the wrapped data key, nobody who has everything else can read the entry, the keeper of the key-encryption key
    /// included.
    #[test]
    fn a_destroyed_data_key_makes_the_entry_unreadable() {
        let identity = json!({"name": [{"family": "Nobody"}]});
        let keys = keys(1);
        let entry = seal_entry(&keys, "psn_v1_a", &identity).unwrap();
        let length = usize::from(u16::from_be_bytes([entry.sealed[4], entry.sealed[5]]));
        let body = &entry.sealed[6 + length..];

        let mut none = entry.clone();
        none.sealed = [MAGIC.as_slice(), &[0, 0], body].concat();
        assert_eq!(open_vault_entry(&keys, &none).unwrap_err(), Error::Vault { verb: "opened" });
        // A data key that is asked for again is another one.
        for _ in 0..3 {
            let (_, wrapped) = keys.data_key("psn_v1_a").unwrap();
            let mut other = entry.clone();
            other.sealed = [MAGIC.as_slice(), &(wrapped.len() as u16).to_be_bytes(), &wrapped, body].concat();
            assert_eq!(open_vault_entry(&keys, &other).unwrap_err(), Error::Vault { verb: "opened" });
        }
        // The other patients' entries are as readable as before.
        let other = seal_entry(&keys, "psn_v1_b", &identity).unwrap();
        assert_eq!(open_vault_entry(&keys, &other).unwrap(), identity);
    }
}
