use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{Duration, Error, Secret};

use crate::{Composer, ComposerConfig, Mailer, MailerConfig, RoutingTable, Security};

/// Configuration of `notify`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Kafka.
    pub kafka: stream::Config,
    /// Schema registry.
    pub registry: stream::RegistryConfig,
    /// Logs, metrics, traces.
    pub telemetry: telemetry::Config,
    /// The mail server.
    pub smtp: Smtp,
    /// Whom to tell, and in what words.
    pub notify: Notify,
}

/// The mail server.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Smtp {
    /// Host name; with TLS the server's certificate must name it.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `starttls`, `tls`, or `plaintext` for a relay on the same machine.
    pub security: SmtpSecurity,
    /// User name; empty means no authentication.
    pub username: String,
    /// Password.
    pub password: Secret,
    /// PEM file with the certificate authorities to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Name in EHLO; the machine's host name when not set.
    pub hello_name: Option<String>,
    /// Longest wait for a connection and for each reply.
    pub timeout: Duration,
}

impl Default for Smtp {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 587,
            security: SmtpSecurity::default(),
            username: String::new(),
            password: Secret::default(),
            ca_file: None,
            hello_name: None,
            timeout: Duration::from_secs(30),
        }
    }
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SmtpSecurity {
    /// STARTTLS, required.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// None.
    Plaintext,
}

/// Whom to tell, and in what words.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Notify {
    /// TOML file with the routing table; the built-in table when not set.
    pub routing_file: Option<PathBuf>,
    /// Address that mails come from.
    pub from: String,
    /// Name that mails come from.
    pub from_name: String,
    /// Base of the links to the console.
    pub console_url: String,
    /// Right side of the Message-ID; the sender's domain when not set.
    pub message_id_domain: Option<String>,
    /// How long it is remembered that a notification was sent. At least the retention of `triage.summarized`.
    pub ledger_window: Duration,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            routing_file: None,
            from: "triage@wardstream.example".to_owned(),
            from_name: "Wardstream triage".to_owned(),
            console_url: "http://127.0.0.1:8080".to_owned(),
            message_id_domain: None,
            ledger_window: Duration::from_secs(30 * 24 * 60 * 60),
        }
    }
}

impl Smtp {
    /// The client's settings.
    #[must_use]
    pub fn mailer(&self) -> MailerConfig {
        MailerConfig {
            host: self.host.clone(),
            port: self.port,
            security: match self.security {
                SmtpSecurity::Starttls => Security::StartTls,
                SmtpSecurity::Tls => Security::Tls,
                SmtpSecurity::Plaintext => Security::Plaintext,
            },
            credentials: (!self.username.is_empty())
                .then(|| (self.username.clone(), self.password.expose().to_owned())),
            root_ca: self.ca_file.clone(),
            hello_name: self.hello_name.clone(),
            timeout: self.timeout.get(),
            ..MailerConfig::default()
        }
    }
}

impl Notify {
    /// The routing table, read and checked.
    ///
    /// # Errors
    /// When the file cannot be read or the table is not complete.
    pub fn routing(&self) -> Result<RoutingTable, Error> {
        let invalid = |reason: String| Error::invalid("notify.routing_file", reason);
        let text = match &self.routing_file {
            None => RoutingTable::DEFAULT.to_owned(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| invalid(format!("{}: {error}", path.display())))?,
        };
        RoutingTable::parse(&text).map_err(|error| invalid(error.to_string()))
    }

    /// What composes the mails.
    ///
    /// # Errors
    /// When an address or URL is none.
    pub fn composer(&self) -> Result<Composer, Error> {
        Composer::new(&ComposerConfig {
            from: self.from.clone(),
            from_name: self.from_name.clone(),
            console_url: self.console_url.clone(),
            message_id_domain: self.message_id_domain.clone(),
        })
        .map_err(|error| Error::invalid("notify", error.to_string()))
    }
}

impl service::Configuration for Config {
    fn telemetry(&self) -> &telemetry::Config {
        &self.telemetry
    }

    fn check(&self) -> Result<(), Vec<Error>> {
        let one = |result: Result<(), Error>| result.map_err(|error| vec![error]);
        service::all_of([
            self.kafka.check(),
            self.registry.check(),
            self.telemetry.check(),
            one(self.notify.routing().map(drop)),
            one(self.notify.composer().map(drop)),
            one(Mailer::new(self.smtp.mailer())
                .map(drop)
                .map_err(|error| Error::invalid("smtp", service::chain(&error)))),
        ])
    }
}
