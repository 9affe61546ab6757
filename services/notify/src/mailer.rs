//! SMTP submission (RFC 6409) over pooled connections, blocking.
//!
//! The conversation is held step by step rather than through lettre's transport, because what a refusal means
//! depends on the step: a 5xx to RCPT condemns one recipient, the same code to AUTH or MAIL condemns every mail
//! there will be, and to dead-letter on it would empty the topic because of one wrong setting.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lettre::Address;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{Certificate, CertificateStore, SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;

use crate::{Delivery, Error, Mail, Recipient, Rejection, Step};

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// STARTTLS, required: without it nothing is sent (RFC 3207). Port 587.
    #[default]
    StartTls,
    /// TLS from the first byte (RFC 8314). Port 465.
    Tls,
    /// None, for a relay on the same machine or in the same pod.
    Plaintext,
}

/// Where and how mail is submitted.
#[derive(Clone)]
pub struct MailerConfig {
    /// Host name or address of the server; with TLS its certificate must name it.
    pub host: String,
    /// Port. Default: 587.
    pub port: u16,
    /// Protection. Default: STARTTLS.
    pub security: Security,
    /// User name and password, when the server asks for them.
    pub credentials: Option<(String, String)>,
    /// PEM file with the certificate authorities to trust *instead of* the public ones.
    pub root_ca: Option<PathBuf>,
    /// Name in EHLO; the machine's host name when `None`.
    pub hello_name: Option<String>,
    /// Longest wait for connect and for each reply. Default: 30 s.
    pub timeout: Duration,
    /// Idle connections kept. Default: 4.
    pub pool: usize,
    /// How long an idle connection is kept. Default: 30 s, below the idle limits of common servers.
    pub idle: Duration,
}

impl Default for MailerConfig {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 587,
            security: Security::default(),
            credentials: None,
            root_ca: None,
            hello_name: None,
            timeout: Duration::from_secs(30),
            pool: 4,
            idle: Duration::from_secs(30),
        }
    }
}

impl fmt::Debug for MailerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailerConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .field("user", &self.credentials.as_ref().map(|(user, _)| user))
            .field("root_ca", &self.root_ca)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What one conversation is about.
#[derive(Clone, Copy)]
struct Envelope<'m> {
    from: &'m Address,
    to: &'m [Recipient],
    content: &'m [u8],
}

/// A mail client with its connections. Share it between threads by reference.
pub struct Mailer {
    config: MailerConfig,
    server: String,
    hello: ClientId,
    tls: Option<TlsParameters>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: SmtpConnection,
    since: Instant,
}

/// How a submission ended that delivered nothing.
enum Failure {
    /// The server answered; the connection is good for the next mail.
    Refused(Error),
    /// The connection is broken; nothing had been accepted before it broke.
    Broken(Error),
}

impl Mailer {
    /// Checks the settings and reads the root certificates; opens no socket.
    ///
    /// # Errors
    /// [`Error::MailerSetup`].
    pub fn new(config: MailerConfig) -> Result<Self, Error> {
        let setup = |reason: &str| Error::MailerSetup(reason.to_owned());
        if config.host.is_empty() || config.port == 0 {
            return Err(setup("host and port must be set"));
        }
        if config.timeout.is_zero() {
            return Err(setup("timeout must not be 0"));
        }
        if config.security == Security::Plaintext
            && config.credentials.is_some()
            && !is_this_machine(&config.host)
        {
            return Err(setup(
                "credentials would cross the network in the clear: set security to starttls or tls",
            ));
        }
        let tls = match config.security {
            Security::Plaintext => None,
            Security::StartTls | Security::Tls => Some(trust(&config)?),
        };
        let hello = config.hello_name.clone().map_or_else(ClientId::default, ClientId::Domain);
        let server = format!("{}:{}", config.host, config.port);
        Ok(Self { config, server, hello, tls, idle: Mutex::default() })
    }

    /// Submits a mail and blocks until the server answered or a timeout passed.
    ///
    /// An idle connection that turns out to be dead before the server took the sender is replaced once; nothing can
    /// be sent twice by that. A connection that breaks between the end of the content and the reply leaves open
    /// whether the mail was taken: the error is [`Error::Unavailable`], and a second attempt carries the same
    /// Message-ID.
    ///
    /// # Errors
    /// [`Error::is_transient`] tells whether to try again ([`Error::Unavailable`], [`Error::Unauthorized`],
    /// [`Error::SenderRefused`]) or to dead-letter ([`Error::RecipientsRefused`], [`Error::MessageRefused`]).
    pub fn send(&self, mail: &Mail) -> Result<Delivery, Error> {
        self.submit(&mail.from, &mail.to, &mail.bytes)
    }

