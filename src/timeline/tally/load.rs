//! A whole load, counted as its requests end: its memory does not grow with their number.

use hdrhistogram::Histogram;

use super::{Counts, Doubt, Punctuality, Reading, View};
use crate::model::{Outcome, RequestRecord};

/// What is known of a load without keeping its requests.
#[derive(Debug, Clone)]
pub struct LoadTally {
    steps_zero_us: i64,
    /// Requests of which a first byte left.
    pub sent: u64,
    /// Slots that were dropped.
    pub dropped: u64,
    /// Requests due before the end of warm-up.
    pub warmup: Counts,
    /// Requests due after it.
    pub run: Counts,
    /// How late the pacer let requests go, µs.
    pub send_lag: Histogram<u64>,
    /// Whether the generator kept to its times.
    pub punctuality: Punctuality,
    /// Nothing is suspect while it is counted.
    none: Doubt,
}

impl LoadTally {
    /// Of a load whose slot 0 is due at `started_us`, and whose warm-up ends at `steps_zero_us` (µs since the run's zero).
    #[must_use]
    pub fn new(started_us: i64, steps_zero_us: i64) -> Self {
        Self {
            steps_zero_us,
            sent: 0,
            dropped: 0,
            warmup: Counts::default(),
            run: Counts::default(),
            send_lag: Histogram::new(3).expect("three significant digits are within 0 to 5"),
            punctuality: Punctuality::new(started_us),
            none: Doubt::default(),
        }
    }

    /// Takes in a request that has ended; their order does not matter.
    pub fn add(&mut self, r: &RequestRecord) {
        let view = View {
            doubt: &self.none,
            reading: Reading::AsRecorded,
        };
        let window = if r.due_us < self.steps_zero_us {
            &mut self.warmup
        } else {
            &mut self.run
        };
        window.add(r, view);
        self.sent += u64::from(r.sent_us.is_some());
        self.dropped += u64::from(r.request == 0 && r.outcome == Outcome::Dropped);
        if let Some(left) = r.left_us {
            self.send_lag
                .record(u64::try_from(left - r.due_us).unwrap_or(0))
                .expect("a histogram without bounds grows to take any value");
        }
        self.punctuality.add(r);
    }

    /// Takes in what another shard of the same load came to.
    pub fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.dropped += other.dropped;
        self.warmup.merge(&other.warmup);
        self.run.merge(&other.run);
        self.send_lag
            .add(&other.send_lag)
            .expect("a histogram without bounds grows to take any value");
        self.punctuality.merge(&other.punctuality);
    }

    /// All requests that became due and have ended.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.warmup.asked + self.run.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::tally::dossier::testing::request;

    #[test]
    fn how_late_requests_are_let_go_has_no_bound() {
        let mut tally = LoadTally::new(0, 0);
        let late = |lag_us: i64| {
            let r = request(0, 2_000_000, Outcome::Ok);
            RequestRecord {
                left_us: Some(r.due_us + lag_us),
                ..r
            }
        };
        [3, 70_000, 1_500_000]
            .map(late)
            .iter()
            .for_each(|r| tally.add(r));
        let worst = tally.send_lag.max();
        assert!(worst.abs_diff(1_500_000) < 2_000, "{worst}");
    }

    #[test]
    fn two_shards_come_to_the_same_as_one() {
        let requests: Vec<_> = (0..2_000)
            .map(|n| {
                let outcome = if n % 7 == 0 {
                    Outcome::Http5xx
                } else {
                    Outcome::Ok
                };
                request(n * 1_000, 10 + n, outcome)
            })
            .collect();
        let mut one = LoadTally::new(0, 500_000);
        let [mut even, mut odd] = [one.clone(), one.clone()];
        for (n, r) in requests.iter().enumerate() {
            one.add(r);
            if n % 2 == 0 { &mut even } else { &mut odd }.add(r);
        }
        even.merge(&odd);
        assert_eq!((one.warmup.asked, one.run.asked), (500, 1_500));
        assert_eq!((&even.warmup, &even.run), (&one.warmup, &one.run));
        assert_eq!(even.send_lag, one.send_lag);
        assert_eq!(even.punctuality.within(0, 2_000_000), (2_000, 2_000));
        assert_eq!(even.asked(), 2_000);
    }
}
