//! The Merkle log: whoever holds the one partition of `audit.manifests` appends its manifests and signs checkpoints.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use contracts::AuditManifest;
use service::{Failure, Process};
use stream::{Codec, Incoming, Needs, Observer, Tail, TailEvent};
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};
use worm_log::{AnyStore, Appended, Manifest, Sequencer, SequencerConfig};

use crate::Config;
use crate::archive::{MANIFESTS, Pause, now_ms};

/// Name of the consumer, and with it of its group.
const NAME: &str = "audit-checkpoints";
/// What `/readyz` calls the log: it needs the store, the registry and Kafka.
const LOG: &str = "merkle-log";
const POLL: Duration = Duration::from_millis(100);
/// How long a store or a registry that is down is left alone.
const RETRY: Duration = Duration::from_secs(1);
/// Manifests after which a checkpoint is due whatever the time: what is not under one is in memory.
const BATCH: u64 = 256;
/// How often in a row another checkpointer may have been first before something is wrong.
const CONFLICTS: u32 = 5;
/// How long the drain may take to reach the end of the topic.
const DRAIN: Duration = Duration::from_secs(10);
const PARTITION: i32 = 0;

/// The checkpointer on a thread of its own: a checkpoint that waits for the store holds up no segment.
pub(crate) struct Checkpoints {
    thread: JoinHandle<Result<(), Failure>>,
    /// Ends the thread with whoever holds this.
    shutdown: DropGuard,
}

impl Checkpoints {
    /// Starts it, if the configuration names a signing key.
    pub(crate) fn start(
        config: &Config,
        process: &Process,
        store: &AnyStore,
    ) -> Result<Option<Self>, Failure> {
        let Some(sequencer) = config.worm.sequencer()? else {
            tracing::warn!("worm.merkle_log.signing_key_file is not set: this instance signs no checkpoints");
            return Ok(None);
        };
        let observer = process.observer(NAME);
        let needs = Needs { stage: NAME, inputs: &[MANIFESTS], outputs: &[] };
        let kafka = config.kafka.with_group_suffix("-checkpoints");
        process.wait_until_fit(&kafka, &needs, &observer)?;
        let checkpointer = Checkpointer {
            tail: Tail::new(NAME, &[MANIFESTS], &[], &kafka, &observer)?,
            codec: Codec::new(&config.registry, process.runtime.clone())?,
            observer,
            runtime: process.runtime.clone(),
            store: store.clone(),
            config: sequencer,
            every: Duration::from_millis(config.worm.merkle_log.every.as_millis()),
            held: false,
            log: None,
            retry_at: Instant::now(),
            conflicts: 0,
        };
        let shutdown = CancellationToken::new();
        let token = shutdown.clone();
        let thread =
            std::thread::Builder::new().name(NAME.to_owned()).spawn(move || checkpointer.run(&token))?;
        Ok(Some(Self { thread, shutdown: shutdown.drop_guard() }))
    }

    /// Whether it could not go on.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Reads what has been announced to the end, signs the last checkpoint, and ends it.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        drop(self.shutdown);
        self.thread.join().unwrap_or_else(|_| Err("the checkpointer panicked".into()))
    }
}

/// The log, open at its end.
struct Open {
    sequencer: Sequencer<AnyStore>,
    /// The first offset that was not read.
    position: i64,
    /// When the first of the leaves without a checkpoint came.
    waiting_since: Option<Instant>,
}

struct Checkpointer {
    tail: Tail,
    codec: Codec,
    observer: Observer,
    runtime: Handle,
    store: AnyStore,
    config: SequencerConfig,
    every: Duration,
    /// Whether the partition is this member's.
    held: bool,
    log: Option<Open>,
    retry_at: Instant,
    conflicts: u32,
}

impl Checkpointer {
    fn run(mut self, shutdown: &CancellationToken) -> Result<(), Failure> {
        while !shutdown.is_cancelled() {
            self.step(false)?;
        }
        let deadline = Instant::now() + DRAIN;
        while self.held && Instant::now() < deadline && !self.is_at_the_end() {
            self.step(true)?;
        }
        Ok(())
    }

    /// Whether everything that was announced is under a checkpoint.
    fn is_at_the_end(&self) -> bool {
        let Some(log) = &self.log else { return false };
        let end = self.tail.watermarks(MANIFESTS, PARTITION);
        log.sequencer.pending() == 0 && end.is_ok_and(|(_, high)| log.position >= high)
    }

    fn step(&mut self, last: bool) -> Result<(), Failure> {
        if let Some(event) = self.tail.poll(POLL)? {
            self.heed(event)?;
        }
        if self.held && self.log.is_none() && Instant::now() >= self.retry_at {
            let opened = self.open();
            self.settle(opened)?;
        }
        let due = self.log.as_ref().is_some_and(|log| {
            let waited = log.waiting_since.is_some_and(|since| since.elapsed() >= self.every);
            log.sequencer.pending() >= BATCH || (log.sequencer.pending() > 0 && (waited || last))
        });
        if due && Instant::now() >= self.retry_at {
            let signed = self.sign();
            self.settle(signed)?;
        }
        Ok(())
    }

