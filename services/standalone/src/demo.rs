//! The synthetic hospital, and the summary at the end.

use std::fmt;
use std::time::Duration;

use service::{Failure, Process};
use stream::{Outgoing, Publisher};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Demo;
use crate::embedded::Embedded;

/// Share of messages that a sender repeats because an acknowledgement was lost.
const DUPLICATES: f64 = 0.01;
/// Messages that are on their way to the broker at a time.
const WINDOW: usize = 100;

impl Demo {
    /// Publishes to `hl7.raw`; the task gives the number of messages once all are acknowledged.
    pub(crate) fn start(
        &self,
        embedded: &Embedded,
        process: &Process,
        shutdown: &CancellationToken,
    ) -> Result<JoinHandle<Result<u64, Failure>>, Failure> {
        let publisher = Publisher::new("feed", &embedded.kafka, process.runtime.clone())?;
        let feed = load_tests::Feed::new(load_tests::Config {
            seed: self.seed,
            duplicate_rate: DUPLICATES,
            ..load_tests::Config::default()
        });
        let (rate, limit, shutdown) = (self.rate, self.messages.unwrap_or(u64::MAX), shutdown.clone());
        Ok(process.runtime.spawn(async move {
            let begin = tokio::time::Instant::now();
            let mut sent = 0;
            let mut pending = tokio::task::JoinSet::new();
            let mut feed = feed.into_iter();
            while sent < limit && !shutdown.is_cancelled() {
                let Some(message) = feed.next() else { break };
                if let Some(rate) = rate {
                    let due = begin + Duration::from_secs_f64(sent as f64 / rate);
                    tokio::select! {
                        () = tokio::time::sleep_until(due) => {}
                        () = shutdown.cancelled() => break,
                    }
                }
                // The producer keeps the order in which it was given the records.
                let publisher = publisher.clone();
                let output = Outgoing::new("hl7.raw", Some(message.key), message.bytes);
                pending.spawn(async move { publisher.publish(&output).await });
                sent += 1;
                while pending.len() >= WINDOW {
                    if let Some(result) = pending.join_next().await {
                        result??;
                    }
                }
            }
            while let Some(result) = pending.join_next().await {
                result??;
            }
            Ok(sent)
        }))
    }
}

/// Median and 99th percentile in milliseconds, estimated from the buckets of the stage's histograms.
#[derive(Clone, Debug)]
pub struct Timing {
    /// The stage.
    pub stage: String,
    /// Work on one record.
    pub process_ms: Option<(f64, f64)>,
    /// From the feed to the fate in this stage.
    pub end_to_end_ms: Option<(f64, f64)>,
}

/// What a demo proved.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Messages that the line took in.
    pub messages: u64,
    /// From the first message to the last fate, seconds.
    pub seconds: f64,
    /// Each stage: inputs, emitted, dead-lettered, dropped.
    pub stages: Vec<(String, [u64; 4])>,
    /// Dead letters by stage, code, title and count.
    pub dead_letters: Vec<(String, String, String, u64)>,
    /// Drops by stage, reason and count.
    pub drops: Vec<(String, String, u64)>,
    /// Mails that the mail server accepted.
    pub notifications: u64,
    /// Of these, repetitions of one Message-ID.
    pub repeated: u64,
    /// From feed to notification, milliseconds: median and 99th percentile.
    pub latency_ms: Option<(f64, f64)>,
    /// How long each stage took, and when events reached it.
    pub timings: Vec<Timing>,
    /// Inputs of any stage without a fate, because the demo was stopped before they had theirs.
    pub in_flight: u64,
    /// Inputs of any stage without a fate though nothing stopped them.
    pub lost: u64,
    /// Outputs that are there twice, inputs with two fates, mails sent twice.
    pub duplicated: u64,
    /// Verdict of the WORM log.
    pub verification: String,
    /// Whether that verdict is "whole".
    pub whole: bool,
    /// Folder of the WORM log.
    pub worm: String,
}

impl Summary {
    /// Whether nothing is lost, nothing is there twice, and the log is whole.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.whole
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = if self.seconds > 0.0 { self.messages as f64 / self.seconds } else { 0.0 };
        writeln!(f, "messages in    {} in {:.1} s ({rate:.0} a second)", self.messages, self.seconds)?;
        writeln!(f)?;
        writeln!(f, "{:<14}{:>9}{:>10}{:>15}{:>10}", "stage", "in", "emitted", "dead-lettered", "dropped")?;
        for (name, [inputs, emitted, dead, dropped]) in &self.stages {
            writeln!(f, "{name:<14}{inputs:>9}{emitted:>10}{dead:>15}{dropped:>10}")?;
        }
        if !self.dead_letters.is_empty() {
            writeln!(f, "\ndead letters")?;
            for (stage, code, title, count) in &self.dead_letters {
                writeln!(f, "  {count:>6}  {stage:<10} {code:<11} {title}")?;
            }
        }
        if !self.drops.is_empty() {
            writeln!(f, "\ndropped on purpose")?;
            for (stage, reason, count) in &self.drops {
                writeln!(f, "  {count:>6}  {stage:<10} {reason}")?;
            }
        }
        writeln!(f, "\nnotifications  {} sent, {} repeated", self.notifications, self.repeated)?;
        if let Some((p50, p99)) = self.latency_ms {
            writeln!(f, "latency        feed to notification p50 {p50:.0} ms, p99 {p99:.0} ms")?;
        }
        writeln!(f, "worm log       {}", self.worm)?;
        writeln!(f, "               {}", self.verification)?;
        if self.in_flight > 0 {
            writeln!(f, "in flight      {} when it was stopped", self.in_flight)?;
        }
        write!(f, "lost {}, duplicated {}", self.lost, self.duplicated)
    }
}
