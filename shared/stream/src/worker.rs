//! The pool that runs the stage: in parallel across keys, in order within a key.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use contracts::headers::{ERROR_CODE, EVENT_ID, RECEIVED_AT, TRACEPARENT};
use contracts::{DeadLetter, Dropped, EventId, Header, dead_letter_topic};
use crossbeam_channel::{Receiver, Sender, unbounded};
use telemetry::{Fate as Label, trace};

use crate::lineage::Lineage;
use crate::{
    Codec, CodecError, Context, Error, Fate, Incoming, Observer, Outgoing, Reject, Stage, Tuning, Unavailable,
};

/// One record to be processed.
pub(crate) struct Job {
    pub(crate) record: Incoming,
    /// The partition's epoch: a result of an earlier one is inert.
    pub(crate) epoch: u64,
    /// False once the partition was taken away: nobody waits for the result.
    pub(crate) alive: Arc<AtomicBool>,
}

/// A record's result.
pub(crate) struct Finished {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) epoch: u64,
    pub(crate) done: Done,
}

/// A fate, ready to be written.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) outputs: Vec<Outgoing>,
    /// None for a record that the guard has seen before.
    pub(crate) fate: Option<Label>,
    /// Error code or reason; empty for what was emitted.
    pub(crate) reason: String,
    pub(crate) received_at_ms: i64,
    pub(crate) finished: Instant,
}

impl Done {
    /// What the guard makes of a record that it saw before: nothing.
    pub(crate) fn duplicate() -> Self {
        Self {
            outputs: Vec::new(),
            fate: None,
            reason: String::new(),
            received_at_ms: 0,
            finished: Instant::now(),
        }
    }
}

/// What workers need beside the stage.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) codec: Codec,
    pub(crate) tuning: Tuning,
    pub(crate) observer: Observer,
}

