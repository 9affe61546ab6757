//! The last messages, and counts that stay exact when older messages are gone.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use mail_parser::MessageParser;
use tokio::sync::watch;

/// One message as the sink accepted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// Position among all accepted messages, from 1.
    pub number: u64,
    /// When the final `250` was sent.
    pub received_at: SystemTime,
    /// Envelope sender (`MAIL FROM`), empty for a bounce.
    pub from: String,
    /// Envelope recipients (`RCPT TO`).
    pub to: Vec<String>,
    /// `Subject`, decoded.
    pub subject: String,
    /// `Message-ID` without the angle brackets.
    pub message_id: Option<String>,
    /// First `text/plain` part.
    pub text: Option<String>,
    /// First `text/html` part.
    pub html: Option<String>,
    /// Whether the message came over TLS.
    pub encrypted: bool,
    /// The user who authenticated.
    pub user: Option<String>,
    /// The message as it came, dot-unstuffed.
    pub raw: Vec<u8>,
}

impl ReceivedMessage {
    /// A header's value, unfolded and trimmed; `name` is matched without regard to case.
    pub fn header(&self, name: &str) -> Option<String> {
        let message = MessageParser::default().parse_headers(&self.raw[..])?;
        let raw = message.header_raw(name)?;
        Some(raw.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// What the session knows about a message beside its content.
pub(crate) struct Envelope {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) encrypted: bool,
    pub(crate) user: Option<String>,
}

/// Messages and counts, shared by all sessions.
pub(crate) struct Store {
    inner: Mutex<Inner>,
    keep: usize,
    keep_bytes: usize,
    count: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    recent: VecDeque<Arc<ReceivedMessage>>,
    bytes: usize,
    count: u64,
    duplicates: u64,
    without_id: u64,
    ids: HashSet<Box<str>>,
}

impl Store {
    pub(crate) fn new(keep: usize, keep_bytes: usize) -> Self {
        Self { inner: Mutex::default(), keep, keep_bytes, count: watch::Sender::new(0) }
    }

    pub(crate) fn accept(&self, envelope: Envelope, raw: Vec<u8>) -> u64 {
        let parsed = MessageParser::default().parse(&raw[..]);
        let (subject, message_id, text, html) = match &parsed {
            None => (String::new(), None, None, None),
            Some(message) => (
                message.subject().unwrap_or_default().to_owned(),
                message.message_id().map(str::to_owned),
                // Only real parts: the parser would otherwise convert one into the other.
                message
                    .text_part(0)
                    .filter(|part| part.is_text() && !part.is_text_html())
                    .and_then(|part| part.text_contents())
                    .map(str::to_owned),
                message
                    .html_part(0)
                    .filter(|part| part.is_text_html())
                    .and_then(|part| part.text_contents())
                    .map(str::to_owned),
            ),
        };
        drop(parsed);
        let mut inner = self.lock();
        inner.count += 1;
        let number = inner.count;
        match &message_id {
            Some(id) => {
                if !inner.ids.insert(id.as_str().into()) {
                    inner.duplicates += 1;
                }
            }
            None => inner.without_id += 1,
        }
        inner.bytes += raw.len();
        inner.recent.push_back(Arc::new(ReceivedMessage {
            number,
            received_at: SystemTime::now(),
            from: envelope.from,
            to: envelope.to,
            subject,
            message_id,
            text,
            html,
            encrypted: envelope.encrypted,
            user: envelope.user,
            raw,
        }));
        while inner.recent.len() > self.keep || (inner.bytes > self.keep_bytes && inner.recent.len() > 1) {
            let Some(gone) = inner.recent.pop_front() else { break };
            inner.bytes -= gone.raw.len();
        }
        drop(inner);
        self.count.send_replace(number);
        number
    }

    pub(crate) fn recent(&self) -> Vec<Arc<ReceivedMessage>> {
        self.lock().recent.iter().cloned().collect()
    }

    pub(crate) fn count(&self) -> u64 {
        self.lock().count
    }

    pub(crate) fn unique(&self) -> u64 {
        let inner = self.lock();
        inner.ids.len() as u64 + inner.without_id
    }

    pub(crate) fn duplicates(&self) -> u64 {
        self.lock().duplicates
    }

    pub(crate) fn has(&self, message_id: &str) -> bool {
        self.lock().ids.contains(message_id)
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    // The lists stay whole if a thread panics while it holds the lock: each change is complete in itself.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        Envelope { from: "a@x.test".into(), to: vec!["b@x.test".into()], encrypted: false, user: None }
    }

    fn mail(id: &str) -> Vec<u8> {
        format!(
            "Message-ID: <{id}>\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nX-One: two\r\n  three\r\n\r\nbody\r\n"
        )
        .into_bytes()
    }

    #[test]
    fn counts_stay_exact_when_messages_are_forgotten() {
        let store = Store::new(3, usize::MAX);
        for n in 0..10 {
            store.accept(envelope(), mail(&format!("{}@x", n % 4)));
        }
        store.accept(envelope(), b"no header at all".to_vec());
        assert_eq!((store.count(), store.unique(), store.duplicates()), (11, 5, 6));
        let recent = store.recent();
        assert_eq!(recent.iter().map(|m| m.number).collect::<Vec<_>>(), [9, 10, 11]);
        assert_eq!(recent[0].subject, "café");
        assert_eq!(recent[0].header("x-one").as_deref(), Some("two three"));
        assert_eq!(recent[0].text.as_deref().map(str::trim), Some("body"));
        assert_eq!(recent[0].html, None);
        assert!(store.has("3@x") && !store.has("4@x"));
    }

    #[test]
    fn bytes_bound_what_is_kept() {
        let store = Store::new(100, 200);
        for n in 0..20 {
            store.accept(envelope(), mail(&format!("{n}@x")));
        }
        assert!(store.recent().iter().map(|m| m.raw.len()).sum::<usize>() <= 200);
        assert_eq!(store.count(), 20);
    }
}
