//! First tries counted beside what came of the requests.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::model::{Outcome, RequestRecord};

use super::Standing;
use super::windows::record;

/// First tries counted: what callers would have got without retries.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstTries {
    /// Good ones.
    pub good: u64,
    /// Bad ones.
    pub bad: u64,
    /// Each outcome that occurred; they add up to the requests asked.
    pub by_outcome: BTreeMap<Outcome, u64>,
    /// From when a request was due to the end of its first try, of all but `shed`, `dropped` and `cut`.
    pub latency: Histogram<u64>,
}

impl FirstTries {
    /// Counts the first try of a request that stands so.
    pub(super) fn add(&mut self, r: &RequestRecord, standing: Standing) {
        let (outcome, done_us) = r.first_try();
        *self.by_outcome.entry(outcome).or_default() += 1;
        match (r.retried, standing) {
            // None is tried again that ended well.
            (Some(_), _) | (None, Standing::Bad) => self.bad += 1,
            (None, Standing::Good) => self.good += 1,
            (None, Standing::Neither) => {}
        }
        if outcome.timed() {
            record(&mut self.latency, done_us - r.due_us);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.good += other.good;
        self.bad += other.bad;
        for (outcome, n) in &other.by_outcome {
            *self.by_outcome.entry(*outcome).or_default() += n;
        }
        self.latency
            .add(&other.latency)
            .expect("a histogram without bounds grows to take any value");
    }
}