    fn heed(&mut self, event: TailEvent) -> Result<(), Failure> {
        match event {
            TailEvent::Assigned(partitions) if !partitions.is_empty() => self.held = true,
            TailEvent::Revoked(partitions) if !partitions.is_empty() => {
                self.held = false;
                self.log = None;
                // Whatever held it up holds up another member now.
                self.observer.relieved(LOG);
            }
            TailEvent::Assigned(_) | TailEvent::Revoked(_) => {}
            TailEvent::Record(record) => {
                let taken = self.take(&record);
                self.settle(taken)?;
            }
        }
        Ok(())
    }

    /// Finds the end of the log, and reads on where its last checkpoint says.
    fn open(&mut self) -> Result<(), Pause> {
        let sequencer = self.runtime.block_on(Sequencer::open(self.store.clone(), self.config.clone()))?;
        let (low, high) = self.tail.watermarks(MANIFESTS, PARTITION)?;
        let noted = sequencer.last().map_or(0, |last| last.manifests_next);
        // A topic that was made anew begins at offset 0 again; one that was read too late begins where its retention ends.
        let position = if noted > high { low } else { noted.max(low) };
        self.tail.seek(MANIFESTS, PARTITION, position)?;
        let waiting_since = (sequencer.pending() > 0).then(Instant::now);
        tracing::info!(size = sequencer.last().map_or(0, |last| last.size), position, "merkle log is open");
        self.log = Some(Open { sequencer, position, waiting_since });
        self.observer.ready(LOG);
        Ok(())
    }

    fn take(&mut self, record: &Incoming) -> Result<(), Pause> {
        let Some(log) = self.log.as_mut().filter(|log| record.offset >= log.position) else { return Ok(()) };
        // No checkpointer takes another offset for its next than one that follows what it read: skipped is read.
        let announced = match self.codec.decode::<AuditManifest>(record.value.as_deref()) {
            Ok(announced) => Manifest::from_bytes(announced.manifest.as_bytes()).ok(),
            Err(stream::CodecError::Unavailable(unavailable)) => return Err(unavailable.into()),
            Err(stream::CodecError::Reject(_)) => None,
        };
        let appended = match &announced {
            Some(manifest) => self.runtime.block_on(log.sequencer.append(manifest))?,
            None => Appended::Stranger,
        };
        match appended {
            Appended::Taken => {
                log.waiting_since.get_or_insert_with(Instant::now);
            }
            Appended::Known => {}
            Appended::Stranger => {
                tracing::warn!(offset = record.offset, "what was announced is no manifest of the store");
            }
        }
        log.position = record.offset + 1;
        Ok(())
    }

    fn sign(&mut self) -> Result<(), Pause> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let position = log.position;
        let signed = self.runtime.block_on(log.sequencer.checkpoint(now_ms(), position))?;
        if let Some(checkpoint) = signed {
            tracing::info!(size = checkpoint.size, "checkpoint is signed");
        }
        log.waiting_since = None;
        self.conflicts = 0;
        self.observer.ready(LOG);
        self.tail.commit(MANIFESTS, PARTITION, position)?;
        Ok(())
    }

    /// What is down is tried again from the store's state; so is what another checkpointer was first with.
    fn settle(&mut self, result: Result<(), Pause>) -> Result<(), Failure> {
        let reason = match result {
            Ok(()) => return Ok(()),
            Err(Pause::Later(reason)) => reason,
            Err(Pause::Never(failure)) => {
                let conflict = failure
                    .downcast_ref::<worm_log::Error>()
                    .is_some_and(|error| matches!(error, worm_log::Error::Conflict { .. }));
                self.conflicts += 1;
                if !conflict || self.conflicts >= CONFLICTS {
                    return Err(failure);
                }
                service::chain(&*failure)
            }
        };
        tracing::warn!(reason, "merkle log waits");
        self.observer.waiting(LOG, &reason);
        self.log = None;
        self.retry_at = Instant::now() + RETRY;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use telemetry::{Health, Metrics};
    use worm_log::{LocalStore, SigningKey, VerifyingKeys};

    use super::*;

    #[test]
    fn a_member_that_waited_with_the_log_is_ready_once_another_has_it() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let health = Health::new();
        let observer = Observer::new(NAME, Metrics::new().stage(NAME), health.clone());
        let config = Config::default();
        let key = SigningKey::parse(&SigningKey::generate("example.org/log").unwrap()).unwrap();
        let mut checkpointer = Checkpointer {
            tail: Tail::new(NAME, &[MANIFESTS], &[], &config.kafka, &observer).unwrap(),
            codec: Codec::new(&config.registry, runtime.handle().clone()).unwrap(),
            observer,
            runtime: runtime.handle().clone(),
            store: AnyStore::Local(LocalStore::open(folder.path()).unwrap()),
            config: SequencerConfig { key, keys: VerifyingKeys::default(), retention_seconds: 1 },
            every: Duration::from_secs(1),
            held: true,
            log: None,
            retry_at: Instant::now(),
            conflicts: 0,
        };
        let waits = || health.report().not_ready().any(|part| part.component.ends_with(LOG));
        let unavailable = stream::Unavailable { dependency: "kafka", detail: "UnknownMemberId".to_owned() };
        checkpointer.settle(Err(unavailable.into())).unwrap();
        assert!(waits());
        checkpointer.heed(TailEvent::Revoked(vec![(MANIFESTS.to_owned(), PARTITION)])).unwrap();
        assert!(!waits());
    }
}
