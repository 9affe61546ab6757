//! What became of an event's messages so far, over all its tries.

use std::collections::HashMap;
use std::sync::Mutex;

use stream::{CodecError, Observer, Reject, Unavailable};
use telemetry::Metrics;

use crate::run::{lock, now_ms};
use crate::{
    Channel, Delivery, Digest, Entry, Event, Kind, Ledger, Message, NotificationId, Recipient, State,
};

/// Kept in memory between two tries of an event. What must outlive the process is in the ledger.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Messages that were taken for some recipients at least.
    deliveries: HashMap<NotificationId, Delivery>,
    /// Messages that were refused for good.
    refused: HashMap<NotificationId, Reject>,
    /// Entries of the ledger that could not be written yet.
    pub(crate) unwritten: Vec<(NotificationId, i64)>,
    /// Entries that left the ledger's window, whose tombstones could not be written yet.
    pub(crate) expired: Vec<NotificationId>,
    /// Whether the event's escalation was begun.
    pub(crate) opened: bool,
}

impl Progress {
    pub(crate) fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
            && self.refused.is_empty()
            && self.unwritten.is_empty()
            && self.expired.is_empty()
            && !self.opened
    }
}

/// How one message stands after a try.
enum Outcome {
    Taken(Vec<Recipient>),
    Refused(Reject),
    Waits(Unavailable),
}

/// A message that was taken.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) kind: Kind,
    pub(crate) id: NotificationId,
    pub(crate) message_id: String,
    pub(crate) recipients: Vec<Recipient>,
}

/// How an event stands after a try of all its messages.
pub(crate) enum Verdict {
    /// At least one channel took it, and none holds it up.
    Told(Vec<Told>),
    /// Every channel refused it.
    Refused(Reject),
}

/// Entries that left the ledger's window and are deleted from its topic with each message, so that it stays bounded.
const EXPIRE: usize = 4;

/// The channels, and which messages went out by them.
pub(crate) struct Desk {
    pub(crate) channels: Vec<Box<dyn Channel>>,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) metrics: Metrics,
    pub(crate) observer: Observer,
}

impl Desk {
    /// The messages of an event, in the order of the channels.
    pub(crate) fn messages(&self, event: &Event<'_>) -> Result<Vec<(&dyn Channel, Message)>, crate::Error> {
        let recipients = event.routes.recipients();
        let mut messages = Vec::new();
        for channel in &self.channels {
            let to: Vec<Recipient> =
                recipients.iter().filter(|to| channel.reaches(&to.address)).cloned().collect();
            if !to.is_empty() {
                let composed = channel.compose(event, &to)?;
                messages.extend(composed.into_iter().map(|message| (&**channel, message)));
            }
        }
        if messages.is_empty() {
            return Err(crate::Error::Compose("no recipients"));
        }
        Ok(messages)
    }

    /// The message that tells a recipient of several events.
    pub(crate) fn digest(&self, digest: &Digest<'_>) -> Result<(&dyn Channel, Message), crate::Error> {
        let channel = self.channels.iter().find(|channel| channel.reaches(&digest.to.address));
        let channel = channel.ok_or(crate::Error::Compose("no recipients"))?;
        Ok((&**channel, channel.digest(digest)?))
    }

    /// Tries every message that is not settled, each whatever becomes of the others: a channel that is away must not
    /// keep the others from telling. `keep` writes [`Progress::unwritten`] down as soon as there is something.
    pub(crate) fn deliver(
        &self,
        messages: Vec<(&dyn Channel, Message)>,
        age_ms: i64,
        progress: &mut Progress,
        keep: impl Fn(&mut Progress) -> Result<(), CodecError>,
    ) -> Result<Verdict, CodecError> {
        let (mut told, mut refused, mut waits) = (Vec::new(), None, Vec::new());
        for (channel, message) in messages {
            match self.attempt(channel, &message, progress) {
                Outcome::Taken(recipients) => {
                    let Message { id, message_id, .. } = message;
                    told.push(Told { kind: channel.kind(), id, message_id, recipients });
                }
                Outcome::Refused(reject) => {
                    refused.get_or_insert(reject);
                }
                Outcome::Waits(unavailable) => waits.push((channel, message.to.len(), unavailable)),
            }
            keep(progress)?;
        }
        if !told.is_empty() {
            waits.retain(|(channel, recipients, unavailable)| {
                let gives_up = gives_up(*channel, age_ms);
                if gives_up {
                    self.count(channel.kind(), "given-up", *recipients);
                    tracing::warn!(
                        channel = channel.name(),
                        reason = unavailable.detail,
                        "gave up on a channel for an event that another channel took"
                    );
                }
                !gives_up
            });
        }
        match (waits.into_iter().next(), refused) {
            (Some((_, _, unavailable)), _) => Err(unavailable.into()),
            (None, Some(reject)) if told.is_empty() => Ok(Verdict::Refused(reject)),
            (None, _) => Ok(Verdict::Told(told)),
        }
    }

