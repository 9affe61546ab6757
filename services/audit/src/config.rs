use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{ByteSize, Duration, Error, Secret};
use worm_log::{
    AccessKey, AnyStore, AuditorConfig, Limits, LocalStore, LockMode, S3Config, S3Store, SequencerConfig,
    SigningKey, VerifyingKeys,
};

/// Configuration of `audit`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Kafka.
    pub kafka: stream::Config,
    /// Schema registry.
    pub registry: stream::RegistryConfig,
    /// Logs, metrics, traces.
    pub telemetry: telemetry::Config,
    /// The WORM store.
    pub worm: Worm,
}

/// Which store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// A bucket with S3 Object Lock: tamper-proof.
    #[default]
    S3,
    /// A local folder: tamper-evident only.
    Folder,
}

/// The WORM store.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Worm {
    /// `s3` or `folder`.
    pub store: StoreKind,
    /// Folder, for `folder`.
    pub folder: PathBuf,
    /// Bucket, for `s3`. It must have versioning and Object Lock.
    pub bucket: String,
    /// URL of a store that is not AWS; not set means AWS.
    pub endpoint: Option<String>,
    /// Region; not set takes it from the environment, the profile or the instance.
    pub region: Option<String>,
    /// Whether the bucket is named in the path rather than in the host name.
    pub path_style: bool,
    /// Access key id; empty takes the default chain (environment, profile, web identity, instance).
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: Secret,
    /// Whether a missing bucket is created, with Object Lock. For development.
    pub create_bucket: bool,
    /// Whether objects are put under legal hold as well.
    pub legal_hold: bool,
    /// KMS key for server-side encryption; not set leaves it to the bucket.
    pub kms_key_id: Option<String>,
    /// How long objects stay locked.
    pub retention: Duration,
    /// Topics to keep, as patterns that begin with `^`.
    pub topics: Vec<String>,
    /// Topics not to keep, as patterns. The manifests are objects of the store already.
    pub exclude: Vec<String>,
    /// A segment is sealed when its records have this many bytes.
    pub segment_bytes: ByteSize,
    /// A segment is sealed when its first record is this old.
    pub segment_age: Duration,
    /// Most bytes of open segments; beyond it the largest are sealed early, and reading pauses.
    pub max_memory: ByteSize,
    /// The Merkle log over the manifests.
    pub merkle_log: MerkleLog,
}

/// The Merkle log over the manifests.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MerkleLog {
    /// File with the key that signs checkpoints, as `wardstream audit key` makes it; not set means that this instance signs none.
    /// The key's name is the log's, for good.
    pub signing_key_file: Option<PathBuf>,
    /// File with the keys that verify, and when their signatures count; not set means the signing key alone, at any time.
    pub verifying_keys_file: Option<PathBuf>,
    /// How long a manifest waits for a checkpoint at most.
    pub every: Duration,
}

impl Default for MerkleLog {
    fn default() -> Self {
        Self { signing_key_file: None, verifying_keys_file: None, every: Duration::from_secs(60) }
    }
}

impl MerkleLog {
    /// Reads the keys; none if no signing key is named.
    fn keys(&self) -> Result<Option<(SigningKey, VerifyingKeys)>, Error> {
        let read = |path: &PathBuf, key: &str| {
            std::fs::read_to_string(path)
                .map_err(|error| Error::invalid(key, format!("{}: {error}", path.display())))
        };
        let Some(path) = &self.signing_key_file else { return Ok(None) };
        let name = "worm.merkle_log.signing_key_file";
        let key =
            SigningKey::parse(&read(path, name)?).map_err(|error| Error::invalid(name, error.to_string()))?;
        let name = "worm.merkle_log.verifying_keys_file";
        let keys = match &self.verifying_keys_file {
            None => VerifyingKeys::default(),
            Some(path) => VerifyingKeys::parse(&read(path, name)?)
                .map_err(|error| Error::invalid(name, error.to_string()))?,
        };
        if !keys.is_empty() && !keys.contains(key.verifying_key()) {
            return Err(Error::invalid(name, "the signing key is not among them"));
        }
        Ok(Some((key, keys)))
    }
}

