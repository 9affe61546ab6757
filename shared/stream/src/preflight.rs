//! What is wrong with broker, topics and authorisations, all at once, before a service consumes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use contracts::{STAGES, dead_letter_topic, parked_topic};
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;
use tokio_util::sync::CancellationToken;

use crate::client::KAFKA;
use crate::reader::{self, down};
use crate::{Config, Delivery, Error, Observer, Unavailable, ffi};

const CALL: Duration = Duration::from_secs(10);
/// A coordinator of transactions that was never asked before makes its topic first.
const INIT: Duration = Duration::from_secs(30);
/// Between two checks while something is missing.
const AGAIN: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(50);
/// How long the group's coordinator is waited for at a time.
const COORDINATOR: Duration = Duration::from_millis(500);
/// No topic can have this name: brokers refuse the character.
const NO_TOPIC: &str = "wardstream/nothing";

/// What a stage needs of Kafka.
#[derive(Clone, Copy, Debug)]
pub struct Needs<'n> {
    /// Name of the stage: of its group, and of its topics for dead letters and parked records.
    pub stage: &'static str,
    /// Topics that it reads. Names that begin with `^` are patterns, and nothing need match them.
    pub inputs: &'n [&'n str],
    /// Topics that it writes beside dead letters, parked records and drops.
    pub outputs: &'n [&'n str],
}

/// Something that keeps a service from working.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Stable error code, a page of `docs/errors`.
    pub code: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.code, self.what, self.help)
    }
}

impl Fault {
    /// Whether somebody may be about to mend it without touching this process, as a job that creates topics does.
    fn may_pass(&self) -> bool {
        ![PARTITIONS, BROKER].contains(&self.code)
    }
}

const MISSING: &str = "STREAM-911";
const PARTITIONS: &str = "STREAM-912";
const TOPIC: &str = "STREAM-913";
const GROUP: &str = "STREAM-914";
const TRANSACTIONAL_ID: &str = "STREAM-915";
const BROKER: &str = "STREAM-916";

fn missing(topic: &str) -> Fault {
    Fault {
        code: MISSING,
        what: format!("topic {topic} does not exist"),
        help: "create it with `wardstream topics apply`".to_owned(),
    }
}

fn forbidden(code: &'static str, operation: &str, kind: &str, name: &str) -> Fault {
    Fault {
        code,
        what: format!("this principal may not {operation} {kind} {name}"),
        help: format!("add an ACL that allows {operation} on {kind} {name}"),
    }
}

fn old(what: &str) -> Fault {
    Fault {
        code: BROKER,
        what: format!("the broker has no {what}"),
        help: "use Apache Kafka 2.5 or later".to_owned(),
    }
}

/// Every fault gathered while a service waited for them to be mended.
#[derive(Debug, thiserror::Error)]
#[error("{}", list(.0))]
pub struct Unfit(pub Vec<Fault>);

