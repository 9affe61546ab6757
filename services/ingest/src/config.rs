use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{ByteSize, Duration, Error};

/// Configuration of `ingest`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Kafka.
    pub kafka: stream::Config,
    /// Schema registry.
    pub registry: stream::RegistryConfig,
    /// Logs, metrics, traces.
    pub telemetry: telemetry::Config,
    /// HL7 v2.
    pub ingest: Ingest,
}

/// What `ingest` reads and how it understands it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// Topics with raw HL7 v2 (ER7), one message a record; a name that begins with `^` is a pattern.
    pub topics: Vec<String>,
    /// How long a retransmission (same facility, same MSH-10, same bytes) is recognised.
    pub dedup_window: Duration,
    /// Most messages that are remembered for that; the oldest are forgotten first.
    pub dedup_capacity: usize,
    /// IANA time zone of a timestamp that has none and whose facility has none below.
    pub default_zone: String,
    /// IANA time zones of the facilities, by MSH-4.1.
    pub facility_zones: BTreeMap<String, String>,
    /// The MLLP listener.
    pub mllp: Mllp,
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            topics: vec!["hl7.raw".to_owned(), r"^hl7\.feed\..+".to_owned()],
            dedup_window: Duration::from_secs(600),
            dedup_capacity: 200_000,
            default_zone: "UTC".to_owned(),
            facility_zones: BTreeMap::new(),
            mllp: Mllp::default(),
        }
    }
}

/// The MLLP listener.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mllp {
    /// Address to listen on; not set means no listener.
    pub listen: Option<SocketAddr>,
    /// Topic that messages are published to.
    pub topic: String,
    /// Most connections at a time; a further one is closed at once.
    pub max_connections: usize,
    /// A connection on which nothing arrives for so long is closed.
    pub idle_timeout: Duration,
    /// Largest message; a larger one is answered AE, since sending it again does not help.
    pub max_message_bytes: ByteSize,
}

impl Default for Mllp {
    fn default() -> Self {
        Self {
            listen: None,
            topic: "hl7.raw".to_owned(),
            max_connections: 256,
            idle_timeout: Duration::from_secs(600),
            max_message_bytes: ByteSize::from_mib(16),
        }
    }
}

impl Ingest {
    fn check(&self) -> Result<(), Vec<Error>> {
        let mut faults = Vec::new();
        if self.topics.is_empty() {
            faults.push(Error::invalid("ingest.topics", "it is empty"));
        }
        if self.dedup_capacity == 0 {
            faults.push(Error::invalid("ingest.dedup_capacity", "it is 0"));
        }
        if self.mllp.max_connections == 0 {
            faults.push(Error::invalid("ingest.mllp.max_connections", "it is 0"));
        }
        let unknown = |zone: &str| jiff::tz::TimeZone::get(zone).is_err();
        if unknown(&self.default_zone) {
            faults.push(Error::invalid("ingest.default_zone", "it is no IANA time zone"));
        }
        for (facility, zone) in &self.facility_zones {
            if unknown(zone) {
                faults.push(Error::invalid(
                    format!("ingest.facility_zones.{facility}"),
                    "it is no IANA time zone",
                ));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

impl service::Configuration for Config {
    fn telemetry(&self) -> &telemetry::Config {
        &self.telemetry
    }

    fn check(&self) -> Result<(), Vec<Error>> {
        service::all_of([
            self.kafka.check(),
            self.registry.check(),
            self.telemetry.check(),
            self.ingest.check(),
        ])
    }
}
