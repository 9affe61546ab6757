//! What the status page and the terminal show, and what the summary is made of.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use conservation::{Books, Lineage, StageVerdict};
use contracts::headers::{OUTPUT_INDEX, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TOPIC};
use contracts::{DEAD_LETTER_SUFFIX, DeadLetter, STAGES};
use service::{Failure, Process};
use stream::{Codec, Incoming, Observer, Tail, TailEvent};
use telemetry::Metrics;
use tokio_util::sync::CancellationToken;
use worm_log::{Expected, LocalStore, Verdict, VerifyOptions, VerifyingKeys};

use crate::demo::{Summary, Timing};
use crate::embedded::Embedded;
use crate::errors;
use crate::status::{
    DeadLetterCount, DeadLetterView, Dependency, Health, Latency, NotificationView, Phase, Snapshot,
    StageSnapshot, StatusSource, Totals, Verification, WormSnapshot,
};

/// How long the reader waits for a record before it looks whether it is to stop.
const POLL: Duration = Duration::from_millis(100);
/// How often what was read becomes visible.
const PUBLISH_EVERY: Duration = Duration::from_millis(250);
/// Dead letters kept for the page.
const KEPT: usize = 200;
/// A line in which nothing moves for so long will not move any more.
const STALLED: Duration = Duration::from_secs(120);

/// The watcher.
pub(crate) struct Watch {
    embedded: Arc<Embedded>,
    metrics: Metrics,
    health: telemetry::Health,
    runtime: tokio::runtime::Handle,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    phase: Phase,
    note: Option<String>,
    verdict: BTreeMap<&'static str, StageVerdict>,
    letters: VecDeque<DeadLetterView>,
    /// When the feed began.
    fed_since: Option<Instant>,
    settled_after: Option<Duration>,
    /// The shutdown came before every message had its fate.
    interrupted: bool,
    verification: Option<Verification>,
    worm: WormSnapshot,
}

impl Watch {
    /// The thread ends with `stop`.
    pub(crate) fn start(
        embedded: &Arc<Embedded>,
        process: &Process,
        stop: &CancellationToken,
    ) -> Result<(Arc<Self>, JoinHandle<()>), Failure> {
        let codec = Codec::new(&embedded.registry, process.runtime.clone())?;
        // A group of its own each time: it reads everything, and commits nothing.
        let config = stream::Config {
            group_id: format!("wardstream.watch.{}", uuid::Uuid::new_v4()),
            ..embedded.kafka.clone()
        };
        let observer = Observer::new("watch", Metrics::new().stage("watch"), telemetry::Health::new());
        let tail = Tail::new("watch", &["^[^_].*"], &[], &config, &observer)?;
        let watch = Arc::new(Self {
            embedded: embedded.clone(),
            metrics: process.metrics.clone(),
            health: process.health.clone(),
            runtime: process.runtime.clone(),
            started: Instant::now(),
            state: Mutex::default(),
        });
        let (reading, stop) = (watch.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || reading.read(tail, &codec, &stop))?;
        Ok((watch, thread))
    }

