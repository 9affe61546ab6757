//! The pool that runs the stage: in parallel across keys, in order within a key.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use contracts::headers::{ERROR_CODE, EVENT_ID, RECEIVED_AT, RELEASE, REPLAY_TOPIC, TRACEPARENT};
use contracts::{DeadLetter, Dropped, EventId, Header, dead_letter_topic, parked_topic};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use telemetry::{Fate as Label, trace};

use crate::broker::Key;
use crate::outcome::{Done, Stamp};
use crate::parked::Parked;
use crate::pulse::Pulse;
use crate::waiting::{Place, Verdict, Waiting};
use crate::{
    Codec, CodecError, Context, Error, Fate, Incoming, Observer, Outgoing, Reject, Stage, Tuning, Unavailable,
};

/// How much less urgent workers are than other threads (`nice(2)`, which counts for one thread on Linux).
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// Between two looks at whether this instance still has its partitions.
const DOUBT: Duration = Duration::from_millis(10);

/// One record to be processed.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) record: Incoming,
    /// The partition's epoch: what is said of an earlier one is inert.
    pub(crate) epoch: u64,
    /// False once the partition was taken away: nobody waits for the result.
    pub(crate) alive: Arc<AtomicBool>,
    pub(crate) course: Course,
    /// The dependency that it failed for, if it was tried before.
    pub(crate) waited_for: Option<&'static str>,
}

/// What is to be done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// The stage decides.
    Process,
    /// Instances died with this record alone in flight.
    GiveUp,
    /// Its key alone keeps failing.
    Park,
}

/// What a worker says of a record.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) epoch: u64,
    /// Its fate; none means that it waits for a dependency.
    pub(crate) done: Option<Done>,
}

/// What workers need beside the stage.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) codec: Codec,
    pub(crate) tuning: Tuning,
    pub(crate) observer: Observer,
    pub(crate) parked: Arc<Parked>,
    pub(crate) pulse: Arc<Pulse>,
}

