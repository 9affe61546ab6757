//! The last two minutes, sampled each second.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::Snapshot;

/// Samples kept.
pub(crate) const SAMPLES: usize = 120;

/// Rates and gauges of the last [`SAMPLES`] samples, oldest first; all of one length.
#[derive(Debug, Default, Serialize)]
pub(crate) struct History {
    /// When each sample was taken, milliseconds since the epoch.
    at_ms: VecDeque<i64>,
    /// Messages a second that came in.
    messages_in: VecDeque<f64>,
    /// Events a second that were notified.
    notified: VecDeque<f64>,
    /// From feed to notification, milliseconds.
    p50_ms: VecDeque<Option<f64>>,
    /// From feed to notification, milliseconds.
    p99_ms: VecDeque<Option<f64>>,
    /// By stage.
    stages: BTreeMap<String, Series>,
    #[serde(skip)]
    last: Option<Snapshot>,
}

#[derive(Debug, Default, Serialize)]
struct Series {
    /// Records a second read.
    rate: VecDeque<f64>,
    /// Records to be read.
    lag: VecDeque<Option<u64>>,
}

impl History {
    /// Takes a sample. One at the same millisecond as the last, or before it (the clock was set back), starts the
    /// rates anew instead of dividing by nothing.
    pub(crate) fn push(&mut self, snapshot: &Snapshot) {
        let last = self.last.take();
        let seconds =
            last.as_ref().map_or(0.0, |last| (snapshot.taken_at_ms - last.taken_at_ms) as f64 / 1_000.0);
        // A counter that fell belongs to a stage that was restarted.
        let rate = |now: u64, before: Option<u64>| match before {
            Some(before) if seconds > 0.0 => round(now.saturating_sub(before) as f64 / seconds),
            _ => 0.0,
        };
        let before = last.as_ref();
        keep(&mut self.at_ms, snapshot.taken_at_ms);
        keep(&mut self.messages_in, rate(snapshot.totals.messages_in, before.map(|s| s.totals.messages_in)));
        keep(&mut self.notified, rate(snapshot.totals.notified, before.map(|s| s.totals.notified)));
        keep(&mut self.p50_ms, snapshot.end_to_end.map(|latency| round(latency.p50_ms)));
        keep(&mut self.p99_ms, snapshot.end_to_end.map(|latency| round(latency.p99_ms)));
        let length = self.at_ms.len();
        self.stages.retain(|name, _| snapshot.stages.iter().any(|stage| stage.name == *name));
        for stage in &snapshot.stages {
            let series = self.stages.entry(stage.name.clone()).or_default();
            let previous = before.and_then(|s| s.stages.iter().find(|other| other.name == stage.name));
            // A stage that appears later has no past: it is padded so that all series are of one length.
            while series.rate.len() + 1 < length {
                series.rate.push_back(0.0);
                series.lag.push_back(None);
            }
            keep(&mut series.rate, rate(stage.records_in, previous.map(|s| s.records_in)));
            keep(&mut series.lag, stage.lag);
        }
        self.last = Some(snapshot.clone());
    }
}

fn keep<T>(values: &mut VecDeque<T>, value: T) {
    if values.len() == SAMPLES {
        values.pop_front();
    }
    values.push_back(value);
}

/// To a tenth: more is noise on the wire.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::super::{StageSnapshot, Totals};
    use super::*;

    fn snapshot(at: i64, count: u64) -> Snapshot {
        Snapshot {
            taken_at_ms: at,
            totals: Totals { messages_in: count, ..Totals::default() },
            stages: vec![StageSnapshot {
                name: "ingest".into(),
                records_in: count,
                lag: Some(7),
                ..Default::default()
            }],
            ..Snapshot::default()
        }
    }

    #[test]
    fn rates_come_from_counters() {
        let mut history = History::default();
        for (at, count) in
            [(1_000, 10), (2_000, 60), (2_500, 70), (2_500, 80), (2_000, 90), (3_000, 5), (4_000, 6)]
        {
            history.push(&snapshot(at, count));
        }
        assert_eq!(history.messages_in, [0.0, 50.0, 20.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(history.stages["ingest"].rate, history.messages_in);
    }

    #[test]
    fn series_are_bounded_and_of_one_length() {
        let mut history = History::default();
        for at in 0..200 {
            let mut now = snapshot(at * 1_000, 0);
            if at >= 50 {
                now.stages.push(StageSnapshot { name: "audit".into(), ..Default::default() });
            }
            if at >= 150 {
                now.stages.remove(0);
            }
            history.push(&now);
            let length = history.at_ms.len();
            assert!(length <= SAMPLES);
            for series in history.stages.values() {
                assert_eq!((series.rate.len(), series.lag.len()), (length, length));
            }
        }
        assert!(!history.stages.contains_key("ingest"));
    }
}
