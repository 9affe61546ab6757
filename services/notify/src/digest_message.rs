//! The mail that tells of several events: a text part and an HTML part, none with an identifier.

use std::fmt::Write as _;

use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, MultiPartKind};

use crate::message::{Composer, Heading, MAX_LABEL, Mail, clean, lines, part, when};
use crate::message_html::{DARK, FONT, FOOTER, escape};
use crate::{Digest, Error, NotificationId, Routes, Triage};

/// Name and version of the template; part of the notification's id.
pub const DIGEST_TEMPLATE: &str = "digest/1";

/// One event of the list.
struct Line {
    heading: String,
    received: String,
    sentence: Option<String>,
    link: String,
}

impl Composer {
    /// Composes the mail of a digest.
    ///
    /// # Errors
    /// [`Error::Compose`] when the recipient has no mail address.
    pub(crate) fn compose_digest(&self, id: NotificationId, digest: &Digest<'_>) -> Result<Mail, Error> {
        let address = digest.to.address.mail().ok_or(Error::Compose("no recipients"))?.clone();
        let mailbox = Mailbox::new(Some(clean(&digest.to.name, MAX_LABEL)), address);
        let count = digest.events.len();
        let subject = format!("[Digest] {count} notification{}", if count == 1 { "" } else { "s" });
        let lines: Vec<Line> = digest.events.iter().map(|triage| self.line(triage)).collect();
        let (text, html) = (text(&subject, &lines), html(&subject, &lines));
        let message_id = format!("<{id}@{}>", self.domain);
        let header =
            |name: &'static str, value: String| HeaderValue::new(HeaderName::new_from_ascii_str(name), value);
        let parts = MultiPart::builder()
            .kind(MultiPartKind::Alternative)
            .boundary(format!("=_{id}"))
            .singlepart(part(ContentType::TEXT_PLAIN, text.clone()))
            .singlepart(part(ContentType::TEXT_HTML, html.clone()));
        let message = Message::builder()
            .from(self.from.clone())
            .subject(subject.clone())
            .date(digest.date)
            .message_id(Some(message_id.clone()))
            .to(mailbox)
            .raw_header(header("X-Wardstream-Notification", id.to_string()))
            .raw_header(header("X-Wardstream-Digest", count.to_string()))
            .raw_header(header("Auto-Submitted", "auto-generated".to_owned()))
            .raw_header(header("X-Auto-Response-Suppress", "All".to_owned()))
            .multipart(parts)
            .map_err(|_| Error::Compose("the headers do not make a message"))?;
        Ok(Mail {
            id,
            message_id,
            from: self.from.email.clone(),
            to: vec![digest.to.clone()],
            subject,
            text,
            html,
            bytes: message.formatted(),
        })
    }

    fn line(&self, triage: &Triage) -> Line {
        let nobody = Routes { routes: Vec::new(), triage: false };
        let Heading { word, specialty, document, .. } = Heading::of(triage, &nobody);
        Line {
            heading: format!("{word}: {specialty}, {document}"),
            received: when(triage.received_at_ms),
            sentence: lines(&triage.sentences).next(),
            link: self.console.event(&triage.event_id),
        }
    }
}

fn text(subject: &str, events: &[Line]) -> String {
    let mut out = String::with_capacity(256 * events.len());
    let _ = writeln!(out, "{subject}\n{}", "=".repeat(subject.chars().count()));
    for event in events {
        let _ = writeln!(out, "\n{}", event.heading);
        for line in [Some(&event.received), event.sentence.as_ref(), Some(&event.link)].into_iter().flatten()
        {
            let _ = writeln!(out, "  {line}");
        }
    }
    let _ = writeln!(out, "\n-- \nHeld for your digest or until the end of your quiet hours.\n{FOOTER}");
    out
}

