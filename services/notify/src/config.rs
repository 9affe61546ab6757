use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::{Duration, Error, Secret};

use crate::message::Console;
use crate::{
    Address, Alphabet, Composer, ComposerConfig, Format, Links, Mailer, MailerConfig, RoutingTable, Security,
    SmsConfig, SmsTemplate, WebhookConfig, WebhookTemplate,
};

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
    /// Webhooks by name; a recipient names one as `webhook:NAME`.
    pub webhooks: BTreeMap<String, Webhook>,
    /// The SMS gateway; a recipient names a number as `sms:+NUMBER`.
    pub sms: Sms,
    /// Links that acknowledge, for what escalates.
    pub acknowledge: Acknowledge,
    /// Whom to tell, and in what words.
    pub notify: Notify,
}

/// Links that acknowledge a notification. Needed where the routing table has tiers.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Acknowledge {
    /// Where the pages behind the links are served, in plain HTTP: a proxy in front of it speaks TLS.
    pub listen: SocketAddr,
    /// Address of that proxy, with which links begin: https, or http on this machine. Empty: nobody can acknowledge.
    pub url: String,
    /// What links are signed with: base64 of 32 to 64 random bytes, the same for all instances.
    pub secret: Secret,
    /// The secret before this one. While both are set, links of both are good.
    pub former_secret: Secret,
    /// How long after its reception an event can be acknowledged. As long it stays among those that nobody has acknowledged.
    pub valid_for: Duration,
}

impl Default for Acknowledge {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9465)),
            url: String::new(),
            secret: Secret::default(),
            former_secret: Secret::default(),
            valid_for: Duration::from_secs(3 * 24 * 60 * 60),
        }
    }
}

impl Acknowledge {
    /// What makes the links; none when it is not set up.
    ///
    /// # Errors
    /// The fault, with the key it lies in.
    pub fn links(&self) -> Result<Option<Links>, Error> {
        if self.url.is_empty() {
            return Ok(None);
        }
        Links::new(&self.url, &[&self.secret, &self.former_secret], self.valid_for.get())
            .map(Some)
            .map_err(|error| channel_fault("acknowledge", &error))
    }
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

/// A receiver of signed webhooks.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    /// Where notifications are posted: https, or http on this machine.
    pub url: String,
    /// What they are signed with: `whsec_` and base64 of 24 to 64 random bytes.
    pub secret: Secret,
    /// The secret before this one. While both are set, each notification has both signatures.
    pub former_secret: Secret,
    /// Whether the payload carries the patient's pseudonym.
    pub pseudonym: bool,
    /// PEM file with the certificate authorities to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Longest wait for the answer.
    pub timeout: Duration,
    /// Once an event is this old it is not held up for this webhook, where another channel took it; when not set it is
    /// held until the webhook is back.
    pub give_up_after: Option<Duration>,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            url: String::new(),
            secret: Secret::default(),
            former_secret: Secret::default(),
            pseudonym: false,
            ca_file: None,
            timeout: Duration::from_secs(10),
            give_up_after: None,
        }
    }
}

/// The HTTP gateway of an SMS provider. `{to}` stands for the number, `{text}` for the text, `{id}` for the notification's
/// id, in `url` and `body`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sms {
    /// Address, a template: https, or http on this machine. Empty: no SMS.
    pub url: String,
    /// Method of the request.
    pub method: SmsMethod,
    /// Value of the header `Authorization`, for instance `Bearer …` or `Basic …`.
    pub authorization: Secret,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// How the body is written: `json`, `form` or `text`.
    pub format: SmsFormat,
    /// Body, a template; empty: none.
    pub body: String,
    /// Longest text. 160 characters of `gsm7` or 70 of `unicode` are one message.
    pub max_characters: usize,
    /// `gsm7`: what that alphabet lacks is written with what it has; characters of its extension, such as `[`, count two.
    /// `unicode`: every character as it is.
    pub alphabet: SmsAlphabet,
    /// Whether the text has sentences of the summary, as far as they fit.
    pub summary: bool,
    /// PEM file with the certificate authorities to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Longest wait for the answer.
    pub timeout: Duration,
    /// Once an event is this old it is not held up for the gateway, where another channel took it; when not set it is
    /// held until the gateway is back.
    pub give_up_after: Option<Duration>,
}

impl Default for Sms {
    fn default() -> Self {
        Self {
            url: String::new(),
            method: SmsMethod::default(),
            authorization: Secret::default(),
            headers: BTreeMap::new(),
            format: SmsFormat::default(),
            body: r#"{"to": "{to}", "text": "{text}"}"#.to_owned(),
            max_characters: 160,
            alphabet: SmsAlphabet::default(),
            summary: true,
            ca_file: None,
            timeout: Duration::from_secs(10),
            give_up_after: None,
        }
    }
}

/// Method of a request to the SMS gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SmsMethod {
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
    /// GET.
    Get,
}

/// How the body of a request to the SMS gateway is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SmsFormat {
    /// `application/json`; fields stand inside strings.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `text/plain`.
    Text,
}

