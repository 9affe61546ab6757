use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use contracts::{EventId, TriageSummarized};
use service::{Failure, Process};
use stream::{
    CodecError, Context, Fate, Incoming, Needs, Outgoing, Publisher, Reject, Stage, Table, Unavailable,
};

use crate::books::{Books, Decoded, LEDGER, SENT, of_event};
use crate::deliveries::{Desk, Progress, Verdict};
use crate::digest::{self, Digests, HELD};
use crate::escalation::Standing;
use crate::escalator::{self, Escalator, OPEN};
use crate::{
    Call, Channel, Config, Decision, Email, Event, Ladder, Ledger, Links, Mailer, Recipient, RoutingTable,
    Sms, Triage, Webhook,
};

/// Name of the service.
pub const NAME: &str = "notify";

/// Why an event is dropped that is met again after every recipient was told of it in a digest.
const ALREADY_TOLD: &str = "already-told";

/// Runs until the shutdown.
///
/// # Errors
/// What a wait cannot mend.
pub fn run(config: Config, process: &Process) -> Result<(), Failure> {
    let mut runtime = process.stage(NAME, &config.registry)?;
    let routing = Arc::new(config.notify.routing()?);
    let links = if routing.escalates() { config.acknowledge.links()?.map(Arc::new) } else { None };
    let books = Arc::new(Books {
        codec: runtime.codec.clone(),
        desk: Desk {
            channels: channels(&config, process)?,
            ledger: Mutex::new(Ledger::new(config.notify.ledger_window.get())),
            metrics: process.metrics.clone(),
            observer: runtime.observer.clone(),
        },
        table: Decoded::new(Table::new(LEDGER, None, &config.kafka)?.impatient()),
        publisher: Publisher::new("ledger", &config.kafka, process.runtime.clone())?,
    });
    let mut outputs = vec![SENT, LEDGER];
    outputs.extend(links.as_ref().map(|_| OPEN));
    outputs.extend(routing.holds().then_some(HELD));
    let needs = Needs { stage: NAME, inputs: &["triage.summarized", LEDGER], outputs: &outputs };
    process.wait_until_fit(&config.kafka, &needs, &runtime.observer)?;
    let stage = Notify {
        routing: routing.clone(),
        links: links.clone(),
        books: books.clone(),
        progress: Mutex::default(),
    };
    // Whichever of them cannot go on ends the others.
    runtime.shutdown = process.shutdown.child_token();
    let shutdown = &runtime.shutdown;
    let _ends = shutdown.clone().drop_guard();
    let digests = match routing.holds() {
        true => Some(Digests::start(&config, process, routing.clone(), books.clone(), shutdown)?),
        false => None,
    };
    let escalator = match links {
        Some(links) => {
            let parts = escalator::Parts { routing, links, books };
            Some(Escalator::start(&config, process, parts, shutdown)?)
        }
        None => None,
    };
    let result = stream::run(stage, &["triage.summarized"], &config.kafka, &runtime);
    shutdown.cancel();
    let escalated = escalator.map_or(Ok(()), Escalator::join);
    let digested = digests.map_or(Ok(()), Digests::join);
    result.map_err(Failure::from).and(escalated).and(digested)
}

/// Every channel that the configuration sets up.
fn channels(config: &Config, process: &Process) -> Result<Vec<Box<dyn Channel>>, Failure> {
    let mailer = Mailer::new(config.smtp.mailer())?;
    let mut channels: Vec<Box<dyn Channel>> = vec![Box::new(Email::new(config.notify.composer()?, mailer))];
    for webhook in config.webhooks().map_err(first)? {
        channels.push(Box::new(Webhook::new(webhook, process.runtime.clone())));
    }
    if let Some(sms) = config.sms_gateway().map_err(|fault| vec![fault]).map_err(first)? {
        channels.push(Box::new(Sms::new(sms, process.runtime.clone())));
    }
    Ok(channels)
}

/// The configuration was checked before; a fault now is a file that changed meanwhile.
fn first(faults: Vec<settings::Error>) -> Failure {
    faults.into_iter().next().map_or_else(|| "the configuration is wrong".into(), Failure::from)
}

/// An event whose messages were tried.
struct Case<'c> {
    id: EventId,
    record: &'c Incoming,
    event: &'c TriageSummarized,
    ladder: Option<&'c Ladder>,
    /// What holds it back for those who are told later.
    held: Vec<Outgoing>,
}

/// The stage: tells the right team, once.
pub struct Notify {
    routing: Arc<RoutingTable>,
    /// None where nothing escalates.
    links: Option<Arc<Links>>,
    books: Arc<Books>,
    /// Events that a channel holds up.
    progress: Mutex<HashMap<EventId, Progress>>,
}

impl std::fmt::Debug for Notify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let channels: Vec<&str> = self.books.desk.channels.iter().map(|channel| channel.name()).collect();
        f.debug_struct("Notify").field("channels", &channels).finish_non_exhaustive()
    }
}

