//! The link that acknowledges an event: who has it may acknowledge this one event, until it expires, and nothing else.
//!
//! Its last part is base64url of the event's id (16 bytes), the time it expires (seconds since the epoch, 4 bytes, big
//! endian), the step of the escalation that it was sent in (1 byte), and the first 16 bytes of HMAC-SHA-256 over all that
//! (RFC 2104, section 5: no less than half the hash). It names nobody.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use contracts::EventId;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use url::Url;
use uuid::Uuid;

use crate::Error;

/// Signed with the rest, so that the key's signatures are of use for nothing else.
const PURPOSE: &[u8] = b"wardstream acknowledge/1\0";
const BODY: usize = 16 + 4 + 1;
const MAC: usize = 16;
/// Bytes of a key.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 32..=64;
/// First part of the path.
pub(crate) const PATH: &str = "a";

type Key = Hmac<Sha256>;

/// What a link says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The event.
    pub event: EventId,
    /// The step whose message had the link.
    pub step: u8,
    /// When it expires, seconds since the epoch.
    pub expires: u32,
}

/// Why a link acknowledges nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// It was not made with this key.
    Forged,
    /// It was, and is too old.
    Expired,
}

/// Makes links and knows its own.
#[derive(Clone)]
pub struct Links {
    base: Url,
    /// The first one signs.
    keys: Vec<Key>,
    valid_for: Duration,
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Links").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Links {
    /// Of the address that recipients reach, and keys in base64, newest first.
    ///
    /// # Errors
    /// [`Error::ChannelSetup`].
    pub fn new(url: &str, secrets: &[&settings::Secret], valid_for: Duration) -> Result<Self, Error> {
        let mut base = crate::http::address(url)?;
        base.set_query(None);
        base.set_fragment(None);
        let keys: Vec<Key> = secrets
            .iter()
            .filter(|secret| !secret.is_empty())
            .map(|secret| key(secret))
            .collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(setup("secret", "must be set"));
        }
        if valid_for.is_zero() {
            return Err(setup("valid_for", "must not be 0"));
        }
        Ok(Self { base, keys, valid_for })
    }

    /// How long after an event's reception a link is good.
    #[must_use]
    pub fn valid_for(&self) -> Duration {
        self.valid_for
    }

    /// The link of an event. It depends on the event and the step alone, so a message that is composed again is the same.
    #[must_use]
    pub fn link(&self, event: EventId, step: u32, received_at_ms: i64) -> String {
        let valid_ms = i64::try_from(self.valid_for.as_millis()).unwrap_or(i64::MAX);
        let expires = received_at_ms.saturating_add(valid_ms) / 1_000;
        let claim = Claim {
            event,
            step: u8::try_from(step).unwrap_or(u8::MAX),
            expires: u32::try_from(expires.max(0)).unwrap_or(u32::MAX),
        };
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend([PATH, &self.token(&claim)]);
        }
        url.into()
    }

    fn token(&self, claim: &Claim) -> String {
        let mut bytes = Vec::with_capacity(BODY + MAC);
        bytes.extend(claim.event.uuid().as_bytes());
        bytes.extend(claim.expires.to_be_bytes());
        bytes.push(claim.step);
        if let Some(key) = self.keys.first() {
            let tag = mac(key, &bytes).finalize().into_bytes();
            bytes.extend(tag.iter().take(MAC));
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a token says, if one of the keys made it and it has not expired.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn verify(&self, token: &str, now_ms: i64) -> Result<Claim, Invalid> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Invalid::Forged)?;
        let (body, tag) = bytes.split_at_checked(BODY).ok_or(Invalid::Forged)?;
        // `verify_truncated_left` compares in constant time, and takes shorter tags too.
        let good = |key: &Key| tag.len() == MAC && mac(key, body).verify_truncated_left(tag).is_ok();
        if !self.keys.iter().any(good) {
            return Err(Invalid::Forged);
        }
        let (id, rest) = body.split_at_checked(16).ok_or(Invalid::Forged)?;
        let (&[a, b, c, d, step], Ok(id)) = (rest, Uuid::from_slice(id)) else { return Err(Invalid::Forged) };
        let claim = Claim { event: id.into(), step, expires: u32::from_be_bytes([a, b, c, d]) };
        if now_ms / 1_000 >= i64::from(claim.expires) { Err(Invalid::Expired) } else { Ok(claim) }
    }
}

fn mac(key: &Key, body: &[u8]) -> Key {
    let mut mac = key.clone();
    mac.update(PURPOSE);
    mac.update(body);
    mac
}

fn setup(key: &'static str, reason: &str) -> Error {
    Error::ChannelSetup { key, reason: reason.to_owned() }
}

