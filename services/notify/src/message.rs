//! The mail: subject, headers, a text part and an HTML part, none with an identifier.
//!
//! A mail is a pure function of the event, its routes, the configuration and the date passed in: a replay composes
//! the same bytes, with the same Message-ID.

use std::fmt::Write as _;
use std::time::SystemTime;

use jiff::Timestamp;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, MultiPartKind, SinglePart};
use lettre::{Address, Message};
use url::Url;

use crate::message_html;
use crate::{Call, Error, Event, NotificationId, Recipient, Routes, Triage};

/// Name and version of the template; part of the notification's id, so that a new template may be sent for an old
/// event.
pub const TEMPLATE: &str = "triage/1";

/// Sentences shown at most; the rest is one click away.
pub(crate) const MAX_SENTENCES: usize = 12;
/// Reasons shown at most.
pub(crate) const MAX_REASONS: usize = 8;
/// Characters of one sentence or reason shown at most.
const MAX_CHARS: usize = 600;
/// What the link says that acknowledges an event.
pub(crate) const ACKNOWLEDGE: &str = "Acknowledge";
/// Characters of a label or code shown at most.
pub(crate) const MAX_LABEL: usize = 80;

/// What every mail has in common.
#[derive(Debug, Clone)]
pub struct ComposerConfig {
    /// Sender's address.
    pub from: String,
    /// Sender's display name, for instance "Wardstream".
    pub from_name: String,
    /// Base URL of the console; the mail links to `{console_url}/events/{event_id}`.
    pub console_url: String,
    /// Right side of the Message-ID; the sender's domain when `None`.
    pub message_id_domain: Option<String>,
}

/// Composes mails; checked once, at start.
#[derive(Debug, Clone)]
pub struct Composer {
    pub(crate) from: Mailbox,
    pub(crate) domain: String,
    pub(crate) console: Console,
}

/// Where the links lead.
#[derive(Debug, Clone)]
pub struct Console(Url);

impl Console {
    /// Of a base URL.
    ///
    /// # Errors
    /// [`Error::ConsoleUrl`].
    pub fn parse(url: &str) -> Result<Self, Error> {
        let mut url = Url::parse(url).map_err(|_| Error::ConsoleUrl)?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(Error::ConsoleUrl);
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// The link to the console itself.
    pub(crate) fn home(&self) -> &str {
        self.0.as_str()
    }

    /// The link to an event.
    pub(crate) fn event(&self, event_id: &str) -> String {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["events", event_id]);
        }
        url.into()
    }
}

/// A composed mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The ledger's key.
    pub id: NotificationId,
    /// `Message-ID` with its angle brackets.
    pub message_id: String,
    /// Envelope sender.
    pub from: Address,
    /// Envelope recipients, each with a mail address.
    pub to: Vec<Recipient>,
    /// The subject.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// The mail as it goes over the wire (RFC 5322), 7-bit, before dot-stuffing.
    pub bytes: Vec<u8>,
}

impl Mail {
    /// The same mail to some of its recipients, for a second attempt after [`crate::Delivery::deferred`].
    #[must_use]
    pub fn only(mut self, recipients: &[Recipient]) -> Self {
        self.to.retain(|recipient| recipients.contains(recipient));
        self
    }
}

/// How a mail looks and is flagged, by urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Emergent,
    Urgent,
    Routine,
    Triage,
}

impl Tone {
    fn of(triage: &Triage, routes: &Routes) -> Self {
        match triage.urgency.as_str() {
            "emergent" => Self::Emergent,
            _ if routes.triage => Self::Triage,
            "urgent" => Self::Urgent,
            _ => Self::Routine,
        }
    }

    /// The word; colour alone tells nothing to one reader in twelve.
    fn word(self, triage: &Triage) -> String {
        match self {
            Self::Emergent => "Emergent".to_owned(),
            Self::Urgent => "Urgent".to_owned(),
            Self::Triage => "Needs triage".to_owned(),
            Self::Routine => sentence_case(&clean(&triage.urgency, MAX_LABEL)),
        }
    }
}

/// Urgency, specialty and document, in words.
pub(crate) struct Heading {
    pub(crate) tone: Tone,
    pub(crate) word: String,
    pub(crate) specialty: String,
    pub(crate) document: String,
}

