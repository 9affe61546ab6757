use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{ByteSize, Duration, Secret};

/// How a service reaches Kafka, and how it works.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Brokers to begin with, `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// Consumer group; empty means `wardstream.<stage>`. A service with further groups names them after this one:
    /// `-checkpoints` in `audit`, `-digest` and `-escalation` in `notify`.
    pub group_id: String,
    /// Static membership: a stable name of this instance, so that a restart moves no partition; empty means none.
    pub group_instance_id: String,
    /// How members of the group agree on who reads which partition.
    pub group_protocol: GroupProtocol,
    /// How many partitions the topics that are keyed by patient have; a service does not start on others, because a
    /// number that was changed breaks the order per patient. 0 means that any number will do.
    pub partitions: i32,
    /// How outputs and offsets commit together.
    pub delivery: Delivery,
    /// Transport and authentication.
    pub security: Security,
    /// Sizes and times.
    pub tuning: Tuning,
    /// Further librdkafka properties, as its documentation names them. They win over the service's own, and are
    /// masked when printed: some hold passwords.
    pub properties: BTreeMap<String, Secret>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bootstrap_servers: "127.0.0.1:9092".to_owned(),
            group_id: String::new(),
            group_instance_id: String::new(),
            group_protocol: GroupProtocol::default(),
            partitions: 0,
            delivery: Delivery::default(),
            security: Security::default(),
            tuning: Tuning::default(),
            properties: BTreeMap::new(),
        }
    }
}

/// How outputs and offsets commit together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// In one Kafka transaction. For Apache Kafka.
    #[default]
    Transactional,
    /// Outputs first, then offsets; the lineage guard of the next stage lets each output through once. For a broker
    /// without transactions.
    LineageGuarded,
}

/// How members of a group agree on who reads which partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupProtocol {
    /// The members agree among themselves, cooperatively: only partitions that move stop.
    #[default]
    Classic,
    /// The broker decides (KIP-848, Kafka 4.0 and later). Its `group.consumer.session.timeout.ms` holds then, not
    /// `session_timeout`.
    Consumer,
}

/// Transport and authentication.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub protocol: String,
    /// PEM file of the certificate authorities to trust; empty means the system's.
    pub ca_file: String,
    /// PEM file of the client certificate; empty means none.
    pub certificate_file: String,
    /// PEM file of the client certificate's key; empty means none.
    pub key_file: String,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub sasl_mechanism: String,
    /// SASL user name.
    pub sasl_username: String,
    /// SASL password.
    pub sasl_password: Secret,
}

impl Default for Security {
    fn default() -> Self {
        Self {
            protocol: "plaintext".to_owned(),
            ca_file: String::new(),
            certificate_file: String::new(),
            key_file: String::new(),
            sasl_mechanism: "SCRAM-SHA-512".to_owned(),
            sasl_username: String::new(),
            sasl_password: Secret::default(),
        }
    }
}

/// Sizes and times of the consumer runtime.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tuning {
    /// Worker threads that run the stage; 0 means one a processor.
    pub workers: usize,
    /// Most records that are read and not committed; a stage that has as many for half a second pauses its partitions.
    pub max_in_flight: usize,
    /// Most bytes of records that are read and not committed, and of what was made of them.
    pub max_in_flight_bytes: ByteSize,
    /// Finished records that are a transaction at once, without waiting for more.
    pub batch_records: usize,
    /// How long a finished record waits for others to share its transaction while more are being processed.
    pub batch_linger: Duration,
    /// Least time from the beginning of a transaction to that of the next, unless `batch_records` are finished: what
    /// comes meanwhile shares the next one. A transaction costs the broker milliseconds of processor time, however
    /// small it is.
    pub batch_interval: Duration,
    /// Largest record that a stage takes or makes; a larger one is dead-lettered by reference.
    pub max_record_bytes: ByteSize,
    /// How often a record that makes a stage panic is tried before it is dead-lettered. A record that ends the whole
    /// process is found in as many deaths, and given up after as many again.
    pub max_attempts: u32,
    /// Longest wait between two tries while a dependency is down.
    pub max_backoff: Duration,
    /// How often a record may fail for a dependency that meanwhile answers others, before its key is parked.
    pub park_after: u32,
    /// How long nothing can be committed before the process gives its partitions back and ends with status 75.
    pub commit_timeout: Duration,
    /// How long a drain may take after a stop signal.
    pub drain_timeout: Duration,
    /// Kafka's `transaction.timeout.ms`. Under the session timeout, so that a dead instance holds its readers back
    /// no longer than the group does.
    pub transaction_timeout: Duration,
    /// Kafka's `session.timeout.ms`.
    pub session_timeout: Duration,
    /// `compression.type` of what is written: `none`, `lz4` or `zstd`.
    pub compression: String,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            workers: 0,
            max_in_flight: 3000,
            max_in_flight_bytes: ByteSize::from_mib(24),
            batch_records: 1500,
            batch_linger: Duration::from_millis(10),
            batch_interval: Duration::from_millis(50),
            max_record_bytes: ByteSize::from_mib(16),
            max_attempts: 3,
            max_backoff: Duration::from_secs(5),
            park_after: 30,
            commit_timeout: Duration::from_secs(120),
            drain_timeout: Duration::from_secs(15),
            transaction_timeout: Duration::from_secs(15),
            session_timeout: Duration::from_secs(30),
            compression: "zstd".to_owned(),
        }
    }
}

/// librdkafka's own bound on a batch is 1,000,000,000 bytes.
const LARGEST_RECORD: ByteSize = ByteSize::from_mib(900);

