//! Dead letters and parked records, read from their topics and selected.

use std::collections::HashMap;
use std::ops::ControlFlow;

use contracts::{
    DEAD_LETTER_SUFFIX, DeadLetter, PARKED_SUFFIX, REPLAYED, Replayed, STAGES, dead_letter_topic,
    parked_topic,
};
use jiff::Timestamp;
use stream::{Codec, CodecError, Incoming, Reader};

use crate::kafka::{Connection, Settings, unavailable};
use crate::output::{Outcome, complain, usage};
use crate::position::Position;

/// Which letters a command is about. Several conditions must all hold.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct Selection {
    /// Letters of this stage; may be given again.
    #[arg(long, value_name = "STAGE", value_parser = crate::kafka::stage)]
    pub(crate) stage: Vec<&'static str>,
    /// Letters with this error code, for instance FHIR-304; may be given again.
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Vec<String>,
    /// Letters whose reason holds this text.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Letters that failed at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<Timestamp>,
    /// Letters that failed before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<Timestamp>,
    /// Letters of this event.
    #[arg(long, value_name = "UUID")]
    pub(crate) event_id: Option<String>,
    /// Parked records instead of dead letters.
    #[arg(long)]
    pub(crate) parked: bool,
}

impl Selection {
    /// Whether everything is meant.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { stage, code, reason, from, to, event_id, parked: _ } = self;
        stage.is_empty()
            && code.is_empty()
            && reason.is_none()
            && from.is_none()
            && to.is_none()
            && event_id.is_none()
    }

    pub(crate) fn stages(&self) -> Vec<&'static str> {
        if self.stage.is_empty() { STAGES.to_vec() } else { self.stage.clone() }
    }

    pub(crate) fn topic(&self, stage: &str) -> String {
        if self.parked { parked_topic(stage) } else { dead_letter_topic(stage) }
    }

    pub(crate) fn holds(&self, letter: &DeadLetter) -> bool {
        (self.code.is_empty() || self.code.iter().any(|code| code.eq_ignore_ascii_case(&letter.code)))
            && self.reason.as_ref().is_none_or(|text| letter.reason.contains(text))
            && self.from.is_none_or(|from| letter.failed_at >= from.as_millisecond())
            && self.to.is_none_or(|to| letter.failed_at < to.as_millisecond())
            && self.event_id.as_ref().is_none_or(|id| id.eq_ignore_ascii_case(&letter.event_id))
    }
}

/// The position of a letter, as `list` prints it.
///
/// # Errors
/// For what is no position, or no position of letters.
pub(crate) fn letter(text: &str) -> Result<Position, &'static str> {
    const FORM: &str = "a letter is named as `list` prints it, for instance validate.dead-letter/0/17";
    let position: Position = text.parse().map_err(|_| FORM)?;
    if stage(&position).is_some() { Ok(position) } else { Err(FORM) }
}

/// The stage whose letter lies here.
pub(crate) fn stage(position: &Position) -> Option<&'static str> {
    let topic = &position.topic;
    let name = topic.strip_suffix(DEAD_LETTER_SUFFIX).or_else(|| topic.strip_suffix(PARKED_SUFFIX))?;
    STAGES.into_iter().find(|stage| *stage == name)
}

/// A letter, and the record that holds it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) position: Position,
    pub(crate) letter: DeadLetter,
    /// Headers of the record that holds it.
    pub(crate) record: Incoming,
}

/// What lies in a topic of letters.
#[derive(Debug)]
pub(crate) enum Entry {
    Letter(Box<Found>),
    /// The key of this record is no longer parked.
    Release(Incoming),
}

/// The topics of dead letters and parked records, and what went back of them.
pub(crate) struct Office {
    pub(crate) settings: Settings,
    pub(crate) codec: Codec,
    reader: Reader,
    _runtime: tokio::runtime::Runtime,
}

