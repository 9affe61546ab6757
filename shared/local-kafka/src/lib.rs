//! Apache Kafka as child processes, for tests, drills and benchmarks.
//!
//! One node or several, each broker and controller (KRaft), on loopback, from the jars that
//! `deploy/local/kafka/install.sh` fetched. Their data is in a temporary folder, and they are killed by process id when
//! the value is dropped.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`Builder`] | how many nodes, with which properties |
//! | [`Cluster`] | the nodes together |
//! | [`Node`] | one process: kill, stop, resume |
//! | [`LocalKafka`] | a cluster of one |

mod builder;
mod cluster;
mod node;

use std::io;
use std::path::{Path, PathBuf};

pub use builder::Builder;
pub use cluster::Cluster;
pub use node::Node;

/// Environment variable that names the folder of Kafka's jars.
pub const LIBS: &str = "WARDSTREAM_KAFKA_LIBS";

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The variable names no folder of jars.
    #[error("{LIBS} names {0}, which is no folder of Kafka's jars; run deploy/local/kafka/install.sh")]
    NoJars(PathBuf),
    /// Something about files, ports or processes.
    #[error("local kafka: {context}")]
    Io {
        /// What was being done.
        context: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A step of Kafka's own failed.
    #[error("local kafka: {step} failed, see the log: {log}")]
    Step {
        /// The step.
        step: &'static str,
        /// End of its log.
        log: String,
    },
}

pub(crate) fn io_error(context: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { context, source }
}

/// A running broker.
#[derive(Debug)]
pub struct LocalKafka(Cluster);

impl LocalKafka {
    /// Starts a broker from the jars that the environment names; none when it names none.
    ///
    /// # Errors
    /// When the variable is set and the broker does not come up.
    pub fn from_env() -> Result<Option<Self>, Error> {
        std::env::var_os(LIBS).map(|libs| Self::start(Path::new(&libs))).transpose()
    }

    /// The same, run [as shipped](Builder::as_shipped).
    ///
    /// # Errors
    /// When the variable is set and the broker does not come up.
    pub fn from_env_as_shipped() -> Result<Option<Self>, Error> {
        let start = |libs| Builder::new(Path::new(&libs)).as_shipped().start().map(Self);
        std::env::var_os(LIBS).map(start).transpose()
    }

    /// Starts a broker from the jars in `libs`, with an empty log, and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(libs: &Path) -> Result<Self, Error> {
        Builder::new(libs).start().map(Self)
    }

    /// `host:port` of the broker.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        self.0.bootstrap_servers()
    }

    /// Starts the broker again on its old log and port, and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn resume(&mut self) -> Result<(), Error> {
        self.0.nodes_mut().iter_mut().try_for_each(Node::resume)
    }

    /// Kills the broker as a power cut would (SIGKILL); its log stays.
    pub fn kill(&mut self) {
        self.0.nodes_mut().iter_mut().for_each(Node::kill);
    }
}
