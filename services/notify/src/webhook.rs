//! Signed webhooks after the Standard Webhooks specification (<https://www.standardwebhooks.com>): HTTP POST of JSON with
//! `webhook-id`, `webhook-timestamp` and `webhook-signature`.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use sha2::Sha256;
use tokio::runtime::Handle;
use url::Url;

use crate::http::{self, Sender};
use crate::message::{Console, MAX_LABEL, MAX_REASONS, MAX_SENTENCES, clean, lines};
use crate::{Address, Channel, Delivery, Digest, Error, Event, Kind, Message, Recipient, Triage};

/// Name and version of the payload; part of the notification's id.
pub const WEBHOOK_TEMPLATE: &str = "webhook/1";

/// The same of a digest.
const DIGEST_TEMPLATE: &str = "webhook-digest/1";
const DIGEST_TYPE: &str = "triage.digest";
/// `type` of the payload.
const TYPE: &str = "triage.notification";
/// What stands before a secret in base64.
const SECRET_PREFIX: &str = "whsec_";
/// Bytes of a secret (Standard Webhooks, "Symmetric signatures").
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

type Key = Hmac<Sha256>;

/// One receiver.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// Name; `webhook:NAME` in the routing table.
    pub name: String,
    /// Where to: https, or http on this machine.
    pub url: String,
    /// Secrets to sign with, newest first: `whsec_` and base64 of 24 to 64 bytes.
    pub secrets: Vec<settings::Secret>,
    /// Whether the payload carries the patient's pseudonym.
    pub pseudonym: bool,
    /// PEM file with the certificate authorities to trust *instead of* the public ones.
    pub ca_file: Option<PathBuf>,
    /// Longest wait for the answer.
    pub timeout: Duration,
    /// [`Channel::give_up_after`].
    pub give_up_after: Option<Duration>,
}

/// A webhook, checked; it cannot send yet.
#[derive(Clone)]
pub struct WebhookTemplate {
    name: &'static str,
    address: Address,
    url: Url,
    keys: Vec<Key>,
    pseudonym: bool,
    give_up_after: Option<Duration>,
    console: Console,
    client: Client,
}