/// The threads. They end once the pool is stopped.
pub(crate) struct Pool {
    queues: Vec<Sender<Vec<Job>>>,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(crate) fn start<S: Stage>(
        stage: &Arc<S>,
        surroundings: &Surroundings,
        results: &Sender<News>,
    ) -> Result<Self, Error> {
        let count = match surroundings.tuning.workers {
            0 => std::thread::available_parallelism().map_or(1, Into::into),
            count => count,
        };
        let stopping = Arc::new(AtomicBool::new(false));
        let mut pool = Self { queues: Vec::new(), stopping: stopping.clone(), threads: Vec::new() };
        for number in 0..count {
            // Not bounded here: the owner bounds what is in flight as a whole.
            let (queue, jobs) = unbounded();
            let worker = Worker {
                stage: stage.clone(),
                surroundings: surroundings.clone(),
                stopping: stopping.clone(),
                results: results.clone(),
                waiting: Waiting::new(surroundings.tuning.max_backoff.get(), surroundings.tuning.park_after),
                down: Vec::new(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("{}-{number}", stage.name()))
                .spawn(move || worker.run(&jobs))
                .map_err(|_| Error::Thread("worker"))?;
            pool.queues.push(queue);
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Queues records, each behind the others of its key.
    pub(crate) fn submit(&self, jobs: Vec<Job>) {
        if jobs.is_empty() || self.queues.is_empty() {
            return;
        }
        let mut batches: Vec<Vec<Job>> = self.queues.iter().map(|_| Vec::new()).collect();
        for job in jobs {
            let mut hasher = DefaultHasher::new();
            match &job.record.key {
                Some(key) => key.hash(&mut hasher),
                // Without a key the partition is the order that there is.
                None => (&job.record.topic, job.record.partition).hash(&mut hasher),
            }
            let queue = (hasher.finish() % self.queues.len() as u64) as usize;
            batches[queue].push(job);
        }
        for (queue, batch) in self.queues.iter().zip(batches) {
            if !batch.is_empty() {
                // A worker ends only when its queue is dropped.
                let _ = queue.send(batch);
            }
        }
    }

    /// Has each worker finish the record it is at and end; what is queued is left to the next instance.
    pub(crate) fn stop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        self.queues.clear();
    }

    /// Waits for the threads to end.
    pub(crate) fn finish(mut self) {
        self.stop();
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

impl Encoded {
    fn new(outputs: Vec<Outgoing>, fate: Label, reason: impl Into<String>) -> Self {
        Self { outputs, fate, reason: reason.into() }
    }
}

/// Lets the threads that talk to Kafka, and a broker on the same machine, go before this one: a text that a model reads for a
/// tenth of a second must not hold up the commits of others. A system that knows no priority of a thread keeps its own.
fn step_back() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICENESS);
}

struct Worker<S> {
    stage: Arc<S>,
    surroundings: Surroundings,
    stopping: Arc<AtomicBool>,
    results: Sender<News>,
    waiting: Waiting<Job>,
    /// Dependencies that did not answer and did not since.
    down: Vec<&'static str>,
}

impl<S: Stage> Worker<S> {
    fn run(mut self, queue: &Receiver<Vec<Job>>) {
        step_back();
        while !self.stopping.load(Ordering::Acquire) {
            while let Some((place, job)) = self.waiting.next(Instant::now()) {
                self.attempt_in(&place, job);
            }
            let jobs = match self.waiting.next_at() {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => queue.recv_deadline(at),
            };
            match jobs {
                Ok(jobs) => {
                    for job in jobs {
                        if self.stopping.load(Ordering::Acquire) {
                            break;
                        }
                        self.take(job);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                // Whatever waits still is the next owner's.
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }

    fn take(&mut self, job: Job) {
        if self.waiting.is_empty() {
            // The usual case needs no copy of the key.
            if let Err(failed) = self.attempt(job) {
                let (job, unavailable) = *failed;
                self.wait(&place(&job.record), job, &unavailable);
            }
            return;
        }
        let place = place(&job.record);
        if let Some(job) = self.waiting.takes(&place, job, Instant::now()) {
            self.attempt_in(&place, job);
        }
    }

    /// Tries a record while others wait.
    fn attempt_in(&mut self, place: &Place, job: Job) {
        if !job.alive.load(Ordering::Acquire) {
            self.waiting.passed(place, Instant::now());
            if self.waiting.is_empty() {
                // The next owner of these records waits now.
                self.down.drain(..).for_each(|dependency| self.surroundings.observer.relieved(dependency));
            }
            return;
        }
        let (course, waited_for) = (job.course, job.waited_for);
        match self.attempt(job) {
            // What is parked says nothing of what it needed.
            Ok(()) if course == Course::Park => self.waiting.passed(place, Instant::now()),
            Ok(()) => {
                self.waiting.succeeded(place, Instant::now());
                if let Some(dependency) = waited_for {
                    self.down.retain(|down| *down != dependency);
                    self.surroundings.observer.ready(dependency);
                }
            }
            Err(failed) => {
                let (job, unavailable) = *failed;
                self.wait(place, job, &unavailable);
            }
        }
    }

    fn wait(&mut self, place: &Place, mut job: Job, unavailable: &Unavailable) {
        let Unavailable { dependency, detail } = unavailable;
        let observer = &self.surroundings.observer;
        observer.waiting(dependency, detail);
        if !self.down.contains(dependency) {
            tracing::warn!(
                stage = self.stage.name(),
                dependency,
                detail,
                "dependency is unavailable, waiting"
            );
            self.down.push(dependency);
        }
        job.waited_for = Some(dependency);
        let now = Instant::now();
        self.tell(news(&job, None));
        if let Verdict::Park(parked) = self.waiting.failed(place, job, observer.answers(dependency), now) {
            job = parked;
            job.course = Course::Park;
            self.attempt_in(place, job);
        }
    }

    /// Gives the record its fate, unless something that it needs is down.
    fn attempt(&mut self, job: Job) -> Result<(), Box<(Job, Unavailable)>> {
        if !self.may_begin(&job) {
            return Ok(());
        }
        match self.process(&job) {
            Ok(done) => {
                self.tell(news(&job, Some(done)));
                Ok(())
            }
            Err(unavailable) => Err(Box::new((job, unavailable))),
        }
    }

    /// Waits while it is in doubt whose the record is. False once nobody waits for the result.
    fn may_begin(&self, job: &Job) -> bool {
        loop {
            if !job.alive.load(Ordering::Acquire) {
                return false;
            }
            if self.surroundings.pulse.is_fresh(Instant::now()) {
                return true;
            }
            if self.stopping.load(Ordering::Acquire) {
                return false;
            }
            std::thread::sleep(DOUBT);
        }
    }

    fn tell(&self, news: News) {
        // The owner ends after its workers, or needs no result any more.
        let _ = self.results.send(news);
    }

    fn process(&self, job: &Job) -> Result<Done, Unavailable> {
        let record = &job.record;
        let started = Instant::now();
        let now_ms = now_ms();
        let event_id = record
            .header(EVENT_ID)
            .and_then(EventId::parse)
            .unwrap_or_else(|| EventId::at(&record.topic, record.partition, record.offset));
        let received_at_ms = record
            .header(RECEIVED_AT)
            .and_then(|text| text.parse().ok())
            .unwrap_or(if record.timestamp_ms > 0 { record.timestamp_ms } else { now_ms });
        let mut span = trace::start_span("process", self.stage.name(), record.header(TRACEPARENT));
        span.record_source(&record.topic, record.partition, record.offset);
        let mut context = Context { event_id, received_at_ms, now_ms, attempt: 0 };
        let Encoded { outputs, fate, reason } = self.decide(job, &mut context)?;
        let finished = Instant::now();
        self.surroundings.observer.metrics().process(finished.saturating_duration_since(started));
        let stamp = Stamp {
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            event_id,
            received_at_ms,
            traceparent: span.traceparent(),
        };
        Ok(Done { outputs, stamp: Some(stamp), fate, reason, finished })
    }

    fn decide(&self, job: &Job, context: &mut Context) -> Result<Encoded, Unavailable> {
        let Job { record, epoch, course, .. } = job;
        let key: Key = (record.topic.clone(), record.partition);
        let fate = match course {
            Course::GiveUp => {
                let reason = "instances died while this record alone was worked on";
                Reject::new("STREAM-904", reason).into()
            }
            Course::Park => {
                let reason = "what the record needs answers others and keeps failing for this key";
                Fate::Park(Reject::new("STREAM-905", reason))
            }
            Course::Process => match self.surroundings.parked.count(&key, *epoch, &record.key) {
                Some(count) if record.header(RELEASE).is_some_and(|told| told == count.to_string()) => {
                    self.surroundings.parked.release(&key, *epoch, &record.key);
                    let released = Outgoing {
                        value: None,
                        ..Outgoing::new(parked_topic(self.stage.name()), record.key.clone(), Vec::new())
                    };
                    return Ok(Encoded::new(vec![released], Label::Parked, "released"));
                }
                Some(_) if record.header(RELEASE).is_none() && record.header(REPLAY_TOPIC).is_none() => {
                    Fate::Park(Reject::new("STREAM-906", "an earlier record of its key is parked"))
                }
                _ if record.header(RELEASE).is_some() => Fate::Drop("release-outdated"),
                _ => self.run_stage(record, context)?,
            },
        };
        let encoded = self.encode(record, context, fate)?;
        if encoded.fate == Label::Parked {
            self.surroundings.parked.park(&key, *epoch, &record.key);
        }
        Ok(encoded)
    }

    /// Runs the stage. A panic is a defect of the stage, not of the line: the record is tried again, then given up.
    fn run_stage(&self, record: &Incoming, context: &mut Context) -> Result<Fate, Unavailable> {
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
        let name = self.stage.name();
        let (reject, topic, fate) = match fate {
            Fate::Emit(outputs) if outputs.iter().all(|output| output.size() as u64 <= limit) => {
                return Ok(Encoded::new(outputs, Label::Emitted, ""));
            }
            Fate::Emit(_) => {
                let reason = "what the stage made of the record is over kafka.tuning.max_record_bytes";
                (Reject::new("STREAM-903", reason), dead_letter_topic(name), Label::DeadLettered)
            }
            Fate::DeadLetter(reject) => (reject, dead_letter_topic(name), Label::DeadLettered),
            Fate::Park(reject) => (reject, parked_topic(name), Label::Parked),
            Fate::Drop(reason) => {
                let dropped = self.dropped(record, context, reason)?;
                return Ok(Encoded::new(vec![dropped], Label::Dropped, reason));
            }
        };
        let letter = self.letter(topic, record, context, &reject)?;
        Ok(Encoded::new(vec![letter], fate, reject.code))
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

    /// A record that goes no further, with its original bytes.
    fn letter(
        &self,
        topic: String,
        record: &Incoming,
        context: &Context,
        reject: &Reject,
    ) -> Result<Outgoing, Unavailable> {
        let stage = self.stage.name();
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

fn place(record: &Incoming) -> Place {
    (record.topic.clone(), record.partition, record.key.clone())
}

fn news(job: &Job, done: Option<Done>) -> News {
    let Incoming { topic, partition, offset, .. } = &job.record;
    News { topic: topic.clone(), partition: *partition, offset: *offset, epoch: job.epoch, done }
}

/// The wall clock, milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use telemetry::{Health, Metrics};

    use super::*;
    use crate::RegistryConfig;
    use crate::pulse::Turns;

    struct Closed;

    impl Stage for Closed {
        fn name(&self) -> &'static str {
            "t"
        }

        fn process(&self, _record: &Incoming, _context: &Context) -> Result<Fate, Unavailable> {
            Err(Unavailable { dependency: "door", detail: "it is closed".to_owned() })
        }
    }

    fn until(what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_instance_whose_waiting_records_went_to_another_is_ready() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let health = Health::new();
        let surroundings = Surroundings {
            codec: Codec::new(&RegistryConfig::default(), runtime.handle().clone()).unwrap(),
            tuning: Tuning { workers: 1, ..Tuning::default() },
            observer: Observer::new("t", Metrics::new().stage("t"), health.clone()),
            parked: Arc::new(Parked::default()),
            pulse: Turns::new(Duration::from_secs(600), Instant::now()).pulse(),
        };
        surroundings.observer.ready("door");
        let (results, _news) = unbounded();
        let pool = Pool::start(&Arc::new(Closed), &surroundings, &results).unwrap();
        let alive = Arc::new(AtomicBool::new(true));
        let record = Incoming {
            topic: Arc::from("in"),
            partition: 0,
            offset: 0,
            timestamp_ms: 1,
            key: None,
            value: None,
            headers: Vec::new(),
        };
        let job = Job { record, epoch: 1, alive: alive.clone(), course: Course::Process, waited_for: None };
        pool.submit(vec![job]);
        until("it waits", || !health.report().ready);
        alive.store(false, Ordering::Release);
        until("nothing waits any more", || health.report().ready);
        pool.finish();
    }
}
