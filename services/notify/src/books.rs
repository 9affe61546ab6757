//! What all of `notify` shares with the other instances: which notifications went out.

use std::sync::Mutex;

use contracts::headers::EVENT_ID;
use contracts::{EventId, NotificationLedger, NotificationSent, TriageSummarized};
use stream::{Codec, CodecError, Incoming, Outgoing, Publisher, Table, Unavailable};

use crate::deliveries::{Desk, Progress, Told};
use crate::run::{lock, now_ms};
use crate::{Entry, NotificationId, State};

pub(crate) const SENT: &str = "notification.sent";
pub(crate) const LEDGER: &str = "notification.ledger";

/// A topic that is read as state. A record that cannot be decoded because the registry does not answer stays for the next
/// call, and so do those behind it.
pub(crate) struct Decoded {
    table: Table,
    backlog: Mutex<Backlog>,
}

#[derive(Default)]
struct Backlog(Vec<Incoming>);

impl Backlog {
    fn retry(
        &mut self,
        mut apply: impl FnMut(&Incoming) -> Result<(), Unavailable>,
    ) -> Result<(), Unavailable> {
        let mut done = 0;
        let result = self.0.iter().try_for_each(|record| {
            apply(record)?;
            done += 1;
            Ok(())
        });
        self.0.drain(..done);
        result
    }

    fn take(&mut self, record: &Incoming, apply: impl FnOnce(&Incoming) -> Result<(), Unavailable>) {
        if !self.0.is_empty() || apply(record).is_err() {
            self.0.push(record.clone());
        }
    }
}

impl Decoded {
    pub(crate) fn new(table: Table) -> Self {
        Self { table, backlog: Mutex::default() }
    }

    /// Gives every record that is there and was not given before to `apply`, which fails only for the registry.
    pub(crate) fn catch_up(
        &self,
        mut apply: impl FnMut(&Incoming) -> Result<(), Unavailable>,
    ) -> Result<u64, Unavailable> {
        let mut backlog = lock(&self.backlog);
        backlog.retry(&mut apply)?;
        let read = self.table.catch_up(|record| backlog.take(record, &mut apply))?;
        backlog.retry(apply)?;
        Ok(read)
    }
}

/// The ledger, on both sides of it.
pub(crate) struct Books {
    pub(crate) codec: Codec,
    pub(crate) desk: Desk,
    pub(crate) table: Decoded,
    pub(crate) publisher: Publisher,
}

impl Books {
    /// Reads what other instances sent.
    pub(crate) fn catch_up(&self) -> Result<u64, Unavailable> {
        self.table.catch_up(|record| {
            let Some(id) =
                record.key.as_deref().and_then(|key| NotificationId::parse(std::str::from_utf8(key).ok()?))
            else {
                return Ok(());
            };
            match self.codec.decode::<NotificationLedger>(record.value.as_deref()) {
                Ok(entry) => {
                    if let Some(state) = State::parse(&entry.state) {
                        lock(&self.desk.ledger).apply(id, Entry { state, at_ms: entry.at });
                    }
                }
                Err(CodecError::Unavailable(unavailable)) => return Err(unavailable),
                // A tombstone, or an entry of another hand: nothing was sent that we know of.
                Err(CodecError::Reject(_)) => lock(&self.desk.ledger).forget(id),
            }
            Ok(())
        })
    }

    /// Writes the ledger at once, outside the transaction: it must hold even if the transaction fails. What cannot be
    /// written now stays for the transaction, or for the next try.
    pub(crate) fn write_ledger(&self, progress: &mut Progress) -> Result<(), CodecError> {
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

    /// What of the ledger is still to be written.
    pub(crate) fn owed(&self, progress: &Progress) -> Result<Vec<Outgoing>, CodecError> {
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

    /// The record of a message that was taken.
    pub(crate) fn sent(
        &self,
        key: Option<Vec<u8>>,
        event: &TriageSummarized,
        told: Told,
    ) -> Result<Outgoing, CodecError> {
        let sent = NotificationSent {
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
        };
        Ok(Outgoing::new(SENT, key, self.codec.encode(SENT, &sent)?))
    }
}

/// With the header that says of which event a record is, for records that no stage stamps.
pub(crate) fn of_event(mut output: Outgoing, id: EventId) -> Outgoing {
    output.headers.push((EVENT_ID.to_owned(), id.to_string().into_bytes()));
    output
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// A registry that is away when the topic is first read must not cost what was read.
    #[test]
    fn a_record_that_cannot_be_decoded_now_is_decoded_later_and_in_order() {
        let record = |offset| Incoming {
            topic: LEDGER.into(),
            partition: 0,
            offset,
            timestamp_ms: 0,
            key: None,
            value: None,
            headers: vec![],
        };
        let (away, seen) = (Cell::new(false), RefCell::new(Vec::new()));
        let apply = |record: &Incoming| {
            if away.get() {
                return Err(Unavailable { dependency: "schema-registry", detail: String::new() });
            }
            seen.borrow_mut().push(record.offset);
            Ok(())
        };
        let mut backlog = Backlog::default();
        backlog.take(&record(0), apply);
        away.set(true);
        backlog.take(&record(1), apply);
        away.set(false);
        backlog.take(&record(2), apply);
        assert_eq!(*seen.borrow(), [0], "none before the one that could not be decoded");
        away.set(true);
        assert!(backlog.retry(apply).is_err());
        away.set(false);
        assert!(backlog.retry(apply).is_ok());
        backlog.take(&record(3), apply);
        assert_eq!(*seen.borrow(), [0, 1, 2, 3]);
    }
}
