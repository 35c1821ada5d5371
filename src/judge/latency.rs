//! Latency: a percentile of what callers waited. A bad request is slower than any limit, so that fast errors cannot
//! improve it.

use std::time::Duration;

use crate::scenario::plan::Of;
use crate::timeline::tally::{Counts, NoLatency};

use super::evidence::Evidence;
use super::number;
use super::promise::{Finding, Heading, Promise, micros};
use super::verdict::Verdict;

/// Requests that must lie beyond a percentile.
const BEYOND: f64 = 10.0;

/// A percentile of latency.
pub(super) struct Latency<'a> {
    /// `p99`.
    pub(super) name: &'a str,
    pub(super) percentile: f64,
    pub(super) within: Duration,
    pub(super) of: &'a Of,
    pub(super) during: &'a str,
}

impl Promise for Latency<'_> {
    fn heading(&self) -> Heading {
        Heading::within(format!("latency.{}", self.name), self.within)
            .of(self.of)
            .during(self.during)
    }

    fn judge(&self, evidence: &Evidence<'_>) -> Finding {
        evidence.in_window(self.during, self.of, |counts| {
            percentile(counts, self.percentile, self.within)
        })
    }
}

/// A percentile of these requests' latency against its limit.
pub(super) fn percentile(counts: &Counts, percentile: f64, within: Duration) -> Finding {
    let all = counts.requests();
    let finding = match counts.latency_at(percentile) {
        Err(NoLatency::NoRequests) => return Finding::no_data("no request was due"),
        Err(NoLatency::Bad) => Finding::new(Verdict::Fail, None).note(format!(
            "{:.1} % bad",
            counts.bad as f64 / all as f64 * 100.0
        )),
        Ok(us) => Finding::time(i64::try_from(us).unwrap_or(i64::MAX), micros(within)),
    };
    let finding = finding.samples(all);
    let needed = BEYOND / (1.0 - percentile);
    // A tenth of a request of margin, because 1 − 0.99 is not exactly 0.01.
    if all as f64 + 0.1 >= needed {
        finding
    } else {
        finding.thin(format!(
            "too few requests: {}, a pass takes {}",
            number::count(all),
            number::count(needed.round() as u64)
        ))
    }
}
