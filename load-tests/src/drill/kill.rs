//! `kill`: under load, a random instance of a random stage is killed (SIGKILL) again and again, and started again at
//! once. When is counted in messages that passed, so that a slow machine sees the same drill.

use rand::Rng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::drill::line::Line;
use crate::drill::{Error, Figures, Options, figure};

const KILLS: u64 = 100;
const MESSAGES_A_KILL: u64 = 500;

pub(crate) fn drill(line: &mut Line, options: &Options, rng: &mut ChaCha8Rng) -> Result<Figures, Error> {
    let kills = options.kills.unwrap_or(KILLS);
    let messages = options.messages.unwrap_or(MESSAGES_A_KILL * kills).max(1);
    let began_at = line.ended();
    line.feed(options, Some(messages));
    let (first, last) = (messages / 20, (messages * 19 / 20).max(messages / 20 + 1));
    let mut moments: Vec<u64> = (0..kills).map(|_| began_at + rng.random_range(first..last)).collect();
    moments.sort_unstable();
    // Every instance has its turn before any has another.
    let mut turns = Vec::new();
    for moment in moments {
        line.until("messages to pass", |line| line.ended() >= moment)?;
        if turns.is_empty() {
            turns = (0..line.fleet.instances.len()).collect();
            turns.shuffle(rng);
        }
        if let Some(at) = turns.pop() {
            line.kill(at)?;
        }
    }
    line.finish()?;
    Ok(vec![figure("kills", kills), figure("messages", messages)])
}
