//! Mail as a channel: one message for all its recipients.

use crate::{
    Address, Channel, Composer, DIGEST_TEMPLATE, Delivery, Digest, Error, Event, Kind, Mailer, Message,
    Recipient, TEMPLATE,
};

/// The mail server, and what composes for it.
pub struct Email {
    composer: Composer,
    mailer: Mailer,
}

impl Email {
    /// Of a composer and a mailer.
    #[must_use]
    pub fn new(composer: Composer, mailer: Mailer) -> Self {
        Self { composer, mailer }
    }
}

impl Channel for Email {
    fn kind(&self) -> Kind {
        Kind::Email
    }

    fn name(&self) -> &'static str {
        "smtp"
    }

    fn reaches(&self, address: &Address) -> bool {
        address.mail().is_some()
    }

    fn compose(&self, event: &Event<'_>, _: &[Recipient]) -> Result<Vec<Message>, Error> {
        let id = event.notification_id(TEMPLATE);
        let mail = self.composer.compose_call(id, event)?;
        Ok(vec![Message { id, message_id: mail.message_id, to: mail.to, bytes: mail.bytes }])
    }

    fn digest(&self, digest: &Digest<'_>) -> Result<Message, Error> {
        let id = digest.notification_id(DIGEST_TEMPLATE)?;
        let mail = self.composer.compose_digest(id, digest)?;
        Ok(Message { id, message_id: mail.message_id, to: mail.to, bytes: mail.bytes })
    }

    fn send(&self, message: &Message) -> Result<Delivery, Error> {
        self.mailer.submit(self.composer.sender(), &message.to, &message.bytes)
    }
}