    fn attempt(&self, channel: &dyn Channel, message: &Message, progress: &mut Progress) -> Outcome {
        let id = message.id;
        if let Some(done) = progress.deliveries.get(&id).filter(|done| done.deferred.is_empty()) {
            return Outcome::Taken(done.accepted.clone());
        }
        if let Some(reject) = progress.refused.get(&id) {
            return Outcome::Refused(reject.clone());
        }
        if lock(&self.ledger).sent(id) {
            // Sent by an earlier try whose transaction did not commit: only the record of it is missing.
            return Outcome::Taken(message.to.clone());
        }
        let outcome = self.hand_over(channel, message, progress);
        match &outcome {
            Outcome::Taken(_) => self.remember(id, progress),
            Outcome::Refused(reject) => {
                progress.refused.insert(id, reject.clone());
            }
            Outcome::Waits(_) => {}
        }
        outcome
    }

    /// Hands the message over. What is deferred is tried again alone, so that nobody gets it twice.
    fn hand_over(&self, channel: &dyn Channel, message: &Message, progress: &mut Progress) -> Outcome {
        let (id, kind) = (message.id, channel.kind());
        let mut so_far = progress.deliveries.remove(&id).unwrap_or_default();
        let now =
            if so_far.deferred.is_empty() { message.clone() } else { message.clone().only(&so_far.deferred) };
        match channel.send(&now) {
            Ok(delivery) => {
                if !delivery.accepted.is_empty() {
                    self.observer.ready(channel.name());
                }
                self.count(kind, "accepted", delivery.accepted.len());
                self.count(kind, "rejected", delivery.rejected.len());
                so_far.accepted.extend(delivery.accepted);
                so_far.rejected.extend(delivery.rejected);
                so_far.deferred = delivery.deferred;
            }
            Err(error) if error.is_transient() => {
                self.count(kind, "deferred", 1);
                if !so_far.accepted.is_empty() || !so_far.rejected.is_empty() {
                    progress.deliveries.insert(id, so_far);
                }
                return Outcome::Waits(Unavailable { dependency: channel.name(), detail: error.to_string() });
            }
            Err(error) => {
                self.count(kind, "rejected", now.to.len());
                tracing::warn!(
                    channel = channel.name(),
                    code = error.code().as_str(),
                    recipients = now.to.len(),
                    "recipients refused"
                );
                if so_far.accepted.is_empty() {
                    return Outcome::Refused(Reject::new(error.code().as_str(), error.to_string()));
                }
                // Those who were deferred are refused now; others have it already, so this is no dead letter.
                so_far.deferred.clear();
            }
        }
        let outcome = if so_far.deferred.is_empty() {
            Outcome::Taken(so_far.accepted.clone())
        } else {
            let detail = format!("{} recipients deferred", so_far.deferred.len());
            Outcome::Waits(Unavailable { dependency: channel.name(), detail })
        };
        progress.deliveries.insert(id, so_far);
        outcome
    }

    /// Enters a notification into the ledger.
    pub(crate) fn remember(&self, id: NotificationId, progress: &mut Progress) {
        let at = now_ms();
        let mut ledger = lock(&self.ledger);
        ledger.apply(id, Entry { state: State::Sent, at_ms: at });
        progress.expired.extend(ledger.expire(at, EXPIRE));
        progress.unwritten.push((id, at));
    }

    fn count(&self, kind: Kind, outcome: &str, count: usize) {
        for _ in 0..count {
            self.metrics.notification(kind.as_str(), outcome);
        }
    }
}

fn gives_up(channel: &dyn Channel, age_ms: i64) -> bool {
    let age = u128::try_from(age_ms).unwrap_or(0);
    channel.give_up_after().is_some_and(|after| age >= after.as_millis())
}

#[cfg(test)]
#[path = "deliveries_tests.rs"]
mod tests;
