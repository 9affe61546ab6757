//! The parts that the line stands on, in process: broker, schema registry, mail server.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use krafka::testing::FakeBroker;
use mail_sink::{Credentials, MailSink};
use service::Failure;
use stream::{Delivery, RegistryConfig};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use worm_log::SigningKey;

use crate::Options;

/// Everything that `standalone` starts beside the services. Ends with the process.
pub(crate) struct Embedded {
    pub(crate) kafka: stream::Config,
    pub(crate) registry: RegistryConfig,
    pub(crate) mail: MailSink,
    pub(crate) smtp: notify::Smtp,
    pub(crate) deid: redact::Deid,
    pub(crate) worm: PathBuf,
    /// Key that signs the checkpoints of the WORM log.
    pub(crate) signing_key: PathBuf,
    /// Key that verifies them.
    pub(crate) verifying_keys: PathBuf,
    /// The in-process broker lives as long as this; none when the line runs on another.
    _broker: Option<FakeBroker>,
}

const USER: &str = "notify";

impl Embedded {
    pub(crate) async fn start(options: &Options, stop: &CancellationToken) -> Result<Self, Failure> {
        let data = &options.data;
        fs::create_dir_all(data).map_err(|error| format!("cannot create {}: {error}", data.display()))?;
        let broker = match &options.bootstrap_servers {
            Some(_) => None,
            None => Some(FakeBroker::start().await?),
        };
        let kafka = match (&broker, &options.bootstrap_servers) {
            (Some(broker), _) => stream::Config {
                bootstrap_servers: broker.bootstrap_servers(),
                delivery: Delivery::LineageGuarded,
                ..stream::Config::default()
            },
            (None, Some(servers)) => {
                stream::Config { bootstrap_servers: servers.clone(), ..stream::Config::default() }
            }
            (None, None) => stream::Config::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let registry =
            RegistryConfig { url: format!("http://{}", listener.local_addr()?), ..RegistryConfig::default() };
        tokio::spawn(schema_registry::serve(listener, contracts::subjects(), stop.clone()));
        let password = secret(&data.join("keys/smtp"))?;
        let credentials = Credentials { user: USER.to_owned(), password: password.clone() };
        let mail = MailSink::start(mail_sink::Config {
            credentials: Some(credentials),
            ..mail_sink::Config::default()
        })
        .await?;
        let authority = data.join("mail-ca.pem");
        fs::write(&authority, mail.certificate_pem())?;
        let smtp = notify::Smtp {
            host: mail.addr().ip().to_string(),
            port: mail.addr().port(),
            username: USER.to_owned(),
            password: settings::Secret::new(password),
            ca_file: Some(authority),
            hello_name: Some("localhost".to_owned()),
            ..notify::Smtp::default()
        };
        let deid = redact::Deid {
            key: settings::Secret::new(secret(&data.join("keys/pseudonym"))?),
            vault_key: settings::Secret::new(secret(&data.join("keys/vault"))?),
            facility_codes: BTreeMap::new(),
            ..redact::Deid::default()
        };
        // The in-process broker counts offsets from 0 at each start, so each start has a log of its own.
        let worm = match &broker {
            Some(_) => data.join(format!("worm-{}", jiff::Zoned::now().strftime("%Y%m%dT%H%M%S"))),
            None => data.join("worm"),
        };
        let (signing_key, verifying_keys) = checkpoint_keys(data, &worm)?;
        Ok(Self { kafka, registry, mail, smtp, deid, worm, signing_key, verifying_keys, _broker: broker })
    }
}

/// The keys of a log's checkpoints, made at its first start: the one that signs is with the other secrets, the one that verifies
/// beside the log.
fn checkpoint_keys(data: &Path, worm: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    let name = worm.file_name().unwrap_or_default().to_string_lossy();
    let (signing, verifying) = (data.join(format!("keys/{name}")), data.join(format!("{name}.keys")));
    if !signing.exists() {
        let secret = SigningKey::generate(&format!("wardstream.standalone/{name}"))?;
        write_secret(&signing, &secret)?;
        fs::write(&verifying, format!("{}\n", SigningKey::parse(&secret)?.verifying_key()))?;
    }
    Ok((signing, verifying))
}

/// A secret of 32 random bytes, in hex, made at the first start and kept in a file that only its owner can read.
fn secret(path: &Path) -> Result<String, Failure> {
    if let Ok(text) = fs::read_to_string(path) {
        return Ok(text.trim().to_owned());
    }
    let text = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    write_secret(path, &text)?;
    Ok(text)
}

/// Writes a new file that only its owner can read.
fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(writeln!(file, "{text}")?)
}
