//! Where a recipient is reached: a mail address, a webhook, or a telephone number.

use std::fmt;

/// An address of the routing table. The scheme names the channel; a text without one is a mail address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// `ward@hospital.example` or `mailto:ward@hospital.example` (RFC 6068, one address without fields).
    Mail(lettre::Address),
    /// `webhook:pager`: the webhook of that name in the configuration.
    Webhook(String),
    /// `sms:+4520123456`: a number of E.164 as RFC 5724 writes it.
    Sms(String),
}

/// Longest name of a webhook: it is a metric label.
const MAX_NAME: usize = 40;

impl Address {
    /// Reads an address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("webhook:") {
            return is_name(name).then(|| Self::Webhook(name.to_owned()));
        }
        if let Some(number) = text.strip_prefix("sms:") {
            return is_number(number).then(|| Self::Sms(number.to_owned()));
        }
        parse_mail(text.strip_prefix("mailto:").unwrap_or(text)).map(Self::Mail)
    }

    /// The mail address, if it is one.
    #[must_use]
    pub fn mail(&self) -> Option<&lettre::Address> {
        match self {
            Self::Mail(address) => Some(address),
            Self::Webhook(_) | Self::Sms(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mail(address) => write!(f, "mailto:{address}"),
            Self::Webhook(name) => write!(f, "webhook:{name}"),
            Self::Sms(number) => write!(f, "sms:{number}"),
        }
    }
}

/// An address in ASCII: one that is not would need SMTPUTF8 at every server on the way.
pub(crate) fn parse_mail(text: &str) -> Option<lettre::Address> {
    text.parse().ok().filter(|_| text.is_ascii())
}

/// Whether a webhook can have this name.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// ITU-T E.164, section 6: a country code, which never begins with 0, and at most 15 digits in all.
fn is_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_names_the_channel_and_a_plain_address_is_mail() {
        for (text, shown) in [
            ("ward@hospital.example", "mailto:ward@hospital.example"),
            ("mailto:ward@hospital.example", "mailto:ward@hospital.example"),
            ("webhook:pager-2", "webhook:pager-2"),
            ("sms:+4520123456", "sms:+4520123456"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(Address::parse(shown), Some(address));
        }
    }

    #[test]
    fn what_no_channel_could_reach_is_no_address() {
        let long = format!("webhook:{}", "a".repeat(MAX_NAME + 1));
        for text in [
            "",
            "ward",
            "mailto:ward",
            "wärd@hospital.example",
            "webhook:",
            "webhook:a/b",
            long.as_str(),
            "sms:20123456",
            "sms:+045201234",
            "sms:+4520 12 34 56",
            "sms:+4520123456789012",
            "https://hospital.example",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}
