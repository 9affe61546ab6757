//! The thread that escalates: a member of a group of its own, which owns partitions of `notification.open` and acts on the
//! events in them alone. What it decides is in [`Board`](crate::board::Board).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, UNIX_EPOCH};

use contracts::{EventId, NotificationAcknowledged, NotificationOpen, TriageSummarized};
use service::{Failure, Process};
use stream::{Codec, CodecError, Incoming, Needs, Observer, Outgoing, Table, Tail, TailEvent, Unavailable};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::acknowledge::{self, ACKNOWLEDGED};
use crate::board::{Board, Item, Note, World};
use crate::books::{Books, Decoded, LEDGER, SENT, of_event};
use crate::deliveries::{Progress, Verdict};
use crate::escalation::{Outcome, Standing};
use crate::run::{now_ms, triage};
use crate::{Call, Config, Event, Ladder, Links, Route, Routes, RoutingTable};

pub(crate) const OPEN: &str = "notification.open";
/// Name of the group, and of the thread.
const NAME: &str = "notify-escalation";
/// Longest wait for the next event of the group.
const POLL: Duration = Duration::from_millis(500);
/// How often it is asked who acknowledged while nothing is due.
const LOOK: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);
/// How often the group is told how far this instance has read. The board does not depend on it.
const COMMIT: Duration = Duration::from_secs(10);
/// Acknowledgements that are deleted at a time once they are older than the ledger remembers.
const EXPIRE: usize = 100;

/// What it shares with the stage.
pub(crate) struct Parts {
    pub(crate) routing: Arc<RoutingTable>,
    pub(crate) links: Arc<Links>,
    pub(crate) books: Arc<Books>,
}

/// The thread, and the server of the links.
pub(crate) struct Escalator {
    thread: JoinHandle<Result<(), Failure>>,
    server: tokio::task::JoinHandle<Result<(), Failure>>,
    runtime: Handle,
}

/// The record that opens an event, or says how far its escalation is.
pub(crate) fn open(
    codec: &Codec,
    id: EventId,
    standing: Standing,
    event: Vec<u8>,
) -> Result<Outgoing, CodecError> {
    let open = NotificationOpen {
        event_id: id.to_string(),
        step: i32::try_from(standing.step).unwrap_or(i32::MAX),
        opened_at: standing.opened_at,
        due_at: standing.due_at,
        unanswered: standing.unanswered,
        event,
    };
    let value = codec.encode(OPEN, &open)?;
    Ok(Outgoing::new(OPEN, Some(open.event_id.into_bytes()), value))
}

/// An event's id as the key of a record.
fn event_id(record: &Incoming) -> Option<EventId> {
    EventId::parse(std::str::from_utf8(record.key.as_deref()?).ok()?)
}

pub(crate) fn refused(error: CodecError) -> Unavailable {
    match error {
        CodecError::Unavailable(unavailable) => unavailable,
        CodecError::Reject(reject) => Unavailable { dependency: "schema-registry", detail: reject.reason },
    }
}

impl Escalator {
    /// Listens for acknowledgements, waits until Kafka has what is needed, and starts both.
    pub(crate) fn start(
        config: &Config,
        process: &Process,
        parts: Parts,
        shutdown: &CancellationToken,
    ) -> Result<Self, Failure> {
        let observer = process.observer(NAME);
        let books = parts.books.clone();
        let listener = process.runtime.block_on(acknowledge::bind(config.acknowledge.listen))?;
        let inputs = [OPEN, ACKNOWLEDGED, LEDGER];
        let needs = Needs { stage: NAME, inputs: &inputs, outputs: &[OPEN, ACKNOWLEDGED, LEDGER, SENT] };
        let kafka = config.kafka.with_group_suffix("-escalation");
        process.wait_until_fit(&kafka, &needs, &observer)?;
        let valid_ms = i64::try_from(parts.links.valid_for().as_millis()).unwrap_or(i64::MAX);
        let server = acknowledge::Acknowledgements {
            links: parts.links.clone(),
            codec: books.codec.clone(),
            publisher: books.publisher.clone(),
            metrics: process.metrics.clone(),
        };
        let server = process.runtime.spawn(acknowledge::serve(listener, server, shutdown.clone()));
        let clerk = Clerk {
            tail: Tail::new(NAME, &[OPEN], &[], &kafka, &observer)?,
            open: Decoded::new(Table::new(OPEN, None, &kafka)?.impatient()),
            board: Board::new(valid_ms),
            coming: BTreeSet::new(),
            behind: Vec::new(),
            next: BTreeMap::new(),
            retry_at: Instant::now(),
            looked_at: Instant::now(),
            committed_at: Instant::now(),
            around: Around {
                acknowledged: Decoded::new(Table::new(ACKNOWLEDGED, None, &kafka)?.impatient()),
                known: HashMap::new(),
                woken: Vec::new(),
                progress: HashMap::new(),
                held_up: BTreeSet::new(),
                keep_ms: i64::try_from(config.notify.ledger_window.as_millis()).unwrap_or(i64::MAX),
                observer,
                parts,
            },
        };
        let token = shutdown.clone();
        let thread = std::thread::Builder::new().name(NAME.to_owned()).spawn(move || {
            // Whatever ends this thread ends the stage: nobody would escalate what it sends.
            let _ends = token.clone().drop_guard();
            clerk.run(&token)
        })?;
        Ok(Self { thread, server, runtime: process.runtime.clone() })
    }