/// The threads; dropped, they finish what they were given and end.
pub(crate) struct Pool {
    queues: Vec<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(crate) fn start<S: Stage>(
        stage: &Arc<S>,
        surroundings: &Surroundings,
        results: &Sender<Finished>,
    ) -> Result<Self, Error> {
        let count = match surroundings.tuning.workers {
            0 => std::thread::available_parallelism().map_or(1, Into::into),
            count => count,
        };
        let mut pool = Self { queues: Vec::new(), threads: Vec::new() };
        for number in 0..count {
            // Not bounded here: the owner bounds what is in flight as a whole.
            let (queue, jobs) = unbounded();
            let worker =
                Worker { stage: stage.clone(), surroundings: surroundings.clone(), results: results.clone() };
            let thread = std::thread::Builder::new()
                .name(format!("{}-{number}", stage.name()))
                .spawn(move || worker.run(&jobs))
                .map_err(|_| Error::Thread("worker"))?;
            pool.queues.push(queue);
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Queues a record behind the others of its key.
    pub(crate) fn submit(&self, job: Job) {
        let mut hasher = DefaultHasher::new();
        match &job.record.key {
            Some(key) => key.hash(&mut hasher),
            // Without a key the partition is the order that there is.
            None => (&job.record.topic, job.record.partition).hash(&mut hasher),
        }
        let queue = (hasher.finish() % self.queues.len() as u64) as usize;
        // A worker ends only when its queue is dropped.
        let _ = self.queues[queue].send(job);
    }

    /// Ends the threads once their queues are empty.
    pub(crate) fn finish(mut self) {
        self.queues.clear();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A fate as records.
struct Encoded {
    outputs: Vec<Outgoing>,
    fate: Label,
    reason: String,
}

struct Worker<S> {
    stage: Arc<S>,
    surroundings: Surroundings,
    results: Sender<Finished>,
}

impl<S: Stage> Worker<S> {
    fn run(self, jobs: &Receiver<Job>) {
        for job in jobs {
            if let Some(done) = self.process(&job) {
                let Job { record, epoch, .. } = job;
                let finished = Finished {
                    topic: record.topic,
                    partition: record.partition,
                    offset: record.offset,
                    epoch,
                    done,
                };
                if self.results.send(finished).is_err() {
                    return;
                }
            }
        }
    }

    /// The record's fate; none when its partition was taken away meanwhile.
    fn process(&self, job: &Job) -> Option<Done> {
        let record = &job.record;
        let started = Instant::now();
        let now = now_ms();
        let event_id = record
            .header(EVENT_ID)
            .and_then(EventId::parse)
            .unwrap_or_else(|| EventId::at(&record.topic, record.partition, record.offset));
        let received_at_ms = record
            .header(RECEIVED_AT)
            .and_then(|text| text.parse().ok())
            .unwrap_or(if record.timestamp_ms > 0 { record.timestamp_ms } else { now });
        let mut span = trace::start_span("process", self.stage.name(), record.header(TRACEPARENT));
        span.record_source(&record.topic, record.partition, record.offset);
        let mut context = Context { event_id, received_at_ms, now_ms: now, attempt: 0 };
        let mut backoff = Backoff::new(self.surroundings.tuning.max_backoff.get());
        let mut waiting_for = None;
        let Encoded { outputs, fate, reason } = loop {
            match self.decide(record, &mut context).and_then(|fate| self.encode(record, &context, fate)) {
                Ok(encoded) => break encoded,
                Err(unavailable) => {
                    if waiting_for.replace(unavailable.dependency).is_none() {
                        tracing::warn!(
                            stage = self.stage.name(),
                            dependency = unavailable.dependency,
                            detail = unavailable.detail,
                            "dependency is unavailable, waiting"
                        );
                    }
                    self.surroundings.observer.waiting(unavailable.dependency, &unavailable.detail);
                    if !backoff.wait(&job.alive) {
                        return None;
                    }
                }
            }
        };
        if let Some(dependency) = waiting_for {
            self.surroundings.observer.ready(dependency);
        }
        let traceparent = span.traceparent();
        let outputs = (0..).zip(outputs).map(|(index, mut output)| {
            let lineage = Lineage::headers(record, index);
            output
                .headers
                .extend(lineage.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())));
            output.headers.push((EVENT_ID.to_owned(), event_id.to_string().into_bytes()));
            output.headers.push((RECEIVED_AT.to_owned(), received_at_ms.to_string().into_bytes()));
            output.headers.push((TRACEPARENT.to_owned(), traceparent.clone().into_bytes()));
            output
        });
        let outputs = outputs.collect();
        self.surroundings.observer.metrics().process(started.elapsed());
        Some(Done { outputs, fate: Some(fate), reason, received_at_ms, finished: Instant::now() })
    }

    /// Runs the stage. A panic is a defect of the stage, not of the line: the record is tried again, then given up.
    fn decide(&self, record: &Incoming, context: &mut Context) -> Result<Fate, Unavailable> {
        if record.size() as u64 > self.surroundings.tuning.max_record_bytes.as_u64() {
            return Ok(Reject::new("STREAM-902", "record is over kafka.tuning.max_record_bytes").into());
        }
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.stage.process(record, context))) {
                Ok(result) => return result,
                Err(_) => {
                    context.attempt += 1;
                    tracing::error!(
                        stage = self.stage.name(),
                        topic = &*record.topic,
                        partition = record.partition,
                        offset = record.offset,
                        attempt = context.attempt,
                        "stage panicked"
                    );
                    if context.attempt >= self.surroundings.tuning.max_attempts {
                        return Ok(Reject::new("STREAM-901", "the stage panicked on this record").into());
                    }
                }
            }
        }
    }

    fn encode(&self, record: &Incoming, context: &Context, fate: Fate) -> Result<Encoded, Unavailable> {
        let limit = self.surroundings.tuning.max_record_bytes.as_u64();
        let reject = match fate {
            Fate::Emit(outputs) if outputs.iter().all(|output| output.size() as u64 <= limit) => {
                return Ok(Encoded { outputs, fate: Label::Emitted, reason: String::new() });
            }
            Fate::Emit(_) => Reject::new(
                "STREAM-903",
                "what the stage made of the record is over kafka.tuning.max_record_bytes",
            ),
            Fate::DeadLetter(reject) => reject,
            Fate::Drop(reason) => {
                let outputs = vec![self.dropped(record, context, reason)?];
                return Ok(Encoded { outputs, fate: Label::Dropped, reason: reason.to_owned() });
            }
        };
        let outputs = vec![self.dead_letter(record, context, &reject)?];
        Ok(Encoded { outputs, fate: Label::DeadLettered, reason: reject.code })
    }

    fn dropped(&self, record: &Incoming, context: &Context, reason: &str) -> Result<Outgoing, Unavailable> {
        let dropped = Dropped {
            stage: self.stage.name().to_owned(),
            reason: reason.to_owned(),
            event_id: context.event_id.to_string(),
            source_topic: record.topic.to_string(),
            source_partition: record.partition,
            source_offset: record.offset,
        };
        let value = self.value("line.dropped", &dropped)?;
        Ok(Outgoing::new("line.dropped", Some(dropped.event_id.into_bytes()), value))
    }

    fn dead_letter(
        &self,
        record: &Incoming,
        context: &Context,
        reject: &Reject,
    ) -> Result<Outgoing, Unavailable> {
        let stage = self.stage.name();
        let topic = dead_letter_topic(stage);
        // The bytes travel along while they fit; beyond that the source position is the reference.
        let fits = record.size() as u64 <= self.surroundings.tuning.max_record_bytes.as_u64();
        let letter = DeadLetter {
            stage: stage.to_owned(),
            code: reject.code.clone(),
            reason: reject.reason.clone(),
            location: reject.location.clone(),
            outcome: reject.outcome.clone(),
            event_id: context.event_id.to_string(),
            source_topic: record.topic.to_string(),
            source_partition: record.partition,
            source_offset: record.offset,
            key: record.key.clone(),
            value: record.value.clone().filter(|_| fits),
            headers: record
                .headers
                .iter()
                .map(|(name, value)| Header { name: name.clone(), value: value.clone() })
                .collect(),
            attempts: i32::try_from(context.attempt.max(1)).unwrap_or(i32::MAX),
            failed_at: context.now_ms,
        };
        let value = self.value(&topic, &letter)?;
        let mut output = Outgoing::new(topic, record.key.clone(), value);
        output.headers.push((ERROR_CODE.to_owned(), reject.code.clone().into_bytes()));
        Ok(output)
    }

    /// A record of the runtime's own, encoded. It always fits its schema, so only the registry can stand in the way.
    fn value<T: contracts::Record>(&self, topic: &str, record: &T) -> Result<Vec<u8>, Unavailable> {
        self.surroundings.codec.encode(topic, record).map_err(|error| match error {
            CodecError::Unavailable(unavailable) => unavailable,
            CodecError::Reject(reject) => {
                Unavailable { dependency: "schema-registry", detail: reject.reason }
            }
        })
    }
}

/// Doubling waits from 50 ms.
struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    fn new(max: Duration) -> Self {
        Self { next: Duration::from_millis(50).min(max), max }
    }

    /// Waits, or returns false as soon as nobody wants the result any more.
    fn wait(&mut self, alive: &AtomicBool) -> bool {
        let until = Instant::now() + self.next;
        self.next = (self.next * 2).min(self.max);
        while alive.load(Ordering::Acquire) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(20)));
        }
        false
    }
}

/// The wall clock, milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(0))
}
