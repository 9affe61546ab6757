//! `roll`: every instance of every stage is replaced in good order (SIGTERM, start, ready), one after the other, under
//! load and with static membership. How long the line paused is told.

use rand_chacha::ChaCha8Rng;

use crate::drill::line::Line;
use crate::drill::{Error, Figures, Options, figure};

const ROUNDS: u64 = 3;
/// Messages that pass between two instances.
const BETWEEN: u64 = 50;

pub(crate) fn drill(line: &mut Line, options: &Options, _rng: &mut ChaCha8Rng) -> Result<Figures, Error> {
    let rounds = options.kills.unwrap_or(ROUNDS);
    line.feed(options, None);
    let mut rolled = 0_u64;
    for _ in 0..rounds {
        for at in 0..line.fleet.instances.len() {
            line.pass(BETWEEN)?;
            line.stop(at)?;
            line.fleet.start(at)?;
            line.ready(at)?;
            rolled += 1;
        }
    }
    line.settle()?;
    Ok(vec![figure("rolled", rolled), figure("messages", line.published())])
}
