//! `tamper`: a log in a real bucket with Object Lock, as the audit consumer writes it. Copies of it are tampered with in every
//! way, and each must be found and named; in the bucket itself nobody may change anything, the administrator included.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use worm_log::testing::{
    Attempt, Bundle, Intruder, SeaweedFs, Sign, Tampering, WEED_VARIABLE, copy, download, upload,
};
use worm_log::{
    Appended, Auditor, AuditorConfig, Event, Limits, LocalStore, Record, Report, S3Config, S3Store,
    Sequencer, SequencerConfig, SigningKey, Store, Verdict, VerifyOptions, VerifyingKeys,
};

use crate::drill::load::{RAW, hospital};
use crate::drill::parts::launched;
use crate::drill::verdict::Violation;
use crate::drill::{Error, Figures, Options, Run, figure};

/// Messages in the log.
const MESSAGES: u64 = 20_000;
/// How often each way of tampering is tried, each time in another place.
const ROUNDS: u64 = 3;
const PARTITIONS: i32 = 3;
/// Records of a segment: few, so that a log of some thousand messages has many.
const SEGMENT_RECORDS: u64 = 40;
const RETENTION_SECONDS: i64 = 86_400;

/// What came of it.
#[derive(Default)]
pub(crate) struct Tampered {
    pub(crate) figures: Figures,
    /// The table of what was done and what was found.
    pub(crate) table: Vec<String>,
    pub(crate) violations: Vec<Violation>,
}

pub(crate) fn drill(options: &Options, rng: &mut ChaCha8Rng, run: &Run) -> Result<Tampered, Error> {
    let weed = std::env::var_os(WEED_VARIABLE).map(PathBuf::from).ok_or(Error::Missing(WEED_VARIABLE))?;
    let server = run
        .runtime
        .block_on(SeaweedFs::start_binary(&launched(&weed, &run.folder)?))
        .map_err(|reason| Error::part("SeaweedFS", reason))?;
    run.runtime.block_on(on_server(&server, options, rng, run))
}

async fn on_server(
    server: &SeaweedFs,
    options: &Options,
    rng: &mut ChaCha8Rng,
    run: &Run,
) -> Result<Tampered, Error> {
    let (key, keys) = signing_key().map_err(|error| Error::part("key of the WORM log", error))?;
    let live = S3Store::connect(server.audit_config()).await.map_err(worm)?;
    fill(&live, &key, options, rng).await?;
    let mut drill = Drill {
        key,
        options: VerifyOptions { keys, ..VerifyOptions::default() },
        tampered: 0,
        found: 0,
        tried: 0,
        refused: 0,
        done: Tampered::default(),
    };
    let whole = drill.verified(&live, "the log as it was written").await?;

    let original = run.folder.join("original");
    download(&live, &original).await.map_err(copying)?;
    let bundle = Bundle::open(&original).map_err(copying)?;
    drill.options.known = bundle.last().cloned().into_iter().collect();
    let offline = LocalStore::open_read_only(&original).map_err(worm)?;
    if drill.verified(&offline, "its copy").await? != whole {
        drill.violate("bucket and copy are not verified as the same log".to_owned());
    }

    drill.copies(&original, options.kills.unwrap_or(ROUNDS), rng, run).await?;
    drill.bucket(server.admin_config("copy"), &original, &bundle, rng).await?;
    drill.attempts(server, &bundle, rng).await?;
    if drill.verified(&live, "the log after all attempts").await? != whole {
        drill.violate("the log is not what it was before the attempts".to_owned());
    }

    let log = whole.merkle_log.as_ref();
    drill.done.figures.extend([
        figure("tampered with", drill.tampered),
        figure("found and named", drill.found),
        figure("changes tried", drill.tried),
        figure("refused", drill.refused),
        figure("segments", whole.segments),
        figure("records", whole.records),
        figure("bytes", whole.bytes),
        figure("checkpoints", log.map_or(0, |log| log.checkpoints)),
    ]);
    Ok(drill.done)
}

struct Drill {
    key: SigningKey,
    options: VerifyOptions,
    /// Logs that were tampered with, and those of which the verifier named exactly that.
    tampered: u64,
    found: u64,
    /// Changes that were tried on the log itself, and those that were refused.
    tried: u64,
    refused: u64,
    done: Tampered,
}

impl Drill {
    fn violate(&mut self, what: String) {
        self.done.violations.push(Violation::Worm(what));
    }

    /// The report on what must be whole.
    async fn verified<S: Store>(&mut self, store: &S, what: &str) -> Result<Report, Error> {
        let report = worm_log::verify(store, &self.options, |_| {}).await.map_err(worm)?;
        if report.verdict != Verdict::Whole {
            self.violate(format!("{what} is {}: {}", report.verdict, names(&signs(&report))));
        }
        Ok(report)
    }

