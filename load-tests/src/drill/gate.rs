//! A TCP proxy that can be shut, so that a part goes away and comes back on the same address.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::drill::Error;

/// The proxy. While it is shut, connections are cut and new ones closed at once.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    open: watch::Sender<bool>,
}

impl Gate {
    /// An open gate in front of `target`.
    ///
    /// # Errors
    /// When loopback has no port for it.
    pub fn new(target: SocketAddr, runtime: &Handle) -> Result<Self, Error> {
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .map_err(Error::io("listener of a gate"))?;
        let address = listener.local_addr().map_err(Error::io("listener of a gate"))?;
        let (open, state) = watch::channel(true);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut state = state.clone();
                if *state.borrow_and_update() {
                    tokio::spawn(async move {
                        tokio::select! {
                            () = pass(client, target) => {}
                            _ = state.changed() => {}
                        }
                    });
                }
            }
        });
        Ok(Self { address, open })
    }

    /// `http://` and the address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Cuts what is open, and closes what comes.
    pub fn shut(&self) {
        self.open.send_replace(false);
    }

    /// Lets connections through again.
    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

async fn pass(mut client: TcpStream, target: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(target).await {
        // Either end may cut the connection; the other learns of it.
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
