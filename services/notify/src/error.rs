//! What can go wrong between a triage result and an accepted notification.

/// A stable code, with a title and what to do next; `docs/errors` has a page for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// NOTIFY-801
    RoutingSyntax,
    /// NOTIFY-802
    Address,
    /// NOTIFY-803
    Uncovered,
    /// NOTIFY-804
    UnknownRecipient,
    /// NOTIFY-805
    DuplicateRoute,
    /// NOTIFY-806
    UnknownLabel,
    /// NOTIFY-807
    NoRecipients,
    /// NOTIFY-808
    ConsoleUrl,
    /// NOTIFY-809
    UnknownChannel,
    /// NOTIFY-810
    Compose,
    /// NOTIFY-811
    MailerSetup,
    /// NOTIFY-812
    ChannelSetup,
    /// NOTIFY-813
    Tier,
    /// NOTIFY-814
    NoAcknowledgement,
    /// NOTIFY-815
    Hold,
    /// NOTIFY-820
    Unavailable,
    /// NOTIFY-821
    Unauthorized,
    /// NOTIFY-822
    SenderRefused,
    /// NOTIFY-823
    RecipientsRefused,
    /// NOTIFY-824
    MessageRefused,
    /// NOTIFY-830
    ChannelUnavailable,
    /// NOTIFY-831
    ChannelUnauthorized,
    /// NOTIFY-832
    ChannelRefused,
}

impl ErrorCode {
    /// Every code, in order.
    pub const ALL: [Self; 23] = [
        Self::RoutingSyntax,
        Self::Address,
        Self::Uncovered,
        Self::UnknownRecipient,
        Self::DuplicateRoute,
        Self::UnknownLabel,
        Self::NoRecipients,
        Self::ConsoleUrl,
        Self::UnknownChannel,
        Self::Compose,
        Self::MailerSetup,
        Self::ChannelSetup,
        Self::Tier,
        Self::NoAcknowledgement,
        Self::Hold,
        Self::Unavailable,
        Self::Unauthorized,
        Self::SenderRefused,
        Self::RecipientsRefused,
        Self::MessageRefused,
        Self::ChannelUnavailable,
        Self::ChannelUnauthorized,
        Self::ChannelRefused,
    ];

