//! An SMTP server in process that keeps what it receives, for the demo and for tests.
//!
//! It speaks the parts of RFC 5321 a submission client uses, with STARTTLS (RFC 3207), AUTH PLAIN and LOGIN
//! (RFC 4954), SIZE (RFC 1870), PIPELINING and 8BITMIME, on a certificate it makes for itself at start. A test can
//! make it fail at a chosen step, or take it down and up again on the same port ([`MailSink::pause`],
//! [`MailSink::set_behaviour`]).
//!
//! It relays nothing and is no mail server for production.
//!
//! - [`server`](self): [`MailSink`], [`Config`], [`Security`], [`Behaviour`]
//! - `session`: one SMTP conversation
//! - `store`: [`ReceivedMessage`], the last messages, exact counts
//! - `certificate`: a certificate authority of its own

mod certificate;
mod server;
mod session;
mod store;

pub use server::{Behaviour, Config, Credentials, Error, MailSink, Security, Step};
pub use store::ReceivedMessage;