    /// Waits for the end of both, which the shutdown brings about.
    pub(crate) fn join(self) -> Result<(), Failure> {
        let thread = self.thread.join().unwrap_or_else(|_| Err("the escalation panicked".into()));
        let server = self.runtime.block_on(self.server).unwrap_or_else(|_| Err("the server panicked".into()));
        thread.and(server)
    }
}

struct Clerk {
    tail: Tail,
    open: Decoded,
    board: Board,
    /// Partitions that came and whose events are not all known yet.
    coming: BTreeSet<i32>,
    /// Records of owned partitions that cannot be decoded yet.
    behind: Vec<Incoming>,
    /// What is to be read next, by partition, as long as the group does not know.
    next: BTreeMap<i32, i64>,
    retry_at: Instant,
    looked_at: Instant,
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
                        self.next.remove(&partition);
                        self.board.leave(partition);
                    }
                    self.around.relieve();
                    self.tell_counts();
                }
                Some(TailEvent::Record(record)) => {
                    self.next.insert(record.partition, record.offset + 1);
                    self.behind.push(record);
                }
                None => {}
            }
            if Instant::now() < self.retry_at {
                continue;
            }
            if let Err(Unavailable { dependency, detail }) = self.step() {
                tracing::warn!(dependency, detail, "the escalation has to wait");
                self.around.wait_for(dependency, &detail);
                self.retry_at = Instant::now() + RETRY;
            }
        }
        self.commit();
        Ok(())
    }

    /// Until something is due.
    fn wait(&self) -> Duration {
        let now = Instant::now();
        if let Some(rest) = self.retry_at.checked_duration_since(now) {
            return rest.min(POLL);
        }
        let due = self.board.due_at().map(|due| (due - now_ms()).max(0).unsigned_abs());
        due.map_or(POLL, |due| POLL.min(Duration::from_millis(due)))
    }

    fn step(&mut self) -> Result<(), Unavailable> {
        self.take_over()?;
        while let Some(record) = self.behind.first() {
            apply(&mut self.board, &self.around.parts.books.codec, record)?;
            self.behind.remove(0);
        }
        // What was read of a partition that is another's by now is no harm: the board acts on its own alone.
        if self.looked_at.elapsed() >= LOOK && self.board.due_at().is_some() {
            self.looked_at = Instant::now();
            self.around.look()?;
            self.around.expire(|partition| self.board.owns(partition))?;
        }
        for id in self.around.woken.drain(..) {
            self.board.wake(id);
        }
        // One thing at a time: between two the group may take partitions away.
        if self.board.act(&mut self.around)? {
            self.tell_counts();
        }
        if self.committed_at.elapsed() >= COMMIT {
            self.commit();
        }
        // What held it up answers, or nobody waits for it any more.
        if self.around.progress.is_empty() {
            self.around.relieve();
        }
        Ok(())
    }

    /// Before it acts on a partition, an owner has read everything that those before it wrote.
    fn take_over(&mut self) -> Result<(), Unavailable> {
        if self.coming.is_empty() {
            return Ok(());
        }
        let (board, codec) = (&mut self.board, &self.around.parts.books.codec);
        let read = self.open.catch_up(|record| apply(board, codec, record))?;
        tracing::info!(records = read, partitions = self.coming.len(), "took escalations over");
        for partition in std::mem::take(&mut self.coming) {
            self.board.own(partition);
        }
        self.tell_counts();
        Ok(())
    }

    fn tell_counts(&self) {
        let counts = self.board.counts();
        let metrics = &self.around.parts.books.desk.metrics;
        metrics.set_escalations_open(counts.iter().map(|(step, count)| (step.as_str(), *count)));
    }

    fn commit(&mut self) {
        self.committed_at = Instant::now();
        for (partition, next) in std::mem::take(&mut self.next) {
            if let Err(unavailable) = self.tail.commit(OPEN, partition, next) {
                tracing::debug!(%unavailable, partition, "position not committed");
            }
        }
    }
}

