//! SMS through the HTTP gateway of a provider, whose request is a template.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method};
use tokio::runtime::Handle;
use url::Url;

use crate::gsm::Alphabet;
use crate::http::{self, Sender};
use crate::message::{Console, heading, label, lines};
use crate::template::{Escape, Field, Fields, Template};
use crate::{Address, Channel, Delivery, Digest, Error, Event, Kind, Message, Recipient};

/// Name and version of the text; part of the notification's id.
pub const SMS_TEMPLATE: &str = "sms/1";

/// The same of a digest.
const DIGEST_TEMPLATE: &str = "sms-digest/1";
/// Below this nothing but the urgency would fit.
const LEAST_UNITS: usize = 40;
/// The header that says which requests are the same one (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// How the body is written, and its `Content-Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `text/plain`.
    Text,
}

impl Format {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Text => "text/plain; charset=utf-8",
        }
    }

    const fn escape(self) -> Escape {
        match self {
            Self::Json => Escape::Json,
            Self::Form => Escape::Form,
            Self::Text => Escape::Plain,
        }
    }
}

/// The gateway.
#[derive(Debug, Clone)]
pub struct SmsConfig {
    /// GET, POST or PUT.
    pub method: Method,
    /// Template of the address: https, or http on this machine.
    pub url: String,
    /// Value of `Authorization`; empty: none.
    pub authorization: settings::Secret,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// How the body is written.
    pub format: Format,
    /// Template of the body; empty: none.
    pub body: String,
    /// Units of a text at most.
    pub max_characters: usize,
    /// What the units are.
    pub alphabet: Alphabet,
    /// Whether the text has sentences of the summary.
    pub summary: bool,
    /// PEM file with the certificate authorities to trust *instead of* the public ones.
    pub ca_file: Option<PathBuf>,
    /// Longest wait for the answer.
    pub timeout: Duration,
    /// [`Channel::give_up_after`].
    pub give_up_after: Option<Duration>,
}

/// The gateway, checked; it cannot send yet.
pub struct SmsTemplate {
    method: Method,
    url: Template,
    headers: HeaderMap,
    format: Format,
    body: Option<Template>,
    max_characters: usize,
    alphabet: Alphabet,
    summary: bool,
    give_up_after: Option<Duration>,
    console: Console,
    client: Client,
}

impl SmsTemplate {
    /// Checks the settings and reads the certificates; opens no socket.
    ///
    /// # Errors
    /// [`Error::ChannelSetup`].
    pub fn new(config: &SmsConfig, console: Console) -> Result<Self, Error> {
        let template = |key, text: &str| {
            Template::parse(text)
                .map_err(|word| setup(key, format!("has {{{word}}}; there are {{to}}, {{text}} and {{id}}")))
        };
        let url = template("url", &config.url)?;
        let body = (!config.body.is_empty()).then(|| template("body", &config.body)).transpose()?;
        for (field, name) in [(Field::To, "{to}"), (Field::Text, "{text}")] {
            if !url.has(field) && !body.as_ref().is_some_and(|body| body.has(field)) {
                return Err(setup("body", format!("has no {name}, and neither has url")));
            }
        }
        let sample = Fields { to: "+4520123456", text: "a \"b\"", id: "0" };
        http::address(&url.fill(sample, Escape::Percent))?;
        if let (Format::Json, Some(body)) = (config.format, &body)
            && serde_json::from_str::<serde_json::Value>(&body.fill(sample, Escape::Json)).is_err()
        {
            return Err(setup("body", "is no JSON once it is filled in"));
        }
        if config.max_characters < LEAST_UNITS {
            return Err(setup("max_characters", format!("must be at least {LEAST_UNITS}")));
        }
        Ok(Self {
            method: config.method.clone(),
            url,
            headers: headers(config)?,
            format: config.format,
            body,
            max_characters: config.max_characters,
            alphabet: config.alphabet,
            summary: config.summary,
            give_up_after: config.give_up_after,
            console,
            client: http::client(config.timeout, config.ca_file.as_deref())?,
        })
    }

    /// The text that tells of an event: urgency, specialty and document, what fits of the summary, the link that
    /// acknowledges it and the link to it. Never a pseudonym. A link that does not fit is left out whole.
    #[must_use]
    pub fn text(&self, event: &Event<'_>) -> String {
        let (alphabet, limit) = (self.alphabet, self.max_characters);
        let mut head = heading(event.triage, event.routes);
        if event.call.step > 0 {
            head.insert_str(0, "Not acknowledged. ");
        }
        let head = alphabet.write(&head);
        let summary: Vec<String> =
            if self.summary { lines(&event.triage.sentences).collect() } else { Vec::new() };
        let summary = alphabet.write(&summary.join(" "));
        let used = |link: &str| alphabet.units(&head) + alphabet.units(link) + 1;
        let open = self.console.event(&event.triage.event_id);
        // Whoever acknowledges keeps others from being called, so that link comes before the one to the event.
        let links = match event.call.link {
            Some(acknowledge) => {
                vec![
                    format!("Acknowledge: {acknowledge} Open: {open}"),
                    format!("Acknowledge: {acknowledge}"),
                    open,
                ]
            }
            None => vec![open],
        };
        let fitting = links.iter().map(|link| alphabet.write(link)).find(|link| used(link) <= limit);
        let Some(link) = fitting else {
            return alphabet.cut(format!("{head}. {summary}").trim_end(), limit);
        };
        let used = used(&link);
        let middle = alphabet.cut(&summary, (limit - used).saturating_sub(2));
        if middle.is_empty() { format!("{head} {link}") } else { format!("{head}. {middle} {link}") }
    }

