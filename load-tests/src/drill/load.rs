//! The feed: messages published as fast as the line takes them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use stream::{Outgoing, Publisher};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::{Config, Feed};

/// A key and a value.
pub(crate) type Message = (Vec<u8>, Vec<u8>);

/// Where feeds publish.
pub(crate) const RAW: &str = "hl7.raw";
/// Messages that wait for their acknowledgement at a time.
const IN_FLIGHT: usize = 64;

/// A feed at work on a task of its own.
#[derive(Debug)]
pub(crate) struct Load {
    tally: Arc<Tally>,
    /// How many messages may be published in all.
    allowed: watch::Sender<u64>,
    /// Messages beyond those that the line has finished.
    backlog: u64,
}

#[derive(Debug, Default)]
struct Tally {
    acknowledged: Mutex<Vec<(i32, i64)>>,
    published: AtomicU64,
    stop: AtomicBool,
    finished: AtomicBool,
}

impl Load {
    /// Publishes `messages` until they end or [`stop`](Self::stop), at most `backlog` more than were finished.
    pub(crate) fn start(
        messages: impl Iterator<Item = Message> + Send + 'static,
        publisher: Publisher,
        backlog: u64,
        runtime: &Handle,
    ) -> Self {
        let tally = Arc::new(Tally::default());
        let (allowed, room) = watch::channel(backlog);
        runtime.spawn(publish(messages, publisher, room, tally.clone()));
        Self { tally, allowed, backlog }
    }

    /// Makes room: the line has finished so many of this load's messages.
    pub(crate) fn finished(&self, count: u64) {
        self.allowed.send_if_modified(|allowed| {
            let now = count + self.backlog;
            let more = now > *allowed;
            *allowed = now.max(*allowed);
            more
        });
    }

    /// Publishes no more.
    pub(crate) fn stop(&self) {
        self.tally.stop.store(true, Ordering::Release);
        self.allowed.send_modify(|_| {});
    }

    /// Whether nothing more comes and all is acknowledged.
    pub(crate) fn is_over(&self) -> bool {
        self.tally.finished.load(Ordering::Acquire)
    }

    /// Messages acknowledged so far.
    pub(crate) fn count(&self) -> u64 {
        self.tally.published.load(Ordering::Acquire)
    }

    /// Partition and offset of each.
    pub(crate) fn acknowledged(&self) -> Vec<(i32, i64)> {
        self.tally.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The messages of a hospital, of which this share carries a narrative.
pub(crate) fn hospital(seed: u64, narratives: f64) -> impl Iterator<Item = Message> + Send {
    Feed::new(Config { seed, patients: 400, narratives: Some(narratives), ..Config::default() })
        .map(|message| (message.key, message.bytes))
}

async fn publish(
    messages: impl Iterator<Item = Message>,
    publisher: Publisher,
    mut room: watch::Receiver<u64>,
    tally: Arc<Tally>,
) {
    let mut messages = messages.fuse();
    let mut pending = FuturesUnordered::new();
    let mut sent = 0;
    let mut over = false;
    loop {
        over |= tally.stop.load(Ordering::Acquire);
        while !over && pending.len() < IN_FLIGHT && sent < *room.borrow_and_update() {
            match messages.next() {
                Some(message) => {
                    sent += 1;
                    pending.push(acknowledge(&publisher, message));
                }
                None => over = true,
            }
        }
        if over && pending.is_empty() {
            tally.finished.store(true, Ordering::Release);
            return;
        }
        tokio::select! {
            Some(position) = pending.next() => {
                tally.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).push(position);
                tally.published.fetch_add(1, Ordering::AcqRel);
            }
            changed = room.changed() => {
                // The drill is over.
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// Publishes until the broker acknowledges it: what was tried in vain may be there as well, which makes it one more
/// input with one more fate.
async fn acknowledge(publisher: &Publisher, (key, value): Message) -> (i32, i64) {
    let output = Outgoing::new(RAW, Some(key), value);
    loop {
        if let Ok(position) = publisher.publish(&output).await {
            return position;
        }
    }
}
