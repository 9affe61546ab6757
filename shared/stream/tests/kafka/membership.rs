//! Members of a group come and go while records flow.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use stream::{Config, Error, GroupProtocol, Observer, Tail, TailEvent};
use telemetry::{Health, Metrics};

use crate::bench::{Bench, check_each_once_in_order, copy, wait};

const KEYS: u32 = 40;
const ROUND: u32 = 400;

/// Three members, each stopped and started again in the middle of the flow.
fn roll(bench: &Bench, config: impl Fn(usize) -> Config) {
    bench.topics(6);
    let work: Arc<crate::bench::Work> = Arc::new(|record, _| Ok(copy(record)));
    let mut members: Vec<_> = (0..3).map(|at| bench.member(&config(at), work.clone())).collect();
    let mut fed = 0;
    for at in 0..3 {
        bench.feed(fed, fed + ROUND, KEYS);
        fed += ROUND;
        members.remove(0).stop();
        bench.feed(fed, fed + ROUND, KEYS);
        fed += ROUND;
        members.push(bench.member(&config(at), work.clone()));
    }
    bench.await_fates(fed as usize);
    for member in members {
        member.stop();
    }
    check_each_once_in_order(&bench.read("out"), fed as usize);
}

#[test]
fn members_that_come_and_go_change_nothing() {
    let Some(bench) = Bench::start() else { return };
    roll(&bench, |_| bench.config.clone());
}

#[test]
fn members_with_a_name_change_nothing_either() {
    let Some(bench) = Bench::start() else { return };
    roll(&bench, |at| Config { group_instance_id: format!("t-{at}"), ..bench.config.clone() });
}

#[test]
fn nor_does_a_group_that_the_broker_leads() {
    let Some(bench) = Bench::start() else { return };
    roll(&bench, |_| Config { group_protocol: GroupProtocol::Consumer, ..bench.config.clone() });
}

/// Says when it is given partitions, and when it is to give some up. That it does not do before its end.
struct Reluctant {
    given: Sender<()>,
    taken: Sender<()>,
    end: Mutex<Receiver<()>>,
}

impl ClientContext for Reluctant {}

impl ConsumerContext for Reluctant {
    fn pre_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(_) => self.given.send(()).unwrap_or_default(),
            Rebalance::Revoke(_) => {
                self.taken.send(()).unwrap_or_default();
                let _ = self.end.lock().unwrap().recv();
            }
            Rebalance::Error(_) => {}
        }
    }
}

/// A named member is gone after it was told to give a partition up, and before it joined again. Its successor is given
/// what is left to it without a rebalance.
#[test]
fn what_a_member_with_a_name_was_giving_up_is_read_all_the_same() {
    let Some(bench) = Bench::start() else { return };
    bench.topics(2);
    let named = |name: &str| Config { group_instance_id: name.to_owned(), ..bench.config.clone() };
    let work: Arc<crate::bench::Work> = Arc::new(|record, _| Ok(copy(record)));
    let (given, is_given) = channel();
    let (taken, is_taken) = channel();
    let (end, ended) = channel::<()>();
    let servers = bench.config.bootstrap_servers.clone();
    let predecessor = std::thread::spawn(move || {
        let consumer: BaseConsumer<Reluctant> = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("group.id", "wardstream.t")
            .set("group.instance.id", "t-0")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.commit", "false")
            .create_with_context(Reluctant { given, taken, end: Mutex::new(ended) })
            .unwrap();
        consumer.subscribe(&["in"]).unwrap();
        // The last poll is the one whose callback holds this thread until the end of the test.
        while consumer.context().end.lock().unwrap().try_recv() == Err(TryRecvError::Empty) {
            let _ = consumer.poll(Duration::from_millis(100));
        }
    });
    is_given.recv().unwrap();
    let other = bench.member(&named("t-1"), work.clone());
    is_taken.recv().unwrap();
    let successor = bench.member(&named("t-0"), work);
    bench.feed(0, ROUND, KEYS);
    bench.await_fates(ROUND as usize);
    drop(end);
    predecessor.join().unwrap();
    other.stop();
    successor.stop();
    check_each_once_in_order(&bench.read("out"), ROUND as usize);
}

/// Of two members with one name the older is told that it is done for, instead of reading on what it may not commit.
#[test]
fn a_reader_whose_name_another_took_ends() {
    let Some(bench) = Bench::start() else { return };
    bench.topics(1);
    let config = Config { group_instance_id: "t-0".to_owned(), ..bench.config.clone() };
    let tail = || {
        let observer = Observer::new("t", Metrics::new().stage("t"), Health::new());
        Tail::new("t", &["in"], &[], &config, &observer).unwrap()
    };
    let poll = |tail: &mut Tail| tail.poll(Duration::from_millis(50));
    let mut older = tail();
    wait(
        "the first to have its partition",
        || matches!(poll(&mut older).unwrap(), Some(TailEvent::Assigned(partitions)) if partitions.len() == 1),
    );
    let mut younger = tail();
    wait("the first to be fenced", || {
        poll(&mut younger).unwrap();
        matches!(poll(&mut older), Err(Error::Refused { .. }))
    });
}
