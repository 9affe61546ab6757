//! What a way to reach people must do, so that the stage can keep its promises over any of them.

use std::time::{Duration, SystemTime};

use contracts::EventId;

use crate::{Address, Error, NotificationId, Recipient, Routes, Triage};

/// A way to reach people.
///
/// The promises of the stage rest on four rules (`docs/adr/0015-one-contract-for-all-channels.md`):
///
/// 1. [`Channel::compose`] is pure: an event that is met again gives messages of the same ids, in the same order.
/// 2. The id of a message goes with it, in a form that the receiving side can tell a repetition by.
/// 3. [`Channel::send`] returns `Ok` only once the other side has taken the message over.
/// 4. An error that [`Error::is_transient`] means that the same message may be taken later; any other means that it
///    never will be.
pub trait Channel: Send + Sync {
    /// What sort of channel it is.
    fn kind(&self) -> Kind;

    /// Name of what it depends on, as readiness and the metrics show it: `smtp`, `webhook/pager`.
    fn name(&self) -> &'static str;

    /// Whether it is this channel that reaches an address.
    fn reaches(&self, address: &Address) -> bool;

    /// The messages that tell these recipients of an event.
    ///
    /// # Errors
    /// [`Error::Compose`]; the event is a dead letter.
    fn compose(&self, event: &Event<'_>, to: &[Recipient]) -> Result<Vec<Message>, Error>;

    /// The message that tells a recipient of several events at once; the same rules hold.
    ///
    /// # Errors
    /// [`Error::Compose`]; the events are not told of.
    fn digest(&self, digest: &Digest<'_>) -> Result<Message, Error>;

    /// Hands a message over, and blocks until the other side has answered or a time-out has passed.
    ///
    /// # Errors
    /// [`Error::is_transient`] tells whether to try again.
    fn send(&self, message: &Message) -> Result<Delivery, Error>;

    /// How old an event may be, counted from its reception, for this channel to hold it up while it is away; `None`:
    /// of any age. An event that no channel took is held whatever its age.
    fn give_up_after(&self) -> Option<Duration> {
        None
    }
}

/// The sorts of channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// SMTP.
    Email,
    /// HTTP POST of JSON, signed.
    Webhook,
    /// The SMS gateway.
    Sms,
}

impl Kind {
    /// The word in `notification.sent` and in the metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
            Self::Sms => "sms",
        }
    }
}

/// An event of which people are told.
#[derive(Debug, Clone, Copy)]
pub struct Event<'e> {
    /// Its id.
    pub id: EventId,
    /// What is known of it.
    pub triage: &'e Triage,
    /// Who hears, and why.
    pub routes: &'e Routes,
    /// When the message is composed. No id may depend on it.
    pub date: SystemTime,
    /// Whether somebody is asked to acknowledge it.
    pub call: Call<'e>,
}

/// Events of which a recipient is told at once, in the order in which they came.
#[derive(Debug, Clone, Copy)]
pub struct Digest<'d> {
    /// Who hears.
    pub to: &'d Recipient,
    /// At least one.
    pub events: &'d [Triage],
    /// When the message is composed. No id may depend on it.
    pub date: SystemTime,
}

impl Digest<'_> {
    /// The id of the message by this template: it follows from the first event, the last, and how many there are.
    ///
    /// # Errors
    /// [`Error::Compose`] when there are none.
    pub fn notification_id(&self, template: &str) -> Result<NotificationId, Error> {
        let id = |event: Option<&Triage>| EventId::parse(&event?.event_id);
        match (id(self.events.first()), id(self.events.last())) {
            (Some(first), Some(last)) => {
                let name = format!("{template} {} {last} {}", self.to.address, self.events.len());
                Ok(NotificationId::of(&first, &name))
            }
            _ => Err(Error::Compose("a digest has no events")),
        }
    }
}

/// How a message asks to acknowledge an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Call<'e> {
    /// The step of the escalation: 0 for the recipients of the routes.
    pub step: u32,
    /// The link that acknowledges it.
    pub link: Option<&'e str>,
}

impl Event<'_> {
    /// The id of a message by this template: another one in each step of the escalation.
    #[must_use]
    pub fn notification_id(&self, template: &str) -> NotificationId {
        match self.call.step {
            0 => NotificationId::of(&self.id, template),
            step => NotificationId::of(&self.id, &format!("{template} step {step}")),
        }
    }
}

/// A message as a channel hands it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The ledger's key.
    pub id: NotificationId,
    /// What the receiving side knows it by: the Message-ID of a mail, otherwise the id.
    pub message_id: String,
    /// Whom it is for.
    pub to: Vec<Recipient>,
    /// A mail (RFC 5322), JSON, or the text of an SMS.
    pub bytes: Vec<u8>,
}

impl Message {
    /// The same message to some of its recipients, for a second attempt after [`Delivery::deferred`].
    #[must_use]
    pub fn only(mut self, recipients: &[Recipient]) -> Self {
        self.to.retain(|recipient| recipients.contains(recipient));
        self
    }
}

/// A recipient that was refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Who.
    pub recipient: Recipient,
    /// The other side's reply code.
    pub code: u16,
}

/// What the other side did with a message that it took for at least one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivery {
    /// These will get it.
    pub accepted: Vec<Recipient>,
    /// These will not.
    pub rejected: Vec<Rejection>,
    /// The other side asks to try these again later: send [`Message::only`] them.
    pub deferred: Vec<Recipient>,
}

impl Delivery {
    /// Everyone will get it.
    #[must_use]
    pub fn to_all(recipients: &[Recipient]) -> Self {
        Self { accepted: recipients.to_vec(), ..Self::default() }
    }
}
