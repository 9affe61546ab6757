//! MLLP: HL7 v2 over TCP (HL7 v2.9, appendix C.4). A sender is answered positively only once Kafka has its message
//! for good, so what was acknowledged cannot be lost, and what was not is sent again.

use std::net::SocketAddr;
use std::sync::Arc;

use hl7v2::ack::{AckCode, Mode, reply};
use hl7v2::mllp::{Decoder, encode};
use hl7v2::{Error, Message};
use service::{Failure, Process};
use stream::{Observer, Outgoing, Publisher};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Mllp;

/// The listener.
pub(crate) struct Door {
    listener: TcpListener,
    shared: Arc<Shared>,
}

struct Shared {
    publisher: Publisher,
    config: Mllp,
    observer: Observer,
    places: Arc<Semaphore>,
}

impl Door {
    /// Listens.
    pub(crate) fn open(
        listen: SocketAddr,
        publisher: Publisher,
        config: Mllp,
        process: &Process,
    ) -> Result<Self, Failure> {
        let listener = process
            .runtime
            .block_on(TcpListener::bind(listen))
            .map_err(|error| format!("ingest.mllp.listen: cannot listen on {listen}: {error}"))?;
        tracing::info!(address = %listener.local_addr()?, "mllp listens");
        let places = Arc::new(Semaphore::new(config.max_connections));
        let observer = process.observer("mllp");
        Ok(Self { listener, shared: Arc::new(Shared { publisher, config, observer, places }) })
    }

    /// Serves until the shutdown, then lets each connection finish the message it is at.
    pub(crate) async fn serve(self, shutdown: CancellationToken) {
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = shutdown.cancelled() => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, for instance: connections that end make room.
                    tracing::warn!(%error, "mllp cannot accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(place) = self.shared.places.clone().try_acquire_owned() else {
                tracing::warn!(
                    max = self.shared.config.max_connections,
                    "mllp refuses a connection: too many"
                );
                continue;
            };
            let (shared, shutdown) = (self.shared.clone(), shutdown.clone());
            connections.spawn(async move {
                let _place = place;
                if let Err(error) = shared.converse(stream, &shutdown).await {
                    tracing::info!(%error, "mllp connection ends");
                }
            });
        }
        connections.close();
        connections.wait().await;
    }
}

impl Shared {
    async fn converse(&self, mut stream: TcpStream, shutdown: &CancellationToken) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let limit = self.config.max_message_bytes.as_usize();
        let mut decoder = Decoder::new(limit);
        let mut buffer = vec![0; 16 * 1024];
        loop {
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => {
                        if let Some(answer) = self.answer(&frame).await {
                            stream.write_all(&encode(&answer)).await?;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        let answer = reply(&[], AckCode::AE, Some(&error), None, &control_id(), &now());
                        stream.write_all(&encode(&answer)).await?;
                    }
                }
            }
            let read = tokio::select! {
                read = tokio::time::timeout(self.config.idle_timeout.get(), stream.read(&mut buffer)) => read,
                () = shutdown.cancelled() => return Ok(()),
            };
            match read {
                Err(_) | Ok(Ok(0)) => return Ok(()),
                Ok(Ok(count)) => decoder.push(&buffer[..count]),
                Ok(Err(error)) => return Err(error),
            }
        }
    }

    /// Publishes a message and says so, or says why not.
    async fn answer(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let mode = Mode::of(frame);
        let outcome = self.take(frame).await;
        let metrics = self.observer.metrics();
        let code = mode.accept_code(outcome.is_ok())?;
        let (code, error, text) = match &outcome {
            Ok(()) => (code, None, None),
            Err(Refusal::Message(error)) => (code, Some(error), Some(error.code.help())),
            Err(Refusal::NotNow) => {
                (rejecting(code), None, Some("the message could not be stored now; send it again"))
            }
        };
        metrics.received("mllp", 1);
        Some(reply(frame, code, error, text, &control_id(), &now()))
    }

    async fn take(&self, frame: &[u8]) -> Result<(), Refusal> {
        let message = Message::parse(frame).map_err(Refusal::Message)?;
        // The order of a patient's messages is the order of one partition.
        let key = match v2_to_fhir::patient_identity(&message) {
            Some(patient) => format!("{}|{}", patient.authority, patient.identifier),
            None => format!("{}|{}", message.sending_facility(), message.control_id()),
        };
        let output = Outgoing::new(&self.config.topic, Some(key.into_bytes()), frame.to_vec());
        match self.publisher.publish(&output).await {
            Ok(_) => {
                self.observer.ready("kafka");
                Ok(())
            }
            Err(unavailable) => {
                self.observer.waiting("kafka", &unavailable.detail);
                Err(Refusal::NotNow)
            }
        }
    }
}

/// HL7 v2.9, 2.9.2: AE and CE are about the message, AR and CR about the receiver.
fn rejecting(code: AckCode) -> AckCode {
    match code {
        AckCode::CE => AckCode::CR,
        _ => AckCode::AR,
    }
}

enum Refusal {
    /// The message is damaged; sending it again does not help.
    Message(Error),
    /// Kafka did not take it.
    NotNow,
}

fn control_id() -> String {
    // MSH-10 holds 20 characters up to v2.6.
    uuid::Uuid::new_v4().simple().to_string()[..20].to_owned()
}

/// MSH-7, in UTC.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y%m%d%H%M%S+0000").to_string()
}
