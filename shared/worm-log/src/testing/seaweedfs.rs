//! A SeaweedFS of one's own, on free ports and a folder that goes with it.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::error::Error;
use crate::manifest::sha256;
use crate::s3::{AccessKey, S3Config, S3Store};
use crate::store::{NewObject, Store};

/// Environment variable that names the `weed` binary.
pub const WEED_VARIABLE: &str = "WARDSTREAM_SEAWEEDFS";

/// SeaweedFS opens its port before its volumes register; this bounds the wait for a write that succeeds.
const START_LIMIT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(100);
const START_TRIES: u32 = 3;
const BUCKET: &str = "audit";
/// What the audit principal may do. `Write` includes deleting, which the bucket's policy takes away again.
const AUDIT_ACTIONS: [&str; 5] = [
    "Read:audit",
    "Write:audit",
    "List:audit",
    "PutObjectRetention:audit",
    "GetBucketObjectLockConfiguration:audit",
];

/// A running server with a bucket that has Object Lock. Ends with the value.
#[derive(Debug)]
pub struct SeaweedFs {
    server: Child,
    folder: tempfile::TempDir,
    endpoint: String,
}

impl SeaweedFs {
    /// Starts a server and waits until it takes a write. `None`, with one line on standard error, if [`WEED_VARIABLE`] is not set.
    ///
    /// # Panics
    /// If the variable is set and the server does not come up: a test that was asked for must not pass by being skipped.
    pub async fn start() -> Option<Self> {
        let Some(weed) = std::env::var_os(WEED_VARIABLE) else {
            eprintln!(
                "skipped: {WEED_VARIABLE} does not name a weed binary, so nothing is tested against S3"
            );
            return None;
        };
        match Self::start_binary(Path::new(&weed)).await {
            Ok(server) => Some(server),
            Err(reason) => panic!("{WEED_VARIABLE} is set, but no usable SeaweedFS came up: {reason}"),
        }
    }

    /// [`start`](Self::start) of this binary, whatever the environment names.
    ///
    /// # Errors
    /// Why it does not come up, with the end of its log.
    pub async fn start_binary(weed: &Path) -> Result<Self, String> {
        let mut tries = 1;
        loop {
            match Self::try_start(weed).await {
                // A port that was free can be another's a moment later, and the server ends then.
                Err((true, _)) if tries < START_TRIES => tries += 1,
                result => return result.map_err(|(_, reason)| reason),
            }
        }
    }

    /// Whether the server ended by itself, and why it does not come up.
    async fn try_start(weed: &Path) -> Result<Self, (bool, String)> {
        let mut started = Self::spawn(weed).map_err(|reason| (false, reason))?;
        started.ready().await.map_err(|reason| {
            let ended = matches!(started.server.try_wait(), Ok(Some(_)));
            let log = std::fs::read_to_string(started.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(15).collect();
            (ended, format!("{reason}; last lines of its log, newest first:\n{}", lines.join("\n")))
        })?;
        Ok(started)
    }

    fn spawn(weed: &Path) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("temporary folder: {error}"))?;
        let settings = serde_json::json!({"identities": [
            identity("admin", &["Admin"]),
            identity("audit", &AUDIT_ACTIONS),
        ]});
        let settings_file = folder.path().join("s3.json");
        std::fs::write(&settings_file, settings.to_string()).map_err(|error| format!("s3.json: {error}"))?;
        let log = File::create(folder.path().join("log")).map_err(|error| format!("log file: {error}"))?;
        let errors = log.try_clone().map_err(|error| format!("log file: {error}"))?;

        // Each server takes ports of its own, gRPC's included, and no metrics port.
        let ports = free_ports().ok_or("no free ports")?;
        let port =
            |name: &str, index: usize| format!("-{name}={}", ports.get(index).copied().unwrap_or_default());
        let server = Command::new(weed)
            .arg("server")
            .arg(format!("-dir={}", folder.path().display()))
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-metricsPort=0", "-master.telemetry=false"])
            .args([
                "-master.volumeSizeLimitMB=256",
                "-volume.max=200",
                "-filer",
                "-filer.disableHttp",
                "-s3",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
            ])
            .args([port("master.port", 0), port("master.port.grpc", 1)])
            .args([port("volume.port", 2), port("volume.port.grpc", 3)])
            .args([port("filer.port", 4), port("filer.port.grpc", 5)])
            .args([port("s3.port", 6), port("s3.port.grpc", 7)])
            .arg(format!("-s3.localSocket={}", folder.path().join("s3.sock").display()))
            .arg(format!("-filer.localSocket={}", folder.path().join("filer.sock").display()))
            .arg(format!("-s3.config={}", settings_file.display()))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("{}: {error}", weed.display()))?;
        let endpoint = format!("http://127.0.0.1:{}", ports.get(6).copied().unwrap_or_default());
        Ok(Self { server, folder, endpoint })
    }

    async fn ready(&mut self) -> Result<(), String> {
        let store = self.admin().await.map_err(|error| error.to_string())?;
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Ok(Some(status)) = self.server.try_wait() {
                return Err(format!("the server ended: {status}"));
            }
            let last = match try_put(&store).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if Instant::now() > deadline {
                return Err(format!("no write succeeded within {START_LIMIT:?}: {last}"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// URL of the S3 door.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Settings for a bucket as the audit principal, which may read, write and list the bucket `audit` and nothing else.
    pub fn audit_config(&self) -> S3Config {
        self.config(BUCKET, "audit")
    }

    /// Settings for a bucket as administrator.
    pub fn admin_config(&self, bucket: &str) -> S3Config {
        self.config(bucket, "admin")
    }

    async fn admin(&self) -> Result<S3Store, Error> {
        S3Store::connect(self.admin_config(BUCKET)).await
    }

    fn config(&self, bucket: &str, principal: &str) -> S3Config {
        S3Config {
            endpoint: Some(self.endpoint.clone()),
            path_style: true,
            access_key: Some(AccessKey { id: principal.to_owned(), secret: secret(principal) }),
            attempt_timeout: Duration::from_secs(20),
            ..S3Config::new(bucket)
        }
    }

    /// Process id, for tests that interrupt the server.
    pub fn process_id(&self) -> u32 {
        self.server.id()
    }
}

impl Drop for SeaweedFs {
    fn drop(&mut self) {
        // A kill, since on a polite signal the server serves on for half a minute.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn identity(name: &str, actions: &[&str]) -> serde_json::Value {
    serde_json::json!({
        "name": name,
        "credentials": [{"accessKey": name, "secretKey": secret(name)}],
        "actions": actions,
    })
}

fn secret(name: &str) -> String {
    format!("{name}-on-loopback-only")
}

async fn try_put(store: &S3Store) -> Result<(), Error> {
    store.ensure_bucket().await?;
    store.deny_deletion().await?;
    let body = Bytes::from_static(b"ready");
    let retain_until = jiff::Timestamp::now().as_second() + 60;
    store
        .create(NewObject {
            key: "ready".to_owned(),
            sha256: sha256(&body),
            body,
            retain_until: jiff::Timestamp::from_second(retain_until).unwrap_or(jiff::Timestamp::MAX),
            content_type: "text/plain",
        })
        .await?;
    Ok(())
}

/// Eight ports that are free at this moment. They are held together so that each is another's.
fn free_ports() -> Option<Vec<u16>> {
    let listeners: Vec<TcpListener> =
        (0..8).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>().ok()?;
    listeners.iter().map(|listener| listener.local_addr().map(|address| address.port()).ok()).collect()
}
