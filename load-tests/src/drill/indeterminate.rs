//! `indeterminate`: the connection of a producer is cut exactly around a commit, before the broker gets it or before
//! its answer arrives, and stays cut for less or for more than the transaction's time-out. The producer cannot know how
//! its transaction ended; it has to find out.

use std::time::{Duration, Instant};

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use crate::drill::line::Line;
use crate::drill::proxy::{Cut, Proxy};
use crate::drill::service::TRANSACTION_SECONDS;
use crate::drill::verdict::Violation;
use crate::drill::{Error, Figures, Options, figure};

const CUTS: u64 = 30;
/// Beyond the time-out after which the broker aborts the transaction and fences its producer.
const LONG: Duration = Duration::from_secs(2 * TRANSACTION_SECONDS);
/// Counter of the ways that transactions ended.
const TRANSACTIONS: &str = "wardstream_transactions_total";
const UNKNOWN: &str = "end=\"unknown\"";

pub(crate) fn drill(
    line: &mut Line,
    options: &Options,
    rng: &mut ChaCha8Rng,
    proxy: &Proxy,
) -> Result<Figures, Error> {
    let cuts = options.kills.unwrap_or(CUTS);
    for at in 0..line.fleet.instances.len() {
        if line.fleet.instances[at].number == 1 {
            line.excuse(at);
        }
    }
    line.feed(options, None);
    let mut unknown = 0;
    for round in 0..cuts {
        line.pass(rng.random_range(20..100))?;
        // The first is the one that must leave the producer in doubt.
        let cut = if round == 0 || rng.random_bool(0.5) { Cut::BeforeRequest } else { Cut::BeforeResponse };
        let long = round == 0 || rng.random_bool(0.5);
        let (before, in_doubt) = (proxy.cuts(), in_doubt(line));
        proxy.arm(cut);
        line.until("a commit through the proxy", |_| proxy.cuts() > before)?;
        let since = Instant::now();
        line.until("the time-out of the transaction", |_| !long || since.elapsed() > LONG)?;
        proxy.restore();
        line.pass(50)?;
        if long && cut == Cut::BeforeRequest {
            line.until("the producer to find out", |line| self::in_doubt(line) > in_doubt)?;
            unknown += 1;
        }
    }
    line.settle()?;
    if unknown == 0 {
        line.violations.push(Violation::Drill("no transaction ended in doubt".to_owned()));
    }
    Ok(vec![figure("cuts", cuts), figure("unknown ends", unknown), figure("messages", line.published())])
}

/// Transactions whose end was not known, and processes that ended because of one.
fn in_doubt(line: &Line) -> u64 {
    let counted: u64 =
        (0..line.fleet.instances.len()).map(|at| line.fleet.counter(at, TRANSACTIONS, UNKNOWN)).sum();
    counted + line.fleet.ends.len() as u64
}
