//! The line under a drill: parts, processes, load, and the way to rest.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stream::Publisher;
use tokio::runtime::Handle;
use worm_log::{S3Store, VerifyOptions};

use crate::drill::fleet::{End, Fleet};
use crate::drill::load::{Load, Message, RAW, hospital};
use crate::drill::parts::{Parts, Setup};
use crate::drill::reader::{Follower, Library};
use crate::drill::service::{self, SERVICES, WORKERS};
use crate::drill::verdict::{Account, Mail, Verdict, Violation};
use crate::drill::{Error, Options, Run};

/// Without any progress for so long the line counts as stuck.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long one look at the line takes when nothing happens.
const LOOK: Duration = Duration::from_millis(50);
/// Exit status of a Rust program whose main thread panicked.
const PANICKED: i32 = 101;
/// How long the ledger's producer waits for an acknowledgement: a worker sends no further mail before.
const LEDGER_WAIT: Duration = Duration::from_secs(30);
/// Topics that `audit` does not keep.
const NOT_KEPT: &str = "audit.manifests";

/// Which instances are static members of their group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    Dynamic,
    Static,
    /// Every other instance is static.
    Mixed,
}

/// Everything of one drill.
pub(crate) struct Line {
    // Goes first: what stands on the parts ends before they do.
    pub(crate) fleet: Fleet,
    follower: Follower,
    /// The last one is at work, the others are over.
    loads: Vec<Load>,
    pub(crate) parts: Parts,
    interrupted: Arc<AtomicBool>,
    /// Mails that may go out twice.
    mails_twice: u64,
    /// Found on the way.
    pub(crate) violations: Vec<Violation>,
    /// Messages in the line at a time.
    backlog: u64,
    /// Messages that had ended when the last load began.
    began_at: u64,
    /// Instances that may end by themselves, with an exit status of their own.
    excused: HashSet<String>,
}

impl Line {
    /// Starts the parts. Call it on the thread that lives longest: all processes end with it.
    pub(crate) fn start(setup: &Setup, run: &Run) -> Result<Self, Error> {
        let parts = Parts::start(setup, &run.folder, &run.runtime)?;
        Ok(Self {
            fleet: Fleet::new(&run.folder, run.runtime.clone())?,
            follower: Follower::new(&parts.config)?,
            loads: Vec::new(),
            parts,
            interrupted: run.interrupted.clone(),
            mails_twice: 0,
            violations: Vec::new(),
            backlog: run.backlog,
            began_at: 0,
            excused: HashSet::new(),
        })
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.parts.runtime
    }

    /// Starts `count` instances of every service, and waits until each is ready. The first of each finds Kafka at
    /// `first`, where that is given.
    pub(crate) fn staff(
        &mut self,
        count: usize,
        membership: Membership,
        first: Option<&str>,
    ) -> Result<(), Error> {
        let all = self.parts.config.bootstrap_servers.clone();
        for service in &SERVICES {
            for number in 1..=count {
                let fixed = match membership {
                    Membership::Dynamic => false,
                    Membership::Static => true,
                    Membership::Mixed => number % 2 == 0,
                };
                let servers = first.filter(|_| number == 1).unwrap_or(&all);
                self.add(service.name, number, fixed, servers)?;
            }
        }
        self.until_ready()
    }

    /// Starts one instance that finds Kafka at `servers`.
    pub(crate) fn add(
        &mut self,
        name: &'static str,
        number: usize,
        fixed: bool,
        servers: &str,
    ) -> Result<(), Error> {
        let (registry, store) = (self.parts.registry.url(), self.parts.store.url());
        let instance = if fixed { format!("{name}-{number}") } else { String::new() };
        let config = service::config(name, &instance, &self.parts.surroundings(servers, &registry, &store));
        self.fleet.add(name, number, &config)
    }

    fn until_ready(&mut self) -> Result<(), Error> {
        (0..self.fleet.instances.len()).try_for_each(|at| self.ready(at))
    }

    /// Waits until an instance is ready.
    pub(crate) fn ready(&mut self, at: usize) -> Result<(), Error> {
        let what = format!("{} to be ready", self.fleet.instances[at]);
        // That others go on does not make up for one that never comes back.
        let since = Instant::now();
        let mut ready = false;
        self.until(&what, |line| {
            ready = line.fleet.is_ready(at);
            ready || since.elapsed() > PATIENCE
        })?;
        if ready { Ok(()) } else { Err(Error::Stuck(what)) }
    }

    /// How often a consumer group was shared out anew.
    pub(crate) fn rebalances(&self) -> Result<usize, Error> {
        self.parts.kafka.rebalances().map_err(|error| Error::part("Apache Kafka", error))
    }

