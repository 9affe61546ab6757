//! `poison`: messages that are broken in every way. No process ends, no stage panics, and each message has a fate.

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::drill::line::Line;
use crate::drill::load::{Message, hospital};
use crate::drill::{Error, Figures, Options, figure};

const MESSAGES: u64 = 100_000;

pub(crate) fn drill(line: &mut Line, options: &Options, rng: &mut ChaCha8Rng) -> Result<Figures, Error> {
    let messages = options.messages.unwrap_or(MESSAGES);
    let mut rng = ChaCha8Rng::seed_from_u64(rng.next_u64());
    let feed = hospital(options.seed, options.narratives)
        .map(move |(key, bytes)| -> Message { (key, mutate(bytes, &mut rng)) });
    line.publish(feed.take(usize::try_from(messages).unwrap_or(usize::MAX)));
    line.finish()?;
    Ok(vec![figure("mutated", messages)])
}

/// Breaks a message in one way, and sometimes in a second one.
fn mutate(message: Vec<u8>, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let once = break_once(message, rng);
    if rng.random_bool(0.3) { break_once(once, rng) } else { once }
}

fn break_once(mut bytes: Vec<u8>, rng: &mut ChaCha8Rng) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    let at = rng.random_range(0..bytes.len());
    match rng.random_range(0..12) {
        0 => {
            for _ in 0..rng.random_range(1..32) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
        }
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(..at)),
        3 => {
            // Another set of delimiters in the header than in the rest, some of them letters or nothing.
            let delimiters: Vec<u8> =
                (0..5).map(|_| *b"|^~\\&#$ \rMSH\0\xFF".choose(rng).unwrap_or(&0)).collect();
            let end = bytes.len().min(8);
            let start = end.min(3);
            bytes.splice(start..end, delimiters);
        }
        4 => {
            let huge = vec![*b"A|^~&\\".choose(rng).unwrap_or(&b'A'); rng.random_range(10_000..400_000)];
            bytes.splice(at..at, huge);
        }
        5 => {
            let mut noise = vec![0; rng.random_range(1..4096)];
            rng.fill_bytes(&mut noise);
            bytes.splice(at..at, noise);
        }
        6 => bytes = bytes.iter().flat_map(|byte| [0, *byte]).collect(),
        7 => {
            bytes =
                [&b"\xFF\xFE"[..], &bytes.iter().flat_map(|byte| [*byte, 0]).collect::<Vec<u8>>()].concat()
        }
        8 => bytes = [&b"\xEF\xBB\xBF"[..], &bytes].concat(),
        9 => bytes.iter_mut().for_each(|byte| *byte = byte.wrapping_add(0x80)),
        10 => {
            // Segments in another order, the header among them.
            let mut segments: Vec<&[u8]> = bytes.split(|byte| *byte == b'\r').collect();
            let (one, other) = (rng.random_range(0..segments.len()), rng.random_range(0..segments.len()));
            segments.swap(one, other);
            bytes = segments.join(&b'\r');
        }
        _ => {
            // One piece again and again: deep repetitions, or the same segment a thousand times.
            let piece = bytes[at..(at + 40).min(bytes.len())].to_vec();
            bytes.splice(at..at, piece.repeat(rng.random_range(2..1000)));
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_replay_from_their_seed_and_change_almost_every_message() {
        let run = || -> Vec<Vec<u8>> {
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            hospital(3, 0.1).take(500).map(|(_, bytes)| mutate(bytes, &mut rng)).collect()
        };
        let (one, other) = (run(), run());
        assert!(one == other, "the same seed gives the same bytes");
        let changed = hospital(3, 0.1).zip(&one).filter(|((_, bytes), mutated)| bytes != *mutated).count();
        assert!(changed > 450, "{changed}");
        assert!(one.iter().all(|message| message.len() < 16 << 20), "larger ones are another drill");
    }
}
