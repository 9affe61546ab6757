//! Who does something to what the line keeps, and why: the options that say so, and the access events.

use contracts::{ACCESS_EVENTS, AccessEvent};
use jiff::Timestamp;
use replay::{Access, Kind, Operator, Purpose};
use stream::{Codec, Outgoing, Publisher};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::kafka::{Settings, unavailable, undecoded};
use crate::output::Outcome;

/// Who, and why.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Who {
    /// Why: a code of HL7's v3-PurposeOfUse such as HOPERAT or PATRQT, words, or a code and words behind it.
    #[arg(long, value_name = "PURPOSE")]
    pub(crate) purpose: Purpose,
    /// Who: the identity by which the hospital knows you.
    #[arg(long, value_name = "IDENTITY")]
    pub(crate) operator: Operator,
}

/// What is about to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deed<'d> {
    /// Each with the role that allows it, where it needs one.
    pub(crate) kinds: &'d [(Kind, Option<&'d str>)],
    /// Folder, bucket or brokers.
    pub(crate) source: &'d str,
    /// To which records.
    pub(crate) query: &'d str,
    /// The patient that the query names, by pseudonym.
    pub(crate) pseudonym: Option<&'d str>,
}

impl Who {
    /// Writes the access events. When this returns they are in Kafka for good.
    pub(crate) fn announce(
        &self,
        settings: &Settings,
        codec: &Codec,
        runtime: &Runtime,
        deed: &Deed<'_>,
    ) -> Result<(), Outcome> {
        let publisher = Publisher::new("replay", &settings.kafka, runtime.handle().clone())
            .map_err(|error| unavailable(&error))?;
        let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let (id, recorded) = (Uuid::new_v4(), Timestamp::now());
        for (kind, role) in deed.kinds {
            let access = Access {
                id,
                recorded,
                kind: *kind,
                operator: &self.operator,
                role: *role,
                purpose: &self.purpose,
                machine: Some(machine.trim()).filter(|name| !name.is_empty()).unwrap_or("unknown"),
                source: deed.source,
                query: deed.query,
                pseudonym: deed.pseudonym,
            };
            let event: AccessEvent = access.event();
            let value =
                codec.encode(ACCESS_EVENTS, &event).map_err(|error| undecoded(ACCESS_EVENTS, error))?;
            let record = Outgoing::new(ACCESS_EVENTS, Some(event.operator.into_bytes()), value);
            publisher.publish_blocking(&record).map_err(|error| unavailable(&error))?;
        }
        Ok(())
    }
}