    /// Starts a broker that was stopped, or that ended.
    pub(crate) fn resume(&mut self, broker: usize) -> Result<(), Error> {
        let node = &mut self.parts.kafka.nodes_mut()[broker];
        node.resume().map_err(|error| Error::part("Apache Kafka", error))
    }

    /// Begins to publish the messages of a hospital, for ever or so many of them.
    pub(crate) fn feed(&mut self, options: &Options, messages: Option<u64>) {
        let limit = usize::try_from(messages.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        self.publish(hospital(options.seed, options.narratives).take(limit));
    }

    /// Begins to publish these.
    pub(crate) fn publish(&mut self, messages: impl Iterator<Item = Message> + Send + 'static) {
        let publisher: Publisher = self.parts.publisher.clone();
        let load = Load::start(messages, publisher, self.backlog, self.runtime());
        self.began_at = self.ended();
        self.loads.push(load);
    }

    /// Messages that the feed was acknowledged.
    pub(crate) fn published(&self) -> u64 {
        self.loads.iter().map(Load::count).sum()
    }

    /// Messages that reached an end of the line.
    pub(crate) fn ended(&self) -> u64 {
        self.follower.ended
    }

    /// Waits until so many more messages reached an end of the line.
    pub(crate) fn pass(&mut self, messages: u64) -> Result<(), Error> {
        let goal = self.ended() + messages;
        self.until("messages to pass", |line| line.ended() >= goal)
    }

    /// Kills an instance (SIGKILL) and starts it again at once.
    pub(crate) fn kill(&mut self, at: usize) -> Result<(), Error> {
        self.interrupts(at);
        self.fleet.kill(at);
        self.fleet.start(at)
    }

    /// An instance is interrupted: what its workers have between a mail and its entry in the ledger may be mailed
    /// once more.
    pub(crate) fn interrupts(&mut self, at: usize) {
        if self.fleet.instances[at].service == notify::NAME {
            self.mails_twice += WORKERS;
        }
    }

    /// This instance may end by itself: it loses its session or its transaction.
    pub(crate) fn excuse(&mut self, at: usize) {
        self.excused.insert(self.fleet.instances[at].to_string());
    }

    /// Something that every instance needs is away for so long: all are interrupted and may end.
    pub(crate) fn outage(&mut self, lasts: Duration) {
        let waits = lasts.as_secs() / LEDGER_WAIT.as_secs();
        for at in 0..self.fleet.instances.len() {
            self.excuse(at);
            (0..=waits).for_each(|_| self.interrupts(at));
        }
    }

    /// Asks an instance to end, and waits until it has.
    pub(crate) fn stop(&mut self, at: usize) -> Result<(), Error> {
        self.fleet.terminate(at)?;
        let instance = self.fleet.instances[at].to_string();
        let mut ended = None;
        self.until_with(&format!("{instance} to end"), false, |line| {
            ended = line.fleet.has_ended(at)?;
            Ok(ended.is_some())
        })?;
        if let Some(status) = ended.filter(|status| !status.success()) {
            self.violations.push(Violation::Ended { instance, status: status.to_string() });
        }
        Ok(())
    }

    /// Waits until `holds`; `what` names it. Feeds, reads and tends the processes meanwhile.
    pub(crate) fn until(
        &mut self,
        what: &str,
        mut holds: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), Error> {
        self.until_with(what, true, |line| Ok(holds(line)))
    }

    fn until_with(
        &mut self,
        what: &str,
        tend: bool,
        mut holds: impl FnMut(&mut Self) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let mut since = Instant::now();
        let mut ended = self.ended();
        loop {
            if self.interrupted.load(Ordering::Acquire) {
                return Err(Error::Interrupted);
            }
            if tend {
                self.fleet.tend()?;
            }
            if holds(self)? {
                return Ok(());
            }
            if ended != self.ended() {
                (since, ended) = (Instant::now(), self.ended());
            }
            if since.elapsed() > PATIENCE {
                return Err(Error::Stuck(what.to_owned()));
            }
            self.follower.read(LOOK)?;
            if let Some(load) = self.loads.last() {
                load.finished(self.follower.ended.saturating_sub(self.began_at));
            }
        }
    }

    /// Ends the load, and waits until every message of it reached an end of the line.
    pub(crate) fn settle(&mut self) -> Result<(), Error> {
        self.loads.iter().for_each(Load::stop);
        self.finish()
    }

    /// Waits until the load is over and every message of it reached an end of the line.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.until("every message to be published", |line| line.loads.iter().all(Load::is_over))?;
        self.until("every message to reach an end of the line", |line| line.ended() >= line.published())
    }

