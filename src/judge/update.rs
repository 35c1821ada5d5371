//! Rolling updates: through in time, and never too few replicas healthy.

use std::time::Duration;

use crate::timeline::event::Event;

use super::evidence::Evidence;
use crate::timeline::tally::StepFacts;

use super::facts::Facts;
use super::promise::{Finding, Heading, Promise, micros, secs, whole};
use super::result::{Figure, Unit};
use super::verdict::Verdict;

/// From the dispatch until every replica runs the new definition.
pub(super) struct UpdateWithin<'a> {
    pub(super) step: &'a str,
    pub(super) within: Duration,
}

impl Promise for UpdateWithin<'_> {
    fn heading(&self) -> Heading {
        Heading::within("update.within", self.within).step(self.step)
    }

    fn judge(&self, evidence: &Evidence<'_>) -> Finding {
        let limit = micros(self.within);
        let Some((step, dispatched)) = evidence
            .facts
            .step(self.step)
            .and_then(|s| Some((s, s.dispatched_us?)))
        else {
            return Finding::no_data(format!("{} was never dispatched", self.step));
        };
        match &step.converged {
            Some(c) if c.complete => Finding::time(c.at_us - dispatched, limit).samples(1),
            Some(c) => Finding::never(format!(
                "it was given up after {}{}",
                secs(c.at_us - dispatched),
                c.note
                    .as_ref()
                    .map_or_else(String::new, |note| format!(": {note}"))
            )),
            None => {
                let lasted = evidence.facts.observed_until_us - dispatched;
                if lasted > limit {
                    Finding::never(format!("it was not through after {}", secs(lasted)))
                } else {
                    Finding::no_data("the recording does not say that it was through")
                }
            }
        }
    }
}

/// The lowest count of healthy replicas in the update's watch.
pub(super) struct MinHealthy<'a> {
    pub(super) step: &'a str,
    pub(super) at_least: u32,
}

impl Promise for MinHealthy<'_> {
    fn heading(&self) -> Heading {
        let limit = Figure::Whole(i64::from(self.at_least));
        Heading::new("update.min_healthy", limit, Unit::Count).step(self.step)
    }

    fn judge(&self, evidence: &Evidence<'_>) -> Finding {
        let facts = evidence.facts;
        let Some((step, dispatched)) = facts
            .step(self.step)
            .and_then(|s| Some((s, s.dispatched_us?)))
        else {
            return Finding::no_data(format!("{} was never dispatched", self.step));
        };
        let until = evidence
            .watch(self.step)
            .map_or(facts.observed_until_us, |w| w.span.end_us);
        let Some(seen) = replicas(facts, step, dispatched, until) else {
            return Finding::no_data("nobody counted its healthy replicas");
        };
        let verdict = if seen.lowest >= self.at_least {
            Verdict::Pass
        } else {
            Verdict::Fail
        };
        let finding =
            Finding::new(verdict, Some(whole(u64::from(seen.lowest)))).samples(seen.counts);
        if verdict == Verdict::Fail {
            return finding;
        }
        evidence.without_gap("engine", (dispatched, until), finding)
    }
}

/// What the counts of healthy replicas come to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replicas {
    pub(super) lowest: u32,
    pub(super) wanted: u32,
    counts: u64,
}

/// The counts of a step's service from its dispatch until `until_us`, the one in force at the dispatch included.
/// `None` where nobody counted after the dispatch.
pub(super) fn replicas(
    facts: &Facts<'_>,
    step: &StepFacts,
    dispatched_us: i64,
    until_us: i64,
) -> Option<Replicas> {
    let service = facts.planned(step)?.action.target()?;
    let mut in_force = None;
    let mut seen: Option<Replicas> = None;
    for entry in facts.entries {
        let Event::Replicas {
            service: of,
            healthy,
            wanted,
        } = &entry.event
        else {
            continue;
        };
        if of != service || entry.at_us > until_us {
            continue;
        }
        if entry.at_us < dispatched_us {
            in_force = Some(*healthy);
            continue;
        }
        let so_far = seen.get_or_insert(Replicas {
            lowest: in_force.unwrap_or(*healthy),
            wanted: *wanted,
            counts: 0,
        });
        so_far.lowest = so_far.lowest.min(*healthy);
        so_far.wanted = so_far.wanted.max(*wanted);
        so_far.counts += 1;
    }
    seen
}
