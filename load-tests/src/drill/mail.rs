//! A mail server with TLS and a user, on loopback.

use std::path::{Path, PathBuf};

use mail_sink::{Credentials, MailSink};
use settings::Secret;
use tokio::runtime::Handle;

use crate::drill::Error;

const USER: &str = "notify";
const PASSWORD: &str = "only-on-loopback";

/// The mail server.
pub struct Mail {
    /// What it got.
    pub server: MailSink,
    ca_file: PathBuf,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("ca_file", &self.ca_file).finish_non_exhaustive()
    }
}

impl Mail {
    /// Starts it, with its certificate in `folder`. It keeps `keep` mails whole, and all Message-IDs.
    ///
    /// # Errors
    /// When it does not start, or its certificate cannot be written.
    pub fn start(folder: &Path, keep: usize, runtime: &Handle) -> Result<Self, Error> {
        let credentials = Credentials { user: USER.to_owned(), password: PASSWORD.to_owned() };
        let config = mail_sink::Config {
            credentials: Some(credentials),
            keep,
            keep_bytes: 1 << 30,
            ..mail_sink::Config::default()
        };
        let server = runtime.block_on(MailSink::start(config)).map_err(|error| Error::part("mail", error))?;
        let ca_file = folder.join("mail-ca.pem");
        std::fs::write(&ca_file, server.certificate_pem()).map_err(Error::io("mail-ca.pem"))?;
        Ok(Self { server, ca_file })
    }

    /// How `notify` reaches it.
    #[must_use]
    pub fn smtp(&self) -> notify::Smtp {
        Self::smtp_at(self.server.addr().port(), self.ca_file.clone())
    }

    /// How `notify` reaches a server of this kind that another process has started.
    #[must_use]
    pub fn smtp_at(port: u16, ca_file: PathBuf) -> notify::Smtp {
        notify::Smtp {
            host: "127.0.0.1".to_owned(),
            port,
            username: USER.to_owned(),
            password: Secret::new(PASSWORD),
            ca_file: Some(ca_file),
            hello_name: Some("localhost".to_owned()),
            ..notify::Smtp::default()
        }
    }
}
