use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use contracts::AuditManifest;
use service::{Failure, Process};
use stream::{Codec, CodecError, Incoming, Needs, Observer, Outgoing, Publisher, Tail, TailEvent};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use worm_log::{AnyStore, Auditor, Event, Hash, Manifest, Pushed, Record, Store, Tip};

use crate::checkpoints::Checkpoints;
use crate::{Config, NAME};

const STORE: &str = "worm-store";
pub(crate) const MANIFESTS: &str = "audit.manifests";
const POLL: Duration = Duration::from_millis(100);
/// How often it is asked whether a segment is due, and how long a store that is down is left alone.
const TICK: Duration = Duration::from_millis(200);
const RETRY: Duration = Duration::from_secs(1);

type Partition = (String, i32);

/// The consumer: Kafka on one side, the store on the other.
pub(crate) struct Archive {
    tail: Tail,
    auditor: Auditor<AnyStore>,
    codec: Codec,
    publisher: Publisher,
    observer: Observer,
    runtime: Handle,
    /// Partitions that came while the store was down; their records are not taken until the store says where to begin.
    waiting: BTreeSet<Partition>,
    /// Segments that are in the store and not announced yet. Their offsets are committed only after that, so that the next
    /// owner of the partition announces them.
    unannounced: BTreeMap<Partition, VecDeque<(Box<Manifest>, Hash)>>,
    checkpoints: Option<Checkpoints>,
    retry_at: Instant,
    paused: bool,
}

impl Archive {
    pub(crate) fn open(config: &Config, process: &Process) -> Result<Self, Failure> {
        let runtime = process.runtime.clone();
        let stage = process.stage(NAME, &config.registry)?;
        let observer = stage.observer.clone();
        let store = runtime.block_on(config.worm.open())?;
        if config.worm.create_bucket
            && let AnyStore::S3(bucket) = &store
        {
            wait(&observer, &process.shutdown, || runtime.block_on(bucket.ensure_bucket()))?;
        }
        wait(&observer, &process.shutdown, || runtime.block_on(store.check()))?;
        let topics: Vec<&str> = config.worm.topics.iter().map(String::as_str).collect();
        let needs = Needs { stage: NAME, inputs: &topics, outputs: &["audit.manifests"] };
        process.wait_until_fit(&config.kafka, &needs, &observer)?;
        let checkpoints = Checkpoints::start(config, process, &store)?;
        Ok(Self {
            tail: Tail::new(NAME, &topics, &config.worm.exclude, &config.kafka, &observer)?,
            auditor: Auditor::new(store, config.worm.auditor()),
            codec: stage.codec,
            publisher: Publisher::new("manifests", &config.kafka, runtime.clone())?,
            observer,
            runtime,
            waiting: BTreeSet::new(),
            unannounced: BTreeMap::new(),
            checkpoints,
            retry_at: Instant::now(),
            paused: false,
        })
    }

    pub(crate) fn run(mut self, shutdown: &CancellationToken) -> Result<(), Failure> {
        let mut tick = Instant::now();
        while !shutdown.is_cancelled() {
            if self.checkpoints.as_ref().is_some_and(Checkpoints::has_ended) {
                break;
            }
            match self.tail.poll(POLL)? {
                Some(TailEvent::Assigned(partitions)) => self.waiting.extend(partitions),
                Some(TailEvent::Revoked(partitions)) => {
                    for partition in partitions {
                        self.waiting.remove(&partition);
                        self.unannounced.remove(&partition);
                        self.auditor.revoke(&partition.0, partition.1);
                    }
                    // What another has now waits there; what is left and has to wait says so at its next try.
                    self.observer.relieved(STORE);
                }
                Some(TailEvent::Record(record)) => self.take(record)?,
                None => {}
            }
            if Instant::now() >= self.retry_at {
                self.begin()?;
            }
            if tick.elapsed() >= TICK || !self.auditor.has_room() {
                tick = Instant::now();
                if self.auditor.is_due(now_ms()) && Instant::now() >= self.retry_at {
                    let events = self.runtime.block_on(self.auditor.flush_due(now_ms()));
                    self.note(events)?;
                }
                self.hold_back()?;
            }
        }
        let events = self.runtime.block_on(self.auditor.flush_all(now_ms()));
        self.note(events)?;
        // After the last announcement, so that the last checkpoint covers it.
        self.checkpoints.map_or(Ok(()), Checkpoints::stop)
    }

