use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tempfile::TempDir;

use crate::{Cluster, Error, Node, io_error};

/// How a cluster is set up.
#[derive(Clone, Debug)]
pub struct Builder {
    libs: PathBuf,
    nodes: usize,
    properties: BTreeMap<String, String>,
    folder: Option<PathBuf>,
    launcher: Vec<OsString>,
    advertised: Option<u16>,
    java: &'static [&'static str],
}

/// Up in a second or two, and small.
const BRIEF: &[&str] = &["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
/// What Kafka's own start script gives the virtual machine.
const AS_SHIPPED: &[&str] = &[
    "-Xms1g",
    "-Xmx1g",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

impl Builder {
    /// One node from the jars in `libs`.
    #[must_use]
    pub fn new(libs: &Path) -> Self {
        Self {
            libs: libs.to_owned(),
            nodes: 1,
            properties: BTreeMap::new(),
            folder: None,
            launcher: Vec::new(),
            advertised: None,
            java: BRIEF,
        }
    }

    /// So many nodes, at least 1. With three or more, internal topics have three replicas of which two must be in
    /// sync.
    #[must_use]
    pub fn nodes(mut self, count: usize) -> Self {
        self.nodes = count.max(1);
        self
    }

    /// A property of `server.properties` on every node, over the one that is set here.
    #[must_use]
    pub fn property(mut self, name: &str, value: impl Into<String>) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }

    /// Where the nodes keep their settings, what they print and their logs, all of which stays when they are gone;
    /// a temporary folder unless set.
    #[must_use]
    pub fn keep_in(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// A program and its first arguments that start the server in their own stead: what follows them is the program
    /// to become, and its arguments.
    #[must_use]
    pub fn launched_by(mut self, launcher: Vec<OsString>) -> Self {
        self.launcher = launcher;
        self
    }

    /// A second listener, which names `port` of loopback as its address: whoever bootstraps through a proxy there
    /// stays behind the proxy. For a cluster of one; see [`Node::proxied_port`].
    #[must_use]
    pub fn advertise_through(mut self, port: u16) -> Self {
        self.advertised = Some(port);
        self
    }

    /// Runs the servers as Kafka's own start script does, for benchmarks: they take longer to start and to warm up, and
    /// then do more in the same time than those of a test.
    #[must_use]
    pub fn as_shipped(mut self) -> Self {
        self.java = AS_SHIPPED;
        self
    }

    /// Formats the logs, starts the nodes, and waits until each answers.
    ///
    /// # Errors
    /// When one does not come up.
    pub fn start(self) -> Result<Cluster, Error> {
        let jars = fs::read_dir(&self.libs).map(|entries| entries.count()).unwrap_or(0);
        if jars == 0 {
            return Err(Error::NoJars(self.libs));
        }
        let (folder, temporary) = match self.folder.clone() {
            Some(folder) => (folder, None),
            None => {
                let temporary =
                    TempDir::with_prefix("wardstream-kafka-").map_err(io_error("temporary folder"))?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let ports = free_ports(self.nodes * 3).map_err(io_error("free ports"))?;
        let ports: Vec<[u16; 3]> =
            ports.chunks_exact(3).map(|ports| [ports[0], ports[1], ports[2]]).collect();
        // Without its highest bit the text never begins with `-`, which the tool would take for an option.
        let cluster_id = URL_SAFE_NO_PAD.encode((uuid::Uuid::new_v4().as_u128() >> 1).to_be_bytes());
        let mut nodes = Vec::new();
        for (at, id) in (0..self.nodes).zip(1..) {
            let home = folder.join(format!("node-{id}"));
            fs::create_dir_all(&home).map_err(io_error("folder"))?;
            let mut properties = self.defaults(at, id, &ports, &folder);
            properties.extend(self.properties.clone());
            let text: String = properties.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
            fs::write(home.join("server.properties"), text).map_err(io_error("server.properties"))?;
            let [port, _, proxied] = ports[at];
            let node =
                Node::new(home, self.libs.clone(), self.launcher.clone(), self.java, [port, proxied], id);
            node.format(&cluster_id, self.nodes == 1)?;
            nodes.push(node);
        }
        let mut cluster = Cluster::new(nodes, temporary);
        cluster.resume()?;
        Ok(cluster)
    }

    fn defaults(&self, at: usize, id: i32, ports: &[[u16; 3]], folder: &Path) -> BTreeMap<String, String> {
        let [port, controller, proxied] = ports[at];
        let mut listeners = format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}");
        let mut advertised = format!("PLAINTEXT://127.0.0.1:{port}");
        if let Some(through) = self.advertised {
            listeners.push_str(&format!(",PROXIED://127.0.0.1:{proxied}"));
            advertised.push_str(&format!(",PROXIED://127.0.0.1:{through}"));
        }
        let quorum = match self.nodes {
            1 => ("controller.quorum.bootstrap.servers", format!("127.0.0.1:{controller}")),
            _ => {
                let voter = |(at, ports): (usize, &[u16; 3])| format!("{}@127.0.0.1:{}", at + 1, ports[1]);
                let voters: Vec<String> = ports.iter().enumerate().map(voter).collect();
                ("controller.quorum.voters", voters.join(","))
            }
        };
        let logs = folder.join(format!("log-{id}"));
        let (replicas, in_sync) = if self.nodes >= 3 { ("3", "2") } else { ("1", "1") };
        let pairs = [
            ("process.roles", "broker,controller".to_owned()),
            ("node.id", id.to_string()),
            quorum,
            ("listeners", listeners),
            ("advertised.listeners", advertised),
            (
                "listener.security.protocol.map",
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT".to_owned(),
            ),
            ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("log.dirs", logs.display().to_string()),
            ("auto.create.topics.enable", "false".to_owned()),
            ("num.partitions", "1".to_owned()),
            ("min.insync.replicas", in_sync.to_owned()),
            ("offsets.topic.num.partitions", "4".to_owned()),
            ("offsets.topic.replication.factor", replicas.to_owned()),
            ("transaction.state.log.num.partitions", "4".to_owned()),
            ("transaction.state.log.replication.factor", replicas.to_owned()),
            ("transaction.state.log.min.isr", in_sync.to_owned()),
            ("share.coordinator.state.topic.replication.factor", replicas.to_owned()),
            ("share.coordinator.state.topic.min.isr", in_sync.to_owned()),
            ("group.initial.rebalance.delay.ms", "0".to_owned()),
            ("message.max.bytes", "18874368".to_owned()),
            ("replica.fetch.max.bytes", "18874368".to_owned()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Ports that are free at this moment. They are held together so that each is another's.
fn free_ports(count: usize) -> std::io::Result<Vec<u16>> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