impl Heading {
    pub(crate) fn of(triage: &Triage, routes: &Routes) -> Self {
        let tone = Tone::of(triage, routes);
        Self {
            tone,
            word: tone.word(triage),
            specialty: sentence_case(&label(&triage.specialty, "no specialty")),
            document: label(&triage.document_type, "document"),
        }
    }
}

/// Urgency, specialty and document in one line, for a channel without a subject.
pub(crate) fn heading(triage: &Triage, routes: &Routes) -> String {
    let Heading { word, specialty, document, .. } = Heading::of(triage, routes);
    format!("{word}: {specialty}, {document}")
}

/// The content of both parts, cleaned and cut to size, not yet escaped.
pub(crate) struct View {
    pub(crate) tone: Tone,
    pub(crate) word: String,
    pub(crate) act: String,
    pub(crate) specialty: String,
    pub(crate) document: String,
    pub(crate) confidence: Option<u8>,
    pub(crate) sentences: Vec<String>,
    pub(crate) more: usize,
    pub(crate) reasons: Vec<String>,
    /// Label and value.
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) link: String,
    pub(crate) acknowledge: Option<String>,
    pub(crate) why: Vec<String>,
    pub(crate) model: String,
    pub(crate) subject: String,
}

impl Composer {
    /// Checks what every mail has in common.
    ///
    /// # Errors
    /// [`Error::Address`] for the sender, [`Error::ConsoleUrl`], [`Error::Compose`] for the Message-ID's domain.
    pub fn new(config: &ComposerConfig) -> Result<Self, Error> {
        let address = crate::address::parse_mail(&config.from)
            .ok_or_else(|| Error::Address { name: "from".to_owned() })?;
        let domain = config.message_id_domain.clone().unwrap_or_else(|| address.domain().to_owned());
        let atom = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if domain.is_empty() || !domain.chars().all(atom) {
            return Err(Error::Compose("message_id_domain is not a domain name in ASCII"));
        }
        let console = Console::parse(&config.console_url)?;
        let name = clean(&config.from_name, MAX_LABEL);
        let name = (!name.is_empty()).then_some(name);
        Ok(Self { from: Mailbox::new(name, address), domain, console })
    }

    /// Envelope sender of every mail.
    pub(crate) fn sender(&self) -> &Address {
        &self.from.email
    }

    /// Composes the mail that tells those on `routes` who have a mail address of an event that nobody need acknowledge.
    /// `date` becomes the `Date` header.
    ///
    /// # Errors
    /// [`Error::Compose`] when there are none.
    pub fn compose(
        &self,
        id: NotificationId,
        triage: &Triage,
        routes: &Routes,
        date: SystemTime,
    ) -> Result<Mail, Error> {
        self.mail(id, triage, routes, date, Call::default())
    }

    /// The same, with what the event says of its escalation.
    pub(crate) fn compose_call(&self, id: NotificationId, event: &Event<'_>) -> Result<Mail, Error> {
        self.mail(id, event.triage, event.routes, event.date, event.call)
    }