impl WebhookTemplate {
    /// Checks the settings and reads the certificates; opens no socket.
    ///
    /// # Errors
    /// [`Error::ChannelSetup`].
    pub fn new(config: &WebhookConfig, console: Console) -> Result<Self, Error> {
        let Some(address @ Address::Webhook(_)) = Address::parse(&format!("webhook:{}", config.name)) else {
            return Err(Error::ChannelSetup {
                key: "name",
                reason: "must be at most 40 letters, digits, - and _".to_owned(),
            });
        };
        let url = http::address(&config.url)?;
        let keys: Vec<Key> = config.secrets.iter().map(key).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(Error::ChannelSetup { key: "secret", reason: "must be set".to_owned() });
        }
        let client = http::client(config.timeout, config.ca_file.as_deref())?;
        Ok(Self {
            // A name lives as long as the process, as a configuration does.
            name: Box::leak(format!("webhook/{}", config.name).into_boxed_str()),
            address,
            url,
            keys,
            pseudonym: config.pseudonym,
            give_up_after: config.give_up_after,
            console,
            client,
        })
    }

    /// The JSON that tells a recipient of an event. Depends on the event and the configuration alone.
    ///
    /// # Errors
    /// [`Error::Compose`].
    pub fn payload(&self, event: &Event<'_>, to: &Recipient) -> Result<Message, Error> {
        let id = event.notification_id(&format!("{WEBHOOK_TEMPLATE} {}", to.address));
        let (triage, message_id) = (event.triage, id.to_string());
        let data = Data {
            notification_id: &message_id,
            recipient: &to.name,
            event_id: label(&triage.event_id),
            urgency: label(&triage.urgency),
            urgency_probability: Some(triage.urgency_p).filter(|p| (0.0..=1.0).contains(p)),
            needs_triage: event.routes.triage,
            specialty: label(&triage.specialty),
            document_type: label(&triage.document_type),
            summary: lines(&triage.sentences).take(MAX_SENTENCES).collect(),
            summary_omitted: lines(&triage.sentences).skip(MAX_SENTENCES).count(),
            reasons: lines(&triage.reasons).take(MAX_REASONS).collect(),
            facility: label(&triage.facility),
            message_type: label(&triage.message_type),
            received_at: time(triage.received_at_ms),
            model: Model { id: label(&triage.model_id), version: label(&triage.model_version) },
            link: self.console.event(&triage.event_id),
            step: event.call.step,
            acknowledge: event.call.link,
            pseudonym: self.pseudonym(triage),
        };
        let payload = Payload { kind: TYPE, timestamp: time(triage.received_at_ms), data };
        let bytes =
            serde_json::to_vec(&payload).map_err(|_| Error::Compose("the payload cannot be written"))?;
        Ok(Message { id, message_id, to: vec![to.clone()], bytes })
    }

    /// The JSON that tells a recipient of several events.
    fn digest(&self, digest: &Digest<'_>) -> Result<Message, Error> {
        let id = digest.notification_id(DIGEST_TEMPLATE)?;
        let message_id = id.to_string();
        let one = |triage: &Triage| Held {
            event_id: label(&triage.event_id),
            urgency: label(&triage.urgency),
            specialty: label(&triage.specialty),
            document_type: label(&triage.document_type),
            summary: lines(&triage.sentences).take(MAX_SENTENCES).collect(),
            facility: label(&triage.facility),
            message_type: label(&triage.message_type),
            received_at: time(triage.received_at_ms),
            link: self.console.event(&triage.event_id),
            pseudonym: self.pseudonym(triage),
        };
        let last = digest.events.last().map_or(0, |triage| triage.received_at_ms);
        let data = HeldData {
            notification_id: &message_id,
            recipient: &digest.to.name,
            notifications: digest.events.iter().map(one).collect(),
        };
        let payload = Payload { kind: DIGEST_TYPE, timestamp: time(last), data };
        let bytes =
            serde_json::to_vec(&payload).map_err(|_| Error::Compose("the payload cannot be written"))?;
        Ok(Message { id, message_id, to: vec![digest.to.clone()], bytes })
    }

    fn pseudonym(&self, triage: &Triage) -> Option<String> {
        (self.pseudonym && !triage.pseudonym.is_empty()).then(|| label(&triage.pseudonym))
    }

    /// The three headers of a message that is sent at this second.
    fn headers(&self, message: &Message, seconds: u64) -> [(&'static str, String); 3] {
        let signature = |key: &Key| {
            let mut mac = key.clone();
            mac.update(format!("{}.{seconds}.", message.message_id).as_bytes());
            mac.update(&message.bytes);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        };
        let signatures: Vec<String> = self.keys.iter().map(signature).collect();
        [
            ("webhook-id", message.message_id.clone()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", signatures.join(" ")),
        ]
    }
}

/// A secret as it is written, as the key of the signature.
fn key(secret: &settings::Secret) -> Result<Key, Error> {
    let invalid = |reason: &str| Error::ChannelSetup { key: "secret", reason: reason.to_owned() };
    let text = secret.expose();
    let bytes = STANDARD
        .decode(text.strip_prefix(SECRET_PREFIX).unwrap_or(text))
        .map_err(|_| invalid("must be whsec_ and base64"))?;
    if !SECRET_BYTES.contains(&bytes.len()) {
        return Err(invalid("must be base64 of 24 to 64 bytes"));
    }
    Key::new_from_slice(&bytes).map_err(|_| invalid("has a wrong length"))
}

#[derive(Serialize)]
struct Payload<D> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: D,
}

#[derive(Serialize)]
struct HeldData<'p> {
    notification_id: &'p str,
    recipient: &'p str,
    notifications: Vec<Held>,
}

#[derive(Serialize)]
struct Held {
    event_id: String,
    urgency: String,
    specialty: String,
    document_type: String,
    summary: Vec<String>,
    facility: String,
    message_type: String,
    received_at: String,
    link: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pseudonym: Option<String>,
}

#[derive(Serialize)]
struct Data<'p> {
    notification_id: &'p str,
    recipient: &'p str,
    event_id: String,
    urgency: String,
    urgency_probability: Option<f64>,
    needs_triage: bool,
    specialty: String,
    document_type: String,
    summary: Vec<String>,
    summary_omitted: usize,
    reasons: Vec<String>,
    facility: String,
    message_type: String,
    received_at: String,
    model: Model,
    link: String,
    #[serde(skip_serializing_if = "is_first")]
    step: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledge: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pseudonym: Option<String>,
}

#[derive(Serialize)]
struct Model {
    id: String,
    version: String,
}

