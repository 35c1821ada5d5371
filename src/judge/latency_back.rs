//! Latency back: until p99 of every settle-long stretch stays near the baseline's.

use std::time::Duration;

use crate::scenario::plan::Of;
use crate::timeline::tally::LatencyReturn;

use super::evidence::{Evidence, Table};
use super::promise::{Finding, Heading, Promise, micros, secs};
use super::verdict::Verdict;

/// How soon after the dispatch latency is back.
pub(super) struct LatencyBack<'a> {
    pub(super) step: &'a str,
    pub(super) within: Duration,
}

impl Promise for LatencyBack<'_> {
    fn heading(&self) -> Heading {
        Heading::within("latency_back", self.within).step(self.step)
    }

    fn judge(&self, evidence: &Evidence<'_>) -> Finding {
        let limit = micros(self.within);
        evidence.of_journeys(self.step, &Of::All, |table| back(table, limit))
    }
}

fn back(table: &Table<'_>, limit: i64) -> Finding {
    let lasted = table.span.end_us - table.span.dispatched_us;
    let mut finding = match table.dossier.latency_back {
        LatencyReturn::After(us) => Finding::time(us, limit),
        LatencyReturn::NotBy(us) if us >= limit => Finding::new(Verdict::Fail, None).note(format!(
            "not back when its watch ended after {}",
            secs(lasted)
        )),
        LatencyReturn::NotBy(_) | LatencyReturn::NoStretch => Finding::no_data(format!(
            "not seen to be back in a watch of {}",
            secs(lasted)
        )),
        LatencyReturn::NoBaseline => Finding::no_data(
            "the baseline before the first fault has no p99 to compare with: it held no request, or over 1 % bad ones",
        ),
    };
    finding.settle_us = table.dossier.settle_us;
    finding.samples(table.dossier.requests)
}
