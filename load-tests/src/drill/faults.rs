//! `faults`: what the line needs is taken away and given back: registry, mail server and S3 store, one by one and
//! together; and the broker's disk is full, so that it halts.

use std::time::Duration;

use rand::Rng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::drill::line::Line;
use crate::drill::{Error, Figures, Options, figure};

const ROUNDS: u64 = 3;

/// What can be away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Registry,
    Mail,
    Store,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Away(&'static [Part]),
    FullDisk,
}

const FAULTS: [Fault; 5] = [
    Fault::Away(&[Part::Registry]),
    Fault::Away(&[Part::Mail]),
    Fault::Away(&[Part::Store]),
    Fault::Away(&[Part::Registry, Part::Mail, Part::Store]),
    Fault::FullDisk,
];

pub(crate) fn drill(line: &mut Line, options: &Options, rng: &mut ChaCha8Rng) -> Result<Figures, Error> {
    let rounds = options.kills.unwrap_or(ROUNDS);
    line.feed(options, None);
    let mut done = 0_u64;
    for _ in 0..rounds {
        let mut faults = FAULTS;
        faults.shuffle(rng);
        for fault in faults {
            line.pass(rng.random_range(50..150))?;
            match fault {
                Fault::Away(parts) => away(line, rng, parts)?,
                Fault::FullDisk => full_disk(line)?,
            }
            done += 1;
        }
    }
    line.settle()?;
    Ok(vec![figure("faults", done), figure("messages", line.published())])
}

/// Takes these away until somebody misses each, and gives them back.
fn away(line: &mut Line, rng: &mut ChaCha8Rng, parts: &[Part]) -> Result<(), Error> {
    let [registry, mail, store] = [Part::Registry, Part::Mail, Part::Store].map(|part| parts.contains(&part));
    if mail {
        // A mail may have been taken and the answer cut off: it goes out again.
        line.outage(Duration::ZERO);
        line.runtime().block_on(line.parts.mail.server.pause());
    }
    if store {
        line.parts.store.shut();
    }
    for (missed, service) in [(mail, notify::NAME), (store, audit::NAME)] {
        for at in line.fleet.of(service) {
            if missed {
                let what = format!("{} to miss what is away", line.fleet.instances[at]);
                line.until(&what, |line| !line.fleet.is_ready(at))?;
            }
        }
    }
    // The registry goes last: who waits for it hands nothing on, and those behind would miss nothing.
    let restarted = if registry { Some(without_registry(line, rng, !mail)?) } else { None };
    line.parts.registry.open();
    line.parts.store.open();
    line.runtime().block_on(line.parts.mail.server.resume()).map_err(|error| Error::part("mail", error))?;
    let mut missing =
        line.fleet.of(notify::NAME).into_iter().chain(line.fleet.of(audit::NAME)).chain(restarted);
    missing.try_for_each(|at| line.ready(at))
}

/// Takes the registry away and restarts a stage, which is what needs it. Returns which.
fn without_registry(line: &mut Line, rng: &mut ChaCha8Rng, flows: bool) -> Result<usize, Error> {
    line.parts.registry.shut();
    let stages: Vec<usize> = (0..line.fleet.instances.len())
        .filter(|at| line.fleet.instances[*at].service != audit::NAME)
        .collect();
    let restarted = stages[rng.random_range(0..stages.len())];
    line.kill(restarted)?;
    if flows {
        // Who has made a record of each kind has its schemas and goes on. Who has not waits, and so do those behind it.
        let goal = line.ended() + 50;
        line.until("messages to pass, or the registry to be missed", |line| {
            let mut others = (0..line.fleet.instances.len()).filter(|at| *at != restarted);
            line.ended() >= goal || others.any(|at| !line.fleet.is_ready(at))
        })?;
    } else {
        let what = format!("{} to come up", line.fleet.instances[restarted]);
        line.until(&what, |line| line.fleet.answers(restarted))?;
    }
    Ok(restarted)
}

/// Lets no file of the broker grow any more (RLIMIT_FSIZE): what a full disk does to each append, without the right to
/// mount one. Kafka halts when it cannot append; it is started again with room.
fn full_disk(line: &mut Line) -> Result<(), Error> {
    line.outage(Duration::ZERO);
    let node = &mut line.parts.kafka.nodes_mut()[0];
    let id = node.process_id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    prlimit(id, Resource::Fsize, Rlimit { current: Some(0), maximum: None })
        .map_err(|error| Error::io("limit of the broker's files")(error.into()))?;
    line.until("Kafka to halt on a full disk", |line| !line.parts.kafka.nodes_mut()[0].is_running())?;
    line.parts.kafka.nodes_mut()[0].kill();
    line.resume(0)?;
    line.pass(50)
}