/// What Kafka adds to a record in a batch, generously: librdkafka and broker limits are on batches.
const BATCH_OVERHEAD: u64 = 1024 * 1024;

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// Every fault, with the key it lies in.
    pub fn check(&self) -> Result<(), Vec<settings::Error>> {
        let mut faults = Vec::new();
        let mut need = |holds: bool, key: &str, reason: &str| {
            if !holds {
                faults.push(settings::Error::Invalid {
                    key: format!("kafka.{key}"),
                    reason: reason.to_owned(),
                });
            }
        };
        let protocols = ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"];
        let tuning = &self.tuning;
        need(!self.bootstrap_servers.trim().is_empty(), "bootstrap_servers", "it is empty");
        need(
            protocols.contains(&self.security.protocol.as_str()),
            "security.protocol",
            "it is none of plaintext, ssl, sasl_plaintext, sasl_ssl",
        );
        need(
            ["none", "lz4", "zstd"].contains(&tuning.compression.as_str()),
            "tuning.compression",
            "it is none of none, lz4, zstd",
        );
        need(self.partitions >= 0, "partitions", "it is below 0");
        need(tuning.max_in_flight > 0, "tuning.max_in_flight", "it is 0");
        need(tuning.batch_records > 0, "tuning.batch_records", "it is 0");
        need(tuning.max_attempts > 0, "tuning.max_attempts", "it is 0");
        need(tuning.park_after > 0, "tuning.park_after", "it is 0");
        need(
            tuning.commit_timeout > tuning.transaction_timeout,
            "tuning.commit_timeout",
            "it is not over kafka.tuning.transaction_timeout",
        );
        need(
            tuning.transaction_timeout <= tuning.session_timeout,
            "tuning.transaction_timeout",
            "it is over kafka.tuning.session_timeout",
        );
        need(tuning.max_record_bytes <= LARGEST_RECORD, "tuning.max_record_bytes", "it is over 900 MiB");
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// The same for a further group of the service. A group of its own name has this name and the suffix: two
    /// consumers of a process in one group would share what each needs whole, and static members fence each other.
    #[must_use]
    pub fn with_group_suffix(&self, suffix: &str) -> Self {
        let mut config = self.clone();
        if !config.group_id.is_empty() {
            config.group_id.push_str(suffix);
        }
        config
    }

    /// Properties that every client of this service shares.
    pub(crate) fn client(&self, name: &str) -> ClientConfig {
        let mut client = ClientConfig::new();
        let security = &self.security;
        client
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", format!("wardstream-{name}"))
            .set("security.protocol", &security.protocol)
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "2000")
            .set("allow.auto.create.topics", "false")
            .set("message.max.bytes", self.message_max_bytes().to_string());
        for (property, value) in [
            ("ssl.ca.location", &security.ca_file),
            ("ssl.certificate.location", &security.certificate_file),
            ("ssl.key.location", &security.key_file),
        ] {
            if !value.is_empty() {
                client.set(property, value);
            }
        }
        if security.protocol.starts_with("sasl") {
            client
                .set("sasl.mechanism", &security.sasl_mechanism)
                .set("sasl.username", &security.sasl_username)
                .set("sasl.password", security.sasl_password.expose());
        }
        client
    }

    /// Largest batch that clients may send, bytes.
    pub(crate) fn message_max_bytes(&self) -> u64 {
        self.tuning.max_record_bytes.as_u64() + BATCH_OVERHEAD
    }

    /// Consumer group of a stage.
    pub(crate) fn group(&self, stage: &str) -> String {
        if self.group_id.is_empty() { format!("wardstream.{stage}") } else { self.group_id.clone() }
    }

    /// Transactional id of this instance of a stage: by its stable name, or by `otherwise` where it has none.
    pub(crate) fn transactional_id(&self, stage: &str, otherwise: &str) -> String {
        let instance = if self.group_instance_id.is_empty() { otherwise } else { &self.group_instance_id };
        format!("wardstream.{stage}.{instance}")
    }

    pub(crate) fn consumer(&self, stage: &str) -> ClientConfig {
        let mut client = self.client(stage);
        let tuning = &self.tuning;
        client
            .set("group.id", self.group(stage))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("max.poll.interval.ms", "300000")
            // Of each partition, the first decompressed and the second as it is sent. A record larger than either still
            // comes, alone (KIP-74).
            .set("queued.max.messages.kbytes", "1024")
            .set("fetch.message.max.bytes", "262144")
            // How soon a queue that was full is filled again; a second by default, in which the stage would idle.
            .set("fetch.queue.backoff.ms", "10")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.error.backoff.ms", "50")
            .set("topic.metadata.refresh.interval.ms", "10000")
            .set("statistics.interval.ms", "1000")
            .set("enable.partition.eof", "false");
        match self.group_protocol {
            GroupProtocol::Classic => client
                .set("partition.assignment.strategy", "cooperative-sticky")
                .set("session.timeout.ms", tuning.session_timeout.as_millis().to_string()),
            // Each of these two would be an error with it.
            GroupProtocol::Consumer => client.set("group.protocol", "consumer"),
        };
        if !self.group_instance_id.is_empty() {
            client.set("group.instance.id", &self.group_instance_id);
        }
        self.overlay(client)
    }

    pub(crate) fn producer(&self, name: &str) -> ClientConfig {
        let mut client = self.client(name);
        client
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "1")
            .set("compression.type", &self.tuning.compression)
            .set("queue.buffering.max.kbytes", (2 * self.message_max_bytes() / 1024).max(65_536).to_string());
        client
    }

    pub(crate) fn overlay(&self, mut client: ClientConfig) -> ClientConfig {
        for (property, value) in &self.properties {
            client.set(property, value.expose());
        }
        client
    }
}
