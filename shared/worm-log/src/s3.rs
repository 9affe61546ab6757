//! The log in a bucket with S3 Object Lock. The only module beside those for tests that imports the AWS SDK.

mod hold;

use std::io::Read;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, ChecksumAlgorithm, CreateBucketConfiguration,
    ObjectLockEnabled, ObjectLockLegalHoldStatus, ObjectLockMode, ServerSideEncryption,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio_util::io::SyncIoBridge;

use crate::error::{BucketProblem, Error};
use crate::store::{AnomalyKind, Children, Created, ListedObject, NewObject, Page, Store, VersionAnomaly};

/// Attempts at a write that the store says conflicts with another under way (409).
const CONFLICT_ATTEMPTS: u32 = 6;

/// How firmly objects are locked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockMode {
    /// No one, the account's root included, can delete or shorten before the time is over.
    #[default]
    Compliance,
    /// Principals with `s3:BypassGovernanceRetention` can.
    Governance,
}

/// An access key.
#[derive(Clone)]
pub struct AccessKey {
    /// Access key id.
    pub id: String,
    /// Secret access key.
    pub secret: String,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey").finish_non_exhaustive()
    }
}

/// Settings of an [`S3Store`].
#[derive(Clone, Debug)]
pub struct S3Config {
    /// Name of the bucket.
    pub bucket: String,
    /// URL of a store that is not AWS; `None` for AWS.
    pub endpoint: Option<String>,
    /// Region; `None` takes it from the environment, the profile or instance metadata.
    pub region: Option<String>,
    /// Whether the bucket is named in the path instead of the host name, as most stores outside AWS want it.
    pub path_style: bool,
    /// A fixed key; `None` takes the default chain (environment, profile, web identity, container, instance metadata).
    pub access_key: Option<AccessKey>,
    /// How firmly objects are locked.
    pub lock_mode: LockMode,
    /// Whether objects are put under legal hold as well.
    pub legal_hold: bool,
    /// Key for server-side encryption with KMS; `None` leaves encryption to the bucket's default.
    pub kms_key_id: Option<String>,
    /// Time limit of one attempt of one operation; the operation with its retries may take twice as long. Default 30 s.
    pub attempt_timeout: Duration,
    /// Objects in one page of a listing. Default 1,000, which is also S3's upper bound.
    pub page_size: i32,
}

impl S3Config {
    /// Settings for a bucket, everything else at its default: AWS, compliance mode.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            endpoint: None,
            region: None,
            path_style: false,
            access_key: None,
            lock_mode: LockMode::Compliance,
            legal_hold: false,
            kms_key_id: None,
            attempt_timeout: Duration::from_secs(30),
            page_size: 1_000,
        }
    }
}

/// A bucket with Object Lock.
#[derive(Clone, Debug)]
pub struct S3Store {
    client: Client,
    config: S3Config,
}

impl S3Store {
    /// Makes a client. Opens no connection unless the credential chain needs one.
    ///
    /// # Errors
    /// [`Error::Settings`] for an empty bucket name.
    pub async fn connect(config: S3Config) -> Result<Self, Error> {
        if config.bucket.is_empty() {
            return Err(Error::Settings { reason: "the bucket has no name".to_owned() });
        }
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        loader = match (&config.region, &config.endpoint) {
            (Some(region), _) => loader.region(Region::new(region.clone())),
            // Stores outside AWS have no regions, yet a signature must name one.
            (None, Some(_)) => loader.region(Region::from_static("us-east-1")),
            (None, None) => loader,
        };
        if let Some(key) = &config.access_key {
            let credentials = Credentials::new(key.id.clone(), key.secret.clone(), None, None, "settings");
            loader = loader.credentials_provider(SharedCredentialsProvider::new(credentials));
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(config.attempt_timeout)
            .operation_timeout(config.attempt_timeout.saturating_mul(2))
            .build();
        let shared = loader.timeout_config(timeouts).retry_config(RetryConfig::standard()).load().await;
        if shared.region().is_none() {
            return Err(Error::Settings { reason: "no region is set".to_owned() });
        }
        let mut builder = aws_sdk_s3::config::Builder::from(&shared).force_path_style(config.path_style);
        if let Some(endpoint) = &config.endpoint {
            builder = builder.endpoint_url(endpoint);
        }
        Ok(Self { client: Client::from_conf(builder.build()), config })
    }

    /// The settings.
    pub fn config(&self) -> &S3Config {
        &self.config
    }

    /// Creates the bucket with Object Lock unless it exists. For development and tests; production buckets are made by policy.
    ///
    /// # Errors
    /// Those of the store, and of [`Store::check`] for a bucket that exists without Object Lock.
    pub async fn ensure_bucket(&self) -> Result<(), Error> {
        let mut request =
            self.client.create_bucket().bucket(&self.config.bucket).object_lock_enabled_for_bucket(true);
        if let (None, Some(region)) = (&self.config.endpoint, &self.config.region)
            && region != "us-east-1"
        {
            let location = CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(region.as_str()))
                .build();
            request = request.create_bucket_configuration(location);
        }
        match request.send().await {
            Ok(_) => {}
            Err(error) if matches!(error.code(), Some("BucketAlreadyOwnedByYou" | "BucketAlreadyExists")) => {
            }
            Err(error) => return Err(self.classify("CreateBucket", &self.config.bucket, error)),
        }
        self.check().await
    }

