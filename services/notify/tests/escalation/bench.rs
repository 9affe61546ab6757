//! Kafka, a registry and a mail server; `wardstream-notify` on them, and what a recipient and an operator see of it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contracts::headers::EVENT_ID;
use contracts::{
    EventId, Label, NotificationAcknowledged, NotificationDigest, NotificationSent, Record, Sentence,
    SpecialtyLabel, TriageSummarized,
};
use local_kafka::LocalKafka;
use mail_sink::{MailSink, ReceivedMessage, Security};
use stream::{Codec, Config, Incoming, Outgoing, Publisher, RegistryConfig, Table};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Nothing in a test takes so long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);

/// Where tests share a process, they take turns: each has a broker of its own.
static TURN: Mutex<()> = Mutex::new(());

pub(crate) struct Event {
    pub(crate) specialty: &'static str,
    pub(crate) urgency: &'static str,
}

pub(crate) struct Bench {
    kafka: Config,
    registry: String,
    pub(crate) mail: MailSink,
    codec: Codec,
    publisher: Publisher,
    folder: TempDir,
    acknowledge: SocketAddr,
    telemetry: SocketAddr,
    events: i64,
    stop: CancellationToken,
    runtime: Runtime,
    _broker: LocalKafka,
    _turn: MutexGuard<'static, ()>,
}

/// A process, which ends with the value.
pub(crate) struct Instance(Child);

impl Instance {
    /// Stops it where it is, as a machine that is starved of its processor would.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on, not knowing how long it was away.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }

    /// As a power cut would.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Bench {
    /// With these routes; none where the environment names no Kafka.
    pub(crate) fn start(routes: &str) -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(broker) = LocalKafka::from_env().unwrap() else {
            println!("skipped: {} is not set, so nothing ran on Apache Kafka", local_kafka::LIBS);
            return None;
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let kafka = Config { bootstrap_servers: broker.bootstrap_servers(), ..Config::default() };
        runtime.block_on(stream::ensure_topics(&kafka, &contracts::topics(2), 1)).unwrap();
        let stop = CancellationToken::new();
        let registry = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            tokio::spawn(schema_registry::serve(listener, contracts::subjects(), stop.clone()));
            url
        });
        let config = mail_sink::Config { security: Security::Plaintext, ..mail_sink::Config::default() };
        let mail = runtime.block_on(MailSink::start(config)).unwrap();
        let config = RegistryConfig { url: registry.clone(), ..RegistryConfig::default() };
        let codec = Codec::new(&config, runtime.handle().clone()).unwrap();
        let publisher = Publisher::new("test", &kafka, runtime.handle().clone()).unwrap();
        let [acknowledge, telemetry, nobody, second, third] = free_addresses();
        let bench = Self {
            kafka,
            registry,
            mail,
            codec,
            publisher,
            folder: TempDir::with_prefix("wardstream-escalation-").unwrap(),
            acknowledge,
            telemetry,
            events: 0,
            stop,
            runtime,
            _broker: broker,
            _turn: turn,
        };
        bench.configure("notify.toml", routes, nobody, [acknowledge, telemetry]);
        bench.configure("beside.toml", routes, nobody, [second, third]);
        Some(bench)
    }

    fn configure(&self, file: &str, routes: &str, nobody: SocketAddr, [listen, telemetry]: [SocketAddr; 2]) {
        let folder = self.folder.path();
        let names = ["ward", "first", "second", "duty"];
        let recipients: String =
            names.iter().map(|name| format!("{name} = \"{name}@hospital.example\"\n")).collect();
        let table = format!(
            "[recipients]\n{recipients}away = \"webhook:away\"\n[triage]\nto = [\"ward\"]\n[[route]]\nto = [\"ward\"]\n{routes}"
        );
        std::fs::write(folder.join("routing.toml"), table).unwrap();
        let config = format!(
            r#"
            [kafka]
            bootstrap_servers = "{kafka}"
            tuning = {{ session_timeout = "6s", transaction_timeout = "5s" }}
            [registry]
            url = "{registry}"
            [telemetry]
            listen = "{telemetry}"
            [smtp]
            host = "127.0.0.1"
            port = {smtp}
            security = "plaintext"
            [webhooks.away]
            url = "http://{nobody}/"
            secret = "whsec_{secret}"
            [acknowledge]
            listen = "{listen}"
            url = "http://{acknowledge}/ward"
            secret = "{secret}"
            [notify]
            from = "triage@hospital.example"
            routing_file = "{routing}"
            "#,
            kafka = self.kafka.bootstrap_servers,
            registry = self.registry,
            smtp = self.mail.addr().port(),
            secret = STANDARD.encode([9; 32]),
            acknowledge = self.acknowledge,
            routing = folder.join("routing.toml").display(),
        );
        std::fs::write(folder.join(file), config).unwrap();
    }

    /// Starts the service.
    pub(crate) fn instance(&self) -> Instance {
        self.start_with("notify.toml")
    }

    /// Starts another one while the first still runs.
    pub(crate) fn instance_beside(&self) -> Instance {
        self.start_with("beside.toml")
    }

    fn start_with(&self, file: &str) -> Instance {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardstream-notify"));
        let log = std::fs::File::options().create(true).append(true).open(self.log()).unwrap();
        command.arg("--config").arg(self.folder.path().join(file));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Instance(command.spawn().unwrap())
    }

    fn log(&self) -> std::path::PathBuf {
        self.folder.path().join("log")
    }

    pub(crate) fn wait<T>(&self, what: &str, holds: impl Fn(&Self) -> T) -> T
    where
        T: Holds,
    {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let value = holds(self);
            if value.holds() {
                return value;
            }
            if Instant::now() >= deadline {
                let log = std::fs::read_to_string(self.log()).unwrap_or_default();
                panic!("{what}: not within {DEADLINE:?}\n{log}");
            }
            std::thread::sleep(POLL);
        }
    }

    /// Publishes a triage result, and gives its event's id.
    pub(crate) fn publish(&mut self, event: Event) -> String {
        let id = EventId::at("hl7.raw", 0, self.events).to_string();
        self.events += 1;
        let label = |text: &str| Label { label: text.to_owned(), p: 0.9 };
        let value = TriageSummarized {
            event_id: id.clone(),
            facility: "fac_v1_NORTH".to_owned(),
            message_type: "ORU^R01".to_owned(),
            received_at: now_ms(),
            pseudonym: Some(format!("psn_v1_{id}")),
            urgency: label(event.urgency),
            specialty: SpecialtyLabel { label: event.specialty.to_owned(), p: 0.9, second: None },
            document_type: label("lab-result"),
            abstained: false,
            reasons: vec![],
            model_id: "test".to_owned(),
            model_version: "1".to_owned(),
            sentences: vec![Sentence {
                text: "Potassium 6.9 mmol/L, critical high.".to_owned(),
                sources: vec![],
            }],
        };
        let bytes = self.codec.encode("triage.summarized", &value).unwrap();
        let mut output = Outgoing::new("triage.summarized", value.pseudonym.map(String::into_bytes), bytes);
        output.headers.push((EVENT_ID.to_owned(), id.clone().into_bytes()));
        self.publisher.publish_blocking(&output).unwrap();
        id
    }

    /// The mails that tell of an event.
    pub(crate) fn mails_of(&self, event: &str) -> Vec<ReceivedMessage> {
        let mails = self.mail.messages().into_iter().map(|mail| (*mail).clone());
        mails.filter(|mail| mail.header("X-Wardstream-Event").as_deref() == Some(event)).collect()
    }

    /// Waits for the mail that tells a recipient of an event.
    pub(crate) fn mail_of(&self, event: &str, recipient: &str) -> ReceivedMessage {
        let address = format!("{recipient}@hospital.example");
        let to = |mail: &ReceivedMessage| mail.to.contains(&address);
        self.wait(&format!("mail to {recipient}"), |bench| bench.mails_of(event).into_iter().find(to))
            .unwrap()
    }

    pub(crate) fn get(&self, url: &str) -> (u16, String) {
        self.ask(reqwest::Client::new().get(url))
    }

    pub(crate) fn post(&self, url: &str) -> (u16, String) {
        self.ask(reqwest::Client::new().post(url))
    }

    fn ask(&self, request: reqwest::RequestBuilder) -> (u16, String) {
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let header =
                |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            if status != 405 && header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
                assert_eq!(header("cache-control").as_deref(), Some("no-store"));
                assert!(header("content-security-policy").unwrap().contains("default-src 'none'"));
            }
            (status, response.text().await.unwrap())
        })
    }

    /// A sample of the service's metrics.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let (_, page) = self.get(&format!("http://{}/metrics", self.telemetry));
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    fn records(&self, topic: &str) -> Vec<Incoming> {
        let mut records = Vec::new();
        let table = Table::new(topic, None, &self.kafka).unwrap();
        table.catch_up(|record| records.push(record.clone())).unwrap();
        records
    }

    fn decoded<T: Record>(&self, topic: &str) -> Vec<T> {
        let records = self.records(topic);
        records.iter().map(|record| self.codec.decode(record.value.as_deref()).unwrap()).collect()
    }

    pub(crate) fn acknowledgements(&self) -> Vec<NotificationAcknowledged> {
        self.decoded("notification.acknowledged")
    }

    /// Whether the topic's last record of an event is its tombstone; none when there is no record.
    fn closed(&self, event: &str) -> Option<bool> {
        let records = self.records("notification.open");
        records
            .iter()
            .rfind(|record| record.key.as_deref() == Some(event.as_bytes()))
            .map(|r| r.value.is_none())
    }

    pub(crate) fn is_open(&self, event: &str) -> bool {
        self.closed(event) == Some(false)
    }

    pub(crate) fn is_closed(&self, event: &str) -> bool {
        self.closed(event) == Some(true)
    }

    /// How many notifications are held in all, sent or not.
    pub(crate) fn held(&self) -> usize {
        self.records("notification.held").len()
    }

    /// The events that the digests to a recipient list.
    pub(crate) fn listed_in_digests(&self, recipient: &str) -> Vec<String> {
        let to = format!("{recipient}@hospital.example");
        let mails = self.mail.messages().into_iter();
        let digests =
            mails.filter(|mail| mail.header("X-Wardstream-Digest").is_some() && mail.to == [to.clone()]);
        digests
            .flat_map(|mail| {
                let text = mail.text.clone().unwrap();
                let links = text.lines().filter_map(|line| line.trim().rsplit_once("/events/"));
                links.map(|(_, event)| event.to_owned()).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Whether no digest is being sent.
    pub(crate) fn digests_are_settled(&self) -> bool {
        let states: Vec<NotificationDigest> = self.decoded("notification.digest");
        states.last().is_some_and(|state| state.planned.is_none())
    }

    /// Each mail of these events gets its record in `notification.sent`, and one.
    pub(crate) fn recorded_once(&self, events: &[&String]) {
        let mails: Vec<String> = events
            .iter()
            .flat_map(|event| self.mails_of(event))
            .map(|mail| format!("<{}>", mail.message_id.unwrap()))
            .collect();
        let recorded = |bench: &Self| {
            let sent: Vec<NotificationSent> = bench.decoded("notification.sent");
            sent.into_iter().map(|sent| sent.message_id).collect::<Vec<_>>()
        };
        self.wait("the records of the mails", |bench| recorded(bench).len() >= mails.len());
        let (mut recorded, mut mails) = (recorded(self), mails);
        recorded.sort();
        mails.sort();
        assert_eq!(recorded, mails);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.cancel();
        self.runtime.block_on(self.mail.pause());
    }
}

/// What can be waited for.
pub(crate) trait Holds {
    fn holds(&self) -> bool;
}

impl Holds for bool {
    fn holds(&self) -> bool {
        *self
    }
}

impl<T> Holds for Option<T> {
    fn holds(&self) -> bool {
        self.is_some()
    }
}

/// The link in a mail that acknowledges its event.
pub(crate) fn link(mail: &ReceivedMessage) -> String {
    let text = mail.text.as_deref().unwrap();
    let link = text.lines().find(|line| line.contains("/ward/a/")).unwrap().trim().to_owned();
    assert!(mail.html.as_deref().unwrap().contains(&link));
    link
}

/// Times of day in UTC as a table has them: one in so many seconds, and so many more after it.
pub(crate) fn times_from_now(first: i64, apart: i64, count: i64) -> String {
    let now = now_ms() / 1_000;
    let times: Vec<String> = (0..count)
        .map(|number| (now + first + number * apart) % 86_400)
        .map(|second| format!("\"{:02}:{:02}:{:02}\"", second / 3_600, second / 60 % 60, second % 60))
        .collect();
    format!("[{}]", times.join(", "))
}

fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}
