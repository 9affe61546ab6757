use std::sync::Arc;
use std::time::{Duration, SystemTime};

use contracts::EventId;
use telemetry::Health;

use super::*;
use crate::{Address, Call, Error, Route, Routes, Triage};

/// What a channel answers next; the last answer stays.
#[derive(Clone, Copy)]
enum Answer {
    Takes,
    Waits,
    Refuses,
    /// Takes the message for the first recipient and defers the others.
    TakesOne,
}

struct Script {
    name: &'static str,
    answers: Mutex<Vec<Answer>>,
    give_up_after: Option<Duration>,
    /// Recipients of each message sent.
    sent: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Channel for Script {
    fn kind(&self) -> Kind {
        Kind::Webhook
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn reaches(&self, address: &Address) -> bool {
        matches!(address, Address::Webhook(name) if name.starts_with(self.name))
    }

    fn compose(&self, event: &Event<'_>, to: &[Recipient]) -> Result<Vec<Message>, Error> {
        let id = NotificationId::of(&event.id, self.name);
        Ok(vec![Message { id, message_id: id.to_string(), to: to.to_vec(), bytes: Vec::new() }])
    }

    fn digest(&self, _: &Digest<'_>) -> Result<Message, Error> {
        Err(Error::Compose("a script has no digest"))
    }

    fn send(&self, message: &Message) -> Result<Delivery, Error> {
        lock(&self.sent).push(message.to.iter().map(|to| to.name.clone()).collect());
        let mut answers = lock(&self.answers);
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
        match answer {
            Answer::Takes => Ok(Delivery::to_all(&message.to)),
            Answer::TakesOne => Ok(Delivery {
                accepted: message.to[..1].to_vec(),
                rejected: vec![],
                deferred: message.to[1..].to_vec(),
            }),
            Answer::Waits => {
                Err(Error::ChannelUnavailable { channel: self.name, reason: "no connection".into() })
            }
            Answer::Refuses => Err(Error::ChannelRefused { channel: self.name, code: 400 }),
        }
    }

    fn give_up_after(&self) -> Option<Duration> {
        self.give_up_after
    }
}

type Sent = Arc<Mutex<Vec<Vec<String>>>>;

fn script(name: &'static str, answers: &[Answer], give_up_after: Option<u64>) -> (Box<dyn Channel>, Sent) {
    let sent = Sent::default();
    let channel = Script {
        name,
        answers: Mutex::new(answers.to_vec()),
        give_up_after: give_up_after.map(Duration::from_secs),
        sent: sent.clone(),
    };
    (Box::new(channel), sent)
}

fn desk(channels: Vec<Box<dyn Channel>>) -> Desk {
    let metrics = Metrics::new();
    Desk {
        channels,
        ledger: Mutex::new(Ledger::new(Duration::from_secs(3_600))),
        observer: Observer::new("notify", metrics.stage("notify"), Health::new()),
        metrics,
    }
}

/// One try, `age` seconds after the event was received: who was told by which message, the code of the refusal, or
/// what is waited for.
fn attempt(
    desk: &Desk,
    to: &[(&str, &str)],
    age: i64,
    progress: &mut Progress,
) -> Result<Vec<String>, String> {
    let recipients = to
        .iter()
        .map(|(name, channel)| Recipient {
            name: (*name).to_owned(),
            address: Address::Webhook((*channel).to_owned()),
        })
        .collect();
    let routes = Routes { routes: vec![Route { pattern: "any".into(), recipients }], triage: false };
    let triage = Triage::default();
    let id = EventId::at("hl7.raw", 0, 0);
    let event =
        Event { id, triage: &triage, routes: &routes, date: SystemTime::UNIX_EPOCH, call: Call::default() };
    let messages = desk.messages(&event).unwrap();
    match desk.deliver(messages, age * 1_000, progress, |_| Ok(())) {
        Ok(Verdict::Told(told)) => Ok(told
            .into_iter()
            .map(|told| told.recipients.iter().map(|to| to.name.as_str()).collect::<Vec<_>>().join("+"))
            .collect()),
        Ok(Verdict::Refused(reject)) => Err(reject.code),
        Err(CodecError::Unavailable(unavailable)) => Err(unavailable.dependency.to_owned()),
        Err(CodecError::Reject(reject)) => panic!("{}", reject.reason),
    }
}

fn count(sent: &Sent) -> usize {
    lock(sent).len()
}

#[test]
fn a_channel_that_is_away_keeps_no_other_from_telling_and_nobody_is_told_twice() {
    let (a, sent_a) = script("a", &[Answer::Waits, Answer::Waits, Answer::Takes], None);
    let (b, sent_b) = script("b", &[Answer::Takes], None);
    let desk = desk(vec![a, b]);
    let (to, mut progress) = ([("x", "a"), ("y", "b")], Progress::default());
    for tries in 1..=2 {
        assert_eq!(attempt(&desk, &to, 1_000_000, &mut progress), Err("a".to_owned()));
        assert_eq!((count(&sent_a), count(&sent_b)), (tries, 1));
    }
    assert_eq!(attempt(&desk, &to, 1_000_000, &mut progress), Ok(vec!["x".to_owned(), "y".to_owned()]));
    assert_eq!((count(&sent_a), count(&sent_b)), (3, 1));
    assert_eq!(progress.unwritten.len(), 2, "each is to be written in the ledger");
}

#[test]
fn what_the_ledger_knows_is_not_sent_again_by_another_process() {
    let (a, sent_a) = script("a", &[Answer::Waits, Answer::Takes], None);
    let (b, sent_b) = script("b", &[Answer::Takes], None);
    let desk = desk(vec![a, b]);
    let to = [("x", "a"), ("y", "b")];
    attempt(&desk, &to, 0, &mut Progress::default()).unwrap_err();
    assert_eq!(attempt(&desk, &to, 0, &mut Progress::default()), Ok(vec!["x".to_owned(), "y".to_owned()]));
    assert_eq!((count(&sent_a), count(&sent_b)), (2, 1));
    assert_eq!(attempt(&desk, &to, 0, &mut Progress::default()), Ok(vec!["x".to_owned(), "y".to_owned()]));
    assert_eq!((count(&sent_a), count(&sent_b)), (2, 1));
}

#[test]
fn a_refusal_is_a_dead_letter_only_where_nobody_was_told() {
    let (a, sent_a) = script("a", &[Answer::Refuses], None);
    let (b, _) = script("b", &[Answer::Waits, Answer::Takes], None);
    let desk = desk(vec![a, b]);
    assert_eq!(attempt(&desk, &[("x", "a")], 0, &mut Progress::default()), Err("NOTIFY-832".to_owned()));
    let (to, mut progress) = ([("x", "a"), ("y", "b")], Progress::default());
    assert_eq!(attempt(&desk, &to, 0, &mut progress), Err("b".to_owned()));
    assert_eq!(attempt(&desk, &to, 0, &mut progress), Ok(vec!["y".to_owned()]));
    assert_eq!(count(&sent_a), 2, "refused once for good is not asked again for the same event");
    // A dead letter that was replayed is tried anew.
    assert_eq!(attempt(&desk, &[("x", "a")], 0, &mut Progress::default()), Err("NOTIFY-832".to_owned()));
    assert_eq!(count(&sent_a), 3);
}

#[test]
fn a_channel_gives_up_an_old_event_only_where_another_took_it() {
    let (a, _) = script("a", &[Answer::Waits], Some(60));
    let (b, _) = script("b", &[Answer::Takes], None);
    let (c, _) = script("c", &[Answer::Refuses], None);
    let desk = desk(vec![a, b, c]);
    let mut progress = Progress::default();
    let both = [("x", "a"), ("y", "b")];
    assert_eq!(attempt(&desk, &both, 59, &mut progress), Err("a".to_owned()));
    assert_eq!(attempt(&desk, &both, 60, &mut progress), Ok(vec!["y".to_owned()]));
    assert_eq!(attempt(&desk, &[("x", "a")], 9_999, &mut Progress::default()), Err("a".to_owned()));
    let refused = [("x", "a"), ("z", "c")];
    assert_eq!(attempt(&desk, &refused, 9_999, &mut Progress::default()), Err("a".to_owned()));
}

#[test]
fn who_was_deferred_is_tried_alone() {
    let (a, sent) = script("a", &[Answer::TakesOne, Answer::Waits, Answer::Takes], None);
    let desk = desk(vec![a]);
    let (to, mut progress) = ([("x", "a1"), ("y", "a2")], Progress::default());
    for _ in 0..2 {
        assert_eq!(attempt(&desk, &to, 0, &mut progress), Err("a".to_owned()));
    }
    assert_eq!(progress.unwritten.len(), 0, "it is in the ledger once everyone has it");
    assert_eq!(attempt(&desk, &to, 0, &mut progress), Ok(vec!["x+y".to_owned()]));
    assert_eq!(*lock(&sent), [vec!["x", "y"], vec!["y"], vec!["y"]]);
    assert_eq!(progress.unwritten.len(), 1);
}

#[test]
fn one_address_is_told_once_by_whatever_names_it_is_on_the_routes() {
    let (a, sent) = script("a", &[Answer::Takes], None);
    let desk = desk(vec![a]);
    let to = [("x", "a"), ("y", "a")];
    assert_eq!(attempt(&desk, &to, 0, &mut Progress::default()), Ok(vec!["x".to_owned()]));
    assert_eq!(count(&sent), 1);
}
