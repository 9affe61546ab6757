//! A histogram of durations that can be read as well as scraped.
//!
//! prometheus-client's own cannot be read in process, which the status page needs, and takes a lock for each
//! observation.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

use super::snapshot::Durations;

/// Upper bounds in seconds for the work on one record: 100 µs to 1 min.
pub(crate) const PROCESS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 60.0,
];
/// Upper bounds in seconds for the way from a feed: 5 ms to 1 h.
pub(crate) const END_TO_END: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0,
    3600.0,
];

/// Upper bounds in seconds for the time until somebody acknowledges: 5 s to 4 h.
pub(crate) const ACKNOWLEDGE: &[f64] =
    &[5.0, 15.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0];

#[derive(Clone)]
pub(crate) struct Histogram(Arc<Inner>);

struct Inner {
    bounds: &'static [f64],
    /// One more than there are bounds: the last counts what exceeds them all.
    buckets: Box<[AtomicU64]>,
    sum_nanos: AtomicU64,
    max_nanos: AtomicU64,
}

impl Histogram {
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Inner { bounds, buckets, sum_nanos: AtomicU64::new(0), max_nanos: AtomicU64::new(0) }))
    }

    pub(crate) fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let index = self.0.bounds.partition_point(|bound| *bound < seconds);
        if let Some(bucket) = self.0.buckets.get(index) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
        self.0.max_nanos.fetch_max(nanos, Ordering::Relaxed);
    }

    fn read(&self) -> (Vec<(f64, u64)>, u64, f64) {
        let bounds = self.0.bounds.iter().copied().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds
            .zip(self.0.buckets.iter())
            .map(|(bound, count)| (bound, count.load(Ordering::Relaxed)))
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a sum of durations needs no nanosecond beyond 2^53 of them"
        )]
        let sum = self.0.sum_nanos.load(Ordering::Relaxed) as f64 / 1e9;
        (buckets, count, sum)
    }

    /// Count, sum, and quantiles estimated as Prometheus' `histogram_quantile` does: linear within a bucket, and
    /// the last bound for what exceeds it. Unlike there the greatest observation is known, and no estimate is above it.
    pub(crate) fn summary(&self) -> Durations {
        let (buckets, count, sum_seconds) = self.read();
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let max = self.0.max_nanos.load(Ordering::Relaxed) as f64 / 1e9;
        let quantile = |q: f64| -> Option<f64> {
            if count == 0 {
                return None;
            }
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let rank = q * count as f64;
            let (mut below, mut lower) = (0u64, 0.0);
            for (upper, in_bucket) in &buckets {
                #[expect(clippy::cast_precision_loss, reason = "an estimate")]
                let (under, over) = (below as f64, (below + in_bucket) as f64);
                if over >= rank && *in_bucket > 0 {
                    let beyond = *upper == f64::MAX;
                    return Some(if beyond {
                        lower
                    } else {
                        lower + (upper.min(max.max(lower)) - lower) * (rank - under) / (over - under)
                    });
                }
                below += in_bucket;
                lower = if *upper == f64::MAX { lower } else { *upper };
            }
            Some(lower)
        };
        Durations { count, sum_seconds, p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Histogram").field(&self.summary()).finish()
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let (buckets, count, sum) = self.read();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_within_the_bucket_of_their_rank() {
        let histogram = Histogram::new(PROCESS);
        for _ in 0..90 {
            histogram.observe(Duration::from_millis(2));
        }
        for _ in 0..10 {
            histogram.observe(Duration::from_millis(400));
        }
        let summary = histogram.summary();
        assert_eq!(summary.count, 100);
        assert!((summary.sum_seconds - 4.18).abs() < 1e-9);
        assert!((0.001..=0.0025).contains(&summary.p50.unwrap()));
        assert!((0.25..=0.5).contains(&summary.p99.unwrap()));
    }

    #[test]
    fn an_empty_histogram_has_no_quantiles() {
        assert_eq!(Histogram::new(PROCESS).summary().p50, None);
    }

    #[test]
    fn what_exceeds_the_bounds_is_reported_at_the_last() {
        let histogram = Histogram::new(PROCESS);
        histogram.observe(Duration::from_secs(3600));
        assert_eq!(histogram.summary().p99, Some(60.0));
    }

    #[test]
    fn no_estimate_is_above_the_greatest_observation() {
        let histogram = Histogram::new(END_TO_END);
        for seconds in [100, 121, 130] {
            histogram.observe(Duration::from_secs(seconds));
        }
        let p99 = histogram.summary().p99.unwrap();
        assert!((120.0..=130.0).contains(&p99), "its bucket ends at 300 s");
    }

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        histogram.observe(Duration::from_secs(1));
        assert_eq!(histogram.read().0.first(), Some(&(1.0, 1)));
    }
}