    /// Asks the store where each new partition goes on, and seeks there.
    fn begin(&mut self) -> Result<(), Failure> {
        while let Some((topic, partition)) = self.waiting.pop_first() {
            match self.resume(&topic, partition) {
                Ok(()) => self.observer.ready(STORE),
                Err(Pause::Later(reason)) => {
                    self.observer.waiting(STORE, &reason);
                    self.waiting.insert((topic, partition));
                    self.retry_at = Instant::now() + RETRY;
                    return Ok(());
                }
                Err(Pause::Never(failure)) => return Err(failure),
            }
        }
        Ok(())
    }

    fn resume(&mut self, topic: &str, partition: i32) -> Result<(), Pause> {
        let (low, _) = self.tail.watermarks(topic, partition)?;
        let committed = self.tail.committed(topic, partition)?;
        let tip =
            self.runtime.block_on(worm_log::resume(self.auditor.store(), topic, partition, committed))?;
        if let Some(tip) = &tip
            && committed.is_none_or(|committed| committed < tip.next_offset())
        {
            self.announce_since(committed, tip)?;
        }
        let next = self.runtime.block_on(self.auditor.assign(topic, partition, low, committed, now_ms()))?;
        self.tail.seek(topic, partition, next)?;
        Ok(())
    }

    fn take(&mut self, record: Incoming) -> Result<(), Failure> {
        if self.waiting.contains(&(record.topic.to_string(), record.partition)) {
            return Ok(());
        }
        let topic = record.topic.clone();
        let record = Record {
            topic: record.topic.to_string(),
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key,
            value: record.value,
            headers: record.headers,
        };
        match self.auditor.push(&record, now_ms()) {
            Ok(Pushed::Taken) => self.observer.metrics().received(&topic, 1),
            Ok(Pushed::Ignored) => {}
            // Revoked between the poll and now; its next owner reads the record.
            Err(worm_log::Error::NotAssigned { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn note(&mut self, events: Vec<Event>) -> Result<(), Failure> {
        for event in events {
            match event {
                Event::Written { topic, partition, next_offset, manifest, manifest_sha256 } => {
                    self.observer.ready(STORE);
                    self.observer.metrics().sent("worm", manifest.record_count);
                    self.observer.metrics().fates(telemetry::Fate::Emitted, "", manifest.record_count);
                    debug_assert_eq!(
                        manifest.next_offset, next_offset,
                        "what is announced is what is committed"
                    );
                    let key = (topic, partition);
                    self.unannounced.entry(key.clone()).or_default().push_back((manifest, manifest_sha256));
                    let announced = self.announce_written(&key);
                    self.settle(announced)?;
                }
                Event::Adopted { topic, partition, next_offset } => {
                    tracing::info!(topic, partition, next_offset, "another writer was first");
                    self.tail.seek(&topic, partition, next_offset).map_err(|error| error.to_string())?;
                    self.auditor.seek_done(&topic, partition)?;
                }
                Event::Unavailable { topic, partition, error } => {
                    tracing::warn!(
                        topic,
                        partition,
                        error = service::chain(&error),
                        "store is unavailable, waiting"
                    );
                    self.observer.waiting(STORE, error.title());
                    self.retry_at = Instant::now() + RETRY;
                }
                Event::Failed { topic, partition, error } => {
                    tracing::error!(topic, partition, code = error.code(), "segment cannot be written");
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// A manifest that could not be announced or an offset that could not be committed is made up for with the partition's
    /// next segment, or when it is next assigned: the store is the truth.
    fn settle(&self, result: Result<(), Pause>) -> Result<(), Failure> {
        match result {
            Ok(()) => Ok(()),
            Err(Pause::Later(reason)) => {
                tracing::warn!(reason, "manifest is not announced");
                Ok(())
            }
            Err(Pause::Never(failure)) => Err(failure),
        }
    }

    /// Announces what an owner of the partition that ended between the store and Kafka left unannounced.
    fn announce_since(&self, committed: Option<i64>, tip: &Tip) -> Result<(), Pause> {
        let Manifest { topic, partition, .. } = &tip.manifest;
        let mut next = committed;
        while let Some(first_offset) = next {
            let store = self.auditor.store();
            let segment =
                self.runtime.block_on(worm_log::segment_at(store, topic, *partition, first_offset))?;
            if let Some(segment) = &segment {
                self.announce(&segment.manifest, &segment.manifest_sha256)?;
            }
            next = segment.map(|segment| segment.next_offset()).filter(|next| *next < tip.next_offset());
            if next.is_none() && first_offset == tip.manifest.first_offset {
                return Ok(());
            }
        }
        // Where nothing was committed, or not at a segment's start, the last one stands for those before it: it names its
        // predecessor by hash, and so on.
        self.announce(&tip.manifest, &tip.manifest_sha256)
    }

    fn announce_written(&mut self, key: &Partition) -> Result<(), Pause> {
        while let Some((manifest, sha256)) = self.unannounced.get(key).and_then(VecDeque::front) {
            self.announce(manifest, sha256)?;
            let next_offset = manifest.next_offset;
            if let Some(unannounced) = self.unannounced.get_mut(key) {
                unannounced.pop_front();
            }
            self.tail.commit(&key.0, key.1, next_offset)?;
        }
        self.unannounced.remove(key);
        Ok(())
    }

    fn announce(&self, manifest: &Manifest, sha256: &Hash) -> Result<(), Pause> {
        let key = manifest.id()?.manifest_key();
        let record = AuditManifest {
            topic: manifest.topic.clone(),
            partition: manifest.partition,
            first_offset: manifest.first_offset,
            next_offset: manifest.next_offset,
            manifest_key: key.clone(),
            manifest_sha256: sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
            manifest: String::from_utf8(manifest.to_bytes()).map_err(|error| Pause::Never(error.into()))?,
        };
        let value = self.codec.encode(MANIFESTS, &record)?;
        self.publisher.publish_blocking(&Outgoing::new(MANIFESTS, Some(key.into_bytes()), value))?;
        Ok(())
    }

    /// While the store is down or slow, lag grows and memory does not.
    fn hold_back(&mut self) -> Result<(), Failure> {
        let pause = !self.auditor.has_room();
        if pause != self.paused {
            self.tail.pause(pause).map_err(|error| error.to_string())?;
            self.paused = pause;
        }
        Ok(())
    }
}

/// Why something could not be done.
pub(crate) enum Pause {
    /// Something is down; try again.
    Later(String),
    /// Trying again does not help.
    Never(Failure),
}

impl From<stream::Unavailable> for Pause {
    fn from(unavailable: stream::Unavailable) -> Self {
        Self::Later(unavailable.to_string())
    }
}

impl From<worm_log::Error> for Pause {
    fn from(error: worm_log::Error) -> Self {
        if error.is_retryable() { Self::Later(error.title().to_owned()) } else { Self::Never(error.into()) }
    }
}

impl From<CodecError> for Pause {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::Unavailable(unavailable) => unavailable.into(),
            CodecError::Reject(reject) => Self::Never(reject.reason.into()),
        }
    }
}

/// Repeats a call while the store is down.
fn wait(
    observer: &Observer,
    shutdown: &CancellationToken,
    mut call: impl FnMut() -> Result<(), worm_log::Error>,
) -> Result<(), Failure> {
    loop {
        match call() {
            Ok(()) => {
                observer.ready(STORE);
                return Ok(());
            }
            Err(error) if error.is_retryable() && !shutdown.is_cancelled() => {
                observer.waiting(STORE, error.title());
                std::thread::sleep(RETRY);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(0))
}
