//! Times and their percentiles, exact.

use std::collections::BTreeMap;

/// Times in milliseconds, each with how often it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    times: BTreeMap<i64, u64>,
    count: u64,
}

impl Latencies {
    /// Adds a time.
    pub fn add(&mut self, ms: i64) {
        *self.times.entry(ms).or_default() += 1;
        self.count += 1;
    }

    /// Adds all of another.
    pub fn extend(&mut self, other: &Self) {
        for (ms, count) in &other.times {
            *self.times.entry(*ms).or_default() += count;
        }
        self.count += other.count;
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The smallest time that as many percent of the times do not exceed (nearest rank).
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<i64> {
        let rank = self.count.saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0;
        self.times
            .iter()
            .find(|(_, count)| {
                seen += **count;
                seen >= rank
            })
            .map(|(ms, _)| *ms)
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Option<i64> {
        self.times.keys().next_back().copied()
    }

    /// How many are below the first bound, from each bound on, and from the last bound on: one more than there are bounds.
    #[must_use]
    pub fn histogram(&self, bounds: &[i64]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len() + 1];
        for (ms, count) in &self.times {
            counts[bounds.partition_point(|bound| bound <= ms)] += count;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_has_no_percentiles() {
        let none = Latencies::default();
        assert_eq!((none.percentile(50), none.max(), none.histogram(&[1])), (None, None, vec![0, 0]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn percentiles_are_those_of_the_sorted_times(mut times in proptest::collection::vec(-5_i64..200, 1..300)) {
            let mut latencies = Latencies::default();
            let (one, other) = times.split_at(times.len() / 2);
            one.iter().for_each(|ms| latencies.add(*ms));
            let mut rest = Latencies::default();
            other.iter().for_each(|ms| rest.add(*ms));
            latencies.extend(&rest);
            times.sort_unstable();
            for percent in [1, 50, 95, 99, 100] {
                let rank = (times.len() * percent).div_ceil(100);
                prop_assert_eq!(latencies.percentile(percent as u64), Some(times[rank - 1]), "{}", percent);
            }
            prop_assert_eq!(latencies.max(), times.last().copied());
            prop_assert_eq!(latencies.count(), times.len() as u64);
            let below = times.iter().filter(|ms| **ms < 50).count() as u64;
            let histogram = latencies.histogram(&[50, 100]);
            prop_assert_eq!(histogram[0], below);
            prop_assert_eq!(histogram.iter().sum::<u64>(), times.len() as u64);
            prop_assert_eq!(histogram[2], times.iter().filter(|ms| **ms >= 100).count() as u64);
        }
    }
}
