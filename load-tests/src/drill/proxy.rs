//! A TCP proxy that speaks enough of Kafka's protocol to cut a producer off exactly around a commit.
//!
//! Requests are framed and their headers read (Kafka protocol guide, "Protocol primitives"): INT32 size, INT16 API key,
//! INT16 API version, INT32 correlation id, NULLABLE_STRING client id. A response begins with the correlation id.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_util::bytes::BytesMut;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use crate::drill::Error;

/// API key of EndTxn.
const END_TXN: i16 = 26;
/// API keys that only producers send: Produce, InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn,
/// TxnOffsetCommit.
const PRODUCERS: [i16; 6] = [0, 22, 24, 25, END_TXN, 28];
/// Largest request or response.
const LARGEST: usize = 64 << 20;

/// Where the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The broker never gets the request.
    BeforeRequest,
    /// The broker answers, and the answer gets lost.
    BeforeResponse,
}

/// The proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    target: Option<SocketAddr>,
    /// To be done at the next EndTxn, of whichever client.
    armed: Option<Cut>,
    /// Client ids whose producers get no request through.
    shut: HashSet<Vec<u8>>,
    cuts: u64,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// A proxy without a target yet.
    pub(crate) fn new(runtime: &Handle) -> Result<Self, Error> {
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .map_err(Error::io("listener of the proxy"))?;
        let port = listener.local_addr().map_err(Error::io("listener of the proxy"))?.port();
        let state = Arc::new(State::default());
        let shared = state.clone();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, shared.clone()));
            }
        });
        Ok(Self { port, state })
    }

    /// Port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Passes on to this port of loopback.
    pub(crate) fn aim(&self, port: u16) {
        self.state.lock().target = Some((Ipv4Addr::LOCALHOST, port).into());
    }

    /// Cuts the connection of the next EndTxn, and keeps its client's producer away until [`restore`](Self::restore).
    pub(crate) fn arm(&self, cut: Cut) {
        self.state.lock().armed = Some(cut);
    }

    /// Lets everybody through again.
    pub(crate) fn restore(&self) {
        let mut inner = self.state.lock();
        inner.shut.clear();
        inner.armed = None;
    }

    /// Connections cut so far.
    pub(crate) fn cuts(&self) -> u64 {
        self.state.lock().cuts
    }
}

/// What is done with a request.
enum Fate {
    Forward,
    /// The connection ends here.
    Cut,
    /// Forwarded, and the connection ends with the response to this correlation id.
    CutAtResponse([u8; 4]),
}

fn decide(request: &[u8], state: &State) -> Fate {
    let (Some([a, b]), Some(correlation)) = (request.get(..2), request.get(4..8)) else {
        return Fate::Forward;
    };
    let key = i16::from_be_bytes([*a, *b]);
    if !PRODUCERS.contains(&key) {
        return Fate::Forward;
    }
    let length = request
        .get(8..10)
        .and_then(|length| usize::try_from(i16::from_be_bytes(length.try_into().ok()?)).ok());
    let client = length.and_then(|length| request.get(10..10 + length)).unwrap_or_default();
    let mut inner = state.lock();
    if inner.shut.contains(client) {
        return Fate::Cut;
    }
    let Some(cut) = inner.armed.filter(|_| key == END_TXN) else { return Fate::Forward };
    inner.armed = None;
    inner.shut.insert(client.to_vec());
    inner.cuts += 1;
    match (cut, <[u8; 4]>::try_from(correlation)) {
        (Cut::BeforeResponse, Ok(correlation)) => Fate::CutAtResponse(correlation),
        _ => Fate::Cut,
    }
}

/// Passes both directions until either end, or the proxy, cuts.
async fn pass(client: TcpStream, state: Arc<State>) {
    let Some(target) = state.lock().target else { return };
    let Ok(server) = TcpStream::connect(target).await else { return };
    // Nothing is gained by waiting for more of a small request.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let codec = || LengthDelimitedCodec::builder().max_frame_length(LARGEST).new_codec();
    let (mut client, mut server) = (Framed::new(client, codec()), Framed::new(server, codec()));
    let mut awaited = None;
    loop {
        tokio::select! {
            request = client.next() => {
                let Some(Ok(request)) = request else { return };
                match decide(&request, &state) {
                    Fate::Forward => {}
                    Fate::Cut => return,
                    Fate::CutAtResponse(correlation) => awaited = Some(correlation),
                }
                if server.send(request.freeze()).await.is_err() {
                    return;
                }
            }
            response = server.next() => {
                let Some(Ok(response)) = response else { return };
                if awaited.is_some_and(|correlation| answers(&response, correlation)) {
                    return;
                }
                if client.send(response.freeze()).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn answers(response: &BytesMut, correlation: [u8; 4]) -> bool {
    response.get(..4) == Some(&correlation[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(key: i16, client: &str) -> Vec<u8> {
        let mut bytes = key.to_be_bytes().to_vec();
        bytes.extend(1_i16.to_be_bytes());
        bytes.extend(77_i32.to_be_bytes());
        bytes.extend(i16::try_from(client.len()).unwrap().to_be_bytes());
        bytes.extend(client.as_bytes());
        bytes
    }

    #[test]
    fn the_next_commit_is_cut_and_its_producer_stays_away() {
        let state = State::default();
        assert!(matches!(decide(&request(END_TXN, "a"), &state), Fate::Forward), "not armed");
        state.lock().armed = Some(Cut::BeforeResponse);
        assert!(matches!(decide(&request(0, "a"), &state), Fate::Forward), "a Produce is no commit");
        let fate = decide(&request(END_TXN, "a"), &state);
        assert!(matches!(fate, Fate::CutAtResponse(correlation) if correlation == 77_i32.to_be_bytes()));
        assert!(matches!(decide(&request(END_TXN, "a"), &state), Fate::Cut), "it tries again");
        assert!(matches!(decide(&request(1, "a"), &state), Fate::Forward), "its consumer fetches on");
        assert!(matches!(decide(&request(END_TXN, "b"), &state), Fate::Forward), "another client");
        assert_eq!(state.lock().cuts, 1);
        state.lock().shut.clear();
        state.lock().armed = Some(Cut::BeforeRequest);
        assert!(matches!(decide(&request(END_TXN, "b"), &state), Fate::Cut));
        for bytes in [&[][..], &[0], &[0, 26, 0, 0, 0, 0, 0], &[0, 26, 0, 0, 0, 0, 0, 1, 255, 255]] {
            decide(bytes, &state);
        }
    }
}
