//! One SMTP conversation (RFC 5321, section 4).

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::time::timeout;

use crate::server::{Behaviour, Security, Shared, Step};
use crate::store::Envelope;

/// RFC 4954, section 4: an AUTH line may be longer than the 512 octets of RFC 5321.
const MAX_COMMAND: usize = 12_288;
const MAX_RECIPIENTS: usize = 100;
const MAX_ERRORS: u32 = 20;
const IDLE: Duration = Duration::from_secs(300);

/// Why [`converse`] returned.
pub(crate) enum End<S> {
    Closed,
    StartTls(S),
}

struct Session<'a, S> {
    stream: BufReader<S>,
    shared: &'a Shared,
    encrypted: bool,
    greeted: bool,
    user: Option<String>,
    from: Option<String>,
    to: Vec<String>,
    errors: u32,
}

enum Flow {
    Continue,
    Quit,
    StartTls,
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
    Eof,
}

/// Holds the conversation until the client leaves or asks for TLS; `greet` is false after STARTTLS.
pub(crate) async fn converse<S>(
    stream: S,
    shared: &Shared,
    encrypted: bool,
    greet: bool,
) -> io::Result<End<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut session = Session {
        stream: BufReader::new(stream),
        shared,
        encrypted,
        greeted: false,
        user: None,
        from: None,
        to: Vec::new(),
        errors: 0,
    };
    if greet {
        if let Some(reply) = session.failure(Step::Connect, None) {
            session.reply(&reply).await?;
            return Ok(End::Closed);
        }
        session.reply(&format!("220 {} ESMTP Wardstream mail sink", shared.config.hostname)).await?;
    }
    loop {
        let line = match timeout(IDLE, session.read_line(MAX_COMMAND)).await {
            Err(_) => {
                session.reply("421 4.4.2 idle for too long").await?;
                return Ok(End::Closed);
            }
            Ok(line) => line?,
        };
        let flow = match line {
            Line::Eof => return Ok(End::Closed),
            Line::TooLong => {
                session.reply("500 5.5.2 line too long").await?;
                return Ok(End::Closed);
            }
            Line::Whole(line) => session.command(&String::from_utf8_lossy(&line)).await?,
        };
        match flow {
            Flow::Continue if session.errors > MAX_ERRORS => {
                session.reply("421 4.7.0 too many errors").await?;
                return Ok(End::Closed);
            }
            Flow::Continue => {}
            Flow::Quit => {
                // TLS closes with a message of its own; without it the client reports a truncated stream.
                let _ = session.stream.shutdown().await;
                return Ok(End::Closed);
            }
            Flow::StartTls => {
                // Bytes that came in the clear behind STARTTLS must not be read as if they were protected.
                if !session.stream.buffer().is_empty() {
                    return Ok(End::Closed);
                }
                return Ok(End::StartTls(session.stream.into_inner()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<'_, S> {
    async fn command(&mut self, line: &str) -> io::Result<Flow> {
        let line = line.trim_end_matches(['\r', '\n']);
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => self.ehlo().await?,
            "HELO" => {
                self.reset();
                self.greeted = true;
                let host = self.shared.config.hostname.clone();
                self.reply(&format!("250 {host}")).await?;
            }
            "STARTTLS" => {
                if self.encrypted || self.shared.config.security != Security::StartTls {
                    self.refuse("502 5.5.1 STARTTLS is not offered").await?;
                } else {
                    self.reply("220 2.0.0 ready to start TLS").await?;
                    return Ok(Flow::StartTls);
                }
            }
            "AUTH" => self.auth(rest).await?,
            "MAIL" => self.mail(rest).await?,
            "RCPT" => self.rcpt(rest).await?,
            "DATA" => return self.data().await,
            "RSET" => {
                self.reset();
                self.reply("250 2.0.0 reset").await?;
            }
            "NOOP" => self.reply("250 2.0.0 ok").await?,
            "VRFY" => self.reply("252 2.5.0 not verified").await?,
            "QUIT" => {
                self.reply("221 2.0.0 bye").await?;
                return Ok(Flow::Quit);
            }
            _ => self.refuse("502 5.5.1 unknown command").await?,
        }
        Ok(Flow::Continue)
    }

    async fn ehlo(&mut self) -> io::Result<()> {
        self.reset();
        self.greeted = true;
        let config = &self.shared.config;
        let mut lines = vec![
            config.hostname.clone(),
            "PIPELINING".to_owned(),
            "8BITMIME".to_owned(),
            "SMTPUTF8".to_owned(),
            "ENHANCEDSTATUSCODES".to_owned(),
            format!("SIZE {}", config.max_message_bytes),
        ];
        if config.security == Security::StartTls && !self.encrypted {
            lines.push("STARTTLS".to_owned());
        }
        if config.credentials.is_some() && self.protected() {
            lines.push("AUTH PLAIN LOGIN".to_owned());
        }
        let last = lines.len() - 1;
        let mut text = String::new();
        for (n, line) in lines.iter().enumerate() {
            text.push_str(if n == last { "250 " } else { "250-" });
            text.push_str(line);
            text.push_str("\r\n");
        }
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await
    }

    async fn auth(&mut self, arguments: &str) -> io::Result<()> {
        let Some(expected) = self.shared.config.credentials.clone() else {
            return self.refuse("502 5.5.1 AUTH is not offered").await;
        };
        if !self.greeted {
            return self.refuse("503 5.5.1 EHLO first").await;
        }
        if !self.protected() {
            return self.refuse("530 5.7.0 must issue a STARTTLS command first").await;
        }
        if self.user.is_some() {
            return self.refuse("503 5.5.1 already authenticated").await;
        }
        if let Some(reply) = self.failure(Step::Auth, None) {
            return self.refuse(&reply).await;
        }
        let (mechanism, initial) = arguments.split_once(' ').unwrap_or((arguments, ""));
        let given = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let response = if initial.is_empty() { self.challenge("").await? } else { decode(initial) };
                // RFC 4616: authorization identity NUL user NUL password.
                response.and_then(|bytes| {
                    let mut parts = bytes.split(|byte| *byte == 0);
                    match (parts.next(), parts.next(), parts.next(), parts.next()) {
                        (Some(_), Some(user), Some(password), None) => {
                            Some((user.to_vec(), password.to_vec()))
                        }
                        _ => None,
                    }
                })
            }
            "LOGIN" => {
                let user =
                    if initial.is_empty() { self.challenge("Username:").await? } else { decode(initial) };
                match user {
                    None => None,
                    Some(user) => self.challenge("Password:").await?.map(|password| (user, password)),
                }
            }
            _ => return self.refuse("504 5.5.4 unknown mechanism").await,
        };
        match given {
            None => self.refuse("501 5.5.2 cannot decode the response").await,
            Some((user, password))
                if user == expected.user.as_bytes() && password == expected.password.as_bytes() =>
            {
                self.user = Some(expected.user);
                self.reply("235 2.7.0 authenticated").await
            }
            Some(_) => self.refuse("535 5.7.8 authentication credentials invalid").await,
        }
    }

    async fn challenge(&mut self, prompt: &str) -> io::Result<Option<Vec<u8>>> {
        self.reply(&format!("334 {}", BASE64_STANDARD.encode(prompt))).await?;
        Ok(match self.read_line(MAX_COMMAND).await? {
            Line::Whole(line) => decode(String::from_utf8_lossy(&line).trim_end()),
            Line::TooLong | Line::Eof => None,
        })
    }

    async fn mail(&mut self, arguments: &str) -> io::Result<()> {
        if !self.greeted {
            return self.refuse("503 5.5.1 EHLO first").await;
        }
        if !self.protected() {
            return self.refuse("530 5.7.0 must issue a STARTTLS command first").await;
        }
        if self.shared.config.credentials.is_some() && self.user.is_none() {
            return self.refuse("530 5.7.0 authentication required").await;
        }
        if self.from.is_some() {
            return self.refuse("503 5.5.1 nested MAIL command").await;
        }
        let Some((from, parameters)) = path(arguments, "FROM:") else {
            return self.refuse("501 5.5.4 syntax: MAIL FROM:<address>").await;
        };
        let declared = parameters.split_whitespace().find_map(|parameter| {
            parameter.to_ascii_uppercase().strip_prefix("SIZE=")?.parse::<usize>().ok()
        });
        if declared.is_some_and(|size| size > self.shared.config.max_message_bytes) {
            return self.refuse("552 5.3.4 message exceeds the size limit").await;
        }
        if let Some(reply) = self.failure(Step::Mail, None) {
            return self.refuse(&reply).await;
        }
        self.from = Some(from);
        self.reply("250 2.1.0 sender ok").await
    }

    async fn rcpt(&mut self, arguments: &str) -> io::Result<()> {
        if self.from.is_none() {
            return self.refuse("503 5.5.1 MAIL first").await;
        }
        let Some((to, _)) = path(arguments, "TO:").filter(|(to, _)| !to.is_empty()) else {
            return self.refuse("501 5.5.4 syntax: RCPT TO:<address>").await;
        };
        if self.to.len() >= MAX_RECIPIENTS {
            return self.refuse("452 4.5.3 too many recipients").await;
        }
        if let Some(reply) = self.failure(Step::Rcpt, Some(&to)) {
            return self.refuse(&reply).await;
        }
        self.to.push(to);
        self.reply("250 2.1.5 recipient ok").await
    }

    async fn data(&mut self) -> io::Result<Flow> {
        if self.to.is_empty() {
            self.refuse("503 5.5.1 RCPT first").await?;
            return Ok(Flow::Continue);
        }
        if let Some(reply) = self.failure(Step::Data, None) {
            self.reset();
            self.refuse(&reply).await?;
            return Ok(Flow::Continue);
        }
        self.reply("354 end data with <CR><LF>.<CR><LF>").await?;
        let limit = self.shared.config.max_message_bytes;
        let content = match timeout(IDLE, self.read_content(limit)).await {
            Ok(content) => content?,
            Err(_) => return Ok(Flow::Quit),
        };
        let Some(content) = content else { return Ok(Flow::Quit) };
        let to = std::mem::take(&mut self.to);
        let from = self.from.take().unwrap_or_default();
        match content {
            Err(TooLarge) => self.refuse("552 5.3.4 message exceeds the size limit").await?,
            Ok(raw) => match self.failure(Step::Content, None) {
                Some(reply) => self.refuse(&reply).await?,
                None => {
                    let envelope = Envelope { from, to, encrypted: self.encrypted, user: self.user.clone() };
                    let number = self.shared.store.accept(envelope, raw);
                    if self.shared.behaviour() == Behaviour::VanishAfterAccept {
                        return Ok(Flow::Quit);
                    }
                    self.reply(&format!("250 2.0.0 accepted as {number}")).await?;
                }
            },
        }
        Ok(Flow::Continue)
    }

    /// The message up to the end mark; `None` when the client left before it.
    async fn read_content(&mut self, limit: usize) -> io::Result<Option<Result<Vec<u8>, TooLarge>>> {
        let mut content = Vec::new();
        let mut too_large = false;
        // Only CRLF "." CRLF ends the data: to take a bare LF for a line end is how SMTP smuggling works.
        let mut after_crlf = true;
        let mut line = Vec::new();
        loop {
            let available = self.stream.fill_buf().await?;
            if available.is_empty() {
                return Ok(None);
            }
            let (taken, ended) = match available.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (available.len(), false),
            };
            line.extend_from_slice(available.get(..taken).unwrap_or_default());
            self.stream.consume(taken);
            if !ended && line.len() < 64 * 1024 {
                continue;
            }
            if after_crlf && line == b".\r\n" {
                return Ok(Some(if too_large { Err(TooLarge) } else { Ok(content) }));
            }
            let body = match line.strip_prefix(b".") {
                Some(unstuffed) if after_crlf => unstuffed,
                _ => line.as_slice(),
            };
            if content.len() + body.len() > limit {
                too_large = true;
                content = Vec::new();
            }
            if !too_large {
                content.extend_from_slice(body);
            }
            after_crlf = line.ends_with(b"\r\n");
            line.clear();
        }
    }

    async fn read_line(&mut self, limit: usize) -> io::Result<Line> {
        let mut line = Vec::new();
        loop {
            let available = self.stream.fill_buf().await?;
            if available.is_empty() {
                return Ok(Line::Eof);
            }
            let (taken, ended) = match available.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (available.len(), false),
            };
            line.extend_from_slice(available.get(..taken).unwrap_or_default());
            self.stream.consume(taken);
            if line.len() > limit {
                return Ok(Line::TooLong);
            }
            if ended {
                return Ok(Line::Whole(line));
            }
        }
    }

    async fn refuse(&mut self, text: &str) -> io::Result<()> {
        self.errors += 1;
        self.reply(text).await
    }

    async fn reply(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(format!("{text}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }

    fn protected(&self) -> bool {
        self.encrypted || self.shared.config.security == Security::Plaintext
    }

    fn failure(&self, at: Step, recipient: Option<&str>) -> Option<String> {
        match self.shared.behaviour() {
            Behaviour::Reply { step, code } if step == at => Some(reply_text(code)),
            Behaviour::RejectRecipient { address, code }
                if at == Step::Rcpt && recipient.is_some_and(|to| to.eq_ignore_ascii_case(&address)) =>
            {
                Some(reply_text(code))
            }
            _ => None,
        }
    }
}

struct TooLarge;

fn reply_text(code: u16) -> String {
    format!("{code} {}.0.0 refused as the sink was told to", code / 100)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    // "=" is an empty initial response (RFC 4954, section 4).
    if text == "=" { Some(Vec::new()) } else { BASE64_STANDARD.decode(text).ok() }
}

/// `FROM:<address> parameters` to the address and the parameters.
fn path<'a>(arguments: &'a str, keyword: &str) -> Option<(String, &'a str)> {
    let head = arguments.get(..keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let rest = arguments.get(keyword.len()..)?.trim_start().strip_prefix('<')?;
    let (address, parameters) = rest.split_once('>')?;
    // A source route ("@relay:address") is obsolete and is ignored (RFC 5321, appendix C).
    let address = match address.strip_prefix('@') {
        Some(route) => route.split_once(':')?.1,
        None => address,
    };
    let clean = address.len() <= 320 && !address.chars().any(|c| c.is_control() || c.is_whitespace());
    clean.then(|| (address.to_owned(), parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(path("FROM:<a@b.test> SIZE=3", "FROM:"), Some(("a@b.test".into(), " SIZE=3")));
        assert_eq!(path("from: <>", "FROM:"), Some((String::new(), "")));
        assert_eq!(path("TO:<@relay.test:a@b.test>", "TO:"), Some(("a@b.test".into(), "")));
        assert_eq!(path("TO:a@b.test", "TO:"), None);
        assert_eq!(path("TO:<a b@c>", "TO:"), None);
        assert_eq!(path("é", "TO:"), None);
    }
}
