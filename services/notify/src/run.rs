use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use contracts::{NotificationLedger, NotificationSent, TriageSummarized};
use service::{Failure, Process};
use stream::{
    Codec, CodecError, Context, Fate, Incoming, Needs, Observer, Outgoing, Publisher, Reject, Stage, Table,
    Unavailable,
};
use telemetry::Metrics;

use crate::{
    Composer, Config, Decision, Delivery, Entry, Ledger, Mail, Mailer, NotificationId, Routes, RoutingTable,
    State, TEMPLATE, Triage,
};

/// Name of the service.
pub const NAME: &str = "notify";

const CHANNEL: &str = "email";
const SMTP: &str = "smtp";
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
        composer: config.notify.composer()?,
        mailer: Mailer::new(config.smtp.mailer())?,
        ledger: Mutex::new(Ledger::new(config.notify.ledger_window.get())),
        partial: Mutex::default(),
        sent: Table::new(LEDGER, None, &config.kafka)?.impatient(),
        publisher: Publisher::new("ledger", &config.kafka, process.runtime.clone())?,
        metrics: process.metrics.clone(),
        observer: runtime.observer.clone(),
    };
    let needs = Needs {
        stage: NAME,
        inputs: &["triage.summarized", LEDGER],
        outputs: &["notification.sent", LEDGER],
    };
    process.wait_until_fit(&config.kafka, &needs, &runtime.observer)?;
    Ok(stream::run(stage, &["triage.summarized"], &config.kafka, &runtime)?)
}

/// The stage: tells the right team, once.
pub struct Notify {
    codec: Codec,
    routing: RoutingTable,
    composer: Composer,
    mailer: Mailer,
    ledger: Mutex<Ledger>,
    /// Mails that the server took for some recipients and deferred for others.
    partial: Mutex<HashMap<NotificationId, Delivery>>,
    sent: Table,
    publisher: Publisher,
    metrics: Metrics,
    observer: Observer,
}

impl std::fmt::Debug for Notify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notify").field("server", &self.mailer.server()).finish_non_exhaustive()
    }
}

/// Entries that left the ledger's window and are deleted from its topic with each mail, so that it stays bounded.
const EXPIRE: usize = 4;

impl Notify {
    fn decide(&self, record: &Incoming, context: &Context) -> Result<Fate, CodecError> {
        let event: TriageSummarized = self.codec.decode(record.value.as_deref())?;
        let triage = triage(&event);
        let routes = match self.routing.decide(&triage) {
            Decision::Drop(reason) => return Ok(Fate::Drop(reason.as_str())),
            Decision::Notify(routes) => routes,
        };
        let id = NotificationId::of(&context.event_id, TEMPLATE);
        let mail = match self.compose(id, &triage, &routes, context.now_ms) {
            Ok(mail) => mail,
            Err(error) => return Ok(Reject::new(error.code().as_str(), error.to_string()).into()),
        };
        let mut outputs = Vec::new();
        let recipients = if lock(&self.ledger).sent(id) {
            // Sent by an earlier try whose transaction did not commit: only the record of it is missing.
            mail.to.clone()
        } else {
            match self.send(id, &mail)? {
                Ok(delivery) => {
                    outputs.extend(self.remember(id)?);
                    delivery.accepted
                }
                Err(reject) => return Ok(reject.into()),
            }
        };
        let sent = NotificationSent {
            event_id: event.event_id,
            facility: event.facility,
            message_type: event.message_type,
            received_at: event.received_at,
            notification_id: id.to_string(),
            channel: CHANNEL.to_owned(),
            message_id: mail.message_id,
            recipients: recipients.into_iter().map(|recipient| recipient.name).collect(),
            urgency: event.urgency.label,
            specialty: event.specialty.label,
            sent_at: now_ms(),
        };
        let value = self.codec.encode("notification.sent", &sent)?;
        outputs.insert(0, Outgoing::new("notification.sent", record.key.clone(), value));
        Ok(Fate::Emit(outputs))
    }

