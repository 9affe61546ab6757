use tempfile::TempDir;

use crate::{Error, Node};

/// Nodes that form one cluster. Dropped, they are killed, and their temporary folder is deleted.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    // Goes after the nodes that write in it.
    _folder: Option<TempDir>,
}

impl Cluster {
    pub(crate) fn new(nodes: Vec<Node>, folder: Option<TempDir>) -> Self {
        Self { nodes, _folder: folder }
    }

    /// `host:port` of every node, separated by commas.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(Node::address).collect();
        addresses.join(",")
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes, to be killed, stopped and resumed.
    pub fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// How often a classic consumer group was shared out anew, from the first start on.
    ///
    /// # Errors
    /// When a node's log cannot be read.
    pub fn rebalances(&self) -> Result<usize, Error> {
        self.nodes.iter().map(Node::rebalances).sum()
    }

    /// Starts every node that does not run, and waits until all of them answer.
    ///
    /// # Errors
    /// When one does not come up.
    pub fn resume(&mut self) -> Result<(), Error> {
        // A broker opens its port only once the quorum stands, so all start before any is waited for.
        for node in &mut self.nodes {
            if !node.is_running() {
                node.spawn()?;
            }
        }
        self.nodes.iter_mut().try_for_each(Node::ready)
    }
}
