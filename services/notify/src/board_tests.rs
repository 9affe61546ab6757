//! Several instances over one topic, one ledger and one list of acknowledgements, through random schedules of time,
//! deaths, takeovers and instances that do not know that they lost their partition.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::escalation::tests::ladder;

const KEEP: i64 = 100_000;
const PARTITION: i32 = 0;

fn id() -> EventId {
    EventId::at("hl7.raw", 0, 0)
}

/// Where an instance dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    None,
    /// After the message was taken, before it is in the ledger.
    Sent,
    /// After the entry in the ledger, before the record.
    Booked,
    /// After the record.
    Written,
}

/// What outlives every instance, and what happened.
struct Shared {
    now: i64,
    ladder: Ladder,
    topic: Vec<Option<Item>>,
    ledger: BTreeSet<u32>,
    acknowledged: Option<i64>,
    /// Steps in the order in which messages were taken.
    sent: Vec<u32>,
    /// Steps that were tried.
    tried: BTreeSet<u32>,
    /// Steps that were refused for good, or tried while no channel took them.
    missed: BTreeSet<u32>,
    notes: Vec<Note>,
    answer: Outcome,
    death: Death,
}

impl Shared {
    fn new(ladder: Ladder) -> Self {
        let standing = Standing::opened(0, &ladder);
        Self {
            now: 0,
            ladder,
            topic: vec![Some(Item { event: vec![1], standing })],
            ledger: BTreeSet::new(),
            acknowledged: None,
            sent: Vec::new(),
            tried: BTreeSet::new(),
            missed: BTreeSet::new(),
            notes: Vec::new(),
            answer: Outcome::Told,
            death: Death::None,
        }
    }

    fn dies(&mut self, at: Death) -> Result<(), Unavailable> {
        if self.death == at {
            return Err(Unavailable { dependency: "life", detail: String::new() });
        }
        Ok(())
    }
}

impl World for Shared {
    fn now_ms(&self) -> i64 {
        self.now
    }

    fn acknowledged(&mut self, _: EventId) -> Result<Option<i64>, Unavailable> {
        Ok(self.acknowledged)
    }

    fn ladder(&mut self, _: &Item) -> Result<Option<Ladder>, Unavailable> {
        Ok(Some(self.ladder.clone()))
    }

    fn tell(&mut self, _: EventId, _: &Item, step: u32) -> Result<Outcome, Unavailable> {
        if self.ledger.contains(&step) {
            return Ok(Outcome::Told);
        }
        self.tried.insert(step);
        if self.answer != Outcome::Told {
            self.missed.insert(step);
        } else {
            assert_eq!(self.acknowledged, None, "told after the acknowledgement");
            self.sent.push(step);
            self.dies(Death::Sent)?;
            self.ledger.insert(step);
            self.dies(Death::Booked)?;
        }
        Ok(self.answer)
    }

    fn write(&mut self, _: EventId, item: Option<&Item>) -> Result<i64, Unavailable> {
        self.topic.push(item.cloned());
        self.dies(Death::Written)?;
        Ok(self.topic.len() as i64 - 1)
    }

    fn note(&mut self, note: Note) {
        self.notes.push(note);
    }
}

/// An instance, and how far it has read.
struct Instance {
    board: Board,
    read: usize,
}

impl Instance {
    /// One that has just got the partition, and reads what compaction left.
    fn takes_over(shared: &Shared) -> Self {
        let mut board = Board::new(KEEP);
        let last = shared.topic.len() - 1;
        board.apply(id(), PARTITION, last as i64, shared.topic[last].clone());
        board.own(PARTITION);
        Self { board, read: last + 1 }
    }

