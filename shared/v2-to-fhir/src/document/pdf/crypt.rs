//! Streams that are encrypted under the empty user password (ISO 32000-2, section 7.6): anyone may open such a file,
//! which only asks not to be printed or changed.

use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockDecryptMut as _, BlockEncryptMut as _, KeyIvInit as _};
use md5::{Digest as _, Md5};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::budget::Budget;
use super::lexer::{Dictionary, Object};

/// What a password is filled up with, and so what the empty one is (algorithm 2).
const PADDING: [u8; 32] = *b"\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a";
/// Bytes of a block of AES.
const BLOCK: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cipher {
    Identity,
    Rc4,
    Aes128,
    Aes256,
}

/// What opens the streams of a file.
#[derive(Debug)]
pub(super) struct Key {
    file: Vec<u8>,
    cipher: Cipher,
}

impl Key {
    /// The key of a file by its encryption dictionary, crypt filters and the first part of its ID; `None` where it takes a
    /// password or is encrypted in another way.
    pub(super) fn of(
        encrypt: &Dictionary,
        filters: Option<&Dictionary>,
        id: &[u8],
        budget: &mut Budget,
    ) -> Option<Self> {
        let count = |name: &str| encrypt.get(name).and_then(Object::count);
        let text = |name: &str| match encrypt.get(name) {
            Some(Object::Text(text)) => Some(text.as_slice()),
            _ => None,
        };
        let (version, revision) = (count("V")?, count("R")?);
        let cipher = match version {
            _ if !encrypt.is("Filter", "Standard") => return None,
            1 | 2 => Cipher::Rc4,
            4 | 5 => stream_cipher(encrypt, filters)?,
            _ => return None,
        };
        let (owner, user) = (text("O")?, text("U")?);
        let file = match revision {
            2..=4 => {
                let length = match version {
                    1 => 5,
                    2 => (count("Length").unwrap_or(40) / 8).clamp(5, 16),
                    _ => 16,
                };
                let plain = version == 4
                    && matches!(encrypt.get("EncryptMetadata"), Some(Object::Word(word)) if word == b"false");
                let permissions = permissions(encrypt.get("P")?)?;
                let mut hash = Md5::new();
                for part in [&PADDING, owner.get(..32)?, &permissions, id] {
                    hash.update(part);
                }
                if plain {
                    hash.update([0xff; 4]);
                }
                let mut key = hash.finalize().to_vec();
                if revision > 2 {
                    (0..50).for_each(|_| key = Md5::digest(key.get(..length).unwrap_or_default()).to_vec());
                }
                key.truncate(length);
                opens(&key, revision, user, id).then_some(key)?
            }
            5 | 6 => {
                let (check, validation, salt) = (user.get(..32)?, user.get(32..40)?, user.get(40..48)?);
                if hardened(validation, revision, budget)? != check {
                    return None;
                }
                let key = hardened(salt, revision, budget)?;
                let mut file = text("UE")?.get(..32)?.to_vec();
                cbc::Decryptor::<aes::Aes256>::new_from_slices(&key, &[0; BLOCK])
                    .ok()?
                    .decrypt_padded_mut::<NoPadding>(&mut file)
                    .ok()?;
                file
            }
            _ => return None,
        };
        Some(Self { file, cipher })
    }

    /// What a stream of that object holds.
    pub(super) fn open(&self, id: u32, generation: u16, data: &[u8]) -> Option<Vec<u8>> {
        let key = match self.cipher {
            Cipher::Identity => return Some(data.to_vec()),
            Cipher::Aes256 => self.file.clone(),
            Cipher::Rc4 | Cipher::Aes128 => {
                let mut hash = Md5::new();
                hash.update(&self.file);
                hash.update(id.to_le_bytes().get(..3)?);
                hash.update(generation.to_le_bytes());
                if self.cipher == Cipher::Aes128 {
                    hash.update(b"sAlT");
                }
                hash.finalize().get(..(self.file.len() + 5).min(16))?.to_vec()
            }
        };
        if self.cipher == Cipher::Rc4 {
            let mut out = data.to_vec();
            rc4(&key, &mut out);
            return Some(out);
        }
        let (start, blocks) = data.split_at_checked(BLOCK)?;
        // The end of a stream that was cut is no block.
        let mut out = blocks.get(..blocks.len() - blocks.len() % BLOCK)?.to_vec();
        if self.cipher == Cipher::Aes128 {
            let cipher = cbc::Decryptor::<aes::Aes128>::new_from_slices(&key, start).ok()?;
            cipher.decrypt_padded_mut::<NoPadding>(&mut out).ok()?;
        } else {
            let cipher = cbc::Decryptor::<aes::Aes256>::new_from_slices(&key, start).ok()?;
            cipher.decrypt_padded_mut::<NoPadding>(&mut out).ok()?;
        }
        let padding = usize::from(out.last().copied().unwrap_or_default());
        if (1..=BLOCK).contains(&padding) {
            out.truncate(out.len().saturating_sub(padding));
        }
        Some(out)
    }
}

