//! `zombie`: an instance is frozen (SIGSTOP) beyond its session and transaction time-outs, and continued when others
//! have long taken over. What it had in flight must change nothing.

use std::time::{Duration, Instant};

use rand::Rng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::drill::line::Line;
use crate::drill::service::{SERVICES, SESSION_SECONDS, TRANSACTION_SECONDS};
use crate::drill::{Error, Figures, Options, figure};

const FREEZES: u64 = 14;
/// Beyond both time-outs, and beyond the broker's look at them.
const FROZEN: Duration = Duration::from_secs(SESSION_SECONDS + TRANSACTION_SECONDS + 2);

pub(crate) fn drill(line: &mut Line, options: &Options, rng: &mut ChaCha8Rng) -> Result<Figures, Error> {
    let freezes = options.kills.unwrap_or(FREEZES);
    line.feed(options, None);
    let mut turns = Vec::new();
    for _ in 0..freezes {
        if turns.is_empty() {
            turns = SERVICES.iter().map(|service| service.name).collect();
            turns.shuffle(rng);
        }
        let instances = turns.pop().map(|service| line.fleet.of(service)).unwrap_or_default();
        if instances.is_empty() {
            continue;
        }
        let at = instances[rng.random_range(0..instances.len())];
        line.pass(rng.random_range(50..200))?;
        line.interrupts(at);
        line.excuse(at);
        line.fleet.freeze(at)?;
        let (since, published) = (Instant::now(), line.published());
        line.until("others to take over", |line| since.elapsed() > FROZEN && line.ended() >= published)?;
        line.fleet.thaw(at)?;
        line.pass(50)?;
        line.ready(at)?;
    }
    line.settle()?;
    Ok(vec![figure("freezes", freezes), figure("messages", line.published())])
}
