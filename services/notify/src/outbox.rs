//! What is held for recipients, in the partitions that this instance owns, and when it goes out. Pure: the world is passed in.
//!
//! `notification.held` is a log keyed by recipient, so everything of a recipient lies in one partition, in order.
//! `notification.digest` says up to which offset a recipient was told. Which letters a digest has is written there before
//! it is sent, so whoever takes over sends the same one, with the same id.

use std::collections::{BTreeMap, HashMap};

use stream::Unavailable;

use crate::escalation::Outcome;

/// A notification that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Name of the recipient.
    pub(crate) recipient: String,
    pub(crate) due_at: i64,
    /// The record of `triage.summarized`.
    pub(crate) event: Vec<u8>,
}

/// How far a recipient was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) told: i64,
    pub(crate) planned: Option<i64>,
    /// When the last digest went out; none before the first.
    pub(crate) told_at: Option<i64>,
}

impl State {
    const NEW: Self = Self { told: -1, planned: None, told_at: None };
}

/// What the outbox needs of the world around it.
pub(crate) trait World {
    fn now_ms(&self) -> i64;

    /// Sends a digest, unless it went out before by all that is known at this moment.
    fn send(&mut self, address: &str, letters: &[&Letter]) -> Result<Outcome, Unavailable>;

    /// Writes a recipient's state; it is there for good.
    fn write(&mut self, address: &str, state: State) -> Result<(), Unavailable>;

    /// Letters left the outbox.
    fn note(&mut self, letters: usize, outcome: Outcome);
}

#[derive(Debug)]
struct Queue {
    partition: i32,
    state: State,
    letters: BTreeMap<i64, Letter>,
    /// When the first of the letters is due; kept, since there may be many.
    first_due: Option<i64>,
    /// When they go out: not before that, and not too soon after the last.
    release_at: Option<i64>,
    /// Not looked at before.
    wake_at: i64,
}

impl Queue {
    fn new(partition: i32, state: State) -> Self {
        Self { partition, state, letters: BTreeMap::new(), first_due: None, release_at: None, wake_at: 0 }
    }

    fn reckon(&mut self, release: &Release) {
        let recipient = self.letters.values().next_back().map(|letter| letter.recipient.as_str());
        self.release_at = recipient.zip(self.first_due).map(|(to, due)| release(to, self.state.told_at, due));
    }
}

/// Letters of a digest at most; what is beyond goes out in the next one, at once.
const MOST: usize = 100;
/// How long a digest that the channel does not take is left alone.
const RETRY_MS: i64 = 5_000;

/// When what is due goes out to a recipient, by name, who was told last at a time.
pub(crate) type Release = dyn Fn(&str, Option<i64>, i64) -> i64 + Send;

pub(crate) struct Outbox {
    release: Box<Release>,
    queues: HashMap<String, Queue>,
    /// The next offset that was not read, by owned partition.
    next: BTreeMap<i32, i64>,
}

impl Outbox {
    pub(crate) fn new(release: Box<Release>) -> Self {
        Self { release, queues: HashMap::new(), next: BTreeMap::new() }
    }

    /// The partition is this instance's: nothing of it was read yet, and these recipients were told so far. `end` is its end.
    pub(crate) fn own(
        &mut self,
        partition: i32,
        end: i64,
        states: impl IntoIterator<Item = (String, State)>,
    ) {
        self.leave(partition);
        self.next.insert(partition, 0);
        for (address, state) in states {
            // A topic that was made anew begins at offset 0 again.
            let state = if state.told >= end { State::NEW } else { state };
            self.queues.insert(address, Queue::new(partition, state));
        }
    }

    /// The partition is another's.
    pub(crate) fn leave(&mut self, partition: i32) {
        self.next.remove(&partition);
        self.queues.retain(|_, queue| queue.partition != partition);
    }

    /// The partitions that are this instance's.
    pub(crate) fn partitions(&self) -> Vec<i32> {
        self.next.keys().copied().collect()
    }

    /// Takes in a record of an owned partition; none is one that says nothing.
    pub(crate) fn read(&mut self, partition: i32, offset: i64, letter: Option<(String, Letter)>) {
        let Some(next) = self.next.get_mut(&partition) else { return };
        if offset < *next {
            return;
        }
        *next = offset + 1;
        let Some((address, letter)) = letter else { return };
        let queue = self.queues.entry(address).or_insert_with(|| Queue::new(partition, State::NEW));
        if queue.partition == partition && offset > queue.state.told {
            queue.first_due = Some(queue.first_due.map_or(letter.due_at, |due| due.min(letter.due_at)));
            queue.letters.insert(offset, letter);
            queue.reckon(&*self.release);
        }
    }

    /// From where the next owner of a partition has to read; none as long as nothing of it was read.
    pub(crate) fn position(&self, partition: i32) -> Option<i64> {
        let held = self.queues.values().filter(|queue| queue.partition == partition);
        let first = held.filter_map(|queue| queue.letters.keys().next().copied()).min();
        first.or_else(|| self.next.get(&partition).copied().filter(|next| *next > 0))
    }

    /// Letters that are held.
    pub(crate) fn held(&self) -> usize {
        self.queues.values().map(|queue| queue.letters.len()).sum()
    }

    /// When the next recipient is to be looked at.
    pub(crate) fn due_at(&self) -> Option<i64> {
        self.queues.values().filter_map(|queue| self.due(queue)).min()
    }

    fn due(&self, queue: &Queue) -> Option<i64> {
        let due = match queue.state.planned {
            // Every letter of the digest has to be there.
            Some(last) => self.next.get(&queue.partition).is_some_and(|next| *next > last).then_some(0)?,
            None => queue.release_at?,
        };
        Some(due.max(queue.wake_at))
    }

    /// Looks at the recipient who is due first, if one is, and does one thing. Whether one was due.
    ///
    /// # Errors
    /// [`Unavailable`]: nothing is lost, the recipient is looked at again.
    pub(crate) fn act(&mut self, world: &mut impl World) -> Result<bool, Unavailable> {
        let now = world.now_ms();
        let due = self.queues.iter().filter_map(|(address, queue)| Some((self.due(queue)?, address)));
        let first = due.filter(|(due, _)| *due <= now).min().map(|(_, address)| address.clone());
        let Some((address, queue)) =
            first.and_then(|address| self.queues.get_mut(&address).map(|queue| (address, queue)))
        else {
            return Ok(false);
        };
        queue.wake_at = now.saturating_add(RETRY_MS);
        let Some(last) = queue.state.planned else {
            let last = queue.letters.keys().take(MOST).next_back().copied();
            let state = State { planned: last, ..queue.state };
            world.write(&address, state)?;
            queue.state = state;
            queue.wake_at = 0;
            return Ok(true);
        };
        let letters: Vec<&Letter> = queue.letters.range(..=last).map(|(_, letter)| letter).collect();
        let count = letters.len();
        // All of them were deleted with age.
        let outcome = if letters.is_empty() { Outcome::Told } else { world.send(&address, &letters)? };
        if outcome == Outcome::Waits {
            return Ok(true);
        }
        let state = State { told: last, planned: None, told_at: Some(world.now_ms()) };
        world.write(&address, state)?;
        queue.state = state;
        queue.letters = queue.letters.split_off(&last.saturating_add(1));
        queue.first_due = queue.letters.values().map(|letter| letter.due_at).min();
        queue.reckon(&*self.release);
        queue.wake_at = 0;
        world.note(count, outcome);
        Ok(true)
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