/// The cipher of streams by their crypt filter (section 7.6.6).
fn stream_cipher(encrypt: &Dictionary, filters: Option<&Dictionary>) -> Option<Cipher> {
    let name = encrypt.get("StmF").and_then(Object::name).unwrap_or(b"Identity");
    if name == b"Identity" {
        return Some(Cipher::Identity);
    }
    let Some(Object::Dictionary(filter)) = filters?.get(std::str::from_utf8(name).ok()?) else { return None };
    match filter.get("CFM").and_then(Object::name).unwrap_or(b"None") {
        b"None" => Some(Cipher::Identity),
        b"V2" => Some(Cipher::Rc4),
        b"AESV2" => Some(Cipher::Aes128),
        b"AESV3" => Some(Cipher::Aes256),
        _ => None,
    }
}

/// The permissions as 32 bits, which some programs write with a sign and others without.
fn permissions(object: &Object) -> Option<[u8; 4]> {
    let number: i64 = format!("{}", object.number()?).parse().ok()?;
    u32::try_from(number.rem_euclid(1 << 32)).ok().map(u32::to_le_bytes)
}

/// Whether a key is that of the file (algorithms 4, 5 and 6).
fn opens(key: &[u8], revision: usize, user: &[u8], id: &[u8]) -> bool {
    if revision == 2 {
        let mut check = PADDING;
        rc4(key, &mut check);
        return user == check;
    }
    let mut check = Md5::new().chain_update(PADDING).chain_update(id).finalize().to_vec();
    for round in 0..20 {
        let key: Vec<u8> = key.iter().map(|byte| byte ^ round).collect();
        rc4(&key, &mut check);
    }
    user.get(..16) == Some(check.as_slice())
}

/// The hash of the empty password (algorithm 2.B; revision 5 had only its first step).
fn hardened(salt: &[u8], revision: usize, budget: &mut Budget) -> Option<Vec<u8>> {
    let mut key = Sha256::digest(salt).to_vec();
    let mut rounds = 0;
    let mut last = 0;
    while revision > 5 && (rounds < 64 || usize::from(last) + 32 > rounds) {
        let mut data = key.repeat(64);
        let length = data.len();
        budget.work(length)?;
        cbc::Encryptor::<aes::Aes128>::new_from_slices(key.get(..16)?, key.get(16..32)?)
            .ok()?
            .encrypt_padded_mut::<NoPadding>(&mut data, length)
            .ok()?;
        // 256 is one more than a multiple of 3, so a number is the sum of its bytes modulo 3.
        key = match data.iter().take(16).map(|byte| u32::from(*byte)).sum::<u32>() % 3 {
            0 => Sha256::digest(&data).to_vec(),
            1 => Sha384::digest(&data).to_vec(),
            _ => Sha512::digest(&data).to_vec(),
        };
        last = data.last().copied()?;
        rounds += 1;
    }
    key.truncate(32);
    Some(key)
}

/// RC4, whose library wants the length of a key to be known when it is compiled; here the file says it.
fn rc4(key: &[u8], data: &mut [u8]) {
    let mut state: [u8; 256] = std::array::from_fn(|n| u8::try_from(n).unwrap_or_default());
    let mut j = 0_u8;
    for (i, byte) in (0..256).zip(key.iter().cycle()) {
        j = j.wrapping_add(state[i]).wrapping_add(*byte);
        state.swap(i, usize::from(j));
    }
    let (mut i, mut j) = (0_u8, 0_u8);
    for byte in data {
        i = i.wrapping_add(1);
        j = j.wrapping_add(state[usize::from(i)]);
        state.swap(usize::from(i), usize::from(j));
        *byte ^= state[usize::from(state[usize::from(i)].wrapping_add(state[usize::from(j)]))];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rc4_is_that_of_rfc_6229() {
        let mut stream = [0; 8];
        rc4(&[1, 2, 3, 4, 5], &mut stream);
        assert_eq!(stream, [0xb2, 0x39, 0x63, 0x05, 0xf0, 0x3d, 0xc0, 0x27]);
    }

    #[test]
    fn permissions_are_32_bits_with_a_sign_or_without() {
        for written in [-1028.0, 4_294_966_268.0] {
            assert_eq!(permissions(&Object::Number(written)), Some([0xfc, 0xfb, 0xff, 0xff]));
        }
    }
}
