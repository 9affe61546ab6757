//! Keys of the Merkle log, in the encodings of C2SP signed-note, and the times in which each counts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rand_core::{OsRng, RngCore as _};
use signed_note::{Note, Signature, Signer as _, StandardSigner, StandardVerifier, Verifier, VerifierList};

use crate::error::Error;

/// Ed25519, as a signature type of C2SP signed-note.
const ED25519: u8 = 1;
const PRIVATE: &str = "PRIVATE+KEY+";

fn invalid(reason: impl Into<String>) -> Error {
    Error::Key { reason: reason.into() }
}

/// A key that signs checkpoints: `PRIVATE+KEY+<name>+<id>+<key>`. Its name is the log's origin.
#[derive(Clone)]
pub struct SigningKey {
    signer: StandardSigner,
    verifying: String,
}

/// The name and the id, not the key.
impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({}+{:08x})", self.signer.name(), self.signer.key_id())
    }
}

impl SigningKey {
    /// Makes a key of this name from the system's randomness and returns its text, which is a secret.
    ///
    /// # Errors
    /// [`Error::Key`] for a name that is empty or has a space, a plus sign or a control character.
    pub fn generate(name: &str) -> Result<String, Error> {
        let mut seed = [0; 32];
        OsRng.fill_bytes(&mut seed);
        Self::from_seed(name, &seed)
    }

    fn from_seed(name: &str, seed: &[u8; 32]) -> Result<String, Error> {
        if !signed_note::is_key_name_valid(name) || name.chars().any(char::is_control) {
            return Err(invalid("the name is empty or has a space, a plus sign or a control character"));
        }
        let public = ed25519_dalek::SigningKey::from_bytes(seed).verifying_key().to_bytes();
        let id = signed_note::key_id(name, &[&[ED25519], public.as_slice()].concat());
        let key = BASE64.encode([&[ED25519], seed.as_slice()].concat());
        Ok(format!("{PRIVATE}{name}+{id:08x}+{key}"))
    }

    /// Reads a key; white space around it does not count.
    ///
    /// # Errors
    /// [`Error::Key`] for anything else than one Ed25519 key in this encoding. The text is not repeated.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let signer = StandardSigner::new(text).map_err(|error| invalid(format!("signing key: {error}")))?;
        // From the front: base64 has plus signs too.
        let secret = text.splitn(5, '+').nth(4).and_then(|key| BASE64.decode(key).ok());
        let seed: Option<[u8; 32]> =
            secret.as_deref().and_then(|key| key.get(1..)).and_then(|seed| seed.try_into().ok());
        let seed = seed.ok_or_else(|| invalid("signing key: malformed"))?;
        let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
        let verifying = signed_note::new_ed25519_verifier_key(signer.name(), &public);
        Ok(Self { signer, verifying })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.signer.name()
    }

    /// What verifies its signatures, `<name>+<id>+<key>`: no secret.
    pub fn verifying_key(&self) -> &str {
        &self.verifying
    }

    /// Signs a text that ends in a newline and returns the note.
    pub(crate) fn sign(&self, text: &str) -> Result<Vec<u8>, Error> {
        let malformed = |_| Error::Checkpoint { reason: "its text cannot be a note" };
        let mut note = Note::new(text.as_bytes(), &[]).map_err(malformed)?;
        note.add_sigs(&[&self.signer]).map_err(malformed)?;
        Ok(note.to_bytes())
    }
}

/// A key that verifies checkpoints, and when its signatures count.
#[derive(Clone)]
struct VerifyingKey {
    verifier: StandardVerifier,
    text: String,
    from: Option<jiff::Timestamp>,
    until: Option<jiff::Timestamp>,
}

impl VerifyingKey {
    fn counts(&self, time: jiff::Timestamp) -> bool {
        self.from.is_none_or(|from| from <= time) && self.until.is_none_or(|until| time < until)
    }
}

/// The keys by which a log is trusted.
#[derive(Clone, Default)]
pub struct VerifyingKeys(Vec<VerifyingKey>);

impl std::fmt::Debug for VerifyingKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.text)).finish()
    }
}

