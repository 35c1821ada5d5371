//! What a step cost: bad requests, counted or as time of full outage.

use crate::scenario::plan::{LostLimit, Of};

use super::evidence::{Evidence, Table};
use super::promise::{Finding, Heading, Promise, micros, whole};
use super::result::Unit;

/// Requests lost in a step's watch.
pub(super) struct Lost<'a> {
    /// `lost`, or `update.lost`.
    pub(super) objective: &'static str,
    pub(super) step: &'a str,
    pub(super) limit: LostLimit,
    pub(super) of: &'a Of,
}

impl Promise for Lost<'_> {
    fn heading(&self) -> Heading {
        match self.limit {
            LostLimit::Outage(limit) => Heading::within(self.objective, limit),
            LostLimit::Count(limit) => Heading::new(self.objective, whole(limit), Unit::Count),
        }
        .step(self.step)
        .of(self.of)
    }

    fn judge(&self, evidence: &Evidence<'_>) -> Finding {
        match self.limit {
            LostLimit::Outage(limit) => evidence.of_journeys(self.step, self.of, |table| {
                of_table(table, Finding::time(table.dossier.lost_us, micros(limit)))
            }),
            // A count is of all callers: the worst journey's would hide the others'.
            LostLimit::Count(limit) => evidence.of_all(self.step, self.of, |table| {
                of_table(table, Finding::count(table.dossier.bad, limit))
            }),
        }
    }
}

fn of_table(table: &Table<'_>, mut finding: Finding) -> Finding {
    finding.settle_us = table.dossier.settle_us;
    finding.samples(table.dossier.requests)
}
