//! What a report is made of: what the verifier says, and what the records say.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use ::report::{
    Checked, Checkpoint, Counts, Entry, Holds, Kept, Period, Signature, Verification, Witness, in_order,
};
use futures::future::join_all;
use jiff::Timestamp;
use replay::{Content, Selection};
use stream::Codec;
use tokio::runtime::Runtime;
use worm_log::{AnyStore, Attested, Ledger, Planned, Record, S3Store, Verdict, VerifyOptions, VerifyingKeys};

use super::Job;
use crate::audit_log::hold::{look_at, within};
use crate::audit_log::{kept, read, read_keys, refuse, reject, show};
use crate::kafka::undecoded;
use crate::output::Outcome;
use crate::position::Position;
use crate::records::content;

/// A log of which a report is made.
pub(super) struct Gather {
    store: AnyStore,
    keys: VerifyingKeys,
    /// Files with checkpoints that were kept elsewhere, and what they hold.
    kept: Vec<(String, worm_log::Checkpoint)>,
    witness: Option<Witness>,
    period: Period,
    unproven: bool,
    progress: bool,
    codec: Codec,
    runtime: Runtime,
    ledger: Option<Ledger>,
    verdict: Verdict,
}

impl Gather {
    /// Opens the store and the files beside it; reads nothing of the log yet.
    pub(super) fn open(job: &Job, runtime: Runtime, codec: Codec) -> Result<Self, Outcome> {
        let keys = read_keys(&job.keys)?;
        let known = kept(&job.checkpoints, job.witness.as_deref(), &keys)?;
        let names = job.checkpoints.iter().map(|path| path.display().to_string());
        let witness = match &job.witness {
            None => None,
            Some(path) => {
                let key = String::from_utf8_lossy(&read(path)?).trim().to_owned();
                Some(Witness { file: path.display().to_string(), key })
            }
        };
        let store = runtime.block_on(job.bundle.open())?;
        Ok(Self {
            store,
            keys,
            kept: names.zip(known).collect(),
            witness,
            period: job.period,
            unproven: job.unproven,
            progress: job.progress,
            codec,
            runtime,
            ledger: None,
            verdict: Verdict::Tampered,
        })
    }

    pub(super) fn codec(&self) -> &Codec {
        &self.codec
    }

    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// What the verifier says, once it was asked.
    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Verifies the log, and reads what it says of itself.
    pub(super) fn check(&mut self) -> Result<Checked, Outcome> {
        // Before the verifier, which then holds the log against this checkpoint too.
        let ledger =
            self.runtime.block_on(Ledger::open(&self.store, &self.keys)).map_err(|error| match error {
                error @ worm_log::Error::Checkpoint { .. } => reject(&error),
                error => refuse(&error),
            })?;
        let verification = self.verify(&ledger)?;
        let checked = Checked {
            verification,
            checkpoint: self.checkpoint(&ledger),
            kept: retention(&ledger),
            holds: self.holds(&ledger),
        };
        self.ledger = Some(ledger);
        Ok(checked)
    }

    fn verify(&mut self, ledger: &Ledger) -> Result<Verification, Outcome> {
        let known = self.kept.iter().map(|(_, checkpoint)| checkpoint).chain([ledger.checkpoint()]);
        let options = VerifyOptions {
            from_ms: Some(self.period.from.as_millisecond()),
            to_ms: Some(self.period.settled().as_millisecond()),
            keys: self.keys.clone(),
            known: known.cloned().collect(),
            ..VerifyOptions::default()
        };
        let interactive = self.progress;
        let report = self.runtime.block_on(worm_log::verify(&self.store, &options, |progress| {
            if interactive {
                show(&progress);
            }
        }));
        clear(interactive);
        let report = report.map_err(|error| refuse(&error))?;
        self.verdict = report.verdict;
        Ok(Verification {
            verdict: report.verdict.to_string(),
            whole: report.verdict == Verdict::Whole,
            topics: report.topics,
            partitions: report.partitions.len() as u64,
            segments: report.segments,
            records: report.records,
            bytes: report.bytes,
            checkpoints: report.merkle_log.as_ref().map_or(0, |log| log.checkpoints),
            findings: report.findings.iter().map(ToString::to_string).collect(),
            omitted: report.findings_omitted,
        })
    }

    fn checkpoint(&self, ledger: &Ledger) -> Checkpoint {
        let signed = ledger.signed();
        let worm_log::Checkpoint { origin, size, root, time, .. } = signed.checkpoint();
        let signatures = signed.signatures(&self.keys).into_iter();
        Checkpoint {
            origin: origin.clone(),
            size: *size,
            root: hex::encode(root),
            time: *time,
            note: String::from_utf8_lossy(&signed.to_bytes()).into_owned(),
            signatures: signatures
                .map(|(name, id, verified)| Signature { name, id: format!("{id:08x}"), verified })
                .collect(),
            kept: self.kept.iter().map(|(file, _)| file.clone()).collect(),
            witness: self.witness.clone(),
        }
    }

