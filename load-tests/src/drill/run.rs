//! Which drills share a line, and what is told in the end.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::ValueEnum;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tokio::runtime::Handle;

use crate::drill::line::{Line, Membership};
use crate::drill::parts::Setup;
use crate::drill::proxy::Proxy;
use crate::drill::verdict::Verdict;
use crate::drill::{Error, broker, faults, indeterminate, kill, poison, roll, tamper, zombie};

/// The drills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// Instances are killed (SIGKILL) and started again.
    Kill,
    /// Every instance is replaced in good order.
    Roll,
    /// Kafka is stopped and killed; then the same with three brokers, each in turn.
    Broker,
    /// Registry, mail server, store and the room on the broker's disk are taken away.
    Faults,
    /// Messages that are broken in every way.
    Poison,
    /// An instance is frozen until others have taken over, and continued.
    Zombie,
    /// A producer is cut off around a commit.
    Indeterminate,
    /// Copies of a WORM log are tampered with, and the log itself, in a bucket of its own.
    Tamper,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("?", |value| value.get_name()))
    }
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which drills, one after the other. They share a line, but `broker` has its own, and `tamper` needs none.
    pub names: Vec<Name>,
    /// Decides everything that is random.
    pub seed: u64,
    /// How often the terrible thing is done; each drill's own default unless set.
    pub kills: Option<u64>,
    /// Messages of the feed, where the drill counts in messages; each drill's own default unless set.
    pub messages: Option<u64>,
    /// Share of these messages that carry a narrative, 0 to 1.
    pub narratives: f64,
    /// Instances of each service.
    pub instances: usize,
    /// For `broker`: how many brokers, one line after the other.
    pub brokers: Vec<usize>,
}

/// Where a drill runs.
#[derive(Clone, Debug)]
pub struct Run {
    /// For configurations and logs.
    pub folder: PathBuf,
    /// For the parts that are in this process.
    pub runtime: Handle,
    /// Messages in the line at a time.
    pub backlog: u64,
    /// Set when the drill is to be given up.
    pub interrupted: Arc<AtomicBool>,
}

/// What a drill did, beside the verdict's figures: a name and a value each.
pub(crate) type Figures = Vec<(String, u64)>;

pub(crate) fn figure(name: &str, value: u64) -> (String, u64) {
    (name.to_owned(), value)
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    names: Vec<Name>,
    seed: u64,
    /// The judgement.
    pub verdict: Verdict,
    /// What a drill has to say before its last line.
    pub table: Vec<String>,
    figures: Figures,
    /// How often a consumer group was shared out anew after all instances had come up.
    rebalances: usize,
}

impl fmt::Display for Outcome {
    /// The last line of a drill.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { names, seed, verdict, figures, rebalances, table: _ } = self;
        let on_line = names.iter().any(|name| *name != Name::Tamper);
        let names: Vec<String> = names.iter().map(Name::to_string).collect();
        let result = if verdict.holds() { "ok" } else { "VIOLATED" };
        write!(f, "drill {} seed {seed}: {result}", names.join(","))?;
        if on_line {
            write!(f, ", {verdict}")?;
        }
        for (figure, value) in figures {
            write!(f, ", {figure} {value}")?;
        }
        if !on_line {
            return Ok(());
        }
        write!(
            f,
            ", rebalances {rebalances}, notifications {}, mails twice {}",
            verdict.notifications, verdict.mails_twice
        )?;
        if self.names == [Name::Roll] {
            let longest = verdict.pauses_ms.iter().max_by_key(|(_, pause)| **pause);
            let (topic, pause) = longest.map_or(("?", 0), |(topic, pause)| (topic.as_str(), *pause));
            write!(f, ", longest pause {pause} ms behind {topic}")?;
        }
        Ok(())
    }
}

/// Runs drills.
///
/// Call it on the thread that lives longest: the processes that it starts end with it.
///
/// # Errors
/// When the drill itself failed: a part did not come up, or it was interrupted. What the line does wrong is in the
/// outcome.
pub fn run(options: &Options, run: &Run) -> Result<Outcome, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut outcome = Outcome {
        names: options.names.clone(),
        seed: options.seed,
        verdict: Verdict::default(),
        table: Vec::new(),
        figures: Vec::new(),
        rebalances: 0,
    };
    let (tampers, lines): (Vec<Name>, Vec<Name>) =
        options.names.iter().partition(|name| **name == Name::Tamper);
    for _ in tampers {
        let tampered = tamper::drill(options, &mut rng, run)?;
        outcome.table.extend(tampered.table);
        outcome.figures.extend(tampered.figures);
        outcome.verdict.violations.extend(tampered.violations);
    }
    let (brokers, shared): (Vec<Name>, Vec<Name>) = lines.into_iter().partition(|name| *name == Name::Broker);
    if !shared.is_empty() {
        let proxy = Proxy::new(&run.runtime)?;
        let setup = Setup { advertised: Some(proxy.port()), ..Setup::default() };
        on_line(&shared, &setup, &proxy, options, &mut rng, run, &mut outcome)?;
    }
    for _ in brokers {
        for nodes in options.brokers.iter().copied() {
            let proxy = Proxy::new(&run.runtime)?;
            let setup = Setup { nodes, ..Setup::default() };
            on_line(&[Name::Broker], &setup, &proxy, options, &mut rng, run, &mut outcome)?;
        }
    }
    Ok(outcome)
}

/// Runs these drills on one line, and judges it.
fn on_line(
    names: &[Name],
    setup: &Setup,
    proxy: &Proxy,
    options: &Options,
    rng: &mut ChaCha8Rng,
    run: &Run,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let mut line = Line::start(setup, run)?;
    let membership = match names {
        [Name::Roll] => Membership::Static,
        // A client that is cut off is known by its name, and instances of one group share theirs.
        [Name::Indeterminate] => Membership::Dynamic,
        _ => Membership::Mixed,
    };
    let through = setup.advertised.map(|port| format!("127.0.0.1:{port}"));
    if let Some(node) = line.parts.kafka.nodes().first() {
        proxy.aim(node.proxied_port());
    }
    let first = through.as_deref().filter(|_| names.contains(&Name::Indeterminate));
    line.staff(options.instances, membership, first)?;
    let before = line.rebalances()?;
    for name in names {
        let done = match name {
            Name::Kill => kill::drill(&mut line, options, rng),
            Name::Roll => roll::drill(&mut line, options, rng),
            Name::Broker => broker::drill(&mut line, options, rng),
            Name::Tamper => Ok(Figures::new()),
            Name::Faults => faults::drill(&mut line, options, rng),
            Name::Poison => poison::drill(&mut line, options, rng),
            Name::Zombie => zombie::drill(&mut line, options, rng),
            Name::Indeterminate => indeterminate::drill(&mut line, options, rng, proxy),
        };
        let done = done.map(|figures| outcome.figures.extend(figures));
        let stuck = done.is_err();
        line.carry_on(done)?;
        if stuck {
            break;
        }
    }
    outcome.rebalances += line.rebalances()? - before;
    outcome.verdict.add(line.judge()?);
    Ok(())
}