    /// [`Mailer::send`] of a mail by its parts: the envelope sender, recipients with mail addresses, and the content as
    /// it goes over the wire before dot-stuffing.
    ///
    /// # Errors
    /// As [`Mailer::send`].
    pub fn submit(&self, from: &Address, to: &[Recipient], content: &[u8]) -> Result<Delivery, Error> {
        let mail = Envelope { from, to, content };
        if let Some(mut connection) = self.take_idle() {
            match self.sender(&mut connection, mail) {
                Ok(()) => return self.converse(connection, mail),
                Err(Failure::Refused(error)) => {
                    self.keep(connection);
                    return Err(error);
                }
                Err(Failure::Broken(_)) => {}
            }
        }
        let mut connection = self.connect()?;
        match self.sender(&mut connection, mail) {
            Ok(()) => self.converse(connection, mail),
            Err(Failure::Refused(error)) => {
                self.keep(connection);
                Err(error)
            }
            Err(Failure::Broken(error)) => Err(error),
        }
    }

    /// Connects, authenticates and sends a NOOP, or a NOOP alone on an idle connection: for `/readyz`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Unauthorized`].
    pub fn check(&self) -> Result<(), Error> {
        if let Some(mut connection) = self.take_idle()
            && connection.test_connected()
        {
            self.keep(connection);
            return Ok(());
        }
        let connection = self.connect()?;
        self.keep(connection);
        Ok(())
    }

    /// Host and port, for logs.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    fn connect(&self) -> Result<SmtpConnection, Error> {
        let config = &self.config;
        let wrapper = if config.security == Security::Tls { self.tls.as_ref() } else { None };
        let mut connection = SmtpConnection::connect(
            (config.host.as_str(), config.port),
            Some(config.timeout),
            &self.hello,
            wrapper,
            None,
        )
        .map_err(|error| self.unavailable(Step::Connect, &error))?;
        if let (Security::StartTls, Some(tls)) = (config.security, &self.tls) {
            connection.starttls(tls, &self.hello).map_err(|error| self.unavailable(Step::Connect, &error))?;
        }
        if let Some((user, password)) = &config.credentials {
            let credentials = Credentials::new(user.clone(), password.clone());
            connection.auth(DEFAULT_MECHANISMS, &credentials).map_err(|error| match permanent(&error) {
                Some(code) => Error::Unauthorized { server: self.server.clone(), code },
                None => self.unavailable(Step::Auth, &error),
            })?;
        }
        Ok(connection)
    }

    fn sender(&self, connection: &mut SmtpConnection, mail: Envelope<'_>) -> Result<(), Failure> {
        let command = MailFrom::new(Some(mail.from.clone()), Vec::new());
        let Err(error) = connection.command(command) else { return Ok(()) };
        let server = || self.server.clone();
        Err(match permanent(&error) {
            // RFC 4954, section 6: authentication required, too weak, or to be had over TLS only.
            Some(code @ (530 | 534 | 535 | 538)) => {
                Failure::Refused(Error::Unauthorized { server: server(), code })
            }
            Some(code @ 552) => Failure::Refused(Error::MessageRefused { code }),
            Some(code) => Failure::Refused(Error::SenderRefused { server: server(), code }),
            None => self.transient(Step::Mail, &error),
        })
    }

    fn converse(&self, mut connection: SmtpConnection, mail: Envelope<'_>) -> Result<Delivery, Error> {
        let result = self.transfer(&mut connection, mail);
        match result {
            Ok(delivery) => {
                self.keep(connection);
                Ok(delivery)
            }
            Err(Failure::Refused(error)) => {
                // The next mail must not inherit this one's recipients.
                if connection.command(Rset).is_ok() {
                    self.keep(connection);
                }
                Err(error)
            }
            Err(Failure::Broken(error)) => Err(error),
        }
    }

    fn transfer<'m>(&self, connection: &mut SmtpConnection, mail: Envelope<'m>) -> Result<Delivery, Failure> {
        let mut delivery = Delivery::default();
        let mut deferral = None;
        let addressed = |recipient: &'m Recipient| Some((recipient, recipient.address.mail()?));
        for (recipient, address) in mail.to.iter().filter_map(addressed) {
            match connection.command(Rcpt::new(address.clone(), Vec::new())) {
                Ok(_) => delivery.accepted.push(recipient.clone()),
                Err(error) => match permanent(&error) {
                    Some(code) => delivery.rejected.push(Rejection { recipient: recipient.clone(), code }),
                    None => match self.transient(Step::Rcpt, &error) {
                        Failure::Refused(error) => {
                            delivery.deferred.push(recipient.clone());
                            deferral.get_or_insert(error);
                        }
                        broken @ Failure::Broken(_) => return Err(broken),
                    },
                },
            }
        }
        if delivery.accepted.is_empty() {
            return Err(Failure::Refused(match (deferral, delivery.rejected.first()) {
                (Some(error), _) => error,
                (None, Some(rejection)) => Error::RecipientsRefused { code: rejection.code },
                (None, None) => Error::Compose("no recipients"),
            }));
        }
        let refused = |error: SmtpError| match permanent(&error) {
            Some(code) => Failure::Refused(Error::MessageRefused { code }),
            None => self.transient(Step::Data, &error),
        };
        connection.command(Data).map_err(refused)?;
        // lettre's `message` sends the end of the content as a packet of its own, which the kernel holds back until the
        // one before is acknowledged (Nagle's algorithm): 40 ms a mail where the server delays acknowledgements.
        connection.command(content(mail.content)).map_err(refused)?;
        Ok(delivery)
    }

    /// A failure that passes: the server said so (4xx), or the connection broke.
    fn transient(&self, step: Step, error: &SmtpError) -> Failure {
        let unavailable = self.unavailable(step, error);
        match error.status().map(u16::from) {
            // RFC 5321, section 3.8: the server closes the connection after 421.
            None | Some(421) => Failure::Broken(unavailable),
            Some(_) => Failure::Refused(unavailable),
        }
    }

    fn unavailable(&self, step: Step, error: &SmtpError) -> Error {
        Error::Unavailable { server: self.server.clone(), step, reason: reason(error, self.config.timeout) }
    }

    fn take_idle(&self) -> Option<SmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stale = Vec::new();
        let mut found = None;
        while let Some(Idle { connection, since }) = idle.pop() {
            if since.elapsed() < self.config.idle && !connection.has_broken() {
                found = Some(connection);
                break;
            }
            stale.push(connection);
        }
        drop(idle);
        for mut connection in stale {
            connection.abort();
        }
        found
    }

    fn keep(&self, mut connection: SmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.config.pool && !connection.has_broken() {
            idle.push(Idle { connection, since: Instant::now() });
        } else {
            drop(idle);
            connection.abort();
        }
    }
}

