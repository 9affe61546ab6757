//! Drills: the line on real parts, every service instance a process of its own, something terrible done to them under
//! load, and the proof afterwards that nothing was lost, repeated or put out of order.
//!
//! | module | what it is |
//! | --- | --- |
//! | `process` | one program, many processes; none outlives the drill |
//! | `service`, `fleet` | the services' processes: configuration, kill, stop, freeze, metrics |
//! | `parts`, `gate` | Kafka, registry, mail server, S3 store; a gate takes one away |
//! | `load` | the feed |
//! | `reader` | every topic, read_committed |
//! | [`verdict`] | what is proved. Pure |
//! | `line` | all of it together, and the way to rest |
//! | `kill` and the others | one module a drill |

mod error;
mod fleet;
mod gate;
mod kill;
mod line;
mod load;
mod parts;
mod process;
mod reader;
mod service;
pub mod verdict;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tokio::runtime::Handle;

pub use error::Error;
pub use parts::VARIABLES;
pub use process::become_other;
use verdict::Verdict;

/// The drills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Name {
    /// Instances are killed (SIGKILL) and started again.
    Kill,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
        })
    }
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which drill.
    pub name: Name,
    /// Decides everything that is random.
    pub seed: u64,
    /// How often the terrible thing is done; the drill's own default unless set.
    pub kills: Option<u64>,
    /// Messages of the feed, where the drill counts in messages; the drill's own default unless set.
    pub messages: Option<u64>,
    /// Instances of each service.
    pub instances: usize,
}

/// Where a drill runs.
#[derive(Clone, Debug)]
pub struct Run {
    /// For configurations and logs.
    pub folder: PathBuf,
    /// For the parts that are in this process.
    pub runtime: Handle,
    /// Set when the drill is to be given up.
    pub interrupted: Arc<AtomicBool>,
}

/// What a drill did, beside the verdict's figures: a name and a value each.
pub(crate) type Figures = Vec<(String, String)>;

/// What came of a drill.
#[derive(Clone, Debug)]
pub struct Outcome {
    name: Name,
    seed: u64,
    /// The judgement.
    pub verdict: Verdict,
    figures: Figures,
}

impl fmt::Display for Outcome {
    /// The last line of a drill.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, seed, verdict, figures } = self;
        let result = if verdict.holds() { "ok" } else { "VIOLATED" };
        write!(f, "drill {name} seed {seed}: {result}, {verdict}")?;
        for (figure, value) in figures {
            write!(f, ", {figure} {value}")?;
        }
        write!(f, ", notifications {}, mails twice {}", verdict.notifications, verdict.mails_twice)
    }
}

/// Runs a drill.
///
/// Call it on the thread that lives longest: the processes that it starts end with it.
///
/// # Errors
/// When the drill itself failed: a part did not come up, or it was interrupted. What the line does wrong is in the
/// outcome.
pub fn run(options: &Options, run: &Run) -> Result<Outcome, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let (verdict, figures) = match options.name {
        Name::Kill => kill::drill(options, &mut rng, run)?,
    };
    Ok(Outcome { name: options.name, seed: options.seed, verdict, figures })
}