    fn holds(&self, ledger: &Ledger) -> Holds {
        let AnyStore::S3(store) = &self.store else { return Holds::Folder };
        self.held(store, ledger)
            .unwrap_or_else(|error| Holds::Unknown(format!("{}: {}", error.code(), service::chain(&error))))
    }

    fn held(&self, store: &S3Store, ledger: &Ledger) -> Result<Holds, worm_log::Error> {
        let segments = self.segments(ledger, self.period.to)?;
        let mut held = 0;
        for (_, looked) in self.runtime.block_on(look_at(store, &segments)) {
            held += u64::from(looked?.contains(&true));
        }
        Ok(Holds::Of(held, segments.len() as u64))
    }

    /// The segments of every topic that may have records from the begin of the period to this time, in the order in which they are counted.
    fn segments(&self, ledger: &Ledger, to: Timestamp) -> Result<Vec<Planned>, worm_log::Error> {
        let times = Selection { from: Some(self.period.from), to: Some(to), ..Selection::default() };
        let store = &self.store;
        self.runtime.block_on(async {
            let mut segments = Vec::new();
            for topic in in_order(&ledger.topics(store).await?) {
                for partition in ledger.partitions(store, &topic).await? {
                    let plan = ledger.plan(store, &topic, partition, 0..i64::MAX).await?;
                    segments.extend(plan.into_iter().filter(|planned| within(&planned.manifest, &times)));
                }
            }
            Ok(segments)
        })
    }

    /// Counts every record of the period, each proved unless others are wanted too.
    pub(super) fn count(&self) -> Result<Counts, Outcome> {
        let Some(ledger) = &self.ledger else { return Ok(Counts::new(self.period, Default::default())) };
        let topics = self.runtime.block_on(ledger.topics(&self.store)).map_err(|error| refuse(&error))?;
        let segments = self.segments(ledger, self.period.settled()).map_err(|error| refuse(&error))?;
        if let Some(pending) = segments.iter().find(|planned| planned.leaf.is_none() && !self.unproven) {
            return Err(reject(&worm_log::Error::Unproven {
                topic: pending.manifest.topic.clone(),
                partition: pending.manifest.partition,
                offset: pending.manifest.first_offset,
                reason: "its segment is under no checkpoint yet; --unproven reads it all the same",
            }));
        }
        let mut counts = Counts::new(self.period, topics);
        let interactive = self.progress;
        // As many at a time as can be hashed at the same time.
        let width = std::thread::available_parallelism().map_or(1, usize::from);
        for (at, chunk) in segments.chunks(width).enumerate() {
            if interactive {
                let _ =
                    write!(io::stderr(), "\r\x1b[Kcounting: {} of {} segments", at * width, segments.len());
            }
            let read = chunk.iter().map(|planned| ledger.read(&self.store, planned));
            for (planned, attested) in chunk.iter().zip(self.runtime.block_on(join_all(read))) {
                self.take(planned, &attested.map_err(|error| reject(&error))?, &mut counts)?;
            }
        }
        clear(interactive);
        Ok(counts)
    }

    fn take(&self, planned: &Planned, attested: &Attested, counts: &mut Counts) -> Result<(), Outcome> {
        for record in attested.records().map_err(|error| reject(&error))? {
            let record = record.map_err(|error| reject(&error))?;
            if !counts.wants(record.timestamp_ms) {
                continue;
            }
            let content = self.content(&record)?;
            let bytes =
                [&record.key, &record.value].into_iter().flatten().map(|bytes| bytes.len() as u64).sum();
            counts.take(&Entry {
                topic: &record.topic,
                partition: record.partition,
                offset: record.offset,
                timestamp_ms: record.timestamp_ms,
                bytes,
                headers: &record.headers,
                content: &content,
                proved: planned.leaf.is_some(),
            });
        }
        Ok(())
    }

    fn content(&self, record: &Record) -> Result<Content, Outcome> {
        if !Counts::needs_value(&record.topic) {
            return Ok(Content::Nothing);
        }
        content(&self.codec, record).map_err(|error| undecoded(Position::from(record), error))
    }
}

fn clear(interactive: bool) {
    if interactive {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}

/// How long each topic's segments are kept, by the leaves.
fn retention(ledger: &Ledger) -> Vec<Kept> {
    let mut topics: BTreeMap<&str, Kept> = BTreeMap::new();
    for planned in ledger.segments() {
        let manifest = &planned.manifest;
        let until = manifest.retain_until;
        let kept = topics.entry(&manifest.topic).or_insert_with(|| Kept {
            topic: manifest.topic.clone(),
            segments: 0,
            records: 0,
            from: until,
            to: until,
        });
        kept.segments += 1;
        kept.records += manifest.record_count;
        kept.from = kept.from.min(until);
        kept.to = kept.to.max(until);
    }
    topics.into_values().collect()
}