    /// Tampers with copies in folders.
    async fn copies(
        &mut self,
        original: &Path,
        rounds: u64,
        rng: &mut ChaCha8Rng,
        run: &Run,
    ) -> Result<(), Error> {
        self.row("done to a copy", "found", "named");
        for tampering in Tampering::ALL {
            let (mut found, mut named) = (0, String::new());
            for round in 1..=rounds {
                if run.interrupted.load(Ordering::Acquire) {
                    return Err(Error::Interrupted);
                }
                let folder = tempfile::tempdir_in(&run.folder).map_err(Error::io("copy of the log"))?;
                copy(original, folder.path()).map_err(copying)?;
                let bundle = Bundle::open(folder.path()).map_err(copying)?;
                let mut pick = |of: usize| rng.random_range(0..of);
                let expected = bundle.tamper(tampering, &self.key, &mut pick).await.map_err(copying)?;
                let store = LocalStore::open_read_only(folder.path()).map_err(worm)?;
                let report = worm_log::verify(&store, &self.options, |_| {}).await.map_err(worm)?;
                found += u64::from(self.holds(&format!("{tampering}, round {round}"), &report, &expected));
                named = names(&expected);
            }
            self.row(&tampering.to_string(), &format!("{found} of {rounds}"), &named);
        }
        Ok(())
    }

    /// Whether the verifier named exactly what was done.
    fn holds(&mut self, what: &str, report: &Report, expected: &[Sign]) -> bool {
        let found = signs(report);
        self.tampered += 1;
        self.found += u64::from(found == expected);
        if found != expected {
            self.violate(format!("{what}: found {}, and not {}", names(&found), names(expected)));
        }
        found == expected
    }

    /// Tampers with a copy in a bucket, by versions and delete markers.
    async fn bucket(
        &mut self,
        config: S3Config,
        original: &Path,
        bundle: &Bundle,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), Error> {
        let store = S3Store::connect(config.clone()).await.map_err(worm)?;
        store.ensure_bucket().await.map_err(worm)?;
        upload(original, &store).await.map_err(copying)?;
        self.verified(&store, "the copy in a bucket").await?;
        let intruder = Intruder::new(&config).map_err(copying)?;
        let mut pick = |of: usize| rng.random_range(0..of);
        let hidden = bundle.segment_key(&mut pick).map_err(copying)?;
        let mut replaced = hidden.clone();
        while replaced == hidden {
            replaced = bundle.segment_key(&mut pick).map_err(copying)?;
        }
        let marker = intruder.delete(&hidden).await.map_err(copying)?;
        let version = intruder.put(&replaced, b"x".as_slice().into()).await.map_err(copying)?;
        if let Some(status) = marker.refused.or(version.refused) {
            return Err(Error::part("SeaweedFS", format!("a bucket without a policy refused with {status}")));
        }
        let signs = [bundle.hidden(&hidden).map_err(copying)?, bundle.replaced(&replaced).map_err(copying)?];
        let mut expected = signs.concat();
        expected.sort_unstable();
        let report = worm_log::verify(&store, &self.options, |_| {}).await.map_err(worm)?;
        let found = u8::from(self.holds("a marker and a second version", &report, &expected));
        for (what, signs) in ["hide a segment behind a delete marker", "put a second version over a segment"]
            .iter()
            .zip(&signs)
        {
            self.row(what, &format!("{found} of 1"), &names(signs));
        }
        Ok(())
    }

    /// Tries to change the log itself, as the audit principal and as the administrator, who takes the policy away in the end.
    async fn attempts(
        &mut self,
        server: &SeaweedFs,
        bundle: &Bundle,
        rng: &mut ChaCha8Rng,
    ) -> Result<(), Error> {
        let keys = bundle.some_keys(&mut |of| rng.random_range(0..of)).map_err(copying)?;
        let auditor = Intruder::new(&server.audit_config()).map_err(copying)?;
        let administrator =
            Intruder::new(&server.admin_config(&server.audit_config().bucket)).map_err(copying)?;
        let mut answers: BTreeMap<(&str, &str), Vec<Option<u16>>> = BTreeMap::new();
        let mut note =
            |who, attempt: Attempt| answers.entry((who, attempt.what)).or_default().push(attempt.refused);
        for (who, intruder) in [("the audit principal", &auditor), ("an administrator", &administrator)] {
            for key in &keys {
                note(who, intruder.delete(key).await.map_err(copying)?);
                for attempt in intruder.against_lock(key).await.map_err(copying)? {
                    note(who, attempt);
                }
            }
        }
        note("the audit principal", auditor.drop_policy().await.map_err(copying)?);
        administrator.drop_policy().await.map_err(copying)?;
        for key in &keys {
            for attempt in administrator.against_lock(key).await.map_err(copying)? {
                note("an administrator, without the policy", attempt);
            }
        }
        self.row("tried on the log itself", "refused", "HTTP status");
        for ((who, what), answers) in answers {
            let refused = answers.iter().flatten().count();
            let mut statuses: Vec<String> = answers.iter().flatten().map(u16::to_string).collect();
            statuses.dedup();
            if refused < answers.len() {
                self.violate(format!("{what} as {who} was done"));
            }
            self.tried += answers.len() as u64;
            self.refused += refused as u64;
            self.row(
                &format!("{what}, as {who}"),
                &format!("{refused} of {}", answers.len()),
                &statuses.join(", "),
            );
        }
        Ok(())
    }