    /// Reads every record of every topic, enters it into the books, and keeps the latest dead letters.
    fn read(&self, mut tail: Tail, codec: &Codec, stop: &CancellationToken) {
        let mut books = Books::new();
        let mut letters = Vec::new();
        let mut published = Instant::now();
        while !stop.is_cancelled() {
            let event = match tail.poll(POLL) {
                Ok(event) => event,
                Err(error) => {
                    tracing::error!(%error, "the page and the summary stand still");
                    return;
                }
            };
            if let Some(TailEvent::Record(record)) = event {
                books.enter(&record.topic, record.partition, record.offset, lineage(&record).as_ref());
                if record.topic.ends_with(DEAD_LETTER_SUFFIX)
                    && let Ok(letter) = codec.decode::<DeadLetter>(record.value.as_deref())
                {
                    letters.push(view(letter));
                }
            }
            if published.elapsed() >= PUBLISH_EVERY {
                published = Instant::now();
                let (verdict, worm) = (books.verdict(), self.worm());
                let mut state = self.state();
                state.verdict = verdict;
                state.worm = worm;
                for letter in letters.drain(..) {
                    state.letters.push_front(letter);
                }
                state.letters.truncate(KEPT);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_phase(&self, phase: Phase, note: Option<String>) {
        let mut state = self.state();
        state.phase = phase;
        state.note = note;
    }

    /// Waits until every service has its partitions: what was published before would only wait.
    pub(crate) fn wait_until_ready(&self, shutdown: &CancellationToken, failed: impl Fn() -> bool) {
        let ready = || {
            let report = self.health.report();
            let joined = |stage: &str| {
                let name = format!("{stage}: kafka");
                report.components.iter().any(|component| component.component == name)
            };
            report.ready && STAGES.into_iter().chain(["audit"]).all(joined)
        };
        while !shutdown.is_cancelled() && !failed() && !ready() {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.state().fed_since = Some(Instant::now());
    }

    /// Waits until each of `sent` messages and everything made of them has its fate.
    pub(crate) fn wait_until_settled(
        &self,
        sent: u64,
        shutdown: &CancellationToken,
        failed: impl Fn() -> bool,
    ) {
        let mut progress = (0, Instant::now());
        while !shutdown.is_cancelled() && !failed() {
            let (inputs, fates, missing) = {
                let state = self.state();
                let inputs = state.verdict.get("ingest").map_or(0, |verdict| verdict.inputs);
                let fates: u64 = state
                    .verdict
                    .values()
                    .map(|verdict| verdict.inputs.saturating_sub(verdict.missing))
                    .sum();
                (inputs, fates, state.verdict.values().map(|verdict| verdict.missing).sum::<u64>())
            };
            if inputs >= sent && missing == 0 {
                let mut state = self.state();
                state.settled_after = state.fed_since.map(|since| since.elapsed());
                return;
            }
            if fates != progress.0 {
                progress = (fates, Instant::now());
            }
            if progress.1.elapsed() > STALLED {
                tracing::error!("nothing moves any more; the summary names what is missing");
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.state().interrupted = shutdown.is_cancelled();
    }

    /// Everything counted once more, after the drain, and the WORM log verified.
    pub(crate) fn summary(&self, embedded: &Embedded) -> Result<Summary, Failure> {
        let marks = stream::watermarks(&embedded.kafka)?;
        let transactional = embedded.kafka.delivery == stream::Delivery::Transactional;
        let expected = marks
            .into_iter()
            .filter(|((topic, _), (low, high))| topic != "audit.manifests" && low < high)
            // On a transactional broker a control record that nobody can read may stand at the very end.
            .map(|(key, (_, high))| {
                (key, Expected { first_offset: None, next_offset: (!transactional).then_some(high) })
            })
            .collect();
        let store = LocalStore::open_read_only(&embedded.worm)?;
        let keys = VerifyingKeys::parse(&std::fs::read_to_string(&embedded.verifying_keys)?)?;
        let options = VerifyOptions { expected, keys, ..VerifyOptions::default() };
        let report = self.runtime.block_on(worm_log::verify(&store, &options, |_| {}))?;
        let text = report.to_string();
        let verification = text.lines().last().unwrap_or_default().to_owned();
        let whole = report.verdict == Verdict::Whole && report.segments > 0;
        self.state().verification =
            Some(Verification { at_ms: now_ms(), ok: whole, summary: verification.clone() });
        let metrics = self.metrics.snapshot();
        let state = self.state();
        let stages = STAGES
            .iter()
            .filter_map(|name| {
                let verdict = state.verdict.get(name)?;
                Some((
                    (*name).to_owned(),
                    [verdict.inputs, verdict.emitted, verdict.dead_lettered, verdict.dropped],
                ))
            })
            .collect();
        let missing = state.verdict.values().map(|verdict| verdict.missing).sum();
        let mail = &embedded.mail;
        let repeated = mail.duplicates();
        Ok(Summary {
            messages: state.verdict.get("ingest").map_or(0, |verdict| verdict.inputs),
            seconds: state
                .settled_after
                .or_else(|| state.fed_since.map(|since| since.elapsed()))
                .unwrap_or_default()
                .as_secs_f64(),
            stages,
            dead_letters: dead_letter_counts(&metrics)
                .into_iter()
                .map(|count| (count.stage, count.code, count.title, count.count))
                .collect(),
            drops: fates(&metrics, "dropped"),
            notifications: mail.count(),
            repeated,
            latency_ms: latency(&metrics, "notify").map(|latency| (latency.p50_ms, latency.p99_ms)),
            timings: timings(&metrics),
            in_flight: if state.interrupted { missing } else { 0 },
            lost: if state.interrupted { 0 } else { missing },
            duplicated: repeated
                + state.verdict.values().map(|verdict| verdict.duplicated + verdict.conflicting).sum::<u64>(),
            verification: if whole { verification } else { text },
            whole,
            worm: embedded.worm.display().to_string(),
        })
    }

    /// What the WORM folder holds.
    fn worm(&self) -> WormSnapshot {
        let mut worm = WormSnapshot {
            store: self.embedded.worm.display().to_string(),
            tamper_proof: false,
            ..WormSnapshot::default()
        };
        let mut folders = vec![self.embedded.worm.join("seg")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if entry.path().extension().is_some_and(|extension| extension == "avro") {
                    worm.segments += 1;
                    worm.bytes += metadata.len();
                    let at = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
                    let at = at.and_then(|at| i64::try_from(at.as_millis()).ok());
                    worm.last_sealed_at_ms = worm.last_sealed_at_ms.max(at);
                }
            }
        }
        worm
    }
}

fn lineage(record: &Incoming) -> Option<Lineage<'_>> {
    Some(Lineage {
        topic: record.header(SOURCE_TOPIC)?,
        partition: record.header(SOURCE_PARTITION)?.parse().ok()?,
        offset: record.header(SOURCE_OFFSET)?.parse().ok()?,
        index: record.header(OUTPUT_INDEX)?.parse().ok()?,
    })
}

fn view(letter: DeadLetter) -> DeadLetterView {
    DeadLetterView {
        at_ms: letter.failed_at,
        stage: letter.stage,
        code: letter.code,
        reason: letter.reason,
        location: letter.location,
        event_id: Some(letter.event_id),
        source: format!("{}/{}/{}", letter.source_topic, letter.source_partition, letter.source_offset),
    }
}

fn fates(metrics: &telemetry::metrics::Snapshot, fate: &str) -> Vec<(String, String, u64)> {
    let mut fates: Vec<_> = metrics
        .stages
        .iter()
        .flat_map(|stage| stage.fates.iter().map(|count| (stage.stage.clone(), count)))
        .filter(|(_, count)| count.fate == fate)
        .map(|(stage, count)| (stage, count.reason.clone(), count.count))
        .collect();
    fates.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.cmp(b)));
    fates
}

fn dead_letter_counts(metrics: &telemetry::metrics::Snapshot) -> Vec<DeadLetterCount> {
    fates(metrics, "dead_lettered")
        .into_iter()
        .map(|(stage, code, count)| {
            let title = errors::find(&code).map_or_else(String::new, |page| page.title.to_owned());
            DeadLetterCount { stage, code, title, count }
        })
        .collect()
}

fn timings(metrics: &telemetry::metrics::Snapshot) -> Vec<Timing> {
    let millis = |durations: &telemetry::metrics::Durations| {
        durations.p50.zip(durations.p99).map(|(p50, p99)| (p50 * 1000.0, p99 * 1000.0))
    };
    STAGES
        .iter()
        .filter_map(|name| metrics.stages.iter().find(|stage| stage.stage == *name))
        .map(|stage| Timing {
            stage: stage.stage.clone(),
            process_ms: millis(&stage.process),
            end_to_end_ms: millis(&stage.end_to_end),
        })
        .collect()
}

fn latency(metrics: &telemetry::metrics::Snapshot, stage: &str) -> Option<Latency> {
    let stage = metrics.stages.iter().find(|candidate| candidate.stage == stage)?;
    Some(Latency { p50_ms: stage.end_to_end.p50? * 1000.0, p99_ms: stage.end_to_end.p99? * 1000.0 })
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(0))
}

impl StatusSource for Watch {
    fn snapshot(&self) -> Snapshot {
        let metrics = self.metrics.snapshot();
        let report = self.health.report();
        let waiting = |stage: &str| {
            let prefix = format!("{stage}: ");
            report.not_ready().find_map(|component| {
                Some(format!("waiting for {}", component.component.strip_prefix(&prefix)?))
            })
        };
        let state = self.state();
        let stages: Vec<StageSnapshot> = STAGES
            .iter()
            .chain([&audit::NAME])
            .map(|name| {
                let detail = waiting(name);
                let health = if detail.is_some() { Health::Waiting } else { Health::Up };
                match metrics.stages.iter().find(|stage| stage.stage == *name) {
                    None => {
                        StageSnapshot { name: (*name).to_owned(), health, detail, ..StageSnapshot::default() }
                    }
                    Some(stage) => StageSnapshot {
                        name: (*name).to_owned(),
                        health,
                        detail,
                        records_in: stage.records_in,
                        records_out: stage.emitted,
                        dropped: stage.dropped,
                        parked: stage.parked,
                        dead_lettered: stage.dead_lettered,
                        lag: u64::try_from(stage.total_lag()).ok(),
                        latency: stage
                            .process
                            .p50
                            .zip(stage.process.p99)
                            .map(|(p50, p99)| Latency { p50_ms: p50 * 1000.0, p99_ms: p99 * 1000.0 }),
                    },
                }
            })
            .collect();
        let mut dependencies: BTreeMap<String, bool> = BTreeMap::new();
        for dependency in metrics.stages.iter().flat_map(|stage| &stage.dependencies) {
            *dependencies.entry(dependency.dependency.clone()).or_insert(true) &= dependency.up;
        }
        let sum = |count: fn(&StageVerdict) -> u64| state.verdict.values().map(count).sum::<u64>();
        let missing = sum(|verdict| verdict.missing);
        // What has no fate when nothing moves any more is lost, unless it was stopped on its way.
        let lost = state.phase == Phase::Finished && !state.interrupted;
        let audited = metrics.stages.iter().find(|stage| stage.stage == audit::NAME);
        Snapshot {
            taken_at_ms: now_ms(),
            started_at_ms: now_ms() - i64::try_from(self.started.elapsed().as_millis()).unwrap_or(0),
            phase: state.phase,
            note: state.note.clone(),
            totals: Totals {
                messages_in: state.verdict.get("ingest").map_or(0, |verdict| verdict.inputs),
                notified: self.embedded.mail.count(),
                dropped: sum(|verdict| verdict.dropped),
                dead_lettered: sum(|verdict| verdict.dead_lettered),
                in_flight: if lost { 0 } else { missing },
                lost: if lost { missing } else { 0 },
                duplicated: sum(|verdict| verdict.duplicated + verdict.conflicting)
                    + self.embedded.mail.duplicates(),
            },
            end_to_end: latency(&metrics, "notify"),
            stages,
            dependencies: dependencies
                .into_iter()
                .map(|(name, up)| Dependency {
                    name,
                    health: if up { Health::Up } else { Health::Waiting },
                    detail: String::new(),
                })
                .collect(),
            worm: Some(WormSnapshot {
                records: audited.map_or(0, |stage| stage.emitted),
                verification: state.verification.clone(),
                ..state.worm.clone()
            }),
            dead_letter_counts: dead_letter_counts(&metrics),
        }
    }

