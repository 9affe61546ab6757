//! The open events of the partitions that this instance owns, and what it does about them. Pure: the world is passed in.
//!
//! `notification.open` is the state, and each record replaces the one before of its event. The board reads it back as any
//! other instance would, so a takeover at any point goes on where the topic and the ledger say. Three things can make a
//! record older than what the board knows, and the board keeps what is further: its own records come back to it; a stage
//! that had to wait for a channel opens the event again; and an instance that lost its partition may write one last time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use contracts::EventId;
use stream::Unavailable;

use crate::Ladder;
use crate::escalation::{Action, Closing, Outcome, Standing};

/// An event as the topic has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// The record of `triage.summarized`.
    pub(crate) event: Vec<u8>,
    pub(crate) standing: Standing,
}

/// What the board needs of the world around it.
pub(crate) trait World {
    fn now_ms(&self) -> i64;

    /// When somebody acknowledged the event, by all that is known at this moment.
    fn acknowledged(&mut self, id: EventId) -> Result<Option<i64>, Unavailable>;

    /// Who hears of it; none when the table has nobody any more.
    fn ladder(&mut self, item: &Item) -> Result<Option<Ladder>, Unavailable>;

    /// Tells those of a step who were not told before, by all that is known at this moment.
    fn tell(&mut self, id: EventId, item: &Item, step: u32) -> Result<Outcome, Unavailable>;

    /// Writes an event's record, or its tombstone, and returns its offset once it is there for good.
    fn write(&mut self, id: EventId, item: Option<&Item>) -> Result<i64, Unavailable>;

    /// For the metrics and the log.
    fn note(&mut self, note: Note);
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    Stepped {
        step: u32,
        outcome: Outcome,
    },
    Unanswered,
    /// Milliseconds from the opening to the acknowledgement.
    Acknowledged {
        after_ms: i64,
    },
}

#[derive(Debug)]
struct Slot {
    partition: i32,
    /// Of the last record that was applied or written.
    offset: i64,
    /// None once it is closed, until the tombstone comes back.
    item: Option<Item>,
    /// Not looked at before.
    wake_at: i64,
    /// The topic's record is behind.
    rewrite: bool,
}

/// How long a step that no channel takes is left alone.
const RETRY_MS: i64 = 5_000;

#[derive(Debug, Default)]
pub(crate) struct Board {
    slots: HashMap<EventId, Slot>,
    owned: BTreeSet<i32>,
    keep_ms: i64,
}

impl Board {
    /// `keep_ms`: how long after its opening an event can be acknowledged.
    pub(crate) fn new(keep_ms: i64) -> Self {
        Self { keep_ms, ..Self::default() }
    }

    /// Takes in a record of the topic; none is a tombstone.
    pub(crate) fn apply(&mut self, id: EventId, partition: i32, offset: i64, item: Option<Item>) {
        let Some(slot) = self.slots.get_mut(&id) else {
            if let Some(item) = item {
                let wake_at = item.standing.due_at;
                let slot = Slot { partition, offset, item: Some(item), wake_at, rewrite: false };
                self.slots.insert(id, slot);
            }
            return;
        };
        // A topic that was given more partitions may have the event in another one; the later record is there.
        if slot.partition == partition && offset <= slot.offset {
            if slot.item.is_none() && offset == slot.offset {
                self.slots.remove(&id);
            }
            return;
        }
        (slot.partition, slot.offset) = (partition, offset);
        match (item, &mut slot.item) {
            (None, _) => {
                self.slots.remove(&id);
            }
            (Some(new), Some(known)) if !new.standing.is_beyond(&known.standing) => {
                if new != *known {
                    slot.rewrite = true;
                    slot.wake_at = 0;
                }
            }
            (Some(new), known) => {
                slot.wake_at = new.standing.due_at;
                *known = Some(new);
            }
        }
    }

    /// The partition is this instance's, and everything in it was applied.
    pub(crate) fn own(&mut self, partition: i32) {
        self.owned.insert(partition);
    }

