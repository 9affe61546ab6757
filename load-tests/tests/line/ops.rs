//! What a service needs of Kafka is checked before it consumes: everything that is missing is named at once.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use contracts::STAGES;
use local_kafka::{Builder, Cluster};
use settings::Secret;
use stream::{Config, Fault, Needs, Observer, Unfit, preflight, wait_until_fit};
use telemetry::{Health, Metrics};
use tokio_util::sync::CancellationToken;

const NEEDS: Needs<'_> = Needs {
    stage: "notify",
    inputs: &["triage.summarized", "notification.ledger"],
    outputs: &["notification.sent", "notification.ledger"],
};
/// Topics that `notify` reads or writes.
const TOPICS: [&str; 6] = [
    "line.dropped",
    "notification.ledger",
    "notification.sent",
    "notify.dead-letter",
    "notify.parked",
    "triage.summarized",
];
const ADMIN: &str = "admin";
const SERVICE: &str = "notify";
const PASSWORD: &str = "only-on-loopback";
const LONG: Duration = Duration::from_secs(300);

/// A Kafka with users and ACLs.
struct Guarded {
    kafka: Cluster,
}

impl Guarded {
    fn start() -> Option<Self> {
        let Some(libs) = std::env::var_os(local_kafka::LIBS).map(PathBuf::from) else {
            println!("skipped: {} is not set, so nothing ran on Apache Kafka", local_kafka::LIBS);
            return None;
        };
        let users = [ADMIN, SERVICE].map(|user| format!("user_{user}=\"{PASSWORD}\"")).join(" ");
        let module = "org.apache.kafka.common.security.plain.PlainLoginModule required";
        let kafka = Builder::new(&libs)
            .property("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:SASL_PLAINTEXT")
            .property("sasl.enabled.mechanisms", "PLAIN")
            .property("sasl.mechanism.inter.broker.protocol", "PLAIN")
            .property(
                "listener.name.plaintext.plain.sasl.jaas.config",
                format!("{module} username=\"{ADMIN}\" password=\"{PASSWORD}\" {users};"),
            )
            .property("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
            // Anonymous is the controller's own listener.
            .property("super.users", format!("User:{ADMIN};User:ANONYMOUS"))
            .start()
            .unwrap();
        Some(Self { kafka })
    }

    fn config(&self, user: &str) -> Config {
        let mut config = Config { bootstrap_servers: self.kafka.bootstrap_servers(), ..Config::default() };
        config.security.protocol = "sasl_plaintext".to_owned();
        config.security.sasl_mechanism = "PLAIN".to_owned();
        config.security.sasl_username = user.to_owned();
        config.security.sasl_password = Secret::new(PASSWORD);
        config
    }

    /// Allows the service an operation on resources.
    fn allow(&self, operation: Operation, on: &[Resource<'_>]) {
        let mut admin = Admin::connect(&self.kafka.bootstrap_servers());
        admin.create_acls(operation, on);
    }

    fn faults(&self, user: &str) -> Vec<(&'static str, String)> {
        let faults = preflight(&self.config(user), &NEEDS).unwrap();
        assert!(faults.iter().all(|fault| standalone::errors::find(fault.code).is_some()));
        assert!(faults.iter().all(|fault| !fault.help.is_empty()));
        faults.into_iter().map(|Fault { code, what, .. }| (code, what)).collect()
    }

    /// Brokers hear of a new ACL a moment after it was taken.
    fn await_faults(&self, user: &str, expected: &[(&'static str, String)]) {
        let until = Instant::now() + LONG;
        let mut faults = self.faults(user);
        while faults != expected && Instant::now() < until {
            faults = self.faults(user);
        }
        assert_eq!(faults, expected);
    }

    fn create_topics(&self) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(stream::ensure_topics(&self.config(ADMIN), &contracts::topics(2), 1)).unwrap();
    }

    fn wait(&self, config: &Config, patience: Duration) -> Result<(), Unfit> {
        let observer = Observer::new("notify", Metrics::new().stage("notify"), Health::new());
        let result = wait_until_fit(config, &NEEDS, &observer, &CancellationToken::new(), patience);
        result.map_err(|failure| *failure.downcast().unwrap())
    }
}

fn on_topics(operation: &str, topics: &[&str]) -> Vec<(&'static str, String)> {
    topics
        .iter()
        .map(|topic| ("STREAM-913", format!("this principal may not {operation} topic {topic}")))
        .collect()
}

#[test]
fn everything_that_a_service_lacks_is_named_at_once() {
    assert!(STAGES.contains(&NEEDS.stage));
    let Some(kafka) = Guarded::start() else { return };

    let missing: Vec<_> =
        TOPICS.iter().map(|topic| ("STREAM-911", format!("topic {topic} does not exist"))).collect();
    assert_eq!(kafka.faults(ADMIN), missing);
    let Unfit(faults) = kafka.wait(&kafka.config(ADMIN), Duration::ZERO).unwrap_err();
    assert_eq!(faults.len(), TOPICS.len());

    // Whoever waits for topics goes on once they are there.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| kafka.wait(&kafka.config(ADMIN), LONG));
        kafka.create_topics();
        waiting.join().unwrap().unwrap();
    });
    kafka.await_faults(ADMIN, &[]);

    // A number of partitions that is not as configured passes for nobody, and is not waited for.
    let other = Config { partitions: 3, ..kafka.config(ADMIN) };
    let Unfit(faults) = kafka.wait(&other, LONG).unwrap_err();
    assert_eq!(faults.len(), TOPICS.len());
    assert!(faults.iter().all(|fault| fault.code == "STREAM-912"), "{faults:?}");
    assert!(faults[0].what.ends_with("has 2 partitions instead of 3"), "{faults:?}");

    // A principal without any ACL sees nothing; all that it lacks is told.
    let group = |what| ("STREAM-914", format!("this principal may not {what} group wardstream.notify"));
    let id = "STREAM-915";
    let transactional = (
        id,
        "this principal may not Describe and Write transactional id wardstream.notify.preflight".to_owned(),
    );
    let mut expected = on_topics("Describe and Write", &["line.dropped"]);
    expected.extend(on_topics("Describe, Read and Write", &["notification.ledger", "notify.parked"]));
    expected.extend(on_topics("Describe and Write", &["notification.sent", "notify.dead-letter"]));
    expected.extend(on_topics("Describe and Read", &["triage.summarized"]));
    expected.extend([group("Describe and Read"), transactional.clone()]);
    expected.sort();
    assert_eq!(kafka.faults(SERVICE), expected);

    // With Describe alone it sees what is there, and still may not read or write.
    let topics = TOPICS.map(Resource::Topic);
    kafka.allow(Operation::Describe, &topics);
    kafka.allow(Operation::Describe, &[Resource::Group("wardstream.notify")]);
    let mut expected = on_topics("Write", &TOPICS[..5]);
    expected.extend(on_topics("Read", &["notification.ledger", "notify.parked", "triage.summarized"]));
    expected.extend([group("Read"), transactional]);
    expected.sort();
    kafka.await_faults(SERVICE, &expected);

    // What docs/operations.md says it needs is enough.
    let read = ["triage.summarized", "notification.ledger", "notify.parked"].map(Resource::Topic);
    kafka.allow(Operation::Read, &[&read[..], &[Resource::Group("wardstream.notify")]].concat());
    let id = Resource::TransactionalIdPrefix("wardstream.notify.");
    kafka.allow(Operation::Write, &[&topics[..5], &[id]].concat());
    kafka.await_faults(SERVICE, &[]);
}

#[derive(Clone, Copy)]
enum Operation {
    Read = 3,
    Write = 4,
    Describe = 8,
}

#[derive(Clone, Copy)]
enum Resource<'r> {
    Topic(&'r str),
    Group(&'r str),
    TransactionalIdPrefix(&'r str),
}

/// A connection that speaks as much of Kafka's protocol as it takes to add ACLs: rust-rdkafka has no call for that,
/// and Kafka's own tool is in none of the jars that the tests fetch.
struct Admin(TcpStream);

impl Admin {
    fn connect(address: &str) -> Self {
        const SASL_HANDSHAKE: i16 = 17;
        const SASL_AUTHENTICATE: i16 = 36;
        let mut admin = Self(TcpStream::connect(address).unwrap());
        admin.call(SASL_HANDSHAKE, 1, &string("PLAIN"));
        let token = format!("\0{ADMIN}\0{PASSWORD}");
        let length = i32::try_from(token.len()).unwrap().to_be_bytes();
        let answer = admin.call(SASL_AUTHENTICATE, 0, &[&length, token.as_bytes()].concat());
        assert_eq!(answer[..2], [0, 0], "not authenticated");
        admin
    }

    fn create_acls(&mut self, operation: Operation, on: &[Resource<'_>]) {
        const CREATE_ACLS: i16 = 30;
        const ALLOW: u8 = 3;
        const LITERAL: u8 = 3;
        const PREFIXED: u8 = 4;
        let mut body = i32::try_from(on.len()).unwrap().to_be_bytes().to_vec();
        for resource in on {
            let (kind, name, pattern) = match resource {
                Resource::Topic(name) => (2, name, LITERAL),
                Resource::Group(name) => (3, name, LITERAL),
                Resource::TransactionalIdPrefix(name) => (5, name, PREFIXED),
            };
            body.push(kind);
            body.extend(string(name));
            body.push(pattern);
            body.extend(string(&format!("User:{SERVICE}")));
            body.extend(string("*"));
            body.extend([operation as u8, ALLOW]);
        }
        let answer = self.call(CREATE_ACLS, 1, &body);
        // The time that requests are held back, how many answers, and each no error and no text.
        let expected = [&[0; 4][..], &body[..4], &[0; 4].repeat(on.len())].concat();
        assert_eq!(answer, expected);
    }

    /// Sends a request with a header of version 1, and gives the answer behind its header.
    fn call(&mut self, api: i16, version: i16, body: &[u8]) -> Vec<u8> {
        let header = [&api.to_be_bytes()[..], &version.to_be_bytes(), &[0; 4], &string("test")].concat();
        let length = i32::try_from(header.len() + body.len()).unwrap().to_be_bytes();
        self.0.write_all(&[&length, &header[..], body].concat()).unwrap();
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        self.0.read_exact(&mut answer).unwrap();
        answer.split_off(4)
    }
}

fn string(text: &str) -> Vec<u8> {
    [&i16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}
