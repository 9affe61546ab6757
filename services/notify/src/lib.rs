//! The notify service: who hears of an event, what the mail says, and that it is sent once.
//!
//! - [`routing`]: the routing table, from a triage result to recipients or a reason not to tell anyone
//! - [`message`]: the mail, text and HTML, without identifiers
//! - [`mailer`]: SMTP submission, and which failures pass and which stay
//! - [`ledger`]: which notifications went out
//! - [`Notify`]: the stage, and [`run`] the service

mod config;
mod error;
pub mod ledger;
pub mod mailer;
pub mod message;
mod message_html;
pub mod routing;
mod run;
mod triage;

pub use config::{Config, Notify as NotifyConfig, Smtp};
pub use error::{Error, ErrorCode, Step};
pub use ledger::{Entry, Ledger, State};
pub use mailer::{Delivery, Mailer, MailerConfig, Rejection, Security};
pub use message::{Composer, ComposerConfig, Mail, TEMPLATE};
pub use routing::{Decision, DropReason, Recipient, Route, Routes, RoutingTable};
pub use run::{NAME, Notify, run};
pub use triage::{NotificationId, Triage};
