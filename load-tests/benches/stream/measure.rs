//! One contender, from start to stop.

use std::time::{Duration, Instant};

use service::Failure;

use crate::broker::{Parts, Progress};
use crate::child::{Options, Role};
use crate::process::{Measured, processor_seconds};

/// What was seen between the first record behind the warm-up and the last one looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Records a second.
    pub(crate) records: f64,
    /// Processor time of the contender, microseconds a record.
    pub(crate) processor_us: f64,
    /// Processor time of the broker, microseconds a record.
    pub(crate) broker_us: f64,
}

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// A contender's threads, caches and fetches settle in this time.
const WARM_UP: Duration = Duration::from_millis(750);
/// A contender that makes no progress in this time is stuck.
const STUCK: Duration = Duration::from_secs(60);

impl Parts {
    /// The options that every contender shares.
    pub(crate) fn options(&mut self, role: Role, input: &str, output: &str) -> Options {
        Options {
            role,
            bootstrap: self.bootstrap(),
            registry: self.registry.config().url,
            group: self.unique("group"),
            input: input.to_owned(),
            output: output.to_owned(),
            batch_records: stream::Tuning::default().batch_records,
            batch_linger_ms: stream::Tuning::default().batch_linger.as_millis(),
            compression: stream::Tuning::default().compression,
            workers: 0,
            smtp_port: None,
            smtp_ca: None,
        }
    }

    /// Starts a contender in a process of its own.
    pub(crate) fn spawn(&mut self, options: &Options, core: Option<usize>) -> Result<Measured, Failure> {
        let name = self.unique("child.log");
        let log = self.folder.path().join(name);
        Measured::start(&options.command()?, &log, core)
    }

    /// Watches a contender, of one process or more, for `window`, or until `end` records.
    ///
    /// Progress comes in batches: both ends of what is measured are looks at which some had just been made.
    pub(crate) fn watch(
        &self,
        contender: &mut [Measured],
        progress: &dyn Progress,
        window: Duration,
        end: u64,
    ) -> Result<Rate, Failure> {
        let begin = self.next(contender, progress, 0)?;
        std::thread::sleep(WARM_UP);
        let first = self.next(contender, progress, begin.records)?;
        let mut last = first;
        while last.at - first.at < window {
            let next = self.next(contender, progress, last.records)?;
            // Behind the end there is nothing to measure, and the look that saw it may be late.
            if next.records >= end {
                break;
            }
            last = next;
        }
        let records = (last.records - first.records) as f64;
        if records == 0.0 {
            return Err("the backlog is too small for the window".into());
        }
        Ok(Rate {
            records: records / (last.at - first.at).as_secs_f64(),
            processor_us: (last.contender - first.contender) * 1e6 / records,
            broker_us: (last.broker - first.broker) * 1e6 / records,
        })
    }

    /// The first look at more than `records`.
    fn next(
        &self,
        contender: &mut [Measured],
        progress: &dyn Progress,
        records: u64,
    ) -> Result<Look, Failure> {
        let deadline = Instant::now() + STUCK;
        loop {
            let now = progress.records()?;
            if now > records {
                let at = Instant::now();
                let mut seconds = 0.0;
                for process in contender.iter() {
                    seconds += processor_seconds(process.pid())?;
                }
                let broker = processor_seconds(self.broker)?;
                return Ok(Look { records: now, at, contender: seconds, broker });
            }
            for process in contender.iter_mut() {
                process.alive()?;
            }
            if Instant::now() > deadline {
                return Err(format!("a contender stands still at {records} records").into());
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// What was seen at one moment: records, and processor time in seconds.
#[derive(Clone, Copy)]
struct Look {
    records: u64,
    at: Instant,
    contender: f64,
    broker: f64,
}