    /// The partition is another's.
    pub(crate) fn leave(&mut self, partition: i32) {
        self.owned.remove(&partition);
    }

    pub(crate) fn owns(&self, partition: i32) -> bool {
        self.owned.contains(&partition)
    }

    /// Somebody acknowledged it: it is looked at next.
    pub(crate) fn wake(&mut self, id: EventId) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.wake_at = 0;
        }
    }

    fn open(&self) -> impl Iterator<Item = (&EventId, &Slot, &Item)> {
        let owned = self.slots.iter().filter(|(_, slot)| self.owned.contains(&slot.partition));
        owned.filter_map(|(id, slot)| Some((id, slot, slot.item.as_ref()?)))
    }

    /// When the next event is to be looked at; none when none is open.
    pub(crate) fn due_at(&self) -> Option<i64> {
        self.open().map(|(_, slot, _)| slot.wake_at).min()
    }

    /// Open events by the last step taken, `unanswered` apart.
    pub(crate) fn counts(&self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for (_, _, item) in self.open() {
            let standing = item.standing;
            let step = if standing.unanswered { "unanswered".to_owned() } else { standing.step.to_string() };
            *counts.entry(step).or_default() += 1;
        }
        counts
    }

    /// Looks at the event that is due first, if one is, and does one thing about it. Whether one was due.
    ///
    /// # Errors
    /// [`Unavailable`]: nothing is lost, the event is looked at again.
    pub(crate) fn act(&mut self, world: &mut impl World) -> Result<bool, Unavailable> {
        let now = world.now_ms();
        let due = self.open().filter(|(_, slot, _)| slot.wake_at <= now);
        // By id too, so that a schedule can be repeated.
        let Some(id) = due.min_by_key(|(id, slot, _)| (slot.wake_at, **id)).map(|(id, _, _)| *id) else {
            return Ok(false);
        };
        let Some(slot) = self.slots.get_mut(&id) else { return Ok(false) };
        let Some(item) = slot.item.clone() else { return Ok(false) };
        slot.wake_at = now.saturating_add(RETRY_MS);
        let acknowledged = world.acknowledged(id)?;
        let Some(ladder) = world.ladder(&item)? else {
            return Self::close(slot, id, world).map(|()| true);
        };
        let standing = item.standing;
        match standing.next(&ladder, acknowledged.is_some(), now, self.keep_ms) {
            Action::Wait(until) => {
                if slot.rewrite {
                    Self::write(slot, id, item, world)?;
                }
                slot.wake_at = until;
            }
            Action::Tell(step) => {
                let outcome = world.tell(id, &item, step)?;
                let tried = standing.tried(outcome, &ladder, world.now_ms());
                if let Some(standing) = tried {
                    Self::write(slot, id, Item { standing, ..item }, world)?;
                    world.note(Note::Stepped { step, outcome });
                }
            }
            Action::GiveUp => {
                Self::write(slot, id, Item { standing: standing.given_up(), ..item }, world)?;
                world.note(Note::Unanswered);
            }
            Action::Close(closing) => {
                Self::close(slot, id, world)?;
                if let (Closing::Acknowledged, Some(at)) = (closing, acknowledged) {
                    world.note(Note::Acknowledged { after_ms: (at - standing.opened_at).max(0) });
                }
            }
        }
        Ok(true)
    }

    fn write(slot: &mut Slot, id: EventId, item: Item, world: &mut impl World) -> Result<(), Unavailable> {
        slot.offset = world.write(id, Some(&item))?;
        slot.wake_at = item.standing.due_at;
        slot.rewrite = false;
        slot.item = Some(item);
        Ok(())
    }

    fn close(slot: &mut Slot, id: EventId, world: &mut impl World) -> Result<(), Unavailable> {
        slot.offset = world.write(id, None)?;
        slot.item = None;
        Ok(())
    }
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