    fn mail(
        &self,
        id: NotificationId,
        triage: &Triage,
        routes: &Routes,
        date: SystemTime,
        call: Call<'_>,
    ) -> Result<Mail, Error> {
        let addressed = routes.recipients().into_iter();
        let (to, mailboxes): (Vec<Recipient>, Vec<Mailbox>) = addressed
            .filter_map(|recipient| {
                let address = recipient.address.mail()?.clone();
                let mailbox = Mailbox::new(Some(clean(&recipient.name, MAX_LABEL)), address);
                Some((recipient, mailbox))
            })
            .unzip();
        if to.is_empty() {
            return Err(Error::Compose("no recipients"));
        }
        let view = self.view(triage, routes, call);
        let text = text(&view);
        let html = message_html::render(&view);
        let message_id = format!("<{id}@{}>", self.domain);
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(view.subject.clone())
            .date(date)
            .message_id(Some(message_id.clone()));
        for mailbox in mailboxes {
            builder = builder.to(mailbox);
        }
        let header =
            |name: &'static str, value: String| HeaderValue::new(HeaderName::new_from_ascii_str(name), value);
        builder = builder
            .raw_header(header("X-Wardstream-Event", ascii_token(&triage.event_id)))
            .raw_header(header("X-Wardstream-Notification", id.to_string()))
            .raw_header(header("X-Wardstream-Urgency", ascii_token(&triage.urgency)))
            .raw_header(header("X-Wardstream-Specialty", ascii_token(&triage.specialty)))
            .raw_header(header("X-Wardstream-Received", triage.received_at_ms.to_string()))
            .raw_header(header("X-Wardstream-Triage", if routes.triage { "yes" } else { "no" }.to_owned()))
            // RFC 3834: no vacation notice answers this, and no loop starts.
            .raw_header(header("Auto-Submitted", "auto-generated".to_owned()))
            .raw_header(header("X-Auto-Response-Suppress", "All".to_owned()));
        if call.step > 0 {
            builder = builder.raw_header(header("X-Wardstream-Step", call.step.to_string()));
        }
        if view.tone == Tone::Emergent {
            builder = builder
                .raw_header(header("Importance", "high".to_owned()))
                .raw_header(header("Priority", "urgent".to_owned()))
                .raw_header(header("X-Priority", "1 (Highest)".to_owned()));
        }
        // The boundary follows from the id: with a random one no two compositions would be the same bytes.
        let parts = MultiPart::builder()
            .kind(MultiPartKind::Alternative)
            .boundary(format!("=_{id}"))
            .singlepart(part(ContentType::TEXT_PLAIN, text.clone()))
            .singlepart(part(ContentType::TEXT_HTML, html.clone()));
        let message =
            builder.multipart(parts).map_err(|_| Error::Compose("the headers do not make a message"))?;
        Ok(Mail {
            id,
            message_id,
            from: self.from.email.clone(),
            to,
            subject: view.subject,
            text,
            html,
            bytes: message.formatted(),
        })
    }

    fn view(&self, triage: &Triage, routes: &Routes, call: Call<'_>) -> View {
        let Heading { tone, word, specialty, document } = Heading::of(triage, routes);
        let shown: Vec<String> = lines(&triage.sentences).take(MAX_SENTENCES).collect();
        let more = lines(&triage.sentences).count() - shown.len();
        let mut facts = Vec::new();
        let mut fact = |name, value: String| {
            if !value.is_empty() {
                facts.push((name, value));
            }
        };
        fact("Patient", clean(&triage.pseudonym, MAX_LABEL));
        fact("Facility", clean(&triage.facility, MAX_LABEL));
        fact("Received", when(triage.received_at_ms));
        fact("Message", clean(&triage.message_type, MAX_LABEL));
        fact("Event", clean(&triage.event_id, MAX_LABEL));
        let why = routes
            .routes
            .iter()
            .map(|route| {
                let names: Vec<_> = route.recipients.iter().map(|r| clean(&r.name, MAX_LABEL)).collect();
                format!("{} ({})", names.join(", "), clean(&route.pattern, 3 * MAX_LABEL))
            })
            .collect();
        let model = [&triage.model_id, &triage.model_version].map(|part| clean(part, MAX_LABEL)).join(" ");
        let escalated = call.step > 0;
        let subject =
            format!("[{word}{}] {specialty}: {document}", if escalated { ", not acknowledged" } else { "" });
        let act = match (tone, routes.triage) {
            (Tone::Emergent, false) => "Needs a clinician within minutes to hours.",
            (Tone::Emergent, true) => {
                "May need a clinician within minutes to hours; the model was not sure. Please judge it now."
            }
            (Tone::Urgent, _) => "Needs a clinician within one to three days.",
            (Tone::Triage, _) => "The model was not sure enough to decide. Please judge how urgent it is.",
            (Tone::Routine, _) => "For the normal course of work.",
        };
        let before = if escalated { "Nobody who was told before has acknowledged this. " } else { "" };
        View {
            act: format!("{before}{act}"),
            tone,
            word,
            specialty,
            document,
            confidence: percent(triage.urgency_p),
            sentences: shown,
            more,
            reasons: lines(&triage.reasons).take(MAX_REASONS).collect(),
            facts,
            link: self.console.event(&triage.event_id),
            acknowledge: call.link.map(str::to_owned),
            why,
            model: model.trim().to_owned(),
            subject,
        }
    }
}