fn key(secret: &settings::Secret) -> Result<Key, Error> {
    let bytes = STANDARD.decode(secret.expose()).map_err(|_| setup("secret", "must be base64"))?;
    if !KEY_BYTES.contains(&bytes.len()) {
        return Err(setup("secret", "must be base64 of 32 to 64 bytes"));
    }
    Key::new_from_slice(&bytes).map_err(|_| setup("secret", "has a wrong length"))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use settings::Secret;

    use super::*;

    fn secret(byte: u8) -> Secret {
        Secret::new(STANDARD.encode([byte; 32]))
    }

    pub(crate) fn links() -> Links {
        Links::new("https://ack.hospital.example/ws/", &[&secret(7)], Duration::from_secs(3_600)).unwrap()
    }

    fn event() -> EventId {
        EventId::at("hl7.raw", 2, 17)
    }

    fn token(link: &str) -> &str {
        link.rsplit('/').next().unwrap()
    }

    #[test]
    fn a_link_says_which_event_and_step_until_when() {
        let links = links();
        let link = links.link(event(), 2, 1_795_384_800_000);
        assert!(link.starts_with("https://ack.hospital.example/ws/a/"), "{link}");
        assert_eq!(token(&link).len(), 50);
        assert!(!link.contains(&event().to_string()));
        assert_eq!(link, links.link(event(), 2, 1_795_384_800_999), "whole seconds");
        let claim = Claim { event: event(), step: 2, expires: 1_795_388_400 };
        assert_eq!(links.verify(token(&link), 1_795_388_399_999), Ok(claim));
        assert_eq!(links.verify(token(&link), 1_795_388_400_000), Err(Invalid::Expired));
    }

    /// `printf 'wardstream acknowledge/1\0' | cat - BODY | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…` is another
    /// way to the same tag.
    #[test]
    fn the_tag_is_hmac_sha_256_over_purpose_and_body() {
        let link = links().link(event(), 1, 0);
        let bytes = URL_SAFE_NO_PAD.decode(token(&link)).unwrap();
        let mut other = Key::new_from_slice(&[7; 32]).unwrap();
        other.update(&[b"wardstream acknowledge/1\0", &bytes[..21]].concat());
        assert_eq!(bytes[21..], other.finalize().into_bytes()[..16]);
        assert_eq!(bytes[16..21], [0, 0, 14, 16, 1]);
    }

    #[test]
    fn while_a_key_is_changed_links_of_both_are_good() {
        let with = |secrets: &[&Secret]| {
            Links::new("https://ack.hospital.example", secrets, Duration::from_secs(60)).unwrap()
        };
        let (old, new) = (secret(1), secret(2));
        let (before, both, after) = (with(&[&old]), with(&[&new, &old]), with(&[&new, &Secret::default()]));
        let sent = before.link(event(), 0, 0);
        assert!(both.verify(token(&sent), 0).is_ok());
        assert_eq!(after.verify(token(&sent), 0), Err(Invalid::Forged));
        assert!(after.verify(token(&both.link(event(), 0, 0)), 0).is_ok());
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let refused = |url: &str, secret: &Secret, valid: u64| {
            Links::new(url, &[secret], Duration::from_secs(valid)).unwrap_err().to_string()
        };
        let url = "https://ack.hospital.example";
        assert!(refused("http://ack.hospital.example", &secret(1), 1).starts_with("url"));
        assert!(refused(url, &Secret::default(), 1).starts_with("secret"));
        assert!(refused(url, &Secret::new("word!"), 1).contains("base64"));
        assert!(refused(url, &Secret::new(STANDARD.encode([0; 31])), 1).contains("32 to 64"));
        assert!(refused(url, &secret(1), 0).starts_with("valid_for"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_link_with_any_bit_changed_is_none(bit in 0usize..37 * 8, step in 0u32..5) {
            let links = links();
            let mut bytes = URL_SAFE_NO_PAD.decode(token(&links.link(event(), step, 0))).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(links.verify(&URL_SAFE_NO_PAD.encode(&bytes), 0), Err(Invalid::Forged));
        }

        #[test]
        fn a_cut_or_longer_link_is_none(length in 0usize..60) {
            let links = links();
            let mut bytes = URL_SAFE_NO_PAD.decode(token(&links.link(event(), 0, 0))).unwrap();
            bytes.resize(length, 0);
            prop_assert_eq!(links.verify(&URL_SAFE_NO_PAD.encode(&bytes), 0).is_ok(), length == 37);
        }

        #[test]
        fn no_token_panics(token in "\\PC{0,80}") {
            prop_assert_eq!(links().verify(&token, 0), Err(Invalid::Forged));
        }
    }
}
