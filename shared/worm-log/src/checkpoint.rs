//! Checkpoints of the Merkle log: signed notes (C2SP tlog-checkpoint, signed-note).
//!
//! After origin, size and root a checkpoint has three extension lines: the size and the hash of the checkpoint before it, so
//! that one that is taken away is missed; the time at which it was made, so that it is known which keys count; and how far
//! `audit.manifests` had been read. C2SP advises against extension lines because monitors cannot audit them: this crate's
//! verifier does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use signed_note::Note;

use crate::error::Error;
use crate::manifest::sha256;
use crate::merkle::Hash;
use crate::signing::{SigningKey, VerifyingKeys};

/// Everything that checkpoints live under.
pub const CHECKPOINTS: &str = "log/checkpoint/";
/// Upper bound of a checkpoint's length in bytes.
pub(crate) const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;
const SIZE_DIGITS: usize = 20;

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Leaves of the tree.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
    /// Size of the checkpoint before it, and SHA-256 of its text; `None` for a log's first.
    pub previous: Option<(u64, Hash)>,
    /// When it was made, in whole seconds.
    pub time: jiff::Timestamp,
    /// The first offset of `audit.manifests` that had not been read.
    pub manifests_next: i64,
}

impl Checkpoint {
    /// Object key of the checkpoint of this size, `log/checkpoint/<size:020>`.
    pub fn key(size: u64) -> String {
        format!("{CHECKPOINTS}{size:020}")
    }

    /// Reads a key back. `None` for anything that [`Self::key`] would not write.
    pub fn parse_key(key: &str) -> Option<u64> {
        let digits = key.strip_prefix(CHECKPOINTS)?;
        let spelled = digits.len() == SIZE_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| spelled)
    }

    /// The text that is signed.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for an origin that is empty or has a line break.
    pub fn to_text(&self) -> Result<String, Error> {
        let mut extension = String::new();
        if let Some((size, hash)) = self.previous {
            extension.push_str(&format!("previous {size} {}\n", BASE64.encode(hash)));
        }
        extension.push_str(&format!("time {}\nmanifests {}\n", self.time, self.manifests_next));
        if self.origin.chars().any(char::is_control) {
            return Err(Error::Checkpoint { reason: "its origin has a control character" });
        }
        tlog_tiles::Checkpoint::new(&self.origin, self.size, tlog_tiles::Hash(self.root), &extension)
            .ok()
            .and_then(|checkpoint| String::from_utf8(checkpoint.to_bytes()).ok())
            .ok_or(Error::Checkpoint { reason: "it has no origin" })
    }

    fn from_text(text: &[u8]) -> Result<Self, Error> {
        let malformed = |reason| Error::Checkpoint { reason };
        let parsed = tlog_tiles::Checkpoint::from_bytes(text)
            .map_err(|_| malformed("its text is not origin, size and root"))?;
        let mut lines = parsed.extension().lines().peekable();
        let previous = match lines.next_if(|line| line.starts_with("previous ")) {
            None => None,
            Some(line) => {
                let (size, hash) = line
                    .trim_start_matches("previous ")
                    .split_once(' ')
                    .ok_or(malformed("it names no predecessor"))?;
                let hash: Option<Hash> = BASE64.decode(hash).ok().and_then(|hash| hash.try_into().ok());
                Some((size.parse().ok()).zip(hash).ok_or(malformed("it names no predecessor"))?)
            }
        };
        let time = lines.next().and_then(|line| line.strip_prefix("time ")?.parse().ok());
        let manifests_next = lines.next().and_then(|line| line.strip_prefix("manifests ")?.parse().ok());
        let checkpoint = Self {
            origin: parsed.origin().to_owned(),
            size: parsed.size(),
            root: parsed.hash().0,
            previous,
            time: time.ok_or(malformed("it has no time"))?,
            manifests_next: manifests_next.ok_or(malformed("it does not say how far manifests were read"))?,
        };
        if checkpoint.to_text()?.as_bytes() != text {
            return Err(malformed("it is not in canonical form"));
        }
        Ok(checkpoint)
    }

    /// Signs it.
    ///
    /// # Errors
    /// [`Error::Key`] if the key has another name than the log, or its signatures do not count at the checkpoint's time.
    pub fn sign(self, key: &SigningKey, keys: &VerifyingKeys) -> Result<SignedCheckpoint, Error> {
        if key.name() != self.origin {
            return Err(Error::Key { reason: format!("the key's name is not the log's, {}", self.origin) });
        }
        if !keys.is_empty() && !keys.counts(key.verifying_key(), self.time) {
            return Err(Error::Key {
                reason: format!("signatures of the signing key do not count at {}", self.time),
            });
        }
        SignedCheckpoint::from_bytes(&key.sign(&self.to_text()?)?)
    }
}

