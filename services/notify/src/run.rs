use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use contracts::{EventId, NotificationLedger, NotificationSent, TriageSummarized};
use service::{Failure, Process};
use stream::{
    Codec, CodecError, Context, Fate, Incoming, Needs, Outgoing, Publisher, Reject, Stage, Table, Unavailable,
};

use crate::deliveries::{Desk, Progress, Told, Verdict};
use crate::{
    Channel, Config, Decision, Email, Entry, Event, Ledger, Mailer, NotificationId, RoutingTable, Sms, State,
    Triage, Webhook,
};

/// Name of the service.
pub const NAME: &str = "notify";

const SENT: &str = "notification.sent";
const LEDGER: &str = "notification.ledger";

/// Runs until the shutdown.
///
/// # Errors
/// What a wait cannot mend.
pub fn run(config: Config, process: &Process) -> Result<(), Failure> {
    let runtime = process.stage(NAME, &config.registry)?;
    let stage = Notify {
        codec: runtime.codec.clone(),
        routing: config.notify.routing()?,
        desk: Desk {
            channels: channels(&config, process)?,
            ledger: Mutex::new(Ledger::new(config.notify.ledger_window.get())),
            metrics: process.metrics.clone(),
            observer: runtime.observer.clone(),
        },
        progress: Mutex::default(),
        sent: Table::new(LEDGER, None, &config.kafka)?.impatient(),
        publisher: Publisher::new("ledger", &config.kafka, process.runtime.clone())?,
    };
    let needs = Needs { stage: NAME, inputs: &["triage.summarized", LEDGER], outputs: &[SENT, LEDGER] };
    process.wait_until_fit(&config.kafka, &needs, &runtime.observer)?;
    Ok(stream::run(stage, &["triage.summarized"], &config.kafka, &runtime)?)
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

/// The stage: tells the right team, once.
pub struct Notify {
    codec: Codec,
    routing: RoutingTable,
    desk: Desk,
    /// Events that a channel holds up.
    progress: Mutex<HashMap<EventId, Progress>>,
    sent: Table,
    publisher: Publisher,
}

impl std::fmt::Debug for Notify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let channels: Vec<&str> = self.desk.channels.iter().map(|channel| channel.name()).collect();
        f.debug_struct("Notify").field("channels", &channels).finish_non_exhaustive()
    }
}

impl Notify {
    fn decide(&self, record: &Incoming, context: &Context) -> Result<Fate, CodecError> {
        let event: TriageSummarized = self.codec.decode(record.value.as_deref())?;
        let triage = triage(&event);
        let routes = match self.routing.decide(&triage) {
            Decision::Drop(reason) => return Ok(Fate::Drop(reason.as_str())),
            Decision::Notify(routes) => routes,
        };
        let date = UNIX_EPOCH + Duration::from_millis(context.now_ms.unsigned_abs());
        let messages =
            self.desk.messages(&Event { id: context.event_id, triage: &triage, routes: &routes, date });
        let messages = match messages {
            Ok(messages) => messages,
            Err(error) => return Ok(Reject::new(error.code().as_str(), error.to_string()).into()),
        };
        let mut progress = lock(&self.progress).remove(&context.event_id).unwrap_or_default();
        let age_ms = context.now_ms.saturating_sub(event.received_at);
        let fate = self
            .desk
            .deliver(messages, age_ms, &mut progress, |progress| self.write_ledger(progress))
            .and_then(|verdict| self.fate(record, &event, verdict, &progress));
        if fate.is_err() && !progress.is_empty() {
            lock(&self.progress).insert(context.event_id, progress);
        }
        fate
    }

    fn fate(
        &self,
        record: &Incoming,
        event: &TriageSummarized,
        verdict: Verdict,
        progress: &Progress,
    ) -> Result<Fate, CodecError> {
        let told = match verdict {
            Verdict::Told(told) => told,
            Verdict::Refused(reject) => return Ok(reject.into()),
        };
        let mut outputs = Vec::with_capacity(told.len());
        for told in told {
            let value = self.codec.encode(SENT, &sent(event, told))?;
            outputs.push(Outgoing::new(SENT, record.key.clone(), value));
        }
        outputs.extend(self.owed(progress)?);
        Ok(Fate::Emit(outputs))
    }

    /// Writes the ledger at once, outside the transaction: it must hold even if the transaction fails. What cannot be
    /// written now stays for the transaction, or for the next try.
    fn write_ledger(&self, progress: &mut Progress) -> Result<(), CodecError> {
        let mut left = Vec::new();
        for (id, at) in std::mem::take(&mut progress.unwritten) {
            let written = self.entry(id, at).map(|entry| self.publisher.publish_blocking(&entry).is_ok());
            match written {
                Ok(true) => {}
                Ok(false) => left.push((id, at)),
                Err(error) => {
                    left.push((id, at));
                    progress.unwritten.extend(left);
                    return Err(error);
                }
            }
        }
        progress.unwritten = left;
        Ok(())
    }

    /// What of the ledger goes into the transaction.
    fn owed(&self, progress: &Progress) -> Result<Vec<Outgoing>, CodecError> {
        let tombstone = |id: &NotificationId| Outgoing {
            value: None,
            ..Outgoing::new(LEDGER, Some(id.to_string().into_bytes()), Vec::new())
        };
        let mut owed: Vec<Outgoing> = progress.expired.iter().map(tombstone).collect();
        for (id, at) in &progress.unwritten {
            owed.push(self.entry(*id, *at)?);
        }
        Ok(owed)
    }

    fn entry(&self, id: NotificationId, at: i64) -> Result<Outgoing, CodecError> {
        let entry = NotificationLedger {
            notification_id: id.to_string(),
            state: State::Sent.as_str().to_owned(),
            at,
        };
        let value = self.codec.encode(LEDGER, &entry)?;
        Ok(Outgoing::new(LEDGER, Some(entry.notification_id.into_bytes()), value))
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
        let mut unavailable = None;
        let read = self.sent.catch_up(|record| {
            let Some(id) =
                record.key.as_deref().and_then(|key| NotificationId::parse(std::str::from_utf8(key).ok()?))
            else {
                return;
            };
            match self.codec.decode::<NotificationLedger>(record.value.as_deref()) {
                Ok(entry) => {
                    if let Some(state) = State::parse(&entry.state) {
                        lock(&self.desk.ledger).apply(id, Entry { state, at_ms: entry.at });
                    }
                }
                Err(CodecError::Unavailable(error)) => unavailable = Some(error),
                // A tombstone, or an entry of another hand: nothing was sent that we know of.
                Err(CodecError::Reject(_)) => lock(&self.desk.ledger).forget(id),
            }
        })?;
        tracing::info!(entries = read, "read the ledger");
        unavailable.map_or(Ok(()), Err)
    }
}

/// The record of a message that was taken.
fn sent(event: &TriageSummarized, told: Told) -> NotificationSent {
    NotificationSent {
        event_id: event.event_id.clone(),
        facility: event.facility.clone(),
        message_type: event.message_type.clone(),
        received_at: event.received_at,
        notification_id: told.id.to_string(),
        channel: told.kind.as_str().to_owned(),
        message_id: told.message_id,
        recipients: told.recipients.into_iter().map(|recipient| recipient.name).collect(),
        urgency: event.urgency.label.clone(),
        specialty: event.specialty.label.clone(),
        sent_at: now_ms(),
    }
}

/// The parts of the event that routing and messages need.
fn triage(event: &TriageSummarized) -> Triage {
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
