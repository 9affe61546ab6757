//! The notify service: who hears of an event, what the message says, and that it is sent once.
//!
//! - [`routing`]: the routing table, from a triage result to recipients or a reason not to tell anyone
//! - [`channel`]: what a way to reach people must do
//! - [`message`], [`mailer`]: the mail, text and HTML, without identifiers; SMTP submission, and which failures pass
//!   and which stay
//! - [`webhook`]: signed webhooks
//! - [`sms`]: SMS through a provider's gateway
//! - [`ledger`]: which notifications went out
//! - [`escalation`], `board`, `escalator`: who hears next when nobody acknowledges; [`link`], `acknowledge`: the links
//!   that acknowledge, and the pages behind them
//! - `hold`, `outbox`, `digest`: quiet hours, and what is told together
//! - [`Notify`]: the stage, and [`run`] the service

mod acknowledge;
mod address;
mod board;
mod books;
pub mod channel;
mod config;
mod deliveries;
mod digest;
mod digest_message;
mod email;
mod error;
pub mod escalation;
mod escalator;
mod gsm;
mod hold;
mod http;
pub mod ledger;
pub mod link;
pub mod mailer;
pub mod message;
mod message_html;
mod outbox;
pub mod routing;
mod run;
pub mod sms;
mod template;
mod triage;
pub mod webhook;

pub use address::Address;
pub use channel::{Call, Channel, Delivery, Digest, Event, Kind, Message, Rejection};
pub use config::{
    Acknowledge, Config, Notify as NotifyConfig, Sms as SmsSettings, Smtp, Webhook as WebhookSettings,
};
pub use digest_message::DIGEST_TEMPLATE;
pub use email::Email;
pub use error::{Error, ErrorCode, Step};
pub use escalation::{Ladder, Tier};
pub use gsm::Alphabet;
pub use ledger::{Entry, Ledger, State};
pub use link::Links;
pub use mailer::{Mailer, MailerConfig, Security};
pub use message::{Composer, ComposerConfig, Console, Mail, TEMPLATE};
pub use routing::{Decision, DropReason, Recipient, Route, Routes, RoutingTable};
pub use run::{NAME, Notify, run};
pub use sms::{Format, SMS_TEMPLATE, Sms, SmsConfig, SmsTemplate};
pub use triage::{NotificationId, Triage};
pub use webhook::{WEBHOOK_TEMPLATE, Webhook, WebhookConfig, WebhookTemplate};
