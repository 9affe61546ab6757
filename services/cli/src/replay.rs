//! Letters go back to where their inputs came from, each once.
//!
//! A run holds the transactional id of the stage, reads what went back before, and writes each input together with
//! the record that it went back, in one transaction. Whoever starts a second run takes the id away from the first
//! and then reads all that the first committed; so nothing goes back twice, whatever is interrupted.
//!
//! A parked key flows again once every parked record of it went back: behind the last of them a record without content
//! tells the stage how many there were, and the stage releases the key if it knows of no more.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use contracts::headers::{
    EVENT_ID, NOT_REPLAYED, RECEIVED_AT, RELEASE, REPLAY_OFFSET, REPLAY_PARTITION, REPLAY_TOPIC,
    SOURCE_PARTITION, SOURCE_TOPIC,
};
use contracts::{DeadLetter, PARKED_SUFFIX, REPLAYED, Replayed, parked_topic};
use jiff::Timestamp;
use serde_json::json;
use stream::{
    CodecError, Delivery, Incoming, Outgoing, Reader, TransactionError, TransactionalWriter, Verbatim,
};

use crate::kafka::{Connection, unavailable};
use crate::letters::{Content, Entry, Found, Log, Office, Selection, content, letter, stage};
use crate::output::{Outcome, complain, line, table, usage};
use crate::position::Position;

/// What `dead-letters replay` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
An input goes back with its key, its bytes and its headers, and with the headers ws-replay-topic, ws-replay-partition \
and ws-replay-offset, which name the letter. It keeps its event id. It comes behind what was written meanwhile: a \
later message of the same patient may have gone before it.

Of a parked key every later record is parked too. They go back in their order, and once all of them did, the key is \
released and flows again.

An input that was too large for its letter (STREAM-902) is read at its own position, as long as it is there.")]
pub(crate) struct Args {
    /// Letters as `list` names them; else those that are selected.
    #[arg(value_name = "LETTER", value_parser = letter, conflicts_with_all = ["Selection", "all"])]
    letters: Vec<Position>,
    /// Every letter of every stage.
    #[arg(long)]
    all: bool,
    /// Say what would go back, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// At most so many of each stage.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    connection: Connection,
}

/// Most inputs of one transaction.
const BATCH_RECORDS: usize = 500;
/// Bytes after which a transaction ends: one input may have as many by itself.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// What became of the letters of a stage and code.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    replayed: u64,
    before: u64,
    gone: u64,
}

#[derive(Debug, Default)]
struct Tally {
    /// By stage and code.
    letters: BTreeMap<(String, String), Counts>,
    /// Parked keys that flow again.
    released: usize,
}