    fn reads(&mut self, shared: &Shared, records: usize) {
        for _ in 0..records {
            if let Some(item) = shared.topic.get(self.read) {
                self.board.apply(id(), PARTITION, self.read as i64, item.clone());
                self.read += 1;
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    Passes(i64),
    Reads(usize),
    Acts(Outcome),
    Dies(Death),
    /// Another takes the partition; the one before does not know for as many turns.
    IsReplaced(u8),
    Acknowledged,
    /// A stage that was held up opens the event once more.
    OpenedAgain,
}

fn turn() -> impl Strategy<Value = Turn> {
    let outcome =
        prop_oneof![4 => Just(Outcome::Told), 1 => Just(Outcome::Refused), 1 => Just(Outcome::Waits)];
    let death = prop_oneof![Just(Death::Sent), Just(Death::Booked), Just(Death::Written)];
    prop_oneof![
        6 => (1i64..4_000).prop_map(Turn::Passes),
        4 => (1usize..4).prop_map(Turn::Reads),
        8 => outcome.prop_map(Turn::Acts),
        2 => death.prop_map(Turn::Dies),
        2 => (0u8..6).prop_map(Turn::IsReplaced),
        1 => Just(Turn::Acknowledged),
        1 => Just(Turn::OpenedAgain),
    ]
}

/// Runs a schedule. Gives what is left, and how many deaths and zombies there were that can tell twice.
fn play(ladder: Ladder, turns: &[Turn]) -> (Shared, usize) {
    let mut shared = Shared::new(ladder);
    let mut owner = Instance::takes_over(&shared);
    let mut zombie: Option<(Instance, u8)> = None;
    let mut deaths_after_sending = 0;
    for turn in turns {
        shared.death = Death::None;
        match *turn {
            Turn::Passes(ms) => shared.now += ms,
            Turn::Reads(records) => owner.reads(&shared, records),
            Turn::Acts(outcome) => {
                shared.answer = outcome;
                owner.board.act(&mut shared).unwrap();
            }
            Turn::Dies(death) => {
                (shared.answer, shared.death) = (Outcome::Told, death);
                let sent = shared.sent.len();
                let died = owner.board.act(&mut shared).is_err();
                deaths_after_sending += usize::from(death == Death::Sent && shared.sent.len() > sent);
                if died {
                    owner = Instance::takes_over(&shared);
                }
            }
            Turn::IsReplaced(turns) => {
                let before = std::mem::replace(&mut owner, Instance::takes_over(&shared));
                zombie = Some((before, turns));
            }
            Turn::Acknowledged => {
                shared.acknowledged.get_or_insert(shared.now);
            }
            Turn::OpenedAgain => {
                let standing = Standing::opened(shared.now, &shared.ladder);
                shared.topic.push(Some(Item { event: vec![1], standing }));
            }
        }
        shared.death = Death::None;
        if let Some((mut instance, left)) = zombie.take().filter(|(_, left)| *left > 0) {
            instance.board.act(&mut shared).unwrap();
            zombie = Some((instance, left - 1));
        }
    }
    (shared, deaths_after_sending)
}

fn check(shared: &Shared, deaths_after_sending: usize) {
    let mut first = 0;
    let (mut seen, mut twice) = (BTreeSet::new(), 0);
    for step in &shared.sent {
        assert!(*step >= 1 && *step <= shared.ladder.last());
        if seen.insert(*step) {
            // One that was not reached at first may be reached by whoever does not know that it was tried.
            assert!(*step > first || shared.missed.contains(step), "{:?}", shared.sent);
            assert!((first + 1..*step).all(|skipped| shared.missed.contains(&skipped)), "{:?}", shared.sent);
            first = first.max(*step);
        } else {
            twice += 1;
        }
    }
    assert!(twice <= deaths_after_sending, "{:?} with {deaths_after_sending} deaths", shared.sent);
}

/// Lets the last owner finish with every channel at work.
fn finish(mut shared: Shared) -> Shared {
    (shared.answer, shared.death) = (Outcome::Told, Death::None);
    let mut owner = Instance::takes_over(&shared);
    for _ in 0..200 {
        while owner.board.act(&mut shared).unwrap() {}
        owner.reads(&shared, shared.topic.len());
        match owner.board.due_at() {
            Some(due) => shared.now = shared.now.max(due),
            None => break,
        }
    }
    assert_eq!(owner.board.due_at(), None, "it ends");
    assert!(owner.board.slots.is_empty(), "nothing is kept of what is closed");
    shared
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_dies_no_tier_is_skipped_and_none_is_told_twice_beside_what_was_not_booked(
        after in prop::collection::vec(1i64..6_000, 1..4), repeat in 0u32..2,
        turns in prop::collection::vec(turn(), 0..80),
    ) {
        let (shared, deaths) = play(ladder(&after, repeat), &turns);
        check(&shared, deaths);
        let acknowledged = shared.acknowledged;
        let told = shared.sent.len();
        let shared = finish(shared);
        check(&shared, deaths);
        prop_assert_eq!(shared.topic.last(), Some(&None), "it is closed for good");
        if acknowledged.is_some() {
            prop_assert_eq!(shared.sent.len(), told, "nobody is told after the acknowledgement");
        } else if shared.notes.contains(&Note::Unanswered) {
            prop_assert!((1..=shared.ladder.last()).all(|step| shared.tried.contains(&step)), "all were tried");
        }
    }
}

#[test]
fn an_event_that_nobody_acknowledges_goes_up_and_is_told_of() {
    let shared = finish(Shared::new(ladder(&[60_000, 10_000], 1)));
    assert_eq!(shared.sent, [1, 2, 3]);
    let told = |step| Note::Stepped { step, outcome: Outcome::Told };
    assert_eq!(shared.notes, [told(1), told(2), told(3), Note::Unanswered]);
    assert_eq!(shared.now, KEEP);
}

#[test]
fn an_acknowledgement_ends_it_and_its_time_is_known() {
    let mut shared = Shared::new(ladder(&[60_000], 0));
    let mut owner = Instance::takes_over(&shared);
    assert!(!owner.board.act(&mut shared).unwrap());
    assert_eq!(owner.board.counts(), BTreeMap::from([("0".to_owned(), 1)]));
    shared.now = 20_000;
    shared.acknowledged = Some(19_000);
    assert!(!owner.board.act(&mut shared).unwrap(), "nothing is due");
    owner.board.wake(id());
    assert!(owner.board.act(&mut shared).unwrap());
    assert_eq!(shared.notes, [Note::Acknowledged { after_ms: 19_000 }]);
    assert_eq!((shared.sent.len(), shared.topic.last()), (0, Some(&None)));
    assert!(owner.board.counts().is_empty());
}

#[test]
fn only_the_owner_of_the_partition_acts() {
    let mut shared = Shared::new(ladder(&[10], 0));
    let mut owner = Instance::takes_over(&shared);
    owner.board.leave(PARTITION);
    shared.now = 1_000;
    assert!(!owner.board.act(&mut shared).unwrap());
    assert_eq!((owner.board.due_at(), owner.board.counts().len()), (None, 0));
    owner.board.own(PARTITION);
    assert!(owner.board.act(&mut shared).unwrap());
    assert_eq!(shared.sent, [1]);
}

#[test]
fn an_event_that_is_opened_again_keeps_its_place() {
    let mut shared = Shared::new(ladder(&[1_000, 50_000], 0));
    let mut owner = Instance::takes_over(&shared);
    shared.now = 1_000;
    assert!(owner.board.act(&mut shared).unwrap());
    let standing = Standing::opened(shared.now, &shared.ladder);
    shared.topic.push(Some(Item { event: vec![1], standing }));
    owner.reads(&shared, 10);
    assert!(owner.board.act(&mut shared).unwrap());
    let last = shared.topic.last().cloned().flatten().unwrap();
    assert_eq!((last.standing.step, shared.sent.as_slice()), (1, &[1][..]), "the record is right again");
}