    /// Sets a bucket policy by which no one may delete objects or hide them behind a delete marker.
    ///
    /// Object Lock alone keeps versions but lets anyone who may delete put a marker over them. For development and tests, like
    /// [`Self::ensure_bucket`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn deny_deletion(&self) -> Result<(), Error> {
        let policy = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Sid": "KeepTheLog",
                "Effect": "Deny",
                "Principal": "*",
                "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"],
                "Resource": format!("arn:aws:s3:::{}/*", self.config.bucket),
            }],
        });
        let request = self.client.put_bucket_policy().bucket(&self.config.bucket).policy(policy.to_string());
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.classify("PutBucketPolicy", &self.config.bucket, error)),
        }
    }

    async fn put(&self, object: &NewObject) -> Result<Created, Error> {
        let mode = match self.config.lock_mode {
            LockMode::Compliance => ObjectLockMode::Compliance,
            LockMode::Governance => ObjectLockMode::Governance,
        };
        let mut request = self
            .client
            .put_object()
            .bucket(&self.config.bucket)
            .key(&object.key)
            .if_none_match("*")
            .content_type(object.content_type)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .checksum_sha256(BASE64.encode(object.sha256))
            .object_lock_mode(mode)
            .object_lock_retain_until_date(DateTime::from_secs(object.retain_until.as_second()))
            .body(ByteStream::from(object.body.clone()));
        if self.config.legal_hold {
            request = request.object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On);
        }
        if let Some(key) = &self.config.kms_key_id {
            request = request.server_side_encryption(ServerSideEncryption::AwsKms).ssekms_key_id(key);
        }
        match request.send().await {
            Ok(_) => Ok(Created::Created),
            Err(error) if status(&error) == Some(412) => Ok(Created::AlreadyExists),
            Err(error) => Err(self.classify("PutObject", &object.key, error)),
        }
    }

    /// Sorts a failure into what can be tried again, what an operator must put right, and what is not there.
    fn classify<E>(&self, operation: &'static str, key: &str, error: SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let key = key.to_owned();
        let http = status(&error);
        let code = error.code().unwrap_or_default().to_owned();
        let by_code = match code.as_str() {
            "NoSuchBucket" => {
                let problems = vec![BucketProblem::Missing];
                Some(Error::Bucket { bucket: self.config.bucket.clone(), problems })
            }
            "ObjectLockConfigurationNotFoundError" | "InvalidBucketState" => {
                let problems = vec![BucketProblem::ObjectLockOff];
                Some(Error::Bucket { bucket: self.config.bucket.clone(), problems })
            }
            // S3 names a bucket without Object Lock only in the message of this general code.
            "InvalidRequest" if error.message().is_some_and(|text| text.contains("Object Lock")) => {
                let problems = vec![BucketProblem::ObjectLockOff];
                Some(Error::Bucket { bucket: self.config.bucket.clone(), problems })
            }
            // Short-lived credentials are renewed by the chain: the next attempt has new ones.
            "ExpiredToken" | "SlowDown" | "ServiceUnavailable" | "InternalError" | "OperationAborted"
            | "RequestTimeout" => None,
            "ConditionalRequestConflict" => None,
            code => {
                let code = match http {
                    Some(http) if code.is_empty() => http.to_string(),
                    _ => code.to_owned(),
                };
                match http {
                    Some(404) => Some(Error::NotFound { key: key.clone() }),
                    Some(401 | 403) => Some(Error::AccessDenied { operation, key: key.clone(), code }),
                    // 408, 409 and 429 say that the same request may succeed later.
                    Some(400..=407 | 410..=428 | 430..=499) => {
                        Some(Error::Rejected { operation, key: key.clone(), code })
                    }
                    _ => None,
                }
            }
        };
        if let Some(error) = by_code {
            return error;
        }
        if let SdkError::ConstructionFailure(_) = &error {
            return Error::Rejected { operation, key, code: "request could not be built".to_owned() };
        }
        Error::Unavailable { operation, key, source: Box::new(error) }
    }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

