//! The log in a local folder.
//!
//! Objects are created exclusively and made read-only. That makes the log tamper-*evident*: the owner of the folder can still
//! change it, and the verifier shows it. Only Object Lock makes it tamper-*proof*.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::store::{Children, Created, ListedObject, NewObject, Page, Store, VersionAnomaly, blocking};

/// Where objects are written before they get their key. Not part of the log.
const STAGING: &str = ".staging";
/// A staged file this old was left by a crash: no write takes a day.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// A folder that holds the log's objects as files, keys being relative paths.
#[derive(Clone, Debug)]
pub struct LocalStore {
    root: Arc<Path>,
}

impl LocalStore {
    /// Opens a folder, creating it if need be.
    ///
    /// # Errors
    /// [`Error::Local`] if the folder cannot be made or written to.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root: PathBuf = root.into();
        let fail = |source| Error::Local { operation: "create folder", key: STAGING.to_owned(), source };
        fs::create_dir_all(root.join(STAGING)).map_err(fail)?;
        for entry in fs::read_dir(root.join(STAGING)).map_err(fail)?.flatten() {
            let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed());
            if matches!(age, Ok(Ok(age)) if age > STALE) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(Self { root: root.into() })
    }

    /// Opens a copy of a log, a bundle, to read it; nothing is created.
    ///
    /// # Errors
    /// [`Error::Local`] if there is no such folder.
    pub fn open_read_only(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root: PathBuf = root.into();
        fs::read_dir(&root).map_err(|source| Error::Local {
            operation: "open folder",
            key: String::new(),
            source,
        })?;
        Ok(Self { root: root.into() })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, key: &str) -> Result<PathBuf, Error> {
        // Keys come from this crate, but an object's name must never lead out of the folder.
        let safe =
            key.split('/').all(|part| !part.is_empty() && part != "." && part != "..") && !key.contains('\0');
        if !safe {
            return Err(Error::Settings { reason: "an object key has an empty or relative part".to_owned() });
        }
        Ok(self.root.join(key))
    }

    fn create_blocking(&self, object: &NewObject) -> Result<Created, Error> {
        let path = self.path(&object.key)?;
        let fail = |operation: &'static str| {
            let key = object.key.clone();
            move |source: io::Error| Error::Local { operation, key, source }
        };
        if path.symlink_metadata().is_ok() {
            return Ok(Created::AlreadyExists);
        }
        let folder = path.parent().unwrap_or(&self.root);
        self.create_folders(folder).map_err(fail("create folder for"))?;

        let staged = self.staged();
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(&staged.0).map_err(fail("stage"))?;
        file.write_all(&object.body).map_err(fail("write"))?;
        let mut permissions = file.metadata().map_err(fail("inspect"))?.permissions();
        set_read_only(&mut permissions);
        file.set_permissions(permissions).map_err(fail("make read-only"))?;
        file.sync_all().map_err(fail("sync"))?;
        drop(file);
        // A hard link fails if the name is taken and shows the whole file at once; a rename would replace what is there.
        match fs::hard_link(&staged.0, &path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Created::AlreadyExists),
            Err(error) => return Err(fail("link")(error)),
        }
        sync_folder(folder).map_err(fail("sync folder of"))?;
        Ok(Created::Created)
    }

    /// A new name in the staging folder. Random rather than numbered: containers that share a volume may share a process number too.
    fn staged(&self) -> Staged {
        let name = format!("{:016x}", RandomState::new().build_hasher().finish());
        Staged(self.root.join(STAGING).join(name))
    }

    /// Creates a folder and makes each new entry durable in its parent.
    fn create_folders(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(parent) = folder.parent().filter(|parent| parent.starts_with(&*self.root)) {
            self.create_folders(parent)?;
            match fs::create_dir(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            sync_folder(parent)?;
        }
        Ok(())
    }

    fn children_blocking(&self, prefix: &str) -> Result<Children, Error> {
        let folder = match prefix.strip_suffix('/') {
            Some(folder) => self.path(folder)?,
            None => self.root.to_path_buf(),
        };
        let fail = |source| Error::Local { operation: "list", key: prefix.to_owned(), source };
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Children::default()),
            Err(error) => return Err(fail(error)),
        };
        let mut children = Children::default();
        for entry in entries {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let metadata = entry.metadata().map_err(fail)?;
            if metadata.is_dir() {
                children.folders.push(name);
            } else {
                children.objects.push(ListedObject { key: format!("{prefix}{name}"), bytes: metadata.len() });
            }
        }
        children.folders.sort_unstable();
        children.objects.sort_unstable_by(|left, right| left.key.cmp(&right.key));
        Ok(children)
    }

    fn collect(&self, prefix: &str, into: &mut Vec<ListedObject>) -> Result<(), Error> {
        let children = self.children_blocking(prefix)?;
        into.extend(children.objects);
        for folder in children.folders {
            self.collect(&format!("{prefix}{folder}/"), into)?;
        }
        Ok(())
    }
}