fn apply(board: &mut Board, codec: &Codec, record: &Incoming) -> Result<(), Unavailable> {
    let Some(id) = event_id(record) else { return Ok(()) };
    let item = match codec.decode::<NotificationOpen>(record.value.as_deref()) {
        Ok(open) => Some(Item {
            standing: Standing {
                step: u32::try_from(open.step).unwrap_or(0),
                opened_at: open.opened_at,
                due_at: open.due_at,
                unanswered: open.unanswered,
            },
            event: open.event,
        }),
        Err(CodecError::Unavailable(unavailable)) => return Err(unavailable),
        // A tombstone, or a record of another hand.
        Err(CodecError::Reject(_)) => None,
    };
    board.apply(id, record.partition, record.offset, item);
    Ok(())
}

struct Around {
    acknowledged: Decoded,
    /// When each event was acknowledged, and in which partition that is written.
    known: HashMap<EventId, (i64, i32)>,
    /// Acknowledged since the board was told.
    woken: Vec<EventId>,
    /// What became of a step's messages so far.
    progress: HashMap<(EventId, u32), Progress>,
    /// What is waited for.
    held_up: BTreeSet<&'static str>,
    /// How long an acknowledgement is remembered.
    keep_ms: i64,
    observer: Observer,
    parts: Parts,
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