pub(crate) fn part(kind: ContentType, body: String) -> SinglePart {
    // Quoted-printable keeps every line under 76 characters and the mail in 7 bits, whatever the server offers.
    let body = lettre::message::Body::new_with_encoding(body, ContentTransferEncoding::QuotedPrintable);
    match body {
        Ok(body) => SinglePart::builder().header(kind).body(body),
        // Quoted-printable encodes any text; base64 is the fallback the signature asks for.
        Err(body) => SinglePart::builder().header(kind).header(ContentTransferEncoding::Base64).body(body),
    }
}

fn text(view: &View) -> String {
    let mut out = String::with_capacity(2_048);
    let heading = format!("{}: {}, {}", view.word.to_uppercase(), view.specialty, view.document);
    let _ = writeln!(out, "{heading}\n{}\n{}", "=".repeat(heading.chars().count().min(72)), view.act);
    let _ = writeln!(out, "\nSummary");
    if view.sentences.is_empty() {
        let _ = writeln!(out, "- No summary: the event has no text to summarise. Open it to see its data.");
    }
    for sentence in &view.sentences {
        let _ = writeln!(out, "- {sentence}");
    }
    if view.more > 0 {
        let _ = writeln!(out, "- and {} more in the event", view.more);
    }
    if !view.reasons.is_empty() {
        let _ = writeln!(out, "\nWhy it was judged so");
        for reason in &view.reasons {
            let _ = writeln!(out, "- {reason}");
        }
    }
    if let Some(link) = &view.acknowledge {
        let _ = writeln!(out, "\n{ACKNOWLEDGE}: nobody else is called then\n{link}");
    }
    let _ = writeln!(out, "\nOpen the event\n{}\n", view.link);
    for (name, value) in &view.facts {
        let _ = writeln!(out, "{:<12}{value}", format!("{name}:"));
    }
    if let Some(confidence) = view.confidence {
        let _ = writeln!(out, "{:<12}{confidence} %", "Confidence:");
    }
    if !view.model.is_empty() {
        let _ = writeln!(out, "{:<12}{}", "Model:", view.model);
    }
    let _ = writeln!(out, "\n-- \nWhy you got this: {}.", view.why.join("; "));
    let _ = writeln!(out, "{}", message_html::FOOTER);
    out
}

pub(crate) fn lines(texts: &[String]) -> impl Iterator<Item = String> + '_ {
    texts.iter().map(|text| clean(text, MAX_CHARS)).filter(|text| !text.is_empty())
}

/// One line without control characters and without the marks that reverse the direction of text, cut to `max`
/// characters.
pub(crate) fn clean(text: &str, max: usize) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let visible: String = text
        .chars()
        .map(|c| if c.is_whitespace() || c.is_control() { ' ' } else { c })
        .filter(|c| !hidden(*c))
        .collect();
    let mut out = String::with_capacity(visible.len());
    for word in visible.split(' ').filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    match out.char_indices().nth(max) {
        None => out,
        Some(_) => {
            let mut cut: String = out.chars().take(max.saturating_sub(1)).collect();
            cut.truncate(cut.trim_end().len());
            cut.push('…');
            cut
        }
    }
}

/// A label of a model as words: `lab-result` to `lab result`.
pub(crate) fn label(text: &str, missing: &str) -> String {
    let text = clean(text, MAX_LABEL);
    if text.is_empty() { missing.to_owned() } else { text.replace('-', " ") }
}

pub(crate) fn sentence_case(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        None => String::new(),
        Some(first) => first.to_uppercase().chain(chars).collect(),
    }
}

fn percent(p: f64) -> Option<u8> {
    if !(0.0..=1.0).contains(&p) {
        return None;
    }
    // In 0..=100 by the check above.
    Some((p * 100.0).round() as u8)
}

pub(crate) fn when(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(at) if ms > 0 => at.strftime("%-d %b %Y, %H:%M:%S UTC").to_string(),
        _ => String::new(),
    }
}

/// A header value that cannot break out of its line.
fn ascii_token(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(MAX_LABEL).collect()
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
