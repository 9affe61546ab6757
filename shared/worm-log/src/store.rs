//! What the log asks of an object store.

use std::future::Future;
use std::io::Read;

use bytes::Bytes;

use crate::error::Error;
use crate::local::LocalStore;
use crate::merkle::Hash;
use crate::s3::S3Store;

/// An object to be created and locked.
#[derive(Clone, Debug)]
pub struct NewObject {
    /// Object key.
    pub key: String,
    /// Contents.
    pub body: Bytes,
    /// SHA-256 of the contents; a store checks it on arrival.
    pub sha256: Hash,
    /// No one may delete or overwrite the object before this time.
    pub retain_until: jiff::Timestamp,
    /// Media type.
    pub content_type: &'static str,
}

/// What came of a create-only write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// The object is durable under its key.
    Created,
    /// Another object has the key; nothing was written.
    AlreadyExists,
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// Object key.
    pub key: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// Part of a listing, in ascending byte order of keys.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The objects.
    pub objects: Vec<ListedObject>,
    /// Whether more objects follow the last one.
    pub more: bool,
}

/// What stands directly under a prefix that ends in `/`.
#[derive(Clone, Debug, Default)]
pub struct Children {
    /// Names of folders, without prefix and slash, ascending.
    pub folders: Vec<String>,
    /// Objects that are in no folder.
    pub objects: Vec<ListedObject>,
}

/// A key whose history is not one single version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionAnomaly {
    /// Object key.
    pub key: String,
    /// What was found.
    pub kind: AnomalyKind,
    /// The store's name for the version or marker.
    pub version: String,
}

/// Traces that someone tried to replace or hide an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnomalyKind {
    /// A delete marker hides the object; its locked version is still stored.
    DeleteMarker,
    /// A further version of a key that is written exactly once.
    ExtraVersion,
}

/// An object store with create-only writes and strongly consistent listings.
///
/// Every error that [`Error::is_retryable`] calls retryable leaves the store as it was or with the object whole; never with
/// half an object under its key.
pub trait Store: Send + Sync + 'static {
    /// Creates an object, or finds that the key is taken.
    fn create(&self, object: NewObject) -> impl Future<Output = Result<Created, Error>> + Send;

    /// Lists objects under a prefix whose keys come after `after`; at least one if there is one.
    fn list(&self, prefix: &str, after: Option<&str>) -> impl Future<Output = Result<Page, Error>> + Send;

    /// Lists what stands directly under a prefix ending in `/`.
    fn children(&self, prefix: &str) -> impl Future<Output = Result<Children, Error>> + Send;

    /// Opens an object. The reader blocks: read it on a thread that may block, inside the runtime.
    fn open(&self, key: &str) -> impl Future<Output = Result<Box<dyn Read + Send>, Error>> + Send;

    /// Finds delete markers and second versions under a prefix; always empty where keys have no versions.
    fn anomalies(&self, prefix: &str) -> impl Future<Output = Result<Vec<VersionAnomaly>, Error>> + Send;

    /// Checks that the store can hold a WORM log.
    ///
    /// # Errors
    /// [`Error::Bucket`] names everything that is wrong.
    fn check(&self) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The store that settings name.
#[derive(Clone, Debug)]
pub enum AnyStore {
    /// A local folder: tamper-evident.
    Local(LocalStore),
    /// A bucket with Object Lock: tamper-proof.
    S3(S3Store),
}

impl Store for AnyStore {
    async fn create(&self, object: NewObject) -> Result<Created, Error> {
        match self {
            Self::Local(store) => store.create(object).await,
            Self::S3(store) => store.create(object).await,
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, Error> {
        match self {
            Self::Local(store) => store.list(prefix, after).await,
            Self::S3(store) => store.list(prefix, after).await,
        }
    }

    async fn children(&self, prefix: &str) -> Result<Children, Error> {
        match self {
            Self::Local(store) => store.children(prefix).await,
            Self::S3(store) => store.children(prefix).await,
        }
    }

    async fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, Error> {
        match self {
            Self::Local(store) => store.open(key).await,
            Self::S3(store) => store.open(key).await,
        }
    }

    async fn anomalies(&self, prefix: &str) -> Result<Vec<VersionAnomaly>, Error> {
        match self {
            Self::Local(store) => store.anomalies(prefix).await,
            Self::S3(store) => store.anomalies(prefix).await,
        }
    }

    async fn check(&self) -> Result<(), Error> {
        match self {
            Self::Local(store) => store.check().await,
            Self::S3(store) => store.check().await,
        }
    }
}

impl<S: Store> Store for std::sync::Arc<S> {
    async fn create(&self, object: NewObject) -> Result<Created, Error> {
        S::create(self, object).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, Error> {
        S::list(self, prefix, after).await
    }

    async fn children(&self, prefix: &str) -> Result<Children, Error> {
        S::children(self, prefix).await
    }

    async fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, Error> {
        S::open(self, key).await
    }

    async fn anomalies(&self, prefix: &str) -> Result<Vec<VersionAnomaly>, Error> {
        S::anomalies(self, prefix).await
    }

    async fn check(&self) -> Result<(), Error> {
        S::check(self).await
    }
}

/// Runs blocking work off the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The runtime is shutting down, or the work panicked, which this crate's code does not.
        Err(error) => Err(Error::Read { source: std::io::Error::other(error) }),
    }
}

/// Reads an object of at most `limit` bytes; one byte more than the limit comes back for a larger one.
pub(crate) async fn read_small<S: Store>(store: &S, key: &str, limit: usize) -> Result<Vec<u8>, Error> {
    let source = store.open(key).await?;
    blocking(move || {
        let mut bytes = Vec::new();
        source.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|source| Error::Read { source })?;
        Ok(bytes)
    })
    .await
}