fn set_read_only(permissions: &mut fs::Permissions) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        permissions.set_mode(0o444);
    }
    #[cfg(not(unix))]
    permissions.set_readonly(true);
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    // Other systems give no handle on a folder; their file systems make entries durable with the file.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Removes the staging name however the write ends.
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Store for LocalStore {
    async fn create(&self, object: NewObject) -> Result<Created, Error> {
        let store = self.clone();
        blocking(move || store.create_blocking(&object)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, Error> {
        let (store, prefix, after) = (self.clone(), prefix.to_owned(), after.map(str::to_owned));
        blocking(move || {
            let mut objects = Vec::new();
            store.collect(&prefix, &mut objects)?;
            objects.retain(|object| after.as_ref().is_none_or(|after| object.key > *after));
            objects.sort_unstable_by(|left, right| left.key.cmp(&right.key));
            Ok(Page { objects, more: false })
        })
        .await
    }

    async fn children(&self, prefix: &str) -> Result<Children, Error> {
        let (store, prefix) = (self.clone(), prefix.to_owned());
        blocking(move || store.children_blocking(&prefix)).await
    }

    async fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, Error> {
        let (path, key) = (self.path(key)?, key.to_owned());
        blocking(move || match File::open(path) {
            Ok(file) => Ok(Box::new(file) as Box<dyn Read + Send>),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NotFound { key }),
            Err(source) => Err(Error::Local { operation: "open", key, source }),
        })
        .await
    }

    async fn anomalies(&self, _prefix: &str) -> Result<Vec<VersionAnomaly>, Error> {
        Ok(Vec::new())
    }

    async fn check(&self) -> Result<(), Error> {
        let store = self.clone();
        blocking(move || {
            let (staged, linked) = (store.staged(), store.staged());
            let fail = |source| Error::Local { operation: "write to", key: STAGING.to_owned(), source };
            File::create(&staged.0).and_then(|file| file.sync_all()).map_err(fail)?;
            fs::hard_link(&staged.0, &linked.0).map_err(|source| Error::Local {
                operation: "make hard links in",
                key: STAGING.to_owned(),
                source,
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::sha256;
    use bytes::Bytes;

    fn object(key: &str, body: &'static [u8]) -> NewObject {
        NewObject {
            key: key.to_owned(),
            body: Bytes::from_static(body),
            sha256: sha256(body),
            retain_until: jiff::Timestamp::UNIX_EPOCH,
            content_type: "text/plain",
        }
    }

    #[tokio::test]
    async fn a_key_is_taken_once_and_its_file_is_read_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path()).unwrap();
        store.check().await.unwrap();
        assert_eq!(store.create(object("seg/a/0/x", b"one")).await.unwrap(), Created::Created);
        assert_eq!(store.create(object("seg/a/0/x", b"two")).await.unwrap(), Created::AlreadyExists);
        let path = folder.path().join("seg/a/0/x");
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert!(fs::metadata(&path).unwrap().permissions().readonly());
        assert_eq!(fs::read_dir(folder.path().join(STAGING)).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn of_many_writers_at_once_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path()).unwrap();
        let writes = (0..16).map(|_| store.create(object("seg/a/0/x", b"same")));
        let created = futures::future::try_join_all(writes).await.unwrap();
        assert_eq!(created.iter().filter(|created| **created == Created::Created).count(), 1);
    }

    #[tokio::test]
    async fn listings_are_in_key_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path()).unwrap();
        for key in ["seg/a/0/2", "seg/a/0/1", "seg/a-b/0/1", "seg/a/10/1", "seg/a/2/1"] {
            store.create(object(key, b"x")).await.unwrap();
        }
        let keys = |page: Page| page.objects.into_iter().map(|object| object.key).collect::<Vec<_>>();
        let all = keys(store.list("seg/", None).await.unwrap());
        assert!(all.is_sorted());
        assert_eq!(all.len(), 5);
        assert_eq!(keys(store.list("seg/a/0/", Some("seg/a/0/1")).await.unwrap()), ["seg/a/0/2"]);
        assert!(keys(store.list("seg/none/", None).await.unwrap()).is_empty());
        assert_eq!(store.children("seg/").await.unwrap().folders, ["a", "a-b"]);
    }

    #[tokio::test]
    async fn keys_stay_inside_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path()).unwrap();
        for key in ["../x", "/etc/x", "a//b", "a/./b", ""] {
            assert!(store.create(object(key, b"x")).await.is_err(), "{key}");
        }
        assert!(matches!(store.open("seg/none").await, Err(Error::NotFound { .. })));
        assert!(LocalStore::open_read_only(folder.path().join("absent")).is_err());
    }
}
