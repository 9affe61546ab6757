//! Cosignatures of a witness (C2SP tlog-cosignature v1, Ed25519): "at this time, this was the largest tree of that log I had seen,
//! and it began with every tree I had seen before".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, SignatureError, Signer as _, Verifier as _};
use rand_core::{OsRng, RngCore as _};
use signed_note::{Note, VerifierList};

use crate::checkpoint::SignedCheckpoint;
use crate::error::Error;

/// Timestamped Ed25519, as a signature type of C2SP tlog-cosignature.
const COSIGNATURE: u8 = 4;
const PRIVATE: &str = "PRIVATE+KEY+";
const TIME_BYTES: usize = 8;

fn invalid(reason: &str) -> Error {
    Error::Key { reason: reason.to_owned() }
}

fn message(time: u64, text: &[u8]) -> Vec<u8> {
    [format!("cosignature/v1\ntime {time}\n").as_bytes(), text].concat()
}

/// `<name>+<id>+<key>`, split; the key without its type.
fn parts(text: &str) -> Result<(&str, u32, [u8; 32]), Error> {
    let mut parts = text.splitn(3, '+');
    let (name, id, key) = (parts.next(), parts.next(), parts.next());
    let id = id.filter(|id| id.len() == 8).and_then(|id| u32::from_str_radix(id, 16).ok());
    let key = key.and_then(|key| BASE64.decode(key).ok());
    let key =
        key.as_deref().and_then(|key| key.strip_prefix(&[COSIGNATURE])).and_then(|key| key.try_into().ok());
    match (name, id, key) {
        (Some(name), Some(id), Some(key)) if signed_note::is_key_name_valid(name) => Ok((name, id, key)),
        _ => Err(invalid("not a key of a witness")),
    }
}

fn key_id(name: &str, public: &[u8; 32]) -> u32 {
    signed_note::key_id(name, &[&[COSIGNATURE], public.as_slice()].concat())
}

/// The key of a witness: `PRIVATE+KEY+<name>+<id>+<key>`. It signs nothing but cosignatures.
#[derive(Clone)]
pub struct CosigningKey {
    name: String,
    id: u32,
    key: ed25519_dalek::SigningKey,
}

/// The name and the id, not the key.
impl std::fmt::Debug for CosigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CosigningKey({}+{:08x})", self.name, self.id)
    }
}

impl CosigningKey {
    /// Makes a key of this name from the system's randomness and returns its text, which is a secret.
    ///
    /// # Errors
    /// [`Error::Key`] for a name that is empty or has a space, a plus sign or a control character.
    pub fn generate(name: &str) -> Result<String, Error> {
        if !signed_note::is_key_name_valid(name) || name.chars().any(char::is_control) {
            return Err(invalid("the name is empty or has a space, a plus sign or a control character"));
        }
        let mut seed = [0; 32];
        OsRng.fill_bytes(&mut seed);
        let id = key_id(name, &ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().to_bytes());
        Ok(format!("{PRIVATE}{name}+{id:08x}+{}", BASE64.encode([&[COSIGNATURE], seed.as_slice()].concat())))
    }

    /// Reads a key; white space around it does not count.
    ///
    /// # Errors
    /// [`Error::Key`] for anything else than one such key. The text is not repeated.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim().strip_prefix(PRIVATE).ok_or_else(|| invalid("not a key of a witness"))?;
        let (name, id, seed) = parts(text)?;
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        if id != key_id(name, &key.verifying_key().to_bytes()) {
            return Err(invalid("the id is another key's"));
        }
        Ok(Self { name: name.to_owned(), id, key })
    }

    /// What verifies its cosignatures, `<name>+<id>+<key>`: no secret.
    pub fn verifying_key(&self) -> String {
        let public = self.key.verifying_key().to_bytes();
        let key = BASE64.encode([&[COSIGNATURE], public.as_slice()].concat());
        format!("{}+{:08x}+{key}", self.name, self.id)
    }

    /// Adds a cosignature to a checkpoint. Whether it may be cosigned is not asked here.
    ///
    /// # Errors
    /// [`Error::Key`] for a time before 1970.
    pub(crate) fn cosign(
        &self,
        signed: &SignedCheckpoint,
        time: jiff::Timestamp,
    ) -> Result<SignedCheckpoint, Error> {
        let time = u64::try_from(time.as_second()).map_err(|_| invalid("the clock stands before 1970"))?;
        let malformed = |_| Error::Checkpoint { reason: "it cannot be cosigned" };
        let mut note = Note::from_bytes(&signed.to_bytes()).map_err(malformed)?;
        note.add_sigs(&[&At { key: self, time }]).map_err(malformed)?;
        SignedCheckpoint::from_bytes(&note.to_bytes())
    }
}

/// The key at a time: what is signed holds it.
struct At<'k> {
    key: &'k CosigningKey,
    time: u64,
}

