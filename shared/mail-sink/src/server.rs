//! The listener, its configuration and the handle a test or the demo holds.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::certificate::Identity;
use crate::session::{End, converse};
use crate::store::{ReceivedMessage, Store};

/// Why the sink cannot start or come up again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A certificate for the host name cannot be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(String),
}

impl Error {
    pub(crate) fn certificate(reason: impl std::fmt::Display) -> Self {
        Self::Certificate(reason.to_string())
    }
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// No TLS; AUTH is offered in the clear.
    Plaintext,
    /// STARTTLS, and neither AUTH nor MAIL before it.
    #[default]
    StartTls,
    /// TLS from the first byte (submissions, RFC 8314).
    Tls,
}

/// A user the sink accepts.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// How the sink is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one. Default: `127.0.0.1:0`.
    pub addr: SocketAddr,
    /// Name in the greeting and, beside `127.0.0.1` and `::1`, in the certificate. Default: `localhost`.
    pub hostname: String,
    /// Protection of the connection. Default: STARTTLS required.
    pub security: Security,
    /// The user a client must authenticate as; `None` takes mail from anyone. Default: `None`.
    pub credentials: Option<Credentials>,
    /// Largest message, bytes; a larger one is answered 552. Default: 10 MiB.
    pub max_message_bytes: usize,
    /// How many messages are kept. Default: 200.
    pub keep: usize,
    /// How many bytes of messages are kept. Default: 32 MiB.
    pub keep_bytes: usize,
    /// Conversations at the same time; a further one is answered 421. Default: 256.
    pub max_connections: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            hostname: "localhost".to_owned(),
            security: Security::default(),
            credentials: None,
            max_message_bytes: 10 << 20,
            keep: 200,
            keep_bytes: 32 << 20,
            max_connections: 256,
        }
    }
}

/// A step of the conversation at which the sink can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The greeting.
    Connect,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA, before the content.
    Data,
    /// After the content.
    Content,
}

/// What the sink does with mail; for drills and tests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// Takes it.
    #[default]
    Accept,
    /// Answers `code` at `step`.
    Reply {
        /// Where.
        step: Step,
        /// A reply code, 4xx or 5xx.
        code: u16,
    },
    /// Answers `code` to one recipient and takes the others.
    RejectRecipient {
        /// The recipient's address.
        address: String,
        /// A reply code, 4xx or 5xx.
        code: u16,
    },
    /// Takes the message and drops the connection before the final 250: the one case in which a correct client sends
    /// a message twice.
    VanishAfterAccept,
}