impl Office {
    pub(crate) fn open(connection: &Connection) -> Result<Self, Outcome> {
        let settings = connection.settings()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| unavailable(&error))?;
        let codec = Codec::new(&settings.registry, runtime.handle().clone()).map_err(usage)?;
        let reader = Reader::new(&settings.kafka).map_err(|error| unavailable(&error))?;
        Ok(Self { settings, codec, reader, _runtime: runtime })
    }

    /// Gives each letter of the stage that is selected to `visit`, in the order of its partition, until it breaks
    /// off. What is no letter is complained of and passed over: `Rejected` then.
    pub(crate) fn each(
        &self,
        selection: &Selection,
        stage: &str,
        mut visit: impl FnMut(Found) -> ControlFlow<()>,
    ) -> Result<Outcome, Outcome> {
        let since = selection.from.map(Timestamp::as_millisecond);
        self.scan(&selection.topic(stage), since, |entry| match entry {
            Entry::Letter(found) if selection.holds(&found.letter) => visit(*found),
            Entry::Letter(_) | Entry::Release(_) => ControlFlow::Continue(()),
        })
    }

    /// Gives everything in a topic of letters to `visit`.
    pub(crate) fn scan(
        &self,
        topic: &str,
        since_ms: Option<i64>,
        mut visit: impl FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<Outcome, Outcome> {
        let mut outcome = Outcome::Good;
        let mut failed = None;
        self.reader
            .scan(topic, since_ms, |record| {
                if record.value.is_none() && topic.ends_with(PARKED_SUFFIX) {
                    return visit(Entry::Release(record));
                }
                match self.decode(record) {
                    Ok(found) => visit(Entry::Letter(Box::new(found))),
                    Err(Outcome::Rejected) => {
                        outcome = Outcome::Rejected;
                        ControlFlow::Continue(())
                    }
                    Err(stopped) => {
                        failed = Some(stopped);
                        ControlFlow::Break(())
                    }
                }
            })
            .map_err(|error| unavailable(&error))?;
        failed.map_or(Ok(outcome), Err)
    }

    /// The letter at a position.
    pub(crate) fn at(&self, position: &Position) -> Result<Found, Outcome> {
        let record = self
            .reader
            .at(&position.topic, position.partition, position.offset)
            .map_err(|error| unavailable(&error))?;
        match record {
            Some(record) => self.decode(record),
            None => {
                complain(format_args!("{position}: there is no letter here, or no longer"));
                Err(Outcome::Rejected)
            }
        }
    }

    /// `Rejected` where the record is no letter.
    fn decode(&self, record: Incoming) -> Result<Found, Outcome> {
        let position = Position::from(&record);
        match self.codec.decode::<DeadLetter>(record.value.as_deref()) {
            // The letter has the content; twice 16 MiB are not needed.
            Ok(letter) => Ok(Found { position, letter, record: Incoming { value: None, ..record } }),
            Err(CodecError::Reject(reject)) => {
                complain(format_args!("{position}: {}: {}", reject.code, reject.reason));
                Err(Outcome::Rejected)
            }
            Err(CodecError::Unavailable(error)) => Err(unavailable(&error)),
        }
    }

    /// What went back until now.
    pub(crate) fn replayed(&self) -> Result<Log, Outcome> {
        let mut log = Log::default();
        let mut failed = None;
        self.reader
            .scan(REPLAYED, None, |record| {
                match self.codec.decode::<Replayed>(record.value.as_deref()) {
                    Ok(replayed) => {
                        log.0.insert(replayed.letter.clone(), replayed);
                    }
                    // Of another hand: nothing went back that we know of.
                    Err(CodecError::Reject(reject)) => complain(format_args!(
                        "{}: {}: {}",
                        Position::from(&record),
                        reject.code,
                        reject.reason
                    )),
                    Err(CodecError::Unavailable(error)) => {
                        failed = Some(unavailable(&error));
                        return ControlFlow::Break(());
                    }
                }
                ControlFlow::Continue(())
            })
            .map_err(|error| unavailable(&error))?;
        failed.map_or(Ok(log), Err)
    }
}

/// What went back, by the position of its letter.
#[derive(Debug, Default)]
pub(crate) struct Log(HashMap<String, Replayed>);

impl Log {
    /// When this letter went back, milliseconds since the epoch. In a topic that was made anew another letter may lie
    /// where one lay that went back.
    pub(crate) fn of(&self, position: &Position, letter: &DeadLetter) -> Option<i64> {
        let replayed = self.0.get(&position.to_string())?;
        let same = replayed.event_id == letter.event_id && replayed.failed_at == letter.failed_at;
        same.then_some(replayed.replayed_at)
    }
}

/// What of the input can still be had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Its value, none for a tombstone.
    Here(Option<Vec<u8>>),
    /// It was too large for the letter, and is no longer at its position, or not known to be the same.
    Gone,
}

/// The value of the input: the letter's own, else, of one that was too large for the letter, that at its position.
pub(crate) fn content(reader: &Reader, letter: &DeadLetter) -> Result<Content, Outcome> {
    if let Some(value) = &letter.value {
        return Ok(Content::Here(Some(value.clone())));
    }
    let source = reader
        .at(&letter.source_topic, letter.source_partition, letter.source_offset)
        .map_err(|error| unavailable(&error))?;
    // In a topic that was made anew another record may lie there.
    let same = source.filter(|record| record.key == letter.key && headers_are(record, letter));
    Ok(match same {
        Some(record) => Content::Here(record.value),
        None => Content::Gone,
    })
}

fn headers_are(record: &Incoming, letter: &DeadLetter) -> bool {
    let known = letter.headers.iter().map(|header| (header.name.as_str(), header.value.as_deref()));
    known.eq(record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_named_by_its_position() {
        assert_eq!(stage(&letter("validate.dead-letter/3/17").unwrap()), Some("validate"));
        assert_eq!(stage(&letter("notify.parked/0/0").unwrap()), Some("notify"));
        for text in
            ["", "validate.dead-letter", "hl7.raw/0/1", "validate.dead-letter/x/1", "other.parked/0/1"]
        {
            assert!(letter(text).is_err(), "{text:?}");
        }
    }
}