    /// The code as it stands in logs, dead letters and the docs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoutingSyntax => "NOTIFY-801",
            Self::Address => "NOTIFY-802",
            Self::Uncovered => "NOTIFY-803",
            Self::UnknownRecipient => "NOTIFY-804",
            Self::DuplicateRoute => "NOTIFY-805",
            Self::UnknownLabel => "NOTIFY-806",
            Self::NoRecipients => "NOTIFY-807",
            Self::ConsoleUrl => "NOTIFY-808",
            Self::UnknownChannel => "NOTIFY-809",
            Self::Compose => "NOTIFY-810",
            Self::MailerSetup => "NOTIFY-811",
            Self::ChannelSetup => "NOTIFY-812",
            Self::Tier => "NOTIFY-813",
            Self::NoAcknowledgement => "NOTIFY-814",
            Self::Hold => "NOTIFY-815",
            Self::Unavailable => "NOTIFY-820",
            Self::Unauthorized => "NOTIFY-821",
            Self::SenderRefused => "NOTIFY-822",
            Self::RecipientsRefused => "NOTIFY-823",
            Self::MessageRefused => "NOTIFY-824",
            Self::ChannelUnavailable => "NOTIFY-830",
            Self::ChannelUnauthorized => "NOTIFY-831",
            Self::ChannelRefused => "NOTIFY-832",
        }
    }

    /// What it means, one line.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::RoutingSyntax => "the routing table cannot be read",
            Self::Address => "an address is none that a channel could reach",
            Self::Uncovered => "an urgency has no route for every specialty and facility",
            Self::UnknownRecipient => "a route names a recipient that is not defined",
            Self::DuplicateRoute => "two routes match the same events",
            Self::UnknownLabel => "a route names an urgency or specialty that no model gives",
            Self::NoRecipients => "the triage queue or a route has no recipients",
            Self::ConsoleUrl => "the console's address is not an http(s) URL",
            Self::UnknownChannel => "a recipient's channel is not set up",
            Self::Compose => "the notification cannot be composed",
            Self::MailerSetup => "the SMTP settings cannot work",
            Self::ChannelSetup => {
                "the settings of a webhook, of the SMS gateway or of acknowledgements cannot work"
            }
            Self::Tier => "a tier of the escalation cannot work",
            Self::NoAcknowledgement => "there are tiers, and no way to acknowledge",
            Self::Hold => "quiet hours or digests cannot work",
            Self::Unavailable => "the mail server cannot be reached or defers all mail",
            Self::Unauthorized => "the mail server refuses the credentials",
            Self::SenderRefused => "the mail server refuses the sender",
            Self::RecipientsRefused => "the mail server refuses every recipient",
            Self::MessageRefused => "the mail server refuses the message",
            Self::ChannelUnavailable => {
                "a webhook or the SMS gateway cannot be reached, fails, or asks to wait"
            }
            Self::ChannelUnauthorized => {
                "a webhook or the SMS gateway refuses the signature or the credentials"
            }
            Self::ChannelRefused => "a webhook or the SMS gateway refuses the notification",
        }
    }

    /// What to do next.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::RoutingSyntax => {
                "Correct the TOML at the line and column named; keys are listed in the commented default table."
            }
            Self::Address => {
                "Write local-part@domain without a display name, webhook:NAME, or sms:+NUMBER with the country code and nothing between the digits."
            }
            Self::Uncovered => {
                "Add a route with this urgency (or \"*\") whose specialty and facility are \"*\": it takes what no other route takes."
            }
            Self::UnknownRecipient => "Define the name under [recipients], or correct it in the route.",
            Self::DuplicateRoute => {
                "Merge the two routes into one with both recipients, or mark one `add = true` to have it added to the other."
            }
            Self::UnknownLabel => {
                "Use a label of the list in the message, or name your model's own labels under [labels]."
            }
            Self::NoRecipients => {
                "Set `to` to at least one name of [recipients]; under [triage] it names who judges what the model abstains on."
            }
            Self::ConsoleUrl => {
                "Set the console's base URL, for instance https://wardstream.hospital.example."
            }
            Self::Compose => {
                "The event itself is intact: correct the sender or the recipients' addresses and replay the event."
            }
            Self::UnknownChannel => {
                "Set the channel up, a webhook as [webhooks.NAME] and the SMS gateway as [sms], or correct the address under [recipients]."
            }
            Self::MailerSetup => {
                "Check host, security, credentials and the root certificate file; credentials need TLS unless the server is on this machine."
            }
            Self::ChannelSetup => {
                "Correct the key that the message names; docs/operations.md has a complete example of each channel."
            }
            Self::Tier => "Correct the tier that the message names: `after` is a length of time such as 10m.",
            Self::NoAcknowledgement => {
                "Set acknowledge.listen, acknowledge.url and acknowledge.secret, or remove the tiers from the routing table: what nobody can acknowledge would go to every tier."
            }
            Self::Hold => {
                "Correct what the message names under [hold] of the routing table; docs/operations.md has an example."
            }
            Self::Unavailable => {
                "Nothing is lost: the partition waits and tries again. Check that host and port are reachable from here and that the server is up."
            }
            Self::Unauthorized => {
                "Nothing is lost: the partition waits and tries again. Correct user name and password; the server's log says why it refused."
            }
            Self::SenderRefused => {
                "Nothing is lost: the partition waits and tries again. Allow the sender's address for this user at the server, or change it here."
            }
            Self::RecipientsRefused => {
                "The event is in the dead-letter topic: correct the addresses in the routing table, then replay it."
            }
            Self::MessageRefused => {
                "The event is in the dead-letter topic: the reply code tells why (552 size, 554 policy or content filter); change that, then replay it."
            }
            Self::ChannelUnavailable => {
                "Nothing is lost: the partition waits and tries again. Check that the address is reachable from here and that the receiver answers 2xx in time; redirects are not followed."
            }
            Self::ChannelUnauthorized => {
                "Nothing is lost: the partition waits and tries again. Compare the secret and the clocks of both sides for a webhook, the credentials for the gateway."
            }
            Self::ChannelRefused => {
                "The receiver's log says why. Where no other channel took the event it is in the dead-letter topic: correct the cause, then replay it."
            }
        }
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an event was not turned into an accepted notification, or why the service cannot start.
///
/// No variant holds content of a message; addresses are those of the routing table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The routing table is not TOML, or has a key that is not known.
    #[error("routing table, {place}: {message}")]
    RoutingSyntax {
        /// Line and column, from 1.
        place: String,
        /// What the parser says.
        message: String,
    },
    /// An address is not one.
    #[error("recipient {name:?}: not an address")]
    Address {
        /// Name of the recipient, or "from".
        name: String,
    },
    /// An urgency has no catch-all.
    #[error("urgency {urgency:?} has no route for specialty \"*\" at facility \"*\"")]
    Uncovered {
        /// The urgency.
        urgency: String,
    },
    /// A recipient that is not defined.
    #[error("{place} names recipient {name:?}, which is not defined")]
    UnknownRecipient {
        /// Which route.
        place: String,
        /// The name.
        name: String,
    },
    /// Two routes with the same three patterns.
    #[error("routes {first} and {second} have the same urgency, specialty and facility")]
    DuplicateRoute {
        /// Position, from 1.
        first: usize,
        /// Position, from 1.
        second: usize,
    },
    /// A label no model gives.
    #[error("{place}: {label:?} is no {kind}; known: {known}")]
    UnknownLabel {
        /// Which route or key.
        place: String,
        /// "urgency" or "specialty".
        kind: &'static str,
        /// What stands there.
        label: String,
        /// The labels, comma-separated.
        known: String,
    },
    /// `[triage]` or a route has no recipients.
    #[error("{place} has no recipients")]
    NoRecipients {
        /// `[triage]` or which route.
        place: String,
    },
    /// Not an absolute http or https URL.
    #[error("console_url is not an absolute http or https URL")]
    ConsoleUrl,
    /// A recipient's channel is not in the configuration.
    #[error("recipient {name:?}: {channel} is not set up")]
    UnknownChannel {
        /// Name of the recipient.
        name: String,
        /// `webhook NAME` or `the SMS gateway`.
        channel: String,
    },
    /// The notification cannot be composed.
    #[error("cannot compose the notification: {0}")]
    Compose(&'static str),
    /// A tier of the escalation cannot work.
    #[error("{place}: {reason}")]
    Tier {
        /// `[escalation]` or which route.
        place: String,
        /// Why not.
        reason: String,
    },
    /// There are tiers, and no way to acknowledge.
    #[error("the routing table has tiers, and acknowledgements are not set up")]
    NoAcknowledgement,
    /// Quiet hours or digests cannot work.
    #[error("[hold]: {reason}")]
    Hold {
        /// Why not.
        reason: String,
    },
    /// The SMTP settings cannot work.
    #[error("SMTP settings: {0}")]
    MailerSetup(String),
    /// The settings of another channel cannot work.
    #[error("{key} {reason}")]
    ChannelSetup {
        /// The key below the channel's own.
        key: &'static str,
        /// Why not.
        reason: String,
    },
    /// The server is down, unreachable, not trusted, or defers.
    #[error("mail server {server} is unavailable at {step}: {reason}")]
    Unavailable {
        /// Host and port.
        server: String,
        /// Where in the conversation.
        step: Step,
        /// A reply code or what the connection did.
        reason: String,
    },
    /// The credentials are refused.
    #[error("mail server {server} refuses the credentials with {code}")]
    Unauthorized {
        /// Host and port.
        server: String,
        /// Reply code.
        code: u16,
    },
    /// The sender is refused.
    #[error("mail server {server} refuses the sender with {code}")]
    SenderRefused {
        /// Host and port.
        server: String,
        /// Reply code.
        code: u16,
    },
    /// All recipients are refused for good.
    #[error("mail server refuses every recipient, the first with {code}")]
    RecipientsRefused {
        /// Reply code for the first one.
        code: u16,
    },
    /// The content is refused for good.
    #[error("mail server refuses the message with {code}")]
    MessageRefused {
        /// Reply code.
        code: u16,
    },
    /// The channel is down, unreachable, not trusted, or asks to wait.
    #[error("{channel} is unavailable: {reason}")]
    ChannelUnavailable {
        /// Its name.
        channel: &'static str,
        /// A status or what the connection did.
        reason: String,
    },
    /// The signature or the credentials are refused.
    #[error("{channel} refuses the signature or the credentials with {code}")]
    ChannelUnauthorized {
        /// Its name.
        channel: &'static str,
        /// HTTP status.
        code: u16,
    },
    /// The notification is refused for good.
    #[error("{channel} refuses the notification with {code}")]
    ChannelRefused {
        /// Its name.
        channel: &'static str,
        /// HTTP status.
        code: u16,
    },
}