impl signed_note::Signer for At<'_> {
    fn name(&self) -> &str {
        &self.key.name
    }

    fn key_id(&self) -> u32 {
        self.key.id
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let signature = self.key.key.try_sign(&message(self.time, text))?;
        Ok([self.time.to_be_bytes().as_slice(), signature.to_bytes().as_slice()].concat())
    }
}

/// What verifies the cosignatures of one witness.
#[derive(Clone, Debug)]
pub struct WitnessKey {
    name: String,
    id: u32,
    key: ed25519_dalek::VerifyingKey,
}

impl WitnessKey {
    /// Reads a key, `<name>+<id>+<key>` with the type of C2SP tlog-cosignature.
    ///
    /// # Errors
    /// [`Error::Key`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (name, id, public) = parts(text.trim())?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&public)
            .map_err(|_| invalid("not a point of the curve"))?;
        if id != key_id(name, &public) {
            return Err(invalid("the id is another key's"));
        }
        Ok(Self { name: name.to_owned(), id, key })
    }

    /// Whether the witness has cosigned the checkpoint.
    pub fn has_cosigned(&self, signed: &SignedCheckpoint) -> bool {
        let verifiers = VerifierList::new(vec![Box::new(self.clone())]);
        Note::from_bytes(&signed.to_bytes()).is_ok_and(|note| note.verify(&verifiers).is_ok())
    }
}

impl signed_note::Verifier for WitnessKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let Some((time, signature)) = signature.split_first_chunk::<TIME_BYTES>() else { return false };
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        self.key.verify(&message(u64::from_be_bytes(*time), text), &signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::signing::{SigningKey, VerifyingKeys};

    fn checkpoint() -> (SignedCheckpoint, VerifyingKeys) {
        let key = SigningKey::parse(&SigningKey::generate("ward/audit").unwrap()).unwrap();
        let checkpoint = Checkpoint {
            origin: "ward/audit".to_owned(),
            size: 3,
            root: [7; 32],
            previous: None,
            time: "2026-11-23T14:00:00Z".parse().unwrap(),
            manifests_next: 3,
        };
        let keys = VerifyingKeys::parse(key.verifying_key()).unwrap();
        (checkpoint.sign(&key, &keys).unwrap(), keys)
    }

    #[test]
    fn a_cosignature_is_that_of_the_specification() {
        let (signed, keys) = checkpoint();
        let secret = CosigningKey::generate("elsewhere.example/w1").unwrap();
        let key = CosigningKey::parse(&format!("{secret}\n")).unwrap();
        assert!(!format!("{key:?}").contains(secret.rsplit('+').next().unwrap()));
        let witness = WitnessKey::parse(&key.verifying_key()).unwrap();
        assert!(!witness.has_cosigned(&signed));
        let time = jiff::Timestamp::from_second(1_795_000_000).unwrap();
        let cosigned = key.cosign(&signed, time).unwrap();
        assert!(witness.has_cosigned(&cosigned) && cosigned.is_signed_by(&keys));
        assert_eq!(cosigned.checkpoint(), signed.checkpoint());
        // Its line, by hand: key id, time, and a signature over header, time and text.
        let text = String::from_utf8(cosigned.to_bytes()).unwrap();
        let line = text.lines().last().unwrap().strip_prefix("— elsewhere.example/w1 ").unwrap();
        let bytes = BASE64.decode(line).unwrap();
        assert_eq!(bytes.len(), 4 + 8 + 64);
        assert_eq!(bytes[4..12], 1_795_000_000_u64.to_be_bytes());
        let body = text.split_once("\n\n").unwrap().0;
        let message = format!("cosignature/v1\ntime 1795000000\n{body}\n");
        let signature = Signature::from_slice(&bytes[12..]).unwrap();
        assert!(witness.key.verify(message.as_bytes(), &signature).is_ok());
        // Again, later: the line is replaced.
        let later = key.cosign(&cosigned, jiff::Timestamp::from_second(1_795_000_060).unwrap()).unwrap();
        assert_eq!(later.to_bytes().len(), cosigned.to_bytes().len());
        let other = CosigningKey::parse(&CosigningKey::generate("elsewhere.example/w1").unwrap()).unwrap();
        assert!(!WitnessKey::parse(&other.verifying_key()).unwrap().has_cosigned(&later));
    }

    #[test]
    fn keys_of_another_kind_are_refused() {
        let signing = SigningKey::generate("ward/audit").unwrap();
        assert!(CosigningKey::parse(&signing).is_err());
        let verifying = SigningKey::parse(&signing).unwrap();
        assert!(WitnessKey::parse(verifying.verifying_key()).is_err());
        let secret = CosigningKey::generate("w").unwrap();
        assert!(SigningKey::parse(&secret).is_err());
        assert!(CosigningKey::parse(&secret.replace("+w+", "+v+")).is_err());
        assert!(CosigningKey::generate("two words").is_err());
        for text in ["", "w", "w+00000000+AAAA", "PRIVATE+KEY+"] {
            assert!(CosigningKey::parse(text).is_err() && WitnessKey::parse(text).is_err(), "{text}");
        }
    }
}