pub(crate) fn run(args: &Args) -> Result<Outcome, Outcome> {
    if args.letters.is_empty() && args.selection.is_empty() && !args.all {
        return Err(usage("name letters, select some with --stage, --code and so on, or give --all"));
    }
    let office = Office::open(&args.connection)?;
    if office.settings.kafka.delivery == Delivery::LineageGuarded {
        return Err(usage("a replay needs transactions, and kafka.delivery is lineage-guarded"));
    }
    let parked = args.selection.parked;
    let mut runs: BTreeMap<(&'static str, bool), Vec<&Position>> = BTreeMap::new();
    if args.letters.is_empty() {
        runs.extend(args.selection.stages().into_iter().map(|stage| ((stage, parked), Vec::new())));
    }
    for position in &args.letters {
        if let Some(stage) = stage(position) {
            runs.entry((stage, position.topic.ends_with(PARKED_SUFFIX))).or_default().push(position);
        }
    }
    let mut tally = Tally::default();
    let mut outcome = Ok(Outcome::Good);
    for ((stage, parked), positions) in runs {
        let result = replay(args, &office, stage, parked, &positions, &mut tally);
        outcome = match (outcome, result) {
            (Ok(so_far), Ok(stage)) => Ok(so_far.max(stage)),
            (_, Err(error)) | (Err(error), _) => Err(error),
        };
        if outcome.is_err() {
            break;
        }
    }
    // Also after a failure: what was committed before is there.
    print(args, &tally);
    let gone = tally.letters.values().any(|counts| counts.gone > 0);
    outcome.map(|outcome| if gone { outcome.max(Outcome::Rejected) } else { outcome })
}

fn replay(
    args: &Args,
    office: &Office,
    stage: &'static str,
    parked: bool,
    positions: &[&Position],
    tally: &mut Tally,
) -> Result<Outcome, Outcome> {
    // First the id, then the log: nobody can add to it from here on.
    let writer = if args.dry_run {
        None
    } else {
        let id = format!("wardstream.replay.{stage}");
        Some(TransactionalWriter::open(&office.settings.kafka, &id).map_err(|error| unavailable(&error))?)
    };
    let mut run = Run {
        office,
        sources: Reader::new(&office.settings.kafka).map_err(|error| unavailable(&error))?,
        log: office.replayed()?,
        writer,
        batch: Batch::default(),
        tally,
    };
    let outcome = if parked {
        run.parked(args, stage, positions)?
    } else if positions.is_empty() {
        run.selected(args, stage)?
    } else {
        for position in positions {
            run.take(stage, &office.at(position)?)?;
        }
        Outcome::Good
    };
    run.flush()?;
    Ok(outcome)
}

/// Inputs that go back in one transaction.
#[derive(Default)]
struct Batch {
    records: Vec<Verbatim>,
    bytes: usize,
    /// What is counted once they are there.
    letters: Vec<(String, String)>,
}

struct Run<'r> {
    office: &'r Office,
    sources: Reader,
    log: Log,
    writer: Option<TransactionalWriter>,
    batch: Batch,
    tally: &'r mut Tally,
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Now,
    Before,
    Gone,
}