fn html(subject: &str, events: &[Line]) -> String {
    let mut h = String::with_capacity(4_096 + 512 * events.len());
    let title = escape(subject);
    let _ = write!(
        h,
        "<!DOCTYPE html>\n<html lang=\"en\" dir=\"ltr\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"supported-color-schemes\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>{DARK}</style>\n</head>\n\
         <body style=\"margin:0;padding:0\" class=\"page\" bgcolor=\"#f3f5f7\">\n\
         <table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" class=\"page\" bgcolor=\"#f3f5f7\" style=\"background:#f3f5f7;padding:28px 12px\"><tr><td align=\"center\">\n\
         <table role=\"presentation\" width=\"600\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" class=\"card\" bgcolor=\"#ffffff\" style=\"width:100%;max-width:600px;background:#ffffff;border:1px solid #dfe4ea;border-radius:12px;{FONT}\">\n\
         <tr><td class=\"pad\" style=\"padding:24px 32px 8px\"><h1 class=\"ink\" style=\"margin:0;font-size:23px;line-height:30px;color:#161d24\">{title}</h1></td></tr>\n"
    );
    for event in events {
        let _ = write!(
            h,
            "<tr><td class=\"pad rule\" style=\"padding:16px 32px;border-top:1px solid #e6eaef\">\
             <p style=\"margin:0;font-size:16px;line-height:24px;font-weight:600\"><a class=\"link\" href=\"{link}\" style=\"color:#0f6b5c\">{heading}</a></p>\
             <p class=\"soft\" style=\"margin:2px 0 0;font-size:14px;line-height:20px;color:#57636f\">{received}</p>",
            link = escape(&event.link),
            heading = escape(&event.heading),
            received = escape(&event.received),
        );
        if let Some(sentence) = &event.sentence {
            let _ = write!(
                h,
                "<p class=\"ink\" style=\"margin:6px 0 0;font-size:15px;line-height:22px;color:#161d24\">{}</p>",
                escape(sentence)
            );
        }
        h.push_str("</td></tr>\n");
    }
    let _ = write!(
        h,
        "<tr><td class=\"pad rule\" style=\"padding:16px 32px 24px;border-top:1px solid #e6eaef\">\
         <p class=\"soft\" style=\"margin:0;font-size:12px;line-height:18px;color:#57636f\">Held for your digest or until the end of your quiet hours. {footer}</p></td></tr>\n\
         </table>\n</td></tr></table>\n</body>\n</html>\n",
        footer = escape(FOOTER),
    );
    h
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use mail_parser::MessageParser;

    use super::*;
    use crate::{Address, ComposerConfig, Recipient};

    #[test]
    fn a_digest_lists_each_event_and_names_nobody() {
        let composer = Composer::new(&ComposerConfig {
            from: "wardstream@hospital.example".into(),
            from_name: "Wardstream".into(),
            console_url: "https://console.hospital.example".into(),
            message_id_domain: None,
        })
        .unwrap();
        let event = |offset: i64, specialty: &str| Triage {
            event_id: contracts::EventId::at("hl7.raw", 0, offset).to_string(),
            pseudonym: "psn_v1_7Q2K".into(),
            urgency: "routine".into(),
            specialty: specialty.into(),
            document_type: "lab-result".into(),
            sentences: vec!["Potassium 4.1 mmol/L <script>.".into(), "Second.".into()],
            received_at_ms: 1_795_384_800_000,
            ..Triage::default()
        };
        let address = Address::parse("ward@hospital.example").unwrap();
        let (to, events) =
            (Recipient { name: "ward".into(), address }, [event(0, "nephrology"), event(1, "cardiology")]);
        let digest = |events| Digest { to: &to, events, date: SystemTime::UNIX_EPOCH };
        let id = |events| digest(events).notification_id(DIGEST_TEMPLATE).unwrap();
        let mail = composer.compose_digest(id(&events[..]), &digest(&events)).unwrap();
        assert_eq!(mail.subject, "[Digest] 2 notifications");
        for part in [&mail.text, &mail.html] {
            for said in [
                "Routine: Nephrology, lab result",
                "Routine: Cardiology, lab result",
                "22 Nov 2026, 22:00:00 UTC",
            ] {
                assert!(part.contains(said), "{said}");
            }
            assert_eq!(part.matches("https://console.hospital.example/events/").count(), 2);
            assert!(!part.contains("psn_") && !part.contains("Second."));
        }
        assert!(!mail.html.contains("<script"));
        let parsed = MessageParser::default().parse(&mail.bytes).unwrap();
        assert_eq!(parsed.message_id(), Some(format!("{}@hospital.example", mail.id).as_str()));
        assert_eq!(id(&events[..]), mail.id, "composed again it is the same");
        assert!(id(&events[..1]) != mail.id && id(&events[1..]) != mail.id);
        assert!(digest(&[]).notification_id(DIGEST_TEMPLATE).is_err());
    }
}
