//! One HTTP request a notification, and what its answer means.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder};
use tokio::runtime::Handle;
use url::{Host, Url};

use crate::Error;

/// A receiver may ask for a rest of any length (RFC 9110, section 10.2.3), in error too. It is asked again after this.
const LONGEST_REST: Duration = Duration::from_secs(15 * 60);
/// So much of an answer is read for the connection to be used again.
const MAX_ANSWER: usize = 64 * 1024;

/// A client that has one channel's certificates and time-out. Opens no socket.
pub(crate) fn client(timeout: Duration, ca_file: Option<&Path>) -> Result<Client, Error> {
    let setup = |key, reason: String| Error::ChannelSetup { key, reason };
    if timeout.is_zero() {
        return Err(setup("timeout", "must not be 0".to_owned()));
    }
    let mut builder = Client::builder()
        .timeout(timeout)
        // The address is the one that was configured and checked; an answer does not choose another.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("wardstream/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = ca_file {
        let pem =
            std::fs::read(path).map_err(|error| setup("ca_file", format!("cannot be read: {error}")))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .ok()
            .filter(|certificates| !certificates.is_empty())
            .ok_or_else(|| setup("ca_file", "holds no PEM certificate".to_owned()))?;
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().map_err(|_| setup("ca_file", "cannot be used".to_owned()))
}

/// An address to which a notification may go: https, or http to this machine. No credentials in it, for it is shown
/// where configurations are.
pub(crate) fn address(text: &str) -> Result<Url, Error> {
    let invalid = |reason: &str| Error::ChannelSetup { key: "url", reason: reason.to_owned() };
    let url = Url::parse(text).map_err(|_| invalid("is no absolute URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("must not hold credentials"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_this_machine(&url) => Ok(url),
        "http" => Err(invalid("must be https: the notification would cross the network in the clear")),
        _ => Err(invalid("is no https address")),
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

/// Sends for one channel, and rests when its receiver asks for it.
pub(crate) struct Sender {
    channel: &'static str,
    runtime: Handle,
    rest: Mutex<Option<Instant>>,
}

impl Sender {
    pub(crate) fn new(channel: &'static str, runtime: Handle) -> Self {
        Self { channel, runtime, rest: Mutex::default() }
    }

    pub(crate) fn channel(&self) -> &'static str {
        self.channel
    }

    /// Sends one request and blocks until the answer is there.
    ///
    /// A connection that breaks after the request was written leaves open whether it was taken: the error is
    /// transient, and the next try carries the same idempotency key.
    pub(crate) fn send(&self, request: RequestBuilder) -> Result<(), Error> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = rest.and_then(|until| until.checked_duration_since(Instant::now())) {
            return Err(self.unavailable(format!("asked to wait, {} s left", left.as_secs())));
        }
        *rest = None;
        drop(rest);
        let (status, headers) = self.runtime.block_on(async {
            let mut response = request.send().await.map_err(|error| self.unavailable(reason(&error)))?;
            let (mut read, head) = (0, (response.status().as_u16(), response.headers().clone()));
            // The status decides, whatever becomes of the rest of the answer.
            while let Ok(Some(chunk)) = response.chunk().await
                && read < MAX_ANSWER
            {
                read += chunk.len();
            }
            Ok::<_, Error>(head)
        })?;
        match Answer::of(status) {
            Answer::Taken => Ok(()),
            Answer::Unauthorized => Err(Error::ChannelUnauthorized { channel: self.channel, code: status }),
            Answer::Refused => Err(Error::ChannelRefused { channel: self.channel, code: status }),
            Answer::Unavailable => {
                if let Some(asked) = retry_after(&headers, SystemTime::now()) {
                    *self.rest.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(Instant::now() + asked.min(LONGEST_REST));
                }
                Err(self.unavailable(format!("HTTP status {status}")))
            }
        }
    }

    fn unavailable(&self, reason: impl Into<String>) -> Error {
        Error::ChannelUnavailable { channel: self.channel, reason: reason.into() }
    }
}

/// What a status says (RFC 9110, section 15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Taken,
    /// The same request may be taken later. Redirects are here: it is the configuration that has to follow them.
    Unavailable,
    /// The secret or the credentials are wrong, for every event alike: no event is to blame.
    Unauthorized,
    Refused,
}

impl Answer {
    fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Taken,
            401 | 403 | 407 => Self::Unauthorized,
            408 | 425 | 429 => Self::Unavailable,
            400..=499 => Self::Refused,
            _ => Self::Unavailable,
        }
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let now = Timestamp::try_from(now).ok()?;
    Duration::try_from(at.duration_since(now)).ok()
}

/// Never the error's own text, which holds the address and so perhaps a token.
fn reason(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_meaning() {
        for (statuses, answer) in [
            (&[200, 201, 202, 204, 299][..], Answer::Taken),
            (&[301, 302, 304, 307, 308, 408, 425, 429, 500, 502, 503, 504, 599], Answer::Unavailable),
            (&[401, 403, 407], Answer::Unauthorized),
            (&[400, 404, 405, 409, 410, 413, 415, 422, 451], Answer::Refused),
        ] {
            for status in statuses {
                assert_eq!(Answer::of(*status), answer, "{status}");
            }
        }
    }

    #[test]
    fn a_rest_is_asked_for_in_seconds_or_as_a_date() {
        let at = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            // Fri, 31 Dec 1999 23:59:00 GMT
            retry_after(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_740))
        };
        assert_eq!(at("120"), Some(Duration::from_secs(120)));
        assert_eq!(at(" 0 "), Some(Duration::ZERO));
        assert_eq!(at("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::from_secs(59)));
        for none in ["Fri, 31 Dec 1999 23:00:00 GMT", "-3", "1.5", "soon", ""] {
            assert_eq!(at(none), None, "{none}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for good in [
            "https://pager.hospital.example/hooks",
            "http://127.0.0.1:8080/",
            "http://[::1]:9/x",
            "http://LOCALHOST/x",
        ] {
            address(good).unwrap();
        }
        for bad in [
            "http://pager.hospital.example/",
            "http://10.0.0.1/",
            "http://localhost.hospital.example/",
            "https://user:word@pager.hospital.example/",
            "ftp://pager.hospital.example/",
            "pager.hospital.example",
            "",
        ] {
            let error = address(bad).unwrap_err();
            assert_eq!(error.code().as_str(), "NOTIFY-812", "{bad}");
            assert!(!error.to_string().contains("word"), "{error}");
        }
    }
}