/// What all sessions share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) store: Store,
    behaviour: Mutex<Behaviour>,
    identity: Identity,
    connections: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn behaviour(&self) -> Behaviour {
        self.behaviour.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A running sink. Dropping it ends the listener and all conversations.
pub struct MailSink {
    shared: Arc<Shared>,
    addr: SocketAddr,
    running: tokio::sync::Mutex<Option<Running>>,
    stop: CancellationToken,
}

struct Running {
    stop: CancellationToken,
    accept: JoinHandle<()>,
    sessions: TaskTracker,
}

impl MailSink {
    /// Listens and serves on the current tokio runtime.
    ///
    /// # Errors
    /// [`Error::Listen`] when the address is taken, [`Error::Certificate`] when the host name is not a DNS name.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let names = vec![config.hostname.clone(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let identity = Identity::generate(names)?;
        let listener = listen(config.addr)?;
        let addr = listener.local_addr().map_err(|source| Error::Listen { addr: config.addr, source })?;
        let shared = Arc::new(Shared {
            store: Store::new(config.keep, config.keep_bytes),
            behaviour: Mutex::default(),
            identity,
            connections: Arc::new(Semaphore::new(config.max_connections)),
            config,
        });
        let stop = CancellationToken::new();
        let running = run(listener, Arc::clone(&shared), stop.child_token());
        Ok(Self { shared, addr, running: tokio::sync::Mutex::new(Some(running)), stop })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The certificate authority a client must trust, PEM. It lives as long as this sink.
    pub fn certificate_pem(&self) -> &str {
        &self.shared.identity.authority_pem
    }

    /// The last messages, oldest first.
    pub fn messages(&self) -> Vec<Arc<ReceivedMessage>> {
        self.shared.store.recent()
    }

    /// How many messages were accepted since the start.
    pub fn count(&self) -> u64 {
        self.shared.store.count()
    }

    /// How many different messages were accepted, by Message-ID; each one without a Message-ID counts.
    ///
    /// Exact for the sink's whole life, at the price of every Message-ID kept in memory (about 100 bytes each).
    pub fn unique_message_ids(&self) -> u64 {
        self.shared.store.unique()
    }

    /// How many accepted messages carried a Message-ID that had been accepted before.
    pub fn duplicates(&self) -> u64 {
        self.shared.store.duplicates()
    }

    /// Whether a message with this Message-ID (without angle brackets) was accepted.
    pub fn has(&self, message_id: &str) -> bool {
        self.shared.store.has(message_id)
    }

    /// Returns once at least `count` messages were accepted since the start.
    pub async fn wait_for(&self, count: u64) {
        // The sender lives in `self`, so the wait cannot fail while it runs.
        let _ = self.shared.store.watch().wait_for(|accepted| *accepted >= count).await;
    }

    /// Sets what happens to mail from the next command on.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    /// Takes the server down: the port refuses connections and open conversations are cut. Returns when it is so.
    pub async fn pause(&self) {
        if let Some(running) = self.running.lock().await.take() {
            running.end().await;
        }
    }

    /// Brings the server up again on the same port, with the same certificate, messages and counts.
    ///
    /// # Errors
    /// [`Error::Listen`] when another process took the port meanwhile.
    pub async fn resume(&self) -> Result<(), Error> {
        let mut running = self.running.lock().await;
        if running.is_none() && !self.stop.is_cancelled() {
            *running = Some(run(listen(self.addr)?, Arc::clone(&self.shared), self.stop.child_token()));
        }
        Ok(())
    }

    /// Ends the sink for good; messages and counts stay readable.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.pause().await;
    }
}

impl Drop for MailSink {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        // A panic in the accept loop would already have closed the listener.
        let _ = self.accept.await;
        self.sessions.close();
        self.sessions.wait().await;
    }
}

fn listen(addr: SocketAddr) -> Result<TcpListener, Error> {
    let bind = || {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Cut conversations leave the port in TIME_WAIT; without this a resume would have to wait for it.
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        socket.listen(1024)
    };
    bind().map_err(|source| Error::Listen { addr, source })
}

fn run(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) -> Running {
    let sessions = TaskTracker::new();
    let tracker = sessions.clone();
    let token = stop.clone();
    let accept = tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = token.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            // An error here is one client's (reset before accept) or passes (out of file handles).
            let Ok((stream, _)) = accepted else {
                tokio::task::yield_now().await;
                continue;
            };
            let shared = Arc::clone(&shared);
            let token = token.clone();
            tracker.spawn(async move {
                tokio::select! {
                    () = token.cancelled() => {}
                    // A conversation that breaks is the client's matter; it sees the closed connection.
                    _ = serve(stream, &shared) => {}
                }
            });
        }
    });
    Running { stop, accept, sessions }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let Ok(_permit) = shared.connections.try_acquire() else {
        use tokio::io::AsyncWriteExt as _;
        return stream.write_all(b"421 4.3.2 too many connections\r\n").await;
    };
    stream.set_nodelay(true)?;
    match shared.config.security {
        Security::Tls => {
            let stream = shared.identity.acceptor.accept(stream).await?;
            finish(converse(stream, shared, true, true).await?)
        }
        Security::Plaintext => finish(converse(stream, shared, false, true).await?),
        Security::StartTls => match converse(stream, shared, false, true).await? {
            End::Closed => Ok(()),
            End::StartTls(stream) => {
                let stream = shared.identity.acceptor.accept(stream).await?;
                finish(converse(stream, shared, true, false).await?)
            }
        },
    }
}

/// STARTTLS inside TLS is refused by the session, so both ends close the connection.
fn finish<S: AsyncRead + AsyncWrite>(end: End<S>) -> io::Result<()> {
    drop(end);
    Ok(())
}
