//! `broker`: Kafka is stopped or killed (SIGKILL) under load and started again, sometimes after longer than every
//! time-out of its clients. Then the same with three brokers, each in turn, of which the line needs two: one that is
//! away comes back only after the other two gave it up.

use std::time::{Duration, Instant};

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use crate::drill::line::Line;
use crate::drill::{Error, Figures, Options, figure};

const OUTAGES: u64 = 12;
/// Longest outage, seconds: beyond the clients' time-outs.
const LONGEST: u64 = 20;

pub(crate) fn drill(line: &mut Line, options: &Options, rng: &mut ChaCha8Rng) -> Result<Figures, Error> {
    let outages = options.kills.unwrap_or(OUTAGES);
    line.feed(options, None);
    let mut killed = 0_u64;
    let nodes = line.parts.kafka.nodes().len();
    for round in 0..outages {
        line.pass(rng.random_range(100..300))?;
        let at = usize::try_from(round).unwrap_or(0) % nodes;
        let seconds = rng.random_range(0..=LONGEST);
        let kill = rng.random_bool(0.5);
        line.outage(Duration::from_secs(seconds));
        let node = &mut line.parts.kafka.nodes_mut()[at];
        if kill {
            node.kill();
            killed += 1;
        } else {
            node.stop().map_err(|error| Error::part("Apache Kafka", error))?;
        }
        let since = Instant::now();
        line.until("the outage to last", |_| since.elapsed() >= Duration::from_secs(seconds))?;
        if nodes > 1 {
            // One that comes back before the others gave it up breaks Kafka's own promise (docs/reliability.md, "What
            // Apache Kafka does not hold").
            let id = line.parts.kafka.nodes()[at].id();
            line.until("the cluster to give the broker up", |line| {
                stream::brokers(&line.parts.config).is_ok_and(|serving| !serving.contains(&id))
            })?;
        }
        line.resume(at)?;
    }
    line.pass(100)?;
    line.settle()?;
    let brokers = format!("of {nodes} brokers stopped");
    Ok(vec![
        figure(&brokers, outages - killed),
        figure("killed", killed),
        figure("messages", line.published()),
    ])
}
