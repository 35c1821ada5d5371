//! Availability: good / (good + bad) of what was due in a window.

use crate::model::Ratio;
use crate::scenario::plan::Of;
use crate::timeline::tally::Counts;

use super::evidence::Evidence;
use super::number;
use super::promise::{Finding, Heading, Promise};
use super::result::{Figure, Unit};
use super::verdict::Verdict;

/// Share of good requests.
pub(super) struct Availability<'a> {
    pub(super) at_least: Ratio,
    pub(super) of: &'a Of,
    pub(super) during: &'a str,
}

impl Promise for Availability<'_> {
    fn heading(&self) -> Heading {
        let limit = Figure::Share(self.at_least.get());
        Heading::new("availability", limit, Unit::Ratio)
            .of(self.of)
            .during(self.during)
    }

    fn judge(&self, evidence: &Evidence<'_>) -> Finding {
        let limit = self.at_least.get();
        evidence.in_window(self.during, self.of, |counts| share(counts, limit))
    }
}

/// The share of good requests among these against its limit.
pub(super) fn share(counts: &Counts, limit: f64) -> Finding {
    let Some(share) = counts.availability() else {
        return Finding::no_data("no request was due");
    };
    let all = counts.requests();
    let verdict = if share >= limit {
        Verdict::Pass
    } else {
        Verdict::Fail
    };
    let finding = Finding::new(verdict, Some(Figure::Share(share)))
        .samples(all)
        .note(format!(
            "{} of {} requests were bad",
            number::count(counts.bad),
            number::count(all)
        ));
    let needed = 3.0 / (1.0 - limit);
    if all as f64 >= needed {
        finding
    } else if needed.is_finite() {
        finding.thin(format!(
            "too few requests: {}, a pass takes {}",
            number::count(all),
            number::count(needed.ceil() as u64)
        ))
    } else {
        finding.thin("no number of requests proves that not one would be bad")
    }
}