    fn row(&mut self, done: &str, how_often: &str, named: &str) {
        self.done.table.push(format!("{done:<82} {how_often:<8} {named}"));
    }
}

fn signs(report: &Report) -> Vec<Sign> {
    let mut signs: Vec<Sign> = report.findings.iter().map(Sign::of).collect();
    signs.sort_unstable();
    signs
}

fn names(signs: &[Sign]) -> String {
    if signs.is_empty() {
        return "nothing".to_owned();
    }
    signs.iter().map(Sign::to_string).collect::<Vec<_>>().join("; ")
}

fn worm(error: worm_log::Error) -> Error {
    Error::part("worm log", error)
}

fn copying(error: worm_log::testing::Failure) -> Error {
    Error::part("copy of the log", error)
}

fn signing_key() -> Result<(SigningKey, VerifyingKeys), worm_log::Error> {
    let key = SigningKey::parse(&SigningKey::generate("wardstream.drill/tamper")?)?;
    let keys = VerifyingKeys::parse(key.verifying_key())?;
    Ok((key, keys))
}

/// Writes a hospital's messages as the audit consumer does, every segment under a checkpoint.
async fn fill(
    store: &S3Store,
    key: &SigningKey,
    options: &Options,
    rng: &mut ChaCha8Rng,
) -> Result<(), Error> {
    let limits = Limits { max_records: SEGMENT_RECORDS, ..Limits::default() };
    let config = AuditorConfig { limits, retention_seconds: RETENTION_SECONDS, ..AuditorConfig::default() };
    let mut auditor = Auditor::new(store.clone(), config);
    let config = SequencerConfig {
        key: key.clone(),
        keys: VerifyingKeys::default(),
        retention_seconds: RETENTION_SECONDS,
    };
    let sequencer = Sequencer::open(store.clone(), config).await.map_err(worm)?;
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let mut checkpointer = Checkpointer { sequencer, now_ms, leaves: 0, due: 0 };
    for partition in 0..PARTITIONS {
        auditor.assign(RAW, partition, 0, None, now_ms).await.map_err(worm)?;
    }
    let mut next = [0; PARTITIONS as usize];
    let messages = usize::try_from(options.messages.unwrap_or(MESSAGES)).unwrap_or(usize::MAX);
    for (at, (key, value)) in hospital(options.seed, options.narratives).take(messages).enumerate() {
        let partition = rng.random_range(0..PARTITIONS);
        let offset = &mut next[partition as usize];
        // Now and then the end of a transaction takes an offset.
        *offset += i64::from(rng.random_bool(0.02));
        let record = Record {
            topic: RAW.to_owned(),
            partition,
            offset: *offset,
            timestamp_ms: now_ms + at as i64,
            key: Some(key),
            value: Some(value),
            headers: Vec::new(),
        };
        *offset += 1;
        auditor.push(&record, now_ms).map_err(worm)?;
        if auditor.is_due(now_ms) {
            checkpointer.take(auditor.flush_due(now_ms).await, rng).await?;
        }
    }
    checkpointer.take(auditor.flush_all(now_ms).await, rng).await?;
    checkpointer.sign().await
}

struct Checkpointer {
    sequencer: Sequencer<S3Store>,
    now_ms: i64,
    leaves: i64,
    /// Leaves at the next checkpoint.
    due: i64,
}

impl Checkpointer {
    async fn take(&mut self, events: Vec<Event>, rng: &mut ChaCha8Rng) -> Result<(), Error> {
        for event in events {
            let Event::Written { manifest, .. } = event else {
                return Err(Error::part("worm log", format!("a segment was not written: {event:?}")));
            };
            if self.sequencer.append(&manifest).await.map_err(worm)? != Appended::Taken {
                return Err(Error::part("worm log", "a manifest was not taken for a leaf"));
            }
            self.leaves += 1;
            if self.leaves >= self.due {
                self.sign().await?;
                self.due = self.leaves + rng.random_range(2..5);
            }
        }
        Ok(())
    }

    async fn sign(&mut self) -> Result<(), Error> {
        let now_ms = self.now_ms + 1_000 * self.leaves;
        self.sequencer.checkpoint(now_ms, self.leaves).await.map_err(worm)?;
        Ok(())
    }
}