impl Default for Worm {
    fn default() -> Self {
        Self {
            store: StoreKind::default(),
            folder: PathBuf::from("data/worm"),
            bucket: "wardstream-audit".to_owned(),
            endpoint: None,
            region: None,
            path_style: false,
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            create_bucket: false,
            legal_hold: false,
            kms_key_id: None,
            retention: Duration::from_secs(7 * 31_557_600),
            topics: vec!["^[^_].*".to_owned()],
            exclude: vec![r"^audit\.manifests$".to_owned()],
            segment_bytes: ByteSize::from_mib(64),
            segment_age: Duration::from_secs(60),
            max_memory: ByteSize::from_mib(96),
            merkle_log: MerkleLog::default(),
        }
    }
}

impl Worm {
    /// The store that the settings name.
    ///
    /// # Errors
    /// When the folder cannot be used or the S3 client not be made. A bucket that is down is no error here.
    pub async fn open(&self) -> Result<AnyStore, worm_log::Error> {
        match self.store {
            StoreKind::Folder => Ok(AnyStore::Local(LocalStore::open(&self.folder)?)),
            StoreKind::S3 => Ok(AnyStore::S3(S3Store::connect(self.s3()).await?)),
        }
    }

    fn s3(&self) -> S3Config {
        S3Config {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            path_style: self.path_style,
            access_key: (!self.access_key_id.is_empty()).then(|| AccessKey {
                id: self.access_key_id.clone(),
                secret: self.secret_access_key.expose().to_owned(),
            }),
            lock_mode: LockMode::Compliance,
            legal_hold: self.legal_hold,
            kms_key_id: self.kms_key_id.clone(),
            ..S3Config::new(&self.bucket)
        }
    }

    pub(crate) fn auditor(&self) -> AuditorConfig {
        AuditorConfig {
            limits: Limits {
                max_bytes: self.segment_bytes.as_u64(),
                max_age_ms: i64::try_from(self.segment_age.as_millis()).unwrap_or(i64::MAX),
                ..Limits::default()
            },
            max_memory_bytes: self.max_memory.as_usize(),
            retention_seconds: i64::try_from(self.retention.as_millis() / 1000).unwrap_or(i64::MAX),
            ..AuditorConfig::default()
        }
    }

    /// What signs checkpoints; none if no signing key is named.
    pub(crate) fn sequencer(&self) -> Result<Option<SequencerConfig>, Error> {
        let keys = self.merkle_log.keys()?;
        let retention_seconds = i64::try_from(self.retention.as_millis() / 1000).unwrap_or(i64::MAX);
        Ok(keys.map(|(key, keys)| SequencerConfig { key, keys, retention_seconds }))
    }

    fn check(&self) -> Result<(), Vec<Error>> {
        let mut faults = Vec::new();
        let mut need = |holds: bool, key: &str, reason: &str| {
            if !holds {
                faults.push(Error::invalid(format!("worm.{key}"), reason));
            }
        };
        need(self.store == StoreKind::S3 || !self.folder.as_os_str().is_empty(), "folder", "it is empty");
        need(self.store == StoreKind::Folder || !self.bucket.is_empty(), "bucket", "it is empty");
        need(
            self.access_key_id.is_empty() == self.secret_access_key.is_empty(),
            "secret_access_key",
            "access_key_id and secret_access_key are set together or not at all",
        );
        need(
            self.endpoint
                .as_ref()
                .is_none_or(|url| url.starts_with("http://") || url.starts_with("https://")),
            "endpoint",
            "it is no http:// or https:// URL",
        );
        need(!self.topics.is_empty(), "topics", "it is empty");
        need(self.segment_bytes.as_u64() > 0, "segment_bytes", "it is 0");
        need(self.segment_age.as_millis() > 0, "segment_age", "it is 0");
        need(self.retention.as_millis() >= 86_400_000, "retention", "it is under a day");
        need(self.merkle_log.every.as_millis() > 0, "merkle_log.every", "it is 0");
        faults.extend(self.merkle_log.keys().err());
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
            self.worm.check(),
        ])
    }
}
