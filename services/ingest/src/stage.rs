use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use contracts::FhirReceived;
use contracts::headers::{REPLAY_TOPIC, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC};
use hl7v2::Message;
use jiff::tz::TimeZone;
use service::Failure;
use stream::{Codec, CodecError, Context, Fate, Incoming, Outgoing, Reject, Stage, Table, Unavailable};
use telemetry::Metrics;
use v2_to_fhir::Options;

use crate::window::{Fingerprint, Position, Window};

/// Header with the fingerprint of the message, so that the next owner of a partition knows what was read lately.
const FINGERPRINT: &str = "ws-fingerprint";

/// The stage: an HL7 v2 message becomes a FHIR bundle, or a dead letter that names segment, field and offset.
#[derive(Debug)]
pub struct Ingest {
    codec: Codec,
    options: Options,
    window: Mutex<Window>,
    recent: Option<Table>,
    metrics: Metrics,
}

impl Ingest {
    /// A stage that recognises retransmissions of what `recent`, the topic it writes, holds; without it, of what it was given itself.
    ///
    /// # Errors
    /// When a time zone is not known.
    pub fn new(
        codec: Codec,
        config: &crate::IngestConfig,
        recent: Option<Table>,
        metrics: Metrics,
    ) -> Result<Self, Failure> {
        let span = i64::try_from(config.dedup_window.as_millis()).unwrap_or(i64::MAX);
        Ok(Self {
            codec,
            options: options(config)?,
            window: Mutex::new(Window::new(span, config.dedup_capacity)),
            recent,
            metrics,
        })
    }

    fn decide(&self, record: &Incoming, context: &Context) -> Result<Fate, CodecError> {
        let Some(bytes) = record.value.as_deref().filter(|bytes| !bytes.is_empty()) else {
            return Ok(
                Reject::new("INGEST-101", "record has no value; publish one HL7 v2 message a record").into()
            );
        };
        let mut messages = hl7v2::batch::messages(bytes);
        if matches!((messages.next(), messages.next()), (Some(Ok(_)), Some(_))) {
            return Ok(Reject::new(
                "INGEST-102",
                "record holds several messages; publish one HL7 v2 message a record",
            )
            .into());
        }
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(error) => return Ok(reject(&error).into()),
        };
        let fingerprint = Fingerprint::of(&message.sending_facility(), &message.control_id(), bytes);
        let position =
            Position { topic: record.topic.clone(), partition: record.partition, offset: record.offset };
        let first = self.window().admit(fingerprint, position, context.now_ms);
        // A replay is the same message at another position by intent, and its first time gave a dead letter.
        if !first && record.header(REPLAY_TOPIC).is_none() {
            return Ok(Fate::Drop("retransmission"));
        }
        let conversion = match v2_to_fhir::convert_to_text(&message, &self.options) {
            Ok(conversion) => conversion,
            Err(error) => return Ok(Reject::new(error.code(), format!("{error}; {}", error.help())).into()),
        };
        for unmapped in &conversion.unmapped {
            self.metrics.unmapped(field_of(&unmapped.path), 1);
        }
        let key = match &conversion.patient {
            Some(patient) => format!("{}|{}", patient.authority, patient.identifier),
            None => format!("{}|{}", conversion.facility, conversion.control_id),
        };
        let received = FhirReceived {
            event_id: context.event_id.to_string(),
            facility: conversion.facility,
            message_type: conversion.message_type,
            received_at: context.received_at_ms,
            control_id: conversion.control_id,
            bundle: conversion.bundle,
            unmapped: conversion.unmapped.into_iter().map(|unmapped| unmapped.path).collect(),
        };
        let value = self.codec.encode("fhir.received", &received)?;
        let mut output = Outgoing::new("fhir.received", Some(key.into_bytes()), value);
        output.headers.push((FINGERPRINT.to_owned(), fingerprint.to_hex().into_bytes()));
        Ok(Fate::Emit(vec![output]))
    }

    fn window(&self) -> std::sync::MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The options of the conversion, from the configuration.