impl Run<'_> {
    fn selected(&mut self, args: &Args, stage: &'static str) -> Result<Outcome, Outcome> {
        let office = self.office;
        let mut failed = None;
        let mut left = args.limit.unwrap_or(usize::MAX);
        let outcome = office.each(&args.selection, stage, |found| {
            if left == 0 {
                return ControlFlow::Break(());
            }
            match self.take(stage, &found) {
                Ok(taken) => {
                    left -= usize::from(taken == Taken::Now);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(outcome), Err)
    }

    /// Reads the whole topic whatever is selected: what is left of a key decides whether it is released.
    fn parked(
        &mut self,
        args: &Args,
        stage: &'static str,
        positions: &[&Position],
    ) -> Result<Outcome, Outcome> {
        let office = self.office;
        let mut keys = Keys::default();
        let mut failed = None;
        let mut left = args.limit.unwrap_or(usize::MAX);
        let outcome = office.scan(&parked_topic(stage), None, |entry| {
            let found = match entry {
                Entry::Letter(found) => found,
                Entry::Release(record) => {
                    keys.released(&record);
                    return ControlFlow::Continue(());
                }
            };
            let selected = if positions.is_empty() {
                args.selection.holds(&found.letter)
            } else {
                positions.contains(&&found.position)
            };
            let settled = if selected && left > 0 {
                match self.take(stage, &found) {
                    Ok(taken) => {
                        left -= usize::from(taken == Taken::Now);
                        true
                    }
                    Err(error) => {
                        failed = Some(error);
                        return ControlFlow::Break(());
                    }
                }
            } else {
                self.log.of(&found.position, &found.letter).is_some()
            };
            keys.parked(&found.letter, settled);
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok(()), Err)?;
        // The records first: a release is true only behind them.
        self.flush()?;
        let releases = keys.releases();
        for releases in releases.chunks(BATCH_RECORDS) {
            self.write(releases)?;
            self.tally.released += releases.len();
        }
        Ok(outcome)
    }

    /// Adds a letter to the batch, unless it went back before or cannot go back.
    fn take(&mut self, stage: &str, found: &Found) -> Result<Taken, Outcome> {
        let Found { position, letter, .. } = found;
        let of = (stage.to_owned(), letter.code.clone());
        if self.log.of(position, letter).is_some() {
            self.tally.letters.entry(of).or_default().before += 1;
            return Ok(Taken::Before);
        }
        let value = match content(&self.sources, letter)? {
            Content::Here(value) => value,
            Content::Gone => {
                complain(format_args!(
                    "{position}: the letter does not carry the input, and {}/{}/{} is gone",
                    letter.source_topic, letter.source_partition, letter.source_offset
                ));
                self.tally.letters.entry(of).or_default().gone += 1;
                return Ok(Taken::Gone);
            }
        };
        let input = input(found, value);
        self.batch.bytes += input.value.as_ref().map_or(0, Vec::len);
        self.batch.records.push(input);
        self.batch.records.push(self.note(found)?);
        self.batch.letters.push(of);
        if self.batch.letters.len() >= BATCH_RECORDS || self.batch.bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(Taken::Now)
    }

    /// The record that a letter went back.
    fn note(&self, found: &Found) -> Result<Verbatim, Outcome> {
        let replayed = Replayed {
            letter: found.position.to_string(),
            event_id: found.letter.event_id.clone(),
            failed_at: found.letter.failed_at,
            source_topic: found.letter.source_topic.clone(),
            replayed_at: Timestamp::now().as_millisecond(),
        };
        let value = self.office.codec.encode(REPLAYED, &replayed).map_err(|error| match error {
            CodecError::Unavailable(error) => unavailable(&error),
            CodecError::Reject(reject) => {
                complain(format_args!("{}: {}", reject.code, reject.reason));
                Outcome::Unavailable
            }
        })?;
        Ok(Outgoing::new(REPLAYED, Some(replayed.letter.into_bytes()), value).into())
    }

    fn flush(&mut self) -> Result<(), Outcome> {
        let Batch { records, letters, .. } = std::mem::take(&mut self.batch);
        if letters.is_empty() {
            return Ok(());
        }
        self.write(&records)?;
        for of in letters {
            self.tally.letters.entry(of).or_default().replayed += 1;
        }
        Ok(())
    }

    /// Writes in one transaction; nothing in a dry run.
    fn write(&self, records: &[Verbatim]) -> Result<(), Outcome> {
        let Some(writer) = &self.writer else { return Ok(()) };
        writer.write(records).map_err(|error| {
            let outcome = unavailable(&error);
            complain(match error {
                TransactionError::Fenced => "another replay of this stage took over, and goes on",
                TransactionError::Unknown(_) => "run it again: what went back is left out",
                _ => "nothing of the last batch went back; run it again",
            });
            outcome
        })
    }
}

/// The parked keys of a stage: topic, partition and key of their inputs.
#[derive(Debug, Default)]
struct Keys(HashMap<(String, i32, Option<Vec<u8>>), Parked>);

#[derive(Clone, Copy, Debug, Default)]
struct Parked {
    /// Records that were parked since the key was last released.
    count: u64,
    /// Those of them that did not go back.
    open: u64,
}

impl Keys {
    fn parked(&mut self, letter: &DeadLetter, settled: bool) {
        let key = (letter.source_topic.clone(), letter.source_partition, letter.key.clone());
        let parked = self.0.entry(key).or_default();
        parked.count += 1;
        parked.open += u64::from(!settled);
    }

    /// The stage released the key that this record names.
    fn released(&mut self, record: &Incoming) {
        let topic = record.header(SOURCE_TOPIC);
        let partition = record.header(SOURCE_PARTITION).and_then(|text| text.parse().ok());
        if let (Some(topic), Some(partition)) = (topic, partition) {
            self.0.remove(&(topic.to_owned(), partition, record.key.clone()));
        }
    }

    /// What tells the stage that a key may flow again, for each key of which nothing is left.
    fn releases(self) -> Vec<Verbatim> {
        let mut releases: Vec<Verbatim> = self
            .0
            .into_iter()
            .filter(|(_, parked)| parked.open == 0)
            .map(|((topic, partition, key), parked)| Verbatim {
                topic,
                partition: Some(partition),
                key,
                value: None,
                headers: vec![(RELEASE.to_owned(), Some(parked.count.to_string().into_bytes()))],
            })
            .collect();
        releases.sort_by(|a, b| (&a.topic, a.partition, &a.key).cmp(&(&b.topic, b.partition, &b.key)));
        releases
    }
}

/// The input as it was. Without the lineage of its first time: behind later records of the same source the guard
/// against duplicates would take it for one.
fn input(found: &Found, value: Option<Vec<u8>>) -> Verbatim {
    let Found { position, letter, record } = found;
    let mut headers: Vec<(String, Option<Vec<u8>>)> = letter
        .headers
        .iter()
        .filter(|header| !NOT_REPLAYED.contains(&header.name.as_str()))
        .map(|header| (header.name.clone(), header.value.clone()))
        .collect();
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), Some(value.into_bytes())));
    // A feed's record has neither; the stage gave it both.
    if !letter.headers.iter().any(|header| header.name == EVENT_ID) {
        add(EVENT_ID, letter.event_id.clone());
    }
    if let Some(received_at) = record.header(RECEIVED_AT)
        && !letter.headers.iter().any(|header| header.name == RECEIVED_AT)
    {
        add(RECEIVED_AT, received_at.to_owned());
    }
    add(REPLAY_TOPIC, position.topic.clone());
    add(REPLAY_PARTITION, position.partition.to_string());
    add(REPLAY_OFFSET, position.offset.to_string());
    Verbatim {
        topic: letter.source_topic.clone(),
        // Where it was: a feed may place its keys otherwise than this producer, and a record without a key anywhere.
        partition: Some(letter.source_partition),
        key: letter.key.clone(),
        value,
        headers,
    }
}

