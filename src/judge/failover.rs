//! Failover: how long callers suffered after the dispatch, and after the heal.

use std::time::Duration;

use crate::scenario::plan::Of;

use super::evidence::{Evidence, Table};
use super::number;
use super::promise::{Finding, Heading, Promise, micros, secs};
use super::verdict::Verdict;

/// Failover latency of a step, and the return after its heal.
pub(super) struct Failover<'a> {
    pub(super) step: &'a str,
    pub(super) within: Duration,
    pub(super) of: &'a Of,
}

impl Promise for Failover<'_> {
    fn heading(&self) -> Heading {
        Heading::within("failover", self.within)
            .step(self.step)
            .of(self.of)
    }

    fn judge(&self, evidence: &Evidence<'_>) -> Finding {
        let limit = micros(self.within);
        let finding = evidence.of_journeys(self.step, self.of, |table| suffered(table, limit));
        if evidence.baseline_broken() {
            return finding
                .open("the baseline already breaks a limit: what the fault did cannot be told");
        }
        finding
    }
}

/// One journey's table against the limit.
fn suffered(table: &Table<'_>, limit: i64) -> Finding {
    let dossier = table.dossier;
    let Some(figures) = &dossier.figures else {
        return Finding::no_data("the baseline was too short to tell an outage from noise")
            .samples(dossier.requests);
    };
    let mut finding = match (figures.failover_us, figures.return_us) {
        (Some(failover), Some(back)) => {
            let finding = Finding::time(failover.max(back), limit);
            if back > failover {
                finding.note("the time after the heal is the longer one")
            } else {
                finding
            }
        }
        (failover, back) => still_impaired(table, failover, back, limit),
    };
    if finding.verdict == Verdict::Fail && figures.impaired_us > 0 {
        let share = dossier.lost_us as f64 / figures.impaired_us as f64;
        finding.notes.insert(
            0,
            format!("{} of requests failed", number::share(share.min(1.0))),
        );
    }
    finding.resolution_us = figures.resolution_us;
    finding.settle_us = dossier.settle_us;
    finding.samples(dossier.requests)
}

/// The last episode was open when the watch ended: a miss if bad requests prove that the limit was passed by then.
fn still_impaired(
    table: &Table<'_>,
    failover_us: Option<i64>,
    return_us: Option<i64>,
    limit: i64,
) -> Finding {
    let so_far = |since: i64| table.last_bad_us.map(|last| last - since);
    let lasted = [
        failover_us.or_else(|| so_far(table.span.dispatched_us)),
        return_us.or_else(|| so_far(table.span.healed_us?)),
    ]
    .into_iter()
    .flatten()
    .max()
    .unwrap_or(0);
    let note = format!(
        "still impaired when its watch ended, for {} so far",
        secs(lasted)
    );
    if lasted > limit {
        Finding::new(Verdict::Fail, None).note(note)
    } else {
        Finding::no_data(note)
    }
}