impl Store for S3Store {
    async fn create(&self, object: NewObject) -> Result<Created, Error> {
        let mut attempt = 0;
        loop {
            match self.put(&object).await {
                Err(Error::Unavailable { source, operation, key }) => {
                    attempt += 1;
                    let conflict = source
                        .downcast_ref::<SdkError<aws_sdk_s3::operation::put_object::PutObjectError>>()
                        .is_some_and(|error| status(error) == Some(409));
                    if !conflict || attempt >= CONFLICT_ATTEMPTS {
                        return Err(Error::Unavailable { source, operation, key });
                    }
                    // 409: another write of this key is under way. It will have won or failed in a moment.
                    tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
                }
                other => return other,
            }
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, Error> {
        let output = self
            .client
            .list_objects_v2()
            .bucket(&self.config.bucket)
            .prefix(prefix)
            .max_keys(self.config.page_size)
            .set_start_after(after.map(str::to_owned))
            .send()
            .await
            .map_err(|error| self.classify("ListObjectsV2", prefix, error))?;
        let objects = output.contents().iter().filter_map(listed).collect();
        Ok(Page { objects, more: output.is_truncated().unwrap_or(false) })
    }

    async fn children(&self, prefix: &str) -> Result<Children, Error> {
        let mut children = Children::default();
        let mut token = None;
        loop {
            let output = self
                .client
                .list_objects_v2()
                .bucket(&self.config.bucket)
                .prefix(prefix)
                .max_keys(self.config.page_size)
                .delimiter("/")
                .set_continuation_token(token)
                .send()
                .await
                .map_err(|error| self.classify("ListObjectsV2", prefix, error))?;
            children.objects.extend(output.contents().iter().filter_map(listed));
            let folders = output.common_prefixes().iter().filter_map(|folder| {
                Some(folder.prefix()?.strip_prefix(prefix)?.strip_suffix('/')?.to_owned())
            });
            children.folders.extend(folders);
            match output.next_continuation_token() {
                Some(next) if output.is_truncated() == Some(true) => token = Some(next.to_owned()),
                _ => break,
            }
        }
        children.folders.sort_unstable();
        Ok(children)
    }

    async fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, Error> {
        let output = self
            .client
            .get_object()
            .bucket(&self.config.bucket)
            .key(key)
            .send()
            .await
            .map_err(|error| self.classify("GetObject", key, error))?;
        Ok(Box::new(SyncIoBridge::new(output.body.into_async_read())))
    }

    async fn anomalies(&self, prefix: &str) -> Result<Vec<VersionAnomaly>, Error> {
        let mut anomalies = Vec::new();
        let (mut key_marker, mut version_marker) = (None, None);
        // The versions of a key follow one another, newest first, across pages too.
        let mut previous: Option<(String, String)> = None;
        loop {
            let output = self
                .client
                .list_object_versions()
                .bucket(&self.config.bucket)
                .prefix(prefix)
                .max_keys(self.config.page_size)
                .set_key_marker(key_marker)
                .set_version_id_marker(version_marker)
                .send()
                .await
                .map_err(|error| self.classify("ListObjectVersions", prefix, error))?;
            for marker in output.delete_markers() {
                anomalies.push(VersionAnomaly {
                    key: marker.key().unwrap_or_default().to_owned(),
                    kind: AnomalyKind::DeleteMarker,
                    version: marker.version_id().unwrap_or_default().to_owned(),
                });
            }
            for version in output.versions() {
                let key = version.key().unwrap_or_default().to_owned();
                let id = version.version_id().unwrap_or_default().to_owned();
                // Of two versions the newer one is the one too many.
                if let Some((_, newer)) = previous.take_if(|(earlier, _)| *earlier == key) {
                    anomalies.push(VersionAnomaly {
                        key: key.clone(),
                        kind: AnomalyKind::ExtraVersion,
                        version: newer,
                    });
                }
                previous = Some((key, id));
            }
            if output.is_truncated() != Some(true) {
                break;
            }
            key_marker = output.next_key_marker().map(str::to_owned);
            version_marker = output.next_version_id_marker().map(str::to_owned);
            if key_marker.is_none() {
                break;
            }
        }
        Ok(anomalies)
    }

    async fn check(&self) -> Result<(), Error> {
        let bucket = &self.config.bucket;
        let versioning = match self.client.get_bucket_versioning().bucket(bucket).send().await {
            Ok(output) => output.status() == Some(&BucketVersioningStatus::Enabled),
            Err(error) => {
                return Err(match self.classify("GetBucketVersioning", bucket, error) {
                    // Some stores answer a plain 404 here.
                    Error::NotFound { .. } => {
                        Error::Bucket { bucket: bucket.clone(), problems: vec![BucketProblem::Missing] }
                    }
                    error => error,
                });
            }
        };
        let locked = match self.client.get_object_lock_configuration().bucket(bucket).send().await {
            Ok(output) => output
                .object_lock_configuration()
                .and_then(|lock| lock.object_lock_enabled())
                .is_some_and(|enabled| *enabled == ObjectLockEnabled::Enabled),
            Err(error) => match self.classify("GetObjectLockConfiguration", bucket, error) {
                Error::NotFound { .. } => false,
                Error::Bucket { problems, .. } if problems == [BucketProblem::ObjectLockOff] => false,
                error => return Err(error),
            },
        };
        let mut problems = Vec::new();
        if !versioning {
            problems.push(BucketProblem::VersioningOff);
        }
        if !locked {
            problems.push(BucketProblem::ObjectLockOff);
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Bucket { bucket: bucket.clone(), problems }) }
    }
}

fn listed(object: &aws_sdk_s3::types::Object) -> Option<ListedObject> {
    let bytes = object.size().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default();
    Some(ListedObject { key: object.key()?.to_owned(), bytes })
}