fn list(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Waits until Kafka has what the stage needs; readiness says what is missing.
///
/// A broker that does not answer is waited for without end, as it is later. Faults that may pass, such as topics that
/// are yet to be created, are waited for `patience`.
///
/// Blocks: keep it on a plain thread. Returns early, and says nothing, when the shutdown is asked for.
///
/// # Errors
/// [`Unfit`] with every fault; [`Error::Client`] for a wrong property.
pub fn wait_until_fit(
    config: &Config,
    needs: &Needs<'_>,
    observer: &Observer,
    shutdown: &CancellationToken,
    patience: Duration,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut since = None;
    observer.waiting(KAFKA, "connecting");
    while !shutdown.is_cancelled() {
        match check(config, needs) {
            Ok(faults) if faults.is_empty() => {
                observer.ready(KAFKA);
                return Ok(());
            }
            Ok(faults) => {
                let since = *since.get_or_insert_with(|| {
                    for fault in &faults {
                        tracing::warn!(
                            stage = needs.stage,
                            code = fault.code,
                            what = fault.what,
                            "waiting for kafka"
                        );
                    }
                    Instant::now()
                });
                if since.elapsed() >= patience || !faults.iter().all(Fault::may_pass) {
                    return Err(Unfit(faults).into());
                }
                observer.waiting(KAFKA, &list(&faults));
            }
            Err(Problem::Client(error)) => return Err(Error::Client(error).into()),
            Err(Problem::Unavailable(unavailable)) => {
                since = None;
                observer.waiting(KAFKA, &unavailable.detail);
            }
        }
        let again = Instant::now() + AGAIN;
        while !shutdown.is_cancelled() && Instant::now() < again {
            std::thread::sleep(LOOK);
        }
    }
    Ok(())
}

/// Every fault that keeps the stage from working, in the order of codes and names. Blocks.
///
/// On a broker without transactions ([`Delivery::LineageGuarded`]) only missing topics are found: such a broker can
/// say no more.
///
/// # Errors
/// [`Unavailable`] when the broker does not answer.
pub fn preflight(config: &Config, needs: &Needs<'_>) -> Result<Vec<Fault>, Unavailable> {
    check(config, needs).map_err(|problem| match problem {
        Problem::Client(error) => down(error),
        Problem::Unavailable(unavailable) => unavailable,
    })
}

enum Problem {
    Client(KafkaError),
    Unavailable(Unavailable),
}

impl From<KafkaError> for Problem {
    fn from(error: KafkaError) -> Self {
        Self::Unavailable(down(error))
    }
}

/// Whether a topic is read, written, or both.
#[derive(Clone, Copy, Default)]
struct Use {
    read: bool,
    write: bool,
}

fn uses(needs: &Needs<'_>) -> BTreeMap<String, Use> {
    let mut uses: BTreeMap<String, Use> = BTreeMap::new();
    for topic in needs.inputs.iter().filter(|topic| !topic.starts_with('^')) {
        uses.entry((*topic).to_owned()).or_default().read = true;
    }
    let outputs = needs.outputs.iter().map(|topic| (*topic).to_owned());
    let mut written: Vec<String> = outputs.collect();
    if STAGES.contains(&needs.stage) {
        let parked = parked_topic(needs.stage);
        // Which keys are parked is read when partitions come.
        uses.entry(parked.clone()).or_default().read = true;
        written.extend([dead_letter_topic(needs.stage), parked, "line.dropped".to_owned()]);
    }
    for topic in written {
        uses.entry(topic).or_default().write = true;
    }
    uses
}

fn check(config: &Config, needs: &Needs<'_>) -> Result<Vec<Fault>, Problem> {
    let uses = uses(needs);
    let faults = match config.delivery {
        Delivery::LineageGuarded => only_missing(config, &uses)?,
        Delivery::Transactional => everything(config, needs, &uses)?,
    };
    Ok(faults.into_iter().collect())
}

fn only_missing(config: &Config, uses: &BTreeMap<String, Use>) -> Result<BTreeSet<Fault>, Problem> {
    let consumer: BaseConsumer =
        config.overlay(config.client("preflight")).create().map_err(Problem::Client)?;
    missing_of(consumer.client(), uses)
}

/// The topics that are not there, or that this principal does not see.
fn missing_of<C: ClientContext>(
    client: &Client<C>,
    uses: &BTreeMap<String, Use>,
) -> Result<BTreeSet<Fault>, Problem> {
    let metadata = client.fetch_metadata(None, CALL)?;
    let there: BTreeSet<&str> = metadata.topics().iter().map(|topic| topic.name()).collect();
    Ok(uses.keys().filter(|topic| !there.contains(topic.as_str())).map(|topic| missing(topic)).collect())
}

fn everything(
    config: &Config,
    needs: &Needs<'_>,
    uses: &BTreeMap<String, Use>,
) -> Result<BTreeSet<Fault>, Problem> {
    let transactional = STAGES.contains(&needs.stage);
    let group = config.group(needs.stage);
    // An instance without a stable name makes a transactional id of its own each time, so its authorisation can only
    // be for the prefix, which this one has too.
    let transactional_id = config.transactional_id(needs.stage, "preflight");
    let mut client = config.client("preflight");
    client.set("debug", "feature").set_log_level(RDKafkaLogLevel::Debug);
    if transactional {
        client.set("transactional.id", &transactional_id).set("message.timeout.ms", "10000");
    }
    let client = config.overlay(client);
    let producer: BaseProducer<Versions> =
        BaseProducer::from_config_and_context(&client, Versions::default()).map_err(Problem::Client)?;

    let missing = missing_of(producer.client(), uses)?;
    let old = if transactional { version_faults(&versions(&producer)) } else { BTreeSet::new() };
    if !old.is_empty() {
        // What such a broker says of authorisations and transactions is worth nothing.
        return Ok(missing.into_iter().chain(old).collect());
    }
    let mut faults = BTreeSet::new();
    let names: Vec<&str> = uses.keys().map(String::as_str).collect();
    for (topic, answer) in ffi::describe_topics(producer.client(), &names, CALL)? {
        let Some(used) = uses.get(&topic) else { continue };
        faults.extend(topic_faults(&topic, *used, answer, config.partitions)?);
    }
    if !needs.inputs.is_empty() {
        faults.extend(group_fault(config, &group)?);
    }
    if transactional {
        faults.extend(transaction_faults(&producer, &transactional_id)?);
    }
    Ok(faults)
}

fn topic_faults(
    topic: &str,
    used: Use,
    answer: Result<ffi::TopicState, RDKafkaErrorCode>,
    partitions: i32,
) -> Result<Vec<Fault>, Problem> {
    let state = match answer {
        Ok(state) => state,
        Err(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            return Ok(vec![missing(topic)]);
        }
        // Without Describe a broker says neither whether the topic is there nor what else is allowed.
        Err(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            let operation = match (used.read, used.write) {
                (true, true) => "Describe, Read and Write",
                (true, false) => "Describe and Read",
                _ => "Describe and Write",
            };
            return Ok(vec![forbidden(TOPIC, operation, "topic", topic)]);
        }
        Err(code) => return Err(KafkaError::AdminOp(code).into()),
    };
    let mut faults = Vec::new();
    let wanted = contracts::topics(partitions).into_iter().find(|known| known.name == topic);
    if let Some(wanted) = wanted.map(|wanted| wanted.partitions).filter(|wanted| *wanted > 0)
        && usize::try_from(wanted) != Ok(state.partitions)
    {
        faults.push(Fault {
            code: PARTITIONS,
            what: format!("topic {topic} has {} partitions instead of {wanted}", state.partitions),
            help: "correct kafka.partitions, or read docs/operations.md on changing the number of partitions"
                .to_owned(),
        });
    }
    if let Some(allowed) = state.allowed {
        for (needed, holds, operation) in
            [(used.read, allowed.read, "Read"), (used.write, allowed.write, "Write")]
        {
            if needed && !holds {
                faults.push(forbidden(TOPIC, operation, "topic", topic));
            }
        }
    }
    Ok(faults)
}

/// Commits an offset of a topic that cannot exist: a broker looks whether the group is allowed first, then whether the
/// topic is there, and so changes nothing. `DescribeConsumerGroups` would tell as well, but can end the process
/// ([`crate::group`]).
fn group_fault(config: &Config, group: &str) -> Result<Option<Fault>, Problem> {
    use RDKafkaErrorCode as Code;
    let consumer = reader::consumer(config, group, "read_committed").map_err(Problem::Client)?;
    let mut nowhere = TopicPartitionList::new();
    nowhere.add_partition_offset(NO_TOPIC, 0, Offset::Offset(0))?;
    let deadline = Instant::now() + CALL;
    loop {
        // A commit would wait for a coordinator that may not be asked for; why not is told to whoever polls.
        let known = consumer.committed_offsets(nowhere.clone(), COORDINATOR);
        let told = std::iter::from_fn(|| consumer.poll(Duration::ZERO)).filter_map(Result::err);
        if told.chain(known.as_ref().err().cloned()).any(|error| is(&error, Code::GroupAuthorizationFailed)) {
            return Ok(Some(forbidden(GROUP, "Describe and Read", "group", group)));
        }
        let Err(error) = known.and_then(|_| consumer.commit(&nowhere, CommitMode::Sync)) else {
            return Ok(None);
        };
        match error.rdkafka_error_code() {
            Some(Code::GroupAuthorizationFailed) => {
                return Ok(Some(forbidden(GROUP, "Read", "group", group)));
            }
            Some(
                Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::TopicAuthorizationFailed
                | Code::InvalidTopic,
            ) => return Ok(None),
            _ if Instant::now() < deadline => std::thread::sleep(LOOK),
            _ => return Err(error.into()),
        }
    }
}

fn is(error: &KafkaError, code: RDKafkaErrorCode) -> bool {
    error.rdkafka_error_code() == Some(code)
}

/// Takes the transactional id over, as the stage itself will: nothing less tells whether that is allowed.
fn transaction_faults(
    producer: &BaseProducer<Versions>,
    transactional_id: &str,
) -> Result<Option<Fault>, Problem> {
    use RDKafkaErrorCode as Code;
    let Err(error) = producer.init_transactions(Timeout::After(INIT)) else { return Ok(None) };
    match error.rdkafka_error_code() {
        Some(Code::TransactionalIdAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
            Ok(Some(forbidden(TRANSACTIONAL_ID, "Describe and Write", "transactional id", transactional_id)))
        }
        Some(Code::UnsupportedFeature | Code::UnsupportedVersion) => Ok(Some(old("transactions"))),
        // Another instance checks at the same moment: it could only fence this one because both may write.
        Some(
            Code::ProducerFenced | Code::Fenced | Code::InvalidProducerEpoch | Code::ConcurrentTransactions,
        ) => Ok(None),
        _ => Err(error.into()),
    }
}

/// API keys of Kafka's protocol, with the least version that a transaction with a group's metadata needs (KIP-447).
const NEEDED: [(i16, i16, &str); 4] = [
    (22, 0, "transactions"),
    (24, 0, "transactions"),
    (26, 0, "transactions"),
    (28, 3, "offsets in transactions that are fenced by the group (KIP-447)"),
];

/// The greatest version of each API that a broker supports. librdkafka tells it only in the log of what it found, and
/// without it an old broker would only show in the first transaction.
#[derive(Default)]
struct Versions(Mutex<HashMap<i16, i16>>);

impl Versions {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i16, i16>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Versions {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, text: &str) {
        if let Some((key, greatest)) = supported(text) {
            // Brokers of several versions: the oldest one counts.
            self.lock().entry(key).and_modify(|known| *known = greatest.min(*known)).or_insert(greatest);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", %error, reason, "preflight reports");
    }
}

impl ProducerContext for Versions {
    type DeliveryOpaque = ();

    fn delivery(&self, _result: &DeliveryResult<'_>, (): ()) {}
}

/// Reads `… ApiKey TxnOffsetCommit (28) Versions 0..4`.
fn supported(line: &str) -> Option<(i16, i16)> {
    let (_, rest) = line.split_once("ApiKey ")?;
    let (_, rest) = rest.split_once('(')?;
    let (key, rest) = rest.split_once(") Versions ")?;
    let (_, greatest) = rest.split_once("..")?;
    Some((key.parse().ok()?, greatest.trim().parse().ok()?))
}

/// What the brokers support, as far as is known.
fn versions(producer: &BaseProducer<Versions>) -> HashMap<i16, i16> {
    const TRIES: usize = 20;
    // Lines of the log are given out by polling, and all of them were written before the first answer came.
    for _ in 0..TRIES {
        producer.poll(LOOK);
        let known = producer.context().lock();
        if NEEDED.iter().all(|(key, _, _)| known.contains_key(key)) {
            break;
        }
    }
    producer.context().lock().clone()
}

fn version_faults(versions: &HashMap<i16, i16>) -> BTreeSet<Fault> {
    if versions.is_empty() {
        return BTreeSet::new();
    }
    let lacking =
        NEEDED.iter().filter(|(key, least, _)| versions.get(key).is_none_or(|greatest| greatest < least));
    lacking.map(|(_, _, what)| old(what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_tells_the_versions_of_an_api() {
        let line =
            "[thrd:127.0.0.1:9092/bootstrap]: 127.0.0.1:9092/1:   ApiKey TxnOffsetCommit (28) Versions 0..5";
        assert_eq!(supported(line), Some((28, 5)));
        for line in [
            "",
            "Broker API support:",
            "ApiKey X (28",
            "ApiKey X (y) Versions 0..1",
            "ApiKey X (1) Versions 0",
        ] {
            assert_eq!(supported(line), None, "{line:?}");
        }
    }

    #[test]
    fn what_a_stage_reads_and_writes_is_asked_for_once() {
        let needs = Needs {
            stage: "notify",
            inputs: &["triage.summarized", "notification.ledger", "^pattern"],
            outputs: &["notification.sent", "notification.ledger"],
        };
        let uses = uses(&needs);
        let names: Vec<&str> = uses.keys().map(String::as_str).collect();
        let all = [
            "line.dropped",
            "notification.ledger",
            "notification.sent",
            "notify.dead-letter",
            "notify.parked",
            "triage.summarized",
        ];
        assert_eq!(names, all);
        for both in ["notification.ledger", "notify.parked"] {
            assert!(uses[both].read && uses[both].write, "{both}");
        }
        assert!(!uses["triage.summarized"].write && !uses["line.dropped"].read);
    }

    #[test]
    fn an_old_broker_lacks_offsets_that_are_fenced_by_the_group() {
        let mut versions = HashMap::from([(22, 4), (24, 4), (26, 4), (28, 2)]);
        let faults = version_faults(&versions);
        assert_eq!(faults.len(), 1);
        assert!(faults.first().is_some_and(|fault| fault.what.contains("KIP-447")));
        versions.insert(28, 3);
        assert!(version_faults(&versions).is_empty());
        versions.remove(&22);
        assert!(
            version_faults(&versions).first().is_some_and(|fault| fault.what.contains("no transactions"))
        );
    }

    const NEEDS: Needs<'_> =
        Needs { stage: "validate", inputs: &["fhir.received"], outputs: &["fhir.validated"] };

    fn codes(config: &Config) -> Vec<&'static str> {
        preflight(config, &NEEDS).unwrap().into_iter().map(|fault| fault.code).collect()
    }

    /// librdkafka's own broker in this process, which can be told which versions it has: nobody runs Kafka 2.4.
    #[test]
    fn a_broker_before_kip_447_is_named() {
        let cluster = rdkafka::mocking::MockCluster::new(1).unwrap();
        for topic in uses(&NEEDS).keys() {
            cluster.create_topic(topic, 1, 1).unwrap();
        }
        cluster.apiversion(rdkafka::types::RDKafkaApiKey::TxnOffsetCommit, Some(0), Some(2)).unwrap();
        let config = Config { bootstrap_servers: cluster.bootstrap_servers(), ..Config::default() };
        let faults = preflight(&config, &NEEDS).unwrap();
        assert!(faults.iter().any(|fault| fault.what.contains("KIP-447")), "{faults:?}");
        assert!(faults.iter().all(|fault| fault.code == BROKER), "{faults:?}");
    }

    #[test]
    fn the_embedded_broker_tells_only_which_topics_are_missing() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let broker = runtime.block_on(krafka::testing::FakeBroker::start()).unwrap();
        let guarded = Config {
            bootstrap_servers: broker.bootstrap_servers(),
            delivery: Delivery::LineageGuarded,
            ..Config::default()
        };
        assert_eq!(codes(&guarded), [MISSING; 5]);
        runtime.block_on(crate::ensure_topics(&guarded, &contracts::topics(1), 1)).unwrap();
        assert_eq!(codes(&guarded), [""; 0]);
    }
}