/// A checkpoint with its signatures.
#[derive(Debug)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// Reads a note. Its signatures are not verified.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for anything that is no checkpoint of this log, with at least one signature line.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() >= MAX_CHECKPOINT_BYTES {
            return Err(Error::Checkpoint { reason: "64 KiB or longer" });
        }
        let note = Note::from_bytes(bytes).map_err(|_| Error::Checkpoint { reason: "not a signed note" })?;
        // Base64 has more spellings than one, and a repeated line would do no harm: one more reason to accept one form only.
        if note.to_bytes() != bytes {
            return Err(Error::Checkpoint { reason: "its signatures are not in canonical form" });
        }
        Ok(Self { checkpoint: Checkpoint::from_text(note.text())?, note })
    }

    /// The note.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.note.to_bytes()
    }

    /// What it says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// SHA-256 of its text, without the signatures: by this its successor names it.
    pub fn text_sha256(&self) -> Hash {
        sha256(self.note.text())
    }

    /// Whether one of these keys signed it, whose signatures count at the checkpoint's time and whose name is the log's.
    pub fn is_signed_by(&self, keys: &VerifyingKeys) -> bool {
        keys.verify(&self.note, &self.checkpoint.origin, self.checkpoint.time)
    }

    /// Name and id of each key that has signed it, and whether it is one of these keys, whose signature counts and is right. Empty
    /// where [`Self::is_signed_by`] is false.
    pub fn signatures(&self, keys: &VerifyingKeys) -> Vec<(String, u32, bool)> {
        keys.signatures(&self.note, &self.checkpoint.origin, self.checkpoint.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn checkpoint(previous: Option<(u64, Hash)>) -> Checkpoint {
        Checkpoint {
            origin: "ward/audit".to_owned(),
            size: 20_852_163,
            root: [7; 32],
            previous,
            time: "2026-11-23T14:00:00Z".parse().unwrap(),
            manifests_next: 37,
        }
    }

    fn key() -> SigningKey {
        SigningKey::parse(&SigningKey::generate("ward/audit").unwrap()).unwrap()
    }

    #[test]
    fn the_text_is_that_of_the_specification() {
        assert_eq!(
            checkpoint(Some((9, [8; 32]))).to_text().unwrap(),
            "ward/audit\n20852163\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\
             previous 9 CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=\n\
             time 2026-11-23T14:00:00Z\nmanifests 37\n"
        );
        assert_eq!(Checkpoint::key(36), "log/checkpoint/00000000000000000036");
        assert_eq!(Checkpoint::parse_key("log/checkpoint/00000000000000000036"), Some(36));
        for key in ["log/checkpoint/36", "log/checkpoint/+0000000000000000036", "log/checkpoint"] {
            assert_eq!(Checkpoint::parse_key(key), None, "{key}");
        }
    }

    #[test]
    fn notes_read_back_and_verify() {
        let (key, other) = (key(), key());
        let keys = VerifyingKeys::parse(key.verifying_key()).unwrap();
        for previous in [None, Some((9, [8; 32]))] {
            let signed = checkpoint(previous).sign(&key, &keys).unwrap();
            let read = SignedCheckpoint::from_bytes(&signed.to_bytes()).unwrap();
            assert_eq!(*read.checkpoint(), checkpoint(previous));
            assert_eq!(read.text_sha256(), sha256(checkpoint(previous).to_text().unwrap().as_bytes()));
            assert!(read.is_signed_by(&keys));
            let others = VerifyingKeys::parse(other.verifying_key()).unwrap();
            assert!(!read.is_signed_by(&others));
            let [(name, id, true)] = &read.signatures(&keys)[..] else {
                panic!("{:?}", read.signatures(&keys))
            };
            assert!(key.verifying_key().starts_with(&format!("{name}+{id:08x}+")));
            assert_eq!(read.signatures(&others), []);
            // The other signature, by the same name: the text is as the first key signed it, the signature is not.
            let forged = checkpoint(previous).sign(&other, &VerifyingKeys::default()).unwrap();
            assert!(!forged.is_signed_by(&keys));
        }
        let error = checkpoint(None).sign(&other, &keys).unwrap_err();
        assert_eq!(error.code(), "WORM-619");
        let late = format!("{} 2027-01-01T00:00:00Z", key.verifying_key());
        assert!(checkpoint(None).sign(&key, &VerifyingKeys::parse(&late).unwrap()).is_err());
    }

    #[test]
    fn only_one_form_is_a_checkpoint() {
        let note =
            String::from_utf8(checkpoint(None).sign(&key(), &VerifyingKeys::default()).unwrap().to_bytes())
                .unwrap();
        for (from, to) in [
            ("ward/audit\n2", "ward/audit\n02"),
            ("time 2026", "time +002026"),
            ("14:00:00Z", "16:00:00+02"),
            ("manifests 37", "manifests 037"),
            ("manifests 37\n", ""),
            ("manifests 37", "manifests 37\nmore"),
            ("time", "previous 0 x\ntime"),
            ("\n\n—", "\n—"),
        ] {
            assert!(note.contains(from), "{from}");
            let changed = note.replacen(from, to, 1);
            assert!(SignedCheckpoint::from_bytes(changed.as_bytes()).is_err(), "{changed}");
        }
        assert!(SignedCheckpoint::from_bytes(&vec![b'a'; MAX_CHECKPOINT_BYTES]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = SignedCheckpoint::from_bytes(&bytes);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "a\n[0-9]{0,3}\n[A-Za-z0-9=]{0,44}\n(previous [0-9]{0,3} [A-Z=]{0,9}\n)?(time .{0,9}\n)?\n— a AAAAAAAA\n") {
            let _ = SignedCheckpoint::from_bytes(text.as_bytes());
        }
    }
}