    /// Brings the line to rest, reads every topic to its end, and judges.
    pub(crate) fn judge(mut self) -> Result<Verdict, Error> {
        let library = Library::new(&self.parts.config)?;
        let mut account = Account::default();
        let mut check = Instant::now();
        let rest = self.until("every input to have a fate", |line| {
            // A check reads and counts everything; the line has the processors most of the time.
            let took = check.elapsed();
            let whole = library.read(&mut account, &line.parts) && account.missing() == 0;
            check = Instant::now() + took;
            whole
        });
        self.carry_on(rest)?;
        for at in 0..self.fleet.instances.len() {
            if self.fleet.instances[at].service != audit::NAME {
                let stopped = self.stop(at);
                self.carry_on(stopped)?;
            }
        }
        library.read(&mut account, &self.parts);
        self.seal(&account)?;
        library.read(&mut account, &self.parts);
        for End { service, instance, status } in std::mem::take(&mut self.fleet.ends) {
            if service == notify::NAME {
                self.mails_twice += WORKERS;
            }
            // Even then it ends with a status of its own: not by a signal, and not by a panic.
            let in_order = status.code().is_some_and(|code| code != PANICKED);
            if !(in_order && self.excused.contains(&instance)) {
                self.violations.push(Violation::Ended { instance, status: status.to_string() });
            }
        }
        let mail = Mail {
            unique: self.parts.mail.server.unique_message_ids(),
            duplicates: self.parts.mail.server.duplicates(),
            allowed: self.mails_twice,
        };
        let acknowledged: Vec<(String, i32, i64)> = self
            .loads
            .iter()
            .flat_map(Load::acknowledged)
            .map(|(partition, offset)| (RAW.to_owned(), partition, offset))
            .collect();
        Ok(account.judge(&mail, &acknowledged, std::mem::take(&mut self.violations)))
    }

    /// A line that does not come to rest is judged as it stands.
    pub(crate) fn carry_on(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Err(Error::Stuck(what)) => {
                let waited = PATIENCE.as_secs();
                self.violations.push(Violation::Drill(format!("waited {waited} s in vain for {what}")));
                Ok(())
            }
            result => result,
        }
    }

    /// Waits until the WORM log holds everything, stops `audit`, and verifies the log.
    fn seal(&mut self, account: &Account) -> Result<(), Error> {
        let runtime = self.runtime().clone();
        let store = runtime
            .block_on(S3Store::connect(self.parts.bucket.clone()))
            .map_err(|error| Error::part("worm log", error))?;
        let mut open: Vec<(String, i32, i64)> = account
            .ends()
            .filter(|(topic, ..)| *topic != NOT_KEPT)
            .map(|(topic, partition, next)| (topic.to_owned(), partition, next))
            .collect();
        let sealed = self.until("audit to seal everything", |_| {
            open.retain(|(topic, partition, next)| {
                let tip = runtime.block_on(worm_log::resume(&store, topic, *partition, None));
                !tip.is_ok_and(|tip| tip.is_some_and(|tip| tip.next_offset() >= *next))
            });
            open.is_empty()
        });
        self.carry_on(sealed)?;
        for at in self.fleet.of(audit::NAME) {
            let stopped = self.stop(at);
            self.carry_on(stopped)?;
        }
        let options = VerifyOptions { keys: self.parts.verifying_keys.clone(), ..VerifyOptions::default() };
        let report = runtime
            .block_on(worm_log::verify(&store, &options, |_| {}))
            .map_err(|error| Error::part("worm log", error))?;
        for finding in &report.findings {
            let place = |text: Option<String>| text.unwrap_or_else(|| "?".to_owned());
            self.violations.push(Violation::Worm(format!(
                "{} at {}/{}/{}",
                finding.kind.name(),
                place(finding.topic.clone()),
                place(finding.partition.map(|partition| partition.to_string())),
                place(finding.first_offset.map(|offset| offset.to_string())),
            )));
        }
        for ((topic, partition), written) in
            account.records().iter().filter(|((topic, _), _)| topic != NOT_KEPT)
        {
            let kept = report
                .partitions
                .iter()
                .find(|kept| kept.topic == *topic && kept.partition == *partition)
                .map_or(0, |kept| kept.records);
            if kept != *written {
                self.violations.push(Violation::Worm(format!(
                    "{topic}/{partition} has {written} records, and the log {kept} of them"
                )));
            }
        }
        Ok(())
    }
}
