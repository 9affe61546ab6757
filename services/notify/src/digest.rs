//! The thread that sends what was held: a member of a group of its own, which owns partitions of `notification.held` and sends
//! what is due in them. What it decides is in [`Outbox`](crate::outbox::Outbox).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, UNIX_EPOCH};

use contracts::{EventId, NotificationDigest, NotificationHeld, TriageSummarized};
use service::{Failure, Process};
use stream::{Codec, CodecError, Incoming, Needs, Observer, Outgoing, Table, Tail, TailEvent, Unavailable};
use tokio_util::sync::CancellationToken;

use crate::books::{Books, Decoded, LEDGER, SENT, of_event};
use crate::deliveries::{Progress, Verdict};
use crate::escalation::Outcome;
use crate::escalator::refused;
use crate::outbox::{Letter, Outbox, State, World};
use crate::run::{now_ms, triage};
use crate::{Address, Config, Digest, NotificationId, Recipient, RoutingTable};

pub(crate) const HELD: &str = "notification.held";
const DIGEST: &str = "notification.digest";
/// Name of the group, and of the thread.
const NAME: &str = "notify-digest";
/// Longest wait for the next event of the group.
const POLL: Duration = Duration::from_millis(500);
const RETRY: Duration = Duration::from_secs(1);
/// How often the group is told from where another instance would have to read.
const COMMIT: Duration = Duration::from_secs(10);

/// The record that holds a notification back.
pub(crate) fn held(
    codec: &Codec,
    id: EventId,
    to: &Recipient,
    due_at: i64,
    event: Vec<u8>,
) -> Result<Outgoing, CodecError> {
    let record = NotificationHeld { event_id: id.to_string(), recipient: to.name.clone(), due_at, event };
    let value = codec.encode(HELD, &record)?;
    Ok(Outgoing::new(HELD, Some(to.address.to_string().into_bytes()), value))
}

/// What the ledger knows an event by that a recipient was told of in a digest, so that a replay holds it no second time.
pub(crate) fn letter_id(id: &EventId, to: &Address) -> NotificationId {
    NotificationId::of(id, &format!("held/1 {to}"))
}

fn address(record: &Incoming) -> Option<String> {
    Some(std::str::from_utf8(record.key.as_deref()?).ok()?.to_owned())
}

/// The thread.
pub(crate) struct Digests {
    thread: JoinHandle<Result<(), Failure>>,
}

impl Digests {
    /// Waits until Kafka has what is needed, and starts it.
    pub(crate) fn start(
        config: &Config,
        process: &Process,
        routing: Arc<RoutingTable>,
        books: Arc<Books>,
        shutdown: &CancellationToken,
    ) -> Result<Self, Failure> {
        let observer = process.observer(NAME);
        let needs = Needs { stage: NAME, inputs: &[HELD, DIGEST, LEDGER], outputs: &[DIGEST, LEDGER, SENT] };
        let kafka = config.kafka.with_group_suffix("-digest");
        process.wait_until_fit(&kafka, &needs, &observer)?;
        let clerk = Clerk {
            tail: Tail::new(NAME, &[HELD], &[], &kafka, &observer)?,
            states: Decoded::new(Table::new(DIGEST, None, &kafka)?.impatient()),
            known: HashMap::new(),
            outbox: Outbox::new(Box::new(move |to, told_at, due| routing.release(to, told_at, due))),
            coming: BTreeSet::new(),
            unread: Vec::new(),
            committed: BTreeMap::new(),
            retry_at: Instant::now(),
            committed_at: Instant::now(),
            around: Around { books, observer, progress: HashMap::new(), held_up: BTreeSet::new() },
        };
        let token = shutdown.clone();
        let thread = std::thread::Builder::new().name(NAME.to_owned()).spawn(move || {
            // Whatever ends this thread ends the stage: nobody would send what it holds.
            let _ends = token.clone().drop_guard();
            clerk.run(&token)
        })?;
        Ok(Self { thread })
    }

    /// Waits for its end, which the shutdown brings about.
    pub(crate) fn join(self) -> Result<(), Failure> {
        self.thread.join().unwrap_or_else(|_| Err("the digests panicked".into()))
    }
}

struct Clerk {
    tail: Tail,
    states: Decoded,
    /// How far each recipient was told, and in which partition that is written.
    known: HashMap<String, (i32, State)>,
    outbox: Outbox,
    /// Partitions that came, and of which it is not known yet who was told.
    coming: BTreeSet<i32>,
    /// Records that were not taken in yet.
    unread: Vec<Incoming>,
    committed: BTreeMap<i32, i64>,
    retry_at: Instant,
    committed_at: Instant,
    around: Around,
}