impl VerifyingKeys {
    /// Reads a list of keys, one a line: `<name>+<id>+<key> [FROM [UNTIL]]`. The key's signatures count from the first time
    /// on and before the second (RFC 3339, `-` for no bound). Empty lines and those that begin with `#` do not count.
    ///
    /// # Errors
    /// [`Error::Key`] with the number of the line that is wrong, or if there is no key.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut keys: Vec<VerifyingKey> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let wrong = |reason: String| invalid(format!("line {}: {reason}", number + 1));
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let text = words.next().unwrap_or_default();
            if text.starts_with(PRIVATE) {
                return Err(wrong("a signing key has no place among the keys that verify".to_owned()));
            }
            let verifier = StandardVerifier::new(text).map_err(|error| wrong(error.to_string()))?;
            let mut time = || match words.next() {
                None | Some("-") => Ok(None),
                Some(word) => word
                    .parse::<jiff::Timestamp>()
                    .map(Some)
                    .map_err(|_| wrong("a time is not in RFC 3339".to_owned())),
            };
            let (from, until) = (time()?, time()?);
            if words.next().is_some() {
                return Err(wrong("there is more than a key and two times".to_owned()));
            }
            if from.zip(until).is_some_and(|(from, until)| from >= until) {
                return Err(wrong("the key never counts".to_owned()));
            }
            if keys.iter().any(|key| key.text == text) {
                return Err(wrong("the key is there twice".to_owned()));
            }
            keys.push(VerifyingKey { verifier, text: text.to_owned(), from, until });
        }
        if keys.is_empty() {
            return Err(invalid("there is no verifying key"));
        }
        Ok(Self(keys))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the list has this key, at any time.
    pub fn contains(&self, verifying_key: &str) -> bool {
        self.0.iter().any(|key| key.text == verifying_key)
    }

    /// Whether signatures of this key count at this time.
    pub fn counts(&self, verifying_key: &str, time: jiff::Timestamp) -> bool {
        self.0.iter().any(|key| key.text == verifying_key && key.counts(time))
    }

    /// The names and ids of the keys that have signed a note, each with whether one of these keys verifies it at this time.
    pub(crate) fn signatures(
        &self,
        note: &Note,
        name: &str,
        time: jiff::Timestamp,
    ) -> Vec<(String, u32, bool)> {
        let named = |signatures: &[Signature], verified| {
            signatures
                .iter()
                .map(|signature| (signature.name().to_owned(), signature.id(), verified))
                .collect::<Vec<_>>()
        };
        match note.verify(&self.verifiers(name, time)) {
            Ok((verified, unverified)) => [named(&verified, true), named(&unverified, false)].concat(),
            Err(_) => Vec::new(),
        }
    }

    fn verifiers(&self, name: &str, time: jiff::Timestamp) -> VerifierList {
        let counting = self.0.iter().filter(|key| key.verifier.name() == name && key.counts(time));
        VerifierList::new(counting.map(|key| Box::new(key.verifier.clone()) as Box<dyn Verifier>).collect())
    }

    /// Whether the note has a signature of a key of this name that counts at this time, and no wrong one of such a key.
    pub(crate) fn verify(&self, note: &Note, name: &str, time: jiff::Timestamp) -> bool {
        note.verify(&self.verifiers(name, time)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the signature of the example in C2SP signed-note.
    const EXAMPLE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const EXAMPLE_VERIFYING: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    fn time(text: &str) -> jiff::Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_example_of_the_specification_signs_and_verifies() {
        let key = SigningKey::parse(&format!("{EXAMPLE}\n")).unwrap();
        assert_eq!((key.name(), key.verifying_key()), ("PeterNeumann", EXAMPLE_VERIFYING));
        assert!(!format!("{key:?}").contains("AYEKFAL"));
        let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let note = key.sign(text).unwrap();
        assert!(String::from_utf8(note.clone()).unwrap().ends_with(
            "\n\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        ));
        let keys = VerifyingKeys::parse(EXAMPLE_VERIFYING).unwrap();
        let note = Note::from_bytes(&note).unwrap();
        assert!(keys.verify(&note, "PeterNeumann", time("2026-01-01T00:00:00Z")));
        assert!(!keys.verify(&note, "EnochRoot", time("2026-01-01T00:00:00Z")));
    }

    #[test]
    fn keys_count_in_their_time() {
        let list = format!(
            "# the first\n\n{EXAMPLE_VERIFYING} 2026-01-01T00:00:00Z 2027-01-01T00:00:00Z\n{} 2027-01-01T00:00:00Z\n",
            SigningKey::parse(&SigningKey::from_seed("PeterNeumann", &[7; 32]).unwrap())
                .unwrap()
                .verifying_key()
        );
        let keys = VerifyingKeys::parse(&list).unwrap();
        let note = SigningKey::parse(EXAMPLE).unwrap().sign("text\n").unwrap();
        let note = Note::from_bytes(&note).unwrap();
        for (at, counts) in [
            ("2025-12-31T23:59:59Z", false),
            ("2026-01-01T00:00:00Z", true),
            ("2026-12-31T23:59:59Z", true),
            ("2027-01-01T00:00:00Z", false),
        ] {
            assert_eq!(keys.verify(&note, "PeterNeumann", time(at)), counts, "{at}");
            assert_eq!(keys.counts(EXAMPLE_VERIFYING, time(at)), counts, "{at}");
        }
        assert!(keys.contains(EXAMPLE_VERIFYING));
    }

    #[test]
    fn lists_that_are_wrong_name_the_line() {
        let says = |list: &str| VerifyingKeys::parse(list).unwrap_err().to_string();
        assert!(says("").contains("no verifying key"));
        assert!(says("\nnonsense").contains("line 2"));
        assert!(says(EXAMPLE).contains("line 1: a signing key has no place"));
        assert!(!says(EXAMPLE).contains("AYEKFAL"));
        assert!(says(&format!("{EXAMPLE_VERIFYING} yesterday")).contains("RFC 3339"));
        assert!(says(&format!("{EXAMPLE_VERIFYING} - - -")).contains("more than"));
        assert!(
            says(&format!("{EXAMPLE_VERIFYING}\n{EXAMPLE_VERIFYING}"))
                .contains("line 2: the key is there twice")
        );
        assert!(
            says(&format!("{EXAMPLE_VERIFYING} 2026-01-01T00:00:00Z 2026-01-01T00:00:00Z")).contains("never")
        );
    }

    #[test]
    fn made_keys_differ_and_names_are_checked() {
        let (one, two) =
            (SigningKey::generate("ward/audit").unwrap(), SigningKey::generate("ward/audit").unwrap());
        assert_ne!(one, two);
        for seed in 0..=255 {
            let text = SigningKey::from_seed("ward/audit", &[seed; 32]).unwrap();
            assert!(SigningKey::parse(&text).is_ok(), "{seed}");
        }
        assert_eq!(SigningKey::parse(&one).unwrap().name(), "ward/audit");
        for name in ["", "a b", "a+b", "a\n"] {
            assert!(SigningKey::generate(name).is_err(), "{name:?}");
        }
        for text in ["", "PRIVATE+KEY+a+00000000+AAAA", EXAMPLE_VERIFYING] {
            let error = SigningKey::parse(text).unwrap_err();
            assert_eq!(error.code(), "WORM-619");
        }
    }
}