/// A step of the SMTP conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// TCP, greeting, EHLO, TLS.
    Connect,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA and the content.
    Data,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "CONNECT",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
        })
    }
}

impl Error {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::RoutingSyntax { .. } => ErrorCode::RoutingSyntax,
            Self::Address { .. } => ErrorCode::Address,
            Self::Uncovered { .. } => ErrorCode::Uncovered,
            Self::UnknownRecipient { .. } => ErrorCode::UnknownRecipient,
            Self::DuplicateRoute { .. } => ErrorCode::DuplicateRoute,
            Self::UnknownLabel { .. } => ErrorCode::UnknownLabel,
            Self::NoRecipients { .. } => ErrorCode::NoRecipients,
            Self::ConsoleUrl => ErrorCode::ConsoleUrl,
            Self::UnknownChannel { .. } => ErrorCode::UnknownChannel,
            Self::Compose(_) => ErrorCode::Compose,
            Self::MailerSetup(_) => ErrorCode::MailerSetup,
            Self::ChannelSetup { .. } => ErrorCode::ChannelSetup,
            Self::Tier { .. } => ErrorCode::Tier,
            Self::NoAcknowledgement => ErrorCode::NoAcknowledgement,
            Self::Hold { .. } => ErrorCode::Hold,
            Self::Unavailable { .. } => ErrorCode::Unavailable,
            Self::Unauthorized { .. } => ErrorCode::Unauthorized,
            Self::SenderRefused { .. } => ErrorCode::SenderRefused,
            Self::RecipientsRefused { .. } => ErrorCode::RecipientsRefused,
            Self::MessageRefused { .. } => ErrorCode::MessageRefused,
            Self::ChannelUnavailable { .. } => ErrorCode::ChannelUnavailable,
            Self::ChannelUnauthorized { .. } => ErrorCode::ChannelUnauthorized,
            Self::ChannelRefused { .. } => ErrorCode::ChannelRefused,
        }
    }

    /// Whether the same message may be accepted later without a change to it: wait and try again. Otherwise it is a
    /// dead letter (or, at start, a wrong configuration).
    ///
    /// Refused credentials and a refused sender are the server's or the configuration's fault, not the event's: to
    /// dead-letter on them would empty the topic because of one wrong password.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::Unauthorized { .. }
                | Self::SenderRefused { .. }
                | Self::ChannelUnavailable { .. }
                | Self::ChannelUnauthorized { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_ascend() {
        let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
        for code in ErrorCode::ALL {
            assert!(!code.title().is_empty() && code.help().ends_with('.'));
        }
    }
}