impl Clerk {
    fn run(mut self, shutdown: &CancellationToken) -> Result<(), Failure> {
        while !shutdown.is_cancelled() {
            match self.tail.poll(self.wait())? {
                Some(TailEvent::Assigned(partitions)) => {
                    self.coming.extend(partitions.into_iter().map(|(_, partition)| partition));
                }
                Some(TailEvent::Revoked(partitions)) => {
                    for (_, partition) in partitions {
                        self.coming.remove(&partition);
                        self.committed.remove(&partition);
                        self.unread.retain(|record| record.partition != partition);
                        self.outbox.leave(partition);
                    }
                    self.around.relieve();
                }
                Some(TailEvent::Record(record)) => self.unread.push(record),
                None => {}
            }
            if Instant::now() < self.retry_at {
                continue;
            }
            if let Err(Unavailable { dependency, detail }) = self.step() {
                tracing::warn!(dependency, detail, "digests have to wait");
                self.around.wait_for(dependency, &detail);
                self.retry_at = Instant::now() + RETRY;
            }
        }
        self.commit();
        Ok(())
    }

    fn wait(&self) -> Duration {
        if let Some(rest) = self.retry_at.checked_duration_since(Instant::now()) {
            return rest.min(POLL);
        }
        let due = self.outbox.due_at().map(|due| (due - now_ms()).max(0).unsigned_abs());
        due.map_or(POLL, |due| POLL.min(Duration::from_millis(due)))
    }

    fn step(&mut self) -> Result<(), Unavailable> {
        self.take_over()?;
        while let Some(record) = self.unread.first() {
            let letter = self.around.letter(record)?;
            self.outbox.read(record.partition, record.offset, letter);
            self.unread.remove(0);
        }
        // One thing at a time: between two the group may take partitions away.
        if self.outbox.act(&mut self.around)? {
            let metrics = &self.around.books.desk.metrics;
            metrics.set_held(i64::try_from(self.outbox.held()).unwrap_or(i64::MAX));
        }
        if self.committed_at.elapsed() >= COMMIT {
            self.commit();
            let metrics = &self.around.books.desk.metrics;
            metrics.set_held(i64::try_from(self.outbox.held()).unwrap_or(i64::MAX));
        }
        if self.around.progress.is_empty() {
            self.around.relieve();
        }
        Ok(())
    }

    /// Before it takes records of a partition in, an owner knows how far those before it told each recipient.
    fn take_over(&mut self) -> Result<(), Unavailable> {
        if self.coming.is_empty() {
            return Ok(());
        }
        let (codec, known) = (&self.around.books.codec, &mut self.known);
        self.states.catch_up(|record| {
            let Some(address) = address(record) else { return Ok(()) };
            match codec.decode::<NotificationDigest>(record.value.as_deref()) {
                Ok(digest) => {
                    let told_at = (digest.told >= 0).then_some(digest.at);
                    let state = State { told: digest.told, planned: digest.planned, told_at };
                    known.insert(address, (record.partition, state));
                }
                Err(CodecError::Unavailable(unavailable)) => return Err(unavailable),
                Err(CodecError::Reject(_)) => {
                    known.remove(&address);
                }
            }
            Ok(())
        })?;
        while let Some(partition) = self.coming.first().copied() {
            let (_, end) = self.tail.watermarks(HELD, partition)?;
            let states = self.known.iter().filter(|(_, (of, _))| *of == partition);
            self.outbox.own(partition, end, states.map(|(address, (_, state))| (address.clone(), *state)));
            self.coming.remove(&partition);
        }
        Ok(())
    }

    fn commit(&mut self) {
        self.committed_at = Instant::now();
        for partition in self.outbox.partitions() {
            let Some(next) = self.outbox.position(partition) else { continue };
            if self.committed.get(&partition) == Some(&next) {
                continue;
            }
            match self.tail.commit(HELD, partition, next) {
                Ok(()) => {
                    self.committed.insert(partition, next);
                }
                Err(unavailable) => tracing::debug!(%unavailable, partition, "position not committed"),
            }
        }
    }
}

struct Around {
    books: Arc<Books>,
    observer: Observer,
    /// What became of a recipient's digest so far.
    progress: HashMap<String, Progress>,
    held_up: BTreeSet<&'static str>,
}