    fn notifications(&self, limit: usize) -> Vec<NotificationView> {
        self.embedded
            .mail
            .messages()
            .iter()
            .rev()
            .take(limit)
            .map(|mail| {
                let header = |name: &str| mail.header(name).unwrap_or_default();
                let urgency = header("X-Wardstream-Urgency");
                let message_id = mail.message_id.clone().unwrap_or_default();
                let sent_at_ms = mail
                    .received_at
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(0));
                NotificationView {
                    id: message_id.split('@').next().unwrap_or_default().to_owned(),
                    event_id: header("X-Wardstream-Event"),
                    sent_at_ms,
                    latency_ms: header("X-Wardstream-Received")
                        .parse::<i64>()
                        .ok()
                        .and_then(|received| u64::try_from(sent_at_ms - received).ok()),
                    triage: header("X-Wardstream-Triage") == "yes",
                    specialty: header("X-Wardstream-Specialty"),
                    urgency,
                    from: mail.from.clone(),
                    to: mail.to.clone(),
                    subject: mail.subject.clone(),
                    message_id,
                    html: mail.html.clone().unwrap_or_default(),
                    text: mail.text.clone().unwrap_or_default(),
                }
            })
            .collect()
    }

    fn dead_letters(&self, limit: usize) -> Vec<DeadLetterView> {
        self.state().letters.iter().take(limit).cloned().collect()
    }
}
