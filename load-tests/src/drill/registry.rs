//! A schema registry of the line's subjects, on loopback.

use std::net::{Ipv4Addr, SocketAddr};

use stream::RegistryConfig;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::drill::Error;

/// The registry. It ends with the value.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    stop: CancellationToken,
}

impl Registry {
    /// Starts it.
    ///
    /// # Errors
    /// When loopback has no port for it.
    pub fn start(runtime: &Handle) -> Result<Self, Error> {
        let context = "listener of the registry";
        let listener =
            runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).map_err(Error::io(context))?;
        let address = listener.local_addr().map_err(Error::io(context))?;
        let stop = CancellationToken::new();
        runtime.spawn(schema_registry::serve(listener, contracts::subjects(), stop.clone()));
        Ok(Self { address, stop })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How a client finds it.
    #[must_use]
    pub fn config(&self) -> RegistryConfig {
        RegistryConfig { url: format!("http://{}", self.address), ..RegistryConfig::default() }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
