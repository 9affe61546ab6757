//! Members of a group come and go while records flow.

use std::sync::Arc;

use stream::{Config, GroupProtocol};

use crate::bench::{Bench, check_each_once_in_order, copy};

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
