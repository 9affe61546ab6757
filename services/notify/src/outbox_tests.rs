//! Instances one after the other over one log, one state and one ledger, through random schedules of time and deaths.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const PARTITION: i32 = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    None,
    /// After a digest was taken, before it is in the ledger.
    Sent,
    /// After the entry in the ledger.
    Booked,
    /// After a state was written.
    Written,
}

#[derive(Default)]
struct Shared {
    now: i64,
    log: Vec<(String, Letter)>,
    states: BTreeMap<String, State>,
    committed: i64,
    ledger: BTreeSet<Vec<Vec<u8>>>,
    /// Events of each digest that was taken, with when.
    sent: Vec<(i64, Vec<Vec<u8>>)>,
    waits: bool,
    /// Between two digests to a recipient at least.
    every: i64,
    death: Option<Death>,
}

impl Shared {
    fn holds(&mut self, who: usize, due_at: i64) {
        let recipient = format!("recipient {who}");
        let event = self.log.len().to_be_bytes().to_vec();
        self.log.push((recipient.clone(), Letter { recipient, due_at, event }));
    }

    fn dies(&mut self, at: Death) -> Result<(), Unavailable> {
        if self.death == Some(at) {
            return Err(Unavailable { dependency: "life", detail: String::new() });
        }
        Ok(())
    }
}

impl World for Shared {
    fn now_ms(&self) -> i64 {
        self.now
    }

    fn send(&mut self, address: &str, letters: &[&Letter]) -> Result<Outcome, Unavailable> {
        assert!(letters.iter().all(|letter| letter.recipient == address) && letters.len() <= MOST);
        let events: Vec<Vec<u8>> = letters.iter().map(|letter| letter.event.clone()).collect();
        if self.ledger.contains(&events) {
            return Ok(Outcome::Told);
        }
        if self.waits {
            return Ok(Outcome::Waits);
        }
        self.sent.push((self.now, events.clone()));
        self.dies(Death::Sent)?;
        self.ledger.insert(events);
        self.dies(Death::Booked)?;
        Ok(Outcome::Told)
    }

    fn write(&mut self, address: &str, state: State) -> Result<(), Unavailable> {
        self.states.insert(address.to_owned(), state);
        self.dies(Death::Written)
    }

    fn note(&mut self, _: usize, _: Outcome) {}
}

struct Instance {
    outbox: Outbox,
    at: usize,
}

impl Instance {
    fn takes_over(shared: &Shared) -> Self {
        let every = shared.every;
        let mut outbox =
            Outbox::new(Box::new(move |_, told_at, due| told_at.map_or(due, |at| due.max(at + every))));
        outbox.own(PARTITION, shared.log.len() as i64, shared.states.clone());
        Self { outbox, at: usize::try_from(shared.committed).unwrap() }
    }

