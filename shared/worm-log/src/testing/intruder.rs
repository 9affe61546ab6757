//! Somebody with an access key to a bucket, who does what the log never does.

use std::io::Read;
use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};
use bytes::Bytes;

use crate::manifest::sha256;
use crate::s3::{S3Config, S3Store};
use crate::store::{NewObject, Store, blocking};
use crate::testing::Failure;
use crate::testing::bundle::keys_under;
use crate::tree::LOG;

/// What somebody tried to do to an object, and the store's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What.
    pub what: &'static str,
    /// The HTTP status of the refusal; none when it was done.
    pub refused: Option<u16>,
}

/// A principal of a bucket.
#[derive(Clone, Debug)]
pub struct Intruder {
    client: Client,
    bucket: String,
}

impl Intruder {
    /// With the key and the bucket of these settings.
    ///
    /// # Errors
    /// For settings without an access key.
    pub fn new(config: &S3Config) -> Result<Self, Failure> {
        let key = config.access_key.clone().ok_or("no access key")?;
        let mut sdk = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .force_path_style(config.path_style)
            .credentials_provider(Credentials::new(key.id, key.secret, None, None, "test"));
        sdk.set_endpoint_url(config.endpoint.clone());
        Ok(Self { client: Client::from_conf(sdk.build()), bucket: config.bucket.clone() })
    }

    /// Its client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Deletes an object without naming a version: what hides it behind a delete marker, where it may be done.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn delete(&self, key: &str) -> Result<Attempt, Failure> {
        let delete = self.client.delete_object().bucket(&self.bucket).key(key).send().await;
        attempt("delete", delete)
    }

    /// Writes an object without a condition: a second version, where there is one already.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn put(&self, key: &str, body: Bytes) -> Result<Attempt, Failure> {
        let put =
            self.client.put_object().bucket(&self.bucket).key(key).body(ByteStream::from(body)).send().await;
        attempt("put", put)
    }

    /// Tries everything that an object's lock must stand against, and looks whether the object is as it was.
    ///
    /// # Errors
    /// If the store does not answer, or the object is another one afterwards.
    pub async fn against_lock(&self, key: &str) -> Result<Vec<Attempt>, Failure> {
        let bucket = self.bucket.as_str();
        let head = || self.client.head_object().bucket(bucket).key(key).send();
        let before = head().await?;
        let version = before.version_id().ok_or("the bucket keeps no versions")?;
        let mut attempts = Vec::new();
        let overwrite = self.client.put_object().bucket(bucket).key(key).if_none_match("*");
        attempts.push(attempt("overwrite", overwrite.body(ByteStream::from_static(b"x")).send().await)?);
        let delete = || self.client.delete_object().bucket(bucket).key(key).version_id(version);
        attempts.push(attempt("delete the version", delete().send().await)?);
        let bypassing = delete().bypass_governance_retention(true).send().await;
        attempts.push(attempt("delete the version, bypassing governance", bypassing)?);
        for (what, mode, seconds) in [
            ("shorten the retention", ObjectLockRetentionMode::Compliance, 60),
            ("weaken the retention to governance", ObjectLockRetentionMode::Governance, 1_000_000),
        ] {
            let until = DateTime::from_secs(jiff::Timestamp::now().as_second() + seconds);
            let retention = ObjectLockRetention::builder().mode(mode).retain_until_date(until).build();
            let change = self.client.put_object_retention().bucket(bucket).key(key).version_id(version);
            let change = change.retention(retention).bypass_governance_retention(true);
            attempts.push(attempt(what, change.send().await)?);
        }
        let after = head().await?;
        let is = |head: &aws_sdk_s3::operation::head_object::HeadObjectOutput| {
            (
                head.version_id().map(str::to_owned),
                head.e_tag().map(str::to_owned),
                head.object_lock_mode().cloned(),
                head.object_lock_retain_until_date().cloned(),
            )
        };
        if is(&before) != is(&after) {
            return Err(format!("{key} is not what it was").into());
        }
        Ok(attempts)
    }

    /// Takes the bucket's policy away.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn drop_policy(&self) -> Result<Attempt, Failure> {
        attempt(
            "drop the bucket's policy",
            self.client.delete_bucket_policy().bucket(&self.bucket).send().await,
        )
    }
}

fn attempt<T, E>(
    what: &'static str,
    result: Result<T, SdkError<E, aws_sdk_s3::config::http::HttpResponse>>,
) -> Result<Attempt, Failure>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match result {
        Ok(_) => Ok(Attempt { what, refused: None }),
        Err(error) => match error.raw_response().map(|response| response.status().as_u16()) {
            Some(status @ 400..500) => Ok(Attempt { what, refused: Some(status) }),
            _ => Err(error.into()),
        },
    }
}

/// Copies a log out of a store into a folder.
///
/// # Errors
/// Those of the store and of the file system.
pub async fn download<S: Store>(store: &S, root: &Path) -> Result<(), Failure> {
    for prefix in ["seg/", LOG] {
        let mut after: Option<String> = None;
        loop {
            let page = store.list(prefix, after.as_deref()).await?;
            after = page.objects.last().map(|object| object.key.clone());
            for object in page.objects {
                let mut source = store.open(&object.key).await?;
                let target = root.join(&object.key);
                let copied = blocking(move || Ok(write(&mut source, &target)));
                copied.await??;
            }
            if !page.more || after.is_none() {
                break;
            }
        }
    }
    Ok(())
}

fn write(source: &mut (dyn Read + Send), target: &Path) -> std::io::Result<u64> {
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::io::copy(source, &mut std::fs::File::create(target)?)
}

/// Copies a log from a folder into a bucket, each object locked for an hour.
///
/// # Errors
/// Those of the store and of the file system.
pub async fn upload(root: &Path, store: &S3Store) -> Result<(), Failure> {
    let retain_until = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + 3_600)?;
    for key in keys_under(root, "seg/")?.into_iter().chain(keys_under(root, LOG)?) {
        let body = Bytes::from(std::fs::read(root.join(&key))?);
        let sha256 = sha256(&body);
        let content_type = "application/octet-stream";
        store.create(NewObject { key, body, sha256, retain_until, content_type }).await?;
    }
    Ok(())
}