impl Drop for Mailer {
    fn drop(&mut self) {
        for Idle { mut connection, .. } in
            self.idle.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..)
        {
            connection.abort();
        }
    }
}

/// What follows DATA: the mail with its leading dots doubled, and the dot that ends it (RFC 5321, section 4.5.2).
fn content(mail: &[u8]) -> String {
    // Composed mails are ASCII.
    let mail = String::from_utf8_lossy(mail);
    let mut content = String::with_capacity(mail.len() + 64);
    if mail.starts_with('.') {
        content.push('.');
    }
    content.push_str(&mail.replace("\r\n.", "\r\n.."));
    if !content.ends_with("\r\n") {
        content.push_str("\r\n");
    }
    content.push_str(".\r\n");
    content
}

fn trust(config: &MailerConfig) -> Result<TlsParameters, Error> {
    let setup = |reason: String| Error::MailerSetup(reason);
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.root_ca {
        let shown = path.display();
        let pem =
            std::fs::read(path).map_err(|error| setup(format!("cannot read root_ca {shown}: {error}")))?;
        // A file without a certificate would be taken, and then no server would be trusted.
        if !pem.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----") {
            return Err(setup(format!("root_ca {shown} holds no PEM certificate")));
        }
        let certificate = Certificate::from_pem(&pem)
            .map_err(|error| setup(format!("root_ca {shown}: {}", reason(&error, config.timeout))))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    builder.build().map_err(|error| setup(reason(&error, config.timeout)))
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn permanent(error: &SmtpError) -> Option<u16> {
    error.is_permanent().then(|| error.status().map(u16::from)).flatten()
}

/// What the connection did or the reply code; never the server's text, which may quote the mail.
fn reason(error: &SmtpError, timeout: Duration) -> String {
    if let Some(code) = error.status() {
        return format!("reply {}", u16::from(code));
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return match io.kind() {
                // A socket's read timeout shows as WouldBlock on Linux.
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    format!("no answer within {} s", timeout.as_secs_f32())
                }
                _ => io.to_string(),
            };
        }
        source = cause.source();
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::content;

    #[test]
    fn no_line_of_a_mail_ends_it() {
        assert_eq!(content(b".\r\na\r\n.\r\n.b\r\n"), "..\r\na\r\n..\r\n..b\r\n.\r\n");
        assert_eq!(content(b"a\r\n\r\n."), "a\r\n\r\n..\r\n.\r\n");
        assert_eq!(content(b""), "\r\n.\r\n");
    }
}