fn print(args: &Args, tally: &Tally) {
    let went = if args.dry_run { "would go back" } else { "went back" };
    if args.json {
        for ((stage, code), Counts { replayed, before, gone }) in &tally.letters {
            line(json!({
                "stage": stage,
                "code": code,
                "dry_run": args.dry_run,
                "replayed": replayed,
                "replayed_before": before,
                "gone": gone,
            }));
        }
        return;
    }
    if tally.letters.is_empty() {
        line("no letter is selected");
        return;
    }
    let header = ["STAGE", "CODE", &went.to_uppercase(), "BEFORE", "GONE"];
    let rows: Vec<Vec<String>> = tally
        .letters
        .iter()
        .map(|((stage, code), counts)| {
            let Counts { replayed, before, gone } = counts;
            vec![stage.clone(), code.clone(), replayed.to_string(), before.to_string(), gone.to_string()]
        })
        .collect();
    table(&header, &rows).iter().for_each(line);
    let sum: u64 = tally.letters.values().map(|counts| counts.replayed).sum();
    line(format_args!("\n{sum} {went}"));
    if tally.released > 0 {
        let flow = if args.dry_run { "would be told to flow again" } else { "told to flow again" };
        line(format_args!("parked keys {flow}: {}", tally.released));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn letter(key: &str) -> DeadLetter {
        DeadLetter {
            stage: "notify".to_owned(),
            code: "STREAM-905".to_owned(),
            reason: String::new(),
            location: None,
            outcome: None,
            event_id: String::new(),
            source_topic: "triage.summarized".to_owned(),
            source_partition: 1,
            source_offset: 0,
            key: Some(key.as_bytes().to_vec()),
            value: None,
            headers: Vec::new(),
            attempts: 1,
            failed_at: 0,
        }
    }

    #[test]
    fn a_key_is_released_once_all_its_parked_records_went_back() {
        let mut keys = Keys::default();
        for (key, settled) in [("a", true), ("b", true), ("a", true), ("b", false), ("c", true)] {
            keys.parked(&letter(key), settled);
        }
        let header = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
        keys.released(&Incoming {
            topic: Arc::from("notify.parked"),
            partition: 0,
            offset: 9,
            timestamp_ms: 0,
            key: Some(b"c".to_vec()),
            value: None,
            headers: vec![header(SOURCE_TOPIC, "triage.summarized"), header(SOURCE_PARTITION, "1")],
        });
        let expected = Verbatim {
            topic: "triage.summarized".to_owned(),
            partition: Some(1),
            key: Some(b"a".to_vec()),
            value: None,
            headers: vec![header(RELEASE, "2")],
        };
        assert_eq!(keys.releases(), [expected]);
    }
}