    fn reads(&mut self, shared: &Shared, records: usize) {
        for _ in 0..records {
            if let Some(record) = shared.log.get(self.at) {
                self.outbox.read(PARTITION, self.at as i64, Some(record.clone()));
                self.at += 1;
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    Passes(i64),
    Holds(usize, i64),
    Reads(usize),
    Acts(bool),
    Dies(Death),
    Commits,
    IsReplaced,
}

fn turn() -> impl Strategy<Value = Turn> {
    let death = prop_oneof![Just(Death::Sent), Just(Death::Booked), Just(Death::Written), Just(Death::None)];
    prop_oneof![
        4 => (1i64..20_000).prop_map(Turn::Passes),
        6 => (0usize..3, 0i64..30_000).prop_map(|(who, after)| Turn::Holds(who, after)),
        5 => (1usize..5).prop_map(Turn::Reads),
        8 => any::<bool>().prop_map(Turn::Acts),
        3 => death.prop_map(Turn::Dies),
        2 => Just(Turn::Commits),
        1 => Just(Turn::IsReplaced),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn each_letter_is_told_once_in_order_and_a_digest_again_only_as_it_was(
        turns in prop::collection::vec(turn(), 0..100), every in prop_oneof![Just(0i64), 1i64..30_000],
    ) {
        let mut shared = Shared { every, ..Shared::default() };
        let mut owner = Instance::takes_over(&shared);
        let mut unbooked = 0;
        for turn in turns {
            shared.death = None;
            match turn {
                Turn::Passes(ms) => shared.now += ms,
                Turn::Holds(who, after) => shared.holds(who, shared.now + after),
                Turn::Reads(records) => owner.reads(&shared, records),
                Turn::Acts(waits) => {
                    shared.waits = waits;
                    owner.outbox.act(&mut shared).unwrap();
                }
                Turn::Dies(death) => {
                    (shared.waits, shared.death) = (false, Some(death));
                    let sent = shared.sent.len();
                    if owner.outbox.act(&mut shared).is_err() {
                        unbooked += usize::from(death == Death::Sent && shared.sent.len() > sent);
                        owner = Instance::takes_over(&shared);
                    }
                }
                Turn::Commits => shared.committed = owner.outbox.position(PARTITION).unwrap_or(shared.committed),
                Turn::IsReplaced => owner = Instance::takes_over(&shared),
            }
        }
        // The last owner finishes.
        (shared.waits, shared.death) = (false, None);
        let mut owner = Instance::takes_over(&shared);
        owner.reads(&shared, shared.log.len());
        while let Some(due) = owner.outbox.due_at() {
            shared.now = shared.now.max(due);
            owner.outbox.act(&mut shared).unwrap();
        }
        prop_assert_eq!(owner.outbox.held(), 0);
        prop_assert!(owner.outbox.position(PARTITION).is_none_or(|next| next == shared.log.len() as i64));

        let (mut told, mut digests, mut again) = (BTreeSet::new(), BTreeSet::new(), 0);
        let mut last: BTreeMap<&str, i64> = BTreeMap::new();
        for (at, digest) in &shared.sent {
            let letters = shared.log.iter().filter(|(_, letter)| digest.contains(&letter.event));
            prop_assert!(letters.map(|(_, letter)| letter.due_at).min().unwrap() <= *at, "before its time");
            prop_assert!(digest.is_sorted());
            if digests.insert(digest.clone()) {
                let to = &shared.log.iter().find(|(_, letter)| digest.contains(&letter.event)).unwrap().0;
                if let Some(before) = last.insert(to, *at) {
                    prop_assert!(*at >= before + every, "{before} and {at} to one recipient");
                }
                for event in digest {
                    prop_assert!(told.insert(event.clone()), "a letter in two digests");
                }
            } else {
                again += 1;
            }
        }
        prop_assert!(again <= unbooked, "{again} with {unbooked} deaths before the ledger");
        prop_assert_eq!(told.len(), shared.log.len(), "nothing is lost");
    }
}

#[test]
fn what_is_held_goes_out_together_when_the_first_is_due() {
    let mut shared = Shared::default();
    for due in [1_000, 5_000, 1_000] {
        shared.holds(0, due);
    }
    let mut owner = Instance::takes_over(&shared);
    owner.reads(&shared, 3);
    assert!(!owner.outbox.act(&mut shared).unwrap());
    assert_eq!((owner.outbox.held(), owner.outbox.due_at()), (3, Some(1_000)));
    shared.now = 1_000;
    while owner.outbox.act(&mut shared).unwrap() {}
    assert_eq!(shared.sent.len(), 1);
    assert_eq!(shared.sent[0].1.len(), 3);
}

#[test]
fn a_digest_has_a_bound_and_the_rest_follows_at_once() {
    let mut shared = Shared::default();
    (0..MOST + 1).for_each(|_| shared.holds(0, 0));
    let mut owner = Instance::takes_over(&shared);
    owner.reads(&shared, MOST + 1);
    while owner.outbox.act(&mut shared).unwrap() {}
    assert_eq!(shared.sent.iter().map(|(_, events)| events.len()).collect::<Vec<_>>(), [MOST, 1]);
}

#[test]
fn a_topic_that_was_made_anew_begins_anew() {
    let mut shared = Shared::default();
    shared.states.insert("recipient 0".to_owned(), State { told: 500, planned: None, told_at: None });
    shared.holds(0, 0);
    let mut owner = Instance::takes_over(&shared);
    owner.reads(&shared, 1);
    assert_eq!(owner.outbox.held(), 1);
}