impl Notify {
    fn decide(&self, record: &Incoming, context: &Context) -> Result<Fate, CodecError> {
        let event: TriageSummarized = self.books.codec.decode(record.value.as_deref())?;
        let triage = triage(&event);
        let mut routes = match self.routing.decide(&triage) {
            Decision::Drop(reason) => return Ok(Fate::Drop(reason.as_str())),
            Decision::Notify(routes) => routes,
        };
        let id = context.event_id;
        // By the record's time, which is the same at every try: whom the first one told the second one does not hold.
        let came_at = if record.timestamp_ms > 0 { record.timestamp_ms } else { event.received_at };
        let held = self.held(id, record, self.routing.hold(&triage, &mut routes, came_at))?;
        if routes.routes.is_empty() {
            return Ok(if held.is_empty() { Fate::Drop(ALREADY_TOLD) } else { Fate::Emit(held) });
        }
        let ladder = self.links.as_ref().and_then(|_| self.routing.ladder(&triage));
        let link = self.links.as_ref().filter(|_| ladder.is_some());
        let link = link.map(|links| links.link(id, 0, event.received_at));
        let call = Call { step: 0, link: link.as_deref() };
        let date = UNIX_EPOCH + Duration::from_millis(context.now_ms.unsigned_abs());
        let desk = &self.books.desk;
        let messages = match desk.messages(&Event { id, triage: &triage, routes: &routes, date, call }) {
            Ok(messages) => messages,
            Err(error) => return Ok(Reject::new(error.code().as_str(), error.to_string()).into()),
        };
        let mut progress = lock(&self.progress).remove(&id).unwrap_or_default();
        let age_ms = context.now_ms.saturating_sub(event.received_at);
        let case = Case { id, record, event: &event, ladder: ladder.as_ref(), held };
        let fate = desk
            .deliver(messages, age_ms, &mut progress, |progress| self.books.write_ledger(progress))
            .and_then(|verdict| self.fate(case, verdict, &progress));
        if fate.is_err() {
            let opened = ladder.map_or(Ok(()), |ladder| self.open_early(id, record, &ladder, &mut progress));
            if !progress.is_empty() {
                lock(&self.progress).insert(id, progress);
            }
            opened?;
        }
        fate
    }

    fn fate(&self, case: Case<'_>, verdict: Verdict, progress: &Progress) -> Result<Fate, CodecError> {
        let Case { id, record, event, ladder, held } = case;
        let told = match verdict {
            Verdict::Told(told) => told,
            // Somebody will be told of it all the same.
            Verdict::Refused(_) if !held.is_empty() => Vec::new(),
            Verdict::Refused(reject) => {
                // Nobody was told: those further up hear at once, and the dead letter tells why.
                if ladder.is_some() && !progress.opened {
                    self.open_now(id, record, Standing::refused(now_ms()))?;
                }
                return Ok(reject.into());
            }
        };
        let mut outputs = Vec::with_capacity(told.len() + held.len());
        for told in told {
            outputs.push(self.books.sent(record.key.clone(), event, told)?);
        }
        if let Some(ladder) = ladder.filter(|_| !progress.opened) {
            outputs.push(self.open(id, record, Standing::opened(now_ms(), ladder))?);
        }
        outputs.extend(held);
        outputs.extend(self.books.owed(progress)?);
        Ok(Fate::Emit(outputs))
    }

    /// The records that hold an event back for those who are told later, without those whom a digest told before.
    fn held(
        &self,
        id: EventId,
        record: &Incoming,
        held: Vec<(Recipient, i64)>,
    ) -> Result<Vec<Outgoing>, CodecError> {
        let told = |to: &Recipient| lock(&self.books.desk.ledger).sent(digest::letter_id(&id, &to.address));
        let held = held.into_iter().filter(|(to, _)| !told(to));
        let value = || record.value.clone().unwrap_or_default();
        held.map(|(to, due)| digest::held(&self.books.codec, id, &to, due, value())).collect()
    }

    /// An event that a channel holds up is opened at once, outside the transaction that has to wait for the channel: those
    /// further up may be reached by another one.
    fn open_early(
        &self,
        id: EventId,
        record: &Incoming,
        ladder: &Ladder,
        progress: &mut Progress,
    ) -> Result<(), CodecError> {
        if !progress.opened {
            self.open_now(id, record, Standing::opened(now_ms(), ladder))?;
            progress.opened = true;
        }
        Ok(())
    }

    fn open_now(&self, id: EventId, record: &Incoming, standing: Standing) -> Result<(), CodecError> {
        let open = self.open(id, record, standing)?;
        self.books.publisher.publish_blocking(&of_event(open, id))?;
        Ok(())
    }

    fn open(&self, id: EventId, record: &Incoming, standing: Standing) -> Result<Outgoing, CodecError> {
        escalator::open(&self.books.codec, id, standing, record.value.clone().unwrap_or_default())
    }
}

impl Stage for Notify {
    fn name(&self) -> &'static str {
        NAME
    }

    fn process(&self, record: &Incoming, context: &Context) -> Result<Fate, Unavailable> {
        self.decide(record, context).or_else(CodecError::into_fate)
    }

    fn assigned(&self) -> Result<(), Unavailable> {
        let read = self.books.catch_up()?;
        tracing::info!(entries = read, "read the ledger");
        Ok(())
    }
}

/// The parts of the event that routing and messages need.
pub(crate) fn triage(event: &TriageSummarized) -> Triage {
    Triage {
        event_id: event.event_id.clone(),
        pseudonym: event.pseudonym.clone().unwrap_or_default(),
        facility: event.facility.clone(),
        message_type: event.message_type.clone(),
        urgency: event.urgency.label.clone(),
        urgency_p: event.urgency.p,
        specialty: event.specialty.label.clone(),
        document_type: event.document_type.label.clone(),
        abstained: event.abstained,
        reasons: event.reasons.clone(),
        sentences: event.sentences.iter().map(|sentence| sentence.text.clone()).collect(),
        received_at_ms: event.received_at,
        model_id: event.model_id.clone(),
        model_version: event.model_version.clone(),
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(0))
}