    /// How many events there are of which specialty, as many specialties as fit, and the link to the console.
    fn digest(&self, digest: &Digest<'_>) -> String {
        let mut specialties: BTreeMap<String, usize> = BTreeMap::new();
        for triage in digest.events {
            *specialties.entry(label(&triage.specialty, "no specialty")).or_default() += 1;
        }
        let (alphabet, limit) = (self.alphabet, self.max_characters);
        let count = digest.events.len();
        let head = alphabet.write(&format!("{count} notification{}", if count == 1 { "" } else { "s" }));
        let parts: Vec<String> =
            specialties.iter().map(|(specialty, count)| format!("{specialty} {count}")).collect();
        let parts = alphabet.write(&parts.join(", "));
        let link = alphabet.write(self.console.home());
        let used = alphabet.units(&head) + alphabet.units(&link) + 1;
        if used > limit {
            return alphabet.cut(&format!("{head}: {parts}"), limit);
        }
        let middle = alphabet.cut(&parts, (limit - used).saturating_sub(2));
        if middle.is_empty() { format!("{head} {link}") } else { format!("{head}: {middle} {link}") }
    }

    fn fields<'m>(message: &'m Message, to: &'m str, text: &'m str) -> Fields<'m> {
        Fields { to, text, id: &message.message_id }
    }
}

fn setup(key: &'static str, reason: impl Into<String>) -> Error {
    Error::ChannelSetup { key, reason: reason.into() }
}

fn headers(config: &SmsConfig) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(config.format.content_type()));
    for (name, value) in &config.headers {
        let header = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        let (name, value) = header.ok_or_else(|| setup("headers", format!("{name:?} is no header")))?;
        headers.insert(name, value);
    }
    if !config.authorization.is_empty() {
        let mut value = HeaderValue::try_from(config.authorization.expose())
            .map_err(|_| setup("authorization", "is no value of a header"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// The SMS gateway.
pub struct Sms {
    template: SmsTemplate,
    sender: Sender,
}

impl Sms {
    /// A gateway that is reached on a runtime. Send from a thread that is not the runtime's own.
    #[must_use]
    pub fn new(template: SmsTemplate, runtime: Handle) -> Self {
        Self { template, sender: Sender::new("sms", runtime) }
    }
}

impl Channel for Sms {
    fn kind(&self) -> Kind {
        Kind::Sms
    }

    fn name(&self) -> &'static str {
        self.sender.channel()
    }

    fn reaches(&self, address: &Address) -> bool {
        matches!(address, Address::Sms(_))
    }

    fn compose(&self, event: &Event<'_>, to: &[Recipient]) -> Result<Vec<Message>, Error> {
        let text = self.template.text(event);
        let message = |recipient: &Recipient| {
            let id = event.notification_id(&format!("{SMS_TEMPLATE} {}", recipient.address));
            Message {
                id,
                message_id: id.to_string(),
                to: vec![recipient.clone()],
                bytes: text.clone().into_bytes(),
            }
        };
        Ok(to.iter().map(message).collect())
    }

    fn digest(&self, digest: &Digest<'_>) -> Result<Message, Error> {
        let id = digest.notification_id(DIGEST_TEMPLATE)?;
        let text = self.template.digest(digest);
        Ok(Message { id, message_id: id.to_string(), to: vec![digest.to.clone()], bytes: text.into_bytes() })
    }

    fn send(&self, message: &Message) -> Result<Delivery, Error> {
        let [Recipient { address: Address::Sms(number), .. }] = message.to.as_slice() else {
            return Err(Error::Compose("an SMS has one recipient with a number"));
        };
        let text = String::from_utf8_lossy(&message.bytes);
        let (template, fields) = (&self.template, SmsTemplate::fields(message, number, &text));
        let url = Url::parse(&template.url.fill(fields, Escape::Percent))
            .map_err(|_| Error::Compose("the gateway's address cannot be filled in"))?;
        let mut request = template
            .client
            .request(template.method.clone(), url)
            .headers(template.headers.clone())
            .header(IDEMPOTENCY_KEY, &message.message_id);
        if let Some(body) = &template.body {
            request = request.body(body.fill(fields, template.format.escape()));
        }
        self.sender.send(request)?;
        Ok(Delivery::to_all(&message.to))
    }

    fn give_up_after(&self) -> Option<Duration> {
        self.template.give_up_after
    }
}