    /// Reads who acknowledged meanwhile.
    fn look(&mut self) -> Result<(), Unavailable> {
        let (codec, known, woken) = (&self.parts.books.codec, &mut self.known, &mut self.woken);
        self.acknowledged.catch_up(|record| {
            let Some(id) = event_id(record) else { return Ok(()) };
            match codec.decode::<NotificationAcknowledged>(record.value.as_deref()) {
                Ok(acknowledged) => {
                    // Who acknowledges twice has acknowledged the first time.
                    known.entry(id).or_insert((acknowledged.acknowledged_at, record.partition));
                    woken.push(id);
                }
                Err(CodecError::Unavailable(unavailable)) => return Err(unavailable),
                Err(CodecError::Reject(_)) => {
                    known.remove(&id);
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Deletes acknowledgements of events that cannot be met again.
    fn expire(&mut self, owned: impl Fn(i32) -> bool) -> Result<(), Unavailable> {
        let before = now_ms().saturating_sub(self.keep_ms);
        let old = self.known.iter().filter(|(_, (at, partition))| *at < before && owned(*partition));
        let old: Vec<EventId> = old.map(|(id, _)| *id).take(EXPIRE).collect();
        for id in old {
            let key = Some(id.to_string().into_bytes());
            let tombstone = Outgoing { value: None, ..Outgoing::new(ACKNOWLEDGED, key, Vec::new()) };
            self.parts.books.publisher.publish_blocking(&of_event(tombstone, id))?;
            self.known.remove(&id);
        }
        Ok(())
    }

    fn event(&self, item: &Item) -> Result<Option<TriageSummarized>, Unavailable> {
        match self.parts.books.codec.decode(Some(&item.event)) {
            Ok(event) => Ok(Some(event)),
            Err(CodecError::Unavailable(unavailable)) => Err(unavailable),
            Err(CodecError::Reject(reject)) => {
                tracing::error!(code = reject.code, "an event that is open cannot be read");
                Ok(None)
            }
        }
    }

    fn deliver(
        &mut self,
        id: EventId,
        event: &TriageSummarized,
        step: u32,
        progress: &mut Progress,
    ) -> Result<Outcome, CodecError> {
        let Parts { routing, links, books } = &self.parts;
        let triage = triage(event);
        let ladder = routing.ladder(&triage);
        let Some((ladder, tier)) = ladder.as_ref().and_then(|ladder| Some((ladder, ladder.tier(step)?)))
        else {
            return Ok(Outcome::Refused);
        };
        let after = settings::Duration::from_millis(tier.after_ms.unsigned_abs());
        let pattern = format!(
            "tier {} of {}: no acknowledgement within {after}",
            step.min(ladder.tiers()),
            ladder.tiers()
        );
        let routes = Routes {
            routes: vec![Route { pattern, recipients: tier.recipients.clone() }],
            triage: event.abstained,
        };
        let link = links.link(id, step, event.received_at);
        let now = now_ms();
        let date = UNIX_EPOCH + Duration::from_millis(now.unsigned_abs());
        let call = Call { step, link: Some(&link) };
        let messages = match books.desk.messages(&Event { id, triage: &triage, routes: &routes, date, call })
        {
            Ok(messages) => messages,
            Err(error) => {
                tracing::error!(step, code = error.code().as_str(), "a tier cannot be told");
                return Ok(Outcome::Refused);
            }
        };
        let age_ms = now.saturating_sub(event.received_at);
        let told =
            match books.desk.deliver(messages, age_ms, progress, |progress| books.write_ledger(progress))? {
                Verdict::Told(told) => told,
                Verdict::Refused(reject) => {
                    tracing::error!(step, code = reject.code, "a tier cannot be told");
                    return Ok(Outcome::Refused);
                }
            };
        for told in told {
            let key = event.pseudonym.clone().map(String::into_bytes);
            books.publisher.publish_blocking(&of_event(books.sent(key, event, told)?, id))?;
        }
        for entry in books.owed(progress)? {
            books.publisher.publish_blocking(&entry)?;
        }
        Ok(Outcome::Told)
    }
}

impl World for Around {
    fn now_ms(&self) -> i64 {
        now_ms()
    }

    fn acknowledged(&mut self, id: EventId) -> Result<Option<i64>, Unavailable> {
        self.look()?;
        Ok(self.known.get(&id).map(|(at, _)| *at))
    }

    fn ladder(&mut self, item: &Item) -> Result<Option<Ladder>, Unavailable> {
        Ok(self.event(item)?.and_then(|event| self.parts.routing.ladder(&triage(&event))))
    }

    fn tell(&mut self, id: EventId, item: &Item, step: u32) -> Result<Outcome, Unavailable> {
        let Some(event) = self.event(item)? else { return Ok(Outcome::Refused) };
        self.parts.books.catch_up()?;
        let mut progress = self.progress.remove(&(id, step)).unwrap_or_default();
        let outcome = self.deliver(id, &event, step, &mut progress);
        match outcome {
            Ok(outcome) => Ok(outcome),
            Err(CodecError::Unavailable(Unavailable { dependency, detail })) => {
                self.wait_for(dependency, &detail);
                self.progress.insert((id, step), progress);
                Ok(Outcome::Waits)
            }
            Err(error @ CodecError::Reject(_)) => Err(refused(error)),
        }
    }

    fn write(&mut self, id: EventId, item: Option<&Item>) -> Result<i64, Unavailable> {
        let books = &self.parts.books;
        let output = match item {
            Some(item) => open(&books.codec, id, item.standing, item.event.clone()).map_err(refused)?,
            None => {
                let key = Some(id.to_string().into_bytes());
                Outgoing { value: None, ..Outgoing::new(OPEN, key, Vec::new()) }
            }
        };
        let (_, offset) = books.publisher.publish_blocking(&of_event(output, id))?;
        self.progress.retain(|(event, _), _| *event != id);
        Ok(offset)
    }

    fn note(&mut self, note: Note) {
        let metrics = &self.parts.books.desk.metrics;
        match note {
            Note::Stepped { step, outcome } => {
                let outcome = match outcome {
                    Outcome::Told => "told",
                    Outcome::Refused => "refused",
                    Outcome::Waits => "passed-over",
                };
                metrics.escalation(step, outcome);
                tracing::warn!(step, outcome, "nobody acknowledged: the next tier");
            }
            Note::Unanswered => {
                metrics.unanswered();
                tracing::error!("every tier was told of an event, and nobody acknowledged");
            }
            Note::Acknowledged { after_ms } => {
                metrics.acknowledged_after(Duration::from_millis(after_ms.unsigned_abs()));
            }
        }
    }
}