fn label(text: &str) -> String {
    clean(text, MAX_LABEL)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_first(step: &u32) -> bool {
    *step == 0
}

/// RFC 3339, in UTC.
fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// A webhook.
pub struct Webhook {
    template: WebhookTemplate,
    sender: Sender,
}

impl Webhook {
    /// A webhook that sends on a runtime. Send from a thread that is not the runtime's own.
    #[must_use]
    pub fn new(template: WebhookTemplate, runtime: Handle) -> Self {
        let sender = Sender::new(template.name, runtime);
        Self { template, sender }
    }
}

impl Channel for Webhook {
    fn kind(&self) -> Kind {
        Kind::Webhook
    }

    fn name(&self) -> &'static str {
        self.sender.channel()
    }

    fn reaches(&self, address: &Address) -> bool {
        *address == self.template.address
    }

    fn compose(&self, event: &Event<'_>, to: &[Recipient]) -> Result<Vec<Message>, Error> {
        to.iter().map(|recipient| self.template.payload(event, recipient)).collect()
    }

    fn digest(&self, digest: &Digest<'_>) -> Result<Message, Error> {
        self.template.digest(digest)
    }

    fn send(&self, message: &Message) -> Result<Delivery, Error> {
        // The time of the try, not of the message: receivers refuse what was signed long ago.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut request = self.template.client.post(self.template.url.clone());
        for (name, value) in self.template.headers(message, now.as_secs()) {
            request = request.header(name, value);
        }
        self.sender.send(request.header(CONTENT_TYPE, "application/json").body(message.bytes.clone()))?;
        Ok(Delivery::to_all(&message.to))
    }

    fn give_up_after(&self) -> Option<Duration> {
        self.template.give_up_after
    }
}

#[cfg(test)]
mod tests {
    use settings::Secret;

    use super::*;
    use crate::NotificationId;

    fn config() -> WebhookConfig {
        WebhookConfig {
            name: "pager".into(),
            url: "https://pager.hospital.example/hooks/wardstream".into(),
            secrets: vec![Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")],
            pseudonym: false,
            ca_file: None,
            timeout: Duration::from_secs(10),
            give_up_after: None,
        }
    }

    fn template(config: &WebhookConfig) -> WebhookTemplate {
        WebhookTemplate::new(config, Console::parse("https://console.hospital.example").unwrap()).unwrap()
    }

    /// The values are those by which the specification's own libraries are tested; `printf '%s' 'ID.SECONDS.BODY' | openssl dgst
    /// -sha256 -mac HMAC -macopt hexkey:… -binary | base64` gives the same.
    #[test]
    fn the_signature_is_over_id_time_and_body() {
        let message = Message {
            id: NotificationId::at("t", 0, 0, "x"),
            message_id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(),
            to: vec![],
            bytes: br#"{"test": 2432232314}"#.to_vec(),
        };
        let headers = template(&config()).headers(&message, 1_614_265_330);
        assert_eq!(
            headers.map(|(name, value)| format!("{name}: {value}")),
            [
                "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek",
                "webhook-timestamp: 1614265330",
                "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ]
        );
    }

    #[test]
    fn while_a_secret_is_changed_both_sign() {
        let next = Secret::new(STANDARD.encode([7; 32]));
        let both = WebhookConfig { secrets: vec![next.clone(), config().secrets[0].clone()], ..config() };
        let message = Message {
            id: NotificationId::at("t", 0, 0, "x"),
            message_id: "m".into(),
            to: vec![],
            bytes: b"{}".to_vec(),
        };
        let signature = |config: &WebhookConfig| template(config).headers(&message, 1)[2].1.clone();
        let (new, old) = (WebhookConfig { secrets: vec![next], ..config() }, config());
        assert_eq!(signature(&both), format!("{} {}", signature(&new), signature(&old)));
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let refused = |config: WebhookConfig| {
            let console = Console::parse("https://console.hospital.example").unwrap();
            let error = WebhookTemplate::new(&config, console).map(drop).unwrap_err();
            assert_eq!(error.code().as_str(), "NOTIFY-812");
            error.to_string()
        };
        let secret = |text: String| WebhookConfig { secrets: vec![Secret::new(text)], ..config() };
        assert!(refused(WebhookConfig { secrets: vec![], ..config() }).starts_with("secret"));
        assert!(refused(secret("whsec_no base64".into())).starts_with("secret"));
        assert!(refused(secret(STANDARD.encode([0; 23]))).contains("24 to 64"));
        assert!(refused(secret(STANDARD.encode([0; 65]))).contains("24 to 64"));
        assert!(refused(WebhookConfig { url: "http://pager.example".into(), ..config() }).contains("https"));
        assert!(refused(WebhookConfig { name: "a.b".into(), ..config() }).starts_with("name"));
        assert!(refused(WebhookConfig { timeout: Duration::ZERO, ..config() }).starts_with("timeout"));
        let nowhere = Some(PathBuf::from("/nowhere"));
        assert!(refused(WebhookConfig { ca_file: nowhere, ..config() }).starts_with("ca_file"));
    }
}
