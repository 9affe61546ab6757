//! `kill`: under load, a random instance of a random stage is killed (SIGKILL) again and again, and started again at
//! once. When is counted in messages that passed, so that a slow machine sees the same drill.

use rand::Rng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::drill::line::{Line, Membership};
use crate::drill::parts::Setup;
use crate::drill::verdict::Verdict;
use crate::drill::{Error, Figures, Options, Run};

const KILLS: u64 = 100;
const MESSAGES_A_KILL: u64 = 500;

pub(crate) fn drill(options: &Options, rng: &mut ChaCha8Rng, run: &Run) -> Result<(Verdict, Figures), Error> {
    let kills = options.kills.unwrap_or(KILLS);
    let messages = options.messages.unwrap_or(MESSAGES_A_KILL * kills);
    let mut line = Line::start(&Setup::default(), run)?;
    line.staff(options.instances, Membership::Mixed)?;
    line.feed(options.seed, Some(messages));
    let done = done(&mut line, kills, messages, rng);
    line.carry_on(done)?;
    let figures =
        vec![("kills".to_owned(), kills.to_string()), ("messages".to_owned(), messages.to_string())];
    Ok((line.judge()?, figures))
}

fn done(line: &mut Line, kills: u64, messages: u64, rng: &mut ChaCha8Rng) -> Result<(), Error> {
    let mut moments: Vec<u64> =
        (0..kills).map(|_| rng.random_range(messages / 20..messages * 19 / 20)).collect();
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
    line.finish()
}