pub(crate) fn options(config: &crate::IngestConfig) -> Result<Options, Failure> {
    let facility_zones = config
        .facility_zones
        .iter()
        .map(|(facility, zone)| Ok((facility.clone(), TimeZone::get(zone)?)))
        .collect::<Result<BTreeMap<_, _>, jiff::Error>>()?;
    Ok(Options { default_zone: TimeZone::get(&config.default_zone)?, facility_zones })
}

/// The dead letter of a message that is no HL7 v2.
fn reject(error: &hl7v2::Error) -> Reject {
    let reason = format!("{}; {}", error.code.title(), error.code.help());
    let place = match (&error.segment, error.field) {
        (Some(segment), Some(field)) => format!("{segment}-{field} at byte {}", error.offset),
        (Some(segment), None) => format!("{segment} at byte {}", error.offset),
        (None, _) => format!("byte {}", error.offset),
    };
    Reject::new(error.code.code(), reason).at(place)
}

/// `PID-3` of `PID-3[2].4.2`: a metric label must not grow with the data.
fn field_of(path: &str) -> &str {
    path.split(['[', '.']).next().unwrap_or(path)
}

impl Stage for Ingest {
    fn name(&self) -> &'static str {
        crate::NAME
    }

    fn process(&self, record: &Incoming, context: &Context) -> Result<Fate, Unavailable> {
        self.decide(record, context).or_else(CodecError::into_fate)
    }

    fn assigned(&self) -> Result<(), Unavailable> {
        let Some(recent) = &self.recent else { return Ok(()) };
        let read = recent.catch_up(|record| {
            let (Some(fingerprint), Some(position)) =
                (record.header(FINGERPRINT).and_then(Fingerprint::from_hex), source(record))
            else {
                return;
            };
            self.window().admit(fingerprint, position, record.timestamp_ms);
        })?;
        tracing::info!(records = read, "read what was received lately");
        Ok(())
    }
}

/// Where the message of a record of `fhir.received` was read.
fn source(record: &Incoming) -> Option<Position> {
    Some(Position {
        topic: Arc::from(record.header(SOURCE_TOPIC)?),
        partition: record.header(SOURCE_PARTITION)?.parse().ok()?,
        offset: record.header(SOURCE_OFFSET)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use contracts::EventId;
    use stream::RegistryConfig;

    use super::*;

    /// Of a type that no map covers: it parses, and gives a dead letter.
    const UNMAPPED: &[u8] = b"MSH|^~\\&|LAB|HARBOR|WARD|HARBOR|20250303140000||ZZZ^Z01|C1|P|2.5.1\rPID|1\r";

    fn record(offset: i64, headers: Vec<(String, Option<Vec<u8>>)>) -> Incoming {
        Incoming {
            topic: Arc::from("hl7.raw"),
            partition: 0,
            offset,
            timestamp_ms: 1,
            key: None,
            value: Some(UNMAPPED.to_vec()),
            headers,
        }
    }

    #[test]
    fn the_replay_of_a_dead_letter_is_no_retransmission() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let codec = Codec::new(&RegistryConfig::default(), runtime.handle().clone()).unwrap();
        let recent = Table::new("fhir.received", None, &stream::Config::default()).unwrap();
        let stage =
            Ingest::new(codec, &crate::IngestConfig::default(), Some(recent), Metrics::new()).unwrap();
        let event_id = EventId::at("hl7.raw", 0, 0);
        let context = Context { event_id, received_at_ms: 1, now_ms: 1, attempt: 0 };
        let fate = |record: &Incoming| match stage.process(record, &context) {
            Ok(Fate::DeadLetter(reject)) => reject.code,
            Ok(Fate::Drop(reason)) => reason.to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(fate(&record(0, Vec::new())), "MAP-201");
        assert_eq!(fate(&record(1, Vec::new())), "retransmission");
        let replayed = (REPLAY_TOPIC.to_owned(), Some(b"ingest.dead-letter".to_vec()));
        assert_eq!(fate(&record(2, vec![replayed])), "MAP-201");
        assert_eq!(fate(&record(3, Vec::new())), "retransmission");
    }
}