    fn compose(
        &self,
        id: NotificationId,
        triage: &Triage,
        routes: &Routes,
        now_ms: i64,
    ) -> Result<Mail, crate::Error> {
        let date = UNIX_EPOCH + Duration::from_millis(now_ms.unsigned_abs());
        self.composer.compose(id, triage, routes, date)
    }

    /// Hands the mail to the server. What it defers is tried again alone, so that nobody gets it twice.
    fn send(&self, id: NotificationId, mail: &Mail) -> Result<Result<Delivery, Reject>, Unavailable> {
        let mut so_far = lock(&self.partial).remove(&id).unwrap_or_default();
        let now = if so_far.deferred.is_empty() { mail.clone() } else { mail.clone().only(&so_far.deferred) };
        match self.mailer.send(&now) {
            Ok(delivery) => {
                if !delivery.accepted.is_empty() {
                    self.observer.ready(SMTP);
                }
                self.count("accepted", delivery.accepted.len());
                self.count("rejected", delivery.rejected.len());
                so_far.accepted.extend(delivery.accepted);
                so_far.rejected.extend(delivery.rejected);
                so_far.deferred = delivery.deferred;
            }
            Err(error) if error.is_transient() => {
                self.count("deferred", 1);
                if !so_far.accepted.is_empty() || !so_far.rejected.is_empty() {
                    lock(&self.partial).insert(id, so_far);
                }
                return Err(Unavailable { dependency: SMTP, detail: error.to_string() });
            }
            Err(error) if so_far.accepted.is_empty() => {
                self.count("rejected", now.to.len());
                return Ok(Err(Reject::new(error.code().as_str(), error.to_string())));
            }
            // Those who were deferred are refused now; others have it already, so this is no dead letter.
            Err(error) => {
                self.count("rejected", now.to.len());
                tracing::warn!(code = error.code().as_str(), recipients = now.to.len(), "recipients refused");
                so_far.deferred.clear();
            }
        }
        if so_far.deferred.is_empty() {
            return Ok(Ok(so_far));
        }
        let detail = format!("{} recipients deferred", so_far.deferred.len());
        lock(&self.partial).insert(id, so_far);
        Err(Unavailable { dependency: SMTP, detail })
    }

    /// Writes the ledger at once, outside the transaction: it must hold even if the transaction fails. Gives back
    /// what is left for the transaction: that record when it could not be written now, and tombstones.
    fn remember(&self, id: NotificationId) -> Result<Vec<Outgoing>, CodecError> {
        let at = now_ms();
        let expired = {
            let mut ledger = lock(&self.ledger);
            ledger.apply(id, Entry { state: State::Sent, at_ms: at });
            ledger.expire(at, EXPIRE)
        };
        let mut outputs: Vec<Outgoing> = expired
            .into_iter()
            .map(|id| Outgoing {
                value: None,
                ..Outgoing::new(LEDGER, Some(id.to_string().into_bytes()), Vec::new())
            })
            .collect();
        let entry = NotificationLedger {
            notification_id: id.to_string(),
            state: State::Sent.as_str().to_owned(),
            at,
        };
        let value = self.codec.encode(LEDGER, &entry)?;
        let output = Outgoing::new(LEDGER, Some(entry.notification_id.into_bytes()), value);
        if self.publisher.publish_blocking(&output).is_err() {
            outputs.push(output);
        }
        Ok(outputs)
    }

    fn count(&self, outcome: &str, count: usize) {
        for _ in 0..count {
            self.metrics.notification(CHANNEL, outcome);
        }
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
                        lock(&self.ledger).apply(id, Entry { state, at_ms: entry.at });
                    }
                }
                Err(CodecError::Unavailable(error)) => unavailable = Some(error),
                // A tombstone, or an entry of another hand: nothing was sent that we know of.
                Err(CodecError::Reject(_)) => lock(&self.ledger).forget(id),
            }
        })?;
        tracing::info!(entries = read, "read the ledger");
        unavailable.map_or(Ok(()), Err)
    }
}

/// The parts of the event that routing and mail need.
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(0))
}