/// Characters of an SMS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SmsAlphabet {
    /// The GSM 7-bit default alphabet (3GPP TS 23.038).
    #[default]
    Gsm7,
    /// UCS-2.
    Unicode,
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

impl Sms {
    fn template(&self, console: Console) -> Result<SmsTemplate, crate::Error> {
        let config = SmsConfig {
            method: match self.method {
                SmsMethod::Post => reqwest::Method::POST,
                SmsMethod::Put => reqwest::Method::PUT,
                SmsMethod::Get => reqwest::Method::GET,
            },
            url: self.url.clone(),
            authorization: self.authorization.clone(),
            headers: self.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            format: match self.format {
                SmsFormat::Json => Format::Json,
                SmsFormat::Form => Format::Form,
                SmsFormat::Text => Format::Text,
            },
            body: self.body.clone(),
            max_characters: self.max_characters,
            alphabet: match self.alphabet {
                SmsAlphabet::Gsm7 => Alphabet::Gsm7,
                SmsAlphabet::Unicode => Alphabet::Unicode,
            },
            summary: self.summary,
            ca_file: self.ca_file.clone(),
            timeout: self.timeout.get(),
            give_up_after: self.give_up_after.map(Duration::get),
        };
        SmsTemplate::new(&config, console)
    }
}

impl Webhook {
    fn template(&self, name: &str, console: Console) -> Result<WebhookTemplate, crate::Error> {
        let config = WebhookConfig {
            name: name.to_owned(),
            url: self.url.clone(),
            secrets: [&self.secret, &self.former_secret]
                .into_iter()
                .filter(|s| !s.is_empty())
                .cloned()
                .collect(),
            pseudonym: self.pseudonym,
            ca_file: self.ca_file.clone(),
            timeout: self.timeout.get(),
            give_up_after: self.give_up_after.map(Duration::get),
        };
        WebhookTemplate::new(&config, console)
    }
}

impl Config {
    /// The webhooks, checked.
    ///
    /// # Errors
    /// Every fault, with the key it lies in.
    pub fn webhooks(&self) -> Result<Vec<WebhookTemplate>, Vec<Error>> {
        if self.webhooks.is_empty() {
            return Ok(Vec::new());
        }
        let console = self.console().map_err(|error| vec![error])?;
        let (mut webhooks, mut faults) = (Vec::new(), Vec::new());
        for (name, webhook) in &self.webhooks {
            match webhook.template(name, console.clone()) {
                Ok(template) => webhooks.push(template),
                Err(error) => faults.push(channel_fault(&format!("webhooks.{name}"), &error)),
            }
        }
        if faults.is_empty() { Ok(webhooks) } else { Err(faults) }
    }

    /// The SMS gateway, checked; `None` when it is not set up.
    ///
    /// # Errors
    /// The first fault, with the key it lies in.
    pub fn sms_gateway(&self) -> Result<Option<SmsTemplate>, Error> {
        if self.sms.url.is_empty() {
            return Ok(None);
        }
        let console = self.console()?;
        self.sms.template(console).map(Some).map_err(|error| channel_fault("sms", &error))
    }

    fn console(&self) -> Result<Console, Error> {
        Console::parse(&self.notify.console_url)
            .map_err(|error| Error::invalid("notify.console_url", error.to_string()))
    }

    /// Whether what escalates can be acknowledged.
    fn acknowledgeable(&self) -> Result<(), Error> {
        if self.acknowledge.links()?.is_none() && self.notify.routing()?.escalates() {
            let error = crate::Error::NoAcknowledgement;
            return Err(Error::invalid("acknowledge.url", error.to_string()));
        }
        Ok(())
    }

    /// Whether each recipient's channel is there.
    fn reachable(&self) -> Result<(), Error> {
        let routing = self.notify.routing()?;
        for recipient in routing.everyone() {
            let missing = match &recipient.address {
                Address::Mail(_) => None,
                Address::Webhook(name) => {
                    (!self.webhooks.contains_key(name)).then(|| format!("webhook {name}"))
                }
                Address::Sms(_) => self.sms.url.is_empty().then(|| "the SMS gateway".to_owned()),
            };
            if let Some(channel) = missing {
                let error = crate::Error::UnknownChannel { name: recipient.name, channel };
                return Err(Error::invalid("notify.routing_file", error.to_string()));
            }
        }
        Ok(())
    }
}

fn channel_fault(section: &str, error: &crate::Error) -> Error {
    match error {
        crate::Error::ChannelSetup { key, reason } => Error::invalid(format!("{section}.{key}"), reason),
        other => Error::invalid(section, other.to_string()),
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
            one(self.reachable()),
            one(self.acknowledgeable()),
            one(self.notify.composer().map(drop)),
            one(Mailer::new(self.smtp.mailer())
                .map(drop)
                .map_err(|error| Error::invalid("smtp", service::chain(&error)))),
            self.webhooks().map(drop),
            one(self.sms_gateway().map(drop)),
        ])
    }
}