impl Around {
    fn wait_for(&mut self, dependency: &'static str, detail: &str) {
        self.observer.waiting(dependency, detail);
        self.held_up.insert(dependency);
    }

    fn relieve(&mut self) {
        for dependency in std::mem::take(&mut self.held_up) {
            self.observer.relieved(dependency);
        }
    }

    fn letter(&self, record: &Incoming) -> Result<Option<(String, Letter)>, Unavailable> {
        let Some(address) = address(record) else { return Ok(None) };
        match self.books.codec.decode::<NotificationHeld>(record.value.as_deref()) {
            Ok(NotificationHeld { recipient, due_at, event, .. }) => {
                Ok(Some((address, Letter { recipient, due_at, event })))
            }
            Err(CodecError::Unavailable(unavailable)) => Err(unavailable),
            Err(CodecError::Reject(_)) => Ok(None),
        }
    }

    fn deliver(
        &self,
        to: &Recipient,
        events: &[(EventId, TriageSummarized)],
        progress: &mut Progress,
    ) -> Result<Outcome, CodecError> {
        let triages: Vec<_> = events.iter().map(|(_, event)| triage(event)).collect();
        let date = UNIX_EPOCH + Duration::from_millis(now_ms().unsigned_abs());
        let message = match self.books.desk.digest(&Digest { to, events: &triages, date }) {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(code = error.code().as_str(), "a digest cannot be composed");
                return Ok(Outcome::Refused);
            }
        };
        let keep = |progress: &mut Progress| self.books.write_ledger(progress);
        // No other channel tells of it, so none is given up.
        let told = match self.books.desk.deliver(vec![message], 0, progress, keep)? {
            Verdict::Told(told) => told,
            Verdict::Refused(reject) => {
                tracing::error!(code = reject.code, "a digest was refused");
                return Ok(Outcome::Refused);
            }
        };
        for (id, event) in events {
            for told in &told {
                let key = event.pseudonym.clone().map(String::into_bytes);
                let sent = self.books.sent(key, event, told.clone())?;
                self.books.publisher.publish_blocking(&of_event(sent, *id))?;
            }
            self.books.desk.remember(letter_id(id, &to.address), progress);
        }
        self.books.write_ledger(progress)?;
        for entry in self.books.owed(progress)? {
            self.books.publisher.publish_blocking(&entry)?;
        }
        Ok(Outcome::Told)
    }
}

impl World for Around {
    fn now_ms(&self) -> i64 {
        now_ms()
    }

    fn send(&mut self, address: &str, letters: &[&Letter]) -> Result<Outcome, Unavailable> {
        let Some((first, parsed)) = letters.first().zip(Address::parse(address)) else {
            return Ok(Outcome::Refused);
        };
        let to = Recipient { name: first.recipient.clone(), address: parsed };
        let (mut events, mut seen) = (Vec::new(), BTreeSet::new());
        for letter in letters {
            match self.books.codec.decode::<TriageSummarized>(Some(&letter.event)) {
                Ok(event) => {
                    if let Some(id) = EventId::parse(&event.event_id).filter(|id| seen.insert(*id)) {
                        events.push((id, event));
                    }
                }
                Err(CodecError::Unavailable(unavailable)) => return Err(unavailable),
                Err(CodecError::Reject(reject)) => {
                    tracing::error!(code = reject.code, "an event that is held cannot be read");
                }
            }
        }
        self.books.catch_up()?;
        let mut progress = self.progress.remove(address).unwrap_or_default();
        match self.deliver(&to, &events, &mut progress) {
            Ok(outcome) => Ok(outcome),
            Err(CodecError::Unavailable(Unavailable { dependency, detail })) => {
                self.wait_for(dependency, &detail);
                self.progress.insert(address.to_owned(), progress);
                Ok(Outcome::Waits)
            }
            Err(error @ CodecError::Reject(_)) => Err(refused(error)),
        }
    }

    fn write(&mut self, address: &str, state: State) -> Result<(), Unavailable> {
        let digest = NotificationDigest {
            told: state.told,
            planned: state.planned,
            at: state.told_at.unwrap_or_default(),
        };
        let value = self.books.codec.encode(DIGEST, &digest).map_err(refused)?;
        let output = Outgoing::new(DIGEST, Some(address.as_bytes().to_vec()), value);
        self.books.publisher.publish_blocking(&output)?;
        Ok(())
    }

    fn note(&mut self, letters: usize, outcome: Outcome) {
        let word = if outcome == Outcome::Refused { "refused" } else { "told" };
        self.books.desk.metrics.released(word, letters as u64);
    }
}
